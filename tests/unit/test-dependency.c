/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a query gets: the union of three wishes, in a stable order, and who may wish. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "core/dependency.h"

static DependencyList known;

static void set(const char *name, const char *key, const char *value) {
        Error e = {};

        assert_int_equal(dependency_set(&known, name, key, value, "f", 1, &e), 0);
}

static int setup(void **state) {
        (void) state;
        set("a", "Environment", "A=1");
        set("b", "LoadCredential", "TOKEN:/etc/b");
        set("c", "Requestable", "yes");
        set("c", "CheckCommand", "/bin/true");
        set("d", "Requires", "x.service");
        return 0;
}

static int teardown(void **state) {
        (void) state;
        dependency_list_done(&known);
        return 0;
}

static StrList list(const char *words) {
        StrList l = {};

        for (const char *p = words; *p; p++) {
                char one[2] = { *p, 0 };

                assert_int_equal(strlist_add(&l, one), 0);
        }
        return l;
}

/* The names that come out, one letter each; "" with @e set when it is refused. */
static const char *collect(const char *executor, const char *language, const char *request, Error *e) {
        static char names[DEPENDENCIES_MAX + 1];
        StrList x = list(executor), l = list(language), r = list(request);
        DependencyWishes w = { &x, "sql", &l, &r };
        DependencyList got = {};
        int k = dependency_collect(&known, &w, &got, e);

        assert_int_equal(k, -error_errno(e->code));
        memset(names, 0, sizeof(names));
        for (size_t i = 0; i < got.n; i++)
                names[i] = got.v[i].name[0];
        dependency_list_done(&got);
        strlist_done(&x);
        strlist_done(&l);
        strlist_done(&r);
        return names;
}

static void the_union_is_in_order_and_each_once(void **state) {
        Error e = {};

        (void) state;
        assert_string_equal(collect("", "", "", &e), "");
        assert_string_equal(collect("ba", "ad", "cb", &e), "badc");
        assert_string_equal(collect("", "", "c", &e), "c");
        assert_int_equal(e.code, ERROR_NONE);
}

static void a_request_names_only_what_it_may(void **state) {
        Error e = {};

        (void) state;
        assert_string_equal(collect("", "", "a", &e), "");
        assert_int_equal(e.code, ERROR_PERMISSION_DENIED);
        assert_non_null(strstr(e.message, "Requestable= of [Dependency a]"));
        e = (Error) {};
        assert_string_equal(collect("a", "", "a", &e), "a"); /* it has it anyhow */
        assert_int_equal(e.code, ERROR_NONE);
}

static void unknown_names_are_named(void **state) {
        Error e = {};

        (void) state;
        assert_string_equal(collect("a", "", "cz", &e), "");
        assert_int_equal(e.code, ERROR_INVALID_ARGUMENT);
        assert_non_null(strstr(e.message, "[Dependency z]"));
        e = (Error) {};
        collect("", "", "%", &e);
        assert_null(strstr(e.message, "%")); /* what can't be a name is not repeated */
        e = (Error) {};
        assert_string_equal(collect("a", "z", "", &e), "");
        assert_int_equal(e.code, ERROR_DEPENDENCY_FAILED);
        assert_non_null(strstr(e.message, "language sql needs the dependency z"));
}

static void more_than_32_are_refused(void **state) {
        char name[2] = "", all[64] = "";
        Error e = {};

        (void) state;
        for (unsigned i = 0; i <= DEPENDENCIES_MAX; i++) {
                name[0] = (char) (i < 26 ? 'A' + (int) i : 'e' + (int) i - 26);
                set(name, "Environment", "X=1");
                strcat(all, name);
        }
        collect(all, "", "", &e);
        assert_int_equal(e.code, ERROR_INVALID_ARGUMENT);
        all[DEPENDENCIES_MAX] = '\0';
        e = (Error) {};
        assert_string_equal(collect(all, "", "", &e), all);
}

static void a_copy_is_whole_and_its_own(void **state) {
        DependencyList copy = {};
        const Dependency *d;

        (void) state;
        set("e", "Environment", "A=1 B=2");
        set("e", "EnvironmentFile", "-/etc/e /etc/f");
        set("e", "LoadCredential", "K:/etc/k");
        set("e", "BindPaths", "/srv/a");
        set("e", "BindReadOnlyPaths", "/srv/b");
        set("e", "Requires", "a.service");
        set("e", "After", "b.service");
        set("e", "CheckCommand", "/bin/check x");
        set("e", "ReleaseCommand", "/bin/release");
        set("e", "CheckTimeoutSec", "3s");
        set("e", "User", "daemon");
        assert_int_equal(dependency_list_copy(&known, &copy), 0);
        dependency_list_done(&known); /* a reload */
        d = dependency_find(&copy, "e");
        assert_string_equal(pairlist_get(&d->environment, "B"), "2");
        assert_string_equal(d->environment_files.v[0], "-/etc/e");
        assert_string_equal(pairlist_get(&d->credentials, "K"), "/etc/k");
        assert_string_equal(d->bind_paths.v[0], "/srv/a");
        assert_string_equal(d->bind_read_only_paths.v[0], "/srv/b");
        assert_string_equal(d->requires_units.v[0], "a.service");
        assert_string_equal(d->after_units.v[0], "b.service");
        assert_string_equal(d->check_command.v[1], "x");
        assert_string_equal(d->release_command.v[0], "/bin/release");
        assert_string_equal(d->user, "daemon");
        assert_int_equal(d->check_timeout_usec, 3 * USEC_PER_SEC);
        dependency_list_done(&copy);
}

static void only_what_can_fail_is_checked(void **state) {
        (void) state;
        assert_false(dependency_needs_check(dependency_find(&known, "a")));
        assert_true(dependency_needs_check(dependency_find(&known, "b")));
        assert_true(dependency_needs_check(dependency_find(&known, "c")));
        assert_true(dependency_needs_check(dependency_find(&known, "d")));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static void it_is_the_same_when_all_of_it_is(void **state) {
        static const char *const others[][2] = {
                { "Requestable", "yes" },      { "Environment", "A=2" },         { "Environment", "B=1" },
                { "EnvironmentFile", "/e" },   { "LoadCredential", "A:/f" },     { "BindPaths", "/p" },
                { "BindReadOnlyPaths", "/p" }, { "Requires", "x.service" },      { "After", "x.service" },
                { "CheckCommand", "/bin/a" },  { "ReleaseCommand", "/bin/a b" }, { "CheckTimeoutSec", "7s" },
                { "User", "bob" },
        };
        DependencyList a = {}, b = {};
        Error e = {};

        (void) state;
        assert_int_equal(dependency_set(&a, "x", "Environment", "A=1", "f", 1, &e), 0);
        assert_int_equal(dependency_set(&a, "x", "ReleaseCommand", "/bin/a", "f", 1, &e), 0);
        for (size_t i = 0; i < ELEMENTSOF(others); i++) {
                assert_int_equal(dependency_list_copy(&a, &b), 0);
                assert_true(dependency_is_same(&a.v[0], &b.v[0]));
                assert_int_equal(dependency_set(&b, "x", others[i][0], others[i][1], "f", 1, &e), 0);
                if (dependency_is_same(&a.v[0], &b.v[0]) || dependency_is_same(&b.v[0], &a.v[0]))
                        fail_msg("%s=%s makes no difference", others[i][0], others[i][1]);
                dependency_list_done(&b);
        }
        assert_int_equal(dependency_set(&b, "y", "Environment", "A=1", "f", 1, &e), 0);
        assert_int_equal(dependency_set(&b, "y", "ReleaseCommand", "/bin/a", "f", 1, &e), 0);
        assert_false(dependency_is_same(&a.v[0], &b.v[0]));
        dependency_list_done(&a);
        dependency_list_done(&b);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(the_union_is_in_order_and_each_once), TEST(a_request_names_only_what_it_may),
                TEST(unknown_names_are_named),             TEST(more_than_32_are_refused),
                TEST(a_copy_is_whole_and_its_own),         TEST(only_what_can_fail_is_checked),
                cmocka_unit_test(it_is_the_same_when_all_of_it_is),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
