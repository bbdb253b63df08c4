/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* draw/timeline: a query's profile (docs/dbus.md has its columns) as what can be drawn: what was in use when, and
 * what happened. Columns are found by name; one that is not there counts as zeros, one that is not known is passed
 * over. Pure. Invariant: time does not run backwards, and totals neither, whatever the rows say. */
#pragma once

#include "core/base.h"
#include "ctl/csv.h"

/* What memory is used for, in the order in which it is stacked: what the kernel can take back lies on top. */
typedef enum MemoryKind {
        MEMORY_ANON,
        MEMORY_SHMEM,
        MEMORY_KERNEL,
        MEMORY_OTHER, /* the rest of current_bytes; all of it in a profile without the kinds */
        MEMORY_FILE,
        _MEMORY_KIND_MAX,
} MemoryKind;

typedef struct Reading {
        uint64_t usec;
        uint64_t limit_bytes; /* SIZE_INFINITY: none in force */
        uint64_t bytes[_MEMORY_KIND_MAX];
        uint64_t stall_some_usec, stall_full_usec; /* totals */
        bool repeats; /* of an event at which nobody looked: it has the totals of the one before */
} Reading;

typedef enum HappeningKind {
        HAPPENED_RAISE,
        HAPPENED_DENIED,
        HAPPENED_FREEZE,
        HAPPENED_LOWERED,
        HAPPENED_TERMINATE,
        HAPPENED_KILL,
        HAPPENED_END,   /* with a verdict, and nothing that says so before */
        HAPPENED_OTHER, /* an event that this version does not know */
        _HAPPENED_MAX,
} HappeningKind;

typedef struct Happening {
        HappeningKind kind;
        uint64_t usec, until_usec; /* until: of a freeze, else the same */
        uint64_t new_bytes;        /* the limit after it; 0: not known */
        const char *name, *cause;  /* as the row has them; these are of the CSV */
        bool goes_on;              /* a freeze that had not ended */
} Happening;

typedef struct Timeline {
        Reading *readings;
        Happening *happenings;
        size_t n_readings, n_happenings;
        size_t n_rows;      /* there were, before any were thinned here */
        uint64_t end_usec;  /* of the last row */
        uint64_t seen_usec; /* of the last row for which somebody looked: others repeat what was seen */
        uint64_t thinned;   /* rows that were left out, as the profile says */
        bool has_kinds;     /* at least one of the columns of kinds */
        bool has_stall;     /* the column of stall_some_usec */
        bool has_ended;     /* the last row is the end */
        bool was_looked_at; /* some memory was in use in a row before the end */
} Timeline;

/* The service's have 256 rows at most. */
#define TIMELINE_ROWS_MAX 65536u

/* Read @c, which must outlive @ret. Returns 0, -ENOMEM, -E2BIG for more than TIMELINE_ROWS_MAX rows, or -ENODATA when
 * there is no row or no column time_usec; then @ret is untouched. timeline_done() it. */
int timeline_read(const Csv *c, Timeline *ret);
void timeline_done(Timeline *t);

/* A freeze that goes on has lasted until @now_usec, and what is frozen holds what it has. Once at most. */
void timeline_reach(Timeline *t, uint64_t now_usec);

/* Leave out readings that lie within the same of @columns parts of the time, but for the first and the last of each,
 * and those with the most and the least of each kind, of the kinds up to each, and of the limit. */
void timeline_thin(Timeline *t, size_t columns);

/* Bytes of the kinds up to and with @kind. Saturates. */
uint64_t reading_sum(const Reading *r, MemoryKind kind);
