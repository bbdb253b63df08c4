/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libpenstock's calls to the Controller with an event loop, and whether they start the service. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <systemd/sd-event.h>

#include "harness.h"
#include "penstock.h"

typedef struct Seen {
        sd_event *event;
        unsigned n_status, n_list;
        size_t n;
        uint64_t max_bytes, first_id;
        PenstockError error;
} Seen;

static void on_status(PenstockClient *c, PenstockInfo *info, const PenstockError *error, void *userdata) {
        Seen *s = userdata;

        (void) c;
        assert_true(!info == !!error);
        if (error)
                s->error = *error;
        else
                assert_int_equal(penstock_info_get_u64(info, "max_memory_bytes", &s->max_bytes), 0);
        s->n_status++;
}

static void on_list(PenstockClient *c, PenstockInfo *const list[], size_t n, const PenstockError *error,
                    void *userdata) {
        Seen *s = userdata;

        (void) c;
        assert_true(!list == !!error);
        if (error)
                s->error = *error;
        else if (n > 0)
                assert_int_equal(penstock_info_get_u64(list[0], "id", &s->first_id), 0);
        s->n = n;
        s->n_list++;
}

static PenstockClient *open_client(Seen *s) {
        PenstockClient *c = NULL;

        assert_true(sd_event_new(&s->event) >= 0);
        assert_int_equal(penstock_client_new(&c, NULL), 0);
        assert_int_equal(penstock_client_status_async(c, on_status, s), -ENOTCONN);
        assert_int_equal(penstock_client_list_async(c, on_list, s), -ENOTCONN);
        assert_int_equal(penstock_client_attach_event(c, s->event), 0);
        return c;
}

static void close_client(Seen *s, PenstockClient *c) {
        penstock_client_free(c);
        sd_event_unref(s->event);
}

static void run_until(Seen *s, unsigned n_status, unsigned n_list) {
        uint64_t now, end;

        assert_true(sd_event_now(s->event, CLOCK_MONOTONIC, &now) >= 0);
        end = now + UINT64_C(1000) * DEADLINE_MSEC;
        while (s->n_status < n_status || s->n_list < n_list) {
                assert_true(sd_event_run(s->event, 1000000) >= 0);
                assert_true(sd_event_now(s->event, CLOCK_MONOTONIC, &now) >= 0);
                assert_true(now < end);
        }
}

static void answers_come_to_the_handlers(void **state) {
        Seen s = {};
        PenstockClient *c = open_client(&s);
        Ctl ctl;

        (void) state;
        assert_int_equal(ctl_run(&ctl, "submit", "-l", "shell", "true"), 0);
        ctl_done(&ctl);
        assert_int_equal(penstock_client_status_async(c, on_status, &s), 0);
        assert_int_equal(penstock_client_list_async(c, on_list, &s), 0);
        run_until(&s, 1, 1);
        assert_string_equal(s.error.name, "");
        assert_int_equal(s.max_bytes, UINT64_C(4) << 30);
        assert_int_equal(s.n, 1);
        assert_int_equal(s.first_id, 1);
        close_client(&s, c);
}

/* A query's handle keeps the connection; what was asked of the Controller is forgotten all the same. */
static void a_freed_client_calls_no_handler(void **state) {
        Seen s = {}, other = {};
        PenstockClient *c = open_client(&s), *d = open_client(&other);
        PenstockQuery *q = NULL;

        (void) state;
        sd_event_unref(other.event);
        other.event = sd_event_ref(s.event);
        penstock_client_free(d);
        assert_int_equal(penstock_client_new(&d, NULL), 0);
        assert_int_equal(penstock_client_attach_event(d, s.event), 0);
        assert_int_equal(penstock_query_open(c, 1, &q), 0);
        assert_int_equal(penstock_client_status_async(c, on_status, &s), 0);
        assert_int_equal(penstock_client_list_async(c, on_list, &s), 0);
        penstock_client_free(c);
        for (unsigned i = 1; i <= 3; i++) { /* answers to who asked later */
                assert_int_equal(penstock_client_status_async(d, on_status, &other), 0);
                run_until(&other, i, 0);
        }
        assert_int_equal(s.n_status + s.n_list, 0);
        penstock_query_free(q);
        sd_event_unref(s.event);
        close_client(&other, d);
}

typedef struct Watched {
        unsigned n_first;
        bool ended;
} Watched;

static void on_second(PenstockQuery *q, PenstockInfo *info, const PenstockError *error, void *userdata) {
        Watched *w = userdata;

        (void) q;
        assert_null(error);
        w->ended = penstock_info_is_ended(info);
}

static void on_first(PenstockQuery *q, PenstockInfo *info, const PenstockError *error, void *userdata) {
        Watched *w = userdata;

        assert_null(error);
        assert_false(penstock_info_is_ended(info));
        w->n_first++;
        assert_int_equal(penstock_query_watch(q, on_second, w), 0);
}

/* AddressSanitizer sees when the first one is looked at afterwards. */
static void a_handler_may_put_another_in_its_place(void **state) {
        PenstockRequest *r = NULL;
        PenstockQuery *q = NULL;
        PenstockError e = {};
        Seen s = {};
        PenstockClient *c = open_client(&s);
        Watched w = {};
        char byte;

        (void) state;
        assert_int_equal(penstock_request_new(&r), 0);
        assert_int_equal(penstock_request_set_language(r, "shell"), 0);
        assert_int_equal(penstock_request_set_query(r, "echo; sleep 1", 13), 0);
        assert_int_equal(penstock_query_submit(c, r, &q, &e), 0);
        assert_int_equal(read(penstock_query_results_fd(q), &byte, 1), 1);
        assert_int_equal(penstock_query_watch(q, on_first, &w), 0);
        while (!w.ended)
                assert_true(sd_event_run(s.event, UINT64_C(1000) * DEADLINE_MSEC) > 0);
        assert_int_equal(w.n_first, 1);
        penstock_query_free(q);
        penstock_request_free(r);
        close_client(&s, c);
}

static void ask_in_vain(PenstockClient *c, Seen *s, bool starts) {
        PenstockInfo *info = NULL;
        PenstockError e = {};

        s->error.name[0] = '\0';
        assert_int_equal(penstock_client_status_async(c, on_status, s), 0);
        run_until(s, s->n_status + 1, 0);
        assert_string_equal(s->error.name, PENSTOCK_ERROR_UNREACHABLE);
        assert_int_equal(harness_was_started(), starts);
        s->error.name[0] = '\0';
        assert_int_equal(penstock_client_list_async(c, on_list, s), 0);
        run_until(s, 0, s->n_list + 1);
        assert_string_equal(s->error.name, PENSTOCK_ERROR_UNREACHABLE);
        assert_int_equal(harness_was_started(), starts);
        assert_int_equal(penstock_client_status(c, &info, &e), -EHOSTDOWN);
        assert_string_equal(e.name, PENSTOCK_ERROR_UNREACHABLE);
        assert_int_equal(harness_was_started(), starts);
}

/* sd-bus closes what is attached to a loop as that ends, and nothing can be attached to that any more. */
static void blocking_calls_work_when_the_loop_has_ended(void **state) {
        Seen s = {};
        PenstockClient *c = open_client(&s);
        PenstockInfo *info = NULL;
        PenstockError e = {};

        (void) state;
        assert_int_equal(sd_event_exit(s.event, 3), 0);
        assert_int_equal(sd_event_loop(s.event), 3);
        assert_int_equal(penstock_client_status(c, &info, &e), 0);
        penstock_info_free(info);
        harness_restart_bus();
        assert_int_equal(penstock_client_status(c, &info, &e), 0);
        penstock_info_free(info);
        close_client(&s, c);
}

/* Last: the service is away from here on. What the bus starts in its place leaves a file, and ends. */
static void the_service_is_started_only_when_wanted(void **state) {
        Seen s = {};
        PenstockClient *c = open_client(&s);

        (void) state;
        harness_stop_standin();
        penstock_client_set_auto_start(c, false);
        ask_in_vain(c, &s, false);
        penstock_client_set_auto_start(c, true);
        ask_in_vain(c, &s, true);
        close_client(&s, c);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(answers_come_to_the_handlers),
                cmocka_unit_test(a_freed_client_calls_no_handler),
                cmocka_unit_test(a_handler_may_put_another_in_its_place),
                cmocka_unit_test(blocking_calls_work_when_the_loop_has_ended),
                cmocka_unit_test(the_service_is_started_only_when_wanted),
        };

        return cmocka_run_group_tests_name("client-async", tests, harness_start_with_activation, harness_stop_with_activation);
}
