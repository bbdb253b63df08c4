/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/engine_private: what the engine's own files share; nobody else includes it.
 * engine.c takes the steps, engine_admit.c lets in, engine_run.c grows and freezes, engine_end.c ends. */
#pragma once

#include "core/engine.h"
#include "core/request.h"

#define ENGINE_PAGE_BYTES UINT64_C(4096)
/* Queries that wait with a unit of their own, compiled or made ahead: each costs PID 1, and a worker's memory. */
#define ENGINE_UNITS_WAITING_MAX 16u
/* Ended queries of one user that were not released, at the least and at the most. */
#define ENGINE_ENDED_MIN 16u
#define ENGINE_ENDED_MAX 1024u
/* A rest of the pool smaller than this part of a quota is no help to who waits frozen. */
#define ENGINE_REST_DIVISOR 8

struct Engine {
        Config config; /* numbers only: its lists stay with the caller */
        Budget budget;
        uint64_t next_id, now_usec;
        Query **active; /* in the order of submission */
        size_t n_active, allocated;
        Query *tombstones[ENGINE_TOMBSTONES]; /* a ring */
        size_t n_tombstones, tombstone_next;
        Query *fallen; /* out of the ring, but their units still hold something */
        uint64_t n_executing, n_compile_slots, n_waiters, n_units, n_units_leaving, leftover_bytes;
        bool paused, shut_down, shutdown_pending;
        bool memory_came_back; /* in this step: who was refused is looked at again */
        uint64_t shutdown_deadline_usec;
        ActionList *out;
};

/* engine.c */
Action *engine_emit(Engine *e, ActionType type, const Query *q);
void engine_note(Engine *e, const Query *q, NoteType note, const char *format, ...) PRINTF_LIKE(4, 5);
/* A row of its profile, now. */
void engine_profile(Engine *e, Query *q, ProfileEvent event, unsigned cause);
Query *engine_lookup(const Engine *e, uint64_t id);
static inline bool query_is_live(const Query *q) {
        return !query_state_is_end(q->state);
}
static inline uint64_t page_floor(uint64_t bytes) {
        return bytes == SIZE_INFINITY ? bytes : bytes - bytes % ENGINE_PAGE_BYTES;
}
void engine_set_unit(Engine *e, Query *q, UnitPhase unit); /* the one place where units are counted */

/* engine_admit.c */
int admit_request(Engine *e, const QuerySpec *spec);
void admit_dependencies(Engine *e, Query *q, const Error *error);
void admit_unit_ready(Engine *e, Query *q);
void admit_compiled(Engine *e, Query *q, const EndedReport *r, const Error *error);
void admit_reconfigure(Engine *e); /* the figures changed under those who wait */
void admit_settle(Engine *e); /* give free compile and execution slots to those who wait */
Query *admit_next(const Engine *e, const Query *after); /* the order of the queue */
uint64_t admit_query_timeout(const Query *q);           /* when its own timeout is due */
uint64_t admit_queue_timeout(const Query *q);

/* engine_run.c */
void run_hand_over(Engine *e, Query *q);
void run_sample(Engine *e, Query *q, const Sample *s);
void run_limits(Engine *e, Query *q, int r, uint64_t max_bytes, uint64_t latency_usec);
void run_settle(Engine *e); /* serve who waits for the pool; choose a victim when nobody can go on */
void run_unfreeze_book(Engine *e, Query *q);
void run_progress(Engine *e); /* something was granted or ended: who waits frozen has hope again */

/* engine_end.c */
void end_query(Engine *e, Query *q, QueryState state, Verdict verdict, bool gracefully, ErrorCode code,
               const char *format, ...) PRINTF_LIKE(7, 8);
void end_report(Engine *e, Query *q, const EndedReport *r, const Error *error);
void end_unit_gone(Engine *e, Query *q);
void end_release(Engine *e, Query *q); /* Done, or the hold dropped */
void end_deadlines(Engine *e, Query *q);
void end_compile_slot(Engine *e, Query *q);
void end_forget(Engine *e, Query *q);
void end_shutdown(Engine *e, uint64_t usec);
void end_shutdown_settle(Engine *e);
