/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* unit/draw-kit: a profile's text as a timeline and as a scene, with letters that are all of one width, and what
 * holds of each scene. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/picture_size.h"
#include "draw/profile.h"

typedef struct Kit {
        char *text;
        Csv csv;
        Timeline t;
        Scene s;
} Kit;

static double kit_width(void *userdata, const char *text, double size, Weight weight) {
        size_t n = 0;

        (void) userdata;
        assert_true(utf8_is_valid(text, strlen(text)));
        for (; *text; text++)
                n += ((unsigned char) *text & 0xc0) != 0x80;
        return (double) n * size * (weight == WEIGHT_BOLD ? 0.66 : 0.58);
}

static inline int kit_read(Kit *k, const char *text) {
        int r;

        *k = (Kit) { .text = strdup(text),
                     .s = { .width = PICTURE_WIDTH_DEFAULT,
                            .height = PICTURE_HEIGHT_DEFAULT,
                            .meter = { .width = kit_width } } };
        assert_non_null(k->text);
        r = csv_parse(k->text, &k->csv);
        return r < 0 ? r : timeline_read(&k->csv, &k->t);
}

static inline void kit_done(Kit *k) {
        scene_done(&k->s);
        timeline_done(&k->t);
        csv_done(&k->csv);
        free(k->text);
}

typedef struct Box {
        double x0, y0, x1, y1;
} Box;

/* Where a text is, from its tallest letter to its deepest. */
static inline Box kit_box(const Scene *s, const Shape *text) {
        Spot at = s->spots[text->first];
        double x = at.x;

        if (text->style.align == ALIGN_RIGHT)
                x -= text->width;
        else if (text->style.align == ALIGN_MIDDLE)
                x -= text->width / 2;
        return (Box) { x, at.y - 0.75 * text->style.size, x + text->width, at.y + 0.25 * text->style.size };
}

static inline bool kit_overlap(Box a, Box b) {
        return a.x0 < b.x1 && b.x0 < a.x1 && a.y0 < b.y1 && b.y0 < a.y1;
}

/* Nothing is outside the picture, and no words lie on others. */
static inline void kit_check(const Scene *s) {
        assert_false(s->failed);
        for (size_t i = 0; i < s->n_spots; i++)
                if (s->spots[i].x < -0.5 || s->spots[i].x > s->width + 0.5 || s->spots[i].y < -0.5 ||
                    s->spots[i].y > s->height + 0.5)
                        fail_msg("a spot at %f, %f", s->spots[i].x, s->spots[i].y);
        for (size_t i = 0; i < s->n_shapes; i++) {
                const Shape *a = &s->shapes[i];
                Box box;

                if (a->kind != SHAPE_TEXT)
                        continue;
                box = kit_box(s, a);
                if (box.x0 < -0.5 || box.x1 > s->width + 0.5 || box.y0 < 0 || box.y1 > s->height)
                        fail_msg("'%s' is not all in the picture", a->text);
                for (size_t k = 0; k < i; k++)
                        if (s->shapes[k].kind == SHAPE_TEXT && kit_overlap(box, kit_box(s, &s->shapes[k])))
                                fail_msg("'%s' lies on '%s'", a->text, s->shapes[k].text);
        }
}

/* The picture of @text in @width × @height, checked. */
static inline void kit_draw(Kit *k, const char *text, const Facts *f, unsigned width, unsigned height) {
        assert_int_equal(kit_read(k, text), 0);
        k->s.width = width;
        k->s.height = height;
        profile_draw(&k->t, f, &k->s);
        kit_check(&k->s);
}

/* The text that begins with @start; NULL: there is none. */
static inline const Shape *kit_find(const Scene *s, const char *start) {
        for (size_t i = 0; i < s->n_shapes; i++)
                if (s->shapes[i].kind == SHAPE_TEXT && strncmp(s->shapes[i].text, start, strlen(start)) == 0)
                        return &s->shapes[i];
        return NULL;
}

static inline const Shape *kit_text(const Scene *s, const char *start) {
        const Shape *found = kit_find(s, start);

        if (!found)
                fail_msg("there is no '%s…'", start);
        return found;
}

/* The first shape of @ink that is of @kind; NULL: there is none. */
static inline const Shape *kit_shape(const Scene *s, ShapeKind kind, Ink ink) {
        for (size_t i = 0; i < s->n_shapes; i++)
                if (s->shapes[i].kind == kind && s->shapes[i].ink == ink)
                        return &s->shapes[i];
        return NULL;
}
