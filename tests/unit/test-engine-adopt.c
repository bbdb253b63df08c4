/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A query goes on under another engine: with what was written of it, and what is found. */
#include "engine-kit.h"

/* What the host finds of query @id: as if all that was asked for had been done. */
static QuerySnapshot found(uint64_t id, Error *error) {
        const Query *q = kit_query(&kit, id);
        QuerySnapshot s;

        engine_snapshot(q, NULL, &s, error);
        strcpy(s.spec.language, "exec");
        assert_true(query_snapshot_is_valid(&s));
        s.unit_exists = s.handed;
        s.limit_bytes = s.handed && q->state == QUERY_EXECUTING ? q->quota_bytes : 0;
        s.is_frozen = q->frozen;
        return s;
}

static void tell(const QuerySnapshot *s, uint64_t id, const Error *error) {
        kit_step(&kit, (Event) { .type = EVENT_ADOPT, .query_id = id, .adopt = { .snapshot = s, .error = error } });
}

/* Another engine takes over queries 1 to @n. */
static void take_over(uint64_t n) {
        static uint8_t profiles[8][PROFILE_SAVED_MAX];
        QuerySnapshot snapshots[8];
        size_t lengths[8];
        Error errors[8];

        for (uint64_t id = 1; id <= n; id++) {
                snapshots[id - 1] = found(id, &errors[id - 1]);
                lengths[id - 1] = profile_save(&kit_query(&kit, id)->profile, profiles[id - 1]);
        }
        engine_free(kit.engine);
        assert_int_equal(engine_new(&kit.config, 1, &kit.engine), 0);
        kit.n_log = 0;
        for (uint64_t id = 1; id <= n; id++)
                kit_step(&kit, (Event) { .type = EVENT_ADOPT, .query_id = id,
                                         .adopt = { &snapshots[id - 1], &errors[id - 1], profiles[id - 1], lengths[id - 1] } });
        kit_step(&kit, (Event) { .type = EVENT_TICK });
}

static void who_runs_keeps_its_limit_and_grows_on(void **state) {
        uint64_t id = kit_plain(&kit);
        uint64_t executing;

        (void) state;
        kit_need(&kit, id, 60 * MIB);
        assert_int_equal(kit_query(&kit, id)->quota_bytes, 128 * MIB);
        kit.now_usec += 7;
        executing = query_time_in(kit_query(&kit, id), QUERY_EXECUTING, kit.now_usec);
        take_over(1);
        assert_int_equal(kit_saw(&kit, ACTION_START_UNIT, 0) + kit_saw(&kit, ACTION_EXECUTE, 0), 0);
        assert_int_equal(kit_action(&kit, ACTION_SET_LIMITS, id)->limits.max_bytes, 128 * MIB);
        assert_int_equal(kit_saw(&kit, ACTION_SAMPLE, id), 1);
        assert_int_equal(kit_query(&kit, id)->n_raises, 1);
        assert_int_equal(query_time_in(kit_query(&kit, id), QUERY_EXECUTING, kit.now_usec), executing);
        kit_need(&kit, id, 120 * MIB);
        assert_int_equal(kit_query(&kit, id)->quota_bytes, 256 * MIB);
        kit_exit(&kit, id, 0);
        assert_int_equal(kit_state(&kit, id), QUERY_FINISHED);
        assert_int_equal(kit_plain(&kit), id + 1);
}

/* The events of its profile, a letter each; without samples. */
static const char *events_of(uint64_t id) {
        static char text[PROFILE_ROWS_MAX + 1];
        ProfileReader r = { .profile = &kit_query(&kit, id)->profile };
        size_t n = 0;

        while (profile_next(&r))
                if (r.row.event != PROFILE_SAMPLE)
                        text[n++] = "S.RDFTLtKE"[r.row.event];
        text[n] = 0;
        return text;
}

static void its_profile_goes_on(void **state) {
        QuerySnapshot s;
        Error error;

        (void) state;
        kit_reopen(&(Config) { .concurrency_quota = 2, .initial_bytes = 64 * MIB, .per_query_bytes = 256 * MIB,
                               .max_memory_bytes = 256 * MIB, .queue_size = 8, .max_queries_per_user = 8,
                               .exhaustion_policy = EXHAUSTION_FREEZE, .freeze_timeout_usec = 60 * USEC_PER_SEC });
        kit_plain(&kit);
        kit_plain(&kit);
        kit_need(&kit, 1, 60 * MIB);
        kit_need(&kit, 2, 60 * MIB);
        assert_string_equal(events_of(1), "SR");
        assert_string_equal(events_of(2), "SDF");
        kit.now_usec += USEC_PER_SEC;
        take_over(2);
        assert_string_equal(events_of(1), "SR");
        assert_string_equal(events_of(2), "SDF"); /* it waits on */
        kit_exit(&kit, 1, 0);
        assert_string_equal(events_of(1), "SRE");
        assert_string_equal(events_of(2), "SDFRT");
        take_over(2);
        assert_string_equal(events_of(1), "SRE");
        assert_string_equal(events_of(2), "SDFRT");
        s = found(2, &error); /* and nothing else of it: its profile begins anew */
        engine_free(kit.engine);
        assert_int_equal(engine_new(&kit.config, 1, &kit.engine), 0);
        tell(&s, 2, &error);
        assert_string_equal(events_of(2), "S");
}

/* The service was killed after @s and the profile were written, and the kernel has @limit_bytes. */
static void take_over_at(const QuerySnapshot *written, const Error *error, const uint8_t *profile, size_t len, uint64_t limit_bytes) {
        QuerySnapshot s = *written;

        s.limit_bytes = limit_bytes;
        engine_free(kit.engine);
        assert_int_equal(engine_new(&kit.config, 1, &kit.engine), 0);
        kit.n_log = 0;
        kit_step(&kit, (Event) { .type = EVENT_ADOPT, .query_id = 1, .adopt = { &s, error, profile, len } });
        kit_step(&kit, (Event) { .type = EVENT_TICK });
}

static void a_raise_that_was_written_and_not_recorded_is_counted(void **state) {
        uint8_t before[PROFILE_SAVED_MAX], after[PROFILE_SAVED_MAX];
        QuerySnapshot s, raised;
        size_t n_before, n_after;
        ProfileReader r = {};
        Error error;

        (void) state;
        kit_plain(&kit);
        s = found(1, &error);
        n_before = profile_save(&kit_query(&kit, 1)->profile, before);
        kit.now_usec += 7;
        kit_need(&kit, 1, 60 * MIB);
        raised = found(1, &error);
        n_after = profile_save(&kit_query(&kit, 1)->profile, after);
        assert_int_equal(raised.limit_bytes, 128 * MIB);

        take_over_at(&s, &error, before, n_before, 128 * MIB);
        assert_int_equal(kit_query(&kit, 1)->n_raises, 1);
        assert_int_equal(kit_lease(1), 128 * MIB);
        assert_string_equal(events_of(1), "SR");
        r.profile = &kit_query(&kit, 1)->profile;
        assert_true(profile_next_raise(&r));
        assert_int_equal(r.row.old_bytes, 64 * MIB);
        assert_int_equal(r.row.new_bytes, 128 * MIB);
        assert_int_equal(r.row.limit_bytes, 128 * MIB);
        assert_int_equal(r.row.cause, RAISE_NONE);
        assert_int_equal(r.row.time_usec, 7);
        take_over(1); /* and once only */
        assert_int_equal(kit_query(&kit, 1)->n_raises, 1);
        assert_string_equal(events_of(1), "SR");

        take_over_at(&raised, &error, before, n_before, 128 * MIB); /* its profile is written a little later */
        assert_int_equal(kit_query(&kit, 1)->n_raises, 1);
        assert_string_equal(events_of(1), "SR");
        take_over_at(&s, &error, after, n_after, 128 * MIB);
        assert_int_equal(kit_query(&kit, 1)->n_raises, 1);
        assert_string_equal(events_of(1), "SR");
        take_over_at(&raised, &error, after, n_after, 128 * MIB);
        assert_int_equal(kit_query(&kit, 1)->n_raises, 1);
        assert_string_equal(events_of(1), "SR");
        take_over_at(&s, &error, before, n_before, 64 * MIB); /* not written either: it is decided again */
        assert_int_equal(kit_query(&kit, 1)->n_raises, 0);
        assert_string_equal(events_of(1), "S");
        take_over_at(&raised, &error, after, n_after, 0); /* its group is gone */
        assert_int_equal(kit_query(&kit, 1)->n_raises, 1);
        assert_string_equal(events_of(1), "SR");
}

static void a_quota_that_was_lowered_and_not_recorded_is_none_that_was_raised(void **state) {
        uint8_t profile[PROFILE_SAVED_MAX];
        QuerySnapshot s;
        size_t len;
        Error error;

        (void) state;
        kit_plain(&kit);
        kit_need(&kit, 1, 60 * MIB);
        kit_need(&kit, 1, 120 * MIB);
        assert_int_equal(kit_lease(1), 256 * MIB);
        s = found(1, &error);
        len = profile_save(&kit_query(&kit, 1)->profile, profile);
        take_over_at(&s, &error, profile, len, 128 * MIB);
        assert_int_equal(kit_query(&kit, 1)->n_raises, 2);
        assert_int_equal(kit_lease(1), 128 * MIB);
        assert_string_equal(events_of(1), "SRRL");
        take_over(1);
        assert_string_equal(events_of(1), "SRRL");
        assert_true(event_is_recorded(EVENT_LOWERED)); /* or the next raise, up to less than it had before, would not be seen */
        kit_need(&kit, 1, 120 * MIB);
        s = found(1, &error);
        take_over_at(&s, &error, profile, 0, 256 * MIB); /* no profile */
        assert_int_equal(kit_query(&kit, 1)->n_raises, 3);
        assert_string_equal(events_of(1), "S");
}

static void who_is_new_gets_nothing_before_all_are_known(void **state) {
        QuerySnapshot s;
        Error error;
        uint64_t id = kit_plain(&kit);

        (void) state;
        kit_need(&kit, id, 60 * MIB);
        s = found(id, &error);
        engine_free(kit.engine);
        assert_int_equal(engine_new(&kit.config, 1, &kit.engine), 0);
        s.state = QUERY_QUEUEING;
        s.handed = s.unit_exists = false;
        s.limit_bytes = 0;
        kit.n_log = 0;
        tell(&s, id, &error);
        assert_int_equal(kit.n_log, 0);
        kit_step(&kit, (Event) { .type = EVENT_TICK });
        assert_int_equal(kit_saw(&kit, ACTION_START_UNIT, id), 1);
}

static void what_was_not_handed_over_starts_anew(void **state) {
        uint64_t compiling, waiting;

        (void) state;
        kit.slow_units = true;
        for (int i = 0; i < 4; i++)
                kit_plain(&kit);
        compiling = kit_submit(&kit, (QuerySpec) { .uid = 1000, .has_compile = true });
        waiting = kit_plain(&kit);
        assert_int_equal(kit_state(&kit, compiling), QUERY_COMPILING);
        for (uint64_t id = 1; id <= 4; id++) /* their units were asked for, and there is no worker yet */
                assert_int_equal(kit_query(&kit, id)->unit, UNIT_STARTING);
        /* run is RUN_NONE, so the snapshot says that it was not handed over */
        take_over(waiting);
        assert_int_equal(kit_saw(&kit, ACTION_START_UNIT, 0), 5);
        assert_int_equal(kit_saw(&kit, ACTION_START_UNIT, waiting), 0);
        for (uint64_t id = 1; id <= compiling; id++)
                kit_ready(&kit, id);
        assert_int_equal(engine_count(kit.engine, QUERY_EXECUTING), 4);
        assert_int_equal(kit_saw(&kit, ACTION_COMPILE, compiling), 1);
}

static void its_dependencies_are_asked_for_once_more(void **state) {
        Error gone = { ERROR_DEPENDENCY_FAILED, "it is not there" };
        uint64_t id;
        char buf[128];

        (void) state;
        kit.slow_units = true;
        id = kit_submit(&kit, (QuerySpec) { .uid = 1000, .has_dependencies = true });
        assert_int_equal(kit_query(&kit, id)->unit, UNIT_STARTING);
        kit.slow_checks = true;
        take_over(1);
        assert_int_equal(kit_saw(&kit, ACTION_CHECK_DEPENDENCIES, id), 1);
        assert_int_equal(kit_saw(&kit, ACTION_START_UNIT, id), 0);
        assert_string_equal(engine_wait_reason(kit.engine, kit_query(&kit, id), buf, sizeof(buf)), "the check of its dependencies");
        kit_dependencies(&kit, id, NULL);
        assert_int_equal(kit_saw(&kit, ACTION_START_UNIT, id), 1);
        take_over(1);
        kit_dependencies(&kit, id, &gone);
        assert_int_equal(kit_state(&kit, id), QUERY_ERRORED);
        assert_int_equal(kit_saw(&kit, ACTION_RELEASE_DEPENDENCIES, id), 1); /* it had had them */
}

/* Where there is no bound the count itself is told. */
static void its_unit_is_counted_while_its_dependencies_are_looked_at(void **state) {
        Error gone = { ERROR_DEPENDENCY_FAILED, "it is not there" };
        Config c = kit_config();

        (void) state;
        c.concurrency_quota = UINT64_MAX;
        c.queue_size = 0;
        c.max_memory_bytes = SIZE_INFINITY;
        for (int there = 0; there < 2; there++) {
                uint64_t id;

                kit_reopen(&c);
                kit.slow_units = true;
                kit.slow_checks = false;
                id = kit_submit(&kit, (QuerySpec) { .uid = 1000, .has_dependencies = true });
                kit.slow_checks = true;
                take_over(1);
                assert_int_equal(kit_saw(&kit, ACTION_START_UNIT, id), 0);
                assert_int_equal(engine_units_for_slack(kit.engine), 1);
                kit_dependencies(&kit, id, there ? NULL : &gone);
                assert_int_equal(kit_saw(&kit, ACTION_START_UNIT, id), there);
                assert_int_equal(engine_units_for_slack(kit.engine), there);
        }
}

static void who_cannot_be_started_any_more_is_told_why(void **state) {
        Error error, lost = { ERROR_INTERNAL, "its stdin is gone" };
        QuerySnapshot s;
        uint64_t id;

        (void) state;
        kit.slow_units = true;
        id = kit_submit(&kit, (QuerySpec) { .uid = 1000, .has_compile = true });
        assert_int_equal(kit_state(&kit, id), QUERY_COMPILING);
        s = found(id, &error);
        s.is_lost = true;
        s.ending_state = QUERY_ERRORED;
        s.ending_verdict = VERDICT_START;
        engine_free(kit.engine);
        assert_int_equal(engine_new(&kit.config, 1, &kit.engine), 0);
        kit.n_log = 0;
        tell(&s, id, &lost);
        assert_int_equal(kit_saw(&kit, ACTION_START_UNIT, id), 0);
        assert_int_equal(kit_state(&kit, id), QUERY_ERRORED);
        assert_string_equal(kit_query(&kit, id)->error.message, "its stdin is gone");
        for (int i = 0; i < 2; i++) /* its compile slot is free */
                assert_int_equal(kit_state(&kit, kit_submit(&kit, (QuerySpec) { .uid = 1000, .has_compile = true })), QUERY_COMPILING);
}

static void who_waits_frozen_waits_on_and_others_are_thawed(void **state) {
        Error error;
        QuerySnapshot s;
        uint64_t first, second;

        (void) state;
        kit_reopen(&(Config) { .concurrency_quota = 2, .initial_bytes = 64 * MIB, .per_query_bytes = 256 * MIB,
                               .max_memory_bytes = 256 * MIB, .queue_size = 8, .max_queries_per_user = 8,
                               .exhaustion_policy = EXHAUSTION_FREEZE, .freeze_timeout_usec = 60 * USEC_PER_SEC });
        first = kit_plain(&kit);
        second = kit_plain(&kit);
        kit_need(&kit, first, 60 * MIB);
        kit_need(&kit, second, 60 * MIB);
        assert_true(kit_query(&kit, second)->frozen);
        kit.now_usec += USEC_PER_SEC;
        take_over(2);
        assert_true(kit_query(&kit, second)->frozen);
        assert_int_equal(kit_saw(&kit, ACTION_THAW, 0), 0);
        assert_int_equal(query_frozen_usec(kit_query(&kit, second), kit.now_usec), USEC_PER_SEC);
        s = found(first, &error);
        engine_free(kit.engine);
        assert_int_equal(engine_new(&kit.config, 1, &kit.engine), 0);
        s.is_frozen = true; /* it was held until there is a controller again */
        kit.n_log = 0;
        tell(&s, first, &error);
        assert_int_equal(kit_saw(&kit, ACTION_THAW, first), 1);
        assert_false(kit_query(&kit, first)->frozen);
}

/* Queries 1 and 2 run with 5 s left each, and penstockd is away for 8. Returns what is known of @id then. */
static QuerySnapshot away(uint64_t id, Error *error) {
        QuerySnapshot s;

        kit_submit(&kit, (QuerySpec) { .timeout_usec = 10 * USEC_PER_SEC });
        kit_submit(&kit, (QuerySpec) { .timeout_usec = 10 * USEC_PER_SEC });
        kit_pass(&kit, 5 * USEC_PER_SEC);
        s = found(id, error);
        engine_free(kit.engine);
        assert_int_equal(engine_new(&kit.config, 1, &kit.engine), 0);
        kit.now_usec += 8 * USEC_PER_SEC;
        return s;
}

static void who_ran_while_nobody_was_there_has_used_that_time(void **state) {
        Error error;
        QuerySnapshot s = away(1, &error);

        (void) state;
        s.held_since_usec = kit.now_usec - 8 * USEC_PER_SEC; /* but somebody thawed it */
        tell(&s, 1, &error);
        assert_int_equal(kit_query(&kit, 1)->frozen_usec, 0);
        kit_event(&kit, EVENT_TICK, 0);
        assert_true(kit_query(&kit, 1)->ending);
        assert_int_equal(kit_query(&kit, 1)->ending_verdict, VERDICT_TIMEOUT);
}

static void who_was_held_while_nobody_was_there_has_not(void **state) {
        Error error;
        QuerySnapshot s = away(1, &error);

        (void) state;
        s.is_frozen = true;
        s.held_since_usec = kit.now_usec - 7 * USEC_PER_SEC;
        tell(&s, 1, &error);
        assert_int_equal(kit_query(&kit, 1)->frozen_usec, 7 * USEC_PER_SEC);
        kit_pass(&kit, 4 * USEC_PER_SEC - 1);
        assert_false(kit_query(&kit, 1)->ending);
        kit_pass(&kit, 1);
        assert_int_equal(kit_query(&kit, 1)->ending_verdict, VERDICT_TIMEOUT);
}

static void who_ended_while_nobody_was_there_is_not_told_a_timeout(void **state) {
        Error error;
        QuerySnapshot s = away(1, &error);

        (void) state;
        s.has_ended = true; /* so says its worker, which tells how when it is asked again */
        tell(&s, 1, &error);
        kit_event(&kit, EVENT_TICK, 0);
        assert_false(kit_query(&kit, 1)->ending);
        kit_step(&kit, (Event) { .type = EVENT_ENDED, .query_id = 1 });
        assert_int_equal(kit_state(&kit, 1), QUERY_FINISHED);
        assert_int_equal(kit_query(&kit, 1)->verdict, VERDICT_NONE);
}

static void who_was_being_ended_is_ended(void **state) {
        uint64_t id = kit_plain(&kit);

        (void) state;
        kit_event(&kit, EVENT_CANCEL, id);
        assert_int_equal(kit_saw(&kit, ACTION_TERMINATE, id), 1);
        take_over(1);
        assert_int_equal(kit_saw(&kit, ACTION_KILL, id), 1);
        assert_int_equal(kit_state(&kit, id), QUERY_CANCELED);
        assert_int_equal(kit_query(&kit, id)->verdict, VERDICT_CANCEL);
        assert_string_equal(kit_query(&kit, id)->error.message, "canceled on request");
}

static void who_was_being_ended_and_never_got_its_hand_over_is_not_started(void **state) {
        uint64_t id = kit_plain(&kit);
        QuerySnapshot s;
        Error error;

        (void) state;
        kit.slow_kills = true;
        kit_event(&kit, EVENT_CANCEL, id);
        s = found(id, &error);
        s.handed = s.unit_exists = false;
        engine_free(kit.engine);
        assert_int_equal(engine_new(&kit.config, 1, &kit.engine), 0);
        kit.n_log = 0;
        tell(&s, id, &error);
        assert_int_equal(kit_saw(&kit, ACTION_START_UNIT, id), 0);
        assert_int_equal(kit_state(&kit, id), QUERY_CANCELED);
        assert_string_equal(kit_query(&kit, id)->error.message, "canceled on request");
}

/* Another engine takes over query @id, whose unit can't be stopped. */
static void take_over_with_unit(uint64_t id, bool handed) {
        Error error;
        QuerySnapshot s = found(id, &error);

        s.handed = handed;
        s.unit_exists = true;
        engine_free(kit.engine);
        assert_int_equal(engine_new(&kit.config, 1, &kit.engine), 0);
        kit.n_log = 0;
        tell(&s, id, &error);
        kit_step(&kit, (Event) { .type = EVENT_TICK });
}

static void what_it_left_is_nobodys_while_its_unit_is_there(void **state) {
        uint64_t id = kit_plain(&kit), unused;

        (void) state;
        kit.slow_units = true;
        kit_report(&kit, id, (EndedReport) { .numbers = { .memory_peak_bytes = 50 * MIB, .residual_bytes = 40 * MIB } }, NULL);
        assert_int_equal(kit_state(&kit, id), QUERY_FINISHED);
        unused = budget_unused_bytes(engine_budget(kit.engine));
        take_over_with_unit(id, true);
        assert_int_equal(kit_saw(&kit, ACTION_RELEASE_UNIT, id), 1);
        assert_int_equal(budget_unused_bytes(engine_budget(kit.engine)), unused);
        kit_event(&kit, EVENT_UNIT_GONE, id);
        assert_int_equal(budget_unused_bytes(engine_budget(kit.engine)), unused + 40 * MIB);
}

/* Its compile step was killed, and is not gone: nobody else compiles in its place. */
static void a_compile_slot_is_taken_while_its_unit_is_there(void **state) {
        uint64_t id = kit_submit(&kit, (QuerySpec) { .uid = 1000, .has_compile = true });

        (void) state;
        assert_int_equal(kit_state(&kit, id), QUERY_COMPILING);
        kit.slow_units = true;
        kit_event(&kit, EVENT_CANCEL, id);
        assert_int_equal(kit_state(&kit, id), QUERY_CANCELED);
        assert_true(kit_query(&kit, id)->has_compile_slot);
        take_over_with_unit(id, false);
        assert_true(kit_query(&kit, id)->has_compile_slot);
        kit_event(&kit, EVENT_UNIT_GONE, id);
        assert_false(kit_query(&kit, id)->has_compile_slot);
}

static void who_starts_anew_waits_for_the_end_of_its_unit(void **state) {
        uint64_t id = kit_plain(&kit);

        (void) state;
        kit.slow_units = true;
        take_over_with_unit(id, false);
        assert_int_equal(kit_saw(&kit, ACTION_RELEASE_UNIT, id), 1);
        assert_int_equal(kit_saw(&kit, ACTION_START_UNIT, id), 0);
        kit_event(&kit, EVENT_UNIT_GONE, id);
        assert_int_equal(kit_saw(&kit, ACTION_START_UNIT, id), 1);
        kit_ready(&kit, id);
        assert_int_equal(kit_state(&kit, id), QUERY_EXECUTING);
        kit_exit(&kit, id, 0);
        assert_int_equal(kit_state(&kit, id), QUERY_FINISHED);
}

static void what_has_ended_stays_as_it_was(void **state) {
        uint64_t ended = kit_plain(&kit), released = kit_plain(&kit);

        (void) state;
        kit_exit(&kit, ended, 3);
        kit_exit(&kit, released, 0);
        kit_event(&kit, EVENT_DONE, released);
        kit.now_usec += USEC_PER_SEC;
        take_over(2);
        assert_int_equal(kit_state(&kit, ended), QUERY_ERRORED);
        assert_int_equal(kit_query(&kit, ended)->exit_status, 3);
        assert_false(engine_is_tombstone(kit.engine, ended));
        assert_true(engine_is_tombstone(kit.engine, released));
        assert_int_equal(kit_saw(&kit, ACTION_START_UNIT, 0), 0);
        kit.now_usec = engine_deadline(kit.engine);
        kit_event(&kit, EVENT_TICK, 0);
        assert_true(engine_is_tombstone(kit.engine, ended));
}

typedef struct Known {
        uint64_t id;
        QuerySnapshot snapshot;
} Known;

static int order(const void *a, const void *b) {
        const Known *x = a, *y = b;

        return query_snapshot_order(&x->snapshot, x->id, &y->snapshot, y->id);
}

static void take_over_in_order(Known *all, size_t n) {
        Error none = {};

        qsort(all, n, sizeof(*all), order);
        engine_free(kit.engine);
        assert_int_equal(engine_new(&kit.config, 1, &kit.engine), 0);
        for (size_t i = 0; i < n; i++) {
                kit.n_log = 0;
                tell(&all[i].snapshot, all[i].id, &none);
        }
        kit_event(&kit, EVENT_TICK, 0);
}

/* All that the engine knows, in the order of their IDs, as a service reads their records. */
static size_t found_all(Known *all, uint64_t last_id) {
        size_t n = 0;
        Error error;

        for (uint64_t id = 1; id <= last_id; id++)
                if (engine_find(kit.engine, id))
                        all[n++] = (Known) { id, found(id, &error) };
        return n;
}

static void finish_and_leave(uint64_t id) {
        kit_exit(&kit, id, 0);
        kit_event(&kit, EVENT_DONE, id);
}

static void who_left_first_falls_out_first_whatever_its_number(void **state) {
        const uint64_t n = ENGINE_TOMBSTONES, n_fallen = 3, last = n + n_fallen;
        Known *all = calloc(n, sizeof(*all));
        Config c = kit_config();
        Error error;

        (void) state;
        assert_non_null(all);
        c.queue_size = c.max_queries_per_user = c.concurrency_quota = last;
        c.max_memory_bytes = c.concurrency_quota * c.initial_bytes;
        kit_reopen(&c);
        for (uint64_t id = 1; id <= last; id++)
                assert_int_equal(kit_plain(&kit), id);
        for (uint64_t id = last; id > 0; id--)
                finish_and_leave(id);
        assert_int_equal(found_all(all, last), n); /* 1 to n */
        take_over_in_order(all, n);
        for (uint64_t id = 1; id <= n; id++)
                assert_true(engine_is_tombstone(kit.engine, id));
        finish_and_leave(kit_plain(&kit));
        assert_null(engine_find(kit.engine, n));
        assert_non_null(engine_find(kit.engine, 1));
        /* The next life finds their records as they were written once: in the place of the one that fell out there is one of this
         * life, which was the last to leave. */
        assert_int_equal(all[0].id, n);
        all[0] = (Known) { n + 1, found(n + 1, &error) };
        assert_true(all[0].snapshot.forgotten > all[n - 1].snapshot.forgotten);
        take_over_in_order(all, n);
        finish_and_leave(kit_plain(&kit));
        assert_null(engine_find(kit.engine, n - 1));
        assert_non_null(engine_find(kit.engine, n + 1));
        assert_non_null(engine_find(kit.engine, 1));
        free(all);
}

static void who_lives_is_adopted_by_its_number_behind_those_who_left(void **state) {
        Known all[] = {
                { 7, { .state = QUERY_EXECUTING } },
                { 3, { .state = QUERY_FINISHED } },
                { 9, { .state = QUERY_FINISHED, .done = true, .forgotten = 2 } },
                { 5, { .state = QUERY_EXECUTING, .done = true } },
                { 10, { .state = QUERY_CANCELED, .done = true, .forgotten = 1 } },
                { 8, { .state = QUERY_ERRORED, .done = true, .forgotten = 2 } }, /* as no engine says it */
        };
        static const uint64_t wanted[] = { 10, 8, 9, 3, 5, 7 };

        (void) state;
        qsort(all, ELEMENTSOF(all), sizeof(*all), order);
        for (size_t i = 0; i < ELEMENTSOF(all); i++)
                assert_int_equal(all[i].id, wanted[i]);
}

static void more_than_a_smaller_budget_has_is_kept_and_not_given_again(void **state) {
        Config c = kit_config();
        uint64_t id = kit_plain(&kit);

        (void) state;
        kit_need(&kit, id, 400 * MIB);
        assert_true(kit_query(&kit, id)->quota_bytes > 256 * MIB);
        c.max_memory_bytes = 256 * MIB;
        kit.config = c;
        take_over(1);
        assert_true(kit_query(&kit, id)->quota_bytes > 256 * MIB);
        assert_int_equal(budget_unused_bytes(engine_budget(kit.engine)), 0);
        kit_exit(&kit, id, 0);
        assert_int_equal(budget_total_bytes(engine_budget(kit.engine)), 256 * MIB);
}

/* As a reload: who has a slot has what was leased for it, in the kernel or not yet, and nobody else comes in before that fits. */
static void who_was_let_in_under_a_larger_budget_starts_with_what_it_was_let_in_with(void **state) {
        Config c = kit_pool_config(1, 128 * MIB);
        uint64_t waiting;

        (void) state;
        kit.slow_units = true;
        for (int i = 0; i < 4; i++)
                kit_plain(&kit);
        waiting = kit_plain(&kit);
        kit.config = c;
        take_over(waiting);
        assert_int_equal(budget_leased_bytes(engine_budget(kit.engine)), 256 * MIB);
        assert_int_equal(budget_total_bytes(engine_budget(kit.engine)), 256 * MIB); /* so large penstock.slice is, too */
        assert_int_equal(budget_unused_bytes(engine_budget(kit.engine)), 0);
        for (uint64_t id = 1; id <= 4; id++) {
                kit_ready(&kit, id);
                assert_int_equal(kit_action(&kit, ACTION_EXECUTE, id)->limits.max_bytes, 64 * MIB);
        }
        kit_need(&kit, 1, 60 * MIB);
        assert_int_equal(kit_lease(1), 64 * MIB);
        for (uint64_t id = 1; id <= 4; id++) {
                assert_int_equal(kit_state(&kit, waiting), QUERY_QUEUEING);
                kit_exit(&kit, id, 0);
        }
        assert_int_equal(kit_state(&kit, waiting), QUERY_EXECUTING);
        assert_int_equal(budget_total_bytes(engine_budget(kit.engine)), 128 * MIB);
}

static void who_was_denied_for_good_has_no_brake_afterwards_either(void **state) {
        Config c = kit_pool_config(2, 512 * MIB);

        (void) state;
        c.exhaustion_policy = EXHAUSTION_FAIL;
        kit_reopen(&c);
        kit_content(&kit, 448 * MIB);
        kit_plain(&kit);
        kit_need(&kit, 2, 62 * MIB);
        assert_true(kit_query(&kit, 2)->headroom_off);
        assert_int_equal(kit_action(&kit, ACTION_SET_LIMITS, 2)->limits.high_bytes, SIZE_INFINITY);
        take_over(2);
        assert_int_equal(kit_action(&kit, ACTION_SET_LIMITS, 2)->limits.max_bytes, 64 * MIB);
        assert_int_equal(kit_action(&kit, ACTION_SET_LIMITS, 2)->limits.high_bytes, SIZE_INFINITY);
}

/* It needed 450M once, and has 100M now. */
static void what_is_learned_of_a_query_knows_what_it_had_before_it_was_lowered(void **state) {
        Config c = kit_config();

        (void) state;
        for (unsigned taken_over = 0; taken_over < 2; taken_over++) {
                kit_reopen(&c);
                kit_submit(&kit, (QuerySpec) { .fingerprint = { 11, 13 } });
                for (uint64_t lease = 64; lease < 512; lease = kit_lease(1) / MIB)
                        kit_need(&kit, 1, kit_lease(1) - MIB);
                kit_pass(&kit, USEC_PER_SEC);
                kit_step(&kit, (Event) { .type = EVENT_CAP, .query_id = 1, .bytes = 100 * MIB });
                kit_need(&kit, 1, 60 * MIB);
                assert_int_equal(kit_lease(1), 100 * MIB);
                if (taken_over)
                        take_over(1);
                kit_step(&kit, (Event) { .type = EVENT_CAP, .query_id = 1, .bytes = SIZE_INFINITY });
                kit_report(&kit, 1, (EndedReport) { .numbers.memory_peak_bytes = 450 * MIB }, NULL);
                assert_int_equal(kit_query(&kit, 1)->needed_bytes, 512 * MIB);
        }
}

/* Somebody wrote "max" into its memory.max. */
static void a_limit_above_its_maximum_is_no_lease_and_is_written_again(void **state) {
        uint64_t id = kit_submit(&kit, (QuerySpec) { .max_bytes = 200 * MIB });
        QuerySnapshot s;
        Error error;

        (void) state;
        s = found(id, &error);
        s.limit_bytes = SIZE_INFINITY;
        engine_free(kit.engine);
        assert_int_equal(engine_new(&kit.config, 1, &kit.engine), 0);
        kit.n_log = 0;
        tell(&s, id, &error);
        assert_int_equal(kit_lease(id), 200 * MIB);
        assert_int_equal(kit_action(&kit, ACTION_SET_LIMITS, id)->limits.max_bytes, 200 * MIB);
}

static void a_snapshot_that_cannot_be_is_not_valid(void **state) {
        uint64_t id = kit_plain(&kit);
        QuerySnapshot good, s;
        Error error;

        (void) state;
        good = found(id, &error);
        assert_true(query_snapshot_is_valid(&good));
        s = good, s.state = _QUERY_STATE_MAX;
        assert_false(query_snapshot_is_valid(&s));
        s = good, s.state = QUERY_QUEUEING; /* and handed over */
        assert_false(query_snapshot_is_valid(&s));
        s = good, s.verdict = _VERDICT_MAX;
        assert_false(query_snapshot_is_valid(&s));
        s = good, s.initial_bytes = s.max_bytes + 1;
        assert_false(query_snapshot_is_valid(&s));
        s = good, s.forgotten = UINT64_MAX;
        assert_false(query_snapshot_is_valid(&s));
        s = good, s.lease_bytes = s.max_bytes + 1;
        assert_false(query_snapshot_is_valid(&s));
        s = good, s.ending = true, s.ending_state = QUERY_EXECUTING;
        assert_false(query_snapshot_is_valid(&s));
        s = good, s.spec.language[0] = 0;
        assert_false(query_snapshot_is_valid(&s));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                KIT_TEST(who_runs_keeps_its_limit_and_grows_on),
                KIT_TEST(its_profile_goes_on),
                KIT_TEST(a_raise_that_was_written_and_not_recorded_is_counted),
                KIT_TEST(a_quota_that_was_lowered_and_not_recorded_is_none_that_was_raised),
                KIT_TEST(who_is_new_gets_nothing_before_all_are_known),
                KIT_TEST(what_was_not_handed_over_starts_anew),
                KIT_TEST(its_dependencies_are_asked_for_once_more),
                KIT_TEST(its_unit_is_counted_while_its_dependencies_are_looked_at),
                KIT_TEST(who_cannot_be_started_any_more_is_told_why),
                KIT_TEST(who_waits_frozen_waits_on_and_others_are_thawed),
                KIT_TEST(who_ran_while_nobody_was_there_has_used_that_time),
                KIT_TEST(who_was_held_while_nobody_was_there_has_not),
                KIT_TEST(who_ended_while_nobody_was_there_is_not_told_a_timeout),
                KIT_TEST(who_was_being_ended_is_ended),
                KIT_TEST(who_was_being_ended_and_never_got_its_hand_over_is_not_started),
                KIT_TEST(what_it_left_is_nobodys_while_its_unit_is_there),
                KIT_TEST(a_compile_slot_is_taken_while_its_unit_is_there),
                KIT_TEST(who_starts_anew_waits_for_the_end_of_its_unit),
                KIT_TEST(what_has_ended_stays_as_it_was),
                KIT_TEST(who_left_first_falls_out_first_whatever_its_number),
                KIT_TEST(who_lives_is_adopted_by_its_number_behind_those_who_left),
                KIT_TEST(more_than_a_smaller_budget_has_is_kept_and_not_given_again),
                KIT_TEST(who_was_let_in_under_a_larger_budget_starts_with_what_it_was_let_in_with),
                KIT_TEST(who_was_denied_for_good_has_no_brake_afterwards_either),
                KIT_TEST(what_is_learned_of_a_query_knows_what_it_had_before_it_was_lowered),
                KIT_TEST(a_limit_above_its_maximum_is_no_lease_and_is_written_again),
                KIT_TEST(a_snapshot_that_cannot_be_is_not_valid),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
