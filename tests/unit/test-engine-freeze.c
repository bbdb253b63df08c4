/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who waits for the pool frozen: order, thaw, deadlines, victims. */
#include "engine-kit.h"

static void a_thaw_comes_after_the_limit(void **state) {
        size_t limits = SIZE_MAX, thaw = SIZE_MAX;

        (void) state;
        kit_one_has_the_pool(EXHAUSTION_FREEZE);
        kit_need(&kit, 2, 60 * MIB);
        kit_pass(&kit, 7 * USEC_PER_SEC);
        kit_exit(&kit, 1, 0);
        for (size_t i = 0; i < kit.n_log; i++)
                if (kit.log[i].type == ACTION_SET_LIMITS)
                        limits = i;
                else if (kit.log[i].type == ACTION_THAW)
                        thaw = i;
        assert_true(limits < thaw && thaw < kit.n_log);
        assert_false(kit_frozen(2));
        assert_int_equal(kit_lease(2), 128 * MIB);
        assert_int_equal(query_frozen_usec(kit_query(&kit, 2), kit.now_usec), 7 * USEC_PER_SEC);
        kit_pass(&kit, GOVERNOR_SAMPLE_MIN_USEC); /* it grew before: it is looked at soon */
        assert_int_equal(kit_saw(&kit, ACTION_SAMPLE, 2), 1);
}

static void who_waits_is_served_in_the_order_of_priority_and_age(void **state) {
        Config c = kit_pool_config(4, 640 * MIB); /* the pool: 384M */

        (void) state;
        kit_reopen(&c);
        kit_content(&kit, 448 * MIB);
        kit_plain(&kit);
        kit_plain(&kit);
        kit_submit(&kit, (QuerySpec) { .priority = 1, .allow_priority = true });
        for (unsigned i = 0; i < 3; i++) {
                static const uint64_t order[] = { 3, 2, 4 };

                kit_pass(&kit, 1);
                kit_need(&kit, order[i], 60 * MIB);
                assert_true(kit_frozen(order[i]));
        }
        /* 7M come back: no help to anyone. */
        c.max_memory_bytes += 7 * MIB;
        kit_reload(&kit, &c);
        assert_true(kit_frozen(2) && kit_frozen(3) && kit_frozen(4));
        c.max_memory_bytes += 57 * MIB;
        kit_reload(&kit, &c);
        assert_int_equal(kit_lease(4), 128 * MIB);
        assert_true(kit_frozen(2) && kit_frozen(3));
        /* It keeps its place when it has to wait again. */
        kit_need(&kit, 4, 127 * MIB);
        assert_true(kit_frozen(4));
        c.max_memory_bytes += 128 * MIB + 16 * MIB; /* a quarter of what 2 wants is some help */
        kit_reload(&kit, &c);
        assert_int_equal(kit_lease(4), 256 * MIB);
        assert_int_equal(kit_lease(2), 80 * MIB);
        assert_false(kit_frozen(4) || kit_frozen(2));
        assert_true(kit_frozen(3));
}

static void all_that_can_be_paid_are_served_in_one_step(void **state) {
        Config c = kit_pool_config(3, 576 * MIB);

        (void) state;
        kit_reopen(&c);
        kit_content(&kit, 448 * MIB);
        for (int i = 0; i < 2; i++)
                kit_submit(&kit, (QuerySpec) { .max_bytes = 200 * MIB });
        kit_need(&kit, 2, 63 * MIB);
        kit_need(&kit, 3, 63 * MIB);
        kit.slow_limits = kit.slow_units = true; /* no other step follows */
        kit_exit(&kit, 1, 0);
        assert_int_equal(kit_saw(&kit, ACTION_THAW, 2), 1);
        assert_int_equal(kit_saw(&kit, ACTION_THAW, 3), 1);
}

static void who_stands_behind_passes_a_patient_one_only(void **state) {
        Config c = kit_pool_config(4, 640 * MIB);

        (void) state;
        kit_reopen(&c);
        kit_content(&kit, 400 * MIB); /* 48M are left */
        for (int i = 0; i < 3; i++)
                kit_submit(&kit, (QuerySpec) { .max_bytes = 200 * MIB });
        kit_need(&kit, 2, 63 * MIB);
        assert_int_equal(kit_lease(2), 112 * MIB);
        kit_need(&kit, 2, 111 * MIB);
        assert_true(kit_frozen(2));
        c.max_memory_bytes += 10 * MIB; /* no help to 2, but to one with less */
        kit_reload(&kit, &c);
        assert_true(kit_frozen(2));
        kit_pass(&kit, 60 * USEC_PER_SEC / 8 - 1);
        kit_need(&kit, 3, 63 * MIB);
        assert_int_equal(kit_lease(3), 74 * MIB);
        c.max_memory_bytes += 10 * MIB;
        kit_reload(&kit, &c);
        kit_pass(&kit, 60 * USEC_PER_SEC / 8);
        kit_need(&kit, 4, 63 * MIB);
        assert_true(kit_frozen(4));
        assert_int_equal(kit_lease(4), 64 * MIB);
}

static void a_larger_start_asks_after_who_waits_frozen(void **state) {
        Config c;

        (void) state;
        kit_one_has_the_pool(EXHAUSTION_FREEZE);
        kit_need(&kit, 2, 63 * MIB);
        assert_true(kit_frozen(2));
        c = kit.config;
        c.concurrency_quota = 4;
        c.max_memory_bytes += (2 * 64 + 7) * MIB; /* 7M more: no help to 2 */
        kit_reload(&kit, &c);
        kit_content(&kit, 65 * MIB);
        assert_int_equal(kit_state(&kit, 3), QUERY_QUEUEING);
        kit_submit(&kit, (QuerySpec) { .priority = 1, .allow_priority = true });
        assert_int_equal(kit_state(&kit, 4), QUERY_EXECUTING); /* a plain one does not */
        kit_exit(&kit, 1, 0);
        assert_false(kit_frozen(2));
        assert_int_equal(kit_state(&kit, 3), QUERY_EXECUTING);
}

/* 2 and 3 wait, with nothing but their slots, for what 1 has and works with. */
static void who_has_waited_for_a_moment_is_no_victim_for_another(void **state) {
        Config c = kit_pool_config(3, 640 * MIB); /* the pool: 448M */

        (void) state;
        kit_reopen(&c);
        kit_content(&kit, 512 * MIB);
        kit_plain(&kit);
        kit_plain(&kit);
        kit_need(&kit, 1, 500 * MIB);
        kit_need(&kit, 2, 60 * MIB);
        kit_pass(&kit, 59 * USEC_PER_SEC);
        kit_need(&kit, 1, 506 * MIB);
        kit_need(&kit, 3, 60 * MIB);
        kit_pass(&kit, USEC_PER_SEC);
        assert_int_equal(kit_notes(&kit, NOTE_VICTIM, 2), 1); /* its own time is up */
        assert_int_equal(kit_notes(&kit, NOTE_VICTIM, 0), 1);
        kit_pass(&kit, 59 * USEC_PER_SEC);
        assert_true(kit_frozen(3));
}

/* … nor in the step in which it is looked at again. */
static void who_asks_does_not_rest_while_it_is_looked_at(void **state) {
        Config c = kit_pool_config(3, 384 * MIB); /* the pool: 192M */

        (void) state;
        kit_reopen(&c);
        for (int i = 0; i < 3; i++)
                kit_plain(&kit);
        kit_need(&kit, 2, 63 * MIB);
        kit_need(&kit, 1, 63 * MIB); /* 128M are left, and 2 may still want all of them */
        assert_true(kit_frozen(1));
        for (uint64_t need = 64; need < 96; need += 2) {
                kit_pass(&kit, 500 * USEC_PER_MSEC);
                kit_need(&kit, 2, need * MIB);
        }
        /* It is near its limit, has to wait for 1, and creeps on. */
        for (unsigned i = 0; i < 300; i++) {
                kit_need(&kit, 2, 97 * MIB + i * 4 * KIB);
                assert_true(kit_query(&kit, 2)->hungry);
                assert_true(kit_frozen(1));
                kit_pass(&kit, GOVERNOR_SAMPLE_MIN_USEC);
                assert_int_equal(kit_saw(&kit, ACTION_SAMPLE, 2), 1);
        }
}

/* Seen by the simulator (seed 1795918618941397): whatever step an end is decided in, who waits may count on it. */
static void an_end_by_timeout_serves_who_waits_though_it_comes_with_a_sample(void **state) {
        Config c = kit_pool_config(3, 384 * MIB);

        (void) state;
        kit_reopen(&c);
        kit_submit(&kit, (QuerySpec) { .timeout_usec = 10 * USEC_PER_SEC });
        kit_plain(&kit);
        kit_plain(&kit);
        kit_need(&kit, 1, 63 * MIB);
        kit_need(&kit, 2, 63 * MIB); /* 128M are unused, and 1 may still want all of them */
        assert_true(kit_frozen(2));
        kit.now_usec += 10 * USEC_PER_SEC;
        kit_need(&kit, 3, MIB);
        assert_int_equal(kit_saw(&kit, ACTION_TERMINATE, 1), 1);
        assert_false(kit_frozen(2));
}

/* Each can be paid, one after the other: so whoever would make that impossible has to wait. */
static void nobody_is_given_what_another_needs_to_end(void **state) {
        Config c = kit_pool_config(3, 384 * MIB); /* the pool: 192M, as much as one may ask for */

        (void) state;
        kit_reopen(&c);
        for (int i = 0; i < 3; i++)
                kit_plain(&kit);
        kit_need(&kit, 1, 63 * MIB);
        assert_int_equal(kit_lease(1), 128 * MIB);
        kit_need(&kit, 2, 63 * MIB); /* 128M are unused, and 1 may still want all of them */
        assert_true(kit_frozen(2));
        kit_need(&kit, 1, 127 * MIB);
        assert_int_equal(kit_lease(1), 256 * MIB);
        kit_exit(&kit, 1, 0);
        assert_false(kit_frozen(2));
        assert_int_equal(kit_notes(&kit, NOTE_VICTIM, 0), 0);
}

static void who_rests_is_not_reckoned_with(void **state) {
        Config c = kit_pool_config(2, 384 * MIB); /* the pool: 256M */

        (void) state;
        kit_reopen(&c);
        kit_plain(&kit);
        kit_plain(&kit);
        kit_pass(&kit, 3 * USEC_PER_SEC);
        kit_need(&kit, 1, 63 * MIB); /* it has just grown */
        kit_need(&kit, 2, 63 * MIB);
        assert_true(kit_frozen(2));
        /* Looked at now and then, it turns out to rest. */
        for (int i = 0; kit_frozen(2) && i < 100; i++) {
                kit_pass(&kit, 100 * USEC_PER_MSEC);
                if (kit_saw(&kit, ACTION_SAMPLE, 1))
                        kit_need(&kit, 1, 63 * MIB);
        }
        assert_int_equal(kit_lease(2), 128 * MIB);
        assert_true(kit_query(&kit, 2)->frozen_usec >= 2 * USEC_PER_SEC);
        assert_true(kit_query(&kit, 2)->frozen_usec < 4 * USEC_PER_SEC);
}

/* Who asks is not content, however long it has stood still near its limit: it was not let grow. */
static void who_asks_does_not_rest(void **state) {
        Config c = kit_pool_config(2, 384 * MIB); /* the pool: 256M */

        (void) state;
        kit_reopen(&c);
        kit_plain(&kit);
        kit_plain(&kit);
        kit_need(&kit, 1, 63 * MIB);
        assert_int_equal(kit_lease(1), 128 * MIB); /* 192M are left, and it may still want them */
        for (unsigned i = 0; i < 8; i++) {
                kit_pass(&kit, USEC_PER_SEC);
                kit_need(&kit, 1, (64 + i) * MIB);
                kit_need(&kit, 2, 46 * MIB);
                assert_int_equal(kit_lease(2), 64 * MIB);
                assert_false(kit_frozen(2));
        }
}

static void a_deadline_gives_what_the_pool_has_before_it_ends_anyone(void **state) {
        Config c = kit_pool_config(2, 384 * MIB);

        (void) state;
        c.freeze_timeout_usec = 10 * USEC_PER_SEC;
        kit_reopen(&c);
        kit_plain(&kit);
        kit_plain(&kit);
        kit_need(&kit, 1, 63 * MIB);
        kit_need(&kit, 2, 63 * MIB);
        for (unsigned i = 1; i < 10; i++) { /* 1 grows on and on */
                kit_pass(&kit, USEC_PER_SEC);
                kit_need(&kit, 1, (63 + 3 * i) * MIB);
                assert_true(kit_frozen(2));
        }
        kit_pass(&kit, USEC_PER_SEC);
        assert_int_equal(kit_lease(2), 128 * MIB);
        assert_int_equal(kit_notes(&kit, NOTE_VICTIM, 0), 0);
}

static void when_nobody_can_go_on_the_youngest_of_the_lowest_priority_is_the_victim(void **state) {
        static const struct {
                int32_t priority[3];
                uint64_t victim, next;
        } rows[] = { { { 0, 0, 0 }, 3, 1 }, { { 0, -1, 0 }, 2, 1 }, { { -2, -1, 0 }, 1, 3 }, { { -1, -1, 0 }, 2, 3 } };

        (void) state;
        for (unsigned i = 0; i < ELEMENTSOF(rows); i++) {
                Config c = kit_pool_config(3, 384 * MIB); /* the pool: 3 × 64M */

                kit_reopen(&c);
                for (int j = 0; j < 3; j++)
                        kit_submit(&kit, (QuerySpec) { .priority = rows[i].priority[j] });
                for (uint64_t id = 1; id <= 3; id++) {
                        kit_need(&kit, id, 63 * MIB);
                        kit_pass(&kit, 60 * USEC_PER_SEC); /* long at rest: nobody reckons with what comes */
                }
                assert_int_equal(kit_unused(), 0);
                kit.slow_kills = true;
                for (uint64_t id = 1; id <= 3; id++) {
                        kit_pass(&kit, 1);
                        kit_need(&kit, id, 127 * MIB);
                        assert_int_equal(kit_notes(&kit, NOTE_VICTIM, 0), id == 3);
                }
                assert_int_equal(kit_notes(&kit, NOTE_VICTIM, rows[i].victim), 1);
                assert_int_equal(kit_saw(&kit, ACTION_KILL, rows[i].victim), 1);
                kit_pass(&kit, 59 * USEC_PER_SEC); /* no second one while the first has not ended */
                assert_int_equal(kit_notes(&kit, NOTE_VICTIM, 0), 0);
                kit_report(&kit, rows[i].victim, (EndedReport) { .exit_status = -1, .exit_signal = SIGKILL }, NULL);
                assert_int_equal(kit_query(&kit, rows[i].victim)->error.code, ERROR_MEMORY_BUDGET_EXHAUSTED);
                assert_int_equal(kit_query(&kit, rows[i].victim)->verdict, VERDICT_BUDGET);
                /* Its 64M on top are the rest of the pool; the first in the line goes on with them. */
                assert_false(kit_frozen(rows[i].next));
                assert_int_equal(kit_lease(rows[i].next), 192 * MIB);
        }
}

static void a_victim_is_one_whose_end_helps(void **state) {
        Config c = kit_pool_config(3, 384 * MIB); /* the pool: 192M, all to the first */

        (void) state;
        kit_reopen(&c);
        kit_submit(&kit, (QuerySpec) { .initial_bytes = 256 * MIB });
        kit_plain(&kit);
        kit_plain(&kit);
        kit_need(&kit, 2, 63 * MIB);
        kit_need(&kit, 3, 63 * MIB);
        kit_need(&kit, 1, 255 * MIB);
        /* 2 and 3 have nothing but their slots, which stay reserved: their end would free not a byte for 1. */
        assert_int_equal(kit_state(&kit, 1), QUERY_ERRORED);
        assert_int_equal(kit_state(&kit, 2), QUERY_EXECUTING);
        assert_int_equal(kit_state(&kit, 3), QUERY_EXECUTING);
        assert_false(kit_frozen(2));
        assert_true(kit_frozen(3)); /* 2 may still need all there is */
        kit_exit(&kit, 2, 0);
        assert_false(kit_frozen(3));
}

static void who_can_never_be_paid_does_not_wait_for_it(void **state) {
        Config c = kit_pool_config(2, 512 * MIB);

        (void) state;
        kit_reopen(&c);
        kit_submit(&kit, (QuerySpec) { .initial_bytes = 448 * MIB });
        kit_plain(&kit); /* runs, and will give back nothing that is not reserved */
        kit_need(&kit, 1, 440 * MIB);
        assert_int_equal(kit_state(&kit, 1), QUERY_ERRORED);
        assert_int_equal(kit_query(&kit, 1)->verdict, VERDICT_BUDGET);
        assert_int_equal(kit_state(&kit, 2), QUERY_EXECUTING);
}

static void a_budget_of_slots_alone_ends_each_that_needs_more(void **state) {
        Config c = kit_pool_config(3, 192 * MIB);

        (void) state;
        kit_reopen(&c);
        for (int i = 0; i < 3; i++)
                kit_plain(&kit);
        kit_need(&kit, 2, 63 * MIB);
        assert_int_equal(kit_query(&kit, 2)->verdict, VERDICT_BUDGET);
        assert_int_equal(engine_count(kit.engine, QUERY_EXECUTING), 2);
}

static void the_rest_of_the_pool_goes_to_who_waits_when_nobody_else_can_go_on(void **state) {
        Config c = kit_pool_config(2, 512 * MIB); /* the pool: 384M */

        (void) state;
        kit_reopen(&c);
        kit_submit(&kit, (QuerySpec) { .initial_bytes = 256 * MIB }); /* 192M on top */
        kit_submit(&kit, (QuerySpec) { .initial_bytes = 192 * MIB, .max_bytes = 256 * MIB }); /* 64M are left */
        kit_need(&kit, 2, 191 * MIB);
        assert_int_equal(kit_lease(2), 256 * MIB);
        kit_need(&kit, 1, 255 * MIB);
        assert_true(kit_frozen(1));
        kit_exit(&kit, 2, 0); /* 1 wants 256M, there are 192M */
        assert_false(kit_frozen(1));
        assert_int_equal(kit_lease(1), 448 * MIB);
}

static void memory_on_its_way_back_is_waited_for(void **state) {
        Config c = kit_pool_config(2, 512 * MIB);

        (void) state;
        kit_reopen(&c);
        kit_submit(&kit, (QuerySpec) { .initial_bytes = 256 * MIB });
        kit_content(&kit, 256 * MIB);
        kit_need(&kit, 1, 255 * MIB);
        assert_true(kit_frozen(1));
        kit.slow_units = true;
        kit_report(&kit, 2, (EndedReport) { .numbers.residual_bytes = 180 * MIB }, NULL);
        /* What it left in its tmpfs goes with its unit, in a moment: no reason for a victim. */
        assert_true(kit_frozen(1));
        assert_int_equal(kit_state(&kit, 1), QUERY_EXECUTING);
        kit_gone(&kit, 2);
        assert_false(kit_frozen(1));
        assert_int_equal(kit_lease(1), 448 * MIB);
}

static void memory_that_never_comes_back_is_not_waited_for_for_ever(void **state) {
        Config c = kit_pool_config(2, 512 * MIB);

        (void) state;
        kit_reopen(&c);
        kit_submit(&kit, (QuerySpec) { .initial_bytes = 448 * MIB });
        kit.slow_units = true;
        kit_report(&kit, 1, (EndedReport) { .numbers.residual_bytes = 384 * MIB }, NULL);
        kit.slow_units = false;
        kit_plain(&kit);
        kit_need(&kit, 2, 63 * MIB);
        assert_true(kit_frozen(2));
        kit_pass(&kit, 60 * USEC_PER_SEC);
        assert_int_equal(kit_query(&kit, 2)->verdict, VERDICT_BUDGET);
}

static void a_freeze_has_a_deadline_to_the_microsecond(void **state) {
        (void) state;
        kit_one_has_the_pool(EXHAUSTION_FREEZE);
        kit_need(&kit, 2, 60 * MIB);
        kit_pass(&kit, 60 * USEC_PER_SEC - 1);
        assert_true(kit_frozen(2));
        assert_int_equal(kit_notes(&kit, NOTE_VICTIM, 0), 0);
        kit_pass(&kit, 1);
        assert_int_equal(kit_notes(&kit, NOTE_VICTIM, 2), 1); /* the youngest */
        assert_int_equal(kit_state(&kit, 1), QUERY_EXECUTING);
        assert_int_equal(kit_query(&kit, 2)->verdict, VERDICT_BUDGET);
        assert_int_equal(kit_query(&kit, 2)->frozen_usec, 60 * USEC_PER_SEC);
}

static void a_deadline_may_choose_another_than_who_waits(void **state) {
        Config c = kit_pool_config(2, 512 * MIB);

        (void) state;
        kit_reopen(&c);
        kit_plain(&kit);
        kit_submit(&kit, (QuerySpec) { .initial_bytes = 448 * MIB });
        kit_need(&kit, 1, 60 * MIB);
        kit_pass(&kit, 60 * USEC_PER_SEC);
        assert_int_equal(kit_query(&kit, 2)->verdict, VERDICT_BUDGET);
        assert_false(kit_frozen(1));
        assert_int_equal(kit_lease(1), 128 * MIB);
}

static void a_freeze_deadline_restarts_on_each_end_elsewhere(void **state) {
        Config c = kit_pool_config(3, 576 * MIB);

        (void) state;
        kit_reopen(&c);
        kit_submit(&kit, (QuerySpec) { .initial_bytes = 448 * MIB });
        kit_plain(&kit);
        kit_plain(&kit);
        kit_need(&kit, 2, 60 * MIB);
        kit_pass(&kit, 50 * USEC_PER_SEC);
        kit_exit(&kit, 3, 0);
        kit_pass(&kit, 60 * USEC_PER_SEC - 1);
        assert_int_equal(kit_notes(&kit, NOTE_VICTIM, 0), 0);
        kit_pass(&kit, 1);
        assert_int_equal(kit_notes(&kit, NOTE_VICTIM, 0), 1);
}

static void a_freeze_deadline_restarts_on_each_grant_elsewhere(void **state) {
        Config c = kit_pool_config(3, 576 * MIB);

        (void) state;
        kit_reopen(&c);
        kit_submit(&kit, (QuerySpec) { .initial_bytes = 448 * MIB });
        kit_plain(&kit);
        kit_submit(&kit, (QuerySpec) { .initial_bytes = 16 * MIB }); /* may grow inside its slot at any time */
        kit_need(&kit, 2, 60 * MIB);
        kit_pass(&kit, 50 * USEC_PER_SEC);
        kit_need(&kit, 3, 15 * MIB);
        assert_int_equal(kit_lease(3), 32 * MIB);
        kit_pass(&kit, 60 * USEC_PER_SEC - 1);
        assert_int_equal(kit_notes(&kit, NOTE_VICTIM, 0), 0);
        kit_pass(&kit, 1);
        assert_int_equal(kit_notes(&kit, NOTE_VICTIM, 0), 1);
}

/* Somebody comes and goes all the time: that is no reason to stay frozen for ever. */
static void progress_elsewhere_puts_a_deadline_off_four_times_its_length_at_the_most(void **state) {
        Config c = kit_pool_config(3, 576 * MIB);
        uint64_t seconds = 0;

        (void) state;
        kit_reopen(&c);
        kit_content(&kit, 448 * MIB);
        kit_plain(&kit);
        kit_need(&kit, 2, 60 * MIB);
        assert_true(kit_frozen(2));
        while (kit_frozen(2) && seconds < 1000) {
                uint64_t id = kit_plain(&kit);

                kit_pass(&kit, 30 * USEC_PER_SEC);
                seconds += 30;
                kit_exit(&kit, id, 0);
        }
        assert_in_range(seconds, 240, 300);
}

static void who_never_ran_puts_no_deadline_off(void **state) {
        (void) state;
        kit_one_has_the_pool(EXHAUSTION_FREEZE); /* both slots are taken */
        kit_need(&kit, 2, 60 * MIB);
        kit_pass(&kit, 50 * USEC_PER_SEC);
        kit_event(&kit, EVENT_CANCEL, kit_plain(&kit));
        kit_pass(&kit, 10 * USEC_PER_SEC);
        assert_int_equal(kit_notes(&kit, NOTE_VICTIM, 0), 1);
}

/* It may sleep where no signal reaches it, perhaps for ever: after FreezeTimeoutSec= nobody counts on its end any more. */
static void there_is_no_other_victim_while_the_last_one_may_still_go(void **state) {
        Config c = kit_pool_config(4, 448 * MIB); /* the pool: 192M */
        uint64_t seconds[3] = {};
        unsigned victims = 0;

        (void) state;
        kit_reopen(&c);
        for (int i = 0; i < 3; i++)
                kit_content(&kit, 128 * MIB);
        kit_submit(&kit, (QuerySpec) { .priority = 1, .allow_priority = true }); /* the others end before it */
        kit.slow_kills = true;
        kit_need(&kit, 4, 63 * MIB);
        for (uint64_t i = 1; i <= 200; i++) {
                kit_pass(&kit, USEC_PER_SEC);
                if (kit_notes(&kit, NOTE_VICTIM, 0))
                        seconds[victims++] = i;
        }
        assert_int_equal(victims, 3);
        for (unsigned i = 0; i < 3; i++)
                assert_int_equal(seconds[i], 60 * (i + 1));
}

static void who_is_being_killed_holds_up_nobody(void **state) {
        Config c = kit_pool_config(3, 640 * MIB); /* the pool: 448M */

        (void) state;
        kit_reopen(&c);
        kit_content(&kit, 448 * MIB);
        kit_plain(&kit);
        kit_need(&kit, 2, 63 * MIB);
        kit_need(&kit, 2, 127 * MIB);
        assert_true(kit_frozen(2));
        kit.slow_kills = true;
        kit_event(&kit, EVENT_CANCEL, 2);
        kit_exit(&kit, 1, 0);
        kit_content(&kit, 100 * MIB); /* a larger start asks after who waits frozen, and nobody does */
        assert_int_equal(kit_state(&kit, 3), QUERY_EXECUTING);
}

static void one_deadlock_has_one_victim_also_past_a_deadline(void **state) {
        Config c = kit_pool_config(2, 512 * MIB);

        (void) state;
        kit_reopen(&c);
        kit_submit(&kit, (QuerySpec) { .initial_bytes = 256 * MIB });
        kit_need(&kit, 1, MIB);
        kit_pass(&kit, 3 * USEC_PER_SEC);
        kit_need(&kit, 1, MIB); /* it rests: nobody reckons with it */
        kit_submit(&kit, (QuerySpec) { .initial_bytes = 256 * MIB });
        kit.slow_kills = true;
        kit_need(&kit, 1, 255 * MIB);
        kit.now_usec += 61 * USEC_PER_SEC; /* the loop was late: no tick came */
        kit_need(&kit, 2, 255 * MIB);
        assert_int_equal(kit_notes(&kit, NOTE_VICTIM, 0), 1);
        assert_true(engine_deadline(kit.engine) > kit.now_usec);
        kit_pass(&kit, 30 * USEC_PER_SEC);
        assert_int_equal(kit_notes(&kit, NOTE_VICTIM, 0), 0);
}

static void eight_that_need_most_of_the_budget_end_one_after_another(void **state) {
        Config c = kit_pool_config(8, 1024 * MIB);
        unsigned victims = 0, finished = 0;

        (void) state;
        /* Each needs 60 % of the budget, and gets it. */
        c.initial_bytes = 16 * MIB;
        kit_reopen(&c);
        for (int i = 0; i < 8; i++)
                kit_plain(&kit);
        for (unsigned round = 0; round < 1000 && engine_count(kit.engine, QUERY_EXECUTING) > 0; round++)
                for (uint64_t id = 1; id <= 8; id++) {
                        if (kit_state(&kit, id) != QUERY_EXECUTING || kit_frozen(id))
                                continue;
                        kit_pass(&kit, 1000);
                        if (kit_lease(id) >= 615 * MIB) {
                                kit_exit(&kit, id, 0);
                                finished++;
                        } else
                                kit_need(&kit, id, kit_lease(id) - 4096);
                        victims += kit_notes(&kit, NOTE_VICTIM, 0);
                }
        assert_int_equal(engine_count(kit.engine, QUERY_EXECUTING), 0);
        assert_int_equal(victims, 0);
        assert_int_equal(finished, 8);
        assert_int_equal(kit_unused(), (1024 - 8 * 16) * MIB);
}

static void a_canceled_waiter_is_killed_at_once_and_lets_the_next_go(void **state) {
        Config c = kit_pool_config(3, 640 * MIB);

        (void) state;
        kit_reopen(&c);
        kit_content(&kit, 448 * MIB); /* 64M are left */
        kit_plain(&kit);
        kit_plain(&kit);
        kit_need(&kit, 2, 63 * MIB);
        kit_need(&kit, 2, 127 * MIB);
        kit_need(&kit, 3, 63 * MIB);
        assert_true(kit_frozen(2) && kit_frozen(3));
        kit_event(&kit, EVENT_CANCEL, 2);
        assert_int_equal(kit_saw(&kit, ACTION_KILL, 2), 1);
        assert_int_equal(kit_state(&kit, 2), QUERY_CANCELED);
        assert_false(kit_frozen(3));
        assert_int_equal(kit_lease(3), 128 * MIB);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                KIT_TEST(a_thaw_comes_after_the_limit),
                KIT_TEST(who_waits_is_served_in_the_order_of_priority_and_age),
                KIT_TEST(all_that_can_be_paid_are_served_in_one_step),
                KIT_TEST(who_stands_behind_passes_a_patient_one_only),
                KIT_TEST(a_larger_start_asks_after_who_waits_frozen),
                KIT_TEST(an_end_by_timeout_serves_who_waits_though_it_comes_with_a_sample),
                KIT_TEST(nobody_is_given_what_another_needs_to_end),
                KIT_TEST(who_rests_is_not_reckoned_with),
                KIT_TEST(who_asks_does_not_rest),
                KIT_TEST(who_asks_does_not_rest_while_it_is_looked_at),
                KIT_TEST(a_deadline_gives_what_the_pool_has_before_it_ends_anyone),
                KIT_TEST(when_nobody_can_go_on_the_youngest_of_the_lowest_priority_is_the_victim),
                KIT_TEST(a_victim_is_one_whose_end_helps),
                KIT_TEST(who_can_never_be_paid_does_not_wait_for_it),
                KIT_TEST(a_budget_of_slots_alone_ends_each_that_needs_more),
                KIT_TEST(the_rest_of_the_pool_goes_to_who_waits_when_nobody_else_can_go_on),
                KIT_TEST(memory_on_its_way_back_is_waited_for),
                KIT_TEST(memory_that_never_comes_back_is_not_waited_for_for_ever),
                KIT_TEST(a_freeze_has_a_deadline_to_the_microsecond),
                KIT_TEST(who_has_waited_for_a_moment_is_no_victim_for_another),
                KIT_TEST(a_deadline_may_choose_another_than_who_waits),
                KIT_TEST(a_freeze_deadline_restarts_on_each_end_elsewhere),
                KIT_TEST(a_freeze_deadline_restarts_on_each_grant_elsewhere),
                KIT_TEST(progress_elsewhere_puts_a_deadline_off_four_times_its_length_at_the_most),
                KIT_TEST(who_never_ran_puts_no_deadline_off),
                KIT_TEST(there_is_no_other_victim_while_the_last_one_may_still_go),
                KIT_TEST(who_is_being_killed_holds_up_nobody),
                KIT_TEST(one_deadlock_has_one_victim_also_past_a_deadline),
                KIT_TEST(eight_that_need_most_of_the_budget_end_one_after_another),
                KIT_TEST(a_canceled_waiter_is_killed_at_once_and_lets_the_next_go),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
