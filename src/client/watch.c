/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* client/watch: follow one query to its end, through restarts of the service and of the bus.
 * Signals only say that something changed; each fact comes from Describe. The match goes out before the first
 * Describe on the same connection, so that no change falls in between. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "client/query.h"

/* How long the service may be away: what systemd gives a start unless told otherwise (DefaultTimeoutStartSec=). A restart while PID 1
 * is busy took 50 s. */
#define AWAY_USEC (90 * USEC_PER_SEC)
#define RETRY_USEC (500 * USEC_PER_MSEC)

typedef enum WatchPhase { WATCH_FOLLOWING, WATCH_ENDED, WATCH_FAILED } WatchPhase;

struct Watch {
        PenstockQuery *query;
        sd_bus_slot *changed, *owner, *lost, *describe;
        sd_event_source *timer; /* only with an event loop */
        WatchPhase phase;
        bool again;            /* something changed while a Describe was on its way */
        unsigned generation;   /* of the connection that the slots belong to */
        uint64_t retry_usec;   /* when to ask again; infinity: an answer or a signal will come */
        uint64_t give_up_usec; /* infinity while the service is there */
        PenstockInfo *info;    /* the last description */
        PenstockError error;
        int result; /* -errno, with error */
        PenstockHandler handler; /* NULL: penstock_query_wait() looks at the phase itself */
        void *userdata;
};

static int watch_describe(Watch *w);
static int watch_subscribe(Watch *w);

static uint64_t now_monotonic(void) {
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t) ts.tv_sec * USEC_PER_SEC + (uint64_t) ts.tv_nsec / 1000;
}

static void watch_unsubscribe(Watch *w) {
        w->changed = sd_bus_slot_unref(w->changed);
        w->owner = sd_bus_slot_unref(w->owner);
        w->lost = sd_bus_slot_unref(w->lost);
        w->describe = sd_bus_slot_unref(w->describe);
}

Watch *watch_free(Watch *w) {
        if (!w)
                return NULL;
        watch_unsubscribe(w);
        sd_event_source_disable_unref(w->timer);
        penstock_info_free(w->info);
        free(w);
        return NULL;
}

static void watch_set_retry(Watch *w, uint64_t usec) {
        w->retry_usec = usec;
        if (!w->timer)
                return;
        (void) sd_event_source_set_time(w->timer, usec);
        (void) sd_event_source_set_enabled(w->timer, usec == USEC_INFINITY ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
}

/* The handler may put another watch in this one's place, so its arguments must not be this one's. @w may be gone
 * afterwards. */
static void watch_tell(const Watch *w, PenstockInfo *info) {
        penstock_info_ref(info);
        w->handler(w->query, info, NULL, w->userdata);
        penstock_info_free(info);
}

/* The last word: tell the handler, ask no more. */
static void watch_finish(Watch *w, WatchPhase phase) {
        PenstockError error;

        w->phase = phase;
        watch_set_retry(w, USEC_INFINITY);
        watch_unsubscribe(w);
        if (!w->handler)
                return;
        if (phase == WATCH_ENDED) {
                watch_tell(w, w->info);
                return;
        }
        error = w->error; /* as in watch_tell() */
        w->handler(w->query, NULL, &error, w->userdata);
}

/* The service is away; or has as many answers that the bus has not taken as it makes at one time (-EUSERS). */
static bool passes(int r) {
        return r == -EHOSTDOWN || r == -EUSERS;
}

/* No answer. What passes is waited out for a while, once the service is known to have been there; any other error is final. */
static void watch_no_answer(Watch *w, int r, const PenstockError *error) {
        bool was_there = w->query->was_there || r == -EUSERS;
        uint64_t now = now_monotonic();

        w->error = *error;
        w->result = r;
        if (!passes(r) || !was_there || now >= w->give_up_usec) {
                watch_finish(w, WATCH_FAILED);
                return;
        }
        if (w->give_up_usec == USEC_INFINITY)
                w->give_up_usec = now + AWAY_USEC;
        watch_set_retry(w, now + RETRY_USEC);
}

static void watch_errno(Watch *w, int r) {
        PenstockError error = {};

        r = client_error_from_bus(&error, r, NULL);
        watch_no_answer(w, r, &error);
}

static int on_described(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        Watch *w = userdata;
        PenstockQuery *q = w->query;
        PenstockInfo *info = NULL;
        PenstockError error = {};
        int r;

        (void) ret_error;
        w->describe = sd_bus_slot_unref(w->describe);
        if (sd_bus_message_is_method_error(m, NULL)) {
                r = client_error_from_bus(&error, -EIO, sd_bus_message_get_error(m));
                watch_no_answer(w, r, &error);
                return 0;
        }
        r = info_read(m, &info);
        if (r < 0) {
                watch_errno(w, r);
                return 0;
        }
        penstock_info_free(w->info);
        w->info = info;
        q->was_there = true;
        w->give_up_usec = USEC_INFINITY;
        watch_set_retry(w, USEC_INFINITY);
        if (penstock_info_is_ended(info)) {
                watch_finish(w, WATCH_ENDED);
                return 0;
        }
        if (w->handler) {
                watch_tell(w, info);
                if (q->watch != w) /* it has put another one in its place */
                        return 0;
        }
        if (w->again)
                (void) watch_describe(w);
        return 0;
}

static int watch_describe(Watch *w) {
        CLEANUP(message_unrefp) sd_bus_message *m = NULL;
        PenstockClient *c = w->query->client;
        AutoStart start;
        int r;

        if (w->generation != c->generation) {
                watch_unsubscribe(w);
                w->generation = c->generation;
        }
        if (w->describe) {
                w->again = true;
                return 0;
        }
        w->again = false;
        /* The first contact may start the service. Later ones must not: an operator who stops it would find it
         * started again by those who watch. */
        start = w->query->was_there ? AUTO_START_NO : AUTO_START_YES;
        r = client_id_message_new(c, "Describe", w->query->id, start, &m);
        if (r >= 0 && (!w->lost || w->generation != c->generation)) {
                watch_unsubscribe(w);
                r = watch_subscribe(w);
        }
        if (r >= 0)
                r = sd_bus_call_async(c->bus, &w->describe, m, on_described, w, CALL_USEC);
        if (r < 0)
                watch_errno(w, r);
        return r;
}

static int on_changed(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        (void) m;
        (void) ret_error;
        (void) watch_describe(userdata);
        return 0;
}

static int on_lost(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        (void) m;
        (void) ret_error;
        watch_errno(userdata, -ECONNRESET);
        return 0;
}

static int watch_subscribe(Watch *w) {
        sd_bus *bus = w->query->client->bus;
        int r;

        w->generation = w->query->client->generation;
        r = sd_bus_match_signal_async(bus, &w->changed, BUS_NAME, w->query->path, "org.freedesktop.DBus.Properties",
                                      "PropertiesChanged", on_changed, NULL, w);
        if (r >= 0)
                r = sd_bus_add_match_async(bus, &w->owner,
                                           "type='signal',sender='org.freedesktop.DBus',"
                                           "interface='org.freedesktop.DBus',member='NameOwnerChanged',"
                                           "path='/org/freedesktop/DBus',arg0='" BUS_NAME "'",
                                           on_changed, NULL, w);
        if (r >= 0)
                r = sd_bus_match_signal_async(bus, &w->lost, "org.freedesktop.DBus.Local",
                                              "/org/freedesktop/DBus/Local", "org.freedesktop.DBus.Local",
                                              "Disconnected", on_lost, NULL, w);
        return r < 0 ? r : 0;
}

/* The retry time has come. */
static void watch_retry(Watch *w) {
        watch_set_retry(w, USEC_INFINITY);
        (void) watch_describe(w);
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata) {
        (void) s;
        (void) usec;
        watch_retry(userdata);
        return 0;
}

static int watch_new(PenstockQuery *q, PenstockHandler handler, void *userdata, Watch **ret) {
        Watch *w = calloc(1, sizeof(*w));
        int r = 0;

        if (!w)
                return -ENOMEM;
        *w = (Watch) {
                .query = q,
                .handler = handler,
                .userdata = userdata,
                .generation = q->client->generation,
                .retry_usec = USEC_INFINITY,
                .give_up_usec = USEC_INFINITY,
        };
        if (q->client->event && handler) {
                r = sd_event_add_time(q->client->event, &w->timer, CLOCK_MONOTONIC, USEC_INFINITY, 0, on_timer, w);
                if (r >= 0)
                        r = sd_event_source_set_enabled(w->timer, SD_EVENT_OFF);
        }
        if (r < 0) {
                watch_free(w);
                return r;
        }
        *ret = w;
        return 0;
}

EXPORT int penstock_query_watch(PenstockQuery *q, PenstockHandler handler, void *userdata) {
        Watch *w = NULL;
        int r;

        if (!q->client->event)
                return -ENOTCONN;
        r = watch_new(q, handler, userdata, &w);
        if (r < 0)
                return r;
        watch_free(q->watch);
        q->watch = w;
        (void) watch_describe(w); /* a failure goes to the handler, or is tried again */
        return 0;
}

/* Block until something happens, a retry is due, or @deadline_usec, which counts from the first answer on: else who has
 * no time would never hear of what has ended. */
static int watch_step(Watch *w, uint64_t deadline_usec) {
        const PenstockClient *c = w->query->client;
        bool was_answered = w->info || w->result < 0;
        uint64_t until = was_answered ? MIN(w->retry_usec, deadline_usec) : w->retry_usec, now = now_monotonic();
        sd_bus *bus = c->bus;
        int r;

        /* A handler that was called from here may have found a new connection: nobody reads the old one now. */
        if (now >= w->retry_usec || w->generation != c->generation) {
                watch_retry(w);
                return 1;
        }
        if (now >= until)
                return 0;
        r = sd_bus_is_open(bus) > 0 ? sd_bus_process(bus, NULL) : -ENOTCONN;
        if (r == -EBUSY) /* called from a handler */
                return r;
        if (r > 0 || w->phase != WATCH_FOLLOWING)
                return 1;
        if (r == 0)
                r = sd_bus_wait(bus, until == USEC_INFINITY ? USEC_INFINITY : until - now);
        if (r == -EINTR)
                return 1;
        if (r < 0) {
                if (w->retry_usec == USEC_INFINITY)
                        watch_errno(w, -ECONNRESET);
                else
                        nanosleep(&(struct timespec) { .tv_nsec = 50 * 1000 * 1000 }, NULL);
        }
        return 1;
}

EXPORT int penstock_query_wait(PenstockQuery *q, uint64_t timeout_usec, PenstockInfo **ret,
                               PenstockError *ret_error) {
        uint64_t now = now_monotonic(), deadline;
        Watch *w = NULL;
        int r;

        deadline = timeout_usec > USEC_INFINITY - now ? USEC_INFINITY : now + timeout_usec;
        r = watch_new(q, NULL, NULL, &w);
        if (r < 0)
                return client_error_from_bus(ret_error, r, NULL);
        (void) watch_describe(w);
        r = 1;
        while (r > 0 && w->phase == WATCH_FOLLOWING)
                r = watch_step(w, deadline);
        if (w->phase == WATCH_ENDED) {
                *ret = w->info;
                w->info = NULL;
                r = 0;
        } else if (w->phase == WATCH_FAILED)
                r = client_error(ret_error, w->result, w->error.name, "%s", w->error.message);
        else if (r == 0)
                r = client_error(ret_error, -ETIMEDOUT, "Timeout", "the query has not ended within %llu ms",
                                 (unsigned long long) (timeout_usec / USEC_PER_MSEC));
        else
                r = client_error_from_bus(ret_error, r, NULL);
        watch_free(w);
        return r;
}
