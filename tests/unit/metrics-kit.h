/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What tests of core/metrics share: a registry, and its text line by line. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "core/metrics.h"

/* A registry with the keys of a space-separated list. */
static inline Metrics *metrics_with(const char *keys) {
        CLEANUP(strlist_done) StrList list = {};
        Metrics *m = NULL;
        char copy[1024], *rest = copy, *key;

        snprintf(copy, sizeof(copy), "%s", keys);
        while ((key = strsep(&rest, " ")))
                if (*key)
                        assert_int_equal(strlist_add(&list, key), 0);
        assert_int_equal(metrics_new(&list, &m), 0);
        return m;
}

static inline void metrics_freep(Metrics **m) {
        metrics_free(*m);
}

/* What stands behind @series ("name{labels}") in the text; "" when there is no such line. */
static inline const char *metrics_at(const Metrics *m, const char *series) {
        static char value[64];
        char *text = NULL, *line, *rest;
        size_t len = strlen(series);

        assert_int_equal(metrics_render(m, &text), 0);
        value[0] = '\0';
        rest = text;
        while ((line = strsep(&rest, "\n")))
                if (strncmp(line, series, len) == 0 && line[len] == ' ') {
                        assert_string_equal(value, ""); /* a series stands there once */
                        snprintf(value, sizeof(value), "%s", line + len + 1);
                }
        free(text);
        return value;
}

#define assert_metric(m, series, expected) assert_string_equal(metrics_at(m, series), expected)
