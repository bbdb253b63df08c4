/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* tests/history-kit: a directory of its own for each test, and rows to put into it. */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "host/history_private.h"

static char kit_directory[64], kit_path[96];

static inline int kit_remove(const char *path, const struct stat *st, int type, struct FTW *ftw) {
        (void) st, (void) type, (void) ftw;
        return remove(path);
}

static inline int kit_setup(void **state) {
        (void) state;
        strcpy(kit_directory, "/var/tmp/test-history.XXXXXX");
        assert_non_null(mkdtemp(kit_directory));
        snprintf(kit_path, sizeof(kit_path), "%s/history.db", kit_directory);
        return 0;
}

static inline int kit_teardown(void **state) {
        (void) state;
        return nftw(kit_directory, kit_remove, 8, FTW_DEPTH | FTW_PHYS);
}

#define KIT_TEST(f) cmocka_unit_test_setup_teardown(f, kit_setup, kit_teardown)

/* Query @id of a boot of that number, which ended at @ended_usec. */
static inline HistoryRow kit_row(unsigned boot, uint64_t id, uint64_t ended_usec) {
        HistoryRow r = { .boot_id = { (uint8_t) boot },
                         .id = id,
                         .language = "sqlite",
                         .state = "finished",
                         .user_id = 1000,
                         .ended_usec = ended_usec };

        return r;
}

static inline void kit_label(HistoryRow *r, const char *key, const char *value) {
        assert_int_equal(pairlist_set(&r->labels, key, value), 0);
}

/* Each number of it is another. */
static inline HistoryRow kit_full_row(void) {
        HistoryRow r = { .boot_id = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 255 },
                         .id = 7,
                         .fingerprint = { UINT64_MAX, 1 },
                         .language = "duckdb",
                         .state = "errored",
                         .error = "Timeout",
                         .verdict = "timeout",
                         .user_id = UINT32_MAX - 1,
                         .priority = -1000,
                         .exit_status = -1,
                         .exit_signal = 9,
                         .detached = true,
                         .learned = true };
        uint64_t *v = &r.created_usec;

        for (uint64_t i = 0; &v[i] <= &r.needed_raises; i++)
                v[i] = 1000 + i;
        r.memory_max_bytes = SIZE_INFINITY;
        r.message = strdup("it ran longer than its timeout; \"é\"");
        kit_label(&r, "team", "a \"b\" \x01");
        kit_label(&r, "_x", "");
        return r;
}

static inline void kit_assert_same(const HistoryRow *a, const HistoryRow *b) {
        assert_memory_equal(a->boot_id, b->boot_id, sizeof(a->boot_id));
        assert_int_equal(a->id, b->id);
        assert_memory_equal(a->fingerprint, b->fingerprint, sizeof(a->fingerprint));
        assert_string_equal(a->language, b->language);
        assert_string_equal(a->state, b->state);
        assert_string_equal(a->error, b->error);
        assert_string_equal(a->verdict, b->verdict);
        assert_int_equal(a->message == NULL, b->message == NULL);
        if (a->message)
                assert_string_equal(a->message, b->message);
        assert_int_equal(a->user_id, b->user_id);
        assert_int_equal(a->priority, b->priority);
        assert_int_equal(a->exit_status, b->exit_status);
        assert_int_equal(a->exit_signal, b->exit_signal);
        assert_int_equal(a->detached, b->detached);
        assert_memory_equal(&a->created_usec, &b->created_usec,
                            offsetof(HistoryRow, needed_raises) - offsetof(HistoryRow, created_usec));
        assert_int_equal(a->needed_raises, b->needed_raises);
        assert_int_equal(a->learned, b->learned);
        assert_int_equal(a->labels.n, b->labels.n);
        for (size_t i = 0; i < a->labels.n; i++)
                assert_string_equal(a->labels.v[i].value, pairlist_get(&b->labels, a->labels.v[i].key));
}

/* @sql by a connection of its own, as somebody else would. */
static inline void kit_execute(const char *sql) {
        sqlite3 *other;

        assert_int_equal(sqlite3_open(kit_path, &other), SQLITE_OK);
        if (sqlite3_exec(other, sql, NULL, NULL, NULL) != SQLITE_OK)
                fail_msg("%s: %s", sql, sqlite3_errmsg(other));
        assert_int_equal(sqlite3_close(other), SQLITE_OK);
}

/* Rows like the first one, up to so many, at once. */
static inline void kit_fill(unsigned n) {
        char columns[2048] = "", sql[4096];

        /* all but the first two, which make a row another one */
        snprintf(columns, sizeof(columns), "%s", strstr(history_columns, ", fingerprint"));
        snprintf(sql, sizeof(sql),
                 "WITH RECURSIVE c(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM c WHERE i < %u) INSERT INTO queries "
                 "(row, boot_id, id%s)"
                 " SELECT i, zeroblob(16), i%s FROM c, queries WHERE queries.row = 1",
                 n, columns, columns);
        kit_execute(sql);
}

static inline void kit_write(const char *path, const char *text, size_t len) {
        FILE *f = fopen(path, "we");

        assert_non_null(f);
        assert_int_equal(fwrite(text, 1, len, f), len);
        assert_int_equal(fclose(f), 0);
}
