/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* host/journal: structured entries in the systemd journal. Never fails: a log that can't be written is not worth more
 * than the query it tells of. */
#pragma once

#include <syslog.h>

#include "core/base.h"

/* One kind of message; docs/journal.md lists them. */
typedef enum JournalMessage {
        JOURNAL_PLAIN,
        JOURNAL_RAISE,
        JOURNAL_DENIED,
        JOURNAL_FREEZE,
        JOURNAL_THAW,
        JOURNAL_VICTIM,
        JOURNAL_END,
        JOURNAL_LIMIT_FAILED,
        JOURNAL_UNIT_FAILED,
        JOURNAL_CONFIG,
        _JOURNAL_MESSAGE_MAX,
} JournalMessage;

/* The MESSAGE_ID of a kind, 32 hex digits; NULL for JOURNAL_PLAIN. */
const char *journal_message_id(JournalMessage m);

/* Write one entry with PENSTOCK_QUERY_ID=, UNIT= (the query's unit, so that `journalctl -u` shows it beside the unit's own
 * lines) and MESSAGE_ID=. @query_id 0: of no query. @priority as of syslog(3). */
void journal_write(int priority, JournalMessage m, uint64_t query_id, const char *format, ...) PRINTF_LIKE(4, 5);
