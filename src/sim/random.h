/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sim/random: one seeded stream, the same on every machine. */
#pragma once

#include "core/base.h"

typedef struct Random {
        uint64_t state;
} Random;

/* splitmix64: any seed will do, zero too. */
static inline uint64_t random_next(Random *r) {
        uint64_t z = r->state += UINT64_C(0x9e3779b97f4a7c15);

        z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
        return z ^ (z >> 31);
}

/* From @low to @high, both included. */
static inline uint64_t random_between(Random *r, uint64_t low, uint64_t high) {
        return low + random_next(r) % (high - low + 1);
}

/* True in @percent of 100 cases. */
static inline bool random_percent(Random *r, unsigned percent) {
        return random_next(r) % 100 < percent;
}
