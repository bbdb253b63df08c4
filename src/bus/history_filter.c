/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bus/history.h"

#include <errno.h>
#include <string.h>

#include "bus/decode.h"

typedef struct FilterKey FilterKey;

typedef struct FilterDecoder {
        sd_bus_message *message;
        HistoryFilter filter;
        Error *error;
} FilterDecoder;

struct FilterKey {
        const char *name, *signature;
        int (*read)(FilterDecoder *d, const FilterKey *k);
        size_t offset, size; /* of the field in HistoryFilter */
};

static int read_number(FilterDecoder *d, const FilterKey *k) {
        return sd_bus_message_read_basic(d->message, 't', (char *) &d->filter + k->offset);
}

static int read_row(FilterDecoder *d, const FilterKey *k) {
        int r = read_number(d, k);

        if (r >= 0 && d->filter.before_row == 0)
                return error_set(d->error, ERROR_INVALID_ARGUMENT, "%s must be the Row of a query, and is 0",
                                 k->name);
        return r;
}

static int read_user(FilterDecoder *d, const FilterKey *k) {
        (void) k;
        d->filter.has_user_id = true;
        return sd_bus_message_read_basic(d->message, 'u', &d->filter.user_id);
}

static int read_name(FilterDecoder *d, const FilterKey *k) {
        const char *s;
        int r = sd_bus_message_read_basic(d->message, 's', &s);

        if (r < 0)
                return r;
        if (strlen(s) >= k->size || s[0] == '\0')
                return error_set(d->error, ERROR_INVALID_ARGUMENT, "%s has %zu bytes; it must have 1 to %zu", k->name,
                                 strlen(s), k->size - 1);
        memcpy((char *) &d->filter + k->offset, s, strlen(s) + 1);
        return 0;
}

static int read_label(FilterDecoder *d, const FilterKey *k, const char *key, const char *value) {
        if (d->filter.labels.n >= REQUEST_LABELS_MAX)
                return error_set(d->error, ERROR_INVALID_ARGUMENT, "%s has more than %u entries", k->name,
                                 REQUEST_LABELS_MAX);
        if (!identifier_is_valid(key) || strlen(key) > REQUEST_NAME_BYTES_MAX)
                return error_set(d->error, ERROR_INVALID_ARGUMENT, "%s has a key that is no name of a label",
                                 k->name);
        if (strlen(value) > REQUEST_LABEL_BYTES_MAX)
                return error_set(d->error, ERROR_INVALID_ARGUMENT,
                                 "%s: a value is %zu bytes long; at most %u are taken", k->name, strlen(value),
                                 REQUEST_LABEL_BYTES_MAX);
        if (pairlist_get(&d->filter.labels, key))
                return error_set(d->error, ERROR_INVALID_ARGUMENT, "%s has a key twice", k->name);
        return pairlist_set(&d->filter.labels, key, value);
}

static int read_labels(FilterDecoder *d, const FilterKey *k) {
        int r = sd_bus_message_enter_container(d->message, 'a', "{ss}");
        const char *key, *value;

        while (r >= 0 && (r = sd_bus_message_read(d->message, "{ss}", &key, &value)) > 0)
                r = read_label(d, k, key, value);
        return r < 0 ? r : sd_bus_message_exit_container(d->message);
}

#define FIELD(name) offsetof(HistoryFilter, name), sizeof(((HistoryFilter *) 0)->name)

static const FilterKey keys[] = {
        { "user_id", "u", read_user, FIELD(user_id) },
        { "language", "s", read_name, FIELD(language) },
        { "state", "s", read_name, FIELD(state) },
        { "error", "s", read_name, FIELD(error) },
        { "since_usec", "t", read_number, FIELD(since_usec) },
        { "until_usec", "t", read_number, FIELD(until_usec) },
        { "labels", "a{ss}", read_labels, FIELD(labels) },
        { "min_peak_bytes", "t", read_number, FIELD(min_peak_bytes) },
        { "limit", "t", read_number, FIELD(limit) },
        { "before", "t", read_row, FIELD(before_row) },
};

static int read_value(FilterDecoder *d, const FilterKey *k) {
        const char *contents;
        int r = sd_bus_message_peek_type(d->message, NULL, &contents);

        if (r < 0)
                return r;
        if (strcmp(contents, k->signature) != 0)
                return error_set(d->error, ERROR_INVALID_ARGUMENT, "%s must be of D-Bus type '%s', and is '%.64s'",
                                 k->name, k->signature, contents);
        r = sd_bus_message_enter_container(d->message, 'v', contents);
        if (r >= 0)
                r = k->read(d, k);
        return r < 0 ? r : sd_bus_message_exit_container(d->message);
}

static int read_entry(FilterDecoder *d, uint32_t *seen) {
        const char *name;
        size_t i = 0;
        int r = sd_bus_message_read_basic(d->message, 's', &name);

        if (r < 0)
                return r;
        while (i < ELEMENTSOF(keys) && strcmp(keys[i].name, name) != 0)
                i++;
        if (i == ELEMENTSOF(keys))
                return decode_unknown_key(d->error, name, "the filter");
        if (*seen & UINT32_C(1) << i)
                return error_set(d->error, ERROR_INVALID_ARGUMENT, "%s is given twice", name);
        *seen |= UINT32_C(1) << i;
        return read_value(d, &keys[i]);
}

static int read_all(FilterDecoder *d) {
        uint32_t seen = 0;
        int r = sd_bus_message_enter_container(d->message, 'a', "{sv}");

        while (r >= 0 && (r = sd_bus_message_enter_container(d->message, 'e', "sv")) > 0) {
                r = read_entry(d, &seen);
                if (r >= 0)
                        r = sd_bus_message_exit_container(d->message);
        }
        return r < 0 ? r : sd_bus_message_exit_container(d->message);
}

int history_filter_decode(sd_bus_message *m, HistoryFilter *ret, Error *ret_error) {
        FilterDecoder d = { .message = m, .filter = HISTORY_FILTER_INIT, .error = ret_error };
        int r = read_all(&d);

        if (r >= 0)
                r = history_filter_check(&d.filter, ret_error);
        if (r < 0) {
                history_filter_done(&d.filter);
                return r;
        }
        *ret = d.filter;
        return 0;
}

bool history_filter_restrict(HistoryFilter *f, const HistoryEyes *eyes) {
        bool all_public = true;

        for (size_t i = 0; i < f->labels.n; i++)
                all_public = all_public && strlist_has(eyes->public_keys, f->labels.v[i].key);
        if (all_public || eyes->uid == 0)
                return true;
        if (f->has_user_id && f->user_id != eyes->uid)
                return false;
        f->has_user_id = true;
        f->user_id = eyes->uid;
        return true;
}
