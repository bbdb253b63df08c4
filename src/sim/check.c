/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The promises. Those on the kernel are looked at after every write, those on the engine after every step. */
#include <signal.h>

#include "sim/world.h"

#define ULL(x) ((unsigned long long) (x))

/* One group that holds processes, against what the engine believes. */
static void check_group(World *w, const SimQuery *q) {
        const Query *known = engine_find(w->engine, q->id);

        if (!known || known->state != QUERY_EXECUTING || !known->has_slot)
                world_fail(w, "the group of q%llu is populated, and it has no slot", ULL(q->id));
        else if (q->group.max_bytes > known->lease.bytes)
                world_fail(w, "memory.max of q%llu is %llu, the ledger has %llu", ULL(q->id), ULL(q->group.max_bytes),
                           ULL(known->lease.bytes));
        else if (q->group.max_bytes > known->max_bytes)
                world_fail(w, "memory.max of q%llu is past its maximum", ULL(q->id));
        else if (q->n_raises > known->n_raises)
                world_fail(w, "q%llu was raised %llu times, and %llu are counted", ULL(q->id), ULL(q->n_raises), ULL(known->n_raises));
        else if (q->actions_pending == 0 && q->group.max_bytes != known->lease.bytes)
                world_fail(w, "memory.max of q%llu stays at %llu, the ledger has %llu", ULL(q->id),
                           ULL(q->group.max_bytes), ULL(known->lease.bytes));
        else if (q->actions_pending == 0 && !q->lowering && q->group.high_bytes != known->high_bytes &&
                 (w->tally.restarts == 0 || known->high_bytes != SIZE_INFINITY)) /* not known to who took over */
                world_fail(w, "memory.high of q%llu is %llu, and the engine thinks %llu", ULL(q->id), ULL(q->group.high_bytes),
                           ULL(known->high_bytes));
        else if (q->actions_pending == 0 && !q->lowering && q->group.frozen != known->frozen)
                world_fail(w, "q%llu is %s, and the engine thinks otherwise", ULL(q->id),
                           q->group.frozen ? "frozen" : "not frozen");
}

void check_kernel(World *w) {
        const Budget *b = engine_budget(w->engine);
        uint64_t limits = 0, residual = 0, units = 0, compiles = 0;

        for (size_t i = 0; i < w->load.n_queries; i++) {
                const SimQuery *q = &w->queries[i];

                residual += q->group.populated ? 0 : q->residual_bytes;
                units += q->unit == SIM_UNIT_STARTING || q->unit == SIM_UNIT_UP || q->unit == SIM_UNIT_LEAVING;
                compiles += q->compile_runs;
                if (!q->group.populated)
                        continue;
                limits += q->group.max_bytes;
                check_group(w, q);
        }
        if (limits > budget_leased_bytes(b))
                world_fail(w, "sum of limits %llu > sum of leases %llu", ULL(limits), ULL(budget_leased_bytes(b)));
        /* Who is dead and not yet reported still has his lease, which covers what he left. */
        if (limits + residual > MAX(b->total_bytes, w->last_held_bytes))
                world_fail(w, "limits %llu and leftovers %llu pass the budget of %llu", ULL(limits), ULL(residual),
                           ULL(b->total_bytes));
        /* After a reload to fewer those that wait keep theirs, and the head of the queue still gets one. */
        w->units_promised = MAX(w->units_promised, engine_units_max(w->engine));
        if (units > w->units_promised + (w->reloaded ? w->load.config.concurrency_quota : 0))
                world_fail(w, "%llu units, promised were %llu", ULL(units), ULL(w->units_promised));
        if (compiles > MAX(w->load.config.compile_concurrency, w->last_compiling))
                world_fail(w, "%llu compiles at once", ULL(compiles));
        w->last_compiling = compiles;
}

static bool could_begin_alone(const World *w, uint64_t bytes) {
        const Budget *b = engine_budget(w->engine);
        Budget alone;
        Lease l = {};
        int r;

        budget_init(&alone, b->total_bytes, b->slots, b->slot_bytes);
        budget_set_leftover(&alone, w->leftover_bytes);
        r = lease_open(&alone, &l, bytes);
        lease_done(&l);
        return r == 0;
}

/* Whose first unit is going stands aside, and who asked for more than a capped budget has: nobody is held up by one that nobody's
 * end would help. */
static const Query *queue_head(const World *w) {
        const Query *head = NULL;
        uint64_t first = UINT64_MAX;

        for (const Query *q = NULL; (q = engine_next(w->engine, q));) {
                uint64_t position = engine_queue_position(w->engine, q);

                if (position > 0 && position < first && q->unit != UNIT_LEAVING &&
                    could_begin_alone(w, q->initial_bytes)) {
                        first = position;
                        head = q;
                }
        }
        return head;
}

/* Those that there are, or are about to be: also of one whose dependencies are looked at once more before its unit starts. */
static uint64_t units_now(const World *w) {
        uint64_t n = 0;

        for (size_t i = 0; i < w->load.n_queries; i++) {
                const SimQuery *q = &w->queries[i];

                n += q->unit == SIM_UNIT_STARTING || q->unit == SIM_UNIT_UP || q->unit == SIM_UNIT_LEAVING ||
                     q->actions_pending > 0 ||
                     (q->checking && (q->last_state == QUERY_COMPILING || q->last_state == QUERY_EXECUTING));
        }
        return n;
}

/* Looked at lately, and it had not grown for as long as the engine takes for a rest. */
static bool rests(const World *w, const Query *q) {
        return !q->frozen && !q->hungry && q->need_bytes < q->high_bytes && w->now_usec - q->sampled_usec <= 2 * USEC_PER_SEC &&
               governor_is_resting(&q->governor, MIN(2 * USEC_PER_SEC, w->load.config.freeze_timeout_usec / 4));
}

/* Could all that execute still get as much as they may ask for, one after the other, if @one had @growth more from the
 * pool? Found by trying, unlike in the engine. */
static bool all_could_end(const World *w, const Query *one, uint64_t growth) {
        const Budget *b = engine_budget(w->engine);
        uint64_t unused = budget_unused_bytes(b), have = subtract_saturating(unused, growth);
        uint64_t of_units = b->leftover_bytes - w->leftover_bytes; /* that goes with them */
        uint64_t pool = unused + b->on_top_bytes + of_units;
        bool *ended = calloc(w->load.n_queries + 1, sizeof(*ended)), progress = true;
        size_t left = 0, i;

        have += of_units;
        while (ended && progress) {
                progress = false;
                left = 0;
                i = 0;
                for (const Query *q = NULL; (q = engine_next(w->engine, q)); i++) {
                        uint64_t given = subtract_saturating(q->lease.bytes, b->slot_bytes) + (q == one ? growth : 0);
                        uint64_t most = MIN(subtract_saturating(MIN(q->max_bytes, q->cap_bytes), b->slot_bytes), pool);
                        bool content = q->ending || (q != one && rests(w, q));

                        if ((q->state != QUERY_EXECUTING && q != one) || ended[i])
                                continue;
                        if (!content && subtract_saturating(most, given) > have) {
                                left++;
                                continue;
                        }
                        have += given;
                        ended[i] = progress = true;
                }
        }
        free(ended);
        return left == 0;
}

/* Nothing overtakes the head of the queue, and it does not wait for what is there. */
static void check_queue(World *w, uint64_t n_frozen) {
        const Query *head = queue_head(w);
        const Budget *b = engine_budget(w->engine);
        const Lease none = {};
        uint64_t start;

        if (!head)
                return;
        start = query_start_bytes(head);
        /* Nobody waits for more than there is. */
        if (head->n_retries > 0 && b->n_leases == 0 && b->leftover_bytes == 0)
                start = b->slot_bytes;
        for (const Query *q = NULL; (q = engine_next(w->engine, q));)
                if (q->state == QUERY_EXECUTING && world_by_id(w, q->id, NULL)->last_state != QUERY_EXECUTING &&
                    (q->spec.priority < head->spec.priority ||
                     (q->spec.priority == head->spec.priority && q->created_usec > head->created_usec)))
                        world_fail(w, "q%llu overtook q%llu", ULL(q->id), ULL(head->id));
        if (!engine_is_paused(w->engine) && b->n_leases < b->slots && start <= budget_growth_bytes(b, &none) &&
            (start <= b->slot_bytes ||
             (n_frozen == 0 && (w->load.config.exhaustion_policy == EXHAUSTION_FAIL ||
                                all_could_end(w, head, start - b->slot_bytes)))) &&
            units_now(w) < engine_units_max(w->engine))
                world_fail(w, "q%llu waits for a slot and memory that are free", ULL(head->id));
}

static bool before_in_line(const Query *a, const Query *b) {
        return a->spec.priority != b->spec.priority ? a->spec.priority > b->spec.priority
                                                  : a->created_usec < b->created_usec;
}

/* Who is first in the line is thawed as soon as the pool can pay, and all can still end; and somebody goes on. */
static uint64_t check_waiters(World *w) {
        const Budget *b = engine_budget(w->engine);
        const Query *first = NULL;
        uint64_t n = 0, running = 0, wanted, room;

        for (const Query *q = NULL; (q = engine_next(w->engine, q));) {
                running += q->state == QUERY_EXECUTING && (!q->frozen || q->ending);
                if (!q->frozen)
                        continue;
                n++;
                if (!q->ending && (!first || before_in_line(q, first)))
                        first = q;
        }
        if (!first)
                return n;
        for (const Query *q = NULL; (q = engine_next(w->engine, q));)
                if (q->state == QUERY_EXECUTING && q->learned_bytes && world_by_id(w, q->id, NULL)->last_state != QUERY_EXECUTING)
                        world_fail(w, "q%llu started with what was learned, while q%llu waits frozen", ULL(q->id), ULL(first->id));
        wanted = first->wanted_bytes - first->lease.bytes;
        room = budget_growth_bytes(b, &first->lease) / KERNEL_PAGE_BYTES * KERNEL_PAGE_BYTES;
        if (wanted <= room && b->leftover_bytes == 0 && all_could_end(w, first, subtract_saturating(wanted, subtract_saturating(b->slot_bytes, first->lease.bytes))))
                world_fail(w, "q%llu stays frozen, and the pool can pay", ULL(first->id));
        if (running == 0 && b->leftover_bytes == 0)
                world_fail(w, "all that execute wait frozen");
        return n;
}

static void check_query(World *w, const Query *q) {
        SimQuery *s = world_by_id(w, q->id, NULL);

        if (s->forgotten)
                world_fail(w, "q%llu is active after it was forgotten", ULL(q->id));
        if (query_state_is_end(s->last_state) && s->last_state != q->state)
                world_fail(w, "q%llu left the end state %s", ULL(q->id), query_state_name(s->last_state));
        if (q->state < s->last_state)
                world_fail(w, "q%llu went back to %s", ULL(q->id), query_state_name(q->state));
        s->last_state = q->state;
        if (query_state_is_end(q->state) && !s->end_published)
                world_fail(w, "the end of q%llu was not published", ULL(q->id));
}

static void check_ledger(World *w) {
        const Budget *b = engine_budget(w->engine);
        char failure[INVARIANTS_FAILURE_MAX];
        uint64_t told = 0, held;

        for (const Query *q = NULL; (q = engine_next(w->engine, q));)
                check_query(w, q);
        for (size_t i = 0; i < w->load.n_queries; i++)
                told += w->queries[i].reported_bytes;
        if (!invariants_hold(&w->invariants, w->engine, w->now_usec, failure))
                world_fail(w, "%s", failure);
        if (told + w->leftover_bytes != b->leftover_bytes)
                world_fail(w, "leftovers are %llu, booked %llu", ULL(told + w->leftover_bytes), ULL(b->leftover_bytes));
        held = budget_leased_bytes(b) + told;
        if (held > MAX(b->total_bytes, w->last_held_bytes))
                world_fail(w, "%llu given out of %llu, before it was %llu", ULL(held), ULL(b->total_bytes),
                           ULL(w->last_held_bytes));
        w->last_held_bytes = held;
}

/* It was raised for charges that met its limit: there were some since it was looked at. */
static void check_raise(World *w, const Query *q, const Sample *s, uint64_t events_seen) {
        ProfileReader r = { .profile = &q->profile };

        while (profile_next_raise(&r))
                if (r.row.time_usec == query_time_in(q, QUERY_EXECUTING, w->now_usec) && r.row.cause == RAISE_MAX &&
                    s->events_max <= events_seen)
                        world_fail(w, "q%llu was raised for charges that met its limit, and none did", ULL(q->id));
}

/* What was decided on this look at one that runs. */
static void check_look(World *w, const Query *q, const Sample *s) {
        SimQuery *known = q ? world_by_id(w, q->id, NULL) : NULL;

        if (!q || q->state != QUERY_EXECUTING || q->frozen || q->ending || q->lowering || q->n_stale > 0)
                return;
        check_raise(w, q, s, known->events_seen);
        known->events_seen = s->events_max;
        if (q->headroom_off && !q->hungry)
                world_fail(w, "q%llu has no brake, and asks for nothing", ULL(q->id));
}

/* A victim's end frees something, or its own time was up, or there was nobody whose end would have: who has begun to execute in this
 * very step was not there when it was chosen. */
static void check_victim(World *w, const Query *victim) {
        if (lease_end_helps(&victim->lease) ||
            (victim->frozen && w->now_usec - victim->frozen_since_usec >= w->load.config.freeze_timeout_usec))
                return;
        if (!victim->frozen)
                world_fail(w, "q%llu ends as a victim, though it asks for nothing and frees nothing", ULL(victim->id));
        for (const Query *q = NULL; (q = engine_next(w->engine, q));)
                if (q->state == QUERY_EXECUTING && q->state_since_usec < w->now_usec && lease_end_helps(&q->lease))
                        world_fail(w, "q%llu ends as a victim before its time, and frees nothing", ULL(victim->id));
}

/* Who was killed by the kernel, and nobody had asked for its end: whose limit is it said to have been? A peak of before it was lowered
 * may hide which one it met since, and after a small raise it does not tell which of two. */
static void check_kill(World *w, const SimQuery *q, const Query *known) {
        bool at_maximum = q->killed_at_bytes >= known->max_bytes;
        bool near_maximum = q->group.peak_bytes >= governor_high(known->max_bytes, SIZE_INFINITY, known->pids);

        if (at_maximum != (known->verdict == VERDICT_MAXIMUM) &&
            (at_maximum ? q->group.peak_bytes > q->raised_from_bytes : !near_maximum))
                world_fail(w, "the kernel killed q%llu at %llu, its maximum is %llu, its peak %llu, and the verdict is %s", ULL(q->id),
                           ULL(q->killed_at_bytes), ULL(known->max_bytes), ULL(q->group.peak_bytes), verdict_name(known->verdict));
        else if (!at_maximum && q->refused_at_kill && q->killed_at_bytes == known->last_quota_bytes &&
                 q->killed_at_bytes < known->cap_bytes && known->verdict != VERDICT_BUDGET)
                world_fail(w, "the kernel killed q%llu after it had been refused, and the verdict is %s", ULL(q->id),
                           verdict_name(known->verdict));
        else if (known->verdict == VERDICT_HOST)
                world_fail(w, "the kernel killed q%llu for its own limit, and it is said to have been the host's", ULL(q->id));
}

void check_verdict(World *w, const SimQuery *q, const Query *known) {
        if (q->kernel_killed && !known->ending && known->exit_signal == SIGKILL && q->restarts_at_kill == w->tally.restarts)
                check_kill(w, q, known);
        if (q->dying && q->exit_status == 0 && q->exit_signal == 0 && !q->start_fails && known->state == QUERY_ERRORED &&
            known->verdict != VERDICT_TIMEOUT)
                world_fail(w, "q%llu came to its end by itself, and is said to have ended for %s", ULL(q->id),
                           verdict_name(known->verdict));
}

void check_engine(World *w, const Event *ev) {
        for (size_t i = 0; i < w->actions.n; i++)
                if (w->actions.v[i].type == ACTION_NOTE && w->actions.v[i].note == NOTE_VICTIM)
                        check_victim(w, engine_find(w->engine, w->actions.v[i].query_id));
        if (ev->type == EVENT_SAMPLE)
                check_look(w, engine_find(w->engine, ev->query_id), &ev->sample);
        check_queue(w, check_waiters(w));
        check_ledger(w);
        if (ev->type == EVENT_TICK && engine_deadline(w->engine) <= w->now_usec)
                world_fail(w, "after a tick the next is due in the past, at %llu", ULL(engine_deadline(w->engine)));
}

void check_end(World *w) {
        const Budget *b = engine_budget(w->engine);

        for (size_t i = 0; i < w->load.n_queries && !world_failed(w); i++) {
                const SimQuery *q = &w->queries[i];

                if (q->id && !q->end_published)
                        world_fail(w, "q%llu never ended: it is %s", ULL(q->id), query_state_name(q->last_state));
                else if (q->id && !q->forgotten)
                        world_fail(w, "q%llu was never forgotten", ULL(q->id));
                else if (q->has_dependencies && !q->dependencies_told)
                        world_fail(w, "the dependencies of q%llu were never told of its end", ULL(q->id));
                else if (q->group.populated)
                        world_fail(w, "processes of q%llu are left", ULL(q->id));
                else if (q->unit != SIM_UNIT_NONE && q->unit != SIM_UNIT_GONE)
                        world_fail(w, "the unit of q%llu is left", ULL(q->id));
        }
        if (engine_next(w->engine, NULL))
                world_fail(w, "a query is left that nobody knows");
        if (budget_leased_bytes(b) != 0 || b->leftover_bytes != 0 || budget_held_bytes(b) != b->slots * b->slot_bytes)
                world_fail(w, "the pool is not whole: %llu of %llu are held", ULL(budget_held_bytes(b)), ULL(b->total_bytes));
        if (w->shut_down && !w->shutdown_done)
                world_fail(w, "Shutdown was never answered");
}
