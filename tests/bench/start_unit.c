/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A program in a transient service whose properties are those of a query's unit, by the function that penstockd has them
 * from: what PID 1 takes for the same sandbox, without Penstock. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host/systemd_props.h"
#include "start.h"

#define BENCH_SLICE "bench.slice"

/* Never left out: what makes it a unit that says something and goes by itself. */
static const char *const kept[] = { "Description", "Slice", "ExecStart", "Type", "CollectMode" };
/* The reference is penstockd's, for the unit's Result; output goes to a pipe of ours. */
static const char *const dropped[] = { "AddRef", "StandardOutput" };

static sd_bus *bus;

static bool is_in(const char *const *names, size_t n, const char *name) {
        for (size_t i = 0; i < n; i++)
                if (strcmp(names[i], name) == 0)
                        return true;
        return false;
}

static bool is_listed(const char *list, const char *name) {
        size_t len = strlen(name);

        for (const char *p = list; *p; p += strcspn(p, ","), p += *p == ',')
                if (strncmp(p, name, len) == 0 && (p[len] == ',' || p[len] == '\0'))
                        return true;
        return false;
}

static bool is_left_out(const char *without, const char *name) {
        if (is_in(dropped, ELEMENTSOF(dropped), name))
                return true;
        if (is_in(kept, ELEMENTSOF(kept), name))
                return false;
        if (*without == '+')
                return !is_listed(without + 1, name);
        return strcmp(without, "all") == 0 || is_listed(without, name);
}

/* As daemon/manager_unit.c has it for language exec and the shipped configuration. */
static int make_properties(char **argv, sd_bus_message **ret) {
        UnitSpec spec = {
                .slice = BENCH_SLICE,
                .description = "Penstock bench",
                .exec_argv = argv,
                .memory_max_bytes = GIB + 4 * MIB,
                .memory_low_bytes = 64 * MIB,
                .tasks_max = 1024 + 8,
                .tmpfs_bytes = GIB,
                .tmp_on_disk = true,
                .network = true,
                .home = UNIT_HOME_READ_ONLY,
        };
        int r = sd_bus_message_new_method_call(bus, ret, "org.penstock1.bench", "/", "org.penstock1.bench", "Properties");

        if (r >= 0)
                r = systemd_props_append(*ret, &spec, NULL);
        if (r >= 0)
                r = sd_bus_message_seal(*ret, 1, 0);
        return r < 0 ? r : sd_bus_message_rewind(*ret, 1);
}

static int copy_property(sd_bus_message *to, sd_bus_message *from, const char *name) {
        int r = sd_bus_message_open_container(to, 'r', "sv");

        if (r >= 0)
                r = sd_bus_message_append(to, "s", name);
        if (r >= 0)
                r = sd_bus_message_copy(to, from, 0); /* the variant */
        return r < 0 ? r : sd_bus_message_close_container(to);
}

static int copy_properties(sd_bus_message *to, sd_bus_message *from, const char *without) {
        const char *name;
        int r = sd_bus_message_enter_container(from, 'a', "(sv)");

        while (r >= 0 && (r = sd_bus_message_enter_container(from, 'r', "sv")) > 0) {
                r = sd_bus_message_read(from, "s", &name);
                if (r >= 0)
                        r = is_left_out(without, name) ? sd_bus_message_skip(from, "v") : copy_property(to, from, name);
                if (r >= 0)
                        r = sd_bus_message_exit_container(from);
        }
        return r;
}

static int make_call(const char *without, char **argv, int out, sd_bus_message **ret) {
        static unsigned count;
        sd_bus_message *properties = NULL;
        char name[64];
        int r = make_properties(argv, &properties);

        snprintf(name, sizeof name, "penstock-bench-%d-%u.service", (int) getpid(), ++count);
        if (r >= 0)
                r = sd_bus_message_new_method_call(bus, ret, "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
                                                   "org.freedesktop.systemd1.Manager", "StartTransientUnit");
        if (r >= 0)
                r = sd_bus_message_append(*ret, "ss", name, "fail");
        if (r >= 0)
                r = sd_bus_message_open_container(*ret, 'a', "(sv)");
        if (r >= 0)
                r = copy_properties(*ret, properties, without);
        if (r >= 0)
                r = sd_bus_message_append(*ret, "(sv)", "StandardOutputFileDescriptor", "h", out);
        if (r >= 0)
                r = sd_bus_message_close_container(*ret);
        if (r >= 0)
                r = sd_bus_message_append(*ret, "a(sa(sv))", 0);
        sd_bus_message_unref(properties);
        return r;
}

int start_unit(const char *without, char **argv, Span *ret) {
        sd_bus_error e = SD_BUS_ERROR_NULL;
        sd_bus_message *call = NULL;
        uint64_t begin;
        int fds[2], r;

        if (!bus && (r = sd_bus_open_system(&bus)) < 0)
                return fail("the bus: %s", strerror(-r));
        begin = now_nsec();
        if (pipe2(fds, O_CLOEXEC) < 0)
                return fail("pipe: %s", strerror(errno));
        r = make_call(without, argv, fds[1], &call);
        if (r >= 0)
                r = sd_bus_call(bus, call, 0, &e, NULL);
        sd_bus_message_unref(call); /* it has a copy of the descriptor */
        close(fds[1]);
        r = r < 0 ? fail("StartTransientUnit: %s", e.message ? e.message : strerror(-r)) : read_span(fds[0], begin, ret);
        sd_bus_error_free(&e);
        close(fds[0]);
        return r;
}
