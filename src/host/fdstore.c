/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/fdstore.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

int stored_fds_receive(StoredFds *ret) {
        char **names = NULL;
        int n = sd_listen_fds_with_names(1, &names);

        if (n < 0)
                return n;
        *ret = (StoredFds) { .names = names, .first_fd = SD_LISTEN_FDS_START, .n = (size_t) n };
        return 0;
}

int stored_fds_take(StoredFds *s, const char *name) {
        for (size_t i = 0; i < s->n; i++)
                if (s->names[i] && strcmp(s->names[i], name) == 0) {
                        free(s->names[i]);
                        s->names[i] = NULL;
                        return s->first_fd + (int) i;
                }
        return -ENOENT;
}

const char *stored_fds_left(const StoredFds *s) {
        for (size_t i = 0; i < s->n; i++)
                if (s->names[i])
                        return s->names[i];
        return NULL;
}

void stored_fds_done(StoredFds *s) {
        for (size_t i = 0; i < s->n; i++) {
                if (s->names[i])
                        close(s->first_fd + (int) i);
                free(s->names[i]);
        }
        free(s->names);
        *s = (StoredFds) {};
}

/* FDPOLL=0: PID 1 would drop a descriptor whose other end hung up, and that hang-up is what we want to see. */
int fdstore_push(Notify *n, const char *name, int fd) {
        char text[NOTIFY_TEXT_MAX];

        snprintf(text, sizeof(text), "FDSTORE=1\nFDPOLL=0\nFDNAME=%.*s", FDSTORE_NAME_MAX - 1, name);
        return notify_send(n, text, fd);
}

int fdstore_remove(Notify *n, const char *name) {
        char text[NOTIFY_TEXT_MAX];

        snprintf(text, sizeof(text), "FDSTOREREMOVE=1\nFDNAME=%.*s", FDSTORE_NAME_MAX - 1, name);
        return notify_send(n, text, -1);
}

static int send_with_fds(int socket_fd, const void *data, size_t len, const int fds[], size_t n) {
        union {
                struct cmsghdr align;
                char space[CMSG_SPACE(PARCEL_FDS_MAX * sizeof(int))];
        } control = {};
        struct iovec iov = { .iov_base = (void *) data, .iov_len = len };
        struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

        if (n > 0) {
                struct cmsghdr *c;

                msg.msg_control = &control;
                msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
                c = CMSG_FIRSTHDR(&msg);
                *c = (struct cmsghdr) { .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(n * sizeof(int)) };
                memcpy(CMSG_DATA(c), fds, n * sizeof(int));
        }
        return sendmsg(socket_fd, &msg, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int parcel_new(const int fds[], size_t n) {
        int pair[2], packed[PARCEL_FDS_MAX], r;
        uint8_t places[PARCEL_FDS_MAX];
        size_t n_packed = 0;

        for (size_t i = 0; i < n && i < PARCEL_FDS_MAX; i++)
                if (fds[i] >= 0) {
                        places[n_packed] = (uint8_t) i;
                        packed[n_packed++] = fds[i];
                }
        if (n_packed == 0)
                return -ENODATA;
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
                return -errno;
        r = send_with_fds(pair[0], places, n_packed, packed, n_packed);
        close(pair[0]);
        if (r < 0)
                close(pair[1]);
        return r < 0 ? r : pair[1];
}

/* The kernel leaves out descriptors that it has no room for, and does not say so by an error. Asked while those that came are held:
 * the next one fails in the same way. */
static int why_truncated(int parcel_fd, int msg_flags) {
        int fd = msg_flags & MSG_CTRUNC ? fcntl(parcel_fd, F_DUPFD_CLOEXEC, 3) : parcel_fd, r = fd < 0 ? -errno : -EBADMSG;

        if (fd >= 0 && fd != parcel_fd)
                close(fd);
        return r;
}

static int parcel_receive(int parcel_fd, int flags, int ret_fds[], size_t n) {
        union {
                struct cmsghdr align;
                char space[CMSG_SPACE(PARCEL_FDS_MAX * sizeof(int))];
        } control;
        uint8_t places[PARCEL_FDS_MAX] = {};
        struct iovec iov = { .iov_base = places, .iov_len = sizeof(places) };
        struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
        ssize_t k = recvmsg(parcel_fd, &msg, MSG_CMSG_CLOEXEC | flags);
        size_t n_fds = 0;
        int fds[PARCEL_FDS_MAX], r = 0;

        for (size_t i = 0; i < n; i++)
                ret_fds[i] = -1;
        if (k <= 0)
                return k == 0 ? -ENODATA : -errno;
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c))
                if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && n_fds == 0) {
                        n_fds = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
                        memcpy(fds, CMSG_DATA(c), n_fds * sizeof(int));
                }
        if (n_fds != (size_t) k)
                r = why_truncated(parcel_fd, msg.msg_flags);
        for (size_t i = 0; i < n_fds; i++)
                if (r == 0 && places[i] < n && ret_fds[places[i]] < 0)
                        ret_fds[places[i]] = fds[i];
                else
                        close(fds[i]);
        return r;
}

int parcel_open(int parcel_fd, int ret_fds[], size_t n) {
        return parcel_receive(parcel_fd, 0, ret_fds, n);
}

int parcel_look(int parcel_fd, int ret_fds[], size_t n) {
        return parcel_receive(parcel_fd, MSG_PEEK, ret_fds, n);
}
