/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <signal.h>

#include "ctl/complete.h"
#include "ctl/request_options.h"
#include "ctl/run_loop.h"

/* As other tools end whose reader went away. */
static int die_of_broken_pipe(bool was_ignored) {
        if (was_ignored) {
                report("cannot write to standard output: Broken pipe");
                return EXIT_CODE_REFUSED;
        }
        signal(SIGPIPE, SIG_DFL);
        raise(SIGPIPE);
        return EXIT_CODE_REFUSED;
}

/* After the end: release it, say how it ended. */
static int conclude(PenstockQuery *q, RunResult *result, bool sigpipe_was_ignored) {
        CLEANUP(info_freep) PenstockInfo *info = result->info;

        if (!info) {
                report_error(&result->error, 0);
                return EXIT_CODE_REFUSED;
        }
        /* Where the call fails or is left out, closing the hold releases it. */
        if (!result->was_signaled)
                (void) penstock_query_done(q, NULL, NULL);
        if (result->broken == RUN_BROKEN_PIPE)
                return die_of_broken_pipe(sigpipe_was_ignored);
        if (result->broken == RUN_BROKEN)
                return EXIT_CODE_REFUSED;
        return outcome_report(info);
}

static int submit_and_follow(const Verb *verb, const RequestOptions *o) {
        CLEANUP(client_freep) PenstockClient *c = NULL;
        CLEANUP(query_freep) PenstockQuery *q = NULL;
        bool sigpipe_was_ignored = signal(SIGPIPE, SIG_IGN) == SIG_IGN;
        PenstockError error = {};
        RunResult result = {};
        int r;

        if (o->json)
                return usage_error(verb, "--json is for `submit`; here, standard output is the query's");
        r = caller_give_stderr(verb, o->request);
        if (r == GO_ON)
                r = client_open(verb, &c);
        if (r != GO_ON)
                return r;
        if (penstock_query_submit(c, o->request, &q, &error) < 0)
                return request_refused(o, &error);
        /* A pager may keep us for hours after the query was ended by a stop of the service, which must not undo that. */
        penstock_client_set_auto_start(c, false);
        r = run_loop(c, q, o->quiet, &result);
        return r == GO_ON ? conclude(q, &result, sigpipe_was_ignored) : r;
}

static int run_run(const Verb *verb, int argc, char *argv[]) {
        return request_run(verb, argc, argv, submit_and_follow);
}

const Verb verb_run = {
        .name = "run",
        .arguments = REQUEST_ARGUMENTS,
        .summary = "Run a query, write its results to stdout, and exit as it did",
        .help = request_help,
        .short_options = request_short_options,
        .options = request_options,
        .failure = EXIT_CODE_REFUSED,
        .usage = EXIT_CODE_REFUSED,
        .run = run_run,
        .examples = "  penstockctl run --language sqlite --database sales.db 'select 1 from t'\n"
                    "  penstockctl run --memory-max 1G -- ./report.py --year 2024 > out.csv\n"
                    "  penstockctl run -l python --file train.py --label team=ml\n"
                    "  penstockctl run -l shell - < nightly.sh\n",
        .complete = complete_request,
};
