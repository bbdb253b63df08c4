/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* caller_ask() against a stand-in for the bus daemon, at the client's end of the bench. */
#include "test-bus-bench.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* What the stand-in says. */
static const char *says_error;
static bool leave_groups_out, stay_silent;
static uint32_t says_uid, says_pid, says_gids[3];
static size_t n_says_gids;

static struct {
        unsigned n;
        int r;
        uint32_t uid, gid;
        size_t n_gids;
        sd_bus_slot *slot;
} got;

static int answer(sd_bus_message *m) {
        sd_bus_message *reply = NULL;
        int r = sd_bus_message_new_method_return(m, &reply);

        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "{sv}");
        if (r >= 0)
                r = sd_bus_message_append(reply, "{sv}{sv}{sv}", "LinuxSecurityLabel", "ay", 2, 'x', 0, "ProcessID",
                                          "u", says_pid, "UnixUserID", "u", says_uid);
        if (r >= 0 && !leave_groups_out) {
                r = sd_bus_message_open_container(reply, 'e', "sv");
                if (r >= 0)
                        r = sd_bus_message_append(reply, "s", "UnixGroupIDs");
                if (r >= 0)
                        r = sd_bus_message_open_container(reply, 'v', "au");
                if (r >= 0)
                        r = sd_bus_message_append_array(reply, 'u', says_gids, n_says_gids * sizeof(uint32_t));
                if (r >= 0)
                        r = sd_bus_message_close_container(reply);
                if (r >= 0)
                        r = sd_bus_message_close_container(reply);
        }
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        sd_bus_message_unref(reply);
        return r;
}

static int on_question(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        const char *name;

        (void) userdata, (void) ret_error;
        if (sd_bus_message_is_method_call(m, "org.freedesktop.DBus", "GetConnectionCredentials") <= 0)
                return 0;
        assert_true(sd_bus_message_read(m, "s", &name) > 0);
        assert_string_equal(name, ":1.5");
        if (stay_silent)
                return 1;
        if (says_error)
                return sd_bus_reply_method_errorf(m, says_error, "no");
        return answer(m);
}

static void on_caller(int r, const Caller *caller, void *userdata) {
        (void) userdata;
        got.n++;
        got.r = r;
        got.slot = sd_bus_slot_unref(got.slot);
        if (caller) {
                got.uid = caller->uid;
                got.gid = caller->gid;
                got.n_gids = caller->n_gids;
        }
}

static void ask(Bench *b) {
        memset(&got, 0, sizeof(got));
        assert_return_code(caller_ask(b->server_bus, ":1.5", on_caller, NULL, &got.slot), 0);
        bench_settle(b);
}

static int setup(void **state) {
        Bench *b;

        bench_setup(state);
        b = *state;
        says_error = NULL;
        leave_groups_out = stay_silent = false;
        says_uid = getuid();
        says_pid = (uint32_t) getpid();
        says_gids[0] = getgid() + 1;
        says_gids[1] = getgid();
        says_gids[2] = getgid() + 7;
        n_says_gids = 3;
        return sd_bus_add_filter(b->client, NULL, on_question, NULL) < 0;
}

static void a_sender_is_who_the_bus_says(void **state) {
        ask(*state);
        assert_int_equal(got.n, 1);
        assert_int_equal(got.r, 0);
        assert_int_equal(got.uid, getuid());
        assert_int_equal(got.gid, getgid()); /* the process's own, not the first of the list */
        assert_int_equal(got.n_gids, 3);
}

/* The process may have changed or gone: only a group of the connection counts. */
static void the_first_group_is_one_of_the_connections(void **state) {
        says_gids[1] = getgid() + 2;
        ask(*state);
        assert_int_equal(got.r, 0);
        assert_int_equal(got.gid, says_gids[0]);

        says_gids[1] = getgid();
        says_uid = getuid() + 1; /* another's process */
        ask(*state);
        assert_int_equal(got.uid, says_uid);
        assert_int_equal(got.gid, says_gids[0]);

        says_uid = getuid();
        says_pid = 0x7fffffff; /* gone */
        ask(*state);
        assert_int_equal(got.gid, says_gids[0]);
}

static void a_bus_that_does_not_know_the_groups_is_an_error(void **state) {
        leave_groups_out = true;
        ask(*state);
        assert_int_equal(got.r, -EOPNOTSUPP);
        leave_groups_out = false;
        n_says_gids = 0;
        ask(*state);
        assert_int_equal(got.r, -EBADMSG);
}

static void a_sender_that_left_is_an_error(void **state) {
        says_error = "org.freedesktop.DBus.Error.NameHasNoOwner";
        ask(*state);
        assert_int_equal(got.n, 1);
        assert_true(got.r < 0);
}

static void a_dropped_question_is_not_answered(void **state) {
        Bench *b = *state;

        stay_silent = true;
        ask(b);
        assert_int_equal(got.n, 0);
        got.slot = sd_bus_slot_unref(got.slot);
        bench_settle(b);
        assert_int_equal(got.n, 0);
}

int main(void) {
#define BENCH_TEST(f) cmocka_unit_test_setup_teardown(f, setup, bench_teardown)
        const struct CMUnitTest tests[] = {
                BENCH_TEST(a_sender_is_who_the_bus_says),
                BENCH_TEST(the_first_group_is_one_of_the_connections),
                BENCH_TEST(a_bus_that_does_not_know_the_groups_is_an_error),
                BENCH_TEST(a_sender_that_left_is_an_error),
                BENCH_TEST(a_dropped_question_is_not_answered),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
