/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* client/client_async: calls to the Controller whose answer comes to a handler. Each is owned by its client. */
#include <errno.h>

#include "client/internal.h"

struct ClientCall {
        ClientCall *next;
        PenstockClient *client;
        sd_bus_slot *slot;
        PenstockStatusHandler on_status; /* one of the three */
        PenstockListHandler on_list;
        PenstockSubmitHandler on_submit;
        void *userdata;
};

static void call_free(ClientCall *call) {
        for (ClientCall **p = &call->client->calls; *p; p = &(*p)->next)
                if (*p == call) {
                        *p = call->next;
                        break;
                }
        sd_bus_slot_unref(call->slot);
        free(call);
}

void client_calls_free(PenstockClient *c) {
        while (c->calls)
                call_free(c->calls);
}

static void tell_status(const ClientCall *call, sd_bus_message *m, PenstockError *error) {
        PenstockInfo *info = NULL;
        int r = m ? info_read(m, &info) : 0;

        if (r < 0)
                client_error_from_bus(error, r, NULL);
        call->on_status(call->client, info, info ? NULL : error, call->userdata);
        penstock_info_free(info);
}

static void tell_list(const ClientCall *call, sd_bus_message *m, PenstockError *error) {
        PenstockInfo **list = NULL;
        size_t n = 0;
        int r = m ? info_list_read(m, &list, &n) : -EIO;

        if (r < 0 && m)
                client_error_from_bus(error, r, NULL);
        call->on_list(call->client, list, n, r < 0 ? error : NULL, call->userdata);
        penstock_info_list_free(list, n);
}

static void tell_submit(const ClientCall *call, sd_bus_message *m, PenstockError *error) {
        PenstockQuery *q = NULL;
        int r = m ? query_from_reply(call->client, m, &q) : 0;

        if (r < 0)
                client_error_from_bus(error, r, NULL);
        call->on_submit(call->client, q, q ? NULL : error, call->userdata);
}

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        ClientCall answered = *(ClientCall *) userdata, *call = &answered;
        PenstockError error = {};

        (void) ret_error;
        call_free(userdata); /* the handler may ask again, or free the client */
        client_ref(call->client);
        if (sd_bus_message_is_method_error(m, NULL)) {
                client_error_from_bus(&error, -EIO, sd_bus_message_get_error(m));
                m = NULL;
        }
        if (call->on_status)
                tell_status(call, m, &error);
        else if (call->on_list)
                tell_list(call, m, &error);
        else
                tell_submit(call, m, &error);
        client_unref(call->client);
        return 0;
}

/* Send @m; @call says to whom its answer goes. */
static int call_async(PenstockClient *c, sd_bus_message *m, uint64_t timeout_usec, const ClientCall *call) {
        ClientCall *copy = malloc(sizeof(*copy));
        int r;

        if (!copy)
                return -ENOMEM;
        *copy = *call;
        copy->client = c;
        copy->next = c->calls;
        c->calls = copy;
        r = sd_bus_call_async(c->bus, &copy->slot, m, on_answer, copy, timeout_usec);
        if (r < 0)
                call_free(copy);
        return r < 0 ? r : 0;
}

EXPORT int penstock_client_status_async(PenstockClient *c, PenstockStatusHandler handler, void *userdata) {
        CLEANUP(message_unrefp) sd_bus_message *m = NULL;
        int r;

        if (!c->event)
                return -ENOTCONN;
        r = client_status_message_new(c, &m);
        if (r >= 0)
                r = call_async(c, m, CALL_USEC, &(ClientCall) { .on_status = handler, .userdata = userdata });
        return r < 0 ? client_error_from_bus(NULL, r, NULL) : 0;
}

EXPORT int penstock_client_list_async(PenstockClient *c, PenstockListHandler handler, void *userdata) {
        CLEANUP(message_unrefp) sd_bus_message *m = NULL;
        int r;

        if (!c->event)
                return -ENOTCONN;
        r = client_message_new(c, "ListQueries", &m);
        if (r >= 0)
                r = call_async(c, m, CALL_USEC, &(ClientCall) { .on_list = handler, .userdata = userdata });
        return r < 0 ? client_error_from_bus(NULL, r, NULL) : 0;
}

EXPORT int penstock_query_submit_async(PenstockClient *c, const PenstockRequest *r, PenstockSubmitHandler handler,
                                       void *userdata, PenstockError *ret_error) {
        CLEANUP(message_unrefp) sd_bus_message *m = NULL;
        int k;

        if (!c->event)
                return client_error(ret_error, -ENOTCONN, SD_BUS_ERROR_FAILED, "no event loop is attached");
        k = penstock_request_check(r, ret_error);
        if (k < 0)
                return k;
        k = request_message_new(c, r, &m);
        if (k >= 0)
                k = call_async(c, m, client_timeout(c, SUBMIT_USEC),
                               &(ClientCall) { .on_submit = handler, .userdata = userdata });
        return k < 0 ? client_error_from_bus(ret_error, k, NULL) : 0;
}
