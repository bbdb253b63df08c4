/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* client/history: what is asked of the history, and its answer. */
#include <errno.h>
#include <string.h>

#include "client/internal.h"
#include "client/text.h"

struct PenstockFilter {
        char *language, *state, *error;
        PairList labels;
        OptionalU64 user_id, since_usec, until_usec, min_peak_bytes, limit, before;
};

EXPORT int penstock_filter_new(PenstockFilter **ret) {
        PenstockFilter *f = calloc(1, sizeof(*f));

        if (!f)
                return -ENOMEM;
        *ret = f;
        return 0;
}

EXPORT PenstockFilter *penstock_filter_free(PenstockFilter *f) {
        if (!f)
                return NULL;
        free(f->language);
        free(f->state);
        free(f->error);
        pairlist_done(&f->labels);
        free(f);
        return NULL;
}

static bool text_is_good(const char *text) {
        size_t offset;

        return text && text_check(text, strlen(text), &offset) == TEXT_GOOD;
}

static int set_text(char **field, const char *text) {
        char *copy;

        if (!text_is_good(text))
                return -EINVAL;
        copy = strdup(text);
        if (!copy)
                return -ENOMEM;
        free(*field);
        *field = copy;
        return 0;
}

static int set_u64(OptionalU64 *field, uint64_t value) {
        *field = (OptionalU64) { .is_set = true, .value = value };
        return 0;
}

EXPORT int penstock_filter_set_user_id(PenstockFilter *f, uid_t uid) {
        return set_u64(&f->user_id, uid);
}

EXPORT int penstock_filter_set_language(PenstockFilter *f, const char *name) {
        return set_text(&f->language, name);
}

EXPORT int penstock_filter_set_state(PenstockFilter *f, const char *state) {
        return set_text(&f->state, state);
}

EXPORT int penstock_filter_set_error(PenstockFilter *f, const char *name) {
        return set_text(&f->error, name);
}

EXPORT int penstock_filter_add_label(PenstockFilter *f, const char *key, const char *value) {
        return text_is_good(key) && text_is_good(value) ? pairlist_set(&f->labels, key, value) : -EINVAL;
}

EXPORT int penstock_filter_set_since(PenstockFilter *f, uint64_t realtime_usec) {
        return set_u64(&f->since_usec, realtime_usec);
}

EXPORT int penstock_filter_set_until(PenstockFilter *f, uint64_t realtime_usec) {
        return set_u64(&f->until_usec, realtime_usec);
}

EXPORT int penstock_filter_set_min_peak(PenstockFilter *f, uint64_t bytes) {
        return set_u64(&f->min_peak_bytes, bytes);
}

EXPORT int penstock_filter_set_limit(PenstockFilter *f, uint64_t n) {
        return set_u64(&f->limit, n);
}

EXPORT int penstock_filter_set_before(PenstockFilter *f, uint64_t row) {
        return set_u64(&f->before, row);
}

static int append_text(sd_bus_message *m, const char *key, const char *value) {
        return value ? sd_bus_message_append(m, "{sv}", key, "s", value) : 0;
}

static int append_u64(sd_bus_message *m, const char *key, const OptionalU64 *value) {
        return value->is_set ? sd_bus_message_append(m, "{sv}", key, "t", value->value) : 0;
}

static int append_labels(sd_bus_message *m, const PairList *labels) {
        int r;

        if (labels->n == 0)
                return 0;
        r = sd_bus_message_open_container(m, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", "labels");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', "a{ss}");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "{ss}");
        for (size_t i = 0; r >= 0 && i < labels->n; i++)
                r = sd_bus_message_append(m, "{ss}", labels->v[i].key, labels->v[i].value);
        for (unsigned i = 0; r >= 0 && i < 3; i++)
                r = sd_bus_message_close_container(m);
        return r;
}

static int append_filter(sd_bus_message *m, const PenstockFilter *f) {
        int r;

        if ((r = append_text(m, "language", f->language)) < 0 || (r = append_text(m, "state", f->state)) < 0 ||
            (r = append_text(m, "error", f->error)) < 0 || (r = append_labels(m, &f->labels)) < 0 ||
            (r = append_u64(m, "since_usec", &f->since_usec)) < 0 ||
            (r = append_u64(m, "until_usec", &f->until_usec)) < 0 ||
            (r = append_u64(m, "min_peak_bytes", &f->min_peak_bytes)) < 0 ||
            (r = append_u64(m, "limit", &f->limit)) < 0 || (r = append_u64(m, "before", &f->before)) < 0)
                return r;
        if (!f->user_id.is_set)
                return 0;
        return sd_bus_message_append(m, "{sv}", "user_id", "u", (uint32_t) f->user_id.value);
}

static int message_new(PenstockClient *c, const PenstockFilter *f, sd_bus_message **ret) {
        CLEANUP(message_unrefp) sd_bus_message *m = NULL;
        int r = client_message_new(c, "History", &m);

        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0 && f)
                r = append_filter(m, f);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        if (r < 0)
                return r;
        *ret = m;
        m = NULL;
        return 0;
}

EXPORT int penstock_client_history(PenstockClient *c, const PenstockFilter *f, PenstockInfo ***ret, size_t *ret_n,
                                   PenstockError *ret_error) {
        CLEANUP(message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
        int r = message_new(c, f, &m);

        if (r < 0)
                return client_error_from_bus(ret_error, r, NULL);
        r = client_call(c, m, CALL_USEC, &reply, ret_error);
        if (r < 0)
                return r;
        r = info_list_read(reply, ret, ret_n);
        return r < 0 ? client_error_from_bus(ret_error, r, NULL) : 0;
}
