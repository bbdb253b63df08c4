/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Shutdown, and what is kept of queries that have ended. */
#include "engine-kit.h"

static void shutdown_zero_cancels_all_and_waits_for_them(void **state) {
        Config c = kit_config();

        (void) state;
        c.concurrency_quota = 2;
        kit_reopen(&c);
        for (int i = 0; i < 3; i++)
                kit_plain(&kit);
        kit_shutdown(&kit, 0);
        assert_true(engine_is_shut_down(kit.engine));
        assert_int_equal(kit_state(&kit, 3), QUERY_CANCELED);
        assert_int_equal(kit_query(&kit, 3)->error.code, ERROR_SHUTTING_DOWN);
        assert_int_equal(kit_saw(&kit, ACTION_TERMINATE, 0), 2);
        assert_int_equal(kit_saw(&kit, ACTION_SHUTDOWN_DONE, 0), 0);
        kit_exit(&kit, 1, 0);
        assert_int_equal(kit_saw(&kit, ACTION_SHUTDOWN_DONE, 0), 0);
        kit_exit(&kit, 2, 0);
        assert_int_equal(kit_action(&kit, ACTION_SHUTDOWN_DONE, 0)->error.code, ERROR_NONE);
        assert_int_equal(kit_query(&kit, 2)->error.code, ERROR_SHUTTING_DOWN);
        assert_int_equal(kit_query(&kit, 2)->verdict, VERDICT_SHUTDOWN);
}

static void shutdown_with_a_deadline_lets_them_finish_and_names_the_rest(void **state) {
        (void) state;
        kit_plain(&kit);
        kit_plain(&kit);
        kit_shutdown(&kit, 10 * USEC_PER_SEC);
        assert_int_equal(kit_saw(&kit, ACTION_TERMINATE, 0), 0);
        kit_exit(&kit, 1, 0);
        assert_int_equal(kit_state(&kit, 1), QUERY_FINISHED);
        kit_pass(&kit, 10 * USEC_PER_SEC - 1);
        assert_int_equal(kit_saw(&kit, ACTION_SHUTDOWN_DONE, 0), 0);
        kit_pass(&kit, 1);
        assert_int_equal(kit_action(&kit, ACTION_SHUTDOWN_DONE, 0)->error.code, ERROR_TIMEOUT);
        assert_non_null(strstr(kit_action(&kit, ACTION_SHUTDOWN_DONE, 0)->error.message, "queries 2"));
        assert_int_equal(kit_saw(&kit, ACTION_TERMINATE, 2), 1);
        kit_exit(&kit, 2, 0);
        assert_int_equal(kit_saw(&kit, ACTION_SHUTDOWN_DONE, 0), 0);
        assert_int_equal(kit_query(&kit, 2)->verdict, VERDICT_SHUTDOWN);
}

static void shutdown_without_limit_waits_for_ever(void **state) {
        (void) state;
        kit_plain(&kit);
        kit_shutdown(&kit, USEC_INFINITY);
        assert_int_equal(engine_deadline(kit.engine), USEC_INFINITY);
        kit_pass(&kit, 1000000 * USEC_PER_SEC);
        assert_int_equal(kit.n_log, 0);
        kit_shutdown(&kit, 0); /* and may be hurried */
        assert_int_equal(kit_saw(&kit, ACTION_TERMINATE, 1), 1);
        kit_exit(&kit, 1, 0);
        assert_int_equal(kit_saw(&kit, ACTION_SHUTDOWN_DONE, 0), 1);
}

static void shutdown_of_an_idle_engine_is_done_at_once_and_each_time(void **state) {
        (void) state;
        for (int i = 0; i < 2; i++) {
                kit_shutdown(&kit, i * USEC_PER_SEC);
                assert_int_equal(kit_action(&kit, ACTION_SHUTDOWN_DONE, 0)->error.code, ERROR_NONE);
        }
        assert_int_equal(kit_plain(&kit), 0);
        assert_int_equal(kit.refusal.code, ERROR_SHUTTING_DOWN);
}

static void shutdown_names_whole_numbers_however_many(void **state) {
        Config c = kit_config();
        const char *message;

        (void) state;
        c.concurrency_quota = 100;
        c.max_memory_bytes = 100 * GIB;
        c.max_queries_per_user = 100;
        kit_reopen(&c);
        kit.engine = engine_free(kit.engine);
        assert_int_equal(engine_new(&c, UINT64_C(1234567890123456000), &kit.engine), 0);
        for (int i = 0; i < 60; i++)
                kit_plain(&kit);
        kit_shutdown(&kit, 1);
        for (uint64_t at = kit.now_usec + 1; kit.now_usec < at;)
                kit_pass(&kit, 1);
        message = kit_action(&kit, ACTION_SHUTDOWN_DONE, 0)->error.message;
        assert_true(strlen(message) < ERROR_MESSAGE_MAX - 1);
        assert_non_null(strstr(message, " 1234567890123456000"));
        assert_non_null(strstr(message, "more"));
        for (const char *p = message; (p = strstr(p, " 12345")); p++)
                assert_int_equal(strspn(p + 1, "0123456789"), 19);
}

static void a_tombstone_answers_until_it_falls_out_of_the_ring(void **state) {
        enum { RING = 1024 };

        (void) state;
        for (uint64_t i = 1; i <= RING + 2; i++) {
                uint64_t id = kit_plain(&kit);

                assert_int_equal(id, i);
                kit_event(&kit, EVENT_DONE, id);
                kit_exit(&kit, id, 0);
                assert_true(engine_is_tombstone(kit.engine, id));
                if (i == RING)
                        assert_non_null(engine_find(kit.engine, 1));
        }
        assert_null(engine_find(kit.engine, 1));
        assert_null(engine_find(kit.engine, 2));
        assert_false(engine_is_tombstone(kit.engine, 2));
        assert_non_null(engine_find(kit.engine, 3));
        assert_null(engine_next(kit.engine, NULL));
}

static void what_a_fallen_record_left_behind_is_held_back_until_its_unit_is_gone(void **state) {
        enum { RING = 1024 };
        const Budget *b = engine_budget(kit.engine);
        uint64_t unused = budget_unused_bytes(b), id = kit_plain(&kit), compiling;

        (void) state;
        kit.slow_units = true;
        kit_report(&kit, id, (EndedReport) { .numbers.residual_bytes = 30 * MIB }, NULL);
        kit_event(&kit, EVENT_DONE, id);
        compiling = kit_submit(&kit, (QuerySpec) { .has_compile = true });
        kit_event(&kit, EVENT_DONE, compiling);
        kit.slow_units = false;
        for (unsigned i = 0; i < RING + 2; i++) {
                uint64_t other = kit_plain(&kit);

                kit_event(&kit, EVENT_DONE, other);
                kit_exit(&kit, other, 0);
        }
        assert_null(engine_find(kit.engine, id));
        assert_int_equal(budget_unused_bytes(b), unused - 30 * MIB);
        for (int i = 0; i < 2; i++)
                kit_submit(&kit, (QuerySpec) { .has_compile = true });
        assert_int_equal(engine_count(kit.engine, QUERY_COMPILING), 1);
        kit_gone(&kit, compiling);
        assert_int_equal(engine_count(kit.engine, QUERY_COMPILING), 2);
        kit_gone(&kit, id);
        kit_gone(&kit, id);
        assert_int_equal(budget_unused_bytes(b), unused);
}

static void ended_records_of_one_user_are_bounded(void **state) {
        Config c = kit_config();

        (void) state;
        c.max_queries_per_user = 20;
        kit_reopen(&c);
        for (int i = 0; i < 100; i++)
                kit_exit(&kit, kit_plain(&kit), 0);
        kit_exit(&kit, kit_submit(&kit, (QuerySpec) { .uid = 1001 }), 0);
        assert_int_equal(engine_count(kit.engine, QUERY_FINISHED), 21);
        assert_int_equal(engine_next(kit.engine, NULL)->id, 81); /* the oldest went */
        assert_true(engine_is_tombstone(kit.engine, 80));
        kit_event(&kit, EVENT_DONE, 80);
        kit_event(&kit, EVENT_HOLD_DROPPED, 79);
        assert_int_equal(kit.n_log, 0);
        assert_true(engine_is_tombstone(kit.engine, 80));
}

static void those_that_were_live_when_the_last_one_came_are_kept_too(void **state) {
        Config c = kit_config();

        (void) state;
        c.max_queries_per_user = 20;
        c.queue_size = 100;
        kit_reopen(&c);
        for (int i = 0; i < 40; i++)
                kit_exit(&kit, kit_plain(&kit), 0);
        assert_int_equal(engine_count(kit.engine, QUERY_FINISHED), 20);
        for (int round = 0; round < 3; round++) {
                uint64_t first = 0;

                for (int i = 0; i < 20; i++) {
                        uint64_t id = kit_plain(&kit);

                        first = first ? first : id;
                }
                for (uint64_t id = first; id < first + 20; id++)
                        kit_event(&kit, EVENT_CANCEL, id);
                kit_pass(&kit, kit.config.cancel_grace_usec);
                assert_int_equal(engine_count(kit.engine, QUERY_FINISHED) + engine_count(kit.engine, QUERY_CANCELED), 39);
        }
}

static void a_small_cap_on_users_bounds_their_ended_records_less(void **state) {
        Config c = kit_config();

        (void) state;
        c.max_queries_per_user = 1;
        kit_reopen(&c);
        for (int i = 0; i < 16; i++)
                kit_exit(&kit, kit_plain(&kit), 0);
        assert_int_equal(engine_count(kit.engine, QUERY_FINISHED), 16);
        kit_exit(&kit, kit_plain(&kit), 0);
        assert_int_equal(engine_count(kit.engine, QUERY_FINISHED), 16);
        assert_true(engine_is_tombstone(kit.engine, 1));
}

static void ended_records_are_bounded_even_without_a_cap_on_users(void **state) {
        Config c = kit_config();

        (void) state;
        c.max_queries_per_user = UINT64_MAX;
        kit_reopen(&c);
        for (int i = 0; i < 1024; i++)
                kit_exit(&kit, kit_plain(&kit), 0);
        assert_int_equal(engine_count(kit.engine, QUERY_FINISHED), 1024);
        for (int i = 0; i < 2000; i++)
                kit_exit(&kit, kit_plain(&kit), 0);
        assert_int_equal(engine_count(kit.engine, QUERY_FINISHED), 1024);
}

static void an_unread_record_is_kept_for_a_time(void **state) {
        uint64_t id = kit_plain(&kit);

        (void) state;
        kit_exit(&kit, id, 0);
        kit_pass(&kit, 3600 * USEC_PER_SEC - 1);
        assert_int_equal(kit_saw(&kit, ACTION_FORGET, id), 0);
        kit_pass(&kit, 1);
        assert_int_equal(kit_saw(&kit, ACTION_FORGET, id), 1);
        assert_true(engine_is_tombstone(kit.engine, id));
        kit_event(&kit, EVENT_DONE, id);
        assert_int_equal(kit.n_log, 0);
}

static void a_hundred_canceled_and_released_leave_nothing(void **state) {
        Config c = kit_config();

        (void) state;
        for (int unlimited = 0; unlimited < 2; unlimited++) {
                c.queue_size = unlimited ? 0 : 100;
                c.max_queries_per_user = 1000;
                c.concurrency_quota = unlimited ? UINT64_MAX : 4;
                c.max_memory_bytes = c.per_query_bytes = unlimited ? SIZE_INFINITY : GIB;
                kit_reopen(&c);
                for (int i = 0; i < 100; i++)
                        assert_int_not_equal(kit_submit(&kit, (QuerySpec) { .has_compile = i % 3 == 0 }), 0);
                for (uint64_t id = 1; id <= 100; id++) {
                        if (id % 2)
                                kit_event(&kit, EVENT_CANCEL, id);
                        kit_event(&kit, EVENT_DONE, id);
                }
                kit_pass(&kit, 5 * USEC_PER_SEC);
                assert_null(engine_next(kit.engine, NULL));
                assert_int_equal(engine_deadline(kit.engine), USEC_INFINITY);
                assert_int_equal(budget_leased_bytes(engine_budget(kit.engine)), 0);
                for (uint64_t id = 1; id <= 100; id++)
                        assert_true(kit_query(&kit, id)->unit == UNIT_GONE || kit_query(&kit, id)->unit == UNIT_NONE);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                KIT_TEST(shutdown_zero_cancels_all_and_waits_for_them),
                KIT_TEST(shutdown_with_a_deadline_lets_them_finish_and_names_the_rest),
                KIT_TEST(shutdown_without_limit_waits_for_ever),
                KIT_TEST(shutdown_of_an_idle_engine_is_done_at_once_and_each_time),
                KIT_TEST(shutdown_names_whole_numbers_however_many),
                KIT_TEST(a_tombstone_answers_until_it_falls_out_of_the_ring),
                KIT_TEST(what_a_fallen_record_left_behind_is_held_back_until_its_unit_is_gone),
                KIT_TEST(ended_records_of_one_user_are_bounded),
                KIT_TEST(those_that_were_live_when_the_last_one_came_are_kept_too),
                KIT_TEST(a_small_cap_on_users_bounds_their_ended_records_less),
                KIT_TEST(ended_records_are_bounded_even_without_a_cap_on_users),
                KIT_TEST(an_unread_record_is_kept_for_a_time),
                KIT_TEST(a_hundred_canceled_and_released_leave_nothing),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
