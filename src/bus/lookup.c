/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bus/lookup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bus/lookup_child.h"

struct Lookup {
        int fd, pidfd; /* the pidfd belongs to exit_source */
        sd_event_source *data_source, *exit_source, *timer;
        LookupHandler handler;
        void *userdata;
        LookupAnswer *answer; /* as it comes in */
        size_t n;
};

static void kill_child(Lookup *l) {
        if (l->pidfd >= 0)
                (void) pidfd_send_signal(l->pidfd, SIGKILL, NULL, 0);
}

/* Its child may take a while to die (a name service on a dead NFS server): the event loop keeps its source until
 * then. */
static void leave_child(Lookup *l) {
        if (!l->exit_source)
                return;
        kill_child(l);
        sd_event_source_set_userdata(l->exit_source, NULL);
        if (sd_event_source_set_floating(l->exit_source, true) < 0)
                sd_event_source_disable_unref(l->exit_source);
        else
                sd_event_source_unref(l->exit_source);
        l->exit_source = NULL;
}

Lookup *lookup_free(Lookup *l) {
        if (!l)
                return NULL;
        leave_child(l);
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

static int on_child_exit(sd_event_source *s, int fd, uint32_t revents, void *userdata) {
        Lookup *l = userdata;
        siginfo_t info;

        (void) revents;
        (void) waitid(P_PIDFD, (id_t) fd, &info, WEXITED | WNOHANG);
        if (l) {
                l->exit_source = sd_event_source_disable_unref(l->exit_source);
                l->pidfd = -1;
        } else /* floating: the loop's own reference is the last one */
                (void) sd_event_source_set_floating(s, false);
        return 0;
}

static int watch(Lookup *l, sd_event *event) {
        int r = sd_event_add_io(event, &l->exit_source, l->pidfd, EPOLLIN, on_child_exit, l);

        if (r >= 0)
                r = sd_event_source_set_io_fd_own(l->exit_source, true);
        if (r >= 0)
                r = sd_event_add_io(event, &l->data_source, l->fd, EPOLLIN, on_data, l);
        if (r >= 0)
                r = sd_event_add_time_relative(event, &l->timer, CLOCK_MONOTONIC, LOOKUP_TIMEOUT_USEC, 0, on_timeout,
                                               l);
        return r;
}

static int lookup_start(sd_event *event, LookupKind kind, const char *name, LookupHandler handler, void *userdata,
                        Lookup **ret) {
        Lookup *l = calloc(1, sizeof(*l));
        int pipe_fds[2], r;
        pid_t pid;

        if (!l)
                return -ENOMEM;
        *l = (Lookup) { .fd = -1, .pidfd = -1, .handler = handler, .userdata = userdata };
        l->answer = calloc(1, LOOKUP_ANSWER_MAX);
        if (!l->answer || pipe2(pipe_fds, O_CLOEXEC) < 0) {
                r = l->answer ? -errno : -ENOMEM;
                lookup_free(l);
                return r;
        }
        l->fd = pipe_fds[0];
        pid = fork();
        if (pid == 0)
                lookup_child(kind, name, pipe_fds[1]);
        r = pid < 0 ? -errno : 0;
        close(pipe_fds[1]);
        if (r >= 0 && fcntl(l->fd, F_SETFL, O_NONBLOCK) < 0)
                r = -errno;
        if (pid > 0) {
                l->pidfd = pidfd_open(pid, 0);
                if (l->pidfd < 0)
                        r = -errno;
        }
        if (r >= 0)
                r = watch(l, event);
        if (r < 0 && pid > 0 && !l->exit_source) { /* nobody else will take its end */
                kill(pid, SIGKILL);
                waitpid(pid, NULL, 0);
                if (l->pidfd >= 0)
                        close(l->pidfd);
        }
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
