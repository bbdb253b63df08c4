/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* tests/engine-kit: a host that obeys, for tests of the engine. Time is a number. Each call below clears the log of
 * actions first, so that it holds what that call caused; the invariants are checked after every single step. */
#pragma once

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/engine.h"

#define KIT_LOG_MAX 4096u
#define KIT_NO_TIMEOUT (USEC_INFINITY - 1) /* in a QuerySpec of kit_submit(), where 0 means as configured */
#define KIT_FOREVER 1000000u

typedef struct Kit {
        Config config;
        Engine *engine;
        uint64_t now_usec;
        ActionList out;
        Action log[KIT_LOG_MAX];
        size_t n_log;
        Error refusal;      /* of the last request */
        bool slow_units;    /* units become ready, and go, only by kit_ready() and kit_gone() */
        bool slow_checks;   /* dependencies are there only by kit_dependencies() */
        bool slow_limits;   /* limits are confirmed only by kit_limits() */
        bool slow_lowering; /* quotas are lowered only by kit_lowered() */
        bool slow_kills;    /* ACTION_KILL does not end anything by itself */
} Kit;

/* Four slots of 64M, 1G a query, a budget of 1G: the pool has 768M. */
static inline Config kit_config(void) {
        return (Config) {
                .concurrency_quota = 4, .initial_bytes = 64 * MIB, .per_query_bytes = GIB, .max_memory_bytes = GIB,
                .queue_size = 8, .queue_timeout_usec = 0, .query_timeout_usec = 0, .max_queries_per_user = 64,
                .exhaustion_policy = EXHAUSTION_FREEZE, .freeze_timeout_usec = 60 * USEC_PER_SEC,
                .compile_timeout_usec = 30 * USEC_PER_SEC, .compile_memory_bytes = 128 * MIB, .compile_concurrency = 2,
                .cancel_grace_usec = 5 * USEC_PER_SEC, .results_keep_usec = 3600 * USEC_PER_SEC,
        };
}

static inline void kit_open(Kit *k, const Config *c) {
        memset(k, 0, sizeof(*k));
        k->config = *c;
        k->now_usec = 1000 * USEC_PER_SEC;
        assert_int_equal(engine_new(c, 1, &k->engine), 0);
}

static inline void kit_close(Kit *k) {
        k->engine = engine_free(k->engine);
        actions_done(&k->out);
}

static inline const Query *kit_query(const Kit *k, uint64_t id) {
        const Query *q = engine_find(k->engine, id);

        assert_non_null(q);
        return q;
}

static inline QueryState kit_state(const Kit *k, uint64_t id) {
        return kit_query(k, id)->state;
}

static inline void kit_check(const Kit *k) {
        const Budget *b = engine_budget(k->engine);
        uint64_t quotas = 0, leases = 0, executing = 0;

        for (const Query *q = NULL; (q = engine_next(k->engine, q));) {
                quotas += q->quota_bytes;
                leases += q->lease.bytes;
                executing += q->state == QUERY_EXECUTING;
                assert_true(q->quota_bytes <= q->lease.bytes);
                assert_true(q->lease.bytes <= q->max_bytes);
                assert_int_equal(q->state == QUERY_EXECUTING, q->has_slot);
                assert_int_equal(q->state == QUERY_EXECUTING, q->lease.owner != NULL);
        }
        assert_true(quotas <= leases);
        assert_int_equal(leases, budget_leased_bytes(b));
        assert_int_equal(executing, engine_count(k->engine, QUERY_EXECUTING));
        assert_true(leases <= budget_total_bytes(b));
        if (executing == 0 && b->leftover_bytes == 0)
                assert_int_equal(budget_held_bytes(b), b->slots == UINT64_MAX ? 0 : b->slots * b->slot_bytes);
}

static inline void kit_step(Kit *k, Event ev);

static inline void kit_obey(Kit *k, const Action *a) {
        switch (a->type) {
        case ACTION_CHECK_DEPENDENCIES:
                if (!k->slow_checks)
                        kit_step(k, (Event) { .type = EVENT_DEPENDENCIES, .query_id = a->query_id });
                break;
        case ACTION_START_UNIT:
                if (!k->slow_units)
                        kit_step(k, (Event) { .type = EVENT_UNIT_READY, .query_id = a->query_id });
                break;
        case ACTION_RELEASE_UNIT:
                if (!k->slow_units)
                        kit_step(k, (Event) { .type = EVENT_UNIT_GONE, .query_id = a->query_id });
                break;
        case ACTION_EXECUTE:
        case ACTION_SET_LIMITS:
                if (!k->slow_limits)
                        kit_step(k, (Event) { .type = EVENT_LIMITS, .query_id = a->query_id,
                                              .limits.max_bytes = a->limits.max_bytes });
                break;
        case ACTION_LOWER:
                if (!k->slow_lowering)
                        kit_step(k, (Event) { .type = EVENT_LOWERED, .query_id = a->query_id,
                                              .limits.max_bytes = a->limits.max_bytes });
                break;
        case ACTION_KILL:
                if (!k->slow_kills)
                        kit_step(k, (Event) { .type = EVENT_ENDED, .query_id = a->query_id,
                                              .ended.report = { .exit_status = -1, .exit_signal = SIGKILL } });
                break;
        default: break;
        }
}

/* One step, and then what a host would do about its actions, each as a step of its own. */
static inline void kit_step(Kit *k, Event ev) {
        Action *mine;
        size_t n;

        assert_int_equal(engine_step(k->engine, &ev, k->now_usec, &k->out), 0);
        n = k->out.n;
        assert_true(k->n_log + n <= KIT_LOG_MAX);
        mine = calloc(n + 1, sizeof(*mine));
        assert_non_null(mine);
        for (size_t i = 0; i < n; i++)
                k->log[k->n_log++] = mine[i] = k->out.v[i];
        kit_check(k);
        if (ev.type == EVENT_TICK)
                assert_true(engine_deadline(k->engine) > k->now_usec);
        for (size_t i = 0; i < n; i++)
                kit_obey(k, &mine[i]);
        free(mine);
}

static inline void kit_event(Kit *k, EventType type, uint64_t id) {
        k->n_log = 0;
        kit_step(k, (Event) { .type = type, .query_id = id });
}

/* How often the last call asked for @type (of query @id; 0: of any). */
static inline unsigned kit_saw(const Kit *k, ActionType type, uint64_t id) {
        unsigned n = 0;

        for (size_t i = 0; i < k->n_log; i++)
                n += k->log[i].type == type && (id == 0 || k->log[i].query_id == id);
        return n;
}

/* The last such action; it must be there. */
static inline const Action *kit_action(const Kit *k, ActionType type, uint64_t id) {
        for (size_t i = k->n_log; i > 0; i--)
                if (k->log[i - 1].type == type && (id == 0 || k->log[i - 1].query_id == id))
                        return &k->log[i - 1];
        fail_msg("no action %d for query %llu", (int) type, (unsigned long long) id);
        return NULL;
}

static inline unsigned kit_notes(const Kit *k, NoteType note, uint64_t id) {
        unsigned n = 0;

        for (size_t i = 0; i < k->n_log; i++)
                n += k->log[i].type == ACTION_NOTE && k->log[i].note == note && (id == 0 || k->log[i].query_id == id);
        return n;
}

/* Submit; returns the ID, or 0 when refused (then .refusal says why). @reserved 0: the next ID. */
static inline uint64_t kit_submit_reserved(Kit *k, uint64_t reserved, QuerySpec spec) {
        uint64_t id = 0;

        spec.timeout_usec = spec.timeout_usec == 0                ? USEC_INFINITY
                            : spec.timeout_usec == KIT_NO_TIMEOUT ? 0
                                                                  : spec.timeout_usec;
        spec.queue_timeout_usec = spec.queue_timeout_usec == 0                ? USEC_INFINITY
                                  : spec.queue_timeout_usec == KIT_NO_TIMEOUT ? 0
                                                                              : spec.queue_timeout_usec;
        k->n_log = 0;
        k->refusal.code = ERROR_NONE;
        kit_step(k, (Event) { .type = EVENT_REQUEST, .query_id = reserved, .request.spec = &spec });
        for (size_t i = 0; i < k->n_log; i++)
                if (k->log[i].type == ACTION_ADMITTED)
                        id = k->log[i].query_id;
                else if (k->log[i].type == ACTION_REFUSED)
                        k->refusal = k->log[i].error;
        assert_int_equal(id == 0, k->refusal.code != ERROR_NONE);
        return id;
}

static inline uint64_t kit_submit(Kit *k, QuerySpec spec) {
        return kit_submit_reserved(k, 0, spec);
}

static inline uint64_t kit_plain(Kit *k) {
        return kit_submit(k, (QuerySpec) { .uid = 1000 });
}

static inline void kit_dependencies(Kit *k, uint64_t id, const Error *error) {
        k->n_log = 0;
        kit_step(k, (Event) { .type = EVENT_DEPENDENCIES, .query_id = id, .error = error });
}

static inline void kit_ready(Kit *k, uint64_t id) {
        kit_event(k, EVENT_UNIT_READY, id);
}

static inline void kit_gone(Kit *k, uint64_t id) {
        kit_event(k, EVENT_UNIT_GONE, id);
}

static inline void kit_sample(Kit *k, uint64_t id, Sample s) {
        k->n_log = 0;
        if (s.max_bytes == 0) /* read now: under the limit that is in force */
                s.max_bytes = kit_query(k, id)->quota_bytes;
        kit_step(k, (Event) { .type = EVENT_SAMPLE, .query_id = id, .sample = s });
}

static inline Sample kit_anonymous(uint64_t bytes) {
        return (Sample) { .anon_bytes = bytes, .active_anon_bytes = bytes, .current_bytes = bytes, .pids = 1,
                          .has_psi = true, .populated = true };
}

/* It now holds @bytes that it cannot give back. */
static inline void kit_need(Kit *k, uint64_t id, uint64_t bytes) {
        kit_sample(k, id, kit_anonymous(bytes));
}

static inline void kit_limits(Kit *k, uint64_t id, int r, uint64_t max_bytes) {
        k->n_log = 0;
        kit_step(k, (Event) { .type = EVENT_LIMITS, .query_id = id, .limits = { .r = r, .max_bytes = max_bytes } });
}

static inline void kit_lowered(Kit *k, uint64_t id, int r, uint64_t max_bytes) {
        k->n_log = 0;
        kit_step(k, (Event) { .type = EVENT_LOWERED, .query_id = id, .limits = { .r = r, .max_bytes = max_bytes } });
}

static inline void kit_report(Kit *k, uint64_t id, EndedReport r, const Error *error) {
        k->n_log = 0;
        kit_step(k, (Event) { .type = EVENT_ENDED, .query_id = id, .ended = { .report = r, .error = error } });
}

static inline void kit_exit(Kit *k, uint64_t id, int status) {
        kit_report(k, id, (EndedReport) { .exit_status = status }, NULL);
}

static inline void kit_compiled(Kit *k, uint64_t id, int status) {
        k->n_log = 0;
        kit_step(k, (Event) { .type = EVENT_COMPILED, .query_id = id, .ended.report.exit_status = status });
}

static inline void kit_shutdown(Kit *k, uint64_t usec) {
        k->n_log = 0;
        kit_step(k, (Event) { .type = EVENT_SHUTDOWN, .shutdown_usec = usec });
}

static inline void kit_reload(Kit *k, const Config *c) {
        k->n_log = 0;
        k->config = *c;
        kit_step(k, (Event) { .type = EVENT_CONFIG, .config = c });
}

/* Let @usec pass, with a tick at each deadline on the way; the last microsecond is included. */
static inline void kit_pass(Kit *k, uint64_t usec) {
        uint64_t until = k->now_usec + usec, ticks = 0;

        k->n_log = 0;
        while (engine_deadline(k->engine) <= until) {
                k->now_usec = MAX(k->now_usec, engine_deadline(k->engine));
                kit_step(k, (Event) { .type = EVENT_TICK });
                assert_true(ticks++ < KIT_FOREVER);
        }
        k->now_usec = until;
}

/* The one host of a test file; each test gets it fresh. */
static Kit kit;

static inline int kit_setup(void **state) {
        Config c = kit_config();

        (void) state;
        kit_open(&kit, &c);
        return 0;
}

static inline int kit_teardown(void **state) {
        (void) state;
        kit_close(&kit);
        return 0;
}

static inline void kit_reopen(const Config *c) {
        kit_close(&kit);
        kit_open(&kit, c);
}

static inline uint64_t kit_lease(uint64_t id) {
        return kit_query(&kit, id)->lease.bytes;
}

static inline uint64_t kit_unused(void) {
        return budget_unused_bytes(engine_budget(kit.engine));
}

static inline bool kit_frozen(uint64_t id) {
        return kit_query(&kit, id)->frozen;
}

/* Slots of 64M; the pool is what @total_bytes leaves beside them. */
static inline Config kit_pool_config(uint64_t quota, uint64_t total_bytes) {
        Config c = kit_config();

        c.concurrency_quota = quota;
        c.max_memory_bytes = total_bytes;
        c.per_query_bytes = MIN(total_bytes, GIB);
        return c;
}

/* It begins with all it may ever have. */
static inline uint64_t kit_content(Kit *k, uint64_t bytes) {
        return kit_submit(k, (QuerySpec) { .initial_bytes = bytes, .max_bytes = bytes });
}

/* 1 has the whole pool of 384M on top, runs and is content; 2 has its slot. */
static inline void kit_one_has_the_pool(ExhaustionPolicy policy) {
        Config c = kit_pool_config(2, 512 * MIB);

        c.exhaustion_policy = policy;
        kit_reopen(&c);
        kit_content(&kit, 448 * MIB);
        kit_plain(&kit);
        assert_int_equal(kit_unused(), 0);
}

#define KIT_TEST(f) cmocka_unit_test_setup_teardown(f, kit_setup, kit_teardown)
