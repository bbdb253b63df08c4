/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What must reach PID 1 reaches it, though the connection has no room for a while, and though PID 1 is not there to hear it. PID 1 is
 * the other end of a socket pair. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <cmocka.h>
#include <systemd/sd-bus.h>

#include "core/base.h"

/* For so long the connection has no room, or no memory. */
static unsigned n_refused;
static int refusal;

static int call_async(sd_bus *bus, sd_bus_slot **slot, sd_bus_message *m, sd_bus_message_handler_t reply, void *userdata, uint64_t usec) {
        if (n_refused == 0)
                return sd_bus_call_async(bus, slot, m, reply, userdata, usec);
        n_refused--;
        return refusal;
}

static uint64_t call_timeout_usec, task_silence_usec;

#define sd_bus_call_async call_async
#define CALL_TIMEOUT_USEC call_timeout_usec
#define TASK_AGAIN_USEC USEC_PER_MSEC
#define TASK_SILENCE_USEC task_silence_usec
#include "../../src/host/systemd.c"
#include "../../src/host/systemd_task.c"

#define HEARD_MAX 64u
/* Much more than any of it takes. */
#define DEADLINE_USEC (20 * USEC_PER_SEC)

typedef struct Bench {
        sd_event *event;
        sd_bus *pid1, *client;
        SystemdLink *link;
        char heard[HEARD_MAX][96]; /* "StopUnit penstock-q7.service" */
        size_t n_heard;
        const char *deaf_to; /* calls of this method … */
        const char *deaf_error; /* … get this error … */
        unsigned n_deaf; /* … so often */
        int listed;      /* what became of the list, or the slice; 1: nothing yet */
        char result[32]; /* of the task; "": it has not ended */
        unsigned n_results;
} Bench;

/* Its words without the numbers that no test can know. */
static void note(Bench *b, sd_bus_message *m) {
        const char *name = "";
        char *dash;

        assert_true(b->n_heard < HEARD_MAX);
        if (sd_bus_message_peek_type(m, NULL, NULL) > 0)
                (void) sd_bus_message_read(m, "s", &name);
        snprintf(b->heard[b->n_heard], sizeof(b->heard[0]), "%s%s%.40s", sd_bus_message_get_member(m), *name ? " " : "", name);
        dash = strstr(b->heard[b->n_heard], "penstock-dependency-");
        if (dash)
                strcpy(dash, "task");
        b->n_heard++;
}

static int on_call(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *member = sd_bus_message_get_member(m);
        Bench *b = userdata;

        (void) error;
        if (sd_bus_message_get_type(m, &(uint8_t) { 0 }) < 0 || !member)
                return 0;
        note(b, m);
        if (b->n_deaf > 0 && strcmp(member, b->deaf_to) == 0) {
                b->n_deaf--;
                assert_return_code(sd_bus_reply_method_errorf(m, b->deaf_error, "%s", ""), 0);
        } else if (strcmp(member, "StartTransientUnit") == 0 || strcmp(member, "StopUnit") == 0)
                assert_return_code(sd_bus_reply_method_return(m, "o", "/org/freedesktop/systemd1/job/1"), 0);
        else
                assert_return_code(sd_bus_reply_method_return(m, ""), 0);
        return 1;
}

static void on_started(uint64_t id, int r, const char *text, void *userdata) {
        (void) id, (void) r, (void) text, (void) userdata;
}

static void on_gone(uint64_t id, void *userdata) {
        (void) id, (void) userdata;
}

static void on_resync(void *userdata) {
        (void) userdata;
}

static const SystemdOps ops = { .unit_started = on_started, .unit_gone = on_gone, .resync = on_resync };

static sd_bus *open_bus(sd_event *event, int fd, bool server) {
        sd_id128_t id;
        sd_bus *bus;

        assert_return_code(sd_id128_randomize(&id), 0);
        assert_return_code(sd_bus_new(&bus), 0);
        assert_return_code(sd_bus_set_fd(bus, fd, fd), 0);
        if (server)
                assert_return_code(sd_bus_set_server(bus, 1, id), 0);
        assert_return_code(sd_bus_start(bus), 0);
        assert_return_code(sd_bus_attach_event(bus, event, 0), 0);
        return bus;
}

static int setup_link(void **state) {
        Bench *b = calloc(1, sizeof(*b));
        int fds[2];

        if (!b || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
                return -1;
        n_refused = 0;
        refusal = -ENOBUFS;
        call_timeout_usec = DEADLINE_USEC;
        task_silence_usec = DEADLINE_USEC;
        assert_return_code(sd_event_new(&b->event), 0);
        b->pid1 = open_bus(b->event, fds[0], true);
        assert_return_code(sd_bus_add_filter(b->pid1, NULL, on_call, b), 0);
        b->client = open_bus(b->event, fds[1], false);
        assert_return_code(systemd_link_new(b->client, &ops, b, &b->link), 0);
        b->listed = 1;
        *state = b;
        return 0;
}

static int teardown(void **state) {
        Bench *b = *state;

        systemd_link_free(b->link);
        sd_bus_close_unref(b->client);
        sd_bus_close_unref(b->pid1);
        sd_event_unref(b->event);
        free(b);
        return 0;
}

static void turn(Bench *b, uint64_t until_usec) {
        uint64_t now;

        assert_return_code(sd_event_run(b->event, 10 * USEC_PER_MSEC), 0);
        assert_return_code(sd_event_now(b->event, CLOCK_MONOTONIC, &now), 0);
        if (now < until_usec)
                return;
        for (size_t i = 0; i < b->n_heard; i++)
                print_message("heard: %s\n", b->heard[i]);
        fail_msg("what is waited for did not come");
}

static uint64_t deadline(void) {
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t) t.tv_sec * USEC_PER_SEC + DEADLINE_USEC;
}

static size_t count(const Bench *b, const char *words) {
        size_t n = 0;

        for (size_t i = 0; i < b->n_heard; i++)
                n += strcmp(b->heard[i], words) == 0;
        return n;
}

static void hear(Bench *b, size_t n, const char *words) {
        for (uint64_t until = deadline(); count(b, words) < n;)
                turn(b, until);
}

static int setup(void **state) {
        int r = setup_link(state);

        if (r == 0) {
                hear(*state, 1, "Subscribe");
                ((Bench *) *state)->n_heard = 0;
        }
        return r;
}

static void expect_order(const Bench *b, const char *const words[], size_t n) {
        assert_int_equal(b->n_heard, n);
        for (size_t i = 0; i < n; i++)
                assert_string_equal(b->heard[i], words[i]);
}
#define ORDER(b, ...) expect_order(b, (const char *const[]) { __VA_ARGS__ }, ELEMENTSOF(((const char *const[]) { __VA_ARGS__ })))

static void calls_that_there_is_no_room_for_are_made_when_there_is_in_their_order(void **state) {
        static const int refusals[] = { -ENOBUFS, -ENOMEM };
        Bench *b = *state;

        for (size_t i = 0; i < ELEMENTSOF(refusals); i++) {
                b->n_heard = 0;
                refusal = refusals[i];
                n_refused = 3;
                assert_int_equal(systemd_unit_stop(b->link, 7 + 10 * i), 0); /* as of an earlier life: nobody follows it yet */
                assert_int_equal(systemd_unit_stop(b->link, 8 + 10 * i), 0);
                hear(b, 1, i == 0 ? "StopUnit penstock-q8.service" : "StopUnit penstock-q18.service");
                assert_int_equal(n_refused, 0);
                if (i == 0)
                        ORDER(b, "StopUnit penstock-q7.service", "StopUnit penstock-q8.service");
                else
                        ORDER(b, "StopUnit penstock-q17.service", "StopUnit penstock-q18.service");
        }
}

static void on_unit(uint64_t id, const char *active, void *userdata) {
        (void) id, (void) active, (void) userdata;
}

static void on_listed(int r, void *userdata) {
        ((Bench *) userdata)->listed = r;
}

static void what_can_never_be_sent_is_told_at_once_and_what_cannot_for_long_then(void **state) {
        Bench *b = *state;

        for (unsigned i = 0; i < 2; i++) {
                uint64_t until = deadline();

                b->listed = 1;
                refusal = i == 0 ? -ENOTCONN : -ENOBUFS;
                n_refused = i == 0 ? 1 : UINT32_MAX;
                if (i == 1)
                        call_timeout_usec = 200 * USEC_PER_MSEC;
                assert_int_equal(systemd_list_units(b->link, on_unit, on_listed, b), 0);
                while (b->listed == 1)
                        turn(b, until);
                assert_int_equal(b->listed, -ENOTCONN);
        }
        assert_true(UINT32_MAX - n_refused >= 2);
        assert_int_equal(b->n_heard, 0);
}

static void be_deaf(Bench *b, unsigned n, const char *method, const char *error) {
        b->deaf_to = method;
        b->deaf_error = error;
        b->n_deaf = n;
}

static void who_was_not_subscribed_is_in_the_end(void **state) {
        Bench *b = *state;

        be_deaf(b, 2, "Subscribe", SD_BUS_ERROR_NO_REPLY);
        hear(b, 3, "Subscribe");
        b->n_heard = 0;
        assert_int_equal(systemd_unit_stop(b->link, 7), 0);
        hear(b, 1, "StopUnit penstock-q7.service");
        ORDER(b, "StopUnit penstock-q7.service");
}

static int set_slice(Bench *b, const char *method, const char *error) {
        uint64_t until = deadline();

        be_deaf(b, 1, method, error);
        b->listed = 1;
        assert_int_equal(systemd_slice_set(b->link, GIB, 0, on_listed, b), 0);
        while (b->listed == 1)
                turn(b, until);
        return b->listed;
}

/* Only then is it set again: what PID 1 has heard has been decided. */
static void whether_pid1_has_heard_of_the_slice_is_told(void **state) {
        assert_int_equal(set_slice(*state, "StartUnit", SD_BUS_ERROR_SERVICE_UNKNOWN), -EHOSTUNREACH);
        assert_int_equal(set_slice(*state, "SetUnitProperties", SD_BUS_ERROR_NO_REPLY), -EHOSTUNREACH);
        assert_int_not_equal(set_slice(*state, "SetUnitProperties", ERROR_NO_SUCH_UNIT), -EHOSTUNREACH);
        n_refused = 1;
        refusal = -ENOTCONN;
        assert_int_equal(set_slice(*state, "", NULL), -EHOSTUNREACH);
}

static void on_task(const char *result, int status, const char *error_text, void *userdata) {
        Bench *b = userdata;

        (void) status, (void) error_text;
        snprintf(b->result, sizeof(b->result), "%s", result);
        b->n_results++;
}

static SystemdTask *start_task(Bench *b) {
        static char *argv[] = { (char *) "/bin/true", NULL };
        static const PairList no_pairs;
        static const StrList no_strings;
        TaskSpec spec = { .description = "a check",
                          .argv = argv,
                          .environment = &no_pairs,
                          .environment_files = &no_strings,
                          .credentials = &no_pairs,
                          .bind_paths = &no_strings,
                          .bind_read_only_paths = &no_strings };
        SystemdTask *t;

        assert_int_equal(systemd_task_start(b->link, &spec, on_task, b, &t), 0);
        return t;
}

static void wait_until_answered(Bench *b, const SystemdTask *t) {
        for (uint64_t until = deadline(); !t->answered;)
                turn(b, until);
}

static void wait_until_forgotten(Bench *b) {
        for (uint64_t until = deadline(); b->link->tasks || b->link->first;)
                turn(b, until);
}

/* What PID 1 says when its start job, or the one that stops it, has ended. */
static void end_job(Bench *b, const SystemdTask *t, const char *result) {
        char name[TASK_NAME_MAX];

        systemd_task_job_removed(b->link, task_name(t->number, name), result);
}

static void a_command_that_has_ended_is_let_go_until_pid1_has_heard_it(void **state) {
        Bench *b = *state;
        SystemdTask *t = start_task(b);

        wait_until_answered(b, t);
        be_deaf(b, 3, "UnrefUnit", SD_BUS_ERROR_SERVICE_UNKNOWN);
        end_job(b, t, "done");
        assert_string_equal(b->result, "success"); /* nobody waits for that */
        hear(b, 4, "UnrefUnit task");
        wait_until_forgotten(b);
        ORDER(b, "StartTransientUnit task", "UnrefUnit task", "UnrefUnit task", "UnrefUnit task", "UnrefUnit task");
        assert_int_equal(b->n_results, 1);
}

static void what_pid1_refuses_was_heard(void **state) {
        Bench *b = *state;
        SystemdTask *t = start_task(b);

        wait_until_answered(b, t);
        be_deaf(b, 1, "UnrefUnit", ERROR_NO_SUCH_UNIT);
        end_job(b, t, "done");
        wait_until_forgotten(b);
        ORDER(b, "StartTransientUnit task", "UnrefUnit task");
        b->n_heard = 0;
        be_deaf(b, 1, "StartTransientUnit", SD_BUS_ERROR_ACCESS_DENIED);
        (void) start_task(b);
        wait_until_forgotten(b);
        ORDER(b, "StartTransientUnit task");
        assert_string_equal(b->result, "resources");
}

static void it_is_not_said_for_ever(void **state) {
        Bench *b = *state;
        SystemdTask *t = start_task(b);

        wait_until_answered(b, t);
        be_deaf(b, HEARD_MAX, "UnrefUnit", SD_BUS_ERROR_ACCESS_DENIED);
        end_job(b, t, "done");
        wait_until_forgotten(b);
        assert_int_equal(count(b, "UnrefUnit task"), TASK_TRIES_MAX);
}

static void a_command_that_nobody_waits_for_is_stopped_and_let_go_whenever_its_start_is_answered(void **state) {
        static const char *const errors[] = { NULL, SD_BUS_ERROR_NO_REPLY, SD_BUS_ERROR_FAILED };
        Bench *b = *state;
        SystemdTask *t;

        for (size_t i = 0; i < ELEMENTSOF(errors); i++) {
                be_deaf(b, errors[i] != NULL, "StartTransientUnit", errors[i]);
                assert_null(systemd_task_abandon(start_task(b)));
                assert_non_null(b->link->tasks);
                wait_until_forgotten(b);
                if (i == 2) /* there is none */
                        ORDER(b, "StartTransientUnit task");
                else
                        ORDER(b, "StartTransientUnit task", "StopUnit task", "UnrefUnit task");
                b->n_heard = 0;
        }
        be_deaf(b, 1, "StopUnit", SD_BUS_ERROR_SERVICE_UNKNOWN);
        t = start_task(b);
        wait_until_answered(b, t);
        b->n_heard = 0;
        assert_null(systemd_task_abandon(t));
        end_job(b, b->link->tasks, "canceled"); /* nobody hears of it */
        wait_until_forgotten(b);
        ORDER(b, "StopUnit task", "StopUnit task", "UnrefUnit task");
        assert_int_equal(b->n_results, 0);
}

static void a_stop_is_asked_for_until_pid1_has_heard_it(void **state) {
        Bench *b = *state;
        SystemdTask *t = start_task(b);

        wait_until_answered(b, t);
        be_deaf(b, 2, "StopUnit", SD_BUS_ERROR_SERVICE_UNKNOWN);
        systemd_task_stop(t);
        hear(b, 3, "StopUnit task");
        assert_int_equal(b->n_results, 0);
        end_job(b, t, "canceled"); /* the start, which the stop replaced */
        assert_int_equal(b->n_results, 0);
        end_job(b, t, "done");
        assert_string_equal(b->result, "canceled");
        wait_until_forgotten(b);
        ORDER(b, "StartTransientUnit task", "StopUnit task", "StopUnit task", "StopUnit task", "UnrefUnit task");
}

static void one_of_which_pid1_says_nothing_is_stopped_and_let_go(void **state) {
        Bench *b = *state;

        task_silence_usec = 1;
        be_deaf(b, 1, "StartTransientUnit", SD_BUS_ERROR_NO_REPLY); /* it may have been made all the same */
        (void) start_task(b);
        wait_until_forgotten(b);
        ORDER(b, "StartTransientUnit task", "StopUnit task", "UnrefUnit task");
        assert_string_equal(b->result, "lost");
        assert_int_equal(b->n_results, 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define TEST_OF_LINK(f) cmocka_unit_test_setup_teardown(f, setup_link, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(calls_that_there_is_no_room_for_are_made_when_there_is_in_their_order),
                TEST(what_can_never_be_sent_is_told_at_once_and_what_cannot_for_long_then),
                TEST_OF_LINK(who_was_not_subscribed_is_in_the_end),
                TEST(whether_pid1_has_heard_of_the_slice_is_told),
                TEST(a_command_that_has_ended_is_let_go_until_pid1_has_heard_it),
                TEST(what_pid1_refuses_was_heard),
                TEST(it_is_not_said_for_ever),
                TEST(a_command_that_nobody_waits_for_is_stopped_and_let_go_whenever_its_start_is_answered),
                TEST(a_stop_is_asked_for_until_pid1_has_heard_it),
                TEST(one_of_which_pid1_says_nothing_is_stopped_and_let_go),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
