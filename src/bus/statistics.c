/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bus/statistics.h"

static int append_u64(sd_bus_message *m, const char *key, uint64_t value) {
        return sd_bus_message_append(m, "{sv}", key, "t", value);
}

static int append_times(sd_bus_message *m, const QueryView *v) {
        const Query *q = v->query;
        const struct {
                const char *key;
                uint64_t usec;
        } times[] = {
                { "total_usec", query_total_usec(q, v->now_usec) },
                { "compile_usec", query_time_in(q, QUERY_COMPILING, v->now_usec) },
                { "queue_usec", query_time_in(q, QUERY_QUEUEING, v->now_usec) },
                { "execute_usec", query_time_in(q, QUERY_EXECUTING, v->now_usec) },
                { "frozen_usec", query_frozen_usec(q, v->now_usec) },
        };
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(times); i++)
                r = append_u64(m, times[i].key, times[i].usec);
        return r;
}

/* Of a query that runs, the kernel is asked: so far. */
static int append_kernel_numbers(sd_bus_message *m, const QueryView *v) {
        FinalNumbers n = v->query->final, now = {};
        uint64_t need_bytes = 0;
        int r;

        if (v->query->state == QUERY_EXECUTING)
                manager_numbers_now(v->manager, v->query->id, &now, &need_bytes);
        final_numbers_follow(&n, &now); /* of its first run before, if it is retried */
        if ((r = append_u64(m, "stall_usec", n.stall_usec)) < 0 ||
            (r = append_u64(m, "cpu_usec", n.cpu_usec)) < 0 ||
            (r = append_u64(m, "io_read_bytes", n.io_read_bytes)) < 0 ||
            (r = append_u64(m, "io_write_bytes", n.io_write_bytes)) < 0 ||
            (r = append_u64(m, "memory_need_bytes", need_bytes)) < 0)
                return r;
        return 0;
}

/* An error of the engine's run, not one that kept it from running. */
static bool is_runtime_error(const Query *q) {
        switch (query_error(q)) {
        case ERROR_MEMORY_LIMIT_EXCEEDED:
        case ERROR_MEMORY_BUDGET_EXHAUSTED:
        case ERROR_TIMEOUT:
        case ERROR_EXECUTION_FAILED: return true;
        default: return false;
        }
}

static int append_runtime_errors(sd_bus_message *m, const Query *q) {
        if (is_runtime_error(q))
                return sd_bus_message_append(m, "{sv}", "runtime_errors", "as", 1, q->error.message ?: "");
        return sd_bus_message_append(m, "{sv}", "runtime_errors", "as", 0);
}

static int append_raise_log_items(sd_bus_message *m, const Query *q) {
        ProfileReader p = { .profile = &q->profile };
        int r = sd_bus_message_open_container(m, 'a', "(tsttt)");

        while (r >= 0 && profile_next_raise(&p))
                r = sd_bus_message_append(m, "(tsttt)", p.row.time_usec, raise_cause_name((RaiseCause) p.row.cause),
                                          p.row.old_bytes, p.row.new_bytes, p.row.latency_usec);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_raise_log(sd_bus_message *m, const Query *q) {
        int r = sd_bus_message_open_container(m, 'e', "sv");

        if (r >= 0)
                r = sd_bus_message_append_basic(m, 's', "raise_log");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', "a(tsttt)");
        if (r >= 0)
                r = append_raise_log_items(m, q);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

/* What it started with, and what that has spared it: known when it has ended. */
static int append_start(sd_bus_message *m, const Query *q) {
        int r;

        if ((r = append_u64(m, "initial_bytes", query_start_bytes(q))) < 0 ||
            (r = sd_bus_message_append(m, "{sv}", "learned", "b", q->learned_bytes > 0)) < 0 ||
            (r = append_u64(m, "raises_saved", q->n_raises_saved)) < 0 ||
            (r = append_u64(m, "retries", q->n_retries)) < 0)
                return r;
        return 0;
}

int query_statistics_append(sd_bus_message *m, QueryView *v, StderrTail tail) {
        const Query *q = v->query;
        int r = append_times(m, v);

        if (r >= 0)
                r = append_kernel_numbers(m, v);
        if (r >= 0)
                r = append_u64(m, "memory_peak_bytes", query_view_peak(v));
        if (r >= 0)
                r = append_u64(m, "raises", q->n_raises);
        if (r >= 0)
                r = append_start(m, q);
        if (r >= 0)
                r = append_runtime_errors(m, q);
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}", "verdict", "s", verdict_name(q->verdict));
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}", "exit_status", "i", (int32_t) q->exit_status);
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}", "exit_signal", "i", (int32_t) q->exit_signal);
        if (r >= 0)
                r = append_raise_log(m, q);
        if (r >= 0 && tail == STDERR_TAIL_SHOWN && v->record && v->record->stderr_tail)
                r = sd_bus_message_append(m, "{sv}", "stderr_tail", "s", v->record->stderr_tail);
        return r;
}
