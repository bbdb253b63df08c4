/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A bus daemon that greets and then says nothing: to a connection that is a client of it, the other end of a socket pair. */
#include "test-bus-bench.h"

#include <errno.h>
#include <sys/socket.h>
#include <time.h>

static unsigned n_matches, n_questions;

static int on_daemon(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        (void) userdata, (void) ret_error;
        if (sd_bus_message_is_method_call(m, "org.freedesktop.DBus", "Hello") > 0)
                return sd_bus_reply_method_return(m, "s", ":1.1");
        n_matches += sd_bus_message_is_method_call(m, "org.freedesktop.DBus", "AddMatch") > 0;
        n_questions += sd_bus_message_is_method_call(m, NULL, "CheckAuthorization") > 0;
        return 1;
}

typedef struct Ends {
        sd_event *event;
        sd_bus *client, *daemon;
} Ends;

static void settle(Ends *e) {
        while (sd_event_run(e->event, 0) > 0)
                ;
}

static int setup(void **state) {
        Ends *e = calloc(1, sizeof(*e));
        sd_id128_t id;
        int fds[2];

        assert_non_null(e);
        n_matches = n_questions = 0;
        assert_return_code(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), errno);
        assert_return_code(sd_event_new(&e->event), 0);
        assert_return_code(sd_id128_randomize(&id), 0);
        assert_return_code(sd_bus_new(&e->daemon), 0);
        assert_return_code(sd_bus_set_fd(e->daemon, fds[0], fds[0]), 0);
        assert_return_code(sd_bus_set_server(e->daemon, 1, id), 0);
        assert_return_code(sd_bus_add_filter(e->daemon, NULL, on_daemon, NULL), 0);
        assert_return_code(sd_bus_start(e->daemon), 0);
        assert_return_code(sd_bus_attach_event(e->daemon, e->event, 0), 0);
        assert_return_code(sd_bus_new(&e->client), 0);
        assert_return_code(sd_bus_set_fd(e->client, fds[1], fds[1]), 0);
        assert_return_code(sd_bus_set_bus_client(e->client, 1), 0);
        assert_return_code(sd_bus_start(e->client), 0);
        assert_return_code(sd_bus_attach_event(e->client, e->event, 0), 0);
        settle(e);
        assert_true(sd_bus_is_ready(e->client) > 0);
        *state = e;
        return 0;
}

static int teardown(void **state) {
        Ends *e = *state;

        sd_bus_flush_close_unref(e->client);
        sd_bus_close_unref(e->daemon);
        sd_event_unref(e->event);
        free(e);
        return 0;
}

static void never(PolkitAnswer answer, void *userdata) {
        (void) answer, (void) userdata;
        fail();
}

/* The end of the connection is the end of penstockd, and another one would wait for the bus before it raised anybody. sd-bus closes
 * one of which a match was not confirmed in time. */
static void a_bus_that_stands_still_is_waited_for(void **state) {
        Ends *e = *state;
        sd_bus_message *call = NULL;
        PolkitQuestion *q = NULL;
        BusServer *s = NULL;
        Polkit *p = NULL;
        uint64_t first;
        struct timespec now;

        assert_return_code(bus_server_new(e->client, e->client, &s), 0);
        assert_return_code(polkit_new(e->client, &p), 0);
        assert_return_code(sd_bus_message_new_method_call(e->client, &call, NULL, "/x", "x.y", "z"), 0);
        assert_return_code(sd_bus_message_set_sender(call, ":1.7"), 0);
        assert_return_code(sd_bus_message_set_allow_interactive_authorization(call, 1), 0);
        assert_return_code(polkit_ask(p, call, 1000, POLKIT_PAUSE, NULL, never, NULL, &q), 0);
        settle(e);
        assert_int_equal(n_matches, 1);
        assert_int_equal(n_questions, 1);
        /* What comes to pass first is the end of polkit's time. */
        assert_return_code(clock_gettime(CLOCK_MONOTONIC, &now), errno);
        assert_return_code(sd_bus_get_timeout(e->client, &first), 0);
        assert_true(first > (uint64_t) now.tv_sec * USEC_PER_SEC + POLKIT_INTERACTIVE_TIMEOUT_USEC / 2);
        polkit_question_free(q);
        polkit_free(p);
        sd_bus_message_unref(call);
        bus_server_free(s);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(a_bus_that_stands_still_is_waited_for, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
