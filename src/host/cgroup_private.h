/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* host/cgroup_private: what cgroup_host.c (the hierarchy), cgroup_setup.c (libcgroup), cgroup_signal.c,
 * cgroup_usage.c and cgroup.c (held descriptors) share. */
#pragma once

#include "host/cgroup.h"

#define GROUP_WORKER "worker"
#define GROUP_ENGINE "engine"
#define GROUP_COMPILE "compile"

/* The longest text of a file we parse is memory.stat: 1.6 KiB on 6.1 and 6.12, at most a page in the kernel. (io.stat
 * can be longer: cgroup_usage.c.) */
#define GROUP_TEXT_MAX 8192

/* A unit lies in the slice, perhaps in slices of slices. */
#define GROUP_CAPS_MAX 6

struct QueryGroups {
        char *unit_cgroup;
        int unit_fd, engine_fd, compile_fd;
        int files[_GROUP_FILE_MAX];
        /* Opened for sampling only: a description that the worker holds too would lose it notifications when read. */
        int stat, current, max, high, freeze_events, pids, cpu_stat, io_stat, cpu_pressure;
        int compile_stat; /* read once, but then it counts, whoever has the last descriptor */
        int psi_fd; /* memory.pressure with a trigger, see events_arm(); -1: none yet */
        int caps[GROUP_CAPS_MAX];       /* memory.max of the unit and what is above it, but for the root */
        int above[GROUP_CAPS_MAX];      /* their memory.events.local */
        uint64_t above_oom[GROUP_CAPS_MAX]; /* `oom` of it when the query began */
        uint64_t max_bytes, high_bytes; /* as last read back */
        uint64_t max_written_usec;
};

/* The root of the hierarchy; valid after cgroup_host_init(). */
int cgroup_host_fd(void);
/* Open the directory of a group ("/penstock.slice"). Returns the descriptor or -errno; -EINVAL for a name with "..".
 */
int cgroup_open_dir(const char *cgroup);

/* One pread() of the whole file into @buf, NUL-terminated. Not a loop: a second read would be of another moment. */
int cgroup_read_text(int fd, char *buf, size_t size);
int cgroup_write_text(int fd, const char *text);
int cgroup_read_value_fd(int fd, uint64_t *ret);
/* Decimal, or "max" for SIZE_INFINITY. Returns @buf. */
const char *cgroup_value_text(uint64_t value, char buf[static 24]);
/* Read memory.stat in @dir_fd into @s, for a look: the hot path has it open. */
int cgroup_read_stat_at(int dir_fd, Sample *s);
/* Open @file in @dir_fd, read one value, close. */
int cgroup_read_value_at(int dir_fd, const char *file, uint64_t *ret);

/* True when a process is in the group or below it, and when that can't be said; false for one that is gone. */
bool cgroup_is_populated(int dir_fd);

/* Make worker/, engine/ and compile/ below @unit_fd, the open directory of setup->unit_cgroup; see
 * query_groups_new(). */
int cgroup_setup_groups(int unit_fd, const QueryGroupsSetup *setup);
void cgroup_remove_groups(int unit_fd);
