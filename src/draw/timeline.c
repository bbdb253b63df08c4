/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "draw/timeline.h"

#include <errno.h>
#include <string.h>

typedef enum Column {
        COLUMN_TIME,
        COLUMN_EVENT,
        COLUMN_CAUSE,
        COLUMN_NEW,
        COLUMN_LIMIT,
        COLUMN_CURRENT,
        COLUMN_STALL_SOME,
        COLUMN_STALL_FULL,
        COLUMN_THINNED,
        COLUMN_ANON,
        COLUMN_SHMEM,
        COLUMN_KERNEL,
        COLUMN_FILE,
        _COLUMN_MAX,
} Column;

static const char *const column_names[_COLUMN_MAX] = {
        [COLUMN_TIME] = "time_usec",
        [COLUMN_EVENT] = "event",
        [COLUMN_CAUSE] = "cause",
        [COLUMN_NEW] = "new_bytes",
        [COLUMN_LIMIT] = "limit_bytes",
        [COLUMN_CURRENT] = "current_bytes",
        [COLUMN_STALL_SOME] = "stall_some_usec",
        [COLUMN_STALL_FULL] = "stall_full_usec",
        [COLUMN_THINNED] = "thinned_rows",
        [COLUMN_ANON] = "anon_bytes",
        [COLUMN_SHMEM] = "shmem_bytes",
        [COLUMN_KERNEL] = "kernel_bytes",
        [COLUMN_FILE] = "file_bytes",
};

static const Column column_of_kind[_MEMORY_KIND_MAX] = {
        [MEMORY_ANON] = COLUMN_ANON,     [MEMORY_SHMEM] = COLUMN_SHMEM, [MEMORY_KERNEL] = COLUMN_KERNEL,
        [MEMORY_OTHER] = COLUMN_CURRENT, [MEMORY_FILE] = COLUMN_FILE,
};

/* Events that are drawn as something; what else is a reading and no more. */
static const char *const happening_names[_HAPPENED_MAX] = {
        [HAPPENED_RAISE] = "raise",         [HAPPENED_DENIED] = "denied", [HAPPENED_FREEZE] = "freeze",
        [HAPPENED_LOWERED] = "lowered",     [HAPPENED_KILL] = "kill",     [HAPPENED_END] = "end",
        [HAPPENED_TERMINATE] = "terminate",
};

typedef struct Reader {
        const Csv *csv;
        size_t at[_COLUMN_MAX]; /* n_columns: it has none */
        Timeline t;
        size_t frozen; /* 1 + index of the freeze that has not ended */
        bool was_told; /* that it was killed */
} Reader;

static const char *cell(const Reader *r, size_t row, Column column) {
        return csv_cell(r->csv, row, r->at[column]);
}

static uint64_t number(const Reader *r, size_t row, Column column) {
        return csv_cell_u64(r->csv, row, r->at[column]);
}

uint64_t reading_sum(const Reading *r, MemoryKind kind) {
        uint64_t sum = 0;

        for (int k = 0; k <= (int) kind; k++)
                sum = add_saturating(sum, r->bytes[k]);
        return sum;
}

static bool is_one_of(const char *event, const char *const events[], size_t n) {
        for (size_t i = 0; i < n; i++)
                if (strcmp(event, events[i]) == 0)
                        return true;
        return false;
}

static Reading reading_of(const Reader *r, size_t row, const Reading *before) {
        Reading new = {
                .usec = MAX(number(r, row, COLUMN_TIME), before->usec),
                .limit_bytes = number(r, row, COLUMN_LIMIT),
                .stall_some_usec = MAX(number(r, row, COLUMN_STALL_SOME), before->stall_some_usec),
                .stall_full_usec = MAX(number(r, row, COLUMN_STALL_FULL), before->stall_full_usec),
                .repeats = is_one_of(cell(r, row, COLUMN_EVENT), (const char *const[]) { "terminate", "kill" }, 2),
        };

        for (int k = 0; k < _MEMORY_KIND_MAX; k++)
                if (k != MEMORY_OTHER)
                        new.bytes[k] = number(r, row, column_of_kind[k]);
        new.bytes[MEMORY_OTHER] = subtract_saturating(number(r, row, COLUMN_CURRENT), reading_sum(&new, MEMORY_FILE));
        return new;
}

static HappeningKind kind_of(const char *event) {
        static const char *const plain[] = { "", "start", "sample", "thaw" };

        for (int k = 0; k < _HAPPENED_MAX; k++)
                if (happening_names[k] && strcmp(event, happening_names[k]) == 0)
                        return (HappeningKind) k;
        return is_one_of(event, plain, ELEMENTSOF(plain)) ? _HAPPENED_MAX : HAPPENED_OTHER;
}

static void thaw(Reader *r, uint64_t usec) {
        if (r->frozen > 0)
                r->t.happenings[r->frozen - 1].until_usec = usec;
        r->frozen = 0;
}

/* What is frozen for want of budget was denied it right before: that is one thing. */
static bool was_just_denied(const Reader *r, uint64_t usec) {
        const Happening *last = r->t.n_happenings > 0 ? &r->t.happenings[r->t.n_happenings - 1] : NULL;

        return last && last->kind == HAPPENED_DENIED && last->usec == usec;
}

static void add_happening(Reader *r, size_t row, uint64_t usec) {
        const char *event = cell(r, row, COLUMN_EVENT), *cause = cell(r, row, COLUMN_CAUSE);
        HappeningKind kind = kind_of(event);
        uint64_t new_bytes;

        if (kind == HAPPENED_END || strcmp(event, "thaw") == 0)
                thaw(r, usec);
        if (kind == _HAPPENED_MAX || (kind == HAPPENED_FREEZE && r->frozen > 0) ||
            (kind == HAPPENED_END && (r->was_told || cause[0] == '\0' || strcmp(cause, "exit") == 0)))
                return;
        if (kind == HAPPENED_FREEZE && was_just_denied(r, usec))
                r->t.n_happenings--;
        new_bytes = number(r, row, COLUMN_NEW);
        if (new_bytes == 0)
                new_bytes = number(r, row, COLUMN_LIMIT);
        r->t.happenings[r->t.n_happenings++] = (Happening) {
                .kind = kind, .usec = usec, .until_usec = usec, .new_bytes = new_bytes, .name = event, .cause = cause
        };
        r->was_told = r->was_told || kind == HAPPENED_KILL || kind == HAPPENED_TERMINATE;
        if (kind == HAPPENED_FREEZE)
                r->frozen = r->t.n_happenings;
}

static bool was_seen(const char *event) {
        static const char *const looks[] = { "start", "sample", "raise", "denied" };

        return is_one_of(event, looks, ELEMENTSOF(looks));
}

static void add_row(Reader *r, size_t row) {
        const Reading *last = r->t.n_readings > 0 ? &r->t.readings[r->t.n_readings - 1] : NULL;
        bool end = row == r->csv->n_rows - 1 && strcmp(cell(r, row, COLUMN_EVENT), "end") == 0;
        Reading new = reading_of(r, row, last ? last : &(Reading) {});

        if (end && last) {
                /* Memory goes when the last process does, not little by little since it was last looked at. */
                Reading held = new;

                memcpy(held.bytes, last->bytes, sizeof(held.bytes));
                r->t.readings[r->t.n_readings++] = held;
        }
        r->t.readings[r->t.n_readings++] = new;
        r->t.has_ended = end;
        if (was_seen(cell(r, row, COLUMN_EVENT)))
                r->t.seen_usec = new.usec;
        r->t.was_looked_at = r->t.was_looked_at || (!end && reading_sum(&new, MEMORY_FILE) > 0);
        r->t.thinned = add_saturating(r->t.thinned, number(r, row, COLUMN_THINNED));
        add_happening(r, row, new.usec);
}

int timeline_read(const Csv *c, Timeline *ret) {
        Reader r = { .csv = c };

        for (size_t i = 0; i < _COLUMN_MAX; i++)
                r.at[i] = csv_column(c, column_names[i]);
        if (c->n_rows == 0 || r.at[COLUMN_TIME] == c->n_columns)
                return -ENODATA;
        if (c->n_rows > TIMELINE_ROWS_MAX)
                return -E2BIG;
        for (size_t i = COLUMN_ANON; i <= COLUMN_FILE; i++)
                r.t.has_kinds = r.t.has_kinds || r.at[i] < c->n_columns;
        r.t.has_stall = r.at[COLUMN_STALL_SOME] < c->n_columns;
        r.t.readings = calloc(c->n_rows, 2 * sizeof(*r.t.readings)); /* an end has two */
        r.t.happenings = calloc(c->n_rows, sizeof(*r.t.happenings));
        if (!r.t.readings || !r.t.happenings) {
                timeline_done(&r.t);
                return -ENOMEM;
        }
        for (size_t row = 0; row < c->n_rows; row++)
                add_row(&r, row);
        r.t.n_rows = c->n_rows;
        r.t.end_usec = r.t.readings[r.t.n_readings - 1].usec;
        if (r.frozen > 0 && !r.t.has_ended)
                r.t.happenings[r.frozen - 1].goes_on = true;
        thaw(&r, r.t.end_usec);
        *ret = r.t;
        return 0;
}

void timeline_reach(Timeline *t, uint64_t now_usec) {
        Happening *freeze = NULL;

        for (size_t i = 0; i < t->n_happenings; i++)
                if (t->happenings[i].goes_on)
                        freeze = &t->happenings[i];
        if (!freeze || now_usec <= t->end_usec)
                return;
        freeze->until_usec = t->end_usec = now_usec;
        t->readings[t->n_readings] = t->readings[t->n_readings - 1]; /* there is room: it has no end, which has two */
        t->readings[t->n_readings++].usec = now_usec;
}

void timeline_done(Timeline *t) {
        free(t->readings);
        free(t->happenings);
        *t = (Timeline) {};
}

static size_t column_of(const Timeline *t, size_t i, size_t columns) {
        double part = t->end_usec > 0 ? (double) t->readings[i].usec / (double) t->end_usec : 0;

        return (size_t) (part * (double) columns);
}

/* What is drawn or told of a reading: how thick areas are, their edges, the limit. */
#define DRAWN (2 * _MEMORY_KIND_MAX + 1)

static uint64_t drawn(const Reading *r, int k) {
        if (k < _MEMORY_KIND_MAX)
                return r->bytes[k];
        return k < DRAWN - 1 ? reading_sum(r, (MemoryKind) (k - _MEMORY_KIND_MAX)) : r->limit_bytes;
}

/* Of [@from, @to), in their order: move what stays to @to_at and on. Returns behind the last. */
static size_t keep_some(Reading *v, size_t from, size_t to, size_t to_at) {
        size_t most[DRAWN], least[DRAWN];

        for (int k = 0; k < DRAWN; k++) {
                most[k] = least[k] = from;
                for (size_t i = from; i < to; i++) {
                        if (drawn(&v[i], k) > drawn(&v[most[k]], k))
                                most[k] = i;
                        if (drawn(&v[i], k) < drawn(&v[least[k]], k))
                                least[k] = i;
                }
        }
        for (size_t i = from; i < to; i++) {
                bool stays = i == from || i == to - 1;

                for (int k = 0; k < DRAWN; k++)
                        stays = stays || i == most[k] || i == least[k];
                if (stays)
                        v[to_at++] = v[i];
        }
        return to_at;
}

void timeline_thin(Timeline *t, size_t columns) {
        size_t n = 0;

        for (size_t from = 0, to; from < t->n_readings; from = to) {
                to = from + 1;
                while (to < t->n_readings && column_of(t, to, columns) == column_of(t, from, columns))
                        to++;
                n = keep_some(t->readings, from, to, n);
        }
        t->n_readings = n;
}
