/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Groups that can't be made, since there is no such unit: who is told of what. The guest suites make real ones. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "host/group_maker.h"

enum { N = 50 };

static const QueryGroupsSetup setup = { .unit_cgroup = "/penstock.slice/penstock-q0.service", .worker_pid = 1 };
static uint64_t tickets[N];
static unsigned n_told;

static void on_made(uint64_t query_id, uint64_t ticket, int r, QueryGroups *groups, void *userdata) {
        assert_ptr_equal(userdata, tickets);
        assert_int_equal(query_id, 100 + n_told); /* in their order */
        assert_int_equal(ticket, tickets[n_told]);
        assert_true(r < 0);
        assert_null(groups);
        n_told++;
}

static void submit_all(GroupMaker *m) {
        for (unsigned i = 0; i < N; i++) {
                assert_int_equal(group_maker_submit(m, &setup, 100 + i, &tickets[i]), 0);
                assert_true(tickets[i] > (i > 0 ? tickets[i - 1] : 0));
        }
}

static void each_submission_is_told_once_and_by_the_loop(void **state) {
        GroupMaker *m = NULL;
        sd_event *loop = NULL;

        (void) state;
        n_told = 0;
        assert_true(sd_event_new(&loop) >= 0);
        assert_int_equal(group_maker_new(loop, on_made, tickets, &m), 0);
        submit_all(m);
        assert_int_equal(n_told, 0);
        while (n_told < N)
                assert_true(sd_event_run(loop, 10 * USEC_PER_SEC) > 0);
        while (sd_event_run(loop, 0) > 0) /* woken for what it has taken already */
                ;
        assert_int_equal(n_told, N);
        group_maker_free(m);
        sd_event_unref(loop);
}

static void what_waits_when_it_ends_is_told_to_nobody(void **state) {
        GroupMaker *m = NULL;
        sd_event *loop = NULL;

        (void) state;
        n_told = 0;
        assert_true(sd_event_new(&loop) >= 0);
        assert_int_equal(group_maker_new(loop, on_made, tickets, &m), 0);
        submit_all(m);
        group_maker_free(m);
        assert_int_equal(sd_event_run(loop, 0), 0);
        assert_int_equal(n_told, 0);
        sd_event_unref(loop);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(each_submission_is_told_once_and_by_the_loop),
                cmocka_unit_test(what_waits_when_it_ends_is_told_to_nobody),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
