/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The unit of a query: check its paths as the caller, start it, meet its worker, make its groups, and see it go. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/dependencies.h"
#include "daemon/unit_paths.h"
#include "host/journal.h"

/* Units that PID 1 is asked to start at one time. A start has a time limit, and a hundred at once on a busy host all pass
 * it together (seen), while eights come up one after the other. Counted from the asking, not from the look at the
 * caller's paths, which his file system may delay as it likes. */
#define UNITS_STARTING_MAX 8u
/* penstock.slice on top of the budget: what is shared by all units. */
#define SLICE_ALLOWANCE_BYTES (32 * MIB)

uint64_t manager_slice_slack(const Manager *m) {
        const Config *c = m->config;

        return add_saturating(add_saturating(multiply_saturating(c->compile_concurrency, c->compile_memory_bytes),
                                             multiply_saturating(engine_units_max(m->engine), UNIT_ALLOWANCE_BYTES)),
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

static void start_now(Manager *m, Entry *e) {
        char id[32];
        char *argv[] = { (char *) PENSTOCK_WORKER_PATH, id, NULL };
        CLEANUP(unit_paths_done) UnitPaths paths = {};
        Error error = {};
        UnitSpec spec = {
                .query_id = e->record.id,
                .slice = SYSTEMD_SLICE,
                .description = "Penstock query",
                .exec_argv = argv,
                .memory_max_bytes = entry_unit_max_bytes(e),
                .memory_low_bytes = MIN(m->config->initial_bytes, e->max_bytes),
                .protect_min = m->config->memory_protection == PROTECTION_MIN,
                .tasks_max = add_saturating(m->config->tasks_max_per_query, 8),
                .tmpfs_bytes = e->max_bytes,
                .tmp_on_disk = e->tmp == TMP_DISK,
                .network = e->network,
                .home = e->home_access == PATH_HIDDEN      ? UNIT_HOME_HIDDEN
                        : e->home_access == PATH_READ_ONLY ? UNIT_HOME_READ_ONLY
                                                           : UNIT_HOME_READ_WRITE,
                .read_write_paths = &paths.read_write,
                .bind_paths = &paths.bind,
                .bind_read_only_paths = &paths.bind_read_only,
                .requisite_units = &paths.requisite,
                .after_units = &paths.after,
                .extra = &e->unit_properties,
        };
        int r;

        snprintf(id, sizeof(id), "%llu", (unsigned long long) e->record.id);
        r = unit_paths_collect(e, &paths);
        if (r >= 0)
                r = systemd_unit_start(m->systemd, &spec, &error);
        if (r < 0) {
                if (error.code == ERROR_NONE)
                        error_set(&error, ERROR_INTERNAL, "its unit can't be made: %s", strerror(-r));
                manager_fail(m, e, error.code, error.message);
                return;
        }
        e->unit_max_bytes = spec.memory_max_bytes;
        e->cap_bytes = SIZE_INFINITY;
        e->unit_requested = e->starting = true;
        m->n_units_starting++;
}

/* The first that waits, while there is room. One that can't be asked for fails here and takes no place. */
static void start_waiting(Manager *m) {
        while (m->n_units_starting < UNITS_STARTING_MAX) {
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
}

static void start_checked(Manager *m, Entry *e) {
        e->start_waits = true;
        start_waiting(m);
}

static void on_paths(int r, PathcheckResult *results, size_t n, void *userdata) {
        Entry *e = userdata;
        Manager *m = e->manager;
        char message[ERROR_MESSAGE_MAX];
        Error error = {};

        e->pathcheck = pathcheck_free(e->pathcheck);
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
        if (r->working_directory && e->working_directory_access != PATH_HIDDEN)
                items[request.n_items++] = (PathcheckItem) { "working_directory", r->working_directory,
                                                             PATHCHECK_DIRECTORY };
        if (r->database && r->database[0] == '/' && e->database_kind != DATABASE_NAME) /* not ":memory:" */
                items[request.n_items++] = (PathcheckItem) { "database", r->database, PATHCHECK_FILE };
        if (r->file)
                items[request.n_items++] = (PathcheckItem) { "file", r->file, PATHCHECK_FILE };
        if (request.n_items == 0) {
                start_checked(m, e);
                return;
        }
        k = pathcheck_start(m->event, &request, on_paths, e, &e->pathcheck);
        if (k < 0)
                manager_fail(m, e, ERROR_INTERNAL, "its paths could not be checked");
}

void manager_release_unit(Manager *m, Entry *e) {
        int r = -ENOTCONN;

        e->leaving = true;
        if (!e->unit_requested) {
                e->pathcheck = pathcheck_free(e->pathcheck);
                e->start_waits = false;
                manager_feed(m, &(Event) { .type = EVENT_UNIT_GONE, .query_id = e->record.id });
                return;
        }
        if (e->unit_forgotten)
                return; /* its last process is waited for: on_empty() */
        if (e->conn)
                r = e->ended_told ? worker_conn_send_ack(e->conn) : worker_conn_send_release(e->conn);
        if (r < 0)
                (void) systemd_unit_stop(m->systemd, e->record.id);
        else
                manager_await_word(m, e);
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
        if (r >= 0)
                return; /* its worker will say so */
        journal_write(LOG_ERR, JOURNAL_UNIT_FAILED, id, "Query %llu: its unit was not started: %s",
                      (unsigned long long) id, error_text ? error_text : strerror(-r));
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

        e->last_process = empty_watch_free(e->last_process);
        if (e->handed && !e->ended_told)
                manager_worker_lost(m, e);
        manager_look_for_leftovers(m); /* before the engine gives away what was held back for the unit */
        manager_feed(m, &(Event) { .type = EVENT_UNIT_GONE, .query_id = e->record.id });
        manager_unit_gone(m, e);
}

/* A process in an uninterruptible sleep outlives SIGKILL, and its query's slot is not free before it is gone. PID 1
 * calls such a unit failed, and forgets it only when its group is empty (unit_may_gc(), seen on 252 and 257); but that a
 * unit is not there can also be the word of a new PID 1, so the group itself has the last one. */
static void on_unit_gone(uint64_t id, const char *result, void *userdata) {
        Manager *m = userdata;
        Entry *e = manager_entry(m, id);

        (void) result;
        systemd_unit_unref(m->systemd, id);
        if (!m->adopted) {
                manager_gather_unit_gone(m, id);
                return;
        }
        if (e)
                manager_unit_forgotten(m, e);
}

void manager_unit_forgotten(Manager *m, Entry *e) {
        uint64_t id = e->record.id;

        e->unit_forgotten = true;
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

static int make_groups(Manager *m, Entry *e, pid_t pid) {
        QueryGroupsSetup setup = {
                .unit_cgroup = e->record.control_group,
                .worker_pid = pid,
                .compile_max_bytes = m->config->compile_memory_bytes,
                .tasks_max = m->config->tasks_max_per_query,
        };
        int fds[_WORKER_GROUP_MAX], r;

        if (!e->groups) {
                r = query_groups_new(&setup, &e->groups);
                if (r < 0)
                        return r;
                manager_watch_unit(m, e);
        }
        for (int i = 0; i < _WORKER_GROUP_MAX; i++)
                fds[i] = query_groups_fd(e->groups, (GroupFile) i);
        return worker_conn_send_groups(e->conn, fds);
}

#define UNIT_CGROUP_MAX 128
/* The group of a query's unit, or @below it, as /proc/PID/cgroup names it. Returns @buf. */
static const char *unit_cgroup(uint64_t id, const char *below, char buf[static UNIT_CGROUP_MAX]) {
        char name[QUERY_UNIT_NAME_MAX];

        snprintf(buf, UNIT_CGROUP_MAX, "/" SYSTEMD_SLICE "/%s%s", query_unit_name(id, name), below);
        return buf;
}

int entry_set_control_group(Entry *e) {
        char path[UNIT_CGROUP_MAX], *group = strdup(unit_cgroup(e->record.id, "", path));

        if (!group)
                return -ENOMEM;
        free(e->record.control_group);
        e->record.control_group = group;
        return 0;
}

/* Somebody says to be the worker of a query. Only a process in the root group of a unit that we asked for is, and,
 * after we moved it, one in its worker/ group; never one in engine/ or compile/. */
static bool is_expected(Entry *e, WorkerConn *c, bool first) {
        char expected[UNIT_CGROUP_MAX], seen[512];

        if (!e || !e->unit_requested)
                return false;
        if (worker_conn_peer_cgroup(c, seen, sizeof(seen)) < 0)
                return false;
        return strcmp(seen, unit_cgroup(e->record.id, first ? "" : "/worker", expected)) == 0;
}

static int on_hello(WorkerConn *c, const WorkerHello *msg, pid_t pid, void *userdata) {
        Manager *m = userdata;
        Entry *e = manager_entry(m, msg->header.id);
        bool first = msg->phase == WORKER_PHASE_NEW && e && !e->groups;
        const Query *q;
        int r;

        if (!m->adopted) {
                if (is_expected(e, c, false))
                        manager_gather_hello(m, msg->header.id, (WorkerPhase) msg->phase);
                return -EAGAIN;
        }
        if (!is_expected(e, c, first)) {
                journal_write(LOG_WARNING, JOURNAL_PLAIN, 0, "Process %d is not the worker of query %llu", (int) pid,
                              (unsigned long long) msg->header.id);
                return -EPERM;
        }
        if (e->leaving && !e->ended_told) { /* it was released before it could say hello */
                r = worker_conn_send_release(c);
                if (r < 0)
                        return r; /* refused, and so not ours to keep: it tries again */
        }
        worker_conn_close(e->conn); /* an older one that broke */
        e->conn = c;
        worker_conn_set_userdata(c, e);
        if (!e->leaving && e->handed && msg->phase < WORKER_PHASE_EXECUTING)
                manager_hand_over_lost(m, e);
        q = engine_find(m->engine, e->record.id);
        if (q && q->frozen && !q->ending) /* while it heard nothing it may have let it go on */
                (void) manager_freeze(m, e, true);
        if (msg->phase != WORKER_PHASE_NEW || e->leaving)
                return 0;
        r = entry_set_control_group(e);
        if (r >= 0)
                r = make_groups(m, e, pid);
        if (r < 0) {
                journal_write(LOG_ERR, JOURNAL_UNIT_FAILED, e->record.id, "Query %llu: its groups can't be made: %s",
                              (unsigned long long) e->record.id, strerror(-r));
                e->conn = NULL;
                (void) systemd_unit_stop(m->systemd, e->record.id);
        }
        return r;
}

static void on_ready(WorkerConn *c, void *userdata) {
        Entry *e = worker_conn_userdata(c);
        Manager *m = userdata;

        if (e->started_told || e->leaving)
                return;
        e->started_told = true;
        metrics_observe(m->metrics, METRIC_UNIT_START, &e->record.request.labels, NULL,
                        manager_now(m) - e->unit_wanted_usec);
        manager_feed(m, &(Event) { .type = EVENT_UNIT_READY, .query_id = e->record.id });
}

static void on_lost(WorkerConn *c, int error, void *userdata) {
        Entry *e = worker_conn_userdata(c);

        (void) error;
        (void) userdata;
        if (e && e->conn == c)
                e->conn = NULL; /* the worker comes back, or its unit goes */
}

const WorkerLinkCallbacks manager_worker_callbacks = {
        .hello = on_hello,
        .ready = on_ready,
        .compiled = manager_on_compiled,
        .started = manager_on_started,
        .reader_gone = manager_on_reader_gone,
        .failed = manager_on_failed,
        .exited = manager_on_exited,
        .lost = on_lost,
};
