/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* host/journal: structured entries in the systemd journal. Never fails: a log that can't be written is not worth more
 * than the query it tells of. */
#pragma once

#include <syslog.h>

#include "core/base.h"

/* One kind of message; docs/journal.md lists them, units/penstock.catalog says of each what to do. */
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
        JOURNAL_REFUSED,
        JOURNAL_END_MEMORY_LIMIT,
        JOURNAL_END_MEMORY_BUDGET,
        JOURNAL_END_TIMEOUT,
        JOURNAL_END_FAILED,
        JOURNAL_SHUTDOWN_TEXT,
        JOURNAL_DEPENDENCY,
        JOURNAL_LOWERED,
        JOURNAL_HISTORY,
        JOURNAL_LEARNED,
        JOURNAL_RETRY,
        _JOURNAL_MESSAGE_MAX,
} JournalMessage;

/* The MESSAGE_ID of a kind, 32 hex digits; NULL for JOURNAL_PLAIN. */
const char *journal_message_id(JournalMessage m);

/* The fields of an entry beside its text. */
typedef struct JournalEntry {
        int priority; /* as of syslog(3) */
        JournalMessage message;
        uint64_t query_id;      /* 0: of no query; else PENSTOCK_QUERY_ID=, and its unit as UNIT= and as
                                 * OBJECT_SYSTEMD_UNIT=, so that `journalctl -u` shows it beside the unit's lines */
        const char *error_name; /* PENSTOCK_ERROR=; NULL: none */
        const uint32_t *uid;    /* PENSTOCK_USER_ID=; NULL: of no user */
        const char *query_text; /* PENSTOCK_QUERY_TEXT=; NULL: none */
        uint64_t suppressed;    /* PENSTOCK_SUPPRESSED=: how many like it were left out before; 0: none */
} JournalEntry;

/* Write one entry with MESSAGE_ID= and what @e says. */
void journal_write_entry(const JournalEntry *e, const char *format, ...) PRINTF_LIKE(2, 3);
/* The same for an entry with a query at most. */
void journal_write(int priority, JournalMessage m, uint64_t query_id, const char *format, ...) PRINTF_LIKE(4, 5);
/* What is odd in the configuration, for those who read it (ConfigWarn). */
void journal_config_warning(const char *message, void *userdata);
