/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A record that is right in itself, of a kernel that had more in force than the budget: the sum must tell. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "core/trace.h"
#include "sim/replay.h"

/* Who writes down what an engine is told, and what it asks for. */
typedef struct Recorder {
        Config config;
        Engine *engine;
        ActionList actions;
        uint64_t now_usec;
        FILE *f;
        char *text;
        size_t len;
        Replay replay;
        char failure[REPLAY_FAILURE_MAX];
} Recorder;

static Recorder rec;

static void write_config(void) {
        char line[TRACE_LINE_MAX];

        for (unsigned k = 0; k < _CONFIG_KEY_MAX; k++)
                if (trace_config_line(&rec.config, (ConfigKey) k, line))
                        fprintf(rec.f, "%s\n", line);
}

static int begin(void **state) {
        char line[TRACE_LINE_MAX];

        (void) state;
        rec = (Recorder) { .config = { .concurrency_quota = 2, .queue_size = 8, .initial_bytes = 64 * MIB,
                                       .per_query_bytes = 256 * MIB, .max_memory_bytes = 320 * MIB,
                                       .max_queries_per_user = 8, .exhaustion_policy = EXHAUSTION_FAIL,
                                       .freeze_timeout_usec = USEC_PER_SEC, .compile_concurrency = 1,
                                       .results_keep_usec = 3600 * USEC_PER_SEC, .retry_on_exhaustion = true } };
        rec.f = open_memstream(&rec.text, &rec.len);
        if (!rec.f || engine_new(&rec.config, 1, &rec.engine) < 0)
                return -1;
        fprintf(rec.f, TRACE_HEADER "\n");
        write_config();
        fprintf(rec.f, "%s\n", trace_start_line(1, line));
        return 0;
}

static int end(void **state) {
        (void) state;
        engine_free(rec.engine);
        actions_done(&rec.actions);
        fclose(rec.f);
        free(rec.text);
        return 0;
}

static void tell(Event ev) {
        char line[TRACE_LINE_MAX];

        rec.now_usec += USEC_PER_SEC;
        if (ev.type == EVENT_CONFIG) {
                ev.config = &rec.config;
                write_config();
        }
        fprintf(rec.f, "%s\n", trace_event_line(&ev, rec.now_usec, line));
        assert_int_equal(engine_step(rec.engine, &ev, rec.now_usec, &rec.actions), 0);
        for (size_t i = 0; i < rec.actions.n; i++)
                fprintf(rec.f, "%s\n", trace_action_line(&rec.actions.v[i], line));
}

static int replayed(void) {
        FILE *f;
        int r;

        fflush(rec.f);
        f = fmemopen(rec.text, rec.len, "r");
        assert_non_null(f);
        r = replay_run(f, &rec.replay, rec.failure);
        fclose(f);
        return r;
}

static void tell_limit(uint64_t id, uint64_t bytes) {
        tell((Event) { .type = EVENT_LIMITS, .query_id = id, .limits.max_bytes = bytes });
}

/* It begins to run; the kernel is said to have @bytes in force then. */
static void run(uint64_t id, uint64_t bytes) {
        tell((Event) { .type = EVENT_UNIT_READY, .query_id = id });
        tell_limit(id, bytes);
}

static void submit(uint64_t id, uint64_t initial_bytes) {
        QuerySpec spec = { .language = "test", .uid = 1000, .initial_bytes = initial_bytes, .detached = true, .may_retry = true,
                           .timeout_usec = USEC_INFINITY, .queue_timeout_usec = USEC_INFINITY };

        tell((Event) { .type = EVENT_REQUEST, .query_id = id, .request.spec = &spec });
}

static void finish(uint64_t id) {
        tell((Event) { .type = EVENT_ENDED, .query_id = id, .ended.report.numbers.memory_peak_bytes = MIB });
        tell((Event) { .type = EVENT_UNIT_GONE, .query_id = id });
}

static void assert_passes_the_budget(const char *words) {
        assert_int_equal(replayed(), -EPROTO);
        assert_non_null(strstr(rec.failure, words));
}

static void what_is_within_the_budget_is_the_same_again(void **state) {
        (void) state;
        submit(1, 192 * MIB);
        run(1, 192 * MIB);
        submit(2, 0);
        run(2, 64 * MIB);
        assert_int_equal(replayed(), 0);
        assert_int_equal(rec.replay.promised_peak_bytes, 256 * MIB);
        assert_int_equal(rec.replay.budget_bytes, 320 * MIB);
}

/* What was held above a smaller budget may be, until it is given back: then it is not to be had again. */
static void what_came_back_after_a_reload_to_less_is_gone(void **state) {
        (void) state;
        submit(1, 192 * MIB);
        run(1, 192 * MIB);
        rec.config.per_query_bytes = rec.config.max_memory_bytes = 128 * MIB;
        tell((Event) { .type = EVENT_CONFIG });
        assert_int_equal(replayed(), 0);
        finish(1);
        submit(2, 0);
        run(2, 64 * MIB);
        assert_int_equal(replayed(), 0);
        tell_limit(2, 160 * MIB);
        assert_passes_the_budget("the budget is 134217728");
}

static void an_administrators_limit_of_the_slice_is_a_budget(void **state) {
        (void) state;
        tell((Event) { .type = EVENT_CAP, .bytes = 128 * MIB });
        submit(1, 0);
        run(1, 64 * MIB);
        assert_int_equal(replayed(), 0);
        tell_limit(1, 160 * MIB);
        assert_passes_the_budget("the budget is 134217728");
}

/* 2 is refused and killed for it; when 1 has ended it is run once more. */
static void the_second_run_of_a_query_counts_as_the_first(void **state) {
        Sample full = { .current_bytes = 63 * MIB, .anon_bytes = 63 * MIB, .active_anon_bytes = 63 * MIB, .max_bytes = 64 * MIB,
                        .events_high = 5, .pids = 1, .populated = true };
        EndedReport killed = { .exit_status = -1, .exit_signal = SIGKILL, .results_empty = true,
                               .numbers = { .memory_peak_bytes = 64 * MIB, .events_oom = 1, .events_oom_kill = 1 } };

        (void) state;
        submit(1, 256 * MIB);
        run(1, 256 * MIB);
        submit(2, 0);
        run(2, 64 * MIB);
        tell((Event) { .type = EVENT_SAMPLE, .query_id = 2, .sample = full });
        tell((Event) { .type = EVENT_ENDED, .query_id = 2, .ended.report = killed });
        tell((Event) { .type = EVENT_UNIT_GONE, .query_id = 2 });
        finish(1);
        assert_int_equal(engine_find(rec.engine, 2)->n_retries, 1);
        assert_int_equal(engine_find(rec.engine, 2)->state, QUERY_EXECUTING);
        run(2, engine_find(rec.engine, 2)->lease.bytes);
        assert_int_equal(replayed(), 0);
        tell_limit(2, 400 * MIB);
        assert_passes_the_budget("419430400 bytes are promised");
}

/* A disk that fails in the middle of a trace, at a newline. */
static ssize_t read_some(void *cookie, char *buf, size_t size) {
        bool *told = cookie;
        size_t n = MIN(size, (size_t) (strstr(rec.text, "\nstart ") + strlen("\nstart 1\n") - rec.text));

        if (*told) {
                errno = EIO;
                return -1;
        }
        *told = true;
        memcpy(buf, rec.text, n);
        return (ssize_t) n;
}

static void a_rest_that_cannot_be_read_is_not_the_end(void **state) {
        bool told = false;
        FILE *f = fopencookie(&told, "r", (cookie_io_functions_t) { .read = read_some });

        (void) state;
        fflush(rec.f);
        assert_non_null(f);
        assert_int_equal(replay_run(f, &rec.replay, rec.failure), -EIO);
        fclose(f);
}

#define RECORDED(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void) {
        const struct CMUnitTest tests[] = {
                RECORDED(what_is_within_the_budget_is_the_same_again),
                RECORDED(what_came_back_after_a_reload_to_less_is_gone),
                RECORDED(an_administrators_limit_of_the_slice_is_a_budget),
                RECORDED(the_second_run_of_a_query_counts_as_the_first),
                RECORDED(a_rest_that_cannot_be_read_is_not_the_end),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
