/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calls that are answered later: Done when the query is gone, Shutdown when all are. */
#include <errno.h>

#include "bus/server.h"
#include "bus/statistics.h"

/* @m is taken over if there is a Waiting. */
static Waiting *waiting_new(sd_bus_message *m, uint64_t query_id, StderrTail tail) {
        Waiting *w = calloc(1, sizeof(*w));

        if (w)
                *w = (Waiting) { .query_id = query_id, .tail = tail, .message = m };
        return w;
}

static void waiting_free(Waiting *w) {
        sd_bus_message_unref(w->message);
        sd_bus_message_unref(w->failure);
        free(w);
}

static void list_append(Waiting **list, Waiting *w) {
        while (*list)
                list = &(*list)->next;
        *list = w;
}

int waiting_add_done(BusServer *s, sd_bus_message *m, uint64_t query_id, StderrTail tail) {
        sd_bus_message *reply = NULL, *failure = NULL;
        Error error = {};
        size_t n = 0;
        Waiting *w;
        int r;

        for (w = s->done_waiting; w; w = w->next)
                n += w->query_id == query_id;
        if (n >= WAITING_PER_QUERY_MAX || s->n_done_waiting >= WAITING_MAX) {
                (void) error_set(&error, ERROR_QUEUE_LENGTH_EXCEEDED,
                                 "%zu Done calls wait for the end of query %llu, %zu in all", n,
                                 (unsigned long long) query_id, s->n_done_waiting);
                (void) reply_error(m, &error);
                return 0;
        }
        /* Not the call itself: it may hold descriptors, and wait for long. */
        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_new_method_errorf(m, &failure, error_dbus_name(ERROR_INTERNAL),
                                                     "query %llu is released; its statistics can't be told",
                                                     (unsigned long long) query_id);
        w = r >= 0 ? waiting_new(reply, query_id, tail) : NULL;
        if (!w) {
                sd_bus_message_unref(reply);
                sd_bus_message_unref(failure);
                (void) reply_errno(m, -ENOMEM, "wait for the end of the query");
                return 0;
        }
        w->failure = failure;
        list_append(&s->done_waiting, w);
        s->n_done_waiting++;
        return 1;
}

int waiting_add_shutdown(BusServer *s, sd_bus_message *m) {
        Error error = {};
        Waiting *w;

        if (s->n_shutdown_waiting >= SHUTDOWN_WAITING_MAX) {
                (void) error_set(&error, ERROR_QUEUE_LENGTH_EXCEEDED, "%zu Shutdown calls wait already",
                                 s->n_shutdown_waiting);
                (void) reply_error(m, &error);
                return 0;
        }
        w = waiting_new(sd_bus_message_ref(m), 0, STDERR_TAIL_HIDDEN);
        if (!w) {
                sd_bus_message_unref(m);
                (void) reply_errno(m, -ENOMEM, "wait for the end of all queries");
                return 0;
        }
        list_append(&s->shutdown_waiting, w);
        s->n_shutdown_waiting++;
        return 1;
}

void waiting_answer_done(BusServer *s, uint64_t query_id) {
        const Query *q = engine_find(manager_engine(s->manager), query_id);
        Waiting **p = &s->done_waiting, *w;

        while ((w = *p)) {
                if (w->query_id != query_id) {
                        p = &w->next;
                        continue;
                }
                *p = w->next;
                s->n_done_waiting--;
                if (!q || send_statistics(s, w->message, q, w->tail) < 0)
                        (void) sd_bus_send(NULL, w->failure, NULL);
                waiting_free(w);
        }
}

void waiting_answer_shutdown(BusServer *s, const Error *error) {
        Waiting *w;

        while ((w = s->shutdown_waiting)) {
                s->shutdown_waiting = w->next;
                s->n_shutdown_waiting--;
                if (error->code == ERROR_NONE)
                        (void) reply_empty(w->message);
                else
                        (void) reply_error(w->message, error);
                waiting_free(w);
        }
}

static void list_drop(Waiting **list) {
        Waiting *w;

        while ((w = *list)) {
                *list = w->next;
                waiting_free(w);
        }
}

void waiting_drop_all(BusServer *s) {
        list_drop(&s->done_waiting);
        list_drop(&s->shutdown_waiting);
        s->n_done_waiting = s->n_shutdown_waiting = 0;
}
