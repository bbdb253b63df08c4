/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* History: who asks is found out first, since not everybody sees all; the search is a thread's, and its answer is
 * made in several turns of the loop. */
#include <errno.h>

#include "bus/history.h"
#include "bus/server.h"

/* So many rows in one turn: a row has forty values. */
#define ROWS_PER_TURN 32u

struct Search {
        Search *next;
        BusServer *server;
        Call *call;
        uint32_t uid;
        HistoryQuestion *question;
        HistoryRow *rows; /* the question's */
        size_t n, n_told;
        sd_bus_message *reply;
        sd_event_source *turn;
};

static void search_free(void *userdata) {
        Search *x = userdata, **p = &x->server->searches;

        while (*p != x)
                p = &(*p)->next;
        *p = x->next;
        sd_event_source_disable_unref(x->turn);
        sd_bus_message_unref(x->reply);
        history_question_free(x->question);
        free(x);
}

static int check_bounds(const BusServer *s, uint32_t uid, Error *e) {
        unsigned n = 0, of_user = 0;

        for (const Search *x = s->searches; x; x = x->next) {
                n++;
                of_user += x->uid == uid;
        }
        if (n < SEARCHES_MAX && (uid == 0 || of_user < SEARCHES_PER_USER_MAX))
                return 0;
        return error_set(e, ERROR_QUEUE_LENGTH_EXCEEDED,
                         "%u searches in the history are under way, %u of them for uid %u; try again", n, of_user,
                         uid);
}

static Search *search_new(BusServer *s, Call *c, uint32_t uid) {
        Search *x = calloc(1, sizeof(*x));

        if (!x)
                return NULL;
        *x = (Search) { .next = s->searches, .server = s, .call = c, .uid = uid };
        s->searches = x;
        call_set_wait(c, x, search_free);
        return x;
}

/* Why there is nothing to tell. */
static void refuse(sd_bus_message *m, int r) {
        Error error = {};

        if (r == -ENODATA)
                (void) error_set(&error, ERROR_INTERNAL,
                                 "no history is kept; HistoryMaxEntries sets how many queries it has");
        else if (r == -ENOTSUP)
                (void) error_set(&error, ERROR_INTERNAL,
                                 "the history was written by a newer penstockd; the journal says more");
        else if (r == -ETIME)
                (void) error_set(&error, ERROR_TIMEOUT,
                                 "the search took longer than %llu s and was given up; since_usec and until_usec "
                                 "narrow it",
                                 (unsigned long long) (HISTORY_SEARCH_USEC / USEC_PER_SEC));
        (void) reply_failure(m, r, &error, "search the history");
}

/* The call is over, and @x with it. */
static void finish(Search *x, int r) {
        Call *c = x->call;

        if (r >= 0)
                r = sd_bus_send(NULL, x->reply, NULL);
        if (r < 0)
                refuse(call_message(c), r);
        call_finish(c);
}

static int append_some(Search *x) {
        const HistoryEyes eyes = { x->uid, &manager_config(x->server->manager)->metric_label_keys };
        int r = 0;

        for (unsigned i = 0; r >= 0 && i < ROWS_PER_TURN && x->n_told < x->n; i++)
                r = history_row_append(x->reply, &x->rows[x->n_told++], &eyes);
        return r;
}

static int on_turn(sd_event_source *source, void *userdata) {
        Search *x = userdata;
        int r = append_some(x);

        (void) source;
        if (r >= 0 && x->n_told < x->n)
                return 0;
        if (r >= 0)
                r = sd_bus_message_close_container(x->reply);
        finish(x, r);
        return 0;
}

static int begin_reply(Search *x) {
        int r = sd_bus_message_new_method_return(call_message(x->call), &x->reply);

        if (r >= 0)
                r = sd_bus_message_open_container(x->reply, 'a', "a{sv}");
        if (r >= 0)
                r = sd_event_add_defer(x->server->event, &x->turn, on_turn, x);
        return r < 0 ? r : sd_event_source_set_enabled(x->turn, SD_EVENT_ON);
}

static void on_answer(int r, HistoryRow *rows, size_t n, void *userdata) {
        Search *x = userdata;

        x->rows = rows;
        x->n = n;
        if (r >= 0)
                r = begin_reply(x);
        if (r < 0)
                finish(x, r);
}

static int ask(BusServer *s, Call *c, const Caller *caller, HistoryFilter *f, Error *e) {
        const HistoryEyes eyes = { caller->uid, &manager_config(s->manager)->metric_label_keys };
        int r = check_bounds(s, caller->uid, e);
        Search *x = r < 0 ? NULL : search_new(s, c, caller->uid);

        if (!x)
                return r < 0 ? r : -ENOMEM;
        if (!history_filter_restrict(f, &eyes))
                return begin_reply(x); /* of nothing */
        return manager_history_ask(s->manager, f, on_answer, x, &x->question);
}

static CallProgress run_history(BusServer *s, Call *c, const Caller *caller) {
        CLEANUP(history_filter_done) HistoryFilter f = HISTORY_FILTER_INIT;
        Error error = {};
        int r = history_filter_decode(call_message(c), &f, &error);

        if (r >= 0)
                r = ask(s, c, caller, &f, &error);
        if (r >= 0)
                return CALL_GOES_ON;
        if (error.code != ERROR_NONE)
                (void) reply_error(call_message(c), &error);
        else
                refuse(call_message(c), r);
        return CALL_ANSWERED;
}

int method_history(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        BusServer *s = userdata;
        Error error = {};
        size_t bytes = 0;
        int r = message_measure(m, HISTORY_FILTER_BYTES_MAX, &bytes, &error);

        (void) ret_error;
        if (r >= 0 && bytes > HISTORY_FILTER_BYTES_MAX)
                r = error_set(&error, ERROR_INVALID_ARGUMENT, "the filter is longer than %llu bytes",
                              (unsigned long long) HISTORY_FILTER_BYTES_MAX);
        if (r >= 0)
                return calls_add(s->calls, m, bytes, run_history);
        return reply_failure(m, r, &error, "read the filter");
}
