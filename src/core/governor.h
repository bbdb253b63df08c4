/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/governor: judges one fresh sample of one query and says what limit it should have. libc only.
 *
 * It decides on *need*, the pages a query cannot give back, never on memory.current: memory.high counts page cache,
 * and one scan of a large file raises a thousand `high` events without needing a byte more. It knows nothing of the
 * pool: the engine asks the ledger, and waits or refuses when it can't pay. */
#pragma once

#include "core/sample.h"

/* Headroom between memory.high and memory.max. Measured: 12 % survives a controller delay of 100 ms at 16 threads. */
#define GOVERNOR_HEADROOM_PERCENT 12
/* Each task charges in batches before it is made to sleep: with 64 threads 12 % of a small quota are gone at once. */
#define GOVERNOR_HEADROOM_PER_TASK (512 * KIB)
/* A raise is due when need comes this near to memory.high: an eighth of the quota. */
#define GOVERNOR_MARGIN_DIVISOR 8
/* … or would within this time at the rate it grows at: what a saturated host may take to wake us up. */
#define GOVERNOR_REACTION_USEC (50 * USEC_PER_MSEC)
/* Dirty and writeback pages can't be dropped at once; up to a quarter of the quota the flusher keeps up with. */
#define GOVERNOR_DIRTY_DIVISOR 4
/* A query is sampled again this soon while it grows near its limit; the pause doubles while it does not, and sampling
 * ends at the longest pause: at rest a query costs nothing. */
#define GOVERNOR_SAMPLE_MIN_USEC (20 * USEC_PER_MSEC)
#define GOVERNOR_SAMPLE_MAX_USEC (640 * USEC_PER_MSEC)
/* Re-reading: refaulted bytes since the last verdict of at least this part of the quota, with stall, is need too. */
#define GOVERNOR_REFAULT_DIVISOR 4
#define GOVERNOR_REFAULT_STALL_PPM 50000

typedef enum RaiseCause {
        RAISE_NONE,
        RAISE_NEED,    /* need came near to the limit */
        RAISE_RATE,    /* it would have within the reaction time */
        RAISE_MAX,     /* charges hit memory.max itself */
        RAISE_REFAULT, /* the working set it keeps re-reading does not fit */
        _RAISE_CAUSE_MAX,
} RaiseCause;

const char *raise_cause_name(RaiseCause c);

/* What the governor remembers of one query. Zero-initialise. */
typedef struct GovernorState {
        uint64_t last_usec, last_need_bytes, last_events_max;
        uint64_t refault_base, stall_base_usec, refault_since_usec;
        uint64_t pause_usec;
        bool has_last;
} GovernorState;

typedef struct GovernorDecision {
        RaiseCause cause;          /* RAISE_NONE: stay */
        uint64_t want_bytes;       /* the quota it should have, at most the maximum */
        uint64_t need_bytes;
        uint64_t sample_after_usec; /* 0: the next event will do */
} GovernorDecision;

/* Pages that the query can't give back. min() because pages freed lazily stay in one of the two counts, but never in
 * both (measured in six shapes: MADV_FREE, split huge pages, mlock, tmpfs …). */
uint64_t governor_need(const Sample *s, uint64_t quota_bytes);

/* Room below @quota_bytes for @pids tasks, never more than half of it. */
uint64_t governor_headroom(uint64_t quota_bytes, uint64_t pids);

/* memory.high for a quota; SIZE_INFINITY at the maximum: a query over its maximum would crawl there, not fail. */
uint64_t governor_high(uint64_t quota_bytes, uint64_t maximum_bytes, uint64_t pids);

/* Judge @s. @quota_bytes is what the ledger says, @maximum_bytes the most this query may have. */
GovernorDecision governor_judge(GovernorState *g, const Sample *s, uint64_t quota_bytes, uint64_t maximum_bytes,
                                uint64_t now_usec);
