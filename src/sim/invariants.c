/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sim/invariants.h"

#include <stdarg.h>
#include <stdio.h>

#define ULL(x) ((unsigned long long) (x))
#define PAGE_BYTES 4096u

static bool broken(char *failure, const char *format, ...) PRINTF_LIKE(2, 3);
static bool broken(char *failure, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        vsnprintf(failure, INVARIANTS_FAILURE_MAX, format, ap);
        va_end(ap);
        return false;
}

static bool time_is_booked(const Query *q, uint64_t now_usec, char *failure) {
        uint64_t booked = 0;

        for (unsigned state = 0; state < _QUERY_STATE_MAX; state++)
                booked += query_time_in(q, (QueryState) state, now_usec);
        if (booked != query_total_usec(q, now_usec))
                return broken(failure, "q%llu: %llu us booked of %llu", ULL(q->id), ULL(booked),
                              ULL(query_total_usec(q, now_usec)));
        if (query_frozen_usec(q, now_usec) > query_time_in(q, QUERY_EXECUTING, now_usec))
                return broken(failure, "q%llu was frozen for longer than it ran", ULL(q->id));
        return true;
}

static bool query_holds(const Query *q, uint64_t now_usec, char *failure) {
        if (!time_is_booked(q, now_usec, failure))
                return false;
        if (q->lease.bytes > q->max_bytes || q->lease.bytes % PAGE_BYTES)
                return broken(failure, "q%llu has %llu, its maximum is %llu", ULL(q->id), ULL(q->lease.bytes), ULL(q->max_bytes));
        if (q->learned_bytes && (q->spec.initial_bytes || q->learned_bytes <= q->initial_bytes || q->learned_bytes > q->max_bytes))
                return broken(failure, "q%llu started with %llu that was learned, the usual is %llu, its maximum %llu", ULL(q->id),
                              ULL(q->learned_bytes), ULL(q->initial_bytes), ULL(q->max_bytes));
        if (q->quota_bytes > q->lease.bytes)
                return broken(failure, "q%llu: quota past its lease", ULL(q->id));
        if (q->has_slot != (q->state == QUERY_EXECUTING) || q->has_slot != (q->lease.owner != NULL))
                return broken(failure, "q%llu is %s, slot %d", ULL(q->id), query_state_name(q->state), q->has_slot);
        if ((q->frozen || q->ending || q->lowering) && !query_state_is_end(q->state) && q->run != RUN_HANDED)
                return broken(failure, "q%llu is frozen, lowered or being ended, and does not run", ULL(q->id));
        if (query_state_is_end(q->state) && q->done)
                return broken(failure, "q%llu has ended and was released, and is still known", ULL(q->id));
        return true;
}

bool invariants_hold(Invariants *v, const Engine *e, uint64_t now_usec, char failure[static INVARIANTS_FAILURE_MAX]) {
        const Budget *b = engine_budget(e);
        uint64_t leases = 0, executing = 0, in_state[_QUERY_STATE_MAX] = {};

        for (const Query *q = NULL; (q = engine_next(e, q));) {
                in_state[q->state]++;
                leases = add_saturating(leases, q->lease.bytes);
                executing += q->state == QUERY_EXECUTING;
                if (!query_holds(q, now_usec, failure))
                        return false;
        }
        for (unsigned s = 0; s < _QUERY_STATE_MAX; s++)
                if (in_state[s] != engine_count(e, (QueryState) s))
                        return broken(failure, "%llu are %s, counted are %llu", ULL(in_state[s]),
                                      query_state_name((QueryState) s), ULL(engine_count(e, (QueryState) s)));
        if (leases != budget_leased_bytes(b) || executing != b->n_leases)
                return broken(failure, "leases are %llu of %llu, booked %llu of %llu", ULL(leases), ULL(executing),
                              ULL(budget_leased_bytes(b)), ULL(b->n_leases));
        if (b->total_bytes != SIZE_INFINITY &&
            budget_used_bytes(b) + budget_unused_bytes(b) != budget_total_bytes(b))
                return broken(failure, "used and unused are not the whole");
        if (leases > v->leased_bytes && add_saturating(leases, b->leftover_bytes) > b->total_bytes)
                return broken(failure, "%llu given and %llu left over out of %llu, before it was %llu", ULL(leases),
                              ULL(b->leftover_bytes), ULL(b->total_bytes), ULL(v->leased_bytes));
        if (executing > MAX(b->slots, v->executing))
                return broken(failure, "%llu execute, the quota is %llu", ULL(executing), ULL(b->slots));
        v->leased_bytes = leases;
        v->executing = executing;
        return true;
}
