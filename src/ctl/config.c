/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* `config` runs penstockd's own reader, so that there is only one; it needs no running service. */
#include <string.h>

#include "ctl/complete.h"
#include "ctl/programs.h"

static int config_run(const Verb *verb, int argc, char *argv[]) {
        static char name[] = "penstockd", check[] = "--check-config", show[] = "--show-config", as_json[] = "--json";
        const char *what;
        bool json;
        int r;

        r = options_simple(verb, argc, argv, 0, 2, &json);
        if (r != GO_ON)
                return r;
        what = argc > optind ? argv[optind] : "";
        if (strcmp(what, "check") == 0)
                return program_become(verb, program_penstockd,
                                      json ? (char *[]) { name, check, as_json, argv[optind + 1], NULL }
                                           : (char *[]) { name, check, argv[optind + 1], NULL });
        if (strcmp(what, "show") == 0 && optind + 1 == argc)
                return program_become(verb, program_penstockd,
                                      (char *[]) { name, show, json ? as_json : NULL, NULL });
        return usage_error(verb, "say 'check [FILE]' or 'show'");
}

const Verb verb_config = {
        .name = "config",
        .arguments = "check [--json] [FILE] | show [--json]",
        .summary = "Validate the configuration, or show it and where it came from",
        .help = "  check   read FILE alone, or what the service would read; exit 0 if it is good\n"
                "  show    the configuration as it would be read now\n"
                "  --json  an object: what is wrong with it, or its values\n",
        .options = options_json,
        .failure = EXIT_CODE_FAILURE,
        .usage = EXIT_CODE_USAGE,
        .run = config_run,
        .examples = "  penstockctl config check\n"
                    "  penstockctl config check /etc/penstock/penstock.conf.d/night.conf\n"
                    "  penstockctl config show --json | jq -r .MaxMemoryBytes.value\n",
        .complete = complete_config,
};
