/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/complete.h"
#include "ctl/json.h"

static int done_run(const Verb *verb, int argc, char *argv[]) {
        CLEANUP(client_freep) PenstockClient *c = NULL;
        json_t *array;
        uint64_t id;
        bool json;
        int r, status = EXIT_CODE_OK;

        r = options_simple(verb, argc, argv, 1, -1, &json);
        if (r != GO_ON)
                return r;
        for (int k = optind; k < argc; k++)
                if (id_parse(argv[k], &id) < 0)
                        return id_error(verb, argv[k]);
        r = client_open(verb, &c);
        if (r != GO_ON)
                return r;
        array = json_array();
        for (int k = optind; k < argc; k++) {
                CLEANUP(query_freep) PenstockQuery *q = NULL;
                CLEANUP(info_freep) PenstockInfo *i = NULL;
                PenstockError error = {};
                json_t *o;

                (void) id_parse(argv[k], &id);
                r = penstock_query_open(c, id, &q);
                if (r >= 0)
                        r = penstock_query_done(q, &i, &error);
                if (r < 0) {
                        status = report_error(&error, verb->failure);
                        continue;
                }
                o = json_all(i);
                json_object_set_new(o, "id", json_integer((json_int_t) id));
                json_array_append_new(array, o);
        }
        if (!json) {
                json_decref(array);
                return status;
        }
        r = json_print(verb, array);
        return r != EXIT_CODE_OK ? r : status;
}

const Verb verb_done = {
        .name = "done",
        .arguments = "[--json] ID…",
        .summary = "Release all that queries hold; a live one is canceled first",
        .help = "  --json  an array of the final statistics\n",
        .options = options_json,
        .failure = EXIT_CODE_FAILURE,
        .usage = EXIT_CODE_USAGE,
        .run = done_run,
        .examples = "  penstockctl done 12\n"
                    "  penstockctl done --json 12 | jq '.[].cpu_usec'\n",
        .complete = complete_own_queries,
};
