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
/* … and the number of tasks is not known before the first event: 64 threads under 12 % of 64M lost 2 of 9 races at 100 ms
 * of delay and 6 of 9 at 300 ms, under 16M none of 12 (docs/governor.md). Of a smaller quota a quarter does. */
#define GOVERNOR_HEADROOM_MIN (16 * MIB)
#define GOVERNOR_HEADROOM_MIN_DIVISOR 4
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
/* Re-reading: refaulted bytes of at least this part of the quota, with stall, is need too. Counted since the last raise,
 * but what was longer ago than the window counts less and less: a query that was idle for an hour is not diluted by it. */
#define GOVERNOR_REFAULT_DIVISOR 4
#define GOVERNOR_REFAULT_STALL_PPM 50000
#define GOVERNOR_REFAULT_WINDOW_USEC (5 * USEC_PER_SEC)
/* Stalled for half of the time right under memory.high is need too, whatever it consists of: the kernel knows memory
 * that can't be given back and shows in no line of memory.stat that we add up (pinned file pages, say). The time is the
 * shortest window of a PSI trigger. */
#define GOVERNOR_STALL_PPM 500000
#define GOVERNOR_STALL_WINDOW_USEC (500 * USEC_PER_MSEC)
/* Thrashing: nothing but waiting for memory that was there before, for so long. The kernel never ends that, since each
 * page can be reclaimed (actions-runner-controller #4436, moby #49801). */
#define GOVERNOR_THRASH_PPM 900000
#define GOVERNOR_THRASH_USEC (10 * USEC_PER_SEC)
/* Growth is a new high of need, of what it was in one or two such spans, by this part of it and at least so much: less is
 * noise, and so is what goes up and down, as under a garbage collector. */
#define GOVERNOR_NOISE_DIVISOR 128
#define GOVERNOR_NOISE_BYTES (256 * KIB)
#define GOVERNOR_TOP_SPAN_USEC (2 * USEC_PER_SEC)
/* Who has not grown for so long rests: it is expected to end with what it has. What it waited for a processor is left out: of
 * forty on two busy ones some got 10 to 25 ms in two seconds, and would have grown with more. */
#define GOVERNOR_REST_USEC (2 * USEC_PER_SEC)
/* Where the kernel does not tell how long that was (psi=0), it must have slept, or worked without growing. */
#define GOVERNOR_REST_CPU_USEC (100 * USEC_PER_MSEC)
#define GOVERNOR_REST_IDLE_PPM 2000
#define GOVERNOR_REST_ANYHOW 5 /* times as long, whatever it did */
/* The working set that a raise was for is kept for so long: if it is still in use, it is read again, and raised again. */
#define GOVERNOR_CACHE_USEC (60 * USEC_PER_SEC)

typedef enum RaiseCause {
        RAISE_NONE,
        RAISE_NEED,    /* need came near to the limit */
        RAISE_RATE,    /* it would have within the reaction time */
        RAISE_MAX,     /* charges hit memory.max itself */
        RAISE_REFAULT, /* the working set it keeps re-reading does not fit */
        RAISE_STALL,   /* it waits for memory most of the time, right under its limit */
        _RAISE_CAUSE_MAX,
} RaiseCause;

const char *raise_cause_name(RaiseCause c);

/* Where counts stood when it began. */
typedef struct GovernorWindow {
        uint64_t since_usec, some_usec, full_usec, refaults;
} GovernorWindow;

/* What the governor remembers of one query. Zero-initialise. */
typedef struct GovernorState {
        uint64_t last_usec, last_need_bytes, last_events_max;
        GovernorWindow refault, stall, thrash;
        uint64_t top_need_bytes, top_before_bytes, top_since_usec; /* of this span, and of the one before */
        uint64_t most_need_bytes;                                  /* of all its time */
        uint64_t grew_to_bytes, grew_until_usec; /* what it last grew to, and when */
        uint64_t cpu_usec, cpu_wait_usec, cpu_read_usec; /* as last read, and when */
        uint64_t grew_cpu_usec, grew_cpu_wait_usec;      /* … and when it grew; the first also when it slept */
        uint64_t grew_stall_usec; /* what it had waited for memory when it grew */
        uint64_t pause_usec;
        GovernorWindow last;               /* as last read */
        uint64_t file_bytes;               /* page cache as last read */
        uint64_t cache_bytes, cache_usec;  /* the working set that a raise was for, and when that was */
        uint64_t content_bytes; /* it was lowered with so much need: near its limit, and no reason for a raise */
        bool has_last, has_cpu_wait;
} GovernorState;

typedef struct GovernorDecision {
        RaiseCause cause;          /* RAISE_NONE: stay */
        uint64_t want_bytes;       /* the quota it should have, at most the maximum */
        uint64_t need_bytes;
        uint64_t sample_after_usec; /* 0: the next event will do */
        bool thrashes;              /* for GOVERNOR_THRASH_USEC: what it has does not do, and the kernel won't end it */
} GovernorDecision;

/* Pages that the query can't give back. min() because pages freed lazily stay in one of the two counts, but never in
 * both (measured in six shapes: MADV_FREE, split huge pages, mlock, tmpfs …). */
uint64_t governor_need(const Sample *s, uint64_t quota_bytes);

/* Room below @quota_bytes for @pids tasks, never more than half of it. */
uint64_t governor_headroom(uint64_t quota_bytes, uint64_t pids);

/* memory.high for a quota; SIZE_INFINITY at the maximum: a query over its maximum would crawl there, not fail. */
uint64_t governor_high(uint64_t quota_bytes, uint64_t maximum_bytes, uint64_t pids);

/* Judge @s. @quota_bytes is what the ledger says, @maximum_bytes the most this query may have. @lived_usec is the
 * time that it could run: frozen time is left out, or growth and stall before and after it would look slow. */
GovernorDecision governor_judge(GovernorState *g, const Sample *s, uint64_t quota_bytes, uint64_t maximum_bytes,
                                uint64_t lived_usec);

/* It begins in a new group, and has run for @lived_usec in another one. */
void governor_begin(GovernorState *g, uint64_t lived_usec);

/* It has run for @lived_usec under another controller. Whether it grew is not known, so it did until now; and how often it had
 * met its limit by then is not known either. */
void governor_take_over(GovernorState *g, uint64_t lived_usec);

/* True when it had not grown for @rest_usec when it was last judged. */
bool governor_is_resting(const GovernorState *g, uint64_t rest_usec);

/* It got what it was judged to want. */
void governor_note_raised(GovernorState *g, RaiseCause cause);

/* Its quota was lowered to what governor_keep() said: it is content with that until it needs more. */
void governor_note_lowered(GovernorState *g, uint64_t need_bytes);

/* The least quota under which a query with @need_bytes, or what it lately needed if that is more, and with what it keeps
 * of page cache, can grow by an eighth before it is slowed. */
uint64_t governor_keep(const GovernorState *g, uint64_t need_bytes, uint64_t pids);

/* Of one that has ended, whose memory.current was at most @peak_bytes and whose quota at most @quota_bytes: the least quota
 * that would have done from the start, without a raise. */
uint64_t governor_needed(const GovernorState *g, uint64_t peak_bytes, uint64_t quota_bytes, uint64_t maximum_bytes,
                         uint64_t pids);
