/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A client of libpenstock outlives its bus: when there is one again, the next call finds it. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <systemd/sd-event.h>

#include "harness.h"
#include "penstock.h"

typedef struct Seen {
        sd_event *event;
        unsigned n_answers, n_errors;
        bool has_ended;
        char name[64];
} Seen;

static void see(Seen *s, const PenstockError *error) {
        s->n_answers++;
        s->n_errors += error != NULL;
        strcpy(s->name, error ? error->name : "");
}

static void on_status(PenstockClient *c, PenstockInfo *info, const PenstockError *error, void *userdata) {
        (void) c, (void) info;
        see(userdata, error);
}

static void on_query(PenstockQuery *q, PenstockInfo *info, const PenstockError *error, void *userdata) {
        Seen *s = userdata;

        (void) q;
        see(s, error);
        s->has_ended = !info || penstock_info_is_ended(info);
}

static PenstockClient *open_client(Seen *s) {
        PenstockClient *c = NULL;

        assert_true(sd_event_new(&s->event) >= 0);
        assert_int_equal(penstock_client_new(&c, NULL), 0);
        assert_int_equal(penstock_client_attach_event(c, s->event), 0);
        return c;
}

static void close_client(Seen *s, PenstockClient *c) {
        penstock_client_free(c);
        sd_event_unref(s->event);
}

static void run_once(const Seen *s, long end) {
        assert_true(sd_event_run(s->event, 1000000) >= 0);
        assert_true(harness_now_msec() < end);
}

static void run_until_answers(const Seen *s, unsigned n) {
        long end = harness_now_msec() + DEADLINE_MSEC;

        while (s->n_answers < n)
                run_once(s, end);
}

static void run_until_end(const Seen *s) {
        long end = harness_now_msec() + DEADLINE_MSEC;

        while (!s->has_ended)
                run_once(s, end);
}

/* The first query of this stand-in, which lives until it is canceled. */
static void pose(void) {
        Ctl ctl;

        assert_int_equal(ctl_run(&ctl, "submit", "-l", "pose", "x"), 0);
        assert_string_equal(ctl.out_text, "1\n");
        ctl_done(&ctl);
}

static void cancel(void) {
        Ctl ctl;

        assert_int_equal(ctl_run(&ctl, "cancel", "1"), 0);
        ctl_done(&ctl);
}

static int ask(PenstockClient *c, PenstockError *e) {
        PenstockInfo *info = NULL;
        int r = penstock_client_status(c, &info, e);

        penstock_info_free(info);
        return r;
}

static void a_blocking_call_finds_the_bus_that_came_back(void **state) {
        PenstockClient *c = NULL;
        PenstockQuery *q = NULL;
        PenstockInfo *info = NULL;
        PenstockError e = {};

        (void) state;
        assert_int_equal(penstock_client_new(&c, NULL), 0);
        assert_int_equal(ask(c, &e), 0);
        for (unsigned i = 0; i < 2; i++) {
                harness_restart_bus();
                assert_int_equal(ask(c, &e), 0);
        }
        harness_stop_bus();
        for (unsigned i = 0; i < 3; i++) {
                assert_int_equal(ask(c, &e), -EHOSTDOWN);
                assert_string_equal(e.name, PENSTOCK_ERROR_UNREACHABLE);
        }
        harness_restart_bus();
        assert_int_equal(ask(c, &e), 0);
        assert_int_equal(penstock_query_open(c, 1, &q), 0);
        harness_restart_bus();
        assert_int_equal(penstock_query_describe(q, &info, &e), -ENXIO);
        harness_restart_bus();
        assert_int_equal(penstock_query_statistics(q, &info, &e), -ENXIO);
        penstock_query_free(q);
        penstock_client_free(c);
}

/* Whoever asked the old one is told that no answer comes. */
static void a_call_with_a_handler_finds_it_and_harms_none_before(void **state) {
        Seen s = {}, old = {};
        PenstockClient *c = open_client(&s);

        (void) state;
        assert_int_equal(penstock_client_status_async(c, on_status, &s), 0);
        run_until_answers(&s, 1);
        kill(harness_standin_pid(), SIGSTOP);
        old.event = s.event;
        assert_int_equal(penstock_client_status_async(c, on_status, &old), 0);
        harness_restart_bus();
        assert_int_equal(penstock_client_status_async(c, on_status, &s), 0);
        run_until_answers(&s, 2);
        assert_string_equal(s.name, "");
        run_until_answers(&old, 1);
        assert_string_equal(old.name, PENSTOCK_ERROR_UNREACHABLE);
        close_client(&s, c);
}

static void on_status_again(PenstockClient *c, PenstockInfo *info, const PenstockError *error, void *userdata) {
        see(userdata, error);
        (void) info;
        if (error)
                assert_int_equal(penstock_client_status_async(c, on_status, userdata), 0);
}

/* While the old connection still closes. */
static void a_handler_that_is_told_of_the_loss_may_ask_again(void **state) {
        Seen s = {};
        PenstockClient *c = open_client(&s);

        (void) state;
        assert_int_equal(penstock_client_status_async(c, on_status, &s), 0);
        run_until_answers(&s, 1);
        kill(harness_standin_pid(), SIGSTOP);
        for (unsigned i = 0; i < 2; i++)
                assert_int_equal(penstock_client_status_async(c, on_status_again, &s), 0);
        harness_restart_bus();
        run_until_answers(&s, 5);
        assert_int_equal(s.n_errors, 2);
        assert_string_equal(s.name, "");
        close_client(&s, c);
}

static void a_new_watch_finds_it(void **state) {
        Seen s = {};
        PenstockClient *c = open_client(&s);
        PenstockQuery *q = NULL;

        (void) state;
        assert_int_equal(penstock_client_status_async(c, on_status, &s), 0);
        run_until_answers(&s, 1);
        harness_restart_bus();
        pose();
        assert_int_equal(penstock_query_open(c, 1, &q), 0);
        assert_int_equal(penstock_query_watch(q, on_query, &s), 0);
        run_until_answers(&s, 2);
        assert_string_equal(s.name, "");
        cancel();
        run_until_end(&s);
        assert_string_equal(s.name, "");
        penstock_query_free(q);
        close_client(&s, c);
}

/* It was another call that came first. */
static void a_watch_goes_on_by_the_new_connection(void **state) {
        Seen s = {};
        PenstockClient *c = open_client(&s);
        PenstockQuery *q = NULL;
        PenstockError e = {};

        (void) state;
        harness_restart_bus();
        pose();
        assert_int_equal(penstock_query_open(c, 1, &q), 0);
        assert_int_equal(penstock_query_watch(q, on_query, &s), 0);
        run_until_answers(&s, 1);
        harness_restart_bus();
        pose();
        assert_int_equal(ask(c, &e), 0);
        run_until_answers(&s, 2);
        cancel();
        run_until_end(&s);
        assert_int_equal(s.n_errors, 0);
        penstock_query_free(q);
        close_client(&s, c);
}

static void on_status_cancel(PenstockClient *c, PenstockInfo *info, const PenstockError *error, void *userdata) {
        (void) c, (void) info;
        see(userdata, error);
        cancel();
}

static void on_status_restart(PenstockClient *c, PenstockInfo *info, const PenstockError *error, void *userdata) {
        (void) info;
        see(userdata, error);
        harness_restart_bus();
        pose();
        assert_int_equal(penstock_client_status_async(c, on_status_cancel, userdata), 0);
}

/* Handlers are called from there, and one of them finds the new connection. */
static void a_call_that_waits_goes_on_by_the_new_connection(void **state) {
        Seen s = {};
        PenstockClient *c = open_client(&s);
        PenstockQuery *q = NULL;
        PenstockInfo *info = NULL;
        PenstockError e = {};

        (void) state;
        harness_restart_bus();
        pose();
        assert_int_equal(penstock_query_open(c, 1, &q), 0);
        assert_int_equal(penstock_client_status_async(c, on_status_restart, &s), 0);
        assert_int_equal(penstock_query_describe(q, &info, &e), 0);
        info = penstock_info_free(info);
        assert_int_equal(penstock_query_wait(q, UINT64_C(1000) * DEADLINE_MSEC, &info, &e), 0);
        assert_true(penstock_info_is_ended(info));
        assert_int_equal(s.n_answers, 2);
        assert_int_equal(s.n_errors, 0);
        penstock_info_free(info);
        penstock_query_free(q);
        close_client(&s, c);
}

static void a_call_while_no_bus_is_there_says_so(void **state) {
        Seen s = {};
        PenstockClient *c = open_client(&s);
        PenstockQuery *q = NULL;

        (void) state;
        assert_int_equal(penstock_client_status_async(c, on_status, &s), 0);
        run_until_answers(&s, 1);
        harness_stop_bus();
        assert_int_equal(penstock_query_open(c, 1, &q), 0);
        for (unsigned i = 0; i < 2; i++) {
                assert_int_equal(penstock_client_status_async(c, on_status, &s), -EHOSTDOWN);
                assert_int_equal(penstock_query_describe_async(q, on_query, &s), -EHOSTDOWN);
        }
        assert_int_equal(penstock_query_watch(q, on_query, &s), 0);
        run_until_answers(&s, 2);
        assert_string_equal(s.name, PENSTOCK_ERROR_UNREACHABLE);
        harness_restart_bus();
        pose();
        assert_int_equal(penstock_query_describe_async(q, on_query, &s), 0);
        run_until_answers(&s, 3);
        assert_string_equal(s.name, "");
        penstock_query_free(q);
        close_client(&s, c);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_blocking_call_finds_the_bus_that_came_back),
                cmocka_unit_test(a_call_with_a_handler_finds_it_and_harms_none_before),
                cmocka_unit_test(a_handler_that_is_told_of_the_loss_may_ask_again),
                cmocka_unit_test(a_new_watch_finds_it),
                cmocka_unit_test(a_watch_goes_on_by_the_new_connection),
                cmocka_unit_test(a_call_that_waits_goes_on_by_the_new_connection),
                cmocka_unit_test(a_call_while_no_bus_is_there_says_so),
        };

        return cmocka_run_group_tests_name("client-lost", tests, harness_start, harness_stop);
}
