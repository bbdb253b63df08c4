/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* draw/lane: the strip above a graph that says what happened when. Each happening has a mark at its time, and a stem
 * down to the graph; marks have their words beside them where there is room, and where there is none, marks that are
 * near each other share words with their number. Pure. Invariant: no words lie on other words, on a mark, or in the
 * way of a stem. */
#pragma once

#include "draw/scale.h"
#include "draw/scene.h"
#include "draw/words.h"

#define LANE_GROUPS_MAX 48u
#define LANE_ROWS_MAX 3u

/* Happenings that share a row and words. */
typedef struct LaneGroup {
        size_t first, n;       /* which happenings */
        double mark_0, mark_1; /* where the first and the last of their marks are */
        double text_0, text_1; /* where the words are; they stand to the left or the right of the marks */
        unsigned row;          /* 0 is next to the graph */
        char text[WORDS_MAX];
} LaneGroup;

typedef struct Lane {
        LaneGroup groups[LANE_GROUPS_MAX];
        size_t n_groups;
        unsigned n_rows; /* in use */
} Lane;

typedef struct LaneRoom {
        double left, right; /* words stay within */
        double size;        /* of the letters */
        unsigned n_rows;    /* at most, from 1 to LANE_ROWS_MAX */
} LaneRoom;

/* How far a mark reaches to each side of its time. */
#define LANE_MARK_HALF 4.0

/* Where the happenings of @t go, with @x from microseconds to pixels. @scene is for measuring alone. */
void lane_place(const Timeline *t, const Scale *x, const LaneRoom *room, const Scene *scene, Lane *ret);
