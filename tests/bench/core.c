/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* bench-core: what a step of the engine costs, natively, by how many queries are known. Judged is the ratio of the costs
 * in one run, never a time: a step must cost what it changes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/engine.h"

#define RUNS 7u         /* the quickest counts: what disturbs only adds */
#define USERS 64u
#define SLOTS 4u
#define RATIO_MAX 8     /* of the largest to the smallest: 2000 times as many are known; caches may miss */

static const size_t known[] = { 50, 1000, 10000, 100000 };

typedef struct Bench {
        Engine *engine;
        ActionList out;
        uint64_t now_usec;
        uint64_t running[SLOTS]; /* the oldest first */
        size_t n_running, n_submitted;
} Bench;

/* Of our own: how long others had the processor is no matter of the engine's. */
static double now_nsec(void) {
        struct timespec t;

        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
        return (double) t.tv_sec * 1e9 + (double) t.tv_nsec;
}

static void step(Bench *b, const Event *ev) {
        uint64_t ready[SLOTS + 1];
        size_t n = 0;

        b->now_usec += 10;
        if (engine_step(b->engine, ev, b->now_usec, &b->out) < 0)
                abort();
        for (size_t i = 0; i < b->out.n; i++)
                if (b->out.v[i].type == ACTION_START_UNIT)
                        ready[n++] = b->out.v[i].query_id;
                else if (b->out.v[i].type == ACTION_EXECUTE)
                        b->running[b->n_running++] = b->out.v[i].query_id;
                else if (b->out.v[i].type == ACTION_REFUSED)
                        abort();
        while (n > 0) /* units are there at once */
                step(b, &(Event) { .type = EVENT_UNIT_READY, .query_id = ready[--n] });
}

static void submit(Bench *b) {
        QuerySpec spec = { .language = "exec", .uid = 1000 + (uint32_t) (b->n_submitted++ % USERS),
                           .timeout_usec = USEC_INFINITY, .queue_timeout_usec = 3600 * USEC_PER_SEC, .detached = true };

        step(b, &(Event) { .type = EVENT_REQUEST, .request.spec = &spec });
}

/* The oldest that executes. Returns its ID. */
static uint64_t end_one(Bench *b) {
        uint64_t id = b->running[0];

        memmove(b->running, b->running + 1, --b->n_running * sizeof(*b->running));
        step(b, &(Event) { .type = EVENT_ENDED, .query_id = id });
        step(b, &(Event) { .type = EVENT_UNIT_GONE, .query_id = id });
        return id;
}

/* Half of those known wait, half have ended and were not released; some execute. */
static void bench_open(Bench *b, size_t n_known) {
        Config c = {
                .concurrency_quota = SLOTS, .initial_bytes = 64 * MIB, .per_query_bytes = GIB,
                .max_memory_bytes = 4 * GIB, .queue_size = n_known + 16, .max_queries_per_user = n_known + 16,
                .exhaustion_policy = EXHAUSTION_FREEZE, .freeze_timeout_usec = 60 * USEC_PER_SEC,
                .compile_concurrency = 2, .cancel_grace_usec = 5 * USEC_PER_SEC,
                .results_keep_usec = 3600 * USEC_PER_SEC,
        };

        *b = (Bench) { .now_usec = USEC_PER_SEC };
        if (engine_new(&c, 1, &b->engine) < 0)
                abort();
        for (size_t i = 0; i < n_known / 2; i++) {
                submit(b);
                (void) end_one(b);
        }
        for (size_t i = 0; i < n_known - n_known / 2; i++)
                submit(b);
}

static void bench_close(Bench *b) {
        engine_free(b->engine);
        actions_done(&b->out);
}

/* A look at one that executes and does not grow, and when to wake up again. */
static double look(Bench *b) {
        const unsigned n = 2000;
        double begin = now_nsec();

        for (unsigned i = 0; i < n; i++) {
                Event ev = { .type = EVENT_SAMPLE, .query_id = b->running[i % b->n_running] };

                ev.sample = (Sample) { .anon_bytes = 8 * MIB, .inactive_anon_bytes = 8 * MIB, .current_bytes = 8 * MIB,
                                       .max_bytes = 64 * MIB, .high_bytes = 48 * MIB, .pids = 1, .populated = true };
                step(b, &ev);
                (void) engine_deadline(b->engine);
        }
        return (now_nsec() - begin) / n;
}

/* One ends and is released, the next in the queue executes, another one comes. */
static double turn(Bench *b) {
        const unsigned n = 500;
        double begin = now_nsec();

        for (unsigned i = 0; i < n; i++) {
                step(b, &(Event) { .type = EVENT_DONE, .query_id = end_one(b) });
                submit(b);
                (void) engine_deadline(b->engine);
        }
        return (now_nsec() - begin) / n;
}

static double quickest(Bench *b, double (*of)(Bench *b)) {
        double best = of(b);

        for (unsigned i = 1; i < RUNS; i++) {
                double one = of(b);

                best = one < best ? one : best;
        }
        return best;
}

int main(void) {
        double looks[ELEMENTSOF(known)], turns[ELEMENTSOF(known)];
        const size_t last = ELEMENTSOF(known) - 1;
        double a, t;

        printf("%10s %14s %14s\n", "known", "ns a look", "ns a turn");
        for (size_t i = 0; i <= last; i++) {
                Bench b;

                bench_open(&b, known[i]);
                looks[i] = quickest(&b, look);
                turns[i] = quickest(&b, turn);
                bench_close(&b);
                printf("%10zu %14.0f %14.0f\n", known[i], looks[i], turns[i]);
        }
        a = looks[last] / looks[0];
        t = turns[last] / turns[0];
        printf("of the last to the first: %.2f and %.2f; at most %d\n", a, t, RATIO_MAX);
        return a <= RATIO_MAX && t <= RATIO_MAX ? EXIT_SUCCESS : EXIT_FAILURE;
}
