/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Idle quota that is taken back for those who wait; an administrator's cap; leftovers of the slice. */
#include "engine-kit.h"

#include <errno.h>

/* 1 grew to 448M of its maximum of 448M; 2 waits frozen for 64M more, for so long. */
static void one_holds_and_one_waits_for(uint64_t freeze_timeout_usec) {
        Config c = kit_pool_config(2, 512 * MIB);

        c.freeze_timeout_usec = freeze_timeout_usec;
        kit_reopen(&c);
        kit_submit(&kit, (QuerySpec) { .max_bytes = 448 * MIB });
        kit_plain(&kit);
        for (uint64_t lease = 64; lease < 448; lease = kit_lease(1) / MIB)
                kit_need(&kit, 1, kit_lease(1) - MIB);
        kit_need(&kit, 2, 63 * MIB);
        assert_true(kit_frozen(2));
}

static void one_holds_and_one_waits(void) {
        one_holds_and_one_waits_for(60 * USEC_PER_SEC);
}

/* Let time pass, and 1 need @bytes each time it is looked at, until its quota is to be lowered. False: never. */
static bool looked_at_until_asked(uint64_t bytes) {
        for (unsigned i = 0; i < 300; i++) {
                kit_pass(&kit, 100 * USEC_PER_MSEC);
                if (kit_saw(&kit, ACTION_SAMPLE, 1))
                        kit_need(&kit, 1, bytes);
                if (kit_saw(&kit, ACTION_LOWER, 1))
                        return true;
        }
        return false;
}

static void idle_quota_goes_to_who_waits(void **state) {
        const Action *a;

        (void) state;
        one_holds_and_one_waits();
        kit.slow_lowering = true;
        assert_true(looked_at_until_asked(100 * MIB));
        a = kit_action(&kit, ACTION_LOWER, 1);
        /* It needed 255M a moment ago, so it keeps what that needs. */
        assert_true(a->limits.max_bytes >= 255 * MIB / 8 * 9 && a->limits.max_bytes < 340 * MIB);
        assert_true(a->limits.high_bytes < a->limits.max_bytes && a->limits.high_bytes > 255 * MIB);
        assert_int_equal(kit_lease(1), 448 * MIB); /* the ledger last */
        assert_true(kit_frozen(2));
        kit_lowered(&kit, 1, 0, a->limits.max_bytes);
        assert_true(kit_lease(1) < 448 * MIB);
        assert_int_equal(kit_notes(&kit, NOTE_LOWERED, 1), 1);
        assert_false(kit_frozen(2));
        assert_int_equal(kit_lease(2), 128 * MIB);
        /* Near its limit it is content … */
        kit_need(&kit, 1, 100 * MIB);
        assert_int_equal(kit_saw(&kit, ACTION_SET_LIMITS, 1), 0);
        /* … until it needs more. */
        kit_need(&kit, 1, kit_lease(1) - MIB);
        assert_true(kit_lease(1) > 200 * MIB);
}

static void what_does_not_fit_is_let_alone_for_a_while(void **state) {
        (void) state;
        one_holds_and_one_waits();
        kit.slow_lowering = true;
        assert_true(looked_at_until_asked(100 * MIB));
        kit_lowered(&kit, 1, -EBUSY, 448 * MIB);
        assert_int_equal(kit_lease(1), 448 * MIB);
        assert_int_equal(kit_saw(&kit, ACTION_SAMPLE, 1), 1); /* it may have met its limit meanwhile */
        kit_need(&kit, 1, 100 * MIB);
        assert_int_equal(kit_saw(&kit, ACTION_LOWER, 1), 0);
        assert_true(looked_at_until_asked(100 * MIB));
}

static void nobody_is_lowered_to_what_it_needs_or_when_nobody_waits(void **state) {
        (void) state;
        one_holds_and_one_waits();
        assert_false(looked_at_until_asked(420 * MIB));
        kit_event(&kit, EVENT_CANCEL, 2);
        assert_false(looked_at_until_asked(100 * MIB));
}

static void a_growing_one_is_no_donor(void **state) {
        uint64_t need = 255 * MIB;

        (void) state;
        one_holds_and_one_waits();
        for (unsigned i = 0; i < 30; i++) {
                kit_pass(&kit, 500 * USEC_PER_MSEC);
                kit_need(&kit, 1, need += 5 * MIB);
                assert_int_equal(kit_saw(&kit, ACTION_LOWER, 1), 0);
        }
}

static void idle_quota_goes_before_a_victim_also_of_one_that_does_not_rest(void **state) {
        (void) state;
        one_holds_and_one_waits_for(10 * USEC_PER_SEC);
        for (unsigned i = 1; i < 10; i++) { /* 1 grows on and on, and is far from its limit */
                kit_pass(&kit, USEC_PER_SEC);
                kit_need(&kit, 1, (255 + 3 * i) * MIB);
                assert_int_equal(kit_saw(&kit, ACTION_LOWER, 1), 0);
        }
        kit_pass(&kit, USEC_PER_SEC);
        assert_int_equal(kit_saw(&kit, ACTION_LOWER, 1), 1);
        assert_int_equal(kit_notes(&kit, NOTE_VICTIM, 0), 0);
        assert_int_equal(kit_lease(2), 128 * MIB);
}

/* 1 creeps on, so it does not rest, and has much more than it needs; but the kernel can't take it back. */
static void a_donor_that_cannot_give_puts_a_victim_off_once(void **state) {
        unsigned asked = 0, seconds = 0, victims = 0;
        uint64_t need = 20 * MIB;

        (void) state;
        one_holds_and_one_waits_for(90 * USEC_PER_SEC);
        kit.slow_lowering = true;
        for (; victims == 0 && seconds < 400; seconds++) {
                kit_pass(&kit, USEC_PER_SEC);
                victims = kit_notes(&kit, NOTE_VICTIM, 0);
                if (kit_query(&kit, 1)->lowering) {
                        asked += kit_query(&kit, 1)->lowering_urgent;
                        kit_lowered(&kit, 1, -EBUSY, 448 * MIB);
                }
                kit_need(&kit, 1, need += need / 100);
        }
        assert_int_equal(victims, 1);
        assert_int_equal(asked, 1);
        assert_int_equal(seconds, 180);
        /* Whoever waits next has the same hope as that one had. */
        assert_int_equal(kit_query(&kit, 2)->verdict, VERDICT_BUDGET);
        kit_plain(&kit);
        kit_need(&kit, 3, 60 * MIB);
        for (seconds = 0; seconds < 90; seconds++) {
                assert_true(kit_frozen(3));
                kit_need(&kit, 1, need += need / 100);
                kit_pass(&kit, USEC_PER_SEC);
        }
        assert_int_equal(kit_notes(&kit, NOTE_VICTIM, 0), 0);
        assert_true(kit_query(&kit, 1)->lowering_urgent);
        /* This time it does not even say so. */
        kit_pass(&kit, 90 * USEC_PER_SEC - 1);
        assert_true(kit_frozen(3));
        kit_pass(&kit, 1);
        assert_int_equal(kit_notes(&kit, NOTE_VICTIM, 3), 1);
}

static void a_donor_keeps_the_cache_that_it_was_raised_for(void **state) {
        Sample s = kit_anonymous(20 * MIB);
        Config c = kit_pool_config(2, 320 * MIB);

        (void) state;
        kit_reopen(&c);
        kit_submit(&kit, (QuerySpec) { .max_bytes = 256 * MIB });
        kit_plain(&kit);
        s.high_bytes = 64 * MIB;
        kit_sample(&kit, 1, s);
        for (uint64_t lease = 64; lease < 256; lease = kit_lease(1) / MIB) {
                kit_pass(&kit, USEC_PER_SEC);
                s.stall_some_usec += 400 * USEC_PER_MSEC;
                s.workingset_refault_file += 100000;
                s.inactive_file_bytes = kit_lease(1) - 40 * MIB;
                s.current_bytes = s.high_bytes = s.max_bytes = kit_lease(1);
                kit_sample(&kit, 1, s);
        }
        kit_need(&kit, 2, 63 * MIB);
        assert_true(kit_frozen(2));
        /* Its need is 20M, and its cache, when it last asked, was 88M; it has more now. */
        s.high_bytes = s.max_bytes = kit_lease(1);
        kit.slow_lowering = true;
        for (unsigned i = 0; i < 300 && !kit_saw(&kit, ACTION_LOWER, 1); i++) {
                kit_pass(&kit, 100 * USEC_PER_MSEC);
                if (kit_saw(&kit, ACTION_SAMPLE, 1))
                        kit_sample(&kit, 1, s);
        }
        assert_true(kit_action(&kit, ACTION_LOWER, 1)->limits.max_bytes >= (20 + 88) * MIB);
}

static void a_kill_while_it_is_lowered_is_the_end_of_it(void **state) {
        (void) state;
        one_holds_and_one_waits();
        kit.slow_lowering = true;
        assert_true(looked_at_until_asked(100 * MIB));
        kit.config.cancel_grace_usec = 0;
        kit_reload(&kit, &kit.config);
        kit_event(&kit, EVENT_CANCEL, 1);
        assert_int_equal(kit_state(&kit, 1), QUERY_CANCELED);
        assert_false(kit_frozen(2));
        kit_lowered(&kit, 1, -ENODEV, 0);
        assert_int_equal(kit_state(&kit, 1), QUERY_CANCELED);
}

static void a_raise_waits_while_it_is_lowered(void **state) {
        (void) state;
        one_holds_and_one_waits();
        kit.slow_lowering = true;
        assert_true(looked_at_until_asked(100 * MIB));
        kit_need(&kit, 1, 440 * MIB); /* it grew at the very moment */
        assert_int_equal(kit_saw(&kit, ACTION_SET_LIMITS, 1), 0);
        assert_int_equal(kit_saw(&kit, ACTION_FREEZE, 1), 0);
        kit_lowered(&kit, 1, -EBUSY, 448 * MIB);
        assert_int_equal(kit_saw(&kit, ACTION_SAMPLE, 1), 1);
}

static void the_time_of_giving_is_frozen_time_whatever_comes_of_it(void **state) {
        Config c = kit_pool_config(3, 576 * MIB);
        EndedReport killed = { .exit_status = -1, .exit_signal = SIGKILL, .results_empty = true };
        uint64_t since;

        (void) state;
        c.retry_on_exhaustion = true;
        for (unsigned retried = 0; retried < 2; retried++) {
                kit_reopen(&c);
                kit_submit(&kit, (QuerySpec) { .max_bytes = 448 * MIB, .timeout_usec = 30 * USEC_PER_SEC, .priority = -1,
                                               .may_retry = true });
                kit_plain(&kit);
                kit_content(&kit, 256 * MIB);
                for (uint64_t lease = 64; lease < 256; lease = kit_lease(1) / MIB)
                        kit_need(&kit, 1, kit_lease(1) - MIB);
                kit_need(&kit, 2, 63 * MIB);
                kit.slow_lowering = true;
                assert_true(looked_at_until_asked(100 * MIB));
                since = kit_query(&kit, 1)->lowering_since_usec;
                kit_pass(&kit, 50 * USEC_PER_SEC); /* its timeout does not run meanwhile */
                assert_int_equal(kit_state(&kit, 1), QUERY_EXECUTING);
                assert_int_equal(kit_saw(&kit, ACTION_TERMINATE, 1), 0);
                kit.slow_kills = true;
                if (retried)
                        kit_pass(&kit, 120 * USEC_PER_SEC); /* it never answers, and is a victim */
                kit_report(&kit, 1, retried ? killed : (EndedReport) { .exit_status = 0 }, NULL);
                assert_int_equal(kit_query(&kit, 1)->n_retries, retried);
                assert_int_equal(kit_query(&kit, 1)->frozen_usec, kit.now_usec - since);
                assert_int_equal(query_frozen_usec(kit_query(&kit, 1), kit.now_usec + USEC_PER_SEC), kit.now_usec - since);
        }
}

static void a_cap_is_a_maximum(void **state) {
        (void) state;
        kit_plain(&kit);
        kit_step(&kit, (Event) { .type = EVENT_CAP, .query_id = 1, .bytes = 100 * MIB });
        kit_need(&kit, 1, 63 * MIB);
        assert_int_equal(kit_lease(1), 100 * MIB);
        assert_int_equal(kit_action(&kit, ACTION_SET_LIMITS, 1)->limits.high_bytes, SIZE_INFINITY);
        kit_need(&kit, 1, 99 * MIB);
        assert_int_equal(kit_lease(1), 100 * MIB);
        assert_false(kit_frozen(1));
        kit_report(&kit, 1, (EndedReport) { .exit_status = -1, .exit_signal = SIGKILL,
                                            .numbers = { .memory_peak_bytes = 100 * MIB, .events_oom = 1, .events_oom_kill = 1 } },
                   NULL);
        assert_int_equal(kit_query(&kit, 1)->verdict, VERDICT_SLICE);
}

static void a_cap_below_the_quota_lowers_it_and_is_lifted_again(void **state) {
        (void) state;
        kit_plain(&kit);
        kit_need(&kit, 1, 63 * MIB);
        kit_need(&kit, 1, 127 * MIB);
        assert_int_equal(kit_lease(1), 256 * MIB);
        kit.slow_lowering = true;
        kit_pass(&kit, USEC_PER_SEC);
        kit.n_log = 0;
        kit_step(&kit, (Event) { .type = EVENT_CAP, .query_id = 1, .bytes = 100 * MIB + 5 });
        assert_int_equal(kit_saw(&kit, ACTION_LOWER, 0), 0); /* it is looked at first */
        assert_true(kit_saw(&kit, ACTION_SAMPLE, 1) >= 1);
        kit_need(&kit, 1, 60 * MIB);
        assert_int_equal(kit_action(&kit, ACTION_LOWER, 1)->limits.max_bytes, 100 * MIB);
        kit_lowered(&kit, 1, 0, 100 * MIB);
        assert_int_equal(kit_lease(1), 100 * MIB);
        kit_need(&kit, 1, 99 * MIB);
        assert_int_equal(kit_lease(1), 100 * MIB);
        kit_step(&kit, (Event) { .type = EVENT_CAP, .query_id = 1, .bytes = SIZE_INFINITY });
        kit_need(&kit, 1, 99 * MIB);
        assert_int_equal(kit_lease(1), 200 * MIB);
}

static void a_cap_that_its_need_does_not_fit_takes_nothing(void **state) {
        (void) state;
        kit_plain(&kit);
        kit_need(&kit, 1, 63 * MIB);
        kit_pass(&kit, USEC_PER_SEC);
        kit_step(&kit, (Event) { .type = EVENT_CAP, .query_id = 1, .bytes = 80 * MIB });
        kit_need(&kit, 1, 120 * MIB);
        assert_int_equal(kit_saw(&kit, ACTION_LOWER, 0), 0);
        assert_int_equal(kit_lease(1), 128 * MIB);
}

static void who_waits_and_is_capped_to_what_he_has_goes_on(void **state) {
        (void) state;
        kit_one_has_the_pool(EXHAUSTION_FREEZE);
        kit_need(&kit, 2, 63 * MIB);
        assert_true(kit_frozen(2));
        kit.n_log = 0;
        kit_step(&kit, (Event) { .type = EVENT_CAP, .query_id = 2, .bytes = 64 * MIB });
        assert_false(kit_frozen(2));
        assert_int_equal(kit_lease(2), 64 * MIB);
        assert_int_equal(kit_action(&kit, ACTION_SET_LIMITS, 2)->limits.high_bytes, SIZE_INFINITY);

        kit_one_has_the_pool(EXHAUSTION_FREEZE);
        kit_need(&kit, 2, 63 * MIB);
        kit_step(&kit, (Event) { .type = EVENT_CAP, .query_id = 2, .bytes = 80 * MIB });
        kit_exit(&kit, 1, 0);
        assert_int_equal(kit_lease(2), 80 * MIB);
}

static void a_cap_is_applied_at_last(void **state) {
        unsigned asked = 0;

        (void) state;
        kit_plain(&kit);
        kit_need(&kit, 1, 63 * MIB);
        kit_need(&kit, 1, 127 * MIB);
        kit.slow_lowering = true;
        kit_pass(&kit, USEC_PER_SEC);
        kit_step(&kit, (Event) { .type = EVENT_CAP, .query_id = 1, .bytes = 100 * MIB });
        for (unsigned i = 0; i < 1200 && asked < 4; i++) { /* refused three times, and nobody waits */
                kit_pass(&kit, 100 * USEC_PER_MSEC);
                if (kit_saw(&kit, ACTION_SAMPLE, 1))
                        kit_need(&kit, 1, 60 * MIB);
                if (kit_saw(&kit, ACTION_LOWER, 1) && ++asked < 4)
                        kit_lowered(&kit, 1, -EBUSY, 256 * MIB);
        }
        assert_int_equal(asked, 4);
        assert_true(kit_query(&kit, 1)->lower_pause_usec >= 8 * USEC_PER_SEC); /* less and less often */
        kit_lowered(&kit, 1, 0, 100 * MIB);
        kit_need(&kit, 1, 60 * MIB);
        assert_int_equal(kit_lease(1), 100 * MIB);
        kit_pass(&kit, 10 * USEC_PER_SEC);
        assert_int_equal(kit_saw(&kit, ACTION_SAMPLE, 1), 0); /* and then it is let alone */
}

static void only_one_is_lowered_at_a_time_and_its_time_is_booked(void **state) {
        Config c = kit_pool_config(3, 768 * MIB); /* the pool: 576M */
        unsigned asked = 0;

        (void) state;
        kit_reopen(&c);
        kit_content(&kit, 352 * MIB);
        kit_content(&kit, 352 * MIB);
        kit_plain(&kit);
        kit_need(&kit, 1, 20 * MIB);
        kit_need(&kit, 2, 20 * MIB);
        kit_need(&kit, 3, 63 * MIB);
        kit.slow_lowering = true;
        for (unsigned i = 0; i < 300 && asked == 0; i++) {
                kit_pass(&kit, 100 * USEC_PER_MSEC);
                for (uint64_t id = 1; id <= 2; id++)
                        if (kit_saw(&kit, ACTION_SAMPLE, id) && asked == 0) {
                                kit_need(&kit, id, 20 * MIB);
                                asked += kit_saw(&kit, ACTION_LOWER, 0);
                        }
        }
        assert_int_equal(asked, 0); /* a content one asked for its initial quota: that is its own */
        kit_reopen(&c);
        for (int i = 0; i < 2; i++)
                kit_submit(&kit, (QuerySpec) { .max_bytes = 352 * MIB });
        kit_plain(&kit);
        for (uint64_t id = 1; id <= 2; id++)
                for (uint64_t need = 60; need < 352; need += 60)
                        kit_need(&kit, id, need * MIB);
        kit_need(&kit, 3, 63 * MIB);
        assert_true(kit_frozen(3));
        kit.slow_lowering = true;
        for (unsigned i = 0; i < 300 && asked == 0; i++) {
                kit_pass(&kit, 100 * USEC_PER_MSEC);
                for (uint64_t id = 1; id <= 2 && asked == 0; id++)
                        if (kit_query(&kit, id)->sampled_usec + USEC_PER_SEC / 4 < kit.now_usec) {
                                kit_need(&kit, id, 20 * MIB);
                                asked += kit_saw(&kit, ACTION_LOWER, 0);
                        }
        }
        assert_int_equal(asked, 1);
        kit_pass(&kit, 3 * USEC_PER_SEC);
        kit_need(&kit, 2, 20 * MIB);
        assert_int_equal(kit_saw(&kit, ACTION_LOWER, 0), 0);
        for (uint64_t id = 1; id <= 2; id++)
                if (kit_query(&kit, id)->lowering && asked > 0) {
                        asked = 0; /* of the other one it may be asked now */
                        kit_lowered(&kit, id, -EBUSY, 352 * MIB);
                        assert_int_equal(kit_query(&kit, id)->frozen_usec, 3 * USEC_PER_SEC);
                }
}

static void a_raise_lowers_no_brake(void **state) {
        Sample s = kit_anonymous(54 * MIB);
        Config c = kit_pool_config(2, 138 * MIB); /* the pool: 10M */

        (void) state;
        c.per_query_bytes = 138 * MIB;
        kit_reopen(&c);
        kit_plain(&kit);
        s.pids = 64;
        kit_sample(&kit, 1, s);
        assert_int_equal(kit_lease(1), 74 * MIB);
        assert_int_equal(kit_action(&kit, ACTION_SET_LIMITS, 1)->limits.high_bytes, 48 * MIB);
}

static void a_limit_that_somebody_else_wrote_is_written_again(void **state) {
        Sample s = kit_anonymous(20 * MIB);
        unsigned written = 0;

        (void) state;
        kit_plain(&kit);
        kit_need(&kit, 1, 63 * MIB);
        s.max_bytes = 64 * MIB;
        for (int i = 0; i < 5; i++) {
                kit_sample(&kit, 1, s);
                written += kit_saw(&kit, ACTION_SET_LIMITS, 1);
        }
        assert_int_equal(written, 1);
        assert_int_equal(kit_action(&kit, ACTION_SET_LIMITS, 1)->limits.max_bytes, 128 * MIB);
}

static void the_hosts_shortage_ends_nobody(void **state) {
        uint64_t stalled = 0;
        Sample s = kit_anonymous(70 * MIB);

        (void) state;
        kit_content(&kit, 512 * MIB);
        for (int i = 0; i < 60; i++) {
                kit_pass(&kit, USEC_PER_SEC);
                s.stall_some_usec = s.stall_full_usec = stalled += 950 * USEC_PER_MSEC;
                s.workingset_refault_file += 50000;
                s.current_bytes = 80 * MIB;
                s.high_bytes = s.max_bytes = 512 * MIB;
                kit_sample(&kit, 1, s);
        }
        assert_int_equal(kit_state(&kit, 1), QUERY_EXECUTING);
}

static void a_cap_of_the_slice_is_a_smaller_budget(void **state) {
        (void) state;
        kit_plain(&kit);
        kit_step(&kit, (Event) { .type = EVENT_CAP, .bytes = 300 * MIB });
        assert_int_equal(kit_unused(), 44 * MIB);
        kit_reload(&kit, &kit.config); /* a reload does not forget it */
        assert_int_equal(kit_unused(), 44 * MIB);
        kit_need(&kit, 1, 63 * MIB);
        kit_need(&kit, 1, 107 * MIB); /* more than that leaves it */
        assert_int_equal(kit_query(&kit, 1)->verdict, VERDICT_SLICE);
        assert_non_null(strstr(kit_query(&kit, 1)->error.message, "penstock.slice leaves a budget of 300M"));
        kit_step(&kit, (Event) { .type = EVENT_CAP, .bytes = SIZE_INFINITY });
        assert_int_equal(kit_unused(), 768 * MIB);
}

/* Any number of slots, and an administrator's word: then an end frees the slot as well. */
static void a_cap_of_an_unlimited_budget_is_waited_under_for_any_end(void **state) {
        Config c = kit_config();

        (void) state;
        c.concurrency_quota = UINT64_MAX;
        c.queue_size = 0;
        c.max_memory_bytes = SIZE_INFINITY;
        kit_reopen(&c);
        kit_plain(&kit);
        kit_plain(&kit);
        kit_step(&kit, (Event) { .type = EVENT_CAP, .bytes = 200 * MIB });
        kit_need(&kit, 1, 63 * MIB);
        assert_int_equal(kit_lease(1), 128 * MIB);
        kit_need(&kit, 1, 127 * MIB);
        assert_true(kit_frozen(1));
        assert_int_equal(kit_lease(1), 128 * MIB); /* not the last 8M: nobody is stuck */
        kit_exit(&kit, 2, 0);
        assert_false(kit_frozen(1));
        assert_int_equal(kit_lease(1), 200 * MIB);
}

static void a_budget_without_room_for_a_start_says_whose_word_that_is(void **state) {
        char reason[256];

        (void) state;
        kit_step(&kit, (Event) { .type = EVENT_CAP, .bytes = 0 });
        kit_plain(&kit);
        assert_int_equal(kit_state(&kit, 1), QUERY_QUEUEING);
        engine_wait_reason(kit.engine, kit_query(&kit, 1), reason, sizeof(reason));
        assert_non_null(strstr(reason, "administrator's MemoryMax of penstock.slice"));
        kit_step(&kit, (Event) { .type = EVENT_CAP, .bytes = SIZE_INFINITY });
        assert_int_equal(kit_state(&kit, 1), QUERY_EXECUTING);
}

static void leftovers_of_the_slice_are_no_part_of_the_pool(void **state) {
        (void) state;
        kit_one_has_the_pool(EXHAUSTION_FREEZE);
        kit_step(&kit, (Event) { .type = EVENT_LEFTOVERS, .bytes = 380 * MIB });
        kit_exit(&kit, 1, 0);
        assert_int_equal(kit_unused(), 4 * MIB);
        /* Those of units that are going count beside it. */
        kit_plain(&kit);
        kit.slow_units = true;
        kit_report(&kit, 3, (EndedReport) { .numbers.residual_bytes = 3 * MIB }, NULL);
        assert_int_equal(kit_unused(), MIB);
        kit_gone(&kit, 3);
        assert_int_equal(kit_unused(), 4 * MIB);
        kit_step(&kit, (Event) { .type = EVENT_LEFTOVERS });
        kit_plain(&kit);
        assert_int_equal(budget_held_bytes(engine_budget(kit.engine)), 128 * MIB);
}

/* Only waiting, for pages it had before; the kernel would let it go on for ever. */
static void thrash(uint64_t id, uint64_t *stalled_usec, uint64_t *refaulted) {
        Sample s = kit_anonymous(4 * MIB);

        kit_pass(&kit, USEC_PER_SEC);
        s.stall_some_usec = s.stall_full_usec = *stalled_usec += 950 * USEC_PER_MSEC;
        s.workingset_refault_file = *refaulted += 3000;
        s.current_bytes = s.high_bytes = s.max_bytes = kit_query(&kit, id)->quota_bytes;
        kit_sample(&kit, id, s);
}

static void thrashing_at_the_maximum_is_ended(void **state) {
        uint64_t stalled = 0, refaulted = 0, seconds = 0;

        (void) state;
        kit_content(&kit, 64 * MIB);
        while (kit_state(&kit, 1) == QUERY_EXECUTING && seconds++ < 60)
                thrash(1, &stalled, &refaulted);
        assert_in_range(seconds, 10, 13);
        assert_int_equal(kit_query(&kit, 1)->verdict, VERDICT_MAXIMUM);
        assert_int_equal(kit_query(&kit, 1)->error.code, ERROR_MEMORY_LIMIT_EXCEEDED);
}

static void thrashing_at_a_cap_is_the_administrators_end(void **state) {
        uint64_t stalled = 0, refaulted = 0;

        (void) state;
        kit_plain(&kit);
        kit_step(&kit, (Event) { .type = EVENT_CAP, .query_id = 1, .bytes = 64 * MIB });
        for (int i = 0; i < 20 && kit_state(&kit, 1) == QUERY_EXECUTING; i++)
                thrash(1, &stalled, &refaulted);
        assert_int_equal(kit_query(&kit, 1)->verdict, VERDICT_SLICE);
        assert_int_equal(kit_query(&kit, 1)->error.code, ERROR_MEMORY_BUDGET_EXHAUSTED);
}

static void thrashing_below_it_is_raised_or_waits_or_is_the_budgets_end(void **state) {
        uint64_t stalled = 0, refaulted = 0;

        (void) state;
        kit_plain(&kit);
        for (int i = 0; i < 20 && kit_lease(1) < 256 * MIB; i++)
                thrash(1, &stalled, &refaulted);
        assert_int_equal(kit_lease(1), 256 * MIB);

        kit_one_has_the_pool(EXHAUSTION_FREEZE);
        for (int i = 0; i < 20 && !kit_frozen(2); i++)
                thrash(2, &stalled, &refaulted);
        assert_true(kit_frozen(2));

        kit_one_has_the_pool(EXHAUSTION_FAIL);
        for (int i = 0; i < 20 && kit_state(&kit, 2) == QUERY_EXECUTING; i++)
                thrash(2, &stalled, &refaulted);
        assert_int_equal(kit_query(&kit, 2)->verdict, VERDICT_BUDGET);
}

static void a_sample_of_another_limit_than_is_in_force_decides_nothing(void **state) {
        Sample s = kit_anonymous(63 * MIB);

        (void) state;
        kit_plain(&kit);
        kit.slow_limits = true;
        kit_need(&kit, 1, 63 * MIB);
        assert_int_equal(kit_lease(1), 128 * MIB);
        s.anon_bytes = s.active_anon_bytes = 127 * MIB;
        s.max_bytes = 64 * MIB;
        kit_sample(&kit, 1, s);
        assert_int_equal(kit_lease(1), 128 * MIB);
        assert_int_equal(engine_deadline(kit.engine), kit.now_usec + GOVERNOR_SAMPLE_MIN_USEC); /* soon again */
}

int main(void) {
        const struct CMUnitTest tests[] = {
                KIT_TEST(idle_quota_goes_to_who_waits),
                KIT_TEST(what_does_not_fit_is_let_alone_for_a_while),
                KIT_TEST(nobody_is_lowered_to_what_it_needs_or_when_nobody_waits),
                KIT_TEST(a_growing_one_is_no_donor),
                KIT_TEST(idle_quota_goes_before_a_victim_also_of_one_that_does_not_rest),
                KIT_TEST(a_donor_that_cannot_give_puts_a_victim_off_once),
                KIT_TEST(a_donor_keeps_the_cache_that_it_was_raised_for),
                KIT_TEST(a_kill_while_it_is_lowered_is_the_end_of_it),
                KIT_TEST(a_raise_waits_while_it_is_lowered),
                KIT_TEST(the_time_of_giving_is_frozen_time_whatever_comes_of_it),
                KIT_TEST(a_cap_is_a_maximum),
                KIT_TEST(a_cap_below_the_quota_lowers_it_and_is_lifted_again),
                KIT_TEST(a_cap_that_its_need_does_not_fit_takes_nothing),
                KIT_TEST(who_waits_and_is_capped_to_what_he_has_goes_on),
                KIT_TEST(a_cap_is_applied_at_last),
                KIT_TEST(only_one_is_lowered_at_a_time_and_its_time_is_booked),
                KIT_TEST(a_raise_lowers_no_brake),
                KIT_TEST(a_limit_that_somebody_else_wrote_is_written_again),
                KIT_TEST(the_hosts_shortage_ends_nobody),
                KIT_TEST(a_cap_of_the_slice_is_a_smaller_budget),
                KIT_TEST(a_cap_of_an_unlimited_budget_is_waited_under_for_any_end),
                KIT_TEST(a_budget_without_room_for_a_start_says_whose_word_that_is),
                KIT_TEST(leftovers_of_the_slice_are_no_part_of_the_pool),
                KIT_TEST(thrashing_at_the_maximum_is_ended),
                KIT_TEST(thrashing_at_a_cap_is_the_administrators_end),
                KIT_TEST(thrashing_below_it_is_raised_or_waits_or_is_the_budgets_end),
                KIT_TEST(a_sample_of_another_limit_than_is_in_force_decides_nothing),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
