/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "core/query.h"

/* Every move there is, by hand: C created, O compiling, Q queueing, X executing, E errored, F finished, A canceled. */
static void the_state_table_allows_these_moves_and_no_other(void **state) {
        static const char letters[_QUERY_STATE_MAX + 1] = "COQXEFA";
        static const char *const legal[_QUERY_STATE_MAX] = {
                [QUERY_CREATED] = "OQEA", [QUERY_COMPILING] = "QEA", [QUERY_QUEUEING] = "XEA",
                [QUERY_EXECUTING] = "QEFA", [QUERY_ERRORED] = "",    [QUERY_FINISHED] = "",
                [QUERY_CANCELED] = "",
        };

        (void) state;
        for (unsigned from = 0; from < _QUERY_STATE_MAX; from++)
                for (unsigned to = 0; to < _QUERY_STATE_MAX; to++)
                        assert_int_equal(query_state_may_move((QueryState) from, (QueryState) to),
                                         strchr(legal[from], letters[to]) != NULL);
}

static void exactly_three_states_are_ends(void **state) {
        (void) state;
        for (unsigned s = 0; s < _QUERY_STATE_MAX; s++)
                assert_int_equal(query_state_is_end((QueryState) s),
                                 s == QUERY_ERRORED || s == QUERY_FINISHED || s == QUERY_CANCELED);
}

static void each_state_and_verdict_has_its_own_name(void **state) {
        (void) state;
        assert_string_equal(query_state_name(QUERY_QUEUEING), "queueing");
        for (unsigned a = 0; a < _QUERY_STATE_MAX; a++)
                for (unsigned b = 0; b < a; b++)
                        assert_string_not_equal(query_state_name((QueryState) a), query_state_name((QueryState) b));
        for (unsigned a = 0; a < _VERDICT_MAX; a++) {
                assert_non_null(verdict_name((Verdict) a));
                for (unsigned b = 0; b < a; b++)
                        assert_string_not_equal(verdict_name((Verdict) a), verdict_name((Verdict) b));
        }
}

static void every_microsecond_is_booked_once(void **state) {
        Query q = { .created_usec = 1000, .state_since_usec = 1000 };

        (void) state;
        query_move(&q, QUERY_COMPILING, 1003);
        query_move(&q, QUERY_QUEUEING, 1010);
        query_move(&q, QUERY_EXECUTING, 1110);
        assert_int_equal(query_time_in(&q, QUERY_CREATED, 2000), 3);
        assert_int_equal(query_time_in(&q, QUERY_COMPILING, 2000), 7);
        assert_int_equal(query_time_in(&q, QUERY_QUEUEING, 2000), 100);
        assert_int_equal(query_time_in(&q, QUERY_EXECUTING, 1110), 0);
        assert_int_equal(query_time_in(&q, QUERY_EXECUTING, 1111), 1);
        assert_int_equal(query_total_usec(&q, 2000), 1000);
        query_move(&q, QUERY_FINISHED, 3000);
        assert_int_equal(query_time_in(&q, QUERY_EXECUTING, 9000), 1890);
        assert_int_equal(query_time_in(&q, QUERY_FINISHED, 9000), 0);
        assert_int_equal(query_total_usec(&q, 9000), 2000);
        assert_int_equal(q.ended_usec, 3000);
        assert_int_equal(q.booked_usec[QUERY_CREATED] + q.booked_usec[QUERY_COMPILING] +
                                 q.booked_usec[QUERY_QUEUEING] + q.booked_usec[QUERY_EXECUTING],
                         query_total_usec(&q, 9000));
}

static void frozen_time_counts_while_it_lasts_and_after(void **state) {
        Query q = { .frozen_usec = 5 };

        (void) state;
        assert_int_equal(query_frozen_usec(&q, 100), 5);
        q.frozen = true;
        q.frozen_since_usec = 90;
        assert_int_equal(query_frozen_usec(&q, 90), 5);
        assert_int_equal(query_frozen_usec(&q, 100), 15);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_state_table_allows_these_moves_and_no_other),
                cmocka_unit_test(exactly_three_states_are_ends),
                cmocka_unit_test(each_state_and_verdict_has_its_own_name),
                cmocka_unit_test(every_microsecond_is_booked_once),
                cmocka_unit_test(frozen_time_counts_while_it_lasts_and_after),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
