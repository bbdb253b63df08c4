/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A story that broke a promise is told so that it can be seen again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "sim/shrink.h"

static void assert_told(bool without[2], const char *words) {
        Story story = { .seed = 7, .n_queries = 2, .without = without };
        char *text = NULL;
        size_t len;
        FILE *f = open_memstream(&text, &len);

        assert_non_null(f);
        assert_int_equal(shrink_tell(&story, f), 0);
        fclose(f);
        assert_non_null(text);
        assert_non_null(strstr(text, words));
        free(text);
}

static void the_command_names_whom_it_takes(void **state) {
        (void) state;
        assert_told((bool[]) { false, false }, "penstock-sim run --seed 7 --queries 2 --only 1,2 --trace\n");
        assert_told((bool[]) { true, false }, "penstock-sim run --seed 7 --queries 2 --only 2 --trace\n");
}

/* A reload, a shutdown or a cap may do it alone. */
static void the_command_names_nobody_where_it_takes_nobody(void **state) {
        (void) state;
        assert_told((bool[]) { true, true }, "penstock-sim run --seed 7 --queries 2 --only '' --trace\n");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_command_names_whom_it_takes),
                cmocka_unit_test(the_command_names_nobody_where_it_takes_nobody),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
