/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "metrics-kit.h"

#define REQUESTS "penstock_requests_total"

static void pair(PairList *l, const char *key, const char *value) {
        assert_int_equal(pairlist_set(l, key, value), 0);
}

static void counts_start_at_zero_and_add_up(void **state) {
        CLEANUP(metrics_freep) Metrics *m = metrics_with("");

        (void) state;
        assert_metric(m, "penstock_raises_total", "0");
        metrics_add(m, METRIC_RAISES, NULL, NULL, 1);
        metrics_add(m, METRIC_RAISES, NULL, NULL, 2);
        assert_metric(m, "penstock_raises_total", "3");
        assert_metric(m, REQUESTS "{result=\"success\"}", "");
        metrics_add(m, METRIC_REQUESTS, NULL, "success", 0);
        assert_metric(m, REQUESTS "{result=\"success\"}", "0");
}

static void labels_come_from_the_request_and_are_empty_when_absent(void **state) {
        CLEANUP(metrics_freep) Metrics *m = metrics_with("team site");
        CLEANUP(pairlist_done) PairList labels = {}, none = {};

        (void) state;
        pair(&labels, "site", "b");
        pair(&labels, "secret", "x");
        metrics_add(m, METRIC_REQUESTS, &labels, "success", 1);
        metrics_add(m, METRIC_REQUESTS, &none, "success", 2);
        metrics_add(m, METRIC_REQUESTS, NULL, "success", 3);
        assert_metric(m, REQUESTS "{result=\"success\",team=\"\",site=\"b\"}", "1");
        assert_metric(m, REQUESTS "{result=\"success\",team=\"\",site=\"\"}", "5");
        assert_metric(m, "penstock_raises_total{team=\"\",site=\"\"}", "0");
}

static void values_are_escaped(void **state) {
        static const struct {
                const char *value, *text;
        } cases[] = {
                { "plain", "plain" },
                { "a\\b", "a\\\\b" },
                { "say \"hi\"", "say \\\"hi\\\"" },
                { "two\nlines", "two\\nlines" },
                { "\\n", "\\\\n" },
                { "{},= #", "{},= #" },
                { "\x1b[31m\r\t\x7f", "?[31m???" },      /* it may be printed to a terminal */
                { "\xc2\x9b" "1m\xc2\xa0", "?1m\xc2\xa0" }, /* CSI as one character of C1; the next one behind C1 stays */
                { "\xc3\xa4\xe2\x82\xac", "\xc3\xa4\xe2\x82\xac" },
                { "\xff\xc2", "??" },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                CLEANUP(metrics_freep) Metrics *m = metrics_with("k");
                CLEANUP(pairlist_done) PairList labels = {};
                char series[256];

                pair(&labels, "k", cases[i].value);
                metrics_add(m, METRIC_REQUESTS, &labels, "success", 1);
                snprintf(series, sizeof(series), REQUESTS "{result=\"success\",k=\"%s\"}", cases[i].text);
                assert_metric(m, series, "1");
        }
}

static void own_labels_are_escaped_too(void **state) {
        CLEANUP(metrics_freep) Metrics *m = metrics_with("");

        (void) state;
        metrics_set(m, METRIC_BUILD_INFO, NULL, "1.0\"\n", 1);
        assert_metric(m, "penstock_build_info{version=\"1.0\\\"\\n\"}", "1");
}

static void count_as(Metrics *m, unsigned i) {
        CLEANUP(pairlist_done) PairList labels = {};
        char value[16];

        snprintf(value, sizeof(value), "t%u", i);
        pair(&labels, "team", value);
        metrics_add(m, METRIC_REQUESTS, &labels, "success", 1);
}

static void one_tuple_too_many_becomes_other_on_every_key(void **state) {
        CLEANUP(metrics_freep) Metrics *m = metrics_with("team site");

        (void) state;
        for (unsigned i = 0; i < METRICS_TUPLES_MAX; i++)
                count_as(m, i);
        assert_metric(m, REQUESTS "{result=\"success\",team=\"other\",site=\"other\"}", "");
        assert_metric(m, REQUESTS "{result=\"success\",team=\"t63\",site=\"\"}", "1");
        count_as(m, METRICS_TUPLES_MAX);
        count_as(m, METRICS_TUPLES_MAX + 1);
        assert_metric(m, REQUESTS "{result=\"success\",team=\"other\",site=\"other\"}", "2");
        assert_metric(m, REQUESTS "{result=\"success\",team=\"t64\",site=\"\"}", "");
        count_as(m, 5); /* who was there before stays */
        assert_metric(m, REQUESTS "{result=\"success\",team=\"t5\",site=\"\"}", "2");
}

static void long_values_fill_the_room_for_labels_and_then_become_other(void **state) {
        CLEANUP(metrics_freep) Metrics *m = metrics_with("a b c d e f g h");
        unsigned told = 0;

        (void) state;
        for (unsigned i = 0; i < METRICS_TUPLES_MAX; i++) {
                CLEANUP(pairlist_done) PairList labels = {};
                char value[256], *text = NULL;

                memset(value, '"', 255); /* twice as long when escaped */
                value[255] = '\0';
                value[0] = (char) ('0' + i);
                for (const char *k = "abcdefgh"; *k; k++)
                        pair(&labels, (char[]) { *k, '\0' }, value);
                metrics_add(m, METRIC_REQUESTS, &labels, "success", 1);
                assert_int_equal(metrics_render(m, &text), 0);
                assert_true(strlen(text) < 64 * KIB);
                told += strstr(text, "result=\"success\",a=\"other\",") != NULL;
                free(text);
        }
        assert_true(told >= METRICS_TUPLES_MAX - METRICS_LABELS_BYTES_MAX / (8 * 255 * 2));
        assert_true(told < METRICS_TUPLES_MAX);
}

static void one_language_too_many_becomes_other(void **state) {
        CLEANUP(metrics_freep) Metrics *m = metrics_with("");
        char name[16];

        (void) state;
        for (unsigned i = 0; i < METRICS_OWN_MAX + 2; i++) {
                snprintf(name, sizeof(name), "l%u", i);
                metrics_add(m, METRIC_FUNCTIONS, NULL, name, 1);
        }
        assert_metric(m, "penstock_functions_total{function=\"l31\"}", "1");
        assert_metric(m, "penstock_functions_total{function=\"l32\"}", "");
        assert_metric(m, "penstock_functions_total{function=\"other\"}", "2");
}

#define RAISE_BUCKET(le) "penstock_raise_latency_seconds_bucket{le=\"" le "\"}"
#define ALL_BUCKET(le) "penstock_all_duration_seconds_bucket{le=\"" le "\"}"

static void buckets_are_one_millisecond_times_powers_of_five(void **state) {
        static const char *const bounds[] = { "0.001", "0.005", "0.025", "0.125", "0.625", "3.125", "15.625" };
        uint64_t usec = 1000;

        (void) state;
        for (size_t i = 0; i < METRICS_BUCKETS; i++, usec *= 5) {
                CLEANUP(metrics_freep) Metrics *m = metrics_with("");
                char series[128], before[128];

                snprintf(series, sizeof(series), ALL_BUCKET("%s"), bounds[i]);
                snprintf(before, sizeof(before), ALL_BUCKET("%s"), i > 0 ? bounds[i - 1] : "none");
                metrics_observe(m, METRIC_ALL_DURATION, NULL, NULL, usec - 1);
                assert_metric(m, series, "1");
                metrics_observe(m, METRIC_ALL_DURATION, NULL, NULL, usec);
                assert_metric(m, series, "2");
                assert_metric(m, before, i > 0 ? "0" : "");
                metrics_observe(m, METRIC_ALL_DURATION, NULL, NULL, usec + 1);
                assert_metric(m, series, "2");
                assert_metric(m, ALL_BUCKET("+Inf"), "3");
                assert_metric(m, "penstock_all_duration_seconds_count", "3");
        }
}

static void buckets_are_cumulative_and_the_sum_is_exact(void **state) {
        CLEANUP(metrics_freep) Metrics *m = metrics_with("");

        (void) state;
        metrics_observe(m, METRIC_RAISE_LATENCY, NULL, NULL, 0);
        metrics_observe(m, METRIC_RAISE_LATENCY, NULL, NULL, 8);
        metrics_observe(m, METRIC_RAISE_LATENCY, NULL, NULL, 9);
        metrics_observe(m, METRIC_RAISE_LATENCY, NULL, NULL, 200001);
        assert_metric(m, RAISE_BUCKET("0.000008"), "2");
        assert_metric(m, RAISE_BUCKET("0.00004"), "3");
        assert_metric(m, RAISE_BUCKET("0.125"), "3");
        assert_metric(m, RAISE_BUCKET("+Inf"), "4");
        assert_metric(m, "penstock_raise_latency_seconds_sum", "0.200018");
        assert_metric(m, "penstock_raise_latency_seconds_count", "4");
}

static void numbers_stop_at_their_end_and_do_not_turn_over(void **state) {
        CLEANUP(metrics_freep) Metrics *m = metrics_with("");

        (void) state;
        metrics_add(m, METRIC_RAISES, NULL, NULL, UINT64_MAX);
        metrics_add(m, METRIC_RAISES, NULL, NULL, 1);
        assert_metric(m, "penstock_raises_total", "18446744073709551615");
        metrics_add(m, METRIC_FROZEN_TIME, NULL, NULL, UINT64_MAX);
        metrics_add(m, METRIC_FROZEN_TIME, NULL, NULL, 1);
        assert_metric(m, "penstock_frozen_seconds_total", "18446744073709.551615");
        metrics_observe(m, METRIC_ALL_DURATION, NULL, NULL, UINT64_MAX);
        metrics_observe(m, METRIC_ALL_DURATION, NULL, NULL, UINT64_MAX);
        assert_metric(m, "penstock_all_duration_seconds_sum", "18446744073709.551615");
        assert_metric(m, ALL_BUCKET("15.625"), "0");
        assert_metric(m, ALL_BUCKET("+Inf"), "2");
}

static void a_gauge_without_limit_is_infinite(void **state) {
        CLEANUP(metrics_freep) Metrics *m = metrics_with("");

        (void) state;
        metrics_set(m, METRIC_MEMORY_UNUSED, NULL, NULL, SIZE_INFINITY);
        assert_metric(m, "penstock_memory_unused_bytes", "+Inf");
        metrics_set(m, METRIC_MEMORY_UNUSED, NULL, NULL, 4096);
        assert_metric(m, "penstock_memory_unused_bytes", "4096");
}

static void the_same_calls_give_the_same_text(void **state) {
        char *text[2];

        (void) state;
        for (unsigned k = 0; k < 2; k++) {
                CLEANUP(metrics_freep) Metrics *m = metrics_with("team");

                for (unsigned i = 0; i < 10; i++)
                        count_as(m, (i * 7) % 10);
                assert_int_equal(metrics_render(m, &text[k]), 0);
        }
        assert_string_equal(text[0], text[1]);
        free(text[0]);
        free(text[1]);
}

static Metrics *asked;
static unsigned n_refreshes;

static void count_refresh(void *userdata) {
        metrics_set(asked, METRIC_UNITS, NULL, NULL, ++*(unsigned *) userdata);
}

/* Making the text takes time that belongs to the loop, and anyone may ask. */
static void the_text_is_made_five_times_a_second_at_most(void **state) {
        static const struct {
                uint64_t now_usec;
                unsigned made;
        } asks[] = { { 7000, 1 },   { 7000, 1 },   { 206999, 1 }, { 207000, 2 },
                     { 406999, 2 }, { 407000, 3 }, { 9000000, 4 }, { 9000001, 4 } };
        CLEANUP(metrics_freep) Metrics *m = metrics_with("");
        const char *text;

        (void) state;
        asked = m;
        n_refreshes = 0;
        for (size_t i = 0; i < ELEMENTSOF(asks); i++) {
                char line[64];

                metrics_add(m, METRIC_RAISES, NULL, NULL, 1);
                assert_int_equal(metrics_text(m, asks[i].now_usec, count_refresh, &n_refreshes, &text), 0);
                assert_int_equal(n_refreshes, asks[i].made);
                snprintf(line, sizeof(line), "\npenstock_units_active %u\n", asks[i].made);
                assert_non_null(strstr(text, line));
        }
}

/* The rules of Prometheus' own linter, and a HELP and a TYPE before each family. */
static void names_and_types_are_as_prometheus_wants_them(void **state) {
        CLEANUP(metrics_freep) Metrics *m = metrics_with("");
        char *text = NULL;

        (void) state;
        for (unsigned f = 0; f < _METRIC_MAX; f++)
                if (metric_info(f)->own && metric_info(f)->type != METRIC_HISTOGRAM)
                        metrics_add(m, f, NULL, "x", 0);
        assert_int_equal(metrics_render(m, &text), 0);
        for (unsigned f = 0; f < _METRIC_MAX; f++) {
                const MetricInfo *i = metric_info(f);
                size_t len = strlen(i->name);
                char head[1024];

                assert_int_equal(strncmp(i->name, "penstock_", 9), 0);
                assert_int_equal(strspn(i->name, "abcdefghijklmnopqrstuvwxyz_"), len);
                assert_int_equal(len > 6 && strcmp(i->name + len - 6, "_total") == 0, i->type == METRIC_COUNTER);
                assert_true(i->unit != METRIC_UNIT_USEC || strstr(i->name, "_seconds"));
                assert_true(!i->own || identifier_is_valid(i->own));
                assert_true(strlen(i->help) > 0 && !strpbrk(i->help, "\\\n"));
                assert_true((i->type == METRIC_HISTOGRAM) == (i->first_bucket_usec > 0));
                for (unsigned g = 0; g < f; g++)
                        assert_string_not_equal(metric_info(g)->name, i->name);
                snprintf(head, sizeof(head), "# HELP %s %s\n# TYPE %s %s\n%s", i->name, i->help, i->name,
                         i->type == METRIC_COUNTER ? "counter"
                         : i->type == METRIC_GAUGE ? "gauge"
                                                   : "histogram",
                         i->name);
                assert_non_null(strstr(text, head));
        }
        free(text);
}

static void what_the_metrics_use_themselves_is_no_label_of_a_request(void **state) {
        static const char *const reserved[] = { "result", "verdict", "error", "function", "compiler_type", "version", "dependency",
                                                "le", "quantile", "__name__", "__" };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(reserved); i++)
                assert_true(metric_label_is_reserved(reserved[i]));
        assert_false(metric_label_is_reserved("team"));
        assert_false(metric_label_is_reserved("_results"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(counts_start_at_zero_and_add_up),
                cmocka_unit_test(labels_come_from_the_request_and_are_empty_when_absent),
                cmocka_unit_test(values_are_escaped),
                cmocka_unit_test(own_labels_are_escaped_too),
                cmocka_unit_test(one_tuple_too_many_becomes_other_on_every_key),
                cmocka_unit_test(long_values_fill_the_room_for_labels_and_then_become_other),
                cmocka_unit_test(one_language_too_many_becomes_other),
                cmocka_unit_test(buckets_are_one_millisecond_times_powers_of_five),
                cmocka_unit_test(buckets_are_cumulative_and_the_sum_is_exact),
                cmocka_unit_test(numbers_stop_at_their_end_and_do_not_turn_over),
                cmocka_unit_test(a_gauge_without_limit_is_infinite),
                cmocka_unit_test(the_same_calls_give_the_same_text),
                cmocka_unit_test(the_text_is_made_five_times_a_second_at_most),
                cmocka_unit_test(names_and_types_are_as_prometheus_wants_them),
                cmocka_unit_test(what_the_metrics_use_themselves_is_no_label_of_a_request),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
