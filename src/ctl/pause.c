/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/ctl.h"

static int pause_run(const Verb *verb, int argc, char *argv[]) {
        CLEANUP(client_freep) PenstockClient *c = NULL;
        PenstockError error = {};
        int r;

        r = options_simple(verb, argc, argv, 0, 0, NULL);
        if (r == GO_ON)
                r = client_open(verb, &c);
        if (r != GO_ON)
                return r;
        if (penstock_client_pause(c, &error) < 0)
                return report_error(&error, verb->failure);
        return EXIT_CODE_OK;
}

const Verb verb_pause = {
        .name = "pause",
        .arguments = "",
        .summary = "Start no waiting query until `resume`; running ones go on",
        .failure = EXIT_CODE_FAILURE,
        .usage = EXIT_CODE_USAGE,
        .run = pause_run,
};
