/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/lower.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "host/cgroup_private.h"
#include "host/helper.h"

/* Some buffers of a page or two, and what the C library wants. */
#define STACK_BYTES (128 * KIB)

typedef struct Job {
        uint64_t query_id, max_bytes, high_bytes;
        int engine_fd, r;
} Job;

struct Lower {
        LowerCallback on_lowered;
        void *userdata;
        int end_fd; /* give up and end */

        /* A ring in three parts: told … done … submitted. The thread owns what lies between the last two. */
        Helper helper;
        Job jobs[LOWER_JOBS_MAX];
        unsigned n_told, n_done, n_submitted; /* ever */
};

/* The next job; NULL: there will be none. */
static Job *take(Lower *l) {
        Job *j = NULL;

        pthread_mutex_lock(&l->helper.mutex);
        while (!l->helper.ends && l->n_done == l->n_submitted)
                pthread_cond_wait(&l->helper.more, &l->helper.mutex);
        if (!l->helper.ends)
                j = &l->jobs[l->n_done % LOWER_JOBS_MAX];
        pthread_mutex_unlock(&l->helper.mutex);
        return j;
}

static void *work(void *userdata) {
        Lower *l = userdata;
        Job *j;

        while ((j = take(l))) {
                j->r = cgroup_lower(j->engine_fd, j->max_bytes, j->high_bytes, l->end_fd);
                pthread_mutex_lock(&l->helper.mutex);
                l->n_done++;
                pthread_mutex_unlock(&l->helper.mutex);
                helper_tell(&l->helper);
        }
        return NULL;
}

static bool take_result(Lower *l, Job *ret) {
        bool there;

        pthread_mutex_lock(&l->helper.mutex);
        there = l->n_told != l->n_done;
        if (there)
                *ret = l->jobs[l->n_told++ % LOWER_JOBS_MAX];
        pthread_mutex_unlock(&l->helper.mutex);
        return there;
}

static int on_done(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Lower *l = userdata;
        Job j;

        (void) source, (void) fd, (void) revents;
        if (!helper_heard(&l->helper))
                return 0;
        while (take_result(l, &j)) {
                close(j.engine_fd);
                l->on_lowered(j.query_id, j.r, l->userdata);
        }
        return 0;
}

Lower *lower_free(Lower *l) {
        if (!l)
                return NULL;
        helper_ask_to_end(&l->helper);
        if (l->end_fd >= 0)
                helper_wake(l->end_fd);
        helper_done(&l->helper);
        for (unsigned i = l->n_told; i != l->n_submitted; i++)
                close(l->jobs[i % LOWER_JOBS_MAX].engine_fd);
        if (l->end_fd >= 0)
                close(l->end_fd);
        free(l);
        return NULL;
}

int lower_new(sd_event *loop, LowerCallback on_lowered, void *userdata, Lower **ret) {
        Lower *l = calloc(1, sizeof *l);
        int r;

        if (!l)
                return -ENOMEM;
        l->on_lowered = on_lowered;
        l->userdata = userdata;
        l->helper.done_fd = -1;
        l->end_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        r = l->end_fd < 0 ? -errno : helper_start(&l->helper, loop, on_done, STACK_BYTES, work, l);
        if (r < 0) {
                lower_free(l);
                return r;
        }
        *ret = l;
        return 0;
}

int lower_submit(Lower *l, const QueryGroups *g, uint64_t query_id, uint64_t max_bytes, uint64_t high_bytes) {
        int fd = fcntl(g->engine_fd, F_DUPFD_CLOEXEC, 0), r = -EAGAIN;

        if (fd < 0)
                return -errno;
        pthread_mutex_lock(&l->helper.mutex);
        if (l->n_submitted - l->n_told < LOWER_JOBS_MAX) {
                l->jobs[l->n_submitted++ % LOWER_JOBS_MAX] = (Job) { query_id, max_bytes, high_bytes, fd, 0 };
                pthread_cond_signal(&l->helper.more);
                r = 0;
        }
        pthread_mutex_unlock(&l->helper.mutex);
        if (r < 0)
                close(fd);
        return r;
}
