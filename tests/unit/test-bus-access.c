/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test-bus-bench.h"

#include <errno.h>
#include <string.h>

#define DENIED "org.penstock1.Error.PermissionDenied"
#define INVALID "org.penstock1.Error.InvalidArgument"
#define TOO_MANY "org.penstock1.Error.QueueLengthExceeded"

static sd_bus_message *controller_message(Bench *b, const char *member) {
        return bench_message(b, CONTROLLER_PATH, CONTROLLER_INTERFACE, member);
}

static sd_bus_message *request(Bench *b) {
        sd_bus_message *m = bench_request_minimal(b);

        bench_request_close(m);
        return m;
}

static sd_bus_message *request_as(Bench *b, const char *user) {
        sd_bus_message *m = bench_request_minimal(b);

        assert_return_code(sd_bus_message_append(m, "{sv}", "user", "s", user), 0);
        bench_request_close(m);
        return m;
}

static void members_submit_and_others_get_a_hint(void **state) {
        static uint32_t primary[] = { 900 };
        Bench *b = *state;
        sd_bus_message *reply;

        assert_returned(bench_call(b, request(b)));
        b->caller = (Caller) { .uid = 1001, .gid = 1001 };
        reply = bench_call(b, request(b));
        assert_error(sd_bus_message_ref(reply), DENIED, "uid 1001 is not in group penstock");
        assert_error(reply, DENIED, "usermod -aG penstock \"$(id -un 1001)\"");
        b->caller = (Caller) { .uid = 1001, .gid = 900 };
        assert_returned(bench_call(b, request(b)));
        b->caller = (Caller) { .uid = 1001, .gid = 1, .gids = primary, .n_gids = 1 };
        assert_returned(bench_call(b, request(b)));
        b->bus->policy.has_group = false;
        assert_error(bench_call(b, request(b)), DENIED, "no group penstock");
}

static void a_refused_caller_is_not_told_what_is_wrong_with_its_request(void **state) {
        Bench *b = *state;
        sd_bus_message *m = bench_request_open(b);

        b->caller = (Caller) { .uid = 1001, .gid = 1001 };
        bench_request_close(m);
        assert_error(bench_call(b, m), DENIED, "");
        assert_int_equal(b->manager.n_submits, 0);
}

static void root_runs_queries_only_where_it_is_configured(void **state) {
        Bench *b = *state;

        b->caller = (Caller) {};
        assert_error(bench_call(b, request(b)), DENIED, "AllowRootQueries=yes");
        b->manager.config.allow_root_queries = true;
        assert_returned(bench_call(b, request(b)));
}

static void root_names_another_user(void **state) {
        static uint32_t groups[] = { 7, 8, 9 };
        Bench *b = *state;
        const Request *r;

        b->caller = (Caller) {};
        b->user = (Caller) { .uid = 1234, .gid = 7, .gids = groups, .n_gids = 3 };
        assert_returned(bench_call(b, request_as(b, "ann")));
        r = &b->manager.records[1].record.request;
        assert_int_equal(r->uid, 1234);
        assert_int_equal(r->gid, 7);
        assert_int_equal(r->n_gids, 3);
        assert_int_equal(r->gids[2], 9);
        assert_true(b->manager.records[1].allow_priority);

        b->user = (Caller) {};
        assert_error(bench_call(b, request_as(b, "root")), DENIED, "AllowRootQueries");
        b->user_result = -ESRCH;
        assert_error(bench_call(b, request_as(b, "nobody-here")), INVALID, "no user of that name");
        b->user_result = -ETIMEDOUT;
        assert_error(bench_call(b, request_as(b, "ann")), "org.penstock1.Error.Internal", "did not answer");
}

static void only_root_names_another_user_or_a_priority(void **state) {
        Bench *b = *state;
        sd_bus_message *m = bench_request_minimal(b);

        assert_error(bench_call(b, request_as(b, "ann")), DENIED, "only root may name another user");
        assert_return_code(sd_bus_message_append(m, "{sv}", "priority", "i", 1), 0);
        bench_request_close(m);
        assert_error(bench_call(b, m), DENIED, "priority");
}

static void a_query_is_its_owners_and_roots(void **state) {
        static const char *const methods[] = { "Cancel", "Done", "Results", "Statistics", "ProfilerResults" };
        static const char *const by_ids[] = { "CancelQuery", "DoneQuery", "ResultsOf", "ProfilerResultsOf" };
        Bench *b = *state;
        uint64_t id = bench_submit(b);

        b->caller.uid = 1001;
        for (size_t i = 0; i < ELEMENTSOF(methods); i++)
                assert_error(bench_call(b, bench_on_object(b, methods[i], id)), DENIED, "belongs to uid 1000");
        for (size_t i = 0; i < ELEMENTSOF(by_ids); i++)
                assert_error(bench_call(b, bench_by_id(b, by_ids[i], id)), DENIED, "not for uid 1001");
        assert_false(query_state_is_end(engine_find(b->manager.engine, id)->state));
        b->caller.uid = 0;
        assert_returned(bench_call(b, bench_on_object(b, "Cancel", id)));
        assert_int_equal(engine_find(b->manager.engine, id)->state, QUERY_CANCELED);
        b->caller.uid = 1000;
        assert_returned(bench_call(b, bench_by_id(b, "CancelQuery", id)));
}

/* The value of stderr_tail in what Describe says; NULL: it is not there. */
static char *described_tail(Bench *b, uint64_t id) {
        sd_bus_message *reply = bench_call(b, bench_by_id(b, "Describe", id));
        const char *key, *contents, *value;
        char *tail = NULL, type;
        bool has_state = false;

        assert_false(sd_bus_message_is_method_error(reply, NULL));
        assert_true(sd_bus_message_enter_container(reply, 'a', "{sv}") > 0);
        while (sd_bus_message_enter_container(reply, 'e', "sv") > 0) {
                assert_true(sd_bus_message_read(reply, "s", &key) > 0);
                assert_true(sd_bus_message_peek_type(reply, &type, &contents) > 0);
                if (strcmp(key, "stderr_tail") == 0) {
                        assert_true(sd_bus_message_read(reply, "v", "s", &value) > 0);
                        tail = strdup(value);
                } else
                        assert_true(sd_bus_message_skip(reply, "v") > 0);
                has_state = has_state || strcmp(key, "State") == 0;
                assert_true(sd_bus_message_exit_container(reply) > 0);
        }
        assert_true(has_state);
        sd_bus_message_unref(reply);
        return tail;
}

static void everyone_may_describe_but_not_read_the_engines_words(void **state) {
        Bench *b = *state;
        uint64_t id = bench_submit(b);
        char *tail;

        b->n_asks = 0;
        assert_null(described_tail(b, id));
        assert_int_equal(b->n_asks, 0); /* nothing to hide, nobody asked */
        b->manager.records[id].record.stderr_tail = strdup("no such table: secret");
        tail = described_tail(b, id);
        assert_string_equal(tail, "no such table: secret");
        free(tail);
        b->caller.uid = 1001;
        assert_null(described_tail(b, id));
}

static void only_public_labels_are_shown(void **state) {
        Bench *b = *state;
        sd_bus_message *m = bench_request_minimal(b), *reply;
        const char *key, *value;

        assert_return_code(sd_bus_message_append(m, "{sv}", "labels", "a{ss}", 2, "team", "blue", "token", "x"), 0);
        bench_request_close(m);
        assert_returned(bench_call(b, m));
        m = bench_message(b, QUERY_PREFIX "/_1", "org.freedesktop.DBus.Properties", "Get");
        assert_return_code(sd_bus_message_append(m, "ss", QUERY_INTERFACE, "Labels"), 0);
        reply = bench_call(b, m);
        assert_true(sd_bus_message_enter_container(reply, 'v', "a{ss}") > 0);
        assert_true(sd_bus_message_enter_container(reply, 'a', "{ss}") > 0);
        assert_true(sd_bus_message_read(reply, "{ss}", &key, &value) > 0);
        assert_string_equal(key, "team");
        assert_string_equal(value, "blue");
        assert_int_equal(sd_bus_message_read(reply, "{ss}", &key, &value), 0);
        sd_bus_message_unref(reply);
}

static void what_concerns_everybody_is_for_root(void **state) {
        static const char *const methods[] = { "Pause", "Resume", "Reload" };
        Bench *b = *state;
        sd_bus_message *m;

        for (size_t i = 0; i < ELEMENTSOF(methods); i++)
                assert_error(bench_call(b, controller_message(b, methods[i])), DENIED,
                             "is for root, not for uid 1000");
        assert_error(bench_call(b, bench_by_id(b, "Shutdown", 0)), DENIED, "Shutdown is for root");
        assert_false(engine_is_shut_down(b->manager.engine));
        assert_int_equal(b->manager.n_reloads, 0);

        b->caller.uid = 0;
        assert_returned(bench_call(b, controller_message(b, "Pause")));
        assert_true(engine_is_paused(b->manager.engine));
        assert_returned(bench_call(b, controller_message(b, "Resume")));
        assert_false(engine_is_paused(b->manager.engine));
        assert_returned(bench_call(b, controller_message(b, "Reload")));
        (void) error_set(&b->manager.reload_error, ERROR_INVALID_ARGUMENT, "/etc/penstock/penstock.conf:3: no");
        m = bench_call(b, controller_message(b, "Reload"));
        assert_error(m, INVALID, "penstock.conf:3");
        assert_int_equal(b->manager.n_reloads, 2);
}

/* Many calls of one sender: one question, answers in the order of the calls. */
static void calls_of_a_sender_run_in_their_order(void **state) {
        Bench *b = *state;
        sd_bus_message *replies[20] = {};
        uint64_t id;

        b->hold_answers = true;
        for (size_t i = 0; i < ELEMENTSOF(replies); i++)
                bench_send(b, request(b), &replies[i]);
        bench_settle(b);
        assert_int_equal(b->n_asks, 1);
        assert_null(replies[0]);
        bench_answer_all(b);
        for (size_t i = 0; i < ELEMENTSOF(replies); i++) {
                assert_non_null(replies[i]);
                assert_return_code(sd_bus_message_read(replies[i], "t", &id), 0);
                assert_int_equal(id, i + 1);
                sd_bus_message_unref(replies[i]);
        }
}

/* A look-up takes its time: what the same sender sent later must not overtake. */
static void a_user_look_up_holds_back_the_senders_later_calls(void **state) {
        Bench *b = *state;
        sd_bus_message *first = NULL, *second = NULL;
        uint64_t id;

        b->caller = (Caller) {};
        b->user = (Caller) { .uid = 1234, .gid = 7 };
        b->hold_user = true;
        b->manager.config.allow_root_queries = true;
        bench_send(b, request_as(b, "ann"), &first);
        bench_send(b, request(b), &second);
        bench_settle(b);
        assert_true(!first && !second);
        bench_answer_user(b);
        assert_return_code(sd_bus_message_read(first, "t", &id), 0);
        assert_int_equal(id, 1);
        assert_return_code(sd_bus_message_read(second, "t", &id), 0);
        assert_int_equal(id, 2);
        sd_bus_message_unref(first);
        sd_bus_message_unref(second);
}

static void send_from(Bench *b, const char *sender, sd_bus_message **reply) {
        sd_bus_message *m = request(b);

        assert_return_code(sd_bus_message_set_sender(m, sender), 0);
        bench_send(b, m, reply);
}

static void one_sender_may_have_so_many_calls_waiting(void **state) {
        sd_bus_message *replies[CALLS_PER_SENDER_MAX + 1] = {}, *other = NULL;
        Bench *b = *state;

        b->hold_answers = true;
        b->manager.config.max_queries_per_user = 1000;
        for (size_t i = 0; i < ELEMENTSOF(replies); i++)
                send_from(b, ":1.7", &replies[i]);
        send_from(b, ":1.8", &other);
        bench_settle(b);
        assert_error(replies[CALLS_PER_SENDER_MAX], TOO_MANY, "64 calls of this connection");
        assert_int_equal(b->n_asks, 2);
        bench_answer_all(b);
        for (size_t i = 0; i < CALLS_PER_SENDER_MAX; i++) {
                assert_non_null(replies[i]);
                sd_bus_message_unref(replies[i]);
        }
        assert_non_null(other);
        sd_bus_message_unref(other);
}

/* As many as a user may have of them leave room for who comes later. */
static void connections_of_nobody_known_fill_no_more_than_half(void **state) {
        enum { CONNECTIONS = 254, EACH = 3 };
        static sd_bus_message *replies[CONNECTIONS * EACH];
        sd_bus_message *other = NULL;
        Bench *b = *state;
        char sender[16];

        memset(replies, 0, sizeof(replies));
        b->hold_answers = true;
        b->manager.config.max_queries_per_user = 1000;
        for (size_t i = 0; i < CONNECTIONS * EACH; i++) {
                snprintf(sender, sizeof(sender), ":1.%zu", 10 + i / EACH);
                send_from(b, sender, &replies[i]);
        }
        send_from(b, ":1.5", &other);
        bench_settle(b);
        assert_error(replies[CONNECTIONS * EACH - 1], TOO_MANY, "one of them of this connection");
        replies[CONNECTIONS * EACH - 1] = NULL;
        assert_null(other); /* it waits, as it may */
        bench_answer_all(b);
        assert_non_null(other);
        sd_bus_message_unref(other);
        for (size_t i = 0; i < CONNECTIONS * EACH; i++)
                sd_bus_message_unref(replies[i]);
}

/* Two users who act together may have all of what can wait, behind searches here; not what root asks. */
static void root_is_heard_whoever_fills_what_can_wait(void **state) {
        static sd_bus_message *replies[CALLS_MAX];
        sd_bus_message *m, *roots = NULL, *others = NULL;
        Bench *b = *state;
        uint64_t id = bench_submit(b);
        char sender[16];

        memset(replies, 0, sizeof(replies));
        b->manager.hold_history = true;
        for (size_t i = 0; i < CALLS_MAX; i++) {
                b->caller.uid = i < CALLS_MAX / 2 ? 2000 : 2001;
                m = i % CALLS_PER_SENDER_MAX ? bench_by_id(b, "CancelQuery", id)
                                             : bench_message(b, CONTROLLER_PATH, CONTROLLER_INTERFACE, "History");
                if (i % CALLS_PER_SENDER_MAX == 0)
                        assert_return_code(sd_bus_message_append(m, "a{sv}", 0), 0);
                snprintf(sender, sizeof(sender), ":1.%zu", 10 + i / CALLS_PER_SENDER_MAX);
                assert_return_code(sd_bus_message_set_sender(m, sender), 0);
                bench_send(b, m, &replies[i]);
                bench_settle(b);
                assert_null(replies[i]);
        }
        b->caller.uid = 1000;
        send_from(b, ":1.5", &others);
        bench_settle(b);
        assert_error(others, TOO_MANY, "512 calls wait");
        b->caller.uid = 0;
        for (unsigned i = 0; i < 2; i++) { /* not known yet, and known */
                m = bench_by_id(b, "CancelQuery", id);
                assert_return_code(sd_bus_message_set_sender(m, ":1.6"), 0);
                roots = NULL;
                bench_send(b, m, &roots);
                bench_settle(b);
                assert_non_null(roots);
                assert_returned(roots);
        }
        assert_int_equal(engine_find(b->manager.engine, id)->state, QUERY_CANCELED);
}

static void the_bytes_that_wait_are_bounded_too(void **state) {
        sd_bus_message *replies[5] = {};
        Bench *b = *state;
        char *query = malloc(4 * MIB + 1);

        assert_non_null(query);
        memset(query, 'q', 4 * MIB);
        query[4 * MIB] = '\0';
        b->hold_answers = true;
        for (size_t i = 0; i < ELEMENTSOF(replies); i++) {
                sd_bus_message *m = bench_request_open(b);

                assert_return_code(
                                sd_bus_message_append(m, "{sv}{sv}", "language", "s", "sqlite", "query", "s", query),
                                0);
                bench_request_close(m);
                bench_send(b, m, &replies[i]);
        }
        free(query);
        bench_settle(b);
        assert_error(replies[4], TOO_MANY, "bytes of requests wait");
        bench_answer_all(b);
        for (size_t i = 0; i < 3; i++)
                assert_returned(replies[i]);
        sd_bus_message_unref(replies[3]);
}

/* The bus daemon takes 128 unanswered calls a connection, and PID 1 must be told things over the same one. */
static void few_questions_are_asked_at_once(void **state) {
        sd_bus_message *replies[100] = {};
        Bench *b = *state;
        char sender[32];

        b->hold_answers = true;
        b->manager.config.max_queries_per_user = 1000;
        for (size_t i = 0; i < ELEMENTSOF(replies); i++) {
                snprintf(sender, sizeof(sender), ":1.%zu", i + 10);
                send_from(b, sender, &replies[i]);
        }
        bench_settle(b);
        assert_int_equal(b->n_asks, CALLS_ASKING_MAX);
        bench_answer_all(b);
        assert_int_equal(b->n_asks, 100);
        for (size_t i = 0; i < ELEMENTSOF(replies); i++) {
                assert_non_null(replies[i]);
                sd_bus_message_unref(replies[i]);
        }
}

static void a_sender_that_left_submits_nothing(void **state) {
        Bench *b = *state;

        b->ask_result = -ENXIO;
        assert_error(bench_call(b, request(b)), "org.penstock1.Error.Internal", "find out who sends this");
        assert_int_equal(b->manager.n_submits, 0);
        b->ask_result = 0;
        assert_returned(bench_call(b, request(b)));
}

static void detaching_forgets_what_waits(void **state) {
        Bench *b = *state;
        sd_bus_message *reply = NULL, *after;

        b->hold_answers = true;
        bench_send(b, request(b), &reply);
        bench_settle(b);
        assert_return_code(bus_server_attach(b->bus, NULL), 0);
        after = bench_call(b, request(b));
        assert_true(sd_bus_message_is_method_error(after, SD_BUS_ERROR_UNKNOWN_OBJECT));
        sd_bus_message_unref(after);
        assert_null(reply);
        sd_bus_message_unref(reply);
}

int main(void) {
#define BENCH_TEST(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)
        const struct CMUnitTest tests[] = {
                BENCH_TEST(members_submit_and_others_get_a_hint),
                BENCH_TEST(a_refused_caller_is_not_told_what_is_wrong_with_its_request),
                BENCH_TEST(root_runs_queries_only_where_it_is_configured),
                BENCH_TEST(root_names_another_user),
                BENCH_TEST(only_root_names_another_user_or_a_priority),
                BENCH_TEST(a_query_is_its_owners_and_roots),
                BENCH_TEST(everyone_may_describe_but_not_read_the_engines_words),
                BENCH_TEST(only_public_labels_are_shown),
                BENCH_TEST(what_concerns_everybody_is_for_root),
                BENCH_TEST(calls_of_a_sender_run_in_their_order),
                BENCH_TEST(a_user_look_up_holds_back_the_senders_later_calls),
                BENCH_TEST(one_sender_may_have_so_many_calls_waiting),
                BENCH_TEST(connections_of_nobody_known_fill_no_more_than_half),
                BENCH_TEST(root_is_heard_whoever_fills_what_can_wait),
                BENCH_TEST(the_bytes_that_wait_are_bounded_too),
                BENCH_TEST(few_questions_are_asked_at_once),
                BENCH_TEST(a_sender_that_left_submits_nothing),
                BENCH_TEST(detaching_forgets_what_waits),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
