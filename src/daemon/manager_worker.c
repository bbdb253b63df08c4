/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The worker of a query's unit, from its first word to its readiness: who says to be one, and the groups that it gets. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/entry.h"
#include "host/journal.h"

#define UNIT_CGROUP_MAX 128
/* The group of a query's unit, or @below it, as /proc/PID/cgroup names it. Returns @buf. */
static const char *unit_cgroup(uint64_t id, const char *below, char buf[static UNIT_CGROUP_MAX]) {
        char name[QUERY_UNIT_NAME_MAX];

        snprintf(buf, UNIT_CGROUP_MAX, "/" SYSTEMD_SLICE "/%s%s", query_unit_name(id, name), below);
        return buf;
}

static int send_groups(Entry *e) {
        int fds[_WORKER_GROUP_MAX];

        for (int i = 0; i < _WORKER_GROUP_MAX; i++)
                fds[i] = query_groups_fd(e->groups, (GroupFile) i);
        return worker_conn_send_groups(e->conn, fds);
}

static int make_groups(Manager *m, Entry *e, pid_t pid) {
        QueryGroupsSetup setup = {
                .unit_cgroup = e->record.control_group,
                .worker_pid = pid,
                .compile_max_bytes = m->config->compile_memory_bytes,
                .tasks_max = m->config->tasks_max_per_query,
        };

        if (e->groups)
                return send_groups(e);
        if (e->making)
                return 0; /* for an earlier connection of the same worker's: sent to this one */
        return group_maker_submit(m->group_maker, &setup, e->record.id, &e->making);
}

static void groups_failed(Manager *m, Entry *e, int r) {
        journal_write(LOG_ERR, JOURNAL_UNIT_FAILED, e->record.id, "Query %llu: its groups can't be made: %s",
                      (unsigned long long) e->record.id, strerror(-r));
        (void) systemd_unit_stop(m->systemd, e->record.id);
}

void manager_on_groups_made(uint64_t id, uint64_t ticket, int r, QueryGroups *groups, void *userdata) {
        Manager *m = userdata;
        Entry *e = manager_entry(m, id);
        char path[UNIT_CGROUP_MAX];

        if (!e || e->making != ticket) { /* of a unit that has ended */
                group_maker_let_go(m->group_maker, groups);
                if (!e || !e->unit_requested) /* else there is another one of its name */
                        cgroup_remove_unit(unit_cgroup(id, "", path));
                return;
        }
        e->making = 0;
        if (r >= 0) {
                e->groups = groups;
                manager_watch_unit(m, e);
                r = e->conn && !e->leaving ? send_groups(e) : 0; /* else when it comes back */
        }
        if (r < 0 && !e->leaving) {
                worker_conn_close(e->conn);
                e->conn = NULL;
                groups_failed(m, e, r);
        }
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
        if (first && strcmp(seen, unit_cgroup(e->record.id, "", expected)) == 0)
                return true;
        return (!first || e->making) && strcmp(seen, unit_cgroup(e->record.id, "/worker", expected)) == 0;
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
                e->conn = NULL;
                groups_failed(m, e, r);
        }
        return r;
}

static void on_ready(WorkerConn *c, void *userdata) {
        Entry *e = worker_conn_userdata(c);
        Manager *m = userdata;

        e->worker_ready = true;
        manager_tell_ready(m, e);
}

static void on_lost(WorkerConn *c, int error, void *userdata) {
        Entry *e = worker_conn_userdata(c);

        (void) error;
        (void) userdata;
        if (!e || e->conn != c)
                return;
        e->conn = NULL; /* the worker comes back and is ready again, or its unit goes */
        e->worker_ready = false;
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
