/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/verbs.h"

int describe_run(const Verb *verb, int argc, char *argv[], InfoJson to_json, InfoPrint print) {
        CLEANUP(client_freep) PenstockClient *c = NULL;
        CLEANUP(query_freep) PenstockQuery *q = NULL;
        CLEANUP(info_freep) PenstockInfo *i = NULL;
        PenstockError error = {};
        bool json;
        int r;

        r = options_simple(verb, argc, argv, 1, 1, &json);
        if (r == GO_ON)
                r = query_open(verb, argv[optind], &c, &q);
        if (r != GO_ON)
                return r;
        if (penstock_query_describe(q, &i, &error) < 0)
                return report_error(&error, verb->failure);
        return json ? json_print(verb, to_json(i)) : print(verb, i);
}

int controller_run(const Verb *verb, int argc, char *argv[], InfoJson to_json, InfoPrint print) {
        CLEANUP(client_freep) PenstockClient *c = NULL;
        CLEANUP(info_freep) PenstockInfo *i = NULL;
        PenstockError error = {};
        bool json;
        int r;

        r = options_simple(verb, argc, argv, 0, 0, &json);
        if (r == GO_ON)
                r = client_open(verb, &c);
        if (r != GO_ON)
                return r;
        if (penstock_client_status(c, &i, &error) < 0)
                return report_error(&error, verb->failure);
        return json ? json_print(verb, to_json(i)) : print(verb, i);
}

int order_run(const Verb *verb, int argc, char *argv[], int (*order)(PenstockClient *c, PenstockError *ret_error)) {
        CLEANUP(client_freep) PenstockClient *c = NULL;
        PenstockError error = {};
        int r;

        r = options_simple(verb, argc, argv, 0, 0, NULL);
        if (r == GO_ON)
                r = client_open(verb, &c);
        if (r != GO_ON)
                return r;
        return order(c, &error) < 0 ? report_error(&error, verb->failure) : EXIT_CODE_OK;
}
