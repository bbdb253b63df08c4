/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/top_feed.h"

#include <errno.h>
#include <pwd.h>
#include <string.h>
#include <time.h>

#define ULL(x) ((unsigned long long) (x))
/* penstockd refuses a connection's ninth large answer while the bus has not taken the others. */
#define DETAILS_AT_ONCE 4
#define ASKS_MAX 16
/* An update that has not been answered for so long, and for twice the delay, is worth a word. */
#define SILENCE_USEC (3 * USEC_PER_SEC)
#define NAMES_MAX 64

typedef enum AskKind { ASK_DETAIL, ASK_INSPECT, ASK_CANCEL } AskKind;

/* A call about one query. The library lets no handler free its query, so that is left for feed_pump(). */
typedef struct Ask {
        Feed *feed;
        PenstockQuery *query; /* NULL: free */
        AskKind kind;
        bool is_answered;
} Ask;

typedef struct UserName {
        uint64_t uid;
        char text[40];
} UserName;

struct Feed {
        sd_event *event;
        PenstockClient *client; /* NULL: lost */
        Top *top;
        FeedHandler handler;
        void *userdata;
        sd_event_source *pump;

        bool is_updating, is_lost;
        unsigned n_answers; /* of the two of the update under way that are still to come */
        uint64_t since_usec;
        uint64_t ids[TOP_DETAILS_MAX];
        size_t n_ids, next_id;
        Ask asks[ASKS_MAX];

        UserName names[NAMES_MAX];
        size_t n_names;
};

static uint64_t now_usec(void) {
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t) ts.tv_sec * USEC_PER_SEC + (uint64_t) ts.tv_nsec / 1000;
}

static void set_clock(Top *t) {
        time_t now = time(NULL);
        struct tm tm;

        if (!localtime_r(&now, &tm) || strftime(t->clock, sizeof(t->clock), "%H:%M:%S", &tm) == 0)
                t->clock[0] = '\0';
}

/* Each is looked up once. When there are more than places, the last one is used again and again. */
static const char *name_of_user(Feed *f, uint64_t uid) {
        UserName *n;
        struct passwd *pw;

        for (size_t i = 0; i < f->n_names; i++)
                if (f->names[i].uid == uid)
                        return f->names[i].text;
        f->n_names = MIN(f->n_names + 1, (size_t) NAMES_MAX);
        n = &f->names[f->n_names - 1];
        n->uid = uid;
        pw = getpwuid((uid_t) uid);
        if (pw)
                snprintf(n->text, sizeof(n->text), "%s", pw->pw_name);
        else
                snprintf(n->text, sizeof(n->text), "%llu", ULL(uid));
        return n->text;
}

static void pump_soon(Feed *f) {
        (void) sd_event_source_set_enabled(f->pump, SD_EVENT_ONESHOT);
}

/* The update is over, well or not. */
static void finish(Feed *f) {
        f->is_updating = false;
        f->n_ids = f->next_id = 0;
        f->handler(FEED_UPDATED, f->userdata);
}

static void fail(Feed *f, const PenstockError *error) {
        Top *t = f->top;

        if (strcmp(error->name, PENSTOCK_ERROR_UNREACHABLE) == 0)
                snprintf(t->trouble, sizeof(t->trouble),
                         "Not reachable since %s; see: systemctl status dbus penstockd (%.400s)", t->clock,
                         error->message);
        else
                snprintf(t->trouble, sizeof(t->trouble), "%.100s: %.400s", error->name, error->message);
        f->is_lost = true; /* also what is half known, and another answer that may still come */
        pump_soon(f);
        if (f->is_updating)
                finish(f);
}

static void fail_errno(Feed *f, int r) {
        PenstockError error = { .name = PENSTOCK_ERROR_UNREACHABLE };

        snprintf(error.message, sizeof(error.message), "%s", strerror(-r));
        fail(f, &error);
}

static void on_detail(Feed *f, uint64_t id, PenstockInfo *info) {
        if (info)
                top_set_detail(f->top, id, info);
}

static void on_inspected(Feed *f, uint64_t id, PenstockInfo *info, const PenstockError *error) {
        Top *t = f->top;

        if (t->subject != id || (t->mode != TOP_MODE_INSPECT && t->back != TOP_MODE_INSPECT))
                return;
        if (error)
                top_say(t, now_usec(), true, "query %llu: %s: %s", ULL(id), error->name, error->message);
        else {
                penstock_info_free(t->inspected);
                t->inspected = penstock_info_ref(info);
        }
        f->handler(FEED_CHANGED, f->userdata);
}

static void on_canceled(Feed *f, uint64_t id, const PenstockError *error) {
        if (error)
                top_say(f->top, now_usec(), true, "query %llu: %s: %s", ULL(id), error->name, error->message);
        else
                top_say(f->top, now_usec(), false, "query %llu is being canceled", ULL(id));
        f->handler(FEED_CHANGED, f->userdata);
        if (!f->top->held)
                feed_update(f);
}

static void on_answer(PenstockQuery *q, PenstockInfo *info, const PenstockError *error, void *userdata) {
        Ask *a = userdata;
        Feed *f = a->feed;
        uint64_t id = penstock_query_id(q);

        a->is_answered = true;
        pump_soon(f);
        switch (a->kind) {
        case ASK_DETAIL: on_detail(f, id, info); break;
        case ASK_INSPECT: on_inspected(f, id, info, error); break;
        case ASK_CANCEL: on_canceled(f, id, error); break;
        }
        if (error && strcmp(error->name, PENSTOCK_ERROR_UNREACHABLE) == 0)
                fail(f, error);
}

static int ask(Feed *f, AskKind kind, uint64_t id) {
        Ask *a = f->asks;
        int r;

        if (!f->client)
                return -EHOSTDOWN;
        while (a < f->asks + ASKS_MAX && a->query)
                a++;
        if (a == f->asks + ASKS_MAX)
                return -EBUSY;
        *a = (Ask) { .feed = f, .kind = kind };
        r = penstock_query_open(f->client, id, &a->query);
        if (r >= 0)
                r = kind == ASK_CANCEL ? penstock_query_cancel_async(a->query, on_answer, a)
                                       : penstock_query_describe_async(a->query, on_answer, a);
        if (r < 0)
                a->query = penstock_query_free(a->query);
        return r;
}

static unsigned n_details(const Feed *f) {
        unsigned n = 0;

        for (size_t i = 0; i < ASKS_MAX; i++)
                n += f->asks[i].query && f->asks[i].kind == ASK_DETAIL;
        return n;
}

static void drop_client(Feed *f) {
        for (size_t i = 0; i < ASKS_MAX; i++) {
                Ask *a = &f->asks[i];

                if (a->query && a->kind == ASK_CANCEL && !a->is_answered)
                        top_say(f->top, now_usec(), true, "query %llu: whether it is canceled is not known",
                                ULL(penstock_query_id(a->query)));
                a->query = penstock_query_free(a->query);
        }
        f->client = penstock_client_free(f->client);
        f->is_lost = false;
}

/* Outside of all handlers: free what was answered, and ask the next ones. */
static int feed_pump(sd_event_source *s, void *userdata) {
        Feed *f = userdata;

        (void) s;
        if (f->is_lost) {
                drop_client(f);
                return 0;
        }
        for (size_t i = 0; i < ASKS_MAX; i++)
                if (f->asks[i].query && f->asks[i].is_answered)
                        f->asks[i].query = penstock_query_free(f->asks[i].query);
        while (f->next_id < f->n_ids && n_details(f) < DETAILS_AT_ONCE)
                if (ask(f, ASK_DETAIL, f->ids[f->next_id]) >= 0)
                        f->next_id++;
                else if (n_details(f) > 0)
                        return 0; /* whose answers bring us here again */
                else
                        f->next_id = f->n_ids;
        if (f->next_id < f->n_ids || n_details(f) > 0)
                return 0;
        if (f->is_updating && f->n_answers == 0)
                finish(f);
        else if (f->n_ids > 0) {
                f->n_ids = f->next_id = 0;
                f->handler(FEED_CHANGED, f->userdata);
        }
        return 0;
}

/* One of the two answers is here; with both the details are asked for. */
static void advance(Feed *f) {
        if (--f->n_answers > 0)
                return;
        f->top->trouble[0] = '\0';
        set_clock(f->top);
        f->n_ids = top_wanted(f->top, false, f->ids, TOP_DETAILS_MAX);
        f->next_id = 0;
        pump_soon(f);
}

static void on_status(PenstockClient *c, PenstockInfo *info, const PenstockError *error, void *userdata) {
        Feed *f = userdata;

        (void) c;
        if (!f->is_updating)
                return;
        if (error) {
                fail(f, error);
                return;
        }
        top_status_read(&f->top->status, info);
        advance(f);
}

static void on_list(PenstockClient *c, PenstockInfo *const list[], size_t n, const PenstockError *error,
                    void *userdata) {
        Feed *f = userdata;
        TopRow *rows;

        (void) c;
        if (!f->is_updating)
                return;
        if (error) {
                fail(f, error);
                return;
        }
        rows = n > 0 ? calloc(n, sizeof(*rows)) : NULL;
        if (n > 0 && !rows) {
                fail_errno(f, -ENOMEM);
                return;
        }
        for (size_t i = 0; i < n; i++)
                top_row_read(&rows[i], list[i], name_of_user(f, info_u64(list[i], "user_id")));
        top_set_rows(f->top, rows, n);
        advance(f);
}

/* A connection in place of the lost one. */
static int reconnect(Feed *f, PenstockError *error) {
        PenstockClient *c = NULL;

        if (penstock_client_new(&c, error) < 0)
                return -EHOSTDOWN;
        penstock_client_set_interactive(c, true);
        penstock_client_set_auto_start(c, false);
        if (penstock_client_attach_event(c, f->event) < 0) {
                penstock_client_free(c);
                return -ENOMEM;
        }
        f->client = c;
        return 0;
}

static void note_silence(Feed *f) {
        uint64_t span = now_usec() - f->since_usec;

        if (span < MAX(SILENCE_USEC, 2 * f->top->delay_usec))
                return;
        snprintf(f->top->trouble, sizeof(f->top->trouble), "No answer from penstockd for %llus",
                 ULL(span / USEC_PER_SEC));
        f->handler(FEED_CHANGED, f->userdata);
}

void feed_update(Feed *f) {
        PenstockError error = { .name = PENSTOCK_ERROR_UNREACHABLE, .message = "out of memory" };
        int r;

        if (f->is_updating) {
                note_silence(f);
                return;
        }
        if (f->is_lost) /* perhaps this is a handler of what is to be freed */
                return;
        f->is_updating = true;
        f->since_usec = now_usec();
        f->n_answers = 2;
        if (!f->client && reconnect(f, &error) < 0) {
                fail(f, &error);
                return;
        }
        r = penstock_client_status_async(f->client, on_status, f);
        if (r >= 0)
                r = penstock_client_list_async(f->client, on_list, f);
        if (r < 0) {
                fail_errno(f, r);
                return;
        }
        if (f->top->mode == TOP_MODE_INSPECT)
                feed_inspect(f, f->top->subject);
}

void feed_missing(Feed *f) {
        if (f->is_updating || f->n_ids > 0 || !f->client || f->top->held)
                return;
        f->n_ids = top_wanted(f->top, true, f->ids, TOP_DETAILS_MAX);
        f->next_id = 0;
        if (f->n_ids > 0)
                pump_soon(f);
}

void feed_inspect(Feed *f, uint64_t id) {
        int r = ask(f, ASK_INSPECT, id);

        if (r < 0 && r != -EHOSTDOWN) /* which the update tells */
                top_say(f->top, now_usec(), true, "query %llu: %s", ULL(id), strerror(-r));
}

void feed_cancel(Feed *f, uint64_t id) {
        int r = ask(f, ASK_CANCEL, id);

        if (r < 0)
                top_say(f->top, now_usec(), true, "query %llu can't be canceled: %s", ULL(id), strerror(-r));
        else
                top_say(f->top, now_usec(), false, "query %llu: asked to cancel it", ULL(id));
        f->handler(FEED_CHANGED, f->userdata);
}

int feed_new(sd_event *event, PenstockClient *client, Top *t, FeedHandler handler, void *userdata, Feed **ret) {
        Feed *f = calloc(1, sizeof(*f));
        int r;

        if (!f) {
                penstock_client_free(client);
                return -ENOMEM;
        }
        *f = (Feed) {
                .event = sd_event_ref(event), .client = client, .top = t, .handler = handler, .userdata = userdata
        };
        set_clock(t);
        penstock_client_set_auto_start(client, false);
        r = penstock_client_attach_event(client, event);
        if (r >= 0)
                r = sd_event_add_defer(event, &f->pump, feed_pump, f);
        if (r >= 0)
                r = sd_event_source_set_enabled(f->pump, SD_EVENT_OFF);
        if (r < 0) {
                feed_free(f);
                return r;
        }
        *ret = f;
        return 0;
}

Feed *feed_free(Feed *f) {
        if (!f)
                return NULL;
        drop_client(f);
        sd_event_source_disable_unref(f->pump);
        sd_event_unref(f->event);
        free(f);
        return NULL;
}
