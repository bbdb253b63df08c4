/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* host/systemd_props: the properties of a query's transient service, as StartTransientUnit takes them. Why each is
 * there is in docs/units.md. Touches only the message. */
#pragma once

#include "host/systemd.h"

/* A worker that handles SIGTERM kills engine/ in milliseconds; one that hangs must not keep memory long. */
#define UNIT_TIMEOUT_STOP_USEC (5 * USEC_PER_SEC)
/* Setting up the mounts can hang on a dead network file system; PID 1 itself can take 10 s when it is busy. */
#define UNIT_TIMEOUT_START_USEC (60 * USEC_PER_SEC)

/* Append the array a(sv) of @spec's properties to @m.
 * Returns 0; -EINVAL with @ret_error for an extra property that is not allowed or a path that can't be passed on (not
 * clean, a control character, not UTF-8; a quote in one to be bound); or -errno of sd-bus. On failure @m is not fit
 * for use. */
int systemd_props_append(sd_bus_message *m, const UnitSpec *spec, Error *ret_error);
