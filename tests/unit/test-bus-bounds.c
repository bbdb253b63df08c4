/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The bounds of a request, each at its edge. */
#include "test-bus-bench.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define INVALID "org.penstock1.Error.InvalidArgument"

static char *text_of(size_t n, char c) {
        char *s = malloc(n + 1);

        assert_non_null(s);
        memset(s, c, n);
        s[n] = '\0';
        return s;
}

static sd_bus_message *call_closed(Bench *b, sd_bus_message *m) {
        bench_request_close(m);
        return bench_call(b, m);
}

static sd_bus_message *call_with_query(Bench *b, size_t n) {
        sd_bus_message *m = bench_request_open(b);
        char *query = text_of(n, 'q');

        assert_return_code(sd_bus_message_append(m, "{sv}{sv}", "language", "s", "sqlite", "query", "s", query), 0);
        free(query);
        return call_closed(b, m);
}

static void a_query_of_4_mib_is_taken_and_a_byte_more_is_not(void **state) {
        Bench *b = *state;

        assert_returned(call_with_query(b, REQUEST_QUERY_BYTES_MAX));
        assert_error(call_with_query(b, REQUEST_QUERY_BYTES_MAX + 1), INVALID, "query is 4194305 bytes long");
        assert_error(call_with_query(b, 10 * MIB), INVALID, "longer than 8388608 bytes");
        assert_returned(call_with_query(b, 10)); /* and goes on */
}

/* What takes long to walk over is too large, before it has kept the loop busy. */
static void many_small_values_are_as_bad_as_large_ones(void **state) {
        Bench *b = *state;
        sd_bus_message *m = bench_request_minimal(b);

        assert_return_code(sd_bus_message_open_container(m, 'e', "sv"), 0);
        assert_return_code(sd_bus_message_append(m, "s", "query"), 0);
        assert_return_code(sd_bus_message_open_container(m, 'v', "aas"), 0);
        assert_return_code(sd_bus_message_open_container(m, 'a', "as"), 0);
        for (size_t i = 0; i < 10000; i++)
                assert_return_code(sd_bus_message_append(m, "as", 0), 0);
        for (int i = 0; i < 3; i++)
                assert_return_code(sd_bus_message_close_container(m), 0);
        assert_error(call_closed(b, m), INVALID, "longer than 8388608 bytes");
}

/* Every bound at once still fits. */
static void the_largest_request_is_taken(void **state) {
        Bench *b = *state;
        sd_bus_message *m = bench_request_open(b);
        char *query = text_of(REQUEST_QUERY_BYTES_MAX, 'q');
        char *argument = text_of(REQUEST_ARGV_BYTES_MAX / REQUEST_ARGV_MAX - 1, 'a');
        static const char *const pairs[] = { "parameters", "environment" };
        char name[32];

        assert_return_code(sd_bus_message_append(m, "{sv}{sv}", "language", "s", "sqlite", "query", "s", query), 0);
        assert_return_code(sd_bus_message_open_container(m, 'e', "sv"), 0);
        assert_return_code(sd_bus_message_append(m, "s", "argv"), 0);
        assert_return_code(sd_bus_message_open_container(m, 'v', "as"), 0);
        assert_return_code(sd_bus_message_open_container(m, 'a', "s"), 0);
        for (size_t i = 0; i < REQUEST_ARGV_MAX; i++)
                assert_return_code(sd_bus_message_append(m, "s", argument), 0);
        for (int i = 0; i < 3; i++)
                assert_return_code(sd_bus_message_close_container(m), 0);
        query[REQUEST_PAIRS_BYTES_MAX / REQUEST_PAIRS_MAX - 6] = '\0';
        for (size_t k = 0; k < ELEMENTSOF(pairs); k++) {
                assert_return_code(sd_bus_message_open_container(m, 'e', "sv"), 0);
                assert_return_code(sd_bus_message_append(m, "s", pairs[k]), 0);
                assert_return_code(sd_bus_message_open_container(m, 'v', "a{ss}"), 0);
                assert_return_code(sd_bus_message_open_container(m, 'a', "{ss}"), 0);
                for (size_t i = 0; i < REQUEST_PAIRS_MAX; i++) {
                        snprintf(name, sizeof(name), "k%03zu", i);
                        assert_return_code(sd_bus_message_append(m, "{ss}", name, query), 0);
                }
                for (int i = 0; i < 3; i++)
                        assert_return_code(sd_bus_message_close_container(m), 0);
        }
        free(query);
        free(argument);
        assert_returned(call_closed(b, m));
}

static sd_bus_message *call_with_strings(Bench *b, const char *key, size_t n, const char *value) {
        sd_bus_message *m = bench_request_minimal(b);

        assert_return_code(sd_bus_message_open_container(m, 'e', "sv"), 0);
        assert_return_code(sd_bus_message_append(m, "s", key), 0);
        assert_return_code(sd_bus_message_open_container(m, 'v', "as"), 0);
        assert_return_code(sd_bus_message_open_container(m, 'a', "s"), 0);
        for (size_t i = 0; i < n; i++)
                assert_return_code(sd_bus_message_append(m, "s", value), 0);
        for (int i = 0; i < 3; i++)
                assert_return_code(sd_bus_message_close_container(m), 0);
        return call_closed(b, m);
}

static void argv_is_bounded_in_count_element_and_sum(void **state) {
        Bench *b = *state;
        char *longest = text_of(REQUEST_ARG_BYTES_MAX - 1, 'a'), *too_long = text_of(REQUEST_ARG_BYTES_MAX, 'a');

        assert_returned(call_with_strings(b, "argv", REQUEST_ARGV_MAX, "a"));
        assert_error(call_with_strings(b, "argv", REQUEST_ARGV_MAX + 1, "a"), INVALID, "argv has more than 4096");
        assert_returned(call_with_strings(b, "argv", 8, longest));
        assert_error(call_with_strings(b, "argv", 9, longest), INVALID, "argv is longer than 1048576 bytes");
        assert_error(call_with_strings(b, "argv", 1, too_long), INVALID, "argv[0] is 131072 bytes long");
        assert_error(call_with_strings(b, "dependencies", 257, "a"), INVALID, "dependencies has more than 256");
        free(longest);
        free(too_long);
}

static sd_bus_message *call_with_pairs(Bench *b, const char *key, size_t n, const char *value) {
        sd_bus_message *m = bench_request_minimal(b);
        char name[32];

        assert_return_code(sd_bus_message_open_container(m, 'e', "sv"), 0);
        assert_return_code(sd_bus_message_append(m, "s", key), 0);
        assert_return_code(sd_bus_message_open_container(m, 'v', "a{ss}"), 0);
        assert_return_code(sd_bus_message_open_container(m, 'a', "{ss}"), 0);
        for (size_t i = 0; i < n; i++) {
                snprintf(name, sizeof(name), "k%zu", i);
                assert_return_code(sd_bus_message_append(m, "{ss}", name, value), 0);
        }
        for (int i = 0; i < 3; i++)
                assert_return_code(sd_bus_message_close_container(m), 0);
        return call_closed(b, m);
}

static void pairs_are_bounded_in_count_value_and_sum(void **state) {
        Bench *b = *state;
        char *longest = text_of(REQUEST_VALUE_BYTES_MAX, 'v'), *too_long = text_of(REQUEST_VALUE_BYTES_MAX + 1, 'v');
        char *label = text_of(REQUEST_LABEL_BYTES_MAX + 1, 'v');

        assert_returned(call_with_pairs(b, "parameters", REQUEST_PAIRS_MAX, "v"));
        assert_error(call_with_pairs(b, "parameters", REQUEST_PAIRS_MAX + 1, "v"), INVALID, "more than 256");
        assert_error(call_with_pairs(b, "environment", 1, too_long), INVALID, "the value of k0 is 32769 bytes");
        assert_error(call_with_pairs(b, "environment", 17, longest), INVALID, "environment is longer than 524288");
        assert_error(call_with_pairs(b, "labels", REQUEST_LABELS_MAX + 1, "v"), INVALID, "labels has more than 32");
        assert_error(call_with_pairs(b, "labels", 1, label), INVALID, "the value of k0 is 256 bytes");
        free(longest);
        free(too_long);
        free(label);
}

static void a_refusal_is_noted_with_its_caller_and_without_its_values(void **state) {
        Bench *b = *state;
        sd_bus_message *m = bench_request_minimal(b);

        assert_return_code(sd_bus_message_append(m, "{sv}{sv}", "environment", "a{ss}", 1, "KEY", "s3cret", "umask",
                                                 "u", 07777u),
                           0);
        bench_request_close(m);
        assert_error(bench_call(b, m), "org.penstock1.Error.InvalidArgument", "umask");
        assert_int_equal(b->manager.n_refusals, 1);
        assert_int_equal(b->manager.last_refusal.code, ERROR_INVALID_ARGUMENT);
        assert_non_null(strstr(b->manager.last_refusal.message, "umask"));
        assert_null(strstr(b->manager.last_refusal.message, "s3cret"));
        assert_int_equal(b->manager.last_refusal_uid, 1000);

        b->caller = (Caller) { .uid = 1001, .gid = 1001 };
        assert_error(call_closed(b, bench_request_minimal(b)), "org.penstock1.Error.PermissionDenied", "penstock");
        assert_int_equal(b->manager.n_refusals, 2);
        assert_int_equal(b->manager.last_refusal.code, ERROR_PERMISSION_DENIED);
        assert_int_equal(b->manager.last_refusal_uid, 1001);

        /* What the engine refuses is one too, and what is taken is none. */
        b->caller = (Caller) { .uid = 1000, .gid = 900 };
        assert_returned(call_closed(b, bench_request_minimal(b)));
        assert_int_equal(b->manager.n_refusals, 2);
        manager_feed(&b->manager, &(Event) { .type = EVENT_SHUTDOWN });
        assert_error(call_closed(b, bench_request_minimal(b)), "org.penstock1.Error.ShuttingDown", "");
        assert_int_equal(b->manager.n_refusals, 3);
}

/* A client that asks and does not read, or a bus that does not keep up. */
static void answers_that_the_bus_does_not_take_are_bounded(void **state) {
        Backlog b = {};
        Error e = {};
        char sender[64];

        (void) state;
        for (unsigned i = 0; i < 10 * BACKLOG_MAX; i++)
                assert_int_equal(backlog_check(&b, 0, ":1.7", &e), 0); /* as long as it keeps up */
        b = (Backlog) {};
        for (unsigned i = 0; i < BACKLOG_PER_SENDER_MAX; i++)
                assert_int_equal(backlog_check(&b, 1, ":1.7", &e), 0);
        assert_true(backlog_check(&b, 1, ":1.7", &e) < 0);
        assert_int_equal(e.code, ERROR_QUEUE_LENGTH_EXCEEDED);
        assert_int_equal(backlog_check(&b, 1, ":1.8", &e), 0); /* another is served */
        assert_int_equal(backlog_check(&b, 0, ":1.7", &e), 0); /* taken: all is forgotten */
        b = (Backlog) {};
        for (unsigned i = 0; i < BACKLOG_MAX; i++) {
                snprintf(sender, sizeof(sender), ":1.%u-%040u", i, i);
                assert_int_equal(backlog_check(&b, 1, sender, &e), 0);
        }
        assert_true(backlog_check(&b, 1, ":1.9999", &e) < 0);
}

#define CALLS_AT_ONCE 100u /* the socket takes no more of such small ones */

/* The same with real messages: a client that sends and does not read. */
static void a_client_that_does_not_read_gets_few_lists(void **state) {
        Bench *b = *state;
        unsigned n_lists = 0, n_refused = 0;
        uint64_t cookie; /* asked for, or sd-bus says that no answer is wanted */
        int r, size = 64 * 1024; /* sd-bus makes it 8 MiB */
        sd_bus_message *m;

        assert_return_code(setsockopt(sd_bus_get_fd(b->server_bus), SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), errno);
        for (unsigned i = 0; i < 60; i++)
                (void) bench_submit(b);
        assert_return_code(sd_bus_detach_event(b->client), 0);
        for (unsigned i = 0; i < CALLS_AT_ONCE; i++) {
                m = bench_message(b, CONTROLLER_PATH, CONTROLLER_INTERFACE, "ListQueries");
                assert_return_code(sd_bus_send(b->client, m, &cookie), 0);
                sd_bus_message_unref(m);
        }
        while ((r = sd_bus_process(b->server_bus, NULL)) > 0)
                ;
        assert_return_code(r, 0);
        while (n_lists + n_refused < CALLS_AT_ONCE) {
                while (sd_bus_process(b->server_bus, NULL) > 0)
                        ;
                m = NULL;
                r = sd_bus_process(b->client, &m);
                assert_return_code(r, 0);
                if (m && sd_bus_message_is_method_error(m, NULL))
                        n_refused++;
                else if (m && sd_bus_message_has_signature(m, "aa{sv}"))
                        n_lists++;
                sd_bus_message_unref(m);
        }
        print_message("%u lists, %u refusals\n", n_lists, n_refused);
        /* What the socket took, and what may wait for it. */
        assert_true(n_lists >= BACKLOG_PER_SENDER_MAX && n_lists < CALLS_AT_ONCE / 2);
        assert_return_code(sd_bus_attach_event(b->client, b->event, 0), 0);
}

/* More answers than the socket takes are made for the client, who reads none until bench_settle(). */
static void clog_bus(Bench *b) {
        int size = 1; /* the kernel's least */
        uint64_t n_queued = 0, cookie;

        assert_return_code(setsockopt(sd_bus_get_fd(b->server_bus), SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), errno);
        assert_return_code(sd_bus_detach_event(b->client), 0);
        for (unsigned i = 0; i < CALLS_AT_ONCE; i++) {
                sd_bus_message *m = bench_message(b, CONTROLLER_PATH, CONTROLLER_INTERFACE, "ListQueries");

                assert_return_code(sd_bus_send(b->client, m, &cookie), 0);
                sd_bus_message_unref(m);
        }
        while (sd_bus_process(b->server_bus, NULL) > 0)
                ;
        assert_return_code(sd_bus_get_n_queued_write(b->server_bus, &n_queued), 0);
        assert_true(n_queued > BACKLOG_PER_SENDER_MAX);
}

static void unclog_bus(Bench *b) {
        while (sd_bus_process(b->server_bus, NULL) > 0)
                ;
        assert_return_code(sd_bus_attach_event(b->client, b->event, 0), 0);
        bench_settle(b);
}

static sd_bus_message *get_property(Bench *b, uint64_t id, const char *property) {
        char path[QUERY_PATH_MAX];
        sd_bus_message *m = bench_message(b, query_path(id, path), "org.freedesktop.DBus.Properties", "Get");

        assert_return_code(sd_bus_message_append(m, "ss", QUERY_INTERFACE, property), 0);
        return m;
}

static sd_bus_message *of_no_object(Bench *b, const char *member) {
        char path[4096];

        memset(path, 'x', sizeof(path));
        path[0] = '/';
        path[sizeof(path) - 1] = '\0';
        return bench_message(b, path, QUERY_INTERFACE, member);
}

/* Labels are as long as their owner likes, an error repeats a path, and who has ended is Done again and again. */
static void no_kind_of_answer_is_made_without_end(void **state) {
        Bench *b = *state;
        uint64_t id = bench_submit(b), ended = bench_submit(b);
        sd_bus_message *calls[5], *replies[ELEMENTSOF(calls)] = {};

        assert_returned(bench_call(b, bench_by_id(b, "DoneQuery", ended)));
        clog_bus(b);
        calls[0] = get_property(b, id, "Labels");
        calls[1] = bench_by_id(b, "DoneQuery", ended);
        calls[2] = of_no_object(b, "Such");
        calls[3] = of_no_object(b, "Cancel");
        calls[4] = bench_by_id(b, "GetQuery", id);
        for (size_t i = 0; i < ELEMENTSOF(calls); i++)
                bench_send(b, calls[i], &replies[i]);
        while (sd_bus_process(b->server_bus, NULL) > 0)
                ;
        bench_settle(b); /* and who sends this is known */
        unclog_bus(b);
        for (size_t i = 0; i < ELEMENTSOF(calls); i++) {
                assert_non_null(replies[i]);
                assert_error(replies[i], "org.penstock1.Error.QueueLengthExceeded", "wait until the bus takes them");
        }
}

static void what_there_is_to_do_is_done_for_a_bus_that_takes_nothing(void **state) {
        Bench *b = *state;
        uint64_t id = bench_submit(b), other = bench_submit(b);
        sd_bus_message *calls[3], *replies[ELEMENTSOF(calls)] = {};

        clog_bus(b);
        calls[0] = bench_by_id(b, "CancelQuery", id);
        calls[1] = bench_by_id(b, "DoneQuery", other);
        calls[2] = bench_request_minimal(b);
        bench_request_close(calls[2]);
        for (size_t i = 0; i < ELEMENTSOF(calls); i++)
                bench_send(b, calls[i], &replies[i]);
        unclog_bus(b);
        for (size_t i = 0; i < ELEMENTSOF(calls); i++) {
                assert_non_null(replies[i]);
                assert_returned(replies[i]);
        }
        assert_int_equal(engine_find(b->manager.engine, id)->state, QUERY_CANCELED);
}

static void queue_signals(Bench *b, uint64_t n) {
        uint64_t n_queued = 0;

        while (n_queued < n) {
                assert_return_code(sd_bus_emit_signal(b->server_bus, "/x", "x.y", "Filler", NULL), 0);
                assert_return_code(sd_bus_get_n_queued_write(b->server_bus, &n_queued), 0);
        }
}

static void serve_call(Bench *b, sd_bus_message *m, sd_bus_message **ret_reply) {
        bench_send(b, m, ret_reply);
        while (sd_bus_process(b->server_bus, NULL) > 0)
                ;
        bench_settle(b); /* and who sends this is known */
}

/* Each answer of Query has two descriptors, and signals and refusals are messages, too. */
static void a_queue_that_nobody_takes_grows_to_its_bounds(void **state) {
        Bench *b = *state;
        uint64_t first = bench_submit(b), second = bench_submit(b), n_queued;
        unsigned n_submits = b->manager.n_submits;
        static sd_bus_message *replies[4]; /* those that do not come are waited for until the client is freed */
        sd_bus_message *m;

        clog_bus(b);
        queue_signals(b, BACKLOG_QUEUED_MAX);
        m = bench_request_minimal(b);
        bench_request_close(m);
        serve_call(b, m, &replies[0]);
        serve_call(b, bench_message(b, CONTROLLER_PATH, CONTROLLER_INTERFACE, "ListQueries"), &replies[1]);
        assert_return_code(sd_bus_get_n_queued_write(b->server_bus, &n_queued), 0);
        assert_int_equal(n_queued, BACKLOG_QUEUED_MAX);
        assert_int_equal(b->manager.n_submits, n_submits);

        serve_call(b, bench_by_id(b, "CancelQuery", first), &replies[2]);
        assert_int_equal(engine_find(b->manager.engine, first)->state, QUERY_CANCELED);
        queue_signals(b, BACKLOG_QUEUED_BY_DEEDS_MAX);
        serve_call(b, bench_by_id(b, "CancelQuery", second), &replies[3]);
        assert_int_not_equal(engine_find(b->manager.engine, second)->state, QUERY_CANCELED);
        unclog_bus(b);
        assert_returned(replies[2]); /* what was answered comes */
        for (size_t i = 0; i < ELEMENTSOF(replies); i++)
                assert_true(i == 2 || !replies[i]);
}

static const char *hear_signal(sd_bus *client) {
        sd_bus_message *m = NULL;
        static char name[64];
        int r;

        name[0] = '\0';
        while (!name[0] && (r = sd_bus_process(client, &m)) > 0) {
                if (m && sd_bus_message_is_signal(m, "x.y", NULL) > 0)
                        snprintf(name, sizeof(name), "%s", sd_bus_message_get_member(m));
                m = sd_bus_message_unref(m);
        }
        return name;
}

static void say_last_words(Bench *b) {
        assert_return_code(sd_bus_emit_signal(b->server_bus, "/x", "x.y", "Last", NULL), 0);
        b->bus = bus_server_free(b->bus);
        assert_return_code(sd_bus_detach_event(b->server_bus), 0);
        bus_leave(b->server_bus);
        b->server_bus = NULL;
}

/* The bus of one who does not read is left all the same: penstockd would be killed in the end, and its queries hold until then. */
static void a_bus_that_takes_nothing_is_left(void **state) {
        Bench *b = *state;

        (void) bench_submit(b);
        clog_bus(b);
        alarm(30);
        say_last_words(b);
        alarm(0);
        assert_return_code(sd_bus_attach_event(b->client, b->event, 0), 0);
}

static void last_words_are_heard(void **state) {
        Bench *b = *state;

        assert_return_code(sd_bus_detach_event(b->client), 0);
        say_last_words(b);
        assert_string_equal(hear_signal(b->client), "Last");
        assert_return_code(sd_bus_attach_event(b->client, b->event, 0), 0);
}

int main(void) {
#define BENCH_TEST(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(answers_that_the_bus_does_not_take_are_bounded),
                BENCH_TEST(a_client_that_does_not_read_gets_few_lists),
                BENCH_TEST(no_kind_of_answer_is_made_without_end),
                BENCH_TEST(what_there_is_to_do_is_done_for_a_bus_that_takes_nothing),
                BENCH_TEST(a_queue_that_nobody_takes_grows_to_its_bounds),
                BENCH_TEST(a_bus_that_takes_nothing_is_left),
                BENCH_TEST(last_words_are_heard),
                BENCH_TEST(a_query_of_4_mib_is_taken_and_a_byte_more_is_not),
                BENCH_TEST(many_small_values_are_as_bad_as_large_ones),
                BENCH_TEST(the_largest_request_is_taken),
                BENCH_TEST(argv_is_bounded_in_count_element_and_sum),
                BENCH_TEST(pairs_are_bounded_in_count_value_and_sum),
                BENCH_TEST(a_refusal_is_noted_with_its_caller_and_without_its_values),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
