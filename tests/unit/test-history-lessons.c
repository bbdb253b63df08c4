/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the history tells of what was learned in earlier lives. */
#include <sched.h>

#include "history-kit.h"

#include "host/history.h"

/* Far beyond any that is waited for. */
#define DEADLINE_USEC (5 * 60 * USEC_PER_SEC)

static HistoryDb *open_db(void) {
        HistoryDb *db = NULL;

        assert_int_equal(history_db_open(kit_path, &db), 0);
        return db;
}

static void add(HistoryDb *db, uint64_t id, uint64_t ended_usec, uint64_t fingerprint, uint64_t needed_bytes) {
        HistoryRow r = kit_row(1, id, ended_usec);

        r.fingerprint[0] = fingerprint;
        r.fingerprint[1] = 9;
        r.needed_bytes = needed_bytes;
        r.needed_raises = id;
        assert_int_equal(history_db_insert(db, &r, 1), 1);
}

static void the_last_ones_come_the_oldest_first(void **state) {
        HistoryDb *db = open_db();
        Lesson l[4];

        (void) state;
        assert_int_equal(history_db_lessons(db, l, ELEMENTSOF(l)), 0);
        add(db, 1, 10, 100, 1000);
        add(db, 2, 40, 101, 2000);
        add(db, 3, 30, 102, 0); /* nothing was learned of it */
        add(db, 4, 20, 100, 4000);
        assert_int_equal(history_db_lessons(db, l, ELEMENTSOF(l)), 3);
        assert_int_equal(l[0].needed_bytes, 1000);
        assert_int_equal(l[1].needed_bytes, 4000);
        assert_int_equal(l[1].raises, 4);
        assert_int_equal(l[1].fingerprint[0], 100);
        assert_int_equal(l[1].fingerprint[1], 9);
        assert_int_equal(l[2].needed_bytes, 2000);
        assert_int_equal(history_db_lessons(db, l, 2), 2);
        assert_int_equal(l[0].needed_bytes, 4000);
        assert_int_equal(l[1].needed_bytes, 2000);
        history_db_close(db);
}

/* Whoever can write the file may have put there what he likes. */
static void what_is_no_fingerprint_is_left_out(void **state) {
        HistoryDb *db = open_db();
        Lesson l[4];

        (void) state;
        for (uint64_t i = 1; i <= 3; i++)
                add(db, i, i, 100 + i, 1000 * i);
        db = history_db_close(db);
        kit_execute("UPDATE queries SET fingerprint = x'01' WHERE id = 1");
        kit_execute("UPDATE queries SET fingerprint = x'' WHERE id = 2");
        db = open_db();
        assert_int_equal(history_db_lessons(db, l, ELEMENTSOF(l)), 1);
        assert_int_equal(l[0].needed_bytes, 3000);
        history_db_close(db);
}

/* A look through all rows would take long in a large history. */
static void they_are_found_by_their_own_index(void **state) {
        HistoryDb *db = open_db();
        sqlite3_stmt *s;
        sqlite3 *other;
        bool found = false;

        (void) state;
        db = history_db_close(db);
        assert_int_equal(sqlite3_open(kit_path, &other), SQLITE_OK);
        assert_int_equal(sqlite3_prepare_v2(other, "EXPLAIN QUERY PLAN " HISTORY_LESSONS_SQL, -1, &s, NULL),
                         SQLITE_OK);
        while (sqlite3_step(s) == SQLITE_ROW)
                found = found || strstr((const char *) sqlite3_column_text(s, 3), "USING INDEX lessons_by_end");
        assert_true(found);
        sqlite3_finalize(s);
        sqlite3_close(other);
}

static bool opened;

static void on_news(HistoryNews news, const char *text, void *userdata) {
        (void) text, (void) userdata;
        opened = opened || news == HISTORY_OPENED;
}

static History *start(sd_event *loop) {
        const HistoryLimits plenty = { .max_entries = 1000, .retention_usec = USEC_INFINITY };
        History *h = NULL;

        opened = false;
        assert_int_equal(history_new(loop, kit_path, &plenty, on_news, NULL, &h), 0);
        while (!opened)
                assert_true(sd_event_run(loop, DEADLINE_USEC) > 0);
        return h;
}

static void who_begins_is_told_them_once(void **state) {
        HistoryDb *db = open_db();
        sd_event *loop = NULL;
        HistoryRow row = kit_row(2, 1, 50);
        Lesson *l;
        History *h;

        (void) state;
        add(db, 1, 10, 100, 1000);
        db = history_db_close(db);
        assert_return_code(sd_event_new(&loop), 0);
        h = start(loop);
        row.fingerprint[0] = 5;
        row.needed_bytes = 7;
        assert_int_equal(history_add(h, &row), 0);
        assert_int_equal(history_take_lessons(h, &l), 1);
        assert_int_equal(l->needed_bytes, 1000);
        free(l);
        assert_int_equal(history_take_lessons(h, &l), 0);
        assert_null(l);
        h = history_free(h);

        h = start(loop);
        history_free(h); /* nobody took them */
        h = start(loop);
        assert_int_equal(history_take_lessons(h, &l), 2);
        assert_int_equal(l[1].needed_bytes, 7);
        free(l);
        history_free(h);
        sd_event_unref(loop);
}

/* A reload that turns it off and on: what it has learned since is the loop's own. */
static void one_that_is_opened_again_tells_nothing_more(void **state) {
        const HistoryLimits none = { .max_entries = 0 },
                            plenty = { .max_entries = 10, .retention_usec = USEC_INFINITY };
        HistoryDb *db = open_db();
        sd_event *loop = NULL;
        FingerprintKey key;
        Lesson *l;
        History *h;

        (void) state;
        add(db, 1, 10, 100, 1000);
        db = history_db_close(db);
        assert_return_code(sd_event_new(&loop), 0);
        h = start(loop);
        assert_int_equal(history_take_lessons(h, &l), 1);
        free(l);
        history_set_limits(h, &none);
        while (history_key(h, &key))
                sched_yield();
        opened = false;
        history_set_limits(h, &plenty);
        while (!opened)
                assert_true(sd_event_run(loop, DEADLINE_USEC) > 0);
        assert_int_equal(history_take_lessons(h, &l), 0);
        history_free(h);
        sd_event_unref(loop);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                KIT_TEST(the_last_ones_come_the_oldest_first),         KIT_TEST(what_is_no_fingerprint_is_left_out),
                KIT_TEST(they_are_found_by_their_own_index),           KIT_TEST(who_begins_is_told_them_once),
                KIT_TEST(one_that_is_opened_again_tells_nothing_more),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
