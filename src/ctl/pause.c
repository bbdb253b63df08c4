/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/verbs.h"

static int pause_run(const Verb *verb, int argc, char *argv[]) {
        return order_run(verb, argc, argv, penstock_client_pause);
}

const Verb verb_pause = {
        .name = "pause",
        .arguments = "",
        .summary = "Start no waiting query until `resume`; running ones go on",
        .failure = EXIT_CODE_FAILURE,
        .usage = EXIT_CODE_USAGE,
        .run = pause_run,
        .examples = "  penstockctl pause\n",
};
