/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test-bus-bench.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ASKERS_MAX 256

/* The stand-in for a question to the bus daemon: an event source that answers. */
typedef struct Question {
        Bench *bench;
        CallerHandler handler;
        void *userdata;
        sd_event_source *source;
} Question;

static Question questions[ASKERS_MAX];
static Bench *the_bench; /* caller_ask's signature has no room for it */

static int on_question(sd_event_source *source, void *userdata) {
        Question *q = userdata;
        CallerHandler handler = q->handler;
        Bench *b = q->bench;

        (void) source;
        q->source = sd_event_source_disable_unref(q->source);
        q->handler = NULL;
        handler(b->ask_result, b->ask_result < 0 ? NULL : &b->caller, q->userdata);
        return 0;
}

static int stub_ask(sd_bus *bus, const char *sender, CallerHandler handler, void *userdata, sd_bus_slot **ret_slot) {
        (void) bus, (void) sender, (void) ret_slot;
        the_bench->n_asks++;
        for (size_t i = 0; i < ASKERS_MAX; i++) {
                Question *q = &questions[i];

                if (q->handler)
                        continue;
                *q = (Question) { .bench = the_bench, .handler = handler, .userdata = userdata };
                assert_return_code(sd_event_add_defer(the_bench->event, &q->source, on_question, q), 0);
                if (the_bench->hold_answers)
                        sd_event_source_set_enabled(q->source, SD_EVENT_OFF);
                return 0;
        }
        return -ENOBUFS;
}

void bench_answer_all(Bench *b) {
        b->hold_answers = false;
        for (size_t i = 0; i < ASKERS_MAX; i++)
                if (questions[i].handler)
                        sd_event_source_set_enabled(questions[i].source, SD_EVENT_ONESHOT);
        bench_settle(b);
}

/* The stand-in for the user database. */
static LookupHandler user_handler;
static void *user_userdata;
static sd_event_source *user_source;

static int on_user_source(sd_event_source *source, void *userdata) {
        Bench *b = userdata;
        LookupHandler handler = user_handler;

        (void) source;
        user_source = sd_event_source_disable_unref(user_source);
        user_handler = NULL;
        handler(b->user_result, b->user_result < 0 ? NULL : &b->user, user_userdata);
        return 0;
}

static int stub_lookup_user(sd_event *event, const char *name, LookupHandler handler, void *userdata, Lookup **ret) {
        (void) name;
        *ret = NULL;
        user_handler = handler;
        user_userdata = userdata;
        assert_return_code(sd_event_add_defer(event, &user_source, on_user_source, the_bench), 0);
        if (the_bench->hold_user)
                sd_event_source_set_enabled(user_source, SD_EVENT_OFF);
        return 0;
}

void bench_answer_user(Bench *b) {
        assert_non_null(user_source);
        sd_event_source_set_enabled(user_source, SD_EVENT_ONESHOT);
        bench_settle(b);
}

static int start_buses(Bench *b) {
        sd_id128_t id;
        int fds[2], r;

        r = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds);
        assert_return_code(r, errno);
        assert_return_code(sd_id128_randomize(&id), 0);
        assert_return_code(sd_bus_new(&b->server_bus), 0);
        assert_return_code(sd_bus_set_fd(b->server_bus, fds[0], fds[0]), 0);
        assert_return_code(sd_bus_set_server(b->server_bus, 1, id), 0);
        assert_return_code(sd_bus_negotiate_fds(b->server_bus, 1), 0);
        assert_return_code(sd_bus_start(b->server_bus), 0);
        assert_return_code(sd_bus_attach_event(b->server_bus, b->event, 0), 0);
        assert_return_code(sd_bus_new(&b->client), 0);
        assert_return_code(sd_bus_set_fd(b->client, fds[1], fds[1]), 0);
        assert_return_code(sd_bus_negotiate_fds(b->client, 1), 0);
        assert_return_code(sd_bus_start(b->client), 0);
        return sd_bus_attach_event(b->client, b->event, 0);
}

static void start_manager(Manager *m) {
        static Language sqlite = { .name = (char *) "sqlite", .description = (char *) "SQL on a file" };
        static Language *all[] = { &sqlite };
        Error error = {};

        config_init(&m->config, 8 * GIB);
        assert_int_equal(strlist_add(&m->config.metric_label_keys, "team"), 0);
        assert_return_code(config_finish(&m->config, 8 * GIB, &error), 0);
        assert_return_code(engine_new(&m->config, 1, &m->engine), 0);
        m->languages = (LanguageSet) { .v = all, .n = 1 };
        m->now_usec = 1000;
}

int bench_setup(void **state) {
        static uint32_t groups[] = { 100, 900 };
        Bench *b = calloc(1, sizeof(*b));

        assert_non_null(b);
        the_bench = b;
        memset(questions, 0, sizeof(questions));
        assert_return_code(sd_event_new(&b->event), 0);
        assert_return_code(start_buses(b), 0);
        start_manager(&b->manager);
        b->caller = (Caller) { .uid = 1000, .gid = 100, .gids = groups, .n_gids = ELEMENTSOF(groups) };
        assert_return_code(bus_server_new(b->server_bus, b->server_bus, &b->bus), 0);
        b->bus->ask = stub_ask;
        b->bus->lookup_user = stub_lookup_user;
        b->bus->policy = (AccessPolicy) { .has_group = true, .group_gid = 900 };
        b->manager.ops = &bus_server_ops;
        b->manager.ops_userdata = b->bus;
        assert_return_code(bus_server_attach(b->bus, &b->manager), 0);
        bench_settle(b); /* both ends greet: whether descriptors can be sent is known then */
        *state = b;
        return 0;
}

int bench_teardown(void **state) {
        Bench *b = *state;

        bus_server_free(b->bus);
        for (size_t i = 0; i < ASKERS_MAX; i++)
                sd_event_source_disable_unref(questions[i].source);
        user_source = sd_event_source_disable_unref(user_source);
        sd_bus_flush_close_unref(b->client);
        sd_bus_flush_close_unref(b->server_bus);
        sd_event_unref(b->event);
        stub_manager_done(&b->manager);
        free(b);
        return 0;
}

void bench_settle(Bench *b) {
        int r;

        while ((r = sd_event_run(b->event, 0)) > 0)
                ;
        assert_return_code(r, 0);
}

sd_bus_message *bench_message(Bench *b, const char *path, const char *interface, const char *member) {
        sd_bus_message *m = NULL;

        assert_return_code(sd_bus_message_new_method_call(b->client, &m, NULL, path, interface, member), 0);
        return m;
}

static int on_reply(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        sd_bus_message **reply = userdata;

        (void) ret_error;
        *reply = sd_bus_message_ref(m);
        return 0;
}

/* Far beyond any that is waited for, also with valgrind on a busy host. */
#define ANSWER_TIMEOUT_USEC (10 * 60 * USEC_PER_SEC)

void bench_send(Bench *b, sd_bus_message *m, sd_bus_message **ret_reply) {
        assert_null(*ret_reply);
        assert_return_code(sd_bus_call_async(b->client, NULL, m, on_reply, ret_reply, ANSWER_TIMEOUT_USEC), 0);
        sd_bus_message_unref(m);
}

sd_bus_message *bench_call(Bench *b, sd_bus_message *m) {
        sd_bus_message *reply = NULL;

        bench_send(b, m, &reply);
        while (!reply)
                assert_return_code(sd_event_run(b->event, UINT64_MAX), 0);
        return reply;
}

sd_bus_message *bench_request_open(Bench *b) {
        sd_bus_message *m = bench_message(b, CONTROLLER_PATH, CONTROLLER_INTERFACE, "Query");

        assert_return_code(sd_bus_message_open_container(m, 'a', "{sv}"), 0);
        return m;
}

void bench_request_close(sd_bus_message *m) {
        assert_return_code(sd_bus_message_close_container(m), 0);
}

sd_bus_message *bench_request_minimal(Bench *b) {
        sd_bus_message *m = bench_request_open(b);

        assert_return_code(sd_bus_message_append(m, "{sv}{sv}", "language", "s", "sqlite", "query", "s", "select 1"),
                           0);
        return m;
}

void assert_error(sd_bus_message *reply, const char *name, const char *part) {
        const sd_bus_error *e;

        assert_true(sd_bus_message_is_method_error(reply, NULL));
        e = sd_bus_message_get_error(reply);
        if (strcmp(e->name, name) != 0 || !strstr(e->message, part))
                fail_msg("expected %s with \"%s\", got %s: %s", name, part, e->name, e->message);
        sd_bus_message_unref(reply);
}

void assert_returned(sd_bus_message *reply) {
        if (sd_bus_message_is_method_error(reply, NULL))
                fail_msg("%s: %s", sd_bus_message_get_error(reply)->name, sd_bus_message_get_error(reply)->message);
        sd_bus_message_unref(reply);
}

uint64_t bench_submit(Bench *b) {
        sd_bus_message *m = bench_request_minimal(b), *reply;
        int results, hold;
        const char *path;
        uint64_t id;

        bench_request_close(m);
        reply = bench_call(b, m);
        assert_return_code(sd_bus_message_read(reply, "tohh", &id, &path, &results, &hold), 0);
        sd_bus_message_unref(reply);
        return id;
}

void bench_run(Bench *b, uint64_t id) {
        b->manager.now_usec += 1000;
        manager_feed(&b->manager, &(Event) { .type = EVENT_UNIT_READY, .query_id = id });
        manager_feed(&b->manager, &(Event) { .type = EVENT_LIMITS,
                                             .query_id = id,
                                             .limits = { 0, b->manager.config.initial_bytes, 10 } });
        bench_settle(b);
}

void bench_end(Bench *b, uint64_t id, int status) {
        static const Error none;

        b->manager.now_usec += 1000;
        manager_feed(&b->manager,
                     &(Event) { .type = EVENT_ENDED,
                                .query_id = id,
                                .ended = { .report = { .exit_status = status, .numbers = { .cpu_usec = 77 } },
                                           .error = &none } });
        bench_settle(b);
}

sd_bus_message *bench_by_id(Bench *b, const char *member, uint64_t id) {
        sd_bus_message *m = bench_message(b, CONTROLLER_PATH, CONTROLLER_INTERFACE, member);

        assert_return_code(sd_bus_message_append(m, "t", id), 0);
        return m;
}

sd_bus_message *bench_on_object(Bench *b, const char *member, uint64_t id) {
        char path[QUERY_PATH_MAX];

        return bench_message(b, query_path(id, path), QUERY_INTERFACE, member);
}

/* The value of @key of type 't', 'i', 'b' or 's' in the a{sv} of @reply, as text; NULL: not there. */
static char *value_of(sd_bus_message *reply, const char *key) {
        char *text = NULL, type;
        const char *k, *contents, *s;
        uint64_t t;
        int32_t i;
        int b;

        assert_true(sd_bus_message_rewind(reply, true) >= 0);
        assert_true(sd_bus_message_enter_container(reply, 'a', "{sv}") > 0);
        while (sd_bus_message_enter_container(reply, 'e', "sv") > 0) {
                assert_true(sd_bus_message_read(reply, "s", &k) > 0);
                assert_true(sd_bus_message_peek_type(reply, &type, &contents) > 0);
                if (strcmp(k, key) != 0)
                        assert_true(sd_bus_message_skip(reply, "v") > 0);
                else if (strcmp(contents, "t") == 0) {
                        assert_true(sd_bus_message_read(reply, "v", "t", &t) > 0);
                        assert_true(asprintf(&text, "%llu", (unsigned long long) t) > 0);
                } else if (strcmp(contents, "i") == 0) {
                        assert_true(sd_bus_message_read(reply, "v", "i", &i) > 0);
                        assert_true(asprintf(&text, "%d", i) > 0);
                } else if (strcmp(contents, "b") == 0) {
                        assert_true(sd_bus_message_read(reply, "v", "b", &b) > 0);
                        text = strdup(b ? "true" : "false");
                } else {
                        assert_true(sd_bus_message_read(reply, "v", "s", &s) > 0);
                        text = strdup(s);
                }
                assert_true(sd_bus_message_exit_container(reply) > 0);
        }
        return text;
}

void assert_value(sd_bus_message *reply, const char *key, const char *expected) {
        char *text = value_of(reply, key);

        if (!text || strcmp(text, expected) != 0)
                fail_msg("%s is %s, not %s", key, text ?: "missing", expected);
        free(text);
}
