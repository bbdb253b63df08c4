/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* host/history: the thread, its bounds, and what the loop hears of it. */
#include <sched.h>

#include "history-thread-kit.h"

/* The linker puts this before history_db_insert(): a disk that stands still, or has no room. */
static pthread_mutex_t disk_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t disk_goes_on = PTHREAD_COND_INITIALIZER;
static bool disk_stands;
static int disk_fails; /* -errno, once */

int __real_history_db_insert(HistoryDb *db, const HistoryRow *rows, size_t n);
int __wrap_history_db_insert(HistoryDb *db, const HistoryRow *rows, size_t n);

int __wrap_history_db_insert(HistoryDb *db, const HistoryRow *rows, size_t n) {
        int r;

        pthread_mutex_lock(&disk_mutex);
        while (disk_stands)
                pthread_cond_wait(&disk_goes_on, &disk_mutex);
        r = disk_fails;
        disk_fails = 0;
        pthread_mutex_unlock(&disk_mutex);
        return r < 0 ? r : __real_history_db_insert(db, rows, n);
}

static void disk_set(bool stands, int fails) {
        pthread_mutex_lock(&disk_mutex);
        disk_stands = stands;
        disk_fails = fails;
        pthread_cond_signal(&disk_goes_on);
        pthread_mutex_unlock(&disk_mutex);
}

static void rows_that_were_added_are_seen_by_who_asks_then(void **state) {
        uint64_t written, lost;
        Answer a;

        (void) state;
        start(&plenty);
        for (uint64_t i = 1; i <= 150; i++)
                add(kit_row(1, i, i));
        a = ask(NULL);
        assert_int_equal(a.r, 0);
        assert_int_equal(a.n, HISTORY_LIMIT_DEFAULT);
        assert_int_equal(a.first_id, 150);
        history_counts(history, &written, &lost);
        assert_int_equal(written, 150);
        assert_int_equal(lost, 0);
        add(kit_row(1, 150, 150)); /* again */
        add(kit_full_row());
        assert_int_equal(ask(NULL).first_id, 7);
        history_counts(history, &written, &lost);
        assert_int_equal(written, 150 + 0 + 1);
        stop();
}

static void what_waits_is_written_before_it_ends(void **state) {
        (void) state;
        start(&plenty);
        for (uint64_t i = 1; i <= 1000; i++)
                add(kit_row(1, i, i));
        stop();
        assert_int_equal(count_rows(), 1000);
}

static void the_key_comes_with_the_database(void **state) {
        FingerprintKey key, again;

        (void) state;
        start(&plenty);
        wait_for(HISTORY_OPENED);
        assert_true(history_key(history, &key));
        stop();
        start(&plenty);
        wait_for(HISTORY_OPENED);
        assert_true(history_key(history, &again));
        assert_memory_equal(&key, &again, sizeof(key));
        stop();
}

static void a_row_too_many_is_refused_and_none_is_waited_for(void **state) {
        uint64_t n = 0, written, lost;
        int r;

        (void) state;
        start(&plenty);
        disk_set(true, 0);
        do {
                HistoryRow row = kit_row(1, n + 1, n + 1);

                row.message = strdup("x");
                r = history_add(history, &row);
                assert_null(row.message);
        } while (r == 0 && n++ < 4 * HISTORY_WAITING_MAX);
        assert_int_equal(r, -ENOBUFS);
        assert_in_range(n, HISTORY_WAITING_MAX, HISTORY_WAITING_MAX + HISTORY_AT_ONCE);
        history_counts(history, &written, &lost);
        assert_int_equal(written, 0);
        disk_set(false, 0);
        assert_int_equal(ask(NULL).first_id, n);
        history_counts(history, &written, &lost);
        assert_int_equal(written, n);
        assert_int_equal(lost, 0); /* the one too many is its owner's to count */
        add(kit_row(2, 1, 1));     /* and there is room again */
        stop();
        assert_int_equal(count_rows(), n + 1);
}

static void rows_of_an_earlier_life_are_all_taken_and_take_nobodys_place(void **state) {
        HistoryRow row;

        (void) state;
        start(&plenty);
        disk_set(true, 0);
        for (uint64_t i = 1; i <= HISTORY_WAITING_MAX + 2 * HISTORY_AT_ONCE; i++) {
                row = kit_row(1, i, i);
                assert_int_equal(history_add_again(history, &row), 0);
        }
        for (uint64_t i = 1; i <= HISTORY_WAITING_MAX; i++)
                add(kit_row(2, i, i));
        row = kit_row(3, 1, 1);
        assert_int_equal(history_add(history, &row), -ENOBUFS);
        disk_set(false, 0);
        stop();
        assert_int_equal(count_rows(), 2 * HISTORY_WAITING_MAX + 2 * HISTORY_AT_ONCE);
}

static void rows_that_cannot_be_written_are_lost_and_told(void **state) {
        uint64_t written, lost;

        (void) state;
        start(&plenty);
        disk_set(false, -ENOSPC);
        add(kit_row(1, 1, 1));
        wait_for(HISTORY_FAILED);
        assert_string_equal(last_text, "rows are lost: No space left on device");
        add(kit_row(1, 2, 2));
        assert_int_equal(ask(NULL).first_id, 2);
        history_counts(history, &written, &lost);
        assert_int_equal(written, 1);
        assert_int_equal(lost, 1);
        assert_int_equal(heard[HISTORY_SET_ASIDE], 0);
        stop();
}

static void questions_are_bounded(void **state) {
        HistoryQuestion *q[HISTORY_QUESTIONS_MAX + 1] = {};
        Answer a[HISTORY_QUESTIONS_MAX + 1] = {};
        HistoryFilter f = HISTORY_FILTER_INIT;
        unsigned n = 0;
        int r = 0;

        (void) state;
        start(&plenty);
        wait_for(HISTORY_OPENED);
        /* none is told before the loop runs, but it may be answered */
        while (n <= HISTORY_QUESTIONS_MAX && (r = history_ask(history, &f, on_answer, &a[n], &q[n])) == 0)
                n++;
        assert_int_equal(n, HISTORY_QUESTIONS_MAX);
        assert_int_equal(r, -EBUSY);
        while (!a[n - 1].is_there)
                assert_true(sd_event_run(loop, DEADLINE_USEC) > 0);
        for (unsigned i = 0; i < n; i++) {
                assert_true(a[i].is_there);
                history_question_free(q[i]);
        }
        assert_int_equal(ask(NULL).r, 0);
        stop();
}

/* Whoever asked is gone: before it is looked at, while it is, or when the answer is on its way. */
static void an_abandoned_question_is_not_answered(void **state) {
        HistoryFilter f = HISTORY_FILTER_INIT;
        HistoryQuestion *q = NULL;
        Answer a = {};

        (void) state;
        start(&plenty);
        for (uint64_t i = 1; i <= 200; i++)
                add(kit_row(1, i, i));
        for (unsigned i = 0; i < 200; i++) {
                assert_int_equal(history_ask(history, &f, on_answer, &a, &q), 0);
                for (unsigned k = 0; k < i % 8; k++)
                        sched_yield();
                q = history_question_free(q);
        }
        assert_int_equal(ask(NULL).r, 0);
        assert_false(a.is_there);
        assert_int_equal(history_ask(history, &f, on_answer, &a, &q), 0);
        history_question_free(q);
        stop();
}

static QuestionState state_of(const HistoryQuestion *q) {
        QuestionState s;

        pthread_mutex_lock(&history->helper.mutex);
        s = q->state;
        pthread_mutex_unlock(&history->helper.mutex);
        return s;
}

/* While the thread searches, for as long as it takes. */
static void one_that_is_abandoned_at_work_is_the_thread_s_to_free(void **state) {
        HistoryQuestion *q = NULL;
        Answer a = {};

        (void) state;
        start(&plenty);
        add(kit_row(1, 1, 1));
        stop();
        kit_fill(20000);
        start(&plenty);
        for (unsigned met = 0; met < 5;) {
                HistoryFilter f = HISTORY_FILTER_INIT;

                assert_int_equal(pairlist_set(&f.labels, "team", "ads"), 0);
                assert_int_equal(history_ask(history, &f, on_answer, &a, &q), 0);
                while (state_of(q) == QUESTION_WAITS)
                        sched_yield();
                met += state_of(q) == QUESTION_AT_WORK;
                q = history_question_free(q);
        }
        assert_int_equal(ask(NULL).n, HISTORY_LIMIT_DEFAULT);
        assert_false(a.is_there);
        stop();
}

static void wait_until_it_has_looked(void) {
        bool looks = true;

        while (looks) {
                pthread_mutex_lock(&history->helper.mutex);
                looks = history->look;
                pthread_mutex_unlock(&history->helper.mutex);
                sched_yield();
        }
        assert_int_equal(ask(NULL).r, 0); /* it has come back from that */
}

/* It is trimmed when nobody asks for anything. */
static void wait_for_rows(uint64_t n) {
        uint64_t end = now() + DEADLINE_USEC, found;

        do {
                HistoryFilter f = HISTORY_FILTER_INIT;

                f.limit = HISTORY_LIMIT_MAX;
                found = ask(&f).n;
                assert_true(now() < end);
        } while (found > n);
        assert_int_equal(found, n);
}

static void what_is_too_old_or_too_much_is_neither_told_nor_kept(void **state) {
        HistoryLimits limits = { .max_entries = 100, .retention_usec = 3600 * USEC_PER_SEC };

        (void) state;
        start(&limits);
        add(kit_row(1, 1, now() - 7200 * USEC_PER_SEC));
        assert_int_equal(ask(NULL).n, 0);
        wait_until_it_has_looked();
        for (uint64_t i = 2; i <= 500; i++)
                add(kit_row(1, i, now()));
        assert_int_equal(ask(NULL).first_id, 500);
        wait_for_rows(100);
        limits.max_entries = 10;
        history_set_limits(history, &limits);
        wait_for_rows(10);
        assert_int_equal(ask(NULL).n, 10);
        assert_int_equal(ask(NULL).first_id, 500);
        stop();
}

static void without_entries_nothing_is_kept_nor_told(void **state) {
        HistoryLimits limits = { .max_entries = 0, .retention_usec = USEC_INFINITY };
        FingerprintKey key;

        (void) state;
        start(&limits);
        add(kit_row(1, 1, 1));
        assert_int_equal(ask(NULL).r, -ENODATA);
        assert_false(history_key(history, &key));
        assert_int_equal(access(kit_path, F_OK), -1);
        limits.max_entries = 10;
        history_set_limits(history, &limits);
        wait_for(HISTORY_OPENED);
        add(kit_row(1, 2, 2));
        assert_int_equal(ask(NULL).first_id, 2);
        limits.max_entries = 0;
        history_set_limits(history, &limits);
        assert_int_equal(ask(NULL).r, -ENODATA);
        stop();
        assert_int_equal(count_rows(), 1);
}

/* It was sound when it was opened. */
static void one_that_becomes_unsound_is_set_aside_and_the_rows_go_into_the_next(void **state) {
        (void) state;
        start(&plenty);
        add(kit_row(1, 1, 1));
        assert_int_equal(ask(NULL).n, 1);
        disk_set(false, -EUCLEAN);
        add(kit_row(1, 2, 2));
        wait_for(HISTORY_SET_ASIDE);
        assert_int_equal(ask(NULL).n, 1);
        assert_int_equal(ask(NULL).first_id, 2);
        stop();
        strcat(kit_path, ".corrupt");
        assert_int_equal(count_rows(), 1); /* all that there was */
}

int main(void) {
        const struct CMUnitTest tests[] = {
                KIT_TEST(rows_that_were_added_are_seen_by_who_asks_then),
                KIT_TEST(what_waits_is_written_before_it_ends),
                KIT_TEST(the_key_comes_with_the_database),
                KIT_TEST(a_row_too_many_is_refused_and_none_is_waited_for),
                KIT_TEST(rows_of_an_earlier_life_are_all_taken_and_take_nobodys_place),
                KIT_TEST(rows_that_cannot_be_written_are_lost_and_told),
                KIT_TEST(questions_are_bounded),
                KIT_TEST(an_abandoned_question_is_not_answered),
                KIT_TEST(one_that_is_abandoned_at_work_is_the_thread_s_to_free),
                KIT_TEST(what_is_too_old_or_too_much_is_neither_told_nor_kept),
                KIT_TEST(without_entries_nothing_is_kept_nor_told),
                KIT_TEST(one_that_becomes_unsound_is_set_aside_and_the_rows_go_into_the_next),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
