/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The child that looks at a dependency's files. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/request.h"
#include "host/child.h"
#include "host/dependency_files.h"

typedef struct Bench {
        sd_event *event;
        char dir[64];
        DependencyList known;
        DependencyFiles *files;
        bool done;
        Error error;
        PairList environment;
} Bench;

static int setup(void **state) {
        Bench *b = calloc(1, sizeof(*b));

        assert_non_null(b);
        strcpy(b->dir, "/tmp/test-dependency-files.XXXXXX");
        assert_non_null(mkdtemp(b->dir));
        assert_return_code(sd_event_new(&b->event), 0);
        *state = b;
        return 0;
}

static int teardown(void **state) {
        Bench *b = *state;
        char command[128];

        while (child_left(CHILD_FOR_US) > 0)
                assert_true(sd_event_run(b->event, UINT64_MAX) > 0);
        snprintf(command, sizeof(command), "rm -rf %s", b->dir);
        assert_int_equal(system(command), 0);
        sd_event_unref(b->event);
        dependency_list_done(&b->known);
        pairlist_done(&b->environment);
        free(b);
        return 0;
}

static const char *path_in(Bench *b, const char *name) {
        static char path[256];

        snprintf(path, sizeof(path), "%s/%s", b->dir, name);
        return path;
}

static void put(Bench *b, const char *name, const char *text, mode_t mode) {
        FILE *f = fopen(path_in(b, name), "w");

        assert_non_null(f);
        assert_true(fputs(text, f) >= 0);
        fclose(f);
        assert_int_equal(chmod(path_in(b, name), mode), 0);
}

/* Key= of the dependency "lake", with each % in @value for the directory. */
static void set(Bench *b, const char *key, const char *value) {
        char text[512] = "";
        Error e = {};

        for (const char *p = value; *p; p++)
                snprintf(text + strlen(text), sizeof(text) - strlen(text), *p == '%' ? "%s" : "%.1s", *p == '%' ? b->dir : p);
        assert_int_equal(dependency_set(&b->known, "lake", key, text, "f", 1, &e), 0);
}

static void on_done(const Error *error, PairList *environment, void *userdata) {
        Bench *b = userdata;

        assert_false(b->done);
        b->done = true;
        b->error = *error;
        b->environment = *environment;
        *environment = (PairList) {};
        b->files = dependency_files_free(b->files);
}

static const char *look(Bench *b) {
        pairlist_done(&b->environment);
        b->done = false;
        b->error = (Error) {};
        assert_int_equal(dependency_files_start(b->event, &b->known.v[0], on_done, b, &b->files), 0);
        while (!b->done)
                assert_true(sd_event_run(b->event, UINT64_MAX) >= 0);
        assert_true(b->error.code == ERROR_NONE || b->error.code == ERROR_DEPENDENCY_FAILED);
        return b->error.message;
}

static void variables_are_read_in_the_order_of_the_files(void **state) {
        Bench *b = *state;

        put(b, "a", "A=1\nB=1\n", 0600);
        put(b, "b", "B=2\n", 0600);
        set(b, "EnvironmentFile", "%/a -%/missing %/b");
        assert_string_equal(look(b), "");
        assert_string_equal(pairlist_get(&b->environment, "A"), "1");
        assert_string_equal(pairlist_get(&b->environment, "B"), "2");
        assert_int_equal(b->environment.n, 2);
}

static void what_is_wrong_is_named(void **state) {
        static const struct {
                const char *key, *value, *word;
        } cases[] = {
                { "EnvironmentFile", "%/missing", "EnvironmentFile=" },
                { "EnvironmentFile", "%/bad", "line 2 is not" },
                { "EnvironmentFile", "%", "directory" },
                { "EnvironmentFile", "%/fifo", "Invalid argument" },
                { "EnvironmentFile", "%/big", "too large" },
                { "EnvironmentFile", "-%/bad", "line 2 is not" }, /* may be missing, not broken */
                { "BindPaths", "/usr %/missing", "BindPaths=" },
                { "BindReadOnlyPaths", "/nowhere", "BindReadOnlyPaths=/nowhere" },
                { "LoadCredential", "A:/usr/missing", "LoadCredential=/usr/missing: No such file" },
                { "LoadCredential", "A:/usr", "Is a directory" },
                { "LoadCredential", "A:/dev/null", "Invalid argument" },
        };
        Bench *b = *state;
        FILE *f;

        put(b, "bad", "A=1\nexport B=2\nC=3\n", 0600);
        put(b, "big", "", 0600);
        f = fopen(path_in(b, "big"), "w");
        for (size_t i = 0; i <= 64 * KIB; i++)
                fputc('#', f);
        fclose(f);
        assert_int_equal(mkfifo(path_in(b, "fifo"), 0600), 0);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                dependency_list_done(&b->known);
                set(b, cases[i].key, cases[i].value);
                look(b);
                print_message("%s\n", b->error.message);
                assert_non_null(strstr(b->error.message, "dependency lake: "));
                assert_non_null(strstr(b->error.message, cases[i].word));
        }
}

static void what_is_there_is_enough(void **state) {
        Bench *b = *state;

        set(b, "BindPaths", "/usr %");
        set(b, "BindReadOnlyPaths", "/etc/passwd");
        set(b, "LoadCredential", "A:/etc/passwd B:/etc/group");
        assert_string_equal(look(b), "");
        assert_true(dependency_files_needed(&b->known.v[0]));
        dependency_list_done(&b->known);
        set(b, "CheckCommand", "/bin/true");
        assert_false(dependency_files_needed(&b->known.v[0]));
}

static void nobody_hears_of_a_look_that_was_given_up(void **state) {
        Bench *b = *state;

        set(b, "EnvironmentFile", "%/a");
        assert_int_equal(dependency_files_start(b->event, &b->known.v[0], on_done, b, &b->files), 0);
        b->files = dependency_files_free(b->files);
        while (child_left(CHILD_FOR_US) > 0)
                assert_true(sd_event_run(b->event, UINT64_MAX) > 0);
        assert_false(b->done);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(variables_are_read_in_the_order_of_the_files),
                TEST(what_is_wrong_is_named),
                TEST(what_is_there_is_enough),
                TEST(nobody_hears_of_a_look_that_was_given_up),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
