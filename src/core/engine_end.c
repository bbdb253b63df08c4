/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/engine_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define ULL(x) ((unsigned long long) (x))

/* Tell them once, and when its last process is gone: a compile step that was killed holds its slot until then. */
void end_release_dependencies(Engine *e, Query *q) {
        if (q->dependencies != DEPENDENCIES_HELD || q->has_compile_slot)
                return;
        q->dependencies = DEPENDENCIES_RELEASED;
        engine_emit(e, ACTION_RELEASE_DEPENDENCIES, q);
}

void end_compile_slot(Engine *e, Query *q) {
        if (!q->has_compile_slot)
                return;
        q->has_compile_slot = false;
        e->n_compile_slots--;
        if (!query_is_live(q))
                end_release_dependencies(e, q);
}

void end_book_leftover(Engine *e, Query *q, uint64_t bytes) {
        e->memory_came_back = e->memory_came_back || bytes < q->residual_bytes;
        e->leftover_bytes = e->leftover_bytes - q->residual_bytes + bytes;
        q->residual_bytes = bytes;
        budget_set_leftover(&e->budget, add_saturating(e->leftover_bytes, e->slice_leftover_bytes));
}

void end_slice_leftovers(Engine *e, uint64_t bytes) {
        e->memory_came_back = e->memory_came_back || bytes < e->slice_leftover_bytes;
        e->slice_leftover_bytes = bytes;
        budget_set_leftover(&e->budget, add_saturating(e->leftover_bytes, bytes));
}

/* It has ended: book, free what it held, say so. engine/ is empty, or never held a process. */
static void conclude(Engine *e, Query *q, QueryState state, Verdict verdict, const Error *error) {
        bool executed = q->has_slot;

        wait_book_end(e, q);
        run_book_lowering(e, q);
        q->forget_usec = e->config.results_keep_usec ? add_saturating(e->now_usec, e->config.results_keep_usec) : 0;
        engine_move(e, q, state);
        q->verdict = verdict;
        query_set_error(q, error);
        q->quota_bytes = q->current_bytes = 0;
        q->sample_due_usec = 0;
        q->peak_bytes = MAX(q->peak_bytes, q->final.memory_peak_bytes);
        engine_profile(e, q, PROFILE_END, verdict);
        profile_close(&q->profile);
        learn_end(e, q);
        q->last_quota_bytes = q->lease.bytes;
        lease_done(&q->lease);
        if (q->has_slot) {
                e->memory_came_back = true;
                q->has_slot = false;
        }
        if (executed)
                run_progress(e);
        engine_emit(e, ACTION_STATE, q);
        if (q->unit == UNIT_CHECKING)
                engine_set_unit(e, q, UNIT_NONE);
        if (q->unit == UNIT_NONE)
                end_compile_slot(e, q); /* it had one in an earlier engine's time, and never a unit in this one's */
        end_release_dependencies(e, q);
        engine_note(e, q, NOTE_END, "%s%s%s", query_state_name(state), error->code ? ": " : "",
                    error->code ? error->message : "");
        if (q->unit == UNIT_STARTING || q->unit == UNIT_READY) {
                engine_set_unit(e, q, UNIT_LEAVING);
                engine_emit(e, ACTION_RELEASE_UNIT, q);
        }
        if (q->done)
                end_forget(e, q);
}

static void kill_now(Engine *e, Query *q) {
        q->ending_killed = true;
        q->killed_usec = e->now_usec;
        engine_emit(e, ACTION_KILL, q);
        engine_profile(e, q, PROFILE_KILL, q->ending_verdict);
}

void end_query(Engine *e, Query *q, QueryState state, Verdict verdict, bool gracefully, ErrorCode code,
               const char *format, ...) {
        Error error;
        va_list ap;

        if (!query_is_live(q))
                return;
        q->spec.may_retry = q->spec.may_retry && !q->ending; /* somebody else wants its end, too */
        e->line_changed = true; /* its timeout may come with a sample: who waits can count on what it gives back */
        va_start(ap, format);
        error_set_va(&error, code, format, ap);
        va_end(ap);

        if (q->run != RUN_HANDED) {
                if (q->run == RUN_COMPILING) {
                        engine_emit(e, ACTION_KILL_COMPILE, q);
                        q->run = RUN_NONE; /* its slot is free when compile/ is: with the unit */
                }
                conclude(e, q, state, verdict, &error);
                return;
        }

        if (!q->ending) {
                e->n_waiters -= q->frozen; /* it waits for its end, not for memory */
                q->ending = true;
                q->ending_state = state;
                q->ending_verdict = verdict;
                query_set_error(q, &error);
        } else if (q->ending_killed || gracefully)
                return; /* the first cause stays; a second, harder one only hurries */
        if (gracefully && !q->frozen && e->config.cancel_grace_usec > 0) {
                q->ending_deadline_usec = add_saturating(e->now_usec, e->config.cancel_grace_usec);
                engine_emit(e, ACTION_TERMINATE, q);
                engine_profile(e, q, PROFILE_TERMINATE, verdict);
        } else
                kill_now(e, q);
}

/* We told it to end for memory, and it had come to its own end a moment before: nobody asked for this end but we, and what it did
 * is done. What somebody else asked for (cancel, a timeout) came true either way. */
static bool ended_before_its_kill(const Query *q, const EndedReport *r) {
        return (q->ending_verdict == VERDICT_BUDGET || q->ending_verdict == VERDICT_SLICE ||
                q->ending_verdict == VERDICT_MAXIMUM) &&
               (r->start_failed || (r->exit_status >= 0 && r->exit_signal == 0));
}

void end_report(Engine *e, Query *q, const EndedReport *r, const Error *error) {
        QueryState state;
        Verdict verdict;
        Error said = {};

        if (q->run != RUN_HANDED)
                return;
        q->run = RUN_ENDED;
        profile_read_final(&q->profile, &r->numbers);
        final_numbers_follow(&q->final, &r->numbers);
        q->exit_status = r->start_failed ? -1 : r->exit_status;
        q->exit_signal = r->start_failed ? 0 : r->exit_signal;
        end_book_leftover(e, q, r->numbers.residual_bytes);
        if (!query_is_live(q))
                return;
        if (q->ending && !ended_before_its_kill(q, r)) {
                state = q->ending_state;
                verdict = q->ending_verdict;
                query_get_error(q, &said);
        } else
                judge_report(e, q, r, error, &state, &verdict, &said);
        if (retry_is_due(e, q, verdict, r))
                retry_begin(e, q);
        else
                conclude(e, q, state, verdict, &said);
}

void end_unit_gone(Engine *e, Query *q) {
        Error error = {};

        if (query_is_live(q) && (q->unit == UNIT_NONE || q->unit == UNIT_CHECKING))
                return; /* it has none: what has gone is an earlier life's */
        if (query_is_live(q) && q->unit == UNIT_LEAVING) { /* an earlier one: now there may be another */
                engine_set_unit(e, q, UNIT_NONE);
                end_book_leftover(e, q, 0);
                admit_restart_unit(e, q);
                return;
        }
        if (query_is_live(q) && q->run == RUN_NONE && !q->unit_lost) {
                /* Nothing has run in it, so another one does as well. Only once: what ends units may go on. */
                q->unit_lost = true;
                engine_set_unit(e, q, UNIT_NONE);
                admit_restart_unit(e, q);
                return;
        }
        engine_set_unit(e, q, UNIT_GONE);
        end_compile_slot(e, q);
        if (query_is_live(q) && q->run == RUN_HANDED) {
                q->run = RUN_ENDED; /* the cgroup is gone, so it is empty */
                if (q->ending) {
                        query_get_error(q, &error);
                        conclude(e, q, q->ending_state, q->ending_verdict, &error);
                } else {
                        error_set(&error, ERROR_EXECUTION_FAILED,
                                  "its unit ended before its worker could report; see the journal of the unit");
                        conclude(e, q, QUERY_ERRORED, VERDICT_WORKER, &error);
                }
        } else if (query_is_live(q))
                end_query(e, q, QUERY_ERRORED, VERDICT_WORKER, false, ERROR_EXECUTION_FAILED,
                          "its unit ended before it could run; see the journal of the unit");
        end_book_leftover(e, q, 0);
}

/* The oldest record leaves the ring. What its unit still holds stays booked until that is gone. */
static void fall_out(Engine *e, Query *q) {
        if (q->unit == UNIT_NONE || q->unit == UNIT_GONE) {
                query_free(q);
                return;
        }
        q->next_fallen = e->fallen;
        e->fallen = q;
}

void end_forget(Engine *e, Query *q) {
        sets_drop(e, q);
        if (q->forgotten == 0)
                q->forgotten = e->n_forgotten + 1;
        e->n_forgotten = MAX(e->n_forgotten, q->forgotten);
        q->done = true; /* also when its time was up, or its user had too many: a late Done finds nothing to do */
        engine_emit(e, ACTION_FORGET, q);

        if (e->n_tombstones < ENGINE_TOMBSTONES) {
                e->tombstones[e->n_tombstones++] = q;
                return;
        }
        fall_out(e, e->tombstones[e->tombstone_next]);
        e->tombstones[e->tombstone_next] = q;
        e->tombstone_next = (e->tombstone_next + 1) % ENGINE_TOMBSTONES;
}

void end_release(Engine *e, Query *q) {
        if (q->done)
                return;
        q->done = true;
        if (query_is_live(q))
                end_query(e, q, QUERY_CANCELED, VERDICT_CANCEL, true, ERROR_CANCELED,
                          "released before it had ended");
        else
                end_forget(e, q);
}

void end_deadlines(Engine *e, Query *q) {
        uint64_t now = e->now_usec;
        char limit[DURATION_TEXT_MAX];

        if (!query_is_live(q)) {
                if (q->forget_usec && now >= q->forget_usec)
                        end_forget(e, q);
                return;
        }
        if (q->ending) {
                if (!q->ending_killed && now >= q->ending_deadline_usec)
                        kill_now(e, q);
                return;
        }
        if (q->run == RUN_COMPILING && now >= q->compile_deadline_usec)
                end_query(e, q, QUERY_ERRORED, VERDICT_COMPILE, false, ERROR_COMPILATION_FAILED,
                          "the compile check of language %s took longer than %s; CompileTimeoutSec sets that", q->spec.language,
                          duration_format(q->compile_timeout_usec, limit));
        else if (now >= admit_queue_timeout(q))
                end_query(e, q, QUERY_ERRORED, VERDICT_QUEUE, false, ERROR_QUEUE_TIMEOUT,
                          "it waited longer than its queue timeout of %s; QueueTimeoutSec or queue_timeout_usec sets that",
                          duration_format(q->queue_timeout_usec, limit));
        else if (now >= admit_query_timeout(q))
                end_query(e, q, QUERY_ERRORED, VERDICT_TIMEOUT, true, ERROR_TIMEOUT,
                          "it ran longer than its timeout of %s; QueryTimeoutSec or timeout_usec sets that",
                          duration_format(q->timeout_usec, limit));
        else if (q->sample_due_usec && now >= q->sample_due_usec)
                engine_look(e, q);
}

static void cancel_for_shutdown(Engine *e, bool executing) {
        for (size_t i = sets_all(e); i > 0; i--) {
                Query *q = e->some[i - 1];

                if (query_is_live(q) && (q->state == QUERY_EXECUTING) == executing)
                        end_query(e, q, QUERY_CANCELED, VERDICT_SHUTDOWN, true, ERROR_SHUTTING_DOWN,
                                  "penstockd shuts down");
        }
}

void end_shutdown(Engine *e, uint64_t usec) {
        e->shut_down = e->shutdown_pending = true;
        e->shutdown_deadline_usec = add_saturating(e->now_usec, usec);
        cancel_for_shutdown(e, false);
        if (usec == 0) {
                cancel_for_shutdown(e, true);
                e->shutdown_deadline_usec = USEC_INFINITY; /* they are on their way: wait for them */
        }
}

/* "queries 3 7 12 and 4 more": as many numbers as fit, each of them whole. */
static void name_the_live(const Engine *e, Error *error) {
        const size_t room = 24; /* " and N more" */
        uint64_t left = 0;
        size_t len;

        error_set(error, ERROR_TIMEOUT, "still running at the deadline, now canceled: queries");
        for (const Query *q = NULL; (q = sets_next(e, q));) {
                char number[24];

                if (!query_is_live(q))
                        continue;
                len = strlen(error->message);
                snprintf(number, sizeof(number), " %llu", ULL(q->id));
                if (left == 0 && len + strlen(number) + room < sizeof(error->message))
                        memcpy(error->message + len, number, strlen(number) + 1);
                else
                        left++;
        }
        len = strlen(error->message);
        if (left > 0)
                snprintf(error->message + len, sizeof(error->message) - len, " and %llu more", ULL(left));
}

void end_shutdown_settle(Engine *e) {
        if (!e->shutdown_pending)
                return;
        if (sets_live(e) == 0) {
                e->shutdown_pending = false;
                engine_emit(e, ACTION_SHUTDOWN_DONE, NULL);
                return;
        }
        if (e->now_usec < e->shutdown_deadline_usec)
                return;
        name_the_live(e, &engine_emit(e, ACTION_SHUTDOWN_DONE, NULL)->error);
        e->shutdown_pending = false;
        cancel_for_shutdown(e, true);
}
