/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* penstockctl's decisions: exit statuses, which word is the query, IDs, paths, numbers for people. */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "ctl/csv.h"
#include "ctl/request_options.h"

static void exit_status_tells_who_ended_it(void **state) {
        static const struct {
                const char *state, *error;
                int64_t exit_status, exit_signal;
                int expected;
        } rows[] = {
                { "finished", NULL, 0, 0, 0 },
                { "errored", "ExecutionFailed", 1, 0, 1 },
                { "errored", "ExecutionFailed", 124, 0, 124 }, /* the engine's own, whatever it is */
                { "errored", "ExecutionFailed", 255, 0, 255 },
                { "errored", "ExecutionFailed", -1, 9, 137 }, /* killed by someone */
                { "errored", "ExecutionFailed", -1, 11, 139 },
                { "errored", "ExecutionFailed", -1, 0, 125 }, /* it never ran */
                { "errored", "ExecutionFailed", 0, 0, 125 },
                { "errored", "Timeout", -1, 15, 124 },
                { "errored", "QueueTimeout", -1, 0, 124 },
                { "errored", "MemoryLimitExceeded", -1, 9, 137 },
                { "errored", "MemoryBudgetExhausted", -1, 0, 137 },
                { "errored", "CompilationFailed", 1, 0, 125 },
                { "errored", "ShuttingDown", -1, 0, 125 },
                { "errored", "Internal", -1, 0, 125 },
                { "errored", NULL, 3, 0, 125 },
                { "canceled", "Canceled", -1, 15, 125 },
                { "canceled", NULL, 0, 0, 125 },
                { "executing", NULL, -1, 0, 125 },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                assert_int_equal(exit_status_map(rows[i].state, rows[i].error, rows[i].exit_status,
                                                 rows[i].exit_signal),
                                 rows[i].expected);
}

static void id_is_a_number_or_a_unit(void **state) {
        static const char *const bad[] = { "",
                                           "0",
                                           "-1",
                                           "+1",
                                           "1x",
                                           "0x1",
                                           "q",
                                           "infinity",
                                           "q1.scope",
                                           "penstock-.service",
                                           "18446744073709551616",
                                           "1 " };
        uint64_t id = 7;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_int_equal(id_parse(bad[i], &id), -EINVAL);
        assert_int_equal(id, 7);
        assert_int_equal(id_parse("12", &id), 0);
        assert_int_equal(id, 12);
        assert_int_equal(id_parse("q13", &id), 0);
        assert_int_equal(id, 13);
        assert_int_equal(id_parse("penstock-q14.service", &id), 0);
        assert_int_equal(id, 14);
}

static void first_word_is_the_query(void **state) {
        char *before[] = { (char *) "select 1", (char *) "x" }, *after[] = { (char *) "-- hi", (char *) "y" };
        Command c = {};

        (void) state;
        assert_int_equal(command_from_words("sqlite", NULL, (Words) { before, 2 }, (Words) { after, 2 }, &c),
                         COMMAND_GOOD);
        assert_string_equal(c.query, "select 1");
        assert_int_equal(c.before.n, 1);
        assert_string_equal(c.before.v[0], "x");
        assert_int_equal(c.after.n, 2);

        assert_int_equal(command_from_words("sqlite", NULL, (Words) {}, (Words) { after, 2 }, &c), COMMAND_GOOD);
        assert_string_equal(c.query, "-- hi");
        assert_int_equal(c.after.n, 1);
        assert_int_equal(command_from_words("sqlite", NULL, (Words) {}, (Words) {}, &c), COMMAND_NO_QUERY);
}

static void with_a_file_all_words_are_arguments(void **state) {
        char *before[] = { (char *) "x" };
        Command c = {};

        (void) state;
        assert_int_equal(command_from_words("sqlite", "f.sql", (Words) { before, 1 }, (Words) {}, &c), COMMAND_GOOD);
        assert_null(c.query);
        assert_int_equal(c.before.n, 1);
}

static void dash_is_standard_input_only_before_the_dashes(void **state) {
        char *dash[] = { (char *) "-" };
        Command c = {};

        (void) state;
        assert_int_equal(command_from_words("sqlite", NULL, (Words) { dash, 1 }, (Words) {}, &c), COMMAND_GOOD);
        assert_true(c.query_is_stdin);
        assert_int_equal(command_from_words("sqlite", NULL, (Words) {}, (Words) { dash, 1 }, &c), COMMAND_GOOD);
        assert_false(c.query_is_stdin);
        assert_string_equal(c.query, "-");
}

static void exec_needs_no_language_behind_the_dashes(void **state) {
        char *words[] = { (char *) "ls", (char *) "-l" };
        Command c = {};

        (void) state;
        assert_int_equal(command_from_words(NULL, NULL, (Words) {}, (Words) { words, 2 }, &c), COMMAND_GOOD);
        assert_string_equal(c.language, "exec");
        assert_null(c.query);
        assert_int_equal(c.after.n, 2);
        assert_int_equal(command_from_words(NULL, NULL, (Words) { words, 1 }, (Words) {}, &c), COMMAND_NO_LANGUAGE);
        assert_int_equal(command_from_words(NULL, NULL, (Words) {}, (Words) {}, &c), COMMAND_NO_LANGUAGE);
        assert_int_equal(command_from_words("exec", NULL, (Words) {}, (Words) {}, &c), COMMAND_NO_ARGV);
}

static void paths_become_absolute(void **state) {
        char dir[] = "/tmp/penstock-test-XXXXXX", expected[128];
        char *path = NULL;

        (void) state;
        assert_non_null(mkdtemp(dir));
        assert_int_equal(chdir(dir), 0);
        assert_int_equal(symlink(dir, "link"), 0);
        snprintf(expected, sizeof(expected), "%s/missing.db", dir);
        assert_int_equal(path_resolve("./link/../link/missing.db", &path), -ENOENT); /* link/.. is /tmp */
        assert_int_equal(path_resolve("link/missing.db", &path), 0);
        assert_string_equal(path, expected);
        free(path);
        assert_int_equal(path_resolve("missing.db", &path), 0);
        assert_string_equal(path, expected);
        free(path);
        assert_int_equal(path_resolve("nowhere/missing.db", &path), -ENOENT);
        assert_int_equal(path_resolve("/missing", &path), 0);
        assert_string_equal(path, "/missing");
        free(path);

        assert_false(database_is_path("sales"));
        close(open("sales", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
        assert_true(database_is_path("sales"));
        assert_true(database_is_path("missing.db"));
        assert_true(database_is_path("/x"));
        assert_false(database_is_path(":memory:"));
        assert_false(database_is_path("host=db.example dbname=sales"));
        assert_false(database_is_path("host = /run/postgresql dbname=sales"));
        assert_true(database_is_path("not/=.there"));
        assert_true(database_is_path("= /there"));
        assert_false(database_is_path("postgresql://db/sales"));
        unlink("sales");
        unlink("link");
        assert_int_equal(chdir("/"), 0);
        rmdir(dir);
}

static void numbers_read_well(void **state) {
        char buf[TEXT_MAX];

        (void) state;
        assert_string_equal(format_duration(999, buf), "999us");
        assert_string_equal(format_duration(1000, buf), "1ms");
        assert_string_equal(format_duration(999999, buf), "999ms");
        assert_string_equal(format_duration(59999999, buf), "59.9s");
        assert_string_equal(format_duration(60 * USEC_PER_SEC, buf), "1min 0s");
        assert_string_equal(format_duration(3600 * USEC_PER_SEC, buf), "1h 0min");
        assert_string_equal(format_duration(USEC_INFINITY, buf), "infinity");
        assert_string_equal(format_size(0, buf), "-");
        assert_string_equal(format_time(0, buf), "-");
}

static void csv_is_split_by_the_names_of_its_header(void **state) {
        char good[] = "a,b,c\n1,,x y\n,infinity,\n", head[] = "a\n";
        Csv c;

        (void) state;
        assert_int_equal(csv_parse(good, &c), 0);
        assert_int_equal(c.n_columns, 3);
        assert_int_equal(c.n_rows, 2);
        assert_string_equal(csv_get(&c, 0, "a"), "1");
        assert_string_equal(csv_get(&c, 0, "b"), "");
        assert_string_equal(csv_get(&c, 0, "c"), "x y");
        assert_int_equal(csv_get_u64(&c, 1, "b"), UINT64_MAX);
        assert_int_equal(csv_get_u64(&c, 1, "a"), 0);
        assert_string_equal(csv_get(&c, 1, "d"), "");
        csv_done(&c);
        assert_int_equal(csv_parse(head, &c), 0);
        assert_int_equal(c.n_rows, 0);
        csv_done(&c);
}

static void csv_that_is_not_a_table_is_refused(void **state) {
        static const char *const bad[] = { "", "\n", "a,b", "a,b\n1\n", "a,b\n1,2,3\n", "a,b\n1,2", "a,,b\n", ",a\n", "a\n\n1,2\n" };
        char text[64], wide[2 * CSV_COLUMNS_MAX + 4];
        Csv c = {};

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                snprintf(text, sizeof(text), "%s", bad[i]);
                assert_int_equal(csv_parse(text, &c), -EBADMSG);
                assert_null(c.names);
        }
        for (size_t n = CSV_COLUMNS_MAX; n <= CSV_COLUMNS_MAX + 1; n++) {
                for (size_t i = 0; i < n; i++)
                        memcpy(wide + 2 * i, i + 1 < n ? "x," : "x\n", 2);
                wide[2 * n] = '\0';
                assert_int_equal(csv_parse(wide, &c), n > CSV_COLUMNS_MAX ? -EBADMSG : 0);
                if (n <= CSV_COLUMNS_MAX)
                        csv_done(&c);
        }
}

static void what_others_wrote_cannot_command_a_terminal(void **state) {
        static const struct {
                const char *text, *plain, *json;
        } rows[] = {
                { "plain ä€\n\tx", "plain ä€\n\tx", "plain ä€\n\tx" },
                { "\x1b[2J\a\r\x7f", "?[2J???", "\x1b[2J\a\r\\u007f" }, /* of the first three jansson has made escapes */
                { "\xc2\x9b\x33\x31m\xc2\xa0\xc2\x80", "?31m\xc2\xa0?", "\\u009b31m\xc2\xa0\\u0080" },
                { "\xc2", "\xc2", "\xc2" },
                { "", "", "" },
        };
        char buf[64], *json = NULL;
        size_t n;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                FILE *f = open_memstream(&json, &n);

                snprintf(buf, sizeof(buf), "%s", rows[i].text);
                assert_string_equal(text_make_plain(buf), rows[i].plain);
                assert_non_null(f);
                json_write_plain(rows[i].text, f);
                fclose(f);
                assert_string_equal(json, rows[i].json);
                free(json);
        }
}

static void lines_end_between_words(void **state) {
        static const struct {
                const char *text;
                size_t columns;
                const char *lines;
        } rows[] = {
                { "one two three", 80, "one two three" },
                { "one two three", 13, "one two three" },
                { "one two three", 12, "one two\nthree" },
                { "one two three", 7, "one two\nthree" },
                { "one two three", 6, "one\ntwo\nthree" },
                { "one two three", 3, "one\ntwo\nthree" }, /* a word is not broken */
                { "penstock-q2.service", 4, "penstock-q2.service" },
                { "a\nforged: line", 80, "a forged: line" },
                { "größe größe", 11, "größe größe" },
                { "größe größe", 10, "größe\ngröße" },
                { "日本 日本", 9, "日本 日本" }, /* two columns each */
                { "日本 日本", 8, "日本\n日本" },
                { "", 3, "" },
        };
        char buf[64];

        (void) state;
        assert_non_null(setlocale(LC_ALL, "C.UTF-8"));
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                snprintf(buf, sizeof(buf), "%s", rows[i].text);
                text_wrap(buf, rows[i].columns);
                assert_string_equal(buf, rows[i].lines);
        }
        assert_int_equal(text_columns("größe"), 5);
        assert_int_equal(text_columns("日本"), 4);
        assert_int_equal(text_columns("\xff\x1b"), 2);
        setlocale(LC_ALL, "C");
}

static void a_time_of_day_is_read_as_people_write_it(void **state) {
        /* 2026-11-29 13:14:15 UTC, a Sunday; in Berlin an hour later */
        const uint64_t now = UINT64_C(1795958055000001);
        static const struct {
                const char *text, *zone;
                uint64_t usec;
        } rows[] = {
                { "now", "UTC", UINT64_C(1795958055000001) },
                { "2026-11-29", "UTC", UINT64_C(1795910400000000) },
                { "2026-11-29", "CET-1CEST,M3.5.0,M10.5.0/3", UINT64_C(1795906800000000) },
                { "2026-07-01", "CET-1CEST,M3.5.0,M10.5.0/3", UINT64_C(1782856800000000) }, /* summer */
                { "2026-11-29 13:00", "UTC", UINT64_C(1795957200000000) },
                { "2026-11-29 13:00:01", "UTC", UINT64_C(1795957201000000) },
                { "13:00", "UTC", UINT64_C(1795957200000000) },
                { "13:00:01", "UTC", UINT64_C(1795957201000000) },
                { "today", "UTC", UINT64_C(1795910400000000) },
                { "yesterday", "UTC", UINT64_C(1795824000000000) },
                { "-1h", "UTC", UINT64_C(1795954455000001) },
                { "1h ago", "UTC", UINT64_C(1795954455000001) },
                { "1h 30min ago", "UTC", UINT64_C(1795952655000001) },
                { "@1795957200", "UTC", UINT64_C(1795957200000000) },
                { "2024-02-29", "UTC", UINT64_C(1709164800000000) },
        };
        static const char *const bad[] = { "", "never", "2026-02-31", "2025-02-29", "2026-13-01", "2026-11-29x", "25:00", "13:60", "1h", "ago",
                                           " ago", "-", "@", "@x", "infinity ago", "-infinity", "100000d ago", "2026-11-29 ", "1900-01-01" };
        uint64_t usec;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                setenv("TZ", rows[i].zone, 1);
                if (time_parse(rows[i].text, now, &usec) < 0)
                        fail_msg("'%s' is refused", rows[i].text);
                assert_int_equal(usec, rows[i].usec);
        }
        setenv("TZ", "UTC", 1);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                if (time_parse(bad[i], now, &usec) == 0)
                        fail_msg("'%s' is %llu", bad[i], (unsigned long long) usec);
}

static void a_cell_is_quoted_where_it_must_be(void **state) {
        static const char *const cells[][2] = { { "", "" }, { "a b", "a b" }, { "a,b", "\"a,b\"" }, { "\"", "\"\"\"\"" },
                                                { "a\nb", "\"a\nb\"" }, { "\x1b[31m", "?[31m" }, { "a\rb", "a?b" } };
        char *text = NULL;
        size_t len = 0;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cells); i++) {
                FILE *f = open_memstream(&text, &len);

                assert_non_null(f);
                csv_write_cell(f, cells[i][0], true, false);
                assert_int_equal(fclose(f), 0);
                assert_string_equal(text, cells[i][1]);
                free(text);
        }
        FILE *f = open_memstream(&text, &len);

        assert_non_null(f);
        csv_write_cell(f, "a", true, false);
        csv_write_cell(f, "b", false, true);
        assert_int_equal(fclose(f), 0);
        assert_string_equal(text, "a,b\n");
        free(text);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(exit_status_tells_who_ended_it),
                cmocka_unit_test(id_is_a_number_or_a_unit),
                cmocka_unit_test(first_word_is_the_query),
                cmocka_unit_test(with_a_file_all_words_are_arguments),
                cmocka_unit_test(dash_is_standard_input_only_before_the_dashes),
                cmocka_unit_test(exec_needs_no_language_behind_the_dashes),
                cmocka_unit_test(paths_become_absolute),
                cmocka_unit_test(numbers_read_well),
                cmocka_unit_test(what_others_wrote_cannot_command_a_terminal),
                cmocka_unit_test(lines_end_between_words),
                cmocka_unit_test(csv_is_split_by_the_names_of_its_header),
                cmocka_unit_test(csv_that_is_not_a_table_is_refused),
                cmocka_unit_test(a_time_of_day_is_read_as_people_write_it),
                cmocka_unit_test(a_cell_is_quoted_where_it_must_be),
        };

        return cmocka_run_group_tests_name("ctl-pure", tests, NULL, NULL);
}
