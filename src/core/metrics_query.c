/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is counted of queries, and when. */
#include "core/metrics.h"

static const char *const results[] = { "success", "compile_error", "runtime_error", "queue_error" };

const char *metrics_result(const Query *q) {
        if (q->state == QUERY_FINISHED)
                return "success";
        switch (q->left) {
        case QUERY_COMPILING: return "compile_error";
        case QUERY_EXECUTING: return "runtime_error";
        default: return "queue_error"; /* created: it waited for a compile slot, or for its dependencies */
        }
}

void metrics_admitted(Metrics *m, const Query *q, const PairList *labels) {
        static const MetricFamily gauges[] = { METRIC_ALL_ACTIVE, METRIC_QUEUEING_ACTIVE, METRIC_EXECUTING_ACTIVE,
                                               METRIC_FROZEN_ACTIVE };

        /* All that its labels may ever count, from 0 on. */
        for (size_t i = 0; i < ELEMENTSOF(results); i++)
                metrics_add(m, METRIC_REQUESTS, labels, results[i], 0);
        for (size_t i = 0; i < ELEMENTSOF(gauges); i++)
                metrics_add(m, gauges[i], labels, NULL, 0);
        if (q->spec.has_compile)
                metrics_add(m, METRIC_COMPILING_ACTIVE, labels, q->spec.language, 0);
        metrics_add(m, METRIC_FUNCTIONS, labels, q->spec.language, 1);
}

void metrics_refused(Metrics *m, ErrorCode code, const PairList *labels) {
        if (code != ERROR_QUEUE_LENGTH_EXCEEDED && labels && !metrics_knows(m, labels))
                labels = NULL;
        metrics_add(m, METRIC_REFUSED, labels, error_name(code == ERROR_NONE ? ERROR_INTERNAL : code), 1);
        if (code == ERROR_QUEUE_LENGTH_EXCEEDED)
                metrics_add(m, METRIC_REQUESTS, labels, "queue_error", 1);
}

static void ended(Metrics *m, const Query *q, const PairList *labels) {
        static const struct {
                QueryState state;
                MetricFamily family;
        } durations[] = {
                { QUERY_COMPILING, METRIC_COMPILING_DURATION },
                { QUERY_QUEUEING, METRIC_QUEUEING_DURATION },
                { QUERY_EXECUTING, METRIC_EXECUTING_DURATION },
        };

        metrics_add(m, METRIC_REQUESTS, labels, metrics_result(q), 1);
        if (q->verdict != VERDICT_NONE)
                metrics_add(m, METRIC_DEATHS, labels, verdict_name(q->verdict), 1);
        metrics_observe(m, METRIC_ALL_DURATION, labels, NULL, query_total_usec(q, q->ended_usec));
        for (size_t i = 0; i < ELEMENTSOF(durations); i++)
                if (q->visited[durations[i].state])
                        metrics_observe(m, durations[i].family, labels, NULL, q->booked_usec[durations[i].state]);
        if (q->learned_bytes)
                metrics_add(m, METRIC_RAISES_SAVED, labels, NULL, q->n_raises_saved);
        metrics_add(m, METRIC_FROZEN_TIME, labels, NULL, q->frozen_usec);
        metrics_add(m, METRIC_STALLED_TIME, labels, NULL, q->final.stall_usec);
        metrics_add(m, METRIC_CPU_TIME, labels, NULL, q->final.cpu_usec);
}

void metrics_noted(Metrics *m, NoteType note, const Query *q, const PairList *labels) {
        switch (note) {
        case NOTE_RAISE: metrics_add(m, METRIC_RAISES, labels, NULL, 1); break;
        case NOTE_DENIED: metrics_add(m, METRIC_RAISES_DENIED, labels, NULL, 1); break;
        case NOTE_FREEZE: metrics_add(m, METRIC_FREEZES, labels, NULL, 1); break;
        case NOTE_LEARNED: metrics_add(m, METRIC_LEARNED_STARTS, labels, NULL, 1); break;
        case NOTE_RETRY: metrics_add(m, METRIC_RETRIES, labels, NULL, 1); break;
        case NOTE_LOWERED: metrics_add(m, METRIC_LOWERED, labels, NULL, 1); break;
        case NOTE_VICTIM: metrics_add(m, METRIC_VICTIMS, labels, NULL, 1); break;
        case NOTE_LIMIT_FAILED: metrics_add(m, METRIC_LIMIT_FAILURES, labels, NULL, 1); break;
        case NOTE_END:
                if (q)
                        ended(m, q, labels);
                break;
        default: break; /* what tells more about the same */
        }
}

static void count_active(Metrics *m, const Query *q, const PairList *labels) {
        if (query_state_is_end(q->state))
                return;
        metrics_add(m, METRIC_ALL_ACTIVE, labels, NULL, 1);
        if (q->state == QUERY_COMPILING)
                metrics_add(m, METRIC_COMPILING_ACTIVE, labels, q->spec.language, 1);
        else if (q->state == QUERY_QUEUEING)
                metrics_add(m, METRIC_QUEUEING_ACTIVE, labels, NULL, 1);
        else if (q->state == QUERY_EXECUTING)
                metrics_add(m, METRIC_EXECUTING_ACTIVE, labels, NULL, 1);
        if (q->frozen)
                metrics_add(m, METRIC_FROZEN_ACTIVE, labels, NULL, 1);
}

void metrics_take_stock(Metrics *m, const Engine *e, const Config *c,
                        const PairList *(*labels_of)(uint64_t query_id, void *userdata), void *userdata) {
        const Budget *b = engine_budget(e);

        for (MetricFamily f = METRIC_ALL_ACTIVE; f <= METRIC_FROZEN_ACTIVE; f++)
                metrics_clear(m, f);
        for (const Query *q = engine_next(e, NULL); q; q = engine_next(e, q))
                count_active(m, q, labels_of(q->id, userdata));
        metrics_set(m, METRIC_MEMORY_UNUSED, NULL, NULL, budget_unused_bytes(b));
        metrics_set(m, METRIC_MEMORY_USED, NULL, NULL, budget_used_bytes(b));
        metrics_set(m, METRIC_MEMORY_MAX, NULL, NULL, budget_total_bytes(b));
        metrics_set(m, METRIC_MEMORY_QUOTA, NULL, NULL, budget_leased_bytes(b));
        metrics_set(m, METRIC_MEMORY_LEFTOVER, NULL, NULL, b->leftover_bytes);
        metrics_set(m, METRIC_CONCURRENCY_QUOTA, NULL, NULL, c->concurrency_quota);
        metrics_set(m, METRIC_QUEUE_SIZE, NULL, NULL, c->queue_size);
        metrics_set(m, METRIC_PAUSED, NULL, NULL, engine_is_paused(e));
        metrics_set(m, METRIC_SHUTTING_DOWN, NULL, NULL, engine_is_shut_down(e));
}
