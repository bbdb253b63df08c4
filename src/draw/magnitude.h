/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* draw/magnitude: an axis for values that lie magnitudes apart, so that a query of 2M and one of 2G are both seen:
 * each doubling takes the same way. Pure. */
#pragma once

#include "draw/scale.h"

/* From @least, which is above 0, to @most on the way from pixel @from to pixel @to; what is outside is drawn at the
 * end. */
typedef struct Magnitude {
        double least, most, from, to;
} Magnitude;

double magnitude_at(const Magnitude *m, double value);

/* Set @m's .least and .most to round values around @least and @most, which may be alike. A time below a
 * millisecond is as good as none. */
void magnitude_bytes(Magnitude *m, double least, double most);
void magnitude_time(Magnitude *m, double least_usec, double most_usec);

/* Round values of the axis, @wanted of them or fewer, but one at least (@wanted from 2 on, below TICKS_MAX). */
void magnitude_ticks_bytes(const Magnitude *m, size_t wanted, Ticks *ret);
void magnitude_ticks_time(const Magnitude *m, size_t wanted, Ticks *ret);
