/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The one table of what is measured. docs/metrics.md is tested against it. */
#include "core/metrics.h"

#include <string.h>

#define COUNTER(n, own, help) { n, METRIC_COUNTER, METRIC_UNIT_NONE, own, 0, help }
#define SECONDS(n, own, help) { n, METRIC_COUNTER, METRIC_UNIT_USEC, own, 0, help }
#define GAUGE(n, own, help) { n, METRIC_GAUGE, METRIC_UNIT_NONE, own, 0, help }
#define HISTOGRAM(n, first, help) { n, METRIC_HISTOGRAM, METRIC_UNIT_USEC, NULL, first, help }
/* A raise takes a fraction of a millisecond; all else is counted from one on, as the contract says. */
#define FROM_1_MSEC 1000
#define FROM_8_USEC 8

static const MetricInfo families[_METRIC_MAX] = {
        [METRIC_REQUESTS] = COUNTER("penstock_requests_total", "result",
                                    "Queries that have ended, and those refused because the queue was full."),
        [METRIC_FUNCTIONS] = COUNTER("penstock_functions_total", "function", "Queries let in, by language."),
        [METRIC_REFUSED] = COUNTER("penstock_refused_total", "error", "Requests that were refused at once."),
        [METRIC_DEATHS] = COUNTER("penstock_deaths_total", "verdict",
                                  "Queries that did not end as they wished, by whose limit or hand it was."),
        [METRIC_ALL_ACTIVE] = GAUGE("penstock_all_active", NULL, "Queries that have not ended."),
        [METRIC_COMPILING_ACTIVE] = GAUGE("penstock_compiling_active", "compiler_type",
                                          "Queries that are being compiled, by language."),
        [METRIC_QUEUEING_ACTIVE] = GAUGE("penstock_queueing_active", NULL, "Queries that wait for a slot."),
        [METRIC_EXECUTING_ACTIVE] = GAUGE("penstock_executing_active", NULL, "Queries that hold a slot."),
        [METRIC_FROZEN_ACTIVE] = GAUGE("penstock_frozen_active", NULL,
                                       "Executing queries that are frozen until the budget can pay."),
        [METRIC_ALL_DURATION] = HISTOGRAM("penstock_all_duration_seconds", FROM_1_MSEC,
                                          "Time from a query's submission to its end."),
        [METRIC_COMPILING_DURATION] = HISTOGRAM("penstock_compiling_duration_seconds", FROM_1_MSEC,
                                                "Time a query was compiled, of those that were."),
        [METRIC_QUEUEING_DURATION] = HISTOGRAM("penstock_queueing_duration_seconds", FROM_1_MSEC,
                                               "Time a query waited for a slot, of those that came so far."),
        [METRIC_EXECUTING_DURATION] = HISTOGRAM("penstock_executing_duration_seconds", FROM_1_MSEC,
                                                "Time a query held its slot, frozen time included, of those that had one."),
        [METRIC_RAISES] = COUNTER("penstock_raises_total", NULL, "Raises of a query's quota."),
        [METRIC_LEARNED_STARTS] = COUNTER("penstock_learned_starts_total", NULL,
                                          "Queries that started with what one like them came to need."),
        [METRIC_RAISES_SAVED] = COUNTER("penstock_saved_raises_total", NULL,
                                        "Raises that ended queries were spared by such a start."),
        [METRIC_RETRIES] = COUNTER("penstock_retries_total", NULL,
                                   "Queries that are run once more, since the budget ended them before they had "
                                   "delivered a byte."),
        [METRIC_RAISE_LATENCY] = HISTOGRAM("penstock_raise_latency_seconds", FROM_8_USEC,
                                           "Time from the event that woke penstockd to the higher memory.max in force."),
        [METRIC_RAISES_DENIED] = COUNTER("penstock_denied_raises_total", NULL,
                                         "Raises that the budget could not pay for when they were due."),
        [METRIC_FREEZES] = COUNTER("penstock_freezes_total", NULL, "Times a query was frozen to wait for the budget."),
        [METRIC_FROZEN_TIME] = SECONDS("penstock_frozen_seconds_total", NULL, "Time that ended queries were frozen."),
        [METRIC_LOWERED] = COUNTER("penstock_lowered_total", NULL, "Idle quotas that were lowered because others waited."),
        [METRIC_VICTIMS] = COUNTER("penstock_victims_total", NULL, "Queries ended so that others could go on."),
        [METRIC_STALLED_TIME] = SECONDS("penstock_stalled_seconds_total", NULL,
                                        "Time that ended queries stood still for want of memory, as the kernel tells it."),
        [METRIC_CPU_TIME] = SECONDS("penstock_cpu_seconds_total", NULL, "CPU time of ended queries."),
        [METRIC_LIMIT_FAILURES] = COUNTER("penstock_limit_failures_total", NULL,
                                          "Times the kernel had another memory.max than was set."),
        [METRIC_UNIT_START] = HISTOGRAM("penstock_unit_start_seconds", FROM_1_MSEC,
                                        "Time from the wish for a query's unit to its worker being ready."),
        [METRIC_WARM_STARTS] = COUNTER("penstock_warm_starts_total", NULL,
                                       "Queries whose unit had been made before they came."),
        [METRIC_DEPENDENCY_ACTIVE] = GAUGE("penstock_dependency_active", "dependency",
                                           "Queries that have the dependency and have not ended."),
        [METRIC_DEPENDENCY_CHECKS] = COUNTER("penstock_dependency_checks_total", "dependency",
                                             "Checks of the dependency; queries that came meanwhile share one."),
        [METRIC_DEPENDENCY_CHECKS_FAILED] = COUNTER("penstock_dependency_check_failures_total", "dependency",
                                                    "Checks of the dependency that failed."),
        [METRIC_DEPENDENCY_CHECK_TIME] = SECONDS("penstock_dependency_check_seconds_total", "dependency",
                                                 "Time that checks of the dependency took."),
        [METRIC_DEPENDENCY_RELEASES] = COUNTER("penstock_dependency_releases_total", "dependency",
                                               "Ends of queries that the dependency was told, or should have been."),
        [METRIC_DEPENDENCY_RELEASES_FAILED] = COUNTER("penstock_dependency_release_failures_total", "dependency",
                                                      "Ends of queries of which telling the dependency failed."),
        [METRIC_SYSTEMD_ANSWER] = HISTOGRAM("penstock_systemd_answer_seconds", FROM_1_MSEC,
                                            "Time that PID 1 took to answer a call."),
        [METRIC_HISTORY_ROWS] = COUNTER("penstock_history_rows_total", NULL, "Ended queries that were written into the history."),
        [METRIC_HISTORY_ROWS_LOST] = COUNTER("penstock_history_rows_dropped_total", NULL,
                                             "Ended queries that the history lacks, since the disk was full or slow."),
        [METRIC_UNITS] = GAUGE("penstock_units_active", NULL, "Units that were asked for and are not gone."),
        [METRIC_SPARE_UNITS] = GAUGE("penstock_spare_units", NULL, "Of these, the ones that wait for a query to come."),
        [METRIC_UNIT_STARTS_ALLOWED] = GAUGE("penstock_unit_starts_allowed", NULL,
                                             "Units that PID 1 is asked to start at one time, fewer while it answers slowly."),
        [METRIC_MEMORY_UNUSED] = GAUGE("penstock_memory_unused_bytes", NULL,
                                       "What can be given on top of initial quotas now; +Inf without a limit."),
        [METRIC_MEMORY_USED] = GAUGE("penstock_memory_used_bytes", NULL,
                                     "The budget less what is unused: initial quotas of all slots, and what was given on top."),
        [METRIC_MEMORY_MAX] = GAUGE("penstock_memory_max_bytes", NULL,
                                    "The budget in force; +Inf without a limit."),
        [METRIC_MEMORY_QUOTA] = GAUGE("penstock_memory_quota_bytes", NULL, "Sum of all quotas that queries hold."),
        [METRIC_MEMORY_LEFTOVER] = GAUGE("penstock_memory_leftover_bytes", NULL,
                                         "What dead queries left charged and cannot be reclaimed; the budget is short of it."),
        [METRIC_CONCURRENCY_QUOTA] = GAUGE("penstock_concurrency_quota", NULL, "ConcurrencyQuota= in force."),
        [METRIC_QUEUE_SIZE] = GAUGE("penstock_queue_size", NULL, "QueueSize= in force."),
        [METRIC_PAUSED] = GAUGE("penstock_paused", NULL, "1 while no waiting query is started (penstockctl pause)."),
        [METRIC_SHUTTING_DOWN] = GAUGE("penstock_shutting_down", NULL, "1 since Shutdown, when no query is let in."),
        [METRIC_BUILD_INFO] = GAUGE("penstock_build_info", "version", "Always 1; the label is penstockd's version."),
};

const MetricInfo *metric_info(MetricFamily f) {
        return &families[f];
}

bool metric_label_is_reserved(const char *name) {
        if (strncmp(name, "__", 2) == 0 || strcmp(name, "le") == 0 || strcmp(name, "quantile") == 0)
                return true;
        for (unsigned f = 0; f < _METRIC_MAX; f++)
                if (families[f].own && strcmp(families[f].own, name) == 0)
                        return true;
        return false;
}
