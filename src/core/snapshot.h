/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/snapshot: what of a query outlives its controller, as a plain value: written when it changes (core/trace has its
 * text), and handed to the next controller's engine as EVENT_ADOPT. libc only. */
#pragma once

#include "core/query.h"

typedef struct QuerySnapshot {
        QuerySpec spec;
        /* as in Query; times are CLOCK_MONOTONIC, which goes on while the host is up */
        uint64_t created_usec, state_since_usec, ended_usec, forget_usec;
        uint64_t booked_usec[QUERY_ERRORED]; /* of each live state */
        uint64_t initial_bytes, max_bytes, timeout_usec, queue_timeout_usec;
        uint64_t forgotten; /* among those with a tombstone it was the how manieth to get one; 0: it has none */
        uint64_t lease_bytes; /* more than that in force: it was raised once more, and that was not written down */
        uint64_t n_raises, n_denied, peak_bytes, top_quota_bytes, last_quota_bytes;
        uint64_t learned_bytes, learned_raises, needed_bytes, needed_raises, n_raises_saved;
        uint64_t n_retries, first_start_usec, retry_bytes;
        uint64_t frozen_usec, frozen_since_usec, wanted_bytes; /* frozen_since_usec 0: it was not frozen */
        FinalNumbers final;
        uint32_t state, verdict, dependencies, wanted_cause, ending_state, ending_verdict;
        uint32_t visited; /* a bit a state */
        int32_t exit_status, exit_signal;
        bool done, ending, denied, headroom_off;
        bool handed; /* its engine was handed over: it may run, or has run */

        /* What the new controller finds; not part of what was written. */
        uint64_t limit_bytes; /* memory.max of engine/ in force */
        uint64_t current_bytes;
        uint64_t held_since_usec; /* who is frozen has been it since then, for want of a controller; 0: not known */
        bool unit_exists, is_frozen;
        bool has_ended; /* it was handed over, and its worker waits to tell how it ended */
        bool is_lost; /* it was not handed over, and can't be started: it ends as ending_* and the error say */
} QuerySnapshot;

/* @ret_error: why it ended, or why it is being ended. */
void query_snapshot(const Query *q, QuerySnapshot *ret, Error *ret_error);

/* Less than 0: of these two queries @a is adopted first. Those with a tombstone come before others, as they got it, since the first
 * of them falls out first; the others in the order of their IDs. */
int query_snapshot_order(const QuerySnapshot *a, uint64_t a_id, const QuerySnapshot *b, uint64_t b_id);

/* True if it is what query_snapshot() could have made: every enum is one, and the parts fit together. */
bool query_snapshot_is_valid(const QuerySnapshot *s);
