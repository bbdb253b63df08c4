/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a query's groups promise. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "host-check.h"

static uint64_t now_usec(void) {
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t) t.tv_sec * USEC_PER_SEC + (uint64_t) t.tv_nsec / 1000;
}

static bool has_two_processes(Check *c, void *data) {
        Stage *s = data;

        (void) c;
        s->worker = first_pid(s->unit, ".", 0);
        s->engine = s->worker ? first_pid(s->unit, ".", s->worker) : 0;
        return s->engine != 0;
}

static bool engine_is_empty(Check *c, void *data) {
        Sample s;

        (void) c;
        return query_groups_sample(((Stage *) data)->groups, &s) == 0 && !s.populated;
}

bool engine_is_frozen(Check *c, void *data) {
        Sample s;

        (void) c;
        return query_groups_sample(((Stage *) data)->groups, &s) == 0 && s.frozen;
}

bool engine_has_eaten(Check *c, void *data) {
        Stage *stage = data;
        Sample s;

        (void) c;
        return query_groups_sample(stage->groups, &s) == 0 && s.anon_bytes >= stage->at_least;
}

static int on_pressure(uint64_t id, uint64_t now, void *userdata) {
        (void) id, (void) now;
        ((Check *) userdata)->pressures++;
        return 0;
}

/* Work that never ends, as messages on the bus can be. */
static int on_flood(sd_event_source *source, void *userdata) {
        (void) source, (void) userdata;
        return 0;
}

static bool was_woken(Check *c, void *data) {
        (void) data;
        return c->pressures > 0;
}

/* The order of the two pids is no promise: the worker is the one whose parent is PID 1. */
static void sort_pids(Stage *s) {
        if (run_command("test \"$(awk '/^PPid:/{print $2}' /proc/%d/status)\" = 1", (int) s->worker) != 0) {
                pid_t t = s->worker;

                s->worker = s->engine;
                s->engine = t;
        }
}

void stage_new(Check *c, const char *mode, const char *argument, Stage *s) {
        char cgroup[256];
        uint64_t before;
        int r;

        *s = (Stage) { .unit = start_stand_in(c, mode, argument) };
        unit_cgroup(s->unit, cgroup);
        check(c, wait_for(c, has_two_processes, s), "it has two processes");
        sort_pids(s);
        before = now_usec();
        r = query_groups_new(&(QueryGroupsSetup) { .unit_cgroup = cgroup,
                                                   .worker_pid = s->worker,
                                                   .compile_max_bytes = 100 * MIB + 5,
                                                   .tasks_max = 100 },
                             &s->groups);
        before = now_usec() - before;
        if (!check(c, r == 0, "its groups are made (%d) in %" PRIu64 " usec", r, before))
                exit(1);
}

void stage_enter(Check *c, Stage *s, uint64_t max_bytes, uint64_t high_bytes) {
        uint64_t max, high;
        char text[24];
        int n;

        check(c,
              query_groups_set_limits(s->groups, max_bytes, high_bytes, &max, &high) == 0 && max == max_bytes &&
                              high == high_bytes,
              "limits are set and read back");
        n = snprintf(text, sizeof text, "%d", (int) s->engine);
        check(c, write(query_groups_fd(s->groups, GROUP_ENGINE_PROCS), text, (size_t) n) == n,
              "the process enters engine/");
}

void stage_done(Check *c, Stage *s) {
        Sample sample;
        int r;

        stop_and_check(c, s->unit);
        r = query_groups_sample(s->groups, &sample);
        check(c, r == -ENODEV, "sampling a group that is gone is -ENODEV (%d)", r);
        s->groups = query_groups_free(s->groups);
}

static void check_above(Check *c, Stage *s, const char *cgroup) {
        uint64_t v, slice, all;

        check(c,
              query_groups_above(s->groups, &v, &slice) == 0 && v == 512 * MIB &&
                              cgroup_read_value("/penstock.slice", "memory.max", &all) == 0 && slice == all,
              "above it are the limits of its unit and of the slice");
        run_command("systemctl set-property --runtime penstock-q%" PRIu64 ".service MemoryMax=200M", s->unit->id);
        check(c, query_groups_above(s->groups, &v, &slice) == 0 && v == 200 * MIB,
              "… or what an administrator set it to (%" PRIu64 ")", v);
        check(c, cgroup_read_value(cgroup, "engine/memory.max", &v) == 0 && v == 32 * MIB,
              "… which leaves engine/ alone");
}

static void check_setup(Check *c) {
        const struct {
                const char *file;
                uint64_t value;
        } expected[] = {
                { "engine/memory.max", 0 },
                { "engine/memory.oom.group", 1 },
                { "engine/memory.swap.max", 0 },
                { "engine/pids.max", 100 },
                { "compile/memory.max", 100 * MIB },
                { "compile/memory.oom.group", 1 },
                { "memory.max", 512 * MIB },
                { "memory.swap.max", 0 },
                { "pids.max", 200 },
                { "memory.low", 16 * MIB },
                { "memory.oom.group", 0 },
        };
        QueryGroups *again = NULL;
        uint64_t v, max, high;
        char cgroup[256];
        Stage s;

        stage_new(c, "eat", "1", &s);
        unit_cgroup(s.unit, cgroup);
        for (size_t i = 0; i < ELEMENTSOF(expected); i++)
                check(c, cgroup_read_value(cgroup, expected[i].file, &v) == 0 && v == expected[i].value,
                      "%s is %" PRIu64, expected[i].file, expected[i].value);
        check(c, first_pid(s.unit, ".", 0) == 0 && first_pid(s.unit, "worker", s.worker) == s.engine,
              "worker/ holds both, and the unit's own group nothing");
        check(c,
              query_groups_new(&(QueryGroupsSetup) { .unit_cgroup = cgroup, .worker_pid = s.worker, .tasks_max = 1 },
                               &again) == -EEXIST,
              "they are not made twice");
        check(c,
              query_groups_set_limits(s.groups, 64 * MIB + 4097, 60 * MIB + 1, &max, &high) == 0 &&
                              max == 64 * MIB + 4096 && high == 60 * MIB,
              "what is read back is what the kernel made of it");
        check(c,
              query_groups_set_limits(s.groups, 32 * MIB, SIZE_INFINITY, &max, &high) == 0 && max == 32 * MIB &&
                              high == SIZE_INFINITY,
              "max lower, high off");
        check(c,
              query_groups_protect(s.groups, 16 * MIB, false) == 0 &&
                              cgroup_read_value(cgroup, "engine/memory.low", &v) == 0 && v == 16 * MIB,
              "engine/ is protected");
        check(c,
              query_groups_adopt(cgroup, &again) == 0 && query_groups_fd(again, GROUP_COMPILE_KILL) >= 0 &&
                              cgroup_read_value(cgroup, "engine/memory.max", &v) == 0 && v == 32 * MIB,
              "adopting them changes nothing");
        query_groups_free(again);
        check_above(c, &s, cgroup);
        stage_done(c, &s);
        check(c,
              query_groups_new(&(QueryGroupsSetup) { .unit_cgroup = cgroup, .worker_pid = 1, .tasks_max = 1 },
                               &again) == -ENOENT,
              "no groups in a unit that is gone");
}

static void check_growth(Check *c) {
        sd_event_source *flood = NULL;
        EventsWatch *watch = NULL;
        bool no_psi = true;
        FinalNumbers f;
        uint64_t max, high, before;
        Sample sample;
        Stage s;
        int r, usage;

        stage_new(c, "eat", "300", &s);
        c->pressures = 0;
        r = events_watch_new(c->loop, s.groups, s.unit->id, on_pressure, c, &no_psi, &watch);
        check(c, r == 0 && !no_psi, "its events are watched (%d), PSI too", r);
        for (int i = 0; i < 3; i++)
                sd_event_run(c->loop, 20000);
        check(c, c->pressures == 0, "which is quiet while nothing happens");
        stage_enter(c, &s, 64 * MIB, 48 * MIB);
        check(c,
              sd_event_add_defer(c->loop, &flood, on_flood, NULL) >= 0 &&
                              sd_event_source_set_priority(flood, SD_EVENT_PRIORITY_NORMAL - 1) >= 0 &&
                              sd_event_source_set_enabled(flood, SD_EVENT_ON) >= 0 && wait_for(c, was_woken, NULL),
              "it wakes when memory.high is reached, also of a loop that has other work without end");
        sd_event_source_disable_unref(flood);
        before = now_usec();
        r = query_groups_sample(s.groups, &sample);
        before = now_usec() - before;
        check(c,
              r == 0 && sample.events_high > 0 && sample.populated && sample.pids == 1 &&
                              sample.max_bytes == 64 * MIB && sample.high_bytes == 48 * MIB && sample.has_psi,
              "the sample says so: high %" PRIu64 ", anon %" PRIu64 ", in %" PRIu64 " usec", sample.events_high,
              sample.anon_bytes, before);
        query_groups_freeze(s.groups, true);
        check(c, wait_for(c, engine_is_frozen, &s), "it freezes");
        query_groups_freeze(s.groups, false);
        before = now_usec();
        r = query_groups_set_limits(s.groups, 400 * MIB, SIZE_INFINITY, &max, &high);
        before = now_usec() - before;
        check(c, r == 0, "it is raised in %" PRIu64 " usec", before);
        s.at_least = 300 * MIB;
        check(c, wait_for(c, engine_has_eaten, &s), "it gets all it wanted");
        r = query_groups_sample(s.groups, &sample);
        before = now_usec();
        usage = query_groups_usage(s.groups, &sample);
        before = now_usec() - before;
        check(c, usage == 0 && sample.has_usage && sample.cpu_usec > 0 && sample.has_cpu_wait == sample.has_psi,
              "CPU and I/O totals are read in %" PRIu64 " usec; %" PRIu64 " usec without a processor", before,
              sample.cpu_wait_usec);
        check(c,
              r == 0 && sample.events_oom_kill == 0 && sample.current_bytes >= sample.anon_bytes &&
                              sample.kernel_bytes > 0 &&
                              sample.active_anon_bytes + sample.inactive_anon_bytes >= 299 * MIB,
              "nothing was killed; current %" PRIu64 ", kernel %" PRIu64 ", LRU %" PRIu64, sample.current_bytes,
              sample.kernel_bytes, sample.active_anon_bytes + sample.inactive_anon_bytes);
        r = query_groups_signal(s.groups, SIGTERM);
        check(c, r == 0 && wait_for(c, engine_is_empty, &s), "SIGTERM ends it");
        r = query_groups_final(s.groups, &f);
        check(c,
              r == 0 && f.memory_peak_bytes >= 300 * MIB && f.memory_peak_bytes <= 400 * MIB && f.cpu_usec > 0 &&
                              f.events_high > 0 && f.events_oom_kill == 0 && f.residual_bytes < 8 * MIB,
              "final numbers: peak %" PRIu64 ", cpu %" PRIu64 ", stall %" PRIu64 ", residual %" PRIu64 " (%d)",
              f.memory_peak_bytes, f.cpu_usec, f.stall_usec, f.residual_bytes, r);
        check(c, first_pid(s.unit, "worker", 0) == s.worker, "the worker lives");
        stage_done(c, &s);
        c->pressures = 0;
        for (int i = 0; i < 5; i++)
                sd_event_run(c->loop, 20000);
        check(c, c->pressures == 0, "the watch is quiet once the group is gone");
        events_watch_free(watch);
}

/* As under psi=0, for this group alone (cgroup.pressure, 6.1). */
static void check_no_psi(Check *c) {
        EventsWatch *watch = NULL;
        uint64_t max, high;
        bool no_psi = false;
        char cgroup[256];
        Sample sample = {};
        Stage s;
        int r;

        stage_new(c, "eat", "100", &s);
        unit_cgroup(s.unit, cgroup);
        check(c, run_command("echo 0 >%s%s/engine/cgroup.pressure", cgroup_host_root(), cgroup) == 0, "PSI is switched off");
        c->pressures = 0;
        r = events_watch_new(c->loop, s.groups, s.unit->id, on_pressure, c, &no_psi, &watch);
        check(c, r == 0 && no_psi, "its events are watched (%d), and that there is no PSI is told", r);
        stage_enter(c, &s, 64 * MIB, 48 * MIB);
        check(c, wait_for(c, was_woken, NULL), "memory.high wakes all the same");
        r = query_groups_sample(s.groups, &sample);
        check(c, r == 0 && !sample.has_psi && sample.anon_bytes > 0, "a sample is read without it: %d", r);
        s.at_least = 100 * MIB;
        check(c,
              query_groups_set_limits(s.groups, 200 * MIB, SIZE_INFINITY, &max, &high) == 0 &&
                              wait_for(c, engine_has_eaten, &s),
              "and it grows");
        events_watch_free(watch);
        stage_done(c, &s);
}

static void check_oom(Check *c) {
        EventsWatch *watch = NULL;
        FinalNumbers f = {};
        Sample sample = {};
        Stage s;
        int r;

        stage_new(c, "eat", "200", &s);
        events_watch_new(c->loop, s.groups, s.unit->id, on_pressure, c, NULL, &watch);
        c->pressures = 0;
        stage_enter(c, &s, 64 * MIB, SIZE_INFINITY);
        check(c, wait_for(c, engine_is_empty, &s), "over memory.max the group is killed");
        check(c, wait_for(c, was_woken, NULL), "which wakes the loop");
        r = query_groups_sample(s.groups, &sample);
        check(c, r == 0 && sample.events_oom_kill > 0 && sample.events_oom_group_kill > 0 && sample.events_max > 0,
              "the sample says so: oom_kill %" PRIu64 ", oom_group_kill %" PRIu64, sample.events_oom_kill,
              sample.events_oom_group_kill);
        r = query_groups_final(s.groups, &f);
        check(c, r == 0 && f.memory_peak_bytes <= 64 * MIB && f.memory_peak_bytes >= 60 * MIB,
              "the peak is at the limit: %" PRIu64, f.memory_peak_bytes);
        check(c, first_pid(s.unit, "worker", 0) == s.worker && !s.unit->gone, "worker and unit live");
        events_watch_free(watch);
        stage_done(c, &s);
}

static void check_ends(Check *c) {
        Sample sample;
        Stage s;

        stage_new(c, "scatter", NULL, &s);
        stage_enter(c, &s, 64 * MIB, SIZE_INFINITY);
        s.at_least = SCATTERED_MIB * MIB;
        check(c, wait_for(c, engine_has_eaten, &s) && query_groups_sample(s.groups, &sample) == 0 && sample.pids == 6,
              "children that left their session and parent are in engine/");
        check(c, query_groups_signal(s.groups, SIGTERM) == 0 && wait_for(c, engine_is_empty, &s),
              "SIGTERM reaches them");
        stage_done(c, &s);

        stage_new(c, "scatter", NULL, &s);
        stage_enter(c, &s, 64 * MIB, SIZE_INFINITY);
        s.at_least = SCATTERED_MIB * MIB;
        wait_for(c, engine_has_eaten, &s);
        query_groups_freeze(s.groups, true);
        check(c, wait_for(c, engine_is_frozen, &s), "they freeze");
        check(c, query_groups_kill(s.groups, false) == 0 && wait_for(c, engine_is_empty, &s),
              "a frozen group is killed");
        stage_done(c, &s);

        stage_new(c, "stubborn", NULL, &s);
        stage_enter(c, &s, 64 * MIB, SIZE_INFINITY);
        query_groups_freeze(s.groups, true);
        check(c, wait_for(c, engine_is_frozen, &s), "a worker that ignores SIGTERM, and a frozen engine …");
        stage_done(c, &s);
        check(c, strcmp(unit_result(s.unit), "timeout") == 0, "… end by systemd's time limit: %s", s.unit->result);
}

void check_groups(Check *c) {
        check_setup(c);
        check_growth(c);
        check_no_psi(c);
        check_oom(c);
        check_ends(c);
}
