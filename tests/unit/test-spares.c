/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "core/spares.h"

#define N_MAX 6u
#define IDLE 100u
enum { ALICE = 1000, BOB, CAROL };

/* Do as is advised until all is as it should be; returns how many steps that took. */
static unsigned settle(SpareKind *kinds, size_t n, uint64_t max, uint64_t now) {
        for (unsigned steps = 0;; steps++) {
                size_t i = SIZE_MAX, from = SIZE_MAX;
                SparesAdvice a = spares_next(kinds, n, max, IDLE, now, &i, &from);

                if (a == SPARES_STAY)
                        return steps;
                assert_true(i < n);
                if (a == SPARES_MOVE) {
                        assert_true(from < n && from != i && kinds[from].n > 0);
                        kinds[from].n--;
                }
                assert_true(a != SPARES_DROP || kinds[i].n > 0);
                kinds[i].n = a == SPARES_DROP ? kinds[i].n - 1 : kinds[i].n + 1;
                assert_true(steps < 1000);
        }
}

static size_t total(const SpareKind *kinds, size_t n) {
        size_t sum = 0;

        for (size_t i = 0; i < n; i++)
                sum += kinds[i].n;
        return sum;
}

static size_t owned(const SpareKind *kinds, const SpareKind *of) {
        size_t sum = 0;

        for (const SpareKind *k = kinds; k < kinds + N_MAX; k++)
                sum += k == of || (!k->shared && !of->shared && k->uid == of->uid) ? k->n : 0;
        return sum;
}

static void there_is_none_before_the_first_use(void **state) {
        size_t i, from;

        (void) state;
        assert_int_equal(spares_next(NULL, 0, 4, IDLE, 1000, &i, &from), SPARES_STAY);
        assert_true(spares_deadline(NULL, 0, IDLE) == USEC_INFINITY);
}

static void the_only_kind_in_use_has_all(void **state) {
        SpareKind k = {};

        (void) state;
        spares_used(&k, ALICE, 1000);
        assert_int_equal(settle(&k, 1, 3, 1000), 3);
        assert_int_equal(k.n, 3);
        assert_int_equal(settle(&k, 1, 0, 1000), 3); /* a reload turned it off */
        assert_int_equal(k.n, 0);
}

static void a_second_kind_takes_the_place_of_a_second_spare(void **state) {
        SpareKind k[2] = {};

        (void) state;
        spares_used(&k[0], ALICE, 1000);
        settle(k, 1, 2, 1000);
        spares_used(&k[1], ALICE, 1001);
        settle(k, 2, 2, 1001);
        assert_int_equal(k[0].n, 1);
        assert_int_equal(k[1].n, 1);
}

static void they_go_when_their_kind_was_not_used_for_a_while(void **state) {
        SpareKind k[2] = {};

        (void) state;
        spares_used(&k[0], ALICE, 1000);
        spares_used(&k[1], ALICE, 1010);
        settle(k, 2, 2, 1010);
        assert_int_equal(spares_deadline(k, 2, IDLE), 1100);
        assert_int_equal(settle(k, 2, 2, 1099), 0);
        settle(k, 2, 2, 1100);
        assert_int_equal(k[0].n, 0);
        assert_int_equal(k[1].n, 2);
        settle(k, 2, 2, spares_deadline(k, 2, IDLE));
        assert_int_equal(total(k, 2), 0);
        assert_true(spares_deadline(k, 2, IDLE) == USEC_INFINITY);
}

static void the_one_that_was_taken_is_made_again(void **state) {
        SpareKind k[2] = {};

        (void) state;
        spares_used(&k[0], ALICE, 1000);
        spares_used(&k[1], ALICE, 1001);
        settle(k, 2, 2, 1001);
        spares_used(&k[0], ALICE, 1002);
        k[0].n--;
        settle(k, 2, 2, 1002);
        assert_int_equal(k[0].n, 1);
        assert_int_equal(k[1].n, 1);
}

static void kinds_that_come_in_turn_do_not_take_each_others_place(void **state) {
        SpareKind k[3] = {};
        unsigned steps = 0;

        (void) state;
        for (uint64_t t = 0; t < 60; t++) {
                size_t i = t % 3;

                spares_used(&k[i], ALICE, 1000 + t);
                if (k[i].n > 0)
                        k[i].n--;
                steps += settle(k, 3, 2, 1000 + t);
        }
        /* Two of three find theirs, and each use costs the one that replaces it. */
        assert_in_range(steps, 40, 46);
}

static void a_kind_that_is_used_again_and_again_takes_the_place_of_one_that_is_not(void **state) {
        SpareKind k[3] = {};

        (void) state;
        spares_used(&k[0], ALICE, 1000);
        spares_used(&k[1], ALICE, 1001);
        settle(k, 3, 2, 1001);
        spares_used(&k[2], ALICE, 1002);
        settle(k, 3, 2, 1002);
        assert_int_equal(k[2].n, 0);
        spares_used(&k[2], ALICE, 1003);
        settle(k, 3, 2, 1003);
        assert_int_equal(k[2].n, 1);
        assert_int_equal(k[0].n, 0);
}

static void a_place_that_one_gives_up_goes_to_the_kind_that_it_is_given_up_for(void **state) {
        SpareKind k[3] = {};

        (void) state;
        spares_used(&k[0], ALICE, 1000);
        settle(k, 3, 1, 1000);
        spares_used(&k[1], ALICE, 1001);
        spares_used(&k[1], ALICE, 1002);
        spares_used(&k[2], ALICE, 1003); /* once, and last */
        settle(k, 3, 1, 1003);
        assert_int_equal(k[0].n, 0);
        assert_int_equal(k[1].n, 1);
        assert_int_equal(k[2].n, 0);
}

static void who_has_nothing_gets_one_of_who_has_two(void **state) {
        SpareKind k[3] = {};

        (void) state;
        spares_used(&k[0], ALICE, 1000);
        spares_used(&k[1], ALICE, 1001);
        settle(k, 3, 2, 1001);
        spares_used(&k[2], BOB, 1002);
        settle(k, 3, 2, 1002);
        assert_int_equal(k[0].n, 0); /* the one that she used longest ago */
        assert_int_equal(k[1].n, 1);
        assert_int_equal(k[2].n, 1);
}

static void one_who_comes_with_many_kinds_takes_anothers_place_with_none(void **state) {
        SpareKind k[N_MAX] = {};

        (void) state;
        spares_used(&k[0], ALICE, 1000);
        for (uint64_t t = 1; t < 90; t++) {
                spares_used(&k[1 + t / 2 % (N_MAX - 1)], BOB, 1000 + t); /* each twice */
                settle(k, N_MAX, 2, 1000 + t);
                assert_int_equal(k[0].n, 1);
                assert_int_equal(total(k, N_MAX), 2);
        }
        /* Among his own it goes on as it does for one who is alone. */
        for (size_t i = 1; i < N_MAX; i++)
                assert_int_equal(k[i].n, i == 1 + 89 / 2 % (N_MAX - 1));
}

static void of_more_users_than_places_two_queries_take_the_place_of_one(void **state) {
        SpareKind k[3] = {};

        (void) state;
        spares_used(&k[0], ALICE, 1000);
        spares_used(&k[1], BOB, 1001);
        settle(k, 3, 2, 1001);
        spares_used(&k[2], CAROL, 1002);
        assert_int_equal(settle(k, 3, 2, 1002), 0);
        spares_used(&k[2], CAROL, 1003);
        settle(k, 3, 2, 1003);
        assert_int_equal(k[0].n, 0);
        assert_int_equal(k[2].n, 1);
}

static void a_kind_of_several_users_is_its_own_owner(void **state) {
        SpareKind k[3] = {};

        (void) state;
        spares_used(&k[0], ALICE, 1000);
        spares_used(&k[0], BOB, 1001);
        assert_true(k[0].shared);
        spares_used(&k[1], ALICE, 1002);
        spares_used(&k[2], BOB, 1003);
        settle(k, 3, 3, 1003);
        for (size_t i = 0; i < 3; i++)
                assert_int_equal(k[i].n, 1);
        spares_used(&k[1], ALICE, 1004);
        assert_false(k[1].shared);
}

static void who_has_most_kinds_forgets_his_own(void **state) {
        SpareKind k[N_MAX] = {};

        (void) state;
        spares_used(&k[0], ALICE, 1000);
        assert_int_equal(spares_forget_for(k, 1, BOB), 0);
        for (size_t i = 1; i < N_MAX; i++)
                spares_used(&k[i], BOB, 1000 + i);
        assert_int_equal(spares_forget_for(k, N_MAX, BOB), 1);
        assert_int_equal(spares_forget_for(k, N_MAX, CAROL), 1);
        assert_int_equal(spares_forget_for(k, N_MAX, ALICE), 1);
        spares_used(&k[1], BOB, 1010);
        assert_int_equal(spares_forget_for(k, N_MAX, BOB), 2);
        spares_used(&k[2], CAROL, 1011);
        for (size_t i = 0; i < N_MAX; i++) /* one each, and each of several users': the oldest */
                k[i] = (SpareKind) { .used_usec = 1000 + (i + 3) % N_MAX, .uid = (uint32_t) i, .shared = i % 2 };
        assert_int_equal(spares_forget_for(k, N_MAX, CAROL), 3);
        assert_int_equal(spares_forget_for(k, N_MAX, 2), 2); /* but 2 would have two */
}

/* Whatever comes in whatever order: it ends, there are never more than may be, and no place stays empty. */
static void it_always_comes_to_an_end(void **state) {
        uint32_t x = 12345;

        (void) state;
        for (unsigned story = 0; story < 2000; story++) {
                SpareKind k[N_MAX] = {};
                uint64_t now = 1000;
                size_t n_users = 1 + story % 4;

                for (unsigned i = 0; i < 40; i++) {
                        size_t which = (x = x * 1664525 + 1013904223) >> 8 & 0xffffff;
                        uint64_t max = which / N_MAX % 5;
                        bool in_use = false;

                        now += which % 37;
                        spares_used(&k[which % N_MAX], (uint32_t) (which / 7 % n_users), now);
                        if (k[which % N_MAX].n > 0)
                                k[which % N_MAX].n--;
                        settle(k, N_MAX, max, now);
                        for (size_t j = 0; j < N_MAX; j++) {
                                assert_true(k[j].n == 0 || k[j].used_usec + IDLE > now);
                                in_use |= k[j].used_usec > 0 && k[j].used_usec + IDLE > now;
                        }
                        assert_int_equal(total(k, N_MAX), in_use ? max : 0);
                        for (size_t a = 0; a < N_MAX; a++) /* nobody who could use one has two less than another */
                                for (size_t b = 0; b < N_MAX; b++)
                                        if (k[a].used_usec > 0 && k[a].used_usec + IDLE > now && k[a].n == 0 && k[b].n > 0)
                                                assert_true(owned(k, &k[b]) <= owned(k, &k[a]) + 1);
                }
        }
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(there_is_none_before_the_first_use),
                cmocka_unit_test(the_only_kind_in_use_has_all),
                cmocka_unit_test(a_second_kind_takes_the_place_of_a_second_spare),
                cmocka_unit_test(they_go_when_their_kind_was_not_used_for_a_while),
                cmocka_unit_test(the_one_that_was_taken_is_made_again),
                cmocka_unit_test(kinds_that_come_in_turn_do_not_take_each_others_place),
                cmocka_unit_test(a_kind_that_is_used_again_and_again_takes_the_place_of_one_that_is_not),
                cmocka_unit_test(a_place_that_one_gives_up_goes_to_the_kind_that_it_is_given_up_for),
                cmocka_unit_test(who_has_nothing_gets_one_of_who_has_two),
                cmocka_unit_test(one_who_comes_with_many_kinds_takes_anothers_place_with_none),
                cmocka_unit_test(of_more_users_than_places_two_queries_take_the_place_of_one),
                cmocka_unit_test(a_kind_of_several_users_is_its_own_owner),
                cmocka_unit_test(who_has_most_kinds_forgets_his_own),
                cmocka_unit_test(it_always_comes_to_an_end),
        };

        return cmocka_run_group_tests_name("spares", tests, NULL, NULL);
}
