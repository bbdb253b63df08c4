/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The live screen: what the service says, keys, signals and time come in by one loop. Signals are blocked and read by
 * it, so that none finds the terminal half drawn, and each way out leads past screen_close(). */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>

#include "ctl/screen.h"
#include "ctl/top.h"

typedef struct Watch {
        const Verb *verb;
        sd_event *event;
        sd_event_source *tick, *expiry;
        Feed *feed;
        Top top;
        Canvas canvas;
        uint64_t iterations;
        int signo; /* what ended it; 0: nothing did */
} Watch;

static uint64_t now_usec(const Watch *w) {
        uint64_t now = 0;

        (void) sd_event_now(w->event, CLOCK_MONOTONIC, &now);
        return now;
}

static void draw(Watch *w) {
        top_draw(&w->top, &w->canvas);
        screen_show(&w->canvas);
        if (w->top.message[0]) {
                (void) sd_event_source_set_time(w->expiry, w->top.message_until_usec);
                (void) sd_event_source_set_enabled(w->expiry, SD_EVENT_ONESHOT);
        }
}

static int measure(Watch *w) {
        unsigned width, height;

        screen_measure(&width, &height);
        canvas_done(&w->canvas);
        return canvas_init(&w->canvas, width, height, w->top.ascii);
}

static void on_news(FeedNews news, void *userdata) {
        Watch *w = userdata;

        if (news == FEED_UPDATED && w->iterations != TOP_FOR_EVER && --w->iterations == 0)
                (void) sd_event_exit(w->event, EXIT_CODE_OK);
        draw(w);
        if (news == FEED_UPDATED)
                feed_missing(w->feed);
}

static int on_tick(sd_event_source *s, uint64_t usec, void *userdata) {
        Watch *w = userdata;

        (void) usec;
        if (!w->top.held)
                feed_update(w->feed);
        (void) sd_event_source_set_time_relative(s, w->top.delay_usec);
        return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

static int on_expiry(sd_event_source *s, uint64_t usec, void *userdata) {
        Watch *w = userdata;

        (void) s;
        (void) usec;
        (void) top_forget_message(&w->top, now_usec(w));
        draw(w);
        return 0;
}

static int tick_now(Watch *w) {
        int r = sd_event_source_set_time(w->tick, 0);

        return r < 0 ? r : sd_event_source_set_enabled(w->tick, SD_EVENT_ONESHOT);
}

static int fulfil(Watch *w, TopWish wish) {
        switch (wish) {
        case TOP_WISH_QUIT: return sd_event_exit(w->event, EXIT_CODE_OK);
        case TOP_WISH_CANCEL: feed_cancel(w->feed, w->top.subject); return 0;
        case TOP_WISH_INSPECT: feed_inspect(w->feed, w->top.subject); return 0;
        case TOP_WISH_UPDATE:
        case TOP_WISH_DELAY: return tick_now(w);
        case TOP_WISH_REDRAW: screen_redraw(); return 0;
        case TOP_WISH_NONE: break;
        }
        return 0;
}

static int on_keys(sd_event_source *s, int fd, uint32_t revents, void *userdata) {
        Watch *w = userdata;
        uint32_t key;
        int r = 0;

        (void) s;
        (void) fd;
        while (r >= 0 && screen_key(&key))
                r = fulfil(w, top_key(&w->top, key, now_usec(w)));
        if (r < 0)
                return r;
        if (revents & (EPOLLHUP | EPOLLERR)) /* the terminal is gone */
                return sd_event_exit(w->event, w->verb->failure);
        draw(w);
        feed_missing(w->feed);
        return 0;
}

static int on_resized(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata) {
        Watch *w = userdata;
        int r = measure(w);

        (void) s;
        (void) si;
        if (r < 0)
                return r;
        draw(w);
        feed_missing(w->feed);
        return 0;
}

static int on_end(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata) {
        Watch *w = userdata;

        (void) s;
        w->signo = (int) si->ssi_signo;
        return sd_event_exit(w->event, EXIT_CODE_OK);
}

/* Do what @signo does where nobody handles it. */
static void take_default(int signo) {
        sigset_t set;

        signal(signo, SIG_DFL);
        raise(signo);
        sigemptyset(&set);
        sigaddset(&set, signo);
        sigprocmask(SIG_UNBLOCK, &set, NULL); /* here it strikes */
        sigprocmask(SIG_BLOCK, &set, NULL);
}

/* Somebody else had the terminal. */
static int on_continued(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata) {
        screen_suspend();
        screen_redraw();
        return on_resized(s, si, userdata);
}

static int on_stop(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata) {
        screen_suspend();
        take_default(SIGTSTP); /* which does nothing where no shell could continue us */
        return on_continued(s, si, userdata);
}

static int add_signals(Watch *w) {
        static const struct {
                int signo;
                sd_event_signal_handler_t handler;
        } signals[] = {
                { SIGWINCH, on_resized }, { SIGINT, on_end },   { SIGTERM, on_end },       { SIGHUP, on_end },
                { SIGQUIT, on_end },      { SIGTSTP, on_stop }, { SIGCONT, on_continued },
        };
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(signals); i++)
                if (signal_take(signals[i].signo))
                        r = sd_event_add_signal(w->event, NULL, signals[i].signo, signals[i].handler, w);
        return r;
}

static int add_sources(Watch *w) {
        int r;

        r = sd_event_add_io(w->event, NULL, STDIN_FILENO, EPOLLIN, on_keys, w);
        if (r >= 0)
                r = sd_event_add_time(w->event, &w->tick, CLOCK_MONOTONIC, 0, 0, on_tick, w);
        if (r >= 0)
                r = sd_event_add_time(w->event, &w->expiry, CLOCK_MONOTONIC, USEC_INFINITY, 0, on_expiry, w);
        if (r >= 0)
                r = sd_event_source_set_enabled(w->expiry, SD_EVENT_OFF);
        return r;
}

/* With the terminal ours. Returns the exit status or -errno. */
static int watch(Watch *w) {
        int r = measure(w);

        if (r >= 0)
                r = add_sources(w);
        if (r < 0)
                return r;
        draw(w);
        return sd_event_loop(w->event);
}

int top_screen_run(const Verb *verb, const TopOptions *o, PenstockClient *client) {
        Watch w = { .verb = verb, .iterations = o->iterations };
        const char *term = getenv("TERM");
        int r;

        top_begin(&w.top, o, locale_is_ascii());
        r = sd_event_new(&w.event);
        if (r >= 0)
                r = feed_new(w.event, client, &w.top, on_news, &w, &w.feed);
        else
                penstock_client_free(client);
        if (r >= 0)
                r = add_signals(&w); /* before curses, which would handle some of them itself */
        if (r >= 0)
                r = screen_open();
        if (r >= 0)
                r = watch(&w);
        screen_close();
        if (r == -ENOTTY)
                report("top: a terminal of type '%s' can't show it; see `penstockctl list`, or `penstockctl top "
                       "--batch`",
                       term ? term : "");
        else if (r < 0)
                report("top: %s", strerror(-r));
        feed_free(w.feed);
        sd_event_source_disable_unref(w.tick);
        sd_event_source_disable_unref(w.expiry);
        sd_event_unref(w.event);
        canvas_done(&w.canvas);
        top_done(&w.top);
        if (w.signo != 0 && w.signo != SIGINT)
                take_default(w.signo);
        return r < 0 ? (int) verb->failure : r;
}
