/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* worker/run: one process in one control group, from fork to the empty group; the compile step and the engine are
 * each one. libc only. Invariant: a Run is over only when its first process is reaped and its group is empty. */
#pragma once

#include "worker/child.h"
#include "worker/output.h"

typedef struct Run {
        pid_t pid;                        /* of the first process; 0: none, or reaped */
        pid_t first_pid;                  /* the same, and stays */
        int status_fd;                    /* its report, see worker/child.h; -1: said all */
        int procs_fd, kill_fd, events_fd; /* of the group; the worker's */
        bool begun;                       /* handed over, not only forked ahead */
        bool started;                     /* exec succeeded */
        bool kill_wanted;                 /* by run_kill(): until it is over */
        bool reaped, killed, leftovers, over;
        uint64_t kill_again_at; /* monotonic, msec */
        int wait_status;
        ChildReport failure; /* step NONE: none */
        Tail tail;
} Run;

#define RUN_INIT { .status_fd = -1, .procs_fd = -1, .kill_fd = -1, .events_fd = -1, .tail = { .fd = -1 } }

/* Fork the process ahead; it waits. Returns 0 or -errno; then there is none. */
int run_fork_ahead(Run *r);
/* Hand @fds over to the waiting process, or a new one if that died. Failure is noted as the run's. */
void run_begin_ahead(Run *r, const ChildFds *fds);
/* Fork and start at once. Failure is noted as the run's. */
void run_begin(Run *r, const ChildFds *fds);
/* Note that it can't start; it is over. */
void run_fail(Run *r, WorkerStep step, int error);

/* status_fd is readable. */
void run_on_status(Run *r);
/* waitpid() gave @pid; returns true if it was this one's. */
bool run_on_reaped(Run *r, pid_t pid, int wait_status);
/* Ask the first process and its process group to end (SIGTERM). */
void run_terminate(const Run *r);
/* Kill all of it, now, and again until it is over. */
void run_kill(Run *r);
/* After each wake-up: kills what the first process left, or what run_kill() did not get, and sets over when the group is
 * empty. */
void run_advance(Run *r, uint64_t now_msec);
/* The wait for an empty group is on: poll events_fd for POLLPRI. */
bool run_is_draining(const Run *r);
/* kill_again_at counts. */
bool run_is_dying(const Run *r);
/* End a process that only waits. */
void run_discard(Run *r);
