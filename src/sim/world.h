/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sim/world: a host on a virtual clock that performs what the engine asks for, and tells it what came of it.
 * The engine is the service's own; kernel, PID 1, workers, engines and clients are models. One thread, no real time:
 * a seed gives the same story on every machine. Broken promises are found after every step, and at every write. */
#pragma once

#include <stdio.h>

#include "sim/invariants.h"
#include "sim/kernel.h"
#include "sim/load.h"

#define WORLD_FAILURE_MAX 512
/* A story that has not ended by then never will. */
#define WORLD_USEC_MAX (48 * 3600 * USEC_PER_SEC)
#define WORLD_EVENTS_MAX 20000000u

typedef enum ItemType {
        ITEM_ARRIVAL,
        ITEM_ACT,
        ITEM_TICK,
        ITEM_PERFORM,      /* an action whose turn has come */
        ITEM_DEPENDENCIES, /* their check ended */
        ITEM_UNIT_OUTCOME, /* PID 1 started it, or not */
        ITEM_UNIT_GONE,
        ITEM_UNIT_LOST,
        ITEM_COMPILE_END,
        ITEM_TOUCH,    /* a thread touches its next chunk */
        ITEM_REST_END, /* the engine has done its work */
        ITEM_OBEY,     /* it obeys SIGTERM */
        ITEM_EMPTY,    /* its last process is dead */
        ITEM_ENDED,    /* the worker's report arrives */
        ITEM_NOTIFY,   /* memory.events woke the controller */
        ITEM_SAMPLED,
        ITEM_LIMITS,
        ITEM_LOWERED,  /* the helper that lowers a limit is done */
        ITEM_CAP,      /* an administrator's limit of a unit … */
        ITEM_UNCAP,    /* … is lifted */
        ITEM_CANCEL,
        ITEM_HOLD_DROPPED,
        ITEM_READER_GONE,
        ITEM_DONE,
        _ITEM_MAX,
} ItemType;

typedef struct Item {
        uint64_t at_usec, number; /* of two at one time the earlier comes first */
        ItemType type;
        size_t query;
        uint64_t run; /* which one of its query it belongs to, from 1 on */
        ActionType action;
        uint64_t max_bytes, high_bytes; /* of ITEM_PERFORM and ITEM_LOWERED; of ITEM_LIMITS max_bytes is what was read back */
        int r;
} Item;

typedef enum SimUnit { SIM_UNIT_NONE, SIM_UNIT_STARTING, SIM_UNIT_UP, SIM_UNIT_LEAVING, SIM_UNIT_GONE } SimUnit;

typedef struct SimQuery {
        const LoadQuery *load;
        uint64_t id; /* 0: not submitted, or refused */
        QueryState last_state;

        SimUnit unit;
        bool leave_when_up, compile_runs, compile_killed;

        KernelGroup group;
        uint64_t anon_left, shmem_left, cache_left;
        unsigned threads_running, threads_parked;
        uint64_t starved_until_usec, wait_seen_usec; /* 0: it has not starved; until when it is counted */
        uint64_t cpu_usec, cpu_wait_usec;
        uint64_t n_retries;
        bool retries; /* its first run has ended, and its unit is not gone */
        bool gave; /* back what it will */
        bool executed, rest_parked, obey_parked, dying, start_fails;
        int exit_status, exit_signal;
        uint64_t residual_bytes; /* dead, and still charged until the unit is gone */
        uint64_t reported_bytes; /* … as far as the engine was told */
        bool notify_pending;
        unsigned actions_pending; /* asked for, and not yet performed */
        uint64_t notify_last_usec;
        bool end_published, forgotten;
        bool checking, has_dependencies, recheck, dependencies_told;
        bool lowering; /* frozen for it */
        uint64_t read_back_usec; /* when the engine hears of the last write of its limits */
        uint64_t n_raises; /* of its limit, as the kernel had them */
        uint64_t cap_bytes;   /* an administrator's, of its unit; SIZE_INFINITY: none */
        uint64_t events_seen; /* charges that met its limit, as told by the last look */
        /* Of one that the kernel killed for memory: at which limit, what the engine thought of it then, and how often the service had
         * been started anew. */
        bool kernel_killed, refused_at_kill;
        uint64_t killed_at_bytes, restarts_at_kill;
        uint64_t denied_at_bytes;   /* its limit when it was refused last; 0: it was not */
        uint64_t raised_from_bytes; /* its limit before the last raise of it */
        char *saved;   /* what the service wrote of it: a line of a trace */
        Lesson lesson; /* what the history has of it, once it has ended */
} SimQuery;

/* What came of it all; summed up over seeds. */
typedef struct Tally {
        uint64_t submitted, refused, finished, errored, canceled;
        uint64_t raises, denials, freezes, victims, lowered, kernel_kills, kills_payable;
        uint64_t learned_starts, raises_saved, retries;
        uint64_t steps, items, restarts;
} Tally;

typedef struct World {
        Load load;
        Random random; /* for what is not part of the story: wake-ups */
        Random crash;  /* and when the service is killed */
        bool crashes, adopting;
        bool killed; /* before it wrote down what it had just done */
        Engine *engine;
        ActionList actions;
        uint64_t now_usec;
        Item *heap;
        size_t n_heap, heap_allocated;
        uint64_t next_number, tick_usec, tick_number, performed_until_usec;
        SimQuery *queries;
        size_t submitting;
        uint64_t reserved_id; /* 0: none */
        bool shut_down, shutdown_done;
        uint64_t shutdown_until_usec; /* it may be answered then, whoever is left; USEC_INFINITY: never so */
        uint64_t cap_bytes; /* an administrator's, of the slice; SIZE_INFINITY: none */
        uint64_t leftover_bytes; /* in the slice, and of no unit */

        /* check.c: a reload may leave more than the figures allow; then it must only shrink. */
        Invariants invariants;
        uint64_t last_held_bytes, last_compiling, units_promised;
        bool reloaded;

        Tally tally;
        FILE *trace;  /* NULL: none */
        FILE *record; /* the same for penstock-sim replay */
        char failure[WORLD_FAILURE_MAX];
} World;

/* restart.c */
void world_save_query(World *w, uint64_t id, const ActionList *unperformed);
void world_save(World *w, const Event *ev); /* after a step: what the service writes before it performs what was decided */
bool world_is_to_crash(World *w);
void world_restart(World *w); /* the service is killed between two moments, and another takes over */

/* record.c: each does nothing when there is no record */
void world_record_start(World *w);
void world_record_event(World *w, const Event *ev);
void world_record_actions(World *w);

/* What is played: the seed tells all of it, and some of its queries may be left out. */
typedef struct Story {
        uint64_t seed;
        size_t n_queries;
        bool *without; /* NULL: none is left out */
} Story;

/* Play one story. Returns 0, -ENOMEM, or -EPROTO when a promise was broken: @failure says which and when.
 * @trace (may be NULL) gets a line an event and an action for people, @record (too) the same for replay_run(). @tally is
 * added to. */
int world_play(const Story *story, FILE *trace, FILE *record, Tally *tally,
               char failure[static WORLD_FAILURE_MAX]);

/* Within sim/ */
void world_fail(World *w, const char *format, ...) PRINTF_LIKE(2, 3);
static inline bool world_failed(const World *w) {
        return w->failure[0] != 0;
}
void world_trace(World *w, const char *format, ...) PRINTF_LIKE(2, 3);
void world_push(World *w, uint64_t after_usec, ItemType type, size_t query);
void world_push_item(World *w, Item item);
void world_feed(World *w, Event *ev);
void world_keep_items(World *w, bool (*keep)(const World *w, const Item *item)); /* drop all others */
SimQuery *world_by_id(World *w, uint64_t id, size_t *ret_index);
static inline uint64_t world_wake(World *w) {
        return load_wake_usec(&w->load, &w->random);
}

/* host.c: performs actions, and plays PID 1 and the worker */
void host_take_actions(World *w); /* after a step: books what is said at once, lines up the rest */
void host_perform(World *w, const Item *item);
void host_dependencies(World *w, size_t i);
void host_unit_outcome(World *w, size_t i);
void host_unit_gone(World *w, size_t i);
void host_unit_lost(World *w, size_t i);
void host_compile_end(World *w, size_t i);
void host_ended(World *w, size_t i);
void host_notify(World *w, size_t i);
void host_lowered(World *w, const Item *item);

/* process.c: what an engine does */
void process_start(World *w, size_t i);
void process_touch(World *w, size_t i);
void process_rest_end(World *w, size_t i);
void process_obey(World *w, size_t i);
void process_die(World *w, size_t i, int status, int signal);
void process_empty(World *w, size_t i);
void process_thaw(World *w, size_t i);
void process_forget(SimQuery *q); /* its first run is over, and another may come */
/* Count what it waited for a processor until now: before it is looked at, and before it is frozen. */
void process_count_wait(World *w, SimQuery *q);

/* check.c */
void check_kernel(World *w); /* at every write and every birth of a group */
void check_engine(World *w, const Event *ev);
void check_verdict(World *w, const SimQuery *q, const Query *known); /* when its end is told */
void check_end(World *w); /* when nothing is left to happen */
