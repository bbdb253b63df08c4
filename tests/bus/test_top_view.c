/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whole screens of `penstockctl top`, as text. */
#include "top-kit.h"

static char screen[CANVAS_HEIGHT_MAX][CELL_BYTES * CANVAS_WIDTH_MAX + 1];
static unsigned height;

static void draw(unsigned width, unsigned lines) {
        char part[CELL_BYTES * CANVAS_WIDTH_MAX + 1];
        Canvas c;
        Role role;

        assert_int_equal(canvas_init(&c, width, lines, top.ascii), 0);
        top_draw(&top, &c);
        height = lines;
        for (unsigned y = 0; y < lines; y++) {
                size_t len = 0;

                for (unsigned x = 0, n; (n = canvas_run(&c, y, x, &role, part, sizeof(part))) > 0; x += n)
                        len += (size_t) snprintf(screen[y] + len, sizeof(screen[y]) - len, "%s", part);
                while (len > 0 && screen[y][len - 1] == ' ')
                        len--;
                screen[y][len] = '\0';
        }
        canvas_done(&c);
}

static void assert_line(unsigned y, const char *text) {
        assert_true(y < height);
        assert_string_equal(screen[y], text);
}

static bool has(const char *text) {
        for (unsigned y = 0; y < height; y++)
                if (strstr(screen[y], text))
                        return true;
        return false;
}

/* Four slots of 64M, 704M lent on top; six queries of all kinds. */
static void set_up_service(void) {
        top.status = (TopStatus) { .version = "1.2",
                                   .used_bytes = 960 * MIB,
                                   .unused_bytes = 4 * GIB - 960 * MIB,
                                   .max_bytes = 4 * GIB,
                                   .initial_bytes = 64 * MIB,
                                   .slots = 4,
                                   .queue_size = 64,
                                   .counts = { [TOP_CREATED] = 1,
                                               [TOP_COMPILING] = 1,
                                               [TOP_QUEUEING] = 2,
                                               [TOP_EXECUTING] = 3,
                                               [TOP_FINISHED] = 2 } };
        snprintf(top.clock, sizeof(top.clock), "12:34:56");
        set_some_rows();
        top_find(&top, 7)->used_bytes = top_find(&top, 7)->quota_bytes = GIB; /* has ended: it counts in no sum */
        top_find(&top, 1)->detail = (TopDetail) { .is_known = true, .need_bytes = 402 * MIB, .cpu_ppm = 1870000 };
        top_find(&top, 3)->detail = (TopDetail) { .is_known = true, .need_bytes = 231 * MIB, .stall_ppm = 310000 };
}

static void all_is_on_eighty_by_twenty_four(void **state) {
        static const char *const lines[] = {
                "Penstock 1.2  7 queries by state                              every 2s  12:34:56",
                "Budget [###+++++++++........................................] 960M of 4096M held",
                "        # 256M for slots   + 704M lent on top   . 3136M in the pool",
                "Slots  [||||||||||||| 3 of 4, 1 frozen] Queue [||                       4 of 64]",
                "1 created 1 compiling 2 queueing 3 executing 2 finished 0 errored 0 canceled",
                "  ID USER         STATE    ^QUOTA  USED  NEED   MAX RAISES STALL%  CPU%    TIME",
                "   1 u1           executing  512M  433M  402M    1G      0    0.0 187.0    1.0s",
                "   2 u2           executing   64M   12M     -    1G      0      -     -    2.0s",
                "   3 u3           frozen     256M  240M  231M    1G      0   31.0   0.0    3.0s",
                "   5 u5           queueing      -     -     -    1G      0      -     -    5.0s",
        };

        (void) state;
        set_up_service();
        draw(80, 24);
        for (unsigned i = 0; i < ELEMENTSOF(lines); i++)
                assert_line(i, lines[i]);
        assert_line(22, "");
        assert_line(23, "F1 Help  F10 Quit  Enter Inspect  F9 Cancel  / Filter  F6 Sort  Space Hold");
        press('j');
        press('j');
        draw(80, 24);
        assert_line(22, "Query 3: memory: frozen at 256M, wants 512M");
}

static void a_wide_screen_has_all_columns(void **state) {
        (void) state;
        set_up_service();
        top.ascii = false;
        draw(200, 50);
        assert_true(strstr(screen[2], "\xe2\x96\x88 256M for slots   \xe2\x96\x93 704M lent on top"));
        assert_true(strstr(screen[2], "queries use 685M of 832M"));
        for (TopColumn c = 0; c < _TOP_COLUMN_MAX; c++)
                assert_true(strstr(screen[5], top_column_heading(c)));
        assert_true(has("team=Ads"));
        assert_true(has("memory: frozen at 256M, wants 512M"));
        top.ascii = true;
        draw(200, 50);
        for (unsigned y = 0; y < height; y++)
                for (const char *p = screen[y]; *p; p++)
                        assert_true(*p >= ' ' && *p <= '~');
        /* Of 1G: 402M of need, 433M used, a quota of 512M. */
        assert_true(has("########--.."));
}

static void a_small_screen_has_what_matters(void **state) {
        (void) state;
        set_up_service();
        draw(40, 8);
        assert_line(0, "Penstock 1.2  7 que~  every 2s  12:34:56");
        assert_line(1, "  ID STATE    ^QUOTA  USED  NEED  CPU%");
        assert_line(2, "   1 executing  512M  433M  402M 187.0");
        assert_line(7, "F1 Help  F10 Quit  Enter Inspect");
        draw(39, 8);
        assert_line(0, "39x8 is too small:");
        assert_line(1, "40x8 are needed");
        draw(40, 7);
        assert_line(0, "40x7 is too small:");
        draw(1, 1);
        draw(0, 0);
}

static void every_size_can_be_drawn(void **state) {
        static const uint32_t modes[] = { 0, 's', '/', 'd', 'c', '?', TOP_KEY_ENTER };

        (void) state;
        set_up_service();
        for (size_t i = 0; i < ELEMENTSOF(modes); i++) {
                if (modes[i] != 0)
                        press(modes[i]);
                for (unsigned width = 0; width < 210; width += 13)
                        for (unsigned lines = 0; lines < 60; lines++)
                                draw(width, lines);
                press(TOP_KEY_ESCAPE);
                assert_int_equal(top.mode, TOP_MODE_TABLE);
        }
}

static void the_budgets_parts_are_its_whole(void **state) {
        (void) state;
        set_up_service();
        top.status.used_bytes = 5 * GIB; /* a reload made it smaller than what is held */
        top.status.unused_bytes = 0;
        draw(80, 24);
        assert_non_null(strstr(screen[1], "++++] 5120M of 4096M held"));
        top.status.used_bytes = 100 * MIB; /* less than the slots: not seen, and no number wraps around */
        draw(80, 24);
        assert_non_null(strstr(screen[2], "# 100M for slots   + 0M lent on top"));
        top.status.max_bytes = 64 * GIB;
        top.status.used_bytes = 12 * GIB + 256 * MIB;
        top.status.unused_bytes = 64 * GIB - top.status.used_bytes;
        draw(80, 24);
        assert_non_null(strstr(screen[1], "] 12.25G of 64.00G held"));
        assert_non_null(strstr(screen[2], "# 0.25G for slots   + 12.00G lent on top   . 51.75G in the pool"));
        top.status.unused_bytes = GIB; /* the slice's limit is lower than the budget */
        draw(80, 24);
        assert_non_null(strstr(screen[1], "] 12.25G of 13.25G held, 64.00G configured"));
        top.status.max_bytes = top.status.unused_bytes = SIZE_INFINITY;
        top.status.slots = top.status.queue_size = UINT64_MAX;
        draw(80, 24);
        assert_line(1, "Budget no limit; queries use 685M of 832M");
        assert_line(3, "Slots  [         3, no limit, 1 frozen] Queue [                     4, no limit]");
}

static void counts_give_way(void **state) {
        (void) state;
        set_up_service();
        for (TopState s = 0; s < TOP_OTHER; s++)
                top.status.counts[s] = 100;
        draw(110, 24);
        assert_line(4, "100 created  100 compiling  100 queueing  100 executing  100 finished  100 errored  100 "
                       "canceled");
        draw(90, 24);
        assert_line(4, "100 created 100 compiling 100 queueing 100 executing 100 finished 100 errored 100 canceled");
        top.status.counts[TOP_CREATED] = 0;
        draw(80, 24);
        assert_line(4, "100 compiling 100 queueing 100 executing 100 finished 100 errored 100 canceled");
}

static void what_is_urgent_is_said_first(void **state) {
        (void) state;
        set_up_service();
        press('j');
        press('j');
        top.status.paused = true;
        draw(80, 24);
        assert_line(22, "Paused: no waiting query is started until `penstockctl resume`");
        top.status.shutting_down = true;
        draw(80, 24);
        assert_line(22, "Shut down: no query is accepted until `systemctl restart penstockd`");
        top_say(&top, 0, true, "no");
        draw(80, 24);
        assert_line(22, "no");
        snprintf(top.trouble, sizeof(top.trouble), "Not reachable");
        draw(80, 24);
        assert_line(22, "Not reachable");
        top.trouble[0] = top.message[0] = '\0';
        top.status.paused = top.status.shutting_down = false;
        press('/');
        type("zzz");
        draw(80, 24);
        assert_line(6, "No query passes the filter; \\ shows all.");
        assert_line(23, "Filter: zzz");
        assert_non_null(strstr(screen[0], "0 of 7 queries with \"zzz\", by state"));
        press(TOP_KEY_ESCAPE);
        set_rows(NULL, 0);
        draw(80, 24);
        assert_line(6, "There are no queries.");
        press(' ');
        draw(80, 24);
        assert_non_null(strstr(screen[0], "held, space goes on  12:34:56"));
}

static void others_words_are_harmless(void **state) {
        TopRow bad = row(1, TOP_EXECUTING, 1, 1);

        (void) state;
        set_up_service();
        snprintf(bad.user, sizeof(bad.user), "\033[31mroot");
        snprintf(bad.language, sizeof(bad.language), "a\nb");
        snprintf(bad.labels, sizeof(bad.labels), "k=\033]0;x\007\xc2\x9b");
        snprintf(bad.reason, sizeof(bad.reason), "\033[2J\xff");
        snprintf(top.status.version, sizeof(top.status.version), "\033c");
        snprintf(top.trouble, sizeof(top.trouble), "\r\x1b[1A");
        set_rows(&bad, 1);
        top.ascii = false;
        for (unsigned i = 0; i < 2; i++) {
                draw(200, 24);
                for (unsigned y = 0; y < height; y++)
                        for (const unsigned char *p = (const unsigned char *) screen[y]; *p; p++)
                                assert_true(*p >= ' ' && *p != 0x7f && !(*p == 0xc2 && p[1] < 0xa0));
                assert_true(has("k=?]0;x??"));
                press('c');
        }
        assert_true(has("Cancel query 1 (executing, a?b of ?[31mroot)?"));
}

static void help_is_scrolled(void **state) {
        (void) state;
        set_up_service();
        press('h');
        draw(80, 24);
        assert_true(has("cancel the query, after a question"));
        assert_false(has("what the quota leaves"));
        press(TOP_KEY_END);
        draw(80, 24);
        assert_true(has("what the quota leaves"));
        assert_non_null(strstr(screen[0], "100%"));
        draw(200, 50); /* has room for all of it */
        assert_true(has("what the quota leaves") && has("cancel the query, after a question"));
        assert_null(strstr(screen[0], "%"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TOP_TEST(all_is_on_eighty_by_twenty_four),
                TOP_TEST(a_wide_screen_has_all_columns),
                TOP_TEST(a_small_screen_has_what_matters),
                TOP_TEST(every_size_can_be_drawn),
                TOP_TEST(the_budgets_parts_are_its_whole),
                TOP_TEST(counts_give_way),
                TOP_TEST(what_is_urgent_is_said_first),
                TOP_TEST(others_words_are_harmless),
                TOP_TEST(help_is_scrolled),
        };

        return cmocka_run_group_tests_name("top-view", tests, NULL, NULL);
}
