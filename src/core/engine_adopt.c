/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A query of an earlier engine's life goes on in this one. What was handed over runs, or has ended, in its unit, with the
 * limit that the kernel has; whatever was not handed over starts anew, since nothing of it has run. */
#include "core/engine_private.h"

#include <errno.h>
#include <string.h>

static void restore(Query *q, const QuerySnapshot *s, const Error *error) {
        q->spec = s->spec;
        q->state = (QueryState) s->state;
        q->verdict = (Verdict) s->verdict;
        q->created_usec = s->created_usec;
        q->state_since_usec = s->state_since_usec;
        q->ended_usec = s->ended_usec;
        q->forget_usec = s->forget_usec;
        memcpy(q->booked_usec, s->booked_usec, sizeof(s->booked_usec));
        for (unsigned i = 0; i < _QUERY_STATE_MAX; i++)
                q->visited[i] = s->visited >> i & 1;
        q->initial_bytes = s->initial_bytes;
        q->max_bytes = s->max_bytes;
        q->cap_bytes = SIZE_INFINITY;
        q->timeout_usec = s->timeout_usec;
        q->queue_timeout_usec = s->queue_timeout_usec;
        q->n_raises = s->n_raises;
        q->n_denied = s->n_denied;
        q->peak_bytes = s->peak_bytes;
        q->top_quota_bytes = s->top_quota_bytes;
        q->last_quota_bytes = s->last_quota_bytes;
        q->learned_bytes = s->learned_bytes;
        q->learned_raises = s->learned_raises;
        q->needed_bytes = s->needed_bytes;
        q->needed_raises = s->needed_raises;
        q->n_raises_saved = s->n_raises_saved;
        q->n_retries = s->n_retries;
        q->first_start_usec = s->first_start_usec;
        q->retry_bytes = s->retry_bytes;
        q->frozen_usec = s->frozen_usec;
        q->wanted_bytes = s->wanted_bytes;
        q->wanted_cause = (RaiseCause) s->wanted_cause;
        q->final = s->final;
        q->dependencies = (DependencyPhase) s->dependencies;
        q->ending_state = (QueryState) s->ending_state;
        q->ending_verdict = (Verdict) s->ending_verdict;
        q->exit_status = s->exit_status;
        q->exit_signal = s->exit_signal;
        q->done = s->done;
        q->forgotten = s->forgotten;
        q->denied = s->denied;
        q->headroom_off = s->headroom_off;
        query_set_error(q, error);
}

/* Frozen it was, so that nothing was decided too early; by whom? */
static void take_over_frozen(Engine *e, Query *q, const QuerySnapshot *s) {
        if (s->frozen_since_usec == 0 || s->ending || e->config.exhaustion_policy != EXHAUSTION_FREEZE) {
                engine_emit(e, ACTION_THAW, q); /* for a moment, to be lowered; or to be killed */
                return;
        }
        q->frozen = true;
        q->frozen_since_usec = MIN(s->frozen_since_usec, e->now_usec);
        q->frozen_deadline_usec = add_saturating(e->now_usec, e->config.freeze_timeout_usec);
        e->n_waiters++;
}

/* Of one that does not wait on. Since when it is not frozen any more nobody knows: in its favour, only now. */
static uint64_t frozen_meanwhile(const Engine *e, const Query *q, const QuerySnapshot *s) {
        uint64_t since = s->frozen_since_usec ? s->frozen_since_usec : s->is_frozen ? s->held_since_usec : 0;

        return q->frozen || since == 0 ? 0 : subtract_saturating(e->now_usec, MAX(since, s->state_since_usec));
}

/* The quota that its rows end with; 0: they do not say. */
static uint64_t quota_in_profile(const Query *q) {
        ProfileReader r = { .profile = &q->profile };
        uint64_t quota = 0;

        while (profile_next(&r))
                if (r.row.event == PROFILE_RAISE)
                        quota = r.row.new_bytes;
                else if (r.row.event == PROFILE_START || r.row.event == PROFILE_LOWERED)
                        quota = r.row.limit_bytes;
        return quota;
}

/* What was written to its limit, and not down, by one who was killed in between: the rows may lack what the record has. */
static void book_unrecorded(Engine *e, Query *q, const QuerySnapshot *s, uint64_t limit) {
        uint64_t quota = quota_in_profile(q);

        if (limit == 0 || s->ending)
                return; /* its group is gone, or nobody knows what it has */
        q->n_raises += s->lease_bytes > 0 && limit > s->lease_bytes;
        if (quota > 0 && limit > quota)
                profile_add_raise(&q->profile, RAISE_NONE, quota, limit, query_time_in(q, QUERY_EXECUTING, e->now_usec));
        profile_limits(&q->profile, limit, SIZE_INFINITY, 0);
        if (limit < quota)
                engine_profile(e, q, PROFILE_LOWERED, 0);
}

/* It runs, or its worker waits to tell of its end. The kernel's limit is what it has, whatever was decided last. */
static void take_over_running(Engine *e, Query *q, const QuerySnapshot *s) {
        uint64_t limit = MIN(s->limit_bytes, s->max_bytes); /* more, or none, is not of ours */
        bool profile_begins = !q->profile.live;

        engine_set_unit(e, q, UNIT_READY);
        q->run = RUN_HANDED;
        q->quota_bytes = limit;
        lease_adopt(&e->budget, &q->lease, limit);
        book_unrecorded(e, q, s, limit);
        if (profile_begins) {
                engine_profile(e, q, PROFILE_START, 0);
                profile_limits(&q->profile, limit, SIZE_INFINITY, 0);
        }
        q->recheck = query_may_retry(q) && q->dependencies == DEPENDENCIES_HELD; /* before its second run */
        q->high_bytes = SIZE_INFINITY; /* not known; what it uses must not be braked on the loop */
        q->current_bytes = s->current_bytes;
        q->told_late = s->has_ended;
        if (s->is_frozen)
                take_over_frozen(e, q, s);
        if (q->frozen == profile_begins && s->frozen_since_usec) /* what its rows do not say yet */
                engine_profile(e, q, q->frozen ? PROFILE_FREEZE : PROFILE_THAW, q->frozen ? q->wanted_cause : 0);
        q->frozen_usec += frozen_meanwhile(e, q, s);
        governor_take_over(&q->governor, run_lived_usec(e, q));
        if (s->ending) {
                q->ending = q->ending_killed = true;
                q->killed_usec = e->now_usec;
                engine_emit(e, ACTION_KILL, q);
        } else if (!q->frozen) {
                run_set_limits(e, q); /* the last raise may have been half done */
                engine_look(e, q);
        }
}

/* Its unit, in which nothing runs that is waited for, was told to end, or was about to be, and is still there. */
static void take_over_leaving(Engine *e, Query *q) {
        engine_set_unit(e, q, UNIT_LEAVING);
        end_book_leftover(e, q, q->final.residual_bytes);
        engine_emit(e, ACTION_RELEASE_UNIT, q);
}

/* Nothing of it has run: its unit is another one, and what its dependencies give is asked for once more. */
static void start_anew(Engine *e, Query *q, const QuerySnapshot *s) {
        if (!admit_reconfigure_query(e, q))
                return; /* its start has become impossible */
        q->learned_bytes = q->learned_raises = 0; /* what the pool could give then it may not have now */
        if (q->state == QUERY_EXECUTING) {
                q->retry_bytes = 0; /* the same */
                lease_adopt(&e->budget, &q->lease, q->initial_bytes);
        }
        if (s->is_lost || s->ending) { /* or it was told to end, and its hand-over never arrived */
                end_query(e, q, q->ending_state, q->ending_verdict, false, q->error.code, "%s",
                          q->error.message ?: "");
                return;
        }
        q->recheck = q->dependencies == DEPENDENCIES_HELD;
        if (q->dependencies == DEPENDENCIES_CHECKING)
                engine_emit(e, ACTION_CHECK_DEPENDENCIES, q);
        else
                admit_restart_unit(e, q);
}

int adopt_query(Engine *e, const Event *ev) {
        const QuerySnapshot *s = ev->adopt.snapshot;
        Query *q = calloc(1, sizeof(*q));

        if (!q)
                return -ENOMEM;
        restore(q, s, ev->adopt.error);
        q->id = ev->query_id;
        /* One that can't be read begins anew, as does that of a second run. */
        if (ev->adopt.profile && (s->n_retries == 0 || s->handed))
                (void) profile_restore(&q->profile, ev->adopt.profile, ev->adopt.profile_len, query_is_live(q));
        if (sets_add(e, q) < 0) {
                query_free(q);
                return -ENOMEM;
        }
        e->next_id = MAX(e->next_id, q->id + 1);
        q->has_slot = q->state == QUERY_EXECUTING;
        q->has_compile_slot = q->state == QUERY_COMPILING ||
                              (!query_is_live(q) && s->unit_exists && q->visited[QUERY_COMPILING] && !q->visited[QUERY_QUEUEING]);
        e->n_compile_slots += q->has_compile_slot;

        if (s->unit_exists && !(query_is_live(q) && s->handed))
                take_over_leaving(e, q);
        if (query_is_live(q) && s->handed)
                take_over_running(e, q, s);
        else if (query_is_live(q))
                start_anew(e, q, s);
        else {
                end_release_dependencies(e, q);
                if (q->done)
                        end_forget(e, q);
        }
        return 0;
}

ActionRecord action_record(ActionType type) {
        switch (type) {
        case ACTION_ADMITTED:
        case ACTION_EXECUTE:
        case ACTION_TERMINATE:
        case ACTION_KILL:
        case ACTION_STATE:
        case ACTION_FORGET:
                return ACTION_RECORDED_FIRST;
        case ACTION_SET_LIMITS:
        case ACTION_FREEZE:
        case ACTION_THAW:
        case ACTION_RELEASE_DEPENDENCIES:
                return ACTION_RECORDED_WHEN_DONE;
        default:
                return ACTION_NOT_RECORDED;
        }
}

/* Dependencies are told at least once: they have not been before it is done. */
void engine_snapshot(const Query *q, const ActionList *unperformed, QuerySnapshot *ret, Error *ret_error) {
        query_snapshot(q, ret, ret_error);
        for (size_t i = 0; unperformed && i < unperformed->n; i++)
                if (unperformed->v[i].type == ACTION_RELEASE_DEPENDENCIES && unperformed->v[i].query_id == q->id)
                        ret->dependencies = DEPENDENCIES_HELD;
}
