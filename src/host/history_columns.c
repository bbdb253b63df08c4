/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between a HistoryRow and its columns. */
#include "host/history_private.h"

#include <errno.h>
#include <string.h>

#include "host/history_labels.h"

typedef enum ColumnKind {
        COLUMN_U64, /* SIZE_INFINITY is -1 there */
        COLUMN_U32,
        COLUMN_I32,
        COLUMN_BOOL,
        COLUMN_NAME, /* of @size bytes */
        COLUMN_BYTES,
        COLUMN_MESSAGE, /* malloc()ed; NULL: none */
        COLUMN_LABELS,  /* JSON; NULL: none */
} ColumnKind;

typedef struct Column {
        ColumnKind kind;
        size_t offset, size;
} Column;

/* One line a column: where it is in the row, and its name. Their order is that of the parameters, and of nothing that
 * is written. */
#define COLUMNS(X)                                                                                                   \
        X(BYTES, boot_id)                                                                                            \
        X(U64, id)                                                                                                   \
        X(BYTES, fingerprint)                                                                                        \
        X(NAME, language)                                                                                            \
        X(NAME, state)                                                                                               \
        X(NAME, error)                                                                                               \
        X(NAME, verdict)                                                                                             \
        X(MESSAGE, message)                                                                                          \
        X(LABELS, labels)                                                                                            \
        X(U32, user_id)                                                                                              \
        X(I32, priority)                                                                                             \
        X(I32, exit_status)                                                                                          \
        X(I32, exit_signal)                                                                                          \
        X(BOOL, detached)                                                                                            \
        X(U64, created_usec)                                                                                         \
        X(U64, started_usec)                                                                                         \
        X(U64, ended_usec)                                                                                           \
        X(U64, total_usec)                                                                                           \
        X(U64, compile_usec)                                                                                         \
        X(U64, queue_usec)                                                                                           \
        X(U64, execute_usec)                                                                                         \
        X(U64, frozen_usec)                                                                                          \
        X(U64, stall_usec)                                                                                           \
        X(U64, cpu_usec)                                                                                             \
        X(U64, io_read_bytes)                                                                                        \
        X(U64, io_write_bytes)                                                                                       \
        X(U64, initial_bytes)                                                                                        \
        X(U64, memory_max_bytes)                                                                                     \
        X(U64, memory_peak_bytes)                                                                                    \
        X(U64, memory_quota_bytes)                                                                                   \
        X(U64, raises)                                                                                               \
        X(BOOL, learned)                                                                                             \
        X(U64, raises_saved)                                                                                         \
        X(U64, retries)                                                                                              \
        X(U64, needed_bytes)                                                                                         \
        X(U64, needed_raises)

#define AS_COLUMN(kind, field) { COLUMN_##kind, offsetof(HistoryRow, field), sizeof(((HistoryRow *) 0)->field) },
#define AS_NAME(kind, field) ", " #field

static const Column columns[] = { COLUMNS(AS_COLUMN) };
const char history_columns[] = "" COLUMNS(AS_NAME);
const unsigned history_n_columns = ELEMENTSOF(columns);

static int bind_labels(sqlite3_stmt *s, int at, const PairList *labels) {
        CLEANUP(freep) char *json = NULL;
        int r;

        if (labels->n == 0)
                return sqlite3_bind_null(s, at);
        r = history_labels_write(labels, &json);
        return r < 0 ? SQLITE_NOMEM : sqlite3_bind_text(s, at, json, -1, SQLITE_TRANSIENT);
}

static int bind(sqlite3_stmt *s, int at, const Column *c, const void *field) {
        switch (c->kind) {
        case COLUMN_U64: return sqlite3_bind_int64(s, at, (sqlite3_int64) * (const uint64_t *) field);
        case COLUMN_U32: return sqlite3_bind_int64(s, at, *(const uint32_t *) field);
        case COLUMN_I32: return sqlite3_bind_int64(s, at, *(const int32_t *) field);
        case COLUMN_BOOL: return sqlite3_bind_int64(s, at, *(const bool *) field);
        case COLUMN_NAME: return sqlite3_bind_text(s, at, field, -1, SQLITE_STATIC);
        case COLUMN_BYTES: return sqlite3_bind_blob(s, at, field, (int) c->size, SQLITE_STATIC);
        case COLUMN_MESSAGE:
                return sqlite3_bind_text(s, at, *(char *const *) field, -1, SQLITE_STATIC); /* NULL, too */
        case COLUMN_LABELS: return bind_labels(s, at, field);
        }
        return SQLITE_MISUSE;
}

int history_row_bind(sqlite3_stmt *s, const HistoryRow *r) {
        int code = SQLITE_OK;

        for (size_t i = 0; code == SQLITE_OK && i < ELEMENTSOF(columns); i++)
                code = bind(s, (int) i + 1, &columns[i], (const char *) r + columns[i].offset);
        return history_db_errno(sqlite3_db_handle(s), code);
}

/* Who can write the file may have put there what he likes: a text is one that the bus takes, or none. */
static const char *text_at(sqlite3_stmt *s, int at) {
        const char *text = (const char *) sqlite3_column_text(s, at);

        return text && utf8_is_valid(text, strlen(text)) ? text : NULL;
}

static int read_message(sqlite3_stmt *s, int at, char **ret) {
        const char *text = text_at(s, at);

        if (!text || strlen(text) >= ERROR_MESSAGE_MAX)
                return 0;
        *ret = strdup(text);
        return *ret ? 0 : -ENOMEM;
}

static int read_labels(sqlite3_stmt *s, int at, PairList *ret) {
        const char *json = text_at(s, at);
        int r = json ? history_labels_read(json, ret) : 0;

        return r == -ENOMEM ? r : 0;
}

static void read_name(sqlite3_stmt *s, int at, char *to, size_t size) {
        const char *text = text_at(s, at);

        if (text && strlen(text) < size)
                memcpy(to, text, strlen(text) + 1);
}

static void read_bytes(sqlite3_stmt *s, int at, void *to, size_t size) {
        const void *bytes = sqlite3_column_blob(s, at);

        if (bytes && (size_t) sqlite3_column_bytes(s, at) == size)
                memcpy(to, bytes, size);
}

static int read_column(sqlite3_stmt *s, int at, const Column *c, void *field) {
        sqlite3_int64 n = sqlite3_column_int64(s, at);

        switch (c->kind) {
        case COLUMN_U64: *(uint64_t *) field = (uint64_t) n; return 0;
        case COLUMN_U32: *(uint32_t *) field = (uint32_t) n; return 0;
        case COLUMN_I32: *(int32_t *) field = (int32_t) n; return 0;
        case COLUMN_BOOL: *(bool *) field = n; return 0;
        case COLUMN_NAME: read_name(s, at, field, c->size); return 0;
        case COLUMN_BYTES: read_bytes(s, at, field, c->size); return 0;
        case COLUMN_MESSAGE: return read_message(s, at, field);
        case COLUMN_LABELS: return read_labels(s, at, field);
        }
        return -EINVAL;
}

int history_row_read(sqlite3_stmt *s, HistoryRow *ret) {
        int r = 0;

        *ret = (HistoryRow) { .row = (uint64_t) sqlite3_column_int64(s, 0) };
        for (size_t i = 0; r == 0 && i < ELEMENTSOF(columns); i++)
                r = read_column(s, (int) i + 1, &columns[i], (char *) ret + columns[i].offset);
        return r;
}
