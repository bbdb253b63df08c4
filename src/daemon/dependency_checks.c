/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Before a query may compile, wait or run, each of its dependencies is looked at, one after the other: its files, its
 * units, its command. Queries that come while one is being looked at share that. */
#include <errno.h>
#include <string.h>

#include "daemon/dependencies.h"
#include "host/dependency_files.h"

struct Check {
        Manager *manager;
        uint64_t number;     /* of this check: answers that come late name it */
        DependencyList of;   /* one: a copy, since a query that waits may end */
        size_t n_waiting;
        bool running;
        bool stopping; /* nobody waits any more, and nobody may join */
        uint64_t begun_usec;
        DependencyFiles *files;
        PairList environment; /* what its files hold */
        size_t n_units_seen;
        SystemdTask *task;
        Check *next; /* in the order of arrival */
};

static const Dependency *dependency_of(const Check *c) {
        return &c->of.v[0];
}

static void check_unlink(Check *c) {
        Check **p = &c->manager->checks;

        while (*p != c)
                p = &(*p)->next;
        *p = c->next;
}

static void check_free(Check *c) {
        dependency_files_free(c->files);
        systemd_task_abandon(c->task);
        dependency_list_done(&c->of);
        pairlist_done(&c->environment);
        free(c);
}

static void check_next_dependency(Manager *m, Entry *e);
static void checks_pump(Manager *m);

static void answer(Manager *m, Entry *e, const Error *error) {
        manager_feed(m, &(Event) { .type = EVENT_DEPENDENCIES, .query_id = e->record.id, .error = error });
}

static Entry *find_waiting(Manager *m, const Check *c) {
        for (size_t i = 0; i < m->n_entries; i++)
                if (m->entries[i]->check == c)
                        return m->entries[i];
        return NULL;
}

static void take_failed(const Dependency *d, int r, Error *ret_error) {
        if (r == -E2BIG)
                error_set(ret_error, ERROR_DEPENDENCY_FAILED,
                          "dependency %s: EnvironmentFile=: with it the query's dependencies set more than 2048 variables or 4M",
                          d->name);
        else
                error_set(ret_error, ERROR_INTERNAL, "out of memory");
}

/* Each answer may take entries away, so look for the next one anew. One that ends meanwhile finds n_waiting above 0, since
 * those that were told are not taken off it: the check is freed by its own end alone. */
static void tell_all(Check *c, const Error *error) {
        Manager *m = c->manager;
        Entry *e;

        while ((e = find_waiting(m, c))) {
                const Dependency *d = &e->dependencies.v[e->next_dependency];
                Error failure = *error;
                int r = failure.code == ERROR_NONE ? entry_take_dependency(e, d, &c->environment) : 0;

                e->check = NULL;
                if (r < 0)
                        take_failed(d, r, &failure);
                if (failure.code != ERROR_NONE)
                        answer(m, e, &failure);
                else {
                        e->next_dependency++;
                        check_next_dependency(m, e);
                }
        }
}

static void check_finish(Check *c, const Error *error) {
        Manager *m = c->manager;

        check_unlink(c);
        m->n_checks_running--;
        if (!c->stopping)
                manager_count_check(m, dependency_of(c)->name, manager_now(m) - c->begun_usec, error->code != ERROR_NONE);
        tell_all(c, error);
        check_free(c);
        checks_pump(m);
}

static void on_task(const char *result, int status, const char *error_text, void *userdata) {
        Check *c = userdata;
        const Dependency *d = dependency_of(c);
        char outcome[TASK_OUTCOME_MAX];
        Error error = {};

        c->task = NULL;
        if (strcmp(result, "success") != 0)
                error_set(&error, ERROR_DEPENDENCY_FAILED, "dependency %s: CheckCommand=%.128s %s", d->name,
                          d->check_command.v[0], dependency_task_outcome(d, result, status, error_text, outcome));
        check_finish(c, &error);
}

static void check_command(Check *c) {
        const Dependency *d = dependency_of(c);
        TaskSpec spec = dependency_task(d, &d->check_command, NULL, "Check of a dependency of Penstock queries");
        Error error = {};
        int r = d->check_command.n == 0 ? 0 : systemd_task_start(c->manager->systemd, &spec, on_task, c, &c->task);

        if (r < 0)
                error_set(&error, ERROR_DEPENDENCY_FAILED, "dependency %s: CheckCommand= could not be run: %s", d->name,
                          strerror(-r));
        if (!c->task)
                check_finish(c, &error);
}

typedef struct Asked {
        Manager *manager;
        uint64_t check;
} Asked;

static void check_units(Check *c);

static void on_unit_state(const char *active_state, void *data) {
        Asked *a = data;
        Check *c = a->manager->checks;
        Error error = {};

        while (c && c->number != a->check)
                c = c->next;
        free(a);
        if (!c)
                return; /* nobody waits for it any more */
        if (active_state && strcmp(active_state, "active") == 0) {
                c->n_units_seen++;
                check_units(c);
                return;
        }
        error_set(&error, ERROR_DEPENDENCY_FAILED,
                  "dependency %s: Requires=%s: the unit is %s, not active; it is not started for a query",
                  dependency_of(c)->name, dependency_of(c)->requires_units.v[c->n_units_seen],
                  active_state ? active_state : "in a state that PID 1 does not tell");
        check_finish(c, &error);
}

static void check_units(Check *c) {
        const StrList *units = &dependency_of(c)->requires_units;
        Error error = {};
        Asked *a;

        if (c->n_units_seen == units->n) {
                check_command(c);
                return;
        }
        a = malloc(sizeof(*a));
        if (a) {
                *a = (Asked) { .manager = c->manager, .check = c->number };
                if (systemd_unit_state(c->manager->systemd, units->v[c->n_units_seen], on_unit_state, a, free) >= 0)
                        return;
                free(a);
        }
        error_set(&error, ERROR_INTERNAL, "dependency %s: PID 1 can't be asked for its units", dependency_of(c)->name);
        check_finish(c, &error);
}

static void on_files(const Error *error, PairList *environment, void *userdata) {
        Check *c = userdata;

        c->files = dependency_files_free(c->files);
        if (error->code != ERROR_NONE) {
                check_finish(c, error);
                return;
        }
        c->environment = *environment;
        *environment = (PairList) {};
        check_units(c);
}

static void check_begin(Check *c) {
        const Dependency *d = dependency_of(c);
        Error error = {};
        int r;

        c->running = true;
        c->begun_usec = manager_now(c->manager);
        c->manager->n_checks_running++;
        if (!dependency_files_needed(d)) {
                check_units(c);
                return;
        }
        r = dependency_files_start(c->manager->event, d, on_files, c, &c->files);
        if (r < 0) {
                error_set(&error, ERROR_INTERNAL, "dependency %s: its files could not be looked at: %s", d->name,
                          strerror(-r));
                check_finish(c, &error);
        }
}

/* A check that fails at once pumps by itself, so look anew each time. */
static void checks_pump(Manager *m) {
        while (m->n_checks_running < CHECKS_AT_ONCE) {
                Check *c = m->checks;

                while (c && c->running)
                        c = c->next;
                if (!c)
                        return;
                check_begin(c);
        }
}

/* The check of @d that runs or waits, or a new one; NULL: out of memory. Of that name there may be others: from before a reload. */
static Check *check_of(Manager *m, const Dependency *d) {
        Check **p = &m->checks, *c;

        for (; *p; p = &(*p)->next)
                if (!(*p)->stopping && dependency_is_same(dependency_of(*p), d))
                        return *p;
        c = calloc(1, sizeof(*c));
        if (!c || dependency_list_add(&c->of, d) < 0) {
                free(c);
                return NULL;
        }
        c->manager = m;
        c->number = ++m->last_check;
        return *p = c;
}

static void check_next_dependency(Manager *m, Entry *e) {
        static const PairList none = {};
        Error error = {};

        for (; e->next_dependency < e->dependencies.n; e->next_dependency++) {
                const Dependency *d = &e->dependencies.v[e->next_dependency];
                int r = -ENOMEM;

                if (dependency_needs_check(d)) {
                        e->check = check_of(m, d);
                        if (e->check) {
                                e->check->n_waiting++;
                                return;
                        }
                }
                if (!dependency_needs_check(d))
                        r = entry_take_dependency(e, d, &none);
                if (r < 0) {
                        take_failed(d, r, &error);
                        break;
                }
        }
        answer(m, e, &error);
}

void manager_check_dependencies(Manager *m, Entry *e) {
        check_next_dependency(m, e);
        checks_pump(m);
}

void manager_forget_check(Manager *m, Entry *e) {
        Check *c = e->check;

        e->check = NULL;
        if (!c || --c->n_waiting > 0)
                return;
        if (c->task) {
                /* It keeps its place until its unit is gone, or who submits and cancels in a loop would have any number
                 * of units started and stopped. */
                c->stopping = true;
                systemd_task_stop(c->task);
                return;
        }
        check_unlink(c);
        m->n_checks_running -= c->running;
        check_free(c);
        checks_pump(m);
}

void manager_drop_checks(Manager *m) {
        while (m->checks) {
                Check *c = m->checks;

                m->checks = c->next;
                check_free(c);
        }
}

const char *manager_wait_reason(Manager *m, const Query *q, char *buf, size_t len) {
        const Entry *e = manager_entry(m, q->id);

        if (!e || !e->check || (q->dependencies != DEPENDENCIES_CHECKING && q->unit != UNIT_CHECKING))
                return engine_wait_reason(m->engine, q, buf, len);
        snprintf(buf, len, "the check of dependency %s%s", dependency_of(e->check)->name,
                 e->check->running ? "" : " (others are being checked)");
        return buf;
}
