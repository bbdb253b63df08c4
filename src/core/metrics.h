/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/metrics: counters, gauges and histograms of the service, and their text for Prometheus. libc only.
 *
 * A series is told apart by its family, one label of the family's own (`result`, `verdict` …; some have none), and the
 * tuple of the MetricLabelKeys' values, which come from a request's labels and are empty where it has none.
 * Invariants: both are bounded, and what comes beyond is counted under `other`; no number overflows (they saturate);
 * the same calls give the same text. A count that finds no memory is lost; nothing else is.
 *
 * To add a family: a value of MetricFamily, its row in metrics_families.c, and its row in docs/metrics.md (a test holds
 * the three together). Then call metrics_add(), metrics_set() or metrics_observe() where it happens: in the daemon
 * through daemon/entry.h's m->metrics, with the labels of the request (NULL: of no request). */
#pragma once

#include "core/engine.h"

/* Distinct tuples, and the bytes of all their labels as they are printed: a scrape repeats them in each line. */
#define METRICS_TUPLES_MAX 64u
#define METRICS_LABELS_BYTES_MAX (16 * KIB)
/* Distinct values of one family's own label: languages and dependencies are as many as the administrator likes. */
#define METRICS_OWN_MAX 32u
#define METRICS_OTHER "other"
/* Each bucket is five times as wide as the one before; then one without a bound. */
#define METRICS_BUCKETS 7u
#define METRICS_BUCKET_FACTOR 5u

typedef enum MetricFamily {
        METRIC_REQUESTS,
        METRIC_FUNCTIONS,
        METRIC_REFUSED,
        METRIC_DEATHS,
        METRIC_ALL_ACTIVE,
        METRIC_COMPILING_ACTIVE,
        METRIC_QUEUEING_ACTIVE,
        METRIC_EXECUTING_ACTIVE,
        METRIC_FROZEN_ACTIVE,
        METRIC_ALL_DURATION,
        METRIC_COMPILING_DURATION,
        METRIC_QUEUEING_DURATION,
        METRIC_EXECUTING_DURATION,
        METRIC_RAISES,
        METRIC_LEARNED_STARTS,
        METRIC_RAISES_SAVED,
        METRIC_RETRIES,
        METRIC_RAISE_LATENCY,
        METRIC_RAISES_DENIED,
        METRIC_FREEZES,
        METRIC_FROZEN_TIME,
        METRIC_VICTIMS,
        METRIC_LOWERED,
        METRIC_STALLED_TIME,
        METRIC_CPU_TIME,
        METRIC_LIMIT_FAILURES,
        METRIC_UNIT_START,
        METRIC_WARM_STARTS,
        METRIC_DEPENDENCY_ACTIVE,
        METRIC_DEPENDENCY_CHECKS,
        METRIC_DEPENDENCY_CHECKS_FAILED,
        METRIC_DEPENDENCY_CHECK_TIME,
        METRIC_DEPENDENCY_RELEASES,
        METRIC_DEPENDENCY_RELEASES_FAILED,
        /* of the service as a whole: one series each, with empty labels */
        METRIC_SYSTEMD_ANSWER,
        METRIC_HISTORY_ROWS,
        METRIC_HISTORY_ROWS_LOST,
        METRIC_UNITS,
        METRIC_SPARE_UNITS,
        METRIC_UNIT_STARTS_ALLOWED,
        METRIC_MEMORY_UNUSED,
        METRIC_MEMORY_USED,
        METRIC_MEMORY_MAX,
        METRIC_MEMORY_QUOTA,
        METRIC_MEMORY_LEFTOVER,
        METRIC_CONCURRENCY_QUOTA,
        METRIC_QUEUE_SIZE,
        METRIC_PAUSED,
        METRIC_SHUTTING_DOWN,
        METRIC_BUILD_INFO,
        _METRIC_MAX,
} MetricFamily;

typedef enum MetricType { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM } MetricType;
typedef enum MetricUnit { METRIC_UNIT_NONE, METRIC_UNIT_USEC /* printed in seconds */ } MetricUnit;

typedef struct MetricInfo {
        const char *name;
        MetricType type;
        MetricUnit unit;
        const char *own; /* the name of its own label; NULL: none */
        uint64_t first_bucket_usec; /* the upper bound of a histogram's first bucket */
        const char *help; /* one line of plain text */
} MetricInfo;

const MetricInfo *metric_info(MetricFamily f);
/* True for what may not be in MetricLabelKeys: a family's own label, `le`, `quantile`, and what begins with "__". */
bool metric_label_is_reserved(const char *name);

typedef struct Metrics Metrics;

/* The keys are copied, and stay for the registry's life. Returns 0 or -ENOMEM. */
int metrics_new(const StrList *label_keys, Metrics **ret);
Metrics *metrics_free(Metrics *m); /* takes NULL, returns NULL */

/* Add @n to a counter or gauge (0 makes the series known), set a gauge (SIZE_INFINITY is shown as +Inf), or book a time
 * in a histogram. @own is the value of the family's own label, NULL when it has none. */
void metrics_add(Metrics *m, MetricFamily f, const PairList *labels, const char *own, uint64_t n);
void metrics_set(Metrics *m, MetricFamily f, const PairList *labels, const char *own, uint64_t value);
void metrics_observe(Metrics *m, MetricFamily f, const PairList *labels, const char *own, uint64_t usec);
/* True if a series with these values has its place already. */
bool metrics_knows(const Metrics *m, const PairList *labels);
/* All known series of a gauge to 0. */
void metrics_clear(Metrics *m, MetricFamily f);
/* All families that have a series, as text format 0.0.4; free(3) it. Returns 0 or -ENOMEM. */
int metrics_render(const Metrics *m, char **ret);

/* The same for who may ask as often as they like: as it was at most METRICS_TEXT_USEC ago. @refresh is called before it
 * is made anew, to set the gauges. Valid until the next call. Returns 0 or -ENOMEM. */
#define METRICS_TEXT_USEC (200 * USEC_PER_MSEC)
int metrics_text(Metrics *m, uint64_t now_usec, void (*refresh)(void *userdata), void *userdata, const char **ret);

/* core/metrics_query.c: what is counted of a query; @labels are its request's. */

/* success, or the error of the state it left. @q has ended, in this engine's time. */
const char *metrics_result(const Query *q);
void metrics_admitted(Metrics *m, const Query *q, const PairList *labels);
/* A request that got no ID. Only a full queue also counts as a request, with queue_error. Any other refusal can be had
 * for nothing, and so takes no new place among the tuples: it counts with empty labels then. */
void metrics_refused(Metrics *m, ErrorCode code, const PairList *labels);
/* ACTION_NOTE: there is exactly one for each learned start, raise, refusal of a raise, freeze, victim
 * and end. @q may be NULL. */
void metrics_noted(Metrics *m, NoteType note, const Query *q, const PairList *labels);

/* Set all gauges of queries and of the budget as the engine has them now. @labels_of gives a query's request's labels,
 * or NULL. */
void metrics_take_stock(Metrics *m, const Engine *e, const Config *c,
                        const PairList *(*labels_of)(uint64_t query_id, void *userdata), void *userdata);
