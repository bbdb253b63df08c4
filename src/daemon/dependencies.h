/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* daemon/dependencies: what the manager does for the dependencies of its queries: check them (dependency_checks.c), give
 * them (dependency_give.c), tell them of a query's end (dependency_releases.c). Private to daemon/. */
#pragma once

#include "daemon/entry.h"
#include "host/systemd_task.h"

/* Where a query finds its credentials: in its own /dev/shm, which is memory that it pays for, and goes with its unit. */
#define CREDENTIALS_DIRECTORY "/dev/shm/penstock-credentials"

/* Commands of checks that run at once, and queries whose ReleaseCommand= run at once or wait for their turn. */
#define CHECKS_AT_ONCE 4u
#define RELEASES_AT_ONCE 2u
#define RELEASES_WAITING_MAX 1024u
#define RELEASES_OF_USER_MAX 256u

/* dependency_give.c */
/* Copy what @l, the request and the configuration name into the entry. Returns as dependency_collect() does. */
int entry_collect_dependencies(Entry *e, const Language *l, Error *ret_error);
/* As its record has them; @l is taken over. Returns 0 or -ENOMEM. */
int entry_restore_dependencies(Entry *e, DependencyList *l);
/* The query is to get @d, and @from_files: its variables and credentials, as far as no earlier dependency has set them.
 * Returns 0, -ENOMEM, or -E2BIG when all of them set more than a query can be given. */
int entry_take_dependency(Entry *e, const Dependency *d, const PairList *from_files);
/* The dependency that the @i-th of the entry's credentials came from; "" for none. */
const char *entry_credential_owner(const Entry *e, size_t i);
/* All entries of one list of all its dependencies. Each returns 0 or -ENOMEM. */
int entry_dependency_units(const Entry *e, StrList *requisite, StrList *after);
int entry_dependency_binds(const Entry *e, StrList *bind, StrList *bind_read_only);
/* What either command of @d is run with; @more may be NULL, @argv is borrowed. */
TaskSpec dependency_task(const Dependency *d, const StrList *command, const PairList *more, const char *description);
/* What became of it, in words: "ended with status 1"; returns @buf. */
#define TASK_OUTCOME_MAX 256
const char *dependency_task_outcome(const Dependency *d, const char *result, int status, const char *error_text,
                                    char buf[static TASK_OUTCOME_MAX]);

/* dependency_checks.c: ACTION_CHECK_DEPENDENCIES; EVENT_DEPENDENCIES follows, unless the query ends first. */
void manager_check_dependencies(Manager *m, Entry *e);
void manager_forget_check(Manager *m, Entry *e); /* it has ended: nobody waits for it any more */
void manager_drop_checks(Manager *m);

/* dependency_releases.c: ACTION_RELEASE_DEPENDENCIES */
void manager_release_dependencies(Manager *m, Entry *e);
bool manager_is_releasing(const Manager *m, uint64_t query_id);
void manager_released(Manager *m, uint64_t query_id); /* all of a query's dependencies were told of its end */
void manager_drop_releases(Manager *m);
