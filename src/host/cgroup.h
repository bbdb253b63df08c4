/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* host/cgroup: the groups inside one query's delegated unit. libcgroup finds the hierarchy, checks it, and makes the
 * groups; held descriptors do the hot path. Writes only below the unit's own group (systemd's rule for Delegate=).
 * Every function returns 0 or -errno; a vanished group is -ENODEV or -ENOENT and ordinary. */
#pragma once

#include <sys/types.h>

#include "core/error.h"
#include "core/sample.h"

/* Find the hierarchy once, at start. Returns 0, or -errno with @ret_error one clear line that says what the host
 * lacks (cgroup v2 as the only hierarchy, the memory and pids controllers, cgroup.kill). Call before anything else
 * here. libcgroup is kept silent unless CGROUP_LOGLEVEL is in the environment; then it writes to stderr. */
int cgroup_host_init(Error *ret_error);
/* The mount point, "/sys/fs/cgroup" normally. */
const char *cgroup_host_root(void);

/* Read one number or "max" of a group ("/penstock.slice", "memory.max"): what is in force, not what was asked for. */
int cgroup_read_value(const char *cgroup, const char *file, uint64_t *ret);

/* What is charged to @slice, can't be reclaimed and is of none of the groups in it: memory of queries that are gone, held
 * by somebody else; of the kernel's own only what is more than @kernel_free_bytes. Takes a file for each group in the slice. Returns 0,
 * or -errno when one that is there can't be read: what is of it would count as left. */
int cgroup_slice_leftovers(const char *slice, uint64_t kernel_free_bytes, uint64_t *ret_bytes);
/* Remove what is left of a unit's groups, when none holds a process. systemd leaves them when they were made at the moment
 * at which it removed the unit's own, and never looks again. */
void cgroup_remove_unit(const char *unit_cgroup);
/* The same for every penstock-q* in @slice; @keep says which are still in somebody's hands. */
void cgroup_slice_sweep(const char *slice, bool (*keep)(const char *name, void *userdata), void *userdata);
/* Freeze or thaw engine/ of every penstock-q* in @slice; @ret_n: those that were not so before. Returns 0, also when there
 * is no slice, or -errno; then all of which it could be done are. */
int cgroup_slice_freeze(const char *slice, bool frozen, unsigned *ret_n);

/* The groups of one query: worker/, engine/, compile/. Owns its descriptors. */
typedef struct QueryGroups QueryGroups;

typedef struct QueryGroupsSetup {
        const char *unit_cgroup;    /* "/penstock.slice/penstock-q7.service", as systemd names it */
        pid_t worker_pid;           /* moved into worker/, with all else that is in the unit's own group */
        uint64_t compile_max_bytes; /* memory.max of compile/; 0: no compile/ */
        uint64_t tasks_max;         /* pids.max of engine/ and of compile/; SIZE_INFINITY: "max" */
} QueryGroupsSetup;

/* Make the groups with memory.oom.group=1, memory.swap.max=0 and the task limit; engine/ starts with memory.max=0 so
 * that nothing can run there before a quota was given. Moves the worker first, then turns the controllers on. Reads
 * every limit back.
 * Returns 0; -ESRCH when @worker_pid is not in this unit; -EEXIST when engine/ is there already (use
 * query_groups_adopt()); -EIO when the kernel did not take a value. On failure engine/ and compile/ are removed again
 * (worker/ holds the worker, and goes with the unit) and @ret_groups is untouched. query_groups_free() it.
 * Takes 20 ms or so (a move and turning on controllers wait for a global lock): ahead of need. */
int query_groups_new(const QueryGroupsSetup *setup, QueryGroups **ret_groups);
/* Open the groups that an earlier query_groups_new() made, and change nothing. */
int query_groups_adopt(const char *unit_cgroup, QueryGroups **ret_groups);
QueryGroups *query_groups_free(QueryGroups *g); /* takes NULL, returns NULL; does not remove the groups */

/* The descriptors of the worker's files share their read position and their notifications with the worker once they
 * were passed on, so they are for the worker alone. */
typedef enum GroupFile {
        GROUP_ENGINE_PROCS, /* these seven go to the worker, in this order */
        GROUP_ENGINE_KILL,
        GROUP_ENGINE_FREEZE,
        GROUP_ENGINE_EVENTS, /* cgroup.events */
        GROUP_COMPILE_PROCS, /* -1 without compile/, as the next two */
        GROUP_COMPILE_KILL,
        GROUP_COMPILE_EVENTS,
        _GROUP_WORKER_FILES,
        GROUP_MEMORY_EVENTS = _GROUP_WORKER_FILES, /* memory.events.local of engine/, as sampled */
        GROUP_MEMORY_PRESSURE,
        _GROUP_FILE_MAX,
} GroupFile;

/* Borrowed descriptor; -1 where the host has no such file. */
int query_groups_fd(const QueryGroups *g, GroupFile file);
/* A new descriptor of a file of engine/ ("memory.pressure"), CLOEXEC, for one who needs a notification or a PSI
 * trigger of its own. Returns it, or -errno; -ENOENT also when the host has no such file. */
int query_groups_open(const QueryGroups *g, const char *file, int flags);

/* Set engine/'s limits: @max_bytes first when it grows, @high_bytes first when it shrinks; SIZE_INFINITY is "max".
 * Reads both back into @ret_max_bytes and @ret_high_bytes (the kernel rounds down to pages). On failure they are
 * untouched; the limits may be half set. */
int query_groups_set_limits(QueryGroups *g, uint64_t max_bytes, uint64_t high_bytes, uint64_t *ret_max_bytes,
                            uint64_t *ret_high_bytes);
/* When memory.max was last written, CLOCK_MONOTONIC: reading back comes after it. */
uint64_t query_groups_max_written_usec(const QueryGroups *g);
/* Read the limits in force, when another than us has set them (lower.h). */
int query_groups_refresh(QueryGroups *g, uint64_t *ret_max_bytes);
/* Take quota back: freeze engine/ (@engine_fd, its directory), look again, memory.high, and only when what is used fits
 * memory.max; then @high_bytes, and thaw. Never kills. Blocks: a second or two until all tasks are frozen, and as long as
 * the kernel takes to reclaim; it gives up the first when @give_up_fd becomes readable. Opens what it needs itself.
 * Returns 0; -EBUSY: what it can't give back does not fit, or it could not be frozen in time; -ENODEV: the group is
 * gone; -EINVAL: that is not lower; -ECANCELED. After a failure the limits are as before. */
int cgroup_lower(int engine_fd, uint64_t max_bytes, uint64_t high_bytes, int give_up_fd);
/* What above_oom of the last numbers counts from: call it before anything runs in engine/. */
void query_groups_begin(QueryGroups *g);
/* The same of an engine/ that has run, for nobody knows what it counted from. What is above counts from its own beginning when @now says
 * that engine/ was killed for memory, and not for that of its own limit: else that would always be the host's. */
void query_groups_begin_late(QueryGroups *g, const Sample *now);
/* True when no process is left in any group of the unit, or the unit's group is gone. */
bool query_groups_are_empty(const QueryGroups *g);
/* Of the last numbers only what outlives engine/: who above it had a hand in its end. Never fails: what can't be read
 * counts as nothing. */
void query_groups_killers(const QueryGroups *g, FinalNumbers *f);
/* memory.low (or .min) of engine/. */
int query_groups_protect(QueryGroups *g, uint64_t bytes, bool as_min);
/* Returns at once; Sample.frozen says when all are. */
int query_groups_freeze(QueryGroups *g, bool frozen);
/* What it was told last, also while one of its processes sleeps on and is frozen later. */
int query_groups_shall_be_frozen(QueryGroups *g, bool *ret);
/* SIGKILL to all in engine/ (cgroup.kill), @compile: in compile/ instead. Works on a frozen group. */
int query_groups_kill(QueryGroups *g, bool compile);
/* @signo to every process of engine/, by its cgroup.procs read anew until no new pid shows up (or it forks faster
 * than that: a few rounds). The kernel lists a new process a moment after its parent could last be stopped from
 * making it, so one can be missed: what must end is ended by query_groups_kill(), which has no such gap. */
int query_groups_signal(QueryGroups *g, int signo);
int query_groups_sample(QueryGroups *g, Sample *ret);
/* The totals of cpu.stat and io.stat, and of cpu.pressure where there is one, into @s. On failure it is untouched. */
int query_groups_usage(QueryGroups *g, Sample *s);
/* memory.current and memory.peak of engine/, for a look; query_groups_sample() and _final() read much more. */
int query_groups_memory(QueryGroups *g, uint64_t *ret_current_bytes, uint64_t *ret_peak_bytes);
/* What a compile step that ended left charged to compile/ and can't be dropped. */
int query_groups_compile_residual(QueryGroups *g, uint64_t *ret_bytes);
/* The last numbers of a group that is empty. stall_usec is PSI's "some": any task waited. */
int query_groups_final(QueryGroups *g, FinalNumbers *ret);
/* The same of a group that is not, and the sample that they were made of. On failure both are untouched. */
int query_groups_so_far(QueryGroups *g, FinalNumbers *ret, Sample *ret_sample);
/* memory.max of the unit and of the slice that it lies in, as they are in force: ours, or an administrator's. */
int query_groups_above(QueryGroups *g, uint64_t *ret_unit_bytes, uint64_t *ret_slice_bytes);
