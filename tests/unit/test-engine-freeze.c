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

static void who_waits_is_served_in_order(void **state) {
        Config c = kit_pool_config(4, 640 * MIB); /* the pool: 384M */

        (void) state;
        kit_reopen(&c);
        kit_submit(&kit, (QuerySpec) { .initial_bytes = 448 * MIB });
        for (int i = 0; i < 3; i++)
                kit_plain(&kit);
        for (unsigned i = 0; i < 3; i++) {
                static const uint64_t order[] = { 3, 2, 4 };

                kit_pass(&kit, 1);
                kit_need(&kit, order[i], 60 * MIB);
                assert_true(kit_frozen(order[i]));
        }
        /* 40M come back: too little for the first, and so for nobody else. */
        c.max_memory_bytes = 680 * MIB;
        kit_reload(&kit, &c);
        assert_true(kit_frozen(2) && kit_frozen(3) && kit_frozen(4));
        c.max_memory_bytes = 640 * MIB + 64 * MIB;
        kit_reload(&kit, &c);
        assert_false(kit_frozen(3));
        assert_true(kit_frozen(2) && kit_frozen(4));
        c.max_memory_bytes += 128 * MIB;
        kit_reload(&kit, &c);
        assert_false(kit_frozen(2) || kit_frozen(4));
}

static void all_that_can_be_paid_are_served_in_one_step(void **state) {
        Config c = kit_pool_config(3, 576 * MIB);

        (void) state;
        kit_reopen(&c);
        kit_submit(&kit, (QuerySpec) { .initial_bytes = 448 * MIB });
        kit_plain(&kit);
        kit_plain(&kit);
        kit_need(&kit, 2, 63 * MIB);
        kit_need(&kit, 3, 63 * MIB);
        kit.slow_limits = kit.slow_units = true; /* no other step follows */
        kit_exit(&kit, 1, 0);
        assert_int_equal(kit_saw(&kit, ACTION_THAW, 2), 1);
        assert_int_equal(kit_saw(&kit, ACTION_THAW, 3), 1);
}

static void nobody_overtakes_who_waits_frozen(void **state) {
        Config c = kit_pool_config(4, 640 * MIB);

        (void) state;
        kit_reopen(&c);
        kit_submit(&kit, (QuerySpec) { .initial_bytes = 400 * MIB }); /* 48M are left */
        kit_plain(&kit);
        kit_plain(&kit);
        kit_need(&kit, 2, 63 * MIB);
        assert_int_equal(kit_lease(2), 112 * MIB);
        kit_need(&kit, 2, 111 * MIB);
        assert_true(kit_frozen(2));
        c.max_memory_bytes += 48 * MIB; /* there is memory, but 2 waits for it */
        kit_reload(&kit, &c);
        kit_need(&kit, 3, 63 * MIB);
        assert_true(kit_frozen(3));
        kit_submit(&kit, (QuerySpec) { .initial_bytes = 80 * MIB });
        assert_int_equal(kit_state(&kit, 4), QUERY_QUEUEING); /* a larger start asks the pool too */
        kit_submit(&kit, (QuerySpec) { .priority = 1, .allow_priority = true });
        assert_int_equal(kit_state(&kit, 5), QUERY_EXECUTING); /* a plain one does not */
}

static void when_nobody_can_go_on_the_youngest_of_the_lowest_priority_is_the_victim(void **state) {
        static const struct {
                int32_t priority[3];
                uint64_t victim;
        } rows[] = { { { 0, 0, 0 }, 3 }, { { 0, -1, 0 }, 2 }, { { -2, -1, 0 }, 1 }, { { -1, -1, 0 }, 2 } };

        (void) state;
        for (unsigned i = 0; i < ELEMENTSOF(rows); i++) {
                Config c = kit_pool_config(3, 384 * MIB); /* the pool: 3 × 64M */

                kit_reopen(&c);
                for (int j = 0; j < 3; j++)
                        kit_submit(&kit, (QuerySpec) { .priority = rows[i].priority[j] });
                for (uint64_t id = 1; id <= 3; id++)
                        kit_need(&kit, id, 63 * MIB);
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
                assert_false(kit_frozen(rows[i].victim == 1 ? 2 : 1));
                assert_int_equal(kit_lease(rows[i].victim == 1 ? 2 : 1), 192 * MIB);
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
        assert_false(kit_frozen(2) || kit_frozen(3));
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
        kit_submit(&kit, (QuerySpec) { .initial_bytes = 192 * MIB }); /* 128M on top, 64M are left */
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
        kit_submit(&kit, (QuerySpec) { .initial_bytes = 256 * MIB });
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

static void a_victim_that_was_first_in_the_line_lets_the_next_go(void **state) {
        Config c = kit_pool_config(3, 640 * MIB); /* the pool: 448M */

        (void) state;
        kit_reopen(&c);
        kit_submit(&kit, (QuerySpec) { .initial_bytes = 336 * MIB }); /* 272M on top, 176M are left */
        kit_plain(&kit);
        kit_submit(&kit, (QuerySpec) { .initial_bytes = 240 * MIB }); /* 176M on top */
        kit_need(&kit, 3, 239 * MIB); /* wants 240M more */
        kit_pass(&kit, 1);
        kit_need(&kit, 2, 63 * MIB);
        c.max_memory_bytes += 64 * MIB; /* enough for the second in the line only */
        kit_reload(&kit, &c);
        assert_true(kit_frozen(3) && kit_frozen(2));
        kit.slow_kills = true;
        kit_pass(&kit, 60 * USEC_PER_SEC - 1);
        assert_int_equal(kit_saw(&kit, ACTION_KILL, 3), 1);
        assert_int_equal(kit_saw(&kit, ACTION_THAW, 2), 1);
        assert_int_equal(kit_lease(2), 128 * MIB);
}

static void one_deadlock_has_one_victim_also_past_a_deadline(void **state) {
        Config c = kit_pool_config(2, 512 * MIB);

        (void) state;
        kit_reopen(&c);
        kit_submit(&kit, (QuerySpec) { .initial_bytes = 256 * MIB });
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
        /* Each needs 60 % of the budget. The oldest must always finish. */
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
        assert_int_equal(finished + victims, 8);
        assert_true(finished >= 1);
        assert_int_equal(kit_state(&kit, 1), QUERY_FINISHED);
        assert_int_equal(kit_unused(), (1024 - 8 * 16) * MIB);
}

static void a_canceled_waiter_is_killed_at_once_and_lets_the_next_go(void **state) {
        Config c = kit_pool_config(3, 640 * MIB);

        (void) state;
        kit_reopen(&c);
        kit_submit(&kit, (QuerySpec) { .initial_bytes = 448 * MIB }); /* 64M are left */
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
                KIT_TEST(who_waits_is_served_in_order),
                KIT_TEST(all_that_can_be_paid_are_served_in_one_step),
                KIT_TEST(nobody_overtakes_who_waits_frozen),
                KIT_TEST(when_nobody_can_go_on_the_youngest_of_the_lowest_priority_is_the_victim),
                KIT_TEST(a_victim_is_one_whose_end_helps),
                KIT_TEST(who_can_never_be_paid_does_not_wait_for_it),
                KIT_TEST(a_budget_of_slots_alone_ends_each_that_needs_more),
                KIT_TEST(the_rest_of_the_pool_goes_to_who_waits_when_nobody_else_can_go_on),
                KIT_TEST(memory_on_its_way_back_is_waited_for),
                KIT_TEST(memory_that_never_comes_back_is_not_waited_for_for_ever),
                KIT_TEST(a_freeze_has_a_deadline_to_the_microsecond),
                KIT_TEST(a_deadline_may_choose_another_than_who_waits),
                KIT_TEST(a_freeze_deadline_restarts_on_each_end_elsewhere),
                KIT_TEST(a_freeze_deadline_restarts_on_each_grant_elsewhere),
                KIT_TEST(a_victim_that_was_first_in_the_line_lets_the_next_go),
                KIT_TEST(one_deadlock_has_one_victim_also_past_a_deadline),
                KIT_TEST(eight_that_need_most_of_the_budget_end_one_after_another),
                KIT_TEST(a_canceled_waiter_is_killed_at_once_and_lets_the_next_go),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
