/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ctl/options: parsing that is the same for all verbs. */
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "ctl/ctl.h"

const struct option options_json[] = {
        { "json", no_argument, NULL, 'j' },
        { "help", no_argument, NULL, 'h' },
        {},
};

static const struct option options_none[] = {
        { "help", no_argument, NULL, 'h' },
        {},
};

const struct option *option_find(const struct option *options, const char *word, size_t *ret_n) {
        const struct option *found = NULL;
        size_t len = strcspn(word + 2, "=");

        *ret_n = 0;
        for (const struct option *o = options; o->name; o++)
                if (strncmp(o->name, word + 2, len) == 0) {
                        found = o;
                        if (o->name[len] == '\0') {
                                *ret_n = 1;
                                return o;
                        }
                        (*ret_n)++;
                }
        return found;
}

const struct option *verb_options(const Verb *verb) {
        return verb->options ? verb->options : options_none;
}

void verb_short_options(const Verb *verb, const char *mode, char buf[static SHORT_OPTIONS_MAX]) {
        const char *own = verb->short_options ? verb->short_options : "h";

        snprintf(buf, SHORT_OPTIONS_MAX, "%s:%s", mode, own[0] == '-' ? own + 1 : own);
}

int usage_error(const Verb *verb, const char *format, ...) {
        char text[512];
        va_list ap;

        va_start(ap, format);
        vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        report("%s: %s; see: penstockctl %s --help", verb->name, text, verb->name);
        return verb->usage;
}

int missing_error(const Verb *verb) {
        if (strstr(verb->arguments, "ID"))
                return usage_error(verb, "the ID of a query is missing; `penstockctl list` shows them");
        return usage_error(verb, "an argument is missing");
}

int id_error(const Verb *verb, const char *text) {
        return usage_error(verb, "'%s' is not the ID of a query; `penstockctl list` shows them", text);
}

const char options_of_command[] = "; a command and its own options stand behind --";

/* A word came before the option: it may be meant for a command. */
static bool saw_word;

static const char *hint(void) {
        return saw_word ? options_of_command : "";
}

static void tell_ambiguous(const Verb *verb, const char *name) {
        char text[256];
        size_t n = 0;

        for (const struct option *o = verb_options(verb); o->name && n < sizeof(text); o++)
                if (strncmp(o->name, name + 2, strlen(name + 2)) == 0)
                        n += (size_t) snprintf(text + n, sizeof(text) - n, "%s--%s", n > 0 ? ", " : "", o->name);
        usage_error(verb, "option '%s' may be one of %s", name, text);
}

/* What is wrong with @word, which getopt does not take. */
static void tell_unknown(const Verb *verb, const char *word) {
        bool is_long = strncmp(word, "--", 2) == 0;
        const struct option *o = NULL;
        char name[64];
        Nearest nearest;
        size_t n = 0;

        if (is_long)
                o = option_find(verb_options(verb), word, &n);
        snprintf(name, sizeof(name), "%.*s", (int) strcspn(word, "="), word);
        if (n == 1 && optopt == o->val) {
                usage_error(verb, "option '%s' takes no value", name);
                return;
        }
        if (!is_long || optopt != 0) {
                usage_error(verb, "there is no option -%c%s", optopt, hint());
                return;
        }
        if (n > 1) {
                tell_ambiguous(verb, name);
                return;
        }
        nearest_init(&nearest, name + 2);
        for (o = verb_options(verb); o->name; o++)
                nearest_try(&nearest, o->name);
        usage_error(verb, "there is no option '%s'%s%s%s%s", name, nearest.name ? " (did you mean '--" : "",
                    nearest.name ? nearest.name : "", nearest.name ? "'?)" : "", hint());
}

int options_next(const Verb *verb, int argc, char *argv[]) {
        bool in_order = verb->short_options && verb->short_options[0] == '-';
        char short_options[SHORT_OPTIONS_MAX];
        int c;

        verb_short_options(verb, in_order ? "-" : "", short_options);
        opterr = 0;
        c = getopt_long(argc, argv, short_options, verb_options(verb), NULL);
        saw_word = saw_word || c == OPTION_WORD;
        switch (c) {
        case OPTION_HELP: verb_print_help(verb); return OPTION_HELP;
        case OPTION_NO_VALUE: usage_error(verb, "option '%s' needs a value%s", argv[optind - 1], hint()); return OPTION_BAD;
        case OPTION_BAD: tell_unknown(verb, argv[optind - 1]); return OPTION_BAD;
        default: return c;
        }
}

int options_simple(const Verb *verb, int argc, char *argv[], int min, int max, bool *ret_json) {
        bool json = false;
        int c, n;

        while ((c = options_next(verb, argc, argv)) != OPTION_END)
                switch (c) {
                case 'j': json = true; break;
                case OPTION_HELP: return finish_output(verb->failure);
                default: return verb->usage;
                }
        n = argc - optind;
        if (n < min)
                return missing_error(verb);
        if (max >= 0 && n > max)
                return usage_error(verb, "there is an argument too many: '%s'", argv[optind + max]);
        if (ret_json)
                *ret_json = json;
        return GO_ON;
}
