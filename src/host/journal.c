/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/journal.h"

#include "core/query.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "host/journal_send.h"

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
                [JOURNAL_REFUSED] = "0b5e6b0cf3d14a0fb6c3a3d9b2b0e10a",
                [JOURNAL_END_MEMORY_LIMIT] = "0b5e6b0cf3d14a0fb6c3a3d9b2b0e10b",
                [JOURNAL_END_MEMORY_BUDGET] = "0b5e6b0cf3d14a0fb6c3a3d9b2b0e10c",
                [JOURNAL_END_TIMEOUT] = "0b5e6b0cf3d14a0fb6c3a3d9b2b0e10d",
                [JOURNAL_END_FAILED] = "0b5e6b0cf3d14a0fb6c3a3d9b2b0e10e",
                [JOURNAL_SHUTDOWN_TEXT] = "0b5e6b0cf3d14a0fb6c3a3d9b2b0e10f",
                [JOURNAL_DEPENDENCY] = "0b5e6b0cf3d14a0fb6c3a3d9b2b0e110",
                [JOURNAL_LOWERED] = "0b5e6b0cf3d14a0fb6c3a3d9b2b0e111",
                [JOURNAL_HISTORY] = "0b5e6b0cf3d14a0fb6c3a3d9b2b0e112",
                [JOURNAL_LEARNED] = "0b5e6b0cf3d14a0fb6c3a3d9b2b0e113",
                [JOURNAL_RETRY] = "d478864a010a4989a00d93f03abd05d0",
        };

        return ids[m];
}

#define FIELDS_MAX 10
#define FIELD_BYTES_MAX 160

/* Fields on their way to the journal. */
typedef struct Fields {
        struct iovec iov[FIELDS_MAX];
        size_t n;
        char short_ones[FIELDS_MAX][FIELD_BYTES_MAX]; /* all but the message and the query's text */
} Fields;

static void add_text(Fields *f, char *text) {
        f->iov[f->n++] = (struct iovec) { text, strlen(text) };
}

static void PRINTF_LIKE(2, 3) add(Fields *f, const char *format, ...) {
        char *field = f->short_ones[f->n];
        va_list ap;

        va_start(ap, format);
        vsnprintf(field, FIELD_BYTES_MAX, format, ap);
        va_end(ap);
        add_text(f, field);
}

static void write_fields(const JournalEntry *e, char *message) {
        char name[QUERY_UNIT_NAME_MAX], *text = NULL;
        Fields f = {};

        add_text(&f, message);
        add(&f, "PRIORITY=%d", e->priority);
        if (journal_message_id(e->message))
                add(&f, "MESSAGE_ID=%s", journal_message_id(e->message));
        if (e->query_id) {
                add(&f, "PENSTOCK_QUERY_ID=%llu", (unsigned long long) e->query_id);
                add(&f, "UNIT=%s", query_unit_name(e->query_id, name));
                add(&f, "OBJECT_SYSTEMD_UNIT=%s", name); /* of root's, `journalctl -u` believes this one alone */
        }
        if (e->error_name)
                add(&f, "PENSTOCK_ERROR=%s", e->error_name);
        if (e->uid)
                add(&f, "PENSTOCK_USER_ID=%u", (unsigned) *e->uid);
        if (e->suppressed)
                add(&f, "PENSTOCK_SUPPRESSED=%llu", (unsigned long long) e->suppressed);
        if (e->query_text && asprintf(&text, "PENSTOCK_QUERY_TEXT=%s", e->query_text) >= 0)
                add_text(&f, text);
        journal_send(f.iov, f.n);
        free(text);
}

static void PRINTF_LIKE(2, 0) write_formatted(const JournalEntry *e, const char *format, va_list ap) {
        char message[1200] = "MESSAGE=";
        size_t len = strlen(message);

        vsnprintf(message + len, 1024, format, ap);
        len = strlen(message);
        if (e->suppressed)
                snprintf(message + len, sizeof(message) - len, " (%llu entries like it were left out before)",
                         (unsigned long long) e->suppressed);
        write_fields(e, message);
}

void journal_write_entry(const JournalEntry *e, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        write_formatted(e, format, ap);
        va_end(ap);
}

void journal_write(int priority, JournalMessage m, uint64_t query_id, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        write_formatted(&(JournalEntry) { .priority = priority, .message = m, .query_id = query_id }, format, ap);
        va_end(ap);
}

void journal_config_warning(const char *message, void *userdata) {
        (void) userdata;
        journal_write(LOG_WARNING, JOURNAL_CONFIG, 0, "%s", message);
}
