/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How queries are let in: room, order, slots, memory to start with, pause. */
#include "engine-kit.h"

static void reopen(uint64_t quota, uint64_t queue_size) {
        Config c = kit_config();

        c.concurrency_quota = quota;
        c.queue_size = queue_size;
        kit_reopen(&c);
}

static void a_query_runs_from_request_to_release(void **state) {
        uint64_t id = kit_plain(&kit);

        (void) state;
        assert_int_equal(id, 1);
        assert_int_equal(kit_saw(&kit, ACTION_START_UNIT, id), 1);
        assert_int_equal(kit_saw(&kit, ACTION_EXECUTE, id), 1);
        assert_int_equal(kit_action(&kit, ACTION_EXECUTE, id)->limits.max_bytes, 64 * MIB);
        assert_int_equal(kit_state(&kit, id), QUERY_EXECUTING);
        assert_int_equal(kit_query(&kit, id)->quota_bytes, 64 * MIB);
        kit_exit(&kit, id, 0);
        assert_int_equal(kit_state(&kit, id), QUERY_FINISHED);
        assert_int_equal(kit_query(&kit, id)->error.code, ERROR_NONE);
        assert_int_equal(kit_query(&kit, id)->quota_bytes, 0);
        assert_int_equal(kit_saw(&kit, ACTION_RELEASE_UNIT, id), 1);
        assert_int_equal(kit_saw(&kit, ACTION_FORGET, id), 0);
        kit_event(&kit, EVENT_DONE, id);
        assert_int_equal(kit_saw(&kit, ACTION_FORGET, id), 1);
        assert_null(engine_next(kit.engine, NULL));
}

static void the_first_id_is_what_was_asked_for_and_ids_rise(void **state) {
        Config c = kit_config();
        Engine *e;

        (void) state;
        assert_int_equal(engine_new(&c, 41, &e), 0);
        assert_int_equal(engine_next_id(e), 41);
        engine_free(e);
        assert_int_equal(kit_plain(&kit), 1);
        assert_int_equal(kit_plain(&kit), 2);
        kit_event(&kit, EVENT_DONE, 2);
        assert_int_equal(kit_plain(&kit), 3);
}

/* As of a unit that was made ahead: its number is lower than those of queries that were there before. */
static void a_reserved_id_is_given_once_and_who_has_it_waits_behind_those_before_him(void **state) {
        static const QuerySpec plain = { .uid = 1000 };
        uint64_t reserved, order[3] = {}, n = 0;

        (void) state;
        reopen(1, 8);
        assert_int_equal(kit_plain(&kit), 1);
        reserved = engine_reserve_id(kit.engine);
        assert_int_equal(reserved, 2);
        assert_int_equal(kit_plain(&kit), 3);
        assert_int_equal(kit_submit_reserved(&kit, reserved, plain), 2);
        assert_int_equal(engine_queue_position(kit.engine, kit_query(&kit, 3)), 1);
        assert_int_equal(engine_queue_position(kit.engine, kit_query(&kit, 2)), 2);
        for (const Query *q = NULL; (q = engine_next(kit.engine, q));)
                order[n++] = q->id;
        assert_int_equal(n, 3);
        assert_true(order[0] == 1 && order[1] == 3 && order[2] == 2);
        assert_int_equal(kit_submit_reserved(&kit, reserved, plain), 4); /* somebody has it */
        kit_exit(&kit, 1, 0);
        assert_int_equal(kit_query(&kit, 3)->state, QUERY_EXECUTING);
        kit_exit(&kit, 3, 0);
        assert_int_equal(kit_query(&kit, 2)->state, QUERY_EXECUTING);
        kit_exit(&kit, 2, 0);
        kit_event(&kit, EVENT_DONE, 2);
        assert_int_equal(kit_submit_reserved(&kit, reserved, plain), 5); /* … or had it lately */
}

static void with_quota_two_exactly_two_execute(void **state) {
        (void) state;
        reopen(2, 8);
        for (int i = 0; i < 10; i++) {
                assert_int_not_equal(kit_plain(&kit), 0);
                assert_int_equal(engine_count(kit.engine, QUERY_EXECUTING), MIN(i + 1, 2));
        }
        for (uint64_t id = 1; id <= 10; id++) {
                kit_exit(&kit, id, 0);
                assert_int_equal(engine_count(kit.engine, QUERY_EXECUTING), MIN(10 - id, 2u));
        }
}

static void a_full_queue_refuses_and_one_finishing_makes_room(void **state) {
        (void) state;
        reopen(2, 3);
        for (int i = 0; i < 5; i++)
                assert_int_not_equal(kit_plain(&kit), 0);
        assert_int_equal(kit_plain(&kit), 0);
        assert_int_equal(kit.refusal.code, ERROR_QUEUE_LENGTH_EXCEEDED);
        assert_non_null(strstr(kit.refusal.message, "QueueSize"));
        kit_exit(&kit, 1, 0);
        assert_int_equal(kit_plain(&kit), 6);
        assert_int_equal(kit_plain(&kit), 0);
}

static void a_queue_of_zero_admits_what_can_execute(void **state) {
        (void) state;
        reopen(1, 0);
        assert_int_equal(kit_plain(&kit), 1);
        assert_int_equal(kit_plain(&kit), 0);
        kit_exit(&kit, 1, 0);
        assert_int_equal(kit_plain(&kit), 2);
}

static void a_refused_request_uses_up_no_id_and_leaves_nothing(void **state) {
        (void) state;
        reopen(1, 0);
        kit_plain(&kit);
        assert_int_equal(kit_plain(&kit), 0);
        assert_int_equal(engine_next_id(kit.engine), 2);
        assert_null(engine_find(kit.engine, 2));
}

static void one_user_cannot_take_all_places(void **state) {
        Config c = kit_config();

        (void) state;
        c.max_queries_per_user = 3;
        kit_reopen(&c);
        for (int i = 0; i < 3; i++)
                assert_int_not_equal(kit_plain(&kit), 0);
        assert_int_equal(kit_plain(&kit), 0);
        assert_int_equal(kit.refusal.code, ERROR_QUEUE_LENGTH_EXCEEDED);
        assert_non_null(strstr(kit.refusal.message, "MaxQueriesPerUser=3"));
        assert_int_not_equal(kit_submit(&kit, (QuerySpec) { .uid = 1001 }), 0);
        kit_exit(&kit, 2, 0); /* an ended one does not count, Done or not */
        assert_int_not_equal(kit_plain(&kit), 0);
        assert_int_equal(kit_plain(&kit), 0);
}

static void the_queue_goes_by_priority_then_arrival(void **state) {
        static const struct {
                int32_t priority;
                uint64_t position;
        } waiting[] = { { 0, 3 }, { -5, 5 }, { 7, 1 }, { 0, 4 }, { 7, 2 } };
        uint64_t order[] = { 4, 6, 2, 5, 3 };

        (void) state;
        reopen(1, 8);
        kit_plain(&kit);
        for (unsigned i = 0; i < ELEMENTSOF(waiting); i++)
                kit_submit(&kit, (QuerySpec) { .uid = 1000, .priority = waiting[i].priority, .allow_priority = true });
        for (unsigned i = 0; i < ELEMENTSOF(waiting); i++)
                assert_int_equal(engine_queue_position(kit.engine, kit_query(&kit, i + 2)), waiting[i].position);
        assert_int_equal(engine_queue_position(kit.engine, kit_query(&kit, 1)), 0);
        kit_exit(&kit, 1, 0);
        for (unsigned i = 0; i < ELEMENTSOF(order); i++) {
                assert_int_equal(kit_state(&kit, order[i]), QUERY_EXECUTING);
                kit_exit(&kit, order[i], 0);
        }
}

static void a_priority_above_zero_is_not_for_everybody(void **state) {
        (void) state;
        assert_int_equal(kit_submit(&kit, (QuerySpec) { .uid = 1000, .priority = 1 }), 0);
        assert_int_equal(kit.refusal.code, ERROR_PERMISSION_DENIED);
        assert_int_not_equal(kit_submit(&kit, (QuerySpec) { .uid = 1000, .priority = -1 }), 0);
        assert_int_not_equal(kit_submit(&kit, (QuerySpec) { .uid = 0, .priority = 1, .allow_priority = true }), 0);
}

/* Refused or not, and what the query then starts with and may have. Beside 3 reserved slots of 64M the most for an
 * initial quota is 64M + 768M. */
static void initial_and_maximum_are_checked_to_the_page(void **state) {
        static const struct {
                uint64_t initial, max;
                ErrorCode code;
                uint64_t effective_initial, effective_max;
        } rows[] = {
                { 0, 0, ERROR_NONE, 64 * MIB, GIB },
                { 0, GIB, ERROR_NONE, 64 * MIB, GIB },
                { 0, GIB + 4096, ERROR_INVALID_ARGUMENT, 0, 0 },
                { 0, GIB + 4095, ERROR_NONE, 64 * MIB, GIB }, /* what is no page is cut off */
                { 0, 64 * MIB - 4096, ERROR_NONE, 64 * MIB - 4096, 64 * MIB - 4096 },
                { 0, MIB, ERROR_NONE, MIB, MIB },
                { 0, MIB - 1, ERROR_INVALID_ARGUMENT, 0, 0 },
                { 0, UINT64_MAX, ERROR_INVALID_ARGUMENT, 0, 0 },
                { UINT64_MAX, 0, ERROR_INVALID_ARGUMENT, 0, 0 },
                { UINT64_MAX, UINT64_MAX, ERROR_INVALID_ARGUMENT, 0, 0 },
                { MIB, 0, ERROR_NONE, MIB, GIB },
                { MIB - 1, 0, ERROR_INVALID_ARGUMENT, 0, 0 },
                { 1, 0, ERROR_INVALID_ARGUMENT, 0, 0 },
                { 100 * MIB, 100 * MIB, ERROR_NONE, 100 * MIB, 100 * MIB },
                { 100 * MIB + 4096, 100 * MIB, ERROR_INVALID_ARGUMENT, 0, 0 },
                { 832 * MIB, 0, ERROR_NONE, 832 * MIB, GIB },
                { 832 * MIB + 4096, 0, ERROR_INVALID_ARGUMENT, 0, 0 },
        };

        (void) state;
        for (unsigned i = 0; i < ELEMENTSOF(rows); i++) {
                uint64_t id = kit_submit(&kit, (QuerySpec) { .initial_bytes = rows[i].initial, .max_bytes = rows[i].max });

                assert_int_equal(kit.refusal.code, rows[i].code);
                if (!id)
                        continue;
                assert_int_equal(kit_query(&kit, id)->initial_bytes, rows[i].effective_initial);
                assert_int_equal(kit_query(&kit, id)->max_bytes, rows[i].effective_max);
                assert_int_equal(kit_query(&kit, id)->quota_bytes, rows[i].effective_initial);
                kit_exit(&kit, id, 0);
        }
}

static void a_larger_start_waits_at_the_head_and_nothing_overtakes_it(void **state) {
        (void) state;
        kit_submit(&kit, (QuerySpec) { .uid = 1000, .initial_bytes = 600 * MIB });
        kit_submit(&kit, (QuerySpec) { .uid = 1000, .initial_bytes = 600 * MIB });
        kit_plain(&kit);
        assert_int_equal(kit_state(&kit, 1), QUERY_EXECUTING);
        assert_int_equal(kit_state(&kit, 2), QUERY_QUEUEING);
        assert_int_equal(kit_state(&kit, 3), QUERY_QUEUEING); /* a slot and its memory are free, but 2 is first */
        assert_int_equal(engine_queue_position(kit.engine, kit_query(&kit, 3)), 2);
        kit_submit(&kit, (QuerySpec) { .uid = 0, .priority = 1, .allow_priority = true });
        assert_int_equal(kit_state(&kit, 4), QUERY_EXECUTING); /* it is the head of *its* priority only */
        kit_exit(&kit, 1, 0);
        assert_int_equal(kit_state(&kit, 2), QUERY_EXECUTING);
        assert_int_equal(kit_state(&kit, 3), QUERY_EXECUTING);
}

static void the_head_leaving_lets_the_others_go(void **state) {
        (void) state;
        kit_submit(&kit, (QuerySpec) { .uid = 1000, .initial_bytes = 600 * MIB });
        kit_submit(&kit, (QuerySpec) { .uid = 1000, .initial_bytes = 600 * MIB });
        kit_plain(&kit);
        kit_event(&kit, EVENT_CANCEL, 2);
        assert_int_equal(kit_state(&kit, 3), QUERY_EXECUTING);
}

static void a_smaller_start_takes_a_whole_slot_and_may_grow_into_it(void **state) {
        uint64_t id = kit_submit(&kit, (QuerySpec) { .initial_bytes = 16 * MIB });

        (void) state;
        assert_int_equal(budget_unused_bytes(engine_budget(kit.engine)), 768 * MIB);
        kit_need(&kit, id, 15 * MIB);
        assert_int_equal(kit_query(&kit, id)->lease.bytes, 32 * MIB);
        assert_int_equal(budget_unused_bytes(engine_budget(kit.engine)), 768 * MIB);
}

static void a_queue_timeout_counts_waiting_not_compiling(void **state) {
        Config c = kit_config();

        (void) state;
        c.concurrency_quota = 1;
        c.queue_timeout_usec = 10 * USEC_PER_SEC;
        kit_reopen(&c);
        kit_plain(&kit);
        kit_submit(&kit, (QuerySpec) { .has_compile = true });
        kit_submit(&kit, (QuerySpec) { .queue_timeout_usec = 15 * USEC_PER_SEC });
        kit_submit(&kit, (QuerySpec) { .queue_timeout_usec = KIT_NO_TIMEOUT });
        kit_pass(&kit, 7 * USEC_PER_SEC);
        kit_compiled(&kit, 2, 0);
        kit_pass(&kit, 8 * USEC_PER_SEC - 1);
        assert_int_equal(kit_state(&kit, 3), QUERY_QUEUEING);
        kit_pass(&kit, 1);
        assert_int_equal(kit_state(&kit, 3), QUERY_ERRORED);
        assert_int_equal(kit_query(&kit, 3)->error.code, ERROR_QUEUE_TIMEOUT);
        assert_int_equal(kit_query(&kit, 3)->verdict, VERDICT_QUEUE);
        kit_pass(&kit, 2 * USEC_PER_SEC - 1);
        assert_int_equal(kit_state(&kit, 2), QUERY_QUEUEING);
        kit_pass(&kit, 1);
        assert_int_equal(kit_state(&kit, 2), QUERY_ERRORED);
        kit_pass(&kit, 1000000 * USEC_PER_SEC);
        assert_int_equal(kit_state(&kit, 4), QUERY_QUEUEING);
        assert_int_equal(kit_state(&kit, 1), QUERY_EXECUTING);
}

static void a_pause_stops_admission_and_nothing_else(void **state) {
        (void) state;
        kit_plain(&kit);
        kit_event(&kit, EVENT_PAUSE, 0);
        assert_true(engine_is_paused(kit.engine));
        kit_plain(&kit);
        assert_int_equal(kit_state(&kit, 2), QUERY_QUEUEING);
        kit_submit(&kit, (QuerySpec) { .has_compile = true });
        kit_compiled(&kit, 3, 0);
        assert_int_equal(kit_state(&kit, 3), QUERY_QUEUEING);
        kit_need(&kit, 1, 60 * MIB);
        assert_int_equal(kit_query(&kit, 1)->quota_bytes, 128 * MIB);
        kit_exit(&kit, 1, 0);
        assert_int_equal(kit_state(&kit, 1), QUERY_FINISHED);
        kit_event(&kit, EVENT_PAUSE, 0);
        kit_event(&kit, EVENT_RESUME, 0);
        assert_false(engine_is_paused(kit.engine));
        assert_int_equal(kit_state(&kit, 2), QUERY_EXECUTING);
        assert_int_equal(kit_state(&kit, 3), QUERY_EXECUTING);
        kit_event(&kit, EVENT_RESUME, 0);
}

static void who_waits_is_told_for_what(void **state) {
        char buf[256];

        (void) state;
        kit.slow_units = true;
        kit_submit(&kit, (QuerySpec) { .initial_bytes = 700 * MIB });
        kit_submit(&kit, (QuerySpec) { .initial_bytes = 700 * MIB });
        kit_plain(&kit);
        for (int i = 0; i < 3; i++)
                kit_submit(&kit, (QuerySpec) { .has_compile = true });
        assert_non_null(strstr(engine_wait_reason(kit.engine, kit_query(&kit, 1), buf, sizeof(buf)), "unit"));
        assert_non_null(strstr(engine_wait_reason(kit.engine, kit_query(&kit, 2), buf, sizeof(buf)), "700M"));
        assert_non_null(strstr(engine_wait_reason(kit.engine, kit_query(&kit, 3), buf, sizeof(buf)), "1 ahead"));
        assert_non_null(strstr(engine_wait_reason(kit.engine, kit_query(&kit, 6), buf, sizeof(buf)), "compile"));
        kit_ready(&kit, 1);
        assert_string_equal(engine_wait_reason(kit.engine, kit_query(&kit, 1), buf, sizeof(buf)), "");
        kit_event(&kit, EVENT_PAUSE, 0);
        assert_non_null(strstr(engine_wait_reason(kit.engine, kit_query(&kit, 3), buf, sizeof(buf)), "paused"));
        kit_event(&kit, EVENT_RESUME, 0);
        reopen(1, 8);
        kit_plain(&kit);
        kit_plain(&kit);
        assert_non_null(strstr(engine_wait_reason(kit.engine, kit_query(&kit, 2), buf, sizeof(buf)), "ConcurrencyQuota=1"));
}

static void events_for_nobody_are_ignored(void **state) {
        Error error = { ERROR_INTERNAL, "x" };

        (void) state;
        kit_plain(&kit);
        for (unsigned t = EVENT_DEPENDENCIES; t <= EVENT_DONE; t++) {
                Event ev = { .type = (EventType) t, .query_id = 99 };

                if (event_has_plain_error(ev.type))
                        ev.error = &error;
                kit.n_log = 0;
                kit_step(&kit, ev);
                assert_int_equal(kit.n_log, 0);
        }
        assert_int_equal(kit_state(&kit, 1), QUERY_EXECUTING);
}

static void an_idle_engine_wants_no_tick(void **state) {
        (void) state;
        assert_int_equal(engine_deadline(kit.engine), USEC_INFINITY);
        kit_plain(&kit);
        assert_int_equal(engine_deadline(kit.engine), USEC_INFINITY);
        kit_exit(&kit, 1, 0);
        assert_int_equal(engine_deadline(kit.engine), kit.now_usec + 3600 * USEC_PER_SEC);
        kit_event(&kit, EVENT_DONE, 1);
        assert_int_equal(engine_deadline(kit.engine), USEC_INFINITY);
}

static void time_that_runs_backwards_is_held_still(void **state) {
        (void) state;
        kit_plain(&kit);
        kit.now_usec -= 500 * USEC_PER_SEC;
        kit_exit(&kit, 1, 0);
        assert_int_equal(query_total_usec(kit_query(&kit, 1), kit.now_usec), 0);
}

static void without_limits_nothing_waits(void **state) {
        Config c = kit_config();

        (void) state;
        c.concurrency_quota = UINT64_MAX;
        c.max_memory_bytes = c.per_query_bytes = SIZE_INFINITY;
        c.queue_size = 0;
        c.max_queries_per_user = UINT64_MAX;
        kit_reopen(&c);
        for (unsigned i = 0; i < 100; i++)
                assert_int_equal(kit_state(&kit, kit_plain(&kit)), QUERY_EXECUTING);
        kit_need(&kit, 7, 60 * MIB);
        assert_int_equal(kit_query(&kit, 7)->quota_bytes, 128 * MIB);
        assert_int_equal(budget_unused_bytes(engine_budget(kit.engine)), SIZE_INFINITY);
        for (uint64_t id = 1; id <= 100; id++)
                kit_event(&kit, EVENT_CANCEL, id), kit_exit(&kit, id, 0);
        assert_int_equal(budget_leased_bytes(engine_budget(kit.engine)), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                KIT_TEST(a_query_runs_from_request_to_release),
                KIT_TEST(the_first_id_is_what_was_asked_for_and_ids_rise),
                KIT_TEST(a_reserved_id_is_given_once_and_who_has_it_waits_behind_those_before_him),
                KIT_TEST(with_quota_two_exactly_two_execute),
                KIT_TEST(a_full_queue_refuses_and_one_finishing_makes_room),
                KIT_TEST(a_queue_of_zero_admits_what_can_execute),
                KIT_TEST(a_refused_request_uses_up_no_id_and_leaves_nothing),
                KIT_TEST(one_user_cannot_take_all_places),
                KIT_TEST(the_queue_goes_by_priority_then_arrival),
                KIT_TEST(a_priority_above_zero_is_not_for_everybody),
                KIT_TEST(initial_and_maximum_are_checked_to_the_page),
                KIT_TEST(a_larger_start_waits_at_the_head_and_nothing_overtakes_it),
                KIT_TEST(the_head_leaving_lets_the_others_go),
                KIT_TEST(a_smaller_start_takes_a_whole_slot_and_may_grow_into_it),
                KIT_TEST(a_queue_timeout_counts_waiting_not_compiling),
                KIT_TEST(a_pause_stops_admission_and_nothing_else),
                KIT_TEST(who_waits_is_told_for_what),
                KIT_TEST(events_for_nobody_are_ignored),
                KIT_TEST(an_idle_engine_wants_no_tick),
                KIT_TEST(time_that_runs_backwards_is_held_still),
                KIT_TEST(without_limits_nothing_waits),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
