/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who was ended by the budget before he had delivered a byte, and is run once more. */
#include "engine-kit.h"

/* What the worker says of one that was killed for others, and whose results are an empty file. */
static EndedReport killed(void) {
        return (EndedReport) { .exit_status = -1,
                               .exit_signal = SIGKILL,
                               .results_empty = true,
                               .numbers = { .memory_peak_bytes = 60 * MIB, .cpu_usec = 5, .stall_usec = 7 } };
}

static Config retrying(void) {
        Config c = kit_pool_config(2, 512 * MIB);

        c.retry_on_exhaustion = true;
        c.initial_quota = INITIAL_QUOTA_LEARNED;
        return c;
}

static uint64_t submit(QuerySpec spec) {
        spec.uid = 1000;
        spec.fingerprint[0] = 1;
        memcpy(spec.language, "test", sizeof("test"));
        spec.detached = spec.may_retry = true;
        return kit_submit(&kit, spec);
}

/* 1 has the whole pool and keeps it; 2 needs more than its slot, waits, and is told to die. */
static void end_for_want(const Config *c, QuerySpec spec) {
        kit_reopen(c);
        kit_content(&kit, 448 * MIB);
        submit(spec);
        kit.slow_kills = true;
        kit_need(&kit, 2, 60 * MIB);
        kit_pass(&kit, c->freeze_timeout_usec);
        assert_int_equal(kit_notes(&kit, NOTE_VICTIM, 2), 1);
}

static void retry_of_two(QuerySpec spec) {
        Config c = retrying();

        end_for_want(&c, spec);
        kit_report(&kit, 2, killed(), NULL);
        assert_int_equal(kit_state(&kit, 2), QUERY_QUEUEING);
}

static void assert_ended_by_the_budget(void) {
        assert_int_equal(kit_state(&kit, 2), QUERY_ERRORED);
        assert_int_equal(kit_query(&kit, 2)->verdict, VERDICT_BUDGET);
        assert_int_equal(kit_query(&kit, 2)->error.code, ERROR_MEMORY_BUDGET_EXHAUSTED);
}

static void it_waits_for_what_it_needed_and_runs_once_more(void **state) {
        char words[256];

        (void) state;
        retry_of_two((QuerySpec) {});
        assert_int_equal(kit_notes(&kit, NOTE_RETRY, 2), 1);
        assert_int_equal(kit_notes(&kit, NOTE_END, 2), 0);
        assert_int_equal(kit_saw(&kit, ACTION_RELEASE_UNIT, 2), 1);
        assert_int_equal(kit_saw(&kit, ACTION_START_UNIT, 2), 0); /* the pool has nothing */
        assert_int_equal(kit_query(&kit, 2)->n_retries, 1);
        assert_int_equal(query_start_bytes(kit_query(&kit, 2)), 128 * MIB);
        assert_string_equal(engine_wait_reason(kit.engine, kit_query(&kit, 2), words, sizeof(words)),
                            "memory for an initial quota of 128M (0B unused; MaxMemoryBytes)");

        kit_exit(&kit, 1, 0);
        assert_int_equal(kit_saw(&kit, ACTION_START_UNIT, 2), 1);
        assert_int_equal(kit_action(&kit, ACTION_EXECUTE, 2)->limits.max_bytes, 128 * MIB);
        assert_int_equal(kit_notes(&kit, NOTE_LEARNED, 0), 0);
        assert_int_equal(kit_query(&kit, 2)->needed_bytes, 128 * MIB); /* but it is known now */
        kit_need(&kit, 2, 80 * MIB);
        assert_int_equal(kit_query(&kit, 2)->n_raises, 0);
        kit_report(&kit, 2,
                   (EndedReport) { .numbers = { .memory_peak_bytes = 100 * MIB, .cpu_usec = 11, .stall_usec = 13 } },
                   NULL);
        assert_int_equal(kit_state(&kit, 2), QUERY_FINISHED);
        assert_int_equal(kit_query(&kit, 2)->error.code, ERROR_NONE);
        assert_int_equal(kit_query(&kit, 2)->verdict, VERDICT_NONE);
        assert_int_equal(kit_query(&kit, 2)->peak_bytes, 100 * MIB);
        assert_int_equal(kit_query(&kit, 2)->final.cpu_usec, 16);
        assert_int_equal(kit_query(&kit, 2)->final.stall_usec, 20);
        assert_int_equal(kit_query(&kit, 2)->frozen_usec, 60 * USEC_PER_SEC);
        assert_int_equal(kit_unused(), 384 * MIB);
}

static void whatever_speaks_against_it_ends_it(void **state) {
        static const struct {
                EventType meanwhile; /* while it dies; EVENT_TICK: nothing */
                bool not_wanted, of_another_kind;
                EndedReport report; /* what is not so in it */
        } rows[] = {
                { EVENT_TICK, .not_wanted = true },
                { EVENT_TICK, .of_another_kind = true },
                { EVENT_TICK, .report = { .results_empty = true } },
                { EVENT_TICK, .report = { .exit_signal = SIGSEGV } }, /* of its own, not ours */
                { EVENT_TICK, .report = { .unit_stopped = true } },
                { EVENT_TICK, .report = { .results_truncated = true } },
                { EVENT_CANCEL },
                { EVENT_DONE },
                { EVENT_SHUTDOWN },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                Config c = retrying();
                EndedReport r = killed();

                c.retry_on_exhaustion = !rows[i].not_wanted;
                end_for_want(&c, (QuerySpec) {});
                if (rows[i].of_another_kind) {
                        kit_reopen(&c);
                        kit_content(&kit, 448 * MIB);
                        kit_plain(&kit);
                        kit.slow_kills = true;
                        kit_need(&kit, 2, 60 * MIB);
                        kit_pass(&kit, c.freeze_timeout_usec);
                }
                if (rows[i].meanwhile == EVENT_SHUTDOWN)
                        kit_shutdown(&kit, USEC_INFINITY);
                else if (rows[i].meanwhile != EVENT_TICK)
                        kit_event(&kit, rows[i].meanwhile, 2);
                r.results_empty = !rows[i].report.results_empty;
                r.exit_signal = rows[i].report.exit_signal ?: SIGKILL;
                r.unit_stopped = rows[i].report.unit_stopped;
                r.results_truncated = rows[i].report.results_truncated;
                kit_report(&kit, 2, r, NULL);
                assert_ended_by_the_budget();
                assert_int_equal(kit_query(&kit, 2)->n_retries, 0);
        }
}

static void where_it_can_never_have_more_it_ends(void **state) {
        Config c = retrying();

        (void) state;
        c.max_memory_bytes = 128 * MIB;
        c.per_query_bytes = 128 * MIB;
        kit_reopen(&c);
        kit_plain(&kit);
        submit((QuerySpec) {});
        kit.slow_kills = true;
        kit_need(&kit, 2, 62 * MIB);
        kit_report(&kit, 2, killed(), NULL);
        assert_ended_by_the_budget();
}

static void a_second_time_ends_it(void **state) {
        (void) state;
        retry_of_two((QuerySpec) { .priority = -1 });
        kit_exit(&kit, 1, 0);
        kit_content(&kit, 384 * MIB);
        assert_int_equal(kit_unused(), 0);
        kit_need(&kit, 2, 124 * MIB);
        kit_pass(&kit, kit.config.freeze_timeout_usec);
        kit_report(&kit, 2, killed(), NULL);
        assert_ended_by_the_budget();
        assert_int_equal(kit_query(&kit, 2)->n_retries, 1);
        assert_int_equal(kit_query(&kit, 2)->final.cpu_usec, 10);
}

static void the_last_one_left_takes_what_there_is(void **state) {
        Config c = retrying();

        (void) state;
        retry_of_two((QuerySpec) {});
        c.max_memory_bytes = 160 * MIB; /* all that the pool will ever have is 32M */
        kit_reload(&kit, &c);
        kit_exit(&kit, 1, 0);
        assert_int_equal(kit_lease(2), 96 * MIB);
        assert_int_equal(query_start_bytes(kit_query(&kit, 2)), 96 * MIB);
}

/* What is left over in the slice, or an administrator's limit, is there for a minute: its start is not less for it for ever. */
static void what_passes_does_not_lower_its_start(void **state) {
        char words[256];

        (void) state;
        retry_of_two((QuerySpec) {});
        kit.n_log = 0;
        kit_step(&kit, (Event) { .type = EVENT_LEFTOVERS, .bytes = 352 * MIB });
        assert_int_equal(kit_state(&kit, 2), QUERY_QUEUEING);
        assert_string_equal(engine_wait_reason(kit.engine, kit_query(&kit, 2), words, sizeof(words)),
                            "memory for an initial quota of 96M (0B unused; MaxMemoryBytes)");
        kit_step(&kit, (Event) { .type = EVENT_LEFTOVERS });
        kit_exit(&kit, 1, 0);
        assert_int_equal(kit_lease(2), 128 * MIB);

        retry_of_two((QuerySpec) {});
        kit_step(&kit, (Event) { .type = EVENT_LEFTOVERS, .bytes = 352 * MIB });
        kit_exit(&kit, 1, 0); /* while it is there it waits for no more than there can be */
        assert_int_equal(kit_lease(2), 96 * MIB);
        assert_int_equal(query_start_bytes(kit_query(&kit, 2)), 96 * MIB);
}

static void what_passes_while_it_dies_does_not_either(void **state) {
        Config c = retrying();

        (void) state;
        end_for_want(&c, (QuerySpec) {});
        kit_step(&kit, (Event) { .type = EVENT_LEFTOVERS, .bytes = 352 * MIB });
        kit_report(&kit, 2, killed(), NULL);
        assert_int_equal(kit_state(&kit, 2), QUERY_QUEUEING);
        kit_step(&kit, (Event) { .type = EVENT_LEFTOVERS });
        kit_exit(&kit, 1, 0);
        assert_int_equal(kit_lease(2), 128 * MIB);
}

static void others_start_while_its_first_unit_goes(void **state) {
        Config c = retrying();
        EndedReport r = killed();
        char words[256];

        (void) state;
        end_for_want(&c, (QuerySpec) {});
        kit.slow_units = true;
        r.numbers.residual_bytes = 8 * MIB;
        kit_report(&kit, 2, r, NULL);
        kit_exit(&kit, 1, 0);
        assert_int_equal(kit_state(&kit, 2), QUERY_QUEUEING);
        assert_string_equal(engine_wait_reason(kit.engine, kit_query(&kit, 2), words, sizeof(words)),
                            "the end of the unit of its first run");
        assert_int_equal(kit_state(&kit, kit_plain(&kit)), QUERY_EXECUTING);
        assert_int_equal(engine_budget(kit.engine)->leftover_bytes, 8 * MIB);
        kit_event(&kit, EVENT_UNIT_GONE, 2);
        assert_int_equal(engine_budget(kit.engine)->leftover_bytes, 0);
        assert_int_equal(kit_state(&kit, 2), QUERY_EXECUTING);
        assert_int_equal(kit_saw(&kit, ACTION_START_UNIT, 2), 1);
        kit_ready(&kit, 2);
        assert_int_equal(kit_action(&kit, ACTION_EXECUTE, 2)->limits.max_bytes, 128 * MIB);
}

static void nobody_overtakes_it_for_memory(void **state) {
        (void) state;
        retry_of_two((QuerySpec) {});
        assert_int_equal(kit_state(&kit, kit_plain(&kit)), QUERY_QUEUEING);
        assert_int_equal(engine_queue_position(kit.engine, kit_query(&kit, 2)), 1);
        kit_exit(&kit, 1, 0);
        assert_int_equal(kit_state(&kit, 2), QUERY_EXECUTING);
        assert_int_equal(kit_state(&kit, 3), QUERY_EXECUTING);
}

static void a_cancel_in_between_ends_it(void **state) {
        (void) state;
        retry_of_two((QuerySpec) {});
        kit_event(&kit, EVENT_CANCEL, 2);
        assert_int_equal(kit_state(&kit, 2), QUERY_CANCELED);
        kit_exit(&kit, 1, 0);
        assert_int_equal(kit_saw(&kit, ACTION_START_UNIT, 2), 0);
        assert_int_equal(kit_unused(), 384 * MIB);
}

static void a_shutdown_in_between_ends_it(void **state) {
        (void) state;
        retry_of_two((QuerySpec) {});
        kit_shutdown(&kit, USEC_INFINITY);
        assert_int_equal(kit_query(&kit, 2)->error.code, ERROR_SHUTTING_DOWN);
}

static void its_own_timeout_counts_both_runs_and_that_of_the_queue_neither(void **state) {
        Config c = retrying();

        (void) state;
        kit_reopen(&c);
        kit_content(&kit, 448 * MIB);
        submit((QuerySpec) { .timeout_usec = 100 * USEC_PER_SEC, .queue_timeout_usec = 30 * USEC_PER_SEC });
        kit.slow_kills = true;
        kit_pass(&kit, 40 * USEC_PER_SEC);
        kit_need(&kit, 2, 60 * MIB);
        kit_pass(&kit, 60 * USEC_PER_SEC); /* frozen */
        kit_report(&kit, 2, killed(), NULL);
        kit_pass(&kit, 30 * USEC_PER_SEC - 1);
        assert_int_equal(kit_state(&kit, 2), QUERY_QUEUEING);
        kit_exit(&kit, 1, 0);
        kit_pass(&kit, 60 * USEC_PER_SEC - 1);
        assert_false(kit_query(&kit, 2)->ending);
        kit_pass(&kit, 1);
        assert_int_equal(kit_query(&kit, 2)->ending_verdict, VERDICT_TIMEOUT);

        retry_of_two((QuerySpec) { .queue_timeout_usec = 30 * USEC_PER_SEC });
        kit_pass(&kit, 30 * USEC_PER_SEC);
        assert_int_equal(kit_query(&kit, 2)->verdict, VERDICT_QUEUE);
}

/* Another engine, with what was written of 2. */
static void take_over(bool handed) {
        Config c = retrying();
        QuerySnapshot s;
        Error error;

        engine_snapshot(kit_query(&kit, 2), NULL, &s, &error);
        assert_true(query_snapshot_is_valid(&s));
        assert_int_equal(s.handed, handed);
        s.unit_exists = handed;
        s.limit_bytes = handed ? 64 * MIB : 0;
        kit_reopen(&c);
        kit.n_log = 0;
        kit.now_usec += 200 * USEC_PER_SEC;
        kit.slow_kills = true;
        kit_step(&kit, (Event) { .type = EVENT_ADOPT, .query_id = 2, .adopt = { .snapshot = &s, .error = &error } });
        kit_step(&kit, (Event) { .type = EVENT_TICK });
}

static void it_is_once_also_across_restarts(void **state) {
        Config c = retrying();

        (void) state;
        end_for_want(&c, (QuerySpec) {});
        take_over(true);
        kit.slow_units = true;
        kit_report(&kit, 2, killed(), NULL);
        assert_int_equal(kit_notes(&kit, NOTE_RETRY, 2), 1);
        take_over(false); /* it runs at once: nobody else is there */
        assert_int_equal(kit_state(&kit, 2), QUERY_EXECUTING);
        assert_int_equal(kit_query(&kit, 2)->n_retries, 1);
        assert_int_equal(kit_query(&kit, 2)->final.cpu_usec, 5);
        kit_report(&kit, 2, (EndedReport) { .numbers.cpu_usec = 1 }, NULL);
        assert_int_equal(kit_state(&kit, 2), QUERY_FINISHED);
        assert_int_equal(kit_query(&kit, 2)->final.cpu_usec, 6);
}

static void a_cancel_is_not_forgotten_by_a_restart(void **state) {
        Config c = retrying();

        (void) state;
        end_for_want(&c, (QuerySpec) {});
        assert_true(event_is_recorded(EVENT_CANCEL) && event_is_recorded(EVENT_DONE));
        kit_event(&kit, EVENT_CANCEL, 2);
        take_over(true);
        kit_report(&kit, 2, killed(), NULL);
        assert_ended_by_the_budget();
}

int main(void) {
        const struct CMUnitTest tests[] = {
                KIT_TEST(it_waits_for_what_it_needed_and_runs_once_more),
                KIT_TEST(whatever_speaks_against_it_ends_it),
                KIT_TEST(where_it_can_never_have_more_it_ends),
                KIT_TEST(a_second_time_ends_it),
                KIT_TEST(the_last_one_left_takes_what_there_is),
                KIT_TEST(what_passes_does_not_lower_its_start),
                KIT_TEST(what_passes_while_it_dies_does_not_either),
                KIT_TEST(others_start_while_its_first_unit_goes),
                KIT_TEST(nobody_overtakes_it_for_memory),
                KIT_TEST(a_cancel_in_between_ends_it),
                KIT_TEST(a_shutdown_in_between_ends_it),
                KIT_TEST(its_own_timeout_counts_both_runs_and_that_of_the_queue_neither),
                KIT_TEST(it_is_once_also_across_restarts),
                KIT_TEST(a_cancel_is_not_forgotten_by_a_restart),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
