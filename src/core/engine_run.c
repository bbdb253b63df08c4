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
}

void run_limits(Engine *e, Query *q, int r, uint64_t max_bytes, uint64_t latency_usec) {
        char a[SIZE_TEXT_MAX], b[SIZE_TEXT_MAX];

        if (r == -ENODEV || r == -ENOENT || q->run != RUN_HANDED)
                return; /* its group is gone: the end is on its way */
        if (r < 0 || (max_bytes > q->lease.bytes && max_bytes != SIZE_INFINITY)) {
                engine_note(e, q, NOTE_LIMIT_FAILED, "the kernel has memory.max %s where %s was set (%d)",
                            size_format(max_bytes, a), size_format(q->lease.bytes, b), r);
                if (query_is_live(q))
                        end_query(e, q, QUERY_ERRORED, VERDICT_START, false, ERROR_INTERNAL,
                                  "its memory limit could not be set");
                return;
        }
        q->quota_bytes = max_bytes;
        if (q->n_raises > 0 && q->n_raises <= QUERY_RAISES_KEPT)
                q->raises[q->n_raises - 1].latency_usec = latency_usec;
}

static void book_raise(Engine *e, Query *q, uint64_t old_bytes, RaiseCause cause) {
        char a[SIZE_TEXT_MAX], b[SIZE_TEXT_MAX], c[SIZE_TEXT_MAX], d[SIZE_TEXT_MAX];

        if (q->n_raises < QUERY_RAISES_KEPT)
                q->raises[q->n_raises] = (Raise) { .at_usec = query_time_in(q, QUERY_EXECUTING, e->now_usec),
                                                   .old_bytes = old_bytes,
                                                   .new_bytes = q->lease.bytes,
                                                   .cause = cause };
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
        q->headroom_off = false;
        set_limits(e, q, ACTION_SET_LIMITS);
        book_raise(e, q, old, cause);
        run_progress(e);
        return true;
}

static void freeze(Engine *e, Query *q, uint64_t wanted_bytes, RaiseCause cause) {
        char a[SIZE_TEXT_MAX], b[SIZE_TEXT_MAX], c[SIZE_TEXT_MAX];

        q->frozen = true;
        q->frozen_since_usec = e->now_usec;
        q->frozen_deadline_usec = usec_add(e->now_usec, e->config.freeze_timeout_usec);
        q->wanted_bytes = wanted_bytes;
        q->wanted_cause = cause;
        q->sample_due_usec = 0;
        e->n_waiters++;
        engine_emit(e, ACTION_FREEZE, q);
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
        engine_note(e, q, NOTE_THAW, "thawed at %s", size_format(q->lease.bytes, a));
}

/* What the pool has for a query that runs: nothing while others wait for it in order. */
static uint64_t pool_for_runner(const Engine *e) {
        uint64_t unused = budget_unused_bytes(&e->budget);

        if (e->n_waiters > 0)
                return 0;
        return unused == SIZE_INFINITY ? unused : unused / ENGINE_PAGE_BYTES * ENGINE_PAGE_BYTES;
}

static void deny(Engine *e, Query *q, const GovernorDecision *d) {
        char a[SIZE_TEXT_MAX], b[SIZE_TEXT_MAX];
        uint64_t high = governor_high(q->lease.bytes, q->max_bytes, q->pids);

        /* Near is not there: it may fit yet. It is looked at again soon, and stopped only in its headroom. */
        q->sample_due_usec = e->now_usec + GOVERNOR_SAMPLE_MIN_USEC;
        if (d->need_bytes < high)
                return;
        if (!q->denied)
                engine_note(e, q, NOTE_DENIED, "denied: needs more than %s, %s unused; MaxMemoryBytes sets the budget",
                            size_format(q->lease.bytes, a),
                            size_format(budget_unused_bytes(&e->budget), b));
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
        uint64_t pool = pool_for_runner(e), growth = d->want_bytes - q->lease.bytes;
        uint64_t slot_rest = q->lease.bytes < e->config.initial_bytes ? e->config.initial_bytes - q->lease.bytes : 0;

        /* A query that asked for less than a slot holds may have the slot's rest without asking the pool. */
        pool = pool > SIZE_INFINITY - slot_rest ? SIZE_INFINITY : pool + slot_rest;
        if (grant(e, q, q->lease.bytes + MIN(growth, pool), d->cause))
                q->denied = false;
        else
                deny(e, q, d);
}

void run_sample(Engine *e, Query *q, const Sample *s) {
        GovernorDecision d;
        uint64_t high;

        if (q->run != RUN_HANDED || !query_is_live(q))
                return;
        q->current_bytes = s->current_bytes;
        q->peak_bytes = MAX(q->peak_bytes, s->current_bytes);
        q->pids = s->pids;
        q->sample_due_usec = 0;
        if (q->frozen || q->ending)
                return;
        d = governor_judge(&q->governor, s, q->lease.bytes, q->max_bytes, e->now_usec);
        q->need_bytes = d.need_bytes;
        if (d.sample_after_usec)
                q->sample_due_usec = usec_add(e->now_usec, d.sample_after_usec);
        if (d.cause != RAISE_NONE) {
                raise_or_deny(e, q, &d);
                return;
        }
        /* New threads need more headroom than memory.high was set for. */
        high = governor_high(q->lease.bytes, q->max_bytes, q->pids);
        if (!q->headroom_off && high < q->high_bytes)
                set_limits(e, q, ACTION_SET_LIMITS);
}

void run_progress(Engine *e) {
        for (size_t i = 0; e->n_waiters > 0 && i < e->n_active; i++)
                if (e->active[i]->frozen)
                        e->active[i]->frozen_deadline_usec = usec_add(e->now_usec, e->config.freeze_timeout_usec);
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

/* Can anybody give memory back, or come to its end, without a grant? */
static bool somebody_runs(const Engine *e) {
        for (size_t i = 0; i < e->n_active; i++) {
                const Query *q = e->active[i];

                if (q->state == QUERY_EXECUTING && (!q->frozen || q->ending))
                        return true;
        }
        return false;
}

/* The lowest priority, then the youngest; of those whose end helps: who was given something, or waits itself. */
static void choose_victim(Engine *e, const char *why) {
        char a[SIZE_TEXT_MAX], b[SIZE_TEXT_MAX], c[SIZE_TEXT_MAX];
        Query *victim = NULL;

        for (size_t i = 0; i < e->n_active; i++) {
                Query *q = e->active[i];

                if (q->state != QUERY_EXECUTING || q->ending || q->run != RUN_HANDED)
                        continue;
                if (!q->frozen && q->lease.bytes <= e->config.initial_bytes)
                        continue;
                if (!victim || q->spec.priority <= victim->spec.priority)
                        victim = q;
        }
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
        uint64_t unused, growth, rest;

        if (!q)
                return false;
        unused = budget_unused_bytes(&e->budget);
        growth = q->wanted_bytes - q->lease.bytes;
        if (unused < growth) {
                /* Not all it wants; but when nobody else can go on, the rest of the pool, if that is any help. */
                rest = unused / ENGINE_PAGE_BYTES * ENGINE_PAGE_BYTES;
                if (somebody_runs(e) || rest < q->lease.bytes / ENGINE_REST_DIVISOR)
                        return false;
                growth = rest;
        }
        if (!grant(e, q, q->lease.bytes + growth, q->wanted_cause))
                return false;
        q->denied = false;
        thaw(e, q);
        /* It grew before it was frozen: look soon, the next event may come late. */
        q->sample_due_usec = e->now_usec + GOVERNOR_SAMPLE_MIN_USEC;
        return true;
}

void run_settle(Engine *e) {
        while (e->n_waiters > 0 && serve_first_waiter(e))
                ;
        if (e->n_waiters == 0)
                return;
        if (!somebody_runs(e)) {
                choose_victim(e, "every query that executes waits for memory");
                return;
        }
        for (size_t i = 0; i < e->n_active; i++) {
                const Query *q = e->active[i];

                if (!q->frozen || q->ending || q->frozen_deadline_usec > e->now_usec)
                        continue;
                choose_victim(e, "nobody gave memory back within FreezeTimeoutSec");
                run_progress(e); /* one victim a deadline: its end must come first */
                return;
        }
}
