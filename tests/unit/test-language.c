/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/language.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static const LanguageContext context = { .memory_max_bytes = 300 * MIB + 5, .tmpdir = "/var/tmp" };

typedef struct Line {
        const char *section, *key, *value;
} Line;

#define L(k, v) { "Language", k, v }
#define S(k, v) { "Sandbox", k, v }

static int language_make(const Line *lines, size_t n, Language **ret, Error *e) {
        Language *l;
        int r = language_new("test", &l);

        for (size_t i = 0; r == 0 && i < n; i++)
                r = language_set(l, lines[i].section, lines[i].key, lines[i].value, "/etc/x.conf", (unsigned) i + 1,
                                 e);
        if (r == 0)
                r = language_finish(l, e);
        if (r < 0)
                l = language_free(l);
        *ret = l;
        return r;
}

static Language *good(const Line *lines, size_t n) {
        Error e = {};
        Language *l;
        int r = language_make(lines, n, &l, &e);

        if (r < 0)
                print_message("%s\n", e.message);
        assert_int_equal(r, 0);
        return l;
}
#define GOOD(...) good((const Line[]) { __VA_ARGS__ }, sizeof((const Line[]) { __VA_ARGS__ }) / sizeof(Line))

static void bad(const char *text, const Line *lines, size_t n) {
        Error e = {};
        Language *l;

        assert_int_equal(language_make(lines, n, &l, &e), -EINVAL);
        print_message("%s\n", e.message);
        assert_int_equal(e.code, ERROR_INVALID_ARGUMENT);
        assert_non_null(strstr(e.message, text));
}
#define BAD(text, ...)                                                                                               \
        bad(text, (const Line[]) { __VA_ARGS__ }, sizeof((const Line[]) { __VA_ARGS__ }) / sizeof(Line))

static Request request_make(const char *query) {
        Request r = REQUEST_INIT;

        r.language = strdup("test");
        if (query) {
                r.query = strdup(query);
                r.query_len = strlen(query);
        }
        return r;
}

/* @argv is what must come out, its words joined by "|". */
static LanguageCommand executes(const Language *l, Request *r, const char *argv) {
        LanguageCommand c = {};
        char joined[1024] = "";
        Error e = {};
        int ret = language_execute_command(l, r, &context, &c, &e);

        if (ret < 0)
                print_message("%s\n", e.message);
        assert_int_equal(ret, 0);
        for (size_t i = 0; i < c.argv.n; i++) {
                if (i > 0)
                        strcat(joined, "|");
                strcat(joined, c.argv.v[i]);
        }
        assert_string_equal(joined, argv);
        assert_null(c.argv.v[c.argv.n]);
        return c;
}

static void refuses(const Language *l, Request *r, const char *text) {
        LanguageCommand c = {};
        Error e = {};

        assert_int_equal(language_execute_command(l, r, &context, &c, &e), -EINVAL);
        print_message("%s\n", e.message);
        assert_int_equal(e.code, ERROR_INVALID_ARGUMENT);
        assert_non_null(strstr(e.message, text));
        assert_null(c.argv.v);
        request_done(r);
}

static void exec_runs_any_argv_and_no_query(void **state) {
        Language *l = GOOD(L("Arguments", "yes"), L("PassStdin", "yes"));
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

static void templates_are_checked_at_load(void **state) {
        static const char *const broken[] = { "e {nope}",   "e {query",     "e query}",      "e {}",
                                              "e {param:}", "e {param:1a}", "e {param:a-b}", "e { query}",
                                              "e {QUERY}",  "e 'open",      "e \\q",         "e {{}" };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(broken); i++)
                BAD("/etc/x.conf:2: Execute=", L("QueryFrom", "stdin"), L("Execute", broken[i]));
        BAD("Execute= is missing", L("QueryFrom", "stdin"));
        BAD("Execute= is missing", L("Arguments", "no"));
        BAD("program in Execute=", L("QueryFrom", "stdin"), L("Execute", "{param:engine}"));
        BAD("program in Execute=", L("QueryFrom", "stdin"), L("Execute", "''"));
        BAD("does not hold {query}", L("QueryFrom", "argument"), L("Execute", "e"));
        BAD("does not hold {query_file}", L("QueryFrom", "file"), L("Execute", "e"));
        BAD("needs QueryFrom=argument", L("QueryFrom", "stdin"), L("Execute", "e {query}"));
        BAD("needs QueryFrom=file", L("QueryFrom", "stdin"), L("Execute", "e {query_file}"));
        BAD("Compile= needs a query", L("Execute", "e"), L("Compile", "c"));
        BAD("{database} needs", L("QueryFrom", "stdin"), L("Execute", "e {database}"));
        BAD("neither Execute= nor", L("QueryFrom", "stdin"), L("Execute", "e"), L("Database", "file"));
        BAD("needs DatabaseDefault=", L("QueryFrom", "stdin"), L("Execute", "e {database}"),
            L("Database", "optional-file"));
        BAD("DatabaseDefault= needs", L("QueryFrom", "stdin"), L("Execute", "e {database}"), L("Database", "file"),
            L("DatabaseDefault", "x"));
        BAD("Environment= cannot hold", L("QueryFrom", "file"), L("Execute", "e {query_file}"),
            L("Environment", "Q={query_file}"));
        BAD("one of: none stdin argument file", L("QueryFrom", "pipe"));
        BAD("yes or no", L("Arguments", "many"));
        BAD("NAME=VALUE", L("Environment", "A"));
        BAD("NAME=VALUE", L("Environment", "A={nope}"));
        BAD("[Dependency NAME]", L("Dependencies", "a/b"));
}

static void the_sandbox_takes_only_what_is_listed(void **state) {
        Language *l = GOOD(L("Arguments", "yes"), S("WorkingDirectory", "read-write"), S("Home", "read-only"),
                           S("Network", "yes"), S("SystemCallFilter", "@mount ptrace"), S("Nice", "-20"),
                           S("CPUWeight", "10000"), S("ReadWritePaths", "/srv/a '/srv/b c'"), S("Nice", "19"),
                           S("IOWeight", "5"), S("IOWeight", ""));
        Error e = {};

        (void) state;
        assert_int_equal(l->working_directory_access, PATH_READ_WRITE);
        assert_int_equal(l->home_access, PATH_READ_ONLY);
        assert_int_equal(l->database_access, PATH_READ_ONLY);
        assert_true(l->network);
        assert_string_equal(pairlist_get(&l->unit_properties, "Nice"), "19");
        assert_null(pairlist_get(&l->unit_properties, "IOWeight"));
        assert_int_equal(language_set(l, "Sandbox", "MemoryMax", "1G", "f", 1, &e), -ENOENT);
        assert_int_equal(language_set(l, "Sandbox", "User", "root", "f", 1, &e), -ENOENT);
        assert_int_equal(language_set(l, "Sandbox", "ExecStartPre", "x", "f", 1, &e), -ENOENT);
        assert_int_equal(language_set(l, "Language", "Nice", "1", "f", 1, &e), -ENOENT);
        assert_int_equal(language_set(l, "Sandbox", "Execute", "x", "f", 1, &e), -ENOENT);
        assert_int_equal(e.code, ERROR_NONE);
        language_free(l);
        BAD("/etc/x.conf:1: Nice=-21", S("Nice", "-21"));
        BAD("Nice=20", S("Nice", "20"));
        BAD("CPUWeight=0", S("CPUWeight", "0"));
        BAD("CPUWeight=10001", S("CPUWeight", "10001"));
        BAD("CPUWeight=-1", S("CPUWeight", "-1"));
        BAD("LimitNOFILE=infinity", S("LimitNOFILE", "infinity"));
        BAD("MemoryDenyWriteExecute=maybe", S("MemoryDenyWriteExecute", "maybe"));
        BAD("SystemCallFilter=~@mount", S("SystemCallFilter", "~@mount"));
        BAD("ReadWritePaths=srv", S("ReadWritePaths", "srv"));
        BAD("one of: hidden read-only read-write", S("Home", "rw"));
}

static void later_values_replace_and_nothing_resets(void **state) {
        Language *l = GOOD(L("Execute", "a b"), L("Execute", "c"), L("QueryFrom", "file"), L("QueryFrom", ""),
                           L("Description", "x"), L("Description", ""), L("Dependencies", "a b a"),
                           L("Environment", "A=1 B=2"), L("Environment", "A=3"), S("DatabaseAccess", "read-write"),
                           S("DatabaseAccess", ""));

        (void) state;
        assert_int_equal(l->execute.n, 1);
        assert_int_equal(l->query_from, QUERY_FROM_NONE);
        assert_null(l->description);
        assert_int_equal(l->dependencies.n, 2);
        assert_int_equal(l->environment.n, 2);
        assert_string_equal(pairlist_get(&l->environment, "A"), "3");
        assert_int_equal(l->database_access, PATH_READ_ONLY);
        language_free(l);
        assert_null(language_free(NULL));
        assert_true(language_name_is_valid("clickhouse-local"));
        assert_false(language_name_is_valid("../x"));
        assert_false(language_name_is_valid("-x"));
        assert_false(language_name_is_valid(""));
        assert_false(language_name_is_valid("SQL"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(exec_runs_any_argv_and_no_query),
                cmocka_unit_test(a_query_file_is_the_descriptor_or_the_path),
                cmocka_unit_test(a_query_on_stdin_never_eats_the_callers),
                cmocka_unit_test(a_database_file_is_an_absolute_clean_path),
                cmocka_unit_test(a_value_is_never_read_as_an_option),
                cmocka_unit_test(values_stay_within_their_element),
                cmocka_unit_test(parameters_are_needed_and_known),
                cmocka_unit_test(an_element_is_bounded),
                cmocka_unit_test(templates_are_checked_at_load),
                cmocka_unit_test(the_sandbox_takes_only_what_is_listed),
                cmocka_unit_test(later_values_replace_and_nothing_resets),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
