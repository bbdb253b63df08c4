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

void verb_print_help(const Verb *verb) {
        printf("Usage: penstockctl %s%s%s\n\n%s.\n", verb->name, verb->arguments[0] ? " " : "", verb->arguments,
               verb->summary);
        if (verb->help)
                printf("\n%s", verb->help);
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

int options_next(const Verb *verb, int argc, char *argv[]) {
        const char *short_options = verb->short_options ? verb->short_options : "h";
        int c, at = optind;

        opterr = 0;
        c = getopt_long(argc, argv, short_options, verb->options ? verb->options : options_none, NULL);
        switch (c) {
        case OPTION_HELP: verb_print_help(verb); return OPTION_HELP;
        case OPTION_BAD:
                if (optopt != 0 && optopt < 256 && argv[at] && argv[at][0] == '-' && argv[at][1] != '-')
                        usage_error(verb, "option -%c is unknown, or its value is missing", optopt);
                else
                        usage_error(verb, "option '%s' is unknown, ambiguous, or its value is missing or not wanted",
                                    argv[optind - 1]);
                return OPTION_BAD;
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
                return usage_error(verb, "an argument is missing");
        if (max >= 0 && n > max)
                return usage_error(verb, "there is an argument too many: '%s'", argv[optind + max]);
        if (ret_json)
                *ret_json = json;
        return GO_ON;
}

int id_parse(const char *text, uint64_t *ret) {
        static const char prefix[] = "penstock-", suffix[] = ".service";
        char digits[24];
        uint64_t id;
        size_t len;

        if (strncmp(text, prefix, strlen(prefix)) == 0)
                text += strlen(prefix);
        if (text[0] == 'q')
                text++;
        len = strspn(text, "0123456789");
        if (len == 0 || len >= sizeof(digits) || (text[len] != '\0' && strcmp(text + len, suffix) != 0))
                return -EINVAL;
        memcpy(digits, text, len);
        digits[len] = '\0';
        if (u64_parse(digits, &id) < 0 || id == 0)
                return -EINVAL;
        *ret = id;
        return 0;
}
