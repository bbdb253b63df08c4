/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/lower.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "host/cgroup_private.h"

/* Some buffers of a page or two, and what the C library wants. */
#define STACK_BYTES (128 * KIB)

typedef struct Job {
        uint64_t query_id, max_bytes, high_bytes;
        int engine_fd, r;
} Job;

struct Lower {
        LowerCallback on_lowered;
        void *userdata;
        sd_event_source *source;
        int done_fd, end_fd; /* results are there; give up and end */
        pthread_t thread;
        bool has_thread;

        /* A ring in three parts: told … done … submitted. The thread owns what lies between the last two. */
        pthread_mutex_t mutex; /* inherits priority: the loop must not wait for a thread that waits for a CPU */
        pthread_cond_t more;
        Job jobs[LOWER_JOBS_MAX];
        unsigned n_told, n_done, n_submitted; /* ever */
        bool ends;
};

static void wake(int fd) {
        const uint64_t one = 1;
        ssize_t n = write(fd, &one, sizeof one);

        (void) n; /* it is full only if it is readable anyway */
}

/* The next job; NULL: there will be none. */
static Job *take(Lower *l) {
        Job *j = NULL;

        pthread_mutex_lock(&l->mutex);
        while (!l->ends && l->n_done == l->n_submitted)
                pthread_cond_wait(&l->more, &l->mutex);
        if (!l->ends)
                j = &l->jobs[l->n_done % LOWER_JOBS_MAX];
        pthread_mutex_unlock(&l->mutex);
        return j;
}

static void *work(void *userdata) {
        Lower *l = userdata;
        Job *j;

        while ((j = take(l))) {
                j->r = cgroup_lower(j->engine_fd, j->max_bytes, j->high_bytes, l->end_fd);
                pthread_mutex_lock(&l->mutex);
                l->n_done++;
                pthread_mutex_unlock(&l->mutex);
                wake(l->done_fd);
        }
        return NULL;
}

static bool take_result(Lower *l, Job *ret) {
        bool there;

        pthread_mutex_lock(&l->mutex);
        there = l->n_told != l->n_done;
        if (there)
                *ret = l->jobs[l->n_told++ % LOWER_JOBS_MAX];
        pthread_mutex_unlock(&l->mutex);
        return there;
}

static int on_done(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Lower *l = userdata;
        uint64_t n;
        Job j;

        (void) source, (void) revents;
        if (read(fd, &n, sizeof n) < 0)
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
        if (l->has_thread) {
                pthread_mutex_lock(&l->mutex);
                l->ends = true;
                pthread_cond_signal(&l->more);
                pthread_mutex_unlock(&l->mutex);
                wake(l->end_fd);
                pthread_join(l->thread, NULL);
        }
        for (unsigned i = l->n_told; i != l->n_submitted; i++)
                close(l->jobs[i % LOWER_JOBS_MAX].engine_fd);
        sd_event_source_disable_unref(l->source);
        if (l->done_fd >= 0)
                close(l->done_fd);
        if (l->end_fd >= 0)
                close(l->end_fd);
        pthread_cond_destroy(&l->more);
        pthread_mutex_destroy(&l->mutex);
        free(l);
        return NULL;
}

static int init_lock(Lower *l) {
        pthread_mutexattr_t attributes;
        int r = pthread_mutexattr_init(&attributes);

        if (r == 0)
                r = pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
        if (r == 0)
                r = pthread_mutex_init(&l->mutex, &attributes);
        if (r == 0)
                r = pthread_cond_init(&l->more, NULL);
        pthread_mutexattr_destroy(&attributes);
        return -r;
}

/* All signals are the loop's. */
static int start_thread(Lower *l) {
        pthread_attr_t attributes;
        sigset_t all, old;
        int r;

        sigfillset(&all);
        r = pthread_attr_init(&attributes);
        if (r == 0)
                r = pthread_attr_setstacksize(&attributes, STACK_BYTES);
        if (r == 0) {
                pthread_sigmask(SIG_SETMASK, &all, &old);
                r = pthread_create(&l->thread, &attributes, work, l);
                pthread_sigmask(SIG_SETMASK, &old, NULL);
        }
        pthread_attr_destroy(&attributes);
        l->has_thread = r == 0;
        return -r;
}

int lower_new(sd_event *loop, LowerCallback on_lowered, void *userdata, Lower **ret) {
        Lower *l = calloc(1, sizeof *l);
        int r;

        if (!l)
                return -ENOMEM;
        l->on_lowered = on_lowered;
        l->userdata = userdata;
        l->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        l->end_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        r = l->done_fd < 0 || l->end_fd < 0 ? -errno : init_lock(l);
        if (r == 0)
                r = sd_event_add_io(loop, &l->source, l->done_fd, EPOLLIN, on_done, l);
        if (r >= 0)
                r = start_thread(l);
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
        pthread_mutex_lock(&l->mutex);
        if (l->n_submitted - l->n_told < LOWER_JOBS_MAX) {
                l->jobs[l->n_submitted++ % LOWER_JOBS_MAX] = (Job) { query_id, max_bytes, high_bytes, fd, 0 };
                pthread_cond_signal(&l->more);
                r = 0;
        }
        pthread_mutex_unlock(&l->mutex);
        if (r < 0)
                close(fd);
        return r;
}
