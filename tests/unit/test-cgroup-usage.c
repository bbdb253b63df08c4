/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a query used: kernel text in memfds in place of the group's files. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "host/cgroup_private.h"

static int set_up(void **state) {
        static const char cpu[] = "usage_usec 42\nuser_usec 40\nsystem_usec 2\n";
        static QueryGroups g;

        g = (QueryGroups) { .cpu_pressure = -1 };
        g.cpu_stat = memfd_create("cpu.stat", MFD_CLOEXEC);
        g.io_stat = memfd_create("io.stat", MFD_CLOEXEC);
        assert_int_equal(write(g.cpu_stat, cpu, sizeof(cpu) - 1), sizeof(cpu) - 1);
        *state = &g;
        return 0;
}

static int tear_down(void **state) {
        const QueryGroups *g = *state;

        close(g->cpu_stat);
        return close(g->io_stat);
}

static void use_devices(const QueryGroups *g, unsigned n) {
        for (unsigned i = 0; i < n; i++)
                assert_true(dprintf(g->io_stat,
                                    "259:%u rbytes=1000000 wbytes=2000000 rios=30 wios=1 dbytes=0 dios=0\n", i) > 0);
}

static void a_hundred_devices_are_all_counted(void **state) {
        QueryGroups *g = *state;

        for (unsigned n = 50; n <= 2000; n += 50) {
                Sample s = { .pids = 3 };

                use_devices(g, 50);
                assert_int_equal(query_groups_usage(g, &s), 0);
                assert_int_equal(s.io_read_bytes, n * 1000000ull);
                assert_int_equal(s.io_write_bytes, n * 2000000ull);
                assert_int_equal(s.cpu_usec, 42);
                assert_int_equal(s.pids, 3);
        }
}

static void a_text_that_has_no_end_leaves_the_sample_as_it_was(void **state) {
        QueryGroups *g = *state;
        Sample s = { .cpu_usec = 5, .io_read_bytes = 6 };

        use_devices(g, 10000);
        assert_int_equal(query_groups_usage(g, &s), -EFBIG);
        assert_false(s.has_usage);
        assert_int_equal(s.cpu_usec, 5);
        assert_int_equal(s.io_read_bytes, 6);
}

static void without_an_io_controller_the_rest_is_told(void **state) {
        QueryGroups g = *(QueryGroups *) *state;
        Sample s = { .io_read_bytes = 6 };

        g.io_stat = -1;
        assert_int_equal(query_groups_usage(&g, &s), 0);
        assert_true(s.has_usage);
        assert_int_equal(s.cpu_usec, 42);
        assert_int_equal(s.io_read_bytes, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(a_hundred_devices_are_all_counted),
                TEST(a_text_that_has_no_end_leaves_the_sample_as_it_was),
                TEST(without_an_io_controller_the_rest_is_told),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
