/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sim/plan.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "core/engine.h"

#define FIRST_NEED_BYTES MIB
#define FIRST_ID 1u

/* One that executes. */
typedef struct Run {
        size_t index;           /* in the load */
        uint64_t worked_usec;   /* of its duration, until since_usec */
        uint64_t since_usec;
        uint64_t max_bytes, high_bytes;
        bool frozen, over;
        bool told; /* that it met memory.high */
        uint64_t stamp; /* of its entry in the heap; others are stale */
} Run;

typedef struct Due {
        uint64_t usec, id, stamp;
} Due;

typedef struct Plan {
        const PlanLoad *load;
        Engine *engine;
        ActionList actions;
        uint64_t now_usec, last_end_usec, stamp;
        unsigned growth_percent;
        PlanResult *result;

        Run **runs;        /* by ID; NULL: it does not execute */
        uint32_t *indexes; /* … and which of the load it is */
        uint64_t *waits;
        size_t n_ids, n_waits;
        Due *heap;
        size_t n_heap, heap_allocated;
        Event *answers; /* to what the engine asked for in the step before */
        size_t n_answers, answers_allocated;

        double used_sum, held_sum; /* byte microseconds of those that have ended */
        uint64_t held_bytes;       /* now, by all */
        bool no_memory;
} Plan;

/* ---- what a query needs ---- */

static uint64_t growth_usec(const Plan *p, const PlanQuery *q) {
        return q->duration_usec / 100 * p->growth_percent + q->duration_usec % 100 * p->growth_percent / 100;
}

static uint64_t need_after(const Plan *p, const PlanQuery *q, uint64_t worked_usec) {
        uint64_t first = MIN(FIRST_NEED_BYTES, q->peak_bytes), grows = growth_usec(p, q);

        if (worked_usec >= grows)
                return q->peak_bytes;
        return first + (uint64_t) ((double) (q->peak_bytes - first) * ((double) worked_usec / (double) grows));
}

/* How long it has worked when it needs @bytes; USEC_INFINITY: it never does. */
static uint64_t worked_at(const Plan *p, const PlanQuery *q, uint64_t bytes) {
        uint64_t first = MIN(FIRST_NEED_BYTES, q->peak_bytes);

        if (bytes > q->peak_bytes)
                return USEC_INFINITY;
        if (bytes <= first)
                return 0;
        return (uint64_t) ((double) growth_usec(p, q) * ((double) (bytes - first) / (double) (q->peak_bytes - first))) + 1;
}

static uint64_t worked_now(const Plan *p, const Run *r) {
        return r->worked_usec + (r->frozen ? 0 : p->now_usec - r->since_usec);
}

static uint64_t need_now(const Plan *p, const Run *r) {
        return need_after(p, &p->load->v[r->index], worked_now(p, r));
}

/* Byte microseconds while it worked from @from to @to. */
static double need_between(const Plan *p, const PlanQuery *q, uint64_t from, uint64_t to) {
        uint64_t full = MIN(MAX(growth_usec(p, q), from), to); /* from here on it has its peak */

        return (double) (full - from) * ((double) need_after(p, q, from) + (double) need_after(p, q, full)) / 2 +
               (double) (to - full) * (double) q->peak_bytes;
}

/* Book what it used since the last time. */
static void settle(Plan *p, Run *r) {
        const PlanQuery *q = &p->load->v[r->index];
        uint64_t elapsed = p->now_usec - r->since_usec, worked = worked_now(p, r);

        /* Frozen, it has at most its limit of what it needs. */
        p->used_sum += r->frozen ? (double) elapsed * (double) MIN(need_after(p, q, worked), r->max_bytes)
                                 : need_between(p, q, r->worked_usec, worked);
        p->held_sum += (double) elapsed * (double) r->max_bytes;
        r->worked_usec = worked;
        r->since_usec = p->now_usec;
}

static void hold(Plan *p, Run *r, uint64_t max_bytes, uint64_t high_bytes) {
        settle(p, r);
        p->held_bytes = p->held_bytes - r->max_bytes + max_bytes;
        p->result->held_bytes_most = MAX(p->result->held_bytes_most, p->held_bytes);
        r->max_bytes = max_bytes;
        r->high_bytes = high_bytes;
        r->told = false;
}

/* ---- when something happens next ---- */

static bool is_due_before(const Due *a, const Due *b) {
        return a->usec != b->usec ? a->usec < b->usec : a->stamp < b->stamp;
}

static void heap_push(Plan *p, Due d) {
        size_t i = p->n_heap;

        if (p->n_heap == p->heap_allocated) {
                size_t n = 2 * p->heap_allocated + 64;
                Due *v = realloc(p->heap, n * sizeof(*v));

                if (!v) {
                        p->no_memory = true;
                        return;
                }
                p->heap = v;
                p->heap_allocated = n;
        }
        p->n_heap++;
        for (; i > 0 && is_due_before(&d, &p->heap[(i - 1) / 2]); i = (i - 1) / 2)
                p->heap[i] = p->heap[(i - 1) / 2];
        p->heap[i] = d;
}

static void heap_pop(Plan *p) {
        Due last = p->heap[--p->n_heap];
        size_t i = 0, child;

        while ((child = 2 * i + 1) < p->n_heap) {
                child += child + 1 < p->n_heap && is_due_before(&p->heap[child + 1], &p->heap[child]);
                if (!is_due_before(&p->heap[child], &last))
                        break;
                p->heap[i] = p->heap[child];
                i = child;
        }
        p->heap[i] = last;
}

static Run *run_of(const Plan *p, uint64_t id) {
        return id - FIRST_ID < p->n_ids ? p->runs[id - FIRST_ID] : NULL;
}

/* A charge passes memory.high before it can pass memory.max, however fast it comes. */
static bool has_brake(const Run *r) {
        return !r->told && r->high_bytes < r->max_bytes;
}

/* Its end, or the next moment at which the kernel would have a word to say: at memory.high, and above memory.max. */
static void schedule(Plan *p, uint64_t id, Run *r) {
        const PlanQuery *q = &p->load->v[r->index];
        uint64_t next = MIN(q->duration_usec, worked_at(p, q, add_saturating(r->max_bytes, 1)));

        r->stamp = ++p->stamp;
        if (r->frozen || r->over)
                return;
        if (has_brake(r))
                next = MIN(next, worked_at(p, q, r->high_bytes));
        heap_push(p, (Due) { .usec = p->now_usec + subtract_saturating(next, worked_now(p, r)), .id = id, .stamp = r->stamp });
}

/* ---- what the engine is told ---- */

static void answer(Plan *p, const Event *ev) {
        if (p->n_answers == p->answers_allocated) {
                size_t n = 2 * p->answers_allocated + 64;
                Event *v = realloc(p->answers, n * sizeof(*v));

                if (!v) {
                        p->no_memory = true;
                        return;
                }
                p->answers = v;
                p->answers_allocated = n;
        }
        p->answers[p->n_answers++] = *ev;
}

static void answer_sample(Plan *p, uint64_t id, const Run *r) {
        uint64_t need = MIN(need_now(p, r), r->max_bytes);
        Event ev = { .type = EVENT_SAMPLE, .query_id = id };

        ev.sample = (Sample) { .anon_bytes = need, .inactive_anon_bytes = need, .current_bytes = need,
                               .max_bytes = r->max_bytes, .high_bytes = r->high_bytes, .pids = 1, .populated = true,
                               .frozen = r->frozen, .has_psi = true, .cpu_usec = worked_now(p, r), .has_usage = true,
                               .has_cpu_wait = true };
        answer(p, &ev);
}

static void end_run(Plan *p, uint64_t id, Run *r, int signal_number, bool by_kernel) {
        Event ev = { .type = EVENT_ENDED, .query_id = id };

        if (r->over)
                return;
        hold(p, r, r->max_bytes, r->high_bytes);
        r->over = true;
        ev.ended.report = (EndedReport) { .exit_status = signal_number ? -1 : 0, .exit_signal = signal_number };
        ev.ended.report.numbers = (FinalNumbers) { .memory_peak_bytes = MIN(need_now(p, r), r->max_bytes),
                                                   .cpu_usec = r->worked_usec,
                                                   .events_oom = by_kernel,
                                                   .events_oom_kill = by_kernel };
        answer(p, &ev);
}

/* ---- what the engine asks for ---- */

static void begin_run(Plan *p, const Action *a) {
        Run *r = calloc(1, sizeof(*r));

        if (!r) {
                p->no_memory = true;
                return;
        }
        r->index = p->indexes[a->query_id - FIRST_ID];
        r->since_usec = p->now_usec;
        hold(p, r, a->limits.max_bytes, a->limits.high_bytes);
        p->runs[a->query_id - FIRST_ID] = r;
        p->waits[p->n_waits++] = p->now_usec - p->load->v[r->index].arrival_usec;
        answer(p, &(Event) { .type = EVENT_LIMITS, .query_id = a->query_id, .limits.max_bytes = r->max_bytes });
        schedule(p, a->query_id, r);
}

static void set_limits(Plan *p, const Action *a, Run *r) {
        hold(p, r, a->limits.max_bytes, a->limits.high_bytes);
        answer(p, &(Event) { .type = EVENT_LIMITS, .query_id = a->query_id, .limits.max_bytes = r->max_bytes });
        schedule(p, a->query_id, r);
}

static void lower(Plan *p, const Action *a, Run *r) {
        Event ev = { .type = EVENT_LOWERED, .query_id = a->query_id, .limits.r = -EBUSY };
        uint64_t need = need_now(p, r);

        if (need + need / 32 <= a->limits.max_bytes) {
                hold(p, r, a->limits.max_bytes, a->limits.high_bytes);
                ev.limits.r = 0;
                schedule(p, a->query_id, r);
        }
        ev.limits.max_bytes = r->max_bytes;
        answer(p, &ev);
}

static void freeze(Plan *p, uint64_t id, Run *r, bool frozen) {
        settle(p, r);
        r->frozen = frozen;
        schedule(p, id, r);
}

static void count_end(Plan *p, const Query *q) {
        PlanResult *t = p->result;

        t->n_finished += q->state == QUERY_FINISHED;
        t->n_maximum += q->verdict == VERDICT_MAXIMUM;
        t->n_budget += q->verdict == VERDICT_BUDGET || q->verdict == VERDICT_QUOTA;
        t->n_timed_out += q->verdict == VERDICT_TIMEOUT || q->verdict == VERDICT_QUEUE;
        t->frozen_usec += q->frozen_usec;
        t->n_raises += q->n_raises;
        p->last_end_usec = p->now_usec;
}

static void on_state(Plan *p, uint64_t id) {
        const Query *q = engine_find(p->engine, id);
        Run *r = run_of(p, id);

        if (!query_state_is_end(q->state))
                return;
        count_end(p, q);
        if (r)
                hold(p, r, 0, 0);
        free(r);
        p->runs[id - FIRST_ID] = NULL;
        answer(p, &(Event) { .type = EVENT_DONE, .query_id = id });
}

static void perform(Plan *p, const Action *a) {
        Run *r = run_of(p, a->query_id);

        switch (a->type) {
        case ACTION_START_UNIT: answer(p, &(Event) { .type = EVENT_UNIT_READY, .query_id = a->query_id }); break;
        case ACTION_RELEASE_UNIT: answer(p, &(Event) { .type = EVENT_UNIT_GONE, .query_id = a->query_id }); break;
        case ACTION_EXECUTE: begin_run(p, a); break;
        case ACTION_STATE: on_state(p, a->query_id); break;
        case ACTION_REFUSED: p->result->n_refused++; break;
        default:
                if (!r)
                        return;
                switch (a->type) {
                case ACTION_SET_LIMITS: set_limits(p, a, r); break;
                case ACTION_LOWER: lower(p, a, r); break;
                case ACTION_SAMPLE: answer_sample(p, a->query_id, r); break;
                case ACTION_FREEZE:
                case ACTION_THAW: freeze(p, a->query_id, r, a->type == ACTION_FREEZE); break;
                case ACTION_TERMINATE:
                case ACTION_KILL: end_run(p, a->query_id, r, a->type == ACTION_KILL ? SIGKILL : SIGTERM, false); break;
                default: break;
                }
        }
}

/* ---- the clock ---- */

static void step(Plan *p, const Event *ev) {
        if (engine_step(p->engine, ev, p->now_usec, &p->actions) < 0)
                p->no_memory = true;
        else
                for (size_t i = 0; i < p->actions.n; i++)
                        perform(p, &p->actions.v[i]);
}

/* Answers cause others. */
static void settle_all(Plan *p) {
        for (size_t i = 0; i < p->n_answers && !p->no_memory; i++) {
                Event ev = p->answers[i];

                step(p, &ev);
        }
        p->n_answers = 0;
}

/* Each is of another user: whose they were is not in the load, and MaxQueriesPerUser= is not what is asked about. */
static void submit(Plan *p, size_t index) {
        QuerySpec spec = { .language = "exec", .uid = (uint32_t) index + 1, .timeout_usec = USEC_INFINITY,
                           .queue_timeout_usec = USEC_INFINITY, .detached = true };
        const uint64_t *fingerprint = p->load->v[index].fingerprint;
        uint64_t before = engine_next_id(p->engine);

        spec.fingerprint[0] = fingerprint[0];
        spec.fingerprint[1] = fingerprint[1];
        p->indexes[p->n_ids] = (uint32_t) index;
        p->runs[p->n_ids] = NULL;
        p->n_ids++;
        step(p, &(Event) { .type = EVENT_REQUEST, .request.spec = &spec });
        if (engine_next_id(p->engine) == before)
                p->n_ids--; /* refused */
}

/* Its end, or a word of the kernel's. */
static void on_due(Plan *p, const Due *d) {
        Run *r = run_of(p, d->id);
        const PlanQuery *q;

        if (!r || r->stamp != d->stamp)
                return;
        q = &p->load->v[r->index];
        if (worked_now(p, r) >= q->duration_usec)
                end_run(p, d->id, r, 0, false);
        else if (has_brake(r)) {
                r->told = true;
                schedule(p, d->id, r);
                answer_sample(p, d->id, r);
        } else
                end_run(p, d->id, r, SIGKILL, true);
}

static void advance(Plan *p, size_t *next) {
        uint64_t arrival = *next < p->load->n ? p->load->v[*next].arrival_usec : USEC_INFINITY;
        uint64_t due = p->n_heap > 0 ? p->heap[0].usec : USEC_INFINITY, tick = engine_deadline(p->engine);

        assert(MIN(MIN(arrival, due), tick) != USEC_INFINITY); /* while one is known something is due */
        p->now_usec = MAX(p->now_usec, MIN(MIN(arrival, due), tick));
        if (due <= p->now_usec) {
                Due d = p->heap[0];

                heap_pop(p);
                on_due(p, &d);
        } else if (tick <= p->now_usec)
                step(p, &(Event) { .type = EVENT_TICK });
        else
                submit(p, (*next)++);
        settle_all(p);
}

static int by_size(const void *a, const void *b) {
        uint64_t x = *(const uint64_t *) a, y = *(const uint64_t *) b;

        return (x > y) - (x < y);
}

static void sum_up(Plan *p) {
        static const unsigned percent[] = { 50, 95, 99, 100 };
        PlanResult *t = p->result;

        qsort(p->waits, p->n_waits, sizeof(*p->waits), by_size);
        for (size_t i = 0; i < ELEMENTSOF(percent) && p->n_waits > 0; i++)
                t->wait_usec[i] = p->waits[(p->n_waits * percent[i] + 99) / 100 - 1];
        t->makespan_usec = p->last_end_usec;
        if (t->makespan_usec == 0)
                return;
        t->used_bytes_mean = (uint64_t) (p->used_sum / (double) t->makespan_usec + 0.5);
        t->held_bytes_mean = (uint64_t) (p->held_sum / (double) t->makespan_usec + 0.5);
}

int plan_play(const PlanLoad *l, const Config *c, unsigned growth_percent, PlanResult *ret) {
        Plan p = { .load = l, .growth_percent = growth_percent, .result = ret };
        size_t next = 0;
        int r;

        *ret = (PlanResult) {};
        p.runs = calloc(l->n, sizeof(*p.runs));
        p.indexes = calloc(l->n, sizeof(*p.indexes));
        p.waits = calloc(l->n, sizeof(*p.waits));
        p.no_memory = !p.runs || !p.indexes || !p.waits || engine_new(c, FIRST_ID, &p.engine) < 0;
        while (!p.no_memory && (next < l->n || engine_next(p.engine, NULL)))
                advance(&p, &next);
        if (!p.no_memory)
                sum_up(&p);
        r = p.no_memory ? -ENOMEM : 0;
        for (size_t i = 0; p.runs && i < p.n_ids; i++)
                free(p.runs[i]);
        free(p.runs);
        free(p.indexes);
        free(p.waits);
        free(p.heap);
        free(p.answers);
        engine_free(p.engine);
        actions_done(&p.actions);
        return r;
}
