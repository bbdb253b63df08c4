/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* draw/past: queries that have ended, as what can be drawn. Read from a CSV whose columns are found by name:
 * ended_usec, started_usec, queue_usec, execute_usec, memory_peak_bytes, memory_quota_bytes, id, language, state,
 * error. One that is not there counts as zeros, one that is not known is passed over. Pure. Invariant: rows go by
 * their end, the first one first, and none started after it ended, whatever the rows say. */
#pragma once

#include "core/base.h"
#include "ctl/csv.h"

typedef enum Outcome {
        OUTCOME_FINISHED,
        OUTCOME_CANCELED,
        OUTCOME_ERRORED,
        OUTCOME_MEMORY, /* errored, by its own limit or for want of budget */
        _OUTCOME_MAX,
} Outcome;

typedef struct Ended {
        uint64_t ended_usec;   /* since 1970 */
        uint64_t started_usec; /* its slot; 0: it never got one */
        uint64_t queue_usec, execute_usec;
        uint64_t peak_bytes, quota_bytes; /* the quota: its last one */
        uint64_t id;
        const char *language; /* of the CSV */
        Outcome outcome;
} Ended;

typedef struct Past {
        Ended *v;
        size_t n;
        size_t counts[_OUTCOME_MAX];
        size_t n_started;
} Past;

/* Read @c, which must outlive @ret; a row without a time of its end is passed over. Returns 0, -ENOMEM, -E2BIG for
 * more than PAST_ROWS_MAX (ctl/picture_size.h), or -ENODATA when there is no column ended_usec; then @ret is
 * untouched. past_done() it. */
int past_read(const Csv *c, Past *ret);
void past_done(Past *p);

/* "finished", "out of memory", … */
const char *outcome_in_words(Outcome outcome);
