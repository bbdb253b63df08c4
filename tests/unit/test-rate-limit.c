/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/rate_limit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define SEC USEC_PER_SEC
#define UNTOUCHED UINT64_C(0x5a5a5a5a)

static const RateLimitRule three = { .burst = 3, .interval_usec = 10 * SEC };
static const RateLimitRule wide = { .burst = 1000, .interval_usec = SEC };

static void a_burst_passes_and_the_rest_is_counted_and_told_once(void **state) {
        RateLimit l = {};
        uint64_t n = UNTOUCHED;

        (void) state;
        for (unsigned i = 0; i < 3; i++) {
                assert_true(rate_limit_take(&l, &three, 100 * SEC, &n));
                assert_int_equal(n, 0);
        }
        n = UNTOUCHED;
        for (unsigned i = 0; i < 500; i++)
                assert_false(rate_limit_take(&l, &three, 100 * SEC + i, &n));
        assert_int_equal(n, UNTOUCHED);
        assert_true(rate_limit_take(&l, &three, 110 * SEC, &n));
        assert_int_equal(n, 500);
        assert_false(rate_limit_take(&l, &three, 110 * SEC, &n));
        assert_true(rate_limit_take(&l, &three, 120 * SEC, &n));
        assert_int_equal(n, 1);
}

static void one_comes_back_with_each_interval_to_the_microsecond(void **state) {
        RateLimit l = {};
        uint64_t n;

        (void) state;
        for (unsigned i = 0; i < 3; i++)
                assert_true(rate_limit_take(&l, &three, 5, &n));
        assert_false(rate_limit_take(&l, &three, 5 + 10 * SEC - 1, &n));
        assert_true(rate_limit_take(&l, &three, 5 + 10 * SEC, &n));
        assert_false(rate_limit_take(&l, &three, 5 + 10 * SEC, &n));
        assert_false(rate_limit_take(&l, &three, 5 + 20 * SEC - 1, &n));
        assert_true(rate_limit_take(&l, &three, 5 + 20 * SEC, &n));
}

static void a_long_silence_gives_the_whole_burst_and_no_more(void **state) {
        RateLimit l = {};
        uint64_t n;

        (void) state;
        for (unsigned i = 0; i < 3; i++)
                assert_true(rate_limit_take(&l, &three, 0, &n));
        for (unsigned i = 0; i < 3; i++)
                assert_true(rate_limit_take(&l, &three, 1000000 * SEC, &n));
        assert_false(rate_limit_take(&l, &three, 1000000 * SEC, &n));
}

static void time_that_stands_or_runs_back_gives_nothing(void **state) {
        RateLimit l = {};
        uint64_t n;

        (void) state;
        for (unsigned i = 0; i < 3; i++)
                assert_true(rate_limit_take(&l, &three, 100 * SEC, &n));
        assert_false(rate_limit_take(&l, &three, 0, &n));
        assert_false(rate_limit_take(&l, &three, 100 * SEC, &n));
}

static void the_last_word_tells_what_is_left(void **state) {
        RateLimit l = {};
        uint64_t n;

        (void) state;
        for (unsigned i = 0; i < 10; i++)
                (void) rate_limit_take(&l, &three, 0, &n);
        assert_int_equal(rate_limit_drain(&l), 7);
        assert_int_equal(rate_limit_drain(&l), 0);
}

static void a_flood_of_one_user_takes_nothing_from_another(void **state) {
        UserLimits l = {};
        uint64_t n;
        unsigned passed = 0;

        (void) state;
        for (unsigned i = 0; i < 100000; i++)
                passed += user_limits_take(&l, 1000, &three, &wide, 0, &n);
        assert_int_equal(passed, 3);
        assert_true(user_limits_take(&l, 1001, &three, &wide, 0, &n));
        assert_int_equal(n, 0);
        assert_true(user_limits_take(&l, 1000, &three, &wide, 10 * SEC, &n));
        assert_int_equal(n, 100000 - 3);
}

static void any_number_of_users_has_a_bound_and_none_is_lost_from_the_count(void **state) {
        static const RateLimitRule all = { .burst = 100, .interval_usec = SEC };
        UserLimits l = {};
        uint64_t n, told = 0;
        unsigned passed = 0;

        (void) state;
        for (uint32_t i = 0; i < 10000; i++)
                for (unsigned k = 0; k < 5; k++)
                        if (user_limits_take(&l, i, &three, &all, i, &n)) {
                                passed++;
                                told += n;
                        }
        assert_int_equal(passed, 100);
        assert_true(l.n <= USER_LIMITS_MAX);
        /* What each of the users known now still has to tell is told with his own next entry. */
        for (uint32_t i = 0; i < USER_LIMITS_MAX; i++) {
                assert_true(user_limits_take(&l, 9999 - i, &three, &all, (1000000 + i) * SEC, &n));
                passed++;
                told += n;
        }
        assert_int_equal(passed + told, 50000 + USER_LIMITS_MAX);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_burst_passes_and_the_rest_is_counted_and_told_once),
                cmocka_unit_test(one_comes_back_with_each_interval_to_the_microsecond),
                cmocka_unit_test(a_long_silence_gives_the_whole_burst_and_no_more),
                cmocka_unit_test(time_that_stands_or_runs_back_gives_nothing),
                cmocka_unit_test(the_last_word_tells_what_is_left),
                cmocka_unit_test(a_flood_of_one_user_takes_nothing_from_another),
                cmocka_unit_test(any_number_of_users_has_a_bound_and_none_is_lost_from_the_count),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
