/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which calls start a service that is not running: on this bus /bin/false, and the error of who started it says so.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "harness.h"
#include "penstock.h"

/* A query that is known while nobody is there. */
#define ID 7

typedef int (*Call)(PenstockClient *c, PenstockQuery *q, PenstockError *e);

static int call_status(PenstockClient *c, PenstockQuery *q, PenstockError *e) {
        PenstockInfo *i = NULL;

        (void) q;
        return penstock_client_status(c, &i, e);
}

static int call_list(PenstockClient *c, PenstockQuery *q, PenstockError *e) {
        PenstockInfo **list = NULL;
        size_t n;

        (void) q;
        return penstock_client_list(c, &list, &n, e);
}

static int call_describe(PenstockClient *c, PenstockQuery *q, PenstockError *e) {
        PenstockInfo *i = NULL;

        (void) c;
        return penstock_query_describe(q, &i, e);
}

static int call_statistics(PenstockClient *c, PenstockQuery *q, PenstockError *e) {
        PenstockInfo *i = NULL;

        (void) c;
        return penstock_query_statistics(q, &i, e);
}

static int call_resume(PenstockClient *c, PenstockQuery *q, PenstockError *e) {
        (void) q;
        return penstock_client_resume(c, e);
}

static const Call calls[] = { call_status, call_list, call_describe, call_statistics, call_resume };

static void expect_each_call_starts_it(PenstockClient *c, bool is_started) {
        PenstockQuery *q = NULL;

        assert_int_equal(penstock_query_open(c, ID, &q), 0);
        for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
                PenstockError e = {};

                assert_true(calls[i](c, q, &e) < 0);
                assert_string_equal(e.name, PENSTOCK_ERROR_UNREACHABLE);
                if ((strstr(e.message, "exited with status 1") != NULL) != is_started)
                        fail_msg("call %zu: %s", i, e.message);
        }
        penstock_query_free(q);
}

static void who_only_looks_starts_nobody(void **state) {
        PenstockClient *c = NULL;

        (void) state;
        harness_stop_standin();
        assert_int_equal(penstock_client_new(&c, NULL), 0);
        expect_each_call_starts_it(c, true);
        penstock_client_set_auto_start(c, false);
        expect_each_call_starts_it(c, false);
        penstock_client_set_auto_start(c, true);
        expect_each_call_starts_it(c, true);
        penstock_client_free(c);
}

int main(void) {
        const struct CMUnitTest tests[] = { cmocka_unit_test(who_only_looks_starts_nobody) };

        return cmocka_run_group_tests_name("client-start", tests, harness_start, harness_stop);
}
