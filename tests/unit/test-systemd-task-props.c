/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The unit of a dependency's command, as it is asked for: built for a bus that is one end of a socket pair. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/dependency.h"
#include "host/systemd_task_props.h"

typedef struct Bench {
        sd_bus *bus;
        int other_end;
        DependencyList known;
        char text[1 << 15]; /* the message, as it would be shown */
} Bench;

static int setup(void **state) {
        Bench *b = calloc(1, sizeof(*b));
        int fds[2];

        if (!b || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
                return -1;
        b->other_end = fds[1];
        if (sd_bus_new(&b->bus) < 0 || sd_bus_set_fd(b->bus, fds[0], fds[0]) < 0 || sd_bus_start(b->bus) < 0)
                return -1;
        *state = b;
        return 0;
}

static int teardown(void **state) {
        Bench *b = *state;

        sd_bus_close_unref(b->bus);
        close(b->other_end);
        dependency_list_done(&b->known);
        free(b);
        return 0;
}

static void set(Bench *b, const char *key, const char *value) {
        Error e = {};

        assert_int_equal(dependency_set(&b->known, "lake", key, value, "f", 1, &e), 0);
}

static void build(Bench *b, const PairList *more) {
        const Dependency *d = &b->known.v[0];
        TaskSpec spec = { .description = "a check",
                          .argv = d->check_command.v,
                          .user = d->user,
                          .environment = &d->environment,
                          .more = more,
                          .environment_files = &d->environment_files,
                          .credentials = &d->credentials,
                          .bind_paths = &d->bind_paths,
                          .bind_read_only_paths = &d->bind_read_only_paths,
                          .timeout_usec = d->check_timeout_usec };
        sd_bus_message *m = NULL;
        FILE *f = fmemopen(b->text, sizeof(b->text), "w");

        assert_non_null(f);
        assert_true(sd_bus_message_new_method_call(b->bus, &m, "a.b", "/a", "a.b", "C") >= 0);
        assert_true(systemd_task_props_append(m, "x.service", &spec) >= 0);
        assert_true(sd_bus_message_seal(m, 1, 0) >= 0);
        assert_true(sd_bus_message_dump(m, f, 0) >= 0);
        fclose(f);
        sd_bus_message_unref(m);
}

static bool shows(const Bench *b, const char *word) {
        return strstr(b->text, word);
}

static void it_is_nobody_and_of_its_own_slice(void **state) {
        Bench *b = *state;

        set(b, "CheckCommand", "/bin/check '$HOME'");
        build(b, NULL);
        assert_true(shows(b, "STRING \"DynamicUser\""));
        assert_true(shows(b, "STRING \"system-penstock.slice\""));
        assert_false(shows(b, "STRING \"penstock.slice\""));
        assert_true(shows(b, "STRING \"$HOME\"") && shows(b, "STRING \"no-env-expand\""));
        assert_true(shows(b, "STRING \"MemoryMax\"") && shows(b, "UINT64 67108864"));
        assert_true(shows(b, "UINT64 10000000"));
        set(b, "User", "lake");
        build(b, NULL);
        assert_false(shows(b, "DynamicUser"));
        assert_true(shows(b, "STRING \"User\"") && shows(b, "STRING \"lake\""));
}

/* A credential's variable names PID 1's copy, and wins over one that is set otherwise. */
static void files_are_named_and_never_read(void **state) {
        Bench *b = *state;
        PairList more = {};

        set(b, "CheckCommand", "/bin/check");
        set(b, "Environment", "A=1 TOKEN=plain");
        set(b, "EnvironmentFile", "-/etc/env");
        set(b, "LoadCredential", "TOKEN:/etc/token");
        assert_int_equal(pairlist_set(&more, "PENSTOCK_QUERY_ID", "7"), 0);
        build(b, &more);
        pairlist_done(&more);
        assert_true(shows(b, "STRING \"TOKEN=/run/credentials/x.service/TOKEN\""));
        assert_false(shows(b, "TOKEN=plain"));
        assert_true(shows(b, "STRING \"A=1\"") && shows(b, "STRING \"PENSTOCK_QUERY_ID=7\""));
        assert_true(shows(b, "STRING \"LoadCredential\"") && shows(b, "STRING \"/etc/token\""));
        assert_true(shows(b, "STRING \"EnvironmentFiles\"") && shows(b, "STRING \"/etc/env\""));
        assert_false(shows(b, "\"-/etc/env\""));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = { TEST(it_is_nobody_and_of_its_own_slice), TEST(files_are_named_and_never_read) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
