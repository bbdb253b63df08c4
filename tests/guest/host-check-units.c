/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What units promise. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/pace.h"
#include "host-check.h"

#define CROWD 24

static bool was_resynced(Check *c, void *data) {
        (void) data;
        return c->resyncs > 0;
}

static void settle(Check *c) {
        for (int i = 0; i < 25; i++)
                sd_event_run(c->loop, 20000);
}

static void check_reload(Check *c) {
        CheckUnit *u = start_stand_in(c, "sleep", NULL);
        char cgroup[256];
        uint64_t v = 0;

        c->resyncs = 0;
        for (int i = 0; i < 3; i++)
                run_command("systemctl daemon-reload");
        check(c, wait_for(c, was_resynced, NULL), "a reload is told");
        settle(c);
        check(c, !u->gone, "a reload does not make a unit seem gone");
        c->resyncs = 0;
        run_command("systemctl daemon-reexec");
        check(c, wait_for(c, was_resynced, NULL), "a reexec is told");
        settle(c);
        unit_cgroup(u, cgroup);
        check(c, !u->gone && cgroup_read_value(cgroup, "memory.max", &v) == 0,
              "a reexec does not make a unit seem gone");
        check(c, v == 512 * MIB, "… and its limits stay");
        stop_and_check(c, u);
        check(c, strcmp(unit_result(u), "success") == 0, "a stopped unit's Result is \"%s\"", u->result);
}

static void check_results(Check *c) {
        CheckUnit *u = start_stand_in(c, "sleep", NULL);

        kill(first_pid(u, ".", 0), SIGKILL);
        check(c, wait_for(c, unit_is_gone, u) && strcmp(unit_result(u), "signal") == 0,
              "a killed worker's Result is \"%s\"", u->result);
        check_nothing_left(c, u);

        u = start_stand_in(c, "quit", NULL);
        check(c, wait_for(c, unit_is_gone, u) && strcmp(unit_result(u), "exit-code") == 0,
              "a failed worker's Result is \"%s\"", u->result);
        check_nothing_left(c, u);
}

static void check_failures(Check *c) {
        char *argv[] = { (char *) "/no/such/program", NULL };
        UnitSpec spec;
        CheckUnit *u;
        bool good;

        default_spec(&spec);
        spec.exec_argv = argv;
        u = start_unit(c, &spec);
        good = u && wait_for(c, unit_has_started, u);
        check(c, good && u->start_r < 0, "a worker that is missing is a failed start: %s (%d)",
              u ? u->start_text : "", u ? u->start_r : 0);
        settle(c);
        check(c, u && !u->gone, "no unit_gone follows it");
        if (u)
                check_nothing_left(c, u);

        default_spec(&spec);
        spec.exec_argv = argv;
        spec.slice = "no such slice";
        u = start_unit(c, &spec);
        good = u && wait_for(c, unit_has_started, u);
        check(c, good && u->start_r < 0, "what PID 1 refuses is a failed start: %s (%d)", u ? u->start_text : "",
              u ? u->start_r : 0);
}

/* A name that is taken: by a failed unit that nobody collected, and by one that runs. */
static void check_name_taken(Check *c) {
        char *argv[] = { (char *) "/bin/sleep", (char *) "1000", NULL };
        uint64_t id = c->next_id++;
        UnitSpec spec;
        CheckUnit *u;

        run_command("systemd-run -q -u penstock-q%" PRIu64 ".service -p CollectMode=inactive -- false; sleep 1", id);
        check(c, run_command("systemctl is-failed -q penstock-q%" PRIu64 ".service", id) == 0,
              "there is a failed unit of that name");
        default_spec(&spec);
        spec.query_id = id;
        spec.exec_argv = argv;
        u = start_unit(c, &spec);
        check(c, u && wait_for(c, unit_has_started, u) && u->start_r == 0, "… which is cleared away: %s",
              u ? u->start_text : "");
        check(c, systemd_unit_start(c->link, &spec, NULL) == -EEXIST, "the link knows its own units");
        stop_and_check(c, u);

        id = c->next_id++;
        run_command("systemd-run -q -u penstock-q%" PRIu64 ".service -- sleep 1000", id);
        spec.query_id = id;
        u = start_unit(c, &spec);
        check(c, u && wait_for(c, unit_has_started, u) && u->start_r == -EEXIST, "one that runs is left alone: %s",
              u ? u->start_text : "");
        check(c, run_command("systemctl is-active -q penstock-q%" PRIu64 ".service", id) == 0, "… and runs on");
        if (u) {
                *u = (CheckUnit) { .id = id };
                stop_and_check(c, u);
        }
}

static void check_stop_while_starting(Check *c) {
        char *argv[] = { (char *) "/bin/sleep", (char *) "1000", NULL };
        UnitSpec spec;
        CheckUnit *u;

        default_spec(&spec);
        spec.exec_argv = argv;
        u = start_unit(c, &spec);
        if (!u)
                return;
        systemd_unit_stop(c->link, u->id);
        check(c, wait_for(c, unit_has_started, u) && (u->start_r < 0 || wait_for(c, unit_is_gone, u)),
              "stop while it starts ends it: %d %s", u->start_r, u->start_text);
        settle(c);
        check_nothing_left(c, u);
}

/* Ask for @u once more under its name; what is told from now on is of the new one. */
static bool ask_again(Check *c, CheckUnit *u, UnitSpec *spec) {
        spec->query_id = u->id;
        *u = (CheckUnit) { .id = u->id };
        return systemd_unit_start(c->link, spec, NULL) == 0;
}

static void check_asked_for_while_leaving(Check *c) {
        char *argv[] = { (char *) "/bin/sleep", (char *) "1000", NULL };
        CheckUnit *u = start_stand_in(c, "sleep", NULL);
        UnitSpec spec;

        default_spec(&spec);
        spec.exec_argv = argv;
        systemd_unit_stop(c->link, u->id);
        check(c, ask_again(c, u, &spec), "a unit can be asked for while another one of its name is being stopped");
        check(c, wait_for(c, unit_has_started, u) && u->start_r == 0 && !u->gone, "… and starts when that is gone: %s", u->start_text);
        check(c, systemd_unit_start(c->link, &spec, NULL) == -EEXIST, "it is there now");
        systemd_unit_stop(c->link, u->id);
        check(c, ask_again(c, u, &spec), "it can be asked for again");
        systemd_unit_stop(c->link, u->id);
        check(c, wait_for(c, unit_has_started, u) && u->start_r == -ECANCELED, "… and be stopped before it could start: %d", u->start_r);
        settle(c);
        check_nothing_left(c, u);

        spec.query_id = 0;
        u = start_unit(c, &spec);
        if (!u)
                return;
        systemd_unit_stop(c->link, u->id);
        if (!wait_for(c, unit_has_started, u) || u->start_r == 0)
                return; /* it was quicker than the stop */
        check(c, ask_again(c, u, &spec), "a unit can be asked for as soon as the one before has failed to start");
        check(c, wait_for(c, unit_has_started, u) && u->start_r == 0, "… and starts: %s", u->start_text);
        stop_and_check(c, u);
}

static bool crowd_is(Check *c, void *gone) {
        for (size_t i = 0; i < CROWD; i++)
                if (gone ? !c->units[i].gone : !c->units[i].started)
                        return false;
        return true;
}

/* Not all at once: a busy host is longer about that than a start may take, and penstockd does not ask for more either. */
static bool few_are_starting(Check *c, void *data) {
        size_t n = 0;

        (void) data;
        for (size_t i = 0; i < c->n_units; i++)
                n += !c->units[i].started;
        return n < PACE_MAX;
}

static void on_listed_unit(uint64_t id, const char *active_state, void *userdata) {
        (void) id;
        ((Check *) userdata)->listed += strcmp(active_state, "active") == 0;
}

static void on_listed(int r, void *userdata) {
        ((Check *) userdata)->slice_done = r == 0;
}

static bool is_listed(Check *c, void *data) {
        (void) data;
        return c->slice_done;
}

static void check_crowd(Check *c) {
        char *argv[] = { (char *) "/bin/sleep", (char *) "1000", NULL };
        const CheckUnit *failed = NULL;
        bool good = true;
        UnitSpec spec;

        c->n_units = 0;
        for (size_t i = 0; i < CROWD; i++) {
                default_spec(&spec);
                spec.exec_argv = argv;
                good = wait_for(c, few_are_starting, NULL) && start_unit(c, &spec) && good;
        }
        good = good && wait_for(c, crowd_is, NULL);
        for (size_t i = 0; i < CROWD; i++)
                if (c->units[i].start_r < 0 || c->units[i].gone)
                        failed = &c->units[i];
        check(c, good && !failed, "%d units, %u at a time, all start: %s (%d%s)", CROWD, PACE_MAX, failed ? failed->start_text : "",
              failed ? failed->start_r : 0, failed && failed->gone ? ", gone" : "");
        c->listed = 0;
        c->slice_done = false;
        systemd_list_units(c->link, on_listed_unit, on_listed, c);
        good = wait_for(c, is_listed, NULL);
        check(c, good && c->listed == CROWD, "all are listed: %zu", c->listed);
        check(c, c->answer_usec > 0, "the last answer took %" PRIu64 " usec", c->answer_usec);
        for (size_t i = 0; i < CROWD; i++)
                systemd_unit_stop(c->link, c->units[i].id);
        check(c, wait_for(c, crowd_is, c), "all are gone after stop");
        for (size_t i = 0; i < CROWD; i += CROWD / 2)
                check_nothing_left(c, &c->units[i]);
        check(c, run_command("test -z \"$(ls -d /sys/fs/cgroup/penstock.slice/*.service 2>/dev/null)\"") == 0,
              "the slice is empty");
        c->n_units = 0;
}

void check_units(Check *c) {
        check_reload(c);
        check_results(c);
        check_failures(c);
        check_name_taken(c);
        check_stop_while_starting(c);
        check_asked_for_while_leaving(c);
        check_crowd(c);
}
