/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "host/clock.h"

/* What was not sent when we end is given so long, unless more was asked for. */
#define LAST_CHANCE_USEC USEC_PER_SEC
/* Between two tries of what is refused though there is room. */
#define PAUSE_MSEC 10

/* A message that PID 1 had no room for. */
typedef struct Pending {
        char text[NOTIFY_TEXT_MAX];
        int fd; /* -1: none */
} Pending;

struct Notify {
        int socket_fd; /* -1: there is no service manager */
        sd_event_source *source, *watchdog;
        uint64_t watchdog_usec; /* between two words to it */
        Pending *pending;
        size_t n_pending, allocated;
};

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

static int send_now(int socket_fd, const Pending *p) {
        union {
                struct cmsghdr align;
                char space[CMSG_SPACE(sizeof(int))];
        } control = {};
        struct iovec iov = { .iov_base = (void *) p->text, .iov_len = strlen(p->text) };
        struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

        if (p->fd >= 0) {
                struct cmsghdr *c;

                msg.msg_control = &control;
                msg.msg_controllen = sizeof(control);
                c = CMSG_FIRSTHDR(&msg);
                *c = (struct cmsghdr) { .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int)) };
                memcpy(CMSG_DATA(c), &p->fd, sizeof(int));
        }
        return sendmsg(socket_fd, &msg, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static void drop_first(Notify *n) {
        if (n->pending[0].fd >= 0)
                close(n->pending[0].fd);
        n->n_pending--;
        memmove(n->pending, n->pending + 1, n->n_pending * sizeof(*n->pending));
}

/* As long as PID 1 takes them. One that it refuses for good is dropped: what it was for is then lost in a restart alone. */
static void send_pending(Notify *n) {
        while (n->n_pending > 0) {
                int r = send_now(n->socket_fd, &n->pending[0]);

                if (r == -EAGAIN || r == -EINTR || r == -ENOBUFS || r == -ENOMEM)
                        break;
                drop_first(n);
        }
        (void) sd_event_source_set_enabled(n->source, n->n_pending > 0 ? SD_EVENT_ON : SD_EVENT_OFF);
}

static int on_writable(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        (void) source, (void) fd, (void) revents;
        send_pending(userdata);
        return 0;
}

static int on_watchdog(sd_event_source *source, uint64_t usec, void *userdata) {
        Notify *n = userdata;

        (void) notify_send(n, "WATCHDOG=1", -1);
        (void) sd_event_source_set_time(source, usec + n->watchdog_usec);
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* Not by sd_event_set_watchdog(3), whose word to PID 1 waits until there is room for it. */
static int watch(Notify *n, sd_event *event) {
        uint64_t limit_usec = 0;
        int r = sd_event_add_io(event, &n->source, n->socket_fd, EPOLLOUT, on_writable, n);

        if (r >= 0)
                r = sd_event_source_set_enabled(n->source, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_watchdog_enabled(0, &limit_usec);
        if (r <= 0)
                return r;
        n->watchdog_usec = limit_usec / 2;
        return sd_event_add_time_relative(event, &n->watchdog, CLOCK_MONOTONIC, n->watchdog_usec, 0, on_watchdog, n);
}

int notify_new(sd_event *event, Notify **ret) {
        const char *path = getenv("NOTIFY_SOCKET");
        Notify *n = calloc(1, sizeof(*n));
        int r;

        if (!n)
                return -ENOMEM;
        n->socket_fd = path ? connect_manager(path) : -1;
        r = path && n->socket_fd < 0 ? n->socket_fd : 0;
        if (n->socket_fd >= 0)
                r = watch(n, event);
        if (r < 0) {
                notify_free(n);
                return r;
        }
        *ret = n;
        return 0;
}

size_t notify_finish(Notify *n, uint64_t usec) {
        uint64_t now = now_usec(), end = add_saturating(now, usec);
        size_t left = 0;

        for (; n && n->n_pending > 0 && now < end; now = now_usec()) {
                struct pollfd p = { .fd = n->socket_fd, .events = POLLOUT };
                size_t before = n->n_pending;

                (void) poll(&p, 1, (int) MIN((end - now) / USEC_PER_MSEC + 1, (uint64_t) INT_MAX));
                send_pending(n);
                if (n->n_pending == before)
                        (void) poll(NULL, 0, PAUSE_MSEC);
        }
        for (size_t i = 0; n && i < n->n_pending; i++)
                left += n->pending[i].fd >= 0;
        return left;
}

Notify *notify_free(Notify *n) {
        if (!n)
                return NULL;
        (void) notify_finish(n, LAST_CHANCE_USEC);
        while (n->n_pending > 0)
                drop_first(n);
        sd_event_source_disable_unref(n->source);
        sd_event_source_disable_unref(n->watchdog);
        if (n->socket_fd >= 0)
                close(n->socket_fd);
        free(n->pending);
        free(n);
        return NULL;
}

int notify_send(Notify *n, const char *text, int fd) {
        Pending *p;

        if (n->socket_fd < 0)
                return 0;
        if (n->n_pending == n->allocated) {
                size_t k = MAX(2 * n->allocated, 16u);

                p = realloc(n->pending, k * sizeof(*p));
                if (!p)
                        return -ENOMEM;
                n->pending = p;
                n->allocated = k;
        }
        p = &n->pending[n->n_pending];
        p->fd = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (fd >= 0 && p->fd < 0)
                return -errno;
        snprintf(p->text, sizeof(p->text), "%s", text);
        n->n_pending++;
        send_pending(n);
        return 0;
}
