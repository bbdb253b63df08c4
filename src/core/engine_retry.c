/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whom the budget ended before he had delivered a byte is run once more, when the pool can give him what he came to
 * need. docs/retry.md has the reasons. */
#include "core/engine_private.h"

#include <signal.h>

/* What it can have when nobody else executes. */
static uint64_t most_ever(const Engine *e, const Query *q) {
        return MIN(q->max_bytes, lend_most(e));
}

/* An exit of its own, however late, is an end: what it did is done. */
bool retry_is_due(const Engine *e, const Query *q, Verdict verdict, const EndedReport *r) {
        return verdict == VERDICT_BUDGET && e->config.retry_on_exhaustion && query_may_retry(q) &&
               !e->shut_down && r->results_empty && !r->results_truncated && !r->start_failed && !r->unit_stopped &&
               r->exit_signal == SIGKILL && q->unit == UNIT_READY &&
               most_ever(e, q) > q->lease.bytes; /* else it would end as it did */
}

/* Its run is over: nothing that was seen or decided of it holds for the next one. */
static void forget_run(Query *q) {
        q->run = RUN_NONE;
        q->ending = q->ending_killed = false;
        q->ending_state = QUERY_CREATED;
        q->ending_verdict = VERDICT_NONE;
        query_set_error(q, &(Error) {});
        q->ending_deadline_usec = q->killed_usec = 0;
        q->verdict = VERDICT_NONE;
        q->exit_status = -1;
        q->exit_signal = 0;
        q->governor = (GovernorState) {};
        profile_done(&q->profile);
        q->profile = (Profile) {};
        q->quota_bytes = q->high_bytes = q->top_quota_bytes = q->wanted_bytes = 0;
        q->current_bytes = q->need_bytes = q->pids = q->survived_bytes = 0;
        q->cap_bytes = SIZE_INFINITY;
        q->denied = q->hungry = q->headroom_off = q->lowering_urgent = q->gave_nothing = q->unit_lost = q->told_late = false;
        q->hungry_need_bytes = q->hungry_pause_usec = q->lower_pause_usec = 0;
        q->sampled_usec = q->raised_usec = q->lowered_usec = q->sample_due_usec = 0;
        q->n_stale = 0;
        q->learned_bytes = q->learned_raises = q->n_raises_saved = 0;
}

void retry_begin(Engine *e, Query *q) {
        char a[SIZE_TEXT_MAX];

        wait_book_end(e, q);
        run_book_lowering(e, q);
        q->verdict = VERDICT_BUDGET;
        q->peak_bytes = MAX(q->peak_bytes, q->final.memory_peak_bytes);
        q->retry_bytes = page_floor(learn_needed(q)); /* what is in the way of so much now may have passed by its start */
        learn_end(e, q);
        forget_run(q);
        q->n_retries++;
        q->first_start_usec = q->state_since_usec;
        engine_move(e, q, QUERY_QUEUEING);
        q->has_slot = false;
        lease_done(&q->lease);
        e->memory_came_back = true;
        run_progress(e);
        engine_emit(e, ACTION_STATE, q);
        engine_note(e, q, NOTE_RETRY,
                    "ended by the budget before it had delivered a byte: it is run once more, with %s as soon as "
                    "there is so much",
                    size_format(query_start_bytes(q), a));
        engine_set_unit(e, q, UNIT_LEAVING);
        engine_emit(e, ACTION_RELEASE_UNIT, q);
}

/* No end of anybody's would bring more: it takes what there is then, which is a usual quota at the least. What keeps it from more
 * may pass while it waits: leftovers, an administrator's limit. */
uint64_t retry_start_bytes(const Engine *e, const Query *q) {
        return q->retry_bytes ? MIN(query_start_bytes(q), MAX(q->initial_bytes, lend_most(e))) : query_start_bytes(q);
}
