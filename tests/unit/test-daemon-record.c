/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a later penstockd is left, when /run is full for a moment, or this one is killed in the next. */
#include "daemon-kit.h"

#include <fcntl.h>
#include <sys/mman.h>

#include "host/cgroup_private.h"

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

static void of_its_last_words_only_what_is_no_character_is_lost(void **state) {
        static const char words[] = "\xbc\x9f: na\xc3\xafve \xff\0\xe2\x82\xac \xe2\x82"; /* cut at its beginning and its end */
        WorkerExited m = { .stderr_len = sizeof(words) - 1, .stderr_bytes = 5000 };
        Entry *e = running(*state);

        memcpy(m.stderr_tail, words, sizeof(words) - 1);
        manager_on_exited(e->conn, &m, *state);
        assert_string_equal(e->record.stderr_tail, "??: na\xc3\xafve ??\xe2\x82\xac ??");
}

/* ---- the limits of a unit that is gone ---- */

/* Nothing is in it, so to lower it fails. */
static QueryGroups *make_groups(void) {
        QueryGroups *g = calloc(1, sizeof(*g));

        assert_non_null(g);
        memset(g, 0xff, sizeof(*g)); /* no descriptor at all */
        g->unit_cgroup = NULL;
        g->engine_fd = open("/proc/self/fdinfo", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        g->files[GROUP_ENGINE_FREEZE] = memfd_create("cgroup.freeze", MFD_CLOEXEC);
        assert_true(g->engine_fd >= 0 && g->files[GROUP_ENGINE_FREEZE] >= 0);
        return g;
}

/* It runs once more, and is frozen for want of memory, by the time at which the answer comes. */
static void what_was_lowered_in_a_unit_that_is_gone_thaws_no_other_one(void **state) {
        Manager *m = *state;
        Entry *e = running(m);
        bool frozen = false;

        assert_int_equal(manager_limits_new(m), 0);
        e->groups = make_groups();
        manager_lower(m, e, 32 * MIB, 30 * MIB);
        assert_int_equal(query_groups_shall_be_frozen(e->groups, &frozen), 0);
        assert_true(frozen);
        entry_drop_unit(e);
        e->groups = make_groups();
        assert_int_equal(manager_freeze(m, e, true), 0);
        assert_true(sd_event_run(m->event, 10 * USEC_PER_SEC) > 0);
        assert_int_equal(query_groups_shall_be_frozen(e->groups, &frozen), 0);
        assert_true(frozen);
        m->lower = lower_free(m->lower);
        sd_event_source_disable_unref(m->leftover_timer);
}

/* ---- what was never handed over ---- */

/* It is on record as handed over, and its worker says that nothing has come. */
static void gather_one_that_was_not(Manager *m, bool ending) {
        Adoption *a = calloc(1, sizeof(*a));

        assert_non_null(a);
        *a = (Adoption) { .id = ID, .entry = entry_of_one(m), .snapshot = snapshot_of_one_that_runs(m), .waits_for_worker = true };
        a->snapshot.unit_exists = a->entry->unit_requested = true;
        a->snapshot.ending = ending;
        a->snapshot.ending_state = ending ? QUERY_CANCELED : QUERY_CREATED;
        m->adopted = false;
        m->adoptions = a;
        m->n_adoptions = m->n_loaded = m->n_awaited = 1;
        manager_gather_hello(m, ID, WORKER_PHASE_IDLE);
        assert_int_equal(n_stops, 1);
}

static void what_its_worker_never_got_is_on_record_as_not_handed_over_before_another_unit_is_made(void **state) {
        gather_one_that_was_not(*state, false);
        assert_false(written().handed);
        manager_adoptions_free(*state);
}

static void that_it_was_not_handed_over_is_written_once_there_is_room(void **state) {
        Manager *m = *state;

        set_full(true);
        gather_one_that_was_not(m, false);
        what_is_due_later_is_done(m); /* it is not adopted yet */
        set_full(false);
        m->n_stale = 0;
        manager_adopt_all(m);
        what_is_due_later_is_done(m);
        assert_false(written().handed);
}

/* It ends as it was to, whether it ran or not. */
static void what_is_being_ended_stays_on_record_as_it_was(void **state) {
        gather_one_that_was_not(*state, true);
        assert_false(files.has_state);
        manager_adoptions_free(*state);
}

/* ---- what can't be read ---- */

static DependencyPhase dependencies_of_one_that_is_loaded(Manager *m) {
        StoredFds stored = {};
        Adoption a = {};

        assert_int_equal(adoption_load(m, ID, &stored, &a), 0);
        entry_free(a.entry);
        return (DependencyPhase) a.snapshot.dependencies;
}

static void dependencies_are_told_of_the_end_of_one_whose_state_is_not_understood(void **state) {
        files.is_damaged = true;
        files.released_by = "/bin/true";
        assert_int_equal(dependencies_of_one_that_is_loaded(*state), DEPENDENCIES_HELD);
}

static void one_without_dependencies_has_none_to_tell_when_its_state_is_not_understood(void **state) {
        files.is_damaged = true;
        assert_int_equal(dependencies_of_one_that_is_loaded(*state), DEPENDENCIES_NONE);
}

/* ---- submissions ---- */

static int submit(Manager *m, Submitted *ret, Error *ret_error) {
        Request r = REQUEST_INIT;
        SubmitFds none = { -1, -1 };

        r.language = strdup("exec");
        assert_non_null(r.language);
        assert_int_equal(strlist_add(&r.argv, "true"), 0);
        r.uid = ALICE;
        *ret = (Submitted) { .results_fd = -1, .hold_fd = -1 };
        return manager_submit(m, &r, &none, false, ret, ret_error);
}

static void a_query_whose_state_can_not_be_written_is_refused_and_nothing_of_it_stays(void **state) {
        Manager *m = *state;
        Submitted s;
        Error error = {};

        files.no_room_for_state = true; /* its request got the last page */
        assert_true(submit(m, &s, &error) < 0);
        assert_int_equal(error.code, ERROR_INTERNAL);
        assert_non_null(strstr(error.message, "No space left"));
        assert_true(s.results_fd == -1 && s.hold_fd == -1);
        assert_null(engine_next(m->engine, NULL));
        set_full(false);
        m->again_usec = 0;
        manager_try_again(m);
        assert_false(files.has_state || files.has_request);
}

static void a_query_that_is_on_record_is_taken(void **state) {
        Manager *m = *state;
        Submitted s;
        Error error = {};

        assert_int_equal(submit(m, &s, &error), 0);
        assert_true(files.has_state && files.has_request);
        assert_non_null(engine_next(m->engine, NULL));
        entry_close_fd(&s.results_fd);
        entry_close_fd(&s.hold_fd);
}

static void descriptors_that_could_not_be_kept_are_when_they_can(void **state) {
        Manager *m = *state;
        Submitted s;
        Error error = {};

        no_memory = true;
        assert_int_equal(submit(m, &s, &error), 0);
        no_memory = false;
        what_is_due_later_is_done(m);
        assert_int_equal(n_kept, 2);
        assert_non_null(strstr(kept[0], "hold"));
        assert_non_null(strstr(kept[1], "parcel"));
        m->again_usec = 0;
        manager_try_again(m);
        assert_int_equal(n_kept, 2);
        entry_close_fd(&s.results_fd);
        entry_close_fd(&s.hold_fd);
}

/* ---- stops ---- */

static void at_no_moment_of_a_stop_does_the_next_start_find_the_door_closed(void **state) {
        Manager *m = *state;

        (void) running(m);
        was_shut_down = false;
        flags[STATE_PAUSED] = true;
        manager_stop(m);
        assert_true(engine_is_shut_down(m->engine));
        assert_false(was_shut_down);
        assert_false(flags[STATE_PAUSED]);
}

static void a_shutdown_that_somebody_asked_for_outlives_a_crash_and_a_stop_ends_it(void **state) {
        Manager *m = *state;

        manager_feed(m, &(Event) { .type = EVENT_SHUTDOWN });
        assert_true(flags[STATE_SHUT_DOWN]);
        manager_stop(m);
        assert_false(flags[STATE_SHUT_DOWN]);
}

static void that_the_door_is_closed_is_written_once_there_is_room(void **state) {
        Manager *m = *state;

        set_full(true);
        manager_feed(m, &(Event) { .type = EVENT_PAUSE });
        manager_feed(m, &(Event) { .type = EVENT_SHUTDOWN });
        set_full(false);
        what_is_due_later_is_done(m);
        assert_true(flags[STATE_PAUSED] && flags[STATE_SHUT_DOWN]);
}

static void a_door_that_was_opened_meanwhile_is_not_closed_again(void **state) {
        Manager *m = *state;

        set_full(true);
        manager_feed(m, &(Event) { .type = EVENT_PAUSE });
        manager_feed(m, &(Event) { .type = EVENT_RESUME });
        set_full(false);
        m->again_usec = 0;
        manager_try_again(m);
        assert_false(flags[STATE_PAUSED]);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, open_manager, close_manager)
        static const struct CMUnitTest tests[] = {
                T(an_end_that_could_not_be_written_is_written_when_there_is_room),
                T(a_worker_is_not_let_go_before_its_querys_end_is_on_record),
                T(a_worker_is_let_go_at_once_when_its_querys_end_is_on_record),
                T(no_worker_holds_up_a_shutdown_for_want_of_room),
                T(of_its_last_words_only_what_is_no_character_is_lost),
                T(what_was_lowered_in_a_unit_that_is_gone_thaws_no_other_one),
                T(what_its_worker_never_got_is_on_record_as_not_handed_over_before_another_unit_is_made),
                T(that_it_was_not_handed_over_is_written_once_there_is_room),
                T(what_is_being_ended_stays_on_record_as_it_was),
                T(dependencies_are_told_of_the_end_of_one_whose_state_is_not_understood),
                T(one_without_dependencies_has_none_to_tell_when_its_state_is_not_understood),
                T(a_query_whose_state_can_not_be_written_is_refused_and_nothing_of_it_stays),
                T(a_query_that_is_on_record_is_taken),
                T(descriptors_that_could_not_be_kept_are_when_they_can),
                T(at_no_moment_of_a_stop_does_the_next_start_find_the_door_closed),
                T(a_shutdown_that_somebody_asked_for_outlives_a_crash_and_a_stop_ends_it),
                T(that_the_door_is_closed_is_written_once_there_is_room),
                T(a_door_that_was_opened_meanwhile_is_not_closed_again),
        };

        return cmocka_run_group_tests_name("daemon-record", tests, NULL, NULL);
}
