/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "draw/frame.h"

#define TITLE_SIZE 16.0
#define SUBTITLE_SIZE 12.0
#define NARROW_TITLE_SIZE 13.0
#define TITLE_BASE 30.0
#define SUBTITLE_BASE 50.0
#define FOOT_BASE 12.0

void frame_title(Scene *s, const char *title, const char *subtitle) {
        bool narrow = s->width < NARROW;
        TextStyle first = { .size = narrow ? NARROW_TITLE_SIZE : TITLE_SIZE, .ink = INK_TEXT, .weight = WEIGHT_BOLD };
        TextStyle second = { .size = narrow ? TEXT_SIZE : SUBTITLE_SIZE, .ink = INK_TEXT };
        double width = s->width - 2 * MARGIN;

        scene_text(s, (Spot) { MARGIN, TITLE_BASE }, first, width, "%s", title);
        scene_text(s, (Spot) { MARGIN, SUBTITLE_BASE }, second, width, "%s", subtitle);
}

void frame_foot(Scene *s, const char *left, const char *right) {
        TextStyle style = { .size = TEXT_SIZE, .ink = INK_MUTED };
        double base = s->height - FOOT_BASE, width = s->width - 2 * MARGIN, taken;

        taken = scene_text(s, (Spot) { MARGIN, base }, style, width, "%s", left);
        style.align = ALIGN_RIGHT;
        scene_text(s, (Spot) { s->width - MARGIN, base }, style, width - taken - MARGIN, "%s", right);
}
