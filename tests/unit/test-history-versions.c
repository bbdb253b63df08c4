/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Databases of earlier versions, as they were made then, with a row in each. */
#include "history-kit.h"

#define VERSION_1                                                                                                    \
        "CREATE TABLE secret (key BLOB NOT NULL) STRICT; INSERT INTO secret VALUES (zeroblob(32));"                  \
        "CREATE TABLE queries ("                                                                                     \
        " row INTEGER PRIMARY KEY,"                                                                                  \
        " boot_id BLOB NOT NULL, id INTEGER NOT NULL, fingerprint BLOB NOT NULL, language TEXT NOT NULL,"            \
        " state TEXT NOT NULL, error TEXT NOT NULL, verdict TEXT NOT NULL, message TEXT, labels TEXT,"               \
        " user_id INTEGER NOT NULL, priority INTEGER NOT NULL, exit_status INTEGER NOT NULL,"                        \
        " exit_signal INTEGER NOT NULL, detached INTEGER NOT NULL, created_usec INTEGER NOT NULL,"                   \
        " started_usec INTEGER NOT NULL, ended_usec INTEGER NOT NULL, total_usec INTEGER NOT NULL,"                  \
        " compile_usec INTEGER NOT NULL, queue_usec INTEGER NOT NULL, execute_usec INTEGER NOT NULL,"                \
        " frozen_usec INTEGER NOT NULL, stall_usec INTEGER NOT NULL, cpu_usec INTEGER NOT NULL,"                     \
        " io_read_bytes INTEGER NOT NULL, io_write_bytes INTEGER NOT NULL, initial_bytes INTEGER NOT NULL,"          \
        " memory_max_bytes INTEGER NOT NULL, memory_peak_bytes INTEGER NOT NULL, memory_quota_bytes INTEGER NOT "    \
        "NULL,"                                                                                                      \
        " raises INTEGER NOT NULL,"                                                                                  \
        " UNIQUE (boot_id, id)) STRICT;"                                                                             \
        "CREATE INDEX queries_by_end ON queries (ended_usec);"                                                       \
        "INSERT INTO queries VALUES (1, zeroblob(16), 42, zeroblob(16), 'sqlite', 'errored', 'Timeout', 'timeout', " \
        "'why',"                                                                                                     \
        " '{\"team\":\"ads\"}', 1000, -5, 3, 9, 1, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, " \
        "27);"
#define VERSION_2                                                                                                    \
        VERSION_1                                                                                                    \
        "ALTER TABLE queries ADD COLUMN learned INTEGER NOT NULL DEFAULT 0;"                                         \
        "ALTER TABLE queries ADD COLUMN raises_saved INTEGER NOT NULL DEFAULT 0;"                                    \
        "ALTER TABLE queries ADD COLUMN needed_bytes INTEGER NOT NULL DEFAULT 0;"                                    \
        "ALTER TABLE queries ADD COLUMN needed_raises INTEGER NOT NULL DEFAULT 0;"                                   \
        "CREATE INDEX lessons_by_end ON queries (ended_usec) WHERE needed_bytes > 0;"

static const char *const old[] = {
        "PRAGMA user_version = 0",

        VERSION_1 "PRAGMA user_version = 1",
        VERSION_2 "PRAGMA user_version = 2",
};
_Static_assert(ELEMENTSOF(old) == HISTORY_DB_VERSION, "a version has no test");

static HistoryDb *open_db(void) {
        HistoryDb *db = NULL;

        assert_int_equal(history_db_open(kit_path, &db), 0);
        return db;
}

/* What version 1 had of it. */
static void assert_is_old(const HistoryRow *r) {
        assert_int_equal(r->id, 42);
        assert_string_equal(r->language, "sqlite");
        assert_string_equal(r->error, "Timeout");
        assert_string_equal(r->message, "why");
        assert_string_equal(pairlist_get(&r->labels, "team"), "ads");
        assert_int_equal(r->priority, -5);
        assert_true(r->detached);
        for (uint64_t i = 0; i < 17; i++)
                assert_int_equal((&r->created_usec)[i], 11 + i);
        assert_ptr_equal(&r->created_usec + 16, &r->raises);
        assert_int_equal(r->raises_saved, 0);
        assert_int_equal(r->retries, 0);
        assert_int_equal(r->needed_bytes, 0);
        assert_int_equal(r->needed_raises, 0);
        assert_false(r->learned);
}

static void each_is_brought_to_this_one_with_what_it_has(void **state) {
        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(old); i++) {
                HistoryRow full = kit_full_row(), *rows = NULL;
                HistoryFilter f = HISTORY_FILTER_INIT;
                FingerprintKey key;
                HistoryDb *db;
                size_t n = 0;

                kit_execute(old[i]);
                db = open_db();
                assert_int_equal(history_db_count(db), i > 0);
                assert_int_equal(history_db_key(db, &key), 0);
                if (i > 0)
                        assert_memory_equal(&key, &(FingerprintKey) {}, sizeof(key));
                full.ended_usec = 1; /* before the old one */
                assert_int_equal(history_db_insert(db, &full, 1), 1);
                db = history_db_close(db);
                db = open_db(); /* it is of this version now */
                assert_int_equal(history_db_select(db, &f, &rows, &n), 0);
                assert_int_equal(n, 1 + (i > 0));
                kit_assert_same(&full, &rows[n - 1]);
                if (i > 0)
                        assert_is_old(&rows[0]);
                history_rows_free(rows, n);
                history_row_done(&full);
                history_db_close(db);
                assert_int_equal(history_db_set_aside(kit_path), 0);
        }
}

/* A step is done whole or not at all. */
static void one_that_cannot_be_brought_up_stays_as_it_was(void **state) {
        HistoryDb *db = NULL;
        sqlite3 *other;
        sqlite3_stmt *s;

        (void) state;
        kit_execute(old[1]);
        kit_execute("CREATE TABLE lessons_by_end (in_the_way)"); /* the name of the last thing that is made */
        assert_int_equal(history_db_open(kit_path, &db), -EUCLEAN);
        assert_int_equal(sqlite3_open(kit_path, &other), SQLITE_OK);
        assert_int_equal(sqlite3_prepare_v2(other, "SELECT count(*) FROM pragma_table_info('queries')", -1, &s, NULL),
                         SQLITE_OK);
        assert_int_equal(sqlite3_step(s), SQLITE_ROW);
        assert_int_equal(sqlite3_column_int(s, 0), 32);
        sqlite3_finalize(s);
        sqlite3_close(other);
        kit_execute("DROP TABLE lessons_by_end");
        db = open_db();
        assert_int_equal(history_db_count(db), 1);
        history_db_close(db);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                KIT_TEST(each_is_brought_to_this_one_with_what_it_has),
                KIT_TEST(one_that_cannot_be_brought_up_stays_as_it_was),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
