/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The unit of a query: check its paths as the caller, start it, meet its worker, make its groups, and see it go. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/dependencies.h"
#include "daemon/spares.h"
#include "host/journal.h"

/* penstock.slice on top of the budget: what is shared by all units. */
#define SLICE_ALLOWANCE_BYTES (32 * MIB)

uint64_t manager_slice_slack(const Manager *m) {
        const Config *c = m->config;
        /* spares, and as many that were taken and that the engine has not asked for */
        uint64_t units = add_saturating(engine_units_for_slack(m->engine), 2 * c->warm_units);

        return add_saturating(add_saturating(multiply_saturating(c->compile_concurrency, c->compile_memory_bytes),
                                             multiply_saturating(units, UNIT_ALLOWANCE_BYTES)),
                              SLICE_ALLOWANCE_BYTES);
}

uint64_t manager_slice_bytes(const Manager *m) {
        /* What is still held above a budget that a reload lowered counts, too. */
        return add_saturating(MAX(m->config->max_memory_bytes, budget_total_bytes(engine_budget(m->engine))),
                              manager_slice_slack(m));
}

uint64_t entry_unit_max_bytes(const Entry *e) {
        return add_saturating(MAX(e->max_bytes, e->has_compile ? e->manager->config->compile_memory_bytes : 0),
                              UNIT_ALLOWANCE_BYTES);
}

void manager_unit_asked(Manager *m, Entry *e, uint64_t max_bytes) {
        e->unit_max_bytes = max_bytes;
        e->cap_bytes = SIZE_INFINITY;
        e->unit_requested = e->starting = true;
        m->n_units_starting++;
}

static void start_now(Manager *m, Entry *e) {
        CLEANUP(unit_plan_done) UnitPlan plan = {};
        Error error = {};
        int r = unit_plan_make(e, &plan);

        if (r >= 0 && !unit_paths_are_apart(&plan.paths, &error))
                r = -EINVAL;
        if (r >= 0)
                r = unit_plan_start(&plan, m->systemd, e->record.id, "Penstock query", &error);
        if (r < 0) {
                if (error.code == ERROR_NONE)
                        error_set(&error, ERROR_INTERNAL, "its unit can't be made: %s", strerror(-r));
                manager_fail(m, e, error.code, error.message);
                return;
        }
        manager_unit_asked(m, e, plan.spec.memory_max_bytes);
        spares_learn(m, e, &plan);
}

/* The first that waits, while there is room: counted from the asking, not from the look at the caller's paths, which his file
 * system may delay as it likes. One that can't be asked for fails here and takes no place. */
static void start_waiting(Manager *m) {
        while (m->n_units_starting < m->pace.allowed) {
                size_t i = 0; /* anew: a failure is told to the engine, and entries may leave over it */

                while (i < m->n_entries && !m->entries[i]->start_waits)
                        i++;
                if (i == m->n_entries)
                        return;
                m->entries[i]->start_waits = false;
                start_now(m, m->entries[i]);
        }
}

void manager_start_settled(Manager *m, Entry *e) {
        if (!e->starting)
                return;
        e->starting = false;
        m->n_units_starting--;
        start_waiting(m);
        spares_look_soon(m);
}

/* Once its unit is its own, and its worker there. */
void manager_tell_ready(Manager *m, Entry *e) {
        if (e->started_told || e->leaving || e->is_spare || e->taken_key || !e->worker_ready)
                return;
        e->started_told = true;
        metrics_observe(m->metrics, METRIC_UNIT_START, &e->record.request.labels, NULL,
                        manager_now(m) - e->unit_wanted_usec);
        manager_feed(m, &(Event) { .type = EVENT_UNIT_READY, .query_id = e->record.id });
}

/* On record it still runs, and without its worker the next penstockd would have to take it for lost. */
static bool is_witness(const Manager *m, const Entry *e) {
        return e->again & AGAIN_STATE && !engine_is_shut_down(m->engine);
}

void manager_acknowledge(Manager *m, Entry *e, WorkerConn *c) {
        e->ack_waits = is_witness(m, e);
        if (!e->ack_waits)
                (void) worker_conn_send_ack(c);
}

/* Its worker ends by itself when it is told to; PID 1 ends a unit whose worker can't be told. */
static void let_go(Manager *m, Entry *e) {
        int r = -ENOTCONN;

        e->ack_waits = e->ended_told && is_witness(m, e);
        if (e->ack_waits) {
                e->word_due_usec = 0;
                return;
        }
        if (e->conn)
                r = e->ended_told ? worker_conn_send_ack(e->conn) : worker_conn_send_release(e->conn);
        if (r < 0)
                r = systemd_unit_stop(m->systemd, e->record.id);
        else
                r = -EINPROGRESS;
        if (r < 0) /* else PID 1 sees to it */
                manager_await_word(m, e);
}

void manager_acknowledge_later(Manager *m, Entry *e) {
        if (e->ack_waits && e->unit_requested && !e->unit_forgotten && !is_witness(m, e))
                let_go(m, e);
}

static void start_checked(Manager *m, Entry *e) {
        if (!e->taken_key) {
                e->start_waits = true;
                start_waiting(m);
        } else if (spares_fits(m, e)) {
                free(e->taken_key);
                e->taken_key = NULL;
                metrics_add(m->metrics, METRIC_WARM_STARTS, &e->record.request.labels, NULL, 1);
                manager_look_above(m, e); /* while it was nobody's, nobody was told */
                manager_tell_ready(m, e);
        } else if (!e->starting)
                let_go(m, e); /* take_back() makes another one */
        else
                e->is_misfit = true; /* a start job that is canceled would be one more thing that can go wrong */
}

void manager_move_unit(Manager *m, Entry *e, Entry *from) {
        e->conn = from->conn;
        e->groups = from->groups;
        e->making = from->making;
        e->worker_ready = from->worker_ready;
        e->starting = from->starting;
        e->unit_requested = from->unit_requested;
        e->unit_max_bytes = from->unit_max_bytes;
        e->cap_bytes = SIZE_INFINITY;
        free(e->record.control_group);
        e->record.control_group = from->record.control_group;
        from->conn = NULL;
        from->groups = NULL;
        from->making = 0;
        from->record.control_group = NULL;
        from->starting = from->unit_requested = false;
        if (e->conn)
                worker_conn_set_userdata(e->conn, e);
        if (e->groups)
                manager_watch_unit(m, e);
}

/* Its unit is gone, and nothing has run in it: as if it had had none. */
static void drop_unit(Manager *m, Entry *e) {
        manager_start_settled(m, e);
        entry_drop_unit(e);
        cgroup_remove_unit(e->record.control_group);
        e->unit_requested = e->unit_forgotten = e->started_told = e->is_misfit = e->ack_waits = false;
        if (e->cap_bytes != SIZE_INFINITY) /* an administrator's word on that unit */
                manager_feed(m, &(Event) { .type = EVENT_CAP, .query_id = e->record.id, .bytes = SIZE_INFINITY });
        e->word_due_usec = 0;
}

static bool is_taken(const Entry *e) {
        return e->taken_key && !e->is_spare && !e->leaving;
}

/* One that it has taken, and that was not its own yet. */
static void take_back(Manager *m, Entry *e) {
        drop_unit(m, e);
        if (!e->unit_unasked && !e->pathcheck)
                start_checked(m, e);
        e->unit_unasked = false;
}

static void on_paths(int r, PathcheckResult *results, size_t n, void *userdata) {
        Entry *e = userdata;
        Manager *m = e->manager;
        char message[ERROR_MESSAGE_MAX];
        Error error = {};

        e->pathcheck = pathcheck_free(e->pathcheck);
        pathcheck_results_free(e->paths, e->n_paths); /* of a unit that was lost */
        e->paths = results;
        e->n_paths = n;
        if (r < 0) {
                snprintf(message, sizeof(message), "its paths could not be looked at as the caller: %s", strerror(-r));
                manager_fail(m, e, r == -ETIMEDOUT ? ERROR_INVALID_ARGUMENT : ERROR_INTERNAL, message);
                return;
        }
        for (size_t i = 0; i < n; i++)
                if (!unit_path_is_usable(e, &results[i], &error)) {
                        manager_fail(m, e, error.code, error.message);
                        return;
                }
        start_checked(m, e);
}

void manager_start_unit(Manager *m, Entry *e) {
        const Request *r = &e->record.request;
        PathcheckItem items[3];
        PathcheckRequest request = { .uid = r->uid, .gid = r->gid, .gids = r->gids, .n_gids = r->n_gids, .items = items };
        int k;

        e->unit_wanted_usec = manager_now(m);
        e->unit_unasked = false;
        request.n_items = unit_plan_items(e, items);
        if (request.n_items == 0) {
                start_checked(m, e);
                return;
        }
        k = pathcheck_start(m->event, &request, on_paths, e, &e->pathcheck);
        if (k < 0)
                manager_fail(m, e, ERROR_INTERNAL, "its paths could not be checked");
}

void manager_release_unit(Manager *m, Entry *e) {
        e->leaving = true;
        e->start_waits = false;
        e->pathcheck = pathcheck_free(e->pathcheck);
        if (!e->unit_requested) {
                manager_feed(m, &(Event) { .type = EVENT_UNIT_GONE, .query_id = e->record.id });
                return;
        }
        if (e->unit_forgotten)
                return; /* its last process is waited for: on_empty() */
        let_go(m, e);
}

static bool requires_units(const Entry *e) {
        for (size_t i = 0; i < e->dependencies.n; i++)
                if (e->dependencies.v[i].requires_units.n > 0)
                        return true;
        return false;
}

/* It was active when the query was checked, and is not now that it starts. */
static void fail_requirement(Manager *m, Entry *e) {
        char message[ERROR_MESSAGE_MAX] = "a unit of Requires= is not active any more; of dependencies";

        for (size_t i = 0; i < e->dependencies.n; i++)
                if (e->dependencies.v[i].requires_units.n > 0) {
                        size_t n = strlen(message);

                        snprintf(message + n, sizeof(message) - n, " %s", e->dependencies.v[i].name);
                }
        manager_fail(m, e, ERROR_DEPENDENCY_FAILED, message);
}

static void on_unit_started(uint64_t id, int r, const char *error_text, void *userdata) {
        Manager *m = userdata;
        Entry *e = manager_entry(m, id);

        if (!e)
                return;
        manager_start_settled(m, e);
        if (r >= 0) {
                if (e->is_misfit)
                        let_go(m, e);
                return; /* its worker will say so */
        }
        if (!e->is_spare || !e->leaving)
                journal_write(LOG_ERR, JOURNAL_UNIT_FAILED, id, "Query %llu: its unit was not started: %s",
                              (unsigned long long) id, error_text ? error_text : strerror(-r));
        if (is_taken(e)) {
                take_back(m, e);
                return;
        }
        spares_lost(m, e);
        if (e->leaving)
                manager_feed(m, &(Event) { .type = EVENT_UNIT_GONE, .query_id = id });
        else if (r == -ENOLINK && requires_units(e))
                fail_requirement(m, e);
        else
                manager_fail(m, e, ERROR_INTERNAL, "systemd did not start its unit; the journal of penstockd says why");
        manager_unit_gone(m, e);
}

/* PID 1 forgot the unit and no process of it is left. */
static void on_empty(void *userdata) {
        Entry *e = userdata;
        Manager *m = e->manager;
        uint64_t id = e->record.id;
        const Query *q;

        e->last_process = empty_watch_free(e->last_process);
        if (is_taken(e)) {
                take_back(m, e);
                return;
        }
        if (e->handed && !e->ended_told)
                manager_worker_lost(m, e);
        manager_look_for_leftovers(m); /* before the engine gives away what was held back for the unit */
        q = engine_find(m->engine, id);
        if (!e->handed && !e->leaving)
                drop_unit(m, e);
        else if (e->leaving && q && !query_state_is_end(q->state)) { /* it runs once more */
                drop_unit(m, e);
                entry_forget_run(e);
        }
        manager_feed(m, &(Event) { .type = EVENT_UNIT_GONE, .query_id = id });
        q = engine_find(m->engine, id);
        e = manager_entry(m, id);
        if (e && (!q || query_state_is_end(q->state))) /* else it has, or will have, another one */
                manager_unit_gone(m, e);
}

/* A process in an uninterruptible sleep outlives SIGKILL, and its query's slot is not free before it is gone. PID 1
 * calls such a unit failed, and forgets it only when its group is empty (unit_may_gc(), seen on 252 and 257); but that a
 * unit is not there can also be the word of a new PID 1, so the group itself has the last one. */
static void on_unit_gone(uint64_t id, void *userdata) {
        Manager *m = userdata;
        Entry *e = manager_entry(m, id);

        if (!m->adopted) {
                manager_gather_unit_gone(m, id);
                return;
        }
        if (e && e->unit_requested) /* else it is one of an earlier life, and its query has, or will have, another one */
                manager_unit_forgotten(m, e);
}

void manager_unit_forgotten(Manager *m, Entry *e) {
        uint64_t id = e->record.id;

        e->unit_forgotten = true;
        spares_lost(m, e);
        worker_conn_receive_all(e->conn); /* its last word may lie there unread */
        if (!e->groups || query_groups_are_empty(e->groups)) {
                on_empty(e);
                return;
        }
        journal_write(LOG_WARNING, JOURNAL_UNIT_FAILED, id,
                      "Query %llu: its unit is gone, and a process of it is not; its slot and memory stay taken until it is",
                      (unsigned long long) id);
        (void) query_groups_kill(e->groups, false);
        (void) query_groups_kill(e->groups, true);
        if (empty_watch_new(m->event, e->groups, on_empty, e, &e->last_process) < 0)
                on_empty(e);
}

static void on_answered(uint64_t usec, void *userdata) {
        Manager *m = userdata;

        metrics_observe(m->metrics, METRIC_SYSTEMD_ANSWER, NULL, NULL, usec);
        pace_answered(&m->pace, usec, manager_now(m));
}

static void on_resync(void *userdata) {
        manager_look_above(userdata, NULL); /* of the units when they are sampled */
        journal_write(LOG_NOTICE, JOURNAL_PLAIN, 0, "The service manager or the bus started anew");
}

const SystemdOps manager_systemd_ops = {
        .unit_started = on_unit_started,
        .unit_gone = on_unit_gone,
        .resync = on_resync,
        .answered = on_answered,
};
