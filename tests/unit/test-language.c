/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "language-kit.h"

#include <stdio.h>

static void exec_runs_any_argv_and_no_query(void **state) {
        Language *l = GOOD(L("Arguments", "yes"));
        Request r = request_make(NULL);
        LanguageCommand c;

        (void) state;
        strlist_add(&r.argv, "-odd name");
        strlist_add(&r.argv, "{query}");
        strlist_add(&r.argv, "");
        c = executes(l, &r, "-odd name|{query}|");
        assert_int_equal(c.stdin_from, STDIN_NULL);
        assert_false(c.query_on_fd);
        language_command_done(&c);
        r.has_stdin = true;
        c = executes(l, &r, "-odd name|{query}|");
        assert_int_equal(c.stdin_from, STDIN_CALLER);
        language_command_done(&c);
        request_done(&r);
        r = request_make("ls");
        refuses(l, &r, "run -- ARGV…");
        r = request_make(NULL);
        r.file = strdup("/a");
        refuses(l, &r, "run -- ARGV…");
        r = request_make(NULL);
        refuses(l, &r, "needs a program");
        language_free(l);
}

static void a_query_file_is_the_descriptor_or_the_path(void **state) {
        Language *l = GOOD(L("QueryFrom", "file"), L("Execute", "/bin/sh {query_file}"), L("Arguments", "yes"));
        Request r = request_make("echo $1");
        LanguageCommand c;

        (void) state;
        strlist_add(&r.argv, "-x");
        c = executes(l, &r, "/bin/sh|/proc/self/fd/3|-x");
        assert_true(c.query_on_fd);
        assert_int_equal(c.stdin_from, STDIN_NULL);
        language_command_done(&c);
        request_done(&r);
        r = request_make(NULL);
        r.file = strdup("/home/a/q.sh");
        r.has_stdin = true;
        c = executes(l, &r, "/bin/sh|/home/a/q.sh");
        assert_false(c.query_on_fd);
        assert_int_equal(c.stdin_from, STDIN_CALLER);
        language_command_done(&c);
        request_done(&r);
        r = request_make(NULL);
        strlist_add(&r.argv, "ls");
        refuses(l, &r, "needs a query");
        language_free(l);
}

static void a_query_on_stdin_never_eats_the_callers(void **state) {
        Language *l = GOOD(L("QueryFrom", "stdin"), L("Execute", "sqlite3 {database}"),
                           L("Database", "optional-file"), L("DatabaseDefault", ":memory:"),
                           L("Compile", "/usr/lib/check {database} {query_file}"));
        Request r = request_make("select 1");
        LanguageCommand c = {};
        Error e = {};

        (void) state;
        c = executes(l, &r, "sqlite3|:memory:");
        assert_int_equal(c.stdin_from, STDIN_QUERY);
        assert_false(c.query_on_fd);
        language_command_done(&c);
        assert_int_equal(language_compile_command(l, &r, &context, &c, &e), 0);
        assert_string_equal(c.argv.v[2], LANGUAGE_QUERY_PATH);
        assert_true(c.query_on_fd);
        assert_int_equal(c.stdin_from, STDIN_QUERY);
        language_command_done(&c);
        r.has_stdin = true;
        refuses(l, &r, "standard input");
        r = request_make(NULL);
        r.file = strdup("/q.sql");
        c = executes(l, &r, "sqlite3|:memory:");
        assert_int_equal(c.stdin_from, STDIN_FILE);
        language_command_done(&c);
        request_done(&r);
        r = request_make("select 1");
        strlist_add(&r.argv, "x");
        refuses(l, &r, "no arguments");
        language_free(l);
}

static void a_database_file_is_an_absolute_clean_path(void **state) {
        static const char *const unclean[] = { "sales.db", "-cmd", "/a/../b", "/a//b", ":memory" };
        Language *l = GOOD(L("QueryFrom", "stdin"), L("Execute", "e {database} u={database_uri}"),
                           L("Database", "optional-file"), L("DatabaseDefault", ":memory:"));
        Request r;
        LanguageCommand c;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(unclean); i++) {
                r = request_make("q");
                r.database = strdup(unclean[i]);
                refuses(l, &r, "absolute path");
        }
        r = request_make("q");
        r.database = strdup("/a b/c?x=1#é.db");
        c = executes(l, &r, "e|/a b/c?x=1#é.db|u=file:/a%20b/c%3Fx%3D1%23%C3%A9.db?mode=rw");
        language_command_done(&c);
        free(r.database);
        r.database = strdup(":memory:");
        c = executes(l, &r, "e|:memory:|u=:memory:");
        language_command_done(&c);
        request_done(&r);
        language_free(l);

        l = GOOD(L("QueryFrom", "stdin"), L("Execute", "e {database}"), L("Database", "file"));
        r = request_make("q");
        refuses(l, &r, "needs a database");
        language_free(l);
        l = GOOD(L("QueryFrom", "stdin"), L("Execute", "e"));
        r = request_make("q");
        r.database = strdup("/a");
        refuses(l, &r, "takes no database");
        language_free(l);
}

static void a_database_that_is_left_out_leaves_no_word(void **state) {
        Language *l = GOOD(L("QueryFrom", "file"), L("Execute", "awk -f {query_file} -- {database}"),
                           L("Database", "optional-file"), L("Arguments", "yes"));
        Request r = request_make("q");
        LanguageCommand c;

        (void) state;
        strlist_add(&r.argv, "-v");
        c = executes(l, &r, "awk|-f|/proc/self/fd/3|--|-v");
        language_command_done(&c);
        r.database = strdup("/var/log/a");
        c = executes(l, &r, "awk|-f|/proc/self/fd/3|--|/var/log/a|-v");
        language_command_done(&c);
        request_done(&r);
        language_free(l);
        BAD("a word of its own", L("QueryFrom", "stdin"), L("Execute", "e --db={database}"),
            L("Database", "optional-file"));
        BAD("a word of its own", L("QueryFrom", "stdin"), L("Execute", "e {database}"),
            L("Compile", "e {database}{database}"), L("Database", "optional-file"));
        BAD("a word of its own", L("QueryFrom", "stdin"), L("Execute", "e {database}"),
            L("Environment", "D={database}"), L("Database", "optional-file"));
}

static void a_share_of_the_maximum_is_rounded_down(void **state) {
        Language *l = GOOD(L("QueryFrom", "stdin"),
                           L("Execute", "e {memory_share:100} -m{memory_share:75}b {memory_share:1}"));
        Request r = request_make("q");
        LanguageCommand c = executes(l, &r, "e|314572805|-m235929603b|3145728");

        (void) state;
        language_command_done(&c);
        request_done(&r);
        language_free(l);
        for (size_t i = 0; i < 8; i++) {
                static const char *const shares[] = { "", "0", "101", "-1", "+5", "5%", " 5", "4294967301" };
                char text[64];

                snprintf(text, sizeof(text), "'e {memory_share:%s}'", shares[i]);
                BAD("placeholders known", L("QueryFrom", "stdin"), L("Execute", text));
        }
}

static void a_value_is_never_read_as_an_option(void **state) {
        Language *l = GOOD(L("QueryFrom", "argument"), L("Execute", "e {query}"));
        Request r = request_make("-rf");
        LanguageCommand c;

        (void) state;
        refuses(l, &r, "as an option");
        language_free(l);
        r = request_make("-rf");
        l = GOOD(L("QueryFrom", "argument"), L("Execute", "e -- {query}"));
        c = executes(l, &r, "e|--|-rf");
        language_command_done(&c);
        language_free(l);
        l = GOOD(L("QueryFrom", "argument"), L("Execute", "e --query={query}"));
        c = executes(l, &r, "e|--query=-rf");
        language_command_done(&c);
        language_free(l);
        request_done(&r);

        l = GOOD(L("QueryFrom", "stdin"), L("Execute", "e {database} {param:x}{param:y}"), L("Database", "name"));
        r = request_make("q");
        r.database = strdup("-d");
        pairlist_set(&r.parameters, "x", "");
        pairlist_set(&r.parameters, "y", "1");
        refuses(l, &r, "as an option");
        r = request_make("q");
        r.database = strdup("d");
        pairlist_set(&r.parameters, "x", "");
        pairlist_set(&r.parameters, "y", "-1");
        refuses(l, &r, "as an option");
        language_free(l);
}

static void values_stay_within_their_element(void **state) {
        Language *l = GOOD(L("QueryFrom", "argument"),
                           L("Execute",
                             "'e x' \"a {query} b\" {{{query}}} {memory_max_bytes} {memory_max_mib} {tmpdir}"));
        Request r = request_make("x' \"; {tmpdir} $(id)\n");
        LanguageCommand c = executes(
                        l, &r, "e x|a x' \"; {tmpdir} $(id)\n b|{x' \"; {tmpdir} $(id)\n}|314572805|300|/var/tmp");

        (void) state;
        language_command_done(&c);
        request_done(&r);
        language_free(l);
}

static void parameters_are_needed_and_known(void **state) {
        Language *l = GOOD(L("QueryFrom", "stdin"), L("Execute", "e --set={param:day}"),
                           L("Environment", "ZONE={param:zone}"));
        Request r = request_make("q");
        LanguageCommand c;

        (void) state;
        pairlist_set(&r.parameters, "day", "2024-01-01");
        refuses(l, &r, "--param zone=VALUE");
        r = request_make("q");
        pairlist_set(&r.parameters, "day", "-");
        pairlist_set(&r.parameters, "zone", "UTC");
        c = executes(l, &r, "e|--set=-");
        assert_string_equal(pairlist_get(&c.environment, "ZONE"), "UTC");
        language_command_done(&c);
        pairlist_set(&r.parameters, "dya", "1");
        refuses(l, &r, "no parameter dya");
        language_free(l);
}

static void an_element_is_bounded(void **state) {
        Language *l = GOOD(L("QueryFrom", "argument"), L("Execute", "e --q={query}"));

        (void) state;
        for (size_t extra = 0; extra < 2; extra++) {
                size_t n = REQUEST_ARG_BYTES_MAX - 1 - strlen("--q=") + extra;
                Request r = request_make("");
                LanguageCommand c = {};
                Error e = {};

                free(r.query);
                r.query = malloc(n + 1);
                memset(r.query, 'x', n);
                r.query[n] = '\0';
                r.query_len = n;
                assert_int_equal(language_execute_command(l, &r, &context, &c, &e), extra ? -EINVAL : 0);
                language_command_done(&c);
                request_done(&r);
        }
        {
                Request r = request_make(NULL);

                r.file = strdup("/q");
                refuses(l, &r, "as text only");
        }
        language_free(l);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(exec_runs_any_argv_and_no_query),
                cmocka_unit_test(a_query_file_is_the_descriptor_or_the_path),
                cmocka_unit_test(a_query_on_stdin_never_eats_the_callers),
                cmocka_unit_test(a_database_file_is_an_absolute_clean_path),
                cmocka_unit_test(a_database_that_is_left_out_leaves_no_word),
                cmocka_unit_test(a_share_of_the_maximum_is_rounded_down),
                cmocka_unit_test(a_value_is_never_read_as_an_option),
                cmocka_unit_test(values_stay_within_their_element),
                cmocka_unit_test(parameters_are_needed_and_known),
                cmocka_unit_test(an_element_is_bounded),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
