/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sim/plan: what a load would do under a configuration. The engine of the service, and a host that obeys at once: queries
 * that come when they came, take memory, need so long, and are ended where the kernel would. */
#pragma once

#include <stdio.h>

#include "core/config.h"

typedef struct PlanQuery {
        uint64_t arrival_usec; /* since the first one; rising */
        uint64_t duration_usec, peak_bytes;
        uint64_t fingerprint[2]; /* the same for the same query; zeros: not known */
} PlanQuery;

typedef struct PlanLoad {
        PlanQuery *v;
        size_t n;
} PlanLoad;

#define PLAN_FAILURE_MAX 256

/* Read a CSV whose first line names its columns: "arrival" and "duration" in seconds, "peak" in bytes or as "1.5G",
 * and perhaps "query", which is the same for the same query; others are left out, and so are empty lines. A quoted
 * field is refused. What comes in another order is sorted. Returns 0; -EBADMSG with @failure naming line and column;
 * -ENOMEM; or -errno of a file that can't be read. plan_load_done() it in any case. */
int plan_read(FILE *f, PlanLoad *ret, char failure[static PLAN_FAILURE_MAX]);
void plan_load_done(PlanLoad *l);

typedef struct PlanResult {
        uint64_t n_finished, n_refused, n_timed_out;
        uint64_t n_maximum; /* ended at their own maximum */
        uint64_t n_budget;  /* … or because the budget could not pay */
        uint64_t makespan_usec; /* from the first arrival to the last end */
        uint64_t wait_usec[4];  /* from arrival to start: median, 95 %, 99 %, longest */
        uint64_t frozen_usec;   /* of all, added up */
        uint64_t n_raises;
        uint64_t used_bytes_mean;                  /* what they needed, added up, over time */
        uint64_t held_bytes_mean, held_bytes_most; /* … and what their quotas were */
} PlanResult;

/* Play @l under @c, which must be valid. A query needs 1 MiB at first and grows evenly until it has run for
 * @growth_percent of its duration. Returns 0 or -ENOMEM. */
int plan_play(const PlanLoad *l, const Config *c, unsigned growth_percent, PlanResult *ret);
