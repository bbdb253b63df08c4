/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/run_loop.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <systemd/sd-event.h>
#include <time.h>

#include "ctl/status_line.h"
#include "ctl/stream.h"

/* A query that is over within this time shows no status line. */
#define STATUS_FIRST_USEC (500 * USEC_PER_MSEC)
#define STATUS_EVERY_USEC (1 * USEC_PER_SEC)
/* The pipe of a query that has ended is closed by then; if not, something else holds it open. */
#define RESULTS_CLOSE_USEC (10 * USEC_PER_SEC)

typedef struct Run {
        sd_event *event;
        PenstockQuery *query;
        Stream stream;
        StatusLine line;
        sd_event_source *in, *out, *tick, *closing;
        bool in_open;      /* results not read to the end yet */
        bool out_is_ready; /* not waiting for standard output */
        bool asking;       /* a Describe for the status line is on its way */
        bool has_failed;   /* the service cannot be reached */
        bool is_final;     /* and could not be after the results had ended */
        unsigned n_signals;
        RunResult result;
} Run;

static uint64_t now_usec(void) {
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t) ts.tv_sec * USEC_PER_SEC + (uint64_t) ts.tv_nsec / 1000;
}

static void on_watch(PenstockQuery *q, PenstockInfo *info, const PenstockError *error, void *userdata);

/* Leave the loop when the end is known and all results were read; after a signal, whoever does not read what is left
 * is not waited for. The service may be away for long while the engine goes on; then only the end of the results
 * makes it worth to ask again. */
static void maybe_finish(Run *run) {
        bool is_stuck = run->n_signals > 0 && !run->out_is_ready;

        if (run->in_open && !(is_stuck && run->result.info))
                return;
        if (run->result.info || (run->has_failed && (run->is_final || run->n_signals > 0)))
                (void) sd_event_exit(run->event, 0);
        else if (run->has_failed) {
                run->has_failed = false;
                if (penstock_query_watch(run->query, on_watch, run) < 0)
                        (void) sd_event_exit(run->event, 0);
        }
}

static void let_go(PenstockQuery *q) {
        int fd = penstock_query_take_hold_fd(q);

        closep(&fd);
}

/* Whoever answers, or does not: a query whose hold is closed ends, also under a penstockd that started anew. */
static void on_cancel(PenstockQuery *q, PenstockInfo *info, const PenstockError *error, void *userdata) {
        (void) info;
        (void) userdata;
        if (error)
                let_go(q);
}

static void cancel(Run *run) {
        if (penstock_query_cancel_async(run->query, on_cancel, NULL) < 0)
                let_go(run->query);
}

static void close_results(Run *run) {
        int fd;

        run->in = sd_event_source_disable_unref(run->in);
        run->closing = sd_event_source_disable_unref(run->closing);
        run->out = sd_event_source_disable_unref(run->out);
        fd = penstock_query_take_results_fd(run->query);
        closep(&fd);
        run->in_open = false;
        maybe_finish(run);
}

static void stop_reading(Run *run, RunBreak broken) {
        run->result.broken = broken;
        cancel(run);
        close_results(run);
}

static void set_waiting(Run *run, bool for_out) {
        run->out_is_ready = !for_out;
        (void) sd_event_source_set_enabled(run->in, for_out ? SD_EVENT_OFF : SD_EVENT_ON);
        if (run->out)
                (void) sd_event_source_set_io_events(run->out, for_out ? EPOLLOUT : 0);
        maybe_finish(run);
}

static void step(Run *run) {
        status_line_clear(&run->line);
        switch (stream_step(&run->stream)) {
        case STREAM_MOVED:
                if (run->closing)
                        (void) sd_event_source_set_time_relative(run->closing, RESULTS_CLOSE_USEC);
                set_waiting(run, false);
                break;
        case STREAM_WAIT_IN: set_waiting(run, false); break;
        case STREAM_WAIT_OUT: set_waiting(run, true); break;
        case STREAM_END: close_results(run); break;
        case STREAM_IN_ERROR:
                report("cannot read the results: %s", strerror(run->stream.error));
                stop_reading(run, RUN_BROKEN);
                break;
        case STREAM_OUT_ERROR:
                if (run->stream.error == EPIPE) {
                        stop_reading(run, RUN_BROKEN_PIPE);
                        break;
                }
                report("cannot write to standard output: %s", strerror(run->stream.error));
                stop_reading(run, RUN_BROKEN);
                break;
        }
}

static int on_in(sd_event_source *s, int fd, uint32_t revents, void *userdata) {
        (void) s;
        (void) fd;
        (void) revents;
        step(userdata);
        return 0;
}

static int on_out(sd_event_source *s, int fd, uint32_t revents, void *userdata) {
        Run *run = userdata;

        (void) s;
        (void) fd;
        if (revents & (EPOLLERR | EPOLLHUP)) /* pipes tell of a lost reader by the one, sockets by the other */
                stop_reading(run, RUN_BROKEN_PIPE);
        else if (!run->out_is_ready)
                step(run);
        return 0;
}

/* The query has ended, and yet its results were not closed. */
static int on_closing(sd_event_source *s, uint64_t usec, void *userdata) {
        Run *run = userdata;

        (void) usec;
        if (!run->out_is_ready) { /* our own reader is slow */
                (void) sd_event_source_set_time_relative(s, RESULTS_CLOSE_USEC);
                return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
        }
        report("the query has ended, but something still holds its results open; they may lack their end");
        close_results(run);
        return 0;
}

static void on_watch(PenstockQuery *q, PenstockInfo *info, const PenstockError *error, void *userdata) {
        Run *run = userdata;

        (void) q;
        if (error) {
                run->has_failed = true;
                run->is_final = !run->in_open;
                run->result.error = *error;
                maybe_finish(run);
                return;
        }
        if (!penstock_info_is_ended(info))
                return;
        penstock_info_free(run->result.info);
        run->result.info = penstock_info_ref(info);
        if (run->in_open && !run->closing)
                (void) sd_event_add_time_relative(run->event, &run->closing, CLOCK_MONOTONIC, RESULTS_CLOSE_USEC, 0,
                                                  on_closing, run);
        maybe_finish(run);
}

/* A line may be drawn only where it breaks no line of the results in two. */
static bool may_draw(const Run *run) {
        return run->stream.bytes == 0 || run->stream.last == '\n' || !isatty(STDOUT_FILENO);
}

static void on_status(PenstockQuery *q, PenstockInfo *info, const PenstockError *error, void *userdata) {
        Run *run = userdata;

        (void) q;
        run->asking = false;
        if (!error && info && may_draw(run))
                status_line_draw(&run->line, info, now_usec());
}

static int on_tick(sd_event_source *s, uint64_t usec, void *userdata) {
        Run *run = userdata;

        (void) usec;
        if (!run->asking && penstock_query_describe_async(run->query, on_status, run) >= 0)
                run->asking = true;
        (void) sd_event_source_set_time_relative(s, STATUS_EVERY_USEC);
        return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

static int on_signal(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata) {
        Run *run = userdata;

        (void) s;
        (void) si;
        if (run->n_signals++ == 0) {
                cancel(run);
                maybe_finish(run);
                return 0;
        }
        return sd_event_exit(run->event, EXIT_CODE_REFUSED);
}

static int add_signals(Run *run) {
        static const int signals[] = { SIGINT, SIGTERM };
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(signals); i++)
                if (signal_take(signals[i]))
                        r = sd_event_add_signal(run->event, NULL, signals[i], on_signal, run);
        return r;
}

static int add_sources(Run *run) {
        int r;

        r = add_signals(run);
        if (r >= 0)
                r = sd_event_add_io(run->event, &run->in, run->stream.in, EPOLLIN, on_in, run);
        if (r < 0)
                return r;
        /* No events are wanted yet, but the loss of a reader is always told. Files have no such thing. */
        r = sd_event_add_io(run->event, &run->out, run->stream.out, 0, on_out, run);
        if (r < 0 && r != -EPERM)
                return r;
        if (run->line.enabled)
                return sd_event_add_time_relative(run->event, &run->tick, CLOCK_MONOTONIC, STATUS_FIRST_USEC, 0,
                                                  on_tick, run);
        return 0;
}

int run_loop(PenstockClient *c, PenstockQuery *q, bool quiet, RunResult *ret) {
        static Run run; /* its buffer is large */
        sigset_t mask;
        int r;

        sigprocmask(SIG_BLOCK, NULL, &mask);
        run.query = q;
        run.in_open = run.out_is_ready = true;
        stream_init(&run.stream, penstock_query_results_fd(q), STDOUT_FILENO);
        status_line_init(&run.line, !quiet, now_usec());
        r = sd_event_new(&run.event);
        if (r >= 0)
                r = penstock_client_attach_event(c, run.event);
        if (r >= 0)
                r = add_sources(&run);
        if (r >= 0)
                r = penstock_query_watch(q, on_watch, &run);
        if (r >= 0)
                r = sd_event_loop(run.event);
        status_line_clear(&run.line);
        sd_event_source_disable_unref(run.in);
        sd_event_source_disable_unref(run.out);
        sd_event_source_disable_unref(run.tick);
        sd_event_source_disable_unref(run.closing);
        sd_event_unref(run.event);
        if (run.n_signals == 0) /* else a late second one would change the exit status */
                sigprocmask(SIG_SETMASK, &mask, NULL);
        if (r == 0) {
                run.result.was_signaled = run.n_signals > 0;
                *ret = run.result;
                return GO_ON;
        }
        penstock_info_free(run.result.info);
        if (r < 0)
                report("the event loop failed: %s", strerror(-r));
        return EXIT_CODE_REFUSED;
}
