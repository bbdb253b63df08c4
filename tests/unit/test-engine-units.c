/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How queries get units: compiling, units made ahead, their bounds, their failures. */
#include "engine-kit.h"

static void reopen(uint64_t quota, uint64_t queue_size) {
        Config c = kit_config();

        c.concurrency_quota = quota;
        c.queue_size = queue_size;
        kit_reopen(&c);
}

static void a_slot_is_taken_while_the_unit_starts(void **state) {
        (void) state;
        reopen(2, 8);
        kit.slow_units = true;
        for (int i = 0; i < 3; i++)
                kit_plain(&kit);
        assert_int_equal(engine_count(kit.engine, QUERY_EXECUTING), 2);
        assert_int_equal(kit_state(&kit, 3), QUERY_QUEUEING);
        assert_int_equal(kit_query(&kit, 1)->quota_bytes, 0);
        kit_ready(&kit, 1);
        assert_int_equal(kit_query(&kit, 1)->quota_bytes, 64 * MIB);
}

static void compile_slots_are_bounded_and_go_in_order(void **state) {
        (void) state;
        for (int i = 0; i < 4; i++)
                kit_submit(&kit, (QuerySpec) { .has_compile = true });
        assert_int_equal(engine_count(kit.engine, QUERY_COMPILING), 2);
        assert_int_equal(kit_state(&kit, 3), QUERY_CREATED);
        kit_compiled(&kit, 2, 0);
        assert_int_equal(kit_state(&kit, 2), QUERY_EXECUTING);
        assert_int_equal(kit_state(&kit, 3), QUERY_COMPILING);
        assert_int_equal(kit_state(&kit, 4), QUERY_CREATED);
}

static void a_compiled_query_keeps_its_unit_for_the_run(void **state) {
        uint64_t id = kit_submit(&kit, (QuerySpec) { .has_compile = true });

        (void) state;
        assert_int_equal(kit_saw(&kit, ACTION_START_UNIT, id), 1);
        assert_int_equal(kit_saw(&kit, ACTION_COMPILE, id), 1);
        kit_compiled(&kit, id, 0);
        assert_int_equal(kit_saw(&kit, ACTION_START_UNIT, id), 0);
        assert_int_equal(kit_saw(&kit, ACTION_EXECUTE, id), 1);
}

static void compile_slots_go_by_priority_too(void **state) {
        (void) state;
        for (int i = 0; i < 3; i++)
                kit_submit(&kit, (QuerySpec) { .has_compile = true });
        kit_submit(&kit, (QuerySpec) { .has_compile = true, .priority = 3, .allow_priority = true });
        kit_compiled(&kit, 1, 0);
        assert_int_equal(kit_state(&kit, 4), QUERY_COMPILING);
        assert_int_equal(kit_state(&kit, 3), QUERY_CREATED);
}

static void a_failed_compile_ends_its_own_query_only(void **state) {
        static const EndedReport reports[] = { { .exit_status = 1 }, { .exit_status = -1, .exit_signal = SIGKILL } };

        (void) state;
        for (unsigned i = 0; i < ELEMENTSOF(reports); i++) {
                uint64_t id = kit_submit(&kit, (QuerySpec) { .language = "sqlite", .has_compile = true });
                uint64_t other = kit_submit(&kit, (QuerySpec) { .language = "sqlite", .has_compile = true });

                kit.n_log = 0;
                kit_step(&kit, (Event) { .type = EVENT_COMPILED, .query_id = id, .ended.report = reports[i] });
                assert_int_equal(kit_state(&kit, id), QUERY_ERRORED);
                assert_int_equal(kit_query(&kit, id)->error.code, ERROR_COMPILATION_FAILED);
                assert_int_equal(kit_query(&kit, id)->verdict, VERDICT_COMPILE);
                assert_non_null(strstr(kit_query(&kit, id)->error.message, "sqlite"));
                assert_int_equal(kit_saw(&kit, ACTION_RELEASE_UNIT, id), 1);
                kit_compiled(&kit, other, 0);
                kit_exit(&kit, other, 0);
                assert_int_equal(kit_state(&kit, other), QUERY_FINISHED);
        }
}

static void a_compile_that_could_not_start_says_why(void **state) {
        uint64_t id = kit_submit(&kit, (QuerySpec) { .has_compile = true });
        Error why = { ERROR_INVALID_ARGUMENT, "no such directory" };

        (void) state;
        kit_step(&kit, (Event) { .type = EVENT_COMPILED, .query_id = id,
                                 .ended = { .report.start_failed = true, .error = &why } });
        assert_int_equal(kit_query(&kit, id)->error.code, ERROR_INVALID_ARGUMENT);
        assert_string_equal(kit_query(&kit, id)->error.message, "no such directory");
}

static void a_compile_has_a_time_limit_to_the_microsecond(void **state) {
        uint64_t id = kit_submit(&kit, (QuerySpec) { .has_compile = true });

        (void) state;
        kit_pass(&kit, 30 * USEC_PER_SEC - 1);
        assert_int_equal(kit_state(&kit, id), QUERY_COMPILING);
        kit.slow_units = true;
        kit_pass(&kit, 1);
        assert_int_equal(kit_state(&kit, id), QUERY_ERRORED);
        assert_int_equal(kit_query(&kit, id)->error.code, ERROR_COMPILATION_FAILED);
        assert_int_equal(kit_saw(&kit, ACTION_KILL_COMPILE, id), 1);
        assert_int_equal(kit_saw(&kit, ACTION_RELEASE_UNIT, id), 1);
}

static void a_compile_limit_counts_from_the_compile_not_from_the_unit(void **state) {
        uint64_t id;

        (void) state;
        kit.slow_units = true;
        id = kit_submit(&kit, (QuerySpec) { .has_compile = true });
        kit_pass(&kit, 100 * USEC_PER_SEC);
        kit_ready(&kit, id);
        kit_pass(&kit, 30 * USEC_PER_SEC - 1);
        assert_int_equal(kit_state(&kit, id), QUERY_COMPILING);
}

static void a_killed_compile_holds_its_slot_until_the_unit_is_gone(void **state) {
        (void) state;
        kit.slow_units = true;
        for (int i = 0; i < 3; i++)
                kit_submit(&kit, (QuerySpec) { .has_compile = true });
        kit_ready(&kit, 1);
        kit_event(&kit, EVENT_CANCEL, 1);
        assert_int_equal(kit_state(&kit, 1), QUERY_CANCELED);
        assert_int_equal(kit_saw(&kit, ACTION_KILL_COMPILE, 1), 1);
        assert_int_equal(kit_state(&kit, 3), QUERY_CREATED);
        kit_compiled(&kit, 1, 137); /* late: nothing is known of its children yet */
        assert_int_equal(kit_state(&kit, 3), QUERY_CREATED);
        kit_event(&kit, EVENT_DONE, 1); /* nor does its release free it */
        assert_int_equal(kit_state(&kit, 3), QUERY_CREATED);
        kit_gone(&kit, 1);
        assert_int_equal(kit_state(&kit, 3), QUERY_COMPILING);
}

static void a_unit_that_cannot_start_is_an_error_of_its_query(void **state) {
        Error why = { ERROR_INTERNAL, "PID 1 said no" };
        uint64_t id;

        (void) state;
        kit.slow_units = true;
        for (int i = 0; i < 2; i++) {
                id = kit_submit(&kit, (QuerySpec) { .has_compile = i == 0 });
                kit.n_log = 0;
                kit_step(&kit, (Event) { .type = EVENT_UNIT_FAILED, .query_id = id, .error = &why });
                assert_int_equal(kit_state(&kit, id), QUERY_ERRORED);
                assert_int_equal(kit_query(&kit, id)->verdict, VERDICT_START);
                assert_string_equal(kit_query(&kit, id)->error.message, "PID 1 said no");
                assert_int_equal(kit_saw(&kit, ACTION_RELEASE_UNIT, id), 0);
        }
        assert_int_equal(engine_count(kit.engine, QUERY_EXECUTING), 0);
        for (int i = 0; i < 3; i++)
                kit_submit(&kit, (QuerySpec) { .has_compile = true });
        assert_int_equal(engine_count(kit.engine, QUERY_COMPILING), 2); /* its compile slot came back */
}

static void units_are_made_ahead_for_the_next_few_only(void **state) {
        Config c = kit_config();

        (void) state;
        c.concurrency_quota = 1;
        c.warm_units = 2;
        kit_reopen(&c);
        for (int i = 0; i < 5; i++)
                kit_plain(&kit);
        assert_int_equal(kit_query(&kit, 2)->unit, UNIT_READY);
        assert_int_equal(kit_query(&kit, 3)->unit, UNIT_READY);
        assert_int_equal(kit_query(&kit, 4)->unit, UNIT_NONE);
        kit_exit(&kit, 1, 0);
        assert_int_equal(kit_saw(&kit, ACTION_EXECUTE, 2), 1); /* at once */
        assert_int_equal(kit_saw(&kit, ACTION_START_UNIT, 4), 1);
        assert_int_equal(kit_query(&kit, 5)->unit, UNIT_NONE);
}

static void a_unit_lost_while_its_query_waits_is_made_once_more_and_no_third_time(void **state) {
        Config c = kit_config();

        (void) state;
        c.concurrency_quota = 1;
        c.warm_units = 1;
        kit_reopen(&c);
        kit_plain(&kit);
        kit_plain(&kit);
        kit_gone(&kit, 2);
        assert_int_equal(kit_state(&kit, 2), QUERY_QUEUEING);
        assert_int_equal(kit_saw(&kit, ACTION_START_UNIT, 2), 1);
        assert_int_equal(kit_query(&kit, 2)->unit, UNIT_READY);
        kit_gone(&kit, 2);
        assert_int_equal(kit_state(&kit, 2), QUERY_ERRORED);
        assert_int_equal(kit_query(&kit, 2)->verdict, VERDICT_WORKER);
        assert_int_equal(kit_saw(&kit, ACTION_RELEASE_UNIT, 2), 0);
}

/* As one of an earlier life, whose end comes late. */
static void the_end_of_a_unit_that_a_query_does_not_have_is_not_its_end(void **state) {
        uint64_t id;

        (void) state;
        kit_event(&kit, EVENT_PAUSE, 0);
        id = kit_plain(&kit); /* none is made ahead for it */
        assert_int_equal(kit_query(&kit, id)->unit, UNIT_NONE);
        kit_gone(&kit, id);
        assert_int_equal(kit_state(&kit, id), QUERY_QUEUEING);
        assert_int_equal(kit_query(&kit, id)->unit, UNIT_NONE);
}

static void a_canceled_start_ignores_the_late_unit(void **state) {
        uint64_t id;

        (void) state;
        kit.slow_units = true;
        id = kit_plain(&kit);
        kit_event(&kit, EVENT_CANCEL, id);
        assert_int_equal(kit_saw(&kit, ACTION_RELEASE_UNIT, id), 1);
        kit_ready(&kit, id);
        assert_int_equal(kit_saw(&kit, ACTION_EXECUTE, id), 0);
        kit_gone(&kit, id);
        assert_int_equal(kit_state(&kit, id), QUERY_CANCELED);
}

static void no_more_units_exist_than_promised(void **state) {
        Config c = kit_config();
        unsigned units = 0;

        (void) state;
        /* PID 1 is slow to let units go, and a client submits and cancels in a loop. */
        c.concurrency_quota = 1;
        c.warm_units = 2;
        kit_reopen(&c);
        kit.slow_units = true;
        for (unsigned i = 0; i < 200; i++) {
                uint64_t id = kit_submit(&kit, (QuerySpec) { .has_compile = i % 2 });

                kit_event(&kit, EVENT_DONE, id);
        }
        for (uint64_t id = 1; id < engine_next_id(kit.engine); id++) {
                const Query *q = engine_find(kit.engine, id);

                units += q->unit == UNIT_STARTING || q->unit == UNIT_READY || q->unit == UNIT_LEAVING;
        }
        assert_true(units > 0);
        assert_true(units <= engine_units_max(kit.engine));
        /* They go at last, and the next one starts. */
        kit_plain(&kit);
        for (uint64_t id = 1; id < engine_next_id(kit.engine) - 1; id++)
                kit_gone(&kit, id);
        assert_int_equal(kit_query(&kit, engine_next_id(kit.engine) - 1)->unit, UNIT_STARTING);
}

/* penstock.slice has room for so many beside the budget. */
static void unbounded_units_are_reckoned_with_when_they_are_there(void **state) {
        Config c = kit_config();

        (void) state;
        kit_plain(&kit);
        assert_int_equal(engine_units_for_slack(kit.engine), engine_units_max(kit.engine));
        c.concurrency_quota = UINT64_MAX;
        c.queue_size = 0;
        c.max_memory_bytes = SIZE_INFINITY;
        kit_reopen(&c);
        assert_int_equal(engine_units_max(kit.engine), UINT64_MAX);
        for (uint64_t n = 0; n < 3; n++) {
                assert_int_equal(engine_units_for_slack(kit.engine), n);
                kit_plain(&kit);
        }
        kit_exit(&kit, 1, 0);
        assert_int_equal(engine_units_for_slack(kit.engine), 2);
}

static void fewer_units_after_a_reload_never_stop_the_head_of_the_queue(void **state) {
        Config c = kit_config();

        (void) state;
        c.concurrency_quota = 1;
        kit_reopen(&c);
        kit_plain(&kit);
        for (uint64_t id = 2; id <= 4; id++) {
                kit_submit(&kit, (QuerySpec) { .has_compile = true });
                kit_compiled(&kit, id, 0);
        }
        kit_submit(&kit, (QuerySpec) { .priority = 1, .allow_priority = true });
        c.queue_size = 0; /* now two units are promised, and three wait compiled, none of them the head */
        kit_reload(&kit, &c);
        kit_exit(&kit, 1, 0);
        assert_int_equal(kit_state(&kit, 5), QUERY_EXECUTING);
        kit_exit(&kit, 5, 0);
        assert_int_equal(kit_state(&kit, 2), QUERY_EXECUTING);
}

static void waiting_units_are_bounded_however_long_the_queue(void **state) {
        Config c = kit_config();
        unsigned units = 0;

        (void) state;
        c.concurrency_quota = 1;
        c.queue_size = 500;
        c.max_queries_per_user = 1000;
        kit_reopen(&c);
        for (unsigned i = 0; i < 400; i++) {
                kit_submit(&kit, (QuerySpec) { .has_compile = true });
                for (const Query *q = NULL; (q = engine_next(kit.engine, q));)
                        if (q->state == QUERY_COMPILING)
                                kit_compiled(&kit, q->id, 0);
        }
        for (const Query *q = NULL; (q = engine_next(kit.engine, q));)
                units += q->unit != UNIT_NONE;
        assert_true(units <= 1 + 16 + 2); /* one runs, so many wait, and two compile for the head at the most */
        assert_true(units > 2); /* but compile errors do show early */
        for (uint64_t id = 1; id <= 400; id++) {
                if (kit_state(&kit, id) == QUERY_COMPILING)
                        kit_compiled(&kit, id, 0);
                assert_int_equal(kit_state(&kit, id), QUERY_EXECUTING); /* still in the order of arrival */
                kit_exit(&kit, id, 0);
                for (const Query *q = NULL; (q = engine_next(kit.engine, q));)
                        if (q->state == QUERY_COMPILING)
                                kit_compiled(&kit, q->id, 0);
        }
}

/* A limit of the slice makes the larger start that they ask for impossible: they stand aside, and their units with them. */
static void units_of_those_who_ask_for_too_much_keep_nobody_from_compiling(void **state) {
        Config c = kit_config();
        uint64_t id;

        (void) state;
        c.queue_size = 100;
        kit_reopen(&c);
        kit_step(&kit, (Event) { .type = EVENT_CAP, .bytes = 512 * MIB });
        for (int i = 0; i < 20; i++) {
                id = kit_submit(&kit, (QuerySpec) { .has_compile = true, .initial_bytes = 600 * MIB });
                if (kit_state(&kit, id) == QUERY_COMPILING)
                        kit_compiled(&kit, id, 0);
        }
        assert_int_equal(engine_count(kit.engine, QUERY_QUEUEING), 16);
        for (int i = 0; i < 3; i++) {
                id = kit_submit(&kit, (QuerySpec) { .has_compile = true });
                assert_int_equal(kit_state(&kit, id), QUERY_COMPILING);
                kit_compiled(&kit, id, 0);
                assert_int_equal(kit_state(&kit, id), QUERY_EXECUTING);
        }
        assert_int_equal(engine_count(kit.engine, QUERY_QUEUEING), 16); /* it is no way around their own bound */
}

int main(void) {
        const struct CMUnitTest tests[] = {
                KIT_TEST(a_slot_is_taken_while_the_unit_starts),
                KIT_TEST(compile_slots_are_bounded_and_go_in_order),
                KIT_TEST(a_compiled_query_keeps_its_unit_for_the_run),
                KIT_TEST(compile_slots_go_by_priority_too),
                KIT_TEST(a_failed_compile_ends_its_own_query_only),
                KIT_TEST(a_compile_that_could_not_start_says_why),
                KIT_TEST(a_compile_has_a_time_limit_to_the_microsecond),
                KIT_TEST(a_compile_limit_counts_from_the_compile_not_from_the_unit),
                KIT_TEST(a_killed_compile_holds_its_slot_until_the_unit_is_gone),
                KIT_TEST(a_unit_that_cannot_start_is_an_error_of_its_query),
                KIT_TEST(units_are_made_ahead_for_the_next_few_only),
                KIT_TEST(a_unit_lost_while_its_query_waits_is_made_once_more_and_no_third_time),
                KIT_TEST(the_end_of_a_unit_that_a_query_does_not_have_is_not_its_end),
                KIT_TEST(a_canceled_start_ignores_the_late_unit),
                KIT_TEST(no_more_units_exist_than_promised),
                KIT_TEST(unbounded_units_are_reckoned_with_when_they_are_there),
                KIT_TEST(fewer_units_after_a_reload_never_stop_the_head_of_the_queue),
                KIT_TEST(waiting_units_are_bounded_however_long_the_queue),
                KIT_TEST(units_of_those_who_ask_for_too_much_keep_nobody_from_compiling),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
