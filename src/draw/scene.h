/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* draw/scene: a picture as a list of shapes, in pixels from the top left corner; later ones lie over earlier ones.
 * What is drawn can so be looked at by a test, and the program that draws has nothing to decide. Pure. Invariant:
 * each coordinate is finite and in or near the picture; each text is valid UTF-8 that XML can hold, without control
 * characters. Memory that cannot be had is told by .failed; what was being added is left out. */
#pragma once

#include "core/base.h"

/* What it is for, not which colour: that is the painter's. */
typedef enum Ink {
        INK_PAPER,
        INK_TEXT,
        INK_MUTED,
        INK_GRID,
        INK_LIMIT,
        INK_MAXIMUM,
        INK_PEAK,
        INK_FROZEN,      /* behind everything */
        INK_FROZEN_TEXT, /* its bar and word */
        INK_ANON,
        INK_SHMEM,
        INK_KERNEL,
        INK_OTHER,
        INK_FILE,
        INK_UNSEEN, /* what memory may have been in use there */
        INK_STALL_SOME,
        INK_STALL_FULL,
        INK_FINISHED, /* how a query ended: … */
        INK_FINISHED_MANY,
        INK_FINISHED_CROWD,
        INK_CANCELED,
        INK_ERRORED,
        INK_NO_MEMORY,
        INK_QUOTAS,
        INK_PEAKS,
        _INK_MAX,
} Ink;

typedef enum Align { ALIGN_LEFT, ALIGN_MIDDLE, ALIGN_RIGHT } Align;
typedef enum Stroke { STROKE_SOLID, STROKE_DASHED, STROKE_DOTTED } Stroke;
typedef enum Weight { WEIGHT_NORMAL, WEIGHT_BOLD } Weight;
typedef enum ShapeKind { SHAPE_AREA, SHAPE_LINE, SHAPE_TEXT } ShapeKind;

typedef struct Spot {
        double x, y;
} Spot;

typedef struct TextStyle {
        double size; /* of the em, in pixels */
        Ink ink;
        Weight weight;
        Align align;
} TextStyle;

/* How wide a text will be. */
typedef struct TextMeter {
        double (*width)(void *userdata, const char *text, double size, Weight weight);
        void *userdata;
} TextMeter;

typedef struct Shape {
        ShapeKind kind;
        Ink ink;
        Stroke stroke;   /* of a line … */
        double width;    /* … and of a text as it was measured */
        TextStyle style; /* of a text */
        char *text;
        size_t first, n; /* which spots; a text has one, on its base line */
} Shape;

typedef struct Scene {
        double width, height;
        TextMeter meter;
        Shape *shapes;
        Spot *spots;
        size_t n_shapes, n_spots, shapes_allocated, spots_allocated;
        bool failed;
} Scene;

/* Set .width, .height and .meter, the rest zero. */
void scene_done(Scene *s);

/* Areas and lines are built of spots: scene_spot() any number of times, then one of these. */
void scene_spot(Scene *s, double x, double y);
void scene_area(Scene *s, Ink ink);
void scene_line(Scene *s, Ink ink, double width, Stroke stroke);

void scene_box(Scene *s, Ink ink, double x0, double y0, double x1, double y1);
void scene_segment(Scene *s, Ink ink, double width, Stroke stroke, Spot from, Spot to);

double scene_width_of(const Scene *s, const char *text, double size, Weight weight);
/* Write at @at, cut with an ellipsis to @max_width; where not even that fits, nothing. Returns the width taken. */
double scene_text(Scene *s, Spot at, TextStyle style, double max_width, const char *format, ...) PRINTF_LIKE(5, 6);

/* In place: what is not valid UTF-8, a control character, or none that XML knows becomes '?'. Returns @text. */
char *text_make_safe(char *text);
