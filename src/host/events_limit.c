/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <sys/inotify.h>

#include "host/events.h"

typedef struct LimitWatch {
        void (*on_written)(void *userdata);
        void *userdata;
} LimitWatch;

static int on_modified(sd_event_source *source, const struct inotify_event *ev, void *userdata) {
        const LimitWatch *w = userdata;

        (void) source;
        if (ev->mask & IN_MODIFY)
                w->on_written(w->userdata);
        return 0;
}

int limit_watch_new(sd_event *loop, const char *cgroup, void (*on_written)(void *userdata), void *userdata,
                    sd_event_source **ret_source) {
        LimitWatch *w = malloc(sizeof *w);
        char *path = NULL;
        int r = -ENOMEM;

        if (w && asprintf(&path, "%s%s/memory.max", cgroup_host_root(), cgroup) >= 0) {
                *w = (LimitWatch) { on_written, userdata };
                r = sd_event_add_inotify(loop, ret_source, path, IN_MODIFY, on_modified, w);
        }
        if (r >= 0)
                (void) sd_event_source_set_destroy_callback(*ret_source, free);
        else
                free(w);
        free(path);
        return r < 0 ? r : 0;
}
