/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The kernel that the simulator plays against behaves as the measured one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sim/kernel.h"

#define BATCH (KERNEL_CHARGE_BATCH * KERNEL_PAGE_BYTES)

/* memory.high = 100 MB and the sleep of one batch, from docs/simulation.md. */
static void the_throttle_is_that_of_the_kernel(void **state) {
        static const struct {
                uint64_t usage_mb, msec;
        } rows[] = { { 101, 6 }, { 102, 25 }, { 103, 57 }, { 105, 159 }, { 110, 639 }, { 115, 1439 } };

        (void) state;
        for (unsigned i = 0; i < ELEMENTSOF(rows); i++) {
                uint64_t usec = kernel_throttle_usec(rows[i].usage_mb * 1000000, 100000000, KERNEL_CHARGE_BATCH);

                assert_in_range(usec, (rows[i].msec - 1) * USEC_PER_MSEC, (rows[i].msec + 1) * USEC_PER_MSEC);
        }
        assert_int_equal(kernel_throttle_usec(100, 100, KERNEL_CHARGE_BATCH), 0);
        assert_int_equal(kernel_throttle_usec(99, 100, KERNEL_CHARGE_BATCH), 0);
        assert_int_equal(kernel_throttle_usec(UINT64_C(1) << 40, 1 << 20, KERNEL_CHARGE_BATCH),
                         kernel_throttle_usec(UINT64_C(1) << 41, 1 << 20, KERNEL_CHARGE_BATCH)); /* no overflow */
}

static void a_sleep_has_a_least_and_a_most(void **state) {
        KernelGroup g;

        (void) state;
        kernel_group_init(&g);
        g.high_bytes = 100 * MIB;
        assert_int_equal(kernel_group_charge(&g, KERNEL_ANON, 101 * MIB).sleep_usec, 2 * USEC_PER_SEC); /* many batches */
        g.anon_bytes = 101 * MIB - BATCH;
        assert_int_equal(kernel_group_charge(&g, KERNEL_ANON, BATCH).sleep_usec, 0); /* 6 ms are not worth a sleep */
        g.anon_bytes = 102 * MIB - BATCH;
        assert_true(kernel_group_charge(&g, KERNEL_ANON, BATCH).sleep_usec > 20 * USEC_PER_MSEC);
}

static void anonymous_memory_is_killed_at_the_byte_past_the_limit(void **state) {
        KernelGroup g;

        (void) state;
        kernel_group_init(&g);
        assert_false(kernel_group_set_max(&g, 10 * MIB));
        assert_false(kernel_group_charge(&g, KERNEL_ANON, 10 * MIB).killed);
        assert_int_equal(g.events_max, 0);
        assert_true(kernel_group_charge(&g, KERNEL_ANON, 1).killed);
        assert_int_equal(g.events_max, 1);
        assert_int_equal(g.events_oom, 1);
        assert_true(g.events_oom_kill > 0);
        assert_int_equal(g.peak_bytes, 10 * MIB);
}

static void page_cache_is_given_back_and_never_kills_or_sleeps(void **state) {
        KernelGroup g;

        (void) state;
        kernel_group_init(&g);
        kernel_group_set_max(&g, 64 * MIB);
        g.high_bytes = 56 * MIB;
        for (unsigned i = 0; i < 1000; i++) {
                KernelCharge c = kernel_group_charge(&g, KERNEL_CACHE, MIB);

                assert_false(c.killed);
                assert_int_equal(c.sleep_usec, 0);
                assert_true(kernel_group_usage(&g) <= 64 * MIB);
        }
        assert_true(g.events_high > 900);
        assert_false(kernel_group_charge(&g, KERNEL_ANON, 50 * MIB).killed);
}

static void shared_memory_kills_and_stays_when_its_toucher_is_dead(void **state) {
        KernelGroup g;

        (void) state;
        kernel_group_init(&g);
        kernel_group_set_max(&g, 64 * MIB);
        g.populated = true;
        kernel_group_charge(&g, KERNEL_ANON, 10 * MIB);
        kernel_group_charge(&g, KERNEL_SHMEM, 54 * MIB);
        assert_true(kernel_group_charge(&g, KERNEL_SHMEM, 1).killed);
        kernel_group_empty(&g);
        assert_false(g.populated);
        assert_int_equal(kernel_group_usage(&g), 54 * MIB);
}

static void lowering_below_what_cannot_be_given_back_kills(void **state) {
        KernelGroup g;

        (void) state;
        kernel_group_init(&g);
        kernel_group_charge(&g, KERNEL_CACHE, 100 * MIB);
        kernel_group_charge(&g, KERNEL_ANON, 40 * MIB);
        assert_false(kernel_group_set_max(&g, 40 * MIB));
        assert_int_equal(g.cache_bytes, 0);
        assert_true(kernel_group_set_max(&g, 40 * MIB - KERNEL_PAGE_BYTES));
        kernel_group_set_max(&g, 40 * MIB + 1);
        assert_int_equal(g.max_bytes, 40 * MIB); /* whole pages */
}

/* kernel-notes: one thread touches 512M under 64M doubled late; with headroom it outlasts 100 ms, without it dies. */
static bool survives(uint64_t delay_usec, bool headroom) {
        uint64_t now = 0, raise_at = USEC_INFINITY;
        KernelGroup g;

        kernel_group_init(&g);
        kernel_group_set_max(&g, 64 * MIB);
        g.pids = 1;
        while (kernel_group_usage(&g) < 512 * MIB) {
                KernelCharge c;

                if (headroom)
                        g.high_bytes = g.max_bytes / 100 * 88;
                c = kernel_group_charge(&g, KERNEL_ANON, BATCH);
                if (c.killed)
                        return false;
                if ((c.event || kernel_group_usage(&g) >= g.max_bytes / 100 * 88) && raise_at == USEC_INFINITY)
                        raise_at = now + delay_usec;
                now += 100 + c.sleep_usec; /* 2.5 GB a second */
                if (now >= raise_at) {
                        kernel_group_set_max(&g, 2 * g.max_bytes);
                        raise_at = USEC_INFINITY;
                }
        }
        return true;
}

static void headroom_turns_the_race_into_a_delay(void **state) {
        (void) state;
        assert_true(survives(0, false));
        assert_false(survives(20 * USEC_PER_MSEC, false));
        assert_true(survives(20 * USEC_PER_MSEC, true));
        assert_true(survives(100 * USEC_PER_MSEC, true));
}

static void stall_is_the_time_in_which_one_sleeps(void **state) {
        KernelGroup g;

        (void) state;
        kernel_group_init(&g);
        kernel_group_stall(&g, 10, 20);
        kernel_group_stall(&g, 15, 5);
        kernel_group_stall(&g, 20, 20);
        assert_int_equal(kernel_group_stalled_usec(&g, 10), 0);
        assert_int_equal(kernel_group_stalled_usec(&g, 25), 15);
        assert_int_equal(kernel_group_stalled_usec(&g, 1000), 30);
        kernel_group_stall(&g, 50, 7);
        assert_int_equal(kernel_group_stalled_usec(&g, 52), 32);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(stall_is_the_time_in_which_one_sleeps),
                cmocka_unit_test(the_throttle_is_that_of_the_kernel),
                cmocka_unit_test(a_sleep_has_a_least_and_a_most),
                cmocka_unit_test(anonymous_memory_is_killed_at_the_byte_past_the_limit),
                cmocka_unit_test(page_cache_is_given_back_and_never_kills_or_sleeps),
                cmocka_unit_test(shared_memory_kills_and_stays_when_its_toucher_is_dead),
                cmocka_unit_test(lowering_below_what_cannot_be_given_back_kills),
                cmocka_unit_test(headroom_turns_the_race_into_a_delay),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
