/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "draw/paint.h"

#include <cairo-svg.h>
#include <errno.h>
#include <math.h>
#include <string.h>

/* Those of Okabe and Ito, which are told apart with any kind of colour blindness; neighbours differ in lightness too,
 * so that they are in print. */
static const unsigned colours[_INK_MAX] = {
        [INK_PAPER] = 0xffffff,          [INK_TEXT] = 0x222222,     [INK_MUTED] = 0x666666,
        [INK_GRID] = 0xe6e6e6,           [INK_LIMIT] = 0x111111,    [INK_MAXIMUM] = 0xc04a00,
        [INK_PEAK] = 0x555555,           [INK_FROZEN] = 0xe3e8f4,   [INK_FROZEN_TEXT] = 0x4a5fa5,
        [INK_ANON] = 0x0072b2,           [INK_SHMEM] = 0x009e73,    [INK_KERNEL] = 0xe0a3c4,
        [INK_OTHER] = 0xc4c4c4,          [INK_FILE] = 0xb5dcf5,     [INK_UNSEEN] = 0xd9e8f2,
        [INK_STALL_SOME] = 0xe69f00,     [INK_STALL_FULL] = 0x8f4700,
        [INK_FINISHED] = 0x3a96d4,       [INK_FINISHED_MANY] = 0x005f9e,
        [INK_FINISHED_CROWD] = 0x002a47, [INK_CANCELED] = 0x666666, [INK_ERRORED] = 0xe69f00,
        [INK_NO_MEMORY] = 0xb03000,      [INK_QUOTAS] = 0xb5dcf5,   [INK_PEAKS] = 0x0072b2,
};

struct Painter {
        cairo_surface_t *surface;
        cairo_t *cr;
};

static int to_errno(cairo_status_t status) {
        switch (status) {
        case CAIRO_STATUS_SUCCESS: return 0;
        case CAIRO_STATUS_NO_MEMORY: return -ENOMEM;
        case CAIRO_STATUS_WRITE_ERROR: return -EIO;
        default: return -EINVAL;
        }
}

/* Hinting would make words as wide as the pixels of a screen want them, and so differ between SVG and PNG. */
static void set_font(cairo_t *cr, double size, Weight weight) {
        cairo_select_font_face(cr, "sans-serif", CAIRO_FONT_SLANT_NORMAL,
                               weight == WEIGHT_BOLD ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
        cairo_set_font_size(cr, size);
}

static cairo_t *context_new(cairo_surface_t *surface) {
        cairo_font_options_t *options = cairo_font_options_create();
        cairo_t *cr = cairo_create(surface);

        cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_OFF);
        cairo_font_options_set_antialias(options, CAIRO_ANTIALIAS_GRAY);
        cairo_set_font_options(cr, options);
        cairo_font_options_destroy(options);
        return cr;
}

static double measure(void *userdata, const char *text, double size, Weight weight) {
        cairo_text_extents_t extents;
        Painter *p = userdata;

        set_font(p->cr, size, weight);
        cairo_text_extents(p->cr, text, &extents);
        return extents.x_advance;
}

Painter *painter_new(void) {
        Painter *p = malloc(sizeof(*p));

        if (!p)
                return NULL;
        p->surface = cairo_image_surface_create(CAIRO_FORMAT_A8, 1, 1);
        p->cr = context_new(p->surface);
        return p;
}

void painter_free(Painter *p) {
        if (!p)
                return;
        cairo_destroy(p->cr);
        cairo_surface_destroy(p->surface);
        free(p);
}

TextMeter painter_meter(Painter *p) {
        return (TextMeter) { .width = measure, .userdata = p };
}

static void set_ink(cairo_t *cr, Ink ink) {
        unsigned c = colours[ink];

        cairo_set_source_rgb(cr, (c >> 16) / 255.0, (c >> 8 & 0xff) / 255.0, (c & 0xff) / 255.0);
}

/* A line of odd width that lies between two rows of pixels would be two pale ones. */
static double crisp(double v, double width) {
        return width <= 1 ? floor(v) + 0.5 : v;
}

static void trace(cairo_t *cr, const Scene *s, const Shape *shape, double width) {
        const Spot *v = s->spots + shape->first;
        bool upright = shape->n == 2 && (v[0].x == v[1].x || v[0].y == v[1].y);

        for (size_t i = 0; i < shape->n; i++)
                cairo_line_to(cr, upright ? crisp(v[i].x, width) : v[i].x, upright ? crisp(v[i].y, width) : v[i].y);
}

static void paint_line(cairo_t *cr, const Scene *s, const Shape *shape) {
        static const double dashes[] = { 7, 4 }, dots[] = { 1.5, 3 };

        cairo_set_line_width(cr, shape->width);
        cairo_set_line_join(cr, CAIRO_LINE_JOIN_MITER);
        if (shape->stroke == STROKE_SOLID)
                cairo_set_dash(cr, NULL, 0, 0);
        else
                cairo_set_dash(cr, shape->stroke == STROKE_DASHED ? dashes : dots, 2, 0);
        trace(cr, s, shape, shape->width);
        cairo_stroke(cr);
}

static void paint_text(cairo_t *cr, const Scene *s, const Shape *shape) {
        Spot at = s->spots[shape->first];

        if (shape->style.align == ALIGN_RIGHT)
                at.x -= shape->width;
        else if (shape->style.align == ALIGN_MIDDLE)
                at.x -= shape->width / 2;
        set_font(cr, shape->style.size, shape->style.weight);
        cairo_move_to(cr, at.x, at.y);
        cairo_show_text(cr, shape->text);
        cairo_new_path(cr);
}

static int paint(const Scene *s, cairo_surface_t *surface) {
        cairo_t *cr = context_new(surface);
        cairo_status_t status;

        for (size_t i = 0; i < s->n_shapes; i++) {
                const Shape *shape = &s->shapes[i];

                set_ink(cr, shape->ink);
                switch (shape->kind) {
                case SHAPE_AREA:
                        trace(cr, s, shape, 0);
                        cairo_close_path(cr);
                        cairo_fill(cr);
                        break;
                case SHAPE_LINE: paint_line(cr, s, shape); break;
                case SHAPE_TEXT: paint_text(cr, s, shape); break;
                }
        }
        status = cairo_status(cr);
        cairo_destroy(cr);
        return to_errno(status);
}

static cairo_status_t write_out(void *closure, const unsigned char *data, unsigned len) {
        return fwrite(data, 1, len, closure) == len ? CAIRO_STATUS_SUCCESS : CAIRO_STATUS_WRITE_ERROR;
}

static void write_escaped(const char *text, size_t len, FILE *to) {
        for (size_t i = 0; i < len; i++)
                switch (text[i]) {
                case '&': fputs("&amp;", to); break;
                case '<': fputs("&lt;", to); break;
                case '>': fputs("&gt;", to); break;
                default: putc(text[i], to);
                }
}

/* cairo has no words for this: they go behind the tag that it begins with. */
static int add_words(const char *svg, size_t len, const char *title, const char *description, FILE *to) {
        const char *tag = memmem(svg, len, "<svg", 4),
                   *end = tag ? memchr(tag, '>', len - (size_t) (tag - svg)) : NULL;

        if (!end)
                return -EINVAL;
        fwrite(svg, 1, (size_t) (end - svg), to);
        fputs(" role=\"img\">\n<title>", to);
        write_escaped(title, strlen(title), to);
        fputs("</title>\n<desc>", to);
        write_escaped(description, strlen(description), to);
        fputs("</desc>", to);
        fwrite(end + 1, 1, len - (size_t) (end + 1 - svg), to);
        return ferror(to) ? -EIO : 0;
}

int paint_svg(const Scene *s, const char *title, const char *description, FILE *to) {
        CLEANUP(freep) char *svg = NULL;
        cairo_surface_t *surface;
        size_t len = 0;
        FILE *f = open_memstream(&svg, &len);
        int r;

        if (!f)
                return -ENOMEM;
        surface = cairo_svg_surface_create_for_stream(write_out, f, s->width, s->height);
        cairo_svg_surface_set_document_unit(surface, CAIRO_SVG_UNIT_PX);
        r = paint(s, surface);
        cairo_surface_finish(surface);
        if (r == 0)
                r = to_errno(cairo_surface_status(surface));
        cairo_surface_destroy(surface);
        if (memstream_close(f, &svg) < 0 && r == 0)
                r = -ENOMEM;
        return r < 0 ? r : add_words(svg, len, title, description, to);
}

int paint_png(const Scene *s, FILE *to) {
        cairo_surface_t *surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int) s->width, (int) s->height);
        int r = paint(s, surface);

        if (r == 0)
                r = to_errno(cairo_surface_write_to_png_stream(surface, write_out, to));
        cairo_surface_destroy(surface);
        return r;
}
