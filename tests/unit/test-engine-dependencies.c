/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A query's dependencies: checked before all else, refused without a slot, and told of its end once. */
#include "engine-kit.h"

static const Error failed = { ERROR_DEPENDENCY_FAILED, "dependency lake: CheckCommand= ended with status 1" };

static Config one_slot(void) {
        Config c = kit_config();

        c.concurrency_quota = 1;
        c.max_memory_bytes = c.per_query_bytes = 512 * MIB;
        return c;
}

/* One slot, taken by 1; its successor is being checked. */
static uint64_t second_is_checked(bool compile) {
        Config c = one_slot();

        kit_reopen(&c);
        kit_plain(&kit);
        kit.slow_checks = true;
        return kit_submit(&kit, (QuerySpec) { .has_dependencies = true, .has_compile = compile });
}

static void a_check_comes_before_compile_queue_and_slot(void **state) {
        (void) state;
        for (int compile = 0; compile < 2; compile++) {
                Config c = one_slot();
                uint64_t id;

                kit_reopen(&c);
                kit.slow_checks = kit.slow_units = true;
                id = kit_submit(&kit, (QuerySpec) { .has_dependencies = true, .has_compile = compile });
                assert_int_equal(kit_saw(&kit, ACTION_CHECK_DEPENDENCIES, id), 1);
                assert_int_equal(kit_saw(&kit, ACTION_START_UNIT, 0), 0);
                assert_int_equal(kit_state(&kit, id), QUERY_CREATED);
                assert_int_equal(engine_queue_position(kit.engine, kit_query(&kit, id)), 0);
                kit_pass(&kit, 3 * USEC_PER_SEC);
                kit_dependencies(&kit, id, NULL);
                assert_int_equal(kit_state(&kit, id), compile ? QUERY_COMPILING : QUERY_EXECUTING);
                assert_int_equal(kit_saw(&kit, ACTION_START_UNIT, id), 1);
                assert_true(kit_saw(&kit, ACTION_STATE, id) >= 1);
                assert_int_equal(query_time_in(kit_query(&kit, id), QUERY_CREATED, kit.now_usec), 3 * USEC_PER_SEC);
                kit_dependencies(&kit, id, NULL); /* said twice */
                assert_int_equal(kit.n_log, 0);
        }
}

static void a_failed_check_takes_no_slot_and_holds_nobody_up(void **state) {
        (void) state;
        for (int compile = 0; compile < 2; compile++) {
                uint64_t id = second_is_checked(compile);

                kit_dependencies(&kit, id, &failed);
                assert_int_equal(kit_state(&kit, id), QUERY_ERRORED);
                assert_int_equal(kit_query(&kit, id)->error.code, ERROR_DEPENDENCY_FAILED);
                assert_string_equal(kit_query(&kit, id)->error.message, failed.message);
                assert_string_equal(verdict_name(kit_query(&kit, id)->verdict), "dependency");
                assert_int_equal(kit_saw(&kit, ACTION_START_UNIT, 0), 0);
                assert_int_equal(kit_saw(&kit, ACTION_RELEASE_DEPENDENCIES, 0), 0); /* it never had them */
                assert_int_equal(query_time_in(kit_query(&kit, id), QUERY_QUEUEING, kit.now_usec), 0);
                assert_int_equal(kit_state(&kit, 1), QUERY_EXECUTING);
                kit_dependencies(&kit, id, NULL);
                assert_int_equal(kit.n_log, 0);
        }
}

static void who_is_checked_does_not_hold_the_queue_up(void **state) {
        uint64_t slow, next;

        (void) state;
        slow = second_is_checked(false);
        next = kit_plain(&kit);
        kit_exit(&kit, 1, 0);
        assert_int_equal(kit_state(&kit, next), QUERY_EXECUTING);
        kit_dependencies(&kit, slow, NULL);
        assert_int_equal(kit_state(&kit, slow), QUERY_QUEUEING);
        kit_exit(&kit, next, 0);
        assert_int_equal(kit_state(&kit, slow), QUERY_EXECUTING);
}

static void what_it_waits_for_is_said(void **state) {
        uint64_t id = second_is_checked(true);
        char buf[128];

        (void) state;
        assert_non_null(strstr(engine_wait_reason(kit.engine, kit_query(&kit, id), buf, sizeof(buf)), "dependencies"));
}

/* At most: then its wait is over. */
static uint64_t one_is_checked_for_five_seconds(void) {
        Config c = kit_config();

        c.queue_timeout_usec = 5 * USEC_PER_SEC;
        kit_reopen(&c);
        kit.slow_checks = true;
        return kit_submit(&kit, (QuerySpec) { .has_dependencies = true });
}

static void a_wait_for_the_check_counts_as_waiting(void **state) {
        uint64_t id = one_is_checked_for_five_seconds();

        (void) state;
        kit_pass(&kit, 5 * USEC_PER_SEC - 1);
        assert_int_equal(kit_state(&kit, id), QUERY_CREATED);
        kit_pass(&kit, 1);
        assert_int_equal(kit_query(&kit, id)->error.code, ERROR_QUEUE_TIMEOUT);
        kit_dependencies(&kit, id, NULL);
        assert_int_equal(kit.n_log, 0);
}

/* As where the loop was late: the answer comes before the tick. */
static void what_comes_when_its_time_is_over_is_no_second_end(void **state) {
        uint64_t id = one_is_checked_for_five_seconds();

        (void) state;
        kit.now_usec += 6 * USEC_PER_SEC;
        kit_dependencies(&kit, id, NULL);
        assert_int_equal(kit_query(&kit, id)->error.code, ERROR_QUEUE_TIMEOUT);
        assert_int_equal(kit_saw(&kit, ACTION_STATE, id), 1);
        assert_int_equal(kit_saw(&kit, ACTION_RELEASE_DEPENDENCIES, id), 1);
}

static void shutdown_ends_who_is_checked_at_once(void **state) {
        uint64_t id = second_is_checked(false);

        (void) state;
        kit_shutdown(&kit, USEC_INFINITY);
        assert_int_equal(kit_query(&kit, id)->error.code, ERROR_SHUTTING_DOWN);
        assert_int_equal(kit_saw(&kit, ACTION_RELEASE_DEPENDENCIES, id), 0);
        assert_int_equal(kit_state(&kit, 1), QUERY_EXECUTING);
}

static void the_end_is_told_when_a_killed_compile_step_is_gone(void **state) {
        (void) state;
        for (int done = 0; done < 2; done++) {
                Config c = kit_config();
                uint64_t id;

                kit_reopen(&c);
                kit.slow_units = true;
                id = kit_submit(&kit, (QuerySpec) { .has_dependencies = true, .has_compile = true });
                kit_ready(&kit, id);
                assert_int_equal(kit_saw(&kit, ACTION_COMPILE, id), 1);
                kit_event(&kit, done ? EVENT_DONE : EVENT_CANCEL, id);
                assert_int_equal(kit_saw(&kit, ACTION_KILL_COMPILE, id), 1);
                assert_int_equal(kit_saw(&kit, ACTION_RELEASE_DEPENDENCIES, id), 0);
                kit_gone(&kit, id);
                assert_int_equal(kit_saw(&kit, ACTION_RELEASE_DEPENDENCIES, id), 1);
        }
}

/* In whichever way it ends: once, after the end was said, and with engine/ empty. */
static void the_end_is_told_once(void **state) {
        enum { SUCCESS, FAILURE, CANCEL_RUNNING, CANCEL_WAITING, DONE, UNIT_REFUSED, UNIT_LOST, COMPILE_FAILED, WAYS };

        (void) state;
        for (int way = 0; way < WAYS; way++) {
                Config c = one_slot();
                uint64_t id;

                kit_reopen(&c);
                if (way == CANCEL_WAITING)
                        kit_plain(&kit);
                kit.slow_units = way == UNIT_REFUSED;
                kit.slow_kills = true;
                id = kit_submit(&kit, (QuerySpec) { .has_dependencies = true, .has_compile = way == COMPILE_FAILED });
                assert_int_equal(kit_saw(&kit, ACTION_RELEASE_DEPENDENCIES, 0), 0);
                switch (way) {
                case SUCCESS:
                case FAILURE: kit_exit(&kit, id, way); break;
                case CANCEL_RUNNING:
                case DONE:
                        kit_event(&kit, way == DONE ? EVENT_DONE : EVENT_CANCEL, id);
                        assert_int_equal(kit_saw(&kit, ACTION_RELEASE_DEPENDENCIES, 0), 0);
                        kit_report(&kit, id, (EndedReport) { .exit_status = -1, .exit_signal = SIGTERM }, NULL);
                        break;
                case CANCEL_WAITING: kit_event(&kit, EVENT_CANCEL, id); break;
                case UNIT_REFUSED:
                        kit.n_log = 0;
                        kit_step(&kit, (Event) { .type = EVENT_UNIT_FAILED, .query_id = id, .error = &failed });
                        break;
                case UNIT_LOST: kit_gone(&kit, id); break;
                case COMPILE_FAILED: kit_compiled(&kit, id, 1); break;
                default: fail();
                }
                assert_int_equal(kit_saw(&kit, ACTION_RELEASE_DEPENDENCIES, id), 1);
                assert_true(query_state_is_end(kit_state(&kit, id)));
                kit_event(&kit, EVENT_CANCEL, id);
                assert_int_equal(kit.n_log, 0);
                kit_event(&kit, EVENT_DONE, id);
                assert_int_equal(kit_saw(&kit, ACTION_RELEASE_DEPENDENCIES, id), 0);
        }
}

static void without_dependencies_nobody_is_asked(void **state) {
        (void) state;
        kit_plain(&kit);
        assert_int_equal(kit_saw(&kit, ACTION_CHECK_DEPENDENCIES, 0), 0);
        kit_exit(&kit, 1, 0);
        assert_int_equal(kit_saw(&kit, ACTION_RELEASE_DEPENDENCIES, 0), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                KIT_TEST(a_check_comes_before_compile_queue_and_slot),
                KIT_TEST(a_failed_check_takes_no_slot_and_holds_nobody_up),
                KIT_TEST(who_is_checked_does_not_hold_the_queue_up),
                KIT_TEST(what_it_waits_for_is_said),
                KIT_TEST(a_wait_for_the_check_counts_as_waiting),
                KIT_TEST(what_comes_when_its_time_is_over_is_no_second_end),
                KIT_TEST(shutdown_ends_who_is_checked_at_once),
                KIT_TEST(the_end_is_told_when_a_killed_compile_step_is_gone),
                KIT_TEST(the_end_is_told_once),
                KIT_TEST(without_dependencies_nobody_is_asked),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
