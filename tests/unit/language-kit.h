/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* For tests of core/language: languages from a list of lines, and what they make of a request. */
#pragma once

#include "core/language.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static const LanguageContext context = { .memory_max_bytes = 300 * MIB + 5, .tmpdir = "/var/tmp" };

typedef struct Line {
        const char *section, *key, *value;
} Line;

#define L(k, v) { "Language", k, v }
#define S(k, v) { "Sandbox", k, v }

static inline int language_make(const Line *lines, size_t n, Language **ret, Error *e) {
        Language *l;
        int r = language_new("test", &l);

        for (size_t i = 0; r == 0 && i < n; i++)
                r = language_set(l, lines[i].section, lines[i].key, lines[i].value, "/etc/x.conf", (unsigned) i + 1,
                                 e);
        if (r == 0)
                r = language_finish(l, e);
        if (r < 0)
                l = language_free(l);
        *ret = l;
        return r;
}

static inline Language *good(const Line *lines, size_t n) {
        Error e = {};
        Language *l;
        int r = language_make(lines, n, &l, &e);

        if (r < 0)
                print_message("%s\n", e.message);
        assert_int_equal(r, 0);
        return l;
}
#define GOOD(...) good((const Line[]) { __VA_ARGS__ }, sizeof((const Line[]) { __VA_ARGS__ }) / sizeof(Line))

static inline void bad(const char *text, const Line *lines, size_t n) {
        Error e = {};
        Language *l;

        assert_int_equal(language_make(lines, n, &l, &e), -EINVAL);
        print_message("%s\n", e.message);
        assert_int_equal(e.code, ERROR_INVALID_ARGUMENT);
        assert_non_null(strstr(e.message, text));
}
#define BAD(text, ...)                                                                                               \
        bad(text, (const Line[]) { __VA_ARGS__ }, sizeof((const Line[]) { __VA_ARGS__ }) / sizeof(Line))

static inline Request request_make(const char *query) {
        Request r = REQUEST_INIT;

        r.language = strdup("test");
        if (query) {
                r.query = strdup(query);
                r.query_len = strlen(query);
        }
        return r;
}

/* @argv is what must come out, its words joined by "|". */
static inline LanguageCommand executes(const Language *l, Request *r, const char *argv) {
        LanguageCommand c = {};
        char joined[1024] = "";
        Error e = {};
        int ret = language_execute_command(l, r, &context, &c, &e);

        if (ret < 0)
                print_message("%s\n", e.message);
        assert_int_equal(ret, 0);
        for (size_t i = 0; i < c.argv.n; i++) {
                if (i > 0)
                        strcat(joined, "|");
                strcat(joined, c.argv.v[i]);
        }
        assert_string_equal(joined, argv);
        assert_null(c.argv.v[c.argv.n]);
        return c;
}

static inline void refuses(const Language *l, Request *r, const char *text) {
        LanguageCommand c = {};
        Error e = {};

        assert_int_equal(language_execute_command(l, r, &context, &c, &e), -EINVAL);
        print_message("%s\n", e.message);
        assert_int_equal(e.code, ERROR_INVALID_ARGUMENT);
        assert_non_null(strstr(e.message, text));
        assert_null(c.argv.v);
        request_done(r);
}
