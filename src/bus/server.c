/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bus/server.h"

#include <errno.h>

static int on_signal(ManagerSignal what, uint64_t query_id, void *userdata) {
        BusServer *s = userdata;
        int r = 0;

        if (!s->manager)
                return 0;
        /* The engine finishes its step before the manager performs what came of it: a query may already be a
         * tombstone when its last change of state is told. */
        s->shown_id = query_id;
        switch (what) {
        case MANAGER_QUERY_NEW:
                (void) signal_object_added(s, query_id);
                (void) signal_query_new(s, query_id);
                break;
        case MANAGER_QUERY_STATE: r = signal_query_state(s, query_id); break;
        case MANAGER_QUERY_REMOVED:
                (void) signal_object_removed(s, query_id);
                (void) signal_query_removed(s, query_id);
                waiting_answer_done(s, query_id);
                break;
        }
        s->shown_id = 0;
        return r;
}

static void on_shutdown_done(const Error *error, void *userdata) {
        waiting_answer_shutdown(userdata, error);
}

const ManagerOps bus_server_ops = {
        .signal = on_signal,
        .shutdown_done = on_shutdown_done,
};

static void on_group(int r, const Caller *found, void *userdata) {
        BusServer *s = userdata;

        if (r >= 0)
                s->policy = (AccessPolicy) { .has_group = true, .group_gid = found->gid };
        else if (r == -ESRCH)
                s->policy = (AccessPolicy) {};
        /* Else the database did not answer: what was known before is the better guess. */
        s->group_lookup = lookup_free(s->group_lookup);
}

void bus_server_reload(BusServer *s) {
        s->group_lookup = lookup_free(s->group_lookup);
        (void) lookup_group(s->event, BUS_GROUP, on_group, s, &s->group_lookup);
}

int bus_server_new(sd_bus *bus, sd_bus *asking_bus, BusServer **ret) {
        BusServer *s = calloc(1, sizeof(*s));
        int r;

        if (!s)
                return -ENOMEM;
        s->bus = sd_bus_ref(bus);
        s->asking_bus = sd_bus_ref(asking_bus);
        s->event = sd_event_ref(sd_bus_get_event(bus));
        s->ask = caller_ask;
        s->lookup_user = lookup_user;
        if (!s->event) {
                bus_server_free(s);
                return -EINVAL;
        }
        /* sd-bus gives a connection up of which a match is not confirmed in time, and with it penstockd ends; what we call for has a
         * limit of its own. The bus takes a match when it goes on: in the order in which it was asked. */
        r = sd_bus_set_method_call_timeout(asking_bus, UINT64_MAX);
        if (r < 0) {
                bus_server_free(s);
                return r;
        }
        s->policy.has_group = lookup_group_now(BUS_GROUP, &s->policy.group_gid) == 0;
        *ret = s;
        return 0;
}

static void detach(BusServer *s) {
        s->controller_slot = sd_bus_slot_unref(s->controller_slot);
        s->query_slot = sd_bus_slot_unref(s->query_slot);
        s->enumerator_slot = sd_bus_slot_unref(s->enumerator_slot);
        s->object_manager_slot = sd_bus_slot_unref(s->object_manager_slot);
        s->filter_slot = sd_bus_slot_unref(s->filter_slot);
        s->backlog_slot = sd_bus_slot_unref(s->backlog_slot);
        s->calls = calls_free(s->calls);
        s->polkit = polkit_free(s->polkit);
        waiting_drop_all(s);
        s->manager = NULL;
}

static int attach(BusServer *s, Manager *m) {
        int r = calls_new(s, s->asking_bus, s->ask, &s->calls);

        s->manager = m;
        if (r >= 0)
                r = polkit_new(s->asking_bus, &s->polkit);
        if (r >= 0)
                r = sd_bus_add_filter(s->bus, &s->filter_slot, filter_wrong_type, s);
        if (r >= 0)
                r = sd_bus_add_filter(s->bus, &s->backlog_slot, filter_backlog, s);
        if (r >= 0)
                r = sd_bus_add_object_manager(s->bus, &s->object_manager_slot, CONTROLLER_PATH);
        if (r >= 0)
                r = sd_bus_add_object_vtable(s->bus, &s->controller_slot, CONTROLLER_PATH, CONTROLLER_INTERFACE,
                                             controller_vtable, s);
        if (r >= 0)
                r = sd_bus_add_fallback_vtable(s->bus, &s->query_slot, QUERY_PREFIX, QUERY_INTERFACE, query_vtable,
                                               query_object_find, s);
        if (r >= 0)
                r = sd_bus_add_node_enumerator(s->bus, &s->enumerator_slot, QUERY_PREFIX, query_object_enumerate, s);
        return r;
}

int bus_server_attach(BusServer *s, Manager *m) {
        int r;

        detach(s);
        if (!m)
                return 0;
        r = attach(s, m);
        if (r < 0)
                detach(s);
        return r < 0 ? r : 0;
}

BusServer *bus_server_free(BusServer *s) {
        if (!s)
                return NULL;
        detach(s);
        s->group_lookup = lookup_free(s->group_lookup);
        sd_event_unref(s->event);
        sd_bus_unref(s->asking_bus);
        sd_bus_unref(s->bus);
        free(s);
        return NULL;
}
