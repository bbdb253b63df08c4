/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* draw/frame: what all pictures have alike: the lines of the title, the last line, and the sizes that these keep to. */
#pragma once

#include "draw/scene.h"

#define TEXT_SIZE 11.0 /* but for the title's lines */
#define TEXT_LINE 15.0
#define TEXT_DROP 4.0 /* from the middle of a line of text down to its base line */
#define NARROW 600.0  /* a picture of less width says less */
#define MARGIN 16.0
#define FOOT 46.0 /* ticks of time, and the last line */

void frame_title(Scene *s, const char *title, const char *subtitle);
/* Words at the left and at the right end of the last line; those at the left come first, where there is no room for all. */
void frame_foot(Scene *s, const char *left, const char *right);
