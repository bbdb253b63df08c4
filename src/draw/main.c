/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* penstock-draw: a picture of what standard input has, on standard output. `penstockctl profile` and `history` run
 * it. It is a program of its own so that penstockctl, which each query pays for, is not linked with what draws. */
#include <errno.h>
#include <string.h>

#include "ctl/picture_size.h"
#include "draw/history.h"
#include "draw/paint.h"
#include "draw/profile.h"

/* A row of the history has 200 bytes or so. */
#define HISTORY_BYTES_MAX (PAST_ROWS_MAX * 512u)

typedef struct Wanted {
        bool svg;
        unsigned width, height;
        char **arguments; /* what is known beside the rows; NULL behind the last */
} Wanted;

static int usage(void) {
        fputs("Usage: penstock-draw profile|history svg|png WIDTH HEIGHT [KEY=VALUE…] <ROWS >PICTURE\n", stderr);
        return -EINVAL;
}

static int paint(const Scene *s, bool svg, const char *title, const char *description) {
        int r = s->failed ? -ENOMEM : svg ? paint_svg(s, title, description, stdout) : paint_png(s, stdout);

        return r == 0 ? stream_flush(stdout) : r;
}

static int paint_profile(Timeline *t, const Facts *f, bool svg, Scene *s) {
        CLEANUP(freep) char *description = NULL;
        char title[256];
        size_t len;
        FILE *to = open_memstream(&description, &len);

        if (!to)
                return -ENOMEM;
        profile_draw(t, f, s);
        profile_describe(t, f, to);
        if (memstream_close(to, &description) < 0)
                return -ENOMEM;
        return paint(s, svg, profile_title(t, f, title, sizeof(title)), description);
}

static int draw_profile(const Csv *csv, const Wanted *w, Scene *s) {
        Facts facts = FACTS_NONE;
        Timeline t;
        int r;

        for (char **a = w->arguments; *a; a++)
                if (facts_set(&facts, *a) < 0)
                        return usage();
        r = timeline_read(csv, &t);
        if (r < 0)
                return r;
        r = paint_profile(&t, &facts, w->svg, s);
        timeline_done(&t);
        return r;
}

static int paint_history(const Past *p, const Chosen *c, bool svg, Scene *s) {
        CLEANUP(freep) char *description = NULL;
        char title[256];
        size_t len;
        FILE *to = open_memstream(&description, &len);

        if (!to)
                return -ENOMEM;
        history_draw(p, c, s);
        history_describe(p, c, to);
        if (memstream_close(to, &description) < 0)
                return -ENOMEM;
        return paint(s, svg, history_title(p, c, title, sizeof(title)), description);
}

static int draw_history(const Csv *csv, const Wanted *w, Scene *s) {
        Chosen chosen = CHOSEN_ALL;
        Past past;
        int r;

        for (char **a = w->arguments; *a; a++)
                if (chosen_set(&chosen, *a) < 0)
                        return usage();
        r = past_read(csv, &past);
        if (r < 0)
                return r;
        r = paint_history(&past, &chosen, w->svg, s);
        past_done(&past);
        return r;
}

static const struct Subject {
        const char *name;
        size_t bytes_max;
        int (*draw)(const Csv *csv, const Wanted *w, Scene *s);
} subjects[] = {
        { "profile", CSV_BYTES_MAX, draw_profile },
        { "history", HISTORY_BYTES_MAX, draw_history },
};

/* All of standard input, with a NUL behind it. What is not used of the room is no memory. */
static int read_text(size_t bytes_max, char **ret) {
        CLEANUP(freep) char *text = malloc(bytes_max + 2);
        size_t len;

        if (!text)
                return -ENOMEM;
        len = fread(text, 1, bytes_max + 1, stdin);
        if (ferror(stdin))
                return -EIO;
        if (len > bytes_max)
                return -EFBIG;
        if (memchr(text, '\0', len))
                return -EBADMSG; /* half of it would be drawn as if it were all */
        text[len] = '\0';
        *ret = text;
        text = NULL;
        return 0;
}

static int draw(const struct Subject *subject, const Csv *csv, const Wanted *w) {
        Painter *painter = painter_new();
        Scene s = { .width = w->width, .height = w->height };
        int r;

        if (!painter)
                return -ENOMEM;
        s.meter = painter_meter(painter);
        r = subject->draw(csv, w, &s);
        scene_done(&s);
        painter_free(painter);
        return r;
}

static bool side_parse(const char *text, unsigned least, unsigned *ret) {
        uint64_t v;

        if (u64_parse(text, &v) < 0 || v < least || v > PICTURE_SIDE_MAX)
                return false;
        *ret = (unsigned) v;
        return true;
}

/* NULL: @argv is no good. */
static const struct Subject *take_arguments(int argc, char *argv[], Wanted *ret) {
        const struct Subject *subject = NULL;

        for (size_t i = 0; i < ELEMENTSOF(subjects) && argc >= 5; i++)
                if (strcmp(argv[1], subjects[i].name) == 0)
                        subject = &subjects[i];
        if (!subject || (strcmp(argv[2], "svg") != 0 && strcmp(argv[2], "png") != 0) ||
            !side_parse(argv[3], PICTURE_WIDTH_MIN, &ret->width) ||
            !side_parse(argv[4], PICTURE_HEIGHT_MIN, &ret->height))
                return NULL;
        ret->svg = strcmp(argv[2], "svg") == 0;
        ret->arguments = argv + 5;
        return subject;
}

int main(int argc, char *argv[]) {
        CLEANUP(freep) char *text = NULL;
        const struct Subject *subject;
        Wanted wanted;
        Csv csv = {};
        int r;

        subject = take_arguments(argc, argv, &wanted);
        if (!subject) {
                (void) usage();
                return EXIT_FAILURE;
        }
        r = read_text(subject->bytes_max, &text);
        if (r == 0)
                r = csv_parse(text, &csv);
        if (r == 0)
                r = draw(subject, &csv, &wanted);
        csv_done(&csv);
        if (r < 0)
                fprintf(stderr, "penstock-draw: cannot draw the %s: %s\n", subject->name, strerror(-r));
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
