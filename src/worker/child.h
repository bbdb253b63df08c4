/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* worker/child: what a process of the worker does between fork and exec, as root at first and then as the caller.
 * libc only. Nothing here returns to the worker's loop: a failure is one ChildReport on the status socket, success is
 * the socket's end, since it closes on exec. The engine is not trusted, but all of this runs before there is one. */
#pragma once

#include <sys/types.h>

#include "worker/protocol.h"

typedef struct ChildReport {
        uint32_t step; /* WorkerStep */
        int32_t error; /* errno, positive */
        uint32_t detail;
} ChildReport;

/* What the process starts with. -1 for what there is not; stdin, stdout and stderr are /dev/null then. */
typedef struct ChildFds {
        int procs_fd;  /* cgroup.procs of the group to join */
        int status_fd; /* SEQPACKET */
        int launch_fd, query_fd, stdin_fd, stdout_fd, stderr_fd;
} ChildFds;
#define CHILD_FDS_NONE { -1, -1, -1, -1, -1, -1, -1 }

/* Start now: becomes the program of the launch record in a process that was just forked. */
_Noreturn void child_run(ChildFds *fds);

/* Do ahead what needs no query, wait on @status_fd for what child_send_go() sends, then child_run(). Ends quietly
 * when the other end closes. */
_Noreturn void child_wait_and_run(int procs_fd, int status_fd);
/* The worker's side of it: procs_fd and status_fd of @fds are not sent. Returns 0 or -errno. */
int child_send_go(int status_fd, const ChildFds *fds);
