/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "history-kit.h"

static HistoryDb *open_db(void) {
        HistoryDb *db = NULL;

        assert_int_equal(history_db_open(kit_path, &db), 0);
        return db;
}

static void add(HistoryDb *db, HistoryRow row) {
        assert_int_equal(history_db_insert(db, &row, 1), 1);
        history_row_done(&row);
}

/* The IDs that @f finds, in their order, as text. */
static const char *ids(HistoryDb *db, const HistoryFilter *f) {
        static char text[4096];
        HistoryRow *rows = NULL;
        size_t n = 0, len = 0;

        text[0] = '\0';
        assert_int_equal(history_db_select(db, f, &rows, &n), 0);
        for (size_t i = 0; i < n; i++)
                len += (size_t) snprintf(text + len, sizeof(text) - len, "%s%llu", i > 0 ? " " : "",
                                         (unsigned long long) rows[i].id);
        history_rows_free(rows, n);
        return text;
}

static const char *all_ids(HistoryDb *db) {
        HistoryFilter f = HISTORY_FILTER_INIT;

        return ids(db, &f);
}

static void a_row_comes_back_as_it_was(void **state) {
        HistoryFilter f = HISTORY_FILTER_INIT;
        HistoryRow full = kit_full_row(), plain = kit_row(2, 1, 1), *rows;
        HistoryDb *db = open_db();
        size_t n;

        (void) state;
        assert_int_equal(history_db_insert(db, &full, 1), 1);
        assert_int_equal(history_db_insert(db, &plain, 1), 1);
        db = history_db_close(db); /* and is on disk */
        db = open_db();
        assert_int_equal(history_db_count(db), 2);
        assert_int_equal(history_db_select(db, &f, &rows, &n), 0);
        assert_int_equal(n, 2);
        kit_assert_same(&full, &rows[0]);
        kit_assert_same(&plain, &rows[1]);
        assert_true(rows[0].row > 0 && rows[0].row != rows[1].row);
        history_rows_free(rows, n);
        history_db_close(db);
        history_row_done(&full);
}

static void one_of_a_boot_is_there_once(void **state) {
        HistoryDb *db = open_db();
        HistoryRow rows[] = { kit_row(1, 5, 10), kit_row(1, 6, 11), kit_row(1, 5, 12), kit_row(2, 5, 13) };

        (void) state;
        assert_int_equal(history_db_insert(db, rows, ELEMENTSOF(rows)), 3);
        assert_int_equal(history_db_count(db), 3);
        assert_int_equal(history_db_insert(db, rows, ELEMENTSOF(rows)), 0);
        assert_int_equal(history_db_count(db), 3);
        assert_string_equal(all_ids(db), "5 6 5");
        history_db_close(db);
}

static void the_file_is_for_root_alone(void **state) {
        mode_t old = umask(0);
        HistoryDb *db = open_db();
        char wal[128];
        struct stat st;

        (void) state;
        add(db, kit_row(1, 1, 1));
        assert_int_equal(stat(kit_path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
        snprintf(wal, sizeof(wal), "%s-wal", kit_path);
        assert_int_equal(stat(wal, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
        history_db_close(db);
        umask(old);
}

static void each_filter_filters(void **state) {
        HistoryDb *db = open_db();
        HistoryFilter f;
        HistoryRow r;

        (void) state;
        r = kit_row(1, 1, 100), r.user_id = 0, r.memory_peak_bytes = 50;
        kit_label(&r, "team", "ads");
        kit_label(&r, "job", "7");
        add(db, r);
        r = kit_row(1, 2, 200), strcpy(r.language, "shell"), r.memory_peak_bytes = SIZE_INFINITY / 4;
        kit_label(&r, "team", "web");
        add(db, r);
        r = kit_row(1, 3, 300), strcpy(r.state, "errored"), strcpy(r.error, "Timeout");
        kit_label(&r, "team", "");
        add(db, r);

        f = (HistoryFilter) HISTORY_FILTER_INIT;
        assert_string_equal(ids(db, &f), "3 2 1");
        f.has_user_id = true;
        assert_string_equal(ids(db, &f), "1");
        f = (HistoryFilter) HISTORY_FILTER_INIT, strcpy(f.language, "shell");
        assert_string_equal(ids(db, &f), "2");
        f = (HistoryFilter) HISTORY_FILTER_INIT, strcpy(f.state, "finished");
        assert_string_equal(ids(db, &f), "2 1");
        f = (HistoryFilter) HISTORY_FILTER_INIT, strcpy(f.error, "Timeout");
        assert_string_equal(ids(db, &f), "3");
        f = (HistoryFilter) HISTORY_FILTER_INIT, f.since_usec = 200;
        assert_string_equal(ids(db, &f), "3 2");
        f.since_usec = 201;
        assert_string_equal(ids(db, &f), "3");
        f = (HistoryFilter) HISTORY_FILTER_INIT, f.until_usec = 200;
        assert_string_equal(ids(db, &f), "2 1");
        f.until_usec = 199;
        assert_string_equal(ids(db, &f), "1");
        f = (HistoryFilter) HISTORY_FILTER_INIT, f.min_peak_bytes = 50;
        assert_string_equal(ids(db, &f), "2 1");
        f.min_peak_bytes = 51;
        assert_string_equal(ids(db, &f), "2");
        f = (HistoryFilter) HISTORY_FILTER_INIT, f.limit = 2;
        assert_string_equal(ids(db, &f), "3 2");
        history_db_close(db);
}

static void all_labels_that_are_asked_for_must_be_there(void **state) {
        static const char *const labels[][2] = {
                { "team", "ads" }, { "team", "ads" }, { "team", "web" }, { "team", "" }
        };
        HistoryDb *db = open_db();

        (void) state;
        for (unsigned i = 0; i < ELEMENTSOF(labels); i++) {
                HistoryRow r = kit_row(1, i + 1, i + 1);

                kit_label(&r, labels[i][0], labels[i][1]);
                if (i == 1)
                        kit_label(&r, "job", "7");
                add(db, r);
        }
        add(db, kit_row(1, 5, 5));
        for (unsigned i = 0; i < 5; i++) {
                static const char *const asked[][4] = { { "team", "ads" },
                                                        { "team", "ads", "job", "7" },
                                                        { "team", "" },
                                                        { "job", "8" },
                                                        { "missing", "" } };
                static const char *const found[] = { "2 1", "2", "4", "", "" };
                HistoryFilter f = HISTORY_FILTER_INIT;

                for (unsigned k = 0; k < 4 && asked[i][k]; k += 2)
                        assert_int_equal(pairlist_set(&f.labels, asked[i][k], asked[i][k + 1]), 0);
                assert_string_equal(ids(db, &f), found[i]);
                history_filter_done(&f);
        }
        history_db_close(db);
}

/* Page after page gives each once, also of those that ended in one microsecond. */
static void pages_follow_one_another(void **state) {
        HistoryDb *db = open_db();
        HistoryFilter f = HISTORY_FILTER_INIT;
        HistoryRow *rows;
        uint64_t expected = 20;
        size_t n;

        (void) state;
        for (uint64_t i = 1; i <= 20; i++)
                add(db, kit_row(1, i, i / 4));
        f.limit = 3;
        do {
                assert_int_equal(history_db_select(db, &f, &rows, &n), 0);
                for (size_t i = 0; i < n; i++)
                        assert_int_equal(rows[i].id, expected--);
                f.before_row = n > 0 ? rows[n - 1].row : 0;
                history_rows_free(rows, n);
        } while (n > 0);
        assert_int_equal(expected, 0);
        f.before_row = 4711; /* deleted meanwhile, and so are all behind it */
        assert_string_equal(ids(db, &f), "");
        history_db_close(db);
}

static void what_is_too_old_or_too_much_goes_the_oldest_first(void **state) {
        HistoryDb *db = open_db();

        (void) state;
        for (uint64_t i = 1; i <= 10; i++)
                add(db, kit_row(1, i, i <= 5 ? i : 20 - i)); /* not in the order in which they were written */
        assert_int_equal(history_db_expire(db, 100, 3, 100), 2);
        assert_int_equal(history_db_expire(db, 100, 3, 100), 0);
        assert_string_equal(all_ids(db), "6 7 8 9 10 5 4 3");
        assert_int_equal(history_db_expire(db, 4, 0, 3), 3);
        assert_string_equal(all_ids(db), "6 7 8 9 10");
        assert_int_equal(history_db_expire(db, 4, 0, 3), 1);
        assert_int_equal(history_db_expire(db, 4, 0, 3), 0);
        assert_int_equal(history_db_count(db), 4);
        assert_string_equal(all_ids(db), "6 7 8 9");
        history_db_close(db);
}

static void the_key_stays(void **state) {
        FingerprintKey a, b;
        HistoryDb *db = open_db();

        (void) state;
        assert_int_equal(history_db_key(db, &a), 0);
        assert_int_equal(history_db_key(db, &b), 0);
        assert_memory_equal(&a, &b, sizeof(a));
        history_db_close(db);
        db = open_db();
        assert_int_equal(history_db_key(db, &b), 0);
        assert_memory_equal(&a, &b, sizeof(a));
        history_db_close(db);
        assert_int_equal(history_db_set_aside(kit_path), 0);
        db = open_db();
        assert_int_equal(history_db_key(db, &b), 0);
        assert_memory_not_equal(&a, &b, sizeof(a));
        history_db_close(db);
}

static void one_of_a_newer_program_is_left_alone(void **state) {
        HistoryDb *db = open_db();
        char text[64];

        (void) state;
        add(db, kit_row(1, 1, 1));
        db = history_db_close(db);
        snprintf(text, sizeof(text), "PRAGMA user_version = %d", HISTORY_DB_VERSION + 1);
        kit_execute(text);
        assert_int_equal(history_db_open(kit_path, &db), -ENOTSUP);
        snprintf(text, sizeof(text), "PRAGMA user_version = %d", HISTORY_DB_VERSION);
        kit_execute(text);
        db = open_db();
        assert_string_equal(all_ids(db), "1");
        history_db_close(db);
}

static void what_is_no_database_of_ours_is_unsound(void **state) {
        static char noise[16384];
        HistoryDb *db = NULL;

        (void) state;
        memset(noise, 'x', sizeof(noise));
        kit_write(kit_path, noise, sizeof(noise));
        assert_int_equal(history_db_open(kit_path, &db), -EUCLEAN);
        assert_int_equal(history_db_set_aside(kit_path), 0);
        kit_execute("CREATE TABLE queries (id)"); /* somebody else's */
        assert_int_equal(history_db_open(kit_path, &db), -EUCLEAN);
        assert_int_equal(history_db_set_aside(kit_path), 0);
        kit_execute("CREATE TABLE others (id); PRAGMA user_version = 1"); /* it says that it is of ours */
        assert_int_equal(history_db_open(kit_path, &db), -EUCLEAN);
        assert_int_equal(history_db_set_aside(kit_path), 0);
        db = open_db();
        history_db_close(db);
}

/* A page in the middle that was written over, as by a bad disk. */
static void damage_is_seen_when_it_is_met(void **state) {
        HistoryDb *db = open_db();
        HistoryFilter f = HISTORY_FILTER_INIT;
        HistoryRow *rows = NULL, row = kit_row(9, 1, 1);
        struct stat st;
        size_t n = 0;
        FILE *file;
        int r;

        (void) state;
        for (uint64_t i = 1; i <= 400; i++)
                add(db, kit_row(1, i, i));
        db = history_db_close(db);
        kit_execute("PRAGMA wal_checkpoint(TRUNCATE)"); /* else all is in the log */
        assert_int_equal(stat(kit_path, &st), 0);
        file = fopen(kit_path, "r+e");
        assert_non_null(file);
        for (long at = 3 * 4096; at < st.st_size; at += 4096) { /* the first have the schema, the key and the roots */
                assert_int_equal(fseek(file, at, SEEK_SET), 0);
                for (unsigned i = 0; i < 4096; i++)
                        putc(0x5a, file);
        }
        assert_int_equal(fclose(file), 0);
        r = history_db_open(kit_path, &db); /* which counts them */
        if (r == 0) {
                f.limit = 1000;
                r = history_db_select(db, &f, &rows, &n);
                assert_int_equal(history_db_insert(db, &row, 1), -EUCLEAN);
                history_db_close(db);
        }
        assert_int_equal(r, -EUCLEAN);
}

/* What was put there by hand is no reason to fail, nor to be told as it is. */
static void odd_values_are_read_as_none(void **state) {
        HistoryFilter f = HISTORY_FILTER_INIT;
        HistoryDb *db = open_db();
        HistoryRow *rows;
        size_t n;

        (void) state;
        add(db, kit_row(1, 1, 1));
        db = history_db_close(db);
        kit_execute("UPDATE queries SET boot_id = x'00', language = printf('%.200c', 'x'), message = CAST(x'ff41' AS "
                    "TEXT),"
                    " labels = '{\"a\":', fingerprint = x''");
        db = open_db();
        assert_int_equal(history_db_select(db, &f, &rows, &n), 0);
        assert_int_equal(n, 1);
        assert_string_equal(rows[0].language, "");
        assert_null(rows[0].message);
        assert_int_equal(rows[0].labels.n, 0);
        assert_int_equal(rows[0].fingerprint[0], 0);
        history_rows_free(rows, n);
        assert_int_equal(pairlist_set(&f.labels, "a", "b"), 0);
        assert_string_equal(ids(db, &f), "");
        history_filter_done(&f);
        history_db_close(db);
}

static void the_host_s_failures_are_told_as_such(void **state) {
        HistoryDb *db = NULL;
        sqlite3 *other;

        (void) state;
        strcat(kit_path, "/below");
        assert_int_equal(history_db_open(kit_path, &db), -ENOENT);
        kit_path[strlen(kit_path) - strlen("/below")] = '\0';
        assert_int_equal(mkdir(kit_path, 0700), 0);
        assert_int_equal(history_db_open(kit_path, &db), -EISDIR);
        assert_int_equal(rmdir(kit_path), 0);
        assert_int_equal(symlink("/dev/null", kit_path), 0);
        assert_int_equal(history_db_open(kit_path, &db), -ELOOP);
        assert_int_equal(unlink(kit_path), 0);
        kit_execute("CREATE TABLE x (y)"); /* somebody has it */
        assert_int_equal(sqlite3_open(kit_path, &other), SQLITE_OK);
        assert_int_equal(sqlite3_exec(other, "BEGIN EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
        assert_int_equal(history_db_open(kit_path, &db), -EBUSY);
        assert_int_equal(sqlite3_close(other), SQLITE_OK);
        db = open_db();
        history_db_close(db);
}

/* … so that its log has no index in a file, which could end us by SIGBUS. */
static void nobody_else_has_it_meanwhile(void **state) {
        HistoryDb *db = open_db();
        char shm[128];
        sqlite3 *other;

        (void) state;
        add(db, kit_row(1, 1, 1));
        assert_int_equal(sqlite3_open(kit_path, &other), SQLITE_OK);
        assert_int_equal(sqlite3_exec(other, "SELECT * FROM queries", NULL, NULL, NULL), SQLITE_BUSY);
        assert_int_equal(sqlite3_close(other), SQLITE_OK);
        snprintf(shm, sizeof(shm), "%s-shm", kit_path);
        assert_int_equal(access(shm, F_OK), -1);
        history_db_close(db);
}

/* A disk of so many pages. */
static void a_full_disk_costs_the_rows_and_leaves_the_rest(void **state) {
        HistoryDb *db = open_db();
        HistoryRow rows[200];

        (void) state;
        add(db, kit_row(1, 1, 1));
        for (unsigned i = 0; i < ELEMENTSOF(rows); i++)
                rows[i] = kit_row(2, i + 1, i + 1);
        assert_int_equal(sqlite3_exec(db->sqlite, "PRAGMA max_page_count = 8", NULL, NULL, NULL), SQLITE_OK);
        assert_int_equal(history_db_insert(db, rows, ELEMENTSOF(rows)), -ENOSPC);
        assert_int_equal(history_db_count(db), 1);
        assert_string_equal(all_ids(db), "1");
        add(db, kit_row(1, 2, 2));
        assert_int_equal(sqlite3_exec(db->sqlite, "PRAGMA max_page_count = 1000000", NULL, NULL, NULL), SQLITE_OK);
        assert_int_equal(history_db_insert(db, rows, ELEMENTSOF(rows)), ELEMENTSOF(rows));
        history_db_close(db);
}

/* What SQLite itself does not take back is. */
static void of_rows_that_are_added_together_all_or_none_are_there(void **state) {
        HistoryDb *db = open_db();
        HistoryRow rows[] = { kit_row(1, 1, 1), kit_full_row() };

        (void) state;
        (void) sqlite3_limit(db->sqlite, SQLITE_LIMIT_LENGTH, 30);
        assert_true(history_db_insert(db, rows, ELEMENTSOF(rows)) < 0);
        (void) sqlite3_limit(db->sqlite, SQLITE_LIMIT_LENGTH, 1000000);
        assert_int_equal(history_db_count(db), 0);
        assert_string_equal(all_ids(db), "");
        assert_int_equal(history_db_insert(db, rows, ELEMENTSOF(rows)), 2);
        history_db_close(db);
        history_row_done(&rows[1]);
}

static bool gives_up(void *userdata) {
        ++*(unsigned *) userdata;
        return false;
}

static void a_search_can_be_given_up(void **state) {
        HistoryFilter f = HISTORY_FILTER_INIT;
        HistoryDb *db = open_db();
        HistoryRow *rows = NULL;
        unsigned asked = 0;
        size_t n = 0;

        (void) state;
        add(db, kit_row(1, 1, 1));
        history_db_close(db);
        kit_fill(20000);
        db = open_db();
        assert_int_equal(pairlist_set(&f.labels, "a", "b"), 0);
        history_db_set_patience(db, gives_up, &asked);
        assert_int_equal(history_db_select(db, &f, &rows, &n), -ETIME);
        assert_int_equal(asked, 1);
        history_db_set_patience(db, NULL, NULL);
        assert_string_equal(ids(db, &f), "");
        history_filter_done(&f);
        history_db_close(db);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                KIT_TEST(a_row_comes_back_as_it_was),
                KIT_TEST(one_of_a_boot_is_there_once),
                KIT_TEST(the_file_is_for_root_alone),
                KIT_TEST(each_filter_filters),
                KIT_TEST(all_labels_that_are_asked_for_must_be_there),
                KIT_TEST(pages_follow_one_another),
                KIT_TEST(what_is_too_old_or_too_much_goes_the_oldest_first),
                KIT_TEST(the_key_stays),
                KIT_TEST(one_of_a_newer_program_is_left_alone),
                KIT_TEST(what_is_no_database_of_ours_is_unsound),
                KIT_TEST(damage_is_seen_when_it_is_met),
                KIT_TEST(odd_values_are_read_as_none),
                KIT_TEST(the_host_s_failures_are_told_as_such),
                KIT_TEST(nobody_else_has_it_meanwhile),
                KIT_TEST(a_full_disk_costs_the_rows_and_leaves_the_rest),
                KIT_TEST(of_rows_that_are_added_together_all_or_none_are_there),
                KIT_TEST(a_search_can_be_given_up),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
