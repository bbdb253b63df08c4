/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/group_maker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/events.h"
#include "host/helper.h"

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
        uint64_t last_ticket;

        Helper helper;
        JobList waiting, done; /* under its mutex */
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
        pthread_mutex_lock(&m->helper.mutex);
        list_add(&m->done, made);
        pthread_mutex_unlock(&m->helper.mutex);
        helper_tell(&m->helper);
}

/* NULL: there will be none. */
static Job *next_job(GroupMaker *m) {
        Job *j = NULL;

        pthread_mutex_lock(&m->helper.mutex);
        while (!m->helper.ends && !m->waiting.first)
                pthread_cond_wait(&m->helper.more, &m->helper.mutex);
        if (!m->helper.ends)
                j = list_take(&m->waiting);
        pthread_mutex_unlock(&m->helper.mutex);
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

        pthread_mutex_lock(&m->helper.mutex);
        j = list_take(&m->done);
        pthread_mutex_unlock(&m->helper.mutex);
        return j;
}

static int on_done(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        GroupMaker *m = userdata;
        Job *j;

        (void) source, (void) fd, (void) revents;
        if (!helper_heard(&m->helper))
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
        helper_done(&m->helper);
        while ((j = list_take(&m->waiting)) || (j = list_take(&m->done)))
                job_free(j);
        free(m);
        return NULL;
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
        r = helper_start(&m->helper, loop, on_done, STACK_BYTES, work, m);
        if (r < 0) {
                group_maker_free(m);
                return r;
        }
        *ret = m;
        return 0;
}

static void submit(GroupMaker *m, Job *j) {
        pthread_mutex_lock(&m->helper.mutex);
        list_add(&m->waiting, j);
        pthread_cond_signal(&m->helper.more);
        pthread_mutex_unlock(&m->helper.mutex);
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
