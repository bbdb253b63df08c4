/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* `simulate` becomes penstock-sim, which has the service's own engine in it; it needs no running service. */
#include <string.h>

#include "ctl/complete.h"
#include "ctl/programs.h"

/* They are penstock-sim's, which reads them; here for who completes them. */
static const struct option options[] = {
        { "seed", required_argument, NULL, 's' },    { "count", required_argument, NULL, 'n' },
        { "queries", required_argument, NULL, 'q' }, { "only", required_argument, NULL, 'o' },
        { "trace", no_argument, NULL, 't' },         { "record", required_argument, NULL, 'r' },
        { "memory", required_argument, NULL, 'm' },  { "growth", required_argument, NULL, 'g' },
        { "set", required_argument, NULL, 'k' },     { "json", no_argument, NULL, 'j' },
        { "help", no_argument, NULL, 'h' },          {},
};

static int simulate_run(const Verb *verb, int argc, char *argv[]) {
        static char name[] = "penstock-sim";

        if (argc < 2)
                return usage_error(verb, "say run, replay FILE or plan FILE");
        if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
                verb_print_help(verb);
                return finish_output(verb->failure);
        }
        argv[0] = name;
        return program_become(verb, program_penstock_sim, argv);
}

const Verb verb_simulate = {
        .name = "simulate",
        .arguments = "plan [OPTION…] LOAD | replay [--json] FILE | run [OPTION…]",
        .summary = "Plan for a load, replay a record, or try the service's promises",
        .help = "plan plays LOAD, a CSV with the columns arrival, duration (seconds) and peak\n"
                "(bytes), under a configuration or many, and prints what would come of it:\n"
                "  --set KEY=VALUE[,VALUE…]  a key of [Controller] and the values to try\n"
                "  --memory SIZE             the host's memory (default: this one's)\n"
                "  --growth PERCENT          of its time, in which a query reaches its peak (50)\n"
                "\n"
                "replay decides what Trace= of penstockd recorded once more, and compares.\n"
                "\n"
                "run plays stories that are drawn from a seed, and checks every promise:\n"
                "  --seed NUMBER             the first story (1)\n"
                "  --count NUMBER            how many stories (1)\n"
                "  --queries NUMBER          how many queries each (40)\n"
                "  --only NUMBER,NUMBER…     only these of its queries come\n"
                "  --trace                   print every event and action\n"
                "  --record FILE             write one story in the form that replay reads\n"
                "\n"
                "  --json                    of all three: figures as JSON\n",
        .options = options,
        .failure = EXIT_CODE_FAILURE,
        .usage = EXIT_CODE_USAGE,
        .run = simulate_run,
        .examples = "  penstockctl simulate plan --set ConcurrencyQuota=4,8,16 load.csv\n"
                    "  penstockctl simulate plan --memory 64G load.csv\n"
                    "  penstockctl simulate replay /run/penstock/trace\n",
        .complete = complete_simulate,
};
