/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How queries are ended: canceled, released, timed out, killed, in every state they can be in. */
#include "engine-kit.h"

/* Where a query can be when something hits it. */
typedef enum Place {
        PLACE_CHECKING, /* its dependencies are being checked */
        PLACE_CREATED,  /* waits for a compile slot */
        PLACE_COMPILE_START,
        PLACE_COMPILING,
        PLACE_QUEUEING,
        PLACE_WARM, /* queueing, with a unit */
        PLACE_STARTING,
        PLACE_EXECUTING,
        PLACE_FROZEN,
        PLACE_ENDING, /* SIGTERM was sent */
        PLACE_ENDED,
        _PLACE_MAX,
} Place;

/* A kit of one slot and one compile slot with a query in @place; returns its ID. */
static uint64_t put(Place place) {
        Config c = kit_config();
        uint64_t id;

        c.concurrency_quota = place == PLACE_FROZEN ? 2 : 1;
        c.compile_concurrency = 1;
        c.per_query_bytes = 512 * MIB;
        c.max_memory_bytes = 576 * MIB;
        c.warm_units = place == PLACE_WARM;
        kit_reopen(&c);
        if (place == PLACE_CREATED)
                kit_submit(&kit, (QuerySpec) { .has_compile = true });
        if (place == PLACE_QUEUEING || place == PLACE_WARM)
                kit_plain(&kit);
        if (place == PLACE_FROZEN) {
                kit_submit(&kit, (QuerySpec) { .initial_bytes = 512 * MIB });
                id = kit_plain(&kit);
                kit_need(&kit, id, 63 * MIB);
                assert_true(kit_query(&kit, id)->frozen);
                kit.slow_kills = true;
                return id;
        }
        kit.slow_units = place == PLACE_STARTING || place == PLACE_COMPILE_START;
        kit.slow_checks = place == PLACE_CHECKING;
        id = kit_submit(&kit, (QuerySpec) { .has_compile = place <= PLACE_COMPILING,
                                            .has_dependencies = place == PLACE_CHECKING });
        if (place == PLACE_ENDING)
                kit_event(&kit, EVENT_CANCEL, id);
        if (place == PLACE_ENDED)
                kit_exit(&kit, id, 0);
        kit.slow_units = false;
        kit.slow_kills = true;
        return id;
}

static bool holds_processes(Place p) {
        return p == PLACE_EXECUTING || p == PLACE_FROZEN || p == PLACE_ENDING;
}

static void a_cancel_is_legal_in_every_state_and_twice(void **state) {
        (void) state;
        for (Place p = 0; p < _PLACE_MAX; p++) {
                uint64_t id = put(p);

                kit_event(&kit, EVENT_CANCEL, id);
                if (p == PLACE_EXECUTING) {
                        assert_int_equal(kit_saw(&kit, ACTION_TERMINATE, id), 1);
                        assert_int_equal(kit_saw(&kit, ACTION_KILL, id), 0);
                } else
                        assert_int_equal(kit_saw(&kit, ACTION_TERMINATE, id), 0);
                assert_int_equal(kit_saw(&kit, ACTION_KILL, id), p == PLACE_FROZEN);
                if (holds_processes(p)) {
                        assert_int_equal(kit_state(&kit, id), QUERY_EXECUTING);
                        kit_event(&kit, EVENT_CANCEL, id);
                        assert_int_equal(kit.n_log, 0);
                        kit_report(&kit, id, (EndedReport) { .exit_status = -1, .exit_signal = SIGTERM }, NULL);
                }
                assert_int_equal(kit_state(&kit, id), p == PLACE_ENDED ? QUERY_FINISHED : QUERY_CANCELED);
                assert_int_equal(kit_query(&kit, id)->error.code, p == PLACE_ENDED ? ERROR_NONE : ERROR_CANCELED);
                kit_event(&kit, EVENT_CANCEL, id);
                assert_int_equal(kit.n_log, 0);
                /* A canceled query must still be released. */
                assert_non_null(engine_find(kit.engine, id));
                assert_false(engine_is_tombstone(kit.engine, id));
                kit_event(&kit, EVENT_DONE, id);
                assert_int_equal(kit_saw(&kit, ACTION_FORGET, id), 1);
        }
}

static void done_is_legal_in_every_state_and_twice(void **state) {
        (void) state;
        for (Place p = 0; p < _PLACE_MAX; p++) {
                uint64_t id = put(p);

                kit_event(&kit, EVENT_DONE, id);
                if (holds_processes(p)) {
                        assert_int_equal(kit_saw(&kit, ACTION_FORGET, id), 0); /* it answers when engine/ is empty */
                        kit_event(&kit, EVENT_DONE, id);
                        assert_int_equal(kit.n_log, 0);
                        kit_report(&kit, id, (EndedReport) { .exit_status = -1, .exit_signal = SIGKILL }, NULL);
                }
                assert_int_equal(kit_saw(&kit, ACTION_FORGET, id), 1);
                assert_true(engine_is_tombstone(kit.engine, id));
                kit_event(&kit, EVENT_DONE, id);
                kit_event(&kit, EVENT_CANCEL, id);
                kit_event(&kit, EVENT_HOLD_DROPPED, id);
                kit_event(&kit, EVENT_READER_GONE, id);
                assert_int_equal(kit.n_log, 0);
                assert_int_equal(kit_state(&kit, id), p == PLACE_ENDED ? QUERY_FINISHED : QUERY_CANCELED);
        }
}

static void a_dropped_hold_releases_in_every_state(void **state) {
        (void) state;
        for (Place p = 0; p < _PLACE_MAX; p++) {
                uint64_t id = put(p);

                kit_event(&kit, EVENT_HOLD_DROPPED, id);
                if (holds_processes(p))
                        kit_report(&kit, id, (EndedReport) { .exit_status = 0 }, NULL);
                assert_true(engine_is_tombstone(kit.engine, id));
                kit_event(&kit, EVENT_HOLD_DROPPED, id);
                assert_int_equal(kit.n_log, 0);
        }
}

static void the_hold_of_a_detached_query_is_inert(void **state) {
        uint64_t id = kit_submit(&kit, (QuerySpec) { .detached = true });

        (void) state;
        kit_event(&kit, EVENT_HOLD_DROPPED, id);
        assert_int_equal(kit.n_log, 0);
        kit_exit(&kit, id, 0);
        kit_event(&kit, EVENT_HOLD_DROPPED, id);
        assert_false(engine_is_tombstone(kit.engine, id));
}

static void a_lost_reader_cancels_in_every_state(void **state) {
        (void) state;
        for (Place p = 0; p < _PLACE_MAX; p++) {
                uint64_t id = put(p);

                kit_event(&kit, EVENT_READER_GONE, id);
                if (holds_processes(p))
                        kit_report(&kit, id, (EndedReport) { .exit_status = 0, .reader_gone = true }, NULL);
                assert_int_equal(kit_state(&kit, id), p == PLACE_ENDED ? QUERY_FINISHED : QUERY_CANCELED);
                if (p != PLACE_ENDED && p != PLACE_ENDING)
                        assert_int_equal(kit_query(&kit, id)->verdict, VERDICT_READER);
        }
}

static void a_slot_is_free_only_when_the_group_is_empty(void **state) {
        Config c = kit_config();

        (void) state;
        c.concurrency_quota = 1;
        kit_reopen(&c);
        kit.slow_kills = true;
        kit_plain(&kit);
        kit_plain(&kit);
        kit_event(&kit, EVENT_CANCEL, 1);
        kit_pass(&kit, 3600 * USEC_PER_SEC); /* killed long since, but not gone */
        assert_int_equal(kit_saw(&kit, ACTION_KILL, 1), 1);
        assert_int_equal(kit_state(&kit, 1), QUERY_EXECUTING);
        assert_int_equal(kit_state(&kit, 2), QUERY_QUEUEING);
        assert_int_equal(kit_query(&kit, 1)->lease.bytes, 64 * MIB);
        kit_report(&kit, 1, (EndedReport) { .exit_status = -1, .exit_signal = SIGKILL }, NULL);
        assert_int_equal(kit_state(&kit, 2), QUERY_EXECUTING);
}

static void a_kill_follows_when_the_grace_has_passed(void **state) {
        uint64_t id = kit_plain(&kit);

        (void) state;
        kit.slow_kills = true;
        kit_event(&kit, EVENT_CANCEL, id);
        assert_int_equal(kit_saw(&kit, ACTION_TERMINATE, id), 1);
        kit_pass(&kit, 5 * USEC_PER_SEC - 1);
        assert_int_equal(kit_saw(&kit, ACTION_KILL, id), 0);
        kit_pass(&kit, 1);
        assert_int_equal(kit_saw(&kit, ACTION_KILL, id), 1);
        kit_pass(&kit, 3600 * USEC_PER_SEC);
        assert_int_equal(kit_saw(&kit, ACTION_KILL, id), 0);
}

static void without_a_grace_it_is_killed_at_once(void **state) {
        Config c = kit_config();
        uint64_t id;

        (void) state;
        c.cancel_grace_usec = 0;
        kit_reopen(&c);
        id = kit_plain(&kit);
        kit_event(&kit, EVENT_CANCEL, id);
        assert_int_equal(kit_saw(&kit, ACTION_TERMINATE, id), 0);
        assert_int_equal(kit_saw(&kit, ACTION_KILL, id), 1);
        assert_int_equal(kit_state(&kit, id), QUERY_CANCELED);
}

static void the_first_cause_of_an_end_stays(void **state) {
        uint64_t id = kit_plain(&kit);

        (void) state;
        kit.slow_kills = true;
        kit_event(&kit, EVENT_READER_GONE, id);
        kit_event(&kit, EVENT_CANCEL, id);
        kit_event(&kit, EVENT_DONE, id);
        kit_report(&kit, id, (EndedReport) { .exit_status = 3, .unit_stopped = true }, NULL);
        assert_int_equal(kit_query(&kit, id)->verdict, VERDICT_READER);
        assert_int_equal(kit_query(&kit, id)->exit_status, 3);
}

static void a_query_timeout_is_exact_and_graceful(void **state) {
        uint64_t id = kit_submit(&kit, (QuerySpec) { .timeout_usec = 10 * USEC_PER_SEC });

        (void) state;
        kit_pass(&kit, 10 * USEC_PER_SEC - 1);
        assert_int_equal(kit_saw(&kit, ACTION_TERMINATE, id), 0);
        kit_pass(&kit, 1);
        assert_int_equal(kit_saw(&kit, ACTION_TERMINATE, id), 1);
        kit_exit(&kit, id, 0);
        assert_int_equal(kit_state(&kit, id), QUERY_ERRORED);
        assert_int_equal(kit_query(&kit, id)->error.code, ERROR_TIMEOUT);
        assert_int_equal(kit_query(&kit, id)->verdict, VERDICT_TIMEOUT);
}

static void a_query_timeout_comes_from_the_configuration_unless_none_was_asked_for(void **state) {
        Config c = kit_config();

        (void) state;
        c.query_timeout_usec = USEC_PER_SEC;
        kit_reopen(&c);
        kit_plain(&kit);
        kit_submit(&kit, (QuerySpec) { .timeout_usec = KIT_NO_TIMEOUT });
        kit_pass(&kit, USEC_PER_SEC);
        assert_int_equal(kit_saw(&kit, ACTION_TERMINATE, 1), 1);
        kit_pass(&kit, 1000000 * USEC_PER_SEC);
        assert_int_equal(kit_saw(&kit, ACTION_TERMINATE, 2), 0);
}

static void frozen_time_does_not_count_in_the_timeout(void **state) {
        Config c = kit_config();

        (void) state;
        c.concurrency_quota = 2;
        c.per_query_bytes = 512 * MIB;
        c.max_memory_bytes = 576 * MIB;
        kit_reopen(&c);
        kit_submit(&kit, (QuerySpec) { .initial_bytes = 512 * MIB });
        kit_submit(&kit, (QuerySpec) { .timeout_usec = 10 * USEC_PER_SEC });
        kit_pass(&kit, 4 * USEC_PER_SEC);
        kit_need(&kit, 2, 63 * MIB);
        assert_true(kit_query(&kit, 2)->frozen);
        kit_pass(&kit, 50 * USEC_PER_SEC);
        assert_int_equal(kit_saw(&kit, ACTION_TERMINATE, 2) + kit_saw(&kit, ACTION_KILL, 2), 0);
        kit_exit(&kit, 1, 0);
        assert_false(kit_query(&kit, 2)->frozen);
        assert_int_equal(query_frozen_usec(kit_query(&kit, 2), kit.now_usec), 50 * USEC_PER_SEC);
        kit_pass(&kit, 6 * USEC_PER_SEC - 1);
        assert_int_equal(kit_saw(&kit, ACTION_TERMINATE, 2), 0);
        kit_pass(&kit, 1);
        assert_int_equal(kit_saw(&kit, ACTION_TERMINATE, 2), 1);
}

static void timeouts_of_all_sizes_do_not_overflow(void **state) {
        (void) state;
        kit_submit(&kit, (QuerySpec) { .timeout_usec = KIT_NO_TIMEOUT - 1, .queue_timeout_usec = KIT_NO_TIMEOUT - 1 });
        kit_submit(&kit, (QuerySpec) { .has_compile = true, .queue_timeout_usec = KIT_NO_TIMEOUT - 1 });
        kit_compiled(&kit, 2, 0);
        kit_pass(&kit, 1000000 * USEC_PER_SEC);
        assert_int_equal(engine_count(kit.engine, QUERY_EXECUTING), 2);
}

static void what_a_limit_was_is_said_as_it_was(void **state) {
        Config c = kit_config();

        (void) state;
        c.concurrency_quota = 1;
        c.compile_timeout_usec = 1500 * USEC_PER_MSEC;
        kit_reopen(&c);
        kit_submit(&kit, (QuerySpec) { .timeout_usec = 90 * USEC_PER_SEC });
        kit_submit(&kit, (QuerySpec) { .queue_timeout_usec = 250 * USEC_PER_MSEC });
        kit_submit(&kit, (QuerySpec) { .has_compile = true, .language = "slow" });
        c.compile_timeout_usec = USEC_INFINITY; /* for those that begin later */
        kit_reload(&kit, &c);
        kit_pass(&kit, 100 * USEC_PER_SEC);
        assert_string_equal(kit_query(&kit, 1)->error.message,
                            "it ran longer than its timeout of 1min 30s; QueryTimeoutSec or timeout_usec sets that");
        assert_string_equal(kit_query(&kit, 2)->error.message,
                            "it waited longer than its queue timeout of 250ms; QueueTimeoutSec or queue_timeout_usec sets that");
        assert_string_equal(kit_query(&kit, 3)->error.message,
                            "the compile check of language slow took longer than 1s 500ms; CompileTimeoutSec sets that");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                KIT_TEST(a_cancel_is_legal_in_every_state_and_twice),
                KIT_TEST(done_is_legal_in_every_state_and_twice),
                KIT_TEST(a_dropped_hold_releases_in_every_state),
                KIT_TEST(the_hold_of_a_detached_query_is_inert),
                KIT_TEST(a_lost_reader_cancels_in_every_state),
                KIT_TEST(a_slot_is_free_only_when_the_group_is_empty),
                KIT_TEST(a_kill_follows_when_the_grace_has_passed),
                KIT_TEST(without_a_grace_it_is_killed_at_once),
                KIT_TEST(the_first_cause_of_an_end_stays),
                KIT_TEST(a_query_timeout_is_exact_and_graceful),
                KIT_TEST(a_query_timeout_comes_from_the_configuration_unless_none_was_asked_for),
                KIT_TEST(frozen_time_does_not_count_in_the_timeout),
                KIT_TEST(timeouts_of_all_sizes_do_not_overflow),
                KIT_TEST(what_a_limit_was_is_said_as_it_was),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
