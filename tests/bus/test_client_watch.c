/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What libpenstock promises of one query: what a handler is given, and who waits for no time. */
#include <errno.h>
#include <setjmp.h>
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

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(to_wait_for_no_time_is_to_ask_once),
                cmocka_unit_test(what_a_handler_got_lives_while_it_runs),
        };

        return cmocka_run_group_tests_name("client-watch", tests, harness_start, harness_stop);
}
