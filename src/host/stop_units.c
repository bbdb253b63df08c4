/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/stop_units.h"

#include <stdbool.h>
#include <stdint.h>

#include "host/systemd_private.h"

/* A unit in the list of PID 1: its name, and what we have no use for. */
#define LISTED "ssssssouso"

static int new_call(sd_bus *bus, const char *member, sd_bus_message **ret) {
        return sd_bus_message_new_method_call(bus, ret, SYSTEMD_DESTINATION, SYSTEMD_PATH, SYSTEMD_MANAGER, member);
}

static int list_units(sd_bus *bus, sd_bus_message **ret) {
        sd_bus_message *m = NULL;
        int r = new_call(bus, "ListUnitsByPatterns", &m);

        if (r >= 0)
                r = sd_bus_message_append(m, "asas", 0, 1, "penstock-q*.service");
        if (r >= 0)
                r = sd_bus_call(bus, m, 0, NULL, ret);
        sd_bus_message_unref(m);
        return r;
}

static int stop_unit(sd_bus *bus, const char *name) {
        sd_bus_message *m = NULL;
        int r = new_call(bus, "StopUnit", &m);

        if (r >= 0)
                r = sd_bus_message_append(m, "ss", name, "replace");
        if (r >= 0)
                r = sd_bus_call(bus, m, 0, NULL, NULL);
        sd_bus_message_unref(m);
        return r;
}

int stop_units_of_queries(unsigned *ret_n) {
        sd_bus_message *list = NULL;
        sd_bus *bus = NULL;
        const char *name;
        int r, failed = 0;
        uint64_t id;

        *ret_n = 0;
        r = sd_bus_open_system(&bus);
        if (r >= 0)
                r = list_units(bus, &list);
        if (r >= 0)
                r = sd_bus_message_enter_container(list, 'a', "(" LISTED ")");
        while (r >= 0 && (r = sd_bus_message_read(list, "(" LISTED ")", &name, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)) > 0) {
                int k;

                if (!systemd_unit_id(name, &id))
                        continue;
                k = stop_unit(bus, name);
                failed = k < 0 ? k : failed;
                ++*ret_n;
        }
        sd_bus_message_unref(list);
        sd_bus_flush_close_unref(bus);
        return r < 0 ? r : failed;
}
