/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Prometheus' text format as JSON: what is in it, what is not of the format, and that any cut of it is read to its
 * end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/metrics_json.h"

static const char metrics[] = "# HELP penstock_requests_total Queries that have ended, and others.\n"
                              "# TYPE penstock_requests_total counter\n"
                              "penstock_requests_total{result=\"success\",team=\"\"} 7\n"
                              "penstock_requests_total{result=\"queue_error\",team=\"a \\\"b\\\"\\n\\\\n{},\"} 0\n"
                              "# HELP penstock_all_duration_seconds Time.\n"
                              "# TYPE penstock_all_duration_seconds histogram\n"
                              "penstock_all_duration_seconds_bucket{le=\"0.005\"} 3\n"
                              "penstock_all_duration_seconds_bucket{le=\"+Inf\"} 3\n"
                              "penstock_all_duration_seconds_sum 0.0125\n"
                              "penstock_all_duration_seconds_count 3\n"
                              "# HELP penstock_memory_budget_bytes The budget.\n"
                              "# TYPE penstock_memory_budget_bytes gauge\n"
                              "penstock_memory_budget_bytes +Inf\n";

static json_t *parse(const char *text, size_t len) {
        char *copy = strndup(text, len);
        json_t *all;

        assert_non_null(copy);
        all = metrics_to_json(copy);
        free(copy);
        assert_non_null(all);
        return all;
}

static json_t *sample(json_t *all, size_t family, size_t i) {
        return json_array_get(json_object_get(json_array_get(all, family), "samples"), i);
}

static const char *string(json_t *o, const char *key) {
        return json_string_value(json_object_get(o, key));
}

static void each_family_has_its_samples(void **state) {
        json_t *all = parse(metrics, strlen(metrics)), *s;

        (void) state;
        assert_int_equal(json_array_size(all), 3);
        assert_string_equal(string(json_array_get(all, 0), "name"), "penstock_requests_total");
        assert_string_equal(string(json_array_get(all, 0), "type"), "counter");
        assert_string_equal(string(json_array_get(all, 0), "help"), "Queries that have ended, and others.");
        assert_int_equal(json_array_size(json_object_get(json_array_get(all, 1), "samples")), 4);
        s = sample(all, 0, 0);
        assert_int_equal(json_integer_value(json_object_get(s, "value")), 7);
        assert_string_equal(string(json_object_get(s, "labels"), "team"), "");
        s = sample(all, 0, 1);
        assert_string_equal(string(json_object_get(s, "labels"), "result"), "queue_error");
        assert_string_equal(string(json_object_get(s, "labels"), "team"), "a \"b\"\n\\n{},");
        s = sample(all, 1, 1);
        assert_string_equal(string(s, "name"), "penstock_all_duration_seconds_bucket");
        assert_string_equal(string(json_object_get(s, "labels"), "le"), "+Inf");
        assert_true(json_real_value(json_object_get(sample(all, 1, 2), "value")) == 0.0125);
        assert_true(json_is_null(json_object_get(sample(all, 2, 0), "value")));
        json_decref(all);
}

static void what_is_cut_short_is_left_out(void **state) {
        (void) state;
        for (size_t n = 0; n < strlen(metrics); n++) {
                json_t *all = parse(metrics, n), *family;
                size_t i, samples = 0;

                json_array_foreach(all, i, family) samples += json_array_size(json_object_get(family, "samples"));
                assert_true(samples <= 7);
                json_decref(all);
        }
}

static void what_is_no_line_of_it_is_left_out(void **state) {
        static const char *const lines[] = {
                "a 1\n",        "a{} 1\n",      "# EOF\n",           "#\n", "\n", "# HELP\n# TYPE\n", "a{b} 1\n",
                "a{b=\"c} 1\n", "a{b=\"c\\\n1", "a{b=\"\xff\"} 1\n", "{\n", "}",  "a{b=c} 1\n",
        };
        json_t *all, *family;
        size_t k;

        (void) state;
        for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
                all = parse(lines[i], strlen(lines[i]));
                json_array_foreach(all, k, family)
                                assert_int_equal(json_array_size(json_object_get(family, "samples")), 0);
                json_decref(all);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(each_family_has_its_samples),
                cmocka_unit_test(what_is_cut_short_is_left_out),
                cmocka_unit_test(what_is_no_line_of_it_is_left_out),
        };

        return cmocka_run_group_tests_name("ctl-metrics", tests, NULL, NULL);
}
