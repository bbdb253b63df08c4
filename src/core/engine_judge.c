/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/engine_private.h"

#include <signal.h>

#define ULL(x) ((unsigned long long) (x))

/* Whether a peak shows that a limit was met: up to the headroom below it tasks may have had charges under way. */
static bool is_reached(uint64_t limit_bytes, uint64_t peak_bytes, uint64_t pids) {
        return peak_bytes >= governor_high(limit_bytes, SIZE_INFINITY, pids);
}

/* The limit in force when it died. Raises that came after the kernel's kill, because we saw its events late, changed nothing for
 * it: its peak stayed at what they started from, and it was not seen alive under them. Where its limit was lowered its peak may
 * be of the time before, and tells only which limits it can't have met since. */
static uint64_t limit_at_death(const Query *q, const FinalNumbers *n) {
        ProfileReader r = { .profile = &q->profile };
        uint64_t peak = n->memory_peak_bytes, met = q->lease.bytes;
        bool lowered = false, too_late = false;

        while (peak > 0 && profile_next(&r))
                if (r.row.event == PROFILE_LOWERED) {
                        lowered = true;
                        too_late = false;
                        met = q->lease.bytes;
                } else if (r.row.event == PROFILE_RAISE && !too_late) {
                        /* Between a lowering and the next one raises only rise: those behind it came too late as well. */
                        too_late = r.row.new_bytes > q->survived_bytes &&
                                   (peak <= r.row.old_bytes || (lowered && !is_reached(r.row.new_bytes, peak, q->pids)));
                        if (too_late)
                                met = r.row.old_bytes;
                }
        return met;
}

/* Killed by the kernel for memory: whose limit was it? `oom` of a group's own events counts its own limit alone
 * (memory.events.local), and the host's killer counts in none; a kill without any was the host's. */
static Verdict memory_verdict(const Query *q, const FinalNumbers *n) {
        if (n->events_oom == 0)
                return n->above_oom > 0 ? VERDICT_SLICE : VERDICT_HOST;
        if (limit_at_death(q, n) >= q->max_bytes)
                return VERDICT_MAXIMUM;
        if (limit_at_death(q, n) >= q->cap_bytes)
                return VERDICT_SLICE;
        /* Also who was refused near his limit, when nothing was to be done about it yet: a grant clears all of that, and so does
         * a look before its death that finds no cause for one. */
        return limit_at_death(q, n) == q->lease.bytes && (q->denied || q->hungry || q->headroom_off) ? VERDICT_BUDGET
                                                                                                     : VERDICT_QUOTA;
}

/* Where both are the same no request can ask for more. */
const char *judge_maximum_key(const Engine *e, const Query *q) {
        return page_floor(q->spec.max_bytes) == q->max_bytes && q->max_bytes != e->config.per_query_bytes
                               ? "memory_max_bytes of the request"
                               : "MemoryBytesQuotaPerQuery";
}

static Verdict describe_memory(const Engine *e, const Query *q, const FinalNumbers *n, Error *error) {
        char a[SIZE_TEXT_MAX], b[SIZE_TEXT_MAX], c[SIZE_TEXT_MAX];
        Verdict v = memory_verdict(q, n);

        size_format(limit_at_death(q, n), a);
        size_format(q->max_bytes, b);
        size_format(n->memory_peak_bytes, c);
        if (v == VERDICT_MAXIMUM)
                error_set(error, ERROR_MEMORY_LIMIT_EXCEEDED,
                          "it needed more than its maximum of %s (peak %s, %llu raise%s); %s sets that", b, c,
                          ULL(q->n_raises), q->n_raises == 1 ? "" : "s",
                          judge_maximum_key(e, q));
        else if (v == VERDICT_BUDGET)
                error_set(error, ERROR_MEMORY_BUDGET_EXHAUSTED,
                          "it needed more than its quota of %s (maximum %s, peak %s), and the budget had no more to give; "
                          "MaxMemoryBytes sets that",
                          a, b, c);
        else if (v == VERDICT_QUOTA)
                error_set(error, ERROR_MEMORY_LIMIT_EXCEEDED,
                          "it grew faster than its quota of %s could be raised (maximum %s, peak %s); a larger "
                          "memory_initial_bytes helps",
                          a, b, c);
        else if (v == VERDICT_SLICE)
                error_set(error, ERROR_MEMORY_BUDGET_EXHAUSTED,
                          "the kernel ended it below its quota of %s (peak %s) for the limit of its unit or of "
                          "penstock.slice; MaxMemoryBytes sets the latter, unless an administrator set a lower MemoryMax",
                          a, c);
        else
                error_set(error, ERROR_EXECUTION_FAILED,
                          "the host was out of memory, and the kernel ended it below its quota of %s (peak %s); a larger "
                          "ReserveMemoryBytes or a smaller MaxMemoryBytes leaves the host more",
                          a, c);
        return v;
}

/* The kernel kills all of engine/ or nothing (memory.oom.group=1); how it ended a worker that is lost can't tell. */
static bool is_killed_for_memory(const EndedReport *r) {
        return r->numbers.events_oom_kill > 0 && (r->exit_signal == SIGKILL || (r->exit_signal == 0 && r->exit_status < 0));
}

void judge_report(const Engine *e, const Query *q, const EndedReport *r, const Error *error, QueryState *ret_state,
                  Verdict *ret_verdict, Error *ret_error) {
        *ret_state = QUERY_ERRORED;
        if (r->start_failed) {
                *ret_error = *error;
                *ret_verdict = VERDICT_START;
        } else if (is_killed_for_memory(r))
                *ret_verdict = describe_memory(e, q, &r->numbers, ret_error);
        else if (r->numbers.oomd_kills > 0 && r->exit_status < 0) {
                char peak[SIZE_TEXT_MAX];

                *ret_verdict = VERDICT_OOMD;
                error_set(ret_error, ERROR_EXECUTION_FAILED,
                          "systemd-oomd ended it (peak %s) for the host's memory; see oomctl and oomd.conf, or lower "
                          "MaxMemoryBytes",
                          size_format(r->numbers.memory_peak_bytes, peak));
        } else if (r->unit_stopped) {
                *ret_state = QUERY_CANCELED;
                *ret_verdict = VERDICT_STOPPED;
                error_set(ret_error, ERROR_CANCELED, "its unit was stopped");
        } else if (r->results_truncated) {
                *ret_verdict = VERDICT_RESULTS;
                if (e->config.results_max_bytes == SIZE_INFINITY)
                        error_set(ret_error, ERROR_EXECUTION_FAILED,
                                  "its results could not all be kept: the disk is full, or ResultsMaxBytes was less when it began");
                else
                        error_set(ret_error, ERROR_EXECUTION_FAILED,
                                  "its results were more than %llu bytes, or the disk is full; ResultsMaxBytes sets that",
                                  ULL(e->config.results_max_bytes));
        } else if (r->reader_gone && (r->exit_signal == SIGPIPE || r->exit_status != 0)) {
                *ret_state = QUERY_CANCELED;
                *ret_verdict = VERDICT_READER;
                error_set(ret_error, ERROR_CANCELED, "nobody reads its results any more");
        } else if (r->exit_signal) {
                *ret_verdict = VERDICT_SIGNAL;
                error_set(ret_error, ERROR_EXECUTION_FAILED, "its engine was ended by signal %d", r->exit_signal);
        } else if (r->exit_status < 0) {
                *ret_verdict = VERDICT_WORKER;
                error_set(ret_error, ERROR_EXECUTION_FAILED,
                          "its unit ended before its worker could report how the engine did; see the journal of the unit");
        } else if (r->exit_status != 0) {
                *ret_verdict = r->numbers.pids_max_events > 0 ? VERDICT_TASKS : VERDICT_EXIT;
                error_set(ret_error, ERROR_EXECUTION_FAILED, "its engine ended with exit status %d%s", r->exit_status,
                          r->numbers.pids_max_events > 0 ? "; it met its task limit (TasksMaxPerQuery)" : "");
        } else {
                *ret_state = QUERY_FINISHED;
                *ret_verdict = VERDICT_NONE;
        }
}
