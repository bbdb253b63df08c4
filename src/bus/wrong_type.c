/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sd-bus itself answers a call with other argument types than the vtable says, with a general D-Bus error. Here it is
 * InvalidArgument, as for anything else that a caller got wrong. */
#include <string.h>

#include "bus/server.h"

static const sd_bus_vtable *find_method(const sd_bus_vtable *vtable, const char *member) {
        for (const sd_bus_vtable *v = vtable; v->type != _SD_BUS_VTABLE_END; v++)
                if (v->type == _SD_BUS_VTABLE_METHOD && strcmp(v->x.method.member, member) == 0)
                        return v;
        return NULL;
}

static const sd_bus_vtable *vtable_of(const BusServer *s, sd_bus_message *m) {
        const char *path = sd_bus_message_get_path(m), *interface = sd_bus_message_get_interface(m);
        bool is_controller = path && strcmp(path, CONTROLLER_PATH) == 0;

        if (!is_controller && (!path || !query_of_path(s, path)))
                return NULL;
        if (interface && strcmp(interface, is_controller ? CONTROLLER_INTERFACE : QUERY_INTERFACE) != 0)
                return NULL;
        return is_controller ? controller_vtable : query_vtable;
}

int filter_wrong_type(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        const sd_bus_vtable *vtable, *method;
        const char *expected, *came;
        Error error = {};

        (void) ret_error;
        if (sd_bus_message_is_method_call(m, NULL, NULL) <= 0)
                return 0;
        vtable = vtable_of(userdata, m);
        method = vtable ? find_method(vtable, sd_bus_message_get_member(m)) : NULL;
        if (!method)
                return 0;
        expected = method->x.method.signature ?: "";
        came = sd_bus_message_get_signature(m, true) ?: "";
        if (strcmp(expected, came) == 0)
                return 0;
        (void) error_set(&error, ERROR_INVALID_ARGUMENT, "%s takes arguments of type '%s', and got '%s'",
                         method->x.method.member, expected, came);
        return reply_error(m, &error);
}
