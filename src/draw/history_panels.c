/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include <stdarg.h>

#include "ctl/format.h"
#include "draw/history_private.h"

#define TICK_PIXELS 26.0 /* between labels of values */
#define MARK_SIZE 3.5    /* of those beside their words */

static double peak_of(const Ended *e) {
        return e->started_usec > 0 && e->peak_bytes != SIZE_INFINITY ? (double) e->peak_bytes : 0;
}

/* Not to have waited is worth a mark. */
static double wait_of(const Ended *e) {
        return (double) MAX(e->queue_usec, UINT64_C(1));
}

static double run_of(const Ended *e) {
        return e->started_usec > 0 ? (double) MAX(e->execute_usec, UINT64_C(1)) : 0;
}

double history_heading(const HistoryPlot *p, const Panel *panel, const char *words) {
        TextStyle style = { .size = TEXT_SIZE, .ink = INK_TEXT, .weight = WEIGHT_BOLD };

        return p->x.from + 12 +
               scene_text(p->s, (Spot) { p->x.from, panel->top - 9 }, style, p->edge - p->x.from, "%s", words);
}

void history_level(const HistoryPlot *p, double y, bool is_base, const char *label) {
        TextStyle style = { .size = TEXT_SIZE, .ink = INK_MUTED, .align = ALIGN_RIGHT };

        scene_segment(p->s, is_base ? INK_MUTED : INK_GRID, 1, STROKE_SOLID, (Spot) { p->x.from, y },
                      (Spot) { p->x.to, y });
        scene_text(p->s, (Spot) { p->x.from - 8, y + TEXT_DROP }, style, p->x.from - 8, "%s", label);
}

void history_name(const HistoryPlot *p, const Panel *panel, double y, const char *format, ...) {
        TextStyle style = { .size = TEXT_SIZE, .ink = INK_MUTED };
        double x = p->x.to + LEADER;
        char text[64];
        va_list ap;

        va_start(ap, format);
        vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        y = MIN(MAX(y, panel->top), panel->bottom);
        scene_text(p->s, (Spot) { x, y + TEXT_DROP }, style, p->edge - x, "%s", text);
}

static size_t ticks_wanted(const Panel *panel) {
        return (size_t) MIN(MAX((panel->bottom - panel->top) / TICK_PIXELS, 2), TICKS_MAX - 2);
}

/* Where lines are too near for the labels of all, the lower ones have theirs. */
static void draw_levels(const HistoryPlot *p, const Panel *panel, const Magnitude *y, const Ticks *ticks,
                        bool is_cut) {
        char label[TICK_LABEL_MAX + 4];
        double last = INFINITY;
        bool is_based = false;

        for (size_t i = 0; i < ticks->n; i++) {
                double at = magnitude_at(y, ticks->at[i]);
                bool is_base = ticks->at[i] <= y->least;

                is_based = is_based || is_base;
                snprintf(label, sizeof(label), "%s%s", is_base && is_cut ? "\xe2\x89\xa4" : "", ticks->label[i]);
                history_level(p, at, is_base, last - at >= TEXT_SIZE + 1 ? label : "");
                if (last - at >= TEXT_SIZE + 1)
                        last = at;
        }
        if (!is_based)
                scene_segment(p->s, INK_MUTED, 1, STROKE_SOLID, (Spot) { p->x.from, panel->bottom },
                              (Spot) { p->x.to, panel->bottom });
}

/* A wait that was none is drawn as the least that there is. */
static const char *wait_in_words(uint64_t usec, char buf[static TEXT_MAX]) {
        return usec <= 1 ? "none" : format_duration(usec, buf);
}

/* "median 64M" beside a dotted line, and the most, where both have room. */
static void name_values(const HistoryPlot *p, const Panel *panel, const Magnitude *y, const Values *v,
                        const char *(*format)(uint64_t v, char buf[static TEXT_MAX])) {
        double median = magnitude_at(y, v->median), most = magnitude_at(y, v->most);
        char buf[TEXT_MAX];

        if (v->n < 2 || p->x.to + LEADER >= p->edge)
                return;
        scene_segment(p->s, INK_MUTED, 1, STROKE_DOTTED, (Spot) { p->x.from, median }, (Spot) { p->x.to, median });
        history_name(p, panel, median, "median %s", format((uint64_t) v->median, buf));
        if (median - most >= TEXT_LINE)
                history_name(p, panel, most, "most %s", format((uint64_t) v->most, buf));
}

/* The words of all marks, with how many there are of each where there is the room. */
static void draw_outcomes(const HistoryPlot *p, double x, bool narrow) {
        TextStyle style = { .size = TEXT_SIZE, .ink = INK_TEXT };
        double y = p->memory.top - 9 - TEXT_DROP;
        char text[64], count[COUNT_TEXT_MAX];

        for (int k = 0; k < _OUTCOME_MAX; k++) {
                double width;

                if (p->past->counts[k] == 0)
                        continue;
                snprintf(text, sizeof(text), "%s%s%s", narrow ? "" : count_text(p->past->counts[k], count),
                         narrow ? "" : " ", outcome_in_words((Outcome) k));
                width = scene_width_of(p->s, text, TEXT_SIZE, WEIGHT_NORMAL);
                history_mark(p->s, (Outcome) k, (Spot) { x + 4, y }, MARK_SIZE);
                scene_text(p->s, (Spot) { x + 12, y + TEXT_DROP }, style, p->edge - x - 12, "%s", text);
                x += 12 + width + (narrow ? 8 : 14);
        }
}

static void head_memory(const HistoryPlot *p) {
        bool narrow = p->s->width < NARROW;
        Panel above = { .top = p->memory.top - TEXT_LINE };

        if (narrow)
                (void) history_heading(p, &above, "Peak memory of each");
        draw_outcomes(p, narrow ? MARGIN : history_heading(p, &p->memory, "Peak memory of each"), narrow);
}

static void draw_memory(HistoryPlot *p) {
        Magnitude y = { .from = p->memory.bottom, .to = p->memory.top };
        Values v = values_look(p, peak_of);
        Ticks ticks;

        head_memory(p);
        magnitude_bytes(&y, v.n > 0 ? v.least : (double) MIB, v.n > 0 ? v.most : (double) GIB);
        magnitude_ticks_bytes(&y, ticks_wanted(&p->memory), &ticks);
        draw_levels(p, &p->memory, &y, &ticks, v.n > 0 && v.least < y.least);
        name_values(p, &p->memory, &y, &v, format_size);
        history_draw_marks(p, &y, peak_of);
        history_draw_labels(p, &y, peak_of);
}

static void draw_times(HistoryPlot *p, const Panel *panel, const char *words, ValueOf value) {
        Magnitude y = { .from = panel->bottom, .to = panel->top };
        Values v = values_look(p, value);
        Ticks ticks;

        (void) history_heading(p, panel, words);
        magnitude_time(&y, v.least, v.most);
        magnitude_ticks_time(&y, ticks_wanted(panel), &ticks);
        draw_levels(p, panel, &y, &ticks, v.n > 0 && v.least < y.least);
        name_values(p, panel, &y, &v, wait_in_words);
        history_draw_marks(p, &y, value);
}

static bool has_room(const Panel *panel) {
        return panel->bottom > panel->top;
}

static void draw_days(const HistoryPlot *p) {
        const Panel *panels[] = { &p->memory, &p->held, &p->waited, &p->ran };
        TextStyle style = { .size = TEXT_SIZE, .ink = INK_MUTED, .align = ALIGN_MIDDLE };
        Ticks ticks;

        calendar_ticks(&p->x, (size_t) MAX((p->x.to - p->x.from) / 80, 2), &ticks);
        for (size_t i = 0; i < ticks.n; i++) {
                double x = calendar_at(&p->x, ticks.at[i]);
                double half = scene_width_of(p->s, ticks.label[i], TEXT_SIZE, WEIGHT_NORMAL) / 2;

                for (size_t k = 0; k < ELEMENTSOF(panels); k++)
                        if (has_room(panels[k]))
                                scene_segment(p->s, INK_GRID, 1, STROKE_SOLID, (Spot) { x, panels[k]->top },
                                              (Spot) { x, panels[k]->bottom });
                if (x + half < p->s->width)
                        scene_text(p->s, (Spot) { x, p->ran.bottom + TEXT_LINE + 1 }, style, 100, "%s",
                                   ticks.label[i]);
        }
}

void history_draw_panels(HistoryPlot *p) {
        draw_days(p);
        draw_memory(p);
        if (has_room(&p->held))
                history_draw_held(p);
        draw_times(p, &p->waited, "Waited for a slot", wait_of);
        draw_times(p, &p->ran, "Ran", run_of);
}
