/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "core/envfile.h"

static void values_are_read_as_systemd_reads_them(void **state) {
        static const char text[] = "# a comment\n; another\n\n"
                                   "A=1\n B = two words  \r\n"
                                   "C='it''s'\n";
        static const char good[] = "# a comment\n; another\n\n"
                                   "A=1\n B = two words  \r\n"
                                   "C='a \"b\" \\ c'\n"
                                   "D=\"x \\\"y\\\" \\$z \\\\ 'q'\"\n"
                                   "E=\nF=a=b\nA=2\n"
                                   "G=last";
        PairList l = {};
        unsigned line;

        (void) state;
        assert_int_equal(envfile_parse(text, strlen(text), &l, &line), -EINVAL); /* text after a closing quote */
        assert_int_equal(line, 6);
        pairlist_done(&l);
        assert_int_equal(envfile_parse(good, strlen(good), &l, &line), 0);
        assert_string_equal(pairlist_get(&l, "A"), "2");
        assert_string_equal(pairlist_get(&l, "B"), "two words");
        assert_string_equal(pairlist_get(&l, "C"), "a \"b\" \\ c");
        assert_string_equal(pairlist_get(&l, "D"), "x \"y\" $z \\ 'q'");
        assert_string_equal(pairlist_get(&l, "E"), "");
        assert_string_equal(pairlist_get(&l, "F"), "a=b");
        assert_string_equal(pairlist_get(&l, "G"), "last");
        assert_int_equal(l.n, 7);
        pairlist_done(&l);
}

static void what_could_be_read_two_ways_is_refused(void **state) {
        static const char *const bad[] = { "A",        "=1",      "1A=x",     "A B=x",     "A='x",     "A=\"x",
                                           "A=\"x\\",  "A=x\\",   "A=x\"y\"", "A='x' y",   "export A=1", "A=\"\\n\"",
                                           "A=\xff",   "A='x\ny'" };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                PairList l = {};
                unsigned line = 0;

                if (envfile_parse(bad[i], strlen(bad[i]), &l, &line) != -EINVAL)
                        fail_msg("%s was taken", bad[i]);
                assert_int_equal(line, 1);
                pairlist_done(&l);
        }
}

static void a_nul_and_too_many_are_refused(void **state) {
        static char many[16 * 1024];
        PairList l = {};
        unsigned line;
        size_t n = 0;

        (void) state;
        assert_int_equal(envfile_parse("A=1\0B=2", 7, &l, &line), -EINVAL);
        for (unsigned i = 0; i <= ENVFILE_VARIABLES_MAX; i++)
                n += (size_t) sprintf(many + n, "V%u=x\n", i);
        assert_int_equal(envfile_parse(many, n, &l, &line), -E2BIG);
        assert_int_equal(line, ENVFILE_VARIABLES_MAX + 1);
        pairlist_done(&l);
        *strstr(many, "V256") = '\0';
        assert_int_equal(envfile_parse(many, strlen(many), &l, &line), 0);
        assert_int_equal(l.n, ENVFILE_VARIABLES_MAX);
        pairlist_done(&l);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(values_are_read_as_systemd_reads_them),
                cmocka_unit_test(what_could_be_read_two_ways_is_refused),
                cmocka_unit_test(a_nul_and_too_many_are_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
