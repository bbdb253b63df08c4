/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which IDs were given out, in directories of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <cmocka.h>

#define RUNTIME_DIRECTORY "."
#define RESULTS_DIRECTORY "results"
#include "../../src/host/state_files.c"

static char scratch[] = "/tmp/test-state-files.XXXXXX";

static int set_up(void **state) {
        (void) state;
        strcpy(strrchr(scratch, '.'), ".XXXXXX");
        return mkdtemp(scratch) && chdir(scratch) == 0 ? 0 : -1;
}

static int tear_down(void **state) {
        (void) state;
        results_remove(3);
        results_remove(900);
        (void) unlink(NEXT_ID_FILE);
        (void) rmdir(RESULTS_DIRECTORY);
        return chdir("/") == 0 && rmdir(scratch) == 0 ? 0 : -1;
}

static uint64_t first_id(void) {
        uint64_t id = 0;

        assert_int_equal(state_first_id(&id), 0);
        return id;
}

static void make_results(uint64_t id) {
        int w, r;

        assert_int_equal(results_create(id, &w, &r), 0);
        close(w);
        close(r);
}

static void no_id_is_given_out_twice(void **state) {
        (void) state;
        assert_int_equal(first_id(), 1);
        assert_int_equal(state_reserve_id(1), 0);
        assert_int_equal(first_id(), 1 + STATE_ID_BLOCK);
        make_results(3);
        assert_int_equal(first_id(), 1 + STATE_ID_BLOCK);
        make_results(900); /* of an earlier boot */
        assert_int_equal(first_id(), 901);
}

/* With so many descriptors left. */
static int first_id_with(unsigned n) {
        struct rlimit all, few;
        uint64_t id = 0;
        int next = dup(0), r;

        close(next);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &all), 0);
        few = (struct rlimit) { .rlim_cur = (rlim_t) next + n, .rlim_max = all.rlim_max };
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
        r = state_first_id(&id);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &all), 0);
        assert_true(r < 0 || id == 901);
        return r;
}

static void what_can_not_be_read_is_not_that_none_was(void **state) {
        (void) state;
        assert_int_equal(first_id(), 1);
        assert_int_equal(state_reserve_id(1), 0);
        make_results(900);
        assert_int_equal(first_id_with(0), -EMFILE);
        assert_int_equal(first_id_with(1), 0);
        assert_int_equal(unlink(NEXT_ID_FILE), 0); /* as after a boot */
        assert_int_equal(first_id_with(0), -EMFILE);
        assert_int_equal(first_id_with(1), 0);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
        static const struct CMUnitTest tests[] = {
                T(no_id_is_given_out_twice),
                T(what_can_not_be_read_is_not_that_none_was),
        };

        return cmocka_run_group_tests_name("state-files", tests, NULL, NULL);
}
