/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* host/history_db: the database of ended queries, /var/lib/penstock/history.db. Everything here may wait for a disk:
 * it is for the thread of host/history alone, and for tests. docs/history.md has the tables. */
#pragma once

#include "core/history.h"
#include "core/learned.h"
#include "host/fingerprint.h"

/* What this program writes, as PRAGMA user_version. */
#define HISTORY_DB_VERSION 3

typedef struct HistoryDb HistoryDb;

/* Errors of all that is below, beside -ENOMEM:
 *   -EUCLEAN  what is there is no sound database of ours: history_db_set_aside() it
 *   -ENOTSUP  it was written by a newer program: leave it alone
 *   -ENOSPC, -EROFS, -EBUSY, -EIO, … the host's; nothing was changed
 *   -ETIME    the search was given up, see history_db_set_patience() */

/* Opens @path, or makes it, for root alone, and brings it to HISTORY_DB_VERSION. Returns 0 or -errno. */
int history_db_open(const char *path, HistoryDb **ret);
HistoryDb *history_db_close(HistoryDb *db); /* takes NULL, returns NULL */
/* Rename @path, and what belongs to it, to @path.corrupt, in place of an earlier one. Returns 0 or -errno. */
int history_db_set_aside(const char *path);

/* The key of the fingerprints in it, drawn when it was made. */
int history_db_key(HistoryDb *db, FingerprintKey *ret);
uint64_t history_db_count(const HistoryDb *db); /* rows, as of what was done through @db */

/* Add @n rows at once: all, or none on failure. One that is there already, of the same boot with the same ID, stays
 * as it was. Returns how many were new, or -errno. */
int history_db_insert(HistoryDb *db, const HistoryRow *rows, size_t n);

/* Delete what ended before @before_usec, and the oldest of more than @max_entries; at most @at_most of them, so that
 * who waits gets his turn. Returns how many, or -errno. */
int history_db_expire(HistoryDb *db, uint64_t max_entries, uint64_t before_usec, unsigned at_most);

/* Those that @f asks for, the last first, and not more than HISTORY_ANSWER_BYTES_MAX has room for.
 * history_rows_free() them. Returns 0 or -errno. */
int history_db_select(HistoryDb *db, const HistoryFilter *f, HistoryRow **ret, size_t *ret_n);
void history_rows_free(HistoryRow *rows, size_t n);

/* What was learned last, the oldest first, at most @max into @ret. Returns how many, or -errno. */
int history_db_lessons(HistoryDb *db, Lesson *ret, size_t max);

/* A search asks now and then whether it is to go on. */
void history_db_set_patience(HistoryDb *db, bool (*goes_on)(void *userdata), void *userdata);
