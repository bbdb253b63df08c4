/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* host/helper: a thread of penstockd's that does for the loop what would hold it up. It waits for jobs under a lock and tells the
 * loop of each that is done; what a job is, and where it lies, is its owner's. */
#pragma once

#include <pthread.h>
#include <systemd/sd-event.h>

#include "core/base.h"

typedef struct Helper {
        pthread_mutex_t mutex; /* inherits priority: the loop must not wait for a thread that waits for a CPU */
        pthread_cond_t more;   /* there is a job, or the end has come */
        bool ends;             /* under the mutex */
        int done_fd;
        sd_event_source *source;
        pthread_t thread;
        bool has_thread;
} Helper;

/* Starts @work in a thread of its own; @on_done is called on the loop after helper_tell(), and begins with helper_heard(); NULL: the
 * loop is told nothing. Both get @userdata. Returns 0 or -errno; helper_done() in either case. */
int helper_start(Helper *h, sd_event *loop, sd_event_io_handler_t on_done, size_t stack_bytes, void *(*work)(void *), void *userdata);
/* In the thread, without the mutex: the loop is awake at once, and wants it. */
void helper_tell(Helper *h);
bool helper_heard(Helper *h); /* false: it was a false alarm */
void helper_wake(int fd); /* make an eventfd readable */
/* The thread is to end when it looks next. */
void helper_ask_to_end(Helper *h);
/* Waits for it. Also for one that is zero but for done_fd -1. */
void helper_done(Helper *h);
