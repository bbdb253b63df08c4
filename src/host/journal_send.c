/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/journal_send.h"

#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base.h"

#define JOURNAL_SOCKET "/run/systemd/journal/socket"
/* A query writes 30 entries at once at most, of some hundred bytes each. */
#define WAITING_BYTES_MAX (1 * MIB)
#define LAST_CHANCE_MSEC 1000

typedef struct Waiting Waiting;
struct Waiting {
        Waiting *next;
        size_t len;
        char data[];
};

static const char *socket_path = JOURNAL_SOCKET;
static int socket_fd = -1;
static sd_event *loop; /* NULL: not attached */
static sd_event_source *source;
static Waiting *first, **last = &first;
static size_t waiting_bytes;
static uint64_t n_lost;

static void close_socket(void) {
        source = sd_event_source_disable_unref(source);
        if (socket_fd >= 0)
                close(socket_fd);
        socket_fd = -1;
}

static int on_writable(sd_event_source *s, int fd, uint32_t revents, void *userdata);

/* Connected, so that the loop is told when there is room. */
static int open_socket(void) {
        struct sockaddr_un sa = { .sun_family = AF_UNIX };
        int r = 0;

        snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", socket_path);
        socket_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (socket_fd < 0 || connect(socket_fd, (struct sockaddr *) &sa, sizeof(sa)) < 0)
                r = -errno;
        if (r == 0 && loop)
                r = sd_event_add_io(loop, &source, socket_fd, EPOLLOUT, on_writable, NULL);
        if (r >= 0 && loop)
                r = sd_event_source_set_enabled(source, first ? SD_EVENT_ON : SD_EVENT_OFF);
        if (r < 0)
                close_socket();
        return r;
}

/* Returns 0, -EAGAIN: there is no room, or -errno: it can't be sent. */
static int send_one(const void *data, size_t len) {
        int r = -ENOTCONN;

        for (int tries = 0; tries < 2 && r != 0 && r != -EAGAIN; tries++) {
                if (tries > 0)
                        close_socket(); /* of a journald that is gone */
                r = socket_fd < 0 ? open_socket() : 0;
                if (r >= 0)
                        r = send(socket_fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
        }
        return r;
}

static void drop_first(void) {
        Waiting *w = first;

        first = w->next;
        if (!first)
                last = &first;
        waiting_bytes -= w->len;
        free(w);
}

static int keep(const void *data, size_t len) {
        Waiting *w = waiting_bytes + len <= WAITING_BYTES_MAX ? malloc(sizeof(*w) + len) : NULL;

        if (!w)
                return -ENOBUFS;
        *w = (Waiting) { .len = len };
        memcpy(w->data, data, len);
        *last = w;
        last = &w->next;
        waiting_bytes += len;
        if (source)
                (void) sd_event_source_set_enabled(source, SD_EVENT_ON);
        return 0;
}

/* Sends or keeps @data, behind what waits; or it is lost, with -errno. */
static int pass(const void *data, size_t len) {
        int r = first ? -EAGAIN : send_one(data, len);

        return r == -EAGAIN ? keep(data, len) : r;
}

static void say_lost(void) {
        char text[256];
        int len = snprintf(text, sizeof(text),
                           "MESSAGE=%llu entries were lost, since journald took none\nPRIORITY=4\nSYSLOG_IDENTIFIER=%s\n",
                           (unsigned long long) n_lost, program_invocation_short_name);

        if (pass(text, (size_t) len) >= 0)
                n_lost = 0;
}

static void send_waiting(void) {
        for (int r; first && (r = send_one(first->data, first->len)) != -EAGAIN; drop_first())
                n_lost += r < 0;
        if (!first && n_lost > 0)
                say_lost();
        if (source && !first)
                (void) sd_event_source_set_enabled(source, SD_EVENT_OFF);
}

static int on_writable(sd_event_source *s, int fd, uint32_t revents, void *userdata) {
        (void) s, (void) fd, (void) revents, (void) userdata;
        send_waiting();
        return 0;
}

/* Off the loop. */
static void wait_a_moment(void) {
        struct pollfd p = { .fd = socket_fd, .events = POLLOUT };

        if (first && socket_fd >= 0)
                (void) poll(&p, 1, LAST_CHANCE_MSEC);
        send_waiting();
}

void journal_attach(sd_event *event, const char *path) {
        close_socket();
        socket_path = path ? path : JOURNAL_SOCKET;
        loop = sd_event_ref(event);
}

void journal_detach(void) {
        wait_a_moment();
        close_socket();
        loop = sd_event_unref(loop);
        while (first)
                drop_first();
}

/* systemd.io/JOURNAL_NATIVE_PROTOCOL: a value with a newline is written with its length. Returns the bytes put. */
static size_t put_field(char *buf, const struct iovec *field) {
        const char *text = field->iov_base, *equals = memchr(text, '=', field->iov_len);
        size_t name_len = (size_t) (equals - text), len = field->iov_len - name_len - 1;
        uint64_t le = htole64(len);

        if (!memchr(equals, '\n', len + 1)) {
                memcpy(buf, text, field->iov_len);
                buf[field->iov_len] = '\n';
                return field->iov_len + 1;
        }
        memcpy(buf, text, name_len);
        buf[name_len] = '\n';
        memcpy(buf + name_len + 1, &le, sizeof(le));
        memcpy(buf + name_len + 1 + sizeof(le), equals + 1, len);
        buf[name_len + 1 + sizeof(le) + len] = '\n';
        return name_len + 1 + sizeof(le) + len + 1;
}

void journal_send(const struct iovec *fields, size_t n) {
        char identifier[64];
        struct iovec own = { .iov_base = identifier };
        size_t len = 0, max;
        char *data;

        own.iov_len = (size_t) snprintf(identifier, sizeof(identifier), "SYSLOG_IDENTIFIER=%.32s", program_invocation_short_name);
        max = own.iov_len + 1;
        for (size_t i = 0; i < n; i++)
                max += fields[i].iov_len + sizeof(uint64_t) + 2;
        data = malloc(max);
        if (!data) {
                n_lost++;
                return;
        }
        len = put_field(data, &own);
        for (size_t i = 0; i < n; i++)
                len += put_field(data + len, &fields[i]);
        if (first || n_lost > 0)
                send_waiting();
        n_lost += pass(data, len) < 0;
        free(data);
        if (!loop)
                wait_a_moment();
}
