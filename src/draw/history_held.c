/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What those that ran held together. The history has the last quota of each and not its way there, so that this is
 * the most that they may have held. */
#include <math.h>

#include "ctl/format.h"
#include "draw/history_private.h"

/* A start or an end. */
typedef struct Change {
        double usec;
        double quota, peak;
} Change;

/* The most at any time within a column. */
typedef struct Height {
        double quota, peak;
} Height;

/* Ends before starts: who takes over what was given back does not hold it twice. */
static int compare(const void *a, const void *b) {
        const Change *x = a, *y = b;

        if (x->usec != y->usec)
                return x->usec < y->usec ? -1 : 1;
        return x->quota < y->quota ? -1 : x->quota > y->quota;
}

static size_t collect(const Past *past, Change changes[]) {
        size_t n = 0;

        for (size_t i = 0; i < past->n; i++) {
                const Ended *e = &past->v[i];
                double quota = (double) MAX(e->quota_bytes, e->peak_bytes);

                if (e->started_usec == 0 || e->quota_bytes == SIZE_INFINITY || e->peak_bytes == SIZE_INFINITY)
                        continue;
                /* Nothing for any time; and its end would come before its start, and never be taken off. */
                if (e->started_usec == e->ended_usec)
                        continue;
                changes[n++] = (Change) { (double) e->started_usec, quota, (double) e->peak_bytes };
                changes[n++] = (Change) { (double) e->ended_usec, -quota, -(double) e->peak_bytes };
        }
        qsort(changes, n, sizeof(*changes), compare);
        return n;
}

static void raise_to(Height *h, double quota, double peak) {
        h->quota = MAX(h->quota, quota);
        h->peak = MAX(h->peak, peak);
}

/* Sums are of floating point: what is left of them when all have ended may be below 0, and is nothing. */
static void add_up(const HistoryPlot *p, const Change changes[], size_t n, Height heights[], size_t columns) {
        size_t column = 0;
        Height now = {};

        for (size_t i = 0; i < n; i++) {
                size_t to = (size_t) (calendar_at(&p->x, changes[i].usec) - p->x.from);

                for (; column < MIN(to, columns - 1); raise_to(&heights[++column], now.quota, now.peak))
                        ;
                now.quota = MAX(now.quota + changes[i].quota, 0);
                now.peak = MAX(now.peak + changes[i].peak, 0);
                raise_to(&heights[column], now.quota, now.peak);
        }
}

static void draw_area(const HistoryPlot *p, const Scale *y, const Height heights[], size_t columns, bool of_peaks,
                      Ink ink) {
        double before = -1;

        scene_spot(p->s, p->x.from, y->from);
        for (size_t i = 0; i < columns; i++) {
                double at = scale_at(y, of_peaks ? heights[i].peak : heights[i].quota);

                if (at == before) /* it goes on */
                        continue;
                if (i > 0)
                        scene_spot(p->s, p->x.from + (double) i, before);
                scene_spot(p->s, p->x.from + (double) i, at);
                before = at;
        }
        scene_spot(p->s, p->x.to, before);
        scene_spot(p->s, p->x.to, y->from);
        scene_area(p->s, ink);
}

static double swatch(const HistoryPlot *p, double x, Ink ink, const char *words) {
        TextStyle style = { .size = TEXT_SIZE, .ink = INK_TEXT };
        double base = p->held.top - 9;

        if (x + 13 + scene_width_of(p->s, words, TEXT_SIZE, WEIGHT_NORMAL) > p->edge)
                return p->edge;
        scene_box(p->s, ink, x, base - 8, x + 9, base + 1);
        return x + 13 + scene_text(p->s, (Spot) { x + 13, base }, style, p->edge - x - 13, "%s", words) + 14;
}

static void draw_levels(const HistoryPlot *p, const Scale *y) {
        Ticks ticks;

        ticks_bytes(y->most, (size_t) MAX((p->held.bottom - p->held.top) / 28, (double) TICKS_WANTED_MIN), &ticks);
        for (size_t i = 0; i < ticks.n; i++)
                history_level(p, scale_at(y, ticks.at[i]), i == 0, ticks.label[i]);
}

void history_draw_held(HistoryPlot *p) {
        size_t columns = (size_t) (p->x.to - p->x.from) + 1, n;
        CLEANUP(freep) Change *changes = calloc(MAX(2 * p->past->n, (size_t) 1), sizeof(*changes));
        CLEANUP(freep) Height *heights = calloc(columns, sizeof(*heights));
        Scale y = { .from = p->held.bottom, .to = p->held.top };
        double most = 0, x;
        char buf[TEXT_MAX];

        if (!changes || !heights) {
                p->s->failed = true;
                return;
        }
        n = collect(p->past, changes);
        add_up(p, changes, n, heights, columns);
        for (size_t i = 0; i < columns; i++)
                most = MAX(most, heights[i].quota);
        y.most = MAX(most, (double) MIB) * 1.04;
        draw_levels(p, &y);
        draw_area(p, &y, heights, columns, false, INK_QUOTAS);
        draw_area(p, &y, heights, columns, true, INK_PEAKS);
        x = history_heading(p, &p->held, p->s->width < NARROW ? "Held together" : "Held together by those that ran");
        x = swatch(p, x, INK_QUOTAS, "last quotas");
        (void) swatch(p, x, INK_PEAKS, "peaks");
        if (most > 0)
                history_name(p, &p->held, scale_at(&y, most), "most %s",
                             format_size((uint64_t) MIN(most, 0x1p63), buf));
}
