/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/complete.h"

enum { OPTION_NO_WAIT = 256 };

static const struct option options[] = {
        { "no-wait", no_argument, NULL, OPTION_NO_WAIT },
        { "help", no_argument, NULL, 'h' },
        {},
};

/* Both return 0, or -errno after a report. */
static int cancel_one(PenstockClient *c, const char *text) {
        CLEANUP(query_freep) PenstockQuery *q = NULL;
        PenstockError error = {};
        uint64_t id = 0;
        int r;

        (void) id_parse(text, &id);
        r = penstock_query_open(c, id, &q);
        if (r >= 0)
                r = penstock_query_cancel(q, &error);
        if (r < 0)
                report_error(&error, 0);
        return r;
}

static int await_one(PenstockClient *c, const char *text) {
        CLEANUP(query_freep) PenstockQuery *q = NULL;
        CLEANUP(info_freep) PenstockInfo *i = NULL;
        PenstockError error = {};
        uint64_t id = 0;
        int r;

        (void) id_parse(text, &id);
        r = penstock_query_open(c, id, &q);
        if (r >= 0)
                r = penstock_query_wait(q, USEC_INFINITY, &i, &error);
        if (r < 0)
                report_error(&error, 0);
        return r;
}

/* Cancel all first, so that their grace times run side by side; then wait until the last process of each is gone. */
static int cancel_all(const Verb *verb, PenstockClient *c, char *ids[], int n, bool wait) {
        int status = EXIT_CODE_OK, n_canceled = 0;

        for (int k = 0; k < n; k++)
                if (cancel_one(c, ids[k]) < 0)
                        status = verb->failure;
                else
                        ids[n_canceled++] = ids[k];
        for (int k = 0; wait && k < n_canceled; k++)
                if (await_one(c, ids[k]) < 0)
                        status = verb->failure;
        return status;
}

static int cancel_run(const Verb *verb, int argc, char *argv[]) {
        CLEANUP(client_freep) PenstockClient *c = NULL;
        bool wait = true;
        uint64_t id;
        int opt, r;

        while ((opt = options_next(verb, argc, argv)) != OPTION_END)
                switch (opt) {
                case OPTION_NO_WAIT: wait = false; break;
                case OPTION_HELP: return finish_output(verb->failure);
                default: return verb->usage;
                }
        if (optind == argc)
                return missing_error(verb);
        for (int k = optind; k < argc; k++)
                if (id_parse(argv[k], &id) < 0)
                        return id_error(verb, argv[k]);
        r = client_open(verb, &c);
        return r == GO_ON ? cancel_all(verb, c, argv + optind, argc - optind, wait) : r;
}

const Verb verb_cancel = {
        .name = "cancel",
        .arguments = "[--no-wait] ID…",
        .summary = "Stop queries in whatever state, and wait until they are gone",
        .help = "  --no-wait  return at once\n",
        .options = options,
        .failure = EXIT_CODE_FAILURE,
        .usage = EXIT_CODE_USAGE,
        .run = cancel_run,
        .examples = "  penstockctl cancel 12 13\n"
                    "  penstockctl cancel --no-wait 12\n",
        .complete = complete_live_queries,
};
