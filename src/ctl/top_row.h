/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ctl/top_row (pure): what `top` knows of one query, and of the service. Plain data, nothing to free. */
#pragma once

#include "ctl/ctl.h"

/* In the order in which they are sorted: what is under way first. */
typedef enum TopState {
        TOP_EXECUTING,
        TOP_COMPILING,
        TOP_QUEUEING,
        TOP_CREATED,
        TOP_ERRORED,
        TOP_CANCELED,
        TOP_FINISHED,
        TOP_OTHER, /* of a newer service */
        _TOP_STATE_MAX,
} TopState;

const char *top_state_name(TopState s);
TopState top_state_from_name(const char *name);

/* What only Describe tells. Shares of time are in parts per million of the time between the last two answers, and of
 * all its time after the first one. */
typedef struct TopDetail {
        bool is_known;
        uint64_t need_bytes, cpu_usec, stall_usec, execute_usec;
        uint64_t cpu_ppm, stall_ppm;
} TopDetail;

typedef struct TopRow {
        uint64_t id;
        TopState state;
        bool frozen;
        int64_t priority;
        uint64_t position, quota_bytes, max_bytes, used_bytes, peak_bytes, raises, total_usec;
        char user[40], language[68], labels[256], reason[512];
        TopDetail detail; /* of one that executes */
} TopRow;

/* @user is its user's name, or number. */
void top_row_read(TopRow *row, const PenstockInfo *i, const char *user);
/* Take the figures of a later answer into @d. */
void top_detail_step(TopDetail *d, uint64_t need_bytes, uint64_t cpu_usec, uint64_t stall_usec,
                     uint64_t execute_usec);
void top_detail_read(TopDetail *d, const PenstockInfo *i);

typedef struct TopStatus {
        char version[32];
        uint64_t used_bytes, unused_bytes, max_bytes, initial_bytes;
        uint64_t slots, queue_size;
        uint64_t counts[_TOP_STATE_MAX];
        bool paused, shutting_down;
} TopStatus;

void top_status_read(TopStatus *s, const PenstockInfo *i);
