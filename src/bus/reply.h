/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* bus/reply: answers. They return what an sd-bus method handler returns. A caller who gets none waits as long as he has
 * patience, so an answer that can't be made is followed by one that says so. */
#pragma once

#include <systemd/sd-bus.h>

#include "core/error.h"

/* Answer @m with @error under its D-Bus name. */
int reply_error(sd_bus_message *m, const Error *error);
/* Answer @m with Internal: "cannot <what>: <strerror>". @r is a negative errno. */
int reply_errno(sd_bus_message *m, int r, const char *what);
/* Answer @m without a value, or with one descriptor, which stays the caller's. */
int reply_empty(sd_bus_message *m);
int reply_fd(sd_bus_message *m, int fd);
/* The two kinds of error as one: what a function with @ret_error left. @r < 0 without an error set is our own failure. */
int reply_failure(sd_bus_message *m, int r, const Error *error, const char *what);
