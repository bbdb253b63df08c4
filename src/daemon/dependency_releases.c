/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The end of a query tells its dependencies. A storm of ends must not flood PID 1, so there is a queue; what becomes of
 * it is counted and in the journal, and is nothing to the query, which is gone. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/dependencies.h"
#include "host/journal.h"

/* A command that always fails says so now and then. */
static const RateLimitRule of_failures = { .burst = 20, .interval_usec = 10 * USEC_PER_SEC };

struct Release {
        Manager *manager;
        uint64_t query_id;
        uint32_t uid;
        DependencyList dependencies; /* those below n_left are still to be told, the last first */
        size_t n_left;
        PairList variables;
        SystemdTask *task;
        bool running;
        Release *next;
};

static void release_free(Release *r) {
        systemd_task_abandon(r->task);
        dependency_list_done(&r->dependencies);
        pairlist_done(&r->variables);
        free(r);
}

static void complain(Manager *m, uint64_t query_id, const char *dependency, const char *what) {
        JournalEntry entry = { .priority = LOG_WARNING, .message = JOURNAL_DEPENDENCY, .query_id = query_id };

        if (rate_limit_take(&m->release_failures, &of_failures, manager_now(m), &entry.suppressed))
                journal_write_entry(&entry, "Query %llu: dependency %s: ReleaseCommand= %s", (unsigned long long) query_id,
                                    dependency, what);
}

static void releases_pump(Manager *m);
static void release_go_on(Release *r);

static void release_told(Release *r, const char *failure) {
        const Dependency *d = &r->dependencies.v[--r->n_left];

        manager_count_release(r->manager, d->name, failure != NULL);
        if (failure)
                complain(r->manager, r->query_id, d->name, failure);
        release_go_on(r);
}

static void on_task(const char *result, int status, const char *error_text, void *userdata) {
        Release *r = userdata;
        char outcome[TASK_OUTCOME_MAX];

        r->task = NULL;
        release_told(r, strcmp(result, "success") == 0
                                ? NULL
                                : dependency_task_outcome(&r->dependencies.v[r->n_left - 1], result, status, error_text,
                                                          outcome));
}

static void release_done(Release *r) {
        Manager *m = r->manager;
        Release **p = &m->releases;

        while (*p != r)
                p = &(*p)->next;
        *p = r->next;
        m->n_releases--;
        m->n_releases_running--;
        manager_released(m, r->query_id);
        release_free(r);
        releases_pump(m);
}

static void release_go_on(Release *r) {
        const Dependency *d;
        TaskSpec spec;
        int k;

        while (r->n_left > 0 && r->dependencies.v[r->n_left - 1].release_command.n == 0)
                r->n_left--;
        if (r->n_left == 0) {
                release_done(r);
                return;
        }
        d = &r->dependencies.v[r->n_left - 1];
        k = pairlist_set(&r->variables, "PENSTOCK_DEPENDENCY", d->name);
        spec = dependency_task(d, &d->release_command, &r->variables, "Release of a dependency of a Penstock query");
        if (k >= 0)
                k = systemd_task_start(r->manager->systemd, &spec, on_task, r, &r->task);
        if (k < 0)
                release_told(r, strerror(-k));
}

static void releases_pump(Manager *m) {
        while (m->n_releases_running < RELEASES_AT_ONCE) {
                Release *r = m->releases;

                while (r && r->running)
                        r = r->next;
                if (!r)
                        return;
                r->running = true;
                m->n_releases_running++;
                release_go_on(r);
        }
}

/* Its last word on the query: numbers and names, nothing of the caller's. */
static int make_variables(Release *r, const Query *q) {
        char id[24];
        int k;

        snprintf(id, sizeof(id), "%llu", (unsigned long long) r->query_id);
        k = pairlist_set(&r->variables, "PENSTOCK_QUERY_ID", id);
        if (k >= 0)
                k = pairlist_set(&r->variables, "PENSTOCK_QUERY_STATE", q ? query_state_name(q->state) : "");
        if (k >= 0)
                k = pairlist_set(&r->variables, "PENSTOCK_ERROR_NAME",
                                 q && query_error(q) != ERROR_NONE ? error_name(query_error(q)) : "");
        return k;
}

/* Not told: say so of each. */
static void lose(Manager *m, uint64_t query_id, const DependencyList *l, size_t n, const char *why) {
        for (size_t i = 0; i < n; i++)
                if (l->v[i].release_command.n > 0) {
                        manager_count_release(m, l->v[i].name, true);
                        complain(m, query_id, l->v[i].name, why);
                }
}

static bool anyone_to_tell(const DependencyList *l) {
        for (size_t i = 0; i < l->n; i++)
                if (l->v[i].release_command.n > 0)
                        return true;
        return false;
}

/* A user who submits and cancels in a loop loses his own, not those of others. */
static bool has_room(const Manager *m, uint32_t uid) {
        size_t n = 0;

        for (const Release *r = m->releases; r; r = r->next)
                n += r->uid == uid;
        return n < RELEASES_OF_USER_MAX && m->n_releases < RELEASES_WAITING_MAX;
}

void manager_release_dependencies(Manager *m, Entry *e) {
        Release *r = NULL, **p = &m->releases;

        if (!anyone_to_tell(&e->dependencies))
                return;
        if (has_room(m, e->record.request.uid))
                r = calloc(1, sizeof(*r));
        if (r) {
                r->manager = m;
                r->uid = e->record.request.uid;
                r->query_id = e->record.id;
        }
        if (!r || make_variables(r, engine_find(m->engine, e->record.id)) < 0) {
                lose(m, e->record.id, &e->dependencies, e->dependencies.n,
                     r ? "is lost: out of memory" : "is lost: too many wait for their turn");
                if (r)
                        release_free(r);
                return;
        }
        r->dependencies = e->dependencies; /* the entry has no more use for them */
        r->n_left = r->dependencies.n;
        e->dependencies = (DependencyList) {};
        while (*p)
                p = &(*p)->next;
        *p = r;
        m->n_releases++;
        releases_pump(m);
}

size_t manager_releases(const Manager *m) {
        return m->n_releases;
}

bool manager_is_releasing(const Manager *m, uint64_t query_id) {
        for (const Release *r = m->releases; r; r = r->next)
                if (r->query_id == query_id)
                        return true;
        return false;
}

void manager_drop_releases(Manager *m) {
        while (m->releases) {
                Release *r = m->releases;

                m->releases = r->next; /* on record they have not been told: the next penstockd does it */
                release_free(r);
        }
        m->n_releases = 0;
}
