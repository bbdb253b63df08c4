/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/history_labels.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

int history_labels_write(const PairList *labels, char **ret) {
        json_t *o = json_object();
        char *text = NULL;
        int r = o ? 0 : -1;

        for (size_t i = 0; r == 0 && i < labels->n; i++)
                r = json_object_set_new(o, labels->v[i].key, json_string(labels->v[i].value));
        if (r == 0)
                text = json_dumps(o, JSON_COMPACT);
        json_decref(o);
        if (!text)
                return -ENOMEM;
        *ret = text;
        return 0;
}

int history_labels_read(const char *json, PairList *ret) {
        json_t *o = json_loadb(json, strlen(json), JSON_REJECT_DUPLICATES, NULL), *value;
        PairList labels = {};
        const char *key;
        int r = json_is_object(o) ? 0 : -EBADMSG;

        json_object_foreach(o, key, value) {
                if (r == 0)
                        r = json_is_string(value) && identifier_is_valid(key)
                                            ? pairlist_set(&labels, key, json_string_value(value))
                                            : -EBADMSG;
        }
        json_decref(o);
        if (r < 0) {
                pairlist_done(&labels);
                return r;
        }
        *ret = labels;
        return 0;
}
