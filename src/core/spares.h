/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/spares: of which kinds of units some are made before a query asks for one, and when they go again. A kind is all that is
 * fixed when a unit is made. Its owner is the user whose queries alone are of that kind; one of more than one user's is its own
 * owner. libc only; time is an argument.
 * Invariant: whoever does as he is told, one answer after the other, comes to an end, and then has at most @max spares,
 * none of a kind that nobody asked for lately, and no owner has two more than another who could use one. */
#pragma once

#include <stddef.h>

#include "core/base.h"

typedef struct SpareKind {
        uint64_t used_usec;   /* when a query of this kind last came */
        uint64_t before_usec; /* … and the one before it; 0: none */
        size_t n;             /* spares of it that wait, or are being made */
        size_t owned;         /* of spares_next(): how many its owner has */
        uint32_t uid;         /* of the last such query */
        bool shared;          /* there were others' */
} SpareKind;

typedef enum SparesAdvice {
        SPARES_STAY, /* as they are */
        SPARES_MAKE, /* one of this kind */
        SPARES_DROP, /* one of this kind */
        SPARES_MOVE, /* make one of this kind, and drop one of @ret_from at once */
} SparesAdvice;

/* A query of @uid's has come, and is of this kind. */
void spares_used(SpareKind *k, uint32_t uid, uint64_t now_usec);

/* What is to be done next. An owner of a kind that was used within @idle_usec (USEC_INFINITY: ever) gets one before any gets two, and
 * of his kinds each before one gets two. When there is no room, a kind that has none takes the place of one of an owner who
 * has two more at once. Of its own owner's, and of one who has more, it takes the place of a second one of a kind at once,
 * but of a kind's only one only if two of its queries came after that one's last: of kinds that come in turn, more than there
 * is room for, none would find its spare, and each would cost two units. No place is given up before the other one can be made: it
 * would be free, and anybody's. @ret_kind is not set for SPARES_STAY, @ret_from only for SPARES_MOVE. */
SparesAdvice spares_next(SpareKind kinds[], size_t n_kinds, uint64_t max, uint64_t idle_usec, uint64_t now_usec, size_t *ret_kind,
                         size_t *ret_from);

/* When spares_next() may say something else though no query has come; USEC_INFINITY: never. */
uint64_t spares_deadline(const SpareKind kinds[], size_t n_kinds, uint64_t idle_usec);

/* No more kinds can be remembered, and @uid comes with a new one: which of these (at least one) goes? The one that was used longest
 * ago of the owner who has most, the new one counted. */
size_t spares_forget_for(const SpareKind kinds[], size_t n_kinds, uint32_t uid);
