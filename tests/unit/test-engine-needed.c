/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a query came to need, as its end tells. */
#include "learned-kit.h"

static void page_cache_is_not_what_it_needed(void **state) {
        uint64_t id = submit();
        Sample s = kit_anonymous(100 * MIB);

        (void) state;
        grow_to(id, 100 * MIB);
        assert_int_equal(kit_lease(id), 256 * MIB);
        s.file_bytes = s.inactive_file_bytes = 130 * MIB;
        s.current_bytes = 230 * MIB;
        kit_sample(&kit, id, s);
        finish(id, 230 * MIB);
        assert_in_range(kit_query(&kit, id)->needed_bytes, 128 * MIB, 160 * MIB);
}

static void the_working_set_that_it_was_raised_for_is(void **state) {
        GovernorState g = { .has_last = true, .most_need_bytes = 50 * MIB, .cache_bytes = 60 * MIB };
        uint64_t top = 256 * MIB, high = governor_high(top, GIB, 1);

        (void) state;
        assert_in_range(governor_needed(&g, high, top, GIB, 1), 110 * MIB, 160 * MIB);
        assert_in_range(governor_needed(&g, high - 1, top, GIB, 1), 256 * MIB, 256 * MIB);
        assert_int_equal(governor_needed(&(GovernorState) {}, SIZE_INFINITY, SIZE_INFINITY, SIZE_INFINITY, 1),
                         SIZE_INFINITY);
}

/* No raise was due: it did with what it had, though little was left. */
static void who_did_with_what_he_had_needed_no_more(void **state) {
        uint64_t id = submit();

        (void) state;
        finish(id, 63 * MIB);
        assert_int_equal(kit_query(&kit, id)->needed_bytes, 0);
        recall(100 * MIB);
        id = submit();
        finish(id, 99 * MIB);
        assert_int_equal(kit_query(&kit, id)->needed_bytes, 100 * MIB);
}

static void who_did_not_come_to_its_end_makes_it_more_and_never_less(void **state) {
        uint64_t id, before;

        (void) state;
        run_of(200 * MIB);
        before = kit_query(&kit, 1)->needed_bytes;
        id = submit();
        grow_to(id, 20 * MIB);
        assert_int_equal(end_canceled(id), before);
        id = submit();
        grow_to(id, 400 * MIB);
        assert_true(end_canceled(id) > 400 * MIB);
}

static EndedReport killed_at(uint64_t peak_bytes) {
        return (EndedReport) {
                .exit_status = -1,
                .exit_signal = SIGKILL,
                .numbers = { .events_oom = 1, .events_oom_kill = 1, .memory_peak_bytes = peak_bytes }
        };
}

static void whom_a_limit_ended_teaches_at_least_what_he_had(void **state) {
        Config c = kit.config;
        uint64_t id = submit();

        (void) state;
        kit_report(&kit, id, killed_at(64 * MIB), NULL);
        assert_int_equal(kit_query(&kit, id)->verdict, VERDICT_QUOTA);
        assert_int_equal(kit_query(&kit, id)->needed_bytes, 128 * MIB);

        kit_reopen(&c);
        id = submit_as((QuerySpec) { .max_bytes = 100 * MIB });
        kit_report(&kit, id, killed_at(64 * MIB), NULL);
        assert_int_equal(kit_query(&kit, id)->verdict, VERDICT_QUOTA);
        assert_int_equal(kit_query(&kit, id)->needed_bytes, 100 * MIB);
        id = submit();
        kit_need(&kit, id, 90 * MIB);
        assert_int_equal(kit_lease(id), 200 * MIB);
        kit_report(&kit, id,
                   (EndedReport) { .exit_status = -1,
                                   .exit_signal = SIGKILL,
                                   .numbers = { .events_oom_kill = 1,
                                                .above_oom = 1,
                                                .memory_peak_bytes = 90 * MIB } },
                   NULL);
        assert_int_equal(kit_query(&kit, id)->verdict, VERDICT_SLICE);
        assert_int_equal(kit_query(&kit, id)->needed_bytes, 200 * MIB);

        kit_reopen(&c);
        recall(128 * MIB);
        id = submit_as((QuerySpec) { .max_bytes = 100 * MIB });
        kit_report(&kit, id, killed_at(100 * MIB), NULL);
        assert_int_equal(kit_query(&kit, id)->verdict, VERDICT_MAXIMUM);
        assert_int_equal(kit_query(&kit, id)->needed_bytes, 128 * MIB);

        c.exhaustion_policy = EXHAUSTION_FAIL;
        c.max_memory_bytes = 512 * MIB;
        c.concurrency_quota = 2;
        c.per_query_bytes = 512 * MIB;
        kit_reopen(&c);
        kit_content(&kit, 448 * MIB);
        id = submit();
        kit_need(&kit, id, 62 * MIB);
        kit_report(&kit, id, killed_at(64 * MIB), NULL);
        assert_int_equal(kit_query(&kit, id)->verdict, VERDICT_BUDGET);
        assert_int_equal(kit_query(&kit, id)->needed_bytes, 128 * MIB);
}

static void one_that_never_ran_teaches_nothing(void **state) {
        const Error error = { .code = ERROR_EXECUTION_FAILED, .message = "no such program" };
        uint64_t id;

        (void) state;
        recall(100 * MIB);
        id = submit();
        kit_report(&kit, id, (EndedReport) { .start_failed = true, .numbers.memory_peak_bytes = 300 * MIB }, &error);
        assert_int_equal(kit_query(&kit, id)->needed_bytes, 0);
        kit_event(&kit, EVENT_PAUSE, 0);
        id = submit();
        kit_event(&kit, EVENT_CANCEL, id);
        assert_int_equal(kit_query(&kit, id)->needed_bytes, 0);
        kit_event(&kit, EVENT_RESUME, 0);
        assert_int_equal(kit_lease(submit()), 100 * MIB);
}

static void what_has_no_fingerprint_teaches_nothing(void **state) {
        uint64_t id = kit_plain(&kit);

        (void) state;
        grow_to(id, 200 * MIB);
        finish(id, 200 * MIB);
        assert_int_equal(kit_query(&kit, id)->needed_bytes, 0);
        assert_int_equal(kit_lease(kit_plain(&kit)), 64 * MIB);
}

/* Those that do with the usual quota would push out the others. */
static void who_needs_no_more_than_usual_takes_no_place(void **state) {
        (void) state;
        run_of(10 * MIB);
        assert_int_equal(kit_query(&kit, 1)->needed_bytes, 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                LEARNED_TEST(page_cache_is_not_what_it_needed),
                LEARNED_TEST(the_working_set_that_it_was_raised_for_is),
                LEARNED_TEST(who_did_with_what_he_had_needed_no_more),
                LEARNED_TEST(who_did_not_come_to_its_end_makes_it_more_and_never_less),
                LEARNED_TEST(whom_a_limit_ended_teaches_at_least_what_he_had),
                LEARNED_TEST(one_that_never_ran_teaches_nothing),
                LEARNED_TEST(what_has_no_fingerprint_teaches_nothing),
                LEARNED_TEST(who_needs_no_more_than_usual_takes_no_place),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
