/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What queries came to need is learned as they end, and with InitialQuota=learned given to the next one like them
 * from the start, where the pool can. docs/history.md has the reasons. */
#include "core/engine_private.h"

bool learn_open(Engine *e, Query *q) {
        char a[SIZE_TEXT_MAX];
        const Lesson *l;
        uint64_t bytes;

        if (e->config.initial_quota != INITIAL_QUOTA_LEARNED || q->spec.initial_bytes || q->n_retries > 0 ||
            !fingerprint_is_known(q->spec.fingerprint))
                return false;
        l = learned_find(&e->learned, q->spec.fingerprint);
        bytes = l ? MIN(page_floor(l->needed_bytes), run_maximum(q)) : 0;
        /* It is a guess: nobody who waits frozen is passed for it, and nobody waits for it. */
        if (bytes <= q->initial_bytes || e->n_waiters > 0 || bytes > lend_safe_room(e, q) ||
            lease_open(&e->budget, &q->lease, bytes) < 0)
                return false;
        q->learned_bytes = bytes;
        q->learned_raises = l->raises;
        engine_note(e, q, NOTE_LEARNED, "started at %s, which one like it came to need", size_format(bytes, a));
        return true;
}

/* As a ceiling that no raise breaks: each doubles at the least, unless the pool lends less. */
static uint64_t doublings(uint64_t from_bytes, uint64_t to_bytes) {
        uint64_t n = 0;

        for (; from_bytes < to_bytes && from_bytes <= UINT64_MAX / 2; from_bytes *= 2)
                n++;
        return n;
}

/* Whom a limit of ours ended needed at least what he had, and what he was to have next. */
uint64_t learn_needed(const Query *q) {
        uint64_t top = MAX(q->top_quota_bytes, q->lease.bytes);
        uint64_t needed = governor_needed(&q->governor, q->peak_bytes, top, run_maximum(q), q->pids);

        if (q->verdict == VERDICT_BUDGET)
                needed = MAX(top, q->wanted_bytes);
        else if (q->verdict == VERDICT_QUOTA)
                needed = add_saturating(top, top);
        else if (q->verdict == VERDICT_MAXIMUM || q->verdict == VERDICT_SLICE)
                needed = top;
        return MIN(needed, q->max_bytes);
}

void learn_end(Engine *e, Query *q) {
        const uint64_t *fingerprint = q->spec.fingerprint;
        Lesson l = { .fingerprint = { fingerprint[0], fingerprint[1] } };
        const Lesson *known;

        if (!fingerprint_is_known(fingerprint) || q->peak_bytes == 0 || q->verdict == VERDICT_START)
                return; /* it never ran */
        l.needed_bytes = learn_needed(q);
        /* Not more than the one before it took, and not more than there would have been for itself. */
        if (q->learned_bytes)
                q->n_raises_saved = subtract_saturating(
                                MIN(q->learned_raises, doublings(q->initial_bytes, l.needed_bytes)), q->n_raises);
        l.raises = q->n_raises + q->n_raises_saved;
        /* Of those that do with the usual quota there are many, and nothing to remember. */
        if (learned_find(&e->learned, fingerprint) || l.needed_bytes > e->config.initial_bytes)
                learned_teach(&e->learned, &l, q->state == QUERY_FINISHED);
        known = learned_find(&e->learned, fingerprint);
        if (known) {
                q->needed_bytes = known->needed_bytes;
                q->needed_raises = known->raises;
        }
}
