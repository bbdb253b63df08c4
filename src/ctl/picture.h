/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ctl/picture: pictures in files. They are drawn by penstock-draw, a program of its own: what draws takes longer to
 * be loaded than the rest of penstockctl, and `run` would pay for it with each query. */
#pragma once

#include "ctl/ctl.h"

typedef enum PictureKind { PICTURE_NONE, PICTURE_SVG, PICTURE_PNG } PictureKind;

typedef struct Picture {
        const char *subject; /* "profile" or "history" */
        PictureKind kind;
        const char *path;       /* "-": standard output */
        uint64_t width, height; /* 0: the default */
} Picture;

/* Draw what @rows_fd has (read from its place to its end) with the facts in @facts ("KEY=VALUE", see draw/facts.h),
 * and write it to where @p says: whole, or not at all. Returns 0, or @verb->failure after a report. */
int picture_make(const Verb *verb, const Picture *p, int rows_fd, const StrList *facts);

/* ---- picture_options.c ---- */

enum { OPTION_PLOT = 512, OPTION_SVG, OPTION_PNG, OPTION_WIDTH, OPTION_HEIGHT };

/* For a verb's options. */
#define PICTURE_OPTIONS                                                                                              \
        { "plot", required_argument, NULL, OPTION_PLOT }, { "svg", required_argument, NULL, OPTION_SVG },            \
                        { "png", required_argument, NULL, OPTION_PNG },                                              \
                        { "width", required_argument, NULL, OPTION_WIDTH }, {                                        \
                "height", required_argument, NULL, OPTION_HEIGHT                                                     \
        }

/* Take one of them, with optarg. Returns GO_ON, or an exit status after a report. */
int picture_take_option(const Verb *verb, Picture *p, int option);
/* When all were taken. @has_other_form: it is asked for as something else, too. Returns the same. */
int picture_check_options(const Verb *verb, const Picture *p, bool has_other_form);
/* Report that two forms were asked for. Returns the exit status. */
int form_error(const Verb *verb);

/* ---- profile_picture.c ---- */

/* The picture of @q's profile, of which @rows_fd has the rows. Returns as picture_make(). */
int picture_of_profile(const Verb *verb, const Picture *p, PenstockQuery *q, int rows_fd);
