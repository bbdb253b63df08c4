/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What History tells, and to whom. */
#include "bus-history-kit.h"

static void each_value_of_a_row_is_told(void **state) {
        static const struct {
                const char *key, *expected;
        } told[] = {
                { "ID", "7" },
                { "BootID", "0102030405060708090a0b0c0d0e0fff" },
                { "Unit", "penstock-q7.service" },
                { "State", "errored" },
                { "Language", "duckdb" },
                { "UserID", "1000" },
                { "Priority", "-5" },
                { "Detached", "1" },
                { "ErrorName", "org.penstock1.Error.Timeout" },
                { "ErrorMessage", "too long" },
                { "verdict", "timeout" },
                { "ExitStatus", "-1" },
                { "ExitSignal", "9" },
                { "CreatedUSec", "11" },
                { "StartedUSec", "12" },
                { "EndedUSec", "13" },
                { "TotalUSec", "14" },
                { "compile_usec", "15" },
                { "queue_usec", "16" },
                { "execute_usec", "17" },
                { "frozen_usec", "18" },
                { "stall_usec", "19" },
                { "cpu_usec", "20" },
                { "io_read_bytes", "21" },
                { "io_write_bytes", "22" },
                { "initial_bytes", "23" },
                { "MemoryMaxBytes", "24" },
                { "MemoryPeakBytes", "25" },
                { "MemoryQuotaBytes", "26" },
                { "Raises", "27" },
                { "raises_saved", "28" },
                { "retries", "29" },
                { "learned", "1" },
                { "Labels", "team=ads job=7" },
                { "Fingerprint", "000000000000000a000000000000000b" },
        };
        Bench *b = *state;
        HistoryRow r = { .boot_id = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 255 },
                         .id = 7,
                         .fingerprint = { 10, 11 },
                         .language = "duckdb",
                         .state = "errored",
                         .error = "Timeout",
                         .verdict = "timeout",
                         .user_id = 1000,
                         .priority = -5,
                         .exit_status = -1,
                         .exit_signal = 9,
                         .detached = true,
                         .learned = true };
        uint64_t *v = &r.created_usec;
        sd_bus_message *reply;

        for (uint64_t i = 0; &v[i] <= &r.retries; i++)
                v[i] = 11 + i;
        r.message = strdup("too long");
        label(&r, "team", "ads");
        label(&r, "job", "7");
        add(b, r);
        reply = call(b, filter_open(b));
        for (size_t i = 0; i < ELEMENTSOF(told); i++)
                assert_is(reply, 0, told[i].key, told[i].expected);
        assert_non_null(value(reply, 0, "Row"));
        assert_ids(reply, "7");
        add(b, row_of(8, 1000));
        reply = call(b, filter_open(b));
        assert_is(reply, 0, "ErrorName", "");
        assert_is(reply, 0, "ErrorMessage", "");
        assert_is(reply, 0, "Fingerprint", "");
        assert_ids(reply, "8 7");
}

/* The owner is 1000; "team" is public. */
static void others_see_neither_labels_that_are_not_public_nor_the_fingerprint(void **state) {
        Bench *b = *state;
        HistoryRow r = row_of(1, 1000);
        sd_bus_message *reply;

        r.fingerprint[0] = 1;
        label(&r, "team", "ads");
        label(&r, "secret", "x");
        add(b, r);
        b->caller.uid = 1001;
        reply = call(b, filter_open(b));
        assert_is(reply, 0, "Labels", "team=ads");
        assert_null(value(reply, 0, "Fingerprint"));
        assert_ids(reply, "1");
        b->caller.uid = 0;
        reply = call(b, filter_open(b));
        assert_is(reply, 0, "Labels", "team=ads secret=x");
        assert_non_null(value(reply, 0, "Fingerprint"));
        sd_bus_message_unref(reply);
}

/* More than one turn of the loop takes. */
static void a_thousand_rows_come_whole(void **state) {
        Bench *b = *state;
        sd_bus_message *reply;
        unsigned n = 0;

        for (uint64_t i = 1; i <= 1100; i++)
                add(b, row_of(i, 1000));
        reply = call_number(b, "limit", 1000);
        assert_return_code(sd_bus_message_enter_container(reply, 'a', "a{sv}"), 0);
        for (; sd_bus_message_at_end(reply, false) == 0; n++)
                assert_true(sd_bus_message_skip(reply, "a{sv}") > 0);
        assert_int_equal(n, 1000);
        assert_is(reply, 999, "ID", "101");
        sd_bus_message_unref(reply);
}

static void without_a_history_it_says_why(void **state) {
        Bench *b = *state;
        const HistoryLimits none = {};

        history_set_limits(b->manager.history, &none);
        assert_error(call(b, filter_open(b)), "org.penstock1.Error.Internal", "HistoryMaxEntries");
        history_set_limits(b->manager.history, &plenty);
        assert_ids(call(b, filter_open(b)), "");
        b->manager.history = history_free(b->manager.history);
        assert_error(call(b, filter_open(b)), "org.penstock1.Error.Internal", "HistoryMaxEntries");
}

/* Each from a connection of its own, since the calls of one wait for one another. */
static void send_from(Bench *b, unsigned connection, sd_bus_message **reply) {
        sd_bus_message *m = filter_open(b);
        char sender[32];

        bench_request_close(m);
        snprintf(sender, sizeof(sender), ":1.%u", connection);
        assert_return_code(sd_bus_message_set_sender(m, sender), 0);
        bench_send(b, m, reply);
        bench_settle(b);
}

static void searches_are_bounded_of_a_user_and_in_all(void **state) {
        sd_bus_message *replies[SEARCHES_MAX + 2] = {};
        Bench *b = *state;
        unsigned n = 0;

        b->manager.hold_history = true;
        while (n < SEARCHES_PER_USER_MAX) {
                send_from(b, n, &replies[n]);
                assert_null(replies[n++]);
        }
        send_from(b, n, &replies[n]);
        assert_error(replies[n], "org.penstock1.Error.QueueLengthExceeded", "4 of them for uid 1000");
        replies[n] = NULL;
        b->caller.uid = 0; /* has only the bound of all */
        while (n < SEARCHES_MAX) {
                send_from(b, 100 + n, &replies[n]);
                assert_null(replies[n++]);
        }
        send_from(b, 100 + n, &replies[n]);
        assert_error(replies[n], "org.penstock1.Error.QueueLengthExceeded", "16 searches");
}

/* Whoever asked is not there any more when the answer comes; the bus face goes before the history. */
static void a_search_that_is_under_way_when_the_service_ends_is_forgotten(void **state) {
        Bench *b = *state;
        sd_bus_message *m = filter_open(b), *reply = NULL;

        bench_request_close(m);
        bench_send(b, m, &reply);
        while (!b->bus->searches)
                assert_true(sd_event_run(b->event, UINT64_MAX) >= 0);
        assert_return_code(bus_server_attach(b->bus, NULL), 0);
        assert_null(b->bus->searches);
        bench_settle(b);
        sd_bus_message_unref(reply);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                HISTORY_TEST(each_value_of_a_row_is_told),
                HISTORY_TEST(others_see_neither_labels_that_are_not_public_nor_the_fingerprint),
                HISTORY_TEST(a_thousand_rows_come_whole),
                HISTORY_TEST(without_a_history_it_says_why),
                HISTORY_TEST(searches_are_bounded_of_a_user_and_in_all),
                HISTORY_TEST(a_search_that_is_under_way_when_the_service_ends_is_forgotten),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
