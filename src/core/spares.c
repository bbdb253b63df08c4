/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/spares.h"

void spares_used(SpareKind *k, uint32_t uid, uint64_t now_usec) {
        k->shared = k->shared || (k->used_usec > 0 && k->uid != uid);
        k->uid = uid;
        k->before_usec = k->used_usec;
        k->used_usec = now_usec;
}

static bool is_idle(const SpareKind *k, uint64_t idle_usec, uint64_t now_usec) {
        return now_usec >= add_saturating(k->used_usec, idle_usec);
}

static bool has_same_owner(const SpareKind *a, const SpareKind *b) {
        return a == b || (!a->shared && !b->shared && a->uid == b->uid);
}

static void count_owned(SpareKind kinds[], size_t n_kinds) {
        for (size_t i = 0; i < n_kinds; i++) {
                kinds[i].owned = 0;
                for (size_t j = 0; j < n_kinds; j++)
                        kinds[i].owned += has_same_owner(&kinds[i], &kinds[j]) ? kinds[j].n : 0;
        }
}

/* Is to have one before @b: its owner has fewer, then it has, then it was used later. */
static bool is_poorer(const SpareKind *a, const SpareKind *b) {
        return a->owned != b->owned ? a->owned < b->owned : a->n != b->n ? a->n < b->n : a->used_usec > b->used_usec;
}

/* @poor, which has none, may have the place of one of @rich's. What is done for this can't be undone by it: either owners are more alike
 * then, or kinds, or those that have one were used later. */
static bool may_take(const SpareKind *poor, const SpareKind *rich) {
        if (rich->owned > poor->owned + 1)
                return true;
        return (has_same_owner(poor, rich) || poor->owned < rich->owned) && (rich->n > 1 || poor->before_usec > rich->used_usec);
}

/* Of those from which @poor (NULL: anybody) may take one, the one that is the last to have one; NULL: there is none. */
static const SpareKind *richest(const SpareKind kinds[], size_t n_kinds, const SpareKind *poor) {
        const SpareKind *found = NULL;

        for (size_t i = 0; i < n_kinds; i++)
                if (kinds[i].n > 0 && (!poor || may_take(poor, &kinds[i])) && (!found || is_poorer(found, &kinds[i])))
                        found = &kinds[i];
        return found;
}

/* Of those that were used lately, the first to have one; NULL: there is none. */
static const SpareKind *poorest(const SpareKind kinds[], size_t n_kinds, uint64_t idle_usec, uint64_t now_usec) {
        const SpareKind *found = NULL;

        for (size_t i = 0; i < n_kinds; i++)
                if (!is_idle(&kinds[i], idle_usec, now_usec) && (!found || is_poorer(&kinds[i], found)))
                        found = &kinds[i];
        return found;
}

/* Who gets a place of one that gives it up, @ret_from; NULL: nobody. */
static const SpareKind *winner(const SpareKind kinds[], size_t n_kinds, uint64_t idle_usec, uint64_t now_usec, const SpareKind **ret_from) {
        const SpareKind *found = NULL;

        for (size_t i = 0; i < n_kinds; i++) {
                const SpareKind *k = &kinds[i];
                const SpareKind *rich = k->n == 0 && !is_idle(k, idle_usec, now_usec) ? richest(kinds, n_kinds, k) : NULL;

                if (rich && (!found || is_poorer(k, found))) {
                        found = k;
                        *ret_from = rich;
                }
        }
        return found;
}

SparesAdvice spares_next(SpareKind kinds[], size_t n_kinds, uint64_t max, uint64_t idle_usec, uint64_t now_usec, size_t *ret_kind,
                         size_t *ret_from) {
        const SpareKind *who = NULL, *from = NULL;
        uint64_t total = 0;

        for (size_t i = 0; i < n_kinds; i++) {
                total += kinds[i].n;
                if (kinds[i].n > 0 && is_idle(&kinds[i], idle_usec, now_usec)) {
                        *ret_kind = i;
                        return SPARES_DROP;
                }
        }
        count_owned(kinds, n_kinds);
        who = total > max    ? richest(kinds, n_kinds, NULL)
              : total == max ? winner(kinds, n_kinds, idle_usec, now_usec, &from)
                             : poorest(kinds, n_kinds, idle_usec, now_usec);
        if (!who)
                return SPARES_STAY;
        *ret_kind = (size_t) (who - kinds);
        if (from)
                *ret_from = (size_t) (from - kinds);
        return total > max ? SPARES_DROP : from ? SPARES_MOVE : SPARES_MAKE;
}

uint64_t spares_deadline(const SpareKind kinds[], size_t n_kinds, uint64_t idle_usec) {
        uint64_t deadline = USEC_INFINITY;

        for (size_t i = 0; i < n_kinds; i++)
                if (kinds[i].n > 0)
                        deadline = MIN(deadline, add_saturating(kinds[i].used_usec, idle_usec));
        return deadline;
}

/* How many kinds are @k's owner's alone, with the new one of @uid. */
static size_t kinds_of(const SpareKind kinds[], size_t n_kinds, const SpareKind *k, uint32_t uid) {
        size_t n = !k->shared && k->uid == uid;

        for (size_t i = 0; i < n_kinds; i++)
                n += has_same_owner(k, &kinds[i]);
        return n;
}

size_t spares_forget_for(const SpareKind kinds[], size_t n_kinds, uint32_t uid) {
        size_t most = 0, found = 0;

        for (size_t i = 0; i < n_kinds; i++) {
                size_t n = kinds_of(kinds, n_kinds, &kinds[i], uid);

                if (n > most || (n == most && kinds[i].used_usec < kinds[found].used_usec)) {
                        most = n;
                        found = i;
                }
        }
        return found;
}
