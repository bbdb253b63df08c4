/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rows that penstock-draw reads, as a profile and as a history: ctl/csv, src/draw, and cairo with what these made of
 * it. The first bytes choose the size and what is known beside the rows. */
#include "fuzz.h"

#include "ctl/picture_size.h"
#include "draw/history.h"
#include "draw/paint.h"
#include "draw/profile.h"

/* A letter more or less is no overlap that one would see. */
#define SLACK 1.0

typedef struct Box {
        double x0, y0, x1, y1;
} Box;

static Box box_of(const Scene *s, const Shape *text) {
        Spot at = s->spots[text->first];
        double x = at.x - (text->style.align == ALIGN_RIGHT    ? text->width
                           : text->style.align == ALIGN_MIDDLE ? text->width / 2
                                                               : 0);

        return (Box) { x, at.y - 0.75 * text->style.size, x + text->width, at.y + 0.25 * text->style.size };
}

static void check(const Scene *s) {
        PROMISE(!s->failed, "memory");
        for (size_t i = 0; i < s->n_spots; i++)
                PROMISE(s->spots[i].x >= -SLACK && s->spots[i].x <= s->width + SLACK && s->spots[i].y >= -SLACK &&
                                        s->spots[i].y <= s->height + SLACK,
                        "a spot at %f, %f of %f × %f", s->spots[i].x, s->spots[i].y, s->width, s->height);
        for (size_t i = 0; i < s->n_shapes; i++) {
                const Shape *text = &s->shapes[i];
                Box a, b;

                if (text->kind != SHAPE_TEXT)
                        continue;
                a = box_of(s, text);
                PROMISE(utf8_is_valid(text->text, strlen(text->text)), "no text");
                PROMISE(a.x0 >= -SLACK && a.x1 <= s->width + SLACK, "'%s' is not all in the picture", text->text);
                for (size_t k = 0; k < i; k++) {
                        if (s->shapes[k].kind != SHAPE_TEXT)
                                continue;
                        b = box_of(s, &s->shapes[k]);
                        PROMISE(a.x0 + SLACK > b.x1 || b.x0 + SLACK > a.x1 || a.y0 > b.y1 || b.y0 > a.y1,
                                "'%s' lies on '%s'", text->text, s->shapes[k].text);
                }
        }
}

/* @description was written by @words, and is freed. */
static void paint(Scene *s, const char *title, FILE *words, char **description, size_t *len) {
        FILE *nowhere = fopen("/dev/null", "we");

        if (!nowhere || fclose(words) != 0)
                abort();
        check(s);
        PROMISE(utf8_is_valid(title, strlen(title)), "a title that is no text");
        PROMISE(utf8_is_valid(*description, *len), "a description that is no text");
        if (s->width < PICTURE_WIDTH_MIN + 16) { /* drawing takes most of the time, and is the same in all sizes */
                PROMISE(paint_svg(s, title, *description, nowhere) == 0, "no SVG");
                PROMISE(paint_png(s, nowhere) == 0, "no PNG");
        }
        fclose(nowhere);
        free(*description);
        scene_done(s);
}

static void draw(const Csv *csv, const Facts *f, const Chosen *c, Scene s) {
        Scene profile = s, history = s;
        char *description = NULL, title[256];
        Timeline t;
        size_t len;
        FILE *words;
        Past p;

        if (timeline_read(csv, &t) == 0) {
                words = open_memstream(&description, &len);
                profile_draw(&t, f, &profile);
                profile_describe(&t, f, words);
                paint(&profile, profile_title(&t, f, title, sizeof(title)), words, &description, &len);
                timeline_done(&t);
        }
        if (past_read(csv, &p) == 0) {
                words = open_memstream(&description, &len);
                history_draw(&p, c, &history);
                history_describe(&p, c, words);
                paint(&history, history_title(&p, c, title, sizeof(title)), words, &description, &len);
                past_done(&p);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static Painter *painter;
        Bytes b = { data, size };
        unsigned width = PICTURE_WIDTH_MIN +
                         (unsigned) (bytes_number(&b, 2) % (PICTURE_SIDE_MAX - PICTURE_WIDTH_MIN + 1));
        unsigned height = PICTURE_HEIGHT_MIN +
                          (unsigned) (bytes_number(&b, 2) % (PICTURE_SIDE_MAX - PICTURE_HEIGHT_MIN + 1));
        char *language = bytes_string(&b, 64), *verdict = bytes_string(&b, 64), *text;
        Facts f = FACTS_NONE;
        Csv csv;

        if (!painter)
                painter = painter_new();
        f.language = language;
        f.verdict = verdict;
        f.error = verdict[0] & 1 ? "MemoryLimitExceeded" : "";
        f.memory_max_bytes = bytes_number(&b, 8);
        f.memory_peak_bytes = bytes_number(&b, 8);
        f.execute_usec = bytes_number(&b, 8);
        text = bytes_text(b.p, b.n);
        if (csv_parse(text, &csv) == 0) {
                draw(&csv, &f, &(Chosen) { .filters = language, .is_cut = verdict[0] & 1 },
                     (Scene) { .width = width, .height = height, .meter = painter_meter(painter) });
                csv_done(&csv);
        }
        free(text);
        free(language);
        free(verdict);
        return 0;
}
