/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* When spares are made, and whether one still fits who took it: the real daemon/spares and daemon/unit_plan, without PID 1. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "daemon/spares.h"

#define PAUSE_USEC (100 * USEC_PER_MSEC)
#define ALICE 1000

static uint64_t now_usec;

/* What is not here of the daemon, as far as a spare needs it. */
uint64_t manager_now(const Manager *m) {
        (void) m;
        return now_usec;
}

void manager_arm_timer(Manager *m) {
        (void) m;
}

int manager_make_room(Manager *m) {
        Entry **v = realloc(m->entries, (m->n_entries + 1) * sizeof(*v));

        if (!v)
                return -ENOMEM;
        m->entries = v;
        return 0;
}

int entry_new(Manager *m, Request *r, SubmitFds *fds, Entry **ret) {
        (void) r;
        (void) fds;
        *ret = calloc(1, sizeof(Entry));
        if (!*ret)
                return -ENOMEM;
        (*ret)->manager = m;
        return 0;
}

Entry *entry_free(Entry *e) {
        free(e->taken_key);
        free(e);
        return NULL;
}

void manager_unit_asked(Manager *m, Entry *e, uint64_t max_bytes) {
        (void) max_bytes;
        e->unit_requested = e->starting = true;
        m->n_units_starting++;
}

void manager_move_unit(Manager *m, Entry *e, Entry *from) {
        (void) m;
        e->starting = from->starting;
        e->unit_requested = from->unit_requested;
}

void manager_release_unit(Manager *m, Entry *e) {
        (void) m;
        e->leaving = true;
}

uint64_t entry_unit_max_bytes(const Entry *e) {
        return e->max_bytes;
}

int unit_paths_collect(const Entry *e, UnitPaths *ret) {
        (void) e;
        (void) ret;
        return 0;
}

void unit_paths_done(UnitPaths *p) {
        (void) p;
}

/* For the linker, in place of host's. */
int __wrap_systemd_unit_start(SystemdLink *l, const UnitSpec *spec, Error *ret_error);
int __wrap_systemd_unit_start(SystemdLink *l, const UnitSpec *spec, Error *ret_error) {
        (void) l;
        (void) spec;
        (void) ret_error;
        return 0;
}

int __wrap_state_reserve_id(uint64_t id);
int __wrap_state_reserve_id(uint64_t id) {
        (void) id;
        return 0;
}

bool __wrap_mounts_look(Mounts *m);
bool __wrap_mounts_look(Mounts *m) {
        (void) m;
        return true;
}

static int open_manager(void **state) {
        Manager *m = calloc(1, sizeof(*m));

        assert_non_null(m);
        m->config = calloc(1, sizeof(*m->config));
        assert_non_null(m->config);
        config_init(m->config, 8 * GIB);
        m->config->compile_memory_bytes = 256 * MIB;
        m->pace = PACE_INIT;
        m->mounts = (Mounts) MOUNTS_INIT;
        m->spares_due_usec = USEC_INFINITY;
        now_usec = 1000 * USEC_PER_SEC;
        *state = m;
        return engine_new(m->config, 1, &m->engine);
}

static int close_manager(void **state) {
        Manager *m = *state;

        spares_end(m);
        for (size_t i = 0; i < m->n_entries; i++)
                entry_free(m->entries[i]);
        free(m->entries);
        engine_free(m->engine);
        config_done(m->config);
        free(m->config);
        free(m);
        return 0;
}

static Entry *query(Manager *m, uint64_t max_bytes) {
        Entry *e;

        assert_int_equal(manager_make_room(m), 0);
        assert_int_equal(entry_new(m, &(Request) REQUEST_INIT, &(SubmitFds) { -1, -1 }, &e), 0);
        e->record.request.uid = ALICE;
        e->max_bytes = max_bytes;
        return e;
}

/* A query with that maximum starts, in a unit of its own. */
static void start_cold(Manager *m, uint64_t max_bytes) {
        CLEANUP(unit_plan_done) UnitPlan plan = {};
        Entry *e = query(m, max_bytes);

        assert_int_equal(unit_plan_make(e, &plan), 0);
        spares_learn(m, e, &plan);
        entry_free(e);
}

/* It takes a spare, which there must be. */
static Entry *start_warm(Manager *m, uint64_t max_bytes) {
        Entry *e = query(m, max_bytes), *spare = spares_find(m, e);

        assert_non_null(spare);
        for (size_t i = 0; i < m->n_entries; i++)
                if (m->entries[i] == spare)
                        m->entries[i] = e;
        spares_take(m, e, spare);
        return e;
}

static void settle_after(Manager *m, uint64_t usec) {
        now_usec += usec;
        spares_look_soon(m);
        spares_settle(m);
}

static void one_that_was_taken_fits_no_more_when_a_reload_changed_what_a_compile_step_may_have(void **state) {
        Manager *m = *state;
        Entry *e;

        m->config->warm_units = 1;
        start_cold(m, GIB);
        settle_after(m, PAUSE_USEC);
        e = start_warm(m, GIB);
        spares_forget(m);
        assert_true(spares_fits(m, e));
        m->config->compile_memory_bytes = 64 * MIB;
        assert_false(spares_fits(m, e));
}

static void no_more_are_being_made_than_pid_1_may_be_asked_for(void **state) {
        Manager *m = *state;

        m->config->warm_units = 4;
        m->pace.allowed = 1;
        start_cold(m, GIB);
        settle_after(m, PAUSE_USEC);
        assert_int_equal(spares_count(m), 1);
        m->pace.allowed = PACE_MAX;
        settle_after(m, 0);
        assert_int_equal(spares_count(m), 2);
}

static void none_is_made_while_a_query_waits_for_its_unit(void **state) {
        Manager *m = *state;
        Entry *e = query(m, GIB);

        m->config->warm_units = 4;
        m->entries[m->n_entries++] = e;
        e->start_waits = true;
        start_cold(m, GIB);
        settle_after(m, PAUSE_USEC);
        assert_int_equal(spares_count(m), 0);
        e->start_waits = false;
        settle_after(m, 0);
        assert_int_equal(spares_count(m), 2);
}

static bool has_spare(Manager *m, uint64_t max_bytes) {
        Entry *e = query(m, max_bytes);
        bool has = spares_find(m, e);

        entry_free(e);
        return has;
}

static void one_gives_up_its_place_only_to_one_that_is_made_then(void **state) {
        Manager *m = *state;

        m->config->warm_units = 1;
        start_cold(m, GIB);
        settle_after(m, PAUSE_USEC);
        for (int i = 0; i < 2; i++) {
                now_usec++;
                start_cold(m, 2 * GIB);
        }
        settle_after(m, 1);
        assert_true(has_spare(m, GIB));
        start_cold(m, 3 * GIB);
        settle_after(m, PAUSE_USEC);
        assert_false(has_spare(m, GIB));
        assert_true(has_spare(m, 2 * GIB));
        assert_int_equal(spares_count(m), 1);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(
                        one_that_was_taken_fits_no_more_when_a_reload_changed_what_a_compile_step_may_have, open_manager,
                        close_manager),
                cmocka_unit_test_setup_teardown(no_more_are_being_made_than_pid_1_may_be_asked_for, open_manager, close_manager),
                cmocka_unit_test_setup_teardown(none_is_made_while_a_query_waits_for_its_unit, open_manager, close_manager),
                cmocka_unit_test_setup_teardown(one_gives_up_its_place_only_to_one_that_is_made_then, open_manager, close_manager),
        };

        return cmocka_run_group_tests_name("daemon-spares", tests, NULL, NULL);
}
