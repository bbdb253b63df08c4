/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The filter of History: bus/history_filter on an a{sv} of which the input says each key, type and value. */
#include "bus_message.h"

#include <errno.h>

#include "bus/history.h"
#include "core/request.h"

#define KEYS_MAX 16u

static const DictKey keys[] = {
        { "user_id", "u" }, { "language", "s" }, { "state", "s" }, { "error", "s" }, { "since_usec", "t" },
        { "until_usec", "t" }, { "labels", "a{ss}" }, { "min_peak_bytes", "t" }, { "limit", "t" }, { "before", "t" },
};

static int append_value(sd_bus_message *m, const char *signature, Bytes *b, unsigned flags) {
        uint64_t t;
        char *s;
        int r = sd_bus_message_open_container(m, 'v', signature);

        if (r < 0)
                return r;
        if (strcmp(signature, "a{ss}") == 0)
                r = append_pairs(m, b, flags);
        else if (strcmp(signature, "s") == 0) {
                s = flags & 32 ? strdup("finished") : value_of(b, flags);
                r = s ? sd_bus_message_append_basic(m, 's', s) : -ENOMEM;
                free(s);
        } else if (strcmp(signature, "t") == 0) {
                t = bytes_number(b, flags & 64 ? 2 : 8);
                r = sd_bus_message_append_basic(m, 't', &t);
        } else
                r = sd_bus_message_append(m, "u", (uint32_t) bytes_number(b, 4));
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static const DictKind history_dict = { "History", keys, ELEMENTSOF(keys), KEYS_MAX, append_value };

static bool has_private_label(const HistoryFilter *f, const StrList *public_keys) {
        for (size_t i = 0; i < f->labels.n; i++)
                if (!strlist_has(public_keys, f->labels.v[i].key))
                        return true;
        return false;
}

/* It was accepted, by user 1000. */
static void use(HistoryFilter *f) {
        char *team[] = { (char *) "team" };
        const StrList public_keys = { .v = team, .n = 1 };
        const HistoryEyes eyes = { .uid = 1000, .public_keys = &public_keys };
        bool private, finds;

        PROMISE(f->limit >= 1 && f->limit <= HISTORY_LIMIT_MAX, "a limit of %llu", (unsigned long long) f->limit);
        PROMISE(f->labels.n <= REQUEST_LABELS_MAX, "%zu labels", f->labels.n);
        for (size_t i = 0; i < f->labels.n; i++)
                PROMISE(identifier_is_valid(f->labels.v[i].key) &&
                                        strlen(f->labels.v[i].value) <= REQUEST_LABEL_BYTES_MAX,
                        "a label that no query can have");
        private = has_private_label(f, &public_keys);
        finds = history_filter_restrict(f, &eyes);
        PROMISE(!private || !finds || (f->has_user_id && f->user_id == 1000), "others are found by a private label");
}

static void decode(sd_bus_message *m) {
        HistoryFilter f = HISTORY_FILTER_INIT;
        Error error = {};
        int r = history_filter_decode(m, &f, &error);

        PROMISE(r >= 0 || r != -EINVAL || (error.code == ERROR_INVALID_ARGUMENT && error.message[0]), "refused without a reason");
        PROMISE(utf8_is_valid(error.message, strlen(error.message)), "the reason is no text");
        PROMISE(!strstr(error.message, SECRET) || strstr(error.message, "is no key"), "it shows a value: %s", error.message);
        if (r < 0)
                PROMISE(f.labels.n == 0 && !f.has_user_id, "it fails and gives something");
        else
                use(&f);
        history_filter_done(&f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static sd_bus *bus;
        Bytes b = { data, size };
        sd_bus_message *m;

        if (!bus)
                bus = bus_make();
        m = message_of(bus, &history_dict, &b);
        if (m)
                decode(m);
        sd_bus_message_unref(m);
        return 0;
}
