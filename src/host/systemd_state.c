/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The state of a unit that is not ours. */
#include <errno.h>
#include <stdio.h>

#include "host/systemd_private.h"

#define UNIT_INTERFACE "org.freedesktop.systemd1.Unit"

typedef struct StateAsk {
        void (*on_state)(const char *active_state, void *data);
        void *data;
        void (*data_free)(void *data);
        char name[256];
} StateAsk;

static void ask_free(void *p) {
        StateAsk *a = p;

        if (a->data_free)
                a->data_free(a->data);
        free(a);
}

static void ask_answer(StateAsk *a, const char *state) {
        a->on_state(state, a->data);
        free(a);
}

static void on_active_state(SystemdLink *l, uint64_t id, void *data, sd_bus_message *reply) {
        (void) l, (void) id;
        ask_answer(data, systemd_reply_string(reply));
}

static void on_get_unit(SystemdLink *l, uint64_t id, void *data, sd_bus_message *reply) {
        StateAsk *a = data;

        (void) id;
        if (reply && sd_bus_message_is_method_error(reply, ERROR_NO_SUCH_UNIT))
                ask_answer(a, "inactive");
        else if (systemd_reply_errno(reply) < 0 || systemd_call_get(l, a->name, UNIT_INTERFACE, "ActiveState",
                                                                    on_active_state, 0, a, ask_free) < 0)
                ask_answer(a, NULL);
}

int systemd_unit_state(SystemdLink *l, const char *name, void (*on_state)(const char *active_state, void *data),
                       void *data, void (*data_free)(void *data)) {
        StateAsk *a = calloc(1, sizeof(*a));
        sd_bus_message *m = NULL;
        int r;

        if (!a)
                return -ENOMEM;
        *a = (StateAsk) { .on_state = on_state, .data = data, .data_free = data_free };
        snprintf(a->name, sizeof(a->name), "%s", name);
        /* Not by the unit's object at once: to read a property of a unit that is not there would load it. */
        r = sd_bus_message_new_method_call(l->bus, &m, SYSTEMD_DESTINATION, SYSTEMD_PATH, SYSTEMD_MANAGER, "GetUnit");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", a->name);
        if (r < 0)
                sd_bus_message_unref(m);
        else
                r = systemd_call(l, m, on_get_unit, 0, a, ask_free);
        if (r < 0)
                free(a);
        return r < 0 ? r : 0;
}
