/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/fdstore.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

/* What was not sent when we end is given so long. */
#define LAST_CHANCE_MSEC 1000

/* A message that PID 1 had no room for. */
typedef struct Pending {
        char text[FDSTORE_NAME_MAX + 64];
        int fd; /* -1: none */
} Pending;

struct FdStore {
        int socket_fd; /* -1: there is no service manager */
        sd_event_source *source;
        Pending *pending;
        size_t n_pending, allocated;
};

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

static int connect_manager(const char *path) {
        struct sockaddr_un sa = { .sun_family = AF_UNIX };
        size_t len = strlen(path);
        int fd, r;

        if (len < 2 || len >= sizeof(sa.sun_path) || (path[0] != '/' && path[0] != '@'))
                return -EINVAL;
        memcpy(sa.sun_path, path, len);
        if (path[0] == '@')
                sa.sun_path[0] = 0;
        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        if (connect(fd, (struct sockaddr *) &sa, (socklen_t) (offsetof(struct sockaddr_un, sun_path) + len)) < 0) {
                r = -errno;
                close(fd);
                return r;
        }
        return fd;
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

static void drop_first(FdStore *s) {
        if (s->pending[0].fd >= 0)
                close(s->pending[0].fd);
        s->n_pending--;
        memmove(s->pending, s->pending + 1, s->n_pending * sizeof(*s->pending));
}

/* As long as PID 1 takes them. One that it refuses for good is dropped: what it was for is then lost in a restart alone. */
static void send_pending(FdStore *s) {
        while (s->n_pending > 0) {
                Pending *p = &s->pending[0];
                int r = send_with_fds(s->socket_fd, p->text, strlen(p->text), &p->fd, p->fd >= 0);

                if (r == -EAGAIN || r == -EINTR || r == -ENOBUFS || r == -ENOMEM)
                        break;
                drop_first(s);
        }
        (void) sd_event_source_set_enabled(s->source, s->n_pending > 0 ? SD_EVENT_ON : SD_EVENT_OFF);
}

static int on_writable(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        (void) source, (void) fd, (void) revents;
        send_pending(userdata);
        return 0;
}

int fdstore_new(sd_event *event, FdStore **ret) {
        const char *path = getenv("NOTIFY_SOCKET");
        FdStore *s = calloc(1, sizeof(*s));
        int r;

        if (!s)
                return -ENOMEM;
        s->socket_fd = path ? connect_manager(path) : -1;
        r = path && s->socket_fd < 0 ? s->socket_fd : 0;
        if (s->socket_fd >= 0)
                r = sd_event_add_io(event, &s->source, s->socket_fd, EPOLLOUT, on_writable, s);
        if (r >= 0 && s->source)
                r = sd_event_source_set_enabled(s->source, SD_EVENT_OFF);
        if (r < 0) {
                fdstore_free(s);
                return r;
        }
        *ret = s;
        return 0;
}

FdStore *fdstore_free(FdStore *s) {
        if (!s)
                return NULL;
        if (s->n_pending > 0) {
                struct pollfd p = { .fd = s->socket_fd, .events = POLLOUT };

                (void) poll(&p, 1, LAST_CHANCE_MSEC);
                send_pending(s);
        }
        while (s->n_pending > 0)
                drop_first(s);
        sd_event_source_disable_unref(s->source);
        if (s->socket_fd >= 0)
                close(s->socket_fd);
        free(s->pending);
        free(s);
        return NULL;
}

static int enqueue(FdStore *s, const char *format, const char *name, int fd) {
        Pending *p;

        if (s->socket_fd < 0)
                return 0;
        if (s->n_pending == s->allocated) {
                size_t n = MAX(2 * s->allocated, 16u);

                p = realloc(s->pending, n * sizeof(*p));
                if (!p)
                        return -ENOMEM;
                s->pending = p;
                s->allocated = n;
        }
        p = &s->pending[s->n_pending];
        p->fd = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (fd >= 0 && p->fd < 0)
                return -errno;
        snprintf(p->text, sizeof(p->text), "%s\nFDNAME=%.*s", format, FDSTORE_NAME_MAX - 1, name);
        s->n_pending++;
        send_pending(s);
        return 0;
}

/* FDPOLL=0: PID 1 would drop a descriptor whose other end hung up, and that hang-up is what we want to see. */
int fdstore_push(FdStore *s, const char *name, int fd) {
        return enqueue(s, "FDSTORE=1\nFDPOLL=0", name, fd);
}

int fdstore_remove(FdStore *s, const char *name) {
        return enqueue(s, "FDSTOREREMOVE=1", name, -1);
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
                r = -EBADMSG;
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
