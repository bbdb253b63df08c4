/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/history.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int history_row_from(const Query *q, uint64_t created_realtime_usec, uint64_t ended_realtime_usec, HistoryRow *ret) {
        bool failed = query_error(q) != ERROR_NONE, executed = q->visited[QUERY_EXECUTING];
        uint64_t start_usec = q->n_retries > 0 ? q->first_start_usec /* to execute is the last that all others do */
                                               : subtract_saturating(q->ended_usec, q->booked_usec[QUERY_EXECUTING]);
        char *message = failed ? strdup(q->error.message ?: "") : NULL;

        if (failed && !message)
                return -ENOMEM;
        *ret = (HistoryRow) {
                .id = q->id,
                .fingerprint = { q->spec.fingerprint[0], q->spec.fingerprint[1] },
                .message = message,
                .user_id = q->spec.uid,
                .priority = q->spec.priority,
                .exit_status = q->exit_status,
                .exit_signal = q->exit_signal,
                .detached = q->spec.detached,
                .created_usec = created_realtime_usec,
                .started_usec = executed ? subtract_saturating(ended_realtime_usec,
                                                               subtract_saturating(q->ended_usec, start_usec))
                                         : 0,
                .ended_usec = ended_realtime_usec,
                .total_usec = query_total_usec(q, q->ended_usec),
                .compile_usec = q->booked_usec[QUERY_COMPILING],
                .queue_usec = q->booked_usec[QUERY_QUEUEING],
                .execute_usec = q->booked_usec[QUERY_EXECUTING],
                .frozen_usec = q->frozen_usec,
                .stall_usec = q->final.stall_usec,
                .cpu_usec = q->final.cpu_usec,
                .io_read_bytes = q->final.io_read_bytes,
                .io_write_bytes = q->final.io_write_bytes,
                .initial_bytes = query_start_bytes(q),
                .memory_max_bytes = q->max_bytes,
                .memory_peak_bytes = q->peak_bytes,
                .memory_quota_bytes = q->last_quota_bytes,
                .raises = q->n_raises,
                .raises_saved = q->n_raises_saved,
                .retries = q->n_retries,
                .needed_bytes = q->needed_bytes,
                .needed_raises = q->needed_raises,
                .learned = q->learned_bytes > 0,
        };
        memcpy(ret->language, q->spec.language, sizeof(ret->language));
        snprintf(ret->state, sizeof(ret->state), "%s", query_state_name(q->state));
        snprintf(ret->error, sizeof(ret->error), "%s", failed ? error_name(q->error.code) : "");
        snprintf(ret->verdict, sizeof(ret->verdict), "%s", verdict_name(q->verdict));
        return 0;
}

void history_row_done(HistoryRow *r) {
        free(r->message);
        pairlist_done(&r->labels);
        *r = (HistoryRow) {};
}

static bool is_end_state(const char *name) {
        for (unsigned s = 0; s < _QUERY_STATE_MAX; s++)
                if (query_state_is_end((QueryState) s) && strcmp(name, query_state_name((QueryState) s)) == 0)
                        return true;
        return false;
}

int history_filter_check(const HistoryFilter *f, Error *ret_error) {
        if (f->state[0] && !is_end_state(f->state))
                return error_set(ret_error, ERROR_INVALID_ARGUMENT, "state must be finished, errored or canceled");
        if (f->error[0] && error_from_name(f->error) == ERROR_NONE)
                return error_set(ret_error, ERROR_INVALID_ARGUMENT, "error is the name of none");
        if (f->limit < 1 || f->limit > HISTORY_LIMIT_MAX)
                return error_set(ret_error, ERROR_INVALID_ARGUMENT, "limit is %llu; it must be 1 to %u",
                                 (unsigned long long) f->limit, HISTORY_LIMIT_MAX);
        return 0;
}

void history_filter_done(HistoryFilter *f) {
        pairlist_done(&f->labels);
        *f = (HistoryFilter) HISTORY_FILTER_INIT;
}
