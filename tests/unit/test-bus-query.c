/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test-bus-bench.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define INVALID "org.penstock1.Error.InvalidArgument"
#define NO_SUCH "org.penstock1.Error.NoSuchQuery"
#define PROPERTIES "org.freedesktop.DBus.Properties"

/* What the client saw, one line a signal. */
static char seen[4096];

static void see(const char *format, ...) PRINTF_LIKE(1, 2);

static void see(const char *format, ...) {
        size_t n = strlen(seen);
        va_list ap;

        va_start(ap, format);
        vsnprintf(seen + n, sizeof(seen) - n, format, ap);
        va_end(ap);
}

static void see_changed(sd_bus_message *m) {
        const char *interface, *key, *value;

        assert_true(sd_bus_message_read(m, "s", &interface) > 0);
        see("changed");
        assert_true(sd_bus_message_enter_container(m, 'a', "{sv}") > 0);
        while (sd_bus_message_read(m, "{sv}", &key, "s", &value) > 0)
                see(" %s=%s", key, value);
        see("\n");
}

static int on_message(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        const char *path;
        uint64_t id;

        (void) userdata, (void) ret_error;
        if (sd_bus_message_is_signal(m, CONTROLLER_INTERFACE, NULL) > 0) {
                assert_true(sd_bus_message_read(m, "to", &id, &path) > 0);
                see("%s %llu %s\n", sd_bus_message_get_member(m), (unsigned long long) id, path);
        } else if (sd_bus_message_is_signal(m, PROPERTIES, "PropertiesChanged") > 0)
                see_changed(m);
        else if (sd_bus_message_is_signal(m, "org.freedesktop.DBus.ObjectManager", NULL) > 0) {
                assert_true(sd_bus_message_read(m, "o", &path) > 0);
                see("%s %s\n", sd_bus_message_get_member(m), path);
        }
        return 0;
}

static void watch_signals(Bench *b) {
        seen[0] = '\0';
        assert_return_code(sd_bus_add_filter(b->client, NULL, on_message, NULL), 0);
}

static char *read_all(int fd) {
        static char text[4096];
        ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

        assert_true(n >= 0);
        text[n] = '\0';
        return text;
}

static void a_submission_gives_id_object_results_and_hold(void **state) {
        Bench *b = *state;
        sd_bus_message *m = bench_request_minimal(b), *reply;
        const char *path;
        int results, hold;
        uint64_t id;
        char c;

        bench_request_close(m);
        reply = bench_call(b, m);
        assert_return_code(sd_bus_message_read(reply, "tohh", &id, &path, &results, &hold), 0);
        assert_int_equal(id, 1);
        assert_string_equal(path, "/org/penstock1/query/_1");
        assert_int_equal(fcntl(results, F_GETFL) & O_ACCMODE, O_RDONLY);
        assert_int_equal(fcntl(hold, F_GETFL) & O_ACCMODE, O_WRONLY);
        assert_int_equal(read(results, &c, 1), 0); /* the bench has closed the other end: penstockd keeps none */
        sd_bus_message_unref(reply);
}

static void a_refusal_of_the_engine_reaches_the_caller(void **state) {
        Bench *b = *state;
        sd_bus_message *m = bench_request_minimal(b);

        bench_request_close(m);
        manager_feed(&b->manager, &(Event) { .type = EVENT_SHUTDOWN });
        assert_error(bench_call(b, m), "org.penstock1.Error.ShuttingDown", "accepts no more");
}

static void a_life_is_told_in_signals(void **state) {
        Bench *b = *state;
        uint64_t id;

        watch_signals(b);
        id = bench_submit(b);
        bench_settle(b);
        assert_non_null(strstr(seen,
                               "InterfacesAdded /org/penstock1/query/_1\nQueryNew 1 /org/penstock1/query/_1\n"));
        seen[0] = '\0';
        bench_run(b, id);
        bench_end(b, id, 3);
        assert_non_null(strstr(seen, "changed State=errored ErrorName=org.penstock1.Error.ExecutionFailed "
                                     "ErrorMessage=its engine ended with exit status 3\n"));
        seen[0] = '\0';
        manager_feed(&b->manager, &(Event) { .type = EVENT_DONE, .query_id = id });
        bench_settle(b);
        assert_string_equal(seen, "InterfacesRemoved /org/penstock1/query/_1\n"
                                  "QueryRemoved 1 /org/penstock1/query/_1\n");
}

/* Released and ended in one step: the engine has a tombstone before the last state is told. */
static void the_last_state_is_told_even_if_the_query_is_gone(void **state) {
        Bench *b = *state;
        uint64_t id = bench_submit(b);

        watch_signals(b);
        manager_feed(&b->manager, &(Event) { .type = EVENT_DONE, .query_id = id });
        bench_settle(b);
        assert_non_null(strstr(seen, "changed State=canceled ErrorName=org.penstock1.Error.Canceled"));
        assert_non_null(strstr(seen, "QueryRemoved 1"));
        assert_null(query_of_path(b->bus, "/org/penstock1/query/_1"));
}

static void with_what_it_started_is_told(void **state) {
        Bench *b = *state;
        uint64_t id = bench_submit(b);
        Query *q = (Query *) engine_find(b->manager.engine, id);
        sd_bus_message *reply;
        char usual[32];

        bench_run(b, id);
        snprintf(usual, sizeof(usual), "%llu", (unsigned long long) b->manager.config.initial_bytes);
        reply = bench_call(b, bench_on_object(b, "Statistics", id));
        assert_value(reply, "initial_bytes", usual);
        assert_value(reply, "learned", "false");
        assert_value(reply, "raises_saved", "0");
        assert_value(reply, "retries", "0");
        sd_bus_message_unref(reply);
        q->learned_bytes = 4711;
        q->n_raises_saved = 3;
        q->n_retries = 1;
        reply = bench_call(b, bench_by_id(b, "Describe", id));
        assert_value(reply, "initial_bytes", "4711");
        assert_value(reply, "learned", "true");
        assert_value(reply, "raises_saved", "3");
        assert_value(reply, "retries", "1");
        sd_bus_message_unref(reply);
}

static void done_answers_when_the_query_is_gone(void **state) {
        Bench *b = *state;
        sd_bus_message *first = NULL, *second = NULL, *late;
        uint64_t id = bench_submit(b);

        bench_run(b, id);
        late = bench_call(b, bench_on_object(b, "Statistics", id)); /* while it runs, as the kernel says */
        assert_value(late, "cpu_usec", "33");
        assert_value(late, "stall_usec", "44");
        assert_value(late, "memory_need_bytes", "55");
        sd_bus_message_unref(late);
        bench_send(b, bench_on_object(b, "Done", id), &first);
        bench_send(b, bench_by_id(b, "DoneQuery", id), &second);
        bench_settle(b);
        assert_true(!first && !second);
        assert_int_equal(engine_find(b->manager.engine, id)->state, QUERY_EXECUTING);
        bench_end(b, id, 0);
        assert_non_null(first);
        assert_value(first, "cpu_usec", "77");
        assert_value(first, "memory_need_bytes", "0");
        assert_value(first, "verdict", "cancel");
        assert_value(second, "cpu_usec", "77");
        sd_bus_message_unref(first);
        sd_bus_message_unref(second);
        assert_int_equal(b->bus->n_done_waiting, 0);

        /* Idempotent: what is kept of it answers. */
        late = bench_call(b, bench_by_id(b, "DoneQuery", id));
        assert_value(late, "cpu_usec", "77");
        sd_bus_message_unref(late);
        assert_returned(bench_call(b, bench_by_id(b, "CancelQuery", id)));
        assert_error(bench_call(b, bench_by_id(b, "ResultsOf", id)), NO_SUCH, "its results are gone");
        assert_error(bench_call(b, bench_by_id(b, "GetQuery", id)), NO_SUCH, "no query 1");
        late = bench_call(b, bench_on_object(b, "Done", id));
        assert_true(sd_bus_message_is_method_error(late, SD_BUS_ERROR_UNKNOWN_OBJECT));
        sd_bus_message_unref(late);
}

static void done_calls_that_wait_are_bounded(void **state) {
        sd_bus_message *replies[WAITING_PER_QUERY_MAX + 1] = {};
        Bench *b = *state;
        uint64_t id = bench_submit(b);

        bench_run(b, id);
        for (size_t i = 0; i < ELEMENTSOF(replies); i++)
                bench_send(b, bench_by_id(b, "DoneQuery", id), &replies[i]);
        bench_settle(b);
        assert_error(replies[WAITING_PER_QUERY_MAX], "org.penstock1.Error.QueueLengthExceeded", "16 Done calls");
        bench_end(b, id, 0);
        for (size_t i = 0; i < WAITING_PER_QUERY_MAX; i++)
                assert_returned(replies[i]);
}

static void an_unknown_query_is_no_such_query(void **state) {
        static const char *const methods[] = { "GetQuery", "Describe", "CancelQuery",
                                               "DoneQuery", "ResultsOf", "ProfilerResultsOf" };
        Bench *b = *state;

        for (size_t i = 0; i < ELEMENTSOF(methods); i++) {
                assert_error(bench_call(b, bench_by_id(b, methods[i], 0)), NO_SUCH, "no query 0");
                assert_error(bench_call(b, bench_by_id(b, methods[i], UINT64_MAX)), NO_SUCH,
                             "no query 18446744073709551615");
        }
        assert_int_equal(b->n_asks, 0);
}

static void one_object_has_one_path(void **state) {
        Bench *b = *state;

        bench_submit(b);
        assert_non_null(query_of_path(b->bus, "/org/penstock1/query/_1"));
        assert_null(query_of_path(b->bus, "/org/penstock1/query/_01"));
        assert_null(query_of_path(b->bus, "/org/penstock1/query/_1/x"));
        assert_null(query_of_path(b->bus, "/org/penstock1/query/_"));
        assert_null(query_of_path(b->bus, "/org/penstock1/query/_infinity"));
        assert_null(query_of_path(b->bus, "/org/penstock1/query/1"));
        assert_null(query_of_path(b->bus, "/org/penstock1/query"));
        assert_null(query_of_path(b->bus, "/org/penstock1/query/_2"));
}

static uint64_t submit_detached(Bench *b) {
        sd_bus_message *m = bench_request_minimal(b), *reply;
        uint64_t id;

        assert_return_code(sd_bus_message_append(m, "{sv}", "detach", "b", 1), 0);
        bench_request_close(m);
        reply = bench_call(b, m);
        assert_return_code(sd_bus_message_read(reply, "t", &id), 0);
        sd_bus_message_unref(reply);
        return id;
}

static void results_of_a_detached_query_are_read_as_often_as_wanted(void **state) {
        Bench *b = *state;
        uint64_t id = submit_detached(b);
        int fd = memfd_create("results", MFD_CLOEXEC), got;

        assert_int_equal(write(fd, "42\n", 3), 3);
        assert_error(bench_call(b, bench_on_object(b, "Results", id)), INVALID, "ResultsKeepSec");
        b->manager.records[id].record.results_file_fd = fd;
        for (unsigned i = 0; i < 2; i++) {
                sd_bus_message *reply = i == 0 ? bench_call(b, bench_on_object(b, "Results", id))
                                               : bench_call(b, bench_by_id(b, "ResultsOf", id));
                char text[4] = "";

                assert_return_code(sd_bus_message_read(reply, "h", &got), 0);
                assert_int_equal(fcntl(got, F_GETFL) & O_ACCMODE, O_RDONLY);
                assert_int_equal(read(got, text, 3), 3); /* from the start, each time */
                assert_string_equal(text, "42\n");
                sd_bus_message_unref(reply);
        }
}

static void results_of_an_attached_query_went_to_its_submitter(void **state) {
        Bench *b = *state;
        uint64_t id = bench_submit(b);

        assert_error(bench_call(b, bench_on_object(b, "Results", id)), INVALID, "is attached");
}

static void the_timeline_is_csv_with_a_header(void **state) {
        static const char *const calls[] = { "ProfilerResults", "ProfilerResultsOf" };
        Bench *b = *state;
        uint64_t id = bench_submit(b);
        Query *q = (Query *) engine_find(b->manager.engine, id);
        sd_bus_message *reply;
        int fd;

        profile_add(&q->profile, PROFILE_START, 0, 0);
        profile_add_raise(&q->profile, RAISE_NEED, 64 * MIB, 128 * MIB, 1500);
        profile_limits(&q->profile, 128 * MIB, SIZE_INFINITY, 40);
        for (unsigned i = 0; i < ELEMENTSOF(calls); i++) {
                reply = bench_call(b, i == 0 ? bench_on_object(b, calls[i], id) : bench_by_id(b, calls[i], id));
                assert_return_code(sd_bus_message_read(reply, "h", &fd), 0);
                assert_string_equal(read_all(fd),
                                    "time_usec,event,cause,old_bytes,new_bytes,latency_usec,limit_bytes,high_bytes,"
                                    "current_bytes,anon_bytes,shmem_bytes,file_bytes,kernel_bytes,need_bytes,"
                                    "stall_some_usec,stall_full_usec,cpu_usec,io_read_bytes,io_write_bytes,pids,"
                                    "thinned_rows\n"
                                    "0,start,,,,,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0\n"
                                    "1500,raise,need,67108864,134217728,40,134217728,infinity,0,0,0,0,0,0,0,0,0,0,0,0,0\n");
                assert_true(write(fd, "x", 1) < 0); /* sealed */
                sd_bus_message_unref(reply);
        }
        manager_feed(&b->manager, &(Event) { .type = EVENT_DONE, .query_id = id });
        reply = bench_call(b, bench_by_id(b, "ProfilerResultsOf", id)); /* as long as it is remembered */
        assert_return_code(sd_bus_message_read(reply, "h", &fd), 0);
        assert_non_null(strstr(read_all(fd), ",end,cancel,,,,134217728,infinity,"));
        sd_bus_message_unref(reply);
}

int main(void) {
#define BENCH_TEST(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)
        const struct CMUnitTest tests[] = {
                BENCH_TEST(a_submission_gives_id_object_results_and_hold),
                BENCH_TEST(a_refusal_of_the_engine_reaches_the_caller),
                BENCH_TEST(a_life_is_told_in_signals),
                BENCH_TEST(the_last_state_is_told_even_if_the_query_is_gone),
                BENCH_TEST(with_what_it_started_is_told),
                BENCH_TEST(done_answers_when_the_query_is_gone),
                BENCH_TEST(done_calls_that_wait_are_bounded),
                BENCH_TEST(an_unknown_query_is_no_such_query),
                BENCH_TEST(one_object_has_one_path),
                BENCH_TEST(results_of_a_detached_query_are_read_as_often_as_wanted),
                BENCH_TEST(results_of_an_attached_query_went_to_its_submitter),
                BENCH_TEST(the_timeline_is_csv_with_a_header),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
