/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "worker/child.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "worker/child_check.h"
#include "worker/child_creds.h"
#include "worker/child_fence.h"
#include "worker/child_files.h"
#include "worker/child_mounts.h"
#include "worker/exec.h"
#include "worker/groups.h"

/* Where descriptors wait while 0 to 3 are being filled; above all of those. */
#define FD_PARKED_MIN 10
/* The worker never has more open; only walked where close_range(2) is filtered. */
#define FD_FALLBACK_MAX 1024

_Noreturn static void fail(const ChildFds *fds, WorkerStep step, int r, uint32_t detail) {
        ChildReport report = { .step = step, .error = -r, .detail = detail };

        send(fds->status_fd, &report, sizeof(report), MSG_NOSIGNAL);
        _exit(127);
}

/* Raw calls: glibc refuses the two signals that it keeps for itself, and a parent may have ignored those as well. */
static void reset_signals(void) {
        static const char zero[64]; /* a struct kernel_sigaction of SIG_DFL, an empty mask */

        for (int sig = 1; sig <= 64; sig++)
                syscall(SYS_rt_sigaction, sig, zero, NULL, 8);
        syscall(SYS_rt_sigprocmask, SIG_SETMASK, zero, NULL, 8);
}

static void cloexec_from(unsigned first) {
        if (syscall(SYS_close_range, first, UINT_MAX, CLOSE_RANGE_CLOEXEC) == 0)
                return;
        for (int fd = (int) first; fd < FD_FALLBACK_MAX; fd++)
                fcntl(fd, F_SETFD, FD_CLOEXEC);
}

static void close_gap(unsigned first, unsigned end) {
        if (first >= end)
                return;
        if (syscall(SYS_close_range, first, end - 1, 0) == 0)
                return;
        for (unsigned fd = first; fd < end && fd < FD_FALLBACK_MAX; fd++)
                close((int) fd);
}

/* All but @fds: a process that waits must not keep the worker's connection, or a pipe of the compile step, open; nor has one that is
 * the caller, and not yet his program, anything of the worker's. */
static void close_others(const ChildFds *fds) {
        const int keep[] = { fds->procs_fd, fds->status_fd, fds->launch_fd, fds->query_fd, fds->stdin_fd, fds->stdout_fd, fds->stderr_fd };
        unsigned first = 3, next;

        do {
                next = UINT_MAX;
                for (size_t i = 0; i < ELEMENTSOF(keep); i++)
                        if (keep[i] >= (int) first)
                                next = MIN(next, (unsigned) keep[i]);
                close_gap(first, next);
                first = next + 1;
        } while (next != UINT_MAX);
}

static int park(int *fd) {
        int n;

        if (*fd < 0)
                return 0;
        n = fcntl(*fd, F_DUPFD_CLOEXEC, FD_PARKED_MIN);
        if (n < 0)
                return -errno;
        *fd = n; /* the lower one closes on exec */
        return 0;
}

/* A description of its own: the offset of the one that penstockd sent is shared by compile, stdin and descriptor 3.
 */
static int reopen_query(int query_fd, int target) {
        char path[32];
        int fd, r = 0;

        if (query_fd < 0)
                return -EBADF;
        snprintf(path, sizeof(path), "/proc/self/fd/%d", query_fd);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        /* open() may have given the target itself, which dup2() would leave closing on exec. */
        if (fd == target)
                return fcntl(fd, F_SETFD, 0) < 0 ? -errno : 0;
        if (dup2(fd, target) < 0)
                r = -errno;
        close(fd);
        return r;
}

static int place(int fd, int target) {
        int null, r = 0;

        if (fd >= 0)
                return dup2(fd, target) < 0 ? -errno : 0;
        null = open("/dev/null", (target == STDIN_FILENO ? O_RDONLY : O_WRONLY) | O_CLOEXEC);
        if (null < 0)
                return -errno;
        if (null == target)
                return fcntl(null, F_SETFD, 0) < 0 ? -errno : 0;
        if (dup2(null, target) < 0)
                r = -errno;
        close(null);
        return r;
}

/* 0 to 2, perhaps 3, and nothing else that survives exec. */
static void set_up_descriptors(ChildFds *fds, const Launch *l) {
        int *all[] = { &fds->status_fd, &fds->launch_fd, &fds->query_fd,
                       &fds->stdin_fd,  &fds->stdout_fd, &fds->stderr_fd };
        int r;

        for (size_t i = 0; i < ELEMENTSOF(all); i++)
                if ((r = park(all[i])) < 0)
                        fail(fds, WORKER_STEP_STDIO, r, 0);
        if (l->stdin_from == STDIN_QUERY) {
                if ((r = reopen_query(fds->query_fd, STDIN_FILENO)) < 0)
                        fail(fds, WORKER_STEP_QUERY, r, 0);
        } else if ((r = place(l->stdin_from == STDIN_CALLER ? fds->stdin_fd : -1, STDIN_FILENO)) < 0)
                fail(fds, WORKER_STEP_STDIO, r, 0);
        if ((r = place(fds->stdout_fd, STDOUT_FILENO)) < 0 || (r = place(fds->stderr_fd, STDERR_FILENO)) < 0)
                fail(fds, WORKER_STEP_STDIO, r, 0);
        cloexec_from(LANGUAGE_QUERY_FD);
        if (l->query_on_fd && (r = reopen_query(fds->query_fd, LANGUAGE_QUERY_FD)) < 0)
                fail(fds, WORKER_STEP_QUERY, r, 0);
}

/* @cwd has been entered, and is not looked for by its name again: that may lead elsewhere by now. */
static int check(const LaunchCheck *c, const char *cwd) {
        bool directory = c->kind == LAUNCH_CHECK_DIRECTORY;
        const char *path = directory && strcmp(c->path, cwd) == 0 ? "." : c->path;
        struct stat st;
        int r, fd;

        /* O_NONBLOCK: a FIFO must not hold the start; O_PATH: a directory need not be listable. */
        fd = open(path, O_CLOEXEC | (directory ? O_PATH | O_DIRECTORY : O_RDONLY | O_NONBLOCK | O_NOCTTY));
        if (fd < 0)
                return -errno;
        r = fstat(fd, &st) < 0 ? -errno : check_identity(c, fd);
        if (r < 0)
                ;
        else if (!directory && S_ISDIR(st.st_mode))
                r = -EISDIR;
        else if (directory && access(path, X_OK) < 0)
                r = -errno;
        else if (c->kind == LAUNCH_CHECK_STDIN && (dup2(fd, STDIN_FILENO) < 0 || fcntl(STDIN_FILENO, F_SETFL, 0) < 0))
                r = -errno;
        close(fd);
        return r;
}

/* The caller's limits as far as the unit allows. MEMLOCK is bounded by memory.max, CORE by the unit. Last of all,
 * since a caller may have a limit of three descriptors or of a few MiB of address space, which is the program's
 * problem. */
static int set_limits(const Launch *l) {
        for (size_t i = 0; i < l->n_limits; i++) {
                const RequestLimit *x = &l->limits[i];
                struct rlimit now, want;

                if (x->resource == RLIMIT_MEMLOCK || x->resource == RLIMIT_CORE)
                        continue;
                if (getrlimit((__rlimit_resource_t) x->resource, &now) < 0)
                        return -errno;
                want.rlim_max = MIN((rlim_t) x->hard, now.rlim_max);
                want.rlim_cur = MIN((rlim_t) x->soft, want.rlim_max);
                if (setrlimit((__rlimit_resource_t) x->resource, &want) < 0)
                        return -errno;
        }
        return 0;
}

static void become_caller(const ChildFds *fds, const Launch *l) {
        int r;

        if ((r = creds_drop_bounding_set()) < 0)
                fail(fds, WORKER_STEP_PRIVILEGES, r, 0);
        if ((r = creds_become(l)) < 0)
                fail(fds, WORKER_STEP_CREDENTIALS, r, 0);
        if ((r = creds_drop_capabilities(l)) < 0 || (r = fence_processes()) < 0 || (r = fence_system_calls()) < 0)
                fail(fds, WORKER_STEP_PRIVILEGES, r, 0);
}

_Noreturn static void start(ChildFds *fds) {
        static int secrets[LAUNCH_CREDENTIALS_MAX];
        uint32_t which = 0;
        LaunchMap m;
        int r;

        /* First: what follows is paid by the query's own group. */
        if ((r = group_join(fds->procs_fd)) < 0)
                fail(fds, WORKER_STEP_JOIN, r, 0);
        close(fds->procs_fd);
        if ((r = launch_map(fds->launch_fd, &m)) < 0)
                fail(fds, WORKER_STEP_LAUNCH, r, 0);
        umask((mode_t) m.launch.umask);
        if (m.launch.thp_disable)
                prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0); /* EINVAL: a kernel without them */
        set_up_descriptors(fds, &m.launch);
        if ((r = files_open(&m.launch, secrets, &which)) < 0)
                fail(fds, WORKER_STEP_SECRETS, r, which);
        if ((r = mounts_make_writable(&m.launch, &which)) < 0)
                fail(fds, WORKER_STEP_CHECK, r, which);
        become_caller(fds, &m.launch);
        if ((r = files_copy(&m.launch, secrets, &which)) < 0)
                fail(fds, WORKER_STEP_SECRETS, r, which);
        if (chdir(m.launch.cwd) < 0)
                fail(fds, WORKER_STEP_DIRECTORY, -errno, 0);
        for (size_t i = 0; i < m.launch.n_checks; i++)
                if (m.launch.checks[i].kind != LAUNCH_CHECK_WRITABLE && (r = check(&m.launch.checks[i], m.launch.cwd)) < 0)
                        fail(fds, WORKER_STEP_CHECK, r, (uint32_t) i);
        if ((r = set_limits(&m.launch)) < 0)
                fail(fds, WORKER_STEP_LIMITS, r, 0);
        fail(fds, WORKER_STEP_EXEC, exec_launch(&m), 0);
}

_Noreturn void child_run(ChildFds *fds) {
        setsid();
        reset_signals();
        close_others(fds);
        start(fds);
}

int child_send_go(int status_fd, const ChildFds *fds) {
        const int optional[] = { fds->query_fd, fds->stdin_fd, fds->stdout_fd, fds->stderr_fd };
        uint32_t flags = 0;
        union {
                struct cmsghdr align;
                char space[CMSG_SPACE(5 * sizeof(int))];
        } control = {};
        struct iovec iov = { .iov_base = &flags, .iov_len = sizeof(flags) };
        struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control };
        struct cmsghdr *c;
        int list[5];
        size_t n = 0;

        list[n++] = fds->launch_fd;
        for (unsigned i = 0; i < ELEMENTSOF(optional); i++)
                if (optional[i] >= 0) {
                        flags |= 1u << i;
                        list[n++] = optional[i];
                }
        msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
        c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(n * sizeof(int));
        memcpy(CMSG_DATA(c), list, n * sizeof(int));
        return sendmsg(status_fd, &msg, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* Fills in @fds. Only the worker is at the other end, so anything odd means that it is gone. */
static bool receive_go(int status_fd, ChildFds *fds) {
        int *optional[] = { &fds->query_fd, &fds->stdin_fd, &fds->stdout_fd, &fds->stderr_fd };
        uint32_t flags;
        union {
                struct cmsghdr align;
                char space[CMSG_SPACE(5 * sizeof(int))];
        } control = {};
        struct iovec iov = { .iov_base = &flags, .iov_len = sizeof(flags) };
        struct msghdr msg = {
                .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
        };
        struct cmsghdr *c;
        int list[5];
        size_t n = 1;
        ssize_t len;

        do
                len = recvmsg(status_fd, &msg, MSG_CMSG_CLOEXEC);
        while (len < 0 && errno == EINTR);
        c = len == sizeof(flags) && !(msg.msg_flags & MSG_CTRUNC) ? CMSG_FIRSTHDR(&msg) : NULL;
        if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS ||
            c->cmsg_len != CMSG_LEN((1 + (size_t) __builtin_popcount(flags)) * sizeof(int)))
                return false;
        memcpy(list, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
        fds->launch_fd = list[0];
        for (unsigned i = 0; i < ELEMENTSOF(optional); i++)
                if (flags & (1u << i))
                        *optional[i] = list[n++];
        return true;
}

_Noreturn void child_wait_and_run(int procs_fd, int status_fd) {
        ChildFds fds = CHILD_FDS_NONE;

        setsid();
        reset_signals();
        fds.procs_fd = procs_fd;
        fds.status_fd = status_fd;
        close_others(&fds);
        if (!receive_go(status_fd, &fds))
                _exit(0);
        start(&fds);
}
