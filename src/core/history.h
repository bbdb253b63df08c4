/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/history: what is kept of a query for good once it has ended, as a plain value, and what may be asked of those
 * that are kept. libc only. Invariant: neither has room for a query's text, arguments, parameters, environment, paths
 * or output. */
#pragma once

#include "core/query.h"

#define HISTORY_BOOT_ID_BYTES 16
#define HISTORY_NAME_MAX 32

typedef struct HistoryRow {
        uint64_t row; /* its place among those that are kept; 0: not yet */
        uint8_t boot_id[HISTORY_BOOT_ID_BYTES];
        uint64_t id; /* unique in its boot */
        uint64_t fingerprint[2];
        char language[sizeof(((QuerySpec *) 0)->language)];
        char state[HISTORY_NAME_MAX], error[HISTORY_NAME_MAX],
                        verdict[HISTORY_NAME_MAX]; /* error: short, "" for none */
        char *message;                             /* NULL: no error */
        PairList labels;
        uint32_t user_id;
        int32_t priority, exit_status, exit_signal;
        bool detached;
        /* times of day; started: when it got its slot, 0: never */
        uint64_t created_usec, started_usec, ended_usec;
        uint64_t total_usec, compile_usec, queue_usec, execute_usec, frozen_usec, stall_usec, cpu_usec;
        uint64_t io_read_bytes, io_write_bytes;
        uint64_t initial_bytes, memory_max_bytes, memory_peak_bytes, memory_quota_bytes; /* quota: its last */
        uint64_t raises;
        uint64_t raises_saved;                /* … by an initial quota that was learned */
        uint64_t retries;                     /* runs after the first */
        uint64_t needed_bytes, needed_raises; /* what is known of the next one like it then; 0: nothing */
        bool learned;                         /* initial_bytes is what one like it came to need */
} HistoryRow;

/* Fill @ret from @q, which has ended. Its boot and its labels are the caller's to add: they are not the core's.
 * Returns 0 or -ENOMEM; then @ret is untouched. */
int history_row_from(const Query *q, uint64_t created_realtime_usec, uint64_t ended_realtime_usec, HistoryRow *ret);
void history_row_done(HistoryRow *r); /* leaves an empty one */

#define HISTORY_LIMIT_MAX 1000u
#define HISTORY_LIMIT_DEFAULT 100u

/* What the rows of one answer come to: fewer come then, and before_row gives the others. A row is half a kibibyte,
 * and with all the labels that a request may have twenty times that. */
#define HISTORY_ANSWER_BYTES_MAX (2 * MIB)

/* Those that ended in [since, until], the last first. */
typedef struct HistoryFilter {
        bool has_user_id;
        uint32_t user_id;
        char language[sizeof(((QuerySpec *) 0)->language)];    /* "": of any */
        char state[HISTORY_NAME_MAX], error[HISTORY_NAME_MAX]; /* "": any */
        uint64_t since_usec, until_usec;
        uint64_t min_peak_bytes;
        PairList labels;     /* it had all of these */
        uint64_t before_row; /* only what comes behind it in the same order; 0: from the first */
        uint64_t limit;      /* fewer may come, see above */
} HistoryFilter;

#define HISTORY_FILTER_INIT { .until_usec = USEC_INFINITY, .limit = HISTORY_LIMIT_DEFAULT }

/* What can't be is refused: 0, or -EINVAL with @ret_error naming the key. */
int history_filter_check(const HistoryFilter *f, Error *ret_error);
void history_filter_done(HistoryFilter *f); /* leaves HISTORY_FILTER_INIT */
