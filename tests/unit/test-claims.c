/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "core/claims.h"

static void alone_it_may_have_all(void **state) {
        Claim v[] = { { .given_bytes = 10, .rest_bytes = 100 } };

        (void) state;
        assert_int_equal(claims_growth(v, 1, 0, 100), 100);
        assert_int_equal(claims_growth(v, 1, 0, 99), 0); /* it may ask for more than there ever will be */
        v[0].rest_bytes = 0;
        assert_int_equal(claims_growth(v, 1, 0, 7), 7); /* the caller knows what it wants */
}

static void the_first_to_end_keeps_its_rest(void **state) {
        const Claim v[] = { { 40, 60 }, { 0, 100 } };

        (void) state;
        /* 1 can end only with what 0 gives back, so 0 must be able to end first. */
        assert_int_equal(claims_growth(v, 2, 1, 75), 15);
        assert_int_equal(claims_growth(v, 2, 1, 60), 0);
        assert_int_equal(claims_growth(v, 2, 1, 59), 0);
        assert_int_equal(claims_growth(v, 2, 0, 60), 60);
        assert_int_equal(claims_growth(v, 2, 0, 59), 0);
}

static void who_claims_nothing_gives_back_what_it_has(void **state) {
        const Claim v[] = { { 500, 0 }, { 10, 400 } };

        (void) state;
        assert_int_equal(claims_growth(v, 2, 1, 3), 3);
}

static void three_in_a_row_each_wait_for_the_one_before(void **state) {
        const Claim v[] = { { 30, 60 }, { 30, 20 }, { 30, 40 } };

        (void) state;
        assert_int_equal(claims_growth(v, 3, 0, 20), 0);  /* 20, and 50, and 80: the order there is has no slack */
        assert_int_equal(claims_growth(v, 3, 0, 25), 5);
        assert_int_equal(claims_growth(v, 3, 1, 25), 25); /* it is the first */
        assert_int_equal(claims_growth(v, 3, 2, 25), 5);
}

static void infinite_amounts_do_not_wrap(void **state) {
        const Claim v[] = { { SIZE_INFINITY, 5 }, { SIZE_INFINITY, SIZE_INFINITY } };

        (void) state;
        assert_int_equal(claims_growth(v, 2, 1, 10), 5);
}

/* With @growth more for @index, can it end? By trying all orders that matter: whoever can end, ends. */
static bool can_end(const Claim *v, size_t n, size_t index, uint64_t free_bytes, uint64_t growth) {
        bool ended[8] = {}, progress = true;
        uint64_t have = free_bytes - growth;

        while (progress && !ended[index]) {
                progress = false;
                for (size_t i = 0; i < n; i++) {
                        uint64_t rest = v[i].rest_bytes;

                        if (i == index)
                                rest -= MIN(growth, rest);
                        if (ended[i] || rest > have)
                                continue;
                        have += v[i].given_bytes + (i == index ? growth : 0);
                        ended[i] = progress = true;
                }
        }
        return ended[index];
}

/* Small numbers, so that all the corners are met: against the definition. */
static void growth_is_the_most_that_is_safe(void **state) {
        uint64_t x = 88172645463325252u;

        (void) state;
        for (unsigned round = 0; round < 200000; round++) {
                Claim v[6];
                size_t n, index;
                uint64_t free_bytes, growth;

                x ^= x << 13, x ^= x >> 7, x ^= x << 17;
                n = 1 + x % 6;
                index = x / 7 % n;
                free_bytes = x / 100 % 13;
                for (size_t i = 0; i < n; i++) {
                        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
                        v[i] = (Claim) { x % 9, x / 50 % 14 };
                }
                growth = claims_growth(v, n, index, free_bytes);
                assert_true(growth <= free_bytes);
                assert_int_equal(claims_can_end(v, n, index, free_bytes), can_end(v, n, index, free_bytes, 0));
                if (growth > 0)
                        assert_true(can_end(v, n, index, free_bytes, growth));
                if (growth < free_bytes)
                        assert_false(can_end(v, n, index, free_bytes, growth + 1));
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(alone_it_may_have_all),
                cmocka_unit_test(the_first_to_end_keeps_its_rest),
                cmocka_unit_test(who_claims_nothing_gives_back_what_it_has),
                cmocka_unit_test(three_in_a_row_each_wait_for_the_one_before),
                cmocka_unit_test(infinite_amounts_do_not_wrap),
                cmocka_unit_test(growth_is_the_most_that_is_safe),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
