/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* draw/history_private: the parts of the picture, and where each has its place. */
#pragma once

#include "draw/calendar.h"
#include "draw/frame.h"
#include "draw/history.h"
#include "draw/magnitude.h"

#define HEADING 27.0 /* above each graph */
#define LEADER 10.0  /* from a graph to the names of its lines */

typedef struct Panel {
        double top, bottom;
} Panel;

typedef struct HistoryPlot {
        const Past *past;
        const Chosen *chosen;
        Scene *s;
        Calendar x;
        Panel memory, held, waited, ran; /* held has no height where there is no room for it */
        double edge;                     /* right of the graphs, to @edge, stand the names of lines */
        unsigned most_piled;             /* for how many a mark stands at the most */
} HistoryPlot;

/* ---- history_words.c ---- */

/* When these were, and how they were chosen. Returns @buf. */
const char *history_subtitle(const Past *p, const Chosen *c, char *buf, size_t size);
/* From the start of the first one, where that is not far away, to the last end. */
void history_span(const Past *p, Calendar *ret);
/* "1,234". Returns @buf. */
#define COUNT_TEXT_MAX 32u
const char *count_text(uint64_t n, char buf[static COUNT_TEXT_MAX]);

/* ---- history_marks.c ---- */

/* What a graph of marks shows of a query; 0: there is nothing to show. */
typedef double (*ValueOf)(const Ended *e);

typedef struct Values {
        double least, most, median;
        size_t n;
} Values;

/* Those of all queries that have one. Out of memory: the scene fails, and there are none. */
Values values_look(const HistoryPlot *p, ValueOf value);
/* Raises @p's most_piled. */
void history_draw_marks(HistoryPlot *p, const Magnitude *y, ValueOf value);
/* Of what form and ink one is; @at is the middle, and @size what it has to each side. */
void history_mark(Scene *s, Outcome outcome, Spot at, double size);

/* ---- history_labels.c ---- */

/* The IDs of some, where they lie on nothing. */
void history_draw_labels(const HistoryPlot *p, const Magnitude *y, ValueOf value);

/* ---- history_panels.c ---- */

void history_draw_panels(HistoryPlot *p);
/* Bold words above a graph. Returns where they end. */
double history_heading(const HistoryPlot *p, const Panel *panel, const char *words);
/* A value's line across the graph, with its label before it. */
void history_level(const HistoryPlot *p, double y, bool is_base, const char *label);
/* Words beside the graph at the height of what they name. */
void history_name(const HistoryPlot *p, const Panel *panel, double y, const char *format, ...) PRINTF_LIKE(4, 5);

/* ---- history_held.c ---- */

void history_draw_held(HistoryPlot *p);
