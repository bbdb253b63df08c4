/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* draw/scale: from values to pixels, and the round values that an axis names. Pure. */
#pragma once

#include <stddef.h>

/* From 0 to @most on the way from pixel @from to pixel @to; what is outside is drawn at the end. */
typedef struct Scale {
        double most, from, to;
} Scale;

double scale_at(const Scale *s, double value);

#define TICKS_MAX 17u
#define TICKS_WANTED_MIN 3u
#define TICK_LABEL_MAX 32u

typedef struct Ticks {
        double at[TICKS_MAX];
        char label[TICKS_MAX][TICK_LABEL_MAX];
        size_t n;
} Ticks;

/* 0 and the multiples up to @most of one round step, which is the smallest that makes @wanted or fewer of them (below
 * TICKS_MAX; from TICKS_WANTED_MIN on there is at least one). Of bytes a step is a power of two ("64M", "1.5G"); of
 * time it is what clocks have ("250ms", "15s", "2min"), in one unit. */
void ticks_bytes(double most, size_t wanted, Ticks *ret);
void ticks_time(double most_usec, size_t wanted, Ticks *ret);
