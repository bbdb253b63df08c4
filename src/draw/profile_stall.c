/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/format.h"
#include "draw/profile_private.h"

/* Readings that follow more closely than this many pixels are taken together: a column is to be seen. */
#define COLUMN_PIXELS 3.0

typedef enum StallKind { STALL_SOME, STALL_FULL } StallKind;

static double total(const Reading *r, StallKind kind) {
        return (double) (kind == STALL_FULL ? r->stall_full_usec : r->stall_some_usec);
}

/* When in between it was stalled is not known: it is spread evenly. What repeats a reading says nothing of the time
 * since then. */
static void draw_columns(const Plot *p, StallKind kind, Ink ink) {
        const Reading *from = &p->t->readings[0], *last = from + p->t->n_readings - 1;

        while (last > from && last->repeats)
                last--;
        scene_spot(p->s, scale_at(&p->x, (double) from->usec), p->stall.from);
        for (const Reading *to = from + 1; to <= last; to++) {
                double x0 = scale_at(&p->x, (double) from->usec), x1 = scale_at(&p->x, (double) to->usec), part, y;

                if (to->repeats || to->usec == from->usec || (x1 - x0 < COLUMN_PIXELS && to != last))
                        continue;
                part = (total(to, kind) - total(from, kind)) / (double) (to->usec - from->usec);
                y = scale_at(&p->stall, part);
                scene_spot(p->s, x0, y);
                scene_spot(p->s, x1, y);
                from = to;
        }
        scene_spot(p->s, scale_at(&p->x, (double) from->usec), p->stall.from);
        scene_area(p->s, ink);
}

static double swatch(const Plot *p, double x, double base, Ink ink, const char *words) {
        TextStyle style = { .size = TEXT_SIZE, .ink = INK_TEXT };

        if (x + 13 + scene_width_of(p->s, words, TEXT_SIZE, WEIGHT_NORMAL) > p->edge)
                return p->edge;
        scene_box(p->s, ink, x, base - 8, x + 9, base + 1);
        return x + 13 + scene_text(p->s, (Spot) { x + 13, base }, style, p->edge - x - 13, "%s", words) + 14;
}

void profile_draw_stall(Plot *p) {
        const Reading *last = &p->t->readings[p->t->n_readings - 1];
        TextStyle style = { .size = TEXT_SIZE, .ink = INK_TEXT, .weight = WEIGHT_BOLD };
        double x = p->x.from, base = p->stall.to - 9;
        char buf[TEXT_MAX];

        x += scene_text(p->s, (Spot) { x, base }, style, p->x.to - x, "%s",
                        p->s->width < NARROW ? "Stalled" : "Stalled for want of memory") +
             10;
        style.weight = WEIGHT_NORMAL;
        if (!p->t->has_stall || last->stall_some_usec == 0) {
                style.ink = INK_MUTED;
                scene_text(p->s, (Spot) { x, base }, style, p->edge - x, "%s",
                           p->t->has_stall ? "never" : "not recorded");
                return;
        }
        draw_columns(p, STALL_SOME, INK_STALL_SOME);
        draw_columns(p, STALL_FULL, INK_STALL_FULL);
        x += scene_text(p->s, (Spot) { x, base }, style, p->edge - x, "%s in all",
                        format_duration(last->stall_some_usec, buf)) +
             18;
        x = swatch(p, x, base, INK_STALL_SOME, "some task");
        if (last->stall_full_usec > 0)
                (void) swatch(p, x, base, INK_STALL_FULL, "all tasks");
}
