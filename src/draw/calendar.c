/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "draw/calendar.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

#include "core/base.h"

#define MINUTE 60
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define MONTH (31 * DAY)
#define YEAR (366 * DAY)

/* Below that the time of day goes with its seconds. */
#define SHORT_SEC (10 * MINUTE)

double calendar_at(const Calendar *c, double usec) {
        double whole = c->end_usec - c->begin_usec, part = whole > 0 ? (usec - c->begin_usec) / whole : 1;

        return c->from + (c->to - c->from) * MIN(MAX(part, 0), 1);
}

static bool to_local(double usec, struct tm *ret) {
        time_t t = (time_t) (usec / (double) USEC_PER_SEC);

        return localtime_r(&t, ret);
}

/* Since 1970. Puts right what in @tm no clock shows. */
static double local_usec(struct tm *tm) {
        return (double) mktime(tm) * (double) USEC_PER_SEC;
}

/* What would stand right before the first of the next month is left out. */
static bool is_last_of_month(const struct tm *tm, int step) {
        return step > DAY && step < MONTH && tm->tm_mday + step / DAY > 32;
}

/* The multiple of @step in its day, or its month, or its year, at or before @tm. */
static void round_down(struct tm *tm, int step) {
        int of_day = tm->tm_hour * HOUR + tm->tm_min * MINUTE + tm->tm_sec;

        of_day = step < DAY ? of_day - of_day % step : 0;
        tm->tm_hour = of_day / HOUR;
        tm->tm_min = of_day / MINUTE % 60;
        tm->tm_sec = of_day % 60;
        if (step >= MONTH)
                tm->tm_mday = 1;
        else if (step > DAY)
                tm->tm_mday -= (tm->tm_mday - 1) % (step / DAY);
        if (is_last_of_month(tm, step))
                tm->tm_mday -= step / DAY;
        if (step >= YEAR)
                tm->tm_mon = 0;
        tm->tm_isdst = -1;
}

/* By the calendar, so that a day on which clocks are set is one, and a month as long as it is. Where the clock went
 * past a round time @tm is what it went to, and the next ones are round again. */
static void go_on(struct tm *tm, int step) {
        if (step <= HOUR)
                tm->tm_sec += step;
        else if (step < DAY)
                tm->tm_hour += step / HOUR - tm->tm_hour % (step / HOUR);
        else if (step < MONTH)
                tm->tm_mday += step / DAY;
        else if (step < YEAR)
                tm->tm_mon++;
        else
                tm->tm_year += step / YEAR;
        if (is_last_of_month(tm, step)) {
                tm->tm_mday = 1;
                tm->tm_mon++;
        }
        if (step >= DAY)
                tm->tm_hour = tm->tm_min = tm->tm_sec = 0;
        if (step > HOUR)
                tm->tm_isdst = -1;
}

static void write_label(const struct tm *tm, int step, char label[static TICK_LABEL_MAX]) {
        bool midnight = tm->tm_hour == 0 && tm->tm_min == 0 && tm->tm_sec == 0;
        size_t n;

        if (step >= YEAR)
                n = strftime(label, TICK_LABEL_MAX, "%Y", tm);
        else if (step >= MONTH)
                n = strftime(label, TICK_LABEL_MAX, "%b %Y", tm);
        else if (step >= DAY || midnight)
                n = strftime(label, TICK_LABEL_MAX, "%e %b", tm);
        else
                n = strftime(label, TICK_LABEL_MAX, step < MINUTE ? "%H:%M:%S" : "%H:%M", tm);
        if (n == 0)
                label[0] = '\0';
}

/* False: they are more than @wanted. */
static bool try_step(const Calendar *c, int step, size_t wanted, Ticks *ret) {
        double usec, before = -INFINITY;
        struct tm tm;

        ret->n = 0;
        if (!to_local(c->begin_usec, &tm))
                return true;
        round_down(&tm, step);
        /* A zone may take a round time for the one before it, and mktime() fail: then there are no more. */
        for (; (usec = local_usec(&tm)) <= c->end_usec && usec > before; before = usec) {
                if (usec >= c->begin_usec && ret->n == wanted)
                        return false;
                if (usec >= c->begin_usec) {
                        ret->at[ret->n] = usec;
                        write_label(&tm, step, ret->label[ret->n++]);
                }
                go_on(&tm, step);
        }
        return true;
}

void calendar_ticks(const Calendar *c, size_t wanted, Ticks *ret) {
        static const int steps[] = {
                1,          2,           5,           10,          15,       30,       MINUTE,   2 * MINUTE,
                5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR,     2 * HOUR, 3 * HOUR, 6 * HOUR,
                12 * HOUR,  DAY,         2 * DAY,     5 * DAY,     10 * DAY, MONTH,
        };
        double seconds = (c->end_usec - c->begin_usec) / (double) USEC_PER_SEC;

        ret->n = 0;
        wanted = MIN(wanted, (size_t) TICKS_MAX - 1);
        for (size_t i = 0; i < ELEMENTSOF(steps); i++)
                if (seconds / steps[i] <= (double) wanted + 1 && try_step(c, steps[i], wanted, ret))
                        return;
        for (int years = 1; years <= 4; years *= 2)
                if (seconds / ((double) YEAR * years) <= (double) wanted + 1 &&
                    try_step(c, years * YEAR, wanted, ret))
                        return;
        ret->n = 0; /* longer than there are computers: the ends are told in words */
}

static bool is_short(const Calendar *c) {
        return c->end_usec - c->begin_usec < SHORT_SEC * (double) USEC_PER_SEC;
}

const char *calendar_text(const Calendar *c, double usec, char buf[static CALENDAR_TEXT_MAX]) {
        struct tm tm;

        if (!to_local(usec, &tm) ||
            strftime(buf, CALENDAR_TEXT_MAX, is_short(c) ? "%e %b %Y %H:%M:%S" : "%e %b %Y %H:%M", &tm) == 0)
                snprintf(buf, CALENDAR_TEXT_MAX, "?");
        return buf[0] == ' ' ? buf + 1 : buf;
}

const char *calendar_zone(const Calendar *c, char buf[static CALENDAR_TEXT_MAX]) {
        struct tm tm;

        if (!to_local(c->end_usec, &tm) || strftime(buf, CALENDAR_TEXT_MAX, "%Z", &tm) == 0)
                snprintf(buf, CALENDAR_TEXT_MAX, "local time");
        return buf;
}
