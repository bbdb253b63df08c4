/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/group_maker.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "host/events.h"

/* libcgroup has some paths on it at a time. */
#define STACK_BYTES (512 * KIB)

typedef struct Job Job;
struct Job {
        Job *next;
        uint64_t query_id, ticket; /* 0: @groups are let go */
        QueryGroupsSetup setup;    /* its path is ours */
        QueryGroups *groups;
        int r;
};

typedef struct JobList {
        Job *first, **last;
} JobList;

struct GroupMaker {
        GroupMakerCallback on_made;
        void *userdata;
        sd_event_source *source;
        int done_fd;
        pthread_t thread;
        bool has_thread;
        uint64_t last_ticket;

        pthread_mutex_t mutex; /* inherits priority: the loop must not wait for a thread that waits for a CPU */
        pthread_cond_t more;
        JobList waiting, done;
        bool ends;
};

static void job_free(Job *j) {
        query_groups_free(j->groups);
        free((char *) j->setup.unit_cgroup);
        free(j);
}

static void list_add(JobList *l, Job *j) {
        *l->last = j;
        l->last = &j->next;
}

static Job *list_take(JobList *l) {
        Job *j = l->first;

        if (!j)
                return NULL;
        l->first = j->next;
        if (!l->first)
                l->last = &l->first;
        j->next = NULL;
        return j;
}

static void hand_in(GroupMaker *m, Job *made) {
        const uint64_t one = 1;
        ssize_t n;

        pthread_mutex_lock(&m->mutex);
        list_add(&m->done, made);
        pthread_mutex_unlock(&m->mutex);
        n = write(m->done_fd, &one, sizeof one); /* unlocked: the loop is awake at once, and wants the list */
        (void) n;                                /* it is full only if it is readable anyway */
}

/* NULL: there will be none. */
static Job *next_job(GroupMaker *m) {
        Job *j = NULL;

        pthread_mutex_lock(&m->mutex);
        while (!m->ends && !m->waiting.first)
                pthread_cond_wait(&m->more, &m->mutex);
        if (!m->ends)
                j = list_take(&m->waiting);
        pthread_mutex_unlock(&m->mutex);
        return j;
}

static void *work(void *userdata) {
        Job *j;

        while ((j = next_job(userdata))) {
                if (j->ticket == 0) {
                        job_free(j);
                        continue;
                }
                j->r = query_groups_new(&j->setup, &j->groups);
                if (j->r == 0)
                        (void) events_arm(j->groups); /* who needs it tries again, and tells */
                hand_in(userdata, j);
        }
        return NULL;
}

static Job *take_made(GroupMaker *m) {
        Job *j;

        pthread_mutex_lock(&m->mutex);
        j = list_take(&m->done);
        pthread_mutex_unlock(&m->mutex);
        return j;
}

static int on_done(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        GroupMaker *m = userdata;
        uint64_t n;
        Job *j;

        (void) source, (void) revents;
        if (read(fd, &n, sizeof n) < 0)
                return 0;
        while ((j = take_made(m))) {
                m->on_made(j->query_id, j->ticket, j->r, j->groups, m->userdata);
                j->groups = NULL;
                job_free(j);
        }
        return 0;
}

GroupMaker *group_maker_free(GroupMaker *m) {
        Job *j;

        if (!m)
                return NULL;
        if (m->has_thread) {
                pthread_mutex_lock(&m->mutex);
                m->ends = true;
                pthread_cond_signal(&m->more);
                pthread_mutex_unlock(&m->mutex);
                pthread_join(m->thread, NULL);
        }
        while ((j = list_take(&m->waiting)) || (j = list_take(&m->done)))
                job_free(j);
        sd_event_source_disable_unref(m->source);
        if (m->done_fd >= 0)
                close(m->done_fd);
        pthread_cond_destroy(&m->more);
        pthread_mutex_destroy(&m->mutex);
        free(m);
        return NULL;
}

static int init_lock(GroupMaker *m) {
        pthread_mutexattr_t attributes;
        int r = pthread_mutexattr_init(&attributes);

        if (r == 0)
                r = pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
        if (r == 0)
                r = pthread_mutex_init(&m->mutex, &attributes);
        if (r == 0)
                r = pthread_cond_init(&m->more, NULL);
        pthread_mutexattr_destroy(&attributes);
        return -r;
}

/* All signals are the loop's. */
static int start_thread(GroupMaker *m) {
        pthread_attr_t attributes;
        sigset_t all, old;
        int r;

        sigfillset(&all);
        r = pthread_attr_init(&attributes);
        if (r == 0)
                r = pthread_attr_setstacksize(&attributes, STACK_BYTES);
        if (r == 0) {
                pthread_sigmask(SIG_SETMASK, &all, &old);
                r = pthread_create(&m->thread, &attributes, work, m);
                pthread_sigmask(SIG_SETMASK, &old, NULL);
        }
        pthread_attr_destroy(&attributes);
        m->has_thread = r == 0;
        return -r;
}

int group_maker_new(sd_event *loop, GroupMakerCallback on_made, void *userdata, GroupMaker **ret) {
        GroupMaker *m = calloc(1, sizeof *m);
        int r;

        if (!m)
                return -ENOMEM;
        m->on_made = on_made;
        m->userdata = userdata;
        m->waiting.last = &m->waiting.first;
        m->done.last = &m->done.first;
        m->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        r = m->done_fd < 0 ? -errno : init_lock(m);
        if (r == 0)
                r = sd_event_add_io(loop, &m->source, m->done_fd, EPOLLIN, on_done, m);
        if (r >= 0)
                r = start_thread(m);
        if (r < 0) {
                group_maker_free(m);
                return r;
        }
        *ret = m;
        return 0;
}

static void submit(GroupMaker *m, Job *j) {
        pthread_mutex_lock(&m->mutex);
        list_add(&m->waiting, j);
        pthread_cond_signal(&m->more);
        pthread_mutex_unlock(&m->mutex);
}

int group_maker_submit(GroupMaker *m, const QueryGroupsSetup *setup, uint64_t query_id, uint64_t *ret_ticket) {
        Job *j = calloc(1, sizeof *j);
        char *path = strdup(setup->unit_cgroup);

        if (!j || !path) {
                free(j);
                free(path);
                return -ENOMEM;
        }
        *j = (Job) { .query_id = query_id, .ticket = ++m->last_ticket, .setup = *setup };
        j->setup.unit_cgroup = path;
        *ret_ticket = j->ticket;
        submit(m, j);
        return 0;
}

void group_maker_let_go(GroupMaker *m, QueryGroups *groups) {
        Job *j = m && groups ? calloc(1, sizeof *j) : NULL;

        if (!j) {
                query_groups_free(groups);
                return;
        }
        j->groups = groups;
        submit(m, j);
}
