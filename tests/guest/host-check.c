/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <glob.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "host-check.h"

bool check(Check *c, bool good, const char *format, ...) {
        va_list ap;

        c->n_checks++;
        c->n_failed += !good;
        printf("%s %u - ", good ? "ok" : "not ok", c->n_checks);
        va_start(ap, format);
        vprintf(format, ap);
        va_end(ap);
        putchar('\n');
        fflush(stdout);
        return good;
}

static time_t now_sec(void) {
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return t.tv_sec;
}

bool wait_for(Check *c, bool (*is_true)(Check *, void *), void *data) {
        time_t end = now_sec() + PATIENCE_SEC;

        while (!is_true(c, data)) {
                if (now_sec() > end || sd_event_run(c->loop, 20000) < 0)
                        return false;
        }
        return true;
}

bool unit_has_started(Check *c, void *unit) {
        (void) c;
        return ((CheckUnit *) unit)->started;
}

bool unit_is_gone(Check *c, void *unit) {
        (void) c;
        return ((CheckUnit *) unit)->gone;
}

static CheckUnit *unit_of(Check *c, uint64_t id) {
        for (size_t i = 0; i < c->n_units; i++)
                if (c->units[i].id == id)
                        return &c->units[i];
        return NULL;
}

static void on_started(uint64_t id, int r, const char *text, void *userdata) {
        CheckUnit *u = unit_of(userdata, id);

        if (!u)
                return;
        if (u->started)
                check(userdata, false, "unit_started comes once for %" PRIu64, id);
        u->started = true;
        u->start_r = r;
        snprintf(u->start_text, sizeof u->start_text, "%s", text ? text : "");
}

static void on_gone(uint64_t id, void *userdata) {
        Check *c = userdata;
        CheckUnit *u = unit_of(c, id);

        if (!u)
                return;
        if (u->gone)
                check(c, false, "unit_gone comes once for %" PRIu64, id);
        u->gone = true;
}

/* From the journal: PID 1 knows nothing of a unit that is gone. Two kinds of entries: failed, and deactivated successfully. */
const char *unit_result(CheckUnit *u) {
        char command[320], line[64] = "";
        FILE *f;

        snprintf(command, sizeof command,
                 "journalctl --sync; journalctl --no-pager -q -b -o json --output-fields=UNIT_RESULT UNIT=penstock-q%" PRIu64
                 ".service MESSAGE_ID=d9b373ed55a64feb8242e02dbe79a49c MESSAGE_ID=7ad2d189f7e94e70a38c781354912448 | tail -n 1 | "
                 "sed 's/.*\"UNIT_RESULT\":\"\\([^\"]*\\)\".*/\\1/; s/^{.*/success/'",
                 u->id);
        f = popen(command, "r");
        if (!f || !fgets(line, sizeof line, f))
                snprintf(line, sizeof line, "unknown");
        if (f)
                pclose(f);
        line[strcspn(line, "\n")] = 0;
        snprintf(u->result, sizeof u->result, "%s", line);
        return u->result;
}

static void on_resync(void *userdata) {
        ((Check *) userdata)->resyncs++;
}

static void on_answered(uint64_t usec, void *userdata) {
        Check *c = userdata;

        c->answer_usec = usec;
}

static const SystemdOps ops = { on_started, on_gone, on_resync, on_answered };

void default_spec(UnitSpec *spec) {
        *spec = (UnitSpec) {
                .slice = "penstock.slice",
                .description = "Penstock host check",
                .memory_max_bytes = 512 * MIB,
                .memory_low_bytes = 16 * MIB,
                .tasks_max = 200,
                .tmpfs_bytes = 64 * MIB,
                .tmp_on_disk = true,
                .home = UNIT_HOME_HIDDEN,
        };
}

CheckUnit *start_unit(Check *c, UnitSpec *spec) {
        CheckUnit *u = &c->units[c->n_units++ % CHECK_UNITS_MAX];
        Error e = {};

        if (c->n_units > CHECK_UNITS_MAX)
                c->n_units = CHECK_UNITS_MAX;
        *u = (CheckUnit) { .id = spec->query_id ? spec->query_id : c->next_id++ };
        spec->query_id = u->id;
        if (systemd_unit_start(c->link, spec, &e) < 0) {
                printf("# refused: %s\n", e.message);
                return NULL;
        }
        return u;
}

CheckUnit *start_stand_in(Check *c, const char *mode, const char *argument) {
        char *argv[] = { c->program, (char *) "--stand-in", (char *) mode, (char *) argument, NULL };
        UnitSpec spec;
        CheckUnit *u;

        default_spec(&spec);
        spec.exec_argv = argv;
        u = start_unit(c, &spec);
        if (!check(c, u && wait_for(c, unit_has_started, u) && u->start_r == 0,
                   "a unit with stand-in \"%s\" starts: %s", mode, u ? u->start_text : "refused"))
                exit(1);
        return u;
}

void unit_cgroup(const CheckUnit *u, char buf[static 256]) {
        char name[QUERY_UNIT_NAME_MAX];

        snprintf(buf, 256, "/penstock.slice/%s", query_unit_name(u->id, name));
}

pid_t first_pid(const CheckUnit *u, const char *group, pid_t other_than) {
        char cgroup[256], path[512];
        long pid, found = 0;
        FILE *f;

        unit_cgroup(u, cgroup);
        snprintf(path, sizeof path, "%s%s/%s/cgroup.procs", cgroup_host_root(), cgroup, group);
        f = fopen(path, "re");
        while (f && !found && fscanf(f, "%ld", &pid) == 1)
                if (pid != other_than)
                        found = pid;
        if (f)
                fclose(f);
        return (pid_t) found;
}

int run_command(const char *format, ...) {
        char command[8192];
        va_list ap;
        int status;

        va_start(ap, format);
        vsnprintf(command, sizeof command, format, ap);
        va_end(ap);
        status = system(command);
        return status < 0 || (status & 0x7f) ? -1 : status >> 8;
}

/* True if something of the unit is still there; says what. */
static bool is_left(Check *c, const CheckUnit *u, char *what, size_t size) {
        static const char *const patterns[] = { "/sys/fs/cgroup/penstock.slice/%s", "/run/systemd/*/%s*",
                                                "/tmp/systemd-private-*%s*", "/var/tmp/systemd-private-*%s*",
                                                "/run/systemd/propagate/%s" };
        char name[QUERY_UNIT_NAME_MAX], pattern[256];
        sd_bus_error e = SD_BUS_ERROR_NULL;
        bool left;

        query_unit_name(u->id, name);
        for (size_t i = 0; i < ELEMENTSOF(patterns); i++) {
                glob_t g = {};

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
                snprintf(pattern, sizeof pattern, patterns[i], name);
#pragma GCC diagnostic pop
                left = glob(pattern, 0, NULL, &g) == 0;
                if (left)
                        snprintf(what, size, "%s", g.gl_pathv[0]);
                globfree(&g);
                if (left)
                        return true;
        }
        left = sd_bus_call_method(c->bus, "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
                                  "org.freedesktop.systemd1.Manager", "GetUnit", &e, NULL, "s", name) >= 0;
        sd_bus_error_free(&e);
        if (left)
                snprintf(what, size, "a loaded unit");
        return left;
}

typedef struct Leftover {
        const CheckUnit *unit;
        char what[512];
} Leftover;

static bool nothing_is_left(Check *c, void *data) {
        Leftover *l = data;

        return !is_left(c, l->unit, l->what, sizeof l->what);
}

/* PID 1 removes the temporary directories in the background. */
void check_nothing_left(Check *c, const CheckUnit *u) {
        Leftover l = { .unit = u };
        bool good = wait_for(c, nothing_is_left, &l);

        check(c, good, "%" PRIu64 " leaves nothing behind%s%s", u->id, good ? "" : ": ", good ? "" : l.what);
}

void stop_and_check(Check *c, CheckUnit *u) {
        bool good = systemd_unit_stop(c->link, u->id) == 0 && wait_for(c, unit_is_gone, u);

        check(c, good, "%" PRIu64 " is gone after stop", u->id);
        check_nothing_left(c, u);
}

static void on_slice(int r, void *userdata) {
        Check *c = userdata;

        c->slice_done = true;
        c->slice_r = r;
}

static bool slice_is_done(Check *c, void *data) {
        (void) data;
        return c->slice_done;
}

static void check_slice(Check *c) {
        const uint64_t sizes[] = { 1 * GIB, 700 * MIB + 1, SIZE_INFINITY, 900 * MIB };
        uint64_t v = 0;

        for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
                c->slice_done = false;
                systemd_slice_set(c->link, sizes[i], 64 * MIB, on_slice, c);
                check(c,
                      wait_for(c, slice_is_done, NULL) && c->slice_r == 0 &&
                                      cgroup_read_value("/penstock.slice", "memory.max", &v) == 0 &&
                                      (sizes[i] == SIZE_INFINITY ? v == SIZE_INFINITY
                                                                 : v == sizes[i] - sizes[i] % 4096),
                      "the slice's limit is in force in the kernel when it is said to be: %" PRIu64 " (%d)", v,
                      c->slice_r);
        }
        check(c, cgroup_read_value("/penstock.slice", "memory.low", &v) == 0 && v == 64 * MIB, "so is its MemoryLow");
        check(c, run_command("systemctl is-active -q penstock.slice") == 0, "the slice is active");
}

static int setup(Check *c) {
        Error e = {};
        int r;

        r = cgroup_host_init(&e);
        if (!check(c, r == 0, "the hierarchy is fit: %s", e.message))
                return r;
        check(c, strcmp(cgroup_host_root(), "/sys/fs/cgroup") == 0, "it is at /sys/fs/cgroup");
        r = sd_event_new(&c->loop);
        if (r >= 0)
                r = sd_bus_open_system(&c->bus);
        if (r >= 0)
                r = sd_bus_attach_event(c->bus, c->loop, 0);
        if (r >= 0)
                r = systemd_link_new(c->bus, &ops, c, &c->link);
        check(c, r >= 0, "there is a link to PID 1");
        return r;
}

int main(int argc, char **argv) {
        Check *c = calloc(1, sizeof *c);
        ssize_t n;

        if (argc > 2 && strcmp(argv[1], "--stand-in") == 0)
                return stand_in(argc - 2, argv + 2);
        if (!c)
                return 1;
        n = readlink("/proc/self/exe", c->program, sizeof c->program - 1);
        if (n < 0)
                return 1;
        c->next_id = 900000;
        c->tries = argc > 2 && strcmp(argv[1], "--tries") == 0 ? (unsigned) strtoul(argv[2], NULL, 10) : 3;
        if (setup(c) >= 0) {
                check_slice(c);
                check_groups(c);
                check_lower(c);
                check_units(c);
                check_sandbox(c);
        }
        c->link = systemd_link_free(c->link);
        sd_bus_flush_close_unref(c->bus);
        sd_event_unref(c->loop);
        printf("1..%u\n# %u passed, %u failed\n", c->n_checks, c->n_checks - c->n_failed, c->n_failed);
        n = c->n_failed;
        free(c);
        return n != 0;
}
