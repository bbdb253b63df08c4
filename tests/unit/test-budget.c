/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/budget.h"

/* Four slots of 64M in a budget of 1G: the pool has 768M. */
#define TOTAL (1 * GIB)
#define SLOTS 4u
#define SLOT (64 * MIB)
#define POOL (TOTAL - SLOTS * SLOT)

static Budget fresh(void) {
        Budget b;

        budget_init(&b, TOTAL, SLOTS, SLOT);
        return b;
}

static void an_idle_budget_has_the_slots_reserved(void **state) {
        Budget b = fresh();

        (void) state;
        assert_int_equal(budget_unused_bytes(&b), POOL);
        assert_int_equal(budget_used_bytes(&b), SLOTS * SLOT);
        assert_int_equal(budget_held_bytes(&b), SLOTS * SLOT);
        assert_int_equal(budget_total_bytes(&b), TOTAL);
        assert_int_equal(budget_leased_bytes(&b), 0);
}

static void a_lease_inside_its_slot_costs_the_pool_nothing(void **state) {
        Budget b = fresh();
        Lease a = {}, c = {};

        (void) state;
        assert_int_equal(lease_open(&b, &a, SLOT), 0);
        assert_int_equal(lease_open(&b, &c, SLOT - 4096), 0);
        assert_int_equal(budget_unused_bytes(&b), POOL);
        assert_int_equal(budget_leased_bytes(&b), 2 * SLOT - 4096);
        assert_int_equal(lease_resize(&c, SLOT), 0);
        assert_int_equal(budget_unused_bytes(&b), POOL);
        assert_int_equal(lease_resize(&c, SLOT + 1), 0);
        assert_int_equal(budget_unused_bytes(&b), POOL - 1);
        lease_done(&a);
        lease_done(&c);
}

static void a_raise_may_take_the_pool_to_its_last_byte_and_no_further(void **state) {
        Budget b = fresh();
        Lease a = {};

        (void) state;
        assert_int_equal(lease_open(&b, &a, SLOT), 0);
        assert_int_equal(lease_resize(&a, SLOT + POOL + 1), -ENOSPC);
        assert_int_equal(a.bytes, SLOT);
        assert_int_equal(budget_unused_bytes(&b), POOL);
        assert_int_equal(lease_resize(&a, SLOT + POOL), 0);
        assert_int_equal(budget_unused_bytes(&b), 0);
        assert_int_equal(lease_resize(&a, SLOT + POOL + 1), -ENOSPC);
        assert_int_equal(lease_resize(&a, UINT64_MAX), -ENOSPC);
        assert_int_equal(a.bytes, SLOT + POOL);
        lease_done(&a);
        assert_int_equal(budget_unused_bytes(&b), POOL);
}

static void a_larger_start_is_paid_by_the_pool(void **state) {
        Budget b = fresh();
        Lease a = {}, c = {};

        (void) state;
        assert_int_equal(lease_open(&b, &a, SLOT + POOL + 1), -ENOSPC);
        assert_null(a.owner);
        assert_int_equal(lease_open(&b, &a, SLOT + POOL), 0);
        assert_int_equal(budget_unused_bytes(&b), 0);
        assert_int_equal(lease_open(&b, &c, SLOT + 1), -ENOSPC);
        assert_int_equal(lease_open(&b, &c, SLOT), 0); /* a slot is there at any time */
        lease_done(&a);
        lease_done(&c);
}

static void all_slots_can_start_when_the_pool_is_given_away(void **state) {
        Budget b = fresh();
        Lease l[SLOTS + 1] = {};

        (void) state;
        assert_int_equal(lease_open(&b, &l[0], SLOT + POOL), 0);
        for (unsigned i = 1; i < SLOTS; i++)
                assert_int_equal(lease_open(&b, &l[i], SLOT), 0);
        assert_int_equal(budget_leased_bytes(&b), TOTAL);
        assert_int_equal(lease_open(&b, &l[SLOTS], SLOT), -EBUSY);
        assert_int_equal(lease_open(&b, &l[SLOTS], 1), -EBUSY);
        for (unsigned i = 0; i < SLOTS; i++)
                lease_done(&l[i]);
        assert_int_equal(budget_leased_bytes(&b), 0);
}

static void giving_back_twice_is_harmless(void **state) {
        Budget b = fresh();
        Lease a = {};

        (void) state;
        assert_int_equal(lease_open(&b, &a, 2 * SLOT), 0);
        lease_done(&a);
        lease_done(&a);
        assert_int_equal(budget_unused_bytes(&b), POOL);
        assert_int_equal(lease_open(&b, &a, 2 * SLOT), 0);
        lease_done(&a);
}

static void leases_may_be_given_back_in_any_order(void **state) {
        static const unsigned orders[][3] = { { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 }, { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 } };

        (void) state;
        for (unsigned i = 0; i < ELEMENTSOF(orders); i++) {
                Budget b = fresh();
                Lease l[3] = {};
                uint64_t left = 0;

                for (unsigned j = 0; j < 3; j++) {
                        assert_int_equal(lease_open(&b, &l[j], (j + 1) * SLOT), 0);
                        left += (j + 1) * SLOT;
                }
                for (unsigned j = 0; j < 3; j++) {
                        left -= l[orders[i][j]].bytes;
                        lease_done(&l[orders[i][j]]);
                        assert_int_equal(budget_leased_bytes(&b), left);
                }
                assert_null(b.leases);
                assert_int_equal(budget_unused_bytes(&b), POOL);
        }
}

static void leftovers_are_taken_from_the_pool_and_come_back(void **state) {
        Budget b = fresh();
        Lease a = {};

        (void) state;
        assert_int_equal(lease_open(&b, &a, SLOT), 0);
        budget_set_leftover(&b, 100 * MIB);
        assert_int_equal(budget_unused_bytes(&b), POOL - 100 * MIB);
        assert_int_equal(lease_resize(&a, SLOT + POOL - 100 * MIB + 1), -ENOSPC);
        assert_int_equal(lease_resize(&a, SLOT + POOL - 100 * MIB), 0);
        budget_set_leftover(&b, 0);
        assert_int_equal(budget_unused_bytes(&b), 100 * MIB);
        lease_done(&a);
}

static void leftovers_beyond_the_pool_hold_back_slots(void **state) {
        Budget b = fresh();
        Lease l[SLOTS] = {};

        (void) state;
        /* 64M more than the pool: only three slots can be filled before a page would pass the budget. */
        budget_set_leftover(&b, POOL + SLOT);
        assert_int_equal(budget_unused_bytes(&b), 0);
        for (unsigned i = 0; i < 3; i++)
                assert_int_equal(lease_open(&b, &l[i], SLOT), 0);
        assert_int_equal(lease_open(&b, &l[3], SLOT), -ENOSPC);
        budget_set_leftover(&b, POOL + 1);
        assert_int_equal(lease_open(&b, &l[3], SLOT), -ENOSPC);
        budget_set_leftover(&b, POOL);
        assert_int_equal(lease_open(&b, &l[3], SLOT), 0);
        for (unsigned i = 0; i < SLOTS; i++)
                lease_done(&l[i]);
}

static void a_smaller_budget_takes_nothing_and_gives_nothing_until_it_fits(void **state) {
        Budget b = fresh();
        Lease a = {}, c = {};

        (void) state;
        assert_int_equal(lease_open(&b, &a, SLOT + POOL), 0);
        budget_configure(&b, 512 * MIB, SLOTS, SLOT);
        assert_int_equal(a.bytes, SLOT + POOL);
        assert_int_equal(budget_unused_bytes(&b), 0);
        assert_int_equal(budget_total_bytes(&b), TOTAL); /* what is held */
        assert_int_equal(budget_used_bytes(&b), TOTAL);
        assert_int_equal(lease_resize(&a, SLOT + POOL + 1), -ENOSPC);
        assert_int_equal(lease_open(&b, &c, SLOT), -ENOSPC);
        assert_int_equal(lease_resize(&a, 448 * MIB), 0); /* shrinking cannot fail */
        assert_int_equal(budget_total_bytes(&b), 640 * MIB);
        assert_int_equal(lease_open(&b, &c, SLOT), 0); /* 448 + 64 is just the budget */
        assert_int_equal(lease_resize(&c, SLOT + 1), -ENOSPC);
        lease_done(&a);
        assert_int_equal(budget_total_bytes(&b), 512 * MIB);
        assert_int_equal(budget_unused_bytes(&b), 256 * MIB);
        lease_done(&c);
}

static void a_larger_slot_never_lets_the_sum_pass_the_budget(void **state) {
        Budget b;
        Lease l[SLOTS] = {};

        (void) state;
        /* Full to the last byte: 320 + 3 × 64 = 512. A reload doubles the slot, which would hand 64M to each for free. */
        budget_init(&b, 512 * MIB, SLOTS, SLOT);
        assert_int_equal(lease_open(&b, &l[0], 320 * MIB), 0);
        for (unsigned i = 1; i < SLOTS; i++)
                assert_int_equal(lease_open(&b, &l[i], SLOT), 0);
        budget_configure(&b, 512 * MIB, SLOTS, 2 * SLOT);
        assert_int_equal(lease_resize(&l[1], SLOT + 1), -ENOSPC);
        assert_int_equal(budget_growth_bytes(&b, &l[1]), 0);
        lease_done(&l[0]);
        assert_int_equal(budget_growth_bytes(&b, &l[1]), SLOT);
        assert_int_equal(lease_resize(&l[1], 2 * SLOT), 0);
        for (unsigned i = 1; i < SLOTS; i++)
                lease_done(&l[i]);
}

static void fewer_slots_than_run_open_none_until_enough_ended(void **state) {
        Budget b = fresh();
        Lease l[SLOTS] = {}, late = {};

        (void) state;
        for (unsigned i = 0; i < SLOTS; i++)
                assert_int_equal(lease_open(&b, &l[i], SLOT), 0);
        budget_configure(&b, TOTAL, 2, SLOT);
        assert_int_equal(budget_unused_bytes(&b), POOL); /* the four that run still hold four slots */
        lease_done(&l[0]);
        assert_int_equal(budget_unused_bytes(&b), POOL + SLOT);
        lease_done(&l[1]);
        assert_int_equal(lease_open(&b, &late, SLOT), -EBUSY);
        lease_done(&l[2]);
        assert_int_equal(lease_open(&b, &late, SLOT), 0);
        lease_done(&l[3]);
        lease_done(&late);
        assert_int_equal(budget_unused_bytes(&b), TOTAL - 2 * SLOT);
}

static void growth_is_the_rest_of_the_slot_and_then_the_pool(void **state) {
        Budget b = fresh();
        Lease a = {};

        (void) state;
        assert_int_equal(lease_open(&b, &a, SLOT / 4), 0);
        assert_int_equal(budget_growth_bytes(&b, &a), SLOT - SLOT / 4 + POOL);
        assert_int_equal(lease_resize(&a, a.bytes + budget_growth_bytes(&b, &a)), 0);
        assert_int_equal(a.bytes, SLOT + POOL);
        assert_int_equal(budget_growth_bytes(&b, &a), 0);
        lease_done(&a);
}

/* As opening it would find. */
static void the_most_that_one_can_have_is_what_opens_when_it_is_alone(void **state) {
        static const struct {
                uint64_t total, slots, left, most;
        } rows[] = {
                { 1024, 4, 0, 832 }, { 1024, 4, 100, 732 }, { 1024, 4, 800, 64 }, { 1024, 4, 1000, 24 }, { 1024, 4, 2000, 0 },
                { 200, 4, 0, 64 },   { 40, 4, 0, 40 },      { 1024, 1, 0, 1024 }, { 1024, UINT64_MAX, 24, 1000 },
        };

        (void) state;
        for (unsigned i = 0; i < ELEMENTSOF(rows); i++) {
                Budget b;
                Lease l = {};

                budget_init(&b, rows[i].total, rows[i].slots, 64);
                assert_int_equal(budget_most_bytes(&b, rows[i].left), rows[i].most);
                budget_set_leftover(&b, rows[i].left);
                assert_int_equal(lease_open(&b, &l, rows[i].most + 1), -ENOSPC);
                assert_int_equal(lease_open(&b, &l, rows[i].most), 0);
                lease_done(&l);
        }
}

/* Of unlimited ones none is kept for the next. */
static void the_end_of_one_in_an_unlimited_slot_always_helps(void **state) {
        Lease l = {};
        Budget b;

        (void) state;
        budget_init(&b, 200, UINT64_MAX, 64);
        assert_int_equal(lease_open(&b, &l, 64), 0);
        assert_true(lease_end_helps(&l));
        lease_done(&l);
        budget_init(&b, 200, 3, 64);
        assert_int_equal(lease_open(&b, &l, 64), 0);
        assert_false(lease_end_helps(&l));
        lease_done(&l);
}

static void an_unlimited_budget_never_refuses(void **state) {
        Budget b;
        Lease a = {}, c = {}, d = {};

        (void) state;
        budget_init(&b, SIZE_INFINITY, UINT64_MAX, SIZE_INFINITY);
        assert_int_equal(budget_unused_bytes(&b), SIZE_INFINITY);
        assert_int_equal(budget_used_bytes(&b), 0);
        assert_int_equal(lease_open(&b, &a, SIZE_INFINITY), 0);
        assert_int_equal(lease_open(&b, &c, SIZE_INFINITY), 0);
        assert_int_equal(budget_leased_bytes(&b), SIZE_INFINITY);
        assert_int_equal(budget_used_bytes(&b), SIZE_INFINITY);
        assert_int_equal(budget_unused_bytes(&b), SIZE_INFINITY);
        /* Then a limit is set: nothing to give until those without one have ended. */
        budget_configure(&b, TOTAL, SLOTS, SLOT);
        assert_int_equal(budget_unused_bytes(&b), 0);
        assert_int_equal(lease_open(&b, &d, SLOT), -ENOSPC);
        lease_done(&a);
        assert_int_equal(budget_unused_bytes(&b), 0);
        lease_done(&c);
        assert_int_equal(budget_unused_bytes(&b), POOL);
        assert_int_equal(lease_open(&b, &d, SLOT), 0);
        lease_done(&d);
}

static void limited_slots_in_an_unlimited_budget_do_not_overflow(void **state) {
        Budget b;

        (void) state;
        budget_init(&b, SIZE_INFINITY, 4, SIZE_INFINITY);
        assert_int_equal(budget_used_bytes(&b), SIZE_INFINITY);
        assert_int_equal(budget_unused_bytes(&b), SIZE_INFINITY);
}

/* A seeded walk: after each step the bookings are the sum of the leases, counted anew. */
static void bookings_are_the_sum_of_the_leases_after_any_walk(void **state) {
        enum { N = 6 };
        uint64_t seed = 0x9e3779b97f4a7c15;

        (void) state;
        for (unsigned walk = 0; walk < 50; walk++) {
                Budget b = fresh();
                Lease l[N] = {};

                for (unsigned step = 0; step < 400; step++) {
                        uint64_t sum = 0, on_top = 0, bytes;
                        Lease *one;

                        seed = seed * 6364136223846793005u + 1442695040888963407u;
                        one = &l[(seed >> 33) % N];
                        bytes = ((seed >> 40) % 600 + 1) * MIB;
                        if (!one->owner)
                                (void) lease_open(&b, one, bytes);
                        else if ((seed >> 60) % 3 == 0)
                                lease_done(one);
                        else
                                (void) lease_resize(one, bytes);
                        for (unsigned i = 0; i < N; i++) {
                                sum += l[i].bytes;
                                on_top += l[i].bytes > SLOT ? l[i].bytes - SLOT : 0;
                        }
                        assert_int_equal(budget_leased_bytes(&b), sum);
                        assert_true(sum <= TOTAL);
                        assert_int_equal(budget_unused_bytes(&b), POOL - on_top);
                        assert_int_equal(budget_used_bytes(&b) + budget_unused_bytes(&b), budget_total_bytes(&b));
                }
                for (unsigned i = 0; i < N; i++)
                        lease_done(&l[i]);
                assert_int_equal(budget_unused_bytes(&b), POOL);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_idle_budget_has_the_slots_reserved),
                cmocka_unit_test(a_lease_inside_its_slot_costs_the_pool_nothing),
                cmocka_unit_test(a_raise_may_take_the_pool_to_its_last_byte_and_no_further),
                cmocka_unit_test(a_larger_start_is_paid_by_the_pool),
                cmocka_unit_test(all_slots_can_start_when_the_pool_is_given_away),
                cmocka_unit_test(giving_back_twice_is_harmless),
                cmocka_unit_test(leases_may_be_given_back_in_any_order),
                cmocka_unit_test(leftovers_are_taken_from_the_pool_and_come_back),
                cmocka_unit_test(leftovers_beyond_the_pool_hold_back_slots),
                cmocka_unit_test(a_smaller_budget_takes_nothing_and_gives_nothing_until_it_fits),
                cmocka_unit_test(a_larger_slot_never_lets_the_sum_pass_the_budget),
                cmocka_unit_test(fewer_slots_than_run_open_none_until_enough_ended),
                cmocka_unit_test(growth_is_the_rest_of_the_slot_and_then_the_pool),
                cmocka_unit_test(the_most_that_one_can_have_is_what_opens_when_it_is_alone),
                cmocka_unit_test(the_end_of_one_in_an_unlimited_slot_always_helps),
                cmocka_unit_test(an_unlimited_budget_never_refuses),
                cmocka_unit_test(limited_slots_in_an_unlimited_budget_do_not_overflow),
                cmocka_unit_test(bookings_are_the_sum_of_the_leases_after_any_walk),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
