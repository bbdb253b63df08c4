/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "worker/run.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "worker/groups.h"

/* The kernel kills forks in flight as well and notifies of the last exit, so this is only a belt: for a group whose
 * processes sleep uninterruptibly, for a notification that got lost, and for a kill that failed. */
#define KILL_AGAIN_MSEC 1000

static void close_status(Run *r) {
        if (r->status_fd >= 0)
                close(r->status_fd);
        r->status_fd = -1;
}

/* Returns 0 in the worker, with pid and status_fd set; the child does not return. @fds NULL: it waits. */
static int run_fork(Run *r, const ChildFds *fds) {
        int pair[2], error;
        pid_t pid;

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return -errno;
        pid = fork();
        if (pid < 0) {
                error = -errno;
                close(pair[0]);
                close(pair[1]);
                return error;
        }
        if (pid == 0) {
                ChildFds mine = CHILD_FDS_NONE;

                if (!fds)
                        child_wait_and_run(r->procs_fd, pair[1]);
                mine = *fds;
                mine.procs_fd = r->procs_fd;
                mine.status_fd = pair[1];
                child_run(&mine);
        }
        close(pair[1]);
        r->pid = r->first_pid = pid;
        r->status_fd = pair[0];
        r->reaped = false;
        return 0;
}

void run_fail(Run *r, WorkerStep step, int error) {
        r->failure = (ChildReport) { .step = step, .error = -error };
        r->begun = r->reaped = r->over = true;
}

int run_fork_ahead(Run *r) {
        return run_fork(r, NULL);
}

void run_begin_ahead(Run *r, const ChildFds *fds) {
        int error = r->pid > 0 && r->status_fd >= 0 ? child_send_go(r->status_fd, fds) : -EPIPE;

        if (error == -EPIPE || error == -ECONNRESET) {
                run_discard(r);
                error = run_fork_ahead(r);
                if (error == 0)
                        error = child_send_go(r->status_fd, fds);
        }
        if (error < 0) {
                run_discard(r);
                run_fail(r, WORKER_STEP_FORK, error);
                return;
        }
        r->begun = true;
}

void run_begin(Run *r, const ChildFds *fds) {
        int error = run_fork(r, fds);

        if (error < 0)
                run_fail(r, WORKER_STEP_FORK, error);
        else
                r->begun = true;
}

void run_on_status(Run *r) {
        ChildReport report;
        ssize_t n;

        if (r->status_fd < 0)
                return;
        do
                n = recv(r->status_fd, &report, sizeof(report), MSG_DONTWAIT);
        while (n < 0 && errno == EINTR);
        if (n < 0 && errno == EAGAIN)
                return;
        if (r->begun) {
                if (n == sizeof(report))
                        r->failure = report;
                else if (n == 0)
                        r->started = true;
                else { /* ECONNRESET: it was killed before it took what it was handed; else nobody knows what it does */
                        r->failure = (ChildReport) { .step = WORKER_STEP_FORK, .error = errno };
                        run_kill(r);
                }
        }
        close_status(r);
}

bool run_on_reaped(Run *r, pid_t pid, int wait_status) {
        if (r->pid <= 0 || pid != r->pid)
                return false;
        run_on_status(r); /* what it said before it died comes first */
        close_status(r);
        r->pid = 0;
        r->wait_status = wait_status;
        r->reaped = r->begun; /* else it only waited */
        return true;
}

void run_terminate(const Run *r) {
        if (r->pid > 0)
                kill(-r->pid, SIGTERM); /* it leads a session; not reaped, so the number is still its own */
}

static void kill_all(const Run *r) {
        group_kill(r->kill_fd);
        /* A process that has not joined its group yet is in none of our kill files' reach. */
        if (r->pid > 0 && !r->started)
                kill(r->pid, SIGKILL);
}

void run_kill(Run *r) {
        r->kill_wanted = true;
        kill_all(r);
}

void run_advance(Run *r, uint64_t now_msec) {
        if (!run_is_dying(r))
                return;
        if (r->reaped && !group_is_populated(r->events_fd)) {
                r->over = true;
                return;
        }
        if (r->killed && now_msec < r->kill_again_at)
                return;
        r->killed = true;
        r->leftovers |= r->reaped;
        r->kill_again_at = now_msec + KILL_AGAIN_MSEC;
        kill_all(r);
}

bool run_is_dying(const Run *r) {
        return (r->reaped || r->kill_wanted) && !r->over;
}

bool run_is_draining(const Run *r) {
        return r->reaped && !r->over;
}

void run_discard(Run *r) {
        int status;

        close_status(r);
        if (r->pid > 0) {
                kill(r->pid, SIGKILL);
                while (waitpid(r->pid, &status, 0) < 0 && errno == EINTR)
                        ;
        }
        r->pid = 0;
}
