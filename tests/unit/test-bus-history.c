/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* History on the bus, over a real history in a directory of its own. */
#include "test-bus-bench.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bus/history.h"

#define INVALID "org.penstock1.Error.InvalidArgument"

static const HistoryLimits plenty = { .max_entries = 100000, .retention_usec = USEC_INFINITY };
static char directory[64];

static void on_news(HistoryNews news, const char *text, void *userdata) {
        (void) news, (void) text, (void) userdata;
}

static int setup(void **state) {
        char path[96];
        Bench *b;

        assert_int_equal(bench_setup(state), 0);
        b = *state;
        strcpy(directory, "/var/tmp/test-bus-history.XXXXXX");
        assert_non_null(mkdtemp(directory));
        snprintf(path, sizeof(path), "%s/history.db", directory);
        assert_int_equal(history_new(b->event, path, &plenty, on_news, NULL, &b->manager.history), 0);
        return 0;
}

static int teardown(void **state) {
        static const char *const names[] = { "history.db", "history.db-wal", "history.db-shm" };
        char path[96];

        assert_int_equal(bench_teardown(state), 0);
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
                (void) unlink(path);
        }
        return rmdir(directory);
}

static HistoryRow row_of(uint64_t id, uint32_t uid) {
        HistoryRow r = {
                .id = id, .user_id = uid, .language = "sqlite", .state = "finished", .ended_usec = 1000 + id
        };

        return r;
}

static void label(HistoryRow *r, const char *key, const char *value) {
        assert_int_equal(pairlist_set(&r->labels, key, value), 0);
}

static void add(Bench *b, HistoryRow r) {
        assert_int_equal(history_add(b->manager.history, &r), 0);
}

static sd_bus_message *filter_open(Bench *b) {
        sd_bus_message *m = bench_message(b, CONTROLLER_PATH, CONTROLLER_INTERFACE, "History");

        assert_return_code(sd_bus_message_open_container(m, 'a', "{sv}"), 0);
        return m;
}

static sd_bus_message *call(Bench *b, sd_bus_message *m) {
        bench_request_close(m);
        return bench_call(b, m);
}

static sd_bus_message *call_number(Bench *b, const char *key, uint64_t n) {
        sd_bus_message *m = filter_open(b);

        assert_return_code(sd_bus_message_append(m, "{sv}", key, "t", n), 0);
        return call(b, m);
}

static sd_bus_message *call_text(Bench *b, const char *key, const char *text) {
        sd_bus_message *m = filter_open(b);

        assert_return_code(sd_bus_message_append(m, "{sv}", key, "s", text), 0);
        return call(b, m);
}

static sd_bus_message *call_label(Bench *b, const char *key, const char *value) {
        sd_bus_message *m = filter_open(b);

        assert_return_code(sd_bus_message_append(m, "{sv}", "labels", "a{ss}", 1, key, value), 0);
        return call(b, m);
}

static const char *number_text(sd_bus_message *m, char type) {
        static char text[32];
        union {
                uint64_t t;
                uint32_t u;
                int32_t i;
                int b;
        } v = {};

        assert_true(sd_bus_message_read_basic(m, type, &v) > 0);
        snprintf(text, sizeof(text), "%lld",
                 type == 't'   ? (long long) v.t
                 : type == 'u' ? (long long) v.u
                 : type == 'i' ? (long long) v.i
                               : (long long) v.b);
        return text;
}

/* @key=value of a{ss}, as "a=1 b=2". */
static const char *pairs_text(sd_bus_message *m) {
        static char text[256];
        const char *k, *v;
        size_t n = 0;

        text[0] = '\0';
        assert_true(sd_bus_message_enter_container(m, 'a', "{ss}") > 0);
        while (sd_bus_message_read(m, "{ss}", &k, &v) > 0)
                n += (size_t) snprintf(text + n, sizeof(text) - n, "%s%s=%s", n > 0 ? " " : "", k, v);
        assert_true(sd_bus_message_exit_container(m) > 0);
        return text;
}

/* What @key is in the row @index of @reply, as text; NULL: there is no such row or key. */
static const char *value(sd_bus_message *reply, unsigned index, const char *key) {
        const char *contents, *name, *found = NULL;
        unsigned i = 0;

        if (sd_bus_message_is_method_error(reply, NULL))
                fail_msg("%s", sd_bus_message_get_error(reply)->message);
        assert_true(sd_bus_message_rewind(reply, true) >= 0);
        assert_true(sd_bus_message_enter_container(reply, 'a', "a{sv}") > 0);
        for (; sd_bus_message_enter_container(reply, 'a', "{sv}") > 0; i++) {
                while (sd_bus_message_enter_container(reply, 'e', "sv") > 0) {
                        assert_true(sd_bus_message_read(reply, "s", &name) > 0);
                        assert_true(sd_bus_message_peek_type(reply, NULL, &contents) > 0);
                        if (i != index || strcmp(name, key) != 0)
                                assert_true(sd_bus_message_skip(reply, "v") > 0);
                        else {
                                assert_null(found); /* each once */
                                assert_true(sd_bus_message_enter_container(reply, 'v', contents) > 0);
                                if (strcmp(contents, "a{ss}") == 0)
                                        found = pairs_text(reply);
                                else if (contents[0] == 's')
                                        assert_true(sd_bus_message_read_basic(reply, 's', &found) > 0);
                                else
                                        found = number_text(reply, contents[0]);
                                assert_true(sd_bus_message_exit_container(reply) > 0);
                        }
                        assert_true(sd_bus_message_exit_container(reply) > 0);
                }
                assert_true(sd_bus_message_exit_container(reply) > 0);
        }
        return found;
}

static void assert_is(sd_bus_message *reply, unsigned index, const char *key, const char *expected) {
        const char *text = value(reply, index, key);

        if (!text || strcmp(text, expected) != 0)
                fail_msg("%s of row %u is %s, not %s", key, index, text ?: "missing", expected);
}

/* The IDs in their order, and the end of the message. */
static void assert_ids(sd_bus_message *reply, const char *expected) {
        char text[1024] = "";
        const char *id;
        size_t n = 0;

        for (unsigned i = 0; (id = value(reply, i, "ID")); i++)
                n += (size_t) snprintf(text + n, sizeof(text) - n, "%s%s", i > 0 ? " " : "", id);
        assert_string_equal(text, expected);
        sd_bus_message_unref(reply);
}

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

        for (uint64_t i = 0; &v[i] <= &r.raises_saved; i++)
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

/* Nor can they find out by asking for them. */
static void by_labels_that_are_not_public_one_finds_ones_own(void **state) {
        Bench *b = *state;
        HistoryRow one = row_of(1, 1000), two = row_of(2, 1001);
        sd_bus_message *m;

        label(&one, "secret", "x");
        label(&one, "team", "ads");
        label(&two, "secret", "x");
        label(&two, "team", "ads");
        add(b, one);
        add(b, two);
        assert_ids(call_label(b, "team", "ads"), "2 1");
        assert_ids(call_label(b, "secret", "x"), "1");
        m = filter_open(b);
        assert_return_code(sd_bus_message_append(m, "{sv}{sv}", "labels", "a{ss}", 1, "secret", "x", "user_id", "u",
                                                 1001),
                           0);
        assert_ids(call(b, m), "");
        b->caller.uid = 0;
        assert_ids(call_label(b, "secret", "x"), "2 1");
}

static void each_key_filters(void **state) {
        Bench *b = *state;
        HistoryRow r;
        sd_bus_message *m, *reply;
        uint64_t row;

        r = row_of(1, 0), strcpy(r.language, "shell"), r.memory_peak_bytes = 50;
        add(b, r);
        r = row_of(2, 1000), strcpy(r.state, "errored"), strcpy(r.error, "Timeout");
        add(b, r);
        r = row_of(3, 1000);
        label(&r, "team", "ads");
        add(b, r);
        assert_ids(call(b, filter_open(b)), "3 2 1");
        m = filter_open(b);
        assert_return_code(sd_bus_message_append(m, "{sv}", "user_id", "u", 0), 0);
        assert_ids(call(b, m), "1");
        assert_ids(call_text(b, "language", "shell"), "1");
        assert_ids(call_text(b, "state", "errored"), "2");
        assert_ids(call_text(b, "error", "Timeout"), "2");
        assert_ids(call_number(b, "since_usec", 1002), "3 2");
        assert_ids(call_number(b, "until_usec", 1002), "2 1");
        assert_ids(call_number(b, "min_peak_bytes", 50), "1");
        assert_ids(call_label(b, "team", "ads"), "3");
        assert_ids(call_number(b, "limit", 2), "3 2");
        reply = call(b, filter_open(b));
        row = strtoull(value(reply, 1, "Row"), NULL, 10);
        sd_bus_message_unref(reply);
        assert_ids(call_number(b, "before", row), "1");
}

static void what_is_no_filter_is_refused_by_its_key(void **state) {
        char long_text[70];
        Bench *b = *state;
        sd_bus_message *m;

        memset(long_text, 'x', sizeof(long_text) - 1);
        long_text[sizeof(long_text) - 1] = '\0';
        assert_error(call_number(b, "sinceusec", 1), INVALID, "\"sinceusec\" is no key of the filter");
        assert_error(call_text(b, "limit", "1"), INVALID, "limit must be of D-Bus type 't', and is 's'");
        assert_error(call_number(b, "limit", 0), INVALID, "limit is 0");
        assert_error(call_number(b, "limit", 1001), INVALID, "limit is 1001");
        assert_error(call_number(b, "before", 0), INVALID, "before");
        assert_error(call_text(b, "state", "executing"), INVALID, "state");
        assert_error(call_text(b, "error", "Oops"), INVALID, "error");
        assert_error(call_text(b, "language", ""), INVALID, "language has 0 bytes");
        assert_error(call_text(b, "language", long_text), INVALID, "language has 69 bytes");
        assert_error(call_label(b, "a b", "x"), INVALID, "labels");
        m = filter_open(b);
        assert_return_code(sd_bus_message_append(m, "{sv}{sv}", "limit", "t", UINT64_C(1), "limit", "t", UINT64_C(2)),
                           0);
        assert_error(call(b, m), INVALID, "limit is given twice");
        m = filter_open(b);
        assert_return_code(sd_bus_message_append(m, "{sv}", "labels", "a{ss}", 2, "a", "1", "a", "2"), 0);
        assert_error(call(b, m), INVALID, "labels has a key twice");
        assert_ids(call(b, filter_open(b)), ""); /* and goes on */
}

static void a_filter_has_its_largest_size(void **state) {
        char value_text[REQUEST_LABEL_BYTES_MAX + 2], key[REQUEST_NAME_BYTES_MAX + 1];
        Bench *b = *state;

        memset(value_text, 'v', sizeof(value_text));
        memset(key, 'k', sizeof(key));
        key[REQUEST_NAME_BYTES_MAX] = '\0';
        for (unsigned n = REQUEST_LABELS_MAX; n <= REQUEST_LABELS_MAX + 1; n++) {
                sd_bus_message *m = filter_open(b);

                value_text[REQUEST_LABEL_BYTES_MAX] = '\0';
                assert_return_code(sd_bus_message_open_container(m, 'e', "sv"), 0);
                assert_return_code(sd_bus_message_append(m, "s", "labels"), 0);
                assert_return_code(sd_bus_message_open_container(m, 'v', "a{ss}"), 0);
                assert_return_code(sd_bus_message_open_container(m, 'a', "{ss}"), 0);
                for (unsigned i = 0; i < n; i++) {
                        snprintf(key + REQUEST_NAME_BYTES_MAX - 2, 3, "%02u", i);
                        assert_return_code(sd_bus_message_append(m, "{ss}", key, value_text), 0);
                }
                for (int i = 0; i < 3; i++)
                        assert_return_code(sd_bus_message_close_container(m), 0);
                if (n == REQUEST_LABELS_MAX)
                        assert_ids(call(b, m), "");
                else
                        assert_error(call(b, m), INVALID, "labels has more than 32 entries");
        }
        value_text[REQUEST_LABEL_BYTES_MAX] = 'v';
        value_text[REQUEST_LABEL_BYTES_MAX + 1] = '\0';
        assert_error(call_label(b, "a", value_text), INVALID, "256 bytes");
        {
                char *huge = malloc(HISTORY_FILTER_BYTES_MAX + 1);

                memset(huge, 'x', HISTORY_FILTER_BYTES_MAX);
                huge[HISTORY_FILTER_BYTES_MAX] = '\0';
                assert_error(call_text(b, "language", huge), INVALID, "the filter is longer than");
                free(huge);
        }
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
#define HISTORY_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        const struct CMUnitTest tests[] = {
                HISTORY_TEST(each_value_of_a_row_is_told),
                HISTORY_TEST(others_see_neither_labels_that_are_not_public_nor_the_fingerprint),
                HISTORY_TEST(by_labels_that_are_not_public_one_finds_ones_own),
                HISTORY_TEST(each_key_filters),
                HISTORY_TEST(what_is_no_filter_is_refused_by_its_key),
                HISTORY_TEST(a_filter_has_its_largest_size),
                HISTORY_TEST(a_thousand_rows_come_whole),
                HISTORY_TEST(without_a_history_it_says_why),
                HISTORY_TEST(searches_are_bounded_of_a_user_and_in_all),
                HISTORY_TEST(a_search_that_is_under_way_when_the_service_ends_is_forgotten),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
