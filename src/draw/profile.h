/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* draw/profile: the picture of one query's profile. A strip of what happened; below it memory in use by kind,
 * stacked, with the limit, the maximum and the peak; below that the part of the time in which it was stalled.
 * Everything is named where it is. Pure. */
#pragma once

#include <stdio.h>

#include "draw/facts.h"
#include "draw/scene.h"
#include "draw/timeline.h"

/* Add the picture to @s, which has its size (within ctl/picture_size.h) and its meter. Thins @t; what goes on in it
 * reaches to @f's execute_usec. */
void profile_draw(Timeline *t, const Facts *f, Scene *s);

/* The picture's first line, and all that it says in words: for those who do not see it. Out of memory is an error of
 * @to. */
const char *profile_title(const Timeline *t, const Facts *f, char *buf, size_t size);
void profile_describe(const Timeline *t, const Facts *f, FILE *to);
