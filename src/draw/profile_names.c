/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include <stdarg.h>

#include "ctl/format.h"
#include "ctl/picture_size.h"
#include "draw/labels.h"
#include "draw/profile_private.h"

#define STEP 4.0 /* pixels between the places where an area is looked at for its name */
#define PLACES_MAX (PICTURE_SIDE_MAX / 4 + 1)
#define NAMES_MAX (3u + _MEMORY_KIND_MAX)
#define SEEN 1.0    /* pixels: what is thinner is no area */
#define LEADER 12.0 /* from the graph to the names */
#define SWATCH 13.0 /* before the name of an area, with its gap */

typedef enum NameOf { NAME_OF_LINE, NAME_OF_AREA, NAME_OF_NOTHING } NameOf;

/* What is named beside the graph, at the height of what it names. */
typedef struct Name {
        double y;
        Ink ink;
        NameOf of;
        char text[64];
} Name;

typedef struct Names {
        Name v[NAMES_MAX]; /* from the top down */
        size_t n;
} Names;

PRINTF_LIKE(5, 6) static void add_name(Names *names, NameOf of, Ink ink, double y, const char *format, ...) {
        Name name = { .y = y, .ink = ink, .of = of };
        size_t at = names->n++;
        va_list ap;

        va_start(ap, format);
        vsnprintf(name.text, sizeof(name.text), format, ap);
        va_end(ap);
        for (; at > 0 && names->v[at - 1].y > name.y; at--)
                names->v[at] = names->v[at - 1];
        names->v[at] = name;
}

static void add_area_name(const Plot *p, MemoryKind kind, double y, Names *names) {
        const char *words = memory_kind_in_words(kind, p->t->has_kinds);
        char buf[TEXT_MAX];
        uint64_t most = 0;

        for (size_t i = 0; i < p->t->n_readings; i++)
                most = MAX(most, p->t->readings[i].bytes[kind]);
        if (p->s->width < NARROW)
                add_name(names, NAME_OF_AREA, profile_memory_ink(kind), y, "%s", words);
        else
                add_name(names, NAME_OF_AREA, profile_memory_ink(kind), y, "%s, up to %s", words,
                         format_size(most, buf));
}

static void add_line_names(const Plot *p, Names *names) {
        uint64_t limit = p->t->readings[p->t->n_readings - 1].limit_bytes, maximum = p->f->memory_max_bytes;
        uint64_t peak = p->f->memory_peak_bytes;
        char buf[TEXT_MAX];

        if (is_limit(limit))
                add_name(names, NAME_OF_LINE, INK_LIMIT, scale_at(&p->memory, (double) limit), "limit%s %s",
                         limit == maximum ? ", maximum" : "", format_size(limit, buf));
        if (is_limit(maximum) && maximum != limit && (double) maximum <= p->memory.most)
                add_name(names, NAME_OF_LINE, INK_MAXIMUM, scale_at(&p->memory, (double) maximum), "maximum %s",
                         format_size(maximum, buf));
        else if (is_limit(maximum) && maximum != limit)
                add_name(names, NAME_OF_NOTHING, INK_MAXIMUM, p->memory.to, "\xe2\x86\x91 maximum %s",
                         format_size(maximum, buf));
        if (is_limit(peak))
                add_name(names, NAME_OF_LINE, INK_PEAK, scale_at(&p->memory, (double) peak), "peak %s",
                         format_size(peak, buf));
}

double profile_names_width(const Plot *p) {
        Names names = {};
        double width = 0;

        add_line_names(p, &names);
        for (int kind = 0; kind < _MEMORY_KIND_MAX; kind++)
                add_area_name(p, (MemoryKind) kind, 0, &names);
        for (size_t i = 0; i < names.n; i++)
                width = MAX(width, scene_width_of(p->s, names.v[i].text, TEXT_SIZE, WEIGHT_NORMAL) +
                                                   (names.v[i].of == NAME_OF_AREA ? SWATCH : 0));
        return LEADER + width + LEADER;
}

/* The height of the edge above @kind at each step along the graph. */
static void look_along(const Plot *p, int kind, size_t n, double y[]) {
        const Reading *r = p->t->readings;
        size_t at = 0;

        for (size_t i = 0; i < n; i++) {
                double usec = p->x.most * (double) i * STEP / (p->x.to - p->x.from), from, to, part;

                while (at + 1 < p->t->n_readings && (double) r[at + 1].usec <= usec)
                        at++;
                from = (double) r[at].usec;
                y[i] = profile_memory_edge(p, &r[at], kind);
                if (usec < from || (at + 1 == p->t->n_readings && usec > from))
                        y[i] = p->memory.from; /* nothing is drawn before the first one and behind the last */
                if (usec <= from || at + 1 == p->t->n_readings)
                        continue;
                to = (double) r[at + 1].usec;
                part = (usec - from) / (to - from);
                y[i] += (profile_memory_edge(p, &r[at + 1], kind) - y[i]) * part;
        }
}

/* The middle of its area where it can last be seen. False: it is nowhere. */
static bool last_seen(const Plot *p, MemoryKind kind, double *ret_y) {
        /* What was left at the end was there for no time. */
        for (size_t i = p->t->n_readings - (p->t->has_ended ? 1 : 0); i-- > 0;) {
                const Reading *r = &p->t->readings[i];
                double top = profile_memory_edge(p, r, (int) kind),
                       bottom = profile_memory_edge(p, r, (int) kind - 1);

                *ret_y = (top + bottom) / 2;
                if (bottom - top >= SEEN)
                        return true;
        }
        return false;
}

/* Within its area if that has the room, else beside the graph, where it also says how much it is. */
static void name_area(const Plot *p, MemoryKind kind, Names *names) {
        static double lower[PLACES_MAX], upper[PLACES_MAX];
        Strip strip = { .upper = upper, .lower = lower, .step = STEP };
        const char *words = memory_kind_in_words(kind, p->t->has_kinds);
        double width = scene_width_of(p->s, words, TEXT_SIZE, WEIGHT_NORMAL), x, y;
        bool is_dark = kind == MEMORY_ANON || kind == MEMORY_SHMEM;
        TextStyle style = { .size = TEXT_SIZE, .ink = is_dark ? INK_PAPER : INK_TEXT, .align = ALIGN_MIDDLE };

        strip.n = MIN((size_t) ((p->x.to - p->x.from) / STEP), PLACES_MAX);
        look_along(p, (int) kind - 1, strip.n, lower);
        look_along(p, (int) kind, strip.n, upper);
        if (label_in_strip(&strip, width + 12, TEXT_LINE + 3, &x, &y))
                scene_text(p->s, (Spot) { p->x.from + x, y + TEXT_DROP }, style, width + 1, "%s", words);
        else if (last_seen(p, kind, &y))
                add_area_name(p, kind, y, names);
}

/* Where there is not the room for all, those go without which one knows most. */
static void drop_names(Names *names, size_t n_max) {
        static const Ink first[] = { INK_OTHER, INK_KERNEL, INK_SHMEM, INK_FILE, INK_ANON, INK_PEAK, INK_MAXIMUM };

        for (size_t k = 0; k < ELEMENTSOF(first) && names->n > n_max; k++)
                for (size_t i = 0; i < names->n; i++)
                        if (names->v[i].ink == first[k]) {
                                names->n--;
                                for (; i < names->n; i++)
                                        names->v[i] = names->v[i + 1];
                        }
}

/* Where a name had to make room for others, a thin line leads to it. */
static void draw_name(const Plot *p, const Name *name, double y) {
        double x = p->x.to + LEADER;
        TextStyle style = { .size = TEXT_SIZE, .ink = name->ink };

        if (name->of == NAME_OF_LINE && fabs(y - name->y) > TEXT_DROP)
                scene_segment(p->s, INK_MUTED, 0.75, STROKE_SOLID, (Spot) { p->x.to + 1, name->y },
                              (Spot) { x - 3, y });
        if (name->of == NAME_OF_AREA) {
                scene_box(p->s, name->ink, x, y - 4.5, x + 9, y + 4.5);
                x += SWATCH;
                style.ink = INK_TEXT;
        }
        scene_text(p->s, (Spot) { x, y + TEXT_DROP }, style, p->edge - x, "%s", name->text);
}

/* In the middle of the largest free space between the lines that have names. */
static void say_that_nothing_is_known(const Plot *p, const Names *names) {
        TextStyle style = { .size = TEXT_SIZE, .ink = INK_MUTED, .align = ALIGN_MIDDLE };
        double from = p->memory.to, middle = (p->x.from + p->x.to) / 2, best = 0, y = 0, to, half;
        char text[96];

        for (size_t i = 0; i <= names->n; from = to, i++) {
                to = i < names->n ? names->v[i].y : p->memory.from;
                if (to - from <= best)
                        continue;
                best = to - from;
                y = (from + to) / 2;
        }
        snprintf(text, sizeof(text), "It %s near its limit%s", p->t->has_ended ? "never came" : "has not come",
                 p->s->width < NARROW ? "" : ", so that what it used was not looked at");
        half = MIN(scene_width_of(p->s, text, TEXT_SIZE, WEIGHT_NORMAL) / 2 + 6, (p->x.to - p->x.from) / 2);
        scene_box(p->s, INK_PAPER, middle - half, y - TEXT_LINE / 2, middle + half, y + TEXT_LINE / 2);
        scene_text(p->s, (Spot) { middle, y + TEXT_DROP }, style, 2 * half, "%s", text);
}

void profile_draw_names(Plot *p) {
        double at[NAMES_MAX];
        Names names = {};

        add_line_names(p, &names);
        for (int kind = 0; kind < _MEMORY_KIND_MAX; kind++)
                name_area(p, (MemoryKind) kind, &names);
        if (!p->t->was_looked_at)
                say_that_nothing_is_known(p, &names);
        drop_names(&names, (size_t) ((p->memory.from - p->memory.to) / TEXT_LINE));
        for (size_t i = 0; i < names.n; i++)
                at[i] = names.v[i].y;
        labels_spread(at, names.n, TEXT_LINE, p->memory.to + TEXT_LINE / 2, p->memory.from - TEXT_LINE / 2);
        for (size_t i = 0; i < names.n; i++)
                draw_name(p, &names.v[i], at[i]);
}
