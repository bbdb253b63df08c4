/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "exporter/exporter.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <systemd/sd-bus.h>

/* Less than Prometheus' own 10 s, so that it hears why. */
#define SCRAPE_TIMEOUT_USEC (8 * USEC_PER_SEC)

static void bus_closep(sd_bus **bus) {
        sd_bus_close_unref(*bus);
}

static void message_unrefp(sd_bus_message **m) {
        sd_bus_message_unref(*m);
}

/* Our own words: what came from the bus may be anybody's. */
static int describe(int r, const sd_bus_error *error, char *reason) {
        if (sd_bus_error_has_name(error, SD_BUS_ERROR_NAME_HAS_NO_OWNER) ||
            sd_bus_error_has_name(error, SD_BUS_ERROR_SERVICE_UNKNOWN))
                snprintf(reason, SCRAPE_REASON_MAX, "penstockd.service is not running");
        else if (r == -ETIMEDOUT || sd_bus_error_has_name(error, SD_BUS_ERROR_NO_REPLY))
                snprintf(reason, SCRAPE_REASON_MAX, "penstockd did not answer within %u s",
                         (unsigned) (SCRAPE_TIMEOUT_USEC / USEC_PER_SEC));
        else
                snprintf(reason, SCRAPE_REASON_MAX, "penstockd can't be asked: %s", strerror(-r));
        return r;
}

int scrape(char **ret_text, char ret_reason[static SCRAPE_REASON_MAX]) {
        __attribute__((cleanup(bus_closep))) sd_bus *bus = NULL;
        __attribute__((cleanup(message_unrefp))) sd_bus_message *m = NULL, *reply = NULL;
        __attribute__((cleanup(sd_bus_error_free))) sd_bus_error error = SD_BUS_ERROR_NULL;
        const char *text;
        int r;

        /* Anew each time: nothing is held open, and so nothing must be looked after, between two scrapes. */
        r = sd_bus_open_system(&bus);
        if (r < 0) {
                snprintf(ret_reason, SCRAPE_REASON_MAX, "the system bus can't be reached: %s", strerror(-r));
                return r;
        }
        r = sd_bus_message_new_method_call(bus, &m, "org.penstock1", "/org/penstock1", "org.penstock1.Controller",
                                           "Metrics");
        if (r >= 0)
                r = sd_bus_message_set_auto_start(m, false); /* whether penstockd runs is the operator's business */
        if (r >= 0)
                r = sd_bus_call(bus, m, SCRAPE_TIMEOUT_USEC, &error, &reply);
        if (r >= 0)
                r = sd_bus_message_read(reply, "s", &text);
        if (r < 0)
                return describe(r, &error, ret_reason);
        *ret_text = strdup(text);
        return *ret_text ? 0 : describe(-ENOMEM, &error, ret_reason);
}
