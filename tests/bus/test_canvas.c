/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The cells of a screen: what of a text gets in, and that none leaves its room. */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/canvas.h"

static Canvas canvas;

static int setup(void **state) {
        (void) state;
        if (!setlocale(LC_CTYPE, "C.UTF-8"))
                return -1;
        return canvas_init(&canvas, 12, 2, false);
}

static int teardown(void **state) {
        (void) state;
        canvas_done(&canvas);
        return 0;
}

static void assert_line(unsigned y, const char *expected) {
        char part[64], line[256] = "";
        unsigned x = 0, n;
        Role role;

        while ((n = canvas_run(&canvas, y, x, &role, part, sizeof(part))) > 0) {
                strcat(line, part);
                x += n;
        }
        assert_int_equal(x, canvas.width);
        assert_string_equal(line, expected);
}

static void control_characters_are_shown_as_question_marks(void **state) {
        (void) state;
        assert_int_equal(canvas_put(&canvas, 0, 0, 12, ROLE_PLAIN, "a\033[2J\n\t\x7f"), 8);
        assert_line(0, "a?[2J???    ");
        canvas_put(&canvas, 1, 0, 12, ROLE_PLAIN,
                   "\xc2\x9b"
                   "31m\xe2\x80\xa8."); /* CSI in one character; a line separator */
        assert_line(1, "?31m?.      ");
}

static void what_is_no_utf8_is_shown_byte_by_byte(void **state) {
        static const struct {
                const char *text, *shown;
        } rows[] = {
                { "a\xff"
                  "b",
                  "a?b         " },
                { "\xc3", "?           " },
                { "\xc0\xaf", "??          " },         /* an overlong slash */
                { "\xe0\x82\x9b", "???         " },     /* an overlong CSI */
                { "\xed\xa0\x80", "???         " },     /* a surrogate */
                { "\xf4\x90\x80\x80", "????        " }, /* beyond U+10FFFF */
                { "\xe2\x82", "??          " },         /* cut */
                { "\xc3\xa4\xe2\x82\xac", "\xc3\xa4\xe2\x82\xac          " },
                { "\xf0\x9d\x84\x9e", "\xf0\x9d\x84\x9e           " },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                canvas_clear(&canvas);
                canvas_put(&canvas, 0, 0, 12, ROLE_PLAIN, rows[i].text);
                assert_line(0, rows[i].shown);
        }
}

static void what_takes_no_column_is_left_out(void **state) {
        (void) state;
        /* Overrides of the direction, a joiner, a combining accent. */
        assert_int_equal(canvas_put(&canvas, 0, 0, 12, ROLE_PLAIN,
                                    "a\xe2\x80\xae"
                                    "b\xe2\x81\xa6\xe2\x80\x8d"
                                    "e\xcc\x81."),
                         4);
        assert_line(0, "abe.        ");
        assert_int_equal(canvas_put(&canvas, 1, 0, 12, ROLE_PLAIN, "a\xe2\x80\xae"), 1);
        assert_line(1, "a           ");
        assert_int_equal(canvas_columns("a\xe2\x80\xae\xe2\x80\xae", false), 1);
}

static void what_does_not_fit_is_cut_and_says_so(void **state) {
        (void) state;
        assert_int_equal(canvas_put(&canvas, 0, 0, 4, ROLE_PLAIN, "abcd"), 4);
        assert_int_equal(canvas_put(&canvas, 0, 5, 4, ROLE_PLAIN, "abcde"), 4);
        assert_line(0, "abcd abc\xe2\x80\xa6   ");
        canvas_put(&canvas, 1, 8, 100, ROLE_PLAIN, "abcdefgh"); /* the edge is an end too */
        assert_line(1, "        abc\xe2\x80\xa6");
        assert_int_equal(canvas_put(&canvas, 0, 12, 4, ROLE_PLAIN, "x"), 0);
        assert_int_equal(canvas_put(&canvas, 2, 0, 4, ROLE_PLAIN, "x"), 0);
        assert_int_equal(canvas_put(&canvas, 0, 0, 0, ROLE_PLAIN, "x"), 0);
}

static void wide_characters_keep_their_room(void **state) {
        (void) state;
        assert_int_equal(canvas_put(&canvas, 0, 0, 4, ROLE_PLAIN, "\xe6\xbc\xa2\xe5\xad\x97"), 4);
        assert_line(0, "\xe6\xbc\xa2\xe5\xad\x97        ");
        assert_int_equal(canvas_put(&canvas, 1, 0, 3, ROLE_PLAIN, "\xe6\xbc\xa2\xe5\xad\x97"), 3);
        assert_line(1, "\xe6\xbc\xa2\xe2\x80\xa6         ");
        /* No half is left of what is written over, on either side. */
        canvas_put(&canvas, 0, 1, 2, ROLE_PLAIN, "xy");
        assert_line(0, " xy         ");
        canvas_put(&canvas, 0, 0, 4, ROLE_PLAIN, "\xe6\xbc\xa2\xe5\xad\x97");
        canvas_put(&canvas, 0, 1, 2, ROLE_PLAIN, "\xe5\xad\x97");
        assert_line(0, " \xe5\xad\x97         ");
}

static void a_right_end_is_met(void **state) {
        (void) state;
        canvas_put_right(&canvas, 0, 0, 6, ROLE_PLAIN, "12");
        canvas_put_right(&canvas, 1, 0, 6, ROLE_PLAIN, "1234567");
        assert_line(0, "    12      ");
        assert_line(1, "12345\xe2\x80\xa6      ");
}

static void without_utf8_each_character_is_one_question_mark(void **state) {
        (void) state;
        canvas.ascii = true;
        canvas_put(&canvas, 0, 0, 5, ROLE_PLAIN, "\xc3\xa4\xe6\xbc\xa2z");
        canvas_put(&canvas, 1, 0, 5, ROLE_PLAIN, "abcdef");
        assert_line(0, "??z         ");
        assert_line(1, "abcd~       ");
        assert_int_equal(canvas_columns("\xc3\xa4\xe6\xbc\xa2z", true), 3);
}

static void roles_part_a_line(void **state) {
        char text[64];
        Role role;

        (void) state;
        canvas_put(&canvas, 0, 0, 3, ROLE_BAD, "abc");
        canvas_paint(&canvas, 0, 2, 100, ROLE_SELECTED);
        assert_int_equal(canvas_run(&canvas, 0, 0, &role, text, sizeof(text)), 2);
        assert_string_equal(text, "ab");
        assert_int_equal(role, ROLE_BAD);
        assert_int_equal(canvas_run(&canvas, 0, 2, &role, text, sizeof(text)), 10);
        assert_string_equal(text, "c         ");
        assert_int_equal(role, ROLE_SELECTED);
        assert_int_equal(canvas_run(&canvas, 0, 12, &role, text, sizeof(text)), 0);
        assert_int_equal(canvas_run(&canvas, 0, 2, &role, text, CELL_BYTES + 3), 3); /* as many as have room */
}

static void a_bars_parts_make_the_whole(void **state) {
        static const BarPart parts[] = { { 1, ROLE_GOOD, 'a', 'A' },
                                         { 2, ROLE_BAD, 'b', 'B' },
                                         { 1, ROLE_PLAIN, 'c', 'C' } };
        static const BarPart huge[] = { { UINT64_MAX / 2, ROLE_GOOD, 'a', 'A' }, { UINT64_MAX, ROLE_BAD, 'b', 'B' } };

        (void) state;
        canvas_bar(&canvas, 0, 1, 8, 4, parts, 3);
        assert_line(0, " AABBBBCC   ");
        canvas_clear(&canvas);
        canvas_bar(&canvas, 0, 0, 10, 8, parts, 3);
        assert_line(0, "ABBBC       ");
        canvas_bar(&canvas, 1, 0, 10, UINT64_MAX, huge, 2); /* no sum wraps around, and none is beyond the total */
        assert_line(1, "AAAAABBBBB  ");
        canvas_clear(&canvas);
        canvas_bar(&canvas, 0, 0, 10, 0, parts, 3);
        assert_line(0, "            ");
        canvas.ascii = true;
        canvas_bar(&canvas, 0, 0, 4, 4, parts, 3);
        assert_line(0, "abbc        ");
}

static void lines_break_at_blanks(void **state) {
        (void) state;
        assert_int_equal(text_line("one two three", 6, false), 4);
        assert_int_equal(text_line("one two three", 7, false),
                         8); /* the blank behind goes with it, and needs no room */
        assert_int_equal(text_line("three", 8, false), 5);
        assert_int_equal(text_line("threefour", 4, false), 4);
        assert_int_equal(text_line("\xe6\xbc\xa2\xe5\xad\x97", 1, false), 3); /* one at least */
        assert_int_equal(text_line("", 4, false), 0);
}

static void a_size_is_bounded(void **state) {
        Canvas c;

        (void) state;
        assert_int_equal(canvas_init(&c, UINT32_MAX, UINT32_MAX, false), 0);
        assert_int_equal(c.width, CANVAS_WIDTH_MAX);
        assert_int_equal(c.height, CANVAS_HEIGHT_MAX);
        canvas_done(&c);
        assert_int_equal(canvas_init(&c, 0, 0, false), 0);
        assert_int_equal(canvas_put(&c, 0, 0, 5, ROLE_PLAIN, "x"), 0);
        canvas_done(&c);
}

int main(void) {
#define CANVAS_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        const struct CMUnitTest tests[] = {
                CANVAS_TEST(control_characters_are_shown_as_question_marks),
                CANVAS_TEST(what_is_no_utf8_is_shown_byte_by_byte),
                CANVAS_TEST(what_takes_no_column_is_left_out),
                CANVAS_TEST(what_does_not_fit_is_cut_and_says_so),
                CANVAS_TEST(wide_characters_keep_their_room),
                CANVAS_TEST(a_right_end_is_met),
                CANVAS_TEST(without_utf8_each_character_is_one_question_mark),
                CANVAS_TEST(roles_part_a_line),
                CANVAS_TEST(a_bars_parts_make_the_whole),
                CANVAS_TEST(lines_break_at_blanks),
                CANVAS_TEST(a_size_is_bounded),
        };

        return cmocka_run_group_tests_name("canvas", tests, NULL, NULL);
}
