/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/request.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <cmocka.h>

static char *repeat(char c, size_t n) {
        char *s = malloc(n + 1);

        assert_non_null(s);
        memset(s, c, n);
        s[n] = '\0';
        return s;
}

static Request request_make(const char *query) {
        Request r = REQUEST_INIT;

        r.language = strdup("sqlite");
        if (query) {
                r.query = strdup(query);
                r.query_len = strlen(query);
        }
        return r;
}

static void accepted(Request *r) {
        Error e = {};

        assert_int_equal(request_validate(r, &e), 0);
        assert_int_equal(e.code, ERROR_NONE);
        request_done(r);
}

static void refused(Request *r, const char *word) {
        Error e = {};

        assert_int_equal(request_validate(r, &e), -EINVAL);
        assert_int_equal(e.code, ERROR_INVALID_ARGUMENT);
        print_message("%s\n", e.message);
        assert_non_null(strstr(e.message, word));
        request_done(r);
}

static void a_query_a_file_or_an_argv_is_needed(void **state) {
        Request r = request_make("select 1");

        (void) state;
        accepted(&r);
        r = request_make("");
        refused(&r, "query is empty");
        r = request_make("");
        strlist_add(&r.argv, "true");
        refused(&r, "query is empty");
        r = request_make(NULL);
        r.file = strdup("/home/a/q.sql");
        accepted(&r);
        r = request_make(NULL);
        strlist_add(&r.argv, "true");
        accepted(&r);
        r = request_make("echo $1");
        strlist_add(&r.argv, "");
        accepted(&r);
        r = request_make(NULL);
        refused(&r, "query is missing");
        r = request_make("select 1");
        r.file = strdup("/home/a/q.sql");
        refused(&r, "exclude");
        r = request_make(NULL);
        strlist_add(&r.argv, "");
        refused(&r, "argv");
        r = request_make("select 1");
        free(r.language);
        r.language = NULL;
        refused(&r, "language is missing");
}

static void a_query_is_bounded_and_holds_no_nul(void **state) {
        Request r = REQUEST_INIT;

        (void) state;
        r.language = strdup("shell");
        r.query = repeat('x', REQUEST_QUERY_BYTES_MAX);
        r.query_len = REQUEST_QUERY_BYTES_MAX;
        accepted(&r);
        r.language = strdup("shell");
        r.query = repeat('x', REQUEST_QUERY_BYTES_MAX + 1);
        r.query_len = REQUEST_QUERY_BYTES_MAX + 1;
        refused(&r, "4194305 bytes");
        r = request_make("select 1");
        r.query[3] = '\0';
        refused(&r, "offset 3");
        r = request_make("\xff\xfe bytes are the engine's business");
        accepted(&r);
}

static void argv_is_bounded(void **state) {
        Request r = request_make(NULL);

        (void) state;
        for (unsigned i = 0; i < REQUEST_ARGV_MAX; i++)
                strlist_add(&r.argv, "x");
        accepted(&r);
        r = request_make(NULL);
        for (unsigned i = 0; i < REQUEST_ARGV_MAX + 1; i++)
                strlist_add(&r.argv, "x");
        refused(&r, "4097 entries");

        for (size_t extra = 0; extra < 2; extra++) {
                CLEANUP(freep) char *arg = repeat('x', REQUEST_ARG_BYTES_MAX - 1 + extra);

                r = request_make(NULL);
                strlist_add(&r.argv, "echo");
                strlist_add(&r.argv, arg);
                if (extra)
                        refused(&r, "argv[1] is 131072 bytes");
                else
                        accepted(&r);
        }
        for (size_t extra = 0; extra < 2; extra++) {
                CLEANUP(freep) char *arg = repeat('x', REQUEST_ARG_BYTES_MAX - 1);

                r = request_make(NULL);
                for (unsigned i = 0; i < REQUEST_ARGV_BYTES_MAX / REQUEST_ARG_BYTES_MAX; i++)
                        strlist_add(&r.argv, arg);
                if (extra)
                        strlist_add(&r.argv, "");
                if (extra)
                        refused(&r, "argv is 1048577 bytes");
                else
                        accepted(&r);
        }
}

static void paths_are_absolute_clean_and_bounded(void **state) {
        static const char *const bad[] = { "q.sql", "/a/../q.sql", "/a//b", "/a/", "", "/\xff" };
        Request r;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                r = request_make(NULL);
                r.file = strdup(bad[i]);
                refused(&r, "file");
                r = request_make("select 1");
                r.working_directory = strdup(bad[i]);
                refused(&r, "working_directory");
        }
        for (size_t extra = 0; extra < 2; extra++) {
                r = request_make("select 1");
                r.working_directory = repeat('x', REQUEST_PATH_BYTES_MAX + extra);
                r.working_directory[0] = '/';
                if (extra)
                        refused(&r, "4096 bytes");
                else
                        accepted(&r);
        }
        r = request_make("select 1");
        r.database = strdup("a name the language knows");
        accepted(&r);
        r = request_make("select 1");
        r.database = strdup("");
        refused(&r, "database is empty");
}

static void names_of_pairs_are_identifiers(void **state) {
        static const char *const bad[] = { "", "1a", "a-b", "a b", "a=b", "é" };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                Request r = request_make("select 1");

                pairlist_set(&r.environment, bad[i], "x");
                refused(&r, "environment");
                r = request_make("select 1");
                pairlist_set(&r.parameters, bad[i], "x");
                refused(&r, "parameters");
                r = request_make("select 1");
                pairlist_set(&r.labels, bad[i], "x");
                refused(&r, "labels");
        }
}

static void pairs_fill(PairList *l, size_t n) {
        char name[32];

        for (size_t i = 0; i < n; i++) {
                snprintf(name, sizeof(name), "N%zu", i);
                pairlist_set(l, name, "v");
        }
}

static void pairs_are_bounded(void **state) {
        Request r = request_make("select 1");
        CLEANUP(freep) char *name = repeat('n', REQUEST_NAME_BYTES_MAX + 1);

        (void) state;
        pairs_fill(&r.environment, REQUEST_PAIRS_MAX);
        pairs_fill(&r.labels, REQUEST_LABELS_MAX);
        accepted(&r);
        r = request_make("select 1");
        pairs_fill(&r.environment, REQUEST_PAIRS_MAX + 1);
        refused(&r, "257 entries");
        r = request_make("select 1");
        pairs_fill(&r.labels, REQUEST_LABELS_MAX + 1);
        refused(&r, "33 entries");
        r = request_make("select 1");
        pairlist_set(&r.labels, name, "v");
        refused(&r, "256 bytes");
        for (size_t extra = 0; extra < 2; extra++) {
                CLEANUP(freep) char *value = repeat('x', REQUEST_VALUE_BYTES_MAX + extra);
                CLEANUP(freep) char *label = repeat('x', REQUEST_LABEL_BYTES_MAX + extra);

                r = request_make("select 1");
                pairlist_set(&r.parameters, "p", value);
                if (extra)
                        refused(&r, "32769 bytes");
                else
                        accepted(&r);
                r = request_make("select 1");
                pairlist_set(&r.labels, "p", label);
                if (extra)
                        refused(&r, "256 bytes");
                else
                        accepted(&r);
        }
        r = request_make("select 1");
        pairlist_set(&r.labels, "p", "\xc3");
        refused(&r, "UTF-8");
        r = request_make("select 1");
        for (int i = 0; i < 17; i++) {
                CLEANUP(freep) char *value = repeat('x', REQUEST_VALUE_BYTES_MAX);
                char key[8];

                snprintf(key, sizeof(key), "K%d", i);
                pairlist_set(&r.environment, key, value);
        }
        refused(&r, "environment is");
}

/* A value may be a secret: no message repeats one. */
static void messages_never_hold_a_value(void **state) {
        CLEANUP(freep) char *secret = repeat('S', REQUEST_VALUE_BYTES_MAX + 1);
        Request r = request_make("select 1");
        Error e = {};

        (void) state;
        pairlist_set(&r.environment, "PASSWORD", secret);
        assert_int_equal(request_validate(&r, &e), -EINVAL);
        assert_null(strstr(e.message, "SSS"));
        request_done(&r);
}

static void memory_sizes_fit_together(void **state) {
        Request r = request_make("select 1");

        (void) state;
        r.memory_initial_bytes = r.memory_max_bytes = MEMORY_QUOTA_BYTES_MIN;
        accepted(&r);
        r = request_make("select 1");
        r.memory_max_bytes = MEMORY_QUOTA_BYTES_MIN - 1;
        refused(&r, "memory_max_bytes is 1048575");
        r = request_make("select 1");
        r.memory_initial_bytes = 1;
        refused(&r, "memory_initial_bytes is 1");
        r = request_make("select 1");
        r.memory_initial_bytes = 2 * MIB + 1;
        r.memory_max_bytes = 2 * MIB;
        refused(&r, "more than memory_max_bytes");
        r = request_make("select 1");
        r.memory_initial_bytes = UINT64_MAX;
        accepted(&r);
}

static void numbers_are_bounded(void **state) {
        Request r = request_make("select 1");

        (void) state;
        r.priority = -REQUEST_PRIORITY_MAX;
        r.umask = 0777;
        accepted(&r);
        r = request_make("select 1");
        r.priority = REQUEST_PRIORITY_MAX + 1;
        refused(&r, "priority is 1001");
        r = request_make("select 1");
        r.priority = INT32_MIN;
        refused(&r, "priority");
        r = request_make("select 1");
        r.umask = 01000;
        refused(&r, "umask is 01000");
        r = request_make("select 1");
        r.n_gids = REQUEST_GROUPS_MAX + 1;
        refused(&r, "group list");
}

static void limits_are_known_ordered_and_named_once(void **state) {
        Request r = request_make("select 1");

        (void) state;
        r.limits[0] = (RequestLimit) { RLIMIT_NOFILE, 1024, UINT64_MAX };
        r.limits[1] = (RequestLimit) { RLIM_NLIMITS - 1, 5, 5 };
        r.n_limits = 2;
        accepted(&r);
        r = request_make("select 1");
        r.limits[0] = (RequestLimit) { RLIM_NLIMITS, 1, 1 };
        r.n_limits = 1;
        refused(&r, "no resource 16");
        r = request_make("select 1");
        r.limits[0] = (RequestLimit) { -1, 1, 1 };
        r.n_limits = 1;
        refused(&r, "no resource -1");
        r = request_make("select 1");
        r.limits[0] = (RequestLimit) { RLIMIT_CPU, 2, 1 };
        r.n_limits = 1;
        refused(&r, "above its hard limit");
        r = request_make("select 1");
        r.limits[0] = r.limits[1] = (RequestLimit) { RLIMIT_CPU, 1, 1 };
        r.n_limits = 2;
        refused(&r, "named twice");
}

static void names_are_texts(void **state) {
        Request r = request_make("select 1");

        (void) state;
        r.user = strdup("");
        refused(&r, "user is empty");
        r = request_make("select 1");
        r.user = repeat('u', REQUEST_NAME_BYTES_MAX + 1);
        refused(&r, "user is 256 bytes");
        r = request_make("select 1");
        strlist_add(&r.dependencies, "\xff");
        refused(&r, "dependencies");
        r = request_make("select 1");
        for (unsigned i = 0; i < REQUEST_PAIRS_MAX + 1; i++)
                strlist_add(&r.dependencies, "d");
        refused(&r, "dependencies has 257");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_query_a_file_or_an_argv_is_needed),
                cmocka_unit_test(a_query_is_bounded_and_holds_no_nul),
                cmocka_unit_test(argv_is_bounded),
                cmocka_unit_test(paths_are_absolute_clean_and_bounded),
                cmocka_unit_test(names_of_pairs_are_identifiers),
                cmocka_unit_test(pairs_are_bounded),
                cmocka_unit_test(messages_never_hold_a_value),
                cmocka_unit_test(memory_sizes_fit_together),
                cmocka_unit_test(numbers_are_bounded),
                cmocka_unit_test(limits_are_known_ordered_and_named_once),
                cmocka_unit_test(names_are_texts),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
