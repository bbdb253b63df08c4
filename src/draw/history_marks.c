/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>

#include "draw/history_private.h"

/* Marks whose middles lie in the same field of this size are one. Large pictures have larger fields, so that a
 * picture of whatever size and history has so many marks and no more. */
#define FIELD_PIXELS 6.0
#define FIELDS_MAX 20000.0

/* What lies in a field of those that ended alike. */
typedef struct Pile {
        float x, y; /* of the first one */
        unsigned n;
} Pile;

typedef struct Fields {
        Pile *v; /* columns × rows × outcomes */
        size_t columns, rows;
        double width, height; /* of all */
} Fields;

static const Ink inks[_OUTCOME_MAX] = {
        [OUTCOME_FINISHED] = INK_FINISHED,
        [OUTCOME_CANCELED] = INK_CANCELED,
        [OUTCOME_ERRORED] = INK_ERRORED,
        [OUTCOME_MEMORY] = INK_NO_MEMORY,
};

#define CORNERS 8
#define ROUND 1.06 /* a circle of the same size has no corners */

static void mark_dot(Scene *s, Ink ink, Spot at, double size) {
        for (int i = 0; i < CORNERS; i++) {
                double angle = (i + 0.5) * 2 * M_PI / CORNERS;

                scene_spot(s, at.x + size * ROUND * cos(angle), at.y + size * ROUND * sin(angle));
        }
        scene_area(s, ink);
}

static void mark_cross(Scene *s, Ink ink, Spot at, double size) {
        scene_segment(s, ink, 2, STROKE_SOLID, (Spot) { at.x - size, at.y - size },
                      (Spot) { at.x + size, at.y + size });
        scene_segment(s, ink, 2, STROKE_SOLID, (Spot) { at.x - size, at.y + size },
                      (Spot) { at.x + size, at.y - size });
}

/* A dot, a ring with corners, a triangle, a cross: told apart without their colours. */
static void draw_mark(Scene *s, Outcome outcome, Ink ink, Spot at, double size) {
        switch (outcome) {
        case OUTCOME_CANCELED:
                scene_box(s, ink, at.x - size, at.y - size, at.x + size, at.y + size);
                scene_box(s, INK_PAPER, at.x - size + 1.5, at.y - size + 1.5, at.x + size - 1.5, at.y + size - 1.5);
                break;
        case OUTCOME_ERRORED:
                scene_spot(s, at.x - size * 1.2, at.y + size);
                scene_spot(s, at.x, at.y - size * 1.2);
                scene_spot(s, at.x + size * 1.2, at.y + size);
                scene_area(s, ink);
                break;
        case OUTCOME_MEMORY: mark_cross(s, ink, at, size); break;
        default: mark_dot(s, ink, at, size);
        }
}

void history_mark(Scene *s, Outcome outcome, Spot at, double size) {
        draw_mark(s, outcome, inks[outcome], at, size);
}

/* Ten times as many are seen to be more, and do not cover all. */
static double size_of(const Pile *pile) {
        return 2.8 + 0.8 * MIN(floor(log10(pile->n)), 3);
}

/* Where piles are high all is full of marks, and how many they are of is told by their ink alone. */
static Ink ink_of(Outcome outcome, const Pile *pile) {
        if (outcome != OUTCOME_FINISHED || pile->n < 10)
                return inks[outcome];
        return pile->n < 100 ? INK_FINISHED_MANY : INK_FINISHED_CROWD;
}

static int compare(const void *a, const void *b) {
        double x = *(const double *) a, y = *(const double *) b;

        return x < y ? -1 : x > y;
}

Values values_look(const HistoryPlot *p, ValueOf value) {
        CLEANUP(freep) double *all = calloc(MAX(p->past->n, (size_t) 1), sizeof(*all));
        Values v = {};

        p->s->failed = p->s->failed || !all;
        for (size_t i = 0; all && i < p->past->n; i++)
                if (value(&p->past->v[i]) > 0)
                        all[v.n++] = value(&p->past->v[i]);
        if (v.n == 0)
                return v;
        qsort(all, v.n, sizeof(*all), compare);
        v.least = all[0];
        v.most = all[v.n - 1];
        v.median = all[v.n / 2];
        return v;
}

static bool fields_init(Fields *f, double width, double height) {
        double size = MAX(FIELD_PIXELS, sqrt(width * height / FIELDS_MAX));

        *f = (Fields) { .columns = (size_t) (width / size) + 1,
                        .rows = (size_t) (height / size) + 1,
                        .width = width,
                        .height = height };
        f->v = calloc(f->columns * f->rows * _OUTCOME_MAX, sizeof(*f->v));
        return f->v;
}

/* @part of 1 in fields of the same size. */
static size_t field_at(double part, size_t n) {
        return MIN((size_t) (MAX(part, 0) * (double) n), n - 1);
}

static void pile_up(Fields *f, const HistoryPlot *p, double top, Outcome outcome, double x, double y) {
        size_t column = field_at((x - p->x.from) / f->width, f->columns),
               row = field_at((y - top) / f->height, f->rows);
        Pile *pile = &f->v[(row * f->columns + column) * _OUTCOME_MAX + outcome];

        if (pile->n++ == 0) {
                pile->x = (float) x;
                pile->y = (float) y;
        }
}

/* Those of a field that are fewer than this part of it would cover the others. */
#define PART_SEEN 4

static bool is_seen(const Pile field[static _OUTCOME_MAX], int outcome) {
        unsigned n = 0;

        for (int k = 0; k < _OUTCOME_MAX; k++)
                n += field[k].n;
        return field[outcome].n > 0 && field[outcome].n >= n / PART_SEEN;
}

static void draw_piles(HistoryPlot *p, const Fields *f) {
        size_t n_fields = f->columns * f->rows;

        /* Who died lies on top: these are few, and are looked for. */
        for (int outcome = 0; outcome < _OUTCOME_MAX; outcome++)
                for (size_t i = 0; i < n_fields; i++) {
                        const Pile *pile = &f->v[i * _OUTCOME_MAX + (size_t) outcome];

                        if (!is_seen(f->v + i * _OUTCOME_MAX, outcome))
                                continue;
                        p->most_piled = MAX(p->most_piled, pile->n);
                        draw_mark(p->s, (Outcome) outcome, ink_of((Outcome) outcome, pile),
                                  (Spot) { pile->x, pile->y }, size_of(pile));
                }
}

void history_draw_marks(HistoryPlot *p, const Magnitude *y, ValueOf value) {
        double top = MIN(y->from, y->to);
        Fields f;

        if (!fields_init(&f, p->x.to - p->x.from, fabs(y->to - y->from))) {
                p->s->failed = true;
                return;
        }
        for (size_t i = 0; i < p->past->n; i++) {
                const Ended *e = &p->past->v[i];

                if (value(e) > 0)
                        pile_up(&f, p, top, e->outcome, calendar_at(&p->x, (double) e->ended_usec),
                                magnitude_at(y, value(e)));
        }
        draw_piles(p, &f);
        free(f.v);
}
