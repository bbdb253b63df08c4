/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/remover.h"

#include <errno.h>
#include <stdlib.h>

#include "host/helper.h"

/* A path, and what the C library wants. */
#define STACK_BYTES (128 * KIB)

struct Remover {
        int (*remove)(uint64_t id);

        /* A ring: done … submitted. */
        Helper helper;
        uint64_t ids[REMOVER_JOBS_MAX];
        unsigned n_done, n_submitted; /* ever */
};

static bool take(Remover *r, uint64_t *ret) {
        bool is_one;

        pthread_mutex_lock(&r->helper.mutex);
        while (!r->helper.ends && r->n_done == r->n_submitted)
                pthread_cond_wait(&r->helper.more, &r->helper.mutex);
        is_one = !r->helper.ends;
        if (is_one)
                *ret = r->ids[r->n_done++ % REMOVER_JOBS_MAX];
        pthread_mutex_unlock(&r->helper.mutex);
        return is_one;
}

static void remove_one(Remover *r, uint64_t id) {
        if (r->remove(id) < 0)
                (void) r->remove(id);
}

static void *work(void *userdata) {
        Remover *r = userdata;
        uint64_t id;

        while (take(r, &id))
                remove_one(r, id);
        return NULL;
}

Remover *remover_free(Remover *r) {
        if (!r)
                return NULL;
        helper_done(&r->helper);
        free(r);
        return NULL;
}

int remover_new(sd_event *loop, int (*remove)(uint64_t id), Remover **ret) {
        Remover *r = calloc(1, sizeof(*r));
        int k;

        if (!r)
                return -ENOMEM;
        r->remove = remove;
        k = helper_start(&r->helper, loop, NULL, STACK_BYTES, work, r);
        if (k < 0) {
                remover_free(r);
                return k;
        }
        *ret = r;
        return 0;
}

void remover_submit(Remover *r, uint64_t id) {
        bool has_room;

        pthread_mutex_lock(&r->helper.mutex);
        has_room = r->n_submitted - r->n_done < REMOVER_JOBS_MAX;
        if (has_room) {
                r->ids[r->n_submitted++ % REMOVER_JOBS_MAX] = id;
                pthread_cond_signal(&r->helper.more);
        }
        pthread_mutex_unlock(&r->helper.mutex);
        if (!has_room)
                remove_one(r, id);
}
