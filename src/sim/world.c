/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sim/world.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

static const char *const item_names[_ITEM_MAX] = {
        [ITEM_ARRIVAL] = "request",          [ITEM_ACT] = "operator",
        [ITEM_TICK] = "tick",                [ITEM_PERFORM] = "perform",
        [ITEM_DEPENDENCIES] = "dependencies",
        [ITEM_UNIT_OUTCOME] = "unit-outcome", [ITEM_UNIT_GONE] = "unit-gone",
        [ITEM_UNIT_LOST] = "unit-lost",      [ITEM_COMPILE_END] = "compile-end",
        [ITEM_TOUCH] = "touch",              [ITEM_REST_END] = "rest-end",
        [ITEM_OBEY] = "obey",                [ITEM_EMPTY] = "empty",
        [ITEM_ENDED] = "ended",              [ITEM_NOTIFY] = "memory-event",
        [ITEM_SAMPLED] = "sampled",          [ITEM_LIMITS] = "limits",
        [ITEM_LOWERED] = "lowered",
        [ITEM_CAP] = "cap",                  [ITEM_UNCAP] = "uncap",
        [ITEM_CANCEL] = "cancel",            [ITEM_HOLD_DROPPED] = "hold-dropped",
        [ITEM_READER_GONE] = "reader-gone",  [ITEM_DONE] = "done",
};

void world_fail(World *w, const char *format, ...) {
        va_list ap;
        int n;

        if (world_failed(w))
                return;
        n = snprintf(w->failure, sizeof(w->failure), "at %llu us: ", (unsigned long long) w->now_usec);
        va_start(ap, format);
        vsnprintf(w->failure + n, sizeof(w->failure) - (size_t) n, format, ap);
        va_end(ap);
}

void world_trace(World *w, const char *format, ...) {
        va_list ap;

        if (!w->trace)
                return;
        fprintf(w->trace, "%6llu.%06llu ", (unsigned long long) (w->now_usec / USEC_PER_SEC),
                (unsigned long long) (w->now_usec % USEC_PER_SEC));
        va_start(ap, format);
        vfprintf(w->trace, format, ap);
        va_end(ap);
        fputc('\n', w->trace);
}

static bool earlier(const Item *a, const Item *b) {
        return a->at_usec != b->at_usec ? a->at_usec < b->at_usec : a->number < b->number;
}

void world_push_item(World *w, Item item) {
        size_t i = w->n_heap;

        if (w->n_heap == w->heap_allocated) {
                size_t n = MAX(2 * w->heap_allocated, 256u);
                Item *heap = realloc(w->heap, n * sizeof(*heap));

                if (!heap) {
                        world_fail(w, "out of memory");
                        return;
                }
                w->heap = heap;
                w->heap_allocated = n;
        }
        item.number = w->next_number++;
        if (item.run == 0 && item.type != ITEM_ACT && item.type != ITEM_TICK)
                item.run = 1 + w->queries[item.query].n_retries;
        for (w->n_heap++; i > 0 && earlier(&item, &w->heap[(i - 1) / 2]); i = (i - 1) / 2)
                w->heap[i] = w->heap[(i - 1) / 2];
        w->heap[i] = item;
}

void world_push(World *w, uint64_t after_usec, ItemType type, size_t query) {
        world_push_item(w, (Item) { .at_usec = w->now_usec + after_usec, .type = type, .query = query });
}

static Item pop(World *w) {
        Item first = w->heap[0], last = w->heap[--w->n_heap];
        size_t i = 0, child;

        while ((child = 2 * i + 1) < w->n_heap) {
                child += child + 1 < w->n_heap && earlier(&w->heap[child + 1], &w->heap[child]);
                if (!earlier(&w->heap[child], &last))
                        break;
                w->heap[i] = w->heap[child];
                i = child;
        }
        w->heap[i] = last;
        return first;
}

void world_keep_items(World *w, bool (*keep)(const World *w, const Item *item)) {
        size_t n = w->n_heap;
        Item *old = w->heap;

        w->heap = NULL;
        w->n_heap = w->heap_allocated = 0;
        for (size_t i = 0; i < n; i++)
                if (keep(w, &old[i])) {
                        uint64_t number = w->next_number;

                        w->next_number = old[i].number; /* of two at one time the earlier stays so */
                        world_push_item(w, old[i]);
                        w->next_number = number;
                }
        free(old);
}

SimQuery *world_by_id(World *w, uint64_t id, size_t *ret_index) {
        for (size_t i = 0; id && i < w->load.n_queries; i++)
                if (w->queries[i].id == id) {
                        if (ret_index)
                                *ret_index = i;
                        return &w->queries[i];
                }
        return NULL;
}

void world_feed(World *w, Event *ev) {
        uint64_t deadline;

        if (world_failed(w))
                return;
        w->tally.steps++;
        world_record_event(w, ev);
        if (engine_step(w->engine, ev, w->now_usec, &w->actions) < 0) {
                world_fail(w, "out of memory");
                return;
        }
        world_record_actions(w);
        host_take_actions(w);
        world_save(w, ev);
        if (w->adopting)
                return;
        check_engine(w, ev);
        check_kernel(w);
        deadline = engine_deadline(w->engine);
        if (deadline < w->tick_usec) {
                w->tick_usec = deadline;
                w->tick_number = w->next_number;
                world_push_item(w, (Item) { .at_usec = MAX(deadline, w->now_usec) + world_wake(w), .type = ITEM_TICK });
        }
}

/* Each third one gets an ID that was reserved two arrivals ago, as one whose unit was made ahead of it. */
static uint64_t next_id(World *w) {
        uint64_t id = w->reserved_id;

        if (w->tally.submitted % 3 == 1 && !id)
                w->reserved_id = engine_reserve_id(w->engine);
        if (w->tally.submitted % 3 != 0 || !id)
                return engine_next_id(w->engine);
        w->reserved_id = 0;
        return id;
}

static void on_arrival(World *w, size_t i) {
        const LoadQuery *l = w->queries[i].load;
        Event ev = { .type = EVENT_REQUEST, .request.spec = &l->spec };

        w->tally.submitted++;
        w->submitting = i;
        ev.query_id = next_id(w);
        world_feed(w, &ev);
        if (!w->queries[i].id)
                return;
        if (l->cap_usec != LOAD_NEVER)
                world_push(w, l->cap_usec, ITEM_CAP, i);
        if (l->cancel_usec != LOAD_NEVER)
                world_push(w, l->cancel_usec, ITEM_CANCEL, i);
        if (l->hold_drop_usec != LOAD_NEVER)
                world_push(w, l->hold_drop_usec, ITEM_HOLD_DROPPED, i);
        if (l->reader_gone_usec != LOAD_NEVER)
                world_push(w, l->reader_gone_usec, ITEM_READER_GONE, i);
        if (l->done_usec != LOAD_NEVER)
                world_push(w, l->done_usec, ITEM_DONE, i);
}

static void on_act(World *w, const LoadAct *a) {
        static const EventType types[] = { [LOAD_PAUSE] = EVENT_PAUSE, [LOAD_RESUME] = EVENT_RESUME,
                                           [LOAD_RELOAD] = EVENT_CONFIG, [LOAD_SHUTDOWN] = EVENT_SHUTDOWN,
                                           [LOAD_CAP] = EVENT_CAP, [LOAD_UNCAP] = EVENT_CAP,
                                           [LOAD_LEFTOVERS] = EVENT_LEFTOVERS };
        Event ev = { .type = types[a->type] };

        if (a->type == LOAD_RELOAD) {
                ev.config = &a->config;
                w->load.config = a->config;
                w->reloaded = true;
        }
        if (ev.type == EVENT_CAP)
                ev.bytes = w->cap_bytes = a->cap_bytes;
        if (a->type == LOAD_LEFTOVERS)
                ev.bytes = w->leftover_bytes = a->leftover_bytes;
        if (a->type == LOAD_SHUTDOWN) {
                ev.shutdown_usec = a->shutdown_usec;
                w->shut_down = true;
                w->shutdown_until_usec = a->shutdown_usec == 0 ? USEC_INFINITY : add_saturating(w->now_usec, a->shutdown_usec);
        }
        world_feed(w, &ev);
}

/* A client's event, and at times the same once more. */
static void on_client(World *w, size_t i, EventType type) {
        Event ev = { .type = type, .query_id = w->queries[i].id };

        world_feed(w, &ev);
        if (random_percent(&w->random, 20))
                world_feed(w, &ev);
}

/* Of a unit that is there. */
static void on_cap(World *w, size_t i, uint64_t bytes) {
        SimQuery *q = &w->queries[i];
        Event ev = { .type = EVENT_CAP, .query_id = q->id, .bytes = bytes };

        if (q->unit != SIM_UNIT_UP || q->cap_bytes == bytes)
                return;
        q->cap_bytes = bytes;
        if (bytes != SIZE_INFINITY && q->load->uncap_after_usec != LOAD_NEVER)
                world_push(w, q->load->uncap_after_usec, ITEM_UNCAP, i);
        world_feed(w, &ev);
}

static void on_limits(World *w, const Item *item) {
        Event ev = { .type = EVENT_LIMITS, .query_id = w->queries[item->query].id,
                     .limits = { .r = item->r, .max_bytes = item->max_bytes } };

        world_feed(w, &ev);
}

static void on_notify(World *w, size_t i) {
        w->queries[i].notify_pending = false;
        w->queries[i].notify_last_usec = w->now_usec;
        host_notify(w, i);
}

/* There is one timer: what it was set to before it was set to something sooner does not come. */
static void on_tick(World *w, const Item *item) {
        Event ev = { .type = EVENT_TICK };

        if (item->number != w->tick_number)
                return;
        w->tick_usec = USEC_INFINITY;
        world_feed(w, &ev);
}

/* What a run does, or is seen to do, ends with it. */
static bool is_of_an_earlier_run(const World *w, const Item *item) {
        switch (item->type) {
        case ITEM_UNIT_LOST:
        case ITEM_TOUCH:
        case ITEM_REST_END:
        case ITEM_OBEY:
        case ITEM_NOTIFY:
        case ITEM_SAMPLED:
        case ITEM_LIMITS:
        case ITEM_LOWERED:
                return item->run <= w->queries[item->query].n_retries;
        default:
                return false;
        }
}

static void happen(World *w, const Item *item) {
        size_t i = item->query;

        if (is_of_an_earlier_run(w, item))
                return;
        switch (item->type) {
        case ITEM_ARRIVAL: on_arrival(w, i); break;
        case ITEM_ACT: on_act(w, &w->load.acts[i]); break;
        case ITEM_TICK: on_tick(w, item); break;
        case ITEM_PERFORM: host_perform(w, item); break;
        case ITEM_DEPENDENCIES: host_dependencies(w, i); break;
        case ITEM_UNIT_OUTCOME: host_unit_outcome(w, i); break;
        case ITEM_UNIT_GONE: host_unit_gone(w, i); break;
        case ITEM_UNIT_LOST: host_unit_lost(w, i); break;
        case ITEM_COMPILE_END: host_compile_end(w, i); break;
        case ITEM_TOUCH: process_touch(w, i); break;
        case ITEM_REST_END: process_rest_end(w, i); break;
        case ITEM_OBEY: process_obey(w, i); break;
        case ITEM_EMPTY: process_empty(w, i); break;
        case ITEM_ENDED: host_ended(w, i); break;
        case ITEM_NOTIFY: on_notify(w, i); break;
        case ITEM_SAMPLED: host_notify(w, i); break;
        case ITEM_LIMITS: on_limits(w, item); break;
        case ITEM_LOWERED: host_lowered(w, item); break;
        case ITEM_CAP: on_cap(w, i, w->queries[i].load->cap_bytes); break;
        case ITEM_UNCAP: on_cap(w, i, SIZE_INFINITY); break;
        case ITEM_CANCEL: on_client(w, i, EVENT_CANCEL); break;
        case ITEM_HOLD_DROPPED: on_client(w, i, EVENT_HOLD_DROPPED); break;
        case ITEM_READER_GONE: on_client(w, i, EVENT_READER_GONE); break;
        case ITEM_DONE: on_client(w, i, EVENT_DONE); break;
        default: world_fail(w, "an item of no type");
        }
}

static void run(World *w) {
        while (w->n_heap > 0 && !world_failed(w)) {
                Item item = pop(w);

                w->now_usec = MAX(w->now_usec, item.at_usec);
                if (item.type != ITEM_TOUCH && item.type != ITEM_PERFORM)
                        world_trace(w, "%s q%llu", item_names[item.type],
                                    (unsigned long long) (item.type == ITEM_TICK || item.type == ITEM_ACT
                                                                  ? 0
                                                                  : w->queries[item.query].id));
                happen(w, &item);
                if (w->killed || world_is_to_crash(w))
                        world_restart(w);
                if (++w->tally.items > WORLD_EVENTS_MAX || w->now_usec > WORLD_USEC_MAX)
                        world_fail(w, "it does not come to an end");
        }
        if (!world_failed(w))
                check_end(w);
}

static int prepare(World *w, const Story *story) {
        size_t n_queries = story->n_queries;
        int r = load_draw(&w->load, story->seed, n_queries);

        if (r < 0)
                return r;
        w->random.state = ~story->seed;
        w->crash.state = story->seed ^ UINT64_C(0x9e3779b97f4a7c15);
        w->crashes = random_percent(&w->crash, 25);
        w->tick_usec = USEC_INFINITY;
        w->cap_bytes = SIZE_INFINITY;
        w->queries = calloc(MAX(n_queries, 1u), sizeof(*w->queries));
        if (!w->queries)
                return -ENOMEM;
        r = engine_new(&w->load.config, 1, &w->engine);
        if (r < 0)
                return r;
        world_record_start(w);
        for (size_t i = 0; i < n_queries; i++) {
                w->queries[i].load = &w->load.queries[i];
                w->queries[i].cap_bytes = SIZE_INFINITY;
                kernel_group_init(&w->queries[i].group);
                if (!story->without || !story->without[i])
                        world_push(w, w->load.queries[i].arrives_usec, ITEM_ARRIVAL, i);
        }
        for (size_t i = 0; i < w->load.n_acts; i++)
                world_push(w, w->load.acts[i].at_usec, ITEM_ACT, i);
        return 0;
}

static void tally_add(Tally *to, const Tally *from) {
        const uint64_t *f = (const uint64_t *) from;
        uint64_t *t = (uint64_t *) to;

        for (size_t i = 0; i < sizeof(*to) / sizeof(*t); i++)
                t[i] += f[i];
}

int world_play(const Story *story, FILE *trace, FILE *record, Tally *tally,
               char failure[static WORLD_FAILURE_MAX]) {
        World w = { .trace = trace, .record = record };
        int r = prepare(&w, story);

        if (r == 0)
                run(&w);
        if (r == 0 && world_failed(&w))
                r = -EPROTO;
        memcpy(failure, w.failure, WORLD_FAILURE_MAX);
        tally_add(tally, &w.tally);
        engine_free(w.engine);
        actions_done(&w.actions);
        free(w.heap);
        for (size_t i = 0; w.queries && i < story->n_queries; i++)
                free(w.queries[i].saved);
        free(w.queries);
        load_done(&w.load);
        return r;
}
