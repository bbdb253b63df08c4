/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* draw/calendar: times of day and dates along an axis, in local time. Pure. */
#pragma once

#include "draw/scale.h"

/* A stretch of time since 1970, on the way from pixel @from to pixel @to; what is outside is drawn at the end. */
typedef struct Calendar {
        double begin_usec, end_usec, from, to;
} Calendar;

double calendar_at(const Calendar *c, double usec);

/* Round times of day within, or days where it is many ("14:30", "29 Nov"), which are the smallest that make @wanted
 * or fewer of them (below TICKS_MAX). There may be none. */
void calendar_ticks(const Calendar *c, size_t wanted, Ticks *ret);

#define CALENDAR_TEXT_MAX 64u
/* "29 Nov 2026 14:30", with seconds where the whole of @c has but minutes. Returns @buf. */
const char *calendar_text(const Calendar *c, double usec, char buf[static CALENDAR_TEXT_MAX]);
/* "UTC": what local time is at the end of @c. Returns @buf. */
const char *calendar_zone(const Calendar *c, char buf[static CALENDAR_TEXT_MAX]);
