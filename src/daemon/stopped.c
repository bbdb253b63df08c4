/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/stopped.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/cgroup.h"
#include "host/clock.h"
#include "host/journal.h"
#include "host/state_files.h"
#include "host/stop_job.h"
#include "host/stop_units.h"
#include "host/worker_link.h"

#define SLICE "/penstock.slice"
#define SOCKET_UNIT "penstock-worker.socket"
/* For PID 1 to take what it keeps for the next one: less than HELD_USEC_MAX, and than TimeoutStopSec= of penstockd.service. */
#define TELL_USEC (30 * USEC_PER_SEC)
/* As long as a worker that hears of nobody keeps its query frozen. */
#define HELD_USEC_MAX (WORKER_GIVE_UP_MSEC * USEC_PER_MSEC)

static int complain(const char *what, int r) {
        journal_write(LOG_ERR, JOURNAL_PLAIN, 0, "%s: %s", what, strerror(-r));
        fprintf(stderr, "penstockd: %s: %s\n", what, strerror(-r));
        return EXIT_FAILURE;
}

static bool was_held_for_long(void) {
        uint64_t since = state_held_since();

        return since == 0 || subtract_saturating(now_usec(), since) >= HELD_USEC_MAX;
}

/* Will there be another penstockd in a moment? One that ended by itself says so by its exit status, of one that was killed
 * Restart=always does; unless PID 1 has been told to stop it. When the last one that was to come did not get ready, whatever
 * stopped it may stop the next, unless it was asked to leave before it was: then it says so, or has had no time to hear of it
 * (SIGTERM). But it is not asked for ever. */
static bool another_comes(void) {
        const char *code = getenv("EXIT_CODE"), *status = getenv("EXIT_STATUS");
        bool asked;
        uint64_t n;

        if (!code || !status)
                return false;
        if (strcmp(code, "exited") == 0) {
                if (u64_parse(status, &n) < 0 || n != EXIT_ANOTHER_COMES)
                        return false;
                asked = true;
        } else
                asked = strcmp(code, "killed") == 0 && strcmp(status, "TERM") == 0;
        if (state_is(STATE_HELD) && (!asked || was_held_for_long()))
                return false;
        return stop_job_ask_now(PENSTOCKD_UNIT) != STOP_FOR_GOOD;
}

/* Not as STATE_HELD: to ExecStopPost= that says that the last one that was to come never got ready. */
void stopped_hold(void) {
        unsigned n = 0;
        int r = cgroup_slice_freeze(SLICE, true, &n);

        if (r < 0)
                journal_write(LOG_WARNING, JOURNAL_PLAIN, 0, "Queries can't be frozen before penstockd leaves: %s",
                              strerror(-r));
        else if (n > 0)
                journal_write(LOG_NOTICE, JOURNAL_PLAIN, 0,
                              "%u queries were frozen until another penstockd is there", n);
}

/* It was slow, or somebody has filled its socket. */
void stopped_tell(Notify *n) {
        size_t left = notify_finish(n, TELL_USEC);

        if (left > 0)
                journal_write(LOG_ERR, JOURNAL_PLAIN, 0,
                              "PID 1 has not taken %zu descriptors in %llu s: queries that they are of and that wait for their start are ended "
                              "by the next penstockd",
                              left, (unsigned long long) (TELL_USEC / USEC_PER_SEC));
}

/* ExecStopPost=: who grows while nobody can raise its limit is killed, so all are held until another penstockd is there.
 * When none will be, no query stays frozen without anybody to thaw it; who was held runs then, and for how long nobody knows (0). */
int stopped_run(void) {
        Error error = {};
        unsigned n = 0;
        int r = cgroup_host_init(&error);
        bool hold = r >= 0 && another_comes();

        if (hold != state_is(STATE_HELD)) /* else the first time counts */
                state_set_held(hold ? now_usec() : 0);
        if (r >= 0)
                r = cgroup_slice_freeze(SLICE, hold, &n);
        if (r < 0)
                return complain(error.code ? error.message : "queries may be frozen, and can't be thawed", r);
        if (n > 0)
                journal_write(LOG_NOTICE, JOURNAL_PLAIN, 0, "%u queries were %s, since penstockd has ended", n,
                              hold ? "frozen until it is back" : "thawed");
        return EXIT_SUCCESS;
}

/* ExecStopPost= of the socket, which goes with the service. A penstockd that was stopped has ended its queries; one that was to be
 * started again in a moment, or could not start, was not there to do it, and its ExecStopPost= has been run before. */
int stopped_closed(void) {
        unsigned n = 0;
        int r;

        if (stop_job_ask_now(SOCKET_UNIT) != STOP_FOR_GOOD)
                return EXIT_SUCCESS;
        state_set(STATE_STOPPED, true);
        state_set(STATE_HELD, false);
        r = stop_units_of_queries(&n);
        if (n > 0)
                journal_write(LOG_NOTICE, JOURNAL_PLAIN, 0, "%u units of queries are stopped, since penstockd was", n);
        return r < 0 ? complain("penstockd was stopped, and queries may go on", r) : EXIT_SUCCESS;
}
