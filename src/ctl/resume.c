/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/ctl.h"

static int resume_run(const Verb *verb, int argc, char *argv[]) {
        CLEANUP(client_freep) PenstockClient *c = NULL;
        PenstockError error = {};
        int r;

        r = options_simple(verb, argc, argv, 0, 0, NULL);
        if (r == GO_ON)
                r = client_open(verb, &c);
        if (r != GO_ON)
                return r;
        if (penstock_client_resume(c, &error) < 0)
                return report_error(&error, verb->failure);
        return EXIT_CODE_OK;
}

const Verb verb_resume = {
        .name = "resume",
        .arguments = "",
        .summary = "Start waiting queries again after `pause`",
        .failure = EXIT_CODE_FAILURE,
        .usage = EXIT_CODE_USAGE,
        .run = resume_run,
};
