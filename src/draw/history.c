/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/picture_size.h"
#include "draw/history_private.h"

#define HEAD_BOTTOM 56.0
#define NOTHING_SIZE 12.0 /* of the text of an empty one */

/* Below that, what was held together is left out. */
#define HELD_FROM_HEIGHT 400.0

static void draw_title(const HistoryPlot *p) {
        char title[512], subtitle[512];

        frame_title(p->s, history_title(p->past, p->chosen, title, sizeof(title)),
                    history_subtitle(p->past, p->chosen, subtitle, sizeof(subtitle)));
}

static void draw_foot(const HistoryPlot *p) {
        size_t n_absent = p->past->n - p->past->n_started;
        char zone[CALENDAR_TEXT_MAX], absent[COUNT_TEXT_MAX], never[64] = "", left[CALENDAR_TEXT_MAX + 32], right[128];
        const char *piled = "";

        snprintf(left, sizeof(left), "When it ended, %s", calendar_zone(&p->x, zone));
        if (p->s->width >= NARROW && p->most_piled > 1)
                piled = p->most_piled < 10 ? "a mark may be of several"
                                           : "larger marks are of 10 or more, or of 100, or of 1,000";
        if (n_absent > 0)
                snprintf(never, sizeof(never), "%s never ran%s", count_text(n_absent, absent),
                         piled[0] != '\0' ? "; " : "");
        snprintf(right, sizeof(right), "%s%s", never, piled);
        frame_foot(p->s, left, right);
}

static void say_that_there_is_none(const HistoryPlot *p) {
        TextStyle style = { .size = NOTHING_SIZE, .ink = INK_MUTED, .align = ALIGN_MIDDLE };

        scene_text(p->s, (Spot) { p->s->width / 2, p->s->height / 2 }, style, p->s->width - 2 * MARGIN,
                   "There is nothing to draw");
}

/* From the top to the bottom, each with its heading above it. */
static void set_panels(HistoryPlot *p) {
        bool has_held = p->s->height >= HELD_FROM_HEIGHT;
        double parts = has_held ? 0.22 : 0, y = HEAD_BOTTOM;
        double room = p->s->height - HEAD_BOTTOM - FOOT - HEADING * (has_held ? 4 : 3);
        struct {
                Panel *panel;
                double part;
        } places[] = { { &p->memory, 0.6 - parts }, { &p->held, parts }, { &p->waited, 0.2 }, { &p->ran, 0.2 } };

        if (p->s->width < NARROW) { /* marks have a line of their own */
                y += TEXT_LINE;
                room -= TEXT_LINE;
        }
        for (size_t i = 0; i < ELEMENTSOF(places); i++) {
                if (places[i].part <= 0)
                        continue;
                places[i].panel->top = y + HEADING;
                y = places[i].panel->bottom = y + HEADING + room * places[i].part;
        }
}

/* Labels and names are of a bounded length, so that graphs of all histories are alike. */
static void set_places(HistoryPlot *p) {
        bool narrow = p->s->width < NARROW;

        p->x.from = MARGIN +
                    scene_width_of(p->s,
                                   "\xe2\x89\xa4"
                                   "100ms",
                                   TEXT_SIZE, WEIGHT_NORMAL) +
                    8;
        p->edge = p->s->width - 6;
        p->x.to = narrow ? p->s->width - MARGIN
                         : p->edge - LEADER - scene_width_of(p->s, "median 1h 59min", TEXT_SIZE, WEIGHT_NORMAL);
        if (narrow)
                p->edge = p->x.to + LEADER;
        set_panels(p);
}

void history_draw(const Past *past, const Chosen *chosen, Scene *s) {
        HistoryPlot p = { .past = past, .chosen = chosen, .s = s };

        history_span(past, &p.x);
        set_places(&p);
        scene_box(s, INK_PAPER, 0, 0, s->width, s->height);
        if (past->n > 0) {
                history_draw_panels(&p);
                draw_foot(&p);
        } else
                say_that_there_is_none(&p);
        draw_title(&p);
}
