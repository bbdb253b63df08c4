/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a reload changes for those who run and those who wait. */
#include "engine-kit.h"

static void reopen(uint64_t quota, uint64_t queue_size) {
        Config c = kit_config();

        c.concurrency_quota = quota;
        c.queue_size = queue_size;
        kit_reopen(&c);
}

static void a_reload_with_more_slots_starts_who_waits(void **state) {
        Config c = kit_config();

        (void) state;
        reopen(1, 8);
        for (int i = 0; i < 4; i++)
                kit_plain(&kit);
        c.concurrency_quota = 3;
        kit_reload(&kit, &c);
        assert_int_equal(engine_count(kit.engine, QUERY_EXECUTING), 3);
        c.concurrency_quota = 2;
        kit_reload(&kit, &c);
        assert_int_equal(engine_count(kit.engine, QUERY_EXECUTING), 3); /* nobody is killed for it */
        kit_exit(&kit, 1, 0);
        assert_int_equal(engine_count(kit.engine, QUERY_EXECUTING), 2);
        assert_int_equal(kit_state(&kit, 4), QUERY_QUEUEING);
        kit_exit(&kit, 2, 0);
        assert_int_equal(kit_state(&kit, 4), QUERY_EXECUTING);
}

static void a_reload_gives_the_waiting_their_new_figures(void **state) {
        Config c = kit_config();

        (void) state;
        reopen(1, 8);
        kit_plain(&kit);
        kit_plain(&kit);
        c.concurrency_quota = 1;
        c.initial_bytes = 32 * MIB;
        c.per_query_bytes = 512 * MIB;
        kit_reload(&kit, &c);
        assert_int_equal(kit_query(&kit, 2)->initial_bytes, 32 * MIB);
        assert_int_equal(kit_query(&kit, 2)->max_bytes, 512 * MIB);
        assert_int_equal(kit_query(&kit, 1)->max_bytes, GIB); /* what runs keeps what it was promised */
        kit_exit(&kit, 1, 0);
        assert_int_equal(kit_query(&kit, 2)->quota_bytes, 32 * MIB);
}

static void a_reload_never_raises_a_maximum_past_its_unit(void **state) {
        Config c = kit_config();

        (void) state;
        c.concurrency_quota = 1;
        c.warm_units = 1;
        kit_reopen(&c);
        for (int i = 0; i < 3; i++)
                kit_plain(&kit);
        c.max_memory_bytes = c.per_query_bytes = 2 * GIB;
        kit_reload(&kit, &c);
        assert_int_equal(kit_query(&kit, 2)->max_bytes, GIB); /* its unit was made with a limit for 1G */
        assert_int_equal(kit_query(&kit, 3)->max_bytes, GIB);
}

static void a_reload_that_makes_a_start_impossible_ends_the_waiting(void **state) {
        Config c = kit_config();

        (void) state;
        kit_submit(&kit, (QuerySpec) { .uid = 1000, .initial_bytes = 700 * MIB });
        kit_submit(&kit, (QuerySpec) { .uid = 1000, .initial_bytes = 700 * MIB });
        kit_plain(&kit);
        assert_int_equal(kit_state(&kit, 3), QUERY_QUEUEING);
        c.max_memory_bytes = c.per_query_bytes = 512 * MIB;
        kit_reload(&kit, &c);
        assert_int_equal(kit_state(&kit, 2), QUERY_ERRORED); /* else nothing would ever run again */
        assert_int_equal(kit_query(&kit, 2)->error.code, ERROR_INVALID_ARGUMENT);
        kit_exit(&kit, 1, 0);
        assert_int_equal(kit_state(&kit, 3), QUERY_EXECUTING);
}

static void what_no_end_can_pay_for_waits_and_holds_up_nobody(void **state) {
        static const Event lacks[] = { { .type = EVENT_CAP, .bytes = GIB - MIB }, { .type = EVENT_LEFTOVERS, .bytes = MIB } };
        static const Event ends[] = { { .type = EVENT_CAP, .bytes = SIZE_INFINITY }, { .type = EVENT_LEFTOVERS, .bytes = 0 } };
        char reason[256];

        (void) state;
        for (unsigned i = 0; i < ELEMENTSOF(lacks); i++) {
                Config c = kit_config();

                kit_reopen(&c);
                kit_step(&kit, lacks[i]);
                kit_submit(&kit, (QuerySpec) { .initial_bytes = 832 * MIB }); /* all that the pool had */
                for (int j = 0; j < 5; j++)
                        kit_plain(&kit);
                assert_int_equal(kit_state(&kit, 1), QUERY_QUEUEING);
                for (uint64_t id = 2; id <= 5; id++) /* one after the other would be to be held up, too */
                        assert_int_equal(kit_state(&kit, id), QUERY_EXECUTING);
                engine_wait_reason(kit.engine, kit_query(&kit, 1), reason, sizeof(reason));
                assert_non_null(strstr(reason, "831M"));
                kit_exit(&kit, 2, 0);
                assert_int_equal(kit_state(&kit, 6), QUERY_EXECUTING);
                kit_need(&kit, 6, 60 * MIB);
                assert_int_equal(kit_lease(6), 128 * MIB);
                /* As soon as an end could pay for it it is the head again, and nobody overtakes it. */
                kit_step(&kit, ends[i]);
                kit_plain(&kit);
                for (uint64_t id = 3; id <= 6; id++) {
                        assert_int_equal(kit_state(&kit, 7), QUERY_QUEUEING);
                        kit_exit(&kit, id, 0);
                }
                assert_int_equal(kit_state(&kit, 1), QUERY_EXECUTING);
                assert_int_equal(kit_lease(1), 832 * MIB);
        }
}

static void a_smaller_budget_kills_nobody_and_shrinks_as_it_comes_back(void **state) {
        Config c = kit_config();
        const Budget *b;

        (void) state;
        kit_submit(&kit, (QuerySpec) { .initial_bytes = 512 * MIB });
        c.max_memory_bytes = c.per_query_bytes = 400 * MIB;
        kit_reload(&kit, &c);
        b = engine_budget(kit.engine);
        assert_int_equal(kit_state(&kit, 1), QUERY_EXECUTING);
        assert_int_equal(kit_lease(1), 512 * MIB);
        assert_int_equal(kit_unused(), 0);
        assert_int_equal(budget_total_bytes(b), (512 + 3 * 64) * MIB);
        assert_int_equal(budget_used_bytes(b), budget_total_bytes(b));
        kit_plain(&kit);
        assert_int_equal(kit_state(&kit, 2), QUERY_QUEUEING); /* 512M run already in a budget of 400M */
        kit_exit(&kit, 1, 0);
        assert_int_equal(budget_total_bytes(b), 400 * MIB);
        assert_int_equal(kit_unused(), 144 * MIB);
        assert_int_equal(kit_state(&kit, 2), QUERY_EXECUTING);
}

static void a_larger_budget_serves_who_waits(void **state) {
        Config c;

        (void) state;
        kit_one_has_the_pool(EXHAUSTION_FREEZE);
        kit_need(&kit, 2, 60 * MIB);
        c = kit.config;
        c.max_memory_bytes += 64 * MIB;
        kit_reload(&kit, &c);
        assert_false(kit_frozen(2));
        assert_int_equal(kit_lease(2), 128 * MIB);
}

static void another_patience_holds_for_those_who_wait_already(void **state) {
        static const struct {
                uint64_t before, after, victim_after;
        } rows[] = { { USEC_INFINITY, 10, 10 }, { 60, 10, 10 }, { 60, 100, 100 }, { 60, 60, 10 } };

        (void) state;
        for (unsigned i = 0; i < ELEMENTSOF(rows); i++) {
                Config c = kit_pool_config(2, 512 * MIB);

                c.freeze_timeout_usec = multiply_saturating(rows[i].before, USEC_PER_SEC);
                kit_reopen(&c);
                kit_content(&kit, 448 * MIB);
                kit_plain(&kit);
                kit_need(&kit, 2, 60 * MIB);
                kit_pass(&kit, 50 * USEC_PER_SEC);
                assert_true(kit_frozen(2));
                c.freeze_timeout_usec = rows[i].after * USEC_PER_SEC;
                kit_reload(&kit, &c);
                kit_pass(&kit, rows[i].victim_after * USEC_PER_SEC - 1);
                assert_int_equal(kit_notes(&kit, NOTE_VICTIM, 0), 0);
                kit_pass(&kit, 1);
                assert_int_equal(kit_notes(&kit, NOTE_VICTIM, 2), 1);
        }
        kit_one_has_the_pool(EXHAUSTION_FREEZE);
        kit_need(&kit, 2, 60 * MIB);
        kit.config.freeze_timeout_usec = USEC_INFINITY;
        kit_reload(&kit, &kit.config);
        kit_pass(&kit, 1000 * USEC_PER_SEC);
        assert_true(kit_frozen(2));
}

static void a_reload_to_fail_forgets_nobody_who_is_frozen(void **state) {
        Config c;

        (void) state;
        kit_one_has_the_pool(EXHAUSTION_FREEZE);
        kit_need(&kit, 2, 60 * MIB);
        c = kit.config;
        c.exhaustion_policy = EXHAUSTION_FAIL;
        kit_reload(&kit, &c);
        kit_exit(&kit, 1, 0);
        assert_false(kit_frozen(2));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                KIT_TEST(a_reload_with_more_slots_starts_who_waits),
                KIT_TEST(a_reload_gives_the_waiting_their_new_figures),
                KIT_TEST(a_reload_never_raises_a_maximum_past_its_unit),
                KIT_TEST(a_reload_that_makes_a_start_impossible_ends_the_waiting),
                KIT_TEST(what_no_end_can_pay_for_waits_and_holds_up_nobody),
                KIT_TEST(a_smaller_budget_kills_nobody_and_shrinks_as_it_comes_back),
                KIT_TEST(a_larger_budget_serves_who_waits),
                KIT_TEST(another_patience_holds_for_those_who_wait_already),
                KIT_TEST(a_reload_to_fail_forgets_nobody_who_is_frozen),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
