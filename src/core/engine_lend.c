/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How much of the pool may be lent to one query: so much that an order remains in which all that execute can end
 * (core/claims), where who rests is not expected to ask for more. */
#include "core/engine_private.h"

/* Whom a rest of the pool helps: it lets a query grow by this part of its quota, or by LEND_MIN_BYTES. */
#define HELP_DIVISOR 8
/* Time enough to tell that somebody rests, and to act on it before the first in the line has waited for too long. */
#define REST_DIVISOR_OF_TIMEOUT 4

uint64_t lend_rest_usec(const Engine *e) {
        return MIN(GOVERNOR_REST_USEC, e->config.freeze_timeout_usec / REST_DIVISOR_OF_TIMEOUT);
}

/* Not who stands in its headroom or was refused: it is slowed, or short of CPU, and would grow if it could. */
bool lend_rests(const Engine *e, const Query *q) {
        return !q->frozen && !q->hungry && q->need_bytes < q->high_bytes && e->now_usec - q->sampled_usec <= LEND_FRESH_USEC &&
               governor_is_resting(&q->governor, lend_rest_usec(e));
}

/* What @q may still ask of the pool, which has @pool_bytes all in all, if it is not @content with what it has. */
static Claim claim_of(const Engine *e, const Query *q, bool content, uint64_t pool_bytes) {
        uint64_t slot = e->config.initial_bytes;
        uint64_t given = subtract_saturating(q->lease.bytes, slot);
        uint64_t most = MIN(subtract_saturating(run_maximum(q), slot), pool_bytes);

        return (Claim) { .given_bytes = given, .rest_bytes = content ? 0 : subtract_saturating(most, given) };
}

static bool is_oldest(const Engine *e, const Query *q) {
        for (size_t i = 0; i < e->n_busy; i++) {
                const Query *other = e->busy[i];

                if (other->state == QUERY_EXECUTING && !other->ending && query_is_before(other, q))
                        return false;
        }
        return q->state == QUERY_EXECUTING;
}

/* By how much @q may grow so that all can still end. @q itself may be about to begin: then it is in no slot yet. The
 * claims are scratch. */
static uint64_t safe_growth(const Engine *e, const Query *q) {
        uint64_t unused = budget_unused_bytes(&e->budget);
        uint64_t pool = add_saturating(unused, e->budget.on_top_bytes);
        size_t n = 0, index;

        if (unused == SIZE_INFINITY)
                return SIZE_INFINITY;
        /* What dead ones left goes with their units, and asks for nothing before. */
        e->claims[n++] = (Claim) { .given_bytes = e->leftover_bytes };
        pool = add_saturating(pool, e->leftover_bytes);
        for (size_t i = 0; i < e->n_busy; i++)
                if (e->busy[i]->state == QUERY_EXECUTING && e->busy[i] != q)
                        e->claims[n++] = claim_of(e, e->busy[i], e->busy[i]->ending || lend_rests(e, e->busy[i]), pool);
        index = n++;
        e->claims[index] = claim_of(e, q, false, pool); /* it asks */
        /* Somebody was thought to rest and did not, or the budget shrank: the oldest goes on first, for what it takes makes
         * its own end no less possible, and its end helps all. */
        if (is_oldest(e, q) && !claims_can_end(e->claims, n, index, unused))
                return unused;
        return claims_growth(e->claims, n, index, unused);
}

/* What its slot has left, because it asked for less, is its own all the time. */
uint64_t lend_slot_rest(const Engine *e, const Query *q) {
        return subtract_saturating(e->config.initial_bytes, q->lease.bytes);
}

uint64_t lend_room(const Engine *e, const Query *q) {
        return page_floor(budget_growth_bytes(&e->budget, &q->lease));
}

/* What dead ones left goes with their units; what no unit accounts for may stay. */
uint64_t lend_most(const Engine *e) {
        return page_floor(budget_most_bytes(&e->budget, e->slice_leftover_bytes));
}

uint64_t lend_safe_room(const Engine *e, const Query *q) {
        if (e->config.exhaustion_policy != EXHAUSTION_FREEZE)
                return lend_room(e, q); /* nobody waits, so nobody waits for ever */
        return MIN(lend_room(e, q), page_floor(add_saturating(safe_growth(e, q), lend_slot_rest(e, q))));
}

uint64_t lend_if_worth(const Query *q, uint64_t growth, uint64_t wanted) {
        return growth >= wanted || growth >= MAX(q->lease.bytes / HELP_DIVISOR, LEND_MIN_BYTES) ? MIN(growth, wanted) : 0;
}
