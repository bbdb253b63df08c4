/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* penstock-draw: a picture of the profile on standard input, on standard output. `penstockctl profile` runs it. It is
 * a program of its own so that penstockctl, which each query pays for, is not linked with what draws. */
#include <errno.h>
#include <string.h>

#include "ctl/picture_size.h"
#include "draw/paint.h"
#include "draw/profile.h"

static int complain(const char *what, int error) {
        fprintf(stderr, "penstock-draw: %s: %s\n", what, strerror(-error));
        return EXIT_FAILURE;
}

static int usage(void) {
        fputs("Usage: penstock-draw svg|png WIDTH HEIGHT [KEY=VALUE…] <PROFILE >PICTURE\n", stderr);
        return EXIT_FAILURE;
}

/* All of standard input, with a NUL behind it. */
static int read_text(char **ret) {
        CLEANUP(freep) char *text = malloc(CSV_BYTES_MAX + 2);
        size_t len;

        if (!text)
                return -ENOMEM;
        len = fread(text, 1, CSV_BYTES_MAX + 1, stdin);
        if (ferror(stdin))
                return -EIO;
        if (len > CSV_BYTES_MAX)
                return -EFBIG;
        text[len] = '\0';
        *ret = text;
        text = NULL;
        return 0;
}

static int write_svg(const Scene *s, const Timeline *t, const Facts *f) {
        CLEANUP(freep) char *description = NULL;
        char title[256];
        size_t len;
        FILE *to = open_memstream(&description, &len);

        if (!to)
                return -ENOMEM;
        profile_describe(t, f, to);
        if (fclose(to) != 0)
                return -ENOMEM;
        return paint_svg(s, profile_title(t, f, title, sizeof(title)), description, stdout);
}

static int draw(Timeline *t, const Facts *f, bool svg, unsigned width, unsigned height) {
        Painter *painter = painter_new();
        Scene s = { .width = width, .height = height };
        int r;

        if (!painter)
                return -ENOMEM;
        s.meter = painter_meter(painter);
        profile_draw(t, f, &s);
        if (s.failed)
                r = -ENOMEM;
        else
                r = svg ? write_svg(&s, t, f) : paint_png(&s, stdout);
        if (r == 0 && fflush(stdout) != 0)
                r = -errno;
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

int main(int argc, char *argv[]) {
        CLEANUP(freep) char *text = NULL;
        Facts facts = FACTS_NONE;
        unsigned width, height;
        Timeline t;
        Csv csv;
        int r;

        if (argc < 4 || (strcmp(argv[1], "svg") != 0 && strcmp(argv[1], "png") != 0) ||
            !side_parse(argv[2], PICTURE_WIDTH_MIN, &width) || !side_parse(argv[3], PICTURE_HEIGHT_MIN, &height))
                return usage();
        for (int i = 4; i < argc; i++)
                if (facts_set(&facts, argv[i]) < 0)
                        return usage();
        r = read_text(&text);
        if (r == 0)
                r = csv_parse(text, &csv);
        if (r < 0)
                return complain("cannot read the profile", r);
        r = timeline_read(&csv, &t);
        if (r == 0) {
                r = draw(&t, &facts, strcmp(argv[1], "svg") == 0, width, height);
                timeline_done(&t);
        }
        csv_done(&csv);
        return r < 0 ? complain("cannot draw the profile", r) : EXIT_SUCCESS;
}
