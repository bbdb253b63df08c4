/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/complete.h"
#include "ctl/json.h"
#include "ctl/request_options.h"

static json_t *submit_json(PenstockQuery *q) {
        CLEANUP(info_freep) PenstockInfo *i = NULL;
        unsigned long long id = penstock_query_id(q);
        char unit[64];
        json_t *o;

        if (penstock_query_describe(q, &i, NULL) == 0)
                return json_query(i);
        /* It is recorded, so the ID must be told, even when the service went away right after. */
        snprintf(unit, sizeof(unit), "penstock-q%llu.service", id);
        o = json_object();
        json_object_set_new(o, "id", json_integer((json_int_t) id));
        json_object_set_new(o, "unit", json_string(unit));
        return o;
}

static int submit(const Verb *verb, const RequestOptions *o) {
        CLEANUP(client_freep) PenstockClient *c = NULL;
        CLEANUP(query_freep) PenstockQuery *q = NULL;
        PenstockError error = {};
        int r;

        if (penstock_request_set_detached(o->request) < 0) {
                report("out of memory");
                return verb->failure;
        }
        r = client_open(verb, &c);
        if (r != GO_ON)
                return r;
        if (penstock_query_submit(c, o->request, &q, &error) < 0)
                return request_refused(o, &error);
        if (o->json)
                return json_print(verb, submit_json(q));
        printf("%llu\n", (unsigned long long) penstock_query_id(q));
        return finish_output(verb->failure);
}

static int submit_run(const Verb *verb, int argc, char *argv[]) {
        return request_run(verb, argc, argv, submit);
}

const Verb verb_submit = {
        .name = "submit",
        .arguments = REQUEST_ARGUMENTS,
        .summary = "Submit a query that outlives this command, and print its ID",
        .help = request_help,
        .short_options = request_short_options,
        .options = request_options,
        .failure = EXIT_CODE_FAILURE,
        .usage = EXIT_CODE_USAGE,
        .run = submit_run,
        .examples = "  penstockctl submit -l python --file etl.py\n"
                    "  id=$(penstockctl submit -- ./etl.sh) && penstockctl wait $id\n",
        .complete = complete_request,
};
