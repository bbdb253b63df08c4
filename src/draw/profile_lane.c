/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "draw/profile_private.h"

#define MARK_HEIGHT 7.0
/* Of those that are nearer to each other only the first is drawn; their number is in the words. */
#define MARKS_APART 3.0
#define STEMS_APART 8.0

static bool is_to_the_bad(HappeningKind kind) {
        return kind == HAPPENED_KILL || kind == HAPPENED_TERMINATE || kind == HAPPENED_END;
}

/* Up, down, a cross, a square: told apart without their colours. @at is the middle. */
static void mark(Scene *s, HappeningKind kind, Spot at) {
        double w = LANE_MARK_HALF, h = MARK_HEIGHT / 2;

        if (is_to_the_bad(kind)) {
                scene_segment(s, INK_MAXIMUM, 2, STROKE_SOLID, (Spot) { at.x - h, at.y - h },
                              (Spot) { at.x + h, at.y + h });
                scene_segment(s, INK_MAXIMUM, 2, STROKE_SOLID, (Spot) { at.x - h, at.y + h },
                              (Spot) { at.x + h, at.y - h });
        } else if (kind == HAPPENED_RAISE || kind == HAPPENED_LOWERED || kind == HAPPENED_DENIED) {
                double up = kind == HAPPENED_RAISE ? 1 : -1;

                scene_spot(s, at.x - w, at.y + up * h);
                scene_spot(s, at.x, at.y - up * h);
                scene_spot(s, at.x + w, at.y + up * h);
                scene_area(s, kind == HAPPENED_DENIED ? INK_MAXIMUM : INK_LIMIT);
        } else
                scene_box(s, kind == HAPPENED_FREEZE ? INK_FROZEN_TEXT : INK_MUTED, at.x - 3, at.y - 3, at.x + 3,
                          at.y + 3);
}

/* Down to what it changed: a raise to the new limit, else to the graph's edge. */
static double stem_end(const Plot *p, const Happening *h) {
        if (h->kind != HAPPENED_RAISE || h->new_bytes == 0 || h->new_bytes == SIZE_INFINITY)
                return p->memory.to;
        return MAX(scale_at(&p->memory, (double) h->new_bytes) - 2, p->memory.to);
}

static void draw_group(const Plot *p, const LaneGroup *g) {
        double middle = p->lane_bottom - LANE_ROW * (g->row + 0.5), last_mark = -1e9, last_stem = -1e9;
        TextStyle style = { .size = TEXT_SIZE, .ink = INK_TEXT };

        for (size_t i = g->first; i < g->first + g->n; i++) {
                const Happening *h = &p->t->happenings[i];
                double at = scale_at(&p->x, (double) h->usec);

                if (h->kind == HAPPENED_FREEZE)
                        scene_segment(p->s, INK_FROZEN_TEXT, 2, STROKE_SOLID, (Spot) { at, p->memory.to },
                                      (Spot) { scale_at(&p->x, (double) h->until_usec), p->memory.to });
                if (at - last_mark < MARKS_APART)
                        continue;
                last_mark = at;
                mark(p->s, h->kind, (Spot) { at, middle });
                if (at - last_stem < STEMS_APART)
                        continue;
                last_stem = at;
                scene_segment(p->s, INK_MUTED, 1, STROKE_DOTTED, (Spot) { at, middle + MARK_HEIGHT / 2 },
                              (Spot) { at, stem_end(p, h) });
        }
        if (g->n == 1 && p->t->happenings[g->first].kind == HAPPENED_FREEZE)
                style.ink = INK_FROZEN_TEXT;
        scene_text(p->s, (Spot) { g->text_0, middle + TEXT_DROP }, style, g->text_1 - g->text_0 + 0.5, "%s", g->text);
}

void profile_draw_lane(Plot *p) {
        for (size_t i = 0; i < p->lane.n_groups; i++)
                draw_group(p, &p->lane.groups[i]);
}
