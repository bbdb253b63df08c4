/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/worker_link_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static int conn_send(WorkerConn *c, const void *message, const int *fds, size_t n_fds) {
        const WorkerHeader *h = message;
        union {
                struct cmsghdr align;
                char space[CMSG_SPACE(WORKER_FDS_MAX * sizeof(int))];
        } control = {};
        struct iovec iov = { .iov_base = (void *) message, .iov_len = worker_message_size(h->type) };
        struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
        ssize_t n;

        if (c->closed)
                return -ECONNRESET;
        if (n_fds > 0) {
                struct cmsghdr *m;

                msg.msg_control = &control;
                msg.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
                m = CMSG_FIRSTHDR(&msg);
                m->cmsg_level = SOL_SOCKET;
                m->cmsg_type = SCM_RIGHTS;
                m->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
                memcpy(CMSG_DATA(m), fds, n_fds * sizeof(int));
        }
        do
                n = sendmsg(c->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
        while (n < 0 && errno == EINTR);
        return n < 0 ? -errno : 0;
}

int worker_conn_send_plain(WorkerConn *c, WorkerType type) {
        WorkerPlain m = { .header = worker_header(type, c->id) };

        return conn_send(c, &m, NULL, 0);
}

int worker_conn_send_groups(WorkerConn *c, const int fds[static _WORKER_GROUP_MAX]) {
        WorkerPlain m = { .header = worker_header(WORKER_GROUPS, c->id) };

        return conn_send(c, &m, fds, _WORKER_GROUP_MAX);
}

int worker_conn_send_compile(WorkerConn *c, int launch_fd, int query_fd) {
        WorkerCompile m = { .header = worker_header(WORKER_COMPILE, c->id),
                            .flags = query_fd >= 0 ? WORKER_FD_QUERY : 0 };

        return conn_send(c, &m, (const int[]) { launch_fd, query_fd }, query_fd >= 0 ? 2 : 1);
}

int worker_conn_send_execute(WorkerConn *c, const WorkerExecuteFds *fds, uint64_t results_max_bytes) {
        /* in the order of the WORKER_FD_* bits */
        const int optional[] = { fds->results_fd, fds->query_fd, fds->stdin_fd, fds->stderr_fd, fds->file_fd };
        WorkerExecute m = { .header = worker_header(WORKER_EXECUTE, c->id), .results_max_bytes = results_max_bytes };
        int list[WORKER_FDS_MAX];
        size_t n = 0;

        if ((fds->results_fd >= 0) == (fds->file_fd >= 0))
                return -EINVAL;
        list[n++] = fds->launch_fd;
        for (size_t i = 0; i < ELEMENTSOF(optional); i++)
                if (optional[i] >= 0) {
                        m.flags |= UINT32_C(1) << i;
                        list[n++] = optional[i];
                }
        return conn_send(c, &m, list, n);
}

int worker_conn_send_ack(WorkerConn *c) {
        return worker_conn_send_plain(c, WORKER_ACK);
}

int worker_conn_send_release(WorkerConn *c) {
        return worker_conn_send_plain(c, WORKER_RELEASE);
}

int worker_link_peer_cgroup(pid_t pid, char *buf, size_t len) {
        char path[64], line[4352]; /* PATH_MAX and what stands before it */
        int r = -ENODATA;
        FILE *f;

        snprintf(path, sizeof(path), "/proc/%d/cgroup", (int) pid);
        f = fopen(path, "re");
        if (!f)
                return errno == ENOENT ? -ESRCH : -errno;
        while (fgets(line, sizeof(line), f)) {
                size_t n;

                if (strncmp(line, "0::", 3) != 0)
                        continue;
                n = strcspn(line + 3, "\n");
                line[3 + n] = '\0';
                if (n >= len)
                        r = -ENAMETOOLONG;
                else {
                        memcpy(buf, line + 3, n + 1);
                        r = 0;
                }
                break;
        }
        if (ferror(f) && r == -ENODATA)
                r = -ESRCH; /* it died between open and read */
        fclose(f);
        return r;
}

int worker_conn_peer_cgroup(WorkerConn *c, char *buf, size_t len) {
        char byte;
        int r;

        if (c->closed)
                return -ESRCH;
        r = worker_link_peer_cgroup(c->pid, buf, len);
        if (r < 0)
                return r;
        /* Its end is still open, so the pid is still that of the process we asked about. (An end that the peer passed
         * on to others would not close with it; the worker passes it to nobody.) */
        if (recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
                return -ESRCH;
        return 0;
}
