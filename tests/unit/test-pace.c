/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/pace.h"

static void answers(Pace *p, unsigned n, uint64_t took_usec, uint64_t *now_usec) {
        for (unsigned i = 0; i < n; i++)
                pace_answered(p, took_usec, *now_usec += took_usec + 1);
}

static void quick_answers_allow_the_most_and_no_more(void **state) {
        Pace p = PACE_INIT;
        uint64_t now = 100 * USEC_PER_SEC;

        (void) state;
        assert_int_equal(p.allowed, PACE_MAX);
        answers(&p, 1000, 1000, &now);
        assert_int_equal(p.allowed, PACE_MAX);
}

static void slow_answers_halve_it_down_to_one(void **state) {
        Pace p = PACE_INIT;
        uint64_t now = 100 * USEC_PER_SEC;

        (void) state;
        answers(&p, 1, PACE_SLOW_USEC - 1, &now);
        assert_int_equal(p.allowed, 8);
        for (unsigned wanted = 4; wanted > 1; wanted /= 2) {
                answers(&p, 1, PACE_SLOW_USEC, &now);
                assert_int_equal(p.allowed, wanted);
        }
        answers(&p, 10, PACE_SLOW_USEC, &now);
        assert_int_equal(p.allowed, 1);
}

static void calls_that_were_under_way_together_count_once(void **state) {
        Pace p = PACE_INIT;
        uint64_t sent = 100 * USEC_PER_SEC, now = sent;

        (void) state;
        for (unsigned i = 0; i < 8; i++) {
                now += PACE_SLOW_USEC;
                pace_answered(&p, now - sent, now);
        }
        assert_int_equal(p.allowed, 4);
        pace_answered(&p, PACE_SLOW_USEC, now + PACE_SLOW_USEC); /* sent after the first of these */
        assert_int_equal(p.allowed, 2);
}

static void quick_answers_bring_it_back_one_by_one(void **state) {
        Pace p = { .allowed = 2 };
        uint64_t now = 100 * USEC_PER_SEC;

        (void) state;
        answers(&p, 1, PACE_QUICK_USEC, &now);
        assert_int_equal(p.allowed, 2);
        answers(&p, 1, PACE_QUICK_USEC, &now);
        assert_int_equal(p.allowed, 3);
        answers(&p, 2, 1000, &now);
        answers(&p, 1, PACE_QUICK_USEC + 1, &now); /* not in a row */
        answers(&p, 2, 1000, &now);
        assert_int_equal(p.allowed, 3);
        answers(&p, 1, 1000, &now);
        assert_int_equal(p.allowed, 4);
        answers(&p, 4 + 5 + 6 + 7, 1000, &now);
        assert_int_equal(p.allowed, PACE_MAX);
}

static void neither_quick_nor_slow_changes_nothing(void **state) {
        Pace p = { .allowed = 3 };
        uint64_t now = 100 * USEC_PER_SEC;

        (void) state;
        answers(&p, 100, (PACE_QUICK_USEC + PACE_SLOW_USEC) / 2, &now);
        assert_int_equal(p.allowed, 3);
}

static void a_clock_near_its_beginning_is_no_trouble(void **state) {
        Pace p = PACE_INIT;

        (void) state;
        pace_answered(&p, UINT64_MAX, 0);
        assert_int_equal(p.allowed, 4);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(quick_answers_allow_the_most_and_no_more),
                cmocka_unit_test(slow_answers_halve_it_down_to_one),
                cmocka_unit_test(calls_that_were_under_way_together_count_once),
                cmocka_unit_test(quick_answers_bring_it_back_one_by_one),
                cmocka_unit_test(neither_quick_nor_slow_changes_nothing),
                cmocka_unit_test(a_clock_near_its_beginning_is_no_trouble),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
