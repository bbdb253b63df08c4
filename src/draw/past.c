/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "draw/past.h"

#include <errno.h>
#include <string.h>

#include "ctl/picture_size.h"

typedef enum Column {
        COLUMN_ENDED,
        COLUMN_STARTED,
        COLUMN_QUEUE,
        COLUMN_EXECUTE,
        COLUMN_PEAK,
        COLUMN_QUOTA,
        COLUMN_ID,
        COLUMN_LANGUAGE,
        COLUMN_STATE,
        COLUMN_ERROR,
        _COLUMN_MAX,
} Column;

static const char *const column_names[_COLUMN_MAX] = {
        [COLUMN_ENDED] = "ended_usec",
        [COLUMN_STARTED] = "started_usec",
        [COLUMN_QUEUE] = "queue_usec",
        [COLUMN_EXECUTE] = "execute_usec",
        [COLUMN_PEAK] = "memory_peak_bytes",
        [COLUMN_QUOTA] = "memory_quota_bytes",
        [COLUMN_ID] = "id",
        [COLUMN_LANGUAGE] = "language",
        [COLUMN_STATE] = "state",
        [COLUMN_ERROR] = "error",
};

/* What is beyond has lost all meaning, and what is drawn of it all exactness: 36,000 years, an exbibyte. */
#define NUMBER_MAX (UINT64_C(1) << 60)

typedef struct Reader {
        const Csv *csv;
        size_t at[_COLUMN_MAX]; /* n_columns: it has none */
} Reader;

static const char *cell(const Reader *r, size_t row, Column column) {
        return csv_cell(r->csv, row, r->at[column]);
}

static uint64_t number(const Reader *r, size_t row, Column column) {
        return csv_cell_u64(r->csv, row, r->at[column]);
}

static uint64_t usec(const Reader *r, size_t row, Column column) {
        return MIN(number(r, row, column), NUMBER_MAX);
}

static uint64_t bytes(const Reader *r, size_t row, Column column) {
        uint64_t v = number(r, row, column);

        return v == SIZE_INFINITY ? v : MIN(v, NUMBER_MAX);
}

static Outcome outcome_of(const char *state, const char *error) {
        if (strcmp(error, "MemoryLimitExceeded") == 0 || strcmp(error, "MemoryBudgetExhausted") == 0)
                return OUTCOME_MEMORY;
        if (strcmp(state, "finished") == 0)
                return OUTCOME_FINISHED;
        return strcmp(state, "canceled") == 0 ? OUTCOME_CANCELED : OUTCOME_ERRORED;
}

static Ended ended_of(const Reader *r, size_t row) {
        Ended e = {
                .ended_usec = usec(r, row, COLUMN_ENDED),
                .started_usec = usec(r, row, COLUMN_STARTED),
                .queue_usec = usec(r, row, COLUMN_QUEUE),
                .execute_usec = usec(r, row, COLUMN_EXECUTE),
                .peak_bytes = bytes(r, row, COLUMN_PEAK),
                .quota_bytes = bytes(r, row, COLUMN_QUOTA),
                .id = number(r, row, COLUMN_ID),
                .language = cell(r, row, COLUMN_LANGUAGE),
                .outcome = outcome_of(cell(r, row, COLUMN_STATE), cell(r, row, COLUMN_ERROR)),
        };

        e.started_usec = MIN(e.started_usec, e.ended_usec);
        return e;
}

static int by_end(const void *a, const void *b) {
        const Ended *x = a, *y = b;

        if (x->ended_usec != y->ended_usec)
                return x->ended_usec < y->ended_usec ? -1 : 1;
        return x->id < y->id ? -1 : x->id > y->id;
}

int past_read(const Csv *c, Past *ret) {
        Reader r = { .csv = c };
        Past p = {};

        for (size_t i = 0; i < _COLUMN_MAX; i++)
                r.at[i] = csv_column(c, column_names[i]);
        if (r.at[COLUMN_ENDED] == c->n_columns)
                return -ENODATA;
        if (c->n_rows > PAST_ROWS_MAX)
                return -E2BIG;
        p.v = calloc(MAX(c->n_rows, (size_t) 1), sizeof(*p.v));
        if (!p.v)
                return -ENOMEM;
        for (size_t row = 0; row < c->n_rows; row++) {
                Ended e = ended_of(&r, row);

                if (e.ended_usec == 0)
                        continue;
                p.v[p.n++] = e;
                p.counts[e.outcome]++;
                p.n_started += e.started_usec > 0;
        }
        qsort(p.v, p.n, sizeof(*p.v), by_end);
        *ret = p;
        return 0;
}

void past_done(Past *p) {
        free(p->v);
        *p = (Past) {};
}

const char *outcome_in_words(Outcome outcome) {
        static const char *const words[_OUTCOME_MAX] = {
                [OUTCOME_FINISHED] = "finished",
                [OUTCOME_CANCELED] = "canceled",
                [OUTCOME_ERRORED] = "errored",
                [OUTCOME_MEMORY] = "out of memory",
        };

        return words[outcome];
}
