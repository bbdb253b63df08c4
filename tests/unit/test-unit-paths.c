/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which of a caller's paths PID 1 mounts, and which the worker makes writable. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "daemon/dependencies.h"
#include "daemon/unit_paths.h"

static const char *dependency_path; /* what a dependency binds read-only */

int entry_dependency_binds(const Entry *e, StrList *bind, StrList *bind_read_only) {
        (void) e;
        (void) bind;
        return dependency_path ? strlist_add(bind_read_only, dependency_path) : 0;
}

int entry_dependency_units(const Entry *e, StrList *requisite, StrList *after) {
        (void) e;
        (void) requisite;
        (void) after;
        return 0;
}

#define OWN 10u   /* inode of what is named, and one more for each */
#define ABOVE 20u /* of the directory that it is in */

typedef struct Named {
        const char *working_directory, *database, *file;
        PathAccess access; /* of the working directory; a database is always writable */
        bool hidden_homes, mounted_read_only;
        const char *kept; /* ReadOnlyPaths= of the language */
} Named;

typedef struct Got {
        UnitPaths paths;
        LaunchCheck checks[UNIT_PATHS_MAX];
        size_t n_checks;
        StrList texts;
} Got;

static void got_done(Got *g) {
        unit_paths_done(&g->paths);
        strlist_done(&g->texts);
}

static Got ask(Named n) {
        const char *const keys[] = { "working_directory", "database", "file" }, *const named[] = { n.working_directory, n.database, n.file };
        PathcheckResult paths[3] = {};
        Entry e = { .paths = paths,
                    .working_directory_access = n.access,
                    .database_access = PATH_READ_WRITE,
                    .home_access = n.hidden_homes ? PATH_HIDDEN : PATH_READ_ONLY };
        Got g = {};

        if (n.kept)
                assert_int_equal(pairlist_set(&e.unit_properties, "ReadOnlyPaths", n.kept), 0);
        for (size_t i = 0; i < ELEMENTSOF(keys); i++)
                if (named[i])
                        paths[e.n_paths++] = (PathcheckResult) { .key = keys[i],
                                                                 .path = (char *) named[i],
                                                                 .resolved = (char *) named[i],
                                                                 .is_directory = i == 0,
                                                                 .is_mounted_read_only = n.mounted_read_only,
                                                                 .self = { 1, OWN + i, 1 },
                                                                 .above = { 1, ABOVE + i, 1 } };
        assert_int_equal(unit_paths_collect(&e, &g.paths), 0);
        assert_int_equal(unit_paths_checks(&e, g.checks, &g.texts, &g.n_checks), 0);
        pairlist_done(&e.unit_properties);
        return g;
}

static void assert_list(const StrList *l, const char *wanted) {
        char text[256] = "";

        for (size_t i = 0; i < l->n; i++) {
                strcat(text, l->v[i]);
                strcat(text, " ");
        }
        assert_string_equal(text, wanted);
}

static void assert_bound(Named n, const char *read_write, const char *read_only) {
        CLEANUP(got_done) Got g = ask(n);

        assert_list(&g.paths.bind, read_write);
        assert_list(&g.paths.bind_read_only, read_only);
}

static void what_lies_beside_is_bound_as_it_is_named(void **state) {
        (void) state;
        assert_bound((Named) { .working_directory = "/tmp/w", .file = "/tmp/w2/q" }, "", "/tmp/w2/q ");
        assert_bound((Named) { .working_directory = "/tmp/w", .access = PATH_READ_ONLY, .file = "/tmp/w2/q" }, "", "/tmp/w /tmp/w2/q ");
        assert_bound((Named) { .working_directory = "/tmp/w", .access = PATH_READ_WRITE, .database = "/var/tmp/d/db" }, "/tmp/w /var/tmp/d ",
                     "");
        assert_bound((Named) { .working_directory = "/tmp", .access = PATH_READ_WRITE, .database = "/tmp/db" }, "/tmp/db ", "");
        assert_bound((Named) { .working_directory = "/home/a", .access = PATH_READ_WRITE, .hidden_homes = true }, "/home/a ", "");
}

static void nothing_is_bound_into_what_is_bound(void **state) {
        (void) state;
        assert_bound((Named) { .working_directory = "/tmp/w", .access = PATH_READ_WRITE, .file = "/tmp/w/q" }, "/tmp/w ", "");
        assert_bound((Named) { .working_directory = "/tmp/w", .access = PATH_READ_ONLY, .file = "/tmp/w/a/q" }, "", "/tmp/w ");
        assert_bound((Named) { .working_directory = "/tmp/w", .access = PATH_READ_ONLY, .database = "/tmp/w/d/db" }, "/tmp/w ", "");
        assert_bound((Named) { .working_directory = "/tmp/w/d", .access = PATH_READ_ONLY, .database = "/tmp/w/db" }, "/tmp/w ", "");
        assert_bound((Named) { .working_directory = "/tmp/w", .access = PATH_READ_ONLY, .database = "/tmp/w/db" }, "/tmp/w ", "");
        assert_bound((Named) { .working_directory = "/tmp/w", .access = PATH_READ_ONLY, .database = "/tmp/w/d/db", .file = "/tmp/w/d/q" },
                     "/tmp/w ", "");
}

static void what_is_no_place_of_the_units_own_is_the_workers_to_make_writable(void **state) {
        (void) state;
        for (int i = 0; i < 2; i++) {
                CLEANUP(got_done) Got g = ask((Named) { .working_directory = "/home/a/p",
                                                        .access = i == 0 ? PATH_READ_WRITE : PATH_READ_ONLY,
                                                        .database = "/srv/d/db",
                                                        .file = "/home/a/q" });

                assert_list(&g.paths.bind, "");
                assert_list(&g.paths.bind_read_only, "");
                assert_int_equal(g.n_checks, 2 - i);
                assert_int_equal(g.checks[1 - i].kind, LAUNCH_CHECK_WRITABLE);
                assert_string_equal(g.checks[1 - i].path, "/srv/d");
                assert_int_equal(g.checks[1 - i].ino, ABOVE + 1);
                if (i > 0)
                        continue;
                assert_int_equal(g.checks[0].kind, LAUNCH_CHECK_WRITABLE);
                assert_string_equal(g.checks[0].path, "/home/a/p");
                assert_int_equal(g.checks[0].ino, OWN);
        }
}

static void the_kernels_and_what_the_host_has_read_only_stay_so(void **state) {
        static const char *const paths[] = { "/", "/proc", "/proc/self", "/sys/fs/cgroup/x", "/dev" };

        (void) state;
        for (size_t i = 0; i <= ELEMENTSOF(paths); i++) {
                CLEANUP(got_done) Got g = ask((Named) { .working_directory = i < ELEMENTSOF(paths) ? paths[i] : "/home/a",
                                                        .access = PATH_READ_WRITE,
                                                        .mounted_read_only = i == ELEMENTSOF(paths) });

                assert_int_equal(g.n_checks, 0);
        }
}

static void what_the_language_keeps_read_only_stays_so(void **state) {
        static const struct {
                const char *kept;
                size_t n_checks;
        } rows[] = { { "/usr /home/a", 0 }, { "-/home/a/p", 0 }, { "/home/a/p/below /home/a/p2", 1 } };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                CLEANUP(got_done) Got g = ask((Named) { .working_directory = "/home/a/p", .access = PATH_READ_WRITE, .kept = rows[i].kept });

                assert_int_equal(g.n_checks, rows[i].n_checks);
        }
}

static void a_directory_that_is_bound_must_be_the_one_that_was_looked_at(void **state) {
        CLEANUP(got_done) Got g = ask((Named) { .working_directory = "/srv/w", .access = PATH_READ_ONLY, .database = "/tmp/d/db" });

        (void) state;
        assert_int_equal(g.n_checks, 1);
        assert_int_equal(g.checks[0].kind, LAUNCH_CHECK_DIRECTORY);
        assert_string_equal(g.checks[0].path, "/tmp/d");
        assert_int_equal(g.checks[0].dev, 1);
        assert_int_equal(g.checks[0].ino, ABOVE + 1);
        assert_int_equal(g.checks[0].born_nsec, 1);
}

static void a_dependencys_path_lies_beside_the_callers(void **state) {
        static const struct {
                const char *dependency;
                bool apart;
        } rows[] = { { "/tmp/w/sub", false }, { "/tmp", false }, { "/tmp/w", true }, { "/tmp/w2", true }, { "/srv/x", true } };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                CLEANUP(got_done) Got g = {};
                Error error = {};

                dependency_path = rows[i].dependency;
                g = ask((Named) { .working_directory = "/tmp/w", .access = PATH_READ_WRITE });
                dependency_path = NULL;
                assert_int_equal(unit_paths_are_apart(&g.paths, &error), rows[i].apart);
                assert_int_equal(error.code, rows[i].apart ? ERROR_NONE : ERROR_INVALID_ARGUMENT);
                if (!rows[i].apart)
                        assert_non_null(strstr(error.message, rows[i].dependency));
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_lies_beside_is_bound_as_it_is_named),
                cmocka_unit_test(nothing_is_bound_into_what_is_bound),
                cmocka_unit_test(what_is_no_place_of_the_units_own_is_the_workers_to_make_writable),
                cmocka_unit_test(the_kernels_and_what_the_host_has_read_only_stay_so),
                cmocka_unit_test(what_the_language_keeps_read_only_stays_so),
                cmocka_unit_test(a_directory_that_is_bound_must_be_the_one_that_was_looked_at),
                cmocka_unit_test(a_dependencys_path_lies_beside_the_callers),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
