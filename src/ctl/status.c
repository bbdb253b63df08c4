/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "ctl/table.h"
#include "ctl/verbs.h"

static const char *const states[] = { "created",  "compiling", "queueing", "executing",
                                      "finished", "errored",   "canceled" };

/* Used and unused are the budget in force, which may be less than what is configured. */
static void add_memory(Sheet *s, const PenstockInfo *i) {
        uint64_t used_bytes = info_u64(i, "used_memory_bytes"), unused_bytes = info_u64(i, "unused_memory_bytes"),
                 max_bytes = info_u64(i, "max_memory_bytes");
        char used[TEXT_MAX], unused[TEXT_MAX], max[TEXT_MAX], lacking[TEXT_MAX];

        sheet_add(s, "Memory", "%s held by slots and queries, %s unused of %s", format_size(used_bytes, used),
                  unused_bytes == 0 ? "nothing" : format_size(unused_bytes, unused), format_size(max_bytes, max));
        if (used_bytes < max_bytes && unused_bytes < max_bytes - used_bytes)
                sheet_add(s, "", "%s of it can't be given out: penstock.slice has a lower MemoryMax=, or ended queries left memory behind",
                          format_size(max_bytes - used_bytes - unused_bytes, lacking));
}

static void add_limits(Sheet *s, const PenstockInfo *i) {
        char initial[TEXT_MAX], max[TEXT_MAX];

        sheet_add(s, "Quota per query", "%s at the start, %s at most",
                  format_size(info_u64(i, "initial_memory_bytes_quota_per_query"), initial),
                  format_size(info_u64(i, "memory_bytes_quota_per_query"), max));
        sheet_add(s, "Slots", "%llu, and %llu places in the queue",
                  (unsigned long long) info_u64(i, "concurrency_quota"),
                  (unsigned long long) info_u64(i, "queue_size"));
}

static int print_sheet(const Verb *verb, const PenstockInfo *i) {
        Sheet sheet = {}, *s = &sheet;
        bool paused = false, shutting_down = false;

        (void) penstock_info_get_bool(i, "paused", &paused);
        (void) penstock_info_get_bool(i, "shutting_down", &shutting_down);
        sheet_add(s, "Version", "%s", info_string(i, "version"));
        sheet_add(s, "Accepting", "%s",
                  shutting_down ? "no, shut down until `systemctl restart penstockd`"
                  : paused      ? "yes, but starting none until `penstockctl resume`"
                                : "yes");
        add_memory(s, i);
        add_limits(s, i);
        for (size_t k = 0; k < ELEMENTSOF(states); k++) {
                char name[16];

                snprintf(name, sizeof(name), "%s", states[k]);
                name[0] = (char) (name[0] - 'a' + 'A');
                sheet_add(s, name, "%llu", (unsigned long long) info_u64(i, states[k]));
        }
        return sheet_print(verb, s);
}

static json_t *status_json(const PenstockInfo *i) {
        json_t *o = json_all(i);

        json_object_del(o, "languages"); /* `penstockctl languages` has them */
        json_object_del(o, "language_memory_notes");
        return o;
}

static int status_run(const Verb *verb, int argc, char *argv[]) {
        return controller_run(verb, argc, argv, status_json, print_sheet);
}

const Verb verb_status = {
        .name = "status",
        .arguments = "[--json]",
        .summary = "Show the budget, the queries by state and the limits in force",
        .help = "  --json  an object; counts are flat under the names of the states\n",
        .options = options_json,
        .failure = EXIT_CODE_FAILURE,
        .usage = EXIT_CODE_USAGE,
        .run = status_run,
        .examples = "  penstockctl status\n"
                    "  penstockctl status --json | jq .unused_memory_bytes\n",
};
