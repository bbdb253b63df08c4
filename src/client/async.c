/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* client/async: calls whose answer comes to a handler. Each is owned by its query and forgotten with it. */
#include <errno.h>

#include "client/query.h"

struct PendingCall {
        PendingCall *next;
        PenstockQuery *query;
        sd_bus_slot *slot;
        PenstockHandler handler;
        void *userdata;
};

static void call_free(PendingCall *call) {
        for (PendingCall **p = &call->query->calls; *p; p = &(*p)->next)
                if (*p == call) {
                        *p = call->next;
                        break;
                }
        sd_bus_slot_unref(call->slot);
        free(call);
}

void calls_free(PenstockQuery *q) {
        while (q->calls)
                call_free(q->calls);
}

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        PendingCall *call = userdata;
        CLEANUP(info_freep) PenstockInfo *info = NULL;
        PenstockError error = {};
        int r = 0;

        (void) ret_error;
        if (sd_bus_message_is_method_error(m, NULL))
                r = client_error_from_bus(&error, -EIO, sd_bus_message_get_error(m));
        else {
                call->query->was_there = true;
                if (sd_bus_message_has_signature(m, "a{sv}"))
                        r = info_read(m, &info);
                if (r < 0)
                        client_error_from_bus(&error, r, NULL);
        }
        if (call->handler)
                call->handler(call->query, info, r < 0 ? &error : NULL, call->userdata);
        call_free(call);
        return 0;
}

static int call_async(PenstockQuery *q, const char *member, uint64_t timeout_usec, PenstockHandler handler,
                      void *userdata) {
        CLEANUP(message_unrefp) sd_bus_message *m = NULL;
        PendingCall *call;
        int r;

        if (!q->client->event)
                return -ENOTCONN;
        r = client_id_message_new(q->client, member, q->id, AUTO_START_YES, &m);
        if (r < 0)
                return client_error_from_bus(NULL, r, NULL);
        call = calloc(1, sizeof(*call));
        if (!call)
                return -ENOMEM;
        *call = (PendingCall) { .next = q->calls, .query = q, .handler = handler, .userdata = userdata };
        q->calls = call;
        r = sd_bus_call_async(q->client->bus, &call->slot, m, on_answer, call, timeout_usec);
        if (r < 0)
                call_free(call);
        return r < 0 ? client_error_from_bus(NULL, r, NULL) : 0;
}

EXPORT int penstock_query_describe_async(PenstockQuery *q, PenstockHandler handler, void *userdata) {
        return call_async(q, "Describe", CALL_USEC, handler, userdata);
}

EXPORT int penstock_query_cancel_async(PenstockQuery *q, PenstockHandler handler, void *userdata) {
        return call_async(q, "CancelQuery", client_timeout(q->client, CALL_USEC), handler, userdata);
}

EXPORT int penstock_query_done_async(PenstockQuery *q, PenstockHandler handler, void *userdata) {
        return call_async(q, "DoneQuery", DONE_USEC, handler, userdata);
}
