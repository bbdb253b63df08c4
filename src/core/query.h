/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/query: one query's record: states and their legal moves, time booked per state, statistics. libc only.
 * Invariant: a state changes by query_move() alone, so that every microsecond since creation is booked exactly once. */
#pragma once

#include "core/budget.h"
#include "core/error.h"
#include "core/profile.h"
#include "core/tree.h"

typedef enum QueryState {
        QUERY_CREATED,
        QUERY_COMPILING,
        QUERY_QUEUEING,
        QUERY_EXECUTING,
        QUERY_ERRORED,
        QUERY_FINISHED,
        QUERY_CANCELED,
        _QUERY_STATE_MAX,
} QueryState;

const char *query_state_name(QueryState s); /* lower case */
bool query_state_is_end(QueryState s);
/* The table of design: forward only, but for one that is retried, which queues once more; any live state may end in errored or
 * canceled; an end is for good. */
bool query_state_may_move(QueryState from, QueryState to);

/* Whose limit or hand ended it. */
typedef enum Verdict {
        VERDICT_NONE,      /* alive, or ended as it wished */
        VERDICT_EXIT,      /* the engine's own non-zero exit */
        VERDICT_SIGNAL,    /* a signal that is not ours */
        VERDICT_MAXIMUM,   /* its own maximum */
        VERDICT_QUOTA,     /* the kernel killed it at a quota below its maximum */
        VERDICT_BUDGET,    /* the budget was exhausted */
        VERDICT_SLICE,     /* the limit of the slice or unit, or an administrator's */
        VERDICT_HOST,      /* the host's memory: the kernel's own OOM killer */
        VERDICT_OOMD,      /* systemd-oomd */
        VERDICT_TASKS,     /* the task limit */
        VERDICT_TIMEOUT,
        VERDICT_CANCEL,
        VERDICT_READER,    /* nobody reads the results any more */
        VERDICT_STOPPED,   /* its unit was stopped */
        VERDICT_RESULTS,   /* the cap on detached results */
        VERDICT_START,     /* it could not be started */
        VERDICT_WORKER,    /* its worker was lost */
        VERDICT_SHUTDOWN,
        VERDICT_COMPILE,
        VERDICT_QUEUE,     /* waited too long */
        VERDICT_DEPENDENCY, /* what it needs was not there */
        _VERDICT_MAX,
} Verdict;

const char *verdict_name(Verdict v);

/* What the engine needs to know of a request; the rest stays with whoever performs the actions. */
typedef struct QuerySpec {
        char language[64];
        uint32_t uid;
        int32_t priority;
        uint64_t initial_bytes, max_bytes;                /* 0: as configured */
        uint64_t timeout_usec, queue_timeout_usec;        /* USEC_INFINITY: as configured; 0: none */
        uint64_t fingerprint[2];                          /* the same for the same query of the same user; zeros: not known */
        bool detached, has_compile;
        bool allow_priority;                              /* the caller may ask for a priority above 0 */
        bool has_dependencies;                            /* they are checked before all else, and told its end */
        bool may_retry;                                   /* all that it needs for a second start is kept */
} QuerySpec;

typedef enum UnitPhase {
        UNIT_NONE,
        UNIT_CHECKING, /* dependencies that it held in an earlier engine's time are looked at anew; then it starts, unasked */
        UNIT_STARTING,
        UNIT_READY,   /* its worker waits for a command */
        UNIT_LEAVING, /* told to end */
        UNIT_GONE,
} UnitPhase;

typedef enum RunPhase {
        RUN_NONE,
        RUN_COMPILING, /* a compile command runs in compile/ */
        RUN_HANDED,    /* the engine was handed over: engine/ may hold processes */
        RUN_ENDED,     /* engine/ is empty for good */
} RunPhase;

typedef enum DependencyPhase {
        DEPENDENCIES_NONE,     /* it has none, or never got them */
        DEPENDENCIES_CHECKING, /* it stays created until their answer comes */
        DEPENDENCIES_HELD,
        DEPENDENCIES_RELEASED, /* they were told of its end */
} DependencyPhase;

/* query_free() it. */
typedef struct Query Query;
struct Query {
        uint64_t id;
        QuerySpec spec;
        QueryState state;
        /* Why it ended; before that, of one that is being ended, what it will say: see query_error(). NULL: no words, or no
         * memory for them. */
        struct {
                ErrorCode code;
                char *message;
        } error;
        Verdict verdict;
        uint64_t created_usec, state_since_usec, ended_usec;
        uint64_t booked_usec[_QUERY_STATE_MAX];
        bool visited[_QUERY_STATE_MAX]; /* states it has left, also those that took no time */
        QueryState left;                /* the last of them, since this engine has known it */

        uint64_t initial_bytes, max_bytes; /* effective */
        uint64_t cap_bytes;                /* an administrator's lower limit of its unit; SIZE_INFINITY: none */
        uint64_t timeout_usec, queue_timeout_usec;
        Lease lease;
        uint64_t quota_bytes; /* memory.max in force, as read back; 0 while it waits */
        uint64_t high_bytes;  /* memory.high as last asked for */
        uint64_t last_quota_bytes; /* of one that has ended: its lease until then */
        uint64_t top_quota_bytes;  /* its lease before it was lowered */
        uint64_t current_bytes, peak_bytes, need_bytes, pids; /* as last sampled */
        uint64_t survived_bytes; /* memory.max when it was last sampled and the kernel had killed nothing of it; 0: never */
        bool denied;       /* the pool could not pay for its last need */
        bool hungry;       /* a raise was due and could not be paid: looked at again when memory comes back */
        uint64_t hungry_need_bytes, hungry_pause_usec;
        bool headroom_off; /* denied (`fail`): memory.high is out of the way until what it has does again, the kernel decides */
        uint64_t sampled_usec, raised_usec, lowered_usec; /* when it last was; 0: never */
        uint64_t lowering_since_usec, lower_pause_usec;
        uint64_t lowering_high_bytes; /* memory.high that goes with the quota that it is being lowered to */
        bool lowering_urgent; /* somebody would have had to end */
        uint64_t gave_for;    /* the head of the queue for which it was lowered last; 0: it was for those who wait frozen */
        bool gave_nothing;    /* when it was asked for that: not once more before somebody has ended for want of it */
        unsigned n_stale; /* samples in a row that were read under a lower limit than its lease */
        bool lowering; /* ACTION_LOWER is under way: until its answer it is neither frozen, thawed nor given a limit */
        GovernorState governor;
        Profile profile; /* has each raise too, as long as it has room: the count goes on */
        uint64_t n_raises, n_denied;
        uint64_t learned_bytes;  /* it started with that, since one like it came to need it; 0: it did not */
        uint64_t learned_raises; /* … which took that one so many */
        /* Of one that has ended: what is known then for the next one like it (0: nothing), and what itself was spared. */
        uint64_t needed_bytes, needed_raises, n_raises_saved;
        uint64_t n_retries;
        uint64_t first_start_usec; /* of one that is retried: when it first had a slot */
        uint64_t retry_bytes; /* what it starts, or started, its second run with; 0: as usual */

        bool told_late; /* it ended while nobody served, and how is told soon: what is due since then is not */

        DependencyPhase dependencies;
        bool recheck; /* held since an earlier engine's time: they are looked at anew before its unit starts */
        UnitPhase unit;
        bool unit_lost; /* one was, before anything ran in it */
        RunPhase run;
        bool has_slot, has_compile_slot;

        /* Frozen while it waits for the pool; see engine_wait.c for the order. */
        bool frozen;
        uint64_t frozen_since_usec, frozen_usec, frozen_deadline_usec, wanted_bytes;
        RaiseCause wanted_cause;

        /* Its end was asked for: what it will say, and when the next, harder step is due. */
        bool ending, ending_killed;
        QueryState ending_state;
        Verdict ending_verdict;
        uint64_t ending_deadline_usec, killed_usec;

        uint64_t compile_timeout_usec, compile_deadline_usec, sample_due_usec, forget_usec;
        uint64_t looked_step; /* of its engine: the last one that had it sampled */
        bool done; /* released by its owner: leaves as soon as it has ended */
        uint64_t forgotten; /* the how manieth it was to get a tombstone, earlier engines' included; 0: it has none */

        int exit_status, exit_signal; /* of the engine; -1 and 0 while not known */
        FinalNumbers final; /* of one that was retried, with those of its first run */
        uint64_t residual_bytes; /* still charged to the slice until its unit is gone */
        Query *next_fallen;

        /* of engine_sets.c */
        struct User *user;
        uint64_t number; /* of those that this engine has known; tells the older of two that came in one microsecond */
        TreeNode known, submitted;
        TreeNode place; /* in line, or among the ended ones of its user */
        uint64_t queue_position, queue_position_as_of; /* see engine_queue_position() */
        TreeNode quiet;
        uint64_t quiet_until_usec; /* what it stands by in there */
};

Query *query_free(Query *q); /* takes NULL, returns NULL */

/* Without memory for the message it is the code alone. */
void query_set_error(Query *q, const Error *error);
void query_get_error(const Query *q, Error *ret);

/* Why it ended: ERROR_NONE while it has not. */
static inline ErrorCode query_error(const Query *q) {
        return query_state_is_end(q->state) ? q->error.code : ERROR_NONE;
}

/* The quota that it started with, or is to start with as far as is known. */
static inline uint64_t query_start_bytes(const Query *q) {
        return q->learned_bytes ? q->learned_bytes : MAX(q->initial_bytes, q->retry_bytes);
}

/* Should the budget end it now: nothing about itself speaks against a second run. */
static inline bool query_may_retry(const Query *q) {
        return q->spec.may_retry && q->n_retries == 0;
}

/* The name of its unit, "penstock-q7.service", into @buf; returns @buf. */
#define QUERY_UNIT_NAME_MAX 64
const char *query_unit_name(uint64_t id, char buf[static QUERY_UNIT_NAME_MAX]);

/* Move to @to, booking the time spent. The move must be legal (asserted: input never asks for a state). */
void query_move(Query *q, QueryState to, uint64_t now_usec);

/* Time in @s so far, the present state included; frozen time is part of it. */
uint64_t query_time_in(const Query *q, QueryState s, uint64_t now_usec);
uint64_t query_total_usec(const Query *q, uint64_t now_usec);
uint64_t query_frozen_usec(const Query *q, uint64_t now_usec);
