/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "worker/link.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int link_connect(const char *path) {
        struct sockaddr_un sa = { .sun_family = AF_UNIX };
        size_t len = strlen(path);
        int fd, r;

        if (len >= sizeof(sa.sun_path))
                return -ENAMETOOLONG;
        memcpy(sa.sun_path, path, len + 1);
        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        if (connect(fd, (const struct sockaddr *) &sa, sizeof(sa)) < 0) {
                r = -errno;
                close(fd);
                return r;
        }
        return fd;
}

int link_send(int fd, const void *message) {
        const WorkerHeader *h = message;
        ssize_t n;

        do
                n = send(fd, message, worker_message_size(h->type), MSG_NOSIGNAL);
        while (n < 0 && errno == EINTR);
        return n < 0 ? -errno : 0;
}

/* How many descriptors belong to @m; -1 for a message that penstockd does not send, or not so. */
static int fds_of(const WorkerMessage *m) {
        switch (m->header.type) {
        case WORKER_WELCOME:
        case WORKER_ACK:
        case WORKER_RELEASE: return 0;
        case WORKER_GROUPS: return _WORKER_GROUP_MAX;
        case WORKER_COMPILE:
                if (m->compile.flags & ~WORKER_FD_QUERY)
                        return -1;
                return 1 + __builtin_popcount(m->compile.flags);
        case WORKER_EXECUTE:
                if ((m->execute.flags & ~WORKER_FD_ALL) ||
                    !(m->execute.flags & WORKER_FD_RESULTS) == !(m->execute.flags & WORKER_FD_FILE))
                        return -1;
                return 1 + __builtin_popcount(m->execute.flags);
        default: return -1;
        }
}

static size_t take_fds(struct msghdr *msg, int fds[static WORKER_FDS_MAX]) {
        size_t n = 0;

        for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
                size_t k;

                if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
                        continue;
                k = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
                for (size_t i = 0; i < k; i++) {
                        int fd;

                        memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
                        if (n < WORKER_FDS_MAX)
                                fds[n++] = fd;
                        else
                                close(fd);
                }
        }
        return n;
}

int link_receive(int fd, uint64_t id, WorkerMessage *ret, int ret_fds[static WORKER_FDS_MAX], size_t *ret_n_fds) {
        union {
                struct cmsghdr align;
                char space[CMSG_SPACE(WORKER_FDS_MAX * sizeof(int))];
        } control;
        struct iovec iov = { .iov_base = ret, .iov_len = sizeof(*ret) };
        struct msghdr msg = {
                .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
        };
        size_t n_fds;
        ssize_t n;

        do
                n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return -errno;
        n_fds = take_fds(&msg, ret_fds); /* an empty message can have some too */
        if (n == 0 || (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) || (size_t) n < sizeof(WorkerHeader) ||
            ret->header.magic != WORKER_MAGIC || ret->header.version != WORKER_VERSION || ret->header.id != id ||
            worker_message_size(ret->header.type) != (size_t) n || fds_of(ret) != (int) n_fds) {
                while (n_fds > 0)
                        close(ret_fds[--n_fds]);
                return n == 0 ? -ECONNRESET : -EBADMSG;
        }
        *ret_n_fds = n_fds;
        return 0;
}
