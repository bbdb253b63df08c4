/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who waits for the pool: frozen, in the order of priority and age. What is lent leaves an order in which everybody can
 * end (core/claims); idle quota is taken back for those who wait; and when nobody can go on, one ends for the others. */
#include "core/engine_private.h"

/* Who stands behind may pass the first in the line while that has not waited for this part of FreezeTimeoutSec=. */
#define PATIENCE_DIVISOR 8
/* While somebody waits the others are looked at again so often: the pause doubles. */
#define LOOK_MIN_USEC (100 * USEC_PER_MSEC)
#define LOOK_MAX_USEC USEC_PER_SEC
/* A donor was read so lately. */
#define DONOR_FRESH_USEC LOOK_MIN_USEC
/* To take down what a process had may take so long. */
#define DEATH_MIN_USEC (10 * USEC_PER_SEC)
/* Under a cap it keeps its need and this part of it. */
#define KEEP_DIVISOR 8
/* Less is not worth to stop it for. */
#define DONOR_MIN_BYTES (8 * MIB)
#define DONOR_MIN_DIVISOR 8

/* The next in the line behind @after; NULL gives the first. */
static Query *next_waiter(const Engine *e, const Query *after) {
        Query *next = NULL;

        for (size_t i = 0; i < e->n_busy; i++) {
                Query *q = e->busy[i];

                if (q->frozen && !q->ending && (!after || query_is_before(after, q)) && (!next || query_is_before(q, next)))
                        next = q;
        }
        return next;
}

static void forgive_donors(Engine *e) {
        for (size_t i = 0; i < e->n_busy; i++)
                e->busy[i]->gave_nothing = false;
}

/* The first in the line has waited so long that nobody may pass it any more. */
static bool is_impatient(const Engine *e, const Query *q) {
        return e->now_usec - q->frozen_since_usec >= e->config.freeze_timeout_usec / PATIENCE_DIVISOR;
}

uint64_t wait_growth(const Engine *e, const Query *q, uint64_t want_bytes) {
        const Query *first = next_waiter(e, NULL);
        uint64_t wanted = want_bytes - q->lease.bytes;
        uint64_t growth = lend_safe_room(e, q);

        if (first && query_is_before(first, q) && is_impatient(e, first))
                growth = MIN(growth, lend_slot_rest(e, q));
        if (e->config.exhaustion_policy != EXHAUSTION_FREEZE)
                return MIN(growth, wanted); /* as the model: the rest of the pool, however little */
        return lend_if_worth(q, growth, wanted);
}

bool wait_may_open(const Engine *e, const Query *q) {
        uint64_t start = retry_start_bytes(e, q);

        if (start <= e->config.initial_bytes)
                return true; /* a plain initial quota is reserved anyhow */
        /* Who waits frozen comes first where the pool is asked. */
        return e->n_waiters == 0 && start <= lend_safe_room(e, q);
}

static uint64_t wanted_growth(const Query *q) {
        return subtract_saturating(q->wanted_bytes, q->lease.bytes);
}

bool wait_is_for_others(const Engine *e, const Query *q) {
        return lend_room(e, q) >= wanted_growth(q);
}

void wait_begin(Engine *e, Query *q, uint64_t wanted_bytes, RaiseCause cause) {
        char a[SIZE_TEXT_MAX], b[SIZE_TEXT_MAX], c[SIZE_TEXT_MAX];

        q->frozen = true;
        q->frozen_since_usec = e->now_usec;
        q->frozen_deadline_usec = add_saturating(e->now_usec, e->config.freeze_timeout_usec);
        q->wanted_bytes = wanted_bytes;
        q->wanted_cause = cause;
        q->sample_due_usec = 0;
        if (e->n_waiters++ == 0)
                forgive_donors(e);
        e->look_pause_usec = 0;
        e->line_changed = true;
        engine_emit(e, ACTION_FREEZE, q);
        engine_profile(e, q, PROFILE_FREEZE, cause);
        engine_note(e, q, NOTE_FREEZE, "frozen at %s: wants %s, %s unused%s; MaxMemoryBytes sets the budget",
                    size_format(q->lease.bytes, a), size_format(wanted_bytes, b),
                    size_format(budget_unused_bytes(&e->budget), c),
                    wait_is_for_others(e, q) ? ", kept for those that must end before it" : "");
}

void wait_book_end(Engine *e, Query *q) {
        if (!q->frozen)
                return;
        q->frozen = false;
        q->frozen_usec += e->now_usec - q->frozen_since_usec;
        e->n_waiters -= !q->ending;
        e->look_pause_usec = 0;
        e->line_changed = true;
}

static void thaw(Engine *e, Query *q) {
        char a[SIZE_TEXT_MAX];

        wait_book_end(e, q);
        engine_emit(e, ACTION_THAW, q);
        engine_profile(e, q, PROFILE_THAW, 0);
        engine_note(e, q, NOTE_THAW, "thawed at %s", size_format(q->lease.bytes, a));
        /* It grew before it was frozen: look soon, the next event may come late. */
        q->sample_due_usec = add_saturating(e->now_usec, GOVERNOR_SAMPLE_MIN_USEC);
}

static bool give(Engine *e, Query *q, uint64_t growth) {
        if (growth == 0 || !run_grant(e, q, q->lease.bytes + growth, q->wanted_cause))
                return false;
        thaw(e, q);
        return true;
}

/* Somebody whose maximum was lowered meanwhile to what he has: at it the kernel decides. */
static bool release_at_maximum(Engine *e, Query *q) {
        if (wanted_growth(q) > 0)
                return false;
        run_set_limits(e, q);
        thaw(e, q);
        return true;
}

/* Will memory come back without a grant? A query that runs and holds more than its slot gives it back in the end, one
 * that is being killed soon, or when it dies at last, a donor in a moment; what dead ones left goes with their units. What a
 * slot holds never comes to the pool. */
static bool somebody_can_give(const Engine *e) {
        if (e->leftover_bytes > 0) /* however little: what was lent may count on it */
                return true;
        for (size_t i = 0; i < e->n_busy; i++) {
                const Query *q = e->busy[i];

                if (q->state == QUERY_EXECUTING && (!q->frozen || q->ending) && lease_end_helps(&q->lease))
                        return true;
        }
        return false;
}

/* Give the first in the line what leaves all a way to end; to those behind it too, while it is patient, or when else
 * nobody could go on. Who asks for nothing any more takes nothing from anybody. True: somebody was served. */
static bool serve_one(Engine *e) {
        const Query *first = next_waiter(e, NULL);
        bool may_pass = first && (!is_impatient(e, first) || !somebody_can_give(e));

        for (Query *q = NULL; (q = next_waiter(e, q));)
                if (release_at_maximum(e, q) ||
                    ((q == first || may_pass) && give(e, q, lend_if_worth(q, lend_safe_room(e, q), wanted_growth(q)))))
                        return true;
        return false;
}

/* There is no order in which all can end, or none that came true in time: the first in the line takes what there is, to
 * be one that ends. */
static bool serve_unsafely(Engine *e) {
        for (Query *q = NULL; (q = next_waiter(e, q));) {
                uint64_t wanted = wanted_growth(q), room = lend_room(e, q);

                if (wanted > 0 && room >= MIN(wanted, LEND_MIN_BYTES))
                        return give(e, q, MIN(room, wanted));
        }
        return false;
}

/* The quota that @q should be lowered to; its lease when it is no donor. @urgent: somebody must end otherwise, so it need not
 * rest for that. */
static uint64_t donor_target(const Engine *e, const Query *q, bool urgent) {
        uint64_t keep;

        if (q->lowered_usec && e->now_usec - q->lowered_usec < MAX(lend_rest_usec(e), q->lower_pause_usec))
                return q->lease.bytes;
        if (q->lease.bytes > run_maximum(q)) /* an administrator's word: as near to it as its need lets it */
                return MAX(run_maximum(q), page_floor(q->need_bytes + q->need_bytes / KEEP_DIVISOR + LEND_MIN_BYTES));
        if (!lease_end_helps(&q->lease) || (urgent && q->gave_nothing) ||
            (!urgent && (!lend_rests(e, q) || e->now_usec - q->raised_usec < lend_rest_usec(e))))
                return q->lease.bytes;
        keep = MAX(page_floor(governor_keep(&q->governor, q->need_bytes, q->pids)), q->initial_bytes);
        if (subtract_saturating(q->lease.bytes, keep) < MAX(DONOR_MIN_BYTES, q->lease.bytes / DONOR_MIN_DIVISOR))
                return q->lease.bytes;
        return MAX(keep, e->config.initial_bytes);
}

/* May be asked to give something back: it runs, and nothing else is under way with it. */
static bool is_running(const Query *q) {
        return q->run == RUN_HANDED && q->state == QUERY_EXECUTING && !q->frozen && !q->ending && !q->lowering;
}

static bool is_over_its_cap(const Query *q) {
        return is_running(q) && q->lease.bytes > run_maximum(q);
}

/* For the head of the queue idle quota is taken back, too, but not under `fail`: there whoever needs it again would not wait for
 * it, but be killed. */
static const Query *head_that_waits(const Engine *e) {
        return e->n_waiters == 0 && e->config.exhaustion_policy == EXHAUSTION_FREEZE ? admit_lacking(e) : NULL;
}

/* A start is all or nothing: for one that all that is idle would not be enough for, nobody is lowered; nor is anybody twice. */
static bool starts_by_what_is_idle(const Engine *e, const Query *head) {
        uint64_t bytes = lend_room(e, head);

        for (size_t i = 0; i < e->n_busy; i++) {
                const Query *q = e->busy[i];

                if (is_running(q) && q->gave_for != head->id)
                        bytes = add_saturating(bytes, q->lease.bytes - MIN(donor_target(e, q, false), q->lease.bytes));
        }
        return bytes >= retry_start_bytes(e, head);
}

/* Take back what lies idle with those who run, for those who wait frozen or for @head, if any; of one at a time: it is frozen for
 * that. Who was not read lately is read first; the sample is another step. True: one is being asked. */
static bool ask_donors(Engine *e, const Query *head, bool urgent) {
        bool for_head = head && starts_by_what_is_idle(e, head);
        Query *donor = NULL;
        Action *a;

        for (size_t i = 0; i < e->n_busy; i++) {
                Query *q = e->busy[i];

                if (q->lowering && !q->ending) /* who should have answered before the last deadline is no hope */
                        return e->now_usec - q->lowering_since_usec < e->config.freeze_timeout_usec;
                if (!donor && is_running(q) && (e->n_waiters > 0 || (for_head && q->gave_for != head->id) || is_over_its_cap(q)) &&
                    e->now_usec - q->sampled_usec <= (urgent ? LEND_FRESH_USEC : DONOR_FRESH_USEC) &&
                    donor_target(e, q, urgent) < q->lease.bytes)
                        donor = q;
        }
        if (!donor)
                return false;
        donor->lowering = true;
        donor->lowering_urgent = urgent;
        donor->lowering_since_usec = e->now_usec;
        donor->gave_for = for_head ? head->id : 0;
        a = engine_emit(e, ACTION_LOWER, donor);
        a->limits.max_bytes = donor_target(e, donor, urgent);
        a->limits.high_bytes = governor_high(a->limits.max_bytes, run_maximum(donor), donor->pids);
        donor->lowering_high_bytes = a->limits.high_bytes;
        return true;
}

/* Of those whose end frees something, and those that wait, hold nothing, and whose time is up at @due_usec. */
static Query *lowest_then_youngest(const Engine *e, uint64_t due_usec) {
        Query *victim = NULL;

        for (size_t i = 0; i < e->n_busy; i++) {
                Query *q = e->busy[i];

                if (q->state != QUERY_EXECUTING || q->ending || q->run != RUN_HANDED)
                        continue;
                if (!lease_end_helps(&q->lease) && (!q->frozen || q->frozen_deadline_usec > due_usec))
                        continue;
                if (!victim || query_is_before(victim, q))
                        victim = q;
        }
        return victim;
}

/* One query ends, so that the others can go on. When all wait (@deadlock) it must be one whose end frees something,
 * if there is one, and else anybody; at a deadline also one that has waited long enough and holds nothing. */
static void choose_victim(Engine *e, bool deadlock, const char *why) {
        char a[SIZE_TEXT_MAX], b[SIZE_TEXT_MAX], c[SIZE_TEXT_MAX];
        Query *victim = lowest_then_youngest(e, deadlock ? 0 : e->now_usec);

        if (!victim && deadlock)
                victim = lowest_then_youngest(e, USEC_INFINITY);
        if (!victim)
                return;
        forgive_donors(e);
        engine_note(e, victim, NOTE_VICTIM, "chosen as victim: %s; it holds %s", why,
                    size_format(victim->lease.bytes, a));
        /* Whose limit was it? An administrator's lower one of the slice, if there is one. */
        if (e->cap_bytes < e->config.max_memory_bytes)
                end_query(e, victim, QUERY_ERRORED, VERDICT_SLICE, false, ERROR_MEMORY_BUDGET_EXHAUSTED,
                          "it held %s, its maximum is %s, and an administrator's MemoryMax of penstock.slice leaves a budget of "
                          "%s, which could not pay for all: %s",
                          size_format(victim->lease.bytes, a), size_format(victim->max_bytes, b),
                          size_format(e->cap_bytes, c), why);
        else
                end_query(e, victim, QUERY_ERRORED, VERDICT_BUDGET, false, ERROR_MEMORY_BUDGET_EXHAUSTED,
                          "it held %s, its maximum is %s, and the budget of %s could not pay for all: %s; MaxMemoryBytes sets "
                          "the budget, ConcurrencyQuota how many share it",
                          size_format(victim->lease.bytes, a), size_format(victim->max_bytes, b),
                          size_format(e->config.max_memory_bytes, c), why);
}

/* A task in an uninterruptible sleep outlives its kill, perhaps for ever: who was killed so long ago is no
 * reason any more to let those wait on whose own time is up. But much memory takes its time to go. */
static bool does_not_die(const Engine *e, const Query *q) {
        return q->ending_killed && e->now_usec - q->killed_usec >= MAX(e->config.freeze_timeout_usec, DEATH_MIN_USEC);
}

static bool somebody_ends_usefully(const Engine *e) {
        for (size_t i = 0; i < e->n_busy; i++) {
                const Query *q = e->busy[i];

                if (q->ending && q->state == QUERY_EXECUTING && !does_not_die(e, q) && lease_end_helps(&q->lease))
                        return true;
        }
        return false;
}

void wait_rearm(Engine *e) {
        for (size_t i = 0; i < e->n_busy; i++)
                if (e->busy[i]->frozen)
                        e->busy[i]->frozen_deadline_usec = add_saturating(e->now_usec, e->config.freeze_timeout_usec);
}

/* Nobody can go on, or somebody has waited for too long: the pool pays if it can, else one ends. True: the line may have
 * another head now. */
static bool settle_lack(Engine *e) {
        if (!somebody_can_give(e)) {
                if (!serve_unsafely(e))
                        choose_victim(e, true, "nobody who executes can go on, or give memory back");
                wait_rearm(e);
                return true;
        }
        for (const Query *q = NULL; (q = next_waiter(e, q));) {
                if (q->frozen_deadline_usec > e->now_usec)
                        continue;
                /* Idle quota first; and while the last victim is not gone, and may still go, there is no other one. */
                if (!serve_unsafely(e) && !somebody_ends_usefully(e) && !ask_donors(e, NULL, true))
                        choose_victim(e, false, "nobody gave memory back within FreezeTimeoutSec");
                wait_rearm(e);
                return true;
        }
        return false;
}

/* While somebody waits, frozen or at the head of the queue: who runs is looked at now and then, for what they hold idle and
 * whether they still grow. So is who has more than an administrator lets him have. */
static void look_around(Engine *e, const Query *head) {
        bool due = e->look_pause_usec == 0 || e->now_usec >= e->look_due_usec, wanted = e->n_waiters > 0 || head,
             any = wanted;

        for (size_t i = 0; i < e->n_busy; i++) {
                Query *q = e->busy[i];

                any = any || is_over_its_cap(q);
                if (due && is_running(q) && ((wanted && lease_end_helps(&q->lease)) || is_over_its_cap(q)) &&
                    e->now_usec - q->sampled_usec > DONOR_FRESH_USEC)
                        engine_look(e, q);
        }
        if (!any)
                e->look_due_usec = e->look_pause_usec = 0;
        else if (due) {
                e->look_pause_usec = MIN(MAX(2 * e->look_pause_usec, LOOK_MIN_USEC), LOOK_MAX_USEC);
                e->look_due_usec = add_saturating(e->now_usec, e->look_pause_usec);
        }
}

static void look_at_the_hungry(Engine *e) {
        for (size_t i = 0; i < e->n_busy; i++) {
                Query *q = e->busy[i];

                if (q->hungry && is_running(q))
                        engine_look(e, q);
        }
}

static void serve_waiters(Engine *e) {
        while (e->n_waiters > 0 && serve_one(e))
                ;
}

void wait_settle(Engine *e) {
        const Query *head;

        /* A sample that changes nothing for those who wait costs nothing for them. */
        if (e->line_changed)
                serve_waiters(e);
        if (e->lowered_urgently)
                (void) serve_unsafely(e);
        e->lowered_urgently = false;
        if (e->memory_came_back && e->n_waiters == 0)
                look_at_the_hungry(e);
        e->memory_came_back = false;
        if (e->n_waiters > 0 && e->line_changed && settle_lack(e))
                serve_waiters(e);
        head = head_that_waits(e);
        (void) ask_donors(e, head, false);
        look_around(e, head);
}
