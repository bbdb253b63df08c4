/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/claims: who may still ask the pool for how much, and whether all of it can come true. libc only.
 *
 * Memory lent to a query comes back only at its end, and two that each wait for what the other holds wait for ever. So
 * memory is lent only while an order remains in which each can get all it may still ask for, from what is free and what
 * those before it gave back: Dijkstra's banker, for one resource ("Cooperating sequential processes", 1965). */
#pragma once

#include "core/base.h"

typedef struct Claim {
        uint64_t given_bytes; /* from the pool; free again when it has ended */
        uint64_t rest_bytes;  /* what it may still ask for; 0: it will end without more */
} Claim;

/* True when the one at @index will get all it may ask for, with @free_bytes left in the pool. */
bool claims_can_end(const Claim *v, size_t n, size_t index, uint64_t free_bytes);

/* By how much the one at @index may grow, with @free_bytes left in the pool, so that an order still remains in which it
 * and those before it can end. More than its rest is possible: the caller asks for what it wants. 0, too, when there is no
 * such order even now. Quadratic in the number of those that must end before it. */
uint64_t claims_growth(const Claim *v, size_t n, size_t index, uint64_t free_bytes);
