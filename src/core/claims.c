/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/claims.h"

/* The order of least rests: whoever can't end first in it can't end first in any other. */
static bool ends_before(const Claim *v, size_t a, size_t b) {
        return v[a].rest_bytes != v[b].rest_bytes ? v[a].rest_bytes < v[b].rest_bytes : a < b;
}

/* The next in that order behind @after (@n: from the start), @except left out; @n when there is none. */
static size_t next_to_end(const Claim *v, size_t n, size_t after, size_t except) {
        size_t next = n;

        for (size_t i = 0; i < n; i++)
                if (i != except && (after == n || ends_before(v, after, i)) && (next == n || ends_before(v, i, next)))
                        next = i;
        return next;
}

/* Let those end that can, until @index can too. False when it never can; *@growth is lowered to what those before it
 * leave. */
static bool let_end(const Claim *v, size_t n, size_t index, uint64_t free_bytes, uint64_t *growth) {
        uint64_t have = free_bytes;
        size_t i = n;

        while (have < v[index].rest_bytes) {
                i = next_to_end(v, n, i, index);
                if (i == n || v[i].rest_bytes > have)
                        return false;
                /* What it gets now is missing until it ends, but only to those that must end before it can. */
                *growth = MIN(*growth, have - v[i].rest_bytes);
                have = add_saturating(have, v[i].given_bytes);
        }
        return true;
}

bool claims_can_end(const Claim *v, size_t n, size_t index, uint64_t free_bytes) {
        uint64_t growth = free_bytes;

        return let_end(v, n, index, free_bytes, &growth);
}

uint64_t claims_growth(const Claim *v, size_t n, size_t index, uint64_t free_bytes) {
        uint64_t growth = free_bytes;

        return let_end(v, n, index, free_bytes, &growth) ? growth : 0;
}
