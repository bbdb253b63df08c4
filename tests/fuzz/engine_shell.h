/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzz/engine_shell: performs what the engine asks for, in its head, and holds every action against what was asked and
 * answered before. What the kernel would have in force is summed up here, apart from the engine's own ledger. */
#pragma once

#include "fuzz.h"

#include "sim/invariants.h"

#define SHELL_QUERIES_MAX 40u

/* One query, as the shell knows it: what was asked for, and what was answered. */
typedef struct Seen {
        uint64_t id;
        bool check, checked, released_dependencies;
        bool unit, ready, unit_failed, unit_gone, unit_released;
        bool compile, compiled, executed, over; /* over: engine/ is empty for good */
        bool frozen, lowering, ended, forgotten;
        bool retried, between_runs; /* once; until the unit of its first run is gone */
        uint64_t limit_bytes, lower_to_bytes; /* memory.max in force */
        uint64_t events_max, stall_usec, cpu_usec;
} Seen;

typedef struct Shell {
        Engine *engine;
        ActionList actions;
        Invariants invariants;
        uint64_t now_usec, leased_bytes; /* as it was after the step before */
        Seen seen[SHELL_QUERIES_MAX];
        size_t n;
        bool shut_down;
        uint64_t shutdowns_open;
} Shell;

/* One step, and all that must hold after it. An event that says what can't be is allowed. */
void shell_step(Shell *s, const Event *ev);
/* Whatever happened: cancel all, answer truly, and see that the pool is whole and every slot can be used. */
void shell_wind_up(Shell *s, const Config *config);
