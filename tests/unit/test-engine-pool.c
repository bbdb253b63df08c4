/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How memory is lent: raises, denials, limits read back, leftovers. */
#include <errno.h>

#include "engine-kit.h"

/* Raise @i of the query's profile. */
static ProfileRow raise_of(uint64_t id, unsigned i) {
        ProfileReader r = { .profile = &kit_query(&kit, id)->profile };

        do
                assert_true(profile_next_raise(&r));
        while (i-- > 0);
        return r.row;
}

static void it_grows_by_doubling_up_to_its_maximum(void **state) {
        static const uint64_t steps[] = { 128 * MIB, 256 * MIB, 512 * MIB, 832 * MIB };
        uint64_t id = kit_plain(&kit);

        (void) state;
        for (unsigned i = 0; i < ELEMENTSOF(steps); i++) {
                kit_pass(&kit, USEC_PER_SEC);
                kit_need(&kit, id, kit_lease(id) - MIB);
                assert_int_equal(kit_lease(id), steps[i]);
                assert_int_equal(kit_action(&kit, ACTION_SET_LIMITS, id)->limits.max_bytes, steps[i]);
                assert_true(kit_action(&kit, ACTION_SET_LIMITS, id)->limits.high_bytes < steps[i]);
                assert_int_equal(kit_query(&kit, id)->n_raises, i + 1);
                assert_int_equal(raise_of(id, i).new_bytes, steps[i]);
                assert_int_equal(raise_of(id, i).time_usec, (i + 1) * USEC_PER_SEC);
                assert_int_equal(kit_notes(&kit, NOTE_RAISE, id), 1);
        }
        assert_int_equal(kit_unused(), 0);
}

static void a_maximum_that_is_no_power_of_two_is_reached_exactly(void **state) {
        static const uint64_t steps[] = { 128 * MIB, 256 * MIB, 300 * MIB + 4096 };
        uint64_t id = kit_submit(&kit, (QuerySpec) { .max_bytes = 300 * MIB + 4096 });

        (void) state;
        for (unsigned i = 0; i < ELEMENTSOF(steps); i++) {
                kit_need(&kit, id, kit_lease(id));
                assert_int_equal(kit_lease(id), steps[i]);
        }
        /* At the ceiling the brake is off: over its maximum it fails at once instead of crawling. */
        assert_int_equal(kit_action(&kit, ACTION_SET_LIMITS, id)->limits.high_bytes, SIZE_INFINITY);
        kit_need(&kit, id, kit_lease(id));
        assert_int_equal(kit.n_log, 0);
        assert_int_equal(engine_deadline(kit.engine), USEC_INFINITY);
}

static void a_query_at_its_ceiling_from_the_start_has_no_brake(void **state) {
        kit_submit(&kit, (QuerySpec) { .max_bytes = 64 * MIB });

        (void) state;
        assert_int_equal(kit_action(&kit, ACTION_EXECUTE, 1)->limits.high_bytes, SIZE_INFINITY);
        assert_int_equal(kit_action(&kit, ACTION_EXECUTE, 1)->limits.max_bytes, 64 * MIB);
}

static void the_rest_of_the_pool_is_given_when_it_cannot_double(void **state) {
        Config c = kit_pool_config(2, 400 * MIB + 4095);

        (void) state;
        kit_reopen(&c);
        kit_plain(&kit);
        kit_need(&kit, 1, 63 * MIB);
        kit_need(&kit, 1, 127 * MIB);
        assert_int_equal(kit_lease(1), 256 * MIB);
        kit_need(&kit, 1, 255 * MIB);
        assert_int_equal(kit_lease(1), 336 * MIB); /* whole pages */
        assert_int_equal(kit_unused(), 4095);
}

static void a_raise_it_does_not_need_is_not_made(void **state) {
        (void) state;
        kit_plain(&kit);
        kit_need(&kit, 1, 30 * MIB);
        kit_sample(&kit, 1, (Sample) { .file_bytes = 60 * MIB, .inactive_file_bytes = 60 * MIB,
                                       .current_bytes = 64 * MIB, .pids = 1, .events_high = 900, .events_max = 12 });
        assert_int_equal(kit_lease(1), 64 * MIB);
        assert_int_equal(kit_query(&kit, 1)->n_raises, 0);
}

static void new_threads_get_more_headroom(void **state) {
        Sample s = kit_anonymous(10 * MIB);

        (void) state;
        kit_plain(&kit);
        s.pids = 48;
        kit_sample(&kit, 1, s);
        assert_int_equal(kit_action(&kit, ACTION_SET_LIMITS, 1)->limits.high_bytes, 40 * MIB);
        assert_int_equal(kit_action(&kit, ACTION_SET_LIMITS, 1)->limits.max_bytes, 64 * MIB);
        kit_sample(&kit, 1, s);
        assert_int_equal(kit_saw(&kit, ACTION_SET_LIMITS, 1), 0);
        s.pids = 2; /* and keep it: threads come and go */
        kit_sample(&kit, 1, s);
        assert_int_equal(kit_saw(&kit, ACTION_SET_LIMITS, 1), 0);
}

static void the_quota_is_what_the_kernel_read_back(void **state) {
        (void) state;
        kit.slow_limits = true;
        kit_plain(&kit);
        assert_int_equal(kit_query(&kit, 1)->quota_bytes, 0);
        kit_limits(&kit, 1, 0, 60 * MIB); /* someone has a lower cap: that is what it has */
        assert_int_equal(kit_query(&kit, 1)->quota_bytes, 60 * MIB);
        kit_limits(&kit, 1, -ENODEV, 0); /* its group is gone, its end is on the way */
        assert_int_equal(kit_query(&kit, 1)->quota_bytes, 60 * MIB);
        assert_int_equal(kit_state(&kit, 1), QUERY_EXECUTING);
}

static void a_limit_that_was_not_set_ends_the_query(void **state) {
        static const struct {
                int r;
                uint64_t max_bytes;
        } failures[] = { { -EACCES, 0 }, { 0, 64 * MIB + 4096 }, { 0, SIZE_INFINITY } };

        (void) state;
        for (unsigned i = 0; i < ELEMENTSOF(failures); i++) {
                uint64_t id;

                kit.slow_limits = true;
                id = kit_plain(&kit);
                kit_limits(&kit, id, failures[i].r, failures[i].max_bytes);
                assert_int_equal(kit_notes(&kit, NOTE_LIMIT_FAILED, id), 1);
                assert_int_equal(kit_saw(&kit, ACTION_KILL, id), 1);
                assert_int_equal(kit_state(&kit, id), QUERY_ERRORED);
                assert_int_equal(kit_query(&kit, id)->error.code, ERROR_INTERNAL);
        }
}

static void the_latency_of_a_raise_is_its_own(void **state) {
        Sample s = kit_anonymous(70 * MIB);

        (void) state;
        kit.slow_limits = true;
        kit_plain(&kit);
        kit_limits(&kit, 1, 0, 64 * MIB);
        kit_need(&kit, 1, 60 * MIB);
        kit.n_log = 0;
        kit_step(&kit, (Event) { .type = EVENT_LIMITS, .query_id = 1, .limits = { 0, 128 * MIB, 17 } });
        assert_int_equal(raise_of(1, 0).latency_usec, 17);
        s.pids = 60; /* memory.high moves, no raise */
        kit_sample(&kit, 1, s);
        kit_step(&kit, (Event) { .type = EVENT_LIMITS, .query_id = 1, .limits = { 0, 128 * MIB, 99 } });
        assert_int_equal(raise_of(1, 0).latency_usec, 17);
}

static void raises_are_counted_beyond_those_kept(void **state) {
        ProfileReader r = { .profile = NULL };
        Config c = kit_pool_config(2, 1100 * MIB);
        uint64_t n_kept = 0, n_thinned = 0;

        (void) state;
        /* A neighbour gives its memory back drop by drop, and it takes each drop. */
        c.per_query_bytes = 1000 * MIB;
        c.initial_bytes = MIB;
        c.exhaustion_policy = EXHAUSTION_FAIL;
        kit_reopen(&c);
        kit_plain(&kit);
        for (unsigned i = 0; i < 400; i++) {
                c.max_memory_bytes = 4 * MIB + i * MIB;
                c.per_query_bytes = MIN(c.max_memory_bytes, 1000 * MIB);
                kit_reload(&kit, &c);
                kit_need(&kit, 1, kit_lease(1));
        }
        assert_true(kit_query(&kit, 1)->n_raises > PROFILE_ROWS_MAX);
        r.profile = &kit_query(&kit, 1)->profile;
        for (; profile_next_raise(&r); n_kept++)
                n_thinned += r.row.thinned_rows;
        assert_true(n_kept > PROFILE_ROWS_MAX / 4 && n_kept < PROFILE_ROWS_MAX);
        assert_int_equal(n_kept + n_thinned, kit_query(&kit, 1)->n_raises);
}

static void near_its_limit_is_not_there_yet(void **state) {
        uint64_t high;

        (void) state;
        kit_one_has_the_pool(EXHAUSTION_FREEZE);
        high = kit_action(&kit, ACTION_EXECUTE, 2)->limits.high_bytes;
        kit_need(&kit, 2, high - 1);
        assert_false(kit_frozen(2));
        assert_int_equal(kit_notes(&kit, NOTE_DENIED, 2), 0);
        kit_need(&kit, 2, high);
        assert_true(kit_frozen(2));
        assert_int_equal(kit_saw(&kit, ACTION_FREEZE, 2), 1);
        assert_int_equal(kit_notes(&kit, NOTE_DENIED, 2), 1);
}

static void a_query_at_rest_near_its_limit_is_let_alone(void **state) {
        (void) state;
        kit_one_has_the_pool(EXHAUSTION_FREEZE);
        kit_need(&kit, 2, 47 * MIB);
        for (unsigned i = 0; i < 20 && engine_deadline(kit.engine) != USEC_INFINITY; i++) {
                kit_pass(&kit, engine_deadline(kit.engine) - kit.now_usec);
                assert_int_equal(kit_saw(&kit, ACTION_SAMPLE, 2), 1);
                kit_need(&kit, 2, 47 * MIB);
        }
        assert_int_equal(engine_deadline(kit.engine), USEC_INFINITY);
        /* But it is looked at when there is something to have. */
        kit_exit(&kit, 1, 0);
        assert_int_equal(kit_saw(&kit, ACTION_SAMPLE, 2), 1);
        kit_need(&kit, 2, 47 * MIB);
        assert_int_equal(kit_lease(2), 128 * MIB);
}

static void who_was_refused_is_looked_at_when_a_dead_unit_is_gone_too(void **state) {
        (void) state;
        kit_one_has_the_pool(EXHAUSTION_FAIL);
        kit_need(&kit, 2, 60 * MIB);
        kit.slow_units = true;
        kit_report(&kit, 1, (EndedReport) { .numbers.residual_bytes = 384 * MIB }, NULL);
        kit_need(&kit, 2, 60 * MIB);
        assert_int_equal(kit_lease(2), 64 * MIB);
        kit_gone(&kit, 1);
        assert_int_equal(kit_saw(&kit, ACTION_SAMPLE, 2), 1);
        assert_true(engine_deadline(kit.engine) > kit.now_usec + USEC_PER_SEC); /* asked for, and not once more */
        kit_event(&kit, EVENT_CANCEL, 2);
        kit_plain(&kit);
        kit_exit(&kit, 3, 0);
        assert_int_equal(kit_saw(&kit, ACTION_SAMPLE, 2), 0); /* who is ending needs none */
}

static void a_query_that_was_paid_is_watched_anew_at_its_next_limit(void **state) {
        (void) state;
        kit_one_has_the_pool(EXHAUSTION_FREEZE);
        for (unsigned i = 0; i < 3; i++)
                kit_need(&kit, 2, 55 * MIB);
        kit_content(&kit, 300 * MIB);
        kit_exit(&kit, 1, 0); /* 3 had waited for it and takes 236M; 148M are left */
        kit_need(&kit, 2, 55 * MIB);
        assert_int_equal(kit_lease(2), 128 * MIB);
        kit_need(&kit, 2, 127 * MIB);
        assert_true(kit_lease(2) > 128 * MIB);
        kit_need(&kit, 2, kit_lease(2) * 80 / 100);
        assert_int_equal(engine_deadline(kit.engine), kit.now_usec + GOVERNOR_SAMPLE_MIN_USEC);
}

static void a_query_that_creeps_near_its_limit_is_watched(void **state) {
        (void) state;
        kit_one_has_the_pool(EXHAUSTION_FREEZE);
        for (unsigned i = 0; i < 20; i++) {
                kit_need(&kit, 2, 42 * MIB + i * 256 * KIB);
                assert_true(engine_deadline(kit.engine) <= kit.now_usec + GOVERNOR_SAMPLE_MIN_USEC);
                kit_pass(&kit, GOVERNOR_SAMPLE_MIN_USEC);
        }
}

static void under_fail_the_brake_goes_and_the_kernel_decides(void **state) {
        (void) state;
        kit_one_has_the_pool(EXHAUSTION_FAIL);
        kit_need(&kit, 2, 60 * MIB);
        assert_false(kit_frozen(2));
        assert_int_equal(kit_action(&kit, ACTION_SET_LIMITS, 2)->limits.high_bytes, SIZE_INFINITY);
        assert_int_equal(kit_action(&kit, ACTION_SET_LIMITS, 2)->limits.max_bytes, 64 * MIB);
        kit_need(&kit, 2, 61 * MIB);
        assert_int_equal(kit_saw(&kit, ACTION_SET_LIMITS, 2) + kit_notes(&kit, NOTE_DENIED, 2), 0); /* said once */
        assert_int_equal(kit_query(&kit, 2)->n_denied, 1);
        kit_report(&kit, 2,
                   (EndedReport) { .exit_status = -1, .exit_signal = SIGKILL,
                                   .numbers = { .events_oom = 1, .events_oom_kill = 1, .memory_peak_bytes = 64 * MIB } },
                   NULL);
        assert_int_equal(kit_query(&kit, 2)->error.code, ERROR_MEMORY_BUDGET_EXHAUSTED);
        assert_int_equal(kit_query(&kit, 2)->verdict, VERDICT_BUDGET);
}

static void under_fail_it_may_still_be_saved_in_time(void **state) {
        (void) state;
        kit_one_has_the_pool(EXHAUSTION_FAIL);
        kit_need(&kit, 2, 60 * MIB);
        kit_exit(&kit, 1, 0);
        assert_int_equal(kit_saw(&kit, ACTION_SAMPLE, 2), 1);
        kit_need(&kit, 2, 60 * MIB);
        assert_int_equal(kit_action(&kit, ACTION_SET_LIMITS, 2)->limits.max_bytes, 128 * MIB);
        assert_true(kit_action(&kit, ACTION_SET_LIMITS, 2)->limits.high_bytes < 128 * MIB);
        assert_false(kit_query(&kit, 2)->denied);
}

/* Its maximum, the pool and the time to raise it are all there by then. */
static void under_fail_the_brake_comes_back_when_what_it_has_does(void **state) {
        Sample s = kit_anonymous(20 * MIB);

        (void) state;
        kit_one_has_the_pool(EXHAUSTION_FAIL);
        kit_need(&kit, 2, 60 * MIB);
        s.current_bytes = 56 * MIB; /* the rest is page cache: nothing is reclaimed for the brake */
        kit_sample(&kit, 2, s);
        assert_int_equal(kit_action(&kit, ACTION_SET_LIMITS, 2)->limits.high_bytes, 56 * MIB);
        assert_false(kit_query(&kit, 2)->headroom_off || kit_query(&kit, 2)->denied);
        kit_need(&kit, 2, 20 * MIB);
        assert_int_equal(kit_action(&kit, ACTION_SET_LIMITS, 2)->limits.high_bytes, 48 * MIB);
        kit_exit(&kit, 1, 0);
        kit_report(&kit, 2,
                   (EndedReport) { .exit_status = -1, .exit_signal = SIGKILL,
                                   .numbers = { .events_oom = 1, .events_oom_kill = 1, .memory_peak_bytes = 64 * MIB } },
                   NULL);
        assert_int_equal(kit_query(&kit, 2)->verdict, VERDICT_QUOTA); /* the budget had more to give */
}

/* It is looked at while it dies: the processes that are gone need nothing any more. */
static void under_fail_who_was_denied_and_killed_for_it_ends_by_the_budget(void **state) {
        Sample s = kit_anonymous(8 * MIB);

        (void) state;
        kit_one_has_the_pool(EXHAUSTION_FAIL);
        kit_need(&kit, 2, 60 * MIB);
        s.events_oom = s.events_oom_kill = 1;
        kit_sample(&kit, 2, s);
        assert_int_equal(kit_saw(&kit, ACTION_SET_LIMITS, 2), 0);
        kit_report(&kit, 2,
                   (EndedReport) { .exit_status = -1, .exit_signal = SIGKILL,
                                   .numbers = { .events_oom = 1, .events_oom_kill = 1, .memory_peak_bytes = 64 * MIB } },
                   NULL);
        assert_int_equal(kit_query(&kit, 2)->verdict, VERDICT_BUDGET);
}

static void who_was_refused_under_fail_is_braked_again_when_it_may_wait(void **state) {
        Config c;

        (void) state;
        kit_one_has_the_pool(EXHAUSTION_FAIL);
        kit_need(&kit, 2, 60 * MIB);
        c = kit.config;
        c.exhaustion_policy = EXHAUSTION_FREEZE;
        kit_reload(&kit, &c);
        kit_need(&kit, 2, 47 * MIB); /* near is not there yet */
        assert_false(kit_frozen(2));
        assert_int_equal(kit_action(&kit, ACTION_SET_LIMITS, 2)->limits.high_bytes, 48 * MIB);
        kit_need(&kit, 2, 48 * MIB);
        assert_true(kit_frozen(2));
}

static void leftovers_are_subtracted_until_the_unit_is_gone(void **state) {
        (void) state;
        kit_plain(&kit);
        kit.slow_units = true;
        kit_report(&kit, 1, (EndedReport) { .numbers.residual_bytes = 100 * MIB }, NULL);
        assert_int_equal(kit_unused(), 668 * MIB);
        assert_int_equal(engine_budget(kit.engine)->leftover_bytes, 100 * MIB);
        kit_event(&kit, EVENT_DONE, 1); /* a release does not free it */
        assert_int_equal(kit_unused(), 668 * MIB);
        kit_gone(&kit, 1);
        assert_int_equal(kit_unused(), 768 * MIB);
        kit_gone(&kit, 1);
        assert_int_equal(kit_unused(), 768 * MIB);
}

static void leftovers_of_several_add_up(void **state) {
        (void) state;
        kit.slow_units = true;
        for (uint64_t id = 1; id <= 3; id++) {
                kit_plain(&kit);
                kit_ready(&kit, id);
                kit_report(&kit, id, (EndedReport) { .numbers.residual_bytes = id * MIB }, NULL);
        }
        assert_int_equal(engine_budget(kit.engine)->leftover_bytes, 6 * MIB);
        kit_gone(&kit, 2);
        assert_int_equal(engine_budget(kit.engine)->leftover_bytes, 4 * MIB);
}

static void samples_of_the_frozen_are_void(void **state) {
        (void) state;
        kit_one_has_the_pool(EXHAUSTION_FREEZE);
        kit_need(&kit, 2, 60 * MIB);
        kit_need(&kit, 2, 64 * MIB);
        assert_int_equal(kit.n_log, 0);
}

static void a_query_that_is_asked_to_end_gets_no_more_and_is_not_frozen(void **state) {
        (void) state;
        kit_plain(&kit);
        kit.slow_kills = true;
        kit_event(&kit, EVENT_CANCEL, 1);
        kit_need(&kit, 1, 63 * MIB);
        assert_int_equal(kit.n_log, 0);
        assert_int_equal(kit_lease(1), 64 * MIB);
}

static void the_pool_is_whole_when_all_have_ended(void **state) {
        (void) state;
        for (int i = 0; i < 4; i++)
                kit_plain(&kit);
        for (unsigned i = 0; i < 12; i++)
                kit_need(&kit, i % 4 + 1, kit_lease(i % 4 + 1) - MIB);
        for (uint64_t id = 1; id <= 4; id++)
                if (kit_state(&kit, id) == QUERY_EXECUTING)
                        kit_exit(&kit, id, (int) id - 1);
        assert_int_equal(kit_unused(), 768 * MIB);
        assert_int_equal(budget_leased_bytes(engine_budget(kit.engine)), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                KIT_TEST(it_grows_by_doubling_up_to_its_maximum),
                KIT_TEST(a_maximum_that_is_no_power_of_two_is_reached_exactly),
                KIT_TEST(a_query_at_its_ceiling_from_the_start_has_no_brake),
                KIT_TEST(the_rest_of_the_pool_is_given_when_it_cannot_double),
                KIT_TEST(a_raise_it_does_not_need_is_not_made),
                KIT_TEST(new_threads_get_more_headroom),
                KIT_TEST(the_quota_is_what_the_kernel_read_back),
                KIT_TEST(a_limit_that_was_not_set_ends_the_query),
                KIT_TEST(the_latency_of_a_raise_is_its_own),
                KIT_TEST(raises_are_counted_beyond_those_kept),
                KIT_TEST(near_its_limit_is_not_there_yet),
                KIT_TEST(a_query_at_rest_near_its_limit_is_let_alone),
                KIT_TEST(who_was_refused_is_looked_at_when_a_dead_unit_is_gone_too),
                KIT_TEST(a_query_that_was_paid_is_watched_anew_at_its_next_limit),
                KIT_TEST(a_query_that_creeps_near_its_limit_is_watched),
                KIT_TEST(under_fail_the_brake_goes_and_the_kernel_decides),
                KIT_TEST(under_fail_it_may_still_be_saved_in_time),
                KIT_TEST(under_fail_the_brake_comes_back_when_what_it_has_does),
                KIT_TEST(under_fail_who_was_denied_and_killed_for_it_ends_by_the_budget),
                KIT_TEST(who_was_refused_under_fail_is_braked_again_when_it_may_wait),
                KIT_TEST(leftovers_are_subtracted_until_the_unit_is_gone),
                KIT_TEST(leftovers_of_several_add_up),
                KIT_TEST(samples_of_the_frozen_are_void),
                KIT_TEST(a_query_that_is_asked_to_end_gets_no_more_and_is_not_frozen),
                KIT_TEST(the_pool_is_whole_when_all_have_ended),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
