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
        assert_int_equal(governor_headroom(200 * MIB, 1), 24 * MIB);
        assert_int_equal(governor_headroom(200 * MIB, 48), 24 * MIB);
        assert_int_equal(governor_headroom(200 * MIB, 49), 49 * 512 * KIB);
        assert_int_equal(governor_headroom(200 * MIB, 199), 199 * 512 * KIB);
        assert_int_equal(governor_headroom(200 * MIB, 201), 100 * MIB);
        assert_int_equal(governor_headroom(100 * MIB, 1), 16 * MIB); /* nobody knows yet how many there will be */
        assert_int_equal(governor_headroom(100 * MIB, 32), 16 * MIB);
        assert_int_equal(governor_headroom(100 * MIB, 33), 33 * 512 * KIB);
        assert_int_equal(governor_headroom(40 * MIB, 1), 10 * MIB);
        assert_int_equal(governor_headroom(100 * MIB, 101), 50 * MIB);
        assert_int_equal(governor_headroom(100 * MIB, UINT64_MAX), 50 * MIB);
        assert_int_equal(governor_headroom(MIB, 1), 512 * KIB);
        assert_int_equal(governor_headroom(4 * MIB, 0), MIB);
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

/* As when an administrator wrote 0 while a limit was lowered: twice nothing is nothing. */
static void who_has_nothing_is_raised_too(void **state) {
        Sample s = holding(0);
        GovernorState g = {};
        GovernorDecision d = governor_judge(&g, &s, 0, MAXIMUM, 0);

        (void) state;
        assert_int_not_equal(d.cause, RAISE_NONE);
        assert_true(d.want_bytes > 0 && d.want_bytes <= MAXIMUM);
        assert_int_equal(governor_judge(&g, &s, 0, 1, 1).want_bytes, 1);
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
        Sample s = holding(39 * MIB);

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
        Sample s = { .file_bytes = 60 * MIB, .current_bytes = 60 * MIB, .max_bytes = QUOTA, .high_bytes = QUOTA, .pids = 1,
                     .has_psi = true, .workingset_refault_file = 1000 };
        const uint64_t quarter = QUOTA / 4 / 4096;

        (void) state;
        governor_judge(&g, &s, QUOTA, MAXIMUM, 0);
        /* A scan: stall, but no page comes back. */
        s.stall_some_usec = 400 * MSEC;
        assert_int_equal(governor_judge(&g, &s, QUOTA, MAXIMUM, 1000 * MSEC).cause, RAISE_NONE);
        s.workingset_refault_file += quarter - 1;
        assert_int_equal(governor_judge(&g, &s, QUOTA, MAXIMUM, 2000 * MSEC).cause, RAISE_NONE);
        s.workingset_refault_file++;
        assert_int_equal(governor_judge(&g, &s, QUOTA, MAXIMUM, 2000 * MSEC).cause, RAISE_REFAULT);
        /* Counted anew once it was paid, and not under the host's shortage. */
        assert_int_equal(governor_judge(&g, &s, QUOTA, MAXIMUM, 2000 * MSEC).cause, RAISE_REFAULT);
        s.current_bytes = 56 * MIB - 1;
        assert_int_equal(governor_judge(&g, &s, QUOTA, MAXIMUM, 2000 * MSEC).cause, RAISE_NONE);
        s.current_bytes++;
        assert_int_equal(governor_judge(&g, &s, QUOTA, MAXIMUM, 2000 * MSEC).cause, RAISE_REFAULT);
        governor_note_raised(&g, RAISE_REFAULT);
        assert_int_equal(governor_judge(&g, &s, QUOTA, MAXIMUM, 2001 * MSEC).cause, RAISE_NONE);
}

static void anonymous_pages_that_come_back_count_as_re_reading(void **state) {
        GovernorState g = {};
        Sample s = { .max_bytes = QUOTA, .high_bytes = QUOTA, .current_bytes = QUOTA, .pids = 1, .has_psi = true,
                     .workingset_refault_file = 7, .workingset_refault_anon = 1000 };

        (void) state;
        governor_judge(&g, &s, QUOTA, MAXIMUM, 0);
        s.stall_some_usec = 400 * MSEC;
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
        governor_note_raised(&g, RAISE_NEED);
        s = (Sample) { .pids = 1, .has_psi = true, .workingset_refault_file = QUOTA / 4096, .current_bytes = QUOTA,
                       .max_bytes = QUOTA, .high_bytes = QUOTA };
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

/* Under a limit of 64M with its headroom, of which @bytes are used, by nothing that a line of memory.stat shows. */
static Sample unseen(uint64_t bytes) {
        return (Sample) { .current_bytes = bytes, .max_bytes = QUOTA, .high_bytes = high(), .pids = 1, .has_psi = true };
}

static void stall_right_under_the_limit_is_need_whatever_it_is_made_of(void **state) {
        const uint64_t near = high() - high() / GOVERNOR_MARGIN_DIVISOR;
        static const struct {
                uint64_t usec, stalled_usec;
                int64_t below;
                RaiseCause cause;
        } rows[] = {
                { 500 * MSEC, 250 * MSEC, 0, RAISE_STALL },     { 500 * MSEC, 250 * MSEC - 1, 0, RAISE_NONE },
                { 500 * MSEC - 1, 499 * MSEC, 0, RAISE_NONE },  { 500 * MSEC, 250 * MSEC, 4096, RAISE_NONE },
        };

        (void) state;
        for (unsigned i = 0; i < ELEMENTSOF(rows); i++) {
                Sample s = unseen(near - (uint64_t) rows[i].below);
                GovernorState g = {};

                governor_judge(&g, &s, QUOTA, MAXIMUM, 0);
                s.stall_some_usec = rows[i].stalled_usec;
                assert_int_equal(governor_judge(&g, &s, QUOTA, MAXIMUM, rows[i].usec).cause, rows[i].cause);
                /* Without PSI nobody knows. */
                g = (GovernorState) {};
                s.has_psi = false;
                s.stall_some_usec = 0;
                governor_judge(&g, &s, QUOTA, MAXIMUM, 0);
                s.stall_some_usec = rows[i].stalled_usec;
                assert_int_equal(governor_judge(&g, &s, QUOTA, MAXIMUM, rows[i].usec).cause, RAISE_NONE);
        }
}

static void an_hour_at_rest_does_not_dilute_what_comes_back_now(void **state) {
        Sample s = unseen(50 * MIB);
        GovernorState g = {};
        uint64_t now = 3600 * USEC_PER_SEC;
        RaiseCause cause = RAISE_NONE;

        (void) state;
        governor_judge(&g, &s, QUOTA, MAXIMUM, 0);
        s.high_bytes = s.max_bytes = SIZE_INFINITY; /* so that stall alone is no reason */
        for (unsigned i = 0; i < 40 && cause == RAISE_NONE; i++, now += 500 * MSEC) {
                s.workingset_refault_file += 1000;
                s.stall_some_usec += 100 * MSEC;
                s.current_bytes = QUOTA;
                cause = governor_judge(&g, &s, QUOTA, MAXIMUM, now).cause;
        }
        assert_int_equal(cause, RAISE_REFAULT);
        assert_true(now < 3620 * USEC_PER_SEC);
}

static void who_waits_for_pages_it_had_all_the_time_thrashes(void **state) {
        static const struct {
                uint64_t full_usec, pages;
                bool thrashes;
        } rows[] = { { 900 * MSEC, 410, true }, { 890 * MSEC, 410, false }, { 1000 * MSEC, 409, false } };

        (void) state;
        for (unsigned i = 0; i < ELEMENTSOF(rows); i++) {
                Sample s = unseen(64 * MIB);
                GovernorState g = {};

                governor_judge(&g, &s, QUOTA, QUOTA, 0);
                for (uint64_t sec = 1; sec <= 10; sec++) {
                        s.stall_full_usec += rows[i].full_usec;
                        s.workingset_refault_file += rows[i].pages; /* a quarter of the quota is 4096 pages */
                        assert_int_equal(governor_judge(&g, &s, QUOTA, QUOTA, sec * USEC_PER_SEC).thrashes,
                                         rows[i].thrashes && sec == 10);
                }
        }
}

static void who_thrashes_below_the_maximum_is_raised(void **state) {
        Sample s = unseen(60 * MIB);
        GovernorState g = {};
        GovernorDecision d = {};

        (void) state;
        for (uint64_t sec = 0; sec <= 20 && d.cause == RAISE_NONE; sec++) {
                s.stall_full_usec = sec * 950 * MSEC; /* "some" would be no less, but then the other rules would see it */
                s.workingset_refault_file += 500;
                d = governor_judge(&g, &s, QUOTA, MAXIMUM, sec * USEC_PER_SEC);
        }
        assert_int_equal(d.cause, RAISE_REFAULT);
        assert_int_equal(d.want_bytes, 2 * QUOTA);
}

/* The kernel counts from the birth of the group on: what it had counted before is another controller's. */
static void charges_that_hit_the_limit_before_a_take_over_are_no_reason(void **state) {
        Sample s = holding(35 * MIB);
        GovernorState g;

        (void) state;
        governor_take_over(&g, 3600 * USEC_PER_SEC);
        s.events_max = 7;
        assert_int_equal(governor_judge(&g, &s, QUOTA, MAXIMUM, 3600 * USEC_PER_SEC).cause, RAISE_NONE);
        s.events_max = 8;
        assert_int_equal(governor_judge(&g, &s, QUOTA, MAXIMUM, 3601 * USEC_PER_SEC).cause, RAISE_MAX);
        /* A second run is one in a group of its own. */
        governor_begin(&g, 3600 * USEC_PER_SEC);
        s.events_max = 1;
        assert_int_equal(governor_judge(&g, &s, QUOTA, MAXIMUM, 3601 * USEC_PER_SEC).cause, RAISE_MAX);
}

/* What it lived through with less says nothing of what it has now, be that the most it may have. */
static void who_was_raised_has_all_the_time_anew_before_it_thrashes(void **state) {
        const uint64_t maximum = QUOTA + QUOTA / 16;
        Sample s = unseen(63 * MIB);
        GovernorState g = {};
        uint64_t usec = 0;

        (void) state;
        for (; usec <= 10 * USEC_PER_SEC; usec += USEC_PER_SEC) {
                s.stall_full_usec = usec / 100 * 95;
                s.workingset_refault_file += 1000;
                governor_judge(&g, &s, QUOTA, maximum, usec);
        }
        governor_note_raised(&g, RAISE_REFAULT);
        s.high_bytes = s.max_bytes = maximum;
        assert_false(governor_judge(&g, &s, maximum, maximum, usec - USEC_PER_SEC + 20 * MSEC).thrashes);
        for (uint64_t sec = 1; sec <= 10; sec++) {
                s.stall_full_usec += 950 * MSEC;
                s.workingset_refault_file += 1000;
                assert_int_equal(governor_judge(&g, &s, maximum, maximum, usec + (sec - 1) * USEC_PER_SEC).thrashes, sec == 10);
        }
}

static void need_at(GovernorState *g, uint64_t seconds, uint64_t need_bytes) {
        Sample s = holding(need_bytes);

        governor_judge(g, &s, QUOTA, MAXIMUM, seconds * USEC_PER_SEC);
}

static void rest_is_told_by_the_last_look(void **state) {
        GovernorState g = {};

        (void) state;
        need_at(&g, 5, 35 * MIB);
        assert_false(governor_is_resting(&g, USEC_PER_SEC));
        need_at(&g, 6, 35 * MIB + 35 * MIB / GOVERNOR_NOISE_DIVISOR); /* no more than that is noise */
        assert_true(governor_is_resting(&g, USEC_PER_SEC));
        need_at(&g, 7, 36 * MIB);
        assert_false(governor_is_resting(&g, USEC_PER_SEC));
}

/* As a writer above memory.high, whom the kernel lets sleep. */
static void who_waits_for_memory_does_not_rest(void **state) {
        (void) state;
        for (int cpu_wait = 0; cpu_wait < 2; cpu_wait++) {
                Sample s = holding(35 * MIB);
                GovernorState g = {};

                s.has_usage = s.has_cpu_wait = cpu_wait;
                s.stall_some_usec = 3600 * USEC_PER_SEC; /* of before */
                governor_judge(&g, &s, QUOTA, MAXIMUM, 5 * USEC_PER_SEC);
                for (uint64_t second = 6; second < 20; second++) {
                        s.stall_some_usec += USEC_PER_SEC;
                        governor_judge(&g, &s, QUOTA, MAXIMUM, second * USEC_PER_SEC);
                        assert_false(governor_is_resting(&g, USEC_PER_SEC));
                }
                governor_judge(&g, &s, QUOTA, MAXIMUM, 21 * USEC_PER_SEC);
                assert_true(governor_is_resting(&g, USEC_PER_SEC));
                s.stall_some_usec = 0; /* nobody counts it any more */
                governor_judge(&g, &s, QUOTA, MAXIMUM, 22 * USEC_PER_SEC);
                assert_true(governor_is_resting(&g, USEC_PER_SEC));
        }
}

static void small_steps_add_up_to_growth(void **state) {
        GovernorState g = {};

        (void) state;
        need_at(&g, 1, 35 * MIB);
        for (uint64_t second = 2; second < 20; second++) {
                need_at(&g, second, 35 * MIB + second * 200 * KIB);
                assert_false(governor_is_resting(&g, 3 * USEC_PER_SEC));
        }
}

static void what_goes_up_and_down_rests_until_it_has_stayed_down(void **state) {
        GovernorState g = {};
        uint64_t second = 1;

        (void) state;
        need_at(&g, second++, 38 * MIB);
        while (second < 40) /* a garbage collector */
                need_at(&g, second, (second % 3 ? 34 : 38) * MIB), second++;
        assert_true(governor_is_resting(&g, 20 * USEC_PER_SEC));
        while (second < 60)
                need_at(&g, second++, 34 * MIB);
        need_at(&g, second++, 38 * MIB);
        assert_false(governor_is_resting(&g, USEC_PER_SEC));
}

static void what_the_first_look_finds_may_have_grown_until_now(void **state) {
        GovernorState g = {}, other = {};

        (void) state;
        need_at(&g, 3600, QUOTA / 8);
        assert_false(governor_is_resting(&g, USEC_PER_SEC));
        need_at(&g, 3602, QUOTA / 8);
        assert_true(governor_is_resting(&g, USEC_PER_SEC));
        governor_take_over(&other, 3600 * USEC_PER_SEC);
        assert_false(governor_is_resting(&other, 1));
        need_at(&other, 3602, 0);
        assert_true(governor_is_resting(&other, USEC_PER_SEC));
}

static void who_was_short_of_cpu_does_not_rest(void **state) {
        static const struct {
                uint64_t cpu_usec;
                bool rests;
        } rows[] = { { 0, true }, { 3999, true }, { 4000, false }, { 20 * MSEC, false }, { 100 * MSEC - 1, false },
                     { 100 * MSEC, true }, { 4000 * MSEC, true } };
        GovernorState starved = {};

        (void) state;
        for (unsigned i = 0; i < ELEMENTSOF(rows); i++) {
                Sample s = holding(35 * MIB);
                GovernorState g = {};

                s.has_usage = true;
                s.cpu_usec = 7000 * MSEC;
                governor_judge(&g, &s, QUOTA, MAXIMUM, 5 * USEC_PER_SEC);
                s.cpu_usec += rows[i].cpu_usec;
                governor_judge(&g, &s, QUOTA, MAXIMUM, 7 * USEC_PER_SEC);
                assert_int_equal(governor_is_resting(&g, 2 * USEC_PER_SEC), rows[i].rests);
                starved = g;
                starved.grew_cpu_usec = starved.cpu_usec - 20 * MSEC;
                starved.last_usec = 15 * USEC_PER_SEC - 1; /* five times as long */
                assert_false(governor_is_resting(&starved, 2 * USEC_PER_SEC));
                starved.last_usec++;
                assert_true(governor_is_resting(&starved, 2 * USEC_PER_SEC));
        }
}

static void what_it_waited_for_a_processor_is_no_rest(void **state) {
        static const struct {
                uint64_t seconds, worked_usec, waited_usec;
                bool rests;
        } rows[] = {
                { 2, 0, 0, true }, /* it slept */
                { 2, 0, 1, false },
                { 2, 20 * MSEC, 1900 * MSEC, false },
                { 60, 0, 60 * USEC_PER_SEC, false }, /* however long */
                { 60, 10 * MSEC, 58 * USEC_PER_SEC, true },
                { 60, 10 * MSEC, 58 * USEC_PER_SEC + 1, false },
                { 4, 2 * USEC_PER_SEC, 4 * USEC_PER_SEC, true }, /* some of its tasks worked */
                { 1, USEC_PER_SEC, 0, false },
        };

        (void) state;
        for (unsigned i = 0; i < ELEMENTSOF(rows); i++) {
                Sample s = holding(35 * MIB);
                GovernorState g = {};

                s.has_usage = s.has_cpu_wait = true;
                s.cpu_usec = 7000 * MSEC;
                s.cpu_wait_usec = 9000 * MSEC;
                governor_judge(&g, &s, QUOTA, MAXIMUM, 5 * USEC_PER_SEC);
                s.cpu_usec += rows[i].worked_usec / 2;
                s.cpu_wait_usec += rows[i].waited_usec / 2;
                governor_judge(&g, &s, QUOTA, MAXIMUM, (5 + rows[i].seconds) * USEC_PER_SEC - 100 * MSEC);
                s.cpu_usec += (rows[i].worked_usec + 1) / 2;
                s.cpu_wait_usec += (rows[i].waited_usec + 1) / 2;
                governor_judge(&g, &s, QUOTA, MAXIMUM, (5 + rows[i].seconds) * USEC_PER_SEC);
                assert_int_equal(governor_is_resting(&g, 2 * USEC_PER_SEC), rows[i].rests);
        }
}

static void what_is_kept_leaves_an_eighth_to_grow_below_the_brake(void **state) {
        (void) state;
        for (uint64_t need = 0; need < 4 * GIB; need += need / 3 + 999 * KIB)
                for (uint64_t pids = 1; pids < 300; pids += 99) {
                        GovernorState g = { .cache_bytes = need / 5 };
                        uint64_t wanted = need + need / 5, keep = governor_keep(&g, need, pids);

                        assert_true(keep - governor_headroom(keep, pids) + 4096 >= wanted + wanted / 8);
                        assert_true(keep <= 3 * wanted + 300 * MIB); /* half of it is headroom at the most */
                }
        assert_int_equal(governor_keep(&(GovernorState) {}, SIZE_INFINITY, 1), SIZE_INFINITY);
}

static void who_was_lowered_is_content_until_it_needs_more(void **state) {
        Sample s = holding(threshold() + MIB);
        GovernorState g = {};

        (void) state;
        governor_note_lowered(&g, threshold() + MIB);
        assert_int_equal(governor_judge(&g, &s, QUOTA, MAXIMUM, USEC_PER_SEC).cause, RAISE_NONE);
        s = holding(threshold() + MIB + (threshold() + MIB) / GOVERNOR_NOISE_DIVISOR);
        assert_int_equal(governor_judge(&g, &s, QUOTA, MAXIMUM, 60 * USEC_PER_SEC).cause, RAISE_NONE);
        s = holding(threshold() + 2 * MIB);
        assert_int_equal(governor_judge(&g, &s, QUOTA, MAXIMUM, 120 * USEC_PER_SEC).cause, RAISE_NEED);
        g = (GovernorState) {};
        governor_note_lowered(&g, high() + MIB);
        s = holding(high());
        assert_int_equal(governor_judge(&g, &s, QUOTA, MAXIMUM, USEC_PER_SEC).cause, RAISE_NEED); /* it is slowed */
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
                                       .stall_some_usec = v[11], .stall_full_usec = v[15], .current_bytes = v[16], .max_bytes = v[17],
                                       .high_bytes = v[18], .active_file_bytes = v[19], .pids = v[12], .has_psi = v[13] & 1 };
                        now += v[14] % (10 * USEC_PER_SEC);
                        d = governor_judge(&g, &s, quota, maximum, now);
                        assert_true(d.want_bytes <= maximum);
                        assert_true(d.want_bytes >= quota);
                        assert_int_equal(d.cause != RAISE_NONE, d.want_bytes > quota);
                        assert_true(d.sample_after_usec <= GOVERNOR_SAMPLE_MAX_USEC);
                        assert_true(governor_keep(&g, d.need_bytes, s.pids) >= d.need_bytes);
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
                cmocka_unit_test(who_has_nothing_is_raised_too),
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
                cmocka_unit_test(stall_right_under_the_limit_is_need_whatever_it_is_made_of),
                cmocka_unit_test(an_hour_at_rest_does_not_dilute_what_comes_back_now),
                cmocka_unit_test(who_waits_for_pages_it_had_all_the_time_thrashes),
                cmocka_unit_test(who_thrashes_below_the_maximum_is_raised),
                cmocka_unit_test(charges_that_hit_the_limit_before_a_take_over_are_no_reason),
                cmocka_unit_test(who_was_raised_has_all_the_time_anew_before_it_thrashes),
                cmocka_unit_test(rest_is_told_by_the_last_look),
                cmocka_unit_test(who_waits_for_memory_does_not_rest),
                cmocka_unit_test(small_steps_add_up_to_growth),
                cmocka_unit_test(what_goes_up_and_down_rests_until_it_has_stayed_down),
                cmocka_unit_test(what_the_first_look_finds_may_have_grown_until_now),
                cmocka_unit_test(who_was_short_of_cpu_does_not_rest),
                cmocka_unit_test(what_it_waited_for_a_processor_is_no_rest),
                cmocka_unit_test(what_is_kept_leaves_an_eighth_to_grow_below_the_brake),
                cmocka_unit_test(who_was_lowered_is_content_until_it_needs_more),
                cmocka_unit_test(each_cause_has_a_name),
                cmocka_unit_test(any_sample_gets_an_answer_within_bounds),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
