/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "ctl/json.h"

static const char *const query_keys[] = {
        "id",
        "state",
        "language",
        "unit",
        "control_group",
        "user_id",
        "labels",
        "priority",
        "queue_position",
        "wait_reason",
        "memory_quota_bytes",
        "memory_max_bytes",
        "memory_current_bytes",
        "memory_peak_bytes",
        "raises",
        "frozen",
        "detached",
        "exit_status",
        "exit_signal",
        "created_usec",
        "ended_usec",
        "total_usec",
};

static const char *const stats_keys[] = {
        "id",
        "state",
        "unit",
        "language",
        "total_usec",
        "compile_usec",
        "queue_usec",
        "execute_usec",
        "frozen_usec",
        "stall_usec",
        "cpu_usec",
        "io_read_bytes",
        "io_write_bytes",
        "memory_max_bytes",
        "memory_peak_bytes",
        "memory_need_bytes",
        "raises",
        "initial_bytes",
        "learned",
        "raises_saved",
        "retries",
        "runtime_errors",
        "verdict",
        "exit_status",
        "exit_signal",
        "raise_log",
};

/* What ListQueries leaves out. */
static const char *const description_keys[] = { "initial_bytes", "learned", "raises_saved", "retries", "dependencies", "verdict" };

const char *const history_keys[] = {
        "id",
        "boot_id",
        "state",
        "language",
        "unit",
        "user_id",
        "labels",
        "priority",
        "initial_bytes",
        "learned",
        "memory_quota_bytes",
        "memory_max_bytes",
        "memory_peak_bytes",
        "raises",
        "raises_saved",
        "retries",
        "detached",
        "error_name",
        "error_message",
        "verdict",
        "exit_status",
        "exit_signal",
        "created_usec",
        "started_usec",
        "ended_usec",
        "total_usec",
        "compile_usec",
        "queue_usec",
        "execute_usec",
        "frozen_usec",
        "stall_usec",
        "cpu_usec",
        "io_read_bytes",
        "io_write_bytes",
        "fingerprint",
        "row",
        NULL,
};

static json_t *json_u64(uint64_t value) {
        return value > INT64_MAX ? json_null() : json_integer((json_int_t) value);
}

static json_t *json_strings(const PenstockInfo *i, const char *key) {
        json_t *list = json_array();
        const char *s;

        for (size_t k = 0; penstock_info_get_item(i, key, k, &s) == 0; k++)
                json_array_append_new(list, json_string(s));
        return list;
}

static json_t *json_pairs(const PenstockInfo *i, const char *key) {
        json_t *object = json_object();
        const char *name, *value;

        for (size_t k = 0; penstock_info_get_pair(i, key, k, &name, &value) == 0; k++)
                json_object_set_new(object, name, json_string(value));
        return object;
}

static json_t *json_raises(const PenstockInfo *i) {
        json_t *list = json_array();
        PenstockRaise r;

        for (size_t k = 0; penstock_info_get_raise(i, k, &r) == 0; k++) {
                json_t *o = json_object();

                json_object_set_new(o, "at_usec", json_u64(r.at_usec));
                json_object_set_new(o, "cause", json_string(r.cause));
                json_object_set_new(o, "old_limit_bytes", json_u64(r.old_limit_bytes));
                json_object_set_new(o, "new_limit_bytes", json_u64(r.new_limit_bytes));
                json_object_set_new(o, "latency_usec", json_u64(r.latency_usec));
                json_array_append_new(list, o);
        }
        return list;
}

json_t *json_from_info(const PenstockInfo *i, const char *key) {
        bool b = false;

        switch (penstock_info_type(i, key)) {
        case PENSTOCK_TYPE_U64: return json_u64(info_u64(i, key));
        case PENSTOCK_TYPE_I64: return json_integer(info_i64(i, key));
        case PENSTOCK_TYPE_BOOL: (void) penstock_info_get_bool(i, key, &b); return json_boolean(b);
        case PENSTOCK_TYPE_STRING: return json_string(info_string(i, key));
        case PENSTOCK_TYPE_STRINGS: return json_strings(i, key);
        case PENSTOCK_TYPE_PAIRS: return json_pairs(i, key);
        case PENSTOCK_TYPE_RAISES: return json_raises(i);
        case PENSTOCK_TYPE_NONE: break;
        }
        return json_null();
}

json_t *json_error(const PenstockInfo *i) {
        PenstockError error = {};
        json_t *o;

        if (penstock_info_get_error(i, &error) < 0)
                return json_null();
        o = json_object();
        json_object_set_new(o, "name", json_string(error.name));
        json_object_set_new(o, "message", json_string(error.message));
        return o;
}

static json_t *json_of_keys(const PenstockInfo *i, const char *const keys[], size_t n) {
        json_t *o = json_object();

        for (size_t k = 0; k < n; k++)
                json_object_set_new(o, keys[k], json_from_info(i, keys[k]));
        json_object_set_new(o, "error", json_error(i));
        return o;
}

json_t *json_query(const PenstockInfo *i) {
        return json_of_keys(i, query_keys, ELEMENTSOF(query_keys));
}

json_t *json_description(const PenstockInfo *i) {
        json_t *o = json_query(i);

        for (size_t k = 0; k < ELEMENTSOF(description_keys); k++)
                json_object_set_new(o, description_keys[k], json_from_info(i, description_keys[k]));
        return o;
}

json_t *json_stats(const PenstockInfo *i) {
        json_t *o = json_of_keys(i, stats_keys, ELEMENTSOF(stats_keys));

        if (penstock_info_type(i, "stderr_tail") == PENSTOCK_TYPE_STRING)
                json_object_set_new(o, "stderr_tail", json_from_info(i, "stderr_tail"));
        return o;
}

/* The error is an object here, as everywhere in JSON. */
json_t *json_history(const PenstockInfo *i) {
        json_t *o = json_object();

        for (size_t k = 0; history_keys[k]; k++)
                if (strcmp(history_keys[k], "error_name") == 0)
                        json_object_set_new(o, "error", json_error(i));
                else if (strcmp(history_keys[k], "error_message") != 0)
                        json_object_set_new(o, history_keys[k], json_from_info(i, history_keys[k]));
        return o;
}

json_t *json_all(const PenstockInfo *i) {
        json_t *o = json_object();
        const char *key;

        for (size_t k = 0; (key = penstock_info_key(i, k)); k++)
                json_object_set_new(o, key, json_from_info(i, key));
        return o;
}

int json_print(const Verb *verb, json_t *value) {
        CLEANUP(freep) char *text = value ? json_dumps(value, JSON_INDENT(2)) : NULL;

        json_decref(value);
        if (!text) {
                report("out of memory");
                return verb->failure;
        }
        json_write_plain(text, stdout);
        putchar('\n');
        return finish_output(verb->failure);
}
