/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/dependency: what a [Dependency NAME] section gives to a query that names it. A plain value. libc only. */
#pragma once

#include "core/error.h"

#define DEPENDENCY_NAME_MAX 32u /* longer section names would be cut by inih */

typedef struct Dependency {
        char *name;
        PairList environment; /* given to the query */
        PairList credentials; /* name → file: the worker reads it, the query gets a private copy */
        StrList bind_paths, bind_read_only_paths;
        StrList active_units;  /* must be active before the query starts */
        StrList check_command; /* argv; must exit with 0 before the query starts */
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
