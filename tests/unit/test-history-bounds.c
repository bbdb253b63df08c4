/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the history may cost those who wait for it: their time, when it is closed. */
#include "history-kit.h"

#include <sys/syscall.h>

static HistoryDb *open_db(void) {
        HistoryDb *db = NULL;

        assert_int_equal(history_db_open(kit_path, &db), 0);
        return db;
}

static unsigned n_syncs;

/* In place of the C library's, for SQLite too. */
__attribute__((visibility("default"))) int fsync(int fd) {
        n_syncs++;
        return (int) syscall(SYS_fsync, fd);
}

__attribute__((visibility("default"))) int fdatasync(int fd) {
        n_syncs++;
        return (int) syscall(SYS_fdatasync, fd);
}

static void closing_waits_for_no_disk_and_loses_nothing(void **state) {
        HistoryRow row = kit_row(1, 7, 1);
        HistoryDb *db = open_db();

        (void) state;
        assert_int_equal(history_db_insert(db, &row, 1), 1);
        n_syncs = 0;
        history_db_close(db);
        assert_int_equal(n_syncs, 0);
        db = open_db();
        assert_int_equal(history_db_count(db), 1);
        assert_int_equal(sqlite3_exec(db->sqlite, "PRAGMA wal_checkpoint", NULL, NULL, NULL), SQLITE_OK);
        assert_true(n_syncs > 0); /* it would have been seen */
        history_db_close(db);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                KIT_TEST(closing_waits_for_no_disk_and_loses_nothing),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
