/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* host/history_private: what the files of host/history_db share. Nobody else includes it. */
#pragma once

#include <sqlite3.h>

#include "host/history_db.h"

struct HistoryDb {
        sqlite3 *sqlite;
        sqlite3_stmt *insert;
        uint64_t count;
        bool (*goes_on)(void *userdata);
        void *userdata;
};

static inline void statement_finalizep(sqlite3_stmt **s) {
        sqlite3_finalize(*s);
}

/* What @code of SQLite's is here: 0 or -errno. */
int history_db_errno(sqlite3 *sqlite, int code);

/* By the index of those that have one. */
#define HISTORY_LESSONS_SQL                                                                                          \
        "SELECT fingerprint, needed_bytes, needed_raises FROM queries WHERE needed_bytes > 0"                        \
        " ORDER BY ended_usec DESC LIMIT ?1"

/* history_columns.c: the columns of a row beside its own number, in their order. */
extern const char history_columns[]; /* their names, for a list of SQL */
extern const unsigned history_n_columns;
/* Each returns 0 or -errno; a column's parameter has the number of its place, from 1 on. */
int history_row_bind(sqlite3_stmt *s, const HistoryRow *r);
/* @s stands on a row of "row, …columns". @ret is owned by the caller, also on failure. */
int history_row_read(sqlite3_stmt *s, HistoryRow *ret);
