/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "ctl/json.h"
#include "ctl/metrics_json.h"

static int metrics_run(const Verb *verb, int argc, char *argv[]) {
        CLEANUP(client_freep) PenstockClient *c = NULL;
        CLEANUP(freep) char *text = NULL;
        PenstockError error = {};
        bool json;
        int r;

        r = options_simple(verb, argc, argv, 0, 0, &json);
        if (r == GO_ON)
                r = client_open(verb, &c);
        if (r != GO_ON)
                return r;
        if (penstock_client_metrics(c, &text, &error) < 0) {
                if (strcmp(error.name, PENSTOCK_ERROR_UNSUPPORTED) != 0)
                        return report_error(&error, verb->failure);
                report("this version of penstockd has no metrics");
                return verb->failure;
        }
        if (json)
                return json_print(verb, metrics_to_json(text));
        fputs(text, stdout);
        return finish_output(verb->failure);
}

const Verb verb_metrics = {
        .name = "metrics",
        .arguments = "[--json]",
        .summary = "Print the metrics in Prometheus' text format",
        .help = "  --json  an array of objects with name, type, help and samples\n",
        .options = options_json,
        .failure = EXIT_CODE_FAILURE,
        .usage = EXIT_CODE_USAGE,
        .run = metrics_run,
        .examples = "  penstockctl metrics | grep '^penstock_all_active'\n",
};
