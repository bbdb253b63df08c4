/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who had a hand in the end of engine/: kernel text in memfds in place of the groups. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "host/cgroup_private.h"

enum { UNIT, SLICE };

static void write_oom(int fd, unsigned n) {
        char text[128];
        int len = snprintf(text, sizeof(text), "low 0\nhigh 0\nmax 7\noom %u\noom_kill 0\noom_group_kill 0\n", n);

        assert_int_equal(pwrite(fd, text, (size_t) len, 0), len);
}

/* A unit whose own limit was never met, in a slice whose was. */
static int set_up(void **state) {
        static QueryGroups g;

        g = (QueryGroups) { .engine_fd = -1, .unit_fd = -1, .compile_fd = -1 };
        for (size_t i = 0; i < GROUP_CAPS_MAX; i++)
                g.above[i] = i <= SLICE ? memfd_create("memory.events.local", MFD_CLOEXEC) : -1;
        write_oom(g.above[UNIT], 0);
        write_oom(g.above[SLICE], 5);
        *state = &g;
        return 0;
}

static int tear_down(void **state) {
        const QueryGroups *g = *state;

        close(g->above[UNIT]);
        return close(g->above[SLICE]);
}

static uint64_t above(const QueryGroups *g) {
        FinalNumbers f = {};

        query_groups_killers(g, &f);
        return f.above_oom;
}

static void what_was_before_it_began_is_not_its(void **state) {
        QueryGroups *g = *state;

        query_groups_begin(g);
        assert_int_equal(above(g), 0);
        write_oom(g->above[UNIT], 1);
        write_oom(g->above[SLICE], 7);
        assert_int_equal(above(g), 3);
}

static void who_was_killed_before_it_was_taken_over_was_so_from_above(void **state) {
        QueryGroups *g = *state;

        write_oom(g->above[UNIT], 1);
        query_groups_begin_late(g, &(Sample) { .events_oom_kill = 2 });
        assert_true(above(g) > 0);
}

static void who_was_not_or_by_its_own_limit_was_not(void **state) {
        QueryGroups *g = *state;

        query_groups_begin_late(g, &(Sample) { .events_max = 3 });
        assert_int_equal(above(g), 0);
        query_groups_begin_late(g, &(Sample) { .events_oom = 1, .events_oom_kill = 2 });
        assert_int_equal(above(g), 0);
        write_oom(g->above[SLICE], 6);
        assert_int_equal(above(g), 1);
}

static void the_host_is_blamed_where_no_limit_was_ever_met(void **state) {
        QueryGroups *g = *state;

        write_oom(g->above[SLICE], 0);
        query_groups_begin_late(g, &(Sample) { .events_oom_kill = 2 });
        assert_int_equal(above(g), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(what_was_before_it_began_is_not_its),
                TEST(who_was_killed_before_it_was_taken_over_was_so_from_above),
                TEST(who_was_not_or_by_its_own_limit_was_not),
                TEST(the_host_is_blamed_where_no_limit_was_ever_met),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
