/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* For tests of core/config: configurations from a list of lines. */
#pragma once

#include "core/config.h"
#include "core/request.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define RAM (16 * GIB)

/* Feed "Key=value" lines of one [Controller]; the line number is the place in the list. */
static inline int config_make(Config *c, uint64_t ram, const char *const *lines, Error *e) {
        int r = 0;

        config_init(c, ram);
        for (unsigned i = 0; r == 0 && lines[i]; i++) {
                CLEANUP(freep) char *key = strdup(lines[i]);
                char *value = strchr(key, '=');

                *value++ = '\0';
                r = config_set(c, ram, "Controller", key, value, "/etc/penstock/penstock.conf", i + 1, e);
        }
        return r == 0 ? config_finish(c, ram, e) : r;
}

#define LINES(...) ((const char *const[]) { __VA_ARGS__ __VA_OPT__(, ) NULL })

static inline void accepted(Config *c, uint64_t ram, const char *const *lines) {
        Error e = {};
        int r = config_make(c, ram, lines, &e);

        if (r < 0)
                print_message("%s\n", e.message);
        assert_int_equal(r, 0);
        assert_int_equal(e.code, ERROR_NONE);
        /* the invariant, whatever was set */
        assert_true(c->initial_bytes <= c->per_query_bytes);
        assert_true(c->per_query_bytes <= c->max_memory_bytes);
        assert_true(multiply_saturating(c->concurrency_quota, c->initial_bytes) <= c->max_memory_bytes);
        assert_true(c->initial_bytes >= MEMORY_QUOTA_BYTES_MIN);
        if (c->max_memory_bytes != SIZE_INFINITY)
                assert_true(c->max_memory_bytes % 4096 == 0);
}

static inline void refused(uint64_t ram, const char *const *lines, const char *text) {
        Config c;
        Error e = {};
        int r = config_make(&c, ram, lines, &e);

        print_message("%s\n", e.message);
        assert_true(r == -EINVAL || r == -ERANGE);
        assert_int_equal(e.code, ERROR_INVALID_ARGUMENT);
        assert_non_null(strstr(e.message, text));
        config_done(&c);
}
