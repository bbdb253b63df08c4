/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which query a mark is, at those that one asks about: the largest, and those for which memory did not do. */
#include <math.h>

#include "draw/history_private.h"

#define LABELS_MAX 12u
#define MARK_HALF 5.0 /* a mark and some air, to each side */
#define TEXT_MAX_LEN 48u

typedef struct Box {
        double x0, y0, x1, y1;
} Box;

typedef struct Labels {
        const HistoryPlot *p;
        const Magnitude *y;
        ValueOf value;
        Box boxes[LABELS_MAX];
        size_t n;
} Labels;

static Spot spot_of(const Labels *l, const Ended *e) {
        return (Spot) { calendar_at(&l->p->x, (double) e->ended_usec), magnitude_at(l->y, l->value(e)) };
}

static bool overlap(Box a, Box b) {
        return a.x0 < b.x1 && b.x0 < a.x1 && a.y0 < b.y1 && b.y0 < a.y1;
}

/* Of other labels, and of all marks. */
static bool is_free(const Labels *l, Box box, const Ended *own) {
        if (box.x0 < l->p->x.from || box.x1 > l->p->x.to || box.y1 > l->p->memory.bottom)
                return false;
        for (size_t i = 0; i < l->n; i++)
                if (overlap(box, l->boxes[i]))
                        return false;
        for (size_t i = 0; i < l->p->past->n; i++) {
                const Ended *e = &l->p->past->v[i];
                Spot at = spot_of(l, e);

                if (e != own && l->value(e) > 0 &&
                    overlap(box, (Box) { at.x - MARK_HALF, at.y - MARK_HALF, at.x + MARK_HALF, at.y + MARK_HALF }))
                        return false;
        }
        return true;
}

/* To the right of its mark, or to the left, or not at all. */
static void add(Labels *l, const Ended *e) {
        TextStyle style = { .size = TEXT_SIZE, .ink = INK_TEXT };
        Spot at = spot_of(l, e);
        char text[TEXT_MAX_LEN];
        double width;

        if (l->n == LABELS_MAX)
                return;
        snprintf(text, sizeof(text), "query %llu", (unsigned long long) e->id);
        width = scene_width_of(l->p->s, text, TEXT_SIZE, WEIGHT_NORMAL);
        for (int side = 1; side >= -1; side -= 2) {
                double x = side > 0 ? at.x + MARK_HALF + 2 : at.x - MARK_HALF - 2 - width;
                Box box = { x, at.y - TEXT_SIZE / 2, x + width, at.y + TEXT_SIZE / 2 };

                if (!is_free(l, box, e))
                        continue;
                l->boxes[l->n++] = box;
                scene_text(l->p->s, (Spot) { x, at.y + TEXT_DROP }, style, width + 1, "%s", text);
                return;
        }
}

void history_draw_labels(const HistoryPlot *p, const Magnitude *y, ValueOf value) {
        Labels l = { .p = p, .y = y, .value = value };
        const Ended *most = NULL;
        size_t n_tried = 0;

        for (size_t i = 0; i < p->past->n; i++)
                if (value(&p->past->v[i]) > 0 && (!most || value(&p->past->v[i]) >= value(most)))
                        most = &p->past->v[i];
        if (!most)
                return;
        add(&l, most);
        for (size_t i = p->past->n; i-- > 0 && n_tried < LABELS_MAX;) {
                const Ended *e = &p->past->v[i];

                if (e == most || e->outcome != OUTCOME_MEMORY || value(e) <= 0)
                        continue;
                add(&l, e);
                n_tried++; /* each looks at all marks */
        }
}
