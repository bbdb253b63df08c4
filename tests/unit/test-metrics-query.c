/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The engine's own queries, counted as the daemon counts them. */
#include "engine-kit.h"
#include "metrics-kit.h"

static Metrics *metrics;
static PairList labels; /* of each query */

static int setup(void **state) {
        assert_int_equal(kit_setup(state), 0);
        metrics = metrics_with("team");
        assert_int_equal(pairlist_set(&labels, "team", "a"), 0);
        return 0;
}

static int teardown(void **state) {
        metrics = metrics_free(metrics);
        pairlist_done(&labels);
        return kit_teardown(state);
}

static const PairList *labels_of(uint64_t id, void *userdata) {
        (void) id, (void) userdata;
        return &labels;
}

/* What the last call of the kit brought. */
static void count(void) {
        for (size_t i = 0; i < kit.n_log; i++) {
                const Action *a = &kit.log[i];

                if (a->type == ACTION_ADMITTED)
                        metrics_admitted(metrics, kit_query(&kit, a->query_id), &labels);
                else if (a->type == ACTION_REFUSED)
                        metrics_refused(metrics, a->error.code, &labels);
                else if (a->type == ACTION_NOTE)
                        metrics_noted(metrics, a->note, engine_find(kit.engine, a->query_id), &labels);
        }
        kit.n_log = 0;
        metrics_take_stock(metrics, kit.engine, &kit.config, labels_of, NULL);
}

static uint64_t submit(QuerySpec spec) {
        uint64_t id = kit_submit(&kit, spec);

        count();
        return id;
}

#define PLAIN ((QuerySpec) { .uid = 1000, .language = "shell" })
#define COMPILED ((QuerySpec) { .uid = 1000, .language = "python", .has_compile = true })

#define assert_result(name, n) assert_metric(metrics, "penstock_requests_total{result=\"" name "\",team=\"a\"}", n)
#define assert_gauge(name, n) assert_metric(metrics, "penstock_" name "_active{team=\"a\"}", n)
#define assert_compiling(n) \
        assert_metric(metrics, "penstock_compiling_active{compiler_type=\"python\",team=\"a\"}", n)
#define assert_count(name, n) assert_metric(metrics, "penstock_" name "_duration_seconds_count{team=\"a\"}", n)
#define assert_sum(name, n) assert_metric(metrics, "penstock_" name "_duration_seconds_sum{team=\"a\"}", n)
#define assert_death(name, n) assert_metric(metrics, "penstock_deaths_total{verdict=\"" name "\",team=\"a\"}", n)

static void assert_nothing_active(void) {
        assert_gauge("all", "0");
        assert_gauge("queueing", "0");
        assert_gauge("executing", "0");
        assert_gauge("frozen", "0");
}

static void success_is_counted_with_the_time_in_each_state(void **state) {
        uint64_t id;

        (void) state;
        kit.slow_units = true;
        id = submit(COMPILED);
        assert_gauge("all", "1");
        assert_compiling("1");
        kit.now_usec += 2000;
        kit_ready(&kit, id);
        kit_compiled(&kit, id, 0);
        count();
        assert_compiling("0");
        assert_gauge("executing", "1");
        kit.now_usec += 3000;
        kit_exit(&kit, id, 0);
        count();
        assert_result("success", "1");
        assert_result("runtime_error", "0");
        assert_sum("all", "0.005");
        assert_sum("compiling", "0.002");
        assert_sum("queueing", "0");
        assert_sum("executing", "0.003");
        assert_count("all", "1");
        assert_count("compiling", "1");
        assert_count("queueing", "1");
        assert_count("executing", "1");
        assert_death("exit", "");
        assert_metric(metrics, "penstock_functions_total{function=\"python\",team=\"a\"}", "1");
        assert_compiling("0");
        assert_nothing_active();
}

static void a_compile_error_never_queued_nor_executed(void **state) {
        uint64_t id;

        (void) state;
        id = submit(COMPILED);
        kit_compiled(&kit, id, 1);
        count();
        assert_result("compile_error", "1");
        assert_death("compile", "1");
        assert_count("all", "1");
        assert_count("compiling", "1");
        assert_count("queueing", "");
        assert_count("executing", "");
        assert_compiling("0");
        assert_nothing_active();
}

static void a_runtime_error_was_not_compiled_when_its_language_does_not(void **state) {
        uint64_t id;

        (void) state;
        id = submit(PLAIN);
        assert_gauge("executing", "1");
        kit_exit(&kit, id, 3);
        count();
        assert_result("runtime_error", "1");
        assert_result("success", "0");
        assert_death("exit", "1");
        assert_count("compiling", "");
        assert_count("executing", "1");
        assert_nothing_active();
}

static void what_is_canceled_follows_the_state_it_left(void **state) {
        uint64_t executing[4], queueing, compiling;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(executing); i++)
                executing[i] = submit(PLAIN);
        queueing = submit(PLAIN);
        compiling = submit(COMPILED);
        assert_gauge("all", "6");
        assert_gauge("executing", "4");
        assert_gauge("queueing", "1");
        assert_compiling("1");
        kit_event(&kit, EVENT_CANCEL, queueing);
        count();
        assert_result("queue_error", "1");
        kit_event(&kit, EVENT_CANCEL, compiling);
        count();
        assert_result("compile_error", "1");
        kit_event(&kit, EVENT_CANCEL, executing[0]);
        kit_exit(&kit, executing[0], 143);
        count();
        assert_result("runtime_error", "1");
        assert_death("cancel", "3");
        for (size_t i = 1; i < ELEMENTSOF(executing); i++) {
                kit_exit(&kit, executing[i], 0);
                count();
        }
        assert_result("success", "3");
        assert_nothing_active();
        assert_compiling("0");
}

static void timeouts_follow_the_state_they_came_in(void **state) {
        QuerySpec runs = PLAIN, waits = PLAIN;

        (void) state;
        runs.timeout_usec = 10 * USEC_PER_SEC;
        for (unsigned i = 0; i < 4; i++)
                submit(runs);
        waits.queue_timeout_usec = 5 * USEC_PER_SEC;
        submit(waits);
        kit_pass(&kit, 6 * USEC_PER_SEC);
        count();
        assert_result("queue_error", "1");
        assert_sum("queueing", "5");
        kit_pass(&kit, 20 * USEC_PER_SEC);
        count();
        assert_result("runtime_error", "4");
        assert_death("timeout", "4");
        assert_death("queue", "1");
        assert_nothing_active();
}

static void a_full_queue_is_a_queue_error_and_other_refusals_are_none(void **state) {
        QuerySpec greedy = PLAIN;

        (void) state;
        greedy.max_bytes = 64 * GIB;
        assert_int_equal(submit(greedy), 0);
        /* Its labels have no place yet, and a refusal, which costs nothing, takes none. */
        assert_metric(metrics, "penstock_refused_total{error=\"InvalidArgument\",team=\"\"}", "1");
        assert_result("queue_error", "");
        for (unsigned i = 0; i < 12; i++)
                assert_true(submit(PLAIN) > 0);
        assert_int_equal(submit(PLAIN), 0);
        assert_result("queue_error", "1");
        assert_metric(metrics, "penstock_refused_total{error=\"QueueLengthExceeded\",team=\"a\"}", "1");
        assert_count("all", ""); /* it was never there */
        kit_shutdown(&kit, 0);
        count();
        assert_int_equal(submit(PLAIN), 0);
        assert_metric(metrics, "penstock_refused_total{error=\"ShuttingDown\",team=\"a\"}", "1");
        assert_metric(metrics, "penstock_shutting_down{team=\"\"}", "1");
}

static void shutdown_ends_each_in_the_counter_of_its_state(void **state) {
        (void) state;
        for (unsigned i = 0; i < 6; i++)
                submit(PLAIN);
        kit_shutdown(&kit, 0);
        count();
        assert_result("queue_error", "2");
        kit_pass(&kit, 10 * USEC_PER_SEC); /* their grace */
        count();
        assert_result("runtime_error", "4");
        assert_death("shutdown", "6");
        assert_count("executing", "4");
        assert_count("queueing", "6");
        assert_nothing_active();
}

static void raises_denials_and_frozen_time_are_counted(void **state) {
        uint64_t first, second;

        (void) state;
        first = submit(PLAIN);
        second = submit(PLAIN);
        kit_need(&kit, first, 64 * MIB);
        kit_need(&kit, first, 128 * MIB);
        kit_need(&kit, first, 256 * MIB);
        kit_need(&kit, first, 512 * MIB);
        count();
        kit_need(&kit, second, 64 * MIB);
        count();
        assert_true(kit_frozen(second));
        assert_gauge("frozen", "1");
        assert_metric(metrics, "penstock_denied_raises_total{team=\"a\"}", "1");
        assert_metric(metrics, "penstock_freezes_total{team=\"a\"}", "1");
        assert_metric(metrics, "penstock_memory_unused_bytes{team=\"\"}", "0");
        assert_metric(metrics, "penstock_memory_used_bytes{team=\"\"}", "1073741824");
        kit.now_usec += 7 * USEC_PER_SEC;
        kit_exit(&kit, first, 0);
        count();
        assert_gauge("frozen", "0");
        kit_exit(&kit, second, 0);
        count();
        assert_metric(metrics, "penstock_frozen_seconds_total{team=\"a\"}", "7");
        assert_metric(metrics, "penstock_memory_unused_bytes{team=\"\"}", "805306368");
        assert_nothing_active();
}

static void learned_starts_and_the_raises_that_they_save_are_counted(void **state) {
        QuerySpec spec = PLAIN;
        Config c = kit_config();
        uint64_t id;

        (void) state;
        c.initial_quota = INITIAL_QUOTA_LEARNED;
        kit_reopen(&c);
        spec.fingerprint[0] = 1;
        id = submit(spec);
        kit_need(&kit, id, 60 * MIB);
        kit_report(&kit, id, (EndedReport) { .numbers.memory_peak_bytes = 60 * MIB }, NULL);
        count();
        assert_metric(metrics, "penstock_learned_starts_total{team=\"a\"}", "");
        assert_metric(metrics, "penstock_saved_raises_total{team=\"a\"}", "");
        id = submit(spec);
        assert_metric(metrics, "penstock_learned_starts_total{team=\"a\"}", "1");
        kit_report(&kit, id, (EndedReport) { .numbers.memory_peak_bytes = 60 * MIB }, NULL);
        count();
        assert_metric(metrics, "penstock_saved_raises_total{team=\"a\"}", "1");
}

static void those_that_are_run_once_more_are_counted_and_die_once(void **state) {
        QuerySpec spec = PLAIN;
        Config c = kit_pool_config(2, 512 * MIB);
        uint64_t id;

        (void) state;
        c.retry_on_exhaustion = true;
        kit_reopen(&c);
        kit_content(&kit, 448 * MIB);
        spec.may_retry = true;
        id = submit(spec);
        kit.slow_kills = true;
        kit_need(&kit, id, 60 * MIB);
        count();
        kit_pass(&kit, c.freeze_timeout_usec);
        count();
        kit_report(&kit, id, (EndedReport) { .exit_status = -1, .exit_signal = SIGKILL, .results_empty = true }, NULL);
        count();
        assert_metric(metrics, "penstock_retries_total{team=\"a\"}", "1");
        assert_metric(metrics, "penstock_queueing_active{team=\"a\"}", "1");
        assert_metric(metrics, "penstock_deaths_total{team=\"a\",verdict=\"budget\"}", "");
        /* It has executed before, and waits now. */
        kit_event(&kit, EVENT_CANCEL, id);
        count();
        assert_result("queue_error", "1");
        assert_result("runtime_error", "0");
}

static void counters_survive_a_reload(void **state) {
        Config c = kit.config;
        uint64_t id = submit(PLAIN);

        (void) state;
        kit_exit(&kit, id, 0);
        count();
        c.queue_size = 3;
        c.max_memory_bytes = 2 * GIB;
        kit_reload(&kit, &c);
        kit.config = c;
        count();
        assert_result("success", "1");
        assert_metric(metrics, "penstock_queue_size{team=\"\"}", "3");
        assert_metric(metrics, "penstock_memory_max_bytes{team=\"\"}", "2147483648");
        id = submit(PLAIN);
        kit_exit(&kit, id, 0);
        count();
        assert_result("success", "2");
}

int main(void) {
#define METRICS_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        const struct CMUnitTest tests[] = {
                METRICS_TEST(success_is_counted_with_the_time_in_each_state),
                METRICS_TEST(a_compile_error_never_queued_nor_executed),
                METRICS_TEST(a_runtime_error_was_not_compiled_when_its_language_does_not),
                METRICS_TEST(what_is_canceled_follows_the_state_it_left),
                METRICS_TEST(timeouts_follow_the_state_they_came_in),
                METRICS_TEST(a_full_queue_is_a_queue_error_and_other_refusals_are_none),
                METRICS_TEST(shutdown_ends_each_in_the_counter_of_its_state),
                METRICS_TEST(raises_denials_and_frozen_time_are_counted),
                METRICS_TEST(learned_starts_and_the_raises_that_they_save_are_counted),
                METRICS_TEST(those_that_are_run_once_more_are_counted_and_die_once),
                METRICS_TEST(counters_survive_a_reload),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
