/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "draw/scale.h"

#include <math.h>
#include <stdio.h>

#include "core/base.h"

double scale_at(const Scale *s, double value) {
        double part = s->most > 0 ? value / s->most : 0;

        return s->from + (s->to - s->from) * MIN(MAX(part, 0), 1);
}

/* As short as it is exact: "1.5", "250", never "1e+06". */
static void label(char buf[static TICK_LABEL_MAX], double value, const char *unit) {
        if (value >= 100000)
                snprintf(buf, TICK_LABEL_MAX, "%.0f%s", value, unit);
        else
                snprintf(buf, TICK_LABEL_MAX, "%.6g%s", value, value > 0 ? unit : "");
}

static void label_bytes(char buf[static TICK_LABEL_MAX], double bytes) {
        static const char *const units[] = { "B", "K", "M", "G", "T", "P", "E" };
        size_t i = 0;

        while (bytes >= 1024 && i + 1 < ELEMENTSOF(units)) {
                bytes /= 1024;
                i++;
        }
        label(buf, bytes, units[i]);
}

void ticks_bytes(double most, size_t wanted, Ticks *ret) {
        double step = 1;

        while (most / step > (double) wanted)
                step *= 2;
        ret->n = 0;
        for (double v = 0; v <= most && ret->n < TICKS_MAX; v = step * (double) ret->n) {
                ret->at[ret->n] = v;
                label_bytes(ret->label[ret->n++], v);
        }
}

#define USEC_PER_MIN (60 * USEC_PER_SEC)
#define USEC_PER_HOUR (60 * USEC_PER_MIN)
#define USEC_PER_DAY (24 * USEC_PER_HOUR)

/* Decimal below a second and above a day, and what a clock's face has in between. */
static double time_step(double most, double wanted) {
        static const uint64_t on_clocks[] = {
                USEC_PER_SEC,      2 * USEC_PER_SEC,   5 * USEC_PER_SEC, 10 * USEC_PER_SEC, 15 * USEC_PER_SEC,
                30 * USEC_PER_SEC, USEC_PER_MIN,       2 * USEC_PER_MIN, 5 * USEC_PER_MIN,  10 * USEC_PER_MIN,
                15 * USEC_PER_MIN, 30 * USEC_PER_MIN,  USEC_PER_HOUR,    2 * USEC_PER_HOUR, 3 * USEC_PER_HOUR,
                6 * USEC_PER_HOUR, 12 * USEC_PER_HOUR,
        };
        static const double in_decade[] = { 1, 2, 5 };

        for (uint64_t decade = 1; decade < USEC_PER_SEC; decade *= 10)
                for (size_t i = 0; i < ELEMENTSOF(in_decade); i++)
                        if (most / ((double) decade * in_decade[i]) <= wanted)
                                return (double) decade * in_decade[i];
        for (size_t i = 0; i < ELEMENTSOF(on_clocks); i++)
                if (most / (double) on_clocks[i] <= wanted)
                        return (double) on_clocks[i];
        for (uint64_t decade = USEC_PER_DAY;; decade *= 10) /* ends: 10^8 days are the most that there is */
                for (size_t i = 0; i < ELEMENTSOF(in_decade); i++)
                        if (most / ((double) decade * in_decade[i]) <= wanted)
                                return (double) decade * in_decade[i];
}

/* Two of the next unit come before it is used: "90s" is read sooner than "1.5min". Clocks have no quarters in decimals. */
static const char *time_unit(double most, double step, double *ret_usec) {
        static const struct {
                double from, usec;
                const char *name;
        } units[] = {
                { 2 * USEC_PER_DAY, USEC_PER_DAY, "d" },   { 2 * USEC_PER_HOUR, USEC_PER_HOUR, "h" },
                { 2 * USEC_PER_MIN, USEC_PER_MIN, "min" }, { USEC_PER_SEC, USEC_PER_SEC, "s" },
                { USEC_PER_MSEC, USEC_PER_MSEC, "ms" },    { 0, 1, "us" },
        };
        size_t i = 0;

        while (most < units[i].from || (units[i].usec > USEC_PER_SEC && step < units[i].usec / 2))
                i++;
        *ret_usec = units[i].usec;
        return units[i].name;
}

void ticks_time(double most_usec, size_t wanted, Ticks *ret) {
        double step = time_step(most_usec, (double) wanted), unit_usec;
        const char *unit = time_unit(most_usec, step, &unit_usec);

        ret->n = 0;
        for (double v = 0; v <= most_usec && ret->n < TICKS_MAX; v = step * (double) ret->n) {
                ret->at[ret->n] = v;
                label(ret->label[ret->n++], v / unit_usec, unit);
        }
}
