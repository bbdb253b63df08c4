/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bus/lookup.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "bus/lookup_child.h"
#include "host/child.h"

struct Lookup {
        sd_event *event; /* borrowed: it outlives all that is attached to it */
        int fd;
        pid_t pid;
        sd_event_source *data_source, *timer;
        LookupHandler handler;
        void *userdata;
        LookupAnswer *answer; /* as it comes in */
        size_t n;
};

Lookup *lookup_free(Lookup *l) {
        if (!l)
                return NULL;
        child_leave(l->event, l->pid, CHILD_FOR_US);
        sd_event_source_disable_unref(l->data_source);
        sd_event_source_disable_unref(l->timer);
        if (l->fd >= 0)
                close(l->fd);
        free(l->answer);
        free(l);
        return NULL;
}

static void finish(Lookup *l, int r) {
        LookupAnswer *a = l->answer;
        Caller found = {};

        sd_event_source_set_enabled(l->data_source, SD_EVENT_OFF);
        sd_event_source_set_enabled(l->timer, SD_EVENT_OFF);
        if (r >= 0 && (l->n < sizeof(*a) || a->n_gids > LOOKUP_GROUPS_MAX ||
                       l->n != sizeof(*a) + a->n_gids * sizeof(a->gids[0])))
                r = -EBADMSG; /* the child died before it was through */
        if (r >= 0)
                r = a->r;
        if (r >= 0)
                found = (Caller) { .uid = a->uid, .gid = a->gid, .gids = a->gids, .n_gids = a->n_gids };
        l->handler(r, r >= 0 ? &found : NULL, l->userdata);
}

static int on_data(sd_event_source *s, int fd, uint32_t revents, void *userdata) {
        Lookup *l = userdata;
        ssize_t n;

        (void) s, (void) revents;
        while ((n = read(fd, (char *) l->answer + l->n, LOOKUP_ANSWER_MAX - l->n)) > 0)
                l->n += (size_t) n;
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        finish(l, n < 0 ? -errno : 0);
        return 0;
}

static int on_timeout(sd_event_source *s, uint64_t usec, void *userdata) {
        (void) s, (void) usec;
        finish(userdata, -ETIMEDOUT);
        return 0;
}

static int watch(Lookup *l) {
        int r = sd_event_add_io(l->event, &l->data_source, l->fd, EPOLLIN, on_data, l);

        if (r >= 0)
                r = sd_event_add_time_relative(l->event, &l->timer, CLOCK_MONOTONIC, LOOKUP_TIMEOUT_USEC, 0, on_timeout,
                                               l);
        return r;
}

static int lookup_start(sd_event *event, LookupKind kind, const char *name, LookupHandler handler, void *userdata,
                        Lookup **ret) {
        Lookup *l = calloc(1, sizeof(*l));
        int pipe_fds[2], r;

        if (!l)
                return -ENOMEM;
        *l = (Lookup) { .event = event, .fd = -1, .handler = handler, .userdata = userdata };
        l->answer = calloc(1, LOOKUP_ANSWER_MAX);
        if (!l->answer || pipe2(pipe_fds, O_CLOEXEC) < 0) {
                r = l->answer ? -errno : -ENOMEM;
                lookup_free(l);
                return r;
        }
        l->fd = pipe_fds[0];
        l->pid = fork();
        if (l->pid == 0)
                lookup_child(kind, name, pipe_fds[1]);
        r = l->pid < 0 ? -errno : 0;
        close(pipe_fds[1]);
        if (r >= 0 && fcntl(l->fd, F_SETFL, O_NONBLOCK) < 0)
                r = -errno;
        if (r >= 0)
                r = watch(l);
        if (r < 0) {
                lookup_free(l);
                return r;
        }
        *ret = l;
        return 0;
}

int lookup_user(sd_event *event, const char *name, LookupHandler handler, void *userdata, Lookup **ret) {
        return lookup_start(event, LOOKUP_USER, name, handler, userdata, ret);
}

int lookup_group(sd_event *event, const char *name, LookupHandler handler, void *userdata, Lookup **ret) {
        return lookup_start(event, LOOKUP_GROUP, name, handler, userdata, ret);
}
