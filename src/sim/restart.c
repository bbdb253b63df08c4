/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The service is killed, and another one takes over with nothing but what was written and what it finds. */
#include <errno.h>
#include <string.h>

#include "core/trace.h"
#include "sim/world.h"

/* One of so many events is the last one of a service that is killed at times. */
#define CRASH_ONE_OF 150u

void world_save_query(World *w, uint64_t id, const ActionList *unperformed) {
        const Query *known = engine_find(w->engine, id);
        SimQuery *q = world_by_id(w, id, NULL);
        char line[TRACE_LINE_MAX];
        QuerySnapshot snapshot;
        Error error;
        Event ev = { .type = EVENT_ADOPT, .query_id = id, .adopt = { &snapshot, &error } };

        if (!w->crashes || !known || !q)
                return;
        engine_snapshot(known, unperformed, &snapshot, &error);
        /* Here actions of an earlier step may still be lined up. */
        if (snapshot.dependencies == DEPENDENCIES_RELEASED && !q->dependencies_told)
                snapshot.dependencies = DEPENDENCIES_HELD;
        if (!query_snapshot_is_valid(&snapshot))
                world_fail(w, "the snapshot of q%llu is not valid", (unsigned long long) id);
        free(q->saved);
        q->saved = strdup(trace_event_line(&ev, w->now_usec, line));
        if (!q->saved)
                world_fail(w, "out of memory");
}

void world_save(World *w, const Event *ev) {
        if (event_is_recorded(ev->type))
                world_save_query(w, ev->query_id, &w->actions);
        for (size_t i = 0; i < w->actions.n; i++) {
                const Action *a = &w->actions.v[i];

                if (action_record(a->type) == ACTION_RECORDED_FIRST)
                        world_save_query(w, a->query_id, &w->actions);
        }
}

bool world_is_to_crash(World *w) {
        return w->crashes && !world_failed(w) && random_between(&w->crash, 0, CRASH_ONE_OF - 1) == 0;
}

/* What the service had in mind is gone with it; so is what it was about to hear of units that it will not use. */
static bool outlives(const World *w, const Item *item) {
        switch (item->type) {
        case ITEM_TICK:
        case ITEM_PERFORM:
        case ITEM_DEPENDENCIES:
        case ITEM_NOTIFY:
        case ITEM_SAMPLED:
        case ITEM_LIMITS:
        case ITEM_LOWERED:
                return false;
        case ITEM_UNIT_OUTCOME:
        case ITEM_COMPILE_END:
        case ITEM_UNIT_GONE:
                return w->queries[item->query].executed && !w->queries[item->query].retries;
        default:
                return true;
        }
}

/* What was not handed over starts anew, once its old unit is gone. */
static void forget_plans(SimQuery *q) {
        q->actions_pending = 0;
        q->read_back_usec = 0;
        q->notify_pending = q->lowering = q->checking = false;
        if (q->retries)
                process_forget(q);
        if (q->executed)
                return;
        q->unit = q->end_published ? SIM_UNIT_GONE : SIM_UNIT_NONE;
        q->leave_when_up = q->compile_runs = q->compile_killed = false;
        q->recheck = q->has_dependencies && !q->end_published;
        q->residual_bytes = q->reported_bytes = 0;
}

static int read_saved(World *w, const SimQuery *q, TraceRecord *ret) {
        Config ignored = {};

        if (q->saved && trace_parse_line(q->saved, &ignored, ret) >= 0)
                return 0;
        world_fail(w, "q%llu was not saved, or is not understood", (unsigned long long) q->id);
        return -EBADMSG;
}

static void adopt(World *w, SimQuery *q) {
        TraceRecord record;
        QuerySnapshot *s = &record.snapshot;
        KernelGroup *g = &q->group;

        if (read_saved(w, q, &record) < 0)
                return;
        s->handed = q->executed;
        s->unit_exists = q->unit == SIM_UNIT_UP || q->unit == SIM_UNIT_LEAVING;
        s->limit_bytes = q->executed && !q->end_published ? g->max_bytes : 0;
        /* Whoever was killed with the service had no time to raise: it is frozen until there is another. */
        if (g->populated && random_percent(&w->crash, 50))
                g->frozen = true;
        s->is_frozen = g->frozen;
        s->current_bytes = kernel_group_usage(g);
        q->forgotten = false;
        world_feed(w, &record.event);
}

/* The record of one that was released may be gone, but not before its unit is and its dependencies were told. */
static bool may_be_unknown(const SimQuery *q) {
        return q->forgotten && (q->unit == SIM_UNIT_GONE || q->unit == SIM_UNIT_NONE) &&
               (!q->has_dependencies || q->dependencies_told);
}

typedef struct Saved {
        SimQuery *query;
        QuerySnapshot snapshot;
} Saved;

static int adopted_before(const void *a, const void *b) {
        const Saved *x = a, *y = b;

        return query_snapshot_order(&x->snapshot, x->query->id, &y->snapshot, y->query->id);
}

static void adopt_all(World *w, uint64_t first_id) {
        Saved *all = calloc(w->load.n_queries + 1, sizeof(*all));
        size_t n = 0;

        for (uint64_t id = 1; all && id < first_id && !world_failed(w); id++) {
                SimQuery *q = world_by_id(w, id, NULL);
                TraceRecord record;

                if (q && (!may_be_unknown(q) || random_percent(&w->crash, 50)) && read_saved(w, q, &record) == 0)
                        all[n++] = (Saved) { q, record.snapshot };
        }
        if (n > 0)
                qsort(all, n, sizeof(*all), adopted_before);
        for (size_t i = 0; i < n; i++)
                adopt(w, all[i].query);
        if (!all)
                world_fail(w, "out of memory");
        free(all);
}

static void recall(World *w) {
        Event ev = { .type = EVENT_LEARNED };

        for (size_t i = 0; i < w->load.n_queries; i++)
                if (w->queries[i].lesson.needed_bytes > 0) {
                        ev.lesson = w->queries[i].lesson;
                        world_feed(w, &ev);
                }
}

static void take_over(World *w, uint64_t first_id, bool paused) {
        Event tick = { .type = EVENT_TICK }, pause = { .type = EVENT_PAUSE }, shutdown = { .type = EVENT_SHUTDOWN, .shutdown_usec = USEC_INFINITY };
        Event cap = { .type = EVENT_CAP, .bytes = w->cap_bytes }, leftovers = { .type = EVENT_LEFTOVERS, .bytes = w->leftover_bytes };

        if (engine_new(&w->load.config, first_id, &w->engine) < 0) {
                world_fail(w, "out of memory");
                return;
        }
        world_record_start(w);
        w->adopting = true;
        if (w->cap_bytes != SIZE_INFINITY) /* known before anybody is: see manager_start() */
                world_feed(w, &cap);
        if (w->leftover_bytes > 0)
                world_feed(w, &leftovers);
        if (paused)
                world_feed(w, &pause);
        adopt_all(w, first_id);
        w->adopting = false;
        if (w->shut_down) {
                w->shutdown_done = false;
                w->shutdown_until_usec = USEC_INFINITY;
                world_feed(w, &shutdown);
        }
        world_feed(w, &tick);
        recall(w);
        for (size_t i = 0; i < w->load.n_queries; i++) {
                Event of_unit = { .type = EVENT_CAP, .query_id = w->queries[i].id, .bytes = w->queries[i].cap_bytes };

                if (w->queries[i].unit == SIM_UNIT_UP && of_unit.bytes != SIZE_INFINITY)
                        world_feed(w, &of_unit);
        }
        for (size_t i = 0; i < w->load.n_queries; i++) /* whoever was left frozen goes on, or waits */
                if (w->queries[i].group.populated)
                        process_thaw(w, i);
}

void world_restart(World *w) {
        uint64_t first_id = engine_next_id(w->engine);
        bool paused = engine_is_paused(w->engine);

        world_trace(w, "killed, and started anew");
        w->killed = false;
        w->tally.restarts++;
        world_keep_items(w, outlives);
        w->tick_usec = USEC_INFINITY;
        w->performed_until_usec = w->now_usec;
        for (size_t i = 0; i < w->load.n_queries; i++)
                forget_plans(&w->queries[i]);
        w->engine = engine_free(w->engine);
        take_over(w, first_id, paused);
}
