/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* draw/profile_private: the parts of the picture, and where each has its place. */
#pragma once

#include "draw/frame.h"
#include "draw/lane.h"
#include "draw/profile.h"
#include "draw/scale.h"

#define LANE_ROW 17.0

typedef struct Plot {
        const Timeline *t;
        const Facts *f;
        Scene *s;
        Scale x, memory, stall;   /* from microseconds, bytes, and parts of one */
        double lane_bottom, edge; /* right of the graphs, to @edge, stand the names of lines */
        Lane lane;
} Plot;

/* "peak 312M of at most 1G · 3 raises · …". Returns @buf. */
const char *profile_subtitle(const Timeline *t, const Facts *f, char *buf, size_t size);

/* False for "infinity" and for what is not known. */
static inline bool is_limit(uint64_t bytes) {
        return bytes > 0 && bytes != SIZE_INFINITY;
}

/* The most that the memory's axis must show. The query's maximum is within if it is not far above all else. */
double profile_memory_most(const Timeline *t, const Facts *f);
/* The ink of a kind, and the height of the edge above it at a reading; -1: of the lowest kind's lower edge. */
Ink profile_memory_ink(MemoryKind kind);
double profile_memory_edge(const Plot *p, const Reading *r, int kind);
void profile_draw_memory(Plot *p);
/* The names of all that is drawn of memory, and the room that they want beside the graph. */
void profile_draw_names(Plot *p);
double profile_names_width(const Plot *p);
void profile_draw_stall(Plot *p);
void profile_draw_lane(Plot *p);
