/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/dependency: what a [Dependency NAME] section gives to a query, and what it asks for. A plain value. libc only. */
#pragma once

#include "core/error.h"

#define DEPENDENCY_NAME_MAX 32u /* longer section names would be cut by inih */
/* Entries of one list of one section, and dependencies of one query. */
#define DEPENDENCY_ITEMS_MAX 32u
#define DEPENDENCIES_MAX 32u

typedef struct Dependency {
        char *name;
        bool requestable; /* a request may name it; else only languages and ExecutorDependencies do */
        PairList environment;
        StrList environment_files; /* "-" first: it may be missing */
        PairList credentials;      /* name → file: the worker reads it, the query gets a private copy */
        StrList bind_paths, bind_read_only_paths;
        StrList requires_units, after_units; /* the first must be active, and are never started for a query */
        StrList check_command;               /* argv; must exit with 0 before the query may compile or wait for a slot */
        StrList release_command;             /* argv; run when a query that had the dependency has ended */
        char *user;                          /* who both commands run as; NULL: a user made for the run */
        uint64_t check_timeout_usec;         /* of either command */
} Dependency;

typedef struct DependencyList {
        Dependency *v;
        size_t n;
} DependencyList;

/* Set one key of the dependency @name, which is added when it is new. Returns as config_set() does. */
int dependency_set(DependencyList *l, const char *name, const char *key, const char *value, const char *file,
                   unsigned line, Error *ret_error);
const Dependency *dependency_find(const DependencyList *l, const char *name); /* NULL: unknown */
void dependency_list_done(DependencyList *l);

/* True for what may name a dependency: letters, digits, - and _, at most DEPENDENCY_NAME_MAX. */
bool dependency_name_is_valid(const char *name);

/* Append a copy of @d to @l, unless one of that name is there. Returns 0 or -ENOMEM. */
int dependency_list_add(DependencyList *l, const Dependency *d);
/* True when they give and ask for the same, under one name. */
bool dependency_is_same(const Dependency *a, const Dependency *b);
int dependency_list_copy(const DependencyList *l, DependencyList *ret); /* @ret must be empty; 0 or -ENOMEM */

/* Who asks for dependencies, in the order in which a query gets them: each once, at its first mention. What is first
 * wins where two set the same variable. */
typedef struct DependencyWishes {
        const StrList *executor; /* ExecutorDependencies= */
        const char *language;    /* its name, for messages */
        const StrList *of_language;
        const StrList *of_request;
} DependencyWishes;

/* Copy what @w asks for out of @known. Returns 0; or, with @ret empty and @ret_error: InvalidArgument for a name in the
 * request that is unknown, or more than DEPENDENCIES_MAX; PermissionDenied for one that a request may not name;
 * DependencyFailed for one of the language's that is unknown; or -ENOMEM. */
int dependency_collect(const DependencyList *known, const DependencyWishes *w, DependencyList *ret, Error *ret_error);

/* True if something can be found wrong with it before a query starts: files, paths, units or a command. */
bool dependency_needs_check(const Dependency *d);
