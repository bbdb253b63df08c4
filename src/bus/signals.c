/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Each signal in a function of its own: sd-bus takes varargs, and nothing checks those. */
#include "bus/server.h"

int signal_query_new(BusServer *s, uint64_t id) {
        char path[QUERY_PATH_MAX];

        return sd_bus_emit_signal(s->bus, CONTROLLER_PATH, CONTROLLER_INTERFACE, "QueryNew", "to", id,
                                  query_path(id, path));
}

int signal_query_removed(BusServer *s, uint64_t id) {
        char path[QUERY_PATH_MAX];

        return sd_bus_emit_signal(s->bus, CONTROLLER_PATH, CONTROLLER_INTERFACE, "QueryRemoved", "to", id,
                                  query_path(id, path));
}

/* One signal for the three, so that a client never sees an end without its error. */
int signal_query_state(BusServer *s, uint64_t id) {
        char path[QUERY_PATH_MAX];

        return sd_bus_emit_properties_changed(s->bus, query_path(id, path), QUERY_INTERFACE, "State", "ErrorName",
                                              "ErrorMessage", NULL);
}

int signal_object_added(BusServer *s, uint64_t id) {
        char path[QUERY_PATH_MAX];

        return sd_bus_emit_object_added(s->bus, query_path(id, path));
}

int signal_object_removed(BusServer *s, uint64_t id) {
        char path[QUERY_PATH_MAX];

        return sd_bus_emit_object_removed(s->bus, query_path(id, path));
}
