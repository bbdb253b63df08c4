/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bus/reply.h"

#include <string.h>

int reply_error(sd_bus_message *m, const Error *error) {
        return sd_bus_reply_method_errorf(m, error_dbus_name(error->code), "%s", error->message);
}

int reply_errno(sd_bus_message *m, int r, const char *what) {
        Error error = {};

        (void) error_set(&error, ERROR_INTERNAL, "cannot %s: %s", what, strerror(-r));
        return reply_error(m, &error);
}

int reply_failure(sd_bus_message *m, int r, const Error *error, const char *what) {
        return error->code != ERROR_NONE ? reply_error(m, error) : reply_errno(m, r, what);
}

int reply_empty(sd_bus_message *m) {
        int r = sd_bus_reply_method_return(m, NULL);

        return r < 0 ? reply_errno(m, r, "answer, though it was done") : r;
}

int reply_fd(sd_bus_message *m, int fd) {
        int r = sd_bus_reply_method_return(m, "h", fd);

        return r < 0 ? reply_errno(m, r, "hand the descriptor over") : r;
}
