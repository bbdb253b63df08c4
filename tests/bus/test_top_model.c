/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What `penstockctl top` makes of figures: cells, columns, order, filter, cursor. */
#include "top-kit.h"

static void shares_are_of_the_time_between_two_answers(void **state) {
        TopDetail d = {};

        (void) state;
        top_detail_step(&d, 5, 30, 10, 100);
        assert_int_equal(d.cpu_ppm, 300000); /* of all its time: there is no other yet */
        assert_int_equal(d.stall_ppm, 100000);
        assert_int_equal(d.need_bytes, 5);
        top_detail_step(&d, 6, 130, 10, 150);
        assert_int_equal(d.cpu_ppm, 2000000); /* two processors */
        assert_int_equal(d.stall_ppm, 0);
        top_detail_step(&d, 7, 130, 10, 150); /* no time has passed: nothing new is known of shares */
        assert_int_equal(d.cpu_ppm, 2000000);
        assert_int_equal(d.need_bytes, 7);
        top_detail_step(&d, 7, 120, 5, 200); /* counts fell: another penstockd, perhaps */
        assert_int_equal(d.cpu_ppm, 0);
        top_detail_step(&d, 7, 10, 0, 40);
        assert_int_equal(d.cpu_ppm, 250000);
        top_detail_step(&d, 7, 0, 0, 0);
        assert_int_equal(d.cpu_ppm, 0);
}

static void cells_are_short(void **state) {
        static const struct {
                uint64_t bytes;
                const char *text;
        } sizes[] = { { 512, "512B" },          { 64 * MIB, "64M" },       { 64 * MIB + 1, "64M" },
                      { MIB - 1, "1023K" },     { GIB + GIB / 2, "1.5G" }, { GIB + 1, "1G" },
                      { 10 * GIB - 1, "9.9G" }, { 1023 * GIB, "1023G" },   { UINT64_C(3) << 40, "3T" },
                      { SIZE_INFINITY, "inf" } };
        static const struct {
                uint64_t usec;
                const char *text;
        } times[] = { { 0, "0.0s" },
                      { 59999999, "59.9s" },
                      { 60 * USEC_PER_SEC, "1m00s" },
                      { 3599 * USEC_PER_SEC, "59m59s" },
                      { 3600 * USEC_PER_SEC, "1h00m" },
                      { 100 * 3600 * USEC_PER_SEC, "4d04h" },
                      { USEC_INFINITY, "9999d08h" } };
        static const struct {
                uint64_t ppm;
                const char *text;
        } shares[] = { { 0, "0.0" }, { 499, "0.0" }, { 500, "0.1" }, { 999500, "100.0" }, { 16000000, "1600" } };
        TopRow r = row(1, TOP_EXECUTING, 1, 1);
        char buf[TEXT_MAX];

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
                r.max_bytes = sizes[i].bytes;
                assert_string_equal(top_cell(TOP_COLUMN_MAX, &r, buf, sizeof(buf)), sizes[i].text);
        }
        for (size_t i = 0; i < ELEMENTSOF(times); i++) {
                r.total_usec = times[i].usec;
                assert_string_equal(top_cell(TOP_COLUMN_TIME, &r, buf, sizeof(buf)), times[i].text);
        }
        assert_string_equal(top_cell(TOP_COLUMN_CPU, &r, buf, sizeof(buf)), "-"); /* nobody said */
        r.detail.is_known = true;
        for (size_t i = 0; i < ELEMENTSOF(shares); i++) {
                r.detail.cpu_ppm = shares[i].ppm;
                assert_string_equal(top_cell(TOP_COLUMN_CPU, &r, buf, sizeof(buf)), shares[i].text);
        }
        r.priority = -3;
        assert_string_equal(top_cell(TOP_COLUMN_PRIORITY, &r, buf, sizeof(buf)), "-3");
        r = row(1, TOP_QUEUEING, 0, 0);
        assert_string_equal(top_cell(TOP_COLUMN_QUOTA, &r, buf, sizeof(buf)), "-");
}

static void columns_give_way_by_importance(void **state) {
        TopLayout l;

        (void) state;
        for (unsigned width = TOP_COLUMNS_MIN; width <= CANVAS_WIDTH_MAX; width++) {
                const TopPlace *last;

                top_layout(width, 99999, &l);
                last = &l.v[l.n - 1];
                assert_true(last->x + last->width <= width);
                for (size_t i = 1; i < l.n; i++) {
                        assert_true(l.v[i].column > l.v[i - 1].column);
                        assert_int_equal(l.v[i].x, l.v[i - 1].x + l.v[i - 1].width + 1);
                }
                if (width == 40)
                        assert_int_equal(l.n, 6); /* ID, state, quota, used, need, CPU */
        }
        assert_int_equal(l.n, _TOP_COLUMN_MAX);
        top_layout(80, 1, &l);
        assert_int_equal(l.n, 11);
        assert_int_equal(l.v[0].width, 4);
        top_layout(80, UINT64_C(12345678), &l);
        assert_int_equal(l.v[0].width, 8);
}

static void each_column_has_its_order(void **state) {
        (void) state;
        set_some_rows();
        assert_order("1 2 3 5 6 7 4"); /* what runs, what is frozen, the queue, the last that ended first */
        top.sort = TOP_COLUMN_USED;
        top_arrange(&top);
        assert_order("1 3 2 4 5 6 7"); /* what has none comes last */
        press('I');
        assert_order("2 3 1 4 5 6 7"); /* … also the other way round */
        press('N');
        assert_order("1 2 3 4 5 6 7"); /* and a new column has its own direction */
        press('I');
        assert_order("7 6 5 4 3 2 1");
        top.sort = TOP_COLUMN_WHY;
        top.reversed = false;
        top_arrange(&top);
        assert_order("3 1 2 4 5 6 7");
        press('T');
        assert_order("7 6 5 4 3 2 1");
}

static void a_filter_is_looked_for_in_all_words(void **state) {
        (void) state;
        set_some_rows();
        press('/');
        type("FROZEN");
        assert_order("3");
        press(0x15); /* Ctrl-U */
        assert_order("1 2 3 5 6 7 4");
        type("exec");
        assert_order("1 2 3"); /* who is frozen executes */
        press(TOP_KEY_ENTER);
        assert_int_equal(top.mode, TOP_MODE_TABLE);
        press('/');
        press(0x15);
        type("ads");
        assert_order("1");
        press(TOP_KEY_ESCAPE); /* as it was */
        assert_order("1 2 3");
        press('\\');
        assert_order("1 2 3 5 6 7 4");
        press('/');
        type("u7");
        press(TOP_KEY_ENTER);
        assert_order("7");
        press(TOP_KEY_ESCAPE);
        assert_order("1 2 3 5 6 7 4");
        press('/');
        press(0xe4); /* one character, two bytes: taken and erased as one */
        assert_string_equal(top.filter, "\xc3\xa4");
        press(TOP_KEY_BACKSPACE);
        assert_string_equal(top.filter, "");
        press(TOP_KEY_BACKSPACE); /* out */
        assert_int_equal(top.mode, TOP_MODE_TABLE);
        press('/');
        for (unsigned i = 0; i < 2 * TOP_FILTER_MAX; i++)
                press('x');
        assert_int_equal(strlen(top.filter), TOP_FILTER_MAX - 1);
}

static void the_cursor_stays_with_its_query(void **state) {
        TopRow rows[] = { row(1, TOP_EXECUTING, 1, 1), row(2, TOP_EXECUTING, 1, 1), row(3, TOP_EXECUTING, 1, 1),
                          row(4, TOP_EXECUTING, 1, 1), row(5, TOP_EXECUTING, 1, 1) };

        (void) state;
        set_rows(rows, 5);
        assert_int_equal(top.selected, 1);
        top_scroll_to_selected(&top, 3);
        press('j');
        assert_int_equal(top.selected, 2);
        rows[0].state = TOP_FINISHED; /* 2 moves up */
        set_rows(rows, 5);
        assert_int_equal(top.selected, 2);
        assert_int_equal(top.at, 0);
        rows[1].state = TOP_FINISHED; /* far below: the screen does not run after it */
        set_rows(rows, 5);
        assert_int_equal(top.selected, 3);
        assert_int_equal(top.at, 0);
        set_rows(rows, 2); /* and what is gone gives way to what is there */
        assert_int_equal(top.selected, 2);
        set_rows(rows, 0);
        assert_int_equal(top.selected, 0);
        assert_null(top_selected(&top));
        press('j');
        press(TOP_KEY_ENTER);
        assert_int_equal(top.mode, TOP_MODE_TABLE);
}

static void the_cursor_moves_within_the_rows(void **state) {
        static const struct {
                uint32_t key;
                uint64_t selected;
                size_t first;
        } steps[] = {
                { 'k', 1, 0 },
                { TOP_KEY_DOWN, 2, 0 },
                { TOP_KEY_PAGE_DOWN, 11, 1 },
                { TOP_KEY_PAGE_DOWN, 20, 10 },
                { TOP_KEY_END, 25, 15 },
                { 'j', 25, 15 },
                { TOP_KEY_PAGE_UP, 16, 15 },
                { TOP_KEY_UP, 15, 14 },
                { 'G', 25, 15 },
                { 'g', 1, 0 },
        };
        TopRow rows[25];

        (void) state;
        for (size_t i = 0; i < 25; i++)
                rows[i] = row(i + 1, TOP_EXECUTING, 1, 1);
        set_rows(rows, 25);
        for (size_t i = 0; i < ELEMENTSOF(steps); i++) {
                top_scroll_to_selected(&top, 10);
                press(steps[i].key);
                top_scroll_to_selected(&top, 10);
                assert_int_equal(top.selected, steps[i].selected);
                assert_int_equal(top.first, steps[i].first);
        }
}

static void details_are_asked_for_what_is_seen(void **state) {
        uint64_t ids[TOP_DETAILS_MAX];
        TopRow rows[200];

        (void) state;
        for (size_t i = 0; i < 200; i++)
                rows[i] = row(i + 1, i < 150 ? TOP_EXECUTING : TOP_QUEUEING, i < 150, i < 150);
        set_rows(rows, 200);
        top_scroll_to_selected(&top, 10);
        assert_int_equal(top_wanted(&top, false, ids, ELEMENTSOF(ids)), 10);
        assert_int_equal(ids[9], 10);
        top_find(&top, 3)->detail.is_known = true;
        assert_int_equal(top_wanted(&top, true, ids, ELEMENTSOF(ids)), 9);
        press('G'); /* those wait, and have none */
        top_scroll_to_selected(&top, 10);
        assert_int_equal(top_wanted(&top, false, ids, ELEMENTSOF(ids)), 0);
        /* Sorted by what only they say, all that execute are asked by turns. */
        press('P');
        press('g');
        top_scroll_to_selected(&top, 10);
        for (unsigned turn = 0; turn < 3; turn++) {
                size_t n = top_wanted(&top, false, ids, ELEMENTSOF(ids));

                assert_int_equal(n, 10 + TOP_TURN_MAX);
                for (size_t i = 0; i < n; i++)
                        top_find(&top, ids[i])->detail.is_known = true;
        }
        for (uint64_t id = 1; id <= 150; id++)
                assert_true(top_find(&top, id)->detail.is_known);
        /* They stay with their queries as long as these execute. */
        rows[1].state = TOP_FINISHED;
        set_rows(rows, 200);
        assert_true(top_find(&top, 1)->detail.is_known);
        assert_false(top_find(&top, 2)->detail.is_known);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TOP_TEST(shares_are_of_the_time_between_two_answers),
                TOP_TEST(cells_are_short),
                TOP_TEST(columns_give_way_by_importance),
                TOP_TEST(each_column_has_its_order),
                TOP_TEST(a_filter_is_looked_for_in_all_words),
                TOP_TEST(the_cursor_stays_with_its_query),
                TOP_TEST(the_cursor_moves_within_the_rows),
                TOP_TEST(details_are_asked_for_what_is_seen),
        };

        return cmocka_run_group_tests_name("top-model", tests, NULL, NULL);
}
