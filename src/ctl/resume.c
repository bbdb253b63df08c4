/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/verbs.h"

static int resume_run(const Verb *verb, int argc, char *argv[]) {
        return order_run(verb, argc, argv, penstock_client_resume);
}

const Verb verb_resume = {
        .name = "resume",
        .arguments = "",
        .summary = "Start waiting queries again after `pause`",
        .failure = EXIT_CODE_FAILURE,
        .usage = EXIT_CODE_USAGE,
        .run = resume_run,
        .examples = "  penstockctl resume\n",
};
