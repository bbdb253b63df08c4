/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sim/load.h"
#include "sim/kernel.h"

#include <errno.h>
#include <stdio.h>

#define PAGE KERNEL_PAGE_BYTES
#define LEAST_CHUNK (KERNEL_CHARGE_BATCH * PAGE)
#define MSEC USEC_PER_MSEC
#define SEC USEC_PER_SEC

static uint64_t pages_between(Random *r, uint64_t low_bytes, uint64_t high_bytes) {
        return random_between(r, low_bytes / PAGE, high_bytes / PAGE) * PAGE;
}

/* Many small ones and few large ones: which power of two above @low, uniform; in it, uniform. */
static uint64_t skewed(Random *r, uint64_t low, uint64_t high) {
        unsigned bits = 0;
        uint64_t from;

        while (low << (bits + 1) <= high)
                bits++;
        from = low << random_between(r, 0, bits);
        return random_between(r, from, MIN(2 * from, high));
}

/* Now and then one in @percent happens, at some time up to @most. */
static uint64_t perhaps(Random *r, unsigned percent, uint64_t most) {
        return random_percent(r, percent) ? random_between(r, 0, most) : LOAD_NEVER;
}

static void draw_memory(Random *r, Config *c, bool prompt) {
        uint64_t reserved, pool;

        if (prompt)
                c->initial_bytes = pages_between(r, LOAD_PROMPT_BYTES, 2 * LOAD_PROMPT_BYTES);
        else
                c->initial_bytes = pages_between(r, 2 * MIB, random_percent(r, 70) ? 32 * MIB : 128 * MIB);
        c->per_query_bytes = pages_between(r, c->initial_bytes, c->initial_bytes * 12);
        reserved = c->concurrency_quota * c->initial_bytes;
        pool = pages_between(r, 0, 2 * c->per_query_bytes);
        c->max_memory_bytes = MAX(reserved + pool, c->per_query_bytes);
        if (random_percent(r, 10))
                c->max_memory_bytes = MAX(reserved, c->per_query_bytes); /* no pool, or next to none */
}

static Config draw_config(Random *r, bool prompt, bool steady) {
        Config c = { .concurrency_quota = random_between(r, 1, 8), .queue_size = random_between(r, 0, 30) };

        draw_memory(r, &c, prompt);
        c.max_queries_per_user = random_percent(r, 30) ? random_between(r, 1, 6) : 64;
        c.queue_timeout_usec = random_percent(r, 30) ? random_between(r, 1, 120) * SEC : 0;
        c.query_timeout_usec = random_percent(r, 30) ? random_between(r, 100, 60000) * MSEC : 0;
        c.exhaustion_policy = random_percent(r, 75) ? EXHAUSTION_FREEZE : EXHAUSTION_FAIL;
        c.freeze_timeout_usec = random_between(r, 1, 60) * SEC;
        c.compile_timeout_usec = random_between(r, 1, 10) * SEC;
        c.compile_concurrency = random_between(r, 1, 3);
        c.cancel_grace_usec = random_percent(r, 20) ? 0 : random_between(r, 1, 5000) * MSEC;
        c.results_keep_usec = random_percent(r, 30) ? random_between(r, 1, 60) * SEC : 3600 * SEC;
        c.warm_units = random_between(r, 0, 3);
        if (steady) {
                c.exhaustion_policy = EXHAUSTION_FREEZE;
                c.freeze_timeout_usec = USEC_INFINITY;
                /* Each maximum can come true, for one at a time. */
                c.max_memory_bytes = MAX(c.max_memory_bytes, c.concurrency_quota * c.initial_bytes + c.per_query_bytes);
        }
        return c;
}

static void draw_spec(Random *r, const Config *c, QuerySpec *s) {
        *s = (QuerySpec) { .uid = 1000 + (uint32_t) random_between(r, 0, 3), .timeout_usec = USEC_INFINITY,
                           .queue_timeout_usec = USEC_INFINITY };
        snprintf(s->language, sizeof(s->language), "sim");
        s->has_compile = random_percent(r, 40);
        s->has_dependencies = random_percent(r, 30);
        s->detached = random_percent(r, 20);
        s->allow_priority = random_percent(r, 50);
        s->priority = random_percent(r, 70) ? 0 : (int32_t) random_between(r, 0, 4) - 2;
        if (random_percent(r, 25))
                s->max_bytes = random_between(r, c->initial_bytes / 2, c->per_query_bytes + 8 * MIB);
        if (random_percent(r, 20))
                s->initial_bytes = random_between(r, MIB / 2, c->per_query_bytes);
        if (random_percent(r, 15))
                s->timeout_usec = random_percent(r, 30) ? 0 : random_between(r, 10, 20000) * MSEC;
        if (random_percent(r, 15))
                s->queue_timeout_usec = random_percent(r, 30) ? 0 : random_between(r, 10, 20000) * MSEC;
}

static void draw_engine(Random *r, const Config *c, bool steady, LoadQuery *q) {
        uint64_t most = c->per_query_bytes + c->per_query_bytes / 8, bytes_per_msec;

        q->threads = random_percent(r, 60) ? 1 : (unsigned) random_between(r, 2, 16);
        q->anon_bytes = skewed(r, MIB / 2, most);
        q->shmem_bytes = random_percent(r, 20) ? skewed(r, 64 * KIB, most / 3) : 0;
        q->cache_bytes = random_percent(r, 40) ? skewed(r, MIB, 3 * most) : 0;
        if (steady) /* who waits for reclaim, behind memory.high, grows so slowly that it is taken to rest */
                q->cache_bytes = 0;
        /* A thread touches from 1 MB to 1 GB a second. */
        bytes_per_msec = skewed(r, steady ? 16 * KIB : KIB, MIB);
        q->chunk_bytes = MAX(LEAST_CHUNK, (q->anon_bytes + q->shmem_bytes + q->cache_bytes) / 512 / PAGE * PAGE);
        q->chunk_bytes = MIN(q->chunk_bytes, MAX(LEAST_CHUNK, c->initial_bytes / 64 / PAGE * PAGE));
        q->usec_per_chunk = MAX(q->chunk_bytes * 1000 / bytes_per_msec, 1u);
        q->rest_usec = skewed(r, 1, random_percent(r, 80) ? 2 * SEC : 30 * SEC);
        q->exit_status = random_percent(r, 90) ? 0 : (int) random_between(r, 1, 255);
        q->unit_lost_usec = perhaps(r, 1, 5 * SEC);
        q->obeys_term = random_percent(r, 80);
        q->term_usec = skewed(r, 1, 2 * SEC);
        q->exit_usec = skewed(r, 1, random_percent(r, 95) ? 50 * MSEC : 20 * SEC);
        if (steady && random_percent(r, 30)) {
                q->starve_at_bytes = random_between(r, 1, q->anon_bytes + q->shmem_bytes);
                q->starve_usec = skewed(r, 1, 40 * SEC);
        }
}

static void draw_query(Random *r, const Config *c, uint64_t span_usec, bool steady, LoadQuery *q) {
        q->arrives_usec = random_between(r, 0, span_usec);
        draw_spec(r, c, &q->spec);
        q->check_usec = skewed(r, 1, random_percent(r, 90) ? SEC : 20 * SEC);
        q->check_fails = random_percent(r, 10);
        q->unit_start_usec = skewed(r, 1, random_percent(r, 95) ? 300 * MSEC : 12 * SEC);
        q->unit_stop_usec = skewed(r, 1, random_percent(r, 95) ? 300 * MSEC : 12 * SEC);
        q->unit_fails = random_percent(r, 2);
        q->compile_usec = skewed(r, 1, random_percent(r, 90) ? SEC : 20 * SEC);
        q->compile_status = random_percent(r, 85) ? 0 : 1;
        draw_engine(r, c, steady, q);
        q->cancel_usec = perhaps(r, 12, 20 * SEC);
        q->hold_drop_usec = perhaps(r, 8, 20 * SEC);
        q->reader_gone_usec = perhaps(r, 6, 20 * SEC);
        q->done_usec = perhaps(r, 6, 20 * SEC);
        q->done_after_usec = random_percent(r, 80) ? skewed(r, 1, 5 * SEC) : LOAD_NEVER;
}

static void draw_acts(Random *r, Load *l, uint64_t span_usec) {
        while (!l->steady && l->n_acts + 2 <= LOAD_ACTS_MAX && random_percent(r, 35)) {
                LoadAct *a = &l->acts[l->n_acts++];

                *a = (LoadAct) { .type = random_percent(r, 40) ? LOAD_PAUSE : LOAD_RELOAD,
                                 .at_usec = random_between(r, 0, span_usec), .config = l->config };
                if (a->type == LOAD_PAUSE) {
                        l->acts[l->n_acts++] = (LoadAct) { .type = LOAD_RESUME,
                                                           .at_usec = a->at_usec + random_between(r, 0, 30 * SEC) };
                        continue;
                }
                a->config.concurrency_quota = random_between(r, 1, 8);
                draw_memory(r, &a->config, l->prompt);
                a->config.exhaustion_policy = random_percent(r, 75) ? EXHAUSTION_FREEZE : EXHAUSTION_FAIL;
                a->config.queue_size = random_between(r, 0, 30);
        }
        if (l->n_acts < LOAD_ACTS_MAX && random_percent(r, 20))
                l->acts[l->n_acts++] = (LoadAct) { .type = LOAD_SHUTDOWN,
                                                   .at_usec = random_between(r, span_usec / 2, span_usec * 2),
                                                   .shutdown_usec = random_percent(r, 33)   ? 0
                                                                    : random_percent(r, 50) ? USEC_INFINITY
                                                                                            : random_between(r, 1, 30 * SEC) };
}

/* Which queries are the same, and whether that is used: by a stream of its own, so that all else of a seed is what it was
 * before there was this. */
static void draw_learning(Load *l, uint64_t seed) {
        Random r = { .state = seed ^ UINT64_C(0x6c6561726e656421) };
        InitialQuota how = random_percent(&r, 50) ? INITIAL_QUOTA_LEARNED : INITIAL_QUOTA_FIXED;

        l->config.initial_quota = how;
        for (size_t i = 0; i < l->n_acts; i++)
                l->acts[i].config.initial_quota = random_percent(&r, 90) ? how : INITIAL_QUOTA_FIXED;
        for (size_t i = 0; i < l->n_queries; i++)
                if (random_percent(&r, 80))
                        l->queries[i].spec.fingerprint[0] = random_between(&r, 1, 1 + l->n_queries / 8);
}

/* The same of those that are run once more. */
static void draw_retries(Load *l, uint64_t seed) {
        Random r = { .state = seed ^ UINT64_C(0x7265747269657321) };
        bool wanted = random_percent(&r, 60);

        l->config.retry_on_exhaustion = wanted;
        for (size_t i = 0; i < l->n_acts; i++)
                l->acts[i].config.retry_on_exhaustion = wanted && random_percent(&r, 90);
        for (size_t i = 0; i < l->n_queries; i++) {
                l->queries[i].spec.may_retry = random_percent(&r, 80);
                l->queries[i].is_silent = random_percent(&r, 80);
        }
}

/* The same of those that need less for a while, and more again. */
static void draw_givers(Load *l, uint64_t seed) {
        Random r = { .state = seed ^ UINT64_C(0x6769766572732121) };

        for (size_t i = 0; i < l->n_queries; i++) {
                LoadQuery *q = &l->queries[i];

                if (l->steady || !random_percent(&r, 25))
                        continue;
                q->give_at_bytes = random_between(&r, 1, q->anon_bytes + q->shmem_bytes);
                q->give_bytes = pages_between(&r, PAGE, q->anon_bytes);
                q->give_usec = skewed(&r, 1, 10 * SEC);
        }
}

/* The same of an administrator's limit of the slice, for a while. */
static void draw_caps(Load *l, uint64_t seed, uint64_t span_usec) {
        Random r = { .state = seed ^ UINT64_C(0x6361707065642121) };
        uint64_t at_usec = random_between(&r, 0, span_usec), until_usec = at_usec + random_between(&r, 0, 60 * SEC);

        if (l->steady || l->n_acts + 2 > LOAD_ACTS_MAX || !random_percent(&r, 20))
                return;
        l->acts[l->n_acts++] = (LoadAct) { .type = LOAD_CAP, .at_usec = at_usec,
                                           .cap_bytes = pages_between(&r, l->config.initial_bytes, l->config.max_memory_bytes) };
        l->acts[l->n_acts++] = (LoadAct) { .type = LOAD_UNCAP, .at_usec = until_usec, .cap_bytes = SIZE_INFINITY };
}

/* The same of one of single queries: not where a kill would be no excuse, since at a cap there is no brake, and it may be lifted. */
static void draw_query_caps(Load *l, uint64_t seed) {
        Random r = { .state = seed ^ UINT64_C(0x6361706f66717565) };
        bool wanted = !l->steady && !l->prompt && random_percent(&r, 30);

        for (size_t i = 0; i < l->n_queries; i++) {
                LoadQuery *q = &l->queries[i];

                q->cap_usec = wanted ? perhaps(&r, 30, 20 * SEC) : LOAD_NEVER;
                q->uncap_after_usec = perhaps(&r, 80, 20 * SEC);
                q->cap_bytes = pages_between(&r, PAGE, l->config.per_query_bytes);
        }
}

/* The same of what is left over in the slice for a while. */
static void draw_leftovers(Load *l, uint64_t seed, uint64_t span_usec) {
        Random r = { .state = seed ^ UINT64_C(0x6c6566746f766572) };
        uint64_t at_usec = random_between(&r, 0, span_usec), until_usec = at_usec + random_between(&r, 0, 60 * SEC);

        if (l->steady || l->n_acts + 2 > LOAD_ACTS_MAX || !random_percent(&r, 20))
                return;
        l->acts[l->n_acts++] = (LoadAct) { .type = LOAD_LEFTOVERS, .at_usec = at_usec,
                                           .leftover_bytes = pages_between(&r, PAGE, l->config.max_memory_bytes) };
        l->acts[l->n_acts++] = (LoadAct) { .type = LOAD_LEFTOVERS, .at_usec = until_usec };
}

/* The same of a process that SIGKILL does not reach for minutes. */
static void draw_slow_deaths(Load *l, uint64_t seed) {
        Random r = { .state = seed ^ UINT64_C(0x64656174686c6573) };
        bool wanted = !l->steady && random_percent(&r, 15);

        for (size_t i = 0; i < l->n_queries; i++)
                if (random_percent(&r, 10) && wanted)
                        l->queries[i].exit_usec = random_between(&r, 0, 600 * SEC);
}

/* The same of units that PID 1 is slow to stop, all of them, so that they pile up. */
static void draw_slow_units(Load *l, uint64_t seed) {
        Random r = { .state = seed ^ UINT64_C(0x736c6f77756e6974) };

        if (!random_percent(&r, 10))
                return;
        for (size_t i = 0; i < l->n_queries; i++)
                l->queries[i].unit_stop_usec = random_between(&r, 1, 60 * SEC);
}

int load_draw(Load *l, uint64_t seed, size_t n_queries) {
        Random r = { .state = seed };
        uint64_t span_usec;

        *l = (Load) { .n_queries = n_queries, .prompt = random_percent(&r, 30), .steady = random_percent(&r, 20) };
        l->config = draw_config(&r, l->prompt, l->steady);
        l->queries = calloc(MAX(n_queries, 1u), sizeof(*l->queries));
        if (!l->queries)
                return -ENOMEM;
        l->wake_usec = skewed(&r, 20, LOAD_PROMPT_USEC);
        l->wake_late_usec = skewed(&r, MSEC, 300 * MSEC);
        l->wake_late_percent = l->prompt || random_percent(&r, 50) ? 0 : (unsigned) random_between(&r, 1, 50);
        span_usec = random_between(&r, 1, 60) * SEC * (1 + n_queries / 100); /* a crowd comes for longer */
        for (size_t i = 0; i < n_queries; i++)
                draw_query(&r, &l->config, span_usec, l->steady, &l->queries[i]);
        draw_acts(&r, l, span_usec);
        draw_learning(l, seed);
        draw_retries(l, seed);
        draw_caps(l, seed, span_usec);
        draw_givers(l, seed);
        draw_query_caps(l, seed);
        draw_leftovers(l, seed, span_usec);
        draw_slow_deaths(l, seed);
        draw_slow_units(l, seed);
        return 0;
}

void load_done(Load *l) {
        free(l->queries);
        *l = (Load) {};
}

uint64_t load_wake_usec(const Load *l, Random *r) {
        return random_between(r, 0, random_percent(r, l->wake_late_percent) ? l->wake_late_usec : l->wake_usec);
}
