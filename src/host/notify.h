/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* host/notify: what PID 1 is told of penstockd (sd_notify(3)), the watchdog's words too. It takes messages in their order, but
 * may be slow, and anyone on the host may fill its socket: nothing here waits for it. */
#pragma once

#include <systemd/sd-event.h>

#include "core/base.h"

typedef struct Notify Notify;

#define NOTIFY_TEXT_MAX 128

/* Without a service manager ($NOTIFY_SOCKET) nobody is told, and that is no error. Returns 0 or -errno. */
int notify_new(sd_event *event, Notify **ret);
Notify *notify_free(Notify *n); /* takes NULL, returns NULL; sends what still waits, for a second at most */
/* At the end, takes NULL: wait for it, for @usec at most. Returns how many descriptors were not sent. */
size_t notify_finish(Notify *n, uint64_t usec);
/* Send @text, less than NOTIFY_TEXT_MAX bytes, with a copy of @fd (-1: none), now or when there is room. Returns 0, or
 * -ENOMEM or -errno of dup(2). */
int notify_send(Notify *n, const char *text, int fd);
