/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* worker/groups: the few things the worker does to a control group, on descriptors that penstockd opened. libc only.
 */
#pragma once

#include <stdbool.h>

/* Move the calling process into the group of the cgroup.procs @procs_fd. The opener's rights count, so this works
 * without access to the hierarchy. Returns 0 or -errno. */
int group_join(int procs_fd);
/* Kill all that is in the group and below, frozen or not. Returns 0 or -errno. */
int group_kill(int kill_fd);
/* True while the cgroup.events @events_fd says that a process is left. Reading also arms the next POLLPRI. A group
 * that vanished is empty; one that can't be read is not. */
bool group_is_populated(int events_fd);
/* True when cgroup.freeze says that the group shall be frozen, whether or not all of it stands still already. */
bool group_shall_be_frozen(int freeze_fd);
/* Let it run, whoever froze it. Returns 0 or -errno. */
int group_thaw(int freeze_fd);
