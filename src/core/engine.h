/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/engine: the whole service as one deterministic state machine. libc only: no clock, no descriptor, no log.
 *
 * Events go in, each with the time; actions come out, to be performed in their order; their outcomes come back as
 * events. The daemon, the simulator and the tests all drive this same machine.
 * Invariants, after every step: Σ quotas <= the ledger's leases <= budget; a quota <= its query's maximum; at most
 * ConcurrencyQuota queries hold a slot; a slot is free only when engine/ is empty; the pool is whole when all ended. */
#pragma once

#include "core/config.h"
#include "core/learned.h"
#include "core/snapshot.h"

/* Records of queries that left, for show, stats, wait and done on any ID lately issued: the last so many. */
#define ENGINE_TOMBSTONES 1024u

typedef enum EventType {
        EVENT_REQUEST,      /* .request; query_id: a reserved one, 0: the next; answered by ACTION_ADMITTED or ACTION_REFUSED */
        EVENT_ADOPT,        /* .adopt: a query of an earlier engine's; before any request, in the order of query_snapshot_order(), and followed by a tick */
        EVENT_LEARNED,      /* .lesson: of an earlier life, the oldest first; it changes no query */
        EVENT_DEPENDENCIES, /* the outcome of ACTION_CHECK_DEPENDENCIES; .error: why not, NULL or ERROR_NONE: it has them */
        EVENT_UNIT_READY,   /* its worker is there and has the groups */
        EVENT_UNIT_FAILED,  /* .error: it could not be started */
        EVENT_UNIT_GONE,    /* cgroup and mounts of the unit are gone */
        EVENT_COMPILED,     /* .ended: the compile command's end */
        EVENT_SAMPLE,       /* .sample */
        EVENT_LIMITS,       /* .limits: read back after ACTION_SET_LIMITS or ACTION_EXECUTE */
        EVENT_LOWERED,      /* .limits: what ACTION_LOWER came to; -EBUSY: it uses too much, nothing was changed */
        EVENT_ENDED,        /* .ended: engine/ is empty for good, with the last numbers */
        EVENT_READER_GONE,  /* nobody reads the results */
        EVENT_HOLD_DROPPED, /* the last copy of the hold was closed */
        EVENT_CANCEL,
        EVENT_DONE,
        EVENT_TICK, /* a deadline came */
        EVENT_PAUSE,
        EVENT_RESUME,
        EVENT_CONFIG,   /* .config (borrowed): a valid new configuration */
        EVENT_LEFTOVERS, /* .bytes: what no unit accounts for, is charged to the slice and can't be reclaimed */
        EVENT_CAP, /* .bytes: an administrator's lower limit (SIZE_INFINITY: none) of one query, or with ID 0 of the budget */
        EVENT_SHUTDOWN, /* .shutdown_usec: 0 cancels all; else running ones may finish so long; USEC_INFINITY: no limit */
        _EVENT_MAX,
} EventType;

typedef struct EndedReport {
        int exit_status, exit_signal; /* -1 and 0: none */
        bool start_failed;            /* .error says why; exit_* mean nothing */
        bool unit_stopped;            /* the worker was told to end by systemd */
        bool reader_gone, results_truncated;
        bool leftovers_killed;
        bool results_empty; /* known for certain: its results are a file, and not a byte is in it */
        FinalNumbers numbers;
} EndedReport;

typedef struct Event {
        EventType type;
        uint64_t query_id;
        union {
                struct {
                        const QuerySpec *spec;
                } request;
                struct {
                        const QuerySnapshot *snapshot; /* valid, and of an ID that is not known yet */
                        const Error *error;
                        const uint8_t *profile; /* as profile_save() made it; NULL: it begins anew */
                        size_t profile_len;
                } adopt;
                Lesson lesson;
                const Error *error;
                Sample sample;
                struct {
                        int r; /* 0 or -errno */
                        /* From the wake-up to the write of memory.max; of it until the sample was there; from the
                         * write until all was read back. */
                        uint64_t max_bytes, latency_usec, sample_usec, read_back_usec;
                } limits;
                struct {
                        EndedReport report;
                        const Error *error;
                } ended;
                const Config *config;
                uint64_t shutdown_usec;
                uint64_t bytes;
        };
} Event;

/* Of these .error is all there is; of others with an error it is .ended.error. */
static inline bool event_has_plain_error(EventType type) {
        return type == EVENT_UNIT_FAILED || type == EVENT_DEPENDENCIES;
}

typedef enum ActionType {
        ACTION_ADMITTED, /* the request got .query_id */
        ACTION_REFUSED,  /* .error */
        ACTION_CHECK_DEPENDENCIES,   /* are they there? then EVENT_DEPENDENCIES */
        ACTION_RELEASE_DEPENDENCIES, /* it had them and has ended: tell them; once a query */
        ACTION_START_UNIT,
        ACTION_RELEASE_UNIT, /* tell the worker to end (it ran, or never will); stop the unit if there is no worker */
        ACTION_COMPILE,
        ACTION_KILL_COMPILE,
        ACTION_EXECUTE, /* .limits first, then hand over */
        ACTION_SET_LIMITS, /* .limits, then EVENT_LIMITS */
        ACTION_LOWER,      /* off the loop: freeze, look, .limits if it fits, thaw; then EVENT_LOWERED */
        ACTION_SAMPLE,     /* read now, then EVENT_SAMPLE */
        ACTION_FREEZE,
        ACTION_THAW,
        ACTION_TERMINATE, /* SIGTERM to all of engine/ */
        ACTION_KILL,      /* SIGKILL to all of engine/ */
        ACTION_STATE,     /* the query's state or error changed: publish */
        ACTION_FORGET,    /* it left the active set; engine_find() still gives its tombstone */
        ACTION_SHUTDOWN_DONE, /* .error: NONE when all ended, else names what had to be canceled */
        ACTION_NOTE,          /* worth a journal entry: .error.message, of .note */
        _ACTION_MAX,
} ActionType;

typedef enum NoteType { NOTE_RAISE, NOTE_DENIED, NOTE_FREEZE, NOTE_THAW, NOTE_VICTIM, NOTE_END, NOTE_LIMIT_FAILED, NOTE_LOWERED, NOTE_LEARNED, NOTE_RETRY } NoteType;

typedef struct Action {
        ActionType type;
        uint64_t query_id;
        struct {
                uint64_t max_bytes, high_bytes;
        } limits;
        NoteType note;
        Error error;
} Action;

/* What one step asks for. Zero-initialise once, use again; actions_done() at the end. */
typedef struct ActionList {
        Action *v;
        size_t n, allocated;
} ActionList;

void actions_done(ActionList *l);

typedef struct Engine Engine;

/* @config must have been accepted by config_finish(); its numbers are copied. IDs start at @first_id (at least 1).
 * Returns 0 or -ENOMEM. */
int engine_new(const Config *config, uint64_t first_id, Engine **ret);
Engine *engine_free(Engine *e); /* takes NULL, returns NULL */

/* Take one step. @actions is emptied first. @now_usec must not run backwards. Events for queries that are gone are
 * ordinary and ignored. Returns 0, or -ENOMEM: then the event had no effect on any query. */
int engine_step(Engine *e, const Event *ev, uint64_t now_usec, ActionList *actions);

/* What changes a query in a way that its snapshot must tell, should this engine be gone in the next moment. Mostly it is
 * taken after the step and before anything is performed. What can't wait for that, since the query grows meanwhile, is
 * recorded when it is done; if it never is, what the next engine finds in the kernel tells. */
typedef enum ActionRecord { ACTION_NOT_RECORDED, ACTION_RECORDED_FIRST, ACTION_RECORDED_WHEN_DONE } ActionRecord;
ActionRecord action_record(ActionType type);
/* The same for an event that may change its query without any action. */
static inline bool event_is_recorded(EventType type) {
        return type == EVENT_DEPENDENCIES || type == EVENT_LOWERED || type == EVENT_CANCEL || type == EVENT_DONE;
}
/* As query_snapshot(), while @unperformed (NULL: nothing) is still to be done. */
void engine_snapshot(const Query *q, const ActionList *unperformed, QuerySnapshot *ret, Error *ret_error);

/* The ID that the next admitted query gets, if its request names none. */
uint64_t engine_next_id(const Engine *e);
/* An ID that no query gets but one whose request names it. IDs rise in the order of these calls and of requests without
 * one; queries are ordered by their submission. */
uint64_t engine_reserve_id(Engine *e);

/* When EVENT_TICK is next due; USEC_INFINITY: never. */
uint64_t engine_deadline(const Engine *e);

/* A query by its ID, also one that was Done lately (its tombstone); NULL: never issued, or fallen out of the ring. */
const Query *engine_find(const Engine *e, uint64_t id);
/* True when engine_find() answers from a tombstone: it is no longer in the active set. */
bool engine_is_tombstone(const Engine *e, uint64_t id);
/* The active queries in the order of submission: @previous NULL gives the first; NULL ends. */
const Query *engine_next(const Engine *e, const Query *previous);

/* 1 for the next to run; 0: it does not wait. */
uint64_t engine_queue_position(const Engine *e, const Query *q);
/* What it waits for, in words ("" when for nothing). Returns @buf. */
const char *engine_wait_reason(const Engine *e, const Query *q, char *buf, size_t len);

const Budget *engine_budget(const Engine *e);
uint64_t engine_count(const Engine *e, QueryState s); /* active ones in that state */
bool engine_is_paused(const Engine *e);
bool engine_is_shut_down(const Engine *e);
/* Units that may exist at once, for the slice's slack; no more are started until some are gone. So each
 * ACTION_START_UNIT must at last be followed by EVENT_UNIT_FAILED or EVENT_UNIT_GONE. */
uint64_t engine_units_max(const Engine *e);
/* … and for how many that slack is to be: where there is no bound, for those that exist. */
uint64_t engine_units_for_slack(const Engine *e);
