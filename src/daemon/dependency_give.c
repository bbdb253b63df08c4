/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a query gets from its dependencies. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/dependencies.h"

static int take_names(Entry *e) {
        int r = 0;

        for (size_t i = 0; i < e->dependencies.n && r == 0; i++)
                r = strlist_add(&e->record.dependencies, e->dependencies.v[i].name);
        return r;
}

int entry_collect_dependencies(Entry *e, const Language *l, Error *ret_error) {
        const Config *c = e->manager->config;
        DependencyWishes wishes = { .executor = &c->executor_dependencies,
                                    .language = l->name,
                                    .of_language = &l->dependencies,
                                    .of_request = &e->record.request.dependencies };
        int r = dependency_collect(&c->dependencies, &wishes, &e->dependencies, ret_error);

        return r < 0 ? r : take_names(e);
}

int entry_restore_dependencies(Entry *e, DependencyList *l) {
        e->dependencies = *l;
        *l = (DependencyList) {};
        return take_names(e);
}

/* What all of them set must fit into a launch record, beside what the caller sends. */
#define VARIABLES_MAX 2048u
#define VARIABLES_BYTES_MAX (4 * MIB)

static bool variables_fit(const PairList *l) {
        size_t bytes = 0;

        for (size_t i = 0; i < l->n; i++)
                bytes += strlen(l->v[i].key) + strlen(l->v[i].value) + 2;
        return l->n <= VARIABLES_MAX && bytes <= VARIABLES_BYTES_MAX;
}

static int add_variable(Entry *e, const char *name, const char *value) {
        return pairlist_get(&e->dependency_environment, name) ? 0 : pairlist_set(&e->dependency_environment, name, value);
}

static int take_credential(Entry *e, const char *name, const char *file) {
        char path[sizeof(CREDENTIALS_DIRECTORY) + REQUEST_NAME_BYTES_MAX + 2];
        int r;

        if (pairlist_get(&e->dependency_environment, name))
                return 0;
        snprintf(path, sizeof(path), CREDENTIALS_DIRECTORY "/%s", name);
        r = pairlist_set(&e->credentials, name, file);
        return r < 0 ? r : pairlist_set(&e->dependency_environment, name, path);
}

/* The strongest first, since what is there stays. */
int entry_take_dependency(Entry *e, const Dependency *d, const PairList *from_files) {
        PairList own = {};
        int r = pairlist_merge(&own, &d->environment);

        if (r == 0)
                r = pairlist_merge(&own, from_files);
        for (size_t i = 0; i < d->credentials.n && r == 0; i++)
                r = take_credential(e, d->credentials.v[i].key, d->credentials.v[i].value);
        for (size_t i = 0; i < own.n && r == 0; i++)
                r = add_variable(e, own.v[i].key, own.v[i].value);
        pairlist_done(&own);
        return r == 0 && !variables_fit(&e->dependency_environment) ? -E2BIG : r;
}

const char *entry_credential_owner(const Entry *e, size_t i) {
        const StrPair *p = i < e->credentials.n ? &e->credentials.v[i] : NULL;

        for (size_t k = 0; p && k < e->dependencies.n; k++) {
                const char *file = pairlist_get(&e->dependencies.v[k].credentials, p->key);

                if (file && strcmp(file, p->value) == 0)
                        return e->dependencies.v[k].name;
        }
        return "";
}

static int add_all(StrList *to, const StrList *from) {
        int r = 0;

        for (size_t i = 0; i < from->n && r == 0; i++)
                if (!strlist_has(to, from->v[i]))
                        r = strlist_add(to, from->v[i]);
        return r;
}

int entry_dependency_units(const Entry *e, StrList *requisite, StrList *after) {
        int r = 0;

        for (size_t i = 0; i < e->dependencies.n && r == 0; i++) {
                r = add_all(requisite, &e->dependencies.v[i].requires_units);
                if (r == 0)
                        r = add_all(after, &e->dependencies.v[i].after_units);
        }
        return r;
}

int entry_dependency_binds(const Entry *e, StrList *bind, StrList *bind_read_only) {
        int r = 0;

        for (size_t i = 0; i < e->dependencies.n && r == 0; i++) {
                r = add_all(bind, &e->dependencies.v[i].bind_paths);
                if (r == 0)
                        r = add_all(bind_read_only, &e->dependencies.v[i].bind_read_only_paths);
        }
        return r;
}

TaskSpec dependency_task(const Dependency *d, const StrList *command, const PairList *more, const char *description) {
        return (TaskSpec) {
                .description = description,
                .argv = command->v,
                .user = d->user,
                .environment = &d->environment,
                .more = more,
                .environment_files = &d->environment_files,
                .credentials = &d->credentials,
                .bind_paths = &d->bind_paths,
                .bind_read_only_paths = &d->bind_read_only_paths,
                .timeout_usec = d->check_timeout_usec,
        };
}

const char *dependency_task_outcome(const Dependency *d, const char *result, int status, const char *error_text,
                                    char buf[static TASK_OUTCOME_MAX]) {
        if (strcmp(result, "exit-code") == 0 && status == 203)
                snprintf(buf, TASK_OUTCOME_MAX, "could not be started (status 203): there is no such program, or %s",
                         d->user ? "User= may not run it" : "it may not be run");
        else if (strcmp(result, "exit-code") == 0)
                snprintf(buf, TASK_OUTCOME_MAX, "ended with status %d", status);
        else if (strcmp(result, "signal") == 0 || strcmp(result, "core-dump") == 0)
                snprintf(buf, TASK_OUTCOME_MAX, "was ended by signal %d", status);
        else if (strcmp(result, "timeout") == 0)
                snprintf(buf, TASK_OUTCOME_MAX, "took longer than CheckTimeoutSec (%llu ms)",
                         (unsigned long long) (d->check_timeout_usec / USEC_PER_MSEC));
        else if (strcmp(result, "oom-kill") == 0)
                snprintf(buf, TASK_OUTCOME_MAX, "needed more than the %llu MiB that it may have",
                         (unsigned long long) (SYSTEMD_TASK_MEMORY_BYTES / MIB));
        else if (strcmp(result, "lost") == 0)
                snprintf(buf, TASK_OUTCOME_MAX, "did not end in time, and PID 1 does not say why");
        else
                snprintf(buf, TASK_OUTCOME_MAX, "was not run (%s%s%.160s)", result, error_text ? ": " : "",
                         error_text ? error_text : "");
        return buf;
}
