/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* penstockctl profile: the stand-in's timeline (standin_profile.c) as it is, as JSON, and as a table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "ctl/csv.h"
#include "harness.h"

/* A query that has ended and was Done. */
static void submit_and_release(char id[static 32]) {
        Ctl c;

        assert_int_equal(ctl_run(&c, "submit", "--language", "shell", "exit 0"), 0);
        snprintf(id, 32, "%.*s", (int) strcspn(c.out_text, "\n"), c.out_text);
        ctl_done(&c);
        assert_int_equal(ctl_run(&c, "wait", id), 0);
        ctl_done(&c);
        assert_int_equal(ctl_run(&c, "done", id), 0);
        ctl_done(&c);
}

static void csv_is_what_the_service_sent(void **state) {
        char id[32];
        Ctl c;

        (void) state;
        submit_and_release(id);
        assert_int_equal(ctl_run(&c, "profile", "--csv", id), 0);
        assert_string_equal(c.out_text,
                            "time_usec,event,cause,old_bytes,new_bytes,limit_bytes,high_bytes,current_bytes,"
                            "stall_some_usec,cpu_usec,future_thing,thinned_rows\n"
                            "0,start,,,,67108864,58720256,0,100000,0,9,0\n"
                            "2000000,raise,need,67108864,134217728,134217728,infinity,62914560,500000,900,9,7\n"
                            "2000000,thaw,,,,134217728,infinity,62914560,500000,900,9,0\n"
                            "18446744073709551614,end,maximum,,,134217728,infinity,4096,500000,1000,9,3\n");
        ctl_done(&c);
}

static uint64_t number(const json_t *row, const char *key) {
        const json_t *v = json_object_get(row, key);

        assert_true(json_is_integer(v));
        return (uint64_t) json_integer_value(v);
}

/* Every cell of the CSV, under its column's name; what is no number is null. */
static void json_has_each_row_and_column(void **state) {
        json_t *o, *rows, *value;
        char *text, id[32];
        const char *key;
        Ctl c, csv_out;
        Csv csv;

        (void) state;
        submit_and_release(id);
        assert_int_equal(ctl_run(&csv_out, "profile", "--csv", id), 0);
        text = strdup(csv_out.out_text);
        ctl_done(&csv_out);
        assert_int_equal(csv_parse(text, &csv), 0);

        assert_int_equal(ctl_run(&c, "profile", "--json", id), 0);
        o = json_loads(c.out_text, 0, NULL);
        assert_non_null(o);
        assert_int_equal(number(o, "id"), strtoull(id, NULL, 10));
        rows = json_object_get(o, "rows");
        assert_int_equal(json_array_size(rows), csv.n_rows);
        for (size_t i = 0; i < csv.n_rows; i++) {
                json_t *row = json_array_get(rows, i);

                assert_int_equal(json_object_size(row), csv.n_columns);
                json_object_foreach(row, key, value) {
                        if (json_is_string(value))
                                assert_string_equal(json_string_value(value), csv_get(&csv, i, key));
                        else if (json_is_integer(value))
                                assert_int_equal(json_integer_value(value), csv_get_u64(&csv, i, key));
                        else
                                assert_true(json_is_null(value));
                }
        }
        assert_string_equal(json_string_value(json_object_get(json_array_get(rows, 0), "cause")), "");
        assert_true(json_is_null(json_object_get(json_array_get(rows, 0), "old_bytes")));
        assert_true(json_is_null(json_object_get(json_array_get(rows, 1), "high_bytes")));
        assert_int_equal(number(json_array_get(rows, 1), "old_bytes"), 67108864);
        assert_int_equal(number(json_array_get(rows, 1), "future_thing"), 9);
        assert_true(json_is_null(json_object_get(json_array_get(rows, 3), "time_usec"))); /* too large for JSON */
        json_decref(o);
        csv_done(&csv);
        free(text);
        ctl_done(&c);
}

static void the_table_is_for_people(void **state) {
        char id[32];
        Ctl c;

        (void) state;
        submit_and_release(id);
        assert_int_equal(ctl_run(&c, "profile", id), 0);
        assert_has(c.out_text, " TIME EVENT CAUSE ");
        assert_has(c.out_text, " 2.0s raise need, from 64M ");
        assert_has(c.out_text, " 128M ");
        assert_has(c.out_text, " 20% ");
        assert_has(c.out_text, "\n10 more rows were left out");
        ctl_done(&c);
}

static void failures_are_those_of_the_other_verbs(void **state) {
        Ctl c;
        int stats;

        (void) state;
        stats = ctl_run(&c, "stats", "999");
        ctl_done(&c);
        assert_int_equal(ctl_run(&c, "profile", "999"), stats);
        assert_has(c.err_text, "penstockctl: NoSuchQuery: ");
        assert_string_equal(c.out_text, "");
        ctl_done(&c);
        assert_int_equal(ctl_run(&c, "profile", "x"), 2);
        ctl_done(&c);
        assert_int_equal(ctl_run(&c, "profile"), 2);
        ctl_done(&c);
        assert_int_equal(ctl_run(&c, "profile", "--svg", "1"), 2);
        ctl_done(&c);
        assert_int_equal(ctl_run(&c, "--help"), 0);
        assert_has(c.out_text, "  profile ");
        ctl_done(&c);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(csv_is_what_the_service_sent),
                cmocka_unit_test(json_has_each_row_and_column),
                cmocka_unit_test(the_table_is_for_people),
                cmocka_unit_test(failures_are_those_of_the_other_verbs),
        };

        return cmocka_run_group_tests_name("ctl-profile", tests, harness_start, harness_stop);
}
