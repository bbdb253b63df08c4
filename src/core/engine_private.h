/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/engine_private: what the engine's own files share; nobody else includes it.
 * engine.c takes the steps, engine_sets.c knows where each query stands, engine_admit.c lets in, engine_adopt.c takes over
 * from an earlier engine, engine_learn.c knows what those that come again need, engine_retry.c starts once more, engine_run.c
 * grows, engine_lend.c says how much may be lent, engine_wait.c shares the pool among those who wait, engine_end.c ends,
 * engine_judge.c says why one has ended, engine_reason.c what one waits for. */
#pragma once

#include "core/claims.h"
#include "core/engine.h"
#include "core/request.h"
#include "core/tree.h"

#define ENGINE_PAGE_BYTES UINT64_C(4096)
/* Queries that wait with a unit of their own, compiled or made ahead: each costs PID 1, and a worker's memory. */
#define ENGINE_UNITS_WAITING_MAX 16u
/* Ended queries of one user that were not released, at the least and at the most. */
#define ENGINE_ENDED_MIN 16u
#define ENGINE_ENDED_MAX 1024u

struct Engine {
        Config config; /* numbers only: its lists stay with the caller */
        Budget budget;
        uint64_t next_id, n_added, n_steps, now_usec;
        Query **busy;  /* those that compile or execute, the oldest first; it has room for all that are known */
        Query **some;  /* … and so has this: scratch of sets_each_due() and sets_all() */
        size_t n_known, n_busy, allocated;
        TreeNode *known, *submitted; /* all but those with a tombstone, by ID and by age */
        TreeNode *created, *queueing; /* who waits for a compile slot and for a slot, in the order of the queue */
        uint64_t n_line_changes;      /* of these two */
        TreeNode *quiet;              /* who waits, or has ended, by when something is due */
        TreeNode *users;
        uint64_t n_in_state[_QUERY_STATE_MAX], n_units_waiting;
        Claim *claims; /* room for one of each that is known, and two more */
        Query *tombstones[ENGINE_TOMBSTONES]; /* a ring */
        size_t n_tombstones, tombstone_next;
        uint64_t n_forgotten; /* ever, as far as is known */
        Query *fallen; /* out of the ring, but their units still hold something */
        uint64_t n_compile_slots, n_waiters, n_units, n_units_leaving, leftover_bytes;
        uint64_t slice_leftover_bytes; /* beyond what units that still exist account for */
        uint64_t cap_bytes;            /* an administrator lets the budget have no more than this */
        bool paused, shut_down, shutdown_pending;
        bool lowered_urgently; /* in this step: what came back is for the first in the line, safe or not */
        bool line_changed; /* in this step: what may serve, or end, the wait of somebody */
        bool memory_came_back; /* in this step: who was refused is looked at again */
        uint64_t look_due_usec, look_pause_usec; /* while somebody waits; 0: at once */
        uint64_t shutdown_deadline_usec;
        Learned learned;
        ActionList *out;
};

/* engine.c */
Action *engine_emit(Engine *e, ActionType type, const Query *q);
void engine_note(Engine *e, const Query *q, NoteType note, const char *format, ...) PRINTF_LIKE(4, 5);
/* Have it sampled: once a step, since a second sample would be judged by a quota that it was not read under. */
void engine_look(Engine *e, Query *q);
/* A row of its profile, now. */
void engine_profile(Engine *e, Query *q, ProfileEvent event, unsigned cause);
Query *engine_lookup(const Engine *e, uint64_t id);
bool engine_id_is_free(const Engine *e, uint64_t id); /* was reserved, and nobody has it */
static inline bool query_is_live(const Query *q) {
        return !query_state_is_end(q->state);
}
/* Was submitted before; IDs rise by the creation of units, which may have been made ahead. */
static inline bool query_is_older(const Query *a, const Query *b) {
        return a->created_usec != b->created_usec ? a->created_usec < b->created_usec : a->number < b->number;
}
/* The order of the queue, and of the line of those who wait frozen; backwards that of the victims. */
static inline bool query_is_before(const Query *a, const Query *b) {
        return a->spec.priority != b->spec.priority ? a->spec.priority > b->spec.priority : query_is_older(a, b);
}
static inline uint64_t page_floor(uint64_t bytes) {
        return bytes == SIZE_INFINITY ? bytes : bytes - bytes % ENGINE_PAGE_BYTES;
}
void engine_set_figures(Engine *e); /* the budget's, by the configuration and what caps it */

/* engine_sets.c */
int sets_add(Engine *e, Query *q); /* 0 or -ENOMEM: then it is in none */
void sets_drop(Engine *e, Query *q);
void sets_free(Engine *e);
void engine_move(Engine *e, Query *q, QueryState to); /* forget_usec of one that ends must be set before */
void sets_checked(Engine *e, Query *q);               /* its dependencies have answered: it stands in line */
void engine_set_unit(Engine *e, Query *q, UnitPhase unit); /* the one place where units are counted */
Query *sets_find(const Engine *e, uint64_t id);
Query *sets_next(const Engine *e, const Query *previous); /* NULL gives the first */
size_t sets_all(Engine *e); /* all that are known, the oldest first, in e->some until the next of these calls; returns how many */
Query *sets_next_created(const Engine *e, const Query *after); /* NULL gives the first */
Query *sets_next_queueing(const Engine *e, const Query *after); /* NULL gives the first */
uint64_t sets_live(const Engine *e);
uint64_t sets_live_of(const Engine *e, uint32_t uid);
uint64_t sets_ended_of(const Engine *e, uint32_t uid, Query **ret_oldest);
uint64_t sets_quiet_until(const Engine *e);
size_t sets_count_due(const Engine *e);
/* Each that is busy, and each of the others for which something is due. */
void sets_each_due(Engine *e, void (*each)(Engine *e, Query *q));

/* engine_adopt.c */
int adopt_query(Engine *e, const Event *ev); /* 0 or -ENOMEM */

/* engine_learn.c */
bool learn_open(Engine *e, Query *q); /* a lease of what one like it needed; false: nothing is known, or there is not so much */
void learn_end(Engine *e, Query *q);  /* it has ended, and still has its lease */
uint64_t learn_needed(const Query *q); /* then: the quota that would have done from the start, by its verdict */

/* engine_retry.c */
bool retry_is_due(const Engine *e, const Query *q, Verdict verdict, const EndedReport *r);
void retry_begin(Engine *e, Query *q);       /* its run has ended: it stands in the queue once more */
uint64_t retry_start_bytes(const Engine *e, const Query *q); /* what it would begin with now; also of one that is not retried */

/* engine_admit.c */
int admit_request(Engine *e, uint64_t id, const QuerySpec *spec); /* @id 0: the next one */
void admit_dependencies(Engine *e, Query *q, const Error *error);
void admit_unit_ready(Engine *e, Query *q);
void admit_compiled(Engine *e, Query *q, const EndedReport *r, const Error *error);
void admit_reconfigure(Engine *e); /* the figures changed under those who wait */
bool admit_reconfigure_query(Engine *e, Query *q); /* under this one; false: it has ended over it */
void admit_restart_unit(Engine *e, Query *q); /* of one that is past waiting for it */
const Query *admit_lacking(const Engine *e); /* the head of the queue, when it has a slot and no memory to begin with; else NULL */
bool admit_asks_too_much(const Engine *e, const Query *q); /* nobody's end would leave enough for its start, as things are */
bool admit_unit_is_free(const Engine *e);
void admit_settle(Engine *e); /* give free compile and execution slots to those who wait */
uint64_t admit_query_timeout(const Query *q);           /* when its own timeout is due */
uint64_t admit_queue_timeout(const Query *q);

/* engine_run.c */
void run_hand_over(Engine *e, Query *q);
void run_sample(Engine *e, Query *q, const Sample *s);
void run_limits(Engine *e, Query *q, int r, uint64_t max_bytes, uint64_t latency_usec);
void run_book_lowering(Engine *e, Query *q); /* it is over, by its answer or by the end: it was frozen for it */
void run_lowered(Engine *e, Query *q, int r, uint64_t max_bytes);
void run_cap(Engine *e, Query *q, uint64_t bytes);
void run_progress(Engine *e); /* something was granted or ended: who waits frozen has hope again */

bool run_grant(Engine *e, Query *q, uint64_t bytes, RaiseCause cause); /* false: the pool can't pay, nothing changed */
void run_set_limits(Engine *e, Query *q); /* its lease, and a brake that is not lowered for it */
uint64_t run_maximum(const Query *q);                    /* its own, or an administrator's lower one */
uint64_t run_lived_usec(const Engine *e, const Query *q); /* that it executed and was not frozen */

/* engine_lend.c */
/* Less than this is no help, and no reason to wait or to end for. */
#define LEND_MIN_BYTES MIB
/* Whether somebody rests is believed for so long after a look; while somebody waits the looks come more often. */
#define LEND_FRESH_USEC (2 * USEC_PER_SEC)
uint64_t lend_slot_rest(const Engine *e, const Query *q);       /* of its own slot, at any time */
uint64_t lend_room(const Engine *e, const Query *q);            /* all that the pool could give, nothing of it promised */
uint64_t lend_most(const Engine *e);                            /* that one could begin with if all others had ended */
uint64_t lend_safe_room(const Engine *e, const Query *q);       /* of that, what leaves all a way to end */
uint64_t lend_if_worth(const Query *q, uint64_t growth, uint64_t wanted); /* 0 for what is less than wanted, and no help */
uint64_t lend_rest_usec(const Engine *e);                       /* who has not grown for so long rests */
bool lend_rests(const Engine *e, const Query *q);               /* it is expected to end with what it has */

/* engine_wait.c */
uint64_t wait_growth(const Engine *e, const Query *q, uint64_t want_bytes); /* what may be given to who runs; 0: nothing */
bool wait_may_open(const Engine *e, const Query *q); /* what its start takes from the pool */
void wait_begin(Engine *e, Query *q, uint64_t wanted_bytes, RaiseCause cause);
bool wait_is_for_others(const Engine *e, const Query *q); /* the pool could pay, but then others might never end */
void wait_book_end(Engine *e, Query *q);
void wait_rearm(Engine *e); /* something was done for those who wait: what comes of it must come before the next deadline does */
void wait_settle(Engine *e); /* serve who waits for the pool; ask donors; choose a victim when nobody can go on */

/* engine_judge.c */
/* What its report alone says, when nobody here asked for the end; @error is of a start that failed. */
void judge_report(const Engine *e, const Query *q, const EndedReport *r, const Error *error, QueryState *ret_state,
                  Verdict *ret_verdict, Error *ret_error);
const char *judge_maximum_key(const Engine *e, const Query *q); /* what sets the maximum that it has */

/* engine_end.c */
void end_query(Engine *e, Query *q, QueryState state, Verdict verdict, bool gracefully, ErrorCode code,
               const char *format, ...) PRINTF_LIKE(7, 8);
void end_report(Engine *e, Query *q, const EndedReport *r, const Error *error);
void end_book_leftover(Engine *e, Query *q, uint64_t bytes); /* what it left charged, until its unit is gone */
void end_unit_gone(Engine *e, Query *q);
void end_slice_leftovers(Engine *e, uint64_t bytes);
void end_release(Engine *e, Query *q); /* Done, or the hold dropped */
void end_deadlines(Engine *e, Query *q);
void end_compile_slot(Engine *e, Query *q);
void end_release_dependencies(Engine *e, Query *q); /* tell them, if it has not been done */
void end_forget(Engine *e, Query *q);
void end_shutdown(Engine *e, uint64_t usec);
void end_shutdown_settle(Engine *e);
