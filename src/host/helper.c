/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/helper.h"

#include <errno.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define WAKE_TRIES 3

static int init_lock(Helper *h) {
        pthread_mutexattr_t attributes;
        int r = pthread_mutexattr_init(&attributes);

        if (r == 0)
                r = pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
        if (r == 0)
                r = pthread_mutex_init(&h->mutex, &attributes);
        if (r == 0)
                r = pthread_cond_init(&h->more, NULL);
        pthread_mutexattr_destroy(&attributes);
        return -r;
}

/* All signals are the loop's. */
static int start_thread(Helper *h, size_t stack_bytes, void *(*work)(void *), void *userdata) {
        pthread_attr_t attributes;
        sigset_t all, old;
        int r;

        sigfillset(&all);
        r = pthread_attr_init(&attributes);
        if (r == 0)
                r = pthread_attr_setstacksize(&attributes, stack_bytes);
        if (r == 0) {
                pthread_sigmask(SIG_SETMASK, &all, &old);
                r = pthread_create(&h->thread, &attributes, work, userdata);
                pthread_sigmask(SIG_SETMASK, &old, NULL);
        }
        pthread_attr_destroy(&attributes);
        h->has_thread = r == 0;
        return -r;
}

int helper_start(Helper *h, sd_event *loop, sd_event_io_handler_t on_done, size_t stack_bytes, void *(*work)(void *), void *userdata) {
        int r;

        *h = (Helper) { .done_fd = on_done ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : -1 };
        r = on_done && h->done_fd < 0 ? -errno : init_lock(h);
        if (r == 0 && on_done)
                r = sd_event_add_io(loop, &h->source, h->done_fd, EPOLLIN, on_done, userdata);
        return r < 0 ? r : start_thread(h, stack_bytes, work, userdata);
}

void helper_wake(int fd) {
        const uint64_t one = 1;

        /* EAGAIN: it is full, so it is readable anyway. With any other error who waits would wait for ever. */
        for (unsigned i = 0; i < WAKE_TRIES && write(fd, &one, sizeof one) < 0 && errno != EAGAIN; i++)
                ;
}

void helper_tell(Helper *h) {
        helper_wake(h->done_fd);
}

bool helper_heard(Helper *h) {
        uint64_t n;

        return read(h->done_fd, &n, sizeof n) >= 0;
}

void helper_ask_to_end(Helper *h) {
        if (!h->has_thread)
                return;
        pthread_mutex_lock(&h->mutex);
        h->ends = true;
        pthread_cond_signal(&h->more);
        pthread_mutex_unlock(&h->mutex);
}

void helper_done(Helper *h) {
        helper_ask_to_end(h);
        if (h->has_thread)
                pthread_join(h->thread, NULL);
        sd_event_source_disable_unref(h->source);
        if (h->done_fd >= 0)
                close(h->done_fd);
        pthread_cond_destroy(&h->more);
        pthread_mutex_destroy(&h->mutex);
}
