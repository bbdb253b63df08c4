/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test-bus-bench.h"

#include <string.h>

#define PROPERTIES "org.freedesktop.DBus.Properties"

static void describe_and_list_agree_with_the_object(void **state) {
        Bench *b = *state;
        uint64_t id = bench_submit(b);
        sd_bus_message *reply, *m;
        const char *state_text;

        bench_run(b, id);
        reply = bench_call(b, bench_by_id(b, "Describe", id));
        assert_value(reply, "State", "executing");
        assert_value(reply, "Unit", "penstock-q1.service");
        assert_value(reply, "MemoryCurrentBytes", "12345");
        assert_value(reply, "MemoryPeakBytes", "23456");
        assert_value(reply, "ExitStatus", "-1");
        assert_value(reply, "verdict", "");
        sd_bus_message_unref(reply);
        m = bench_message(b, "/org/penstock1/query/_1", PROPERTIES, "Get");
        assert_return_code(sd_bus_message_append(m, "ss", QUERY_INTERFACE, "State"), 0);
        reply = bench_call(b, m);
        assert_return_code(sd_bus_message_read(reply, "v", "s", &state_text), 0);
        assert_string_equal(state_text, "executing");
        sd_bus_message_unref(reply);
        reply = bench_call(b, bench_message(b, CONTROLLER_PATH, CONTROLLER_INTERFACE, "ListQueries"));
        assert_true(sd_bus_message_enter_container(reply, 'a', "a{sv}") > 0);
        assert_true(sd_bus_message_at_end(reply, false) == 0);
        sd_bus_message_unref(reply);
}

static void who_waits_frozen_is_told_as_such(void **state) {
        Bench *b = *state;
        uint64_t id = bench_submit(b);
        sd_bus_message *reply;
        Query *q;

        bench_run(b, id);
        q = (Query *) engine_find(b->manager.engine, id); /* no pool is exhausted here */
        for (int frozen = 0; frozen < 2; frozen++) {
                q->frozen = frozen;
                reply = bench_call(b, bench_by_id(b, "Describe", id));
                assert_value(reply, "Frozen", frozen ? "true" : "false");
                assert_value(reply, "State", "executing");
                sd_bus_message_unref(reply);
        }
        q->frozen = false;
}

static void the_object_manager_lists_what_is_not_done(void **state) {
        Bench *b = *state;
        sd_bus_message *reply;
        const char *path;
        unsigned n = 0;

        bench_submit(b);
        bench_submit(b);
        manager_feed(&b->manager, &(Event) { .type = EVENT_DONE, .query_id = 1 });
        reply = bench_call(b, bench_message(b, CONTROLLER_PATH, "org.freedesktop.DBus.ObjectManager",
                                            "GetManagedObjects"));
        assert_true(sd_bus_message_enter_container(reply, 'a', "{oa{sa{sv}}}") > 0);
        while (sd_bus_message_enter_container(reply, 'e', "oa{sa{sv}}") > 0) {
                assert_true(sd_bus_message_read(reply, "o", &path) > 0);
                if (strcmp(path, "/org/penstock1/query/_2") == 0)
                        n++;
                assert_string_not_equal(path, "/org/penstock1/query/_1");
                assert_true(sd_bus_message_skip(reply, "a{sa{sv}}") > 0);
                assert_true(sd_bus_message_exit_container(reply) > 0);
        }
        assert_int_equal(n, 1);
        sd_bus_message_unref(reply);
}

static void shutdown_answers_when_all_have_ended(void **state) {
        Bench *b = *state;
        sd_bus_message *reply = NULL;
        uint64_t id = bench_submit(b);

        b->caller.uid = 0;
        bench_run(b, id);
        bench_send(b, bench_by_id(b, "Shutdown", 10 * USEC_PER_SEC), &reply);
        bench_settle(b);
        assert_null(reply);
        bench_end(b, id, 0);
        assert_non_null(reply);
        assert_returned(reply);
}

static void shutdown_names_what_outlived_its_deadline(void **state) {
        Bench *b = *state;
        sd_bus_message *reply = NULL;
        uint64_t id = bench_submit(b);

        b->caller.uid = 0;
        bench_run(b, id);
        bench_send(b, bench_by_id(b, "Shutdown", USEC_PER_SEC), &reply);
        bench_settle(b);
        b->manager.now_usec += USEC_PER_SEC;
        manager_feed(&b->manager, &(Event) { .type = EVENT_TICK });
        bench_settle(b);
        assert_non_null(reply);
        assert_error(reply, "org.penstock1.Error.Timeout", "queries 1");
}

static sd_bus_message *get_all(Bench *b) {
        sd_bus_message *m = bench_message(b, CONTROLLER_PATH, PROPERTIES, "GetAll");

        assert_return_code(sd_bus_message_append(m, "s", CONTROLLER_INTERFACE), 0);
        return bench_call(b, m);
}

static void the_configuration_is_shown(void **state) {
        Bench *b = *state;
        sd_bus_message *reply = get_all(b);

        assert_value(reply, "ConcurrencyQuota", "4");
        assert_value(reply, "InitialMemoryBytesQuotaPerQuery", "67108864");
        assert_value(reply, "QueueTimeoutUSec", "600000000");
        assert_value(reply, "Logger", "journal");
        assert_value(reply, "ExhaustionPolicy", "freeze");
        assert_value(reply, "UsedMemoryBytes", "268435456"); /* idle: ConcurrencyQuota × Initial */
        sd_bus_message_unref(reply);
}

static void metrics_are_told_to_anyone(void **state) {
        Bench *b = *state;
        sd_bus_message *reply;
        const char *text;

        b->caller = (Caller) { .uid = 4711 };
        reply = bench_call(b, bench_message(b, CONTROLLER_PATH, CONTROLLER_INTERFACE, "Metrics"));
        assert_return_code(sd_bus_message_read(reply, "s", &text), 0);
        assert_string_equal(text, "# TYPE penstock_stub gauge\npenstock_stub{team=\"\xc3\xa4\"} 1\n");
        sd_bus_message_unref(reply);
        assert_int_equal(b->n_asks, 0); /* nor is it asked who that is */
}

/* Which would cost us more than whoever asks without waiting. */
static void an_answer_that_nobody_wants_is_not_made(void **state) {
        Bench *b = *state;
        sd_bus_message *question = bench_message(b, CONTROLLER_PATH, CONTROLLER_INTERFACE, "Metrics"),
                       *deed = bench_message(b, CONTROLLER_PATH, CONTROLLER_INTERFACE, "Reload");

        b->caller = (Caller) { .uid = 0 };
        assert_return_code(sd_bus_message_set_expect_reply(question, 0), 0);
        assert_return_code(sd_bus_send(b->client, question, NULL), 0);
        assert_return_code(sd_bus_message_set_expect_reply(deed, 0), 0);
        assert_return_code(sd_bus_send(b->client, deed, NULL), 0);
        sd_bus_message_unref(question);
        sd_bus_message_unref(deed);
        bench_settle(b);
        assert_int_equal(b->manager.n_reloads, 1);
        assert_int_equal(b->manager.n_metrics, 0);
}

static void refusals_of_the_bus_side_are_counted_once(void **state) {
        Bench *b = *state;
        sd_bus_message *m = bench_request_open(b);

        bench_request_close(m); /* empty */
        assert_error(bench_call(b, m), "org.penstock1.Error.InvalidArgument", "language");
        assert_int_equal(b->manager.n_counted, 1);
        assert_int_equal(b->manager.counted[0], ERROR_INVALID_ARGUMENT);
        b->caller = (Caller) { .uid = 4711 };
        m = bench_request_minimal(b);
        bench_request_close(m);
        assert_error(bench_call(b, m), "org.penstock1.Error.PermissionDenied", "group");
        assert_int_equal(b->manager.n_counted, 2);
        assert_int_equal(b->manager.counted[1], ERROR_PERMISSION_DENIED);
}

int main(void) {
#define BENCH_TEST(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)
        const struct CMUnitTest tests[] = {
                BENCH_TEST(describe_and_list_agree_with_the_object),
                BENCH_TEST(who_waits_frozen_is_told_as_such),
                BENCH_TEST(the_object_manager_lists_what_is_not_done),
                BENCH_TEST(shutdown_answers_when_all_have_ended),
                BENCH_TEST(shutdown_names_what_outlived_its_deadline),
                BENCH_TEST(the_configuration_is_shown),
                BENCH_TEST(metrics_are_told_to_anyone),
                BENCH_TEST(an_answer_that_nobody_wants_is_not_made),
                BENCH_TEST(refusals_of_the_bus_side_are_counted_once),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
