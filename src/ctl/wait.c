/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/complete.h"
#include "ctl/json.h"

static int wait_run(const Verb *verb, int argc, char *argv[]) {
        CLEANUP(client_freep) PenstockClient *c = NULL;
        CLEANUP(query_freep) PenstockQuery *q = NULL;
        CLEANUP(info_freep) PenstockInfo *i = NULL;
        PenstockError error = {};
        bool json;
        int r;

        r = options_simple(verb, argc, argv, 1, 1, &json);
        if (r == GO_ON)
                r = query_open(verb, argv[optind], &c, &q);
        if (r != GO_ON)
                return r;
        if (penstock_query_wait(q, USEC_INFINITY, &i, &error) < 0)
                return report_error(&error, verb->failure);
        r = json ? json_print(verb, json_description(i)) : EXIT_CODE_OK;
        return r == EXIT_CODE_OK ? outcome_report(i) : r;
}

const Verb verb_wait = {
        .name = "wait",
        .arguments = "[--json] ID",
        .summary = "Wait until a query has ended, and exit as `run` would have",
        .help = "  --json  print an object when it has ended, as of `show --json`\n",
        .options = options_json,
        .failure = EXIT_CODE_REFUSED,
        .usage = EXIT_CODE_REFUSED,
        .run = wait_run,
        .examples = "  penstockctl wait 12 && penstockctl results 12\n",
        .complete = complete_own_queries,
};
