/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/complete.h"

#include <errno.h>
#include <string.h>

/* A connection that starts nobody. */
static PenstockClient *open_client(void) {
        PenstockClient *client = NULL;

        if (penstock_client_new(&client, NULL) == 0)
                penstock_client_set_auto_start(client, false);
        return client;
}

void complete_languages(Completion *c) {
        CLEANUP(client_freep) PenstockClient *client = open_client();
        CLEANUP(info_freep) PenstockInfo *i = NULL;
        const char *name, *description;

        if (!client || penstock_client_status(client, &i, NULL) < 0)
                return;
        for (size_t k = 0; penstock_info_get_pair(i, "languages", k, &name, &description) == 0; k++)
                completion_add(c, name, description);
}

typedef void (*EachQuery)(Completion *c, const PenstockInfo *i);

static void for_each_query(Completion *c, PenstockClient *client, EachQuery each) {
        PenstockInfo **list = NULL;
        size_t n = 0;

        if (penstock_client_list(client, &list, &n, NULL) < 0)
                return;
        for (size_t k = 0; k < n; k++)
                each(c, list[k]);
        penstock_info_list_free(list, n);
}

/* Keys that the service shows, and the values that queries have now. */
static void add_labels(Completion *c, const PenstockInfo *i) {
        const char *key, *value;
        char text[300];

        for (size_t k = 0; penstock_info_get_pair(i, "labels", k, &key, &value) == 0; k++)
                if ((size_t) snprintf(text, sizeof(text), "%s=%s", key, value) < sizeof(text) &&
                    !completion_has(c, text))
                        completion_add(c, text, "");
}

static void add_label_keys(Completion *c, const PenstockInfo *status) {
        const char *key;
        char text[300];

        for (size_t k = 0; penstock_info_get_item(status, "metric_label_keys", k, &key) == 0; k++) {
                snprintf(text, sizeof(text), "%s=", key);
                completion_add(c, text, "");
        }
}

void complete_labels(Completion *c) {
        CLEANUP(client_freep) PenstockClient *client = open_client();
        CLEANUP(info_freep) PenstockInfo *status = NULL;

        if (!client)
                return;
        if (strchr(c->value, '='))
                for_each_query(c, client, add_labels);
        else if (penstock_client_status(client, &status, NULL) == 0)
                add_label_keys(c, status);
}

static void add_query(Completion *c, const PenstockInfo *i) {
        uint64_t id = info_u64(i, "id"), given;
        PenstockError error = {};
        char number[24], text[160];
        bool has_error = penstock_info_get_error(i, &error) == 0;

        for (size_t k = 0; k < c->n_arguments; k++)
                if (id_parse(c->arguments[k], &given) == 0 && given == id)
                        return;
        snprintf(number, sizeof(number), "%llu", (unsigned long long) id);
        snprintf(text, sizeof(text), "%.20s%s%.40s%s, %.40s", info_string(i, "state"), has_error ? " (" : "",
                 error.name, has_error ? ")" : "", info_string(i, "language"));
        completion_add(c, number, text);
}

static void add_own(Completion *c, const PenstockInfo *i) {
        if (geteuid() == 0 || info_u64(i, "user_id") == geteuid())
                add_query(c, i);
}

static void add_live(Completion *c, const PenstockInfo *i) {
        if (!penstock_info_is_ended(i))
                add_own(c, i);
}

static void add_detached(Completion *c, const PenstockInfo *i) {
        bool detached = false;

        if (penstock_info_get_bool(i, "detached", &detached) == 0 && detached)
                add_own(c, i);
}

/* Verbs say in their usage whether they take more than one. */
static void add_queries(Completion *c, EachQuery each) {
        CLEANUP(client_freep) PenstockClient *client = NULL;

        if (c->n_arguments > 0 && !strstr(c->verb->arguments, "ID…"))
                return;
        client = open_client();
        if (client)
                for_each_query(c, client, each);
}

void complete_queries(Completion *c) {
        add_queries(c, add_query);
}

void complete_own_queries(Completion *c) {
        add_queries(c, add_own);
}

void complete_live_queries(Completion *c) {
        add_queries(c, add_live);
}

void complete_detached_queries(Completion *c) {
        add_queries(c, add_detached);
}
