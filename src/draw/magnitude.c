/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "draw/magnitude.h"

#include <math.h>
#include <stdio.h>

#include "core/base.h"

double magnitude_at(const Magnitude *m, double value) {
        double part = log(MIN(MAX(value, m->least), m->most) / m->least) / log(m->most / m->least);

        return m->from + (m->to - m->from) * part;
}

#define EXPONENT_MIN 12 /* a page */
#define EXPONENT_MAX 50 /* more than any host has */

void magnitude_bytes(Magnitude *m, double least, double most) {
        int low = (int) floor(log2(MAX(least, 1))), high = (int) ceil(log2(MAX(most, 1)));

        low = MIN(MAX(low, EXPONENT_MIN + 1), EXPONENT_MAX - 1);
        high = MIN(MAX(high, low), EXPONENT_MAX);
        if (high - low < 2) { /* all alike: in the middle */
                low--;
                high = MIN(high + 1, EXPONENT_MAX);
        }
        m->least = exp2(low);
        m->most = exp2(high);
}

/* What people say of times, about ten times apart. */
static const struct {
        uint64_t usec;
        const char *label;
} times[] = {
        { USEC_PER_MSEC, "1ms" },
        { 10 * USEC_PER_MSEC, "10ms" },
        { 100 * USEC_PER_MSEC, "100ms" },
        { USEC_PER_SEC, "1s" },
        { 10 * USEC_PER_SEC, "10s" },
        { 60 * USEC_PER_SEC, "1min" },
        { 600 * USEC_PER_SEC, "10min" },
        { 3600 * USEC_PER_SEC, "1h" },
        { 10 * 3600 * USEC_PER_SEC, "10h" },
        { 4 * 86400 * USEC_PER_SEC, "4d" },
        { 40 * 86400 * USEC_PER_SEC, "40d" },
        { 400 * 86400 * USEC_PER_SEC, "400d" },
};

void magnitude_time(Magnitude *m, double least_usec, double most_usec) {
        size_t low = 0, high;

        while (low + 2 < ELEMENTSOF(times) && (double) times[low + 1].usec <= least_usec)
                low++;
        high = low + 1;
        while (high + 1 < ELEMENTSOF(times) && (double) times[high].usec < most_usec)
                high++;
        m->least = (double) times[low].usec;
        m->most = (double) times[high].usec;
}

static void add_tick(Ticks *ticks, double at, const char *label) {
        ticks->at[ticks->n] = at;
        snprintf(ticks->label[ticks->n++], TICK_LABEL_MAX, "%s", label);
}

void magnitude_ticks_bytes(const Magnitude *m, size_t wanted, Ticks *ret) {
        static const int steps[] = { 1, 2, 3, 4, 5, 10, 20, 40 };
        int low = (int) lround(log2(m->least)), high = (int) lround(log2(m->most));
        char text[SIZE_TEXT_MAX];

        for (size_t k = 0; k < ELEMENTSOF(steps); k++) {
                ret->n = 0;
                for (int e = low; e <= high && ret->n < wanted + 1; e++)
                        if (e % steps[k] == 0)
                                add_tick(ret, exp2(e), size_format(UINT64_C(1) << e, text));
                if (ret->n <= wanted)
                        break;
        }
        if (ret->n == 0) /* between two that are far apart */
                add_tick(ret, m->least, size_format((uint64_t) m->least, text));
}

void magnitude_ticks_time(const Magnitude *m, size_t wanted, Ticks *ret) {
        for (size_t step = 1; step <= ELEMENTSOF(times); step++) {
                ret->n = 0;
                for (size_t i = 0; i < ELEMENTSOF(times) && ret->n < wanted + 1; i += step)
                        if ((double) times[i].usec >= m->least && (double) times[i].usec <= m->most)
                                add_tick(ret, (double) times[i].usec, times[i].label);
                if (ret->n <= wanted && ret->n > 0)
                        return;
        }
}
