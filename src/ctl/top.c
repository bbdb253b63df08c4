/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/top.h"

#include <string.h>

enum { OPTION_SORT = 256, OPTION_FILTER };

static const struct option options[] = {
        { "delay", required_argument, NULL, 'd' },
        { "iterations", required_argument, NULL, 'n' },
        { "batch", no_argument, NULL, 'b' },
        { "sort", required_argument, NULL, OPTION_SORT },
        { "filter", required_argument, NULL, OPTION_FILTER },
        { "help", no_argument, NULL, 'h' },
        {},
};

void top_begin(Top *t, const TopOptions *o, bool ascii) {
        top_init(t, ascii);
        t->delay_usec = o->delay_usec;
        t->sort = o->sort;
        snprintf(t->filter, sizeof(t->filter), "%s", o->filter ? o->filter : "");
}

static int parse_delay(const Verb *verb, const char *text, uint64_t *ret) {
        char min[DURATION_TEXT_MAX], max[DURATION_TEXT_MAX];
        uint64_t usec;

        if (duration_parse(text, &usec) >= 0 && usec >= TOP_DELAY_MIN_USEC && usec <= TOP_DELAY_MAX_USEC) {
                *ret = usec;
                return GO_ON;
        }
        return usage_error(verb, "--delay: '%s' is no time from %s to %s", text,
                           duration_format(TOP_DELAY_MIN_USEC, min), duration_format(TOP_DELAY_MAX_USEC, max));
}

static int parse_iterations(const Verb *verb, const char *text, uint64_t *ret) {
        uint64_t n;

        if (u64_parse(text, &n) < 0 || n == 0)
                return usage_error(verb, "--iterations: '%s' is no number above 0", text);
        *ret = n;
        return GO_ON;
}

static int parse_sort(const Verb *verb, const char *text, TopColumn *ret) {
        char names[256] = "";

        if (top_column_from_name(text, ret) >= 0)
                return GO_ON;
        for (TopColumn c = 0; c < _TOP_COLUMN_MAX; c++)
                snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%s", c > 0 ? ", " : "",
                         top_column_name(c));
        return usage_error(verb, "--sort: there is no column '%s', but %s", text, names);
}

static int parse(const Verb *verb, int argc, char *argv[], TopOptions *o) {
        int c, r = GO_ON;

        while (r == GO_ON && (c = options_next(verb, argc, argv)) != OPTION_END)
                switch (c) {
                case 'd': r = parse_delay(verb, optarg, &o->delay_usec); break;
                case 'n': r = parse_iterations(verb, optarg, &o->iterations); break;
                case 'b': o->batch = true; break;
                case OPTION_SORT: r = parse_sort(verb, optarg, &o->sort); break;
                case OPTION_FILTER: o->filter = optarg; break;
                case OPTION_HELP: return finish_output(verb->failure);
                default: return verb->usage;
                }
        if (r != GO_ON)
                return r;
        if (optind < argc)
                return usage_error(verb, "there is an argument too many: '%s'", argv[optind]);
        return GO_ON;
}

static int check_terminal(const Verb *verb) {
        bool in = isatty(STDIN_FILENO), out = isatty(STDOUT_FILENO);

        if (in && out)
                return GO_ON;
        report("top: standard %s is no terminal; see `penstockctl list`, or `penstockctl top --batch`",
               out ? "input" : "output");
        return verb->failure;
}

static int top_run(const Verb *verb, int argc, char *argv[]) {
        TopOptions o = { .delay_usec = TOP_DELAY_USEC, .iterations = TOP_FOR_EVER, .sort = TOP_COLUMN_STATE };
        CLEANUP(info_freep) PenstockInfo *status = NULL;
        PenstockClient *c = NULL;
        PenstockError error = {};
        int r;

        r = parse(verb, argc, argv, &o);
        if (r == GO_ON && !o.batch)
                r = check_terminal(verb);
        if (r == GO_ON)
                r = client_open(verb, &c);
        if (r != GO_ON)
                return r;
        /* The first contact may start the service, and is waited for; a screen that shows nothing helps nobody. */
        if (penstock_client_status(c, &status, &error) < 0) {
                penstock_client_free(c);
                return report_error(&error, verb->failure);
        }
        return o.batch ? top_batch_run(verb, &o, c) : top_screen_run(verb, &o, c);
}

const Verb verb_top = {
        .name = "top",
        .arguments = "[OPTION…]",
        .summary = "Watch the budget and the queries on a live screen",
        .help = "  -d, --delay DURATION  between two updates: 500ms, 1min (2 seconds)\n"
                "  -n, --iterations N    end after so many updates\n"
                "  -b, --batch           plain text, a table for each update, and no keys\n"
                "      --sort COLUMN     begin with this order: state (the default), cpu, used …\n"
                "      --filter TEXT     begin with the queries that have TEXT in a word\n\n"
                "On the screen, h or F1 shows the keys: sort, filter, inspect, cancel.\n",
        .short_options = "hd:n:b",
        .options = options,
        .failure = EXIT_CODE_FAILURE,
        .usage = EXIT_CODE_USAGE,
        .run = top_run,
        .examples = "  penstockctl top --sort need\n"
                    "  penstockctl top --batch --iterations 1\n",
};
