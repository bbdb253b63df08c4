/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "draw/profile_private.h"

/* A maximum that is further away than this many times what else is drawn would leave no room for that. */
#define FAR_AWAY 4.0

double profile_memory_most(const Timeline *t, const Facts *f) {
        uint64_t most = is_limit(f->memory_peak_bytes) ? f->memory_peak_bytes : 0;

        for (size_t i = 0; i < t->n_readings; i++) {
                most = MAX(most, reading_sum(&t->readings[i], MEMORY_FILE));
                if (is_limit(t->readings[i].limit_bytes))
                        most = MAX(most, t->readings[i].limit_bytes);
        }
        if (is_limit(f->memory_max_bytes) && (most == 0 || (double) f->memory_max_bytes <= FAR_AWAY * (double) most))
                most = MAX(most, f->memory_max_bytes);
        return most > 0 ? (double) most : (double) MIB;
}

Ink profile_memory_ink(MemoryKind kind) {
        static const Ink inks[_MEMORY_KIND_MAX] = {
                [MEMORY_ANON] = INK_ANON,   [MEMORY_SHMEM] = INK_SHMEM, [MEMORY_KERNEL] = INK_KERNEL,
                [MEMORY_OTHER] = INK_OTHER, [MEMORY_FILE] = INK_FILE,
        };

        return inks[kind];
}

double profile_memory_edge(const Plot *p, const Reading *r, int kind) {
        return scale_at(&p->memory, kind < 0 ? 0 : (double) reading_sum(r, (MemoryKind) kind));
}

static double when(const Plot *p, const Reading *r) {
        return scale_at(&p->x, (double) r->usec);
}

static void draw_area(const Plot *p, MemoryKind kind) {
        const Timeline *t = p->t;
        bool any = false;

        for (size_t i = 0; i < t->n_readings; i++)
                any = any || t->readings[i].bytes[kind] > 0;
        if (!any)
                return;
        for (size_t i = 0; i < t->n_readings; i++)
                scene_spot(p->s, when(p, &t->readings[i]), profile_memory_edge(p, &t->readings[i], (int) kind));
        for (size_t i = t->n_readings; i-- > 0;)
                scene_spot(p->s, when(p, &t->readings[i]), profile_memory_edge(p, &t->readings[i], (int) kind - 1));
        scene_area(p->s, profile_memory_ink(kind));
        for (size_t i = 0; i < t->n_readings; i++)
                scene_spot(p->s, when(p, &t->readings[i]), profile_memory_edge(p, &t->readings[i], (int) kind));
        scene_line(p->s, INK_PAPER, 1, STROKE_SOLID); /* so that areas are told apart in grey, too */
}

/* It holds from its reading to the next one. Where there is none the line is broken. */
static void draw_limit(const Plot *p, Ink ink, double width) {
        const Timeline *t = p->t;
        double y = 0;
        bool open = false;

        for (size_t i = 0; i < t->n_readings; i++) {
                double x = when(p, &t->readings[i]);

                if (open)
                        scene_spot(p->s, x, y);
                if (open && !is_limit(t->readings[i].limit_bytes))
                        scene_line(p->s, ink, width, STROKE_SOLID);
                open = is_limit(t->readings[i].limit_bytes);
                if (!open)
                        continue;
                y = scale_at(&p->memory, (double) t->readings[i].limit_bytes);
                scene_spot(p->s, x, y);
        }
        if (open) {
                scene_spot(p->s, p->x.to, y);
                scene_line(p->s, ink, width, STROKE_SOLID);
        }
}

static void draw_level(const Plot *p, uint64_t bytes, Ink ink, double width, Stroke stroke) {
        double y = scale_at(&p->memory, (double) bytes);

        if (is_limit(bytes) && (double) bytes <= p->memory.most)
                scene_segment(p->s, ink, width, stroke, (Spot) { p->x.from, y }, (Spot) { p->x.to, y });
}

/* Nobody has looked since the last reading. Where the peak was higher than any of them it was most likely there, and the flat area below
 * would say that it was not. No more than the limit then in force, and not where readings were left out or the peak may be that of a run
 * before. */
static void draw_unseen(const Plot *p) {
        static const char words[] = "not looked at";
        const TextStyle style = { .size = TEXT_SIZE, .ink = INK_MUTED, .align = ALIGN_MIDDLE };
        double from = scale_at(&p->x, (double) p->t->seen_usec), to = p->x.to, bottom,
               top, width = scene_width_of(p->s, words, TEXT_SIZE, WEIGHT_NORMAL);
        size_t last = p->t->n_readings - 1;
        uint64_t limit = p->t->readings[last].limit_bytes, most = MIN(p->f->memory_peak_bytes, limit > 0 ? limit : SIZE_INFINITY);

        if (!p->t->has_ended || !p->t->was_looked_at || !is_limit(most) || p->t->thinned > 0 || p->f->retries > 0)
                return;
        for (size_t i = 0; i < p->t->n_readings; i++)
                if (reading_sum(&p->t->readings[i], MEMORY_FILE) >= most)
                        return;
        top = scale_at(&p->memory, (double) most);
        while (last > 0 && p->t->readings[last].usec > p->t->seen_usec)
                last--;
        bottom = profile_memory_edge(p, &p->t->readings[last], MEMORY_FILE);
        if (to - from < 1)
                return;
        scene_box(p->s, INK_UNSEEN, from, top, to, bottom);
        if (to - from > width + 12 && bottom - top > TEXT_LINE + 3)
                scene_text(p->s, (Spot) { (from + to) / 2, (top + bottom) / 2 + TEXT_DROP }, style, width + 1, "%s", words);
}

void profile_draw_memory(Plot *p) {
        draw_unseen(p);
        draw_level(p, p->f->memory_peak_bytes, INK_PEAK, 1.5, STROKE_DOTTED); /* no area is above it */
        for (int kind = 0; kind < _MEMORY_KIND_MAX; kind++)
                draw_area(p, (MemoryKind) kind);
        scene_segment(p->s, INK_MUTED, 1, STROKE_SOLID, (Spot) { p->x.from, p->memory.from },
                      (Spot) { p->x.to, p->memory.from });
        draw_level(p, p->f->memory_max_bytes, INK_MAXIMUM, 1.5, STROKE_DASHED);
        draw_limit(p, INK_PAPER, 4.5); /* on dark areas, too */
        draw_limit(p, INK_LIMIT, 2);
}
