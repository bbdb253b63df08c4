/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "core/governor.h"

#define QUOTA (64 * MIB)
#define MAXIMUM GIB
#define MSEC USEC_PER_MSEC

/* A query of one thread that holds @bytes of its own memory. */
static Sample holding(uint64_t bytes) {
        return (Sample) { .anon_bytes = bytes, .active_anon_bytes = bytes, .current_bytes = bytes, .pids = 1,
                          .has_psi = true };
}

static uint64_t high(void) {
        return governor_high(QUOTA, MAXIMUM, 1);
}

/* Need at which a raise is due. */
static uint64_t threshold(void) {
        return high() - QUOTA / GOVERNOR_MARGIN_DIVISOR;
}

/* The six shapes of kernel-notes.md; the need of each is what it can't give back. */
static void need_is_right_in_each_measured_shape(void **state) {
        static const struct {
                const char *what;
                Sample s;
                uint64_t need;
        } shapes[] = {
                { "plain", { .anon_bytes = 200 * MIB, .active_anon_bytes = 150 * MIB, .inactive_anon_bytes = 50 * MIB },
                  200 * MIB },
                { "MADV_FREE", { .anon_bytes = 200 * MIB, .inactive_file_bytes = 200 * MIB }, 0 },
                { "split huge pages, freed but for a few bytes",
                  { .anon_bytes = 8 * MIB, .active_anon_bytes = 100 * MIB, .inactive_anon_bytes = 100 * MIB }, 8 * MIB },
                { "mlock", { .anon_bytes = 100 * MIB, .unevictable_bytes = 100 * MIB }, 100 * MIB },
                { "tmpfs", { .file_bytes = 100 * MIB, .shmem_bytes = 100 * MIB, .inactive_anon_bytes = 100 * MIB },
                  100 * MIB },
                { "page cache", { .file_bytes = 400 * MIB, .inactive_file_bytes = 300 * MIB, .active_file_bytes = 100 * MIB },
                  0 },
                { "page tables", { .anon_bytes = 3 * MIB, .active_anon_bytes = 3 * MIB, .kernel_bytes = 64 * MIB },
                  67 * MIB },
        };

        (void) state;
        for (unsigned i = 0; i < ELEMENTSOF(shapes); i++)
                if (governor_need(&shapes[i].s, QUOTA) != shapes[i].need)
                        fail_msg("%s: %llu", shapes[i].what,
                                 (unsigned long long) governor_need(&shapes[i].s, QUOTA));
}

static void unwritten_pages_count_beyond_a_quarter_of_the_quota(void **state) {
        Sample s = { .file_bytes = 60 * MIB, .file_dirty_bytes = 10 * MIB, .file_writeback_bytes = 6 * MIB };

        (void) state;
        assert_int_equal(governor_need(&s, QUOTA), 0);
        s.file_writeback_bytes++;
        assert_int_equal(governor_need(&s, QUOTA), 1);
}

static void headroom_follows_the_threads_up_to_half(void **state) {
        (void) state;
        assert_int_equal(governor_headroom(100 * MIB, 1), 12 * MIB);
        assert_int_equal(governor_headroom(100 * MIB, 24), 12 * MIB);
        assert_int_equal(governor_headroom(100 * MIB, 25), 25 * 512 * KIB);
        assert_int_equal(governor_headroom(100 * MIB, 99), 99 * 512 * KIB);
        assert_int_equal(governor_headroom(100 * MIB, 101), 50 * MIB);
        assert_int_equal(governor_headroom(100 * MIB, UINT64_MAX), 50 * MIB);
        assert_int_equal(governor_headroom(MIB, 1), 512 * KIB);
        assert_int_equal(governor_headroom(0, 1), 0);
}

static void the_brake_is_off_at_the_maximum_and_only_there(void **state) {
        (void) state;
        assert_int_equal(governor_high(MAXIMUM, MAXIMUM, 1), SIZE_INFINITY);
        assert_int_equal(governor_high(MAXIMUM + 4096, MAXIMUM, 1), SIZE_INFINITY);
        assert_true(governor_high(MAXIMUM - 4096, MAXIMUM, 1) < MAXIMUM - 4096);
        assert_int_equal(governor_high(MAXIMUM - 4096, MAXIMUM, 1) % 4096, 0);
        assert_int_equal(governor_high(SIZE_INFINITY, SIZE_INFINITY, 1), SIZE_INFINITY);
}

static void a_raise_is_due_at_the_threshold_and_not_a_byte_before(void **state) {
        GovernorState g = {};
        Sample s = holding(threshold() - 1);
        GovernorDecision d;

        (void) state;
        d = governor_judge(&g, &s, QUOTA, MAXIMUM, 1000);
        assert_int_equal(d.cause, RAISE_NONE);
        assert_int_equal(d.want_bytes, QUOTA);
        g = (GovernorState) {};
        s = holding(threshold());
        d = governor_judge(&g, &s, QUOTA, MAXIMUM, 1000);
        assert_int_equal(d.cause, RAISE_NEED);
        assert_int_equal(d.want_bytes, 2 * QUOTA);
        assert_int_equal(d.need_bytes, threshold());
}

static void at_the_ceiling_it_never_asks_for_more(void **state) {
        GovernorState g = {};
        Sample s = holding(QUOTA);
        GovernorDecision d = governor_judge(&g, &s, QUOTA, QUOTA, 1000);

        (void) state;
        assert_int_equal(d.cause, RAISE_NONE);
        assert_int_equal(d.sample_after_usec, 0);
}

static void it_wants_what_the_need_fits_in_and_never_past_the_maximum(void **state) {
        static const struct {
                uint64_t need, maximum, want;
        } rows[] = {
                { 60 * MIB, GIB, 128 * MIB },       { 120 * MIB, GIB, 256 * MIB },
                { 700 * MIB, GIB, 1024 * MIB },     { 5000 * MIB, GIB, 1024 * MIB },
                { 60 * MIB, 128 * MIB, 128 * MIB }, { 60 * MIB, 128 * MIB - 4096, 128 * MIB - 4096 },
                { 60 * MIB, 100 * MIB, 100 * MIB }, { 60 * MIB, 128 * MIB + 4096, 128 * MIB },
                { 60 * MIB, QUOTA + 4096, QUOTA + 4096 }, { 60 * MIB, SIZE_INFINITY, 128 * MIB },
        };

        (void) state;
        for (unsigned i = 0; i < ELEMENTSOF(rows); i++) {
                GovernorState g = {};
                Sample s = holding(rows[i].need);

                assert_int_equal(governor_judge(&g, &s, QUOTA, rows[i].maximum, 1).want_bytes, rows[i].want);
        }
}

static void fast_growth_is_met_ahead(void **state) {
        GovernorState g = {};
        Sample s = holding(10 * MIB);
        GovernorDecision d;

        (void) state;
        governor_judge(&g, &s, QUOTA, MAXIMUM, 0);
        s = holding(34 * MIB); /* 24M in 50 ms: 58M in another 50 */
        d = governor_judge(&g, &s, QUOTA, MAXIMUM, 50 * MSEC);
        assert_int_equal(d.cause, RAISE_RATE);
        assert_int_equal(d.want_bytes, 128 * MIB);
        g = (GovernorState) {};
        s = holding(10 * MIB);
        governor_judge(&g, &s, QUOTA, MAXIMUM, 0);
        s = holding(34 * MIB); /* the same in a second is no hurry */
        assert_int_equal(governor_judge(&g, &s, QUOTA, MAXIMUM, 1000 * MSEC).cause, RAISE_NONE);
}

static void shrinking_or_standing_still_is_no_growth(void **state) {
        GovernorState g = {};
        Sample s = holding(40 * MIB);

        (void) state;
        governor_judge(&g, &s, QUOTA, MAXIMUM, 0);
        assert_int_equal(governor_judge(&g, &s, QUOTA, MAXIMUM, 0).cause, RAISE_NONE);
        s = holding(MIB);
        assert_int_equal(governor_judge(&g, &s, QUOTA, MAXIMUM, 1).cause, RAISE_NONE);
}

static void two_samples_at_the_same_time_are_no_rate(void **state) {
        GovernorState g = {};
        Sample s = holding(MIB);

        (void) state;
        governor_judge(&g, &s, QUOTA, MAXIMUM, 7);
        s = holding(30 * MIB);
        assert_int_equal(governor_judge(&g, &s, QUOTA, MAXIMUM, 7).cause, RAISE_NONE);
}

static void page_cache_at_the_limit_is_no_reason(void **state) {
        GovernorState g = {};
        Sample s = { .file_bytes = 62 * MIB, .inactive_file_bytes = 62 * MIB, .current_bytes = QUOTA, .pids = 1,
                     .has_psi = true };

        (void) state;
        for (unsigned i = 0; i < 100; i++) {
                s.events_high += 14;
                s.events_max += 3;
                assert_int_equal(governor_judge(&g, &s, QUOTA, MAXIMUM, i * 20 * MSEC).cause, RAISE_NONE);
        }
}

static void charges_that_hit_the_limit_with_need_are_a_reason(void **state) {
        GovernorState g = {};
        Sample s = holding(QUOTA / 2);

        (void) state;
        assert_int_equal(governor_judge(&g, &s, QUOTA, MAXIMUM, 0).cause, RAISE_NONE);
        s.events_max = 1;
        assert_int_equal(governor_judge(&g, &s, QUOTA, MAXIMUM, MSEC).cause, RAISE_MAX);
        assert_int_equal(governor_judge(&g, &s, QUOTA, MAXIMUM, 2 * MSEC).cause, RAISE_NONE); /* the same one */
        g = (GovernorState) {};
        assert_int_equal(governor_judge(&g, &s, QUOTA, MAXIMUM, 0).cause, RAISE_MAX); /* in the first sample too */
        g = (GovernorState) {};
        s = holding(QUOTA / 2 - 1);
        s.events_max = 1;
        assert_int_equal(governor_judge(&g, &s, QUOTA, MAXIMUM, 0).cause, RAISE_NONE);
}

static void re_reading_with_stall_is_need_and_one_scan_is_not(void **state) {
        GovernorState g = {};
        Sample s = { .file_bytes = 60 * MIB, .pids = 1, .has_psi = true, .workingset_refault_file = 1000 };
        const uint64_t quarter = QUOTA / 4 / 4096;

        (void) state;
        governor_judge(&g, &s, QUOTA, MAXIMUM, 0);
        /* A scan: stall, but no page comes back. */
        s.stall_some_usec = 900 * MSEC;
        assert_int_equal(governor_judge(&g, &s, QUOTA, MAXIMUM, 1000 * MSEC).cause, RAISE_NONE);
        s.workingset_refault_file += quarter - 1;
        assert_int_equal(governor_judge(&g, &s, QUOTA, MAXIMUM, 2000 * MSEC).cause, RAISE_NONE);
        s.workingset_refault_file++;
        assert_int_equal(governor_judge(&g, &s, QUOTA, MAXIMUM, 2000 * MSEC).cause, RAISE_REFAULT);
        /* Counted anew from there. */
        assert_int_equal(governor_judge(&g, &s, QUOTA, MAXIMUM, 2001 * MSEC).cause, RAISE_NONE);
}

static void anonymous_pages_that_come_back_count_as_re_reading(void **state) {
        GovernorState g = {};
        Sample s = { .pids = 1, .has_psi = true, .workingset_refault_file = 7, .workingset_refault_anon = 1000 };

        (void) state;
        governor_judge(&g, &s, QUOTA, MAXIMUM, 0);
        s.stall_some_usec = 1000 * MSEC;
        s.workingset_refault_anon += QUOTA / 4 / 4096 - 1;
        assert_int_equal(governor_judge(&g, &s, QUOTA, MAXIMUM, 1000 * MSEC).cause, RAISE_NONE);
        s.workingset_refault_anon++;
        assert_int_equal(governor_judge(&g, &s, QUOTA, MAXIMUM, 1000 * MSEC).cause, RAISE_REFAULT);
}

static void stall_is_judged_since_the_last_raise_to_the_microsecond(void **state) {
        GovernorState g = {};
        Sample s = holding(60 * MIB);

        (void) state;
        governor_judge(&g, &s, QUOTA, MAXIMUM, 0);
        assert_int_equal(governor_judge(&g, &s, QUOTA, MAXIMUM, 100000 * MSEC).cause, RAISE_NEED);
        s = (Sample) { .pids = 1, .has_psi = true, .workingset_refault_file = QUOTA / 4096 };
        s.stall_some_usec = 75 * MSEC - 1; /* 5 % of one and a half seconds */
        assert_int_equal(governor_judge(&g, &s, QUOTA, MAXIMUM, 101500 * MSEC).cause, RAISE_NONE);
        s.stall_some_usec++;
        assert_int_equal(governor_judge(&g, &s, QUOTA, MAXIMUM, 101500 * MSEC).cause, RAISE_REFAULT);
}

static void re_reading_without_stall_is_no_need(void **state) {
        GovernorState g = {};
        Sample s = { .pids = 1, .has_psi = true };

        (void) state;
        governor_judge(&g, &s, QUOTA, MAXIMUM, 0);
        s.workingset_refault_file = QUOTA / 4096;
        s.stall_some_usec = 50 * MSEC - 1; /* 5 % of a second */
        assert_int_equal(governor_judge(&g, &s, QUOTA, MAXIMUM, 1000 * MSEC).cause, RAISE_NONE);
        s.stall_some_usec++;
        assert_int_equal(governor_judge(&g, &s, QUOTA, MAXIMUM, 1000 * MSEC).cause, RAISE_REFAULT);
        g = (GovernorState) {};
        s = (Sample) { .pids = 1, .has_psi = false };
        governor_judge(&g, &s, QUOTA, MAXIMUM, 0);
        s.workingset_refault_file = QUOTA / 4096; /* nothing else to go by */
        assert_int_equal(governor_judge(&g, &s, QUOTA, MAXIMUM, 1000 * MSEC).cause, RAISE_REFAULT);
}

static void a_query_at_rest_is_not_sampled(void **state) {
        GovernorState g = {};
        Sample small = holding(QUOTA / 2 - 1), half = holding(QUOTA / 2);
        uint64_t now = 0, pauses = 0;
        GovernorDecision d;

        (void) state;
        assert_int_equal(governor_judge(&g, &small, QUOTA, MAXIMUM, now).sample_after_usec, 0);
        do {
                d = governor_judge(&g, &half, QUOTA, MAXIMUM, now);
                assert_true(d.sample_after_usec == 0 || (d.sample_after_usec >= GOVERNOR_SAMPLE_MIN_USEC &&
                                                         d.sample_after_usec <= GOVERNOR_SAMPLE_MAX_USEC));
                now += d.sample_after_usec;
                assert_true(pauses++ < 20);
        } while (d.sample_after_usec);
        assert_true(pauses > 3);
}

static void growth_in_the_upper_half_is_watched_closely(void **state) {
        GovernorState g = {};

        (void) state;
        for (uint64_t i = 0; i < 20; i++) {
                Sample s = holding(QUOTA / 2 + i * 64 * KIB);

                assert_int_equal(governor_judge(&g, &s, QUOTA, MAXIMUM, i * 20 * MSEC).sample_after_usec,
                                 GOVERNOR_SAMPLE_MIN_USEC);
        }
}

static void each_cause_has_a_name(void **state) {
        (void) state;
        for (unsigned a = 0; a < _RAISE_CAUSE_MAX; a++)
                for (unsigned b = 0; b < a; b++)
                        assert_string_not_equal(raise_cause_name((RaiseCause) a), raise_cause_name((RaiseCause) b));
}

/* Whatever the kernel says, the answer keeps its bounds. */
static void any_sample_gets_an_answer_within_bounds(void **state) {
        uint64_t seed = 42;

        (void) state;
        for (unsigned i = 0; i < 20000; i++) {
                GovernorState g = {};
                uint64_t v[24], quota, maximum, now = 0;

                for (unsigned j = 0; j < 3; j++) {
                        GovernorDecision d;
                        Sample s;

                        for (unsigned k = 0; k < ELEMENTSOF(v); k++) {
                                seed = seed * 6364136223846793005u + 1442695040888963407u;
                                v[k] = (seed >> 20) % (UINT64_C(1) << ((seed >> 10) % 36));
                        }
                        maximum = MAX(v[0], MIB);
                        quota = MIN(MAX(v[1], MIB), maximum);
                        s = (Sample) { .anon_bytes = v[2], .shmem_bytes = v[3], .active_anon_bytes = v[4],
                                       .inactive_anon_bytes = v[5], .unevictable_bytes = v[6], .kernel_bytes = v[7],
                                       .file_dirty_bytes = v[8], .workingset_refault_file = v[9], .events_max = v[10],
                                       .stall_some_usec = v[11], .pids = v[12], .has_psi = v[13] & 1 };
                        now += v[14] % (10 * USEC_PER_SEC);
                        d = governor_judge(&g, &s, quota, maximum, now);
                        assert_true(d.want_bytes <= maximum);
                        assert_true(d.want_bytes >= quota);
                        assert_int_equal(d.cause != RAISE_NONE, d.want_bytes > quota);
                        assert_true(d.sample_after_usec <= GOVERNOR_SAMPLE_MAX_USEC);
                }
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(need_is_right_in_each_measured_shape),
                cmocka_unit_test(unwritten_pages_count_beyond_a_quarter_of_the_quota),
                cmocka_unit_test(headroom_follows_the_threads_up_to_half),
                cmocka_unit_test(the_brake_is_off_at_the_maximum_and_only_there),
                cmocka_unit_test(a_raise_is_due_at_the_threshold_and_not_a_byte_before),
                cmocka_unit_test(at_the_ceiling_it_never_asks_for_more),
                cmocka_unit_test(it_wants_what_the_need_fits_in_and_never_past_the_maximum),
                cmocka_unit_test(fast_growth_is_met_ahead),
                cmocka_unit_test(shrinking_or_standing_still_is_no_growth),
                cmocka_unit_test(two_samples_at_the_same_time_are_no_rate),
                cmocka_unit_test(page_cache_at_the_limit_is_no_reason),
                cmocka_unit_test(charges_that_hit_the_limit_with_need_are_a_reason),
                cmocka_unit_test(re_reading_with_stall_is_need_and_one_scan_is_not),
                cmocka_unit_test(anonymous_pages_that_come_back_count_as_re_reading),
                cmocka_unit_test(stall_is_judged_since_the_last_raise_to_the_microsecond),
                cmocka_unit_test(re_reading_without_stall_is_no_need),
                cmocka_unit_test(a_query_at_rest_is_not_sampled),
                cmocka_unit_test(growth_in_the_upper_half_is_watched_closely),
                cmocka_unit_test(each_cause_has_a_name),
                cmocka_unit_test(any_sample_gets_an_answer_within_bounds),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
