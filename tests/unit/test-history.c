/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine-kit.h"

#include <errno.h>

#include "core/history.h"

#define CREATED UINT64_C(1700000000000000)

/* The row of @id as if it had been created then. */
static HistoryRow row_of(uint64_t id) {
        const Query *q = kit_query(&kit, id);
        HistoryRow r;

        assert_int_equal(history_row_from(q, CREATED, CREATED + query_total_usec(q, q->ended_usec), &r), 0);
        return r;
}

static void a_query_that_ran_has_its_numbers(void **state) {
        EndedReport report = { .exit_status = 0,
                               .numbers = { .memory_peak_bytes = 70 * MIB,
                                            .cpu_usec = 5,
                                            .stall_usec = 6,
                                            .io_read_bytes = 7,
                                            .io_write_bytes = 8 } };
        Config c = kit_config();
        uint64_t first, id;
        HistoryRow r;

        (void) state;
        c.concurrency_quota = 1;
        kit_reopen(&c);
        first = kit_plain(&kit);
        id = kit_submit(&kit, (QuerySpec) { .language = "sqlite",
                                            .uid = 1000,
                                            .priority = -3,
                                            .detached = true,
                                            .fingerprint = { 8, 9 } });
        kit_pass(&kit, 2 * USEC_PER_SEC);
        kit_exit(&kit, first, 0);
        kit_pass(&kit, 3 * USEC_PER_SEC);
        kit_need(&kit, id, 60 * MIB);
        assert_int_equal(kit_lease(id), 128 * MIB);
        kit_report(&kit, id, report, NULL);
        r = row_of(id);
        assert_int_equal(r.id, id);
        assert_int_equal(r.row, 0);
        assert_string_equal(r.language, "sqlite");
        assert_string_equal(r.state, "finished");
        assert_string_equal(r.error, "");
        assert_string_equal(r.verdict, "");
        assert_null(r.message);
        assert_int_equal(r.user_id, 1000);
        assert_int_equal(r.priority, -3);
        assert_true(r.detached);
        assert_true(r.fingerprint[0] == 8 && r.fingerprint[1] == 9);
        assert_int_equal(r.created_usec, CREATED);
        assert_int_equal(r.started_usec, CREATED + 2 * USEC_PER_SEC);
        assert_int_equal(r.ended_usec, CREATED + 5 * USEC_PER_SEC);
        assert_int_equal(r.total_usec, 5 * USEC_PER_SEC);
        assert_int_equal(r.queue_usec, 2 * USEC_PER_SEC);
        assert_int_equal(r.execute_usec, 3 * USEC_PER_SEC);
        assert_int_equal(r.cpu_usec, 5);
        assert_int_equal(r.stall_usec, 6);
        assert_int_equal(r.io_read_bytes, 7);
        assert_int_equal(r.io_write_bytes, 8);
        assert_int_equal(r.initial_bytes, 64 * MIB);
        assert_int_equal(r.memory_max_bytes, GIB);
        assert_int_equal(r.memory_peak_bytes, 70 * MIB);
        assert_int_equal(r.memory_quota_bytes, 128 * MIB);
        assert_int_equal(r.raises, 1);
        assert_int_equal(r.exit_status, 0);
        history_row_done(&r);
}

static void one_that_was_retried_started_when_it_first_did(void **state) {
        Config c = kit_pool_config(2, 512 * MIB);
        HistoryRow r;

        (void) state;
        c.retry_on_exhaustion = true;
        kit_reopen(&c);
        kit_content(&kit, 448 * MIB);
        kit_content(&kit, 64 * MIB);
        kit_submit(&kit, (QuerySpec) { .language = "sqlite", .may_retry = true });
        kit_pass(&kit, 2 * USEC_PER_SEC);
        kit_exit(&kit, 2, 0);
        kit.slow_kills = true;
        kit_need(&kit, 3, 60 * MIB);
        kit_pass(&kit, c.freeze_timeout_usec);
        kit_report(&kit, 3, (EndedReport) { .exit_status = -1, .exit_signal = SIGKILL, .results_empty = true }, NULL);
        assert_int_equal(kit_query(&kit, 3)->n_retries, 1);
        kit_pass(&kit, 7 * USEC_PER_SEC);
        kit_exit(&kit, 1, 0);
        kit_pass(&kit, USEC_PER_SEC);
        kit_exit(&kit, 3, 0);
        r = row_of(3);
        assert_int_equal(r.started_usec, CREATED + 2 * USEC_PER_SEC);
        assert_int_equal(r.execute_usec, c.freeze_timeout_usec + USEC_PER_SEC);
        history_row_done(&r);
}

static void one_that_never_ran_has_neither_start_nor_quota(void **state) {
        Config c = kit_config();
        uint64_t id;
        HistoryRow r;

        (void) state;
        c.concurrency_quota = 1;
        kit_reopen(&c);
        kit_plain(&kit);
        id = kit_plain(&kit);
        kit_event(&kit, EVENT_CANCEL, id);
        r = row_of(id);
        assert_string_equal(r.state, "canceled");
        assert_string_equal(r.error, "Canceled");
        assert_string_equal(r.verdict, "cancel");
        assert_string_equal(r.message, "canceled on request");
        assert_int_equal(r.started_usec, 0);
        assert_int_equal(r.memory_quota_bytes, 0);
        assert_int_equal(r.exit_status, -1);
        history_row_done(&r);
}

/* … also when the engine that saw its end is another one. */
static void the_last_quota_is_told_after_a_restart(void **state) {
        uint64_t id = kit_plain(&kit);
        QuerySnapshot s;
        Error error;
        HistoryRow r;

        (void) state;
        kit_exit(&kit, id, 3);
        engine_snapshot(kit_query(&kit, id), NULL, &s, &error);
        kit_reopen(&kit.config);
        kit_step(&kit, (Event) { .type = EVENT_ADOPT, .query_id = id, .adopt = { &s, &error } });
        r = row_of(id);
        assert_int_equal(r.memory_quota_bytes, 64 * MIB);
        assert_string_equal(r.error, "ExecutionFailed");
        assert_string_equal(r.verdict, "exit");
        assert_int_equal(r.exit_status, 3);
        history_row_done(&r);
}

static void check(const HistoryFilter *f, const char *part) {
        Error error = {};

        if (!part) {
                assert_int_equal(history_filter_check(f, &error), 0);
                return;
        }
        assert_int_equal(history_filter_check(f, &error), -EINVAL);
        assert_int_equal(error.code, ERROR_INVALID_ARGUMENT);
        assert_non_null(strstr(error.message, part));
}

static void a_filter_has_its_bounds(void **state) {
        HistoryFilter f = HISTORY_FILTER_INIT;

        (void) state;
        check(&f, NULL);
        f.limit = 0;
        check(&f, "limit is 0");
        f.limit = HISTORY_LIMIT_MAX + 1;
        check(&f, "limit is 1001");
        f.limit = HISTORY_LIMIT_MAX;
        check(&f, NULL);
        strcpy(f.state, "executing");
        check(&f, "state");
        strcpy(f.state, "errored");
        check(&f, NULL);
        strcpy(f.error, "timeout");
        check(&f, "error");
        strcpy(f.error, "Timeout");
        check(&f, NULL);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                KIT_TEST(a_query_that_ran_has_its_numbers),
                KIT_TEST(one_that_was_retried_started_when_it_first_did),
                KIT_TEST(one_that_never_ran_has_neither_start_nor_quota),
                KIT_TEST(the_last_quota_is_told_after_a_restart),
                cmocka_unit_test(a_filter_has_its_bounds),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
