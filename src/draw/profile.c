/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "draw/profile_private.h"

#define HEAD_BOTTOM 62.0
#define LANE_TOP_GAP 4.0
#define STALL_HEADING 34.0 /* between the graphs */

static double clamp(double v, double from, double to) {
        return MIN(MAX(v, from), to);
}

/* At least as many as it takes for one beside the 0. */
static size_t ticks_wanted(double pixels, double each) {
        return (size_t) clamp(pixels / each, TICKS_WANTED_MIN, TICKS_MAX - 1);
}

static const TextStyle axis_text = { .size = TEXT_SIZE, .ink = INK_MUTED, .align = ALIGN_RIGHT };

/* How much room the longest of @ticks takes, with some air. */
static double widest(const Scene *s, const Ticks *ticks) {
        double width = 0;

        for (size_t i = 0; i < ticks->n; i++)
                width = MAX(width, scene_width_of(s, ticks->label[i], TEXT_SIZE, WEIGHT_NORMAL));
        return width;
}

static void level(const Plot *p, const Scale *y, double value, const char *label) {
        double at = scale_at(y, value);

        scene_segment(p->s, value > 0 ? INK_GRID : INK_MUTED, 1, STROKE_SOLID, (Spot) { p->x.from, at },
                      (Spot) { p->x.to, at });
        scene_text(p->s, (Spot) { p->x.from - 8, at + TEXT_DROP }, axis_text, p->x.from - 8, "%s", label);
}

static void draw_axes(const Plot *p) {
        TextStyle style = axis_text;
        Ticks time, bytes;

        style.align = ALIGN_MIDDLE;
        ticks_time(p->x.most, ticks_wanted(p->x.to - p->x.from, 80), &time);
        ticks_bytes(p->memory.most, ticks_wanted(p->memory.from - p->memory.to, 45), &bytes);
        for (size_t i = 0; i < time.n; i++) {
                double at = scale_at(&p->x, time.at[i]);

                scene_segment(p->s, INK_GRID, 1, STROKE_SOLID, (Spot) { at, p->memory.to },
                              (Spot) { at, p->memory.from });
                scene_segment(p->s, INK_GRID, 1, STROKE_SOLID, (Spot) { at, p->stall.to },
                              (Spot) { at, p->stall.from });
                scene_text(p->s, (Spot) { at, p->stall.from + TEXT_LINE + 1 }, style, 100, "%s", time.label[i]);
        }
        for (size_t i = 0; i < bytes.n; i++)
                level(p, &p->memory, bytes.at[i], bytes.label[i]);
        level(p, &p->stall, 1, "100%");
        if (p->stall.from - p->stall.to > 3 * TEXT_LINE)
                level(p, &p->stall, 0.5, "50%");
        level(p, &p->stall, 0, "0");
}

static void draw_frozen(const Plot *p) {
        for (size_t i = 0; i < p->t->n_happenings; i++) {
                const Happening *h = &p->t->happenings[i];
                double from = scale_at(&p->x, (double) h->usec), to = scale_at(&p->x, (double) h->until_usec);

                if (h->kind != HAPPENED_FREEZE)
                        continue;
                to = MAX(to, from + 1); /* so short that it would not be seen */
                scene_box(p->s, INK_FROZEN, from, p->memory.to, to, p->memory.from);
                scene_box(p->s, INK_FROZEN, from, p->stall.to, to, p->stall.from);
        }
}

static void draw_title(const Plot *p) {
        char title[256], subtitle[256];

        frame_title(p->s, profile_title(p->t, p->f, title, sizeof(title)),
                    profile_subtitle(p->t, p->f, subtitle, sizeof(subtitle)));
}

static void draw_foot(const Plot *p) {
        char text[128], left_out[64] = "";

        if (p->t->thinned > 0)
                snprintf(left_out, sizeof(left_out), "; %llu more left out", (unsigned long long) p->t->thinned);
        snprintf(text, sizeof(text), "%zu reading%s%s%s", p->t->n_rows, p->t->n_rows == 1 ? "" : "s",
                 p->t->was_looked_at && p->s->width >= NARROW ? ", straight lines in between" : "", left_out);
        frame_foot(p->s, "Time since it began to execute", text);
}

/* From the left to the right, then from the top to the bottom. */
static void set_places(Plot *p) {
        double height = p->s->height, most = p->memory.most, stall_height = clamp(height * 0.16, 30, 110);
        double names = MIN(profile_names_width(p), p->s->width * 0.3);
        LaneRoom room = { .size = TEXT_SIZE, .n_rows = height < 360 ? 1 : LANE_ROWS_MAX };
        Ticks ticks;

        ticks_bytes(most, ticks_wanted(height - HEAD_BOTTOM - stall_height, 45), &ticks);
        p->edge = p->s->width - 6;
        p->x.from = MARGIN + MAX(widest(p->s, &ticks), scene_width_of(p->s, "100%", TEXT_SIZE, WEIGHT_NORMAL)) + 8;
        p->x.to = p->s->width - names;
        room.left = MARGIN;
        room.right = p->edge;
        lane_place(p->t, &p->x, &room, p->s, &p->lane);
        p->stall.most = 1;
        p->stall.from = height - FOOT;
        p->stall.to = p->stall.from - stall_height;
        p->lane_bottom = HEAD_BOTTOM + LANE_TOP_GAP + LANE_ROW * p->lane.n_rows;
        p->memory.from = p->stall.to - STALL_HEADING;
        p->memory.to = p->lane_bottom + 2;
}

void profile_draw(Timeline *t, const Facts *f, Scene *s) {
        Plot p = { .t = t, .f = f, .s = s };

        timeline_thin(t, (size_t) s->width);
        timeline_reach(t, f->execute_usec);
        p.x.most = (double) MAX(t->end_usec, UINT64_C(1));
        if (!t->has_ended)
                p.x.most = MAX(p.x.most, (double) f->execute_usec);
        p.memory.most = profile_memory_most(t, f) * 1.04;
        set_places(&p);
        scene_box(s, INK_PAPER, 0, 0, s->width, s->height);
        draw_frozen(&p);
        draw_axes(&p);
        profile_draw_stall(&p);
        profile_draw_memory(&p);
        profile_draw_lane(&p);
        profile_draw_names(&p);
        draw_title(&p);
        draw_foot(&p);
}
