/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/json.h"
#include "ctl/table.h"

#define LABELS_MAX 512u
#define COLUMN_STATE 1u

static const Column columns[] = {
        { "ID", COLUMN_RIGHT },
        { "STATE", COLUMN_LEFT },
        { "LANGUAGE", COLUMN_LEFT, 6 },
        { "USER", COLUMN_LEFT, 7 },
        { "POS", COLUMN_RIGHT, 4 },
        { "QUOTA", COLUMN_RIGHT, 5 },
        { "MAX", COLUMN_RIGHT, 8 },
        { "USED", COLUMN_RIGHT, 3 },
        { "PEAK", COLUMN_RIGHT, 9 },
        { "RAISES", COLUMN_RIGHT, 10 },
        { "TIME", COLUMN_RIGHT, 2 },
        { "WHY", COLUMN_TRUNCATE, 1 },
        { "LABELS", COLUMN_TRUNCATE, 11 },
};

/* What it waits for, or why it ended. */
static const char *reason(const PenstockInfo *i, PenstockError *error) {
        if (penstock_info_get_error(i, error) == 0)
                return error->name;
        return info_string(i, "wait_reason");
}

/* "team=ml kind=report", as far as there is room. */
static const char *labels_text(const PenstockInfo *i, char buf[static LABELS_MAX]) {
        const char *key, *value;
        size_t n = 0;

        buf[0] = '\0';
        for (size_t k = 0; n < LABELS_MAX && penstock_info_get_pair(i, "labels", k, &key, &value) == 0; k++)
                n += (size_t) snprintf(buf + n, LABELS_MAX - n, "%s%s=%s", k > 0 ? " " : "", key, value);
        return buf;
}

static void add_row(struct libscols_table *t, const PenstockInfo *i) {
        char id[TEXT_MAX], user[TEXT_MAX], pos[TEXT_MAX] = "-", quota[TEXT_MAX], max[TEXT_MAX], used[TEXT_MAX],
                                           peak[TEXT_MAX], raises[TEXT_MAX], time[TEXT_MAX], labels[LABELS_MAX];
        uint64_t position = info_u64(i, "queue_position");
        PenstockError error = {};

        snprintf(id, sizeof(id), "%llu", (unsigned long long) info_u64(i, "id"));
        snprintf(raises, sizeof(raises), "%llu", (unsigned long long) info_u64(i, "raises"));
        if (position > 0)
                snprintf(pos, sizeof(pos), "%llu", (unsigned long long) position);
        table_add(t,
                  (const char *const[]) {
                                  id,
                                  info_string(i, "state"),
                                  info_string(i, "language"),
                                  user_name(info_u64(i, "user_id"), user),
                                  pos,
                                  format_size(info_u64(i, "memory_quota_bytes"), quota),
                                  format_size(info_u64(i, "memory_max_bytes"), max),
                                  format_size(info_u64(i, "memory_current_bytes"), used),
                                  format_size(info_u64(i, "memory_peak_bytes"), peak),
                                  raises,
                                  format_duration(info_u64(i, "total_usec"), time),
                                  reason(i, &error),
                                  labels_text(i, labels),
                  },
                  ELEMENTSOF(columns));
        table_paint(t, COLUMN_STATE, state_color(info_string(i, "state")));
}

static int list_run(const Verb *verb, int argc, char *argv[]) {
        CLEANUP(client_freep) PenstockClient *c = NULL;
        PenstockInfo **list = NULL;
        PenstockError error = {};
        size_t n = 0;
        bool json;
        int r;

        r = options_simple(verb, argc, argv, 0, 0, &json);
        if (r == GO_ON)
                r = client_open(verb, &c);
        if (r != GO_ON)
                return r;
        if (penstock_client_list(c, &list, &n, &error) < 0)
                return report_error(&error, verb->failure);
        if (json) {
                json_t *array = json_array();

                for (size_t i = 0; i < n; i++)
                        json_array_append_new(array, json_query(list[i]));
                r = json_print(verb, array);
        } else {
                struct libscols_table *t = table_new(columns, ELEMENTSOF(columns), TABLE_WITH_HEADINGS);

                for (size_t i = 0; i < n; i++)
                        add_row(t, list[i]);
                table_fit(t, columns, ELEMENTSOF(columns), terminal_columns(STDOUT_FILENO));
                r = table_print(verb, t);
        }
        penstock_info_list_free(list, n);
        return r;
}

const Verb verb_list = {
        .name = "list",
        .arguments = "[--json]",
        .summary = "List the queries that were not Done yet, by submission",
        .help = "  --json  an array of objects, as of `show --json` but for initial_bytes,\n"
                "          learned, raises_saved, retries, dependencies and verdict\n",
        .options = options_json,
        .failure = EXIT_CODE_FAILURE,
        .usage = EXIT_CODE_USAGE,
        .run = list_run,
        .examples = "  penstockctl list\n"
                    "  penstockctl list --json | jq '.[] | select(.state == \"queueing\") | .id'\n",
};
