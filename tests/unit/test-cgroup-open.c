/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Groups that can't be opened for the moment: directories of the test's own in place of the kernel's. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "host/cgroup_private.h"

#define DIRECTORY "penstock.slice/penstock-q7.service"
#define UNIT "/" DIRECTORY

static char scratch[] = "/tmp/test-cgroup-open.XXXXXX";

int __wrap_cgroup_open_dir(const char *cgroup);
int __wrap_cgroup_open_dir(const char *cgroup) {
        int fd = open(cgroup + 1, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        return fd < 0 ? -errno : fd;
}

static void put(const char *dir, const char *file, const char *text) {
        char path[256];
        FILE *f;

        snprintf(path, sizeof(path), "%s/%s", dir, file);
        f = fopen(path, "we");
        assert_non_null(f);
        assert_true(fputs(text, f) >= 0);
        assert_int_equal(fclose(f), 0);
}

static int set_up(void **state) {
        static const char *const files[] = { "cgroup.procs", "cgroup.kill",    "cgroup.freeze", "cgroup.events", "memory.events.local",
                                             "memory.stat",  "memory.current", "pids.current",  "cpu.stat" };

        (void) state;
        strcpy(strrchr(scratch, '.'), ".XXXXXX");
        if (!mkdtemp(scratch) || chdir(scratch) < 0 || mkdir("penstock.slice", 0700) < 0 || mkdir(DIRECTORY, 0700) < 0 ||
            mkdir(DIRECTORY "/engine", 0700) < 0)
                return -1;
        for (size_t i = 0; i < ELEMENTSOF(files); i++)
                put(DIRECTORY "/engine", files[i], "0\n");
        put(DIRECTORY "/engine", "memory.max", "max\n");
        put(DIRECTORY "/engine", "memory.high", "max\n");
        put(DIRECTORY, "memory.max", "4096\n");
        put(DIRECTORY, "memory.events.local", "oom 0\n");
        put("penstock.slice", "memory.max", "8192\n");
        put("penstock.slice", "memory.events.local", "oom 0\n");
        put("penstock.slice", "memory.stat", "anon 9000000\n");
        put(DIRECTORY, "memory.stat", "anon 8000000\n");
        return 0;
}

static int tear_down(void **state) {
        char command[128];

        (void) state;
        snprintf(command, sizeof(command), "rm -r %s", scratch);
        return chdir("/") < 0 ? -1 : system(command);
}

static void limits_of_the_unit_and_of_the_slice_are_told_apart(void **state) {
        QueryGroups *g = NULL;
        uint64_t unit, slice;

        (void) state;
        assert_int_equal(query_groups_adopt(UNIT, &g), 0);
        assert_int_equal(query_groups_above(g, &unit, &slice), 0);
        assert_int_equal(unit, 4096);
        assert_int_equal(slice, 8192);
        query_groups_free(g);
}

/* It is there and can't be opened; a link to itself, in place of a process that has no descriptor left. */
static void make_unopenable(const char *file) {
        assert_int_equal(unlink(file), 0);
        assert_int_equal(symlink(strrchr(file, '/') + 1, file), 0);
}

static void a_limit_that_can_not_be_opened_is_no_limit_that_is_not_there(void **state) {
        static const char *const files[] = { DIRECTORY "/memory.max", "penstock.slice/memory.max", DIRECTORY "/memory.events.local" };
        QueryGroups *g = NULL;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(files); i++) {
                make_unopenable(files[i]);
                assert_int_equal(query_groups_adopt(UNIT, &g), -ELOOP);
                assert_null(g);
                assert_int_equal(unlink(files[i]), 0);
                put(".", files[i], "4096\n");
        }
}

static void what_a_compile_step_left_is_known_without_a_descriptor_for_it(void **state) {
        static const char *const files[] = { "cgroup.procs", "cgroup.kill", "cgroup.events" };
        struct rlimit all, none;
        QueryGroups *g = NULL;
        uint64_t bytes = 0;
        int next, r;

        (void) state;
        assert_int_equal(mkdir(DIRECTORY "/compile", 0700), 0);
        for (size_t i = 0; i < ELEMENTSOF(files); i++)
                put(DIRECTORY "/compile", files[i], "0\n");
        put(DIRECTORY "/compile", "memory.stat", "anon 5\nshmem 3000000\n");
        assert_int_equal(query_groups_adopt(UNIT, &g), 0);
        next = dup(0);
        close(next);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &all), 0);
        none = (struct rlimit) { .rlim_cur = (rlim_t) next, .rlim_max = all.rlim_max };
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
        r = query_groups_compile_residual(g, &bytes);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &all), 0);
        assert_int_equal(r, 0);
        assert_int_equal(bytes, 3000000);
        query_groups_free(g);
}

static void memory_of_a_unit_that_can_not_be_read_is_not_of_the_dead(void **state) {
        uint64_t bytes = 0;

        (void) state;
        assert_int_equal(cgroup_slice_leftovers("/penstock.slice", 0, &bytes), 0);
        assert_int_equal(bytes, 1000000);
        make_unopenable(DIRECTORY "/memory.stat");
        assert_int_equal(cgroup_slice_leftovers("/penstock.slice", 0, &bytes), -ELOOP);
        assert_int_equal(bytes, 1000000);
        assert_int_equal(unlink(DIRECTORY "/memory.stat"), 0); /* its unit is gone meanwhile */
        assert_int_equal(cgroup_slice_leftovers("/penstock.slice", 0, &bytes), 0);
        assert_int_equal(bytes, 9000000);
}

static void that_one_can_not_be_thawed_is_said_and_the_others_are(void **state) {
        static const char *const frozen[] = { DIRECTORY "/engine", "penstock.slice/penstock-q8.service/engine",
                                              "penstock.slice/penstock-q9.service/engine" };
        unsigned n;

        (void) state;
        assert_int_equal(mkdir("penstock.slice/penstock-q8.service", 0700), 0);
        assert_int_equal(mkdir("penstock.slice/penstock-q9.service", 0700), 0);
        assert_int_equal(mkdir(frozen[1], 0700), 0);
        assert_int_equal(mkdir(frozen[2], 0700), 0);
        for (size_t i = 0; i < ELEMENTSOF(frozen); i++)
                put(frozen[i], "cgroup.freeze", "1\n");
        make_unopenable("penstock.slice/penstock-q8.service/engine/cgroup.freeze");
        assert_int_equal(cgroup_slice_freeze("/penstock.slice", false, &n), -ELOOP);
        assert_int_equal(n, 2);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
        static const struct CMUnitTest tests[] = {
                T(limits_of_the_unit_and_of_the_slice_are_told_apart),
                T(a_limit_that_can_not_be_opened_is_no_limit_that_is_not_there),
                T(what_a_compile_step_left_is_known_without_a_descriptor_for_it),
                T(memory_of_a_unit_that_can_not_be_read_is_not_of_the_dead),
                T(that_one_can_not_be_thawed_is_said_and_the_others_are),
        };

        return cmocka_run_group_tests_name("cgroup-open", tests, NULL, NULL);
}
