/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/trace.h"

/* Write @ev, read it back into @ret, and see that writing that gives the same line again. */
static void back_and_forth(const Event *ev, TraceRecord *ret) {
        char line[TRACE_LINE_MAX], again[TRACE_LINE_MAX];
        Config c = {};

        trace_event_line(ev, 77, line);
        assert_int_equal(trace_parse_line(line, &c, ret), 0);
        assert_int_equal(ret->line, TRACE_LINE_EVENT);
        assert_int_equal(ret->now_usec, 77);
        assert_int_equal(ret->event.type, ev->type);
        assert_int_equal(ret->event.query_id, ev->query_id);
        assert_string_equal(trace_event_line(&ret->event, 77, again), line);
}

static void request_is_the_same_to_the_engine(void **state) {
        /* static: its padding is zero, too */
        static QuerySpec spec = { .language = "sqlite", .uid = UINT32_MAX, .priority = -7, .initial_bytes = 1,
                           .max_bytes = UINT64_MAX - 1, .timeout_usec = USEC_INFINITY, .queue_timeout_usec = 5, .fingerprint = { UINT64_MAX, 6 },
                           .detached = true, .has_compile = true, .allow_priority = true,
                           .has_dependencies = true };
        Event ev = { .type = EVENT_REQUEST, .request.spec = &spec };
        TraceRecord r;

        (void) state;
        back_and_forth(&ev, &r);
        assert_ptr_equal(r.event.request.spec, &r.spec);
        assert_memory_equal(&r.spec, &spec, sizeof(spec));
}

static void each_number_of_a_snapshot_comes_back(void **state) {
        static QuerySnapshot s = { .spec = { .language = "duckdb", .uid = 7, .priority = -3, .fingerprint = { 8, UINT64_MAX }, .detached = true } };
        Error said = { .code = ERROR_CANCELED }, none = {};
        Event ev = { .type = EVENT_ADOPT, .query_id = UINT64_MAX, .adopt = { &s, &said } };
        TraceRecord r;

        (void) state;
        memset(said.message, '\\', sizeof(said.message) - 1);
        for (uint64_t *v = &s.created_usec; v <= &s.wanted_bytes; v++)
                *v = UINT64_MAX - (uint64_t) (v - &s.created_usec);
        for (uint64_t *v = (uint64_t *) &s.final; v < (uint64_t *) (&s.final + 1); v++)
                *v = UINT64_MAX - (uint64_t) (v - (uint64_t *) &s);
        s.state = 1, s.verdict = 2, s.dependencies = 3, s.wanted_cause = 4, s.ending_state = 5, s.ending_verdict = 6;
        s.visited = UINT32_MAX;
        s.exit_status = -1;
        s.exit_signal = 9;
        s.done = s.ending = s.denied = s.headroom_off = s.handed = s.unit_exists = s.is_frozen = s.is_lost = true;
        s.limit_bytes = s.current_bytes = UINT64_MAX;
        back_and_forth(&ev, &r);
        assert_memory_equal(&r.snapshot, &s, sizeof(s));
        assert_int_equal(r.event.adopt.error->code, ERROR_CANCELED);
        assert_string_equal(r.event.adopt.error->message, said.message);
        ev.adopt.error = &none;
        back_and_forth(&ev, &r);
        assert_int_equal(r.event.adopt.error->code, ERROR_NONE);
}

static void each_number_of_a_sample_comes_back(void **state) {
        TraceRecord r;
        Event ev = { .type = EVENT_SAMPLE, .query_id = 9 };
        uint64_t *v = (uint64_t *) &ev.sample;

        (void) state;
        for (size_t i = 0; i < offsetof(Sample, has_psi) / sizeof(*v); i++)
                v[i] = UINT64_MAX - i;
        ev.sample.has_psi = ev.sample.frozen = ev.sample.populated = true;
        back_and_forth(&ev, &r);
        assert_memory_equal(&r.event.sample, &ev.sample, sizeof(ev.sample));
}

static void each_number_of_an_end_comes_back(void **state) {
        Error said = { .code = ERROR_EXECUTION_FAILED, .message = "two\nlines and a \\ and = and  blanks" };
        Event ev = { .type = EVENT_ENDED, .query_id = 3 };
        uint64_t *v = (uint64_t *) &ev.ended.report.numbers;
        TraceRecord r;

        (void) state;
        ev.ended.report.exit_status = -1;
        ev.ended.report.exit_signal = 9;
        ev.ended.report.start_failed = ev.ended.report.unit_stopped = ev.ended.report.reader_gone = true;
        ev.ended.report.results_truncated = ev.ended.report.leftovers_killed = true;
        for (size_t i = 0; i < sizeof(FinalNumbers) / sizeof(*v); i++)
                v[i] = UINT64_MAX - i;
        ev.ended.error = &said;
        back_and_forth(&ev, &r);
        assert_memory_equal(&r.event.ended.report, &ev.ended.report, sizeof(ev.ended.report));
        assert_int_equal(r.error.code, said.code);
        assert_string_equal(r.error.message, said.message);
        ev.type = EVENT_COMPILED;
        back_and_forth(&ev, &r);
        assert_memory_equal(&r.event.ended.report, &ev.ended.report, sizeof(ev.ended.report));
}

static void what_came_of_limits_comes_back_whole(void **state) {
        Event ev = { .type = EVENT_LIMITS, .query_id = 9 };
        TraceRecord r;

        (void) state;
        ev.limits.r = -5;
        ev.limits.max_bytes = UINT64_MAX;
        ev.limits.latency_usec = 3;
        ev.limits.sample_usec = 2;
        ev.limits.read_back_usec = 1;
        back_and_forth(&ev, &r);
        assert_int_equal(r.event.limits.r, -5);
        assert_memory_equal(&r.event.limits.max_bytes, &ev.limits.max_bytes, 4 * sizeof(uint64_t));
}

static void what_was_learned_comes_back_whole(void **state) {
        Event ev = { .type = EVENT_LEARNED, .lesson = { { UINT64_MAX, 2 }, 3, 4 } };
        TraceRecord r;

        (void) state;
        back_and_forth(&ev, &r);
        assert_memory_equal(&r.event.lesson, &ev.lesson, sizeof(ev.lesson));
}

static void the_longest_message_fits(void **state) {
        Event ev = { .type = EVENT_UNIT_FAILED, .query_id = UINT64_MAX };
        Error said = { .code = ERROR_INTERNAL };
        TraceRecord r;

        (void) state;
        memset(said.message, '\n', sizeof(said.message) - 1);
        ev.error = &said;
        back_and_forth(&ev, &r);
        assert_string_equal(r.error.message, said.message);
}

static void every_event_has_a_line(void **state) {
        QuerySpec spec = { .language = "exec" };
        QuerySnapshot snapshot = {};
        Error none = {};

        (void) state;
        for (int t = 0; t < _EVENT_MAX; t++) {
                Event ev = { .type = (EventType) t };
                TraceRecord r;

                if (t == EVENT_REQUEST)
                        ev.request.spec = &spec;
                else if (t == EVENT_ADOPT)
                        ev.adopt.snapshot = &snapshot, ev.adopt.error = &none;
                else if (event_has_plain_error(ev.type))
                        ev.error = &none;
                else if (t == EVENT_ENDED || t == EVENT_COMPILED)
                        ev.ended.error = &none;
                back_and_forth(&ev, &r);
        }
}

static void every_action_has_its_own_line(void **state) {
        char lines[_ACTION_MAX][TRACE_LINE_MAX];

        (void) state;
        for (int t = 0; t < _ACTION_MAX; t++) {
                Action a = { .type = (ActionType) t, .query_id = 4 };

                trace_action_line(&a, lines[t]);
                assert_int_equal(strncmp(lines[t], "a ", 2), 0);
                assert_null(strstr(lines[t], "null"));
                for (int before = 0; before < t; before++)
                        assert_string_not_equal(lines[before], lines[t]);
        }
}

static void limits_are_part_of_an_action(void **state) {
        Action a = { .type = ACTION_SET_LIMITS, .query_id = 4, .limits = { .max_bytes = 4096, .high_bytes = 1 } };
        char line[TRACE_LINE_MAX];

        (void) state;
        assert_string_equal(trace_action_line(&a, line), "a set-limits 4 limits.max_bytes=4096 limits.high_bytes=1");
}

static void every_number_of_the_configuration_comes_back(void **state) {
        Config c, read;
        TraceRecord r;
        char line[TRACE_LINE_MAX];

        (void) state;
        config_init(&c, 8 * GIB);
        memset(&read, 0xff, sizeof(read));
        assert_int_equal(trace_parse_line(TRACE_HEADER, &read, &r), 0);
        assert_int_equal(r.line, TRACE_LINE_HEADER);
        for (unsigned k = 0; k < _CONFIG_KEY_MAX; k++)
                if (trace_config_line(&c, (ConfigKey) k, line))
                        assert_int_equal(trace_parse_line(line, &read, &r), 0);
        for (unsigned k = 0; k < _CONFIG_KEY_MAX; k++) {
                char a[256], b[256];

                assert_string_equal(config_value_text(&c, (ConfigKey) k, a, sizeof(a)),
                                    config_value_text(&read, (ConfigKey) k, b, sizeof(b)));
        }
        config_done(&c);
}

static void what_is_no_line_is_refused(void **state) {
        static const char *const bad[] = {
                "", "x", "penstock-trace 2", "e", "e 1", "e 1 tick", "e x tick 0", "e -1 tick 0", "e 1 tock 0",
                "e 1 tick 0 more", "e 1 tick 0 more=1", "e 1 tick 0  ", "e 1 limits 2 limits.r=", "e 1 limits 2 limits.r=-",
                "e 1 limits 2 limits.r=1x", "e 1 limits 2 limits.max_bytes=-1", "e 1 limits 2 limits.r=2147483648",
                "e 1 limits 2 limits.max_bytes=18446744073709551616", "e 1 limits 2 limits.max_bytes=infinity",
                "e 1 sample 2 has_psi=2", "e 1 request 0 uid=4294967296", "e 1 unit-failed 2 error=Nonsense",
                "e 1 unit-failed 2 message=\\x", "e 18446744073709551616 tick 0", "c Nonsense=1", "c ConcurrencyQuota",
                "c ConcurrencyQuota=x", "c MetricLabelKeys=a", "start", "start ", "start x",
                "e 1 request 0 language=0123456789012345678901234567890123456789012345678901234567890123",
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                TraceRecord r;
                Config c = {};

                if (trace_parse_line(bad[i], &c, &r) != -EBADMSG)
                        fail_msg("taken: %s", bad[i]);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(request_is_the_same_to_the_engine),
                cmocka_unit_test(each_number_of_a_snapshot_comes_back),
                cmocka_unit_test(each_number_of_a_sample_comes_back),
                cmocka_unit_test(each_number_of_an_end_comes_back),
                cmocka_unit_test(what_came_of_limits_comes_back_whole),
                cmocka_unit_test(what_was_learned_comes_back_whole),
                cmocka_unit_test(the_longest_message_fits),
                cmocka_unit_test(every_event_has_a_line),
                cmocka_unit_test(every_action_has_its_own_line),
                cmocka_unit_test(limits_are_part_of_an_action),
                cmocka_unit_test(every_number_of_the_configuration_comes_back),
                cmocka_unit_test(what_is_no_line_is_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
