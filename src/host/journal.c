/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/journal.h"

#include "core/query.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

const char *journal_message_id(JournalMessage m) {
        static const char *const ids[_JOURNAL_MESSAGE_MAX] = {
                [JOURNAL_RAISE] = "0b5e6b0cf3d14a0fb6c3a3d9b2b0e101",
                [JOURNAL_DENIED] = "0b5e6b0cf3d14a0fb6c3a3d9b2b0e102",
                [JOURNAL_FREEZE] = "0b5e6b0cf3d14a0fb6c3a3d9b2b0e103",
                [JOURNAL_THAW] = "0b5e6b0cf3d14a0fb6c3a3d9b2b0e104",
                [JOURNAL_VICTIM] = "0b5e6b0cf3d14a0fb6c3a3d9b2b0e105",
                [JOURNAL_END] = "0b5e6b0cf3d14a0fb6c3a3d9b2b0e106",
                [JOURNAL_LIMIT_FAILED] = "0b5e6b0cf3d14a0fb6c3a3d9b2b0e107",
                [JOURNAL_UNIT_FAILED] = "0b5e6b0cf3d14a0fb6c3a3d9b2b0e108",
                [JOURNAL_CONFIG] = "0b5e6b0cf3d14a0fb6c3a3d9b2b0e109",
        };

        return ids[m];
}

void journal_write(int priority, JournalMessage m, uint64_t query_id, const char *format, ...) {
        char message[1024], level[16], id[64], unit[80], kind[64], name[QUERY_UNIT_NAME_MAX];
        struct iovec iov[5];
        size_t n = 0, len;
        va_list ap;

        len = (size_t) snprintf(message, sizeof(message), "MESSAGE=");
        va_start(ap, format);
        vsnprintf(message + len, sizeof(message) - len, format, ap);
        va_end(ap);
        snprintf(level, sizeof(level), "PRIORITY=%d", priority);
        iov[n++] = (struct iovec) { message, strlen(message) };
        iov[n++] = (struct iovec) { level, strlen(level) };
        if (query_id) {
                snprintf(id, sizeof(id), "PENSTOCK_QUERY_ID=%llu", (unsigned long long) query_id);
                snprintf(unit, sizeof(unit), "UNIT=%s", query_unit_name(query_id, name));
                iov[n++] = (struct iovec) { id, strlen(id) };
                iov[n++] = (struct iovec) { unit, strlen(unit) };
        }
        if (journal_message_id(m)) {
                snprintf(kind, sizeof(kind), "MESSAGE_ID=%s", journal_message_id(m));
                iov[n++] = (struct iovec) { kind, strlen(kind) };
        }
        (void) sd_journal_sendv(iov, (int) n);
}
