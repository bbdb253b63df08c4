/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "ctl/picture.h"
#include "ctl/picture_size.h"

static int pixels(const Verb *verb, const char *side, uint64_t least, uint64_t *ret) {
        if (u64_parse(optarg, ret) == 0 && *ret >= least && *ret <= PICTURE_SIDE_MAX)
                return GO_ON;
        return usage_error(verb, "--%s is a number of pixels from %llu to %u", side, (unsigned long long) least,
                           PICTURE_SIDE_MAX);
}

int form_error(const Verb *verb) {
        return usage_error(verb, "only one of --csv, --json, --plot, --svg and --png can be had");
}

static int set_file(const Verb *verb, Picture *p, PictureKind kind) {
        if (p->kind != PICTURE_NONE)
                return form_error(verb);
        if (kind == PICTURE_PNG && strcmp(optarg, "-") == 0 && isatty(STDOUT_FILENO))
                return usage_error(verb, "a PNG is not for a terminal; give a file, or --svg");
        p->kind = kind;
        p->path = optarg;
        return GO_ON;
}

static bool ends_with(const char *text, const char *end) {
        size_t n = strlen(text), k = strlen(end);

        return n > k && strcmp(text + n - k, end) == 0;
}

/* Which one is told by the name, so that a picture is never in a file that says it is another one. */
static int set_plot(const Verb *verb, Picture *p) {
        if (ends_with(optarg, ".png"))
                return set_file(verb, p, PICTURE_PNG);
        if (ends_with(optarg, ".svg") || strcmp(optarg, "-") == 0)
                return set_file(verb, p, PICTURE_SVG);
        return usage_error(verb, "--plot: '%s' ends neither in .svg nor in .png; --svg and --png take any name",
                           optarg);
}

int picture_take_option(const Verb *verb, Picture *p, int option) {
        switch (option) {
        case OPTION_PLOT: return set_plot(verb, p);
        case OPTION_SVG: return set_file(verb, p, PICTURE_SVG);
        case OPTION_PNG: return set_file(verb, p, PICTURE_PNG);
        case OPTION_WIDTH: return pixels(verb, "width", PICTURE_WIDTH_MIN, &p->width);
        case OPTION_HEIGHT: return pixels(verb, "height", PICTURE_HEIGHT_MIN, &p->height);
        default: return verb->usage;
        }
}

int picture_check_options(const Verb *verb, const Picture *p, bool has_other_form) {
        if (p->kind != PICTURE_NONE && has_other_form)
                return form_error(verb);
        if (p->kind == PICTURE_NONE && (p->width > 0 || p->height > 0))
                return usage_error(verb, "--width and --height are of a picture (--plot, --svg or --png)");
        return GO_ON;
}
