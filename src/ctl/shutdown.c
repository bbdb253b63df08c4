/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/ctl.h"

static const struct option options[] = {
        { "timeout", required_argument, NULL, 't' },
        { "help", no_argument, NULL, 'h' },
        {},
};

/* What the service is configured for. */
static int default_timeout(const Verb *verb, PenstockClient *c, uint64_t *ret_usec) {
        CLEANUP(info_freep) PenstockInfo *i = NULL;
        PenstockError error = {};

        if (penstock_client_status(c, &i, &error) < 0)
                return report_error(&error, verb->failure);
        *ret_usec = info_u64(i, "shutdown_timeout_usec");
        return GO_ON;
}

static int shutdown_run(const Verb *verb, int argc, char *argv[]) {
        CLEANUP(client_freep) PenstockClient *c = NULL;
        const char *timeout = NULL;
        PenstockError error = {};
        uint64_t usec = 0;
        int opt, r;

        while ((opt = options_next(verb, argc, argv)) != OPTION_END)
                switch (opt) {
                case 't': timeout = optarg; break;
                case OPTION_HELP: return finish_output(verb->failure);
                default: return verb->usage;
                }
        if (optind != argc)
                return usage_error(verb, "there is an argument too many: '%s'", argv[optind]);
        if (timeout && duration_parse(timeout, &usec) < 0)
                return usage_error(verb, "--timeout: '%s' is not a time span (like 90, 2min or infinity)", timeout);
        r = client_open(verb, &c);
        if (r == GO_ON && !timeout)
                r = default_timeout(verb, c, &usec);
        if (r != GO_ON)
                return r;
        if (penstock_client_shutdown(c, usec, &error) < 0)
                return report_error(&error, verb->failure);
        report("all queries have ended; penstockd refuses new ones until: systemctl restart penstockd");
        return EXIT_CODE_OK;
}

const Verb verb_shutdown = {
        .name = "shutdown",
        .arguments = "[--timeout DURATION]",
        .summary = "End all queries and accept no more until penstockd is restarted",
        .help = "  --timeout DURATION  let running queries finish so long, then cancel them; 0\n"
                "                      cancels at once, infinity waits for all (default:\n"
                "                      ShutdownTimeoutSec= of the service, 30s as shipped)\n",
        .options = options,
        .failure = EXIT_CODE_FAILURE,
        .usage = EXIT_CODE_USAGE,
        .run = shutdown_run,
        .examples = "  penstockctl shutdown --timeout 10min\n",
};
