/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The message is built for a bus that is only one end of a socket pair, and read back. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/systemd_props.h"

typedef struct Bench {
        sd_bus *bus;
        int other_end;
        sd_bus_message *m;
        UnitSpec spec;
        char *argv[3];
        Error error;
} Bench;

static int bench_setup(void **state) {
        Bench *b = calloc(1, sizeof *b);
        int fds[2];

        if (!b || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
                return -1;
        b->other_end = fds[1];
        if (sd_bus_new(&b->bus) < 0 || sd_bus_set_fd(b->bus, fds[0], fds[0]) < 0 || sd_bus_start(b->bus) < 0)
                return -1;
        b->argv[0] = (char *) "/usr/lib/penstock/penstock-worker";
        b->argv[1] = (char *) "7";
        b->spec = (UnitSpec) { .query_id = 7,
                               .slice = "penstock.slice",
                               .description = "a query",
                               .exec_argv = b->argv,
                               .memory_max_bytes = 1 * GIB,
                               .memory_low_bytes = 64 * MIB,
                               .tasks_max = 300,
                               .tmpfs_bytes = 512 * MIB };
        *state = b;
        return 0;
}

static int bench_teardown(void **state) {
        Bench *b = *state;

        sd_bus_message_unref(b->m);
        sd_bus_close_unref(b->bus);
        close(b->other_end);
        free(b);
        return 0;
}

static int build(Bench *b) {
        int r;

        b->m = sd_bus_message_unref(b->m);
        assert_true(sd_bus_message_new_method_call(b->bus, &b->m, "org.freedesktop.systemd1",
                                                   "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager",
                                                   "StartTransientUnit") >= 0);
        r = systemd_props_append(b->m, &b->spec, &b->error);
        if (r >= 0)
                assert_true(sd_bus_message_seal(b->m, 1, 0) >= 0);
        return r;
}

/* Enter the variant of the @nth property @name; false when there is none. */
static bool enter(Bench *b, const char *name, unsigned nth, const char *type) {
        const char *key;

        assert_true(sd_bus_message_rewind(b->m, 1) >= 0);
        assert_true(sd_bus_message_enter_container(b->m, 'a', "(sv)") > 0);
        while (sd_bus_message_enter_container(b->m, 'r', "sv") > 0) {
                assert_true(sd_bus_message_read(b->m, "s", &key) > 0);
                if (strcmp(key, name) == 0 && nth-- == 0) {
                        assert_true(sd_bus_message_enter_container(b->m, 'v', type) > 0);
                        return true;
                }
                assert_true(sd_bus_message_skip(b->m, "v") > 0);
                assert_true(sd_bus_message_exit_container(b->m) > 0);
        }
        return false;
}

static const char *get_s(Bench *b, const char *name) {
        const char *s;

        assert_true(enter(b, name, 0, "s"));
        assert_true(sd_bus_message_read(b->m, "s", &s) > 0);
        return s;
}

static uint64_t get_t(Bench *b, const char *name) {
        uint64_t t;

        assert_true(enter(b, name, 0, "t"));
        assert_true(sd_bus_message_read(b->m, "t", &t) > 0);
        return t;
}

static int get_b(Bench *b, const char *name) {
        int v;

        assert_true(enter(b, name, 0, "b"));
        assert_true(sd_bus_message_read(b->m, "b", &v) > 0);
        return v;
}

/* The strings of all properties @name, each between two "|". */
static const char *get_list(Bench *b, const char *name, const char *type) {
        static char joined[4096];
        const char *s;

        strcpy(joined, "|");
        for (unsigned i = 0; enter(b, name, i, type); i++) {
                if (strcmp(type, "(bas)") == 0) {
                        int allow;

                        assert_true(sd_bus_message_enter_container(b->m, 'r', "bas") > 0);
                        assert_true(sd_bus_message_read(b->m, "b", &allow) > 0);
                        assert_true(allow);
                }
                assert_true(sd_bus_message_enter_container(b->m, 'a', "s") > 0);
                while (sd_bus_message_read(b->m, "s", &s) > 0)
                        snprintf(joined + strlen(joined), sizeof joined - strlen(joined), "%s|", s);
        }
        return joined;
}

static void required_units_are_never_started(void **state) {
        StrList required = { (char *[]) { (char *) "a.service" }, 1 }, order = { (char *[]) { (char *) "b.mount" }, 1 };
        Bench *b = *state;

        b->spec.requisite_units = &required;
        b->spec.after_units = &order;
        assert_int_equal(build(b), 0);
        assert_string_equal(get_list(b, "Requisite", "as"), "|a.service|");
        assert_string_equal(get_list(b, "After", "as"), "|penstockd.service|a.service|b.mount|");
        assert_false(enter(b, "Requires", 0, "as"));
}

static void limits_are_of_the_right_type_and_value(void **state) {
        Bench *b = *state;

        assert_int_equal(build(b), 0);
        assert_int_equal(get_t(b, "MemoryMax"), 1 * GIB);
        assert_int_equal(get_t(b, "MemoryLow"), 64 * MIB);
        assert_false(enter(b, "MemoryMin", 0, "t"));
        assert_int_equal(get_t(b, "MemorySwapMax"), 0);
        assert_int_equal(get_t(b, "TasksMax"), 300);
        assert_true(get_t(b, "LimitMEMLOCK") == UINT64_MAX);
        assert_int_equal(get_t(b, "LimitCORE"), 1);
        b->spec.protect_min = true;
        b->spec.memory_max_bytes = SIZE_INFINITY;
        assert_int_equal(build(b), 0);
        assert_int_equal(get_t(b, "MemoryMin"), 64 * MIB);
        assert_false(enter(b, "MemoryLow", 0, "t"));
        assert_true(get_t(b, "MemoryMax") == UINT64_MAX); /* systemd's infinity */
}

static void the_unit_is_a_delegated_service_of_root(void **state) {
        Bench *b = *state;
        const char *path;
        int32_t score;

        assert_int_equal(build(b), 0);
        assert_string_equal(get_s(b, "Type"), "exec");
        assert_string_equal(get_s(b, "Slice"), "penstock.slice");
        assert_string_equal(get_s(b, "OOMPolicy"), "continue");
        assert_string_equal(get_s(b, "KillMode"), "mixed");
        assert_string_equal(get_s(b, "CollectMode"), "inactive-or-failed");
        assert_true(get_b(b, "Delegate"));
        assert_true(get_b(b, "AddRef"));
        assert_false(enter(b, "User", 0, "s"));
        assert_false(enter(b, "Group", 0, "s"));
        assert_int_equal(get_t(b, "CapabilityBoundingSet"),
                         1 << CAP_KILL | 1 << CAP_SETGID | 1 << CAP_SETUID | 1 << CAP_SETPCAP | 1 << CAP_SYS_ADMIN);
        assert_int_equal(get_t(b, "RestrictNamespaces"), 0);
        assert_true(get_b(b, "NoNewPrivileges"));
        assert_true(enter(b, "OOMScoreAdjust", 0, "i"));
        assert_true(sd_bus_message_read(b->m, "i", &score) > 0);
        assert_int_equal(score, 0);
        assert_true(enter(b, "ExecStart", 0, "a(sasb)"));
        assert_true(sd_bus_message_enter_container(b->m, 'a', "(sasb)") > 0);
        assert_true(sd_bus_message_enter_container(b->m, 'r', "sasb") > 0);
        assert_true(sd_bus_message_read(b->m, "s", &path) > 0);
        assert_string_equal(path, b->argv[0]);
}

static void homes_are_as_the_language_says(void **state) {
        Bench *b = *state;

        assert_int_equal(build(b), 0);
        assert_string_equal(get_s(b, "ProtectHome"), "tmpfs");
        b->spec.home = UNIT_HOME_READ_ONLY;
        assert_int_equal(build(b), 0);
        assert_string_equal(get_s(b, "ProtectHome"), "read-only");
        assert_string_equal(get_list(b, "ReadWritePaths", "as"), "|");
        b->spec.home = UNIT_HOME_READ_WRITE;
        assert_int_equal(build(b), 0);
        assert_string_equal(get_s(b, "ProtectHome"), "no");
        assert_string_equal(get_list(b, "ReadWritePaths", "as"), "|-/home|-/root|");
        assert_non_null(strstr(get_list(b, "InaccessiblePaths", "as"), "|-/run/user|"));
        assert_string_equal(get_list(b, "ReadOnlyPaths", "as"), "|-/run|-/sys/kernel/security|");
}

static unsigned count_tmpfs(Bench *b, const char *options) {
        const char *path, *o;
        unsigned n = 0;

        assert_true(enter(b, "TemporaryFileSystem", 0, "a(ss)"));
        assert_true(sd_bus_message_enter_container(b->m, 'a', "(ss)") > 0);
        while (sd_bus_message_read(b->m, "(ss)", &path, &o) > 0) {
                assert_string_equal(o, options);
                n++;
        }
        return n;
}

static void every_tmpfs_has_a_size(void **state) {
        Bench *b = *state;

        assert_int_equal(build(b), 0);
        assert_int_equal(count_tmpfs(b, "size=536870912,mode=1777,nosuid,nodev"), 3);
        assert_false(get_b(b, "PrivateTmp"));
        b->spec.tmp_on_disk = true;
        b->spec.tmpfs_bytes = SIZE_INFINITY;
        assert_int_equal(build(b), 0);
        assert_int_equal(count_tmpfs(b, "size=50%,mode=1777,nosuid,nodev"), 1);
        assert_true(get_b(b, "PrivateTmp"));
}

static void network_is_as_the_language_says(void **state) {
        Bench *b = *state;

        assert_int_equal(build(b), 0);
        assert_true(get_b(b, "PrivateNetwork"));
        b->spec.network = true;
        assert_int_equal(build(b), 0);
        assert_false(get_b(b, "PrivateNetwork"));
}

static void paths_may_vanish(void **state) {
        CLEANUP(strlist_done) StrList paths = {};
        const char *source, *target;
        Bench *b = *state;
        uint64_t flags;
        int ignore;

        strlist_add(&paths, "/srv/a b:c%d\\e");
        b->spec.bind_read_only_paths = &paths;
        assert_int_equal(build(b), 0);
        assert_true(enter(b, "BindReadOnlyPaths", 0, "a(ssbt)"));
        assert_true(sd_bus_message_enter_container(b->m, 'a', "(ssbt)") > 0);
        assert_true(sd_bus_message_read(b->m, "(ssbt)", &source, &target, &ignore, &flags) > 0);
        assert_string_equal(source, paths.v[0]);
        assert_string_equal(target, paths.v[0]);
        assert_true(ignore);
        assert_int_equal(flags, MS_REC);
        assert_false(enter(b, "BindPaths", 0, "a(ssbt)"));
}

static void a_path_that_systemd_would_read_as_something_else_is_refused(void **state) {
        static const char *const bad[] = { "/a\nExecStopPost=/bin/sh",
                                           "/a\r",
                                           "/a\t",
                                           "/a\x7f",
                                           "/a\x1b",
                                           "/a\xff",
                                           "a",
                                           "",
                                           "/a/../b",
                                           "/a//b",
                                           "/a/" },
                                 *const bad_to_bind[] = { "/a'b", "/a\"b" };
        Bench *b = *state;

        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                for (size_t where = 0; where < 2; where++) {
                        const StrList **lists[] = { &b->spec.bind_paths, &b->spec.bind_read_only_paths };
                        CLEANUP(strlist_done) StrList paths = {};

                        strlist_add(&paths, bad[i]);
                        *lists[where] = &paths;
                        b->error = (Error) {};
                        assert_int_equal(build(b), -EINVAL);
                        assert_int_equal(b->error.code, ERROR_INVALID_ARGUMENT);
                        *lists[where] = NULL;
                }
        for (size_t i = 0; i < ELEMENTSOF(bad_to_bind); i++) {
                CLEANUP(strlist_done) StrList paths = {};

                strlist_add(&paths, bad_to_bind[i]);
                b->spec.bind_paths = &paths;
                assert_int_equal(build(b), -EINVAL);
                b->spec.bind_paths = NULL;
        }
}

static void a_languages_own_properties_come_typed_and_last(void **state) {
        CLEANUP(pairlist_done) PairList extra = {};
        Bench *b = *state;
        int32_t nice;
        uint64_t t;

        pairlist_set(&extra, "Nice", "-3");
        pairlist_set(&extra, "CPUWeight", "50");
        pairlist_set(&extra, "MemoryDenyWriteExecute", "yes");
        pairlist_set(&extra, "LimitNOFILE", "100");
        pairlist_set(&extra, "SystemCallFilter", "@mount bpf");
        pairlist_set(&extra, "RestrictAddressFamilies", "AF_PACKET");
        pairlist_set(&extra, "InaccessiblePaths", "/srv/secret");
        b->spec.extra = &extra;
        assert_int_equal(build(b), 0);
        assert_true(enter(b, "Nice", 0, "i"));
        assert_true(sd_bus_message_read(b->m, "i", &nice) > 0);
        assert_int_equal(nice, -3);
        assert_true(enter(b, "CPUWeight", 1, "t")); /* after our own */
        assert_true(sd_bus_message_read(b->m, "t", &t) > 0);
        assert_int_equal(t, 50);
        assert_true(get_b(b, "MemoryDenyWriteExecute"));
        assert_true(enter(b, "LimitNOFILESoft", 1, "t"));
        assert_true(sd_bus_message_read(b->m, "t", &t) > 0);
        assert_int_equal(t, 100);
        assert_string_equal(get_list(b, "SystemCallFilter", "(bas)"), "|@system-service|landlock_create_ruleset|landlock_add_rule|landlock_restrict_self|open_tree|mount_setattr|move_mount|@mount|bpf|");
        assert_string_equal(get_list(b, "RestrictAddressFamilies", "(bas)"),
                            "|AF_UNIX|AF_INET|AF_INET6|AF_PACKET|");
        assert_non_null(strstr(get_list(b, "InaccessiblePaths", "as"), "|-/srv/secret|"));
}

static void other_properties_are_refused(void **state) {
        static const char *const bad[][2] = { { "MemoryMax", "1G" },         { "User", "root" },
                                              { "ExecStartPre", "/bin/sh" }, { "Nice", "much" },
                                              { "CPUWeight", "0" },          { "ReadWritePaths", "relative" } };
        Bench *b = *state;

        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                CLEANUP(pairlist_done) PairList extra = {};

                pairlist_set(&extra, bad[i][0], bad[i][1]);
                b->spec.extra = &extra;
                b->error = (Error) {};
                assert_int_equal(build(b), -EINVAL);
                assert_non_null(strstr(b->error.message, bad[i][0]));
        }
        b->spec.extra = NULL;
}

static void unit_names_are_read_back(void **state) {
        static const char *const bad[] = { "penstock-q.service",
                                           "penstock-q07.service",
                                           "penstock-q7.service.d",
                                           "penstock-q7.slice",
                                           "penstock-q-1.service",
                                           "xpenstock-q7.service",
                                           "penstock-q18446744073709551616.service",
                                           "penstock-qinfinity.service",
                                           "penstock-q7",
                                           "" };
        const uint64_t ids[] = { 0, 1, 7, UINT64_MAX - 1 };
        char buf[QUERY_UNIT_NAME_MAX];
        uint64_t id = 99;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(ids); i++) {
                assert_true(systemd_unit_id(query_unit_name(ids[i], buf), &id));
                assert_true(id == ids[i]);
        }
        id = 99;
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_false(systemd_unit_id(bad[i], &id));
        assert_int_equal(id, 99);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(limits_are_of_the_right_type_and_value),
                TEST(the_unit_is_a_delegated_service_of_root),
                TEST(homes_are_as_the_language_says),
                TEST(every_tmpfs_has_a_size),
                TEST(network_is_as_the_language_says),
                TEST(paths_may_vanish),
                TEST(a_path_that_systemd_would_read_as_something_else_is_refused),
                TEST(a_languages_own_properties_come_typed_and_last),
                TEST(other_properties_are_refused),
                TEST(required_units_are_never_started), cmocka_unit_test(unit_names_are_read_back),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
