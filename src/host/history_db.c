/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/history_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* For who has just a look at the file. */
#define BUSY_MSEC 1000
/* In pages of 4 KiB: what is read again and again are the ends of the table and of its two indices. */
#define CACHE_PAGES "32"
/* The log is put into the database when it has so many pages, and cut to so many bytes. */
#define LOG_PAGES "256"
#define LOG_BYTES "1048576"

/* Each brings the one before it a version further: what is written is never changed, only added to. docs/history.md
 * has them, too. */
static const char *const migrations[HISTORY_DB_VERSION] = {
        "CREATE TABLE secret (key BLOB NOT NULL) STRICT;"
        "CREATE TABLE queries ("
        " row INTEGER PRIMARY KEY,"
        " boot_id BLOB NOT NULL, id INTEGER NOT NULL, fingerprint BLOB NOT NULL, language TEXT NOT NULL,"
        " state TEXT NOT NULL, error TEXT NOT NULL, verdict TEXT NOT NULL, message TEXT, labels TEXT,"
        " user_id INTEGER NOT NULL, priority INTEGER NOT NULL, exit_status INTEGER NOT NULL, exit_signal INTEGER NOT "
        "NULL,"
        " detached INTEGER NOT NULL, created_usec INTEGER NOT NULL, started_usec INTEGER NOT NULL, ended_usec "
        "INTEGER NOT NULL,"
        " total_usec INTEGER NOT NULL, compile_usec INTEGER NOT NULL, queue_usec INTEGER NOT NULL,"
        " execute_usec INTEGER NOT NULL, frozen_usec INTEGER NOT NULL, stall_usec INTEGER NOT NULL, cpu_usec INTEGER "
        "NOT NULL,"
        " io_read_bytes INTEGER NOT NULL, io_write_bytes INTEGER NOT NULL, initial_bytes INTEGER NOT NULL,"
        " memory_max_bytes INTEGER NOT NULL, memory_peak_bytes INTEGER NOT NULL, memory_quota_bytes INTEGER NOT NULL,"
        " raises INTEGER NOT NULL,"
        " UNIQUE (boot_id, id)) STRICT;"
        "CREATE INDEX queries_by_end ON queries (ended_usec);",

        "ALTER TABLE queries ADD COLUMN learned INTEGER NOT NULL DEFAULT 0;"
        "ALTER TABLE queries ADD COLUMN raises_saved INTEGER NOT NULL DEFAULT 0;"
        "ALTER TABLE queries ADD COLUMN needed_bytes INTEGER NOT NULL DEFAULT 0;"
        "ALTER TABLE queries ADD COLUMN needed_raises INTEGER NOT NULL DEFAULT 0;"
        "CREATE INDEX lessons_by_end ON queries (ended_usec) WHERE needed_bytes > 0;",

        "ALTER TABLE queries ADD COLUMN retries INTEGER NOT NULL DEFAULT 0;",
};

int history_db_errno(sqlite3 *sqlite, int code) {
        int number = sqlite ? sqlite3_system_errno(sqlite) : 0;

        switch (code & 0xff) {
        case SQLITE_OK:
        case SQLITE_ROW:
        case SQLITE_DONE: return 0;
        case SQLITE_NOMEM: return -ENOMEM;
        case SQLITE_FULL: return -ENOSPC;
        case SQLITE_READONLY: return -EROFS;
        case SQLITE_BUSY:
        case SQLITE_LOCKED: return -EBUSY;
        case SQLITE_INTERRUPT: return -ETIME;
        case SQLITE_PERM:
        case SQLITE_AUTH: return -EACCES;
        case SQLITE_CANTOPEN: return number > 0 ? -number : -ENOENT;
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB: return -EUCLEAN;
        case SQLITE_MISMATCH:
        case SQLITE_CONSTRAINT:
        case SQLITE_ERROR: return -EPROTO; /* a statement that does not fit what is there */
        default: return number > 0 ? -number : -EIO;
        }
}

static int run(HistoryDb *db, const char *sql) {
        return history_db_errno(db->sqlite, sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL));
}

static int prepare(HistoryDb *db, const char *sql, sqlite3_stmt **ret) {
        return history_db_errno(db->sqlite, sqlite3_prepare_v2(db->sqlite, sql, -1, ret, NULL));
}

/* The one number that @sql gives. */
static int ask(HistoryDb *db, const char *sql, uint64_t *ret) {
        CLEANUP(statement_finalizep) sqlite3_stmt *s = NULL;
        int r = prepare(db, sql, &s), code;

        if (r < 0)
                return r;
        code = sqlite3_step(s);
        if (code != SQLITE_ROW)
                return code == SQLITE_DONE ? -EUCLEAN : history_db_errno(db->sqlite, code);
        *ret = (uint64_t) sqlite3_column_int64(s, 0);
        return 0;
}

static int begin(HistoryDb *db) {
        return run(db, "BEGIN IMMEDIATE");
}

/* @r: of what was done since begin(). */
static int commit(HistoryDb *db, int r) {
        if (r >= 0) {
                int k = run(db, "COMMIT");

                r = k < 0 ? k : r;
        }
        if (r < 0 && !sqlite3_get_autocommit(db->sqlite))
                (void) run(db, "ROLLBACK");
        return r;
}

static int migrate(HistoryDb *db) {
        char sql[64];
        uint64_t version = 0;
        int r = ask(db, "PRAGMA user_version", &version);

        if (r == 0 && version > HISTORY_DB_VERSION)
                return -ENOTSUP;
        for (; r == 0 && version < HISTORY_DB_VERSION; version++) {
                snprintf(sql, sizeof(sql), "PRAGMA user_version = %llu", (unsigned long long) version + 1);
                r = begin(db);
                if (r < 0)
                        break;
                r = run(db, migrations[version]);
                if (r == 0)
                        r = run(db, sql);
                r = commit(db, r);
        }
        return r;
}

static int read_key(HistoryDb *db, FingerprintKey *ret) {
        CLEANUP(statement_finalizep) sqlite3_stmt *s = NULL;
        int r = prepare(db, "SELECT key FROM secret", &s), code;

        if (r < 0)
                return r;
        code = sqlite3_step(s);
        if (code != SQLITE_ROW)
                return code == SQLITE_DONE ? -ENOENT : history_db_errno(db->sqlite, code);
        if (sqlite3_column_bytes(s, 0) != (int) sizeof(ret->bytes))
                return -EUCLEAN;
        memcpy(ret->bytes, sqlite3_column_blob(s, 0), sizeof(ret->bytes));
        return 0;
}

static int draw_key(HistoryDb *db) {
        CLEANUP(statement_finalizep) sqlite3_stmt *s = NULL;
        FingerprintKey key;
        int r = fingerprint_key_new(&key);

        if (r == 0)
                r = prepare(db, "INSERT INTO secret (key) VALUES (?1)", &s);
        if (r == 0)
                r = history_db_errno(db->sqlite,
                                     sqlite3_bind_blob(s, 1, key.bytes, sizeof(key.bytes), SQLITE_TRANSIENT));
        return r < 0 ? r : history_db_errno(db->sqlite, sqlite3_step(s));
}

int history_db_key(HistoryDb *db, FingerprintKey *ret) {
        int r = read_key(db, ret);

        if (r != -ENOENT)
                return r;
        r = draw_key(db);
        return r < 0 ? r : read_key(db, ret);
}

static int prepare_insert(HistoryDb *db) {
        char sql[2048];
        size_t n = (size_t) snprintf(sql, sizeof(sql), "INSERT OR IGNORE INTO queries (row%s) VALUES (NULL",
                                     history_columns);

        for (unsigned i = 0; i < history_n_columns; i++)
                n += (size_t) snprintf(sql + n, sizeof(sql) - n, ", ?");
        snprintf(sql + n, sizeof(sql) - n, ")");
        return prepare(db, sql, &db->insert);
}

/* SQLite makes it with the mode that the umask leaves. */
static int make_file(const char *path) {
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

        if (fd < 0)
                return -errno;
        close(fd);
        return 0;
}

/* WAL: a commit is one write and waits for no disk; only what a log of a mebibyte is put into the file for does. What
 * it may lose, and only when the host itself stops, are the last rows. The log stays when we close it: to put it into
 * the file syncs twice, and who ends is waited for. EXCLUSIVE: the log's index is in our own
 * memory. In a file that others share it would be mapped, and a disk without room could end us by SIGBUS; and who
 * reads for an hour would let the log grow for as long. */
static int set_up(HistoryDb *db) {
        int r;

        sqlite3_extended_result_codes(db->sqlite, 1);
        sqlite3_busy_timeout(db->sqlite, BUSY_MSEC);
        (void) sqlite3_db_config(db->sqlite, SQLITE_DBCONFIG_LOOKASIDE, NULL, 0,
                                 0); /* memory that lies ready, 48 KiB */
        (void) sqlite3_db_config(db->sqlite, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        (void) sqlite3_db_config(db->sqlite, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
        (void) sqlite3_db_config(db->sqlite, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
        r = run(db, "PRAGMA locking_mode = EXCLUSIVE; PRAGMA cache_size = " CACHE_PAGES
                    "; PRAGMA temp_store = MEMORY; PRAGMA journal_mode = WAL;"
                    "PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = " LOG_PAGES
                    "; PRAGMA journal_size_limit = " LOG_BYTES);
        if (r == 0)
                r = migrate(db);
        if (r == 0)
                r = prepare_insert(db);
        if (r == 0)
                r = ask(db, "SELECT count(*) FROM queries", &db->count);
        return r == -EPROTO ? -EUCLEAN : r; /* it says that it is ours, and has other tables */
}

int history_db_open(const char *path, HistoryDb **ret) {
        HistoryDb *db = calloc(1, sizeof(*db));
        int r = db ? make_file(path) : -ENOMEM, code;

        if (r < 0) {
                free(db);
                return r;
        }
        code = sqlite3_open_v2(path, &db->sqlite, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
        r = history_db_errno(db->sqlite, code);
        if (r == 0)
                r = set_up(db);
        if (r < 0) {
                history_db_close(db);
                return r;
        }
        *ret = db;
        return 0;
}

HistoryDb *history_db_close(HistoryDb *db) {
        if (!db)
                return NULL;
        sqlite3_finalize(db->insert);
        sqlite3_close(db->sqlite);
        free(db);
        return NULL;
}

int history_db_set_aside(const char *path) {
        static const char *const parts[] = { "-wal", "-shm", "" };
        int r = 0;

        for (size_t i = 0; i < ELEMENTSOF(parts); i++) {
                CLEANUP(freep) char *from = NULL, *to = NULL;

                if (asprintf(&from, "%s%s", path, parts[i]) < 0 || asprintf(&to, "%s.corrupt%s", path, parts[i]) < 0)
                        return -ENOMEM;
                if (rename(from, to) < 0 && errno != ENOENT)
                        r = -errno;
        }
        return r;
}

uint64_t history_db_count(const HistoryDb *db) {
        return db->count;
}

static int insert_one(HistoryDb *db, const HistoryRow *row) {
        int r = history_row_bind(db->insert, row), code;

        if (r == 0) {
                code = sqlite3_step(db->insert);
                r = history_db_errno(db->sqlite, code);
        }
        (void) sqlite3_reset(db->insert);
        (void) sqlite3_clear_bindings(db->insert);
        return r < 0 ? r : sqlite3_changes(db->sqlite);
}

int history_db_insert(HistoryDb *db, const HistoryRow *rows, size_t n) {
        int r = begin(db), added = 0;

        if (r < 0)
                return r;
        for (size_t i = 0; r >= 0 && i < n; i++) {
                r = insert_one(db, &rows[i]);
                added += r > 0;
        }
        r = commit(db, r);
        if (r < 0)
                return r;
        db->count += (unsigned) added;
        return added;
}

static int delete_some(HistoryDb *db, const char *sql, uint64_t value, uint64_t n) {
        CLEANUP(statement_finalizep) sqlite3_stmt *s = NULL;
        int r = prepare(db, sql, &s);

        if (r == 0)
                r = history_db_errno(db->sqlite,
                                     sqlite3_bind_int64(s, 1, (sqlite3_int64) MIN(value, (uint64_t) INT64_MAX)));
        if (r == 0)
                r = history_db_errno(db->sqlite, sqlite3_bind_int64(s, 2, (sqlite3_int64) n));
        if (r == 0)
                r = history_db_errno(db->sqlite, sqlite3_step(s));
        return r < 0 ? r : sqlite3_changes(db->sqlite);
}

int history_db_expire(HistoryDb *db, uint64_t max_entries, uint64_t before_usec, unsigned at_most) {
        static const char oldest[] =
                        "DELETE FROM queries WHERE row IN"
                        " (SELECT row FROM queries WHERE ended_usec < ?1 ORDER BY ended_usec, row LIMIT ?2)";
        uint64_t too_many = subtract_saturating(db->count, max_entries);
        int r = delete_some(db, oldest, before_usec, at_most);

        if (r < 0)
                return r;
        db->count = subtract_saturating(db->count, (unsigned) r);
        if (r > 0 || too_many == 0)
                return r; /* what was too old may have been too many as well: the next time */
        r = delete_some(db, oldest, UINT64_MAX, MIN(too_many, at_most));
        if (r > 0)
                db->count = subtract_saturating(db->count, (unsigned) r);
        return r;
}
