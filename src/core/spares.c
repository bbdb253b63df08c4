/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/spares.h"

void spares_used(SpareKind *k, uint64_t now_usec) {
        k->before_usec = k->used_usec;
        k->used_usec = now_usec;
}

static bool is_idle(const SpareKind *k, uint64_t idle_usec, uint64_t now_usec) {
        return now_usec >= add_saturating(k->used_usec, idle_usec);
}

/* The kind that has most, of equals the one that was used longest ago; NULL: none has any. */
static const SpareKind *richest(const SpareKind kinds[], size_t n_kinds) {
        const SpareKind *found = NULL;

        for (const SpareKind *k = kinds; k < kinds + n_kinds; k++)
                if (k->n > 0 && (!found || k->n > found->n || (k->n == found->n && k->used_usec < found->used_usec)))
                        found = k;
        return found;
}

/* Of those that were used lately, the kind that has least, of equals the one that was used last; NULL: there is none. */
static const SpareKind *poorest(const SpareKind kinds[], size_t n_kinds, uint64_t idle_usec, uint64_t now_usec) {
        const SpareKind *found = NULL;

        for (const SpareKind *k = kinds; k < kinds + n_kinds; k++)
                if (!is_idle(k, idle_usec, now_usec) &&
                    (!found || k->n < found->n || (k->n == found->n && k->used_usec > found->used_usec)))
                        found = k;
        return found;
}

SparesAdvice spares_next(const SpareKind kinds[], size_t n_kinds, uint64_t max, uint64_t idle_usec, uint64_t now_usec,
                         size_t *ret_kind) {
        const SpareKind *rich = richest(kinds, n_kinds), *poor = poorest(kinds, n_kinds, idle_usec, now_usec);
        uint64_t total = 0;

        for (const SpareKind *k = kinds; k < kinds + n_kinds; k++) {
                total += k->n;
                if (k->n > 0 && is_idle(k, idle_usec, now_usec)) {
                        *ret_kind = (size_t) (k - kinds);
                        return SPARES_DROP;
                }
        }
        if (total > max || (rich && poor && total == max && poor->n == 0 &&
                            (rich->n > 1 || poor->before_usec > rich->used_usec))) {
                *ret_kind = (size_t) (rich - kinds);
                return SPARES_DROP;
        }
        if (!poor || total == max)
                return SPARES_STAY;
        *ret_kind = (size_t) (poor - kinds);
        return SPARES_MAKE;
}

uint64_t spares_deadline(const SpareKind kinds[], size_t n_kinds, uint64_t idle_usec) {
        uint64_t deadline = USEC_INFINITY;

        for (const SpareKind *k = kinds; k < kinds + n_kinds; k++)
                if (k->n > 0)
                        deadline = MIN(deadline, add_saturating(k->used_usec, idle_usec));
        return deadline;
}
