/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/engine_private.h"

#include <errno.h>

/* So many samples in a row under a limit that is not the ledger's. */
#define STALE_SAMPLES_MAX 5u
/* Before somebody whose quota could not be lowered is asked again; the pause doubles. */
#define LOWER_PAUSE_MIN_USEC (2 * USEC_PER_SEC)
#define LOWER_PAUSE_MAX_USEC (60 * USEC_PER_SEC)
/* The kernel rounds a limit down to its pages, and they are 4K at least and 64K at most (arm64, ppc64el). */
#define PAGE_BYTES_MAX (64 * KIB)
/* The longest wait, in FreezeTimeoutSec=, that progress elsewhere can make of one. */
#define FREEZE_TIMEOUTS_MAX 4

uint64_t run_maximum(const Query *q) {
        return MIN(q->max_bytes, q->cap_bytes);
}

uint64_t run_lived_usec(const Engine *e, const Query *q) {
        return query_time_in(q, QUERY_EXECUTING, e->now_usec) - query_frozen_usec(q, e->now_usec);
}

static void set_limits(Engine *e, Query *q, ActionType type, uint64_t high_bytes) {
        Action *a = engine_emit(e, type, q);

        a->limits.max_bytes = q->lease.bytes;
        a->limits.high_bytes = q->high_bytes = high_bytes;
}

/* The brake that belongs to its quota. */
static uint64_t high_of(const Query *q) {
        return governor_high(q->lease.bytes, run_maximum(q), q->pids);
}

void run_set_limits(Engine *e, Query *q) {
        uint64_t high = high_of(q), used = q->high_bytes == SIZE_INFINITY ? q->current_bytes : q->high_bytes;

        if (q->headroom_off) { /* the limit is written once more, and the brake stays off */
                set_limits(e, q, ACTION_SET_LIMITS, SIZE_INFINITY);
                return;
        }
        /* With many threads the headroom of a little more quota can be more than was added. memory.high is not lowered for
         * it: the kernel would reclaim in the writer's context, and that is the loop. */
        set_limits(e, q, ACTION_SET_LIMITS, MAX(high, MIN(used, q->lease.bytes)));
}

void run_hand_over(Engine *e, Query *q) {
        q->run = RUN_HANDED;
        if (q->n_retries > 0)
                governor_begin(&q->governor, run_lived_usec(e, q));
        set_limits(e, q, ACTION_EXECUTE, high_of(q));
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
bool run_grant(Engine *e, Query *q, uint64_t bytes, RaiseCause cause) {
        uint64_t old = q->lease.bytes;

        if (bytes <= old || lease_resize(&q->lease, bytes) < 0)
                return false;
        q->headroom_off = q->denied = q->hungry = false;
        q->raised_usec = e->now_usec;
        q->hungry_need_bytes = q->hungry_pause_usec = 0;
        governor_note_raised(&q->governor, cause);
        run_set_limits(e, q);
        book_raise(e, q, old, cause);
        run_progress(e);
        return true;
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

/* Before it meets its limit the next time it is slowed again, and looked at. */
static void restore_brake(Engine *e, Query *q) {
        if (!q->headroom_off)
                return;
        q->headroom_off = false;
        run_set_limits(e, q);
}

static void deny(Engine *e, Query *q, const GovernorDecision *d) {
        char a[SIZE_TEXT_MAX], b[SIZE_TEXT_MAX];

        if (e->config.exhaustion_policy == EXHAUSTION_FREEZE)
                restore_brake(e, q); /* it was refused under the other policy */
        q->wanted_bytes = d->want_bytes;
        stay_hungry(e, q, d->need_bytes);
        /* Near is not there: it may fit yet. It is stopped only in its headroom, or when it gets nowhere. */
        if (d->need_bytes < high_of(q) && d->cause != RAISE_STALL && !d->thrashes)
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
                wait_begin(e, q, d->want_bytes, d->cause);
        else if (!q->headroom_off) {
                /* Headroom is only a brake now: every byte up to the quota is its own. */
                q->headroom_off = true;
                set_limits(e, q, ACTION_SET_LIMITS, SIZE_INFINITY);
        }
}

static void raise_or_deny(Engine *e, Query *q, const GovernorDecision *d) {
        if (!run_grant(e, q, q->lease.bytes + wait_growth(e, q, d->want_bytes), d->cause))
                deny(e, q, d);
}

/* It gets nowhere at the most it may have, and the kernel will not end it: each page can be had back. */
static void end_thrashing(Engine *e, Query *q) {
        char a[SIZE_TEXT_MAX], b[SIZE_TEXT_MAX];

        if (q->lease.bytes < run_maximum(q))
                end_query(e, q, QUERY_ERRORED, VERDICT_BUDGET, false, ERROR_MEMORY_BUDGET_EXHAUSTED,
                          "it did nothing but wait for memory at its quota of %s (maximum %s), and the budget had no more to "
                          "give; MaxMemoryBytes sets that",
                          size_format(q->lease.bytes, a), size_format(q->max_bytes, b));
        else if (q->lease.bytes < q->max_bytes)
                end_query(e, q, QUERY_ERRORED, VERDICT_SLICE, false, ERROR_MEMORY_BUDGET_EXHAUSTED,
                          "it did nothing but wait for memory at %s (maximum %s); an administrator's MemoryMax of its unit sets that",
                          size_format(q->lease.bytes, a), size_format(q->max_bytes, b));
        else
                end_query(e, q, QUERY_ERRORED, VERDICT_MAXIMUM, false, ERROR_MEMORY_LIMIT_EXCEEDED,
                          "it did nothing but wait for memory at %s, the most it may have; %s sets that",
                          size_format(q->lease.bytes, a), judge_maximum_key(e, q));
}

static void judge_sample(Engine *e, Query *q, const Sample *s) {
        GovernorDecision d;
        uint64_t high;

        d = governor_judge(&q->governor, s, q->lease.bytes, run_maximum(q), run_lived_usec(e, q));
        q->need_bytes = d.need_bytes;
        if (d.sample_after_usec)
                q->sample_due_usec = add_saturating(e->now_usec, d.sample_after_usec);
        if (d.cause != RAISE_NONE)
                raise_or_deny(e, q, &d);
        if (d.thrashes && !q->frozen && (d.cause == RAISE_NONE || q->hungry)) {
                end_thrashing(e, q);
                return;
        }
        if (d.cause != RAISE_NONE || s->events_oom_kill > 0) /* what it needs falls, too, while the kernel ends it */
                return;
        q->hungry = q->denied = false;
        restore_brake(e, q);
        /* New threads need more headroom than memory.high was set for. */
        high = high_of(q);
        /* … but not below what it uses: the kernel reclaims in the writer's context, and that is the loop. And what it has may be
         * its maximum since an administrator said so. */
        if ((high < q->high_bytes && high >= s->current_bytes) ||
            (q->lease.bytes == run_maximum(q) && q->high_bytes != SIZE_INFINITY))
                set_limits(e, q, ACTION_SET_LIMITS, high);
}

/* A sample that was read under a lower limit than the ledger's tells nothing of that one: a raise is on its way. When it
 * does not arrive it was lost, or somebody wrote another limit: it is written again. */
static bool is_stale(Engine *e, Query *q, const Sample *s) {
        bool rounded = s->max_bytes == q->quota_bytes && q->lease.bytes - q->quota_bytes < PAGE_BYTES_MAX;

        if (s->max_bytes >= q->lease.bytes || rounded) {
                q->n_stale = 0;
                return false;
        }
        if (++q->n_stale % STALE_SAMPLES_MAX == 0)
                run_set_limits(e, q);
        return true;
}

void run_sample(Engine *e, Query *q, const Sample *s) {
        bool rested = lend_rests(e, q);

        if (q->run != RUN_HANDED || !query_is_live(q))
                return;
        q->current_bytes = s->current_bytes;
        q->peak_bytes = MAX(q->peak_bytes, s->current_bytes);
        q->pids = s->pids;
        if (s->events_oom_kill == 0)
                q->survived_bytes = MIN(s->max_bytes, q->lease.bytes);
        q->sample_due_usec = 0;
        q->sampled_usec = e->now_usec;
        profile_read(&q->profile, s, governor_need(s, q->lease.bytes));
        if (q->frozen || q->ending || q->lowering)
                q->need_bytes = governor_need(s, q->lease.bytes);
        else if (is_stale(e, q, s))
                q->sample_due_usec = add_saturating(e->now_usec, GOVERNOR_SAMPLE_MIN_USEC);
        else
                judge_sample(e, q, s);
        e->line_changed = e->line_changed || rested != lend_rests(e, q);
        engine_profile(e, q, PROFILE_SAMPLE, 0);
}

void run_book_lowering(Engine *e, Query *q) {
        if (!q->lowering)
                return;
        q->lowering = false;
        q->frozen_usec += e->now_usec - q->lowering_since_usec;
}

void run_lowered(Engine *e, Query *q, int r, uint64_t max_bytes) {
        char a[SIZE_TEXT_MAX], b[SIZE_TEXT_MAX], c[SIZE_TEXT_MAX];
        uint64_t old = q->lease.bytes;

        if (!q->lowering || q->run != RUN_HANDED)
                return;
        run_book_lowering(e, q);
        q->lowered_usec = e->now_usec;
        q->lower_pause_usec = r == 0 ? 0 : MIN(MAX(2 * q->lower_pause_usec, LOWER_PAUSE_MIN_USEC), LOWER_PAUSE_MAX_USEC);
        if (r == 0 && max_bytes < old) {
                /* The ledger last: what the kernel no longer lets it have is free. Shrinking can't fail. */
                q->top_quota_bytes = MAX(q->top_quota_bytes, old);
                (void) lease_resize(&q->lease, max_bytes);
                q->survived_bytes = MIN(q->survived_bytes, max_bytes);
                q->quota_bytes = MIN(q->quota_bytes, max_bytes);
                q->high_bytes = q->lowering_high_bytes; /* if it should be another one by now: it is looked at below */
                governor_note_lowered(&q->governor, q->need_bytes);
                e->memory_came_back = true;
                e->lowered_urgently = q->lowering_urgent;
                profile_limits(&q->profile, max_bytes, q->high_bytes, 0);
                engine_profile(e, q, PROFILE_LOWERED, 0);
                engine_note(e, q, NOTE_LOWERED, "lowered %s → %s: it needs %s, and others wait", size_format(old, a),
                            size_format(max_bytes, b), size_format(q->need_bytes, c));
        } else
                q->gave_nothing = q->lowering_urgent;
        if (query_is_live(q) && !q->ending)
                engine_look(e, q); /* it may have met its limit meanwhile */
}

void run_cap(Engine *e, Query *q, uint64_t bytes) {
        uint64_t cap = page_floor(bytes);

        if (cap == q->cap_bytes || !query_is_live(q))
                return;
        q->cap_bytes = cap;
        q->wanted_bytes = MIN(q->wanted_bytes, run_maximum(q)); /* of who waits: at his maximum he waits no more */
        q->lower_pause_usec = 0;
        e->look_pause_usec = 0;
        if (q->run == RUN_HANDED && !q->ending && !q->frozen)
                engine_look(e, q);
}

/* Others who come and go must not keep somebody frozen for ever: there is a last deadline. */
void run_progress(Engine *e) {
        uint64_t timeout = e->config.freeze_timeout_usec;

        for (size_t i = 0; e->n_waiters > 0 && i < e->n_busy; i++) {
                Query *q = e->busy[i];
                uint64_t last = add_saturating(q->frozen_since_usec, multiply_saturating(timeout, FREEZE_TIMEOUTS_MAX));

                if (q->frozen)
                        q->frozen_deadline_usec = MAX(MIN(add_saturating(e->now_usec, timeout), last), q->frozen_deadline_usec);
        }
}
