/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "language-kit.h"

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
        BAD("{database} needs", L("QueryFrom", "stdin"), L("Compile", "c {database}"), L("Execute", "e"));
        BAD("neither Execute= nor", L("QueryFrom", "stdin"), L("Execute", "e"), L("Database", "file"));
        BAD("needs DatabaseDefault=", L("QueryFrom", "stdin"), L("Execute", "e -d{database}"),
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
        char longest[65] = "";

        (void) state;
        memset(longest, 'a', 63);
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
        assert_true(language_name_is_valid(longest));
        strcat(longest, "a");
        assert_false(language_name_is_valid(longest));
}

static void what_was_written_down_is_checked_as_what_is_set(void **state) {
        Language *l = GOOD(L("QueryFrom", "stdin"), L("Execute", "e {tmpdir}"), L("Environment", "A={param:a}"), S("Nice", "5"));
        Language was = *l;

        (void) state;
        assert_int_equal(language_check(l), 0);
        l->query_from = QUERY_FROM_FILE; /* {query_file} is not in Execute= */
        assert_int_equal(language_check(l), -EINVAL);
        l->query_from = (QueryFrom) (QUERY_FROM_FILE + 1);
        assert_int_equal(language_check(l), -EINVAL);
        l->query_from = was.query_from;
        l->home_access = (PathAccess) (PATH_READ_WRITE + 1);
        assert_int_equal(language_check(l), -EINVAL);
        l->home_access = PATH_READ_WRITE;
        assert_int_equal(language_check(l), 0);
        assert_int_equal(strlist_add(&l->execute, "{nope}"), 0);
        assert_int_equal(language_check(l), -EINVAL);
        free(l->execute.v[--l->execute.n]);
        assert_int_equal(pairlist_set(&l->environment, "B", "{"), 0);
        assert_int_equal(language_check(l), -EINVAL);
        pairlist_remove(&l->environment, "B");
        assert_int_equal(pairlist_set(&l->environment, "1", ""), 0);
        assert_int_equal(language_check(l), -EINVAL);
        pairlist_remove(&l->environment, "1");
        assert_int_equal(pairlist_set(&l->unit_properties, "Nice", "20"), 0);
        assert_int_equal(language_check(l), -EINVAL);
        assert_int_equal(pairlist_set(&l->unit_properties, "Nice", "19"), 0);
        assert_int_equal(language_check(l), 0);
        assert_int_equal(pairlist_set(&l->unit_properties, "User", "root"), 0);
        assert_int_equal(language_check(l), -EINVAL);
        language_free(l);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(templates_are_checked_at_load),
                cmocka_unit_test(the_sandbox_takes_only_what_is_listed),
                cmocka_unit_test(later_values_replace_and_nothing_resets),
                cmocka_unit_test(what_was_written_down_is_checked_as_what_is_set),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
