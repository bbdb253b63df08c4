/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* host/journal_send: entries on their way to journald, in their order. sd_journal_sendv(3) waits while journald does not take
 * them: when it stands still, for want of a disk perhaps, so would the loop. */
#pragma once

#include <stddef.h>
#include <sys/uio.h>
#include <systemd/sd-event.h>

/* From now on nothing waits: what journald has no room for is kept, up to a bound, and goes when it has; what is above the bound is
 * lost, and an entry says how many were. @path is journald's socket; NULL: where it always is. */
void journal_attach(sd_event *event, const char *path);
/* What still waits gets a moment, and what comes later, too. */
void journal_detach(void);
/* Fields as "NAME=value". Never fails. */
void journal_send(const struct iovec *fields, size_t n);
