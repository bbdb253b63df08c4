/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* penstockd's hands, PID 1 and the worker: actions are performed in their order, each a little after the other. */
#include <errno.h>
#include <signal.h>

#include "core/trace.h"
#include "sim/world.h"

static void on_state(World *w, SimQuery *q, size_t i) {
        const Query *known = engine_find(w->engine, q->id);

        if (!known || !query_state_is_end(known->state))
                return;
        if (q->end_published) {
                world_fail(w, "the end of q%llu is published twice", (unsigned long long) q->id);
                return;
        }
        q->end_published = true;
        w->tally.finished += known->state == QUERY_FINISHED;
        w->tally.errored += known->state == QUERY_ERRORED;
        w->tally.canceled += known->state == QUERY_CANCELED;
        if (q->group.populated)
                world_fail(w, "q%llu is said to have ended with processes in its group", (unsigned long long) q->id);
        check_verdict(w, q, known);
        w->tally.raises_saved += known->n_raises_saved;
        q->lesson = (Lesson) { .fingerprint = { known->spec.fingerprint[0], known->spec.fingerprint[1] },
                               .needed_bytes = known->needed_bytes,
                               .raises = known->needed_raises };
        if (q->load->done_after_usec != LOAD_NEVER)
                world_push(w, q->load->done_after_usec, ITEM_DONE, i);
}

/* Once, of one that may be, that was killed for want of the budget, and of which nobody has seen anything. */
static void on_retry(World *w, SimQuery *q) {
        const Query *known = engine_find(w->engine, q->id);

        if (!w->load.config.retry_on_exhaustion || !q->load->spec.may_retry || !q->load->is_silent || q->exit_signal != SIGKILL ||
            q->group.populated || q->n_retries > 0 || !known || known->n_retries != 1 || known->state != QUERY_QUEUEING || known->done)
                world_fail(w, "q%llu is run once more, and should not be", (unsigned long long) q->id);
        w->tally.retries++;
        q->n_retries++;
        q->retries = true;
        q->last_state = QUERY_CREATED; /* it goes back, this once */
}

static void on_note(World *w, SimQuery *q, NoteType note) {
        w->tally.raises += note == NOTE_RAISE;
        w->tally.denials += note == NOTE_DENIED;
        w->tally.freezes += note == NOTE_FREEZE;
        w->tally.victims += note == NOTE_VICTIM;
        w->tally.lowered += note == NOTE_LOWERED;
        w->tally.learned_starts += note == NOTE_LEARNED;
        if (note == NOTE_DENIED)
                q->denied_at_bytes = q->group.max_bytes;
        if (note == NOTE_LEARNED && w->load.config.initial_quota != INITIAL_QUOTA_LEARNED)
                world_fail(w, "a start by what was learned, which nobody asked for");
        if (note == NOTE_VICTIM && w->load.steady)
                world_fail(w, "a victim, though each could have ended after the other");
        if (note == NOTE_LIMIT_FAILED)
                world_fail(w, "a limit that was set is said to have failed");
}

static void on_forget(World *w, SimQuery *q) {
        if (q->forgotten || !q->end_published)
                world_fail(w, "q%llu is forgotten twice, or before its end", (unsigned long long) q->id);
        q->forgotten = true;
}

/* When all have ended, or its time is up: then it says who has not. */
static void on_shutdown_done(World *w, const Action *a) {
        uint64_t live = 0;

        for (const Query *q = NULL; (q = engine_next(w->engine, q));)
                live += !query_state_is_end(q->state);
        if (!w->shut_down || w->shutdown_done)
                world_fail(w, "Shutdown is answered twice, or unasked");
        else if (live > 0 && w->now_usec < w->shutdown_until_usec)
                world_fail(w, "Shutdown is answered before its time, and %llu have not ended", (unsigned long long) live);
        else if ((live > 0) != (a->error.code != ERROR_NONE))
                world_fail(w, "Shutdown is answered with %s, and %llu have not ended", error_name(a->error.code),
                           (unsigned long long) live);
}

/* What is said to clients is said at once. True: nothing is left to perform. */
static bool take(World *w, const Action *a) {
        size_t i = 0;
        SimQuery *q = world_by_id(w, a->query_id, &i);

        switch (a->type) {
        case ACTION_ADMITTED:
                w->queries[w->submitting].id = a->query_id;
                return true;
        case ACTION_REFUSED:
                w->tally.refused++;
                return true;
        case ACTION_SHUTDOWN_DONE:
                on_shutdown_done(w, a);
                w->shutdown_done = true;
                return true;
        case ACTION_NOTE:
                on_note(w, q, a->note);
                if (a->note == NOTE_RETRY)
                        on_retry(w, q);
                return true;
        case ACTION_STATE:
                on_state(w, q, i);
                return true;
        case ACTION_FORGET:
                on_forget(w, q);
                return true;
        default:
                return false;
        }
}

void host_take_actions(World *w) {
        for (size_t j = 0; j < w->actions.n; j++) {
                const Action *a = &w->actions.v[j];
                Item item = { .type = ITEM_PERFORM, .action = a->type, .max_bytes = a->limits.max_bytes,
                              .high_bytes = a->limits.high_bytes };

                world_trace(w, "  %s q%llu %s%lluK %s", trace_action_name(a->type), (unsigned long long) a->query_id,
                            a->limits.max_bytes ? "max " : "", (unsigned long long) a->limits.max_bytes / 1024,
                            a->error.message);
                if (take(w, a))
                        continue;
                world_by_id(w, a->query_id, &item.query);
                /* One hand performs one action after the other, and at times it is slow. */
                w->performed_until_usec = MAX(w->performed_until_usec, w->now_usec) +
                                          (random_percent(&w->random, 20) ? world_wake(w) : 0);
                item.at_usec = w->performed_until_usec;
                w->queries[item.query].actions_pending++;
                world_push_item(w, item);
        }
}

static void release_dependencies(World *w, SimQuery *q) {
        if (!q->has_dependencies || q->dependencies_told || !q->end_published)
                world_fail(w, "the dependencies of q%llu are told of its end twice, before it, or for nothing",
                           (unsigned long long) q->id);
        q->dependencies_told = true;
}

static void start_unit(World *w, SimQuery *q, size_t i) {
        if (q->checking || q->recheck || q->has_dependencies != q->load->spec.has_dependencies)
                world_fail(w, "q%llu is started before its dependencies are there", (unsigned long long) q->id);
        if (q->unit != SIM_UNIT_NONE)
                world_fail(w, "the unit of q%llu is started twice", (unsigned long long) q->id);
        q->unit = SIM_UNIT_STARTING;
        world_push(w, q->load->unit_start_usec, ITEM_UNIT_OUTCOME, i);
}

static void release_unit(World *w, SimQuery *q, size_t i) {
        if (q->unit == SIM_UNIT_STARTING)
                q->leave_when_up = true;
        else if (q->unit == SIM_UNIT_UP) {
                q->unit = SIM_UNIT_LEAVING;
                world_push(w, q->load->unit_stop_usec, ITEM_UNIT_GONE, i);
        } else if (q->unit == SIM_UNIT_NONE || (q->unit == SIM_UNIT_LEAVING && w->tally.restarts == 0))
                world_fail(w, "the unit of q%llu is released twice, or was never there", (unsigned long long) q->id);
}

static void set_limits(World *w, SimQuery *q, size_t i, const Item *item) {
        Item read_back = { .type = ITEM_LIMITS, .query = i };

        if (item->action == ACTION_EXECUTE) {
                if (q->executed || q->unit == SIM_UNIT_NONE || q->unit == SIM_UNIT_STARTING)
                        world_fail(w, "q%llu is handed over twice, or without a unit", (unsigned long long) q->id);
        } else if (!q->group.populated) {
                read_back.r = -ENODEV; /* its group went in the meantime */
                read_back.at_usec = w->now_usec;
                world_push_item(w, read_back);
                return;
        } else if (q->lowering)
                world_fail(w, "the limit of q%llu is set while it is lowered", (unsigned long long) q->id);
        else if (item->max_bytes < q->group.max_bytes)
                world_fail(w, "the limit of q%llu is lowered under it", (unsigned long long) q->id);
        if (item->action == ACTION_SET_LIMITS && item->max_bytes > q->group.max_bytes) {
                q->n_raises++;
                q->raised_from_bytes = q->group.max_bytes;
        }
        if (kernel_group_set_max(&q->group, item->max_bytes))
                world_fail(w, "a write of memory.max killed q%llu", (unsigned long long) q->id);
        q->group.high_bytes = item->high_bytes;
        check_kernel(w);
        read_back.max_bytes = q->group.max_bytes;
        read_back.at_usec = w->now_usec + (random_percent(&w->random, 10) ? world_wake(w) : 0);
        q->read_back_usec = read_back.at_usec;
        world_push_item(w, read_back);
        if (item->action == ACTION_EXECUTE && q->unit == SIM_UNIT_UP) {
                q->start_fails = random_percent(&w->random, 2);
                process_start(w, i);
        }
}

/* What the host takes to freeze it and to reclaim its page cache. */
#define LOWERING_USEC_MAX (50 * USEC_PER_MSEC)
/* Unreclaimable memory must stay so far below the target, or nothing is done. */
#define LOWERING_MARGIN_BYTES MIB

static void begin_lowering(World *w, SimQuery *q, const Item *item) {
        Item done = *item;

        if (q->group.frozen)
                world_fail(w, "q%llu is lowered while it waits frozen", (unsigned long long) q->id);
        process_count_wait(w, q);
        q->lowering = q->group.frozen = q->group.populated;
        q->actions_pending++; /* until it is told */
        done.type = ITEM_LOWERED;
        /* penstockd reads back as it writes: what a write came to is told before a later one has begun. */
        done.at_usec = w->now_usec + random_between(&w->random, 0, LOWERING_USEC_MAX);
        done.at_usec = MAX(done.at_usec, q->read_back_usec);
        world_push_item(w, done);
}

void host_lowered(World *w, const Item *item) {
        SimQuery *q = &w->queries[item->query];
        KernelGroup *g = &q->group;
        Event ev = { .type = EVENT_LOWERED, .query_id = q->id };

        q->actions_pending--;
        if (!g->populated)
                ev.limits.r = -ENODEV;
        else if (g->anon_bytes + g->shmem_bytes + LOWERING_MARGIN_BYTES > item->max_bytes)
                ev.limits.r = -EBUSY;
        else {
                if (kernel_group_set_max(g, item->max_bytes))
                        world_fail(w, "lowering its quota killed q%llu", (unsigned long long) q->id);
                g->high_bytes = item->high_bytes;
        }
        ev.limits.max_bytes = g->max_bytes;
        q->lowering = g->frozen = false;
        process_thaw(w, item->query);
        world_feed(w, &ev);
}

void host_perform(World *w, const Item *item) {
        SimQuery *q = &w->queries[item->query];

        q->actions_pending--;
        switch (item->action) {
        case ACTION_CHECK_DEPENDENCIES:
                q->checking = true;
                world_push(w, q->load->check_usec, ITEM_DEPENDENCIES, item->query);
                break;
        case ACTION_RELEASE_DEPENDENCIES: release_dependencies(w, q); break;
        case ACTION_START_UNIT: start_unit(w, q, item->query); break;
        case ACTION_RELEASE_UNIT: release_unit(w, q, item->query); break;
        case ACTION_COMPILE:
                if (q->unit == SIM_UNIT_UP && !q->compile_runs) {
                        q->compile_runs = true;
                        world_push(w, q->load->compile_usec, ITEM_COMPILE_END, item->query);
                }
                break;
        case ACTION_KILL_COMPILE: q->compile_killed = true; break;
        case ACTION_EXECUTE:
        case ACTION_SET_LIMITS: set_limits(w, q, item->query, item); break;
        case ACTION_LOWER: begin_lowering(w, q, item); break;
        case ACTION_SAMPLE: world_push(w, 0, ITEM_SAMPLED, item->query); break;
        case ACTION_FREEZE:
                process_count_wait(w, q);
                q->group.frozen = q->group.populated;
                break;
        case ACTION_THAW:
                q->group.frozen = false;
                process_thaw(w, item->query);
                break;
        case ACTION_TERMINATE:
                if (q->load->obeys_term)
                        world_push(w, q->load->term_usec, ITEM_OBEY, item->query);
                break;
        case ACTION_KILL: process_die(w, item->query, -1, SIGKILL); break;
        default: world_fail(w, "an action that nobody performs: %d", (int) item->action);
        }
        if (action_record(item->action) != ACTION_RECORDED_WHEN_DONE)
                return;
        /* What dependencies were told of is told again by another service: to them it is twice. */
        w->killed = item->action != ACTION_RELEASE_DEPENDENCIES && world_is_to_crash(w);
        if (!w->killed)
                world_save_query(w, q->id, NULL);
}

/* Asked for by a query that may have ended meanwhile; then nobody has them. */
void host_dependencies(World *w, size_t i) {
        SimQuery *q = &w->queries[i];
        Error error = { ERROR_DEPENDENCY_FAILED, "it is not there" };
        Event ev = { .type = EVENT_DEPENDENCIES, .query_id = q->id };

        q->checking = q->recheck = false;
        q->has_dependencies = q->has_dependencies || (!q->load->check_fails && !q->end_published);
        ev.error = q->load->check_fails ? &error : NULL;
        world_feed(w, &ev);
}

void host_unit_outcome(World *w, size_t i) {
        SimQuery *q = &w->queries[i];
        Error error = { ERROR_INTERNAL, "PID 1 could not start it" };
        Event ev = { .type = EVENT_UNIT_READY, .query_id = q->id };

        if (q->load->unit_fails) {
                q->unit = SIM_UNIT_GONE;
                ev.type = EVENT_UNIT_FAILED;
                ev.error = &error;
        } else
                q->unit = SIM_UNIT_UP;
        world_feed(w, &ev);
        if (q->unit == SIM_UNIT_UP && q->leave_when_up) {
                q->leave_when_up = false;
                release_unit(w, q, i);
        }
}

void host_unit_gone(World *w, size_t i) {
        SimQuery *q = &w->queries[i];
        Event ev = { .type = EVENT_UNIT_GONE, .query_id = q->id };

        q->unit = q->retries ? SIM_UNIT_NONE : SIM_UNIT_GONE;
        q->compile_runs = false;
        if (q->retries)
                process_forget(q);
        q->residual_bytes = q->reported_bytes = 0;
        world_feed(w, &ev);
}

/* Someone stopped it behind our back, or its worker crashed: all is dead, nobody reports. */
void host_unit_lost(World *w, size_t i) {
        SimQuery *q = &w->queries[i];

        if (q->dying || q->unit != SIM_UNIT_UP)
                return;
        q->dying = true;
        q->exit_status = -1; /* nobody will say */
        q->group.frozen = false;
        kernel_group_empty(&q->group);
        q->unit = SIM_UNIT_LEAVING;
        q->residual_bytes = q->group.shmem_bytes;
        world_push(w, q->load->unit_stop_usec, ITEM_UNIT_GONE, i);
}

void host_compile_end(World *w, size_t i) {
        SimQuery *q = &w->queries[i];
        Event ev = { .type = EVENT_COMPILED, .query_id = q->id };

        if (!q->compile_runs)
                return;
        ev.ended.report.exit_status = q->compile_killed ? -1 : q->load->compile_status;
        ev.ended.report.exit_signal = q->compile_killed ? SIGKILL : 0;
        if (!q->compile_killed)
                q->compile_runs = false; /* else its children may live on, until the unit is gone */
        world_feed(w, &ev);
}

void host_ended(World *w, size_t i) {
        SimQuery *q = &w->queries[i];
        Error error = { ERROR_EXECUTION_FAILED, "no such program" };
        Event ev = { .type = EVENT_ENDED, .query_id = q->id };

        ev.ended.report = (EndedReport) {
                .exit_status = q->exit_status,
                .exit_signal = q->exit_signal,
                .start_failed = q->start_fails,
                .results_empty = q->load->is_silent,
                .numbers = { .memory_peak_bytes = q->group.peak_bytes,
                             .stall_usec = kernel_group_stalled_usec(&q->group, w->now_usec),
                             .events_high = q->group.events_high,
                             .events_max = q->group.events_max,
                             .events_oom = q->group.events_oom,
                             .events_oom_kill = q->group.events_oom_kill,
                             .residual_bytes = q->residual_bytes },
        };
        ev.ended.error = q->start_fails ? &error : NULL;
        q->reported_bytes = q->residual_bytes;
        world_feed(w, &ev);
}

void host_notify(World *w, size_t i) {
        SimQuery *q = &w->queries[i];
        Event ev = { .type = EVENT_SAMPLE, .query_id = q->id };

        if (!q->group.populated)
                return;
        kernel_group_sample(&q->group, w->now_usec, &ev.sample);
        process_count_wait(w, q);
        ev.sample.cpu_usec = q->cpu_usec;
        ev.sample.cpu_wait_usec = q->cpu_wait_usec;
        ev.sample.has_usage = ev.sample.has_cpu_wait = true;
        world_feed(w, &ev);
}
