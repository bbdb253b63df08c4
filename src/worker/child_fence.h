/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* worker/child_fence: what the unit's own sandbox cannot say, put around the engine's process by itself. Both need no_new_privs, last
 * for the life of the process and all its children, and are no reason not to run where the kernel has no such thing. */
#pragma once

/* Landlock: no access to a process outside, also of the same user. By /proc/PID/root of one the query would see the file system, and
 * the sockets, that the sandbox hides; by its memory it would work there. Returns 0 or -errno. */
int fence_processes(void);

/* seccomp: no huge pages, which no memory.max counts; no io_uring, whose sockets no filter of address families sees.
 * Returns 0 or -errno. */
int fence_system_calls(void);
