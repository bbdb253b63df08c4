/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What libpenstock promises of one query: what a handler is given, who waits for no time, an ID that nobody has, and a
 * submission that its client does not live to see. */
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
        unsigned n;
        char name[64];
} Seen;

static PenstockClient *open_client(Seen *s) {
        PenstockClient *c = NULL;

        if (!s->event)
                assert_true(sd_event_new(&s->event) >= 0);
        assert_int_equal(penstock_client_new(&c, NULL), 0);
        assert_int_equal(penstock_client_attach_event(c, s->event), 0);
        return c;
}

static void run_until(const Seen *s, unsigned n) {
        long end = harness_now_msec() + DEADLINE_MSEC;

        while (s->n < n) {
                assert_true(sd_event_run(s->event, 1000000) >= 0);
                assert_true(harness_now_msec() < end);
        }
}

static PenstockRequest *request(const char *query) {
        PenstockRequest *r = NULL;

        assert_int_equal(penstock_request_new(&r), 0);
        assert_int_equal(penstock_request_set_language(r, "shell"), 0);
        assert_int_equal(penstock_request_set_query(r, query, strlen(query)), 0);
        return r;
}

static PenstockQuery *submit(PenstockClient *c, const char *query) {
        PenstockRequest *r = request(query);
        PenstockQuery *q = NULL;

        assert_int_equal(penstock_query_submit(c, r, &q, NULL), 0);
        penstock_request_free(r);
        return q;
}

static void on_answer(PenstockQuery *q, PenstockInfo *info, const PenstockError *error, void *userdata) {
        Seen *s = userdata;

        (void) q, (void) info;
        strcpy(s->name, error ? error->name : "");
        s->n++;
}

/* The watch that called is no more, once there is another; what it brought is. */
static void on_replaced(PenstockQuery *q, PenstockInfo *info, const PenstockError *error, void *userdata) {
        const char *state = NULL;
        Seen *s = userdata;

        assert_int_equal(penstock_query_watch(q, on_answer, s), 0);
        if (error)
                assert_string_equal(error->name, "NoSuchQuery");
        else {
                assert_true(penstock_info_is_ended(info));
                assert_int_equal(penstock_info_get_string(info, "state", &state), 0);
                assert_string_equal(state, "finished");
        }
        s->n++;
}

/* AddressSanitizer sees more. */
static void what_a_handler_got_lives_while_it_runs(void **state) {
        PenstockQuery *ended, *unknown = NULL;
        PenstockInfo *info = NULL;
        Seen s = {};
        PenstockClient *c = open_client(&s);

        (void) state;
        ended = submit(c, "true");
        assert_int_equal(penstock_query_wait(ended, UINT64_MAX, &info, NULL), 0);
        penstock_info_free(info);
        assert_int_equal(penstock_query_watch(ended, on_replaced, &s), 0);
        run_until(&s, 2);
        assert_int_equal(penstock_query_open(c, 999999, &unknown), 0);
        assert_int_equal(penstock_query_watch(unknown, on_replaced, &s), 0);
        run_until(&s, 4);
        assert_string_equal(s.name, "NoSuchQuery");
        penstock_query_free(ended);
        penstock_query_free(unknown);
        penstock_client_free(c);
        sd_event_unref(s.event);
}

static void to_wait_for_no_time_is_to_ask_once(void **state) {
        PenstockClient *c = NULL;
        PenstockQuery *live, *ended;
        PenstockInfo *info = NULL;
        PenstockError e = {};

        (void) state;
        assert_int_equal(penstock_client_new(&c, NULL), 0);
        live = submit(c, "sleep 100");
        ended = submit(c, "true");
        assert_int_equal(penstock_query_wait(ended, UINT64_MAX, &info, NULL), 0);
        for (uint64_t usec = 0; usec < 3; usec++) {
                info = penstock_info_free(info);
                assert_int_equal(penstock_query_wait(ended, usec, &info, &e), 0);
                assert_true(penstock_info_is_ended(info));
                assert_int_equal(penstock_query_wait(live, usec, &info, &e), -ETIMEDOUT);
                assert_string_equal(e.name, "Timeout");
        }
        penstock_info_free(info);
        penstock_query_free(live);
        penstock_query_free(ended);
        penstock_client_free(c);
}

static void no_query_has_the_id_0(void **state) {
        PenstockQuery *q = NULL;
        PenstockInfo *info = NULL;
        PenstockError e = {};
        Seen s = {};
        PenstockClient *c = open_client(&s);

        (void) state;
        assert_int_equal(penstock_query_open(c, 0, &q), 0);
        assert_int_equal(penstock_query_describe(q, &info, &e), -ENXIO);
        assert_string_equal(e.name, "NoSuchQuery");
        assert_int_equal(penstock_query_wait(q, UINT64_MAX, &info, &e), -ENXIO);
        assert_string_equal(e.name, "NoSuchQuery");
        assert_int_equal(penstock_query_describe_async(q, on_answer, &s), 0);
        run_until(&s, 1);
        assert_string_equal(s.name, "NoSuchQuery");
        assert_int_equal(penstock_query_cancel_async(q, on_answer, &s), 0);
        run_until(&s, 2);
        assert_string_equal(s.name, "NoSuchQuery");
        assert_int_equal(penstock_query_done_async(q, on_answer, &s), 0);
        run_until(&s, 3);
        assert_string_equal(s.name, "NoSuchQuery");
        assert_int_equal(penstock_query_watch(q, on_answer, &s), 0);
        run_until(&s, 4);
        assert_string_equal(s.name, "NoSuchQuery");
        penstock_query_free(q);
        penstock_client_free(c);
        sd_event_unref(s.event);
}

static void on_submitted(PenstockClient *c, PenstockQuery *q, const PenstockError *error, void *userdata) {
        Seen *s = userdata;

        (void) c, (void) error;
        penstock_query_free(q);
        s->n++;
}

static void on_status(PenstockClient *c, PenstockInfo *info, const PenstockError *error, void *userdata) {
        Seen *s = userdata;

        (void) c, (void) error;
        assert_non_null(info);
        s->n++;
}

/* The handle of another query keeps the connection, so the answer comes: with the only hold, which is closed. */
static void a_submission_ends_with_its_client(void **state) {
        PenstockRequest *r = request("sleep 100");
        PenstockQuery *other, *q = NULL;
        PenstockInfo *info = NULL;
        PenstockError e = {};
        uint64_t id;
        Seen s = {}, late = {};
        PenstockClient *c = open_client(&s), *d = open_client(&s);

        (void) state;
        other = submit(c, "true");
        id = penstock_query_id(other) + 1;
        kill(harness_standin_pid(), SIGSTOP);
        assert_int_equal(penstock_query_submit_async(c, r, on_submitted, &late, NULL), 0);
        penstock_client_free(c);
        kill(harness_standin_pid(), SIGCONT);
        for (unsigned i = 1; i <= 3; i++) { /* answers to who asked later */
                assert_int_equal(penstock_client_status_async(d, on_status, &s), 0);
                run_until(&s, i);
        }
        assert_int_equal(late.n, 0);
        assert_int_equal(penstock_query_open(d, id, &q), 0);
        assert_int_equal(penstock_query_watch(q, on_answer, &s), 0);
        for (bool ended = false; !ended; ended = info && penstock_info_is_ended(info)) {
                info = penstock_info_free(info);
                run_until(&s, s.n + 1);
                assert_int_equal(penstock_query_describe(q, &info, &e), 0);
        }
        assert_int_equal(penstock_info_get_error(info, &e), 0);
        assert_string_equal(e.name, "Canceled");
        assert_int_equal(late.n, 0);
        penstock_info_free(info);
        penstock_query_free(q);
        penstock_query_free(other);
        penstock_client_free(d);
        penstock_request_free(r);
        sd_event_unref(s.event);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(to_wait_for_no_time_is_to_ask_once),
                cmocka_unit_test(no_query_has_the_id_0),
                cmocka_unit_test(a_submission_ends_with_its_client),
                cmocka_unit_test(what_a_handler_got_lives_while_it_runs),
        };

        return cmocka_run_group_tests_name("client-watch", tests, harness_start, harness_stop);
}
