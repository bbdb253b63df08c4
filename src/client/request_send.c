/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* client/request_send: a request as the a{sv} of Query. */
#include <errno.h>
#include <string.h>

#include "client/internal.h"

static int append_string(sd_bus_message *m, const char *key, const char *value) {
        return value ? sd_bus_message_append(m, "{sv}", key, "s", value) : 0;
}

static int append_u64(sd_bus_message *m, const char *key, const OptionalU64 *value) {
        return value->is_set ? sd_bus_message_append(m, "{sv}", key, "t", value->value) : 0;
}

static int append_fd(sd_bus_message *m, const char *key, int fd) {
        return fd >= 0 ? sd_bus_message_append(m, "{sv}", key, "h", fd) : 0;
}

static int open_entry(sd_bus_message *m, const char *key, const char *signature) {
        int r;

        r = sd_bus_message_open_container(m, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", key);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', signature);
        return r;
}

static int close_entry(sd_bus_message *m) {
        int r = sd_bus_message_close_container(m);

        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_list(sd_bus_message *m, const char *key, const StrList *l) {
        int r;

        if (l->n == 0)
                return 0;
        r = open_entry(m, key, "as");
        if (r >= 0)
                r = sd_bus_message_append_strv(m, l->v);
        return r < 0 ? r : close_entry(m);
}

static int append_pairs(sd_bus_message *m, const char *key, const PairList *l) {
        int r;

        if (l->n == 0)
                return 0;
        r = open_entry(m, key, "a{ss}");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "{ss}");
        for (size_t i = 0; i < l->n && r >= 0; i++)
                r = sd_bus_message_append(m, "{ss}", l->v[i].key, l->v[i].value);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : close_entry(m);
}

static int append_limits(sd_bus_message *m, const PenstockRequest *r) {
        int k;

        if (r->n_limits == 0)
                return 0;
        k = open_entry(m, "limits", "a{s(tt)}");
        if (k >= 0)
                k = sd_bus_message_open_container(m, 'a', "{s(tt)}");
        for (size_t i = 0; i < r->n_limits && k >= 0; i++)
                k = sd_bus_message_append(m, "{s(tt)}", r->limits[i].name, r->limits[i].soft, r->limits[i].hard);
        if (k >= 0)
                k = sd_bus_message_close_container(m);
        return k < 0 ? k : close_entry(m);
}

static int append_request(sd_bus_message *m, const PenstockRequest *r) {
        int k;

        if ((k = append_string(m, "language", r->language)) < 0 || (k = append_string(m, "query", r->query)) < 0 ||
            (k = append_list(m, "argv", &r->argv)) < 0 || (k = append_string(m, "database", r->database)) < 0 ||
            (k = append_string(m, "file", r->file)) < 0 || (k = append_pairs(m, "parameters", &r->parameters)) < 0 ||
            (k = append_u64(m, "memory_initial_bytes", &r->memory_initial_bytes)) < 0 ||
            (k = append_u64(m, "memory_max_bytes", &r->memory_max_bytes)) < 0 ||
            (k = append_u64(m, "timeout_usec", &r->timeout_usec)) < 0 ||
            (k = append_u64(m, "queue_timeout_usec", &r->queue_timeout_usec)) < 0 ||
            (k = append_pairs(m, "labels", &r->labels)) < 0 ||
            (k = append_pairs(m, "environment", &r->environment)) < 0 ||
            (k = append_string(m, "working_directory", r->working_directory)) < 0 ||
            (k = append_list(m, "dependencies", &r->dependencies)) < 0 ||
            (k = append_string(m, "user", r->user)) < 0 || (k = append_limits(m, r)) < 0 ||
            (k = append_fd(m, "stdin", r->stdin_fd)) < 0 || (k = append_fd(m, "stderr", r->stderr_fd)) < 0)
                return k;
        if (r->has_priority && (k = sd_bus_message_append(m, "{sv}", "priority", "i", r->priority)) < 0)
                return k;
        if (r->umask.is_set && (k = sd_bus_message_append(m, "{sv}", "umask", "u", (uint32_t) r->umask.value)) < 0)
                return k;
        if (r->detach && (k = sd_bus_message_append(m, "{sv}", "detach", "b", 1)) < 0)
                return k;
        return r->once ? sd_bus_message_append(m, "{sv}", "once", "b", 1) : 0;
}

int request_message_new(PenstockClient *c, const PenstockRequest *r, sd_bus_message **ret) {
        CLEANUP(message_unrefp) sd_bus_message *m = NULL;
        int k;

        k = client_message_new(c, "Query", &m);
        if (k >= 0)
                k = sd_bus_message_open_container(m, 'a', "{sv}");
        if (k >= 0)
                k = append_request(m, r);
        if (k >= 0)
                k = sd_bus_message_close_container(m);
        if (k < 0)
                return k;
        *ret = m;
        m = NULL;
        return 0;
}
