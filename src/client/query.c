/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* client/query: a query's handle and the calls that block. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "client/query.h"

static int query_new(PenstockClient *c, uint64_t id, PenstockQuery **ret) {
        PenstockQuery *q = calloc(1, sizeof(*q));

        if (!q || asprintf(&q->path, BUS_PATH "/query/_%llu", (unsigned long long) id) < 0) {
                free(q);
                return -ENOMEM;
        }
        q->client = client_ref(c);
        q->id = id;
        q->results_fd = q->hold_fd = -1;
        *ret = q;
        return 0;
}

EXPORT int penstock_query_open(PenstockClient *c, uint64_t id, PenstockQuery **ret) {
        return query_new(c, id, ret);
}

EXPORT PenstockQuery *penstock_query_free(PenstockQuery *q) {
        if (!q)
                return NULL;
        watch_free(q->watch);
        calls_free(q);
        closep(&q->results_fd);
        closep(&q->hold_fd);
        client_unref(q->client);
        free(q->path);
        free(q);
        return NULL;
}

EXPORT uint64_t penstock_query_id(const PenstockQuery *q) {
        return q->id;
}

EXPORT const char *penstock_query_path(const PenstockQuery *q) {
        return q->path;
}

EXPORT int penstock_query_results_fd(const PenstockQuery *q) {
        return q->results_fd;
}

EXPORT int penstock_query_hold_fd(const PenstockQuery *q) {
        return q->hold_fd;
}

static int take_fd(int *field) {
        int fd = *field;

        *field = -1;
        return fd;
}

EXPORT int penstock_query_take_results_fd(PenstockQuery *q) {
        return take_fd(&q->results_fd);
}

EXPORT int penstock_query_take_hold_fd(PenstockQuery *q) {
        return take_fd(&q->hold_fd);
}

int query_from_reply(PenstockClient *c, sd_bus_message *reply, PenstockQuery **ret) {
        CLEANUP(query_freep) PenstockQuery *q = NULL;
        const char *path;
        uint64_t id;
        int r;

        r = sd_bus_message_read(reply, "to", &id, &path);
        if (r >= 0)
                r = query_new(c, id, &q);
        if (r >= 0)
                r = client_read_fd(reply, &q->results_fd);
        if (r >= 0)
                r = client_read_fd(reply, &q->hold_fd);
        if (r < 0)
                return r;
        q->was_there = true;
        if (strcmp(path, q->path) != 0) {
                char *copy = strdup(path);

                if (!copy)
                        return -ENOMEM;
                free(q->path);
                q->path = copy;
        }
        *ret = q;
        q = NULL;
        return 0;
}

EXPORT int penstock_query_submit(PenstockClient *c, const PenstockRequest *r, PenstockQuery **ret,
                                 PenstockError *ret_error) {
        CLEANUP(message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
        int k;

        k = penstock_request_check(r, ret_error);
        if (k < 0)
                return k;
        k = request_message_new(c, r, &m);
        if (k < 0)
                return client_error_from_bus(ret_error, k, NULL);
        k = client_call(c, m, client_timeout(c, SUBMIT_USEC), &reply, ret_error);
        if (k < 0)
                return k;
        k = query_from_reply(c, reply, ret);
        return k < 0 ? client_error_from_bus(ret_error, k, NULL) : 0;
}

/* Call the Controller's @member with the query's ID. */
static int call_by_id(PenstockQuery *q, const char *member, uint64_t timeout_usec, sd_bus_message **ret,
                      PenstockError *e) {
        CLEANUP(message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = client_id_message_new(q->client, member, q->id, AUTO_START_YES, &m);
        if (r < 0)
                return client_error_from_bus(e, r, NULL);
        r = client_call(q->client, m, timeout_usec, ret, e);
        if (r >= 0)
                q->was_there = true;
        return r;
}

static int call_for_info(PenstockQuery *q, const char *member, uint64_t timeout_usec, PenstockInfo **ret,
                         PenstockError *e) {
        CLEANUP(message_unrefp) sd_bus_message *reply = NULL;
        int r;

        r = call_by_id(q, member, timeout_usec, &reply, e);
        if (r < 0 || !ret)
                return r;
        r = info_read(reply, ret);
        return r < 0 ? client_error_from_bus(e, r, NULL) : 0;
}

EXPORT int penstock_query_describe(PenstockQuery *q, PenstockInfo **ret, PenstockError *ret_error) {
        return call_for_info(q, "Describe", CALL_USEC, ret, ret_error);
}

EXPORT int penstock_query_cancel(PenstockQuery *q, PenstockError *ret_error) {
        return call_by_id(q, "CancelQuery", client_timeout(q->client, CALL_USEC), NULL, ret_error);
}

EXPORT int penstock_query_done(PenstockQuery *q, PenstockInfo **ret, PenstockError *ret_error) {
        return call_for_info(q, "DoneQuery", DONE_USEC, ret, ret_error);
}

/* Call @member of the query's own object. */
static int call_object(PenstockQuery *q, const char *member, sd_bus_message **ret, PenstockError *e) {
        CLEANUP(message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = client_call_new(q->client, q->path, BUS_QUERY, member, AUTO_START_YES, &m);
        if (r < 0)
                return client_error_from_bus(e, r, NULL);
        return client_call(q->client, m, CALL_USEC, ret, e);
}

EXPORT int penstock_query_statistics(PenstockQuery *q, PenstockInfo **ret, PenstockError *ret_error) {
        CLEANUP(message_unrefp) sd_bus_message *reply = NULL;
        int r;

        r = call_object(q, "Statistics", &reply, ret_error);
        if (r < 0)
                return r;
        r = info_read(reply, ret);
        return r < 0 ? client_error_from_bus(ret_error, r, NULL) : 0;
}

EXPORT int penstock_query_open_results(PenstockQuery *q, int *ret_fd, PenstockError *ret_error) {
        CLEANUP(message_unrefp) sd_bus_message *reply = NULL;
        int r;

        r = call_by_id(q, "ResultsOf", CALL_USEC, &reply, ret_error);
        if (r < 0)
                return r;
        r = client_read_fd(reply, ret_fd);
        return r < 0 ? client_error_from_bus(ret_error, r, NULL) : 0;
}

EXPORT int penstock_query_open_profile(PenstockQuery *q, int *ret_fd, PenstockError *ret_error) {
        CLEANUP(message_unrefp) sd_bus_message *reply = NULL;
        int r;

        r = call_by_id(q, "ProfilerResultsOf", CALL_USEC, &reply, ret_error);
        if (r < 0)
                return r;
        r = client_read_fd(reply, ret_fd);
        return r < 0 ? client_error_from_bus(ret_error, r, NULL) : 0;
}
