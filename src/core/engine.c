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

void engine_look(Engine *e, Query *q) {
        if (q->looked_step == e->n_steps)
                return;
        q->looked_step = e->n_steps;
        q->sample_due_usec = 0;
        engine_emit(e, ACTION_SAMPLE, q);
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
        sets_free(e);
        for (size_t i = 0; i < e->n_tombstones; i++)
                query_free(e->tombstones[i]);
        while (e->fallen) {
                Query *q = e->fallen;

                e->fallen = q->next_fallen;
                query_free(q);
        }
        free(e);
        return NULL;
}

Query *engine_lookup(const Engine *e, uint64_t id) {
        Query *q = sets_find(e, id);

        for (size_t i = 0; !q && i < e->n_tombstones; i++)
                if (e->tombstones[i]->id == id)
                        q = e->tombstones[i];
        return q;
}

void engine_set_figures(Engine *e) {
        const Config *c = &e->config;

        budget_configure(&e->budget, MIN(c->max_memory_bytes, e->cap_bytes), c->concurrency_quota, c->initial_bytes);
        e->memory_came_back = true;
        admit_reconfigure(e);
}

static void on_config(Engine *e, const Config *c) {
        bool other_patience = c->freeze_timeout_usec != e->config.freeze_timeout_usec;

        config_copy_numbers(&e->config, c);
        if (other_patience)
                wait_rearm(e);
        engine_set_figures(e);
}

static Query *find_fallen(const Engine *e, uint64_t id) {
        Query *q = e->fallen;

        while (q && q->id != id)
                q = q->next_fallen;
        return q;
}

bool engine_id_is_free(const Engine *e, uint64_t id) {
        return id > 0 && id < UINT64_MAX / 2 && !engine_lookup(e, id) && !find_fallen(e, id);
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
                if (query_is_live(q) && q->unit == UNIT_LEAVING) { /* that of its first run */
                        end_unit_gone(e, q);
                        break;
                }
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

/* How many queries a step can have anything to say of, at the most. */
static size_t reach(const Engine *e, const Event *ev) {
        uint64_t places, waiting = e->n_in_state[QUERY_CREATED] + e->n_in_state[QUERY_QUEUEING];

        if (ev->type == EVENT_CONFIG || ev->type == EVENT_CAP || ev->type == EVENT_SHUTDOWN)
                return e->n_known;
        places = add_saturating(e->config.concurrency_quota, e->config.compile_concurrency);
        places = add_saturating(places, e->config.warm_units);
        /* its own, those that run, those whose time is up, and those that are let in; a request adds two */
        return e->n_busy + sets_count_due(e) + (size_t) MIN(places, waiting + 1) + 2;
}

int engine_step(Engine *e, const Event *ev, uint64_t now_usec, ActionList *actions) {
        int r;

        e->now_usec = MAX(e->now_usec, now_usec);
        e->n_steps++;
        r = actions_reserve(actions, ACTIONS_BASE + ACTIONS_PER_QUERY_MAX * reach(e, ev));
        if (r < 0)
                return r;
        actions->n = 0;
        e->out = actions;
        e->line_changed = ev->type != EVENT_SAMPLE && ev->type != EVENT_LIMITS;

        switch (ev->type) {
        case EVENT_REQUEST:
                r = admit_request(e, ev->query_id, ev->request.spec);
                break;
        case EVENT_ADOPT:
                r = adopt_query(e, ev);
                break;
        case EVENT_LEARNED:
                learned_recall(&e->learned, &ev->lesson);
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
        if (ev->type == EVENT_ADOPT || ev->type == EVENT_LEARNED)
                return 0; /* nothing is given away before all are known who have something */

        sets_each_due(e, end_deadlines);
        wait_settle(e);
        admit_settle(e);
        end_shutdown_settle(e);
        return 0;
}

static uint64_t busy_deadline(const Query *q) {
        uint64_t d = USEC_INFINITY;

        if (q->ending)
                return q->ending_killed ? d : q->ending_deadline_usec;
        if (q->run == RUN_COMPILING)
                d = MIN(d, q->compile_deadline_usec);
        if (q->sample_due_usec)
                d = MIN(d, q->sample_due_usec);
        if (q->frozen)
                d = MIN(d, q->frozen_deadline_usec);
        return MIN(d, admit_query_timeout(q));
}

uint64_t engine_deadline(const Engine *e) {
        uint64_t d = e->shutdown_pending ? e->shutdown_deadline_usec : USEC_INFINITY;

        if (e->look_due_usec)
                d = MIN(d, e->look_due_usec);
        for (size_t i = 0; i < e->n_busy; i++)
                d = MIN(d, busy_deadline(e->busy[i]));
        return MIN(d, sets_quiet_until(e));
}

uint64_t engine_next_id(const Engine *e) {
        return e->next_id;
}

uint64_t engine_reserve_id(Engine *e) {
        return e->next_id++;
}

const Query *engine_find(const Engine *e, uint64_t id) {
        return engine_lookup(e, id);
}

bool engine_is_tombstone(const Engine *e, uint64_t id) {
        return !sets_find(e, id) && engine_lookup(e, id);
}

const Query *engine_next(const Engine *e, const Query *previous) {
        return sets_next(e, previous);
}

const Budget *engine_budget(const Engine *e) {
        return &e->budget;
}

uint64_t engine_count(const Engine *e, QueryState s) {
        return e->n_in_state[s];
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

uint64_t engine_units_for_slack(const Engine *e) {
        uint64_t most = engine_units_max(e);

        return most == UINT64_MAX ? e->n_units : most;
}
