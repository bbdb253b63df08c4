/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* client/request_check: refuse here what the bus would answer by cutting the sender off. All other rules are the
 * service's. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client/internal.h"
#include "client/text.h"

#define INVALID "InvalidArgument"

typedef struct Check {
        PenstockError *error;
        uint64_t total_bytes;
} Check;

static int check_text(Check *c, const char *what, const char *text, size_t len) {
        static const char *const faults[] = {
                [TEXT_NUL] = "a NUL",
                [TEXT_NOT_UTF8] = "not UTF-8",
                [TEXT_NONCHARACTER] = "a Unicode noncharacter, which D-Bus does not carry",
        };
        size_t offset = 0;
        TextFault fault = text_check(text, len, &offset);

        c->total_bytes += len;
        if (fault == TEXT_GOOD)
                return 0;
        return client_error(c->error, -EINVAL, INVALID, "%s: byte %zu (0x%02x) is %s", what, offset,
                            (unsigned char) text[offset], faults[fault]);
}

static int check_string(Check *c, const char *what, const char *text) {
        return text ? check_text(c, what, text, strlen(text)) : 0;
}

/* "what NAME", or "what number N" for a name that cannot be shown. */
static void item_name(char *buf, size_t size, const char *what, const char *name, size_t index) {
        size_t offset, len = strlen(name);

        if (text_check(name, len, &offset) == TEXT_GOOD && len <= 64 && strpbrk(name, "\n\r\033") == NULL)
                snprintf(buf, size, "%s %s", what, name);
        else
                snprintf(buf, size, "%s number %zu", what, index + 1);
}

static int check_pairs(Check *c, const char *what, const PairList *l) {
        char name[128];
        int r = 0;

        for (size_t i = 0; i < l->n && r >= 0; i++) {
                item_name(name, sizeof(name), what, l->v[i].key, i);
                r = check_string(c, name, l->v[i].key);
                if (r >= 0)
                        r = check_string(c, name, l->v[i].value);
        }
        return r;
}

static int check_argv(Check *c, const StrList *argv) {
        char name[64];
        int r;

        for (size_t i = 0; i < argv->n; i++) {
                size_t len = strlen(argv->v[i]);

                snprintf(name, sizeof(name), "argv[%zu]", i);
                if (len + 1 > PENSTOCK_ARGUMENT_BYTES_MAX)
                        return client_error(c->error, -EINVAL, INVALID,
                                            "%s: %zu bytes, and an argument may have %llu at most", name, len,
                                            (unsigned long long) PENSTOCK_ARGUMENT_BYTES_MAX - 1);
                r = check_text(c, name, argv->v[i], len);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int check_list(Check *c, const char *what, const StrList *l) {
        char name[128];
        int r = 0;

        for (size_t i = 0; i < l->n && r >= 0; i++) {
                item_name(name, sizeof(name), what, l->v[i], i);
                r = check_string(c, name, l->v[i]);
        }
        return r;
}

static int check_query(Check *c, const PenstockRequest *r) {
        if (!r->query)
                return 0;
        if (r->query_len > PENSTOCK_QUERY_BYTES_MAX)
                return client_error(c->error, -EINVAL, INVALID, "query: %zu bytes, and a query may have %llu at most",
                                    r->query_len, (unsigned long long) PENSTOCK_QUERY_BYTES_MAX);
        return check_text(c, "query", r->query, r->query_len);
}

static int check_limits(Check *c, const PenstockRequest *r) {
        int k = 0;

        for (size_t i = 0; i < r->n_limits && k >= 0; i++)
                k = check_string(c, "limits", r->limits[i].name);
        return k;
}

EXPORT int penstock_request_check(const PenstockRequest *r, PenstockError *ret_error) {
        Check c = { .error = ret_error };
        int k;

        if ((k = check_query(&c, r)) < 0 || (k = check_argv(&c, &r->argv)) < 0 ||
            (k = check_string(&c, "language", r->language)) < 0 ||
            (k = check_string(&c, "database", r->database)) < 0 || (k = check_string(&c, "file", r->file)) < 0 ||
            (k = check_string(&c, "working_directory", r->working_directory)) < 0 ||
            (k = check_string(&c, "user", r->user)) < 0 || (k = check_pairs(&c, "parameter", &r->parameters)) < 0 ||
            (k = check_pairs(&c, "label", &r->labels)) < 0 ||
            (k = check_pairs(&c, "environment", &r->environment)) < 0 ||
            (k = check_list(&c, "dependency", &r->dependencies)) < 0 || (k = check_limits(&c, r)) < 0)
                return k;
        if (c.total_bytes > PENSTOCK_REQUEST_BYTES_MAX)
                return client_error(ret_error, -EINVAL, INVALID,
                                    "the request: %llu bytes of text in all, and it may have %llu at most",
                                    (unsigned long long) c.total_bytes,
                                    (unsigned long long) PENSTOCK_REQUEST_BYTES_MAX);
        return 0;
}
