/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ctl/picture: pictures in files. They are drawn by penstock-draw, a program of its own: what draws takes longer to
 * be loaded than the rest of penstockctl, and `run` would pay for it with each query. */
#pragma once

#include "ctl/ctl.h"

typedef enum PictureKind { PICTURE_NONE, PICTURE_SVG, PICTURE_PNG } PictureKind;

typedef struct Picture {
        PictureKind kind;
        const char *path;       /* "-": standard output */
        uint64_t width, height; /* 0: the default */
} Picture;

/* Draw what @rows_fd has (read from its place to its end) with the facts in @facts ("KEY=VALUE", see draw/facts.h),
 * and write it to where @p says: whole, or not at all. Returns 0, or @verb->failure after a report. */
int picture_make(const Verb *verb, const Picture *p, int rows_fd, const StrList *facts);

/* ---- profile_picture.c ---- */

/* The picture of @q's profile, of which @rows_fd has the rows. Returns as picture_make(). */
int picture_of_profile(const Verb *verb, const Picture *p, PenstockQuery *q, int rows_fd);
