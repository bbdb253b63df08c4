/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The properties of a query: each has one function here that appends its value. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bus/statistics.h"

#define ULL(x) ((unsigned long long) (x))
#define WAIT_REASON_MAX 512

void query_view_init(QueryView *v, Manager *m, const Query *q) {
        *v = (QueryView) {
                .manager = m,
                .query = q,
                .record = manager_record(m, q->id),
                .now_usec = manager_now(m),
        };
}

/* The kernel is asked once for both figures, and only for a query that can have a group with processes. */
static void view_read_memory(QueryView *v) {
        const Query *q = v->query;

        if (v->has_memory)
                return;
        v->has_memory = true;
        if (q->state == QUERY_EXECUTING)
                manager_memory_now(v->manager, q->id, &v->current_bytes, &v->peak_bytes);
        v->peak_bytes = MAX(v->peak_bytes, MAX(q->peak_bytes, q->final.memory_peak_bytes));
}

static int append_u64(sd_bus_message *m, uint64_t value) {
        return sd_bus_message_append_basic(m, 't', &value);
}

static int append_i32(sd_bus_message *m, int32_t value) {
        return sd_bus_message_append_basic(m, 'i', &value);
}

static int append_string(sd_bus_message *m, const char *value) {
        return sd_bus_message_append_basic(m, 's', value ?: "");
}

static int append_id(sd_bus_message *m, QueryView *v) {
        return append_u64(m, v->query->id);
}

static int append_state(sd_bus_message *m, QueryView *v) {
        return append_string(m, query_state_name(v->query->state));
}

static int append_language(sd_bus_message *m, QueryView *v) {
        return append_string(m, v->query->spec.language);
}

static int append_unit(sd_bus_message *m, QueryView *v) {
        char name[QUERY_UNIT_NAME_MAX];

        return append_string(m, query_unit_name(v->query->id, name));
}

static int append_control_group(sd_bus_message *m, QueryView *v) {
        return append_string(m, v->record ? v->record->control_group : NULL);
}

static int append_user_id(sd_bus_message *m, QueryView *v) {
        return sd_bus_message_append_basic(m, 'u', &v->query->spec.uid);
}

/* What a caller wrote into labels is not everybody's to read: only the keys that the administrator made public. */
static int append_labels(sd_bus_message *m, QueryView *v) {
        const StrList *keys = &manager_config(v->manager)->metric_label_keys;
        int r = sd_bus_message_open_container(m, 'a', "{ss}");

        for (size_t i = 0; r >= 0 && v->record && i < v->record->request.labels.n; i++) {
                const StrPair *p = &v->record->request.labels.v[i];

                if (strlist_has(keys, p->key))
                        r = sd_bus_message_append(m, "{ss}", p->key, p->value);
        }
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_priority(sd_bus_message *m, QueryView *v) {
        return append_i32(m, v->query->spec.priority);
}

static int append_queue_position(sd_bus_message *m, QueryView *v) {
        return append_u64(m, engine_queue_position(manager_engine(v->manager), v->query));
}

static int append_wait_reason(sd_bus_message *m, QueryView *v) {
        char reason[WAIT_REASON_MAX];

        return append_string(m, manager_wait_reason(v->manager, v->query, reason, sizeof(reason)));
}

static int append_dependencies(sd_bus_message *m, QueryView *v) {
        return sd_bus_message_append_strv(m, v->record ? v->record->dependencies.v : NULL);
}

static int append_memory_quota(sd_bus_message *m, QueryView *v) {
        return append_u64(m, v->query->quota_bytes);
}

static int append_memory_max(sd_bus_message *m, QueryView *v) {
        return append_u64(m, v->query->max_bytes);
}

static int append_memory_current(sd_bus_message *m, QueryView *v) {
        view_read_memory(v);
        return append_u64(m, v->current_bytes);
}

uint64_t query_view_peak(QueryView *v) {
        view_read_memory(v);
        return v->peak_bytes;
}

static int append_memory_peak(sd_bus_message *m, QueryView *v) {
        return append_u64(m, query_view_peak(v));
}

static int append_raises(sd_bus_message *m, QueryView *v) {
        return append_u64(m, v->query->n_raises);
}

static int append_frozen(sd_bus_message *m, QueryView *v) {
        int b = v->query->state == QUERY_EXECUTING && v->query->frozen;

        return sd_bus_message_append_basic(m, 'b', &b);
}

static int append_detached(sd_bus_message *m, QueryView *v) {
        int b = v->query->spec.detached;

        return sd_bus_message_append_basic(m, 'b', &b);
}

static int append_error_name(sd_bus_message *m, QueryView *v) {
        return append_string(m, error_dbus_name(query_error(v->query)));
}

static int append_error_message(sd_bus_message *m, QueryView *v) {
        return append_string(m, query_error(v->query) == ERROR_NONE ? NULL : v->query->error.message);
}

static int append_exit_status(sd_bus_message *m, QueryView *v) {
        return append_i32(m, v->query->exit_status);
}

static int append_exit_signal(sd_bus_message *m, QueryView *v) {
        return append_i32(m, v->query->exit_signal);
}

static int append_created(sd_bus_message *m, QueryView *v) {
        return append_u64(m, v->record ? v->record->created_realtime_usec : 0);
}

static int append_ended(sd_bus_message *m, QueryView *v) {
        return append_u64(m, v->record ? v->record->ended_realtime_usec : 0);
}

static int append_total(sd_bus_message *m, QueryView *v) {
        return append_u64(m, query_total_usec(v->query, v->now_usec));
}

#define AS_ENTRY(name, type, flags, append) { name, type, append },

static const struct {
        const char *name, *type;
        QueryPropertyAppend append;
} properties[] = { QUERY_PROPERTIES(AS_ENTRY) };

int query_property_append(sd_bus_message *m, QueryView *v, const char *name) {
        for (size_t i = 0; i < ELEMENTSOF(properties); i++)
                if (strcmp(properties[i].name, name) == 0)
                        return properties[i].append(m, v);
        return -ENOENT;
}

int query_properties_append(sd_bus_message *m, QueryView *v) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(properties); i++) {
                r = sd_bus_message_open_container(m, 'e', "sv");
                if (r >= 0)
                        r = sd_bus_message_append_basic(m, 's', properties[i].name);
                if (r >= 0)
                        r = sd_bus_message_open_container(m, 'v', properties[i].type);
                if (r >= 0)
                        r = properties[i].append(m, v);
                if (r >= 0)
                        r = sd_bus_message_close_container(m);
                if (r >= 0)
                        r = sd_bus_message_close_container(m);
        }
        return r;
}
