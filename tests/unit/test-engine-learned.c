/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a query came to need, and what the next one like it starts with. */
#include "engine-kit.h"

#define FINGERPRINT { 11, 12 }

static const uint64_t fingerprint[2] = FINGERPRINT;

static int setup(void **state) {
        Config c = kit_config();

        (void) state;
        c.initial_quota = INITIAL_QUOTA_LEARNED;
        kit_open(&kit, &c);
        return 0;
}

static uint64_t submit_as(QuerySpec spec) {
        spec.uid = 1000;
        memcpy(spec.language, "test", sizeof("test"));
        spec.fingerprint[0] = fingerprint[0];
        spec.fingerprint[1] = fingerprint[1];
        return kit_submit(&kit, spec);
}

static uint64_t submit(void) {
        return submit_as((QuerySpec) {});
}

static void finish(uint64_t id, uint64_t peak_bytes) {
        kit_report(&kit, id, (EndedReport) { .numbers.memory_peak_bytes = peak_bytes }, NULL);
}

/* It holds more and more, up to @bytes, with a look at every 8M; returns how many raises that took. */
static uint64_t grow_to(uint64_t id, uint64_t bytes) {
        for (uint64_t b = 8 * MIB; b < bytes; b += 8 * MIB) {
                kit_need(&kit, id, b);
                kit_pass(&kit, USEC_PER_SEC); /* so that it is not thought to grow on at once */
        }
        kit_need(&kit, id, bytes);
        return kit_query(&kit, id)->n_raises;
}

/* One that grew to @bytes and ended; returns its raises. */
static uint64_t run_of(uint64_t bytes) {
        uint64_t id = submit(), raises = grow_to(id, bytes);

        finish(id, bytes);
        return raises;
}

static uint64_t end_canceled(uint64_t id) {
        kit_event(&kit, EVENT_CANCEL, id);
        kit_report(&kit, id, (EndedReport) { .exit_status = -1, .exit_signal = SIGTERM }, NULL);
        assert_int_equal(kit_state(&kit, id), QUERY_CANCELED);
        return kit_query(&kit, id)->needed_bytes;
}

static void recall(uint64_t needed_bytes) {
        kit.n_log = 0;
        kit_step(&kit,
                 (Event) { .type = EVENT_LEARNED,
                           .lesson = { .fingerprint = FINGERPRINT, .needed_bytes = needed_bytes, .raises = 3 } });
        assert_int_equal(kit.n_log, 0);
}

static void the_second_one_starts_with_what_the_first_needed(void **state) {
        uint64_t first, second, raises;

        (void) state;
        first = submit();
        assert_int_equal(kit_lease(first), 64 * MIB);
        assert_int_equal(kit_query(&kit, first)->learned_bytes, 0);
        raises = grow_to(first, 200 * MIB);
        assert_true(raises >= 2);
        finish(first, 200 * MIB);
        assert_in_range(kit_query(&kit, first)->needed_bytes, 200 * MIB, 300 * MIB);
        assert_int_equal(kit_query(&kit, first)->n_raises_saved, 0);

        second = submit();
        assert_int_equal(kit_notes(&kit, NOTE_LEARNED, second), 1);
        assert_int_equal(kit_lease(second), kit_query(&kit, first)->needed_bytes);
        assert_int_equal(query_start_bytes(kit_query(&kit, second)), kit_lease(second));
        assert_int_equal(kit_action(&kit, ACTION_EXECUTE, second)->limits.max_bytes, kit_lease(second));
        assert_int_equal(grow_to(second, 200 * MIB), 0);
        finish(second, 200 * MIB);
        assert_int_equal(kit_query(&kit, second)->n_raises_saved, raises);
        assert_int_equal(kit_unused(), 768 * MIB);
        run_of(200 * MIB);
        assert_int_equal(kit_query(&kit, 3)->n_raises_saved, raises); /* it is not forgotten what it saves */
}

static void nothing_is_learned_where_it_is_fixed(void **state) {
        Config c = kit_config();
        uint64_t id;

        (void) state;
        kit_reopen(&c);
        run_of(200 * MIB);
        id = submit();
        assert_int_equal(kit_lease(id), 64 * MIB);
        grow_to(id, 200 * MIB);
        finish(id, 200 * MIB);
        /* what came meanwhile is known as soon as it is wanted */
        c.initial_quota = INITIAL_QUOTA_LEARNED;
        kit_reload(&kit, &c);
        assert_true(kit_lease(submit()) >= 200 * MIB);
}

static void others_and_those_not_known_start_as_usual(void **state) {
        (void) state;
        run_of(200 * MIB);
        assert_int_equal(kit_lease(kit_submit(&kit, (QuerySpec) { .fingerprint = { 11, 13 } })), 64 * MIB);
        assert_int_equal(kit_lease(kit_plain(&kit)), 64 * MIB);
}

static void what_has_no_fingerprint_teaches_nothing(void **state) {
        uint64_t id = kit_plain(&kit);

        (void) state;
        grow_to(id, 200 * MIB);
        finish(id, 200 * MIB);
        assert_int_equal(kit_query(&kit, id)->needed_bytes, 0);
        assert_int_equal(kit_lease(kit_plain(&kit)), 64 * MIB);
}

static void what_a_request_asks_for_wins(void **state) {
        uint64_t id;

        (void) state;
        run_of(200 * MIB);
        id = submit_as((QuerySpec) { .initial_bytes = 32 * MIB });
        assert_int_equal(kit_lease(id), 32 * MIB);
        id = submit_as((QuerySpec) { .initial_bytes = 64 * MIB });
        assert_int_equal(kit_lease(id), 64 * MIB);
        assert_int_equal(kit_query(&kit, id)->learned_bytes, 0);
}

static void it_starts_with_no_more_than_its_maximum(void **state) {
        (void) state;
        run_of(200 * MIB);
        assert_int_equal(kit_lease(submit_as((QuerySpec) { .max_bytes = 100 * MIB })), 100 * MIB);
        assert_int_equal(kit_lease(submit_as((QuerySpec) { .max_bytes = 48 * MIB })), 48 * MIB);
        assert_int_equal(kit_query(&kit, 3)->learned_bytes, 0);
}

static void it_never_starts_with_less_than_the_usual_quota(void **state) {
        uint64_t id;

        (void) state;
        run_of(100 * MIB);
        for (unsigned i = 0; i < 20; i++)
                run_of(10 * MIB);
        id = submit();
        assert_int_equal(kit_lease(id), 64 * MIB);
        assert_int_equal(kit_query(&kit, id)->learned_bytes, 0);
}

/* A pool of 384M of which another one has 256M: what was learned is not there. */
static void when_the_pool_cannot_give_it_it_starts_as_usual_at_once(void **state) {
        Config c = kit_pool_config(2, 512 * MIB);
        uint64_t other, id;

        (void) state;
        c.initial_quota = INITIAL_QUOTA_LEARNED;
        kit_reopen(&c);
        recall(250 * MIB);
        other = kit_submit(&kit, (QuerySpec) { .initial_bytes = 320 * MIB, .max_bytes = 320 * MIB });
        assert_int_equal(kit_unused(), 128 * MIB);
        id = submit();
        assert_int_equal(kit_state(&kit, id), QUERY_EXECUTING);
        assert_int_equal(kit_lease(id), 64 * MIB);
        assert_int_equal(kit_notes(&kit, NOTE_LEARNED, 0), 0);
        finish(id, 10 * MIB);
        finish(other, 320 * MIB);
        assert_true(kit_lease(submit()) > 64 * MIB);
}

/* The pool could pay, but then two that both may want all of it could never end. */
static void what_would_leave_no_way_to_end_is_not_given(void **state) {
        Config c = kit_pool_config(2, 512 * MIB);
        uint64_t id;

        (void) state;
        c.initial_quota = INITIAL_QUOTA_LEARNED;
        kit_reopen(&c);
        recall(200 * MIB);
        kit_plain(&kit);
        kit_need(&kit, 1, 60 * MIB);
        assert_int_equal(kit_lease(1), 128 * MIB);
        id = submit();
        assert_int_equal(kit_lease(id), 64 * MIB);
}

/* 2 is not given the rest of the pool, since 1 may need it; 3 could end with what it would get. */
static void who_waits_frozen_comes_first(void **state) {
        Config c = kit_pool_config(3, 576 * MIB);
        uint64_t id;

        (void) state;
        c.initial_quota = INITIAL_QUOTA_LEARNED;
        kit_reopen(&c);
        recall(100 * MIB);
        kit_plain(&kit);
        kit_need(&kit, 1, 60 * MIB);
        kit_need(&kit, 1, 120 * MIB);
        kit_plain(&kit);
        kit_need(&kit, 2, 60 * MIB);
        assert_true(kit_frozen(2));
        assert_int_equal(kit_unused(), 192 * MIB);
        id = submit_as((QuerySpec) { .max_bytes = 100 * MIB });
        assert_int_equal(kit_state(&kit, id), QUERY_EXECUTING);
        assert_int_equal(kit_lease(id), 64 * MIB);
        finish(id, 60 * MIB);
        kit_event(&kit, EVENT_CANCEL, 2);
        kit_report(&kit, 2, (EndedReport) { .exit_status = -1, .exit_signal = SIGKILL }, NULL);
        id = submit_as((QuerySpec) { .max_bytes = 100 * MIB });
        assert_int_equal(kit_query(&kit, id)->learned_bytes, kit_lease(id));
}

static void what_lies_idle_of_it_is_taken_back_down_to_the_usual_quota(void **state) {
        Config c = kit_pool_config(2, 512 * MIB);
        uint64_t id;

        (void) state;
        c.initial_quota = INITIAL_QUOTA_LEARNED;
        kit_reopen(&c);
        recall(400 * MIB);
        id = submit();
        assert_int_equal(kit_lease(id), 400 * MIB);
        kit_need(&kit, id, 10 * MIB);
        kit_plain(&kit);
        kit_need(&kit, 2, 60 * MIB);
        kit_pass(&kit, 10 * USEC_PER_SEC);
        kit_need(&kit, id, 10 * MIB);
        kit_need(&kit, 2, 120 * MIB);
        kit_need(&kit, id, 10 * MIB);
        assert_int_equal(kit_lease(id), 64 * MIB);
        finish(id, 10 * MIB);
        assert_int_equal(kit_query(&kit, id)->top_quota_bytes, 400 * MIB);
}

static void page_cache_is_not_what_it_needed(void **state) {
        uint64_t id = submit();
        Sample s = kit_anonymous(100 * MIB);

        (void) state;
        grow_to(id, 100 * MIB);
        assert_int_equal(kit_lease(id), 256 * MIB);
        s.file_bytes = s.inactive_file_bytes = 130 * MIB;
        s.current_bytes = 230 * MIB;
        kit_sample(&kit, id, s);
        finish(id, 230 * MIB);
        assert_in_range(kit_query(&kit, id)->needed_bytes, 128 * MIB, 160 * MIB);
}

static void the_working_set_that_it_was_raised_for_is(void **state) {
        GovernorState g = { .has_last = true, .most_need_bytes = 50 * MIB, .cache_bytes = 60 * MIB };
        uint64_t top = 256 * MIB, high = governor_high(top, GIB, 1);

        (void) state;
        assert_in_range(governor_needed(&g, high, top, GIB, 1), 110 * MIB, 160 * MIB);
        assert_in_range(governor_needed(&g, high - 1, top, GIB, 1), 256 * MIB, 256 * MIB);
        assert_int_equal(governor_needed(&(GovernorState) {}, SIZE_INFINITY, SIZE_INFINITY, SIZE_INFINITY, 1),
                         SIZE_INFINITY);
}

/* No raise was due: it did with what it had, though little was left. */
static void who_did_with_what_he_had_needed_no_more(void **state) {
        uint64_t id = submit();

        (void) state;
        finish(id, 63 * MIB);
        assert_int_equal(kit_query(&kit, id)->needed_bytes, 0);
        recall(100 * MIB);
        id = submit();
        finish(id, 99 * MIB);
        assert_int_equal(kit_query(&kit, id)->needed_bytes, 100 * MIB);
}

static void who_did_not_come_to_its_end_makes_it_more_and_never_less(void **state) {
        uint64_t id, before;

        (void) state;
        run_of(200 * MIB);
        before = kit_query(&kit, 1)->needed_bytes;
        id = submit();
        grow_to(id, 20 * MIB);
        assert_int_equal(end_canceled(id), before);
        id = submit();
        grow_to(id, 400 * MIB);
        assert_true(end_canceled(id) > 400 * MIB);
}

static EndedReport killed_at(uint64_t peak_bytes) {
        return (EndedReport) {
                .exit_status = -1,
                .exit_signal = SIGKILL,
                .numbers = { .events_oom = 1, .events_oom_kill = 1, .memory_peak_bytes = peak_bytes }
        };
}

static void whom_a_limit_ended_teaches_at_least_what_he_had(void **state) {
        Config c = kit.config;
        uint64_t id = submit();

        (void) state;
        kit_report(&kit, id, killed_at(64 * MIB), NULL);
        assert_int_equal(kit_query(&kit, id)->verdict, VERDICT_QUOTA);
        assert_int_equal(kit_query(&kit, id)->needed_bytes, 128 * MIB);

        kit_reopen(&c);
        id = submit_as((QuerySpec) { .max_bytes = 100 * MIB });
        kit_report(&kit, id, killed_at(64 * MIB), NULL);
        assert_int_equal(kit_query(&kit, id)->verdict, VERDICT_QUOTA);
        assert_int_equal(kit_query(&kit, id)->needed_bytes, 100 * MIB);
        id = submit();
        kit_need(&kit, id, 90 * MIB);
        assert_int_equal(kit_lease(id), 200 * MIB);
        kit_report(&kit, id,
                   (EndedReport) { .exit_status = -1,
                                   .exit_signal = SIGKILL,
                                   .numbers = { .events_oom_kill = 1,
                                                .above_oom = 1,
                                                .memory_peak_bytes = 90 * MIB } },
                   NULL);
        assert_int_equal(kit_query(&kit, id)->verdict, VERDICT_SLICE);
        assert_int_equal(kit_query(&kit, id)->needed_bytes, 200 * MIB);

        kit_reopen(&c);
        recall(128 * MIB);
        id = submit_as((QuerySpec) { .max_bytes = 100 * MIB });
        kit_report(&kit, id, killed_at(100 * MIB), NULL);
        assert_int_equal(kit_query(&kit, id)->verdict, VERDICT_MAXIMUM);
        assert_int_equal(kit_query(&kit, id)->needed_bytes, 128 * MIB);

        c.exhaustion_policy = EXHAUSTION_FAIL;
        c.max_memory_bytes = 512 * MIB;
        c.concurrency_quota = 2;
        c.per_query_bytes = 512 * MIB;
        kit_reopen(&c);
        kit_content(&kit, 448 * MIB);
        id = submit();
        kit_need(&kit, id, 62 * MIB);
        kit_report(&kit, id, killed_at(64 * MIB), NULL);
        assert_int_equal(kit_query(&kit, id)->verdict, VERDICT_BUDGET);
        assert_int_equal(kit_query(&kit, id)->needed_bytes, 128 * MIB);
}

static void one_that_never_ran_teaches_nothing(void **state) {
        const Error error = { .code = ERROR_EXECUTION_FAILED, .message = "no such program" };
        uint64_t id;

        (void) state;
        recall(100 * MIB);
        id = submit();
        kit_report(&kit, id, (EndedReport) { .start_failed = true, .numbers.memory_peak_bytes = 300 * MIB }, &error);
        assert_int_equal(kit_query(&kit, id)->needed_bytes, 0);
        kit_event(&kit, EVENT_PAUSE, 0);
        id = submit();
        kit_event(&kit, EVENT_CANCEL, id);
        assert_int_equal(kit_query(&kit, id)->needed_bytes, 0);
        kit_event(&kit, EVENT_RESUME, 0);
        assert_int_equal(kit_lease(submit()), 100 * MIB);
}

/* … nor is anything else done: it comes when others may still be taken over. */
static void to_be_told_of_earlier_lives_changes_nothing_yet(void **state) {
        uint64_t id;

        (void) state;
        id = kit_submit(&kit, (QuerySpec) { .timeout_usec = USEC_PER_SEC });
        kit.now_usec += 2 * USEC_PER_SEC;
        recall(100 * MIB);
        assert_false(kit_query(&kit, id)->ending);
        kit_event(&kit, EVENT_TICK, 0);
        assert_true(kit_query(&kit, id)->ending);
}

/* Those that do with the usual quota would push out the others. */
static void who_needs_no_more_than_usual_takes_no_place(void **state) {
        (void) state;
        run_of(10 * MIB);
        assert_int_equal(kit_query(&kit, 1)->needed_bytes, 0);
}

/* Two raises to 200M were recorded; one that needs less is not spared so many. */
static void no_more_raises_are_said_to_be_saved_than_there_would_have_been(void **state) {
        uint64_t id;

        (void) state;
        run_of(200 * MIB);
        id = submit();
        grow_to(id, 80 * MIB);
        finish(id, 80 * MIB);
        assert_int_equal(kit_query(&kit, id)->n_raises_saved, 1);
        id = submit();
        grow_to(id, 10 * MIB);
        finish(id, 10 * MIB);
        assert_true(kit_query(&kit, id)->learned_bytes > 0);
        assert_int_equal(kit_query(&kit, id)->n_raises_saved, 0);
}

static void a_raise_that_came_all_the_same_is_not_saved(void **state) {
        uint64_t id, raises = run_of(100 * MIB);

        (void) state;
        assert_int_equal(raises, 2);
        id = submit();
        assert_in_range(kit_lease(id), 100 * MIB, 160 * MIB);
        assert_int_equal(grow_to(id, 300 * MIB), 2);
        finish(id, 300 * MIB);
        assert_int_equal(kit_query(&kit, id)->n_raises_saved, 0);
        assert_true(kit_lease(submit()) > 300 * MIB);
}

static void it_is_restored_with_the_query(void **state) {
        const Config c = kit.config;
        QuerySnapshot s;
        Error error;
        uint64_t id;

        (void) state;
        recall(300 * MIB);
        id = submit();
        engine_snapshot(kit_query(&kit, id), NULL, &s, &error);
        assert_true(query_snapshot_is_valid(&s));
        s.limit_bytes = s.current_bytes = 300 * MIB;
        s.unit_exists = true;
        kit_reopen(&c);
        kit_step(&kit, (Event) { .type = EVENT_ADOPT, .query_id = id, .adopt = { &s, &error } });
        kit_event(&kit, EVENT_TICK, 0);
        assert_int_equal(query_start_bytes(kit_query(&kit, id)), 300 * MIB);
        finish(id, 200 * MIB);
        assert_int_equal(kit_query(&kit, id)->n_raises_saved, 3);
        assert_in_range(kit_query(&kit, id)->needed_bytes, 200 * MIB, 300 * MIB);
        assert_true(kit_lease(submit()) >= 200 * MIB);

        s.learned_bytes = s.max_bytes + 1;
        assert_false(query_snapshot_is_valid(&s));
}

/* Its unit was not there yet: the pool may have less now. */
static void one_that_starts_anew_after_a_restart_starts_as_usual(void **state) {
        const Config c = kit.config;
        QuerySnapshot s;
        Error error;
        uint64_t id;

        (void) state;
        recall(300 * MIB);
        kit.slow_units = true;
        id = submit();
        assert_int_equal(kit_lease(id), 300 * MIB);
        engine_snapshot(kit_query(&kit, id), NULL, &s, &error);
        kit_reopen(&c);
        kit_step(&kit, (Event) { .type = EVENT_ADOPT, .query_id = id, .adopt = { &s, &error } });
        kit_event(&kit, EVENT_TICK, 0);
        assert_int_equal(kit_lease(id), 64 * MIB);
        assert_int_equal(query_start_bytes(kit_query(&kit, id)), 64 * MIB);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, kit_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(the_second_one_starts_with_what_the_first_needed),
                TEST(nothing_is_learned_where_it_is_fixed),
                TEST(others_and_those_not_known_start_as_usual),
                TEST(what_has_no_fingerprint_teaches_nothing),
                TEST(what_a_request_asks_for_wins),
                TEST(it_starts_with_no_more_than_its_maximum),
                TEST(it_never_starts_with_less_than_the_usual_quota),
                TEST(when_the_pool_cannot_give_it_it_starts_as_usual_at_once),
                TEST(what_would_leave_no_way_to_end_is_not_given),
                TEST(who_waits_frozen_comes_first),
                TEST(what_lies_idle_of_it_is_taken_back_down_to_the_usual_quota),
                TEST(page_cache_is_not_what_it_needed),
                TEST(the_working_set_that_it_was_raised_for_is),
                TEST(who_did_with_what_he_had_needed_no_more),
                TEST(who_did_not_come_to_its_end_makes_it_more_and_never_less),
                TEST(whom_a_limit_ended_teaches_at_least_what_he_had),
                TEST(one_that_never_ran_teaches_nothing),
                TEST(to_be_told_of_earlier_lives_changes_nothing_yet),
                TEST(who_needs_no_more_than_usual_takes_no_place),
                TEST(no_more_raises_are_said_to_be_saved_than_there_would_have_been),
                TEST(a_raise_that_came_all_the_same_is_not_saved),
                TEST(it_is_restored_with_the_query),
                TEST(one_that_starts_anew_after_a_restart_starts_as_usual),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
