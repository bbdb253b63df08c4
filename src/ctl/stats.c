/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/complete.h"
#include "ctl/table.h"
#include "ctl/verbs.h"

static int print_raises(const Verb *verb, const PenstockInfo *i) {
        static const Column columns[] = {
                { "AT", COLUMN_RIGHT },  { "CAUSE", COLUMN_LEFT },    { "OLD", COLUMN_RIGHT },
                { "NEW", COLUMN_RIGHT }, { "LATENCY", COLUMN_RIGHT },
        };
        struct libscols_table *t = table_new(columns, ELEMENTSOF(columns), TABLE_WITH_HEADINGS);
        char at[TEXT_MAX], old_limit[TEXT_MAX], new_limit[TEXT_MAX], latency[TEXT_MAX];
        PenstockRaise r;

        putchar('\n');
        for (size_t k = 0; penstock_info_get_raise(i, k, &r) == 0; k++)
                table_add(t,
                          (const char *const[]) { format_duration(r.at_usec, at), r.cause,
                                                  format_size(r.old_limit_bytes, old_limit),
                                                  format_size(r.new_limit_bytes, new_limit),
                                                  format_duration(r.latency_usec, latency) },
                          ELEMENTSOF(columns));
        return table_print(verb, t);
}

static int print_sheet(const Verb *verb, const PenstockInfo *i) {
        PenstockError error = {};
        PenstockRaise raise;
        Sheet sheet = {};
        const char *s;
        int r;

        sheet_add(&sheet, "ID", "%llu", (unsigned long long) info_u64(i, "id"));
        sheet_add(&sheet, "State", "%s", info_string(i, "state"));
        sheet_add_usage(&sheet, i);
        if (penstock_info_get_error(i, &error) == 0)
                sheet_add(&sheet, "Error", "%s: %s", error.name, error.message);
        if (info_string(i, "verdict")[0] != '\0')
                sheet_add(&sheet, "Verdict", "%s", info_string(i, "verdict"));
        for (size_t k = 0; penstock_info_get_item(i, "runtime_errors", k, &s) == 0; k++)
                sheet_add(&sheet, k == 0 ? "Runtime errors" : "", "%s", s);
        r = sheet_print(verb, &sheet);
        if (r != EXIT_CODE_OK || penstock_info_get_raise(i, 0, &raise) < 0)
                return r;
        return print_raises(verb, i);
}

static int stats_run(const Verb *verb, int argc, char *argv[]) {
        return describe_run(verb, argc, argv, json_stats, print_sheet);
}

const Verb verb_stats = {
        .name = "stats",
        .arguments = "[--json] ID",
        .summary = "Show what a query used, and each raise of its quota",
        .help = "  --json  an object with the statistics, id, state, unit, error and raise_log\n",
        .options = options_json,
        .failure = EXIT_CODE_FAILURE,
        .usage = EXIT_CODE_USAGE,
        .run = stats_run,
        .examples = "  penstockctl stats 12\n",
        .complete = complete_queries,
};
