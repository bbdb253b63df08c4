/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "draw/labels.h"

#include <math.h>

#include "core/base.h"

/* Beyond that an area is thick enough, and words stand better in the middle than where it is thickest. */
#define THICK_ENOUGH 3.0

bool label_in_strip(const Strip *s, double width, double height, double *ret_x, double *ret_y) {
        size_t wide = (size_t) ceil(width / s->step) + 1;
        double best = 0, score, off;

        for (size_t i = 0; i + wide <= s->n; i++) {
                double top = 0, bottom = INFINITY;

                for (size_t k = i; k < i + wide; k++) {
                        top = MAX(top, s->upper[k]);
                        bottom = MIN(bottom, s->lower[k]);
                }
                if (bottom - top < height)
                        continue;
                off = fabs((double) i + (double) wide / 2 - (double) s->n / 2) / (double) s->n;
                score = MIN((bottom - top) / height, THICK_ENOUGH) - off;
                if (score <= best)
                        continue;
                best = score;
                *ret_x = ((double) i + (double) (wide - 1) / 2) * s->step;
                *ret_y = (top + bottom) / 2;
        }
        return best > 0;
}

void labels_spread(double at[], size_t n, double distance, double from, double to) {
        double edge = to;

        for (size_t i = n; i-- > 0; edge = at[i] - distance)
                at[i] = MIN(at[i], edge);
        edge = from;
        for (size_t i = 0; i < n; edge = at[i] + distance, i++)
                at[i] = MAX(at[i], edge);
}
