/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "draw/scene.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define TEXT_BYTES_MAX 512u
/* Far enough to be out of sight, and near enough for the fixed point numbers of those who draw. */
#define FAR 10000.0

static const char ellipsis[] = "\xe2\x80\xa6";

void scene_done(Scene *s) {
        for (size_t i = 0; i < s->n_shapes; i++)
                free(s->shapes[i].text);
        free(s->shapes);
        free(s->spots);
        *s = (Scene) {};
}

/* Room for one more of @size bytes in *@array. */
static bool grow(Scene *s, void *array, size_t n, size_t *allocated, size_t size) {
        size_t wanted = MAX(2 * n, (size_t) 64);
        void *p;

        if (n < *allocated)
                return true;
        p = reallocarray(*(void **) array, wanted, size);
        if (!p) {
                s->failed = true;
                return false;
        }
        *(void **) array = p;
        *allocated = wanted;
        return true;
}

static double bounded(double v) {
        return isnan(v) ? 0 : MIN(MAX(v, -FAR), FAR);
}

void scene_spot(Scene *s, double x, double y) {
        if (grow(s, &s->spots, s->n_spots, &s->spots_allocated, sizeof(*s->spots)))
                s->spots[s->n_spots++] = (Spot) { bounded(x), bounded(y) };
}

/* Of the spots that no shape has yet. Takes over its text. */
static void add(Scene *s, Shape shape) {
        const Shape *last = s->n_shapes > 0 ? &s->shapes[s->n_shapes - 1] : NULL;

        shape.first = last ? last->first + last->n : 0;
        shape.n = s->n_spots - shape.first;
        if (shape.n == 0 || !grow(s, &s->shapes, s->n_shapes, &s->shapes_allocated, sizeof(*s->shapes))) {
                s->n_spots = shape.first;
                free(shape.text);
                return;
        }
        s->shapes[s->n_shapes++] = shape;
}

void scene_area(Scene *s, Ink ink) {
        add(s, (Shape) { .kind = SHAPE_AREA, .ink = ink });
}

void scene_line(Scene *s, Ink ink, double width, Stroke stroke) {
        add(s, (Shape) { .kind = SHAPE_LINE, .ink = ink, .width = width, .stroke = stroke });
}

void scene_box(Scene *s, Ink ink, double x0, double y0, double x1, double y1) {
        scene_spot(s, x0, y0);
        scene_spot(s, x1, y0);
        scene_spot(s, x1, y1);
        scene_spot(s, x0, y1);
        scene_area(s, ink);
}

void scene_segment(Scene *s, Ink ink, double width, Stroke stroke, Spot from, Spot to) {
        scene_spot(s, from.x, from.y);
        scene_spot(s, to.x, to.y);
        scene_line(s, ink, width, stroke);
}

double scene_width_of(const Scene *s, const char *text, double size, Weight weight) {
        return s->meter.width(s->meter.userdata, text, size, weight);
}

static bool is_continuation(char c) {
        return ((unsigned char) c & 0xc0) == 0x80;
}

/* Shorten @text, which has room for it, until it fits. False: nothing does. */
static bool cut(const Scene *s, char *text, const TextStyle *style, double max_width, double *ret_width) {
        size_t len = strlen(text);

        *ret_width = scene_width_of(s, text, style->size, style->weight);
        while (*ret_width > max_width) {
                if (len == 0)
                        return false;
                do
                        len--;
                while (len > 0 && (is_continuation(text[len]) || text[len - 1] == ' '));
                memcpy(text + len, ellipsis, sizeof(ellipsis));
                *ret_width = scene_width_of(s, text, style->size, style->weight);
        }
        return true;
}

double scene_text(Scene *s, Spot at, TextStyle style, double max_width, const char *format, ...) {
        char text[TEXT_BYTES_MAX + sizeof(ellipsis)];
        double width;
        va_list ap;
        char *copy;

        va_start(ap, format);
        vsnprintf(text, TEXT_BYTES_MAX, format, ap);
        va_end(ap);
        if (!cut(s, text_make_safe(text), &style, max_width, &width))
                return 0;
        copy = strdup(text);
        if (!copy) {
                s->failed = true;
                return 0;
        }
        scene_spot(s, at.x, at.y);
        add(s, (Shape) { .kind = SHAPE_TEXT, .ink = style.ink, .style = style, .text = copy, .width = width });
        return width;
}

/* Of a whole character: a control character. What else XML refuses is none. */
static bool is_unfit(const unsigned char *p) {
        return p[0] < ' ' || p[0] == 0x7f || (p[0] == 0xc2 && p[1] < 0xa0);
}

char *text_make_safe(char *text) {
        size_t n;

        for (char *p = text, *end = text + strlen(text); p < end; p += MAX(n, 1u)) {
                n = utf8_char_length(p, (size_t) (end - p));
                if (n == 0 || is_unfit((const unsigned char *) p))
                        memset(p, '?', MAX(n, 1u));
        }
        return text;
}
