/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What penstockctl says of itself, and to who calls it wrongly: always also what to do next. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "harness.h"

#define WORDS_MAX 8

typedef struct Row {
        const char *words[WORDS_MAX];
        int status;
        const char *says;
} Row;

static void expect_rows(const Row rows[], size_t n) {
        Ctl c;

        for (size_t i = 0; i < n; i++) {
                char wanted[400];

                assert_int_equal(ctl_run_input(&c, "", 0, rows[i].words), rows[i].status);
                snprintf(wanted, sizeof(wanted), "penstockctl: %s\n", rows[i].says);
                assert_string_equal(c.err_text, wanted);
                assert_string_equal(c.out_text, "");
                ctl_done(&c);
        }
}

static void an_option_that_is_wrong_is_told_with_what_may_be_meant(void **state) {
        static const Row rows[] = {
                { { "list", "--jsn" },
                  2,
                  "list: there is no option '--jsn' (did you mean '--json'?); see: penstockctl list --help" },
                { { "list", "--xyzzy" }, 2, "list: there is no option '--xyzzy'; see: penstockctl list --help" },
                { { "list", "--json=x" }, 2, "list: option '--json' takes no value; see: penstockctl list --help" },
                { { "list", "-x" }, 2, "list: there is no option -x; see: penstockctl list --help" },
                { { "list", "--json", "-xh" }, 2, "list: there is no option -x; see: penstockctl list --help" },
                { { "run", "--memory", "1G" },
                  125,
                  "run: option '--memory' may be one of --memory-initial, --memory-max; see: penstockctl run --help" },
                { { "run", "sort", "-u", "big.txt" },
                  125,
                  "run: there is no option -u; a command and its own options stand behind --; see: penstockctl run --help" },
                { { "run", "ls", "--color" },
                  125,
                  "run: there is no option '--color'; a command and its own options stand behind --; see: penstockctl run "
                  "--help" },
                { { "run", "ls", "-l" },
                  125,
                  "run: option '-l' needs a value; a command and its own options stand behind --; see: penstockctl run --help" },
                { { "run", "-l", "shell", "--memory-max" },
                  125,
                  "run: option '--memory-max' needs a value; see: penstockctl run --help" },
                { { "run", "-l" }, 125, "run: option '-l' needs a value; see: penstockctl run --help" },
        };

        (void) state;
        expect_rows(rows, sizeof(rows) / sizeof(rows[0]));
}

static void an_argument_that_is_wrong_is_told_with_what_is_right(void **state) {
        static const Row rows[] = {
                { { "show" },
                  2,
                  "show: the ID of a query is missing; `penstockctl list` shows them; see: penstockctl show --help" },
                { { "cancel", "--no-wait" },
                  2,
                  "cancel: the ID of a query is missing; `penstockctl list` shows them; see: penstockctl cancel "
                  "--help" },
                { { "results", "x" },
                  2,
                  "results: 'x' is not the ID of a query; `penstockctl list` shows them; see: penstockctl results "
                  "--help" },
                { { "done", "1", "0" },
                  2,
                  "done: '0' is not the ID of a query; `penstockctl list` shows them; see: penstockctl done --help" },
                { { "stats", "1", "2" },
                  2,
                  "stats: there is an argument too many: '2'; see: penstockctl stats --help" },
                { { "simulate" },
                  2,
                  "simulate: say run, replay FILE or plan FILE; see: penstockctl simulate --help" },
                { { "config" }, 2, "config: say 'check [FILE]' or 'show'; see: penstockctl config --help" },
        };

        (void) state;
        expect_rows(rows, sizeof(rows) / sizeof(rows[0]));
}

static void a_verb_that_is_wrong_is_told_with_what_may_be_meant(void **state) {
        static const Row rows[] = {
                { { "lst" }, 2, "there is no verb 'lst' (did you mean 'list'?); see: penstockctl --help" },
                { { "help", "lixt" }, 2, "there is no verb 'lixt' (did you mean 'list'?); see: penstockctl --help" },
                { { "--json", "list" }, 2, "--json: options come behind the verb, as in: penstockctl list --json" },
                { { "ps" }, 2, "there is no verb 'ps'; here it is: penstockctl list; see: penstockctl --help" },
                { { "stop", "3" }, 2, "there is no verb 'stop'; here it is: penstockctl cancel; see: penstockctl --help" },
                { { "frobnicate" }, 2, "there is no verb 'frobnicate'; see: penstockctl --help" },
                { { "\x1b[31m" }, 2, "there is no verb '?[31m'; see: penstockctl --help" },
                { { NULL }, 2, "a verb is missing; see: penstockctl --help" },
        };

        (void) state;
        expect_rows(rows, sizeof(rows) / sizeof(rows[0]));
}

static void expect_output(const char *const words[], int status, const char *output) {
        Ctl c;

        assert_int_equal(ctl_run_input(&c, "", 0, words), status);
        assert_string_equal(c.out_text, output);
        assert_string_equal(c.err_text, "");
        ctl_done(&c);
}

static void config_asks_penstockd_and_simulate_penstock_sim(void **state) {
        Ctl c;

        (void) state;
        expect_output((const char *[]) { "config", "check", NULL }, 3, "penstockd --check-config\n");
        expect_output((const char *[]) { "config", "check", "a.conf", NULL }, 3, "penstockd --check-config a.conf\n");
        expect_output((const char *[]) { "config", "--json", "check", "a", NULL }, 3,
                      "penstockd --check-config --json a\n");
        expect_output((const char *[]) { "config", "show", NULL }, 3, "penstockd --show-config\n");
        assert_int_equal(ctl_run(&c, "simulate", "run", "--count", "0", "--json"), 0);
        assert_ptr_equal(strstr(c.out_text, "{\"seed\": 1, \"count\": 0, "), c.out_text);
        ctl_done(&c);
        assert_int_equal(ctl_run(&c, "simulate", "walk"), 2);
        assert_ptr_equal(strstr(c.err_text, "penstock-sim run "), c.err_text);
        ctl_done(&c);
}

/* Each line that the overview indents by two and that begins with a small letter is a verb. */
static size_t each_verb(const char *overview, void (*f)(const char *verb)) {
        size_t n = 0;

        for (const char *p = strchr(overview, '\n'); p && strncmp(p, "\n\nExamples:", 11) != 0;
             p = strchr(p + 1, '\n')) {
                char verb[32];

                if (sscanf(p, "\n  %31[a-z]", verb) != 1 || p[3] == ' ' || p[1] != ' ')
                        continue;
                f(verb);
                n++;
        }
        return n;
}

static void expect_help(const char *verb) {
        char usage[64], example[64];
        Ctl a, b;

        assert_int_equal(ctl_run(&a, "help", verb), 0);
        assert_int_equal(ctl_run(&b, verb, "--help"), 0);
        assert_string_equal(a.out_text, b.out_text);
        snprintf(usage, sizeof(usage), "Usage: penstockctl %s", verb);
        assert_ptr_equal(strstr(a.out_text, usage), a.out_text);
        snprintf(example, sizeof(example), "penstockctl %s", verb);
        if (!strstr(a.out_text, "\nExamples:\n  ") || !strstr(strstr(a.out_text, "\nExamples:\n  "), example))
                fail_msg("no example in the help of %s", verb);
        ctl_done(&a);
        ctl_done(&b);
}

static void each_verb_has_a_help_with_examples(void **state) {
        Ctl c, again;

        (void) state;
        assert_int_equal(ctl_run(&c, "--help"), 0);
        assert_int_equal(ctl_run(&again, "help"), 0);
        assert_string_equal(c.out_text, again.out_text);
        assert_true(each_verb(c.out_text, expect_help) > 15);
        ctl_done(&c);
        ctl_done(&again);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_option_that_is_wrong_is_told_with_what_may_be_meant),
                cmocka_unit_test(an_argument_that_is_wrong_is_told_with_what_is_right),
                cmocka_unit_test(a_verb_that_is_wrong_is_told_with_what_may_be_meant),
                cmocka_unit_test(config_asks_penstockd_and_simulate_penstock_sim),
                cmocka_unit_test(each_verb_has_a_help_with_examples),
        };

        return cmocka_run_group_tests_name("ctl-usage", tests, NULL, NULL);
}
