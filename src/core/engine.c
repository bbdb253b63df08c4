/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/engine_private.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* No step asks for more than this of one query, so that one reservation up front makes emitting infallible. */
#define ACTIONS_PER_QUERY_MAX 12
#define ACTIONS_BASE 16

static int actions_reserve(ActionList *l, size_t n) {
        Action *v;

        if (n <= l->allocated)
                return 0;
        v = realloc(l->v, n * sizeof(*v));
        if (!v)
                return -ENOMEM;
        l->v = v;
        l->allocated = n;
        return 0;
}

void actions_done(ActionList *l) {
        free(l->v);
        *l = (ActionList) {};
}

Action *engine_emit(Engine *e, ActionType type, const Query *q) {
        Action *a;

        assert(e->out->n < e->out->allocated);
        a = &e->out->v[e->out->n++];
        a->type = type;
        a->query_id = q ? q->id : 0;
        a->limits.max_bytes = a->limits.high_bytes = 0;
        a->error.code = ERROR_NONE;
        a->error.message[0] = 0;
        return a;
}

void engine_note(Engine *e, const Query *q, NoteType note, const char *format, ...) {
        Action *a = engine_emit(e, ACTION_NOTE, q);
        va_list ap;

        a->note = note;
        va_start(ap, format);
        vsnprintf(a->error.message, sizeof(a->error.message), format, ap);
        va_end(ap);
}

void engine_profile(Engine *e, Query *q, ProfileEvent event, unsigned cause) {
        profile_add(&q->profile, event, cause, query_time_in(q, QUERY_EXECUTING, e->now_usec));
}

static void config_copy_numbers(Config *to, const Config *from) {
        *to = *from;
        to->metric_label_keys = (StrList) {};
        to->executor_dependencies = (StrList) {};
        to->dependencies = (DependencyList) {};
        memset(to->origin, 0, sizeof(to->origin));
}

int engine_new(const Config *config, uint64_t first_id, Engine **ret) {
        Engine *e = calloc(1, sizeof(*e));

        if (!e)
                return -ENOMEM;
        config_copy_numbers(&e->config, config);
        e->cap_bytes = SIZE_INFINITY;
        budget_init(&e->budget, config->max_memory_bytes, config->concurrency_quota, config->initial_bytes);
        e->next_id = MAX(first_id, 1u);
        e->shutdown_deadline_usec = USEC_INFINITY;
        *ret = e;
        return 0;
}

Engine *engine_free(Engine *e) {
        if (!e)
                return NULL;
        for (size_t i = 0; i < e->n_active; i++) {
                lease_done(&e->active[i]->lease);
                query_free(e->active[i]);
        }
        for (size_t i = 0; i < e->n_tombstones; i++)
                query_free(e->tombstones[i]);
        while (e->fallen) {
                Query *q = e->fallen;

                e->fallen = q->next_fallen;
                query_free(q);
        }
        free(e->active);
        free(e->claims);
        free(e);
        return NULL;
}

int engine_make_room(Engine *e) {
        size_t n = MAX(2 * e->allocated, 16u);
        Claim *claims;
        Query **v;

        if (e->n_active < e->allocated)
                return 0;
        claims = realloc(e->claims, (n + 2) * sizeof(*claims));
        if (!claims)
                return -ENOMEM;
        e->claims = claims;
        v = realloc(e->active, n * sizeof(*v));
        if (!v)
                return -ENOMEM;
        e->active = v;
        e->allocated = n;
        return 0;
}

/* The position of @id in the active set, which is sorted by it, or where it would stand. */
static size_t active_position(const Engine *e, uint64_t id) {
        size_t low = 0, high = e->n_active;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (e->active[middle]->id < id)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

static Query *find_active(const Engine *e, uint64_t id) {
        size_t i = active_position(e, id);

        return i < e->n_active && e->active[i]->id == id ? e->active[i] : NULL;
}

Query *engine_lookup(const Engine *e, uint64_t id) {
        Query *q = find_active(e, id);

        for (size_t i = 0; !q && i < e->n_tombstones; i++)
                if (e->tombstones[i]->id == id)
                        q = e->tombstones[i];
        return q;
}

static bool unit_exists(UnitPhase unit) {
        return unit == UNIT_STARTING || unit == UNIT_READY || unit == UNIT_LEAVING;
}

void engine_set_unit(Engine *e, Query *q, UnitPhase unit) {
        e->n_units = e->n_units - unit_exists(q->unit) + unit_exists(unit);
        e->n_units_leaving = e->n_units_leaving - (q->unit == UNIT_LEAVING) + (unit == UNIT_LEAVING);
        q->unit = unit;
}

void engine_set_figures(Engine *e) {
        const Config *c = &e->config;

        budget_configure(&e->budget, MIN(c->max_memory_bytes, e->cap_bytes), c->concurrency_quota, c->initial_bytes);
        e->memory_came_back = true;
        admit_reconfigure(e);
}

static void on_config(Engine *e, const Config *c) {
        config_copy_numbers(&e->config, c);
        engine_set_figures(e);
}

static Query *find_fallen(const Engine *e, uint64_t id) {
        Query *q = e->fallen;

        while (q && q->id != id)
                q = q->next_fallen;
        return q;
}

/* Its record fell out of the ring before its unit was gone: nothing but that end still matters. */
static void on_fallen_event(Engine *e, const Event *ev) {
        Query *q = find_fallen(e, ev->query_id), **link = &e->fallen;

        if (!q || (ev->type != EVENT_UNIT_GONE && ev->type != EVENT_UNIT_FAILED))
                return;
        end_unit_gone(e, q);
        while (*link != q)
                link = &(*link)->next_fallen;
        *link = q->next_fallen;
        query_free(q);
}

static void on_query_event(Engine *e, const Event *ev) {
        Query *q = engine_lookup(e, ev->query_id);

        if (!q) {
                on_fallen_event(e, ev);
                return;
        }
        switch (ev->type) {
        case EVENT_DEPENDENCIES:
                admit_dependencies(e, q, ev->error);
                break;
        case EVENT_UNIT_READY:
                admit_unit_ready(e, q);
                break;
        case EVENT_UNIT_FAILED:
                engine_set_unit(e, q, UNIT_GONE);
                end_compile_slot(e, q);
                if (query_is_live(q))
                        end_query(e, q, QUERY_ERRORED, VERDICT_START, false, ev->error->code, "%s",
                                  ev->error->message);
                break;
        case EVENT_UNIT_GONE:
                end_unit_gone(e, q);
                break;
        case EVENT_COMPILED:
                admit_compiled(e, q, &ev->ended.report, ev->ended.error);
                break;
        case EVENT_SAMPLE:
                run_sample(e, q, &ev->sample);
                break;
        case EVENT_LIMITS:
                run_limits(e, q, ev->limits.r, ev->limits.max_bytes, ev->limits.latency_usec);
                break;
        case EVENT_LOWERED:
                run_lowered(e, q, ev->limits.r, ev->limits.max_bytes);
                break;
        case EVENT_CAP:
                run_cap(e, q, ev->bytes);
                break;
        case EVENT_ENDED:
                end_report(e, q, &ev->ended.report, ev->ended.error);
                break;
        case EVENT_READER_GONE:
                end_query(e, q, QUERY_CANCELED, VERDICT_READER, true, ERROR_CANCELED,
                          "nobody reads its results any more");
                break;
        case EVENT_HOLD_DROPPED:
                if (!q->spec.detached)
                        end_release(e, q);
                break;
        case EVENT_CANCEL:
                end_query(e, q, QUERY_CANCELED, VERDICT_CANCEL, true, ERROR_CANCELED, "canceled on request");
                break;
        case EVENT_DONE:
                end_release(e, q);
                break;
        default:
                assert(false);
        }
}

int engine_step(Engine *e, const Event *ev, uint64_t now_usec, ActionList *actions) {
        int r = actions_reserve(actions, ACTIONS_BASE + ACTIONS_PER_QUERY_MAX * (e->n_active + 1));

        if (r < 0)
                return r;
        actions->n = 0;
        e->out = actions;
        e->line_changed = ev->type != EVENT_SAMPLE && ev->type != EVENT_LIMITS;
        e->now_usec = MAX(e->now_usec, now_usec);

        switch (ev->type) {
        case EVENT_REQUEST:
                r = admit_request(e, ev->request.spec);
                break;
        case EVENT_ADOPT:
                r = adopt_query(e, ev->query_id, ev->adopt.snapshot, ev->adopt.error);
                break;
        case EVENT_TICK:
                break;
        case EVENT_PAUSE:
                e->paused = true;
                break;
        case EVENT_RESUME:
                e->paused = false;
                break;
        case EVENT_CONFIG:
                on_config(e, ev->config);
                break;
        case EVENT_LEFTOVERS:
                end_slice_leftovers(e, ev->bytes);
                break;
        case EVENT_SHUTDOWN:
                end_shutdown(e, ev->shutdown_usec);
                break;
        case EVENT_CAP:
                if (ev->query_id != 0)
                        on_query_event(e, ev);
                else {
                        e->cap_bytes = ev->bytes;
                        engine_set_figures(e);
                }
                break;
        default:
                on_query_event(e, ev);
        }
        if (r < 0)
                return r;
        if (ev->type == EVENT_ADOPT)
                return 0; /* nothing is given away before all are known who have something */

        /* Backwards, since a query that is forgotten leaves the array. */
        for (size_t i = e->n_active; i > 0; i--)
                end_deadlines(e, e->active[i - 1]);
        wait_settle(e);
        admit_settle(e);
        end_shutdown_settle(e);
        return 0;
}

static uint64_t query_deadline(const Query *q) {
        uint64_t d = q->forget_usec ? q->forget_usec : USEC_INFINITY;

        if (!query_is_live(q))
                return d;
        d = USEC_INFINITY;
        if (q->ending)
                return q->ending_killed ? d : q->ending_deadline_usec;
        if (q->run == RUN_COMPILING)
                d = MIN(d, q->compile_deadline_usec);
        if (q->sample_due_usec)
                d = MIN(d, q->sample_due_usec);
        if (q->frozen)
                d = MIN(d, q->frozen_deadline_usec);
        return MIN(d, MIN(admit_query_timeout(q), admit_queue_timeout(q)));
}

uint64_t engine_deadline(const Engine *e) {
        uint64_t d = e->shutdown_pending ? e->shutdown_deadline_usec : USEC_INFINITY;

        if (e->look_due_usec)
                d = MIN(d, e->look_due_usec);

        for (size_t i = 0; i < e->n_active; i++)
                d = MIN(d, query_deadline(e->active[i]));
        return d;
}

uint64_t engine_next_id(const Engine *e) {
        return e->next_id;
}

const Query *engine_find(const Engine *e, uint64_t id) {
        return engine_lookup(e, id);
}

bool engine_is_tombstone(const Engine *e, uint64_t id) {
        return !find_active(e, id) && engine_lookup(e, id);
}

const Query *engine_next(const Engine *e, const Query *previous) {
        size_t i = previous ? active_position(e, previous->id + 1) : 0;

        return i < e->n_active ? e->active[i] : NULL;
}

const Budget *engine_budget(const Engine *e) {
        return &e->budget;
}

uint64_t engine_count(const Engine *e, QueryState s) {
        uint64_t n = 0;

        for (size_t i = 0; i < e->n_active; i++)
                n += e->active[i]->state == s;
        return n;
}

bool engine_is_paused(const Engine *e) {
        return e->paused;
}

bool engine_is_shut_down(const Engine *e) {
        return e->shut_down;
}

uint64_t engine_units_max(const Engine *e) {
        uint64_t known = add_saturating(e->config.concurrency_quota, e->config.queue_size), n;

        /* Those that run and those that wait with one; and as many again that are just leaving. */
        n = add_saturating(e->config.concurrency_quota, MAX(e->config.warm_units, ENGINE_UNITS_WAITING_MAX));
        n = MIN(add_saturating(n, e->config.compile_concurrency), known);
        return n > UINT64_MAX / 2 ? UINT64_MAX : 2 * n;
}
