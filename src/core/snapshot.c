/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/snapshot.h"

#include <string.h>

void query_snapshot(const Query *q, QuerySnapshot *ret, Error *ret_error) {
        *ret = (QuerySnapshot) {
                .spec = q->spec,
                .created_usec = q->created_usec,
                .state_since_usec = q->state_since_usec,
                .ended_usec = q->ended_usec,
                .forget_usec = q->forget_usec,
                .initial_bytes = q->initial_bytes,
                .max_bytes = q->max_bytes,
                .timeout_usec = q->timeout_usec,
                .queue_timeout_usec = q->queue_timeout_usec,
                .forgotten = q->forgotten,
                .lease_bytes = q->lease.bytes,
                .n_raises = q->n_raises,
                .n_denied = q->n_denied,
                .peak_bytes = q->peak_bytes,
                .top_quota_bytes = q->top_quota_bytes,
                .last_quota_bytes = q->last_quota_bytes,
                .learned_bytes = q->learned_bytes,
                .learned_raises = q->learned_raises,
                .needed_bytes = q->needed_bytes,
                .needed_raises = q->needed_raises,
                .n_raises_saved = q->n_raises_saved,
                .n_retries = q->n_retries,
                .first_start_usec = q->first_start_usec,
                .retry_bytes = q->retry_bytes,
                .frozen_usec = q->frozen_usec,
                .frozen_since_usec = q->frozen ? q->frozen_since_usec : 0,
                .wanted_bytes = q->wanted_bytes,
                .final = q->final,
                .state = q->state,
                .verdict = q->verdict,
                .dependencies = q->dependencies,
                .wanted_cause = q->wanted_cause,
                .ending_state = q->ending_state,
                .ending_verdict = q->ending_verdict,
                .exit_status = q->exit_status,
                .exit_signal = q->exit_signal,
                .done = q->done,
                .ending = q->ending,
                .denied = q->denied,
                .headroom_off = q->headroom_off,
                .handed = q->run == RUN_HANDED || q->run == RUN_ENDED,
        };
        memcpy(ret->booked_usec, q->booked_usec, sizeof(ret->booked_usec));
        for (unsigned s = 0; s < _QUERY_STATE_MAX; s++)
                ret->visited |= (uint32_t) q->visited[s] << s;
        query_get_error(q, ret_error);
}

static bool has_tombstone(const QuerySnapshot *s) {
        return s->done && query_state_is_end((QueryState) s->state);
}

int query_snapshot_order(const QuerySnapshot *a, uint64_t a_id, const QuerySnapshot *b, uint64_t b_id) {
        if (has_tombstone(a) != has_tombstone(b))
                return has_tombstone(a) ? -1 : 1;
        if (has_tombstone(a) && a->forgotten != b->forgotten)
                return a->forgotten < b->forgotten ? -1 : 1;
        return a_id < b_id ? -1 : a_id > b_id;
}

bool query_snapshot_is_valid(const QuerySnapshot *s) {
        bool ended = s->state < _QUERY_STATE_MAX && query_state_is_end((QueryState) s->state);

        return s->state < _QUERY_STATE_MAX && s->verdict < _VERDICT_MAX && s->dependencies <= DEPENDENCIES_RELEASED &&
               s->wanted_cause < _RAISE_CAUSE_MAX && s->ending_verdict < _VERDICT_MAX &&
               s->ending_state < _QUERY_STATE_MAX && (!s->ending || query_state_is_end((QueryState) s->ending_state)) &&
               s->spec.language[0] && s->initial_bytes > 0 && s->initial_bytes <= s->max_bytes &&
               s->lease_bytes <= s->max_bytes && s->learned_bytes <= s->max_bytes && s->retry_bytes <= s->max_bytes && s->n_retries <= 1 &&
               s->forgotten < UINT64_MAX / 2 &&
               s->created_usec <= s->state_since_usec && (ended || !s->handed || s->state == QUERY_EXECUTING) &&
               (ended || !s->ending || s->handed);
}
