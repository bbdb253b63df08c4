/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <pwd.h>

#include "ctl/json.h"
#include "ctl/table.h"

static const Column columns[] = {
        { "ID", COLUMN_RIGHT },   { "STATE", COLUMN_LEFT },   { "LANGUAGE", COLUMN_LEFT }, { "USER", COLUMN_LEFT },
        { "POS", COLUMN_RIGHT },  { "QUOTA", COLUMN_RIGHT },  { "MAX", COLUMN_RIGHT },     { "USED", COLUMN_RIGHT },
        { "PEAK", COLUMN_RIGHT }, { "RAISES", COLUMN_RIGHT }, { "TIME", COLUMN_RIGHT },    { "WHY", COLUMN_TRUNCATE },
};

static const char *user_name(uint64_t uid, char buf[static TEXT_MAX]) {
        struct passwd *pw = getpwuid((uid_t) uid);

        if (pw)
                snprintf(buf, TEXT_MAX, "%s", pw->pw_name);
        else
                snprintf(buf, TEXT_MAX, "%llu", (unsigned long long) uid);
        return buf;
}

/* What it waits for, or why it ended. */
static const char *reason(const PenstockInfo *i, PenstockError *error) {
        if (penstock_info_get_error(i, error) == 0)
                return error->name;
        return info_string(i, "wait_reason");
}

static void add_row(struct libscols_table *t, const PenstockInfo *i) {
        char id[TEXT_MAX], user[TEXT_MAX], pos[TEXT_MAX] = "-", quota[TEXT_MAX], max[TEXT_MAX], used[TEXT_MAX],
                                           peak[TEXT_MAX], raises[TEXT_MAX], time[TEXT_MAX];
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
                  },
                  ELEMENTSOF(columns));
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
                r = table_print(verb, t);
        }
        penstock_info_list_free(list, n);
        return r;
}

const Verb verb_list = {
        .name = "list",
        .arguments = "[--json]",
        .summary = "List the queries that were not Done yet, by submission",
        .help = "  --json  an array of objects, as of `show --json`\n",
        .options = options_json,
        .failure = EXIT_CODE_FAILURE,
        .usage = EXIT_CODE_USAGE,
        .run = list_run,
        .examples = "  penstockctl list\n"
                    "  penstockctl list --json | jq '.[] | select(.state == \"queueing\") | .id'\n",
};
