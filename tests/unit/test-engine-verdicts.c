/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is said of an end that nobody asked for. */
#include "engine-kit.h"

/* The table of verdicts. @raised: the query was raised to 128M; @denied: and then denied 256M, under `fail`. */
static const struct {
        const char *what;
        bool raised, denied, small_maximum;
        EndedReport report;
        QueryState state;
        Verdict verdict;
        ErrorCode code;
        const char *says;
} deaths[] = {
        { .what = "it ended as it wished", .state = QUERY_FINISHED },
        { .what = "zero, though the reader left", .report.reader_gone = true, .state = QUERY_FINISHED },
        { .what = "its own exit status", .report.exit_status = 3, .state = QUERY_ERRORED, .verdict = VERDICT_EXIT,
          .code = ERROR_EXECUTION_FAILED, .says = "status 3" },
        { .what = "its own exit status that looks like a kill", .report.exit_status = 137, .state = QUERY_ERRORED,
          .verdict = VERDICT_EXIT, .code = ERROR_EXECUTION_FAILED },
        { .what = "an unknown end", .report.exit_status = -1, .state = QUERY_ERRORED, .verdict = VERDICT_WORKER,
          .code = ERROR_EXECUTION_FAILED },
        { .what = "a signal", .report = { .exit_status = -1, .exit_signal = SIGSEGV }, .state = QUERY_ERRORED,
          .verdict = VERDICT_SIGNAL, .code = ERROR_EXECUTION_FAILED, .says = "signal 11" },
        { .what = "someone's SIGKILL", .report = { .exit_status = -1, .exit_signal = SIGKILL }, .state = QUERY_ERRORED,
          .verdict = VERDICT_SIGNAL, .code = ERROR_EXECUTION_FAILED, .says = "signal 9" },
        { .what = "a broken pipe", .report = { .exit_status = -1, .exit_signal = SIGPIPE, .reader_gone = true },
          .state = QUERY_CANCELED, .verdict = VERDICT_READER, .code = ERROR_CANCELED },
        { .what = "a broken pipe seen as an error", .report = { .exit_status = 1, .reader_gone = true },
          .state = QUERY_CANCELED, .verdict = VERDICT_READER, .code = ERROR_CANCELED },
        { .what = "a broken pipe of its own", .report = { .exit_status = -1, .exit_signal = SIGPIPE },
          .state = QUERY_ERRORED, .verdict = VERDICT_SIGNAL, .code = ERROR_EXECUTION_FAILED },
        { .what = "a stopped unit", .report = { .exit_status = -1, .exit_signal = SIGTERM, .unit_stopped = true },
          .state = QUERY_CANCELED, .verdict = VERDICT_STOPPED, .code = ERROR_CANCELED },
        { .what = "too many results", .report = { .exit_status = -1, .exit_signal = SIGPIPE, .results_truncated = true },
          .state = QUERY_ERRORED, .verdict = VERDICT_RESULTS, .code = ERROR_EXECUTION_FAILED, .says = "ResultsMaxBytes" },
        { .what = "too many results, all written", .report.results_truncated = true, .state = QUERY_ERRORED,
          .verdict = VERDICT_RESULTS, .code = ERROR_EXECUTION_FAILED },
        { .what = "the task limit", .report = { .exit_status = 1, .numbers.pids_max_events = 1 }, .state = QUERY_ERRORED,
          .verdict = VERDICT_TASKS, .code = ERROR_EXECUTION_FAILED, .says = "TasksMaxPerQuery" },
        { .what = "the task limit met and survived", .report.numbers.pids_max_events = 9, .state = QUERY_FINISHED },
        { .what = "its maximum", .small_maximum = true,
          .report = { .exit_status = -1, .exit_signal = SIGKILL,
                      .numbers = { .events_oom = 1, .events_oom_kill = 2, .memory_peak_bytes = 64 * MIB } },
          .state = QUERY_ERRORED, .verdict = VERDICT_MAXIMUM, .code = ERROR_MEMORY_LIMIT_EXCEEDED, .says = "64M" },
        { .what = "its maximum, and its worker went too", .small_maximum = true,
          .report = { .exit_status = -1, .numbers = { .events_oom = 1, .events_oom_kill = 2, .memory_peak_bytes = 64 * MIB } },
          .state = QUERY_ERRORED, .verdict = VERDICT_MAXIMUM, .code = ERROR_MEMORY_LIMIT_EXCEEDED, .says = "64M" },
        { .what = "the host's memory, and its worker went too", .report = { .exit_status = -1, .numbers.events_oom_kill = 1 },
          .state = QUERY_ERRORED, .verdict = VERDICT_HOST, .code = ERROR_EXECUTION_FAILED },
        { .what = "a quota below its maximum",
          .report = { .exit_status = -1, .exit_signal = SIGKILL,
                      .numbers = { .events_oom = 1, .events_oom_kill = 1, .memory_peak_bytes = 64 * MIB } },
          .state = QUERY_ERRORED, .verdict = VERDICT_QUOTA, .code = ERROR_MEMORY_LIMIT_EXCEEDED },
        { .what = "the budget", .raised = true, .denied = true,
          .report = { .exit_status = -1, .exit_signal = SIGKILL,
                      .numbers = { .events_oom = 1, .events_oom_kill = 1, .memory_peak_bytes = 128 * MIB } },
          .state = QUERY_ERRORED, .verdict = VERDICT_BUDGET, .code = ERROR_MEMORY_BUDGET_EXHAUSTED,
          .says = "MaxMemoryBytes" },
        { .what = "a limit above its own", .report = { .exit_status = -1, .exit_signal = SIGKILL,
                                                       .numbers = { .events_oom_kill = 1, .above_oom = 1 } },
          .state = QUERY_ERRORED, .verdict = VERDICT_SLICE, .code = ERROR_MEMORY_BUDGET_EXHAUSTED,
          .says = "penstock.slice" },
        { .what = "the host's memory", .report = { .exit_status = -1, .exit_signal = SIGKILL,
                                                   .numbers = { .events_oom_kill = 1, .memory_peak_bytes = 9 * MIB } },
          .state = QUERY_ERRORED, .verdict = VERDICT_HOST, .code = ERROR_EXECUTION_FAILED, .says = "9M" },
        { .what = "its own limit, though the slice met its own, too", .small_maximum = true,
          .report = { .exit_status = -1, .exit_signal = SIGKILL,
                      .numbers = { .events_oom = 1, .events_oom_kill = 1, .above_oom = 1 } },
          .state = QUERY_ERRORED, .verdict = VERDICT_MAXIMUM, .code = ERROR_MEMORY_LIMIT_EXCEEDED },
        { .what = "systemd-oomd", .report = { .exit_status = -1, .exit_signal = SIGKILL, .numbers.oomd_kills = 2 },
          .state = QUERY_ERRORED, .verdict = VERDICT_OOMD, .code = ERROR_EXECUTION_FAILED, .says = "systemd-oomd" },
        { .what = "systemd-oomd, which took the worker too", .report = { .exit_status = -1, .numbers.oomd_kills = 2 },
          .state = QUERY_ERRORED, .verdict = VERDICT_OOMD, .code = ERROR_EXECUTION_FAILED },
        { .what = "systemd-oomd chose a child, itself well", .report.numbers.oomd_kills = 1, .state = QUERY_FINISHED },
        { .what = "a child that the kernel killed, itself well",
          .report.numbers = { .events_oom = 1, .events_oom_kill = 1 }, .state = QUERY_FINISHED },
        { .what = "memory before a lost reader", .small_maximum = true,
          .report = { .exit_status = -1, .exit_signal = SIGKILL, .reader_gone = true, .unit_stopped = true,
                      .numbers = { .events_oom = 1, .events_oom_kill = 1 } },
          .state = QUERY_ERRORED, .verdict = VERDICT_MAXIMUM, .code = ERROR_MEMORY_LIMIT_EXCEEDED },
};

static void every_death_says_whose_limit_it_was(void **state) {
        Config c = kit_config();

        (void) state;
        c.exhaustion_policy = EXHAUSTION_FAIL;
        for (unsigned i = 0; i < ELEMENTSOF(deaths); i++) {
                uint64_t id;

                c.max_memory_bytes = deaths[i].denied ? 320 * MIB : GIB;
                c.per_query_bytes = MIN(c.max_memory_bytes, GIB);
                kit_reopen(&c);
                id = kit_submit(&kit, (QuerySpec) { .max_bytes = deaths[i].small_maximum ? 64 * MIB : 0 });
                if (deaths[i].raised)
                        kit_need(&kit, id, 60 * MIB);
                if (deaths[i].denied)
                        kit_need(&kit, id, 127 * MIB);
                kit_report(&kit, id, deaths[i].report, NULL);
                if (kit_query(&kit, id)->verdict != deaths[i].verdict || kit_state(&kit, id) != deaths[i].state)
                        fail_msg("%s: %s, verdict '%s'", deaths[i].what, query_state_name(kit_state(&kit, id)),
                                 verdict_name(kit_query(&kit, id)->verdict));
                assert_int_equal(kit_query(&kit, id)->error.code, deaths[i].code);
                if (deaths[i].says)
                        assert_non_null(strstr(kit_query(&kit, id)->error.message, deaths[i].says));
        }
}

static void a_start_that_failed_says_why(void **state) {
        uint64_t id = kit_plain(&kit);
        Error why = { ERROR_EXECUTION_FAILED, "no such program" };

        (void) state;
        kit_report(&kit, id, (EndedReport) { .start_failed = true, .exit_status = 7 }, &why);
        assert_int_equal(kit_state(&kit, id), QUERY_ERRORED);
        assert_int_equal(kit_query(&kit, id)->verdict, VERDICT_START);
        assert_string_equal(kit_query(&kit, id)->error.message, "no such program");
        assert_int_equal(kit_query(&kit, id)->exit_status, -1);
}

static void results_without_a_bound_are_not_said_to_have_passed_one(void **state) {
        Config c = kit_config();

        (void) state;
        c.results_max_bytes = SIZE_INFINITY;
        kit_reopen(&c);
        kit_plain(&kit);
        kit_report(&kit, 1, (EndedReport) { .exit_status = -1, .exit_signal = SIGPIPE, .results_truncated = true }, NULL);
        assert_string_equal(kit_query(&kit, 1)->error.message,
                            "its results could not all be kept: the disk is full, or ResultsMaxBytes was less when it began");
}

static void a_kill_before_the_raise_took_hold_is_not_the_maximum(void **state) {
        uint64_t id = kit_submit(&kit, (QuerySpec) { .max_bytes = 128 * MIB });

        (void) state;
        /* The kernel killed it at 64M; we saw the events late, and raised a dead group to its maximum. */
        kit_need(&kit, id, 64 * MIB);
        assert_int_equal(kit_query(&kit, id)->lease.bytes, 128 * MIB);
        kit_report(&kit, id,
                   (EndedReport) { .exit_status = -1, .exit_signal = SIGKILL,
                                   .numbers = { .events_oom = 1, .events_oom_kill = 1, .memory_peak_bytes = 64 * MIB } },
                   NULL);
        assert_int_equal(kit_query(&kit, id)->verdict, VERDICT_QUOTA);
}

/* As the kernel reports one that it killed at a limit of its own. */
static EndedReport killed_for_memory(uint64_t peak_bytes) {
        return (EndedReport) { .exit_status = -1, .exit_signal = SIGKILL,
                               .numbers = { .events_oom = 1, .events_oom_kill = 1, .memory_peak_bytes = peak_bytes } };
}

static void whose_maximum_it_was_is_said_after_a_reload_too(void **state) {
        static const struct {
                uint64_t asked_bytes, per_query_bytes; /* the latter by the time of its end */
                const char *says;
        } cases[] = {
                { 0, 128 * MIB, "MemoryBytesQuotaPerQuery sets that" },
                { 0, GIB, "MemoryBytesQuotaPerQuery sets that" },
                { 96 * MIB, 128 * MIB, "memory_max_bytes of the request sets that" },
                { 96 * MIB, 64 * MIB, "memory_max_bytes of the request sets that" },
        };

        (void) state;
        for (size_t i = 0; i < 2 * ELEMENTSOF(cases); i++) {
                Config c = kit_config();
                Sample s = { .anon_bytes = 40 * MIB, .active_anon_bytes = 40 * MIB, .pids = 1, .has_psi = true, .populated = true };
                bool thrashes = i >= ELEMENTSOF(cases);
                uint64_t max;

                c.per_query_bytes = 128 * MIB;
                kit_reopen(&c);
                max = cases[i % ELEMENTSOF(cases)].asked_bytes;
                kit_submit(&kit, (QuerySpec) { .max_bytes = max });
                max = max ? max : 128 * MIB;
                kit_need(&kit, 1, max - 8 * MIB);
                assert_int_equal(kit_lease(1), max);
                c.per_query_bytes = cases[i % ELEMENTSOF(cases)].per_query_bytes;
                kit_reload(&kit, &c);
                s.current_bytes = max;
                for (unsigned sec = 0; thrashes && sec <= 12; sec++) {
                        kit.now_usec += USEC_PER_SEC;
                        s.stall_full_usec = s.stall_some_usec = sec * USEC_PER_SEC;
                        s.workingset_refault_file = sec * 100000;
                        kit_sample(&kit, 1, s);
                }
                if (!thrashes)
                        kit_report(&kit, 1, killed_for_memory(max), NULL);
                assert_int_equal(kit_query(&kit, 1)->verdict, VERDICT_MAXIMUM);
                assert_non_null(strstr(kit_query(&kit, 1)->error.message, cases[i % ELEMENTSOF(cases)].says));
        }
}

static void who_was_refused_near_its_limit_ends_by_the_budget(void **state) {
        (void) state;
        for (unsigned policy = 0; policy < 2; policy++) {
                kit_one_has_the_pool(policy ? EXHAUSTION_FREEZE : EXHAUSTION_FAIL);
                kit_need(&kit, 2, 42 * MIB); /* not in its headroom yet: nothing is done about it */
                assert_false(kit_query(&kit, 2)->denied);
                kit_report(&kit, 2, killed_for_memory(64 * MIB), NULL);
                assert_int_equal(kit_query(&kit, 2)->verdict, VERDICT_BUDGET);
                assert_int_equal(kit_query(&kit, 2)->error.code, ERROR_MEMORY_BUDGET_EXHAUSTED);

                kit_one_has_the_pool(policy ? EXHAUSTION_FREEZE : EXHAUSTION_FAIL);
                kit_need(&kit, 2, 42 * MIB);
                kit_need(&kit, 2, 10 * MIB); /* what it has does again */
                kit_report(&kit, 2, killed_for_memory(64 * MIB), NULL);
                assert_int_equal(kit_query(&kit, 2)->verdict, VERDICT_QUOTA);
        }
}

/* It had 128M, was lowered to 100M and died there; then it was raised to its maximum, too late. */
static void a_limit_that_it_never_reached_did_not_end_it(void **state) {
        static const struct {
                uint64_t peak_bytes;
                Verdict verdict;
        } peaks[] = { { 130 * MIB, VERDICT_QUOTA }, { 99 * MIB, VERDICT_QUOTA }, { 200 * MIB - 64 * KIB, VERDICT_MAXIMUM } };

        (void) state;
        for (unsigned i = 0; i < ELEMENTSOF(peaks); i++) {
                Config c = kit_config();

                kit_reopen(&c);
                kit_submit(&kit, (QuerySpec) { .max_bytes = 200 * MIB });
                kit_need(&kit, 1, 63 * MIB);
                kit_need(&kit, 1, 127 * MIB);
                assert_int_equal(kit_lease(1), 200 * MIB);
                kit_need(&kit, 1, 20 * MIB);
                kit_pass(&kit, 5 * USEC_PER_SEC);
                kit_step(&kit, (Event) { .type = EVENT_CAP, .query_id = 1, .bytes = 100 * MIB });
                kit_need(&kit, 1, 20 * MIB);
                assert_int_equal(kit_lease(1), 100 * MIB);
                kit_step(&kit, (Event) { .type = EVENT_CAP, .query_id = 1, .bytes = SIZE_INFINITY });
                kit_need(&kit, 1, 99 * MIB);
                assert_int_equal(kit_lease(1), 200 * MIB);
                kit_report(&kit, 1, killed_for_memory(peaks[i].peak_bytes), NULL);
                assert_int_equal(kit_query(&kit, 1)->verdict, peaks[i].verdict);
        }
}

/* 2 waits for what 1 has, until one of them is told to end for the other. */
static void choose_two(void) {
        kit_one_has_the_pool(EXHAUSTION_FREEZE);
        kit.slow_kills = true;
        kit_need(&kit, 2, 63 * MIB);
        kit_pass(&kit, 60 * USEC_PER_SEC);
        assert_int_equal(kit_notes(&kit, NOTE_VICTIM, 2), 1);
}

static void a_victim_that_came_to_its_own_end_before_says_so(void **state) {
        (void) state;
        choose_two();
        kit_exit(&kit, 2, 0);
        assert_int_equal(kit_state(&kit, 2), QUERY_FINISHED);
        assert_int_equal(kit_query(&kit, 2)->verdict, VERDICT_NONE);
        assert_int_equal(query_error(kit_query(&kit, 2)), ERROR_NONE);
        choose_two();
        kit_exit(&kit, 2, 3);
        assert_int_equal(kit_query(&kit, 2)->verdict, VERDICT_EXIT);
        choose_two();
        kit_report(&kit, 2, (EndedReport) { .exit_status = -1, .exit_signal = SIGKILL }, NULL);
        assert_int_equal(kit_query(&kit, 2)->verdict, VERDICT_BUDGET);
        choose_two();
        kit_report(&kit, 2, (EndedReport) { .exit_status = -1 }, NULL); /* its worker is lost */
        assert_int_equal(kit_query(&kit, 2)->verdict, VERDICT_BUDGET);
        choose_two();
        kit_event(&kit, EVENT_CANCEL, 1); /* what somebody asked for came true, however it ended */
        kit_exit(&kit, 1, 0);
        assert_int_equal(kit_query(&kit, 1)->verdict, VERDICT_CANCEL);
}

/* Tasks charge in batches, so its peak may stay below the limit before the last raise, which was in time all the same. */
static void a_limit_that_it_was_seen_alive_under_was_not_too_late(void **state) {
        (void) state;
        for (unsigned seen = 0; seen < 2; seen++) {
                Config c = kit_config();

                kit_reopen(&c);
                kit_submit(&kit, (QuerySpec) { .max_bytes = 64 * MIB + 52 * KIB });
                kit_need(&kit, 1, 60 * MIB);
                assert_int_equal(kit_lease(1), 64 * MIB + 52 * KIB);
                if (seen)
                        kit_need(&kit, 1, 63 * MIB);
                kit_report(&kit, 1, killed_for_memory(64 * MIB - 64 * KIB), NULL);
                assert_int_equal(kit_query(&kit, 1)->verdict, seen ? VERDICT_MAXIMUM : VERDICT_QUOTA);
        }
}

static void every_end_is_published_once_with_its_numbers(void **state) {
        uint64_t id = kit_plain(&kit);

        (void) state;
        assert_int_equal(kit_query(&kit, id)->exit_status, -1); /* not known yet */
        kit_report(&kit, id, (EndedReport) { .exit_status = -1, .exit_signal = SIGSEGV }, NULL);
        assert_int_equal(kit_saw(&kit, ACTION_STATE, id), 1);
        assert_int_equal(kit_notes(&kit, NOTE_END, id), 1);
        assert_int_equal(kit_query(&kit, id)->exit_signal, SIGSEGV);
        assert_int_equal(kit_query(&kit, id)->exit_status, -1);
        kit.slow_units = true;
        id = kit_plain(&kit);
        kit_event(&kit, EVENT_CANCEL, id);
        assert_int_equal(kit_saw(&kit, ACTION_STATE, id), 1);
        assert_int_equal(kit_query(&kit, id)->exit_status, -1); /* it never ran */
        kit_gone(&kit, id); /* its unit going later is no second end */
        assert_int_equal(kit_saw(&kit, ACTION_STATE, id) + kit_notes(&kit, NOTE_END, id), 0);
}

static void a_unit_lost_before_the_run_says_so(void **state) {
        uint64_t id;

        (void) state;
        kit.slow_units = true;
        id = kit_plain(&kit);
        kit_gone(&kit, id);
        assert_int_equal(kit_query(&kit, id)->verdict, VERDICT_NONE);
        assert_int_equal(kit_saw(&kit, ACTION_START_UNIT, id), 1); /* nothing was lost with the first */
        kit_gone(&kit, id);
        assert_int_equal(kit_query(&kit, id)->verdict, VERDICT_WORKER);
        assert_non_null(strstr(kit_query(&kit, id)->error.message, "before it could run"));
        assert_int_equal(kit_query(&kit, id)->run, RUN_NONE);
}

static void an_asked_for_end_is_no_memory_verdict(void **state) {
        uint64_t id = kit_plain(&kit);

        (void) state;
        kit_event(&kit, EVENT_CANCEL, id);
        kit_report(&kit, id,
                   (EndedReport) { .exit_status = -1, .exit_signal = SIGKILL,
                                   .numbers = { .events_oom = 1, .events_oom_kill = 1 } },
                   NULL);
        assert_int_equal(kit_query(&kit, id)->verdict, VERDICT_CANCEL);
}

static void final_numbers_outlive_the_query(void **state) {
        uint64_t id = kit_plain(&kit);

        (void) state;
        kit_need(&kit, id, 30 * MIB);
        kit_report(&kit, id, (EndedReport) { .numbers = { .memory_peak_bytes = 40 * MIB, .cpu_usec = 7 } }, NULL);
        kit_event(&kit, EVENT_DONE, id);
        assert_int_equal(kit_query(&kit, id)->peak_bytes, 40 * MIB);
        assert_int_equal(kit_query(&kit, id)->final.cpu_usec, 7);
        assert_int_equal(kit_query(&kit, id)->exit_status, 0);
}

static void a_lost_unit_ends_its_query(void **state) {
        uint64_t id = kit_plain(&kit), canceled = kit_plain(&kit);

        (void) state;
        kit_gone(&kit, id);
        assert_int_equal(kit_state(&kit, id), QUERY_ERRORED);
        assert_int_equal(kit_query(&kit, id)->verdict, VERDICT_WORKER);
        assert_int_equal(kit_saw(&kit, ACTION_RELEASE_UNIT, id), 0);
        kit_event(&kit, EVENT_CANCEL, canceled);
        kit_gone(&kit, canceled);
        assert_int_equal(kit_state(&kit, canceled), QUERY_CANCELED);
        kit_exit(&kit, id, 0); /* a report after that is void */
        assert_int_equal(kit_state(&kit, id), QUERY_ERRORED);
        assert_int_equal(engine_count(kit.engine, QUERY_EXECUTING), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                KIT_TEST(every_death_says_whose_limit_it_was),
                KIT_TEST(a_start_that_failed_says_why),
                KIT_TEST(results_without_a_bound_are_not_said_to_have_passed_one),
                KIT_TEST(whose_maximum_it_was_is_said_after_a_reload_too),
                KIT_TEST(a_kill_before_the_raise_took_hold_is_not_the_maximum),
                KIT_TEST(who_was_refused_near_its_limit_ends_by_the_budget),
                KIT_TEST(a_limit_that_it_never_reached_did_not_end_it),
                KIT_TEST(a_victim_that_came_to_its_own_end_before_says_so),
                KIT_TEST(a_limit_that_it_was_seen_alive_under_was_not_too_late),
                KIT_TEST(every_end_is_published_once_with_its_numbers),
                KIT_TEST(a_unit_lost_before_the_run_says_so),
                KIT_TEST(an_asked_for_end_is_no_memory_verdict),
                KIT_TEST(final_numbers_outlive_the_query),
                KIT_TEST(a_lost_unit_ends_its_query),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
