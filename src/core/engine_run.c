/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/engine_private.h"

#include <errno.h>

static void set_limits(Engine *e, Query *q, ActionType type) {
        Action *a = engine_emit(e, type, q);

        a->limits.max_bytes = q->lease.bytes;
        /* Once growth was denied under `fail`, headroom is only a brake: every byte up to the quota is its own. */
        q->high_bytes = q->headroom_off ? SIZE_INFINITY : governor_high(q->lease.bytes, q->max_bytes, q->pids);
        a->limits.high_bytes = q->high_bytes;
}

void run_hand_over(Engine *e, Query *q) {
        q->run = RUN_HANDED;
        set_limits(e, q, ACTION_EXECUTE);
        engine_profile(e, q, PROFILE_START, 0);
}

void run_limits(Engine *e, Query *q, int r, uint64_t max_bytes, uint64_t latency_usec) {
        char a[SIZE_TEXT_MAX], b[SIZE_TEXT_MAX];

        if (r == -ENODEV || r == -ENOENT || q->run != RUN_HANDED)
                return; /* its group is gone: the end is on its way */
        if (r < 0 || max_bytes > q->lease.bytes) {
                engine_note(e, q, NOTE_LIMIT_FAILED, "the kernel has memory.max %s where %s was set (%d)",
                            size_format(max_bytes, a), size_format(q->lease.bytes, b), r);
                if (query_is_live(q))
                        end_query(e, q, QUERY_ERRORED, VERDICT_START, false, ERROR_INTERNAL,
                                  "its memory limit could not be set");
                return;
        }
        q->quota_bytes = max_bytes;
        profile_limits(&q->profile, max_bytes, q->high_bytes, latency_usec);
}

static void book_raise(Engine *e, Query *q, uint64_t old_bytes, RaiseCause cause) {
        char a[SIZE_TEXT_MAX], b[SIZE_TEXT_MAX], c[SIZE_TEXT_MAX], d[SIZE_TEXT_MAX];

        profile_add_raise(&q->profile, cause, old_bytes, q->lease.bytes, query_time_in(q, QUERY_EXECUTING, e->now_usec));
        q->n_raises++;
        engine_note(e, q, NOTE_RAISE, "raised %s → %s for %s (need %s, %s unused)", size_format(old_bytes, a),
                    size_format(q->lease.bytes, b), raise_cause_name(cause), size_format(q->need_bytes, c),
                    size_format(budget_unused_bytes(&e->budget), d));
}

/* The ledger first, then the kernel. False: the pool can't pay, nothing changed. */
static bool grant(Engine *e, Query *q, uint64_t bytes, RaiseCause cause) {
        uint64_t old = q->lease.bytes;

        if (bytes <= old || lease_resize(&q->lease, bytes) < 0)
                return false;
        q->headroom_off = q->denied = q->hungry = false;
        q->hungry_need_bytes = q->hungry_pause_usec = 0;
        set_limits(e, q, ACTION_SET_LIMITS);
        book_raise(e, q, old, cause);
        run_progress(e);
        return true;
}

static void freeze(Engine *e, Query *q, uint64_t wanted_bytes, RaiseCause cause) {
        char a[SIZE_TEXT_MAX], b[SIZE_TEXT_MAX], c[SIZE_TEXT_MAX];

        q->frozen = true;
        q->frozen_since_usec = e->now_usec;
        q->frozen_deadline_usec = add_saturating(e->now_usec, e->config.freeze_timeout_usec);
        q->wanted_bytes = wanted_bytes;
        q->wanted_cause = cause;
        q->sample_due_usec = 0;
        e->n_waiters++;
        engine_emit(e, ACTION_FREEZE, q);
        engine_profile(e, q, PROFILE_FREEZE, cause);
        engine_note(e, q, NOTE_FREEZE, "frozen at %s: wants %s, %s unused; MaxMemoryBytes sets the budget",
                    size_format(q->lease.bytes, a), size_format(wanted_bytes, b),
                    size_format(budget_unused_bytes(&e->budget), c));
}

void run_unfreeze_book(Engine *e, Query *q) {
        if (!q->frozen)
                return;
        q->frozen = false;
        q->frozen_usec += e->now_usec - q->frozen_since_usec;
        e->n_waiters--;
}

static void thaw(Engine *e, Query *q) {
        char a[SIZE_TEXT_MAX];

        run_unfreeze_book(e, q);
        engine_emit(e, ACTION_THAW, q);
        engine_profile(e, q, PROFILE_THAW, 0);
        engine_note(e, q, NOTE_THAW, "thawed at %s", size_format(q->lease.bytes, a));
}

/* By how much a query that runs may grow: not from the pool while others wait for it in order. What its own slot has
 * left, because it asked for less, is its own all the time. */
static uint64_t growth_for_runner(const Engine *e, const Query *q) {
        uint64_t growth = budget_growth_bytes(&e->budget, &q->lease);
        uint64_t slot_rest = q->lease.bytes < e->config.initial_bytes ? e->config.initial_bytes - q->lease.bytes : 0;

        return page_floor(e->n_waiters > 0 ? MIN(growth, slot_rest) : growth);
}

/* It is near its limit and can't be paid. While its need grows it is watched; at rest it is left alone, until memory
 * comes back or the next event. */
static void stay_hungry(Engine *e, Query *q, uint64_t need_bytes) {
        if (need_bytes > q->hungry_need_bytes || q->hungry_pause_usec == 0)
                q->hungry_pause_usec = GOVERNOR_SAMPLE_MIN_USEC;
        else
                q->hungry_pause_usec *= 2;
        if (q->hungry_pause_usec > GOVERNOR_SAMPLE_MAX_USEC)
                q->hungry_pause_usec = 0;
        q->hungry = true;
        q->hungry_need_bytes = need_bytes;
        q->sample_due_usec = q->hungry_pause_usec ? add_saturating(e->now_usec, q->hungry_pause_usec) : 0;
}

static void deny(Engine *e, Query *q, const GovernorDecision *d) {
        char a[SIZE_TEXT_MAX], b[SIZE_TEXT_MAX];

        stay_hungry(e, q, d->need_bytes);
        /* Near is not there: it may fit yet. It is stopped only in its headroom. */
        if (d->need_bytes < governor_high(q->lease.bytes, q->max_bytes, q->pids))
                return;
        if (!q->denied) {
                engine_note(e, q, NOTE_DENIED, "denied: needs more than %s, %s unused; MaxMemoryBytes sets the budget",
                            size_format(q->lease.bytes, a),
                            size_format(budget_unused_bytes(&e->budget), b));
                engine_profile(e, q, PROFILE_DENIED, d->cause);
        }
        q->n_denied += !q->denied;
        q->denied = true;
        if (e->config.exhaustion_policy == EXHAUSTION_FREEZE)
                freeze(e, q, d->want_bytes, d->cause);
        else if (!q->headroom_off) {
                q->headroom_off = true;
                set_limits(e, q, ACTION_SET_LIMITS);
        }
}

static void raise_or_deny(Engine *e, Query *q, const GovernorDecision *d) {
        uint64_t growth = MIN(d->want_bytes - q->lease.bytes, growth_for_runner(e, q));

        if (!grant(e, q, q->lease.bytes + growth, d->cause))
                deny(e, q, d);
}

static void judge_sample(Engine *e, Query *q, const Sample *s) {
        GovernorDecision d;
        uint64_t high;

        d = governor_judge(&q->governor, s, q->lease.bytes, q->max_bytes, e->now_usec);
        q->need_bytes = d.need_bytes;
        if (d.sample_after_usec)
                q->sample_due_usec = add_saturating(e->now_usec, d.sample_after_usec);
        if (d.cause != RAISE_NONE) {
                raise_or_deny(e, q, &d);
                return;
        }
        q->hungry = false;
        /* New threads need more headroom than memory.high was set for. */
        high = governor_high(q->lease.bytes, q->max_bytes, q->pids);
        /* … but not below what it uses: the kernel reclaims in the writer's context, and that is the loop. */
        if (!q->headroom_off && high < q->high_bytes && high >= s->current_bytes)
                set_limits(e, q, ACTION_SET_LIMITS);
}

void run_sample(Engine *e, Query *q, const Sample *s) {
        if (q->run != RUN_HANDED || !query_is_live(q))
                return;
        q->current_bytes = s->current_bytes;
        q->peak_bytes = MAX(q->peak_bytes, s->current_bytes);
        q->pids = s->pids;
        q->sample_due_usec = 0;
        profile_read(&q->profile, s, governor_need(s, q->lease.bytes));
        if (!q->frozen && !q->ending)
                judge_sample(e, q, s);
        engine_profile(e, q, PROFILE_SAMPLE, 0);
}

void run_progress(Engine *e) {
        for (size_t i = 0; e->n_waiters > 0 && i < e->n_active; i++)
                if (e->active[i]->frozen)
                        e->active[i]->frozen_deadline_usec = add_saturating(e->now_usec, e->config.freeze_timeout_usec);
}

static Query *first_waiter(const Engine *e) {
        Query *first = NULL;

        for (size_t i = 0; i < e->n_active; i++) {
                Query *q = e->active[i];

                if (q->frozen && !q->ending && (!first || q->frozen_since_usec < first->frozen_since_usec))
                        first = q;
        }
        return first;
}

/* Will memory come back without a grant? A query that runs and holds more than its slot gives it back in the end, one
 * that is being killed soon; what dead ones left goes with their units. What a slot holds never comes to the pool. */
static bool somebody_can_give(const Engine *e) {
        if (e->leftover_bytes > 0)
                return true;
        for (size_t i = 0; i < e->n_active; i++) {
                const Query *q = e->active[i];

                if (q->state == QUERY_EXECUTING && (!q->frozen || q->ending) && lease_end_helps(&q->lease))
                        return true;
        }
        return false;
}

static Query *lowest_then_youngest(const Engine *e, bool only_helpful) {
        Query *victim = NULL;

        for (size_t i = 0; i < e->n_active; i++) {
                Query *q = e->active[i];

                if (q->state != QUERY_EXECUTING || q->ending || q->run != RUN_HANDED)
                        continue;
                if (!lease_end_helps(&q->lease) && (only_helpful || !q->frozen))
                        continue;
                if (!victim || q->spec.priority <= victim->spec.priority)
                        victim = q;
        }
        return victim;
}

/* One query ends, so that the others can go on. When all wait (@deadlock) it must be one whose end frees something,
 * if there is one; at a deadline also one that has waited long enough and holds nothing. */
static void choose_victim(Engine *e, bool deadlock, const char *why) {
        char a[SIZE_TEXT_MAX], b[SIZE_TEXT_MAX], c[SIZE_TEXT_MAX];
        Query *victim = deadlock ? lowest_then_youngest(e, true) : NULL;

        if (!victim)
                victim = lowest_then_youngest(e, false);
        run_progress(e); /* its end must come before the next deadline does */
        if (!victim)
                return;
        engine_note(e, victim, NOTE_VICTIM, "chosen as victim: %s; it holds %s", why,
                    size_format(victim->lease.bytes, a));
        end_query(e, victim, QUERY_ERRORED, VERDICT_BUDGET, false, ERROR_MEMORY_BUDGET_EXHAUSTED,
                  "it held %s, its maximum is %s, and the budget of %s could not pay for all: %s; MaxMemoryBytes sets the "
                  "budget, ConcurrencyQuota how many share it",
                  size_format(victim->lease.bytes, a), size_format(victim->max_bytes, b),
                  size_format(e->config.max_memory_bytes, c), why);
}

static bool serve_first_waiter(Engine *e) {
        Query *q = first_waiter(e);
        uint64_t room, growth;

        if (!q)
                return false;
        room = page_floor(budget_growth_bytes(&e->budget, &q->lease));
        growth = q->wanted_bytes - q->lease.bytes;
        if (room < growth) {
                /* Not all it wants; but when no more will come, the rest of the pool, if that is any help. */
                if (somebody_can_give(e) || room < q->lease.bytes / ENGINE_REST_DIVISOR)
                        return false;
                growth = room;
        }
        if (!grant(e, q, q->lease.bytes + growth, q->wanted_cause))
                return false;
        thaw(e, q);
        /* It grew before it was frozen: look soon, the next event may come late. */
        q->sample_due_usec = add_saturating(e->now_usec, GOVERNOR_SAMPLE_MIN_USEC);
        return true;
}

static void look_at_the_hungry(Engine *e) {
        for (size_t i = 0; i < e->n_active; i++) {
                Query *q = e->active[i];

                if (q->state != QUERY_EXECUTING || !q->hungry || q->frozen || q->ending)
                        continue;
                q->sample_due_usec = 0;
                engine_emit(e, ACTION_SAMPLE, q);
        }
}

static void serve_waiters(Engine *e) {
        while (e->n_waiters > 0 && serve_first_waiter(e))
                ;
}

/* Choose a victim where one is due. True: the line of those who wait may have another head now. */
static bool settle_victim(Engine *e) {
        if (!somebody_can_give(e)) {
                choose_victim(e, true, "nobody who executes can go on, or give memory back");
                return true;
        }
        for (size_t i = 0; i < e->n_active; i++) {
                const Query *q = e->active[i];

                if (!q->frozen || q->ending || q->frozen_deadline_usec > e->now_usec)
                        continue;
                choose_victim(e, false, "nobody gave memory back within FreezeTimeoutSec");
                return true;
        }
        return false;
}

void run_settle(Engine *e) {
        serve_waiters(e);
        if (e->memory_came_back && e->n_waiters == 0)
                look_at_the_hungry(e);
        e->memory_came_back = false;
        if (first_waiter(e) && settle_victim(e))
                serve_waiters(e);
}
