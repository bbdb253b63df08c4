/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Searches in the history. */
#include "host/history_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "host/history_labels.h"

/* Instructions of SQLite's machine between two looks whether a search is to go on: some milliseconds. */
#define PATIENCE_STEPS 100000

/* Labels: none of those that are asked for is another one in the row. */
#define SELECT                                                                                                       \
        "SELECT row%s FROM queries WHERE ended_usec >= ?1 AND ended_usec <= ?2"                                      \
        " AND (?3 IS NULL OR user_id = ?3) AND (?4 IS NULL OR language = ?4) AND (?5 IS NULL OR state = ?5)"         \
        " AND (?6 IS NULL OR error = ?6) AND memory_peak_bytes >= ?7"                                                \
        " AND (?8 IS NULL OR NOT EXISTS (SELECT 1 FROM json_each(?8) AS wanted"                                      \
        " WHERE CASE WHEN json_valid(labels) THEN labels ELSE '{}' END ->> wanted.key IS NOT wanted.value))"         \
        " AND (?9 IS NULL OR (ended_usec, row) < (SELECT ended_usec, row FROM queries WHERE row = ?9))"              \
        " ORDER BY ended_usec DESC, row DESC LIMIT ?10"

static int bind_number(sqlite3_stmt *s, int at, uint64_t n) {
        return sqlite3_bind_int64(s, at, (sqlite3_int64) MIN(n, (uint64_t) INT64_MAX));
}

static int bind_if(sqlite3_stmt *s, int at, bool wanted, uint64_t n) {
        return wanted ? bind_number(s, at, n) : sqlite3_bind_null(s, at);
}

static int bind_name(sqlite3_stmt *s, int at, const char *name) {
        return name[0] ? sqlite3_bind_text(s, at, name, -1, SQLITE_STATIC) : sqlite3_bind_null(s, at);
}

static int bind_labels(sqlite3_stmt *s, int at, const PairList *labels) {
        CLEANUP(freep) char *json = NULL;

        if (labels->n == 0)
                return sqlite3_bind_null(s, at);
        if (history_labels_write(labels, &json) < 0)
                return SQLITE_NOMEM;
        return sqlite3_bind_text(s, at, json, -1, SQLITE_TRANSIENT);
}

static int bind_filter(sqlite3_stmt *s, const HistoryFilter *f) {
        const int codes[] = {
                bind_number(s, 1, f->since_usec),
                bind_number(s, 2, f->until_usec),
                bind_if(s, 3, f->has_user_id, f->user_id),
                bind_name(s, 4, f->language),
                bind_name(s, 5, f->state),
                bind_name(s, 6, f->error),
                bind_number(s, 7, f->min_peak_bytes),
                bind_labels(s, 8, &f->labels),
                bind_if(s, 9, f->before_row > 0, f->before_row),
                bind_number(s, 10, MIN(f->limit, HISTORY_LIMIT_MAX)),
        };

        for (size_t i = 0; i < ELEMENTSOF(codes); i++)
                if (codes[i] != SQLITE_OK)
                        return codes[i];
        return SQLITE_OK;
}

void history_rows_free(HistoryRow *rows, size_t n) {
        for (size_t i = 0; i < n; i++)
                history_row_done(&rows[i]);
        free(rows);
}

/* Room for one more behind the @n that are there. */
static int grow(HistoryRow **rows, size_t n) {
        HistoryRow *v;

        if (n > 0 && (n & (n - 1)) != 0)
                return 0;
        v = reallocarray(*rows, n > 0 ? 2 * n : 1, sizeof(*v));
        if (!v)
                return -ENOMEM;
        *rows = v;
        return 0;
}

static uint64_t size_of(const HistoryRow *r) {
        uint64_t sum = sizeof(*r) + (r->message ? strlen(r->message) : 0);

        for (size_t i = 0; i < r->labels.n; i++)
                sum += sizeof(r->labels.v[i]) + strlen(r->labels.v[i].key) + strlen(r->labels.v[i].value);
        return sum;
}

static int read_all(HistoryDb *db, sqlite3_stmt *s, HistoryRow **rows, size_t *n) {
        uint64_t bytes = 0;
        int code = SQLITE_DONE, r;

        while (bytes < HISTORY_ANSWER_BYTES_MAX && (code = sqlite3_step(s)) == SQLITE_ROW) {
                r = grow(rows, *n);
                if (r == 0)
                        r = history_row_read(s, &(*rows)[(*n)++]);
                if (r < 0)
                        return r;
                bytes += size_of(&(*rows)[*n - 1]);
        }
        return history_db_errno(db->sqlite, code);
}

int history_db_select(HistoryDb *db, const HistoryFilter *f, HistoryRow **ret, size_t *ret_n) {
        CLEANUP(statement_finalizep) sqlite3_stmt *s = NULL;
        HistoryRow *rows = NULL;
        char sql[2048];
        size_t n = 0;
        int r;

        snprintf(sql, sizeof(sql), SELECT, history_columns);
        r = history_db_errno(db->sqlite, sqlite3_prepare_v2(db->sqlite, sql, -1, &s, NULL));
        if (r == 0)
                r = history_db_errno(db->sqlite, bind_filter(s, f));
        if (r == 0)
                r = read_all(db, s, &rows, &n);
        if (r < 0) {
                history_rows_free(rows, n);
                return r;
        }
        *ret = rows;
        *ret_n = n;
        return 0;
}

static int read_lessons(HistoryDb *db, sqlite3_stmt *s, Lesson *ret, size_t max) {
        size_t n = 0;
        int code;

        while ((code = sqlite3_step(s)) == SQLITE_ROW && n < max) {
                Lesson *l = &ret[n];

                if (sqlite3_column_bytes(s, 0) != (int) sizeof(l->fingerprint))
                        continue;
                memcpy(l->fingerprint, sqlite3_column_blob(s, 0), sizeof(l->fingerprint));
                l->needed_bytes = (uint64_t) sqlite3_column_int64(s, 1);
                l->raises = (uint64_t) sqlite3_column_int64(s, 2);
                n++;
        }
        return code == SQLITE_ROW || code == SQLITE_DONE ? (int) n : history_db_errno(db->sqlite, code);
}

int history_db_lessons(HistoryDb *db, Lesson *ret, size_t max) {
        CLEANUP(statement_finalizep) sqlite3_stmt *s = NULL;
        int n = history_db_errno(db->sqlite, sqlite3_prepare_v2(db->sqlite, HISTORY_LESSONS_SQL, -1, &s, NULL));

        if (n == 0)
                n = history_db_errno(db->sqlite, bind_number(s, 1, max));
        if (n == 0)
                n = read_lessons(db, s, ret, max);
        for (int i = 0; i < n / 2; i++) { /* the newest were to be had, and the oldest come first */
                Lesson l = ret[i];

                ret[i] = ret[n - 1 - i];
                ret[n - 1 - i] = l;
        }
        return n;
}

static int on_progress(void *userdata) {
        const HistoryDb *db = userdata;

        return !db->goes_on(db->userdata);
}

void history_db_set_patience(HistoryDb *db, bool (*goes_on)(void *userdata), void *userdata) {
        db->goes_on = goes_on;
        db->userdata = userdata;
        sqlite3_progress_handler(db->sqlite, goes_on ? PATIENCE_STEPS : 0, goes_on ? on_progress : NULL, db);
}
