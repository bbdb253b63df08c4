/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* With what a query starts, and what that saves. */
#include "learned-kit.h"

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

int main(void) {
        const struct CMUnitTest tests[] = {
                LEARNED_TEST(the_second_one_starts_with_what_the_first_needed),
                LEARNED_TEST(nothing_is_learned_where_it_is_fixed),
                LEARNED_TEST(others_and_those_not_known_start_as_usual),
                LEARNED_TEST(what_a_request_asks_for_wins),
                LEARNED_TEST(it_starts_with_no_more_than_its_maximum),
                LEARNED_TEST(it_never_starts_with_less_than_the_usual_quota),
                LEARNED_TEST(when_the_pool_cannot_give_it_it_starts_as_usual_at_once),
                LEARNED_TEST(what_would_leave_no_way_to_end_is_not_given),
                LEARNED_TEST(who_waits_frozen_comes_first),
                LEARNED_TEST(what_lies_idle_of_it_is_taken_back_down_to_the_usual_quota),
                LEARNED_TEST(to_be_told_of_earlier_lives_changes_nothing_yet),
                LEARNED_TEST(no_more_raises_are_said_to_be_saved_than_there_would_have_been),
                LEARNED_TEST(a_raise_that_came_all_the_same_is_not_saved),
                LEARNED_TEST(it_is_restored_with_the_query),
                LEARNED_TEST(one_that_starts_anew_after_a_restart_starts_as_usual),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
