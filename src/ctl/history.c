/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "ctl/history_output.h"
#include "ctl/picture_size.h"

#define PAGE 1000u /* the most that the service tells at one time */
#define LIMIT_DEFAULT 100u

enum {
        OPTION_STATE = 256,
        OPTION_ERROR,
        OPTION_LABEL,
        OPTION_MIN_PEAK,
        OPTION_CSV,
};

static const struct option options[] = {
        { "user", required_argument, NULL, 'u' },
        { "language", required_argument, NULL, 'l' },
        { "state", required_argument, NULL, OPTION_STATE },
        { "error", required_argument, NULL, OPTION_ERROR },
        { "since", required_argument, NULL, 'S' },
        { "until", required_argument, NULL, 'U' },
        { "label", required_argument, NULL, OPTION_LABEL },
        { "min-peak", required_argument, NULL, OPTION_MIN_PEAK },
        { "limit", required_argument, NULL, 'n' },
        { "csv", no_argument, NULL, OPTION_CSV },
        { "json", no_argument, NULL, 'j' },
        PICTURE_OPTIONS,
        { "help", no_argument, NULL, 'h' },
        {},
};

typedef struct Options {
        const Verb *verb;
        PenstockFilter *filter;
        uint64_t limit; /* 0: as many as the form has by default */
        HistoryForm form;
        HistoryFrame frame;
} Options;

static int check(const Options *o, int r, const char *option, const char *value, const char *wanted) {
        if (r >= 0)
                return GO_ON;
        if (r == -ENOMEM) {
                report("out of memory");
                return o->verb->failure;
        }
        return usage_error(o->verb, "%s: '%s' is not %s", option, value, wanted);
}

static uint64_t time_of_day(void) {
        struct timespec ts;

        clock_gettime(CLOCK_REALTIME, &ts);
        return (uint64_t) ts.tv_sec * USEC_PER_SEC + (uint64_t) ts.tv_nsec / 1000;
}

static int set_time(Options *o, const char *option, int (*set)(PenstockFilter *f, uint64_t usec)) {
        uint64_t usec;
        int r = time_parse(optarg, time_of_day(), &usec);

        return check(o, r < 0 ? r : set(o->filter, usec), option, optarg,
                     "a time (2026-11-29, \"2026-11-29 12:00\", 12:00, today, yesterday, -1h, \"1h ago\", @SECONDS)");
}

static int set_user(Options *o) {
        uid_t uid;
        int r = user_parse(optarg, &uid);

        return check(o, r < 0 ? r : penstock_filter_set_user_id(o->filter, uid), "--user", optarg, "a user");
}

static int add_label(Options *o) {
        const char *value = strchr(optarg, '=');
        char key[256];
        int r = -EINVAL;

        if (value && (size_t) (value - optarg) < sizeof(key)) {
                snprintf(key, sizeof(key), "%.*s", (int) (value - optarg), optarg);
                r = penstock_filter_add_label(o->filter, key, value + 1);
        }
        return check(o, r, "--label", optarg, "KEY=VALUE");
}

static int set_min_peak(Options *o) {
        uint64_t bytes;
        int r = size_parse(optarg, 0, &bytes);

        return check(o, r < 0 ? r : penstock_filter_set_min_peak(o->filter, bytes), "--min-peak", optarg,
                     "a size (64M, 1.5G)");
}

static int set_limit(Options *o) {
        int r = u64_parse(optarg, &o->limit);

        return check(o, r < 0 || o->limit == 0 ? -EINVAL : 0, "--limit", optarg, "a number above 0, or infinity");
}

static int set_form(Options *o, HistoryForm form) {
        if (o->form != HISTORY_TABLE)
                return form_error(o->verb);
        o->form = form;
        return GO_ON;
}

static int take_option(Options *o, int c) {
        switch (c) {
        case 'u': return set_user(o);
        case 'l':
                return check(o, penstock_filter_set_language(o->filter, optarg), "--language", optarg,
                             "the name of one");
        case OPTION_STATE:
                return check(o, penstock_filter_set_state(o->filter, optarg), "--state", optarg, "a state");
        case OPTION_ERROR:
                return check(o, penstock_filter_set_error(o->filter, optarg), "--error", optarg,
                             "the name of an error");
        case 'S': return set_time(o, "--since", penstock_filter_set_since);
        case 'U': return set_time(o, "--until", penstock_filter_set_until);
        case OPTION_LABEL: return add_label(o);
        case OPTION_MIN_PEAK: return set_min_peak(o);
        case 'n': return set_limit(o);
        case OPTION_CSV: return set_form(o, HISTORY_CSV);
        case 'j': return set_form(o, HISTORY_JSON);
        case OPTION_HELP: return finish_output(o->verb->failure);
        default: return picture_take_option(o->verb, &o->frame.picture, c);
        }
}

/* What was chosen stands in the picture, as it was given: "user alice · since yesterday". */
static void note_filter(Options *o, int c) {
        size_t n = strlen(o->frame.filters);

        if (c == 'n' || !optarg)
                return;
        for (const struct option *option = options; option->name && option->val != OPTION_CSV; option++)
                if (option->val == c)
                        snprintf(o->frame.filters + n, sizeof(o->frame.filters) - n, "%s%s %s",
                                 n > 0 ? " \xc2\xb7 " : "", option->name, optarg);
}

static int take_options(Options *o, int argc, char *argv[]) {
        int c, r = GO_ON;

        while (r == GO_ON && (c = options_next(o->verb, argc, argv)) != OPTION_END) {
                r = take_option(o, c);
                note_filter(o, c);
        }
        if (r == GO_ON)
                r = picture_check_options(o->verb, &o->frame.picture, o->form != HISTORY_TABLE);
        if (r == GO_ON && optind < argc)
                return usage_error(o->verb, "there is an argument too many: '%s'", argv[optind]);
        if (o->frame.picture.kind != PICTURE_NONE)
                o->form = HISTORY_PICTURE;
        if (o->limit == 0)
                o->limit = o->form == HISTORY_PICTURE ? PAST_ROWS_MAX : LIMIT_DEFAULT;
        if (o->form == HISTORY_PICTURE)
                o->limit = MIN(o->limit, (uint64_t) PAST_ROWS_MAX);
        return r;
}

/* The next page, of @n at most. Sets *@ret_n to how many there were, and *@ret_next to the place behind the last one.
 */
static int print_page(const Options *o, PenstockClient *c, HistoryOutput *out, uint64_t n, uint64_t *ret_n,
                      uint64_t *ret_next) {
        PenstockInfo **list = NULL;
        PenstockError error = {};
        size_t len = 0;
        int r = penstock_filter_set_limit(o->filter, n);

        if (r >= 0)
                r = penstock_client_history(c, o->filter, &list, &len, &error);
        if (r < 0)
                return report_error(&error, o->verb->failure);
        history_output_answered(out);
        for (size_t i = 0; i < len; i++)
                history_output_add(out, list[i]);
        *ret_n = len;
        *ret_next = len > 0 ? info_u64(list[len - 1], "row") : 0;
        penstock_info_list_free(list, len);
        return GO_ON;
}

/* Sets *@ret_is_cut when there are some behind @o's limit. */
static int print_pages(const Options *o, PenstockClient *c, HistoryOutput *out, bool *ret_is_cut) {
        uint64_t left = o->limit, next = 0, got = 0;
        int r;

        do { /* until a page has none: of long rows fewer come than were asked for */
                r = print_page(o, c, out, MIN(left, PAGE), &got, &next);
                if (r == GO_ON && next > 0)
                        r = check(o, penstock_filter_set_before(o->filter, next), "", "", "");
                left -= MIN(got, left);
        } while (r == GO_ON && next > 0 && left > 0);
        if (r == GO_ON && next > 0 && o->form == HISTORY_PICTURE) {
                HistoryOutput nowhere = { .form = HISTORY_NOWHERE };

                r = print_page(o, c, &nowhere, 1, &got, &next);
                *ret_is_cut = next > 0;
        }
        return r;
}

static int print_all(Options *o, PenstockClient *c) {
        HistoryOutput out;
        int r = history_output_begin(&out, o->form, o->verb);

        if (r == GO_ON)
                r = print_pages(o, c, &out, &o->frame.is_cut);
        if (r == GO_ON)
                r = history_output_end(&out, o->verb, &o->frame);
        history_output_done(&out);
        return r;
}

static int history_run(const Verb *verb, int argc, char *argv[]) {
        CLEANUP(client_freep) PenstockClient *c = NULL;
        Options o = { .verb = verb, .frame.picture.subject = "history" };
        int r = penstock_filter_new(&o.filter);

        if (r < 0) {
                report("out of memory");
                return verb->failure;
        }
        r = take_options(&o, argc, argv);
        if (r == GO_ON)
                r = client_open(verb, &c);
        if (r == GO_ON)
                r = print_all(&o, c);
        penstock_filter_free(o.filter);
        return r;
}

const Verb verb_history = {
        .name = "history",
        .arguments = "[OPTION…]",
        .summary = "Show queries that have ended, the last first, also of earlier boots",
        .help = "  -u, --user NAME          those of this user\n"
                "  -l, --language LANGUAGE  those in this language\n"
                "      --state STATE        finished, errored or canceled\n"
                "      --error NAME         those that ended with this error (Timeout …)\n"
                "  -S, --since TIME         that ended at that time or later: 2026-11-29,\n"
                "                           \"2026-11-29 12:00\", 12:00, today, yesterday, -1h,\n"
                "                           \"1h ago\", @SECONDS\n"
                "  -U, --until TIME         that ended at it or before\n"
                "      --label KEY=VALUE    that had this label; may be given more than once\n"
                "      --min-peak SIZE      that had so much memory at their peak\n"
                "  -n, --limit NUMBER       how many, 100 by default, of a picture 100000;\n"
                "                           infinity: all\n"
                "      --csv                all that is known of them, with a header line\n"
                "      --json               the same as an array of objects\n"
                "      --plot FILE          a picture, by the time of their ends: peak memory\n"
                "                           and how each ended, what they held together, and how\n"
                "                           long they waited and ran. FILE ends in .svg or .png\n"
                "      --svg FILE           the same, whatever the name; \"-\" is standard output\n"
                "      --png FILE           the same in pixels\n"
                "      --width PIXELS       of the picture, 360 to 4000 (1000)\n"
                "      --height PIXELS      280 to 4000 (560)\n",
        .short_options = "hu:l:S:U:n:",
        .options = options,
        .failure = EXIT_CODE_FAILURE,
        .usage = EXIT_CODE_USAGE,
        .run = history_run,
        .examples = "  penstockctl history --since yesterday --error MemoryLimitExceeded\n"
                    "  penstockctl history --user alice --csv > alice.csv\n"
                    "  penstockctl history --since -24h --plot day.svg\n",
};
