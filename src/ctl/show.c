/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/complete.h"
#include "ctl/table.h"
#include "ctl/verbs.h"

static int print_sheet(const Verb *verb, const PenstockInfo *i) {
        Sheet s = {};

        sheet_add_query(&s, i);
        return sheet_print(verb, &s);
}

static int show_run(const Verb *verb, int argc, char *argv[]) {
        return describe_run(verb, argc, argv, json_description, print_sheet);
}

const Verb verb_show = {
        .name = "show",
        .arguments = "[--json] ID",
        .summary = "Show one query, also one that has ended",
        .help = "  --json  an object; the keys are the D-Bus names in snake case\n",
        .options = options_json,
        .failure = EXIT_CODE_FAILURE,
        .usage = EXIT_CODE_USAGE,
        .run = show_run,
        .examples = "  penstockctl show 12\n"
                    "  penstockctl show --json 12 | jq .memory_peak_bytes\n",
        .complete = complete_queries,
};
