/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* draw/labels: room for words that say what a shape is, in it or beside it. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* An area between two curves, as its edges' y at @n places that are @step apart. */
typedef struct Strip {
        const double *upper, *lower; /* pixels from the top: upper ≤ lower */
        size_t n;
        double step;
} Strip;

/* The middle of the best place for a box of @width × @height within @s: @ret_x from the first place on. False: there
 * is none. */
bool label_in_strip(const Strip *s, double width, double height, double *ret_x, double *ret_y);

/* Move the @n values at @at, which rise, as little as it takes for them to be @distance apart and within [@from,
 * @to]. When they are too many for that, the last ones pass @to. */
void labels_spread(double at[], size_t n, double distance, double from, double to);
