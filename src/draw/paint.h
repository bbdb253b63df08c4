/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* draw/paint: a scene as SVG or PNG, by cairo. Colours and the font are chosen here, and nothing else is decided. */
#pragma once

#include <stdio.h>

#include "draw/scene.h"

/* Measures with the font that will be used. Free with painter_free(); NULL: out of memory. */
typedef struct Painter Painter;

Painter *painter_new(void);
void painter_free(Painter *p);
TextMeter painter_meter(Painter *p); /* valid as long as @p */

/* Write @s to @to. @title and @description go into the SVG for those who read it without seeing it, and for searches:
 * its visible words are outlines, so that they look the same everywhere. Returns 0 or -errno. */
int paint_svg(const Scene *s, const char *title, const char *description, FILE *to);
int paint_png(const Scene *s, FILE *to);
