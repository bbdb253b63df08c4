/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/excerpt.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static void what_is_plain_text_stays_as_it_is(void **state) {
        static const char text[] = "select 'Größe — 大きさ 🙂'\n\tfrom t";
        char buf[128];

        (void) state;
        assert_int_equal(excerpt_make(text, strlen(text), buf, sizeof(buf)), strlen(text));
        assert_string_equal(buf, text);
        assert_int_equal(excerpt_make("", 0, buf, sizeof(buf)), 0);
        assert_string_equal(buf, "");
}

static void control_characters_and_broken_text_are_escaped(void **state) {
        static const struct {
                const char *text;
                size_t len;
                const char *wanted;
        } cases[] = {
                { "\x1b[2Ja\r", 6, "\\x1b[2Ja\\x0d" },
                { "a\0b", 3, "a\\x00b" },
                { "\x7f", 1, "\\x7f" },
                { "\xc2\x9b" "1m", 4, "\\xc2\\x9b1m" }, /* CSI as one character */
                { "\xff\xc3", 2, "\\xff\\xc3" },
                { "\xed\xa0\x80", 3, "\\xed\\xa0\\x80" }, /* a surrogate */
                { "ä\xc3", 3, "ä\\xc3" },
        };
        char buf[64];

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                size_t n = excerpt_make(cases[i].text, cases[i].len, buf, sizeof(buf));

                assert_string_equal(buf, cases[i].wanted);
                assert_int_equal(n, strlen(cases[i].wanted));
        }
}

/* For each size: nothing is written behind the end, what is written is whole characters, and a cut is told. */
static void what_is_too_long_is_cut_at_a_character_and_says_so(void **state) {
        static const char text[] = "0123äöü大大\x01\x02🙂🙂🙂🙂🙂";
        char whole[256], buf[256];
        size_t len = excerpt_make(text, strlen(text), whole, sizeof(whole));

        (void) state;
        for (size_t size = 16; size < sizeof(buf); size++) {
                size_t n;

                memset(buf, '#', sizeof(buf));
                n = excerpt_make(text, strlen(text), buf, size);
                assert_true(n < size);
                assert_int_equal(buf[n], '\0');
                assert_int_equal(buf[size], '#');
                assert_true(utf8_is_valid(buf, n));
                if (n == len) {
                        assert_string_equal(buf, whole);
                } else {
                        assert_true(n > strlen(" […]"));
                        assert_string_equal(buf + n - strlen(" […]"), " […]");
                        assert_memory_equal(buf, whole, n - strlen(" […]"));
                }
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_is_plain_text_stays_as_it_is),
                cmocka_unit_test(control_characters_and_broken_text_are_escaped),
                cmocka_unit_test(what_is_too_long_is_cut_at_a_character_and_says_so),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
