/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/complete.h"
#include "ctl/table.h"
#include "ctl/verbs.h"

static void add_labels(struct libscols_table *t, const PenstockInfo *i) {
        const char *key, *value;

        for (size_t k = 0; penstock_info_get_pair(i, "labels", k, &key, &value) == 0; k++)
                sheet_add(t, k == 0 ? "Labels" : "", "%s=%s", key, value);
}

static void add_dependencies(struct libscols_table *t, const PenstockInfo *i) {
        const char *name;

        for (size_t k = 0; penstock_info_get_item(i, "dependencies", k, &name) == 0; k++)
                sheet_add(t, k == 0 ? "Dependencies" : "", "%s", name);
}

static void add_memory(struct libscols_table *t, const PenstockInfo *i) {
        char quota[TEXT_MAX], max[TEXT_MAX], current[TEXT_MAX], peak[TEXT_MAX];

        sheet_add(t, "Memory", "%s used, quota %s of at most %s, peak %s, %llu raises",
                  format_size(info_u64(i, "memory_current_bytes"), current),
                  format_size(info_u64(i, "memory_quota_bytes"), quota),
                  format_size(info_u64(i, "memory_max_bytes"), max),
                  format_size(info_u64(i, "memory_peak_bytes"), peak), (unsigned long long) info_u64(i, "raises"));
}

static void add_end(struct libscols_table *t, const PenstockInfo *i) {
        char buf[TEXT_MAX];
        PenstockError error = {};

        if (penstock_info_get_error(i, &error) == 0)
                sheet_add(t, "Error", "%s: %s", error.name, error.message);
        if (!penstock_info_is_ended(i))
                return;
        if (info_i64(i, "exit_signal") > 0)
                sheet_add(t, "Exit", "signal %lld", (long long) info_i64(i, "exit_signal"));
        else if (info_i64(i, "exit_status") >= 0)
                sheet_add(t, "Exit", "status %lld", (long long) info_i64(i, "exit_status"));
        if (info_string(i, "verdict")[0] != '\0')
                sheet_add(t, "Verdict", "%s", info_string(i, "verdict"));
        sheet_add(t, "Ended", "%s", format_time(info_u64(i, "ended_usec"), buf));
}

static int print_sheet(const Verb *verb, const PenstockInfo *i) {
        struct libscols_table *t = sheet_new();
        char buf[TEXT_MAX];

        sheet_add(t, "ID", "%llu", (unsigned long long) info_u64(i, "id"));
        sheet_add(t, "State", "%s", info_string(i, "state"));
        sheet_paint(t, state_color(info_string(i, "state")));
        sheet_add(t, "Language", "%s", info_string(i, "language"));
        sheet_add(t, "Unit", "%s", info_string(i, "unit"));
        if (info_string(i, "control_group")[0] != '\0')
                sheet_add(t, "Control group", "%s", info_string(i, "control_group"));
        sheet_add(t, "User ID", "%llu", (unsigned long long) info_u64(i, "user_id"));
        add_labels(t, i);
        sheet_add(t, "Priority", "%lld", (long long) info_i64(i, "priority"));
        if (info_u64(i, "queue_position") > 0)
                sheet_add(t, "Queue position", "%llu", (unsigned long long) info_u64(i, "queue_position"));
        if (info_string(i, "wait_reason")[0] != '\0')
                sheet_add(t, "Waits for", "%s", info_string(i, "wait_reason"));
        add_dependencies(t, i);
        add_memory(t, i);
        sheet_add(t, "Created", "%s", format_time(info_u64(i, "created_usec"), buf));
        add_end(t, i);
        sheet_add(t, "Time", "%s", format_duration(info_u64(i, "total_usec"), buf));
        return table_print(verb, t);
}

static int show_run(const Verb *verb, int argc, char *argv[]) {
        return describe_run(verb, argc, argv, json_query, print_sheet);
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
