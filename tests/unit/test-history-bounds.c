/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the history may cost those who wait for it: their time, when it is closed, and memory, when it is asked. */
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

/* As large as a request may make it. */
static HistoryRow large_row(uint64_t id) {
        char key[REQUEST_NAME_BYTES_MAX + 1], value[REQUEST_LABEL_BYTES_MAX + 1] = "";
        HistoryRow r = kit_row(1, id, id);

        memset(key, 'k', sizeof(key) - 1);
        key[sizeof(key) - 1] = '\0';
        memset(value, 'v', sizeof(value) - 1);
        for (unsigned i = 0; i < REQUEST_LABELS_MAX; i++) {
                snprintf(key, 8, "label%02u", i);
                key[7] = '_';
                kit_label(&r, key, value);
        }
        return r;
}

static uint64_t labels_bytes(const HistoryRow *r) {
        uint64_t sum = 0;

        for (size_t i = 0; i < r->labels.n; i++)
                sum += strlen(r->labels.v[i].key) + strlen(r->labels.v[i].value);
        return sum;
}

static void pages_of_large_rows_are_shorter_and_miss_none(void **state) {
        HistoryFilter f = HISTORY_FILTER_INIT;
        uint64_t next = HISTORY_LIMIT_MAX, sum;
        HistoryRow row = large_row(1), *rows;
        HistoryDb *db = open_db();
        size_t n = 0;

        (void) state;
        assert_int_equal(history_db_insert(db, &row, 1), 1);
        history_db_close(db);
        history_row_done(&row);
        kit_fill(HISTORY_LIMIT_MAX);
        db = open_db();
        f.limit = HISTORY_LIMIT_MAX;
        do {
                assert_int_equal(history_db_select(db, &f, &rows, &n), 0);
                sum = 0;
                for (size_t i = 0; i < n; i++) {
                        assert_int_equal(rows[i].id, next--);
                        sum += labels_bytes(&rows[i]);
                }
                assert_true(sum < HISTORY_ANSWER_BYTES_MAX);
                f.before_row = n > 0 ? rows[n - 1].row : 0;
                history_rows_free(rows, n);
        } while (n > 0);
        assert_int_equal(next, 0);
        history_db_close(db);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                KIT_TEST(closing_waits_for_no_disk_and_loses_nothing),
                KIT_TEST(pages_of_large_rows_are_shorter_and_miss_none),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
