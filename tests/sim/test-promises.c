/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A promise that cannot be broken is none: an engine that does not keep them is found. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "sim/world.h"

#define SEEDS 30u        /* without a fault */
#define SEEDS_FAULTY 300u /* until it shows */

/* What is done to the actions of each step (the linker's --wrap). */
typedef void (*Doctor)(const Engine *e, const Event *ev, ActionList *actions);
static Doctor doctor;
static bool units_are_endless, in_engine;

int __real_engine_step(Engine *e, const Event *ev, uint64_t now_usec, ActionList *actions);
int __wrap_engine_step(Engine *e, const Event *ev, uint64_t now_usec, ActionList *actions);
int __wrap_engine_step(Engine *e, const Event *ev, uint64_t now_usec, ActionList *actions) {
        int r;

        in_engine = true;
        r = __real_engine_step(e, ev, now_usec, actions);
        in_engine = false;
        if (r == 0 && doctor)
                doctor(e, ev, actions);
        return r;
}

/* What the engine asks for, and not what is asked of it. */
uint64_t __real_engine_units_max(const Engine *e);
uint64_t __wrap_engine_units_max(const Engine *e);
uint64_t __wrap_engine_units_max(const Engine *e) {
        return in_engine && units_are_endless ? UINT64_MAX : __real_engine_units_max(e);
}

static void append(ActionList *l, Action a) {
        Action *v = realloc(l->v, (l->n + 1) * sizeof(*v));

        assert_non_null(v);
        v[l->n++] = a;
        l->v = v;
        l->allocated = l->n;
}

static void assert_found(Doctor d, const char *words) {
        char failure[WORLD_FAILURE_MAX] = "";
        Tally tally = {};
        int r = 0;

        doctor = d;
        for (uint64_t seed = 1; r == 0 && seed <= SEEDS_FAULTY; seed++)
                r = world_play(&(Story) { .seed = seed, .n_queries = 40 }, NULL, NULL, &tally, failure);
        doctor = NULL;
        assert_int_equal(r, -EPROTO);
        if (!strstr(failure, words))
                fail_msg("%s", failure);
}

static void publish_ends_twice(const Engine *e, const Event *ev, ActionList *actions) {
        (void) ev;
        for (size_t i = 0, n = actions->n; i < n; i++)
                if (actions->v[i].type == ACTION_STATE && query_state_is_end(engine_find(e, actions->v[i].query_id)->state))
                        append(actions, actions->v[i]);
}

static void an_end_is_published_once(void **state) {
        (void) state;
        assert_found(publish_ends_twice, "is published twice");
}

static void without(ActionList *actions, ActionType type) {
        size_t n = 0;

        for (size_t i = 0; i < actions->n; i++)
                if (actions->v[i].type != type)
                        actions->v[n++] = actions->v[i];
        actions->n = n;
}

static void answer_shutdown_at_once(const Engine *e, const Event *ev, ActionList *actions) {
        (void) e;
        without(actions, ACTION_SHUTDOWN_DONE);
        if (ev->type == EVENT_SHUTDOWN)
                append(actions, (Action) { .type = ACTION_SHUTDOWN_DONE });
}

static void shutdown_waits_for_those_who_run(void **state) {
        (void) state;
        assert_found(answer_shutdown_at_once, "Shutdown is answered before its time");
}

static void forget_who_is_left(const Engine *e, const Event *ev, ActionList *actions) {
        (void) e;
        (void) ev;
        for (size_t i = 0; i < actions->n; i++)
                if (actions->v[i].type == ACTION_SHUTDOWN_DONE)
                        actions->v[i].error = (Error) {};
}

static void shutdown_says_who_has_not_ended(void **state) {
        (void) state;
        assert_found(forget_who_is_left, "Shutdown is answered with");
}

static void units_are_counted(void **state) {
        (void) state;
        units_are_endless = true;
        assert_found(NULL, "units, promised were");
        units_are_endless = false;
}

/* First writes of limits that have not been told, by query; answers come in the order of the writes. */
static unsigned writes[1000], n_lowered;

/* penstockd reads back as it writes, so no model of it may tell of a lowering before the write that came first. Each that is handed
 * over is lowered here at once, which no engine does, but asks the model. */
static void lower_at_once(const Engine *e, const Event *ev, ActionList *actions) {
        unsigned *n = &writes[ev->query_id % ELEMENTSOF(writes)];

        (void) e;
        if (ev->type == EVENT_ADOPT || ev->type == EVENT_ENDED)
                *n = 0;
        if (ev->type == EVENT_LIMITS && *n > 0)
                (*n)--;
        if (ev->type == EVENT_LOWERED) {
                assert_int_equal(*n, 0);
                n_lowered++;
        }
        for (size_t i = 0, n_actions = actions->n; i < n_actions; i++) {
                Action a = actions->v[i];

                if (a.type != ACTION_EXECUTE)
                        continue;
                writes[a.query_id % ELEMENTSOF(writes)]++;
                append(actions, (Action) { .type = ACTION_LOWER, .query_id = a.query_id, .limits = a.limits });
        }
}

static void a_write_is_told_before_the_lowering_that_follows(void **state) {
        char failure[WORLD_FAILURE_MAX] = "";
        Tally tally = {};

        (void) state;
        doctor = lower_at_once;
        for (uint64_t seed = 1; seed <= SEEDS_FAULTY; seed++) {
                memset(writes, 0, sizeof(writes));
                (void) world_play(&(Story) { .seed = seed, .n_queries = 40 }, NULL, NULL, &tally, failure); /* until it is noticed */
        }
        doctor = NULL;
        assert_true(n_lowered > SEEDS_FAULTY);
}

static void without_a_fault_none_is_found(void **state) {
        char failure[WORLD_FAILURE_MAX] = "";
        Tally tally = {};

        (void) state;
        for (uint64_t seed = 1; seed <= SEEDS; seed++)
                assert_int_equal(world_play(&(Story) { .seed = seed, .n_queries = 40 }, NULL, NULL, &tally, failure), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(without_a_fault_none_is_found),
                cmocka_unit_test(an_end_is_published_once),
                cmocka_unit_test(shutdown_waits_for_those_who_run),
                cmocka_unit_test(shutdown_says_who_has_not_ended),
                cmocka_unit_test(units_are_counted),
                cmocka_unit_test(a_write_is_told_before_the_lowering_that_follows),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
