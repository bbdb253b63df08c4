/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/loop.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "host/journal.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

/* Not shorter: fork(2) begins anew when a signal comes, and would never end. */
#define PATIENCE_NSEC (25L * 1000 * 1000)

static void on_alarm(int signo) {
        (void) signo;
}

/* Its signal ends the call that the turn waits in, and the next one, until it is set to nothing. */
static int patience_new(timer_t *ret) {
        struct sigaction action = { .sa_handler = on_alarm }; /* without SA_RESTART */
        struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGALRM, .sigev_notify_thread_id = gettid() };

        return sigaction(SIGALRM, &action, NULL) < 0 || timer_create(CLOCK_MONOTONIC, &event, ret) < 0 ? -errno : 0;
}

static void set_patience(timer_t timer, long nsec) {
        (void) timer_settime(timer, 0, &(struct itimerspec) { { 0, nsec }, { 0, nsec } }, NULL);
}

int loop_run(sd_event *e) {
        timer_t timer = NULL;
        int r = patience_new(&timer), code;
        bool has_timer = r == 0;

        if (!has_timer)
                journal_write(LOG_WARNING, JOURNAL_PLAIN, 0, "A call that waits for a stranger can't be interrupted: %s", strerror(-r));
        while (sd_event_get_state(e) != SD_EVENT_FINISHED) {
                r = sd_event_prepare(e);
                if (r == 0)
                        r = sd_event_wait(e, UINT64_MAX);
                if (r > 0) {
                        if (has_timer)
                                set_patience(timer, PATIENCE_NSEC);
                        r = sd_event_dispatch(e);
                        if (has_timer)
                                set_patience(timer, 0);
                }
                if (r < 0)
                        break;
        }
        if (has_timer)
                (void) timer_delete(timer);
        if (r < 0)
                return r;
        r = sd_event_get_exit_code(e, &code);
        return r < 0 ? r : code;
}
