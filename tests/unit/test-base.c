/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/base.h"
#include "core/words.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#define UNTOUCHED UINT64_C(0x5a5a5a5a5a5a5a5a)

static void sizes_are_read(void **state) {
        static const struct {
                const char *text;
                uint64_t ram;
                int r;
                uint64_t bytes;
        } cases[] = {
                { "0", 0, 0, 0 },
                { "1", 0, 0, 1 },
                { " 4096\t", 0, 0, 4096 },
                { "1K", 0, 0, KIB },
                { "1KB", 0, 0, KIB },
                { "1KiB", 0, 0, KIB },
                { "64M", 0, 0, 64 * MIB },
                { "1.5G", 0, 0, 1536 * MIB },
                { "0.1K", 0, 0, 102 },
                { "0.999999999999999999999K", 0, 0, 1023 },
                { "2T", 0, 0, 2048 * GIB },
                { "infinity", 0, 0, SIZE_INFINITY },
                { "9223372036854775807", 0, 0, INT64_MAX },
                { "9223372036854775808", 0, -ERANGE, 0 },
                { "8388607T", 0, 0, UINT64_C(8388607) << 40 },
                { "8388608T", 0, -ERANGE, 0 },
                { "18446744073709551616", 0, -ERANGE, 0 },
                { "99999999999999999999999T", 0, -ERANGE, 0 },
                { "50%", 1000, 0, 500 },
                { "12.5%", 1000, 0, 125 },
                { "100%", 12345, 0, 12345 },
                { "100.0%", 12345, 0, 12345 },
                { "0%", 12345, 0, 0 },
                { "99%", INT64_MAX, 0, INT64_C(9131138316486228048) },
                { "100.1%", 1000, -ERANGE, 0 },
                { "101%", 1000, -ERANGE, 0 },
                { "50%", 0, -EINVAL, 0 },
                { "", 0, -EINVAL, 0 },
                { " ", 0, -EINVAL, 0 },
                { "-1", 0, -EINVAL, 0 },
                { "+1", 0, -EINVAL, 0 },
                { "1 G", 0, -EINVAL, 0 },
                { "1g", 0, -EINVAL, 0 },
                { "1GG", 0, -EINVAL, 0 },
                { "1iB", 0, -EINVAL, 0 },
                { "1.", 0, -EINVAL, 0 },
                { "1.G", 0, -EINVAL, 0 },
                { ".5G", 0, -EINVAL, 0 },
                { "1.5", 0, -EINVAL, 0 },
                { "1.5.5G", 0, -EINVAL, 0 },
                { "0x10", 0, -EINVAL, 0 },
                { "1e3", 0, -EINVAL, 0 },
                { "1,5G", 0, -EINVAL, 0 },
                { "infinity%", 1000, -EINVAL, 0 },
                { "Infinity", 0, -EINVAL, 0 },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                uint64_t bytes = UNTOUCHED;

                print_message("%s\n", cases[i].text);
                assert_int_equal(size_parse(cases[i].text, cases[i].ram, &bytes), cases[i].r);
                assert_true(bytes == (cases[i].r == 0 ? cases[i].bytes : UNTOUCHED));
        }
}

static void durations_are_read(void **state) {
        static const struct {
                const char *text;
                int r;
                uint64_t usec;
        } cases[] = {
                { "0", 0, 0 },
                { "90", 0, 90 * USEC_PER_SEC },
                { "1min 30s", 0, 90 * USEC_PER_SEC },
                { "1min30s", 0, 90 * USEC_PER_SEC },
                { "1 min 30", 0, 90 * USEC_PER_SEC },
                { "100ms", 0, 100 * USEC_PER_MSEC },
                { "7us", 0, 7 },
                { "7µs", 0, 7 },
                { "0.5s", 0, 500000 },
                { "1.5h", 0, 5400 * USEC_PER_SEC },
                { " 2h ", 0, 7200 * USEC_PER_SEC },
                { "1d", 0, 86400 * USEC_PER_SEC },
                { "1week", 0, 604800 * USEC_PER_SEC },
                { "infinity", 0, USEC_INFINITY },
                { "18446744073709551614us", 0, UINT64_MAX - 1 },
                { "18446744073709551615us", -ERANGE, 0 },
                { "18446744073709551614us 1us", -ERANGE, 0 },
                { "18446744073709s 551615us", -ERANGE, 0 },
                { "99999999999999999999", -ERANGE, 0 },
                { "", -EINVAL, 0 },
                { "s", -EINVAL, 0 },
                { "-1s", -EINVAL, 0 },
                { "1fortnight", -EINVAL, 0 },
                { "1s infinity", -EINVAL, 0 },
                { "1.s", -EINVAL, 0 },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                uint64_t usec = UNTOUCHED;

                print_message("%s\n", cases[i].text);
                assert_int_equal(duration_parse(cases[i].text, &usec), cases[i].r);
                assert_true(usec == (cases[i].r == 0 ? cases[i].usec : UNTOUCHED));
        }
}

static void booleans_and_numbers_are_read(void **state) {
        uint64_t n = UNTOUCHED;
        bool b;

        (void) state;
        assert_int_equal(bool_parse("on", &b), 0);
        assert_true(b);
        assert_int_equal(bool_parse("0", &b), 0);
        assert_false(b);
        assert_int_equal(bool_parse("maybe", &b), -EINVAL);
        assert_int_equal(bool_parse("", &b), -EINVAL);
        assert_int_equal(bool_parse("Yes", &b), -EINVAL);

        assert_int_equal(u64_parse("", &n), -EINVAL);
        assert_int_equal(u64_parse("-1", &n), -EINVAL);
        assert_int_equal(u64_parse(" 1", &n), -EINVAL);
        assert_int_equal(u64_parse("1 ", &n), -EINVAL);
        assert_int_equal(u64_parse("1.0", &n), -EINVAL);
        assert_int_equal(u64_parse("18446744073709551616", &n), -ERANGE);
        assert_int_equal(u64_parse("18446744073709551615", &n), -ERANGE);
        assert_true(n == UNTOUCHED);
        assert_int_equal(u64_parse("18446744073709551614", &n), 0);
        assert_true(n == UINT64_MAX - 1);
        assert_int_equal(u64_parse("infinity", &n), 0);
        assert_true(n == UINT64_MAX);
        assert_int_equal(u64_parse("007", &n), 0);
        assert_true(n == 7);
}

static void sizes_are_written(void **state) {
        static const struct {
                uint64_t bytes;
                const char *people, *exact;
        } cases[] = {
                { 0, "0B", "0" },
                { 1023, "1023B", "1023" },
                { 1024, "1K", "1K" },
                { 64 * MIB, "64M", "64M" },
                { 64 * MIB - 1, "63.9M", "67108863" },
                { 1536 * MIB, "1.5G", "1536M" },
                { 2048 * GIB, "2T", "2T" },
                { SIZE_INFINITY, "infinity", "infinity" },
                { INT64_MAX, "8388607.9T", "9223372036854775807" },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                char buf[SIZE_TEXT_MAX];
                uint64_t back;

                assert_string_equal(size_format(cases[i].bytes, buf), cases[i].people);
                assert_string_equal(size_format_exact(cases[i].bytes, buf), cases[i].exact);
                assert_int_equal(size_parse(buf, 0, &back), 0);
                assert_true(back == cases[i].bytes);
        }
}

static void durations_are_written_so_that_they_read_back(void **state) {
        static const uint64_t cases[] = {
                0, 1, 999, USEC_PER_MSEC, 90 * USEC_PER_SEC, 90061001001, UINT64_MAX - 1, USEC_INFINITY
        };
        char buf[DURATION_TEXT_MAX];
        uint64_t back;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                assert_int_equal(duration_parse(duration_format(cases[i], buf), &back), 0);
                assert_true(back == cases[i]);
        }
        assert_string_equal(duration_format(90 * USEC_PER_SEC, buf), "1min 30s");
}

static void products_saturate(void **state) {
        (void) state;
        assert_true(multiply_saturating(4, 64 * MIB) == 256 * MIB);
        assert_true(multiply_saturating(UINT64_C(1) << 32, UINT64_C(1) << 31) == UINT64_C(1) << 63);
        assert_true(multiply_saturating(UINT64_C(1) << 32, UINT64_C(1) << 32) == UINT64_MAX);
        assert_true(multiply_saturating(UINT64_MAX, 1) == UINT64_MAX);
        assert_true(multiply_saturating(UINT64_MAX, 0) == 0);
}

static void lists_own_and_end_with_null(void **state) {
        CLEANUP(strlist_done) StrList l = {}, copy = {};

        (void) state;
        for (int i = 0; i < 100; i++)
                assert_int_equal(strlist_add(&l, i % 2 ? "odd" : "even"), 0);
        assert_null(l.v[100]);
        assert_true(strlist_has(&l, "odd"));
        assert_false(strlist_has(&l, "od"));
        assert_int_equal(strlist_copy(&l, &copy), 0);
        strlist_done(&l);
        assert_int_equal(l.n, 0);
        assert_string_equal(copy.v[99], "odd");
        assert_null(copy.v[100]);
}

static void later_pairs_replace(void **state) {
        CLEANUP(pairlist_done) PairList l = {};

        (void) state;
        assert_null(pairlist_get(&l, "a"));
        assert_int_equal(pairlist_set(&l, "a", "1"), 0);
        assert_int_equal(pairlist_set(&l, "b", "2"), 0);
        assert_int_equal(pairlist_set(&l, "c", "3"), 0);
        assert_int_equal(pairlist_set(&l, "a", "4"), 0);
        assert_int_equal(l.n, 3);
        assert_string_equal(pairlist_get(&l, "a"), "4");
        pairlist_remove(&l, "b");
        pairlist_remove(&l, "b");
        assert_int_equal(l.n, 2);
        assert_null(pairlist_get(&l, "b"));
        assert_string_equal(pairlist_get(&l, "c"), "3");
}

static void utf8_is_told_from_bytes(void **state) {
        static const struct {
                const char *s;
                bool ok;
        } cases[] = {
                { "", true },
                { "plain", true },
                { "é × 漢 😀", true },
                { "\xed\x9f\xbf \xee\x80\x80 \xf4\x8f\xbf\xbd",
                  true }, /* the last before, first after surrogates; U+10FFFD */
                { "\xef\xb7\x8f \xef\xb7\xb0 \xef\xbe\xbf \xef\xbf\xbd \xf0\x9f\xbf\xbd \xf0\xa0\x80\x80 \xf0\x9f\xbe\xbe",
                  true }, /* beside noncharacters */
                { "\x80", false },
                { "\xc3", false },
                { "\xc0\x80", false },
                { "\xc1\xbf", false },
                { "\xe0\x9f\xbf", false },
                { "\xe2\x82", false },
                { "\xed\xa0\x80", false },
                { "\xf0\x8f\xbf\xbf", false },
                { "\xf4\x90\x80\x80", false },
                { "\xf5\x80\x80\x80", false },
                { "a\xff", false },
                { "\xef\xb7\x90", false }, /* U+FDD0 */
                { "\xef\xb7\xaf", false },
                { "\xef\xbf\xbe", false }, /* U+FFFE */
                { "\xef\xbf\xbf", false },
                { "\xf0\x9f\xbf\xbe", false }, /* U+1FFFE */
                { "\xf4\x8f\xbf\xbf", false }, /* U+10FFFF */
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                assert_int_equal(utf8_is_valid(cases[i].s, strlen(cases[i].s)), cases[i].ok);
}

static void clean_paths_are_known(void **state) {
        static const char *const clean[] = { "/", "/a", "/a/b.c", "/.a", "/..a", "/a..", "/ -", "/..." };
        static const char *const unclean[] = { "",   "a",   "./a",    "//",      "/a/",   "/a//b",
                                               "/.", "/..", "/a/./b", "/a/../b", "/a/..", "-" };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(clean); i++)
                assert_true(path_is_clean(clean[i]));
        for (size_t i = 0; i < ELEMENTSOF(unclean); i++)
                assert_false(path_is_clean(unclean[i]));
        assert_true(identifier_is_valid("_a9"));
        assert_false(identifier_is_valid("9a"));
        assert_false(identifier_is_valid(""));
        assert_false(identifier_is_valid("a-b"));
        assert_false(identifier_is_valid("é"));
}

static void words_are_split_at_blanks_outside_quotes(void **state) {
        CLEANUP(strlist_done) StrList l = {};

        (void) state;
        assert_int_equal(
                        words_split("  a 'b c'\t\"d \\\"e\\\" f\" g'h'\"i\" '' \\s\\\\ \"x\\ny\" '\\n' {query} ", &l),
                        0);
        assert_int_equal(l.n, 9);
        assert_string_equal(l.v[0], "a");
        assert_string_equal(l.v[1], "b c");
        assert_string_equal(l.v[2], "d \"e\" f");
        assert_string_equal(l.v[3], "ghi");
        assert_string_equal(l.v[4], "");
        assert_string_equal(l.v[5], " \\");
        assert_string_equal(l.v[6], "x\ny");
        assert_string_equal(l.v[7], "\\n");
        assert_string_equal(l.v[8], "{query}");
        assert_int_equal(words_split("", &l), 0);
        assert_int_equal(words_split("more $HOME *", &l), 0);
        assert_int_equal(l.n, 12);
        assert_string_equal(l.v[10], "$HOME");
        assert_null(l.v[12]);
}

static void open_quotes_and_unknown_escapes_are_refused(void **state) {
        static const char *const bad[] = { "'", "a 'b", "\"", "\"a'", "\\", "a\\", "\\x41", "\"\\$\"", "'a\\'b'" };
        CLEANUP(strlist_done) StrList l = {};

        (void) state;
        assert_int_equal(words_split("kept", &l), 0);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_int_equal(words_split(bad[i], &l), -EINVAL);
        assert_int_equal(l.n, 1);
        assert_null(l.v[1]);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(sizes_are_read),
                cmocka_unit_test(durations_are_read),
                cmocka_unit_test(booleans_and_numbers_are_read),
                cmocka_unit_test(sizes_are_written),
                cmocka_unit_test(durations_are_written_so_that_they_read_back),
                cmocka_unit_test(products_saturate),
                cmocka_unit_test(lists_own_and_end_with_null),
                cmocka_unit_test(later_pairs_replace),
                cmocka_unit_test(utf8_is_told_from_bytes),
                cmocka_unit_test(clean_paths_are_known),
                cmocka_unit_test(words_are_split_at_blanks_outside_quotes),
                cmocka_unit_test(open_quotes_and_unknown_escapes_are_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
