/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What keys make of `penstockctl top`. */
#include "top-kit.h"

static void cancel_asks_first(void **state) {
        (void) state;
        set_some_rows();
        assert_int_equal(press('k'), TOP_WISH_NONE); /* up, not kill */
        assert_int_equal(top.mode, TOP_MODE_TABLE);
        assert_int_equal(press('c'), TOP_WISH_NONE);
        assert_int_equal(top.mode, TOP_MODE_CONFIRM);
        assert_int_equal(press('n'), TOP_WISH_NONE);
        assert_int_equal(press(TOP_KEY_F0 + 9), TOP_WISH_NONE);
        set_rows(NULL, 0); /* what is asked about does not change meanwhile */
        assert_int_equal(press('y'), TOP_WISH_CANCEL);
        assert_int_equal(top.subject, 1);
        assert_int_equal(top.mode, TOP_MODE_TABLE);
        assert_int_equal(press('c'), TOP_WISH_NONE);
        assert_int_equal(top.mode, TOP_MODE_TABLE); /* there is none */
        set_some_rows();
        press(TOP_KEY_END);
        press('c');
        assert_int_equal(top.mode, TOP_MODE_TABLE);
        assert_string_equal(top.message, "query 4 has ended already");
}

static void a_message_has_its_time(void **state) {
        (void) state;
        top_say(&top, 100, false, "x");
        assert_false(top_forget_message(&top, 99 + TOP_MESSAGE_USEC));
        assert_true(top_forget_message(&top, 100 + TOP_MESSAGE_USEC));
        assert_false(top_forget_message(&top, 100 + TOP_MESSAGE_USEC));
}

static void inspecting_and_leaving(void **state) {
        (void) state;
        set_some_rows();
        press('j');
        assert_int_equal(press(TOP_KEY_ENTER), TOP_WISH_INSPECT);
        assert_int_equal(top.subject, 2);
        press('c');
        assert_int_equal(top.mode, TOP_MODE_CONFIRM);
        assert_int_equal(press('y'), TOP_WISH_CANCEL);
        assert_int_equal(top.mode, TOP_MODE_INSPECT);
        assert_int_equal(press('q'), TOP_WISH_NONE); /* as in less: one step back */
        assert_int_equal(top.mode, TOP_MODE_TABLE);
        assert_int_equal(press('?'), TOP_WISH_NONE);
        assert_int_equal(top.mode, TOP_MODE_HELP);
        assert_int_equal(press(TOP_KEY_F0 + 10), TOP_WISH_QUIT);
        press(TOP_KEY_ESCAPE);
        assert_int_equal(press('q'), TOP_WISH_QUIT);
}

static void the_delay_is_bounded(void **state) {
        (void) state;
        assert_int_equal(press('+'), TOP_WISH_DELAY);
        assert_int_equal(top.delay_usec, 2 * TOP_DELAY_USEC);
        for (unsigned i = 0; i < 40; i++)
                press('-');
        assert_int_equal(top.delay_usec, TOP_DELAY_MIN_USEC);
        for (unsigned i = 0; i < 40; i++)
                press('+');
        assert_int_equal(top.delay_usec, TOP_DELAY_MAX_USEC);
        press('d');
        type("1.5");
        assert_int_equal(press(TOP_KEY_ENTER), TOP_WISH_DELAY);
        assert_int_equal(top.delay_usec, 1500 * USEC_PER_MSEC);
        press('d');
        type("soon");
        assert_int_equal(press(TOP_KEY_ENTER), TOP_WISH_NONE);
        assert_string_equal(top.message, "'soon' is no time span");
        assert_int_equal(top.delay_usec, 1500 * USEC_PER_MSEC);
        press('d');
        type("infinity");
        press('\r');
        assert_int_equal(top.delay_usec, TOP_DELAY_MAX_USEC);
}

static void the_order_is_chosen_from_a_list_or_by_neighbours(void **state) {
        Canvas c;

        (void) state;
        set_some_rows();
        press('s');
        press(TOP_KEY_DOWN);
        press('j');
        press('k');
        press(TOP_KEY_ENTER);
        assert_int_equal(top.sort, TOP_COLUMN_STATE + 1);
        press(TOP_KEY_F0 + 6);
        press(TOP_KEY_HOME);
        press(TOP_KEY_UP);
        press(TOP_KEY_ESCAPE);
        assert_int_equal(top.sort, TOP_COLUMN_STATE + 1);
        assert_int_equal(canvas_init(&c, 80, 24, true), 0);
        top_draw(&top, &c); /* of those that are shown */
        press('>');
        assert_int_equal(top.sort, TOP_COLUMN_QUOTA);
        press('>');
        assert_int_equal(top.sort, TOP_COLUMN_USED);
        press('<');
        press('<');
        assert_int_equal(top.sort, TOP_COLUMN_STATE);
        for (unsigned i = 0; i < 20; i++)
                press('<');
        assert_int_equal(top.sort, TOP_COLUMN_ID);
        for (unsigned i = 0; i < 20; i++)
                press('>');
        assert_int_equal(top.sort, TOP_COLUMN_TIME);
        canvas_done(&c);
}

static void space_holds_and_goes_on(void **state) {
        (void) state;
        assert_int_equal(press(' '), TOP_WISH_NONE);
        assert_true(top.held);
        assert_int_equal(press(' '), TOP_WISH_UPDATE);
        assert_false(top.held);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TOP_TEST(cancel_asks_first),
                TOP_TEST(a_message_has_its_time),
                TOP_TEST(inspecting_and_leaving),
                TOP_TEST(the_delay_is_bounded),
                TOP_TEST(the_order_is_chosen_from_a_list_or_by_neighbours),
                TOP_TEST(space_holds_and_goes_on),
        };

        return cmocka_run_group_tests_name("top-keys", tests, NULL, NULL);
}
