/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* For tests of `penstockctl top` without bus and terminal: a Top, rows for it, and its keys. */
#pragma once

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/top_model.h"

static Top top;

static inline TopRow row(uint64_t id, TopState state, uint64_t quota_mib, uint64_t used_mib) {
        TopRow r = { .id = id,
                     .state = state,
                     .quota_bytes = quota_mib * MIB,
                     .used_bytes = used_mib * MIB,
                     .max_bytes = GIB,
                     .total_usec = id * USEC_PER_SEC };

        snprintf(r.user, sizeof(r.user), "u%llu", (unsigned long long) id);
        snprintf(r.language, sizeof(r.language), "sqlite");
        return r;
}

static inline void set_rows(const TopRow rows[], size_t n) {
        TopRow *copy = calloc(MAX(n, (size_t) 1), sizeof(*copy));

        assert_non_null(copy);
        for (size_t i = 0; i < n; i++)
                copy[i] = rows[i];
        top_set_rows(&top, copy, n);
}

/* Six of all kinds. 3 is frozen, and 5 the first in the queue. */
static inline void set_some_rows(void) {
        TopRow rows[] = { row(6, TOP_QUEUEING, 0, 0), row(1, TOP_EXECUTING, 512, 433), row(5, TOP_QUEUEING, 0, 0),
                          row(4, TOP_FINISHED, 0, 0), row(3, TOP_EXECUTING, 256, 240), row(2, TOP_EXECUTING, 64, 12),
                          row(7, TOP_FINISHED, 0, 0) };

        rows[0].position = 2;
        rows[2].position = 1;
        rows[4].frozen = true;
        snprintf(rows[4].reason, sizeof(rows[4].reason), "memory: frozen at 256M, wants 512M");
        snprintf(rows[1].labels, sizeof(rows[1].labels), "team=Ads");
        set_rows(rows, ELEMENTSOF(rows));
}

static inline int setup(void **state) {
        (void) state;
        if (!setlocale(LC_CTYPE, "C.UTF-8"))
                return -1;
        top_init(&top, true);
        return 0;
}

static inline int teardown(void **state) {
        (void) state;
        top_done(&top);
        return 0;
}

static inline void assert_order(const char *ids) {
        char text[256] = "";

        for (size_t i = 0; i < top.n_view; i++)
                snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%llu", i > 0 ? " " : "",
                         (unsigned long long) top.rows[top.view[i]].id);
        assert_string_equal(text, ids);
}

static inline TopWish press(uint32_t key) {
        return top_key(&top, key, 1);
}

static inline void type(const char *text) {
        for (; *text; text++)
                assert_int_equal(press((unsigned char) *text), TOP_WISH_NONE);
}

#define TOP_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
