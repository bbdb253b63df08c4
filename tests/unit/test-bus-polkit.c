/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What polkit may let others do. It is the client's end of the bench that answers for polkit, and for the bus daemon when it tells
 * who has left. */
#include "test-bus-bench.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define DENIED "org.penstock1.Error.PermissionDenied"
#define TOO_MANY "org.penstock1.Error.QueueLengthExceeded"
#define AUTHORITY "/org/freedesktop/PolicyKit1/Authority"
#define ASKED_MAX 64

typedef struct Asked {
        sd_bus_message *message; /* NULL: answered */
        char sender[32], action[64], details[128], cancellation[48];
        uint32_t flags;
} Asked;

typedef struct Authority {
        Bench *bench;
        sd_bus_slot *slot;
        Asked asked[ASKED_MAX];
        size_t n_asked, n_canceled;
        char canceled[ASKED_MAX][48];
} Authority;

static Authority authority;

static void read_details(sd_bus_message *m, char *to, size_t size) {
        const char *key, *value;

        assert_true(sd_bus_message_enter_container(m, 'a', "{ss}") > 0);
        while (sd_bus_message_read(m, "{ss}", &key, &value) > 0)
                snprintf(to + strlen(to), size - strlen(to), "%s=%s ", key, value);
        assert_true(sd_bus_message_exit_container(m) >= 0);
}

static int on_call(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        const char *kind, *key, *sender, *action, *cancellation;
        Asked *a = &authority.asked[authority.n_asked % ASKED_MAX];

        (void) userdata, (void) ret_error;
        assert_string_equal(sd_bus_message_get_destination(m), "org.freedesktop.PolicyKit1");
        if (sd_bus_message_is_method_call(m, "org.freedesktop.PolicyKit1.Authority", "CancelCheckAuthorization")) {
                assert_true(sd_bus_message_read(m, "s", &cancellation) > 0);
                snprintf(authority.canceled[authority.n_canceled++ % ASKED_MAX], 48, "%s", cancellation);
                return 1;
        }
        assert_true(sd_bus_message_is_method_call(m, "org.freedesktop.PolicyKit1.Authority", "CheckAuthorization"));
        *a = (Asked) { .message = sd_bus_message_ref(m) };
        assert_true(sd_bus_message_read(m, "(sa{sv})s", &kind, 1, &key, "s", &sender, &action) > 0);
        assert_string_equal(kind, "system-bus-name");
        assert_string_equal(key, "name");
        read_details(m, a->details, sizeof(a->details));
        assert_true(sd_bus_message_read(m, "us", &a->flags, &cancellation) > 0);
        snprintf(a->sender, sizeof(a->sender), "%s", sender);
        snprintf(a->action, sizeof(a->action), "%s", action);
        snprintf(a->cancellation, sizeof(a->cancellation), "%s", cancellation);
        authority.n_asked++;
        return 1;
}

static int setup(void **state) {
        int r = bench_setup(state);

        authority = (Authority) { .bench = *state };
        assert_return_code(sd_bus_add_object(authority.bench->client, &authority.slot, AUTHORITY, on_call, NULL), 0);
        return r;
}

static int teardown(void **state) {
        for (size_t i = 0; i < ASKED_MAX; i++)
                sd_bus_message_unref(authority.asked[i].message);
        sd_bus_slot_unref(authority.slot);
        return bench_teardown(state);
}

/* The question that was asked last, which is still open. */
static Asked *last_asked(void) {
        Asked *a;

        bench_settle(authority.bench);
        assert_true(authority.n_asked > 0);
        a = &authority.asked[(authority.n_asked - 1) % ASKED_MAX];
        assert_non_null(a->message);
        return a;
}

static void answer(Asked *a, bool yes, bool challenge, const char *detail) {
        sd_bus_message *reply = NULL;

        assert_return_code(sd_bus_message_new_method_return(a->message, &reply), 0);
        assert_return_code(sd_bus_message_open_container(reply, 'r', "bba{ss}"), 0);
        assert_return_code(sd_bus_message_append(reply, "bb", (int) yes, (int) challenge), 0);
        if (detail)
                assert_return_code(sd_bus_message_append(reply, "a{ss}", 1, detail, "true"), 0);
        else
                assert_return_code(sd_bus_message_append(reply, "a{ss}", 0), 0);
        assert_return_code(sd_bus_message_close_container(reply), 0);
        assert_return_code(sd_bus_send(authority.bench->client, reply, NULL), 0);
        sd_bus_message_unref(reply);
        a->message = sd_bus_message_unref(a->message);
        bench_settle(authority.bench);
}

static void answer_error(Asked *a, const char *name) {
        assert_return_code(sd_bus_reply_method_errorf(a->message, name, "words of another"), 0);
        a->message = sd_bus_message_unref(a->message);
        bench_settle(authority.bench);
}

static sd_bus_message *controller_message(Bench *b, const char *member) {
        return bench_message(b, CONTROLLER_PATH, CONTROLLER_INTERFACE, member);
}

static sd_bus_message *request(Bench *b, int32_t priority) {
        sd_bus_message *m = bench_request_minimal(b);

        if (priority != 0)
                assert_return_code(sd_bus_message_append(m, "{sv}", "priority", "i", priority), 0);
        bench_request_close(m);
        return m;
}

static void send_from(Bench *b, sd_bus_message *m, const char *sender, sd_bus_message **reply) {
        assert_return_code(sd_bus_message_set_sender(m, sender), 0);
        bench_send(b, m, reply);
        bench_settle(b);
}

static void yes_lets_each_call_go_on(void **state) {
        static const struct {
                const char *method, *action;
        } calls[] = {
                { "Pause", "org.penstock1.pause" },
                { "Resume", "org.penstock1.pause" },
                { "Reload", "org.penstock1.reload" },
                { "Shutdown", "org.penstock1.shutdown" },
        };
        Bench *b = *state;

        for (size_t i = 0; i < ELEMENTSOF(calls); i++) {
                bool is_shutdown = strcmp(calls[i].method, "Shutdown") == 0;
                sd_bus_message *reply = NULL;

                send_from(b, is_shutdown ? bench_by_id(b, "Shutdown", 0) : controller_message(b, calls[i].method), ":1.7",
                          &reply);
                assert_null(reply);
                assert_string_equal(last_asked()->action, calls[i].action);
                assert_string_equal(last_asked()->sender, ":1.7");
                assert_string_equal(last_asked()->details, "");
                assert_false(engine_is_paused(b->manager.engine) && i == 0);
                answer(last_asked(), true, false, NULL);
                assert_non_null(reply);
                assert_returned(reply);
        }
        assert_int_equal(b->manager.n_reloads, 1);
        assert_true(engine_is_shut_down(b->manager.engine));
}

static void others_queries_are_canceled_and_released_but_not_read(void **state) {
        static const char *const never[] = { "ResultsOf", "ProfilerResultsOf" };
        Bench *b = *state;
        uint64_t id = bench_submit(b);
        sd_bus_message *reply = NULL;
        char expected[64];

        b->caller.uid = 1001;
        snprintf(expected, sizeof(expected), "query=%llu owner=1000 ", (unsigned long long) id);
        send_from(b, bench_by_id(b, "CancelQuery", id), ":1.7", &reply);
        assert_string_equal(last_asked()->action, "org.penstock1.manage-queries");
        assert_string_equal(last_asked()->details, expected);
        answer(last_asked(), true, false, NULL);
        assert_returned(reply);
        assert_int_equal(engine_find(b->manager.engine, id)->state, QUERY_CANCELED);

        for (size_t i = 0; i < ELEMENTSOF(never); i++)
                assert_error(bench_call(b, bench_by_id(b, never[i], id)), DENIED, "for its owner and root");
        assert_error(bench_call(b, bench_on_object(b, "Statistics", id)), DENIED, "for its owner and root");
        assert_int_equal(authority.n_asked, 1);

        b->manager.records[id].record.stderr_tail = strdup("no such table: secret");
        reply = NULL;
        send_from(b, bench_on_object(b, "Done", id), ":1.7", &reply);
        assert_string_equal(last_asked()->details, expected);
        answer(last_asked(), true, false, NULL);
        assert_non_null(reply);
        assert_value(reply, "verdict", "cancel");
        assert_true(sd_bus_message_rewind(reply, true) >= 0);
        while (sd_bus_message_enter_container(reply, 'a', "{sv}") > 0) {
                const char *key;

                while (sd_bus_message_enter_container(reply, 'e', "sv") > 0) {
                        assert_true(sd_bus_message_read(reply, "s", &key) > 0);
                        assert_string_not_equal(key, "stderr_tail");
                        assert_true(sd_bus_message_skip(reply, "v") > 0);
                        assert_true(sd_bus_message_exit_container(reply) > 0);
                }
                break;
        }
        sd_bus_message_unref(reply);
}

static void each_refusal_says_the_action_and_what_would_help(void **state) {
        static const struct {
                const char *error; /* NULL: a reply */
                bool challenge, interactive;
                const char *detail, *word;
        } answers[] = {
                { NULL, false, false, NULL, "polkit does not allow org.penstock1.reload: an administrator can, in /etc/polkit-1/rules.d" },
                { NULL, true, false, NULL, "authenticate for org.penstock1.reload, and this call did not allow it to ask" },
                { NULL, true, true, NULL, "no authentication agent runs in this session" },
                { NULL, true, true, "polkit.dismissed", "the authentication for org.penstock1.reload was dismissed" },
                { "org.freedesktop.DBus.Error.ServiceUnknown", false, false, NULL, "polkit, which could allow org.penstock1.reload to others, is not there" },
                { "org.freedesktop.DBus.Error.Spawn.ExecFailed", false, false, NULL, "is not there" },
                { "org.freedesktop.systemd1.UnitMasked", false, false, NULL, "is not there" },
                { "org.freedesktop.DBus.Error.NoReply", false, true, NULL, "did not answer for org.penstock1.reload within 120 s" },
                { "org.freedesktop.DBus.Error.NoReply", false, false, NULL, "within 25 s" },
                { "org.freedesktop.PolicyKit1.Error.Failed", false, false, NULL, "could not decide on org.penstock1.reload" },
        };
        Bench *b = *state;

        for (size_t i = 0; i < ELEMENTSOF(answers); i++) {
                sd_bus_message *m = controller_message(b, "Reload"), *reply = NULL;

                assert_return_code(sd_bus_message_set_allow_interactive_authorization(m, answers[i].interactive), 0);
                send_from(b, m, ":1.7", &reply);
                assert_int_equal(last_asked()->flags, answers[i].interactive);
                if (answers[i].error)
                        answer_error(last_asked(), answers[i].error);
                else
                        answer(last_asked(), false, answers[i].challenge, answers[i].detail);
                assert_non_null(reply);
                assert_error(sd_bus_message_ref(reply), DENIED, "Reload is for root, not for uid 1000");
                assert_error(reply, DENIED, answers[i].word);
        }
        /* One that polkit said nothing to for so long is taken back. */
        assert_int_equal(authority.n_canceled, 2);
        assert_int_equal(b->manager.n_reloads, 0);
}

static void root_members_and_owners_are_not_asked_about(void **state) {
        Bench *b = *state;
        uint64_t id = bench_submit(b);

        assert_returned(bench_call(b, bench_by_id(b, "CancelQuery", id)));
        assert_returned(bench_call(b, request(b, -5)));
        b->caller = (Caller) {};
        b->manager.config.allow_root_queries = true;
        assert_returned(bench_call(b, request(b, 5)));
        assert_returned(bench_call(b, controller_message(b, "Pause")));
        assert_returned(bench_call(b, controller_message(b, "Reload")));
        assert_returned(bench_call(b, bench_by_id(b, "CancelQuery", id)));
        assert_int_equal(authority.n_asked, 0);
}

static void an_answer_is_for_one_call(void **state) {
        Bench *b = *state;

        for (size_t i = 0; i < 2; i++) {
                sd_bus_message *reply = NULL;

                send_from(b, controller_message(b, "Pause"), ":1.7", &reply);
                assert_int_equal(authority.n_asked, i + 1);
                answer(last_asked(), i == 0, false, NULL);
                if (i == 0)
                        assert_returned(reply);
                else
                        assert_error(reply, DENIED, "org.penstock1.pause");
        }
}

static void a_stranger_is_let_in_before_his_request_is_read(void **state) {
        Bench *b = *state;
        sd_bus_message *m = bench_request_open(b), *reply = NULL;

        b->caller = (Caller) { .uid = 1001, .gid = 1001 };
        bench_request_close(m); /* an empty one */
        send_from(b, m, ":1.7", &reply);
        assert_string_equal(last_asked()->action, "org.penstock1.submit");
        answer(last_asked(), false, false, NULL);
        assert_error(sd_bus_message_ref(reply), DENIED, "usermod -aG penstock");
        assert_error(reply, DENIED, "org.penstock1.submit");
        assert_int_equal(b->manager.n_refusals, 1);

        reply = NULL;
        send_from(b, request(b, 0), ":1.7", &reply);
        answer(last_asked(), true, false, NULL);
        assert_returned(reply);
        assert_int_equal(b->manager.records[1].record.request.uid, 1001);
        assert_false(b->manager.records[1].allow_priority);
}

static void a_priority_is_asked_about_by_itself(void **state) {
        Bench *b = *state;
        sd_bus_message *reply = NULL;

        b->caller = (Caller) { .uid = 1001, .gid = 1001 };
        send_from(b, request(b, 7), ":1.7", &reply);
        assert_string_equal(last_asked()->action, "org.penstock1.submit");
        answer(last_asked(), true, false, NULL);
        assert_null(reply);
        assert_string_equal(last_asked()->action, "org.penstock1.raise-priority");
        assert_string_equal(last_asked()->details, "priority=7 ");
        answer(last_asked(), true, false, NULL);
        assert_returned(reply);
        assert_true(b->manager.records[1].allow_priority);

        reply = NULL;
        b->caller.gid = 900;
        send_from(b, request(b, 7), ":1.8", &reply);
        answer(last_asked(), false, true, NULL);
        assert_error(reply, DENIED, "priority 7: above 0 is for root");
        assert_int_equal(b->manager.n_submits, 1);
}

static void only_root_names_another_user_whatever_polkit_says(void **state) {
        Bench *b = *state;
        sd_bus_message *m = bench_request_minimal(b), *reply = NULL;

        b->caller = (Caller) { .uid = 1001, .gid = 1001 };
        assert_return_code(sd_bus_message_append(m, "{sv}", "user", "s", "ann"), 0);
        bench_request_close(m);
        send_from(b, m, ":1.7", &reply);
        answer(last_asked(), true, false, NULL);
        assert_error(reply, DENIED, "only root may name another user");
        assert_int_equal(authority.n_asked, 1);
}

static void what_changed_meanwhile_is_seen(void **state) {
        Bench *b = *state;
        uint64_t id = bench_submit(b);
        sd_bus_message *reply = NULL;

        b->caller.uid = 1001;
        send_from(b, bench_by_id(b, "CancelQuery", id), ":1.7", &reply);
        manager_feed(&b->manager, &(Event) { .type = EVENT_CANCEL, .query_id = id });
        manager_feed(&b->manager, &(Event) { .type = EVENT_DONE, .query_id = id });
        answer(last_asked(), true, false, NULL);
        assert_returned(reply); /* a tombstone is canceled already */

        reply = NULL;
        send_from(b, request(b, 3), ":1.7", &reply);
        manager_feed(&b->manager, &(Event) { .type = EVENT_SHUTDOWN, .shutdown_usec = 0 });
        answer(last_asked(), true, false, NULL);
        assert_error(reply, "org.penstock1.Error.ShuttingDown", "");
}

static void tell_left(Bench *b, const char *name) {
        sd_bus_message *m = NULL;

        assert_return_code(sd_bus_message_new_signal(b->client, &m, "/org/freedesktop/DBus", "org.freedesktop.DBus",
                                                     "NameOwnerChanged"),
                           0);
        assert_return_code(sd_bus_message_append(m, "sss", name, name, ""), 0);
        assert_return_code(sd_bus_message_set_sender(m, "org.freedesktop.DBus"), 0);
        assert_return_code(sd_bus_send(b->client, m, NULL), 0);
        sd_bus_message_unref(m);
        bench_settle(b);
}

static void a_caller_who_leaves_leaves_nothing(void **state) {
        Bench *b = *state;
        sd_bus_message *reply = NULL, *other = NULL;
        Asked *left;

        send_from(b, controller_message(b, "Pause"), ":1.7", &reply);
        left = last_asked();
        send_from(b, controller_message(b, "Pause"), ":1.8", &other);
        tell_left(b, ":1.7");
        assert_int_equal(authority.n_canceled, 1);
        assert_string_equal(authority.canceled[0], left->cancellation);
        answer(left, true, false, NULL); /* too late */
        assert_false(engine_is_paused(b->manager.engine));
        assert_null(reply);
        assert_null(other);
        answer(last_asked(), true, false, NULL);
        assert_returned(other);
        assert_true(engine_is_paused(b->manager.engine));
}

static void calls_behind_a_question_wait_and_others_do_not(void **state) {
        Bench *b = *state;
        sd_bus_message *first = NULL, *second = NULL, *other = NULL;

        send_from(b, controller_message(b, "Pause"), ":1.7", &first);
        send_from(b, request(b, 0), ":1.7", &second);
        send_from(b, request(b, 0), ":1.8", &other);
        assert_null(second);
        assert_non_null(other);
        assert_returned(other);
        answer(last_asked(), false, false, NULL);
        assert_error(first, DENIED, "org.penstock1.pause");
        assert_non_null(second);
        assert_returned(second);
}

static void questions_are_bounded_for_each_user_and_in_all(void **state) {
        sd_bus_message *replies[POLKIT_QUESTIONS_MAX + 8] = {}, *one_more = NULL, *last = NULL;
        size_t n = 0;
        Bench *b = *state;
        char sender[32];

        for (; n < POLKIT_QUESTIONS_PER_USER_MAX; n++) {
                snprintf(sender, sizeof(sender), ":1.%zu", n + 10);
                send_from(b, controller_message(b, "Pause"), sender, &replies[n]);
        }
        send_from(b, controller_message(b, "Pause"), ":1.100", &one_more);
        assert_error(one_more, TOO_MANY, "polkit is asked 4 things for uid 1000");
        for (; n < POLKIT_QUESTIONS_MAX; n++) {
                b->caller.uid = (uint32_t) (2000 + n);
                snprintf(sender, sizeof(sender), ":1.%zu", n + 10);
                send_from(b, controller_message(b, "Pause"), sender, &replies[n]);
        }
        assert_int_equal(authority.n_asked, POLKIT_QUESTIONS_MAX);
        b->caller.uid = 5000;
        send_from(b, controller_message(b, "Pause"), ":1.101", &last);
        assert_error(last, TOO_MANY, "polkit is asked 32 things already");
        /* Nobody else is kept from what needs no question. */
        b->caller.uid = 0;
        one_more = NULL;
        send_from(b, controller_message(b, "Pause"), ":1.102", &one_more);
        assert_returned(one_more);
        for (size_t i = 0; i < n; i++) {
                assert_null(replies[i]);
                answer(&authority.asked[i], false, false, NULL);
                assert_error(replies[i], DENIED, "org.penstock1.pause");
        }
        assert_int_equal(authority.n_canceled, 0);
}

static sd_bus_message *request_with_priority(Bench *b, const char *query) {
        sd_bus_message *m = bench_request_open(b);

        assert_return_code(sd_bus_message_append(m, "{sv}{sv}{sv}", "language", "s", "sqlite", "query", "s", query, "priority",
                                                 "i", 1),
                           0);
        bench_request_close(m);
        return m;
}

/* Behind questions that he never answers, a user may have half of what can wait, from however many connections. */
static void the_calls_of_one_user_leave_room_for_others(void **state) {
        sd_bus_message *replies[POLKIT_QUESTIONS_PER_USER_MAX][3] = {}, *known[2] = {}, *others = NULL;
        const size_t size = 4 * MIB;
        char sender[32], *query = malloc(size + 1);
        size_t n_waiting = 0;
        Bench *b = *state;

        assert_non_null(query);
        memset(query, 'q', size);
        query[size] = '\0';
        send_from(b, request(b, 0), ":1.200", &known[0]);
        assert_returned(known[0]);
        for (size_t k = 0; k < ELEMENTSOF(replies); k++) {
                snprintf(sender, sizeof(sender), ":1.%zu", k + 10);
                for (size_t i = 0; i < ELEMENTSOF(replies[k]); i++) {
                        sd_bus_message *m = request_with_priority(b, query);

                        assert_return_code(sd_bus_message_set_sender(m, sender), 0);
                        bench_send(b, m, &replies[k][i]);
                }
                bench_settle(b);
        }
        /* Nor has he more of it by a connection that is known already. */
        send_from(b, request_with_priority(b, query), ":1.200", &known[1]);
        assert_error(known[1], TOO_MANY, "calls of other connections of uid 1000 wait");
        free(query);
        for (size_t k = 0; k < ELEMENTSOF(replies); k++)
                for (size_t i = 0; i < ELEMENTSOF(replies[k]); i++)
                        if (replies[k][i])
                                assert_error(replies[k][i], TOO_MANY, "calls of other connections of uid 1000 wait");
                        else
                                n_waiting++;
        assert_int_equal(n_waiting, CALLS_PER_USER_BYTES_MAX / size - 1); /* a request is a little more than its text */
        b->caller.uid = 1001;
        send_from(b, request(b, 0), ":1.201", &others);
        assert_non_null(others);
        assert_returned(others);
}

static void detaching_takes_questions_back(void **state) {
        Bench *b = *state;
        sd_bus_message *reply = NULL;

        send_from(b, request(b, 3), ":1.7", &reply);
        assert_int_equal(authority.n_asked, 1);
        assert_return_code(bus_server_attach(b->bus, NULL), 0);
        bench_settle(b);
        assert_int_equal(authority.n_canceled, 1);
        assert_null(reply);
        assert_int_equal(b->manager.n_submits, 0);
}

int main(void) {
#define POLKIT_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        const struct CMUnitTest tests[] = {
                POLKIT_TEST(yes_lets_each_call_go_on),
                POLKIT_TEST(others_queries_are_canceled_and_released_but_not_read),
                POLKIT_TEST(each_refusal_says_the_action_and_what_would_help),
                POLKIT_TEST(root_members_and_owners_are_not_asked_about),
                POLKIT_TEST(an_answer_is_for_one_call),
                POLKIT_TEST(a_stranger_is_let_in_before_his_request_is_read),
                POLKIT_TEST(a_priority_is_asked_about_by_itself),
                POLKIT_TEST(only_root_names_another_user_whatever_polkit_says),
                POLKIT_TEST(what_changed_meanwhile_is_seen),
                POLKIT_TEST(a_caller_who_leaves_leaves_nothing),
                POLKIT_TEST(calls_behind_a_question_wait_and_others_do_not),
                POLKIT_TEST(questions_are_bounded_for_each_user_and_in_all),
                POLKIT_TEST(the_calls_of_one_user_leave_room_for_others),
                POLKIT_TEST(detaching_takes_questions_back),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
