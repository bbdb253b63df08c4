/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "standin.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Rows N … 1, of which `limit` and `before` choose; what else is asked for is told in each row's error. Of the language
 * "none" there is no row; of "refuse" each page is refused, of "break" the second. */
#define ROWS UINT64_C(2500)
/* As if a page of more were too large. */
#define PAGE_MAX UINT64_C(900)

typedef struct Asked {
        uint64_t limit, before;
        char language[16], dump[512];
        size_t len;
} Asked;

static void PRINTF_LIKE(2, 3) dump(Asked *a, const char *format, ...) {
        va_list ap;
        int n;

        va_start(ap, format);
        n = vsnprintf(a->dump + a->len, sizeof(a->dump) - a->len, format, ap);
        va_end(ap);
        a->len += n > 0 ? MIN((size_t) n, sizeof(a->dump) - 1 - a->len) : 0;
}

static int read_number(sd_bus_message *m, const char *key, char type, Asked *a) {
        union {
                uint64_t t;
                uint32_t u;
        } v = {};
        int r = sd_bus_message_read_basic(m, type, &v);

        if (r < 0)
                return r;
        if (strcmp(key, "limit") == 0)
                a->limit = v.t;
        else if (strcmp(key, "before") == 0)
                a->before = v.t;
        else
                dump(a, "%s=%llu;", key, type == 't' ? (unsigned long long) v.t : v.u);
        return 0;
}

static int read_value(sd_bus_message *m, const char *key, const char *contents, Asked *a) {
        const char *s, *value;
        int r;

        if (strcmp(contents, "t") == 0 || strcmp(contents, "u") == 0)
                return read_number(m, key, contents[0], a);
        if (strcmp(contents, "s") == 0) {
                r = sd_bus_message_read(m, "s", &s);
                dump(a, "%s=%s;", key, r < 0 ? "?" : s);
                if (r >= 0 && strcmp(key, "language") == 0)
                        snprintf(a->language, sizeof(a->language), "%s", s);
                return r;
        }
        r = sd_bus_message_enter_container(m, 'a', "{ss}");
        while (r >= 0 && (r = sd_bus_message_read(m, "{ss}", &s, &value)) > 0)
                dump(a, "%s:%s=%s;", key, s, value);
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_filter(sd_bus_message *m, Asked *a) {
        const char *key, *contents;
        int r = sd_bus_message_enter_container(m, 'a', "{sv}");

        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = sd_bus_message_read(m, "s", &key);
                if (r >= 0)
                        r = sd_bus_message_peek_type(m, NULL, &contents);
                if (r >= 0)
                        r = sd_bus_message_enter_container(m, 'v', contents);
                if (r >= 0)
                        r = read_value(m, key, contents, a);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

/* The first has a label and a language that are no good to print. */
static int append_row(sd_bus_message *m, uint64_t n, const Asked *a) {
        int r = sd_bus_message_open_container(m, 'a', "{sv}");

        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}{sv}{sv}{sv}{sv}{sv}{sv}", "Row", "t", n, "ID", "t", n, "BootID",
                                          "s", "00112233445566778899aabbccddeeff", "State", "s", "errored",
                                          "Language", "s", n == 1 ? "she<ll>,&\x1b\n" : "shell", "UserID", "u", 0u,
                                          "Labels", "a{ss}", 1, "team", n == 1 ? "a,\"b\" \x1b[31m\n" : "ads");
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}{sv}{sv}{sv}{sv}{sv}{sv}", "ErrorName", "s", ERRORS "Timeout",
                                          "ErrorMessage", "s", a->dump, "EndedUSec", "t",
                                          UINT64_C(1700000000000000) + n, "MemoryPeakBytes", "t", 100 * MIB,
                                          "MemoryMaxBytes", "t", SIZE_INFINITY, "Raises", "t", UINT64_C(3),
                                          "ExitStatus", "i", -1);
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}{sv}{sv}{sv}{sv}{sv}", "learned", "b", 1, "raises_saved", "t",
                                          UINT64_C(2), "retries", "t", UINT64_C(1), "StartedUSec", "t",
                                          UINT64_C(1699999995000000) + n, "queue_usec", "t", UINT64_C(2000000),
                                          "execute_usec", "t", UINT64_C(5000000));
        return r < 0 ? r : sd_bus_message_close_container(m);
}

int standin_reply_history(sd_bus_message *m) {
        Asked a = { .limit = 100, .before = ROWS + 1 };
        sd_bus_message *reply = NULL;
        int r = read_filter(m, &a);

        if (strcmp(a.language, "refuse") == 0 || (strcmp(a.language, "break") == 0 && a.before <= ROWS))
                return sd_bus_reply_method_errorf(m, ERRORS "Internal", "it was asked to refuse");
        if (strcmp(a.language, "none") == 0)
                a.limit = 0;
        if (r >= 0)
                r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "a{sv}");
        a.limit = MIN(a.limit, PAGE_MAX);
        for (uint64_t n = a.before - 1; r >= 0 && n > 0 && a.limit > 0; n--, a.limit--)
                r = append_row(reply, n, &a);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        sd_bus_message_unref(reply);
        return r;
}
