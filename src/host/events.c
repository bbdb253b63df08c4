/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "host/cgroup_private.h"
#include "host/events.h"

struct EventsWatch {
        uint64_t query_id;
        EventsCallback on_pressure;
        void *userdata;
        int events_fd; /* our own: a notification is used up by reading */
        sd_event_source *events_source, *psi_source;
        uint64_t last_stall_usec;
};

EventsWatch *events_watch_free(EventsWatch *w) {
        if (!w)
                return NULL;
        sd_event_source_disable_unref(w->events_source);
        sd_event_source_disable_unref(w->psi_source);
        if (w->events_fd >= 0)
                close(w->events_fd);
        free(w);
        return NULL;
}

static int tell(EventsWatch *w, sd_event_source *source) {
        uint64_t now_usec;
        int r = sd_event_now(sd_event_source_get_event(source), CLOCK_MONOTONIC, &now_usec);

        return r < 0 ? r : w->on_pressure(w->query_id, now_usec, w->userdata);
}

/* The kernel says EPOLLERR | EPOLLPRI for each change of a kernfs file, and goes on saying so until the file was read
 * through the same description; a removed group says the same, and only reading tells. */
static int on_events(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        char text[256];
        EventsWatch *w = userdata;

        (void) revents;
        if (cgroup_read_text(fd, text, sizeof text) == -ENODEV)
                return sd_event_source_set_enabled(source, SD_EVENT_OFF);
        return tell(w, source); /* a reading that failed otherwise is made up for at once: it is still readable */
}

/* For a trigger EPOLLERR does mean that the group is gone. The first event of a trigger can be a false one, so see
 * whether the stall time has moved. */
static int on_psi(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        EventsWatch *w = userdata;
        char text[256];
        Sample s = {};
        int r;

        if (revents & (EPOLLERR | EPOLLHUP))
                return sd_event_source_set_enabled(source, SD_EVENT_OFF);
        r = cgroup_read_text(fd, text, sizeof text);
        if (r == -ENODEV || r == -EOPNOTSUPP || (r == 0 && sample_parse_pressure(text, &s) < 0))
                return sd_event_source_set_enabled(source, SD_EVENT_OFF);
        if (r < 0)
                return tell(w, source); /* a window without its figures is judged by the sample alone */
        if (s.stall_some_usec == w->last_stall_usec)
                return 0;
        w->last_stall_usec = s.stall_some_usec;
        return tell(w, source);
}

int events_arm(QueryGroups *g) {
        char trigger[64];
        int fd, len, r;

        if (g->psi_fd >= 0)
                return 1;
        fd = query_groups_open(g, "memory.pressure", O_RDWR | O_NONBLOCK);
        if (fd < 0)
                return fd == -ENOENT || fd == -EOPNOTSUPP ? 0 : fd;
        len = snprintf(trigger, sizeof trigger, "some %d %d", EVENTS_PSI_STALL_USEC, EVENTS_PSI_WINDOW_USEC);
        /* with its NUL: the kernel overwrites the last byte with one */
        if (write(fd, trigger, (size_t) len + 1) < 0) {
                r = -errno;
                close(fd);
                /* psi=0; no PSI for cgroups; cgroup.pressure off; a kernel that wants another window */
                return r == -EOPNOTSUPP || r == -ENOENT || r == -EINVAL ? 0 : r;
        }
        g->psi_fd = fd; /* a trigger lives as long as it */
        return 1;
}

static int add_psi(EventsWatch *w, sd_event *loop, QueryGroups *g) {
        char text[256];
        Sample s = {};
        int r = events_arm(g);

        if (r <= 0)
                return r;
        if (cgroup_read_text(g->psi_fd, text, sizeof text) == 0 && sample_parse_pressure(text, &s) == 0)
                w->last_stall_usec = s.stall_some_usec;
        r = sd_event_add_io(loop, &w->psi_source, g->psi_fd, EPOLLPRI, on_psi, w);
        if (r >= 0)
                r = sd_event_source_set_priority(w->psi_source, EVENTS_PRIORITY);
        return r < 0 ? r : 1;
}

static int add_events(EventsWatch *w, sd_event *loop, QueryGroups *g) {
        char text[256];
        int r;

        w->events_fd = query_groups_open(g, "memory.events.local", O_RDONLY);
        if (w->events_fd < 0)
                return w->events_fd;
        /* What has happened so far is no news: reading sets the description's mark. */
        r = cgroup_read_text(w->events_fd, text, sizeof text);
        if (r >= 0)
                r = sd_event_add_io(loop, &w->events_source, w->events_fd, EPOLLPRI, on_events, w);
        return r < 0 ? r : sd_event_source_set_priority(w->events_source, EVENTS_PRIORITY);
}

int events_watch_new(sd_event *loop, QueryGroups *g, uint64_t query_id, EventsCallback on_pressure, void *userdata,
                     bool *ret_no_psi, EventsWatch **ret) {
        EventsWatch *w = calloc(1, sizeof *w);
        int r;

        if (!w)
                return -ENOMEM;
        *w = (EventsWatch) {
                .query_id = query_id,
                .on_pressure = on_pressure,
                .userdata = userdata,
                .events_fd = -1,
        };
        r = add_events(w, loop, g);
        if (r >= 0)
                r = add_psi(w, loop, g);
        if (r < 0) {
                events_watch_free(w);
                return r;
        }
        if (ret_no_psi)
                *ret_no_psi = r == 0;
        *ret = w;
        return 0;
}

struct EmptyWatch {
        const QueryGroups *groups;
        void (*on_empty)(void *userdata);
        void *userdata;
        int fd;
        sd_event_source *source;
};

EmptyWatch *empty_watch_free(EmptyWatch *w) {
        if (!w)
                return NULL;
        sd_event_source_disable_unref(w->source);
        if (w->fd >= 0)
                close(w->fd);
        free(w);
        return NULL;
}

/* The first call is the first look: a kernfs file is readable until it was read. */
static int on_group_events(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        EmptyWatch *w = userdata;
        char text[256];

        (void) revents;
        (void) cgroup_read_text(fd, text, sizeof text); /* sets the description's mark before the look */
        if (!query_groups_are_empty(w->groups))
                return 0;
        (void) sd_event_source_set_enabled(source, SD_EVENT_OFF);
        w->on_empty(w->userdata);
        return 0;
}

int empty_watch_new(sd_event *loop, const QueryGroups *g, void (*on_empty)(void *userdata), void *userdata,
                    EmptyWatch **ret) {
        EmptyWatch *w = calloc(1, sizeof *w);
        int r;

        if (!w)
                return -ENOMEM;
        *w = (EmptyWatch) { .groups = g, .on_empty = on_empty, .userdata = userdata };
        w->fd = openat(g->unit_fd, "cgroup.events", O_RDONLY | O_CLOEXEC);
        r = w->fd < 0 ? -errno : sd_event_add_io(loop, &w->source, w->fd, EPOLLPRI, on_group_events, w);
        if (r < 0) {
                empty_watch_free(w);
                return r;
        }
        *ret = w;
        return 0;
}
