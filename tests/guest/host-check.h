/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* tests/guest/host-check: drives host/systemd, host/cgroup and host/events against a real kernel and a real systemd,
 * as root in a guest. Prints TAP; exits non-zero when a check failed. */
#pragma once

#include <systemd/sd-bus.h>

#include "host/cgroup.h"
#include "host/events.h"
#include "host/systemd.h"

/* Emulated machines are slow: this bounds a failure, it is no measure. */
#define PATIENCE_SEC 120

#define CHECK_UNITS_MAX 64
#define SCATTERED_MIB 8

typedef struct CheckUnit {
        uint64_t id;
        bool started, gone;
        int start_r;
        char start_text[512], result[64]; /* the latter by unit_result() */
} CheckUnit;

typedef struct Check {
        sd_event *loop;
        sd_bus *bus;
        SystemdLink *link;
        CheckUnit units[CHECK_UNITS_MAX];
        size_t n_units;
        unsigned resyncs, pressures;
        bool slice_done;
        int slice_r;
        size_t listed;
        unsigned n_checks, n_failed;
        uint64_t next_id;
        char program[4096]; /* this program, which is the stand-in worker too */
        uint64_t answer_usec; /* of the last call to PID 1 */
        unsigned tries;       /* of what is left to chance */
} Check;

/* A unit with its groups, and a process that waits until it is put into engine/. */
typedef struct Stage {
        CheckUnit *unit;
        QueryGroups *groups;
        pid_t worker, engine;
        uint64_t at_least; /* for conditions below */
} Stage;

/* One TAP line. Returns @good. */
bool check(Check *c, bool good, const char *format, ...) PRINTF_LIKE(3, 4);

/* Run the loop until @is_true, or until patience ends (false). */
bool wait_for(Check *c, bool (*is_true)(Check *c, void *data), void *data);
bool unit_has_started(Check *c, void *unit); /* for wait_for(): CheckUnit */
bool unit_is_gone(Check *c, void *unit);

/* A fresh unit of stand-in @mode ("sleep", "eat", …) with one @argument (may be NULL). */
CheckUnit *start_stand_in(Check *c, const char *mode, const char *argument);
CheckUnit *start_unit(Check *c, UnitSpec *spec); /* fills in ID, slice and description; NULL when refused */
void default_spec(UnitSpec *spec);
const char *unit_result(CheckUnit *u); /* systemd's Result of one that is gone */
void unit_cgroup(const CheckUnit *u, char buf[static 256]);
/* Stop it, see it gone, and check that nothing of it is left. */
void stop_and_check(Check *c, CheckUnit *u);
void check_nothing_left(Check *c, const CheckUnit *u);
pid_t first_pid(const CheckUnit *u, const char *group, pid_t other_than); /* 0: none */
int run_command(const char *format, ...) PRINTF_LIKE(1, 2);               /* by sh; its exit status */

/* host-check-groups.c */
void stage_new(Check *c, const char *mode, const char *argument, Stage *s);
void stage_enter(Check *c, Stage *s, uint64_t max_bytes, uint64_t high_bytes);
void stage_done(Check *c, Stage *s);
bool engine_has_eaten(Check *c, void *stage); /* for wait_for(): at_least bytes of anonymous memory */
bool engine_is_frozen(Check *c, void *stage);

int stand_in(int argc, char **argv); /* the worker's part; does not return 0 */
void check_groups(Check *c);
void check_lower(Check *c);
void check_units(Check *c);
void check_sandbox(Check *c);
