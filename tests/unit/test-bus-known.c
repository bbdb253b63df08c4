/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Senders that called before. */
#include "test-bus-bench.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bus/known.h"

static sd_bus_message *call_from(Bench *b, const char *sender) {
        sd_bus_message *m = bench_request_minimal(b);

        bench_request_close(m);
        assert_return_code(sd_bus_message_set_sender(m, sender), 0);
        return bench_call(b, m);
}

static void who_calls_again_is_not_asked_for(void **state) {
        Bench *b = *state;

        assert_returned(call_from(b, ":1.7"));
        assert_returned(call_from(b, ":1.7"));
        assert_int_equal(b->n_asks, 1);
        assert_returned(call_from(b, ":1.70"));
        assert_int_equal(b->n_asks, 2);
        assert_int_equal(b->manager.n_submits, 3);
}

/* Who calls is what was said of his connection, whatever was said of another one since. */
static void each_stays_who_he_is(void **state) {
        Bench *b = *state;
        uint32_t nobody[] = { 65534 };

        assert_returned(call_from(b, ":1.7"));
        b->caller = (Caller) { .uid = 1001, .gid = 65534, .gids = nobody, .n_gids = 1 };
        sd_bus_message_unref(call_from(b, ":1.8"));
        assert_int_equal(b->manager.last_refusal_uid, 1001);
        assert_returned(call_from(b, ":1.7"));
        assert_int_equal(b->manager.records[2].record.request.uid, 1000);
        assert_int_equal(b->n_asks, 2);
}

static void nobody_is_known_whom_the_daemon_did_not_name(void **state) {
        Bench *b = *state;

        b->ask_result = -ENXIO;
        sd_bus_message_unref(call_from(b, ":1.7"));
        b->ask_result = 0;
        assert_returned(call_from(b, ":1.7"));
        assert_int_equal(b->n_asks, 2);
        assert_returned(call_from(b, "org.example.Name"));
        assert_returned(call_from(b, "org.example.Name"));
        assert_int_equal(b->n_asks, 4);
}

static void the_oldest_goes_first(void **state) {
        Known k = {};
        char name[KNOWN_NAME_MAX];

        (void) state;
        for (uint32_t i = 0; i <= KNOWN_MAX; i++) {
                snprintf(name, sizeof(name), ":1.%u", i);
                known_add(&k, name, &(Caller) { .uid = i, .gids = &i, .n_gids = 1 });
        }
        assert_null(known_find(&k, ":1.0"));
        assert_int_equal(known_find(&k, ":1.1")->uid, 1);
        snprintf(name, sizeof(name), ":1.%u", KNOWN_MAX);
        assert_int_equal(known_find(&k, name)->gids[0], KNOWN_MAX);
        known_done(&k);
        assert_null(known_find(&k, ":1.1"));
}

static void what_is_too_long_is_not_kept(void **state) {
        char name[KNOWN_NAME_MAX + 1];
        uint32_t gids[KNOWN_GROUPS_MAX + 1] = {};
        Known k = {};

        (void) state;
        memset(name, '1', sizeof(name));
        name[0] = ':';
        name[KNOWN_NAME_MAX] = '\0';
        known_add(&k, name, &(Caller) {});
        assert_int_equal(k.n, 0);
        name[KNOWN_NAME_MAX - 1] = '\0';
        known_add(&k, name, &(Caller) {});
        assert_non_null(known_find(&k, name));
        known_add(&k, ":1.1", &(Caller) { .gids = gids, .n_gids = KNOWN_GROUPS_MAX + 1 });
        assert_null(known_find(&k, ":1.1"));
        known_add(&k, ":1.1", &(Caller) { .gids = gids, .n_gids = KNOWN_GROUPS_MAX });
        assert_non_null(known_find(&k, ":1.1"));
        known_done(&k);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(who_calls_again_is_not_asked_for, bench_setup, bench_teardown),
                cmocka_unit_test_setup_teardown(each_stays_who_he_is, bench_setup, bench_teardown),
                cmocka_unit_test_setup_teardown(nobody_is_known_whom_the_daemon_did_not_name, bench_setup, bench_teardown),
                cmocka_unit_test(the_oldest_goes_first),
                cmocka_unit_test(what_is_too_long_is_not_kept),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
