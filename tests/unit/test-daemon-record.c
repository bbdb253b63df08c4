/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a later penstockd is left, when /run is full for a moment, or this one is killed in the next. */
#include "daemon-kit.h"

/* ---- ends ---- */

static void an_end_that_could_not_be_written_is_written_when_there_is_room(void **state) {
        Manager *m = *state;
        Entry *e = running(m);

        set_full(true);
        worker_says_that_it_has_ended(m, e);
        what_is_due_later_is_done(m);
        set_full(false);
        what_is_due_later_is_done(m);
        assert_int_equal(written().state, QUERY_FINISHED);
        assert_true(files.has_request);
        assert_int_equal(e->again, 0);
}

static void a_worker_is_not_let_go_before_its_querys_end_is_on_record(void **state) {
        Manager *m = *state;
        Entry *e = running(m);

        set_full(true);
        worker_says_that_it_has_ended(m, e);
        worker_says_that_it_has_ended(m, e); /* it had lost its connection */
        what_is_due_later_is_done(m);
        assert_int_equal(n_acks, 0);
        set_full(false);
        what_is_due_later_is_done(m);
        assert_int_equal(n_acks, 1);
        assert_int_equal(n_stops, 0);
}

static void a_worker_is_let_go_at_once_when_its_querys_end_is_on_record(void **state) {
        Manager *m = *state;

        worker_says_that_it_has_ended(m, running(m));
        assert_int_equal(n_acks, 1);
}

static void no_worker_holds_up_a_shutdown_for_want_of_room(void **state) {
        Manager *m = *state;
        Entry *e = running(m);

        set_full(true);
        worker_says_that_it_has_ended(m, e);
        assert_int_equal(n_acks, 0);
        manager_feed(m, &(Event) { .type = EVENT_SHUTDOWN });
        what_is_due_later_is_done(m);
        assert_int_equal(n_acks, 1);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, open_manager, close_manager)
        static const struct CMUnitTest tests[] = {
                T(an_end_that_could_not_be_written_is_written_when_there_is_room),
                T(a_worker_is_not_let_go_before_its_querys_end_is_on_record),
                T(a_worker_is_let_go_at_once_when_its_querys_end_is_on_record),
                T(no_worker_holds_up_a_shutdown_for_want_of_room),
        };

        return cmocka_run_group_tests_name("daemon-record", tests, NULL, NULL);
}
