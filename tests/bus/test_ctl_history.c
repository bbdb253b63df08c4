/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* penstockctl history: what it asks for, page after page, and what it prints of the stand-in's rows
 * (standin_history.c). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "harness.h"

static json_t *array_of(Ctl *c) {
        json_t *a = json_loads(c->out_text, 0, NULL);

        assert_true(json_is_array(a));
        ctl_done(c);
        return a;
}

static uint64_t number(const json_t *row, const char *key) {
        assert_true(json_is_integer(json_object_get(row, key)));
        return (uint64_t) json_integer_value(json_object_get(row, key));
}

static const char *message_of(const json_t *a) {
        return json_string_value(json_object_get(json_object_get(json_array_get(a, 0), "error"), "message"));
}

static void json_is_an_array_of_all_that_is_known(void **state) {
        static const char *const keys[] = { "id",
                                            "boot_id",
                                            "state",
                                            "language",
                                            "unit",
                                            "user_id",
                                            "labels",
                                            "priority",
                                            "initial_bytes",
                                            "learned",
                                            "memory_quota_bytes",
                                            "memory_max_bytes",
                                            "memory_peak_bytes",
                                            "raises",
                                            "raises_saved",
                                            "retries",
                                            "detached",
                                            "error",
                                            "verdict",
                                            "exit_status",
                                            "exit_signal",
                                            "created_usec",
                                            "started_usec",
                                            "ended_usec",
                                            "total_usec",
                                            "compile_usec",
                                            "queue_usec",
                                            "execute_usec",
                                            "frozen_usec",
                                            "stall_usec",
                                            "cpu_usec",
                                            "io_read_bytes",
                                            "io_write_bytes",
                                            "fingerprint",
                                            "row" };
        json_t *a, *row;
        Ctl c;

        (void) state;
        assert_int_equal(ctl_run(&c, "history", "--json"), 0);
        a = array_of(&c);
        assert_int_equal(json_array_size(a), 100);
        row = json_array_get(a, 0);
        for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
                assert_non_null(json_object_get(row, keys[i]));
        assert_int_equal(json_object_size(row), sizeof(keys) / sizeof(*keys));
        assert_int_equal(number(row, "id"), 2500);
        assert_true(json_is_null(json_object_get(row, "memory_max_bytes"))); /* without limit */
        assert_true(json_is_null(json_object_get(row, "fingerprint")));      /* not told */
        assert_string_equal(json_string_value(json_object_get(json_object_get(row, "labels"), "team")), "ads");
        assert_string_equal(json_string_value(json_object_get(json_object_get(row, "error"), "name")), "Timeout");
        json_decref(a);
}

static void pages_are_asked_for_until_there_are_enough(void **state) {
        static const struct {
                const char *limit;
                size_t n;
        } rows[] = { { "1", 1 },       { "999", 999 },   { "1000", 1000 },    { "1001", 1001 },
                     { "2500", 2500 }, { "9999", 2500 }, { "infinity", 2500 } };

        (void) state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                json_t *a;
                Ctl c;

                assert_int_equal(ctl_run(&c, "history", "--json", "--limit", rows[i].limit), 0);
                a = array_of(&c);
                assert_int_equal(json_array_size(a), rows[i].n);
                for (size_t k = 0; k < rows[i].n; k++)
                        assert_int_equal(number(json_array_get(a, k), "id"), 2500 - k);
                json_decref(a);
        }
}

static void each_option_becomes_a_key_of_the_filter(void **state) {
        json_t *a;
        Ctl c;

        (void) state;
        setenv("TZ", "UTC", 1);
        assert_int_equal(ctl_run(&c, "history", "--json", "-n", "1", "--user", "4711", "--language", "sqlite",
                                 "--state", "errored", "--error", "Timeout", "--since", "2026-11-29", "--until",
                                 "2026-11-29 12:30", "--label", "team=a=b", "--label", "job=", "--min-peak", "1.5G"),
                         0);
        a = array_of(&c);
        assert_has(message_of(a), "user_id=4711;");
        assert_has(message_of(a), "language=sqlite;");
        assert_has(message_of(a), "state=errored;");
        assert_has(message_of(a), "error=Timeout;");
        assert_has(message_of(a), "since_usec=1795910400000000;");
        assert_has(message_of(a), "until_usec=1795955400000000;");
        assert_has(message_of(a), "labels:team=a=b;");
        assert_has(message_of(a), "labels:job=;");
        assert_has(message_of(a), "min_peak_bytes=1610612736;");
        json_decref(a);
        assert_int_equal(ctl_run(&c, "history", "--json", "-n", "1", "--user", "root"), 0);
        a = array_of(&c);
        assert_string_equal(message_of(a), "user_id=0;");
        json_decref(a);
}

static void nothing_is_printed_before_the_service_answers(void **state) {
        static const char *const forms[] = { "--json", "--csv" };
        Ctl c;

        (void) state;
        for (size_t i = 0; i < 2; i++) {
                assert_int_equal(ctl_run(&c, "history", forms[i], "--language", "refuse"), 1);
                assert_has(c.err_text, "penstockctl: Internal: it was asked to refuse");
                assert_string_equal(c.out_text, "");
                ctl_done(&c);
        }
        assert_int_equal(ctl_run(&c, "history", "--json", "--language", "none"), 0);
        assert_string_equal(c.out_text, "[]\n");
        ctl_done(&c);
        assert_int_equal(ctl_run(&c, "history", "--csv", "--language", "none"), 0);
        assert_int_equal(strncmp(c.out_text, "id,boot_id,", 11), 0);
        assert_ptr_equal(strchr(c.out_text, '\n'), c.out_text + c.out_len - 1);
        ctl_done(&c);
}

static void a_later_page_that_fails_leaves_the_array_open(void **state) {
        Ctl c;

        (void) state;
        assert_int_equal(ctl_run(&c, "history", "--json", "--language", "break", "--limit", "2000"), 1);
        assert_has(c.err_text, "penstockctl: Internal: it was asked to refuse");
        assert_has(c.out_text, "\"row\": 2500");
        assert_int_equal(c.out_text[c.out_len - 1], '}');
        ctl_done(&c);
}

static void csv_has_a_header_and_quotes_what_needs_it(void **state) {
        char *line;
        Ctl c;

        (void) state;
        assert_int_equal(ctl_run(&c, "history", "--csv", "--limit", "infinity"), 0);
        assert_int_equal(strncmp(c.out_text, "id,boot_id,state,language,", 26), 0);
        line = strstr(c.out_text, "\n2500,");
        assert_non_null(line);
        assert_has(line, "\n2500,00112233445566778899aabbccddeeff,errored,shell,,0,\"{\"\"team\"\":\"\"ads\"\"}\",,,"
                         "true,,,104857600,3,2,1,,Timeout,");
        line = strstr(c.out_text, "\n1,");
        assert_non_null(line);
        assert_has(line, "{\"\"team\"\":\"\"a,\\\"\"b\\\"\" \\u001B[31m\\n\"\"}");
        assert_null(strchr(c.out_text, '\x1b'));
        ctl_done(&c);
}

static void the_table_is_for_people(void **state) {
        Ctl c;

        (void) state;
        setenv("TZ", "UTC", 1);
        assert_int_equal(ctl_run(&c, "history", "-n", "2"), 0);
        assert_has(c.out_text, " ENDED ");
        assert_has(c.out_text, "2500 2023-11-14 22:13:20 UTC errored shell    root");
        assert_has(c.out_text, " 100M ");
        assert_has(c.out_text, "      3     2 Timeout\n");
        assert_has(c.out_text, "\n2499 ");
        assert_null(strstr(c.out_text, "\n2498 "));
        ctl_done(&c);
}

static char directory[] = "/tmp/penstock-history-XXXXXX";

/* penstockctl history --plot FILE with @..., which must succeed and say nothing; what is in the file then. */
static char *plot(const char *name, const char *option, const char *value) {
        static char text[4 << 20], path[256];
        FILE *f;
        Ctl c;

        snprintf(path, sizeof(path), "%s/%s", directory, name);
        assert_int_equal(ctl_run(&c, "history", "--plot", path, option, value), 0);
        assert_string_equal(c.out_text, "");
        assert_string_equal(c.err_text, "");
        ctl_done(&c);
        f = fopen(path, "re");
        assert_non_null(f);
        text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
        fclose(f);
        unlink(path);
        return text;
}

/* All that there are, unless a limit says otherwise. The first one's language is no good to print. */
static void a_picture_is_of_all_that_were_chosen(void **state) {
        const char *svg;

        (void) state;
        setenv("TZ", "UTC", 1);
        svg = plot("a.svg", "--label", "team=<&>\x1b");
        assert_int_equal(strncmp(svg, "<?xml ", 6), 0);
        assert_has(svg, "viewBox=\"0 0 1000 560\"");
        assert_has(svg, "<title>History \xc2\xb7 2,500 queries that ended</title>");
        assert_has(svg, "<desc>14 Nov 2023 22:13:20 to 14 Nov 2023 22:13:20 UTC \xc2\xb7 label team=&lt;&amp;&gt;?.");
        assert_has(svg, "2,500 errored.");
        assert_has(svg, "The most memory at its peak: 100M, query 1, she&lt;ll&gt;?&amp;??.");
        assert_null(strchr(svg, '\x1b'));
        svg = plot("a.svg", "--limit", "2499");
        assert_has(svg, "<title>History \xc2\xb7 the last 2,499 queries that ended</title>");
        svg = plot("a.svg", "--limit", "2500");
        assert_has(svg, "<title>History \xc2\xb7 2,500 queries that ended</title>");
}

static void the_name_says_what_a_picture_is_in(void **state) {
        Ctl c;

        (void) state;
        assert_memory_equal(plot("a.png", "--limit", "1"), "\x89PNG\r\n\x1a\n", 8);
        assert_int_equal(ctl_run(&c, "history", "--plot", "-", "-n", "1"), 0);
        assert_int_equal(strncmp(c.out_text, "<?xml ", 6), 0);
        assert_has(c.out_text, "the last 1 query that ended");
        ctl_done(&c);
        assert_int_equal(ctl_run(&c, "history", "--png", "-", "-n", "1"), 0);
        assert_memory_equal(c.out_text, "\x89PNG\r\n\x1a\n", 8);
        ctl_done(&c);
        assert_int_equal(ctl_run(&c, "history", "--svg", "-", "-n", "1", "--width", "700"), 0);
        assert_int_equal(strncmp(c.out_text, "<?xml ", 6), 0);
        assert_has(c.out_text, "viewBox=\"0 0 700 560\"");
        ctl_done(&c);
}

static void what_is_no_picture_is_wrong_usage(void **state) {
        static const struct {
                const char *words[4], *said;
        } rows[] = {
                { { "--plot", "a.jpg" }, "--plot: 'a.jpg' ends neither in .svg nor in .png" },
                { { "--plot", ".svg" }, "ends neither" },
                { { "--plot", "a.svg", "--json" }, "only one of --csv, --json, --plot, --svg and --png" },
                { { "--csv", "--svg", "-" }, "only one of" },
                { { "--svg", "-", "--png", "-" }, "only one of" },
                { { "--csv", "--json" }, "only one of" },
                { { "--width", "500" }, "--width and --height are of a picture" },
                { { "--svg", "-", "--height", "279" }, "--height is a number of pixels from 280 to 4000" },
        };
        Ctl c;

        (void) state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                const char *const *w = rows[i].words;

                assert_int_equal(ctl_run(&c, "history", w[0], w[1], w[2], w[3]), 2);
                assert_has(c.err_text, rows[i].said);
                assert_string_equal(c.out_text, "");
                ctl_done(&c);
        }
}

static int setup(void **state) {
        return mkdtemp(directory) ? harness_start(state) : -1;
}

/* It is empty: no picture was left, not even a part of one. */
static int teardown(void **state) {
        return harness_stop(state) | rmdir(directory);
}

static void what_cannot_be_asked_is_wrong_usage(void **state) {
        static const char *const bad[][2] = { { "--since", "tomorrow?" },  { "--until", "2026-02-31" },
                                              { "--limit", "0" },          { "--limit", "x" },
                                              { "--label", "team" },       { "--min-peak", "1g" },
                                              { "--user", "no such user" } };
        Ctl c;

        (void) state;
        for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
                assert_int_equal(ctl_run(&c, "history", bad[i][0], bad[i][1]), 2);
                assert_has(c.err_text, bad[i][1]);
                assert_string_equal(c.out_text, "");
                ctl_done(&c);
        }
        assert_int_equal(ctl_run(&c, "history", "7"), 2);
        ctl_done(&c);
        assert_int_equal(ctl_run(&c, "history", "--language", "\xff"), 2);
        ctl_done(&c);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(json_is_an_array_of_all_that_is_known),
                cmocka_unit_test(pages_are_asked_for_until_there_are_enough),
                cmocka_unit_test(each_option_becomes_a_key_of_the_filter),
                cmocka_unit_test(nothing_is_printed_before_the_service_answers),
                cmocka_unit_test(a_later_page_that_fails_leaves_the_array_open),
                cmocka_unit_test(csv_has_a_header_and_quotes_what_needs_it),
                cmocka_unit_test(the_table_is_for_people),
                cmocka_unit_test(a_picture_is_of_all_that_were_chosen),
                cmocka_unit_test(the_name_says_what_a_picture_is_in),
                cmocka_unit_test(what_is_no_picture_is_wrong_usage),
                cmocka_unit_test(what_cannot_be_asked_is_wrong_usage),
        };

        return cmocka_run_group_tests_name("ctl-history", tests, setup, teardown);
}
