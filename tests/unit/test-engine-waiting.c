/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whoever waits, frozen or at the head of the queue, is helped in the end, also when somebody does not die of his kill. */
#include "engine-kit.h"

#include <errno.h>
#include <unistd.h>

static void cap(uint64_t id, uint64_t bytes) {
        kit.n_log = 0;
        kit_step(&kit, (Event) { .type = EVENT_CAP, .query_id = id, .bytes = bytes });
}

/* Seconds until 1 is asked for a lower quota, while it needs @bytes. */
static unsigned seconds_until_lowered(uint64_t bytes, unsigned most) {
        for (unsigned i = 1; i <= most; i++) {
                kit_pass(&kit, USEC_PER_SEC);
                if (kit_saw(&kit, ACTION_SAMPLE, 1))
                        kit_need(&kit, 1, bytes);
                if (kit_saw(&kit, ACTION_LOWER, 1))
                        return i;
        }
        return UINT32_MAX;
}

/* 1 holds 64M of the pool, was killed and is still there: in an uninterruptible sleep, say. 2 holds all else. 3 waits since then. */
static void one_does_not_die(QuerySpec two) {
        Config c = kit_pool_config(3, 640 * MIB); /* the pool: 448M */

        c.cancel_grace_usec = 0;
        c.freeze_timeout_usec = 10 * USEC_PER_SEC;
        kit_reopen(&c);
        kit_content(&kit, 128 * MIB);
        two.allow_priority = true;
        two.priority = 1; /* 3 ends before it */
        kit_submit(&kit, two);
        kit_plain(&kit);
        while (kit_unused() > 0)
                kit_need(&kit, 2, kit_lease(2) - MIB);
        kit.slow_kills = true;
        kit_event(&kit, EVENT_CANCEL, 1);
        assert_int_equal(kit_saw(&kit, ACTION_KILL, 1), 1);
        kit_need(&kit, 3, 63 * MIB);
        assert_true(kit_frozen(3));
}

static void who_does_not_die_is_waited_for_as_long_as_for_others(void **state) {
        (void) state;
        one_does_not_die((QuerySpec) { .initial_bytes = 448 * MIB, .max_bytes = 448 * MIB });
        kit_pass(&kit, 10 * USEC_PER_SEC - 1);
        assert_int_equal(kit_notes(&kit, NOTE_VICTIM, 0), 0);
        kit_pass(&kit, 1);
        assert_int_equal(kit_notes(&kit, NOTE_VICTIM, 3), 1);
}

static void idle_quota_is_asked_for_while_somebody_does_not_die(void **state) {
        (void) state;
        one_does_not_die((QuerySpec) { .max_bytes = 448 * MIB });
        for (unsigned i = 1; i < 10; i++) { /* 2 grows on and on, and is far from its limit */
                kit_pass(&kit, USEC_PER_SEC);
                kit_need(&kit, 2, (255 + 3 * i) * MIB);
                assert_int_equal(kit_saw(&kit, ACTION_LOWER, 2), 0);
        }
        kit_pass(&kit, USEC_PER_SEC);
        assert_int_equal(kit_saw(&kit, ACTION_LOWER, 2), 1);
        assert_int_equal(kit_notes(&kit, NOTE_VICTIM, 0), 0);
        assert_false(kit_frozen(3));
        assert_int_equal(kit_state(&kit, 3), QUERY_EXECUTING);
}

/* His memory may come back yet, so they do not end all at once for want of hope. */
static void whose_time_is_up_ends_while_somebody_does_not_die(void **state) {
        Config c = kit_pool_config(3, 576 * MIB);
        uint64_t seconds[2] = {};
        unsigned victims = 0;

        (void) state;
        c.cancel_grace_usec = 0;
        kit_reopen(&c);
        kit_content(&kit, 448 * MIB);
        kit_plain(&kit);
        kit_plain(&kit);
        kit.slow_kills = true;
        kit_event(&kit, EVENT_CANCEL, 1);
        kit_pass(&kit, 50 * USEC_PER_SEC);
        kit_need(&kit, 2, 63 * MIB);
        kit_need(&kit, 3, 63 * MIB);
        for (uint64_t i = 1; i <= 200; i++) {
                kit_pass(&kit, USEC_PER_SEC);
                if (kit_notes(&kit, NOTE_VICTIM, 0))
                        seconds[victims++] = i;
        }
        assert_int_equal(victims, 2);
        assert_int_equal(seconds[0], 60);
        assert_int_equal(seconds[1], 120);
}

/* 1 grew to all of the pool and needs little of it any more; the next start asks for more than the usual quota. */
static void one_rests_on_the_pool(ExhaustionPolicy policy) {
        Config c = kit_config();

        c.exhaustion_policy = policy;
        kit_reopen(&c);
        kit_plain(&kit);
        while (kit_unused() > 0)
                kit_need(&kit, 1, kit_lease(1) - MIB);
        kit_need(&kit, 1, 10 * MIB);
}

static void idle_quota_goes_to_the_head_of_the_queue(void **state) {
        (void) state;
        one_rests_on_the_pool(EXHAUSTION_FREEZE);
        kit_submit(&kit, (QuerySpec) { .initial_bytes = 128 * MIB });
        kit_plain(&kit);
        assert_int_equal(kit_state(&kit, 2), QUERY_QUEUEING);
        assert_in_range(seconds_until_lowered(10 * MIB, 60), 1, 30);
        assert_int_equal(kit_state(&kit, 2), QUERY_EXECUTING);
        assert_int_equal(kit_state(&kit, 3), QUERY_EXECUTING);
        assert_true(kit_lease(1) < 832 * MIB);
        kit_pass(&kit, 100 * USEC_PER_SEC); /* then nobody is looked at any more */
        assert_int_equal(kit_saw(&kit, ACTION_LOWER, 0), 0);
        kit_pass(&kit, 100 * USEC_PER_SEC);
        assert_int_equal(kit_saw(&kit, ACTION_SAMPLE, 0), 0);
}

/* Leftovers take from what is reserved for slots as well. */
static void idle_quota_goes_to_a_head_that_asks_for_no_more_than_usual(void **state) {
        (void) state;
        one_rests_on_the_pool(EXHAUSTION_FREEZE);
        kit_step(&kit, (Event) { .type = EVENT_LEFTOVERS, .bytes = 150 * MIB });
        kit_plain(&kit);
        assert_int_equal(kit_state(&kit, 2), QUERY_QUEUEING);
        assert_in_range(seconds_until_lowered(10 * MIB, 60), 1, 30);
        assert_int_equal(kit_state(&kit, 2), QUERY_EXECUTING);
}

/* 1 has what it needs, 2 rests: what 2 could give is not enough for the head of the queue. */
static void nobody_is_lowered_for_a_head_that_it_would_not_start(void **state) {
        (void) state;
        kit_content(&kit, 512 * MIB);
        kit_plain(&kit);
        while (kit_unused() > 0)
                kit_need(&kit, 2, kit_lease(2) - MIB);
        kit_need(&kit, 2, 10 * MIB);
        kit_submit(&kit, (QuerySpec) { .initial_bytes = 448 * MIB, .max_bytes = 448 * MIB });
        for (unsigned i = 0; i < 60; i++) {
                kit_pass(&kit, USEC_PER_SEC);
                assert_int_equal(kit_saw(&kit, ACTION_LOWER, 0), 0);
                if (kit_saw(&kit, ACTION_SAMPLE, 2))
                        kit_need(&kit, 2, 10 * MIB);
                assert_int_equal(kit_saw(&kit, ACTION_LOWER, 0), 0);
        }
        kit_exit(&kit, 1, 0);
        assert_int_equal(kit_state(&kit, 3), QUERY_EXECUTING);
}

static void idle_quota_stays_where_it_would_start_nobody(void **state) {
        Config c;

        (void) state;
        one_rests_on_the_pool(EXHAUSTION_FREEZE);
        kit_event(&kit, EVENT_PAUSE, 0);
        kit_submit(&kit, (QuerySpec) { .initial_bytes = 128 * MIB });
        assert_int_equal(seconds_until_lowered(10 * MIB, 60), UINT32_MAX);
        c = kit.config;
        c.concurrency_quota = 1; /* it waits for a slot */
        kit_reload(&kit, &c);
        kit_event(&kit, EVENT_RESUME, 0);
        assert_int_equal(seconds_until_lowered(10 * MIB, 60), UINT32_MAX);
        /* What is lent under `fail` is its own: whoever needs it again is not frozen, but killed. */
        one_rests_on_the_pool(EXHAUSTION_FAIL);
        kit_submit(&kit, (QuerySpec) { .initial_bytes = 128 * MIB });
        assert_int_equal(seconds_until_lowered(10 * MIB, 60), UINT32_MAX);
        assert_int_equal(kit_state(&kit, 2), QUERY_QUEUEING);
}

/* The first has waited so long that nobody passes it any more. */
static void who_is_capped_to_what_he_has_goes_on_also_behind_others(void **state) {
        Config c = kit_pool_config(3, 576 * MIB);

        (void) state;
        kit_reopen(&c);
        kit_content(&kit, 448 * MIB);
        kit_plain(&kit);
        kit_plain(&kit);
        kit_need(&kit, 2, 63 * MIB);
        kit_need(&kit, 3, 63 * MIB);
        kit_pass(&kit, 10 * USEC_PER_SEC);
        cap(3, 64 * MIB);
        assert_true(kit_frozen(2));
        assert_false(kit_frozen(3));
        assert_int_equal(kit_action(&kit, ACTION_SET_LIMITS, 3)->limits.high_bytes, SIZE_INFINITY);
        kit_pass(&kit, 50 * USEC_PER_SEC);
        assert_int_equal(kit_notes(&kit, NOTE_VICTIM, 3), 0);
}

/* 1 has 256M, and is to be lowered to the 100M that an administrator's limit leaves it. */
static const Action *one_is_lowered_to_its_cap(void) {
        Config c = kit_config();

        kit_reopen(&c);
        kit_plain(&kit);
        kit_need(&kit, 1, 63 * MIB);
        kit_need(&kit, 1, 127 * MIB);
        kit_need(&kit, 1, 20 * MIB);
        kit_pass(&kit, 5 * USEC_PER_SEC);
        kit.slow_lowering = true;
        cap(1, 100 * MIB);
        kit_need(&kit, 1, 20 * MIB);
        return kit_action(&kit, ACTION_LOWER, 1);
}

static void the_brake_after_a_lowering_is_the_one_that_was_asked_for(void **state) {
        const Action *a = one_is_lowered_to_its_cap();

        (void) state;
        assert_int_equal(a->limits.max_bytes, 100 * MIB);
        assert_int_equal(a->limits.high_bytes, SIZE_INFINITY);
        cap(1, SIZE_INFINITY); /* lifted before it is done */
        kit_lowered(&kit, 1, 0, 100 * MIB);
        assert_int_equal(kit_query(&kit, 1)->high_bytes, SIZE_INFINITY);
        assert_int_equal(kit_saw(&kit, ACTION_SAMPLE, 1), 1);
        kit_need(&kit, 1, 20 * MIB); /* below its maximum it is to have one */
        assert_int_equal(kit_action(&kit, ACTION_SET_LIMITS, 1)->limits.max_bytes, 100 * MIB);
        assert_int_equal(kit_action(&kit, ACTION_SET_LIMITS, 1)->limits.high_bytes, 84 * MIB);
}

static void at_a_cap_that_came_meanwhile_there_is_no_brake(void **state) {
        (void) state;
        one_is_lowered_to_its_cap();
        kit_lowered(&kit, 1, -EBUSY, 256 * MIB);
        cap(1, SIZE_INFINITY);
        kit_need(&kit, 1, 20 * MIB);
        assert_true(kit_query(&kit, 1)->high_bytes < SIZE_INFINITY);
        cap(1, 256 * MIB); /* what it has: there the kernel decides */
        assert_int_equal(kit_saw(&kit, ACTION_SAMPLE, 1), 1);
        kit_need(&kit, 1, 20 * MIB);
        assert_int_equal(kit_action(&kit, ACTION_SET_LIMITS, 1)->limits.high_bytes, SIZE_INFINITY);
}

/* The pool gave a grant that is no multiple of 64K, which is what pages of the kernel may have. */
static void a_limit_that_the_kernel_rounds_to_its_pages_is_in_force(void **state) {
        Config c = kit_pool_config(2, 400 * MIB + 20 * KIB);
        Sample s = kit_anonymous(330 * MIB);

        (void) state;
        c.per_query_bytes = 400 * MIB;
        kit_reopen(&c);
        kit_plain(&kit);
        kit_need(&kit, 1, 63 * MIB);
        kit_need(&kit, 1, 127 * MIB);
        kit.slow_limits = true;
        kit_need(&kit, 1, 255 * MIB);
        assert_int_equal(kit_lease(1), 336 * MIB + 20 * KIB);
        kit_limits(&kit, 1, 0, 336 * MIB);
        c.max_memory_bytes = 800 * MIB;
        kit_reload(&kit, &c);
        kit_sample(&kit, 1, s);
        assert_int_equal(kit_lease(1), 400 * MIB);
        /* A raise that is on its way is not, nor is what somebody else wrote. */
        s.max_bytes = 336 * MIB;
        kit_sample(&kit, 1, s);
        assert_int_equal(kit_query(&kit, 1)->n_stale, 1);
        kit_limits(&kit, 1, 0, 400 * MIB);
        s.max_bytes = 400 * MIB - 4 * KIB;
        kit_sample(&kit, 1, s);
        assert_int_equal(kit_query(&kit, 1)->n_stale, 2);
}

static void assert_waits_for(uint64_t id, const char *words) {
        char buf[256];

        assert_string_equal(engine_wait_reason(kit.engine, kit_query(&kit, id), buf, sizeof(buf)), words);
}

static void who_may_not_be_compiled_yet_is_not_told_of_slots_that_are_free(void **state) {
        Config c = kit_config();

        (void) state;
        c.concurrency_quota = 1;
        c.queue_size = 100;
        kit_reopen(&c);
        kit_plain(&kit);
        for (uint64_t id = 2; id <= 19; id++) {
                kit_submit(&kit, (QuerySpec) { .has_compile = true });
                if (kit_state(&kit, id) == QUERY_COMPILING)
                        kit_compiled(&kit, id, 0);
        }
        assert_int_equal(kit_state(&kit, 17), QUERY_QUEUEING);
        assert_waits_for(18, "its turn to be compiled (16 wait with a unit for their start; ConcurrencyQuota, MaxMemoryBytes)");
        kit_event(&kit, EVENT_PAUSE, 0);
        assert_waits_for(18, "its turn to be compiled (16 wait with a unit for their start; penstockctl resume)");
        kit_event(&kit, EVENT_RESUME, 0);
        kit_exit(&kit, 1, 0); /* 2 runs, and 18 is compiled in its place, and 19 behind it */
        assert_int_equal(kit_state(&kit, 18), QUERY_COMPILING);
        assert_int_equal(kit_state(&kit, 19), QUERY_CREATED);
        assert_waits_for(19, "its turn to be compiled (16 wait with a unit for their start; ConcurrencyQuota, MaxMemoryBytes)");
        for (uint64_t id = 2; id <= 4; id++) {
                kit_exit(&kit, id, 0);
                kit_submit(&kit, (QuerySpec) { .has_compile = true });
        }
        assert_int_equal(engine_count(kit.engine, QUERY_COMPILING), 2);
        assert_waits_for(22, "a compile slot (CompileConcurrency=2)");
}

static void who_waits_for_units_to_go_is_not_told_of_memory(void **state) {
        Config c = kit_config();

        (void) state;
        c.concurrency_quota = 1;
        c.queue_size = 1;
        kit_reopen(&c);
        kit.slow_units = true;
        for (uint64_t id = 1; id <= 4; id++) {
                kit_plain(&kit);
                kit_ready(&kit, id);
                kit_exit(&kit, id, 0);
        }
        kit_plain(&kit);
        assert_int_equal(kit_state(&kit, 5), QUERY_QUEUEING);
        assert_waits_for(5, "a unit: there are 4, some of which have not gone yet");
        kit_gone(&kit, 1);
        assert_waits_for(5, "its unit to start");
        kit_submit(&kit, (QuerySpec) { .has_compile = true });
        assert_waits_for(6, "a unit: there are 4, some of which have not gone yet");
}

static void who_could_be_paid_and_is_not_is_told_for_whom_it_is_kept(void **state) {
        Config c = kit_config();

        (void) state;
        c.concurrency_quota = 3;
        c.max_memory_bytes = c.per_query_bytes = 576 * MIB; /* the pool has 384M */
        kit_reopen(&c);
        kit_submit(&kit, (QuerySpec) { .max_bytes = 448 * MIB });
        kit_need(&kit, 1, 100 * MIB);
        assert_int_equal(kit_lease(1), 256 * MIB);
        kit_submit(&kit, (QuerySpec) { .initial_bytes = 192 * MIB });
        assert_waits_for(2, "memory for an initial quota of 192M (192M unused, kept for those that must end before it; MaxMemoryBytes)");
        kit_plain(&kit); /* nothing overtakes the head */
        assert_waits_for(3, "its turn (1 ahead of it, the first waits for memory or its unit)");
}

/* Whoever lists the queries asks for each one's place, in one turn of the loop. Walked to from the front, that takes a minute here. */
static void the_places_of_a_long_line_are_soon_told(void **state) {
        const uint64_t n_waiting = 20000;
        Config c = kit_config();
        Engine *e = NULL;

        (void) state;
        c.queue_size = n_waiting;
        c.max_queries_per_user = UINT64_MAX;
        assert_int_equal(engine_new(&c, 1, &e), 0);
        alarm(30);
        for (uint64_t i = 0; i < c.concurrency_quota + n_waiting; i++) {
                const QuerySpec spec = { .uid = 1000, .language = "exec" };
                ActionList out = {};

                assert_int_equal(engine_step(e, &(Event) { .type = EVENT_REQUEST, .request = { .spec = &spec } }, 1 + i, &out), 0);
                actions_done(&out);
        }
        for (uint64_t id = 1; id <= c.concurrency_quota + n_waiting; id++) {
                uint64_t place = id <= c.concurrency_quota ? 0 : id - c.concurrency_quota;

                assert_int_equal(engine_queue_position(e, engine_find(e, id)), place);
        }
        alarm(0);
        engine_free(e);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                KIT_TEST(who_does_not_die_is_waited_for_as_long_as_for_others),
                KIT_TEST(idle_quota_is_asked_for_while_somebody_does_not_die),
                KIT_TEST(whose_time_is_up_ends_while_somebody_does_not_die),
                KIT_TEST(idle_quota_goes_to_the_head_of_the_queue),
                KIT_TEST(idle_quota_goes_to_a_head_that_asks_for_no_more_than_usual),
                KIT_TEST(nobody_is_lowered_for_a_head_that_it_would_not_start),
                KIT_TEST(idle_quota_stays_where_it_would_start_nobody),
                KIT_TEST(who_is_capped_to_what_he_has_goes_on_also_behind_others),
                KIT_TEST(the_brake_after_a_lowering_is_the_one_that_was_asked_for),
                KIT_TEST(at_a_cap_that_came_meanwhile_there_is_no_brake),
                KIT_TEST(a_limit_that_the_kernel_rounds_to_its_pages_is_in_force),
                KIT_TEST(who_may_not_be_compiled_yet_is_not_told_of_slots_that_are_free),
                KIT_TEST(who_waits_for_units_to_go_is_not_told_of_memory),
                KIT_TEST(who_could_be_paid_and_is_not_is_told_for_whom_it_is_kept),
                cmocka_unit_test(the_places_of_a_long_line_are_soon_told),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
