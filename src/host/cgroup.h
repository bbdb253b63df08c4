/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* host/cgroup: the groups inside one query's delegated unit. libcgroup finds the hierarchy, checks it, and makes the
 * groups; held descriptors do the hot path. Writes only below the unit's own group (systemd's rule for Delegate=).
 * Every function returns 0 or -errno; a vanished group is -ENODEV or -ENOENT and ordinary. */
#pragma once

#include <sys/types.h>

#include "core/error.h"
#include "core/sample.h"

/* Find the hierarchy once, at start. Returns 0, or -errno with @ret_error one clear line that says what the host lacks
 * (cgroup v2 as the only hierarchy, the memory and pids controllers). Call before anything else here. */
int cgroup_host_init(Error *ret_error);
/* The mount point, "/sys/fs/cgroup" normally. */
const char *cgroup_host_root(void);

/* The groups of one query: worker/, engine/, compile/. Owns its descriptors. */
typedef struct QueryGroups QueryGroups;

typedef struct QueryGroupsSetup {
        const char *unit_cgroup; /* "/penstock.slice/penstock-q7.service", as systemd names it */
        pid_t worker_pid;        /* moved into worker/ */
        uint64_t compile_max_bytes; /* memory.max of compile/; 0: no compile/ */
        uint64_t tasks_max;         /* pids.max of engine/ */
} QueryGroupsSetup;

/* Make the groups with memory.oom.group=1, memory.swap.max=0 and the task limit; engine/ starts with memory.max=0 so
 * that nothing can run there before a quota was given. Moves the worker first, then turns the controllers on.
 * On failure what was made is removed and @ret_groups untouched. query_groups_free() it. */
int query_groups_new(const QueryGroupsSetup *setup, QueryGroups **ret_groups);
QueryGroups *query_groups_free(QueryGroups *g); /* takes NULL, returns NULL; does not remove the groups */

typedef enum GroupFile {
        GROUP_ENGINE_PROCS, /* these seven go to the worker, in this order */
        GROUP_ENGINE_KILL,
        GROUP_ENGINE_FREEZE,
        GROUP_ENGINE_EVENTS, /* cgroup.events */
        GROUP_COMPILE_PROCS, /* -1 without compile/, as the next two */
        GROUP_COMPILE_KILL,
        GROUP_COMPILE_EVENTS,
        _GROUP_WORKER_FILES,
        GROUP_MEMORY_EVENTS = _GROUP_WORKER_FILES, /* memory.events.local of engine/ */
        GROUP_MEMORY_PRESSURE,
        _GROUP_FILE_MAX,
} GroupFile;

/* Borrowed descriptor; -1 where the host has no such file. */
int query_groups_fd(const QueryGroups *g, GroupFile file);

/* Set engine/'s limits: @max_bytes first when it grows, @high_bytes first when it shrinks; SIZE_INFINITY is "max".
 * Reads both back into @ret_max_bytes and @ret_high_bytes (the kernel rounds down to pages). */
int query_groups_set_limits(QueryGroups *g, uint64_t max_bytes, uint64_t high_bytes, uint64_t *ret_max_bytes,
                            uint64_t *ret_high_bytes);
/* memory.low (or .min) of engine/. */
int query_groups_protect(QueryGroups *g, uint64_t bytes, bool as_min);
int query_groups_freeze(QueryGroups *g, bool frozen);
/* SIGKILL to all in engine/ (cgroup.kill), @compile: in compile/ instead. */
int query_groups_kill(QueryGroups *g, bool compile);
/* @signo to every process of engine/, by its cgroup.procs read anew until no new pid shows up. */
int query_groups_signal(QueryGroups *g, int signo);
int query_groups_sample(QueryGroups *g, Sample *ret);
int query_groups_final(QueryGroups *g, FinalNumbers *ret);
/* The lowest memory.max an administrator put on the unit, the slice or above: a cap. SIZE_INFINITY: none. */
int query_groups_upper_cap(QueryGroups *g, uint64_t *ret_bytes);
