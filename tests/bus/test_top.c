/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* penstockctl top in a real terminal: what is on the screen, and what keys make of it. */
#include "top-scene.h"

/* The IDs from above to below are @ids, or become it: "1 2 3". */
static void expect_order(const char *ids) {
        long deadline = harness_now_msec() + DEADLINE_MSEC;
        char seen[256];

        do {
                const char *line = strstr(terminal_screen(), "QUOTA"); /* in the heading */
                unsigned long long id;
                int n;

                seen[0] = '\0';
                while (line && (line = strchr(line, '\n')) && sscanf(++line, "%llu %n", &id, &n) == 1)
                        snprintf(seen + strlen(seen), sizeof(seen) - strlen(seen), "%s%llu", seen[0] ? " " : "", id);
        } while (strcmp(seen, ids) != 0 && harness_now_msec() < deadline);
        assert_string_equal(seen, ids);
}

/* What `show --json` says of it. */
static void assert_state(const char *id, const char *state) {
        char text[64];
        Ctl c;

        snprintf(text, sizeof(text), "\"state\": \"%s\"", state);
        assert_int_equal(ctl_run(&c, "show", "--json", id), 0);
        assert_non_null(strstr(c.out_text, text));
        ctl_done(&c);
}

static void budget_slots_queue_and_rows_are_on_80x24(void **state) {
        (void) state;
        open_top(80, 24);
        terminal_expect("187.0");
        assert_on_screen("Penstock stand-in  8 queries by state");
        assert_on_screen("] 896M of 4096M held");
        assert_on_screen("256M for slots");
        assert_on_screen("640M lent on top");
        assert_on_screen("3200M in the pool");
        assert_on_screen(" 3 of 4, 1 frozen]");
        assert_on_screen(" 3 of 64]");
        assert_on_screen("1 created 1 compiling 1 queueing 3 executing 1 finished 1 errored 0 canceled");
        assert_on_screen("   1 root         executing  512M  433M  402M    1G      3    2.0 187.0");
        assert_on_screen("   3 root         frozen     256M  240M  231M    1G      2   31.0   0.0");
        assert_on_screen("   4 root         queueing      -     -     -    1G      0      -     -");
        expect_order("1 2 3 5 4 6 7 8");
        terminal_press("Down", "Down");
        terminal_expect("Query 3: memory: frozen at 256M, wants 512M");
        quit("q");
}

static void all_columns_are_on_200x50(void **state) {
        (void) state;
        open_top(200, 50);
        assert_on_screen("  ID USER     LANGUAGE  PRI STATE    ");
        assert_on_screen("QUOTA  USED  NEED   MAX  PEAK RAISES STALL%  CPU%    TIME LABELS");
        assert_on_screen("queries use 685M of 832M");
        assert_on_screen("team=ads");
        assert_on_screen("#1: a free slot (ConcurrencyQuota=4, 0 ahead of it)");
        assert_on_screen("MemoryLimitExceeded: it only seems so");
        assert_on_screen("\xe2\x96\x88\xe2\x96\x88\xe2\x96\x88\xe2\x96\x88\xe2\x96\x88\xe2\x96\x88\xe2\x96\x88\xe2"
                         "\x96\x88"
                         "\xe2\x96\x91\xe2\x96\x91\xc2\xb7");
        quit("F10");
}

static void it_is_sorted_filtered_and_reversed(void **state) {
        (void) state;
        open_top(80, 24);
        terminal_press("P"); /* CPU */
        expect_order("1 2 3 4 5 6 7 8");
        terminal_press("I");
        expect_order("3 2 1 4 5 6 7 8");
        terminal_press("F6", "Home", "Enter"); /* ID */
        expect_order("1 2 3 4 5 6 7 8");
        terminal_press("I");
        expect_order("8 7 6 5 4 3 2 1");
        terminal_press("M", ">", ">"); /* used, need, maximum */
        terminal_expect("queries by max");
        terminal_press("/");
        terminal_type("exec");
        terminal_expect("Filter: exec");
        expect_order("1 2 3");
        terminal_press("BSpace", "BSpace", "BSpace", "BSpace");
        terminal_type("lake");
        terminal_press("Enter");
        expect_order("6");
        assert_on_screen("1 of 8 queries with \"lake\"");
        terminal_press("\\");
        expect_order("1 2 3 4 5 6 7 8");
        terminal_press("/");
        terminal_type("absent");
        terminal_expect("No query passes the filter");
        terminal_press("Escape");
        expect_order("1 2 3 4 5 6 7 8");
        quit("q");
}

static void a_query_is_inspected(void **state) {
        (void) state;
        open_top(80, 24);
        terminal_press("j", "j", "Enter");
        terminal_expect("Query 3 is executing and waits: memory: frozen at 256M");
        assert_on_screen("penstock-q3.service");
        assert_on_screen("240M used, quota 256M of at most 1G");
        terminal_press("End");
        terminal_expect("pressure: 64M to 128M, in force after 120us");
        assert_on_screen("Memory need  231M");
        terminal_press("q");
        terminal_expect("queries by state");
        terminal_press("h");
        terminal_expect("cancel the query, after a question");
        terminal_press("Escape");
        terminal_expect("queries by state");
        quit("q");
}

static void cancel_asks_and_reaches_the_service(void **state) {
        (void) state;
        open_top(80, 24);
        terminal_press("Down", "c");
        terminal_expect("Cancel query 2 (executing, pose of root)?");
        terminal_press("n");
        terminal_expect("F1 Help");
        assert_state("2", "executing");
        terminal_press("F9");
        terminal_expect("Cancel query 2");
        terminal_press("y");
        terminal_expect("query 2 is being canceled");
        terminal_expect("1 canceled");
        assert_state("2", "canceled");
        expect_order("1 3 5 4 6 7 2 8");
        terminal_press("c"); /* the cursor is still there */
        terminal_expect("query 2 has ended already");
        pose("state=executing", "quota=64M", "used=44M", "denied=yes");
        terminal_expect("44M");
        terminal_press("Home", "Down", "Enter");
        terminal_expect("Query 9 is executing");
        terminal_press("c");
        terminal_expect("Cancel query 9");
        terminal_press("y");
        terminal_expect("query 9: PermissionDenied: it is not yours");
        assert_on_screen("Query 9 is executing");
        quit("F10");
}

static void labels_cannot_command_the_terminal(void **state) {
        (void) state;
        pose("state=executing", "quota=64M", "label=evil\033]0;pwned\007\033[2J\033[31m\xc2\x9bH\xe2\x80\xae.");
        open_top(200, 50);
        terminal_expect("team=evil?]0;pwned??[2J");
        terminal_press("Down", "Down", "Enter");
        terminal_expect("Query 9 is executing");
        terminal_expect("team=evil?]0;pwned??[2J?[31m?H.");
        assert_string_not_equal(terminal_says("#{pane_title}"), "pwned");
        quit("F10");
}

static void another_size_is_taken_at_once(void **state) {
        (void) state;
        open_top(80, 24);
        terminal_resize(200, 50);
        terminal_expect("LABELS");
        terminal_resize(40, 10);
        terminal_expect_not("USER");
        terminal_expect("   1 executing  512M  433M  402M 187.0");
        terminal_resize(30, 5);
        terminal_expect("30x5 is too small:");
        terminal_resize(80, 24);
        terminal_expect("3200M in the pool");
        expect_order("1 2 3 5 4 6 7 8");
        quit("q");
}

/* A foreground or background colour in what selects how characters look. */
static bool has_colours(const char *screen) {
        for (const char *p = screen; (p = strstr(p, "\033[")); p++)
                for (const char *q = p + 2; *q >= '0' && *q <= ';'; q++)
                        if ((q[-1] == '[' || q[-1] == ';') && (*q == '3' || *q == '4') && q[1] >= '0' && q[1] <= '7')
                                return true;
        return false;
}

static void colours_are_shown_where_they_are_wanted(void **state) {
        static const char *const without[] = { "NO_COLOR=1", "TERM=vt100" };

        (void) state;
        open_top(80, 24);
        assert_true(has_colours(terminal_coloured_screen()));
        quit("q");
        for (unsigned i = 0; i < 2; i++) {
                terminal_open(80, 24, without[i]);
                terminal_enter(RUN_TOP);
                terminal_expect("402M");
                assert_false(has_colours(terminal_coloured_screen()));
                assert_non_null(strstr(terminal_coloured_screen(), "\033[7m")); /* the cursor is seen all the same */
                quit("q");
        }
        terminal_open(80, 24, "NO_COLOR="); /* empty counts as unset */
        terminal_enter(RUN_TOP);
        terminal_expect("402M");
        assert_true(has_colours(terminal_coloured_screen()));
        quit("q");
}

static void without_utf8_all_is_ascii(void **state) {
        (void) state;
        pose("state=executing", "quota=64M", "label=\xc3\xa4");
        terminal_open(200, 50, "LC_ALL=C");
        terminal_enter(RUN_TOP);
        terminal_expect("team=?");
        for (const char *p = terminal_screen(); *p; p++)
                assert_true(*p == '\n' || (*p >= ' ' && *p <= '~'));
        assert_on_screen("########--..");
        quit("q");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TOP_TEST(budget_slots_queue_and_rows_are_on_80x24),
                TOP_TEST(all_columns_are_on_200x50),
                TOP_TEST(it_is_sorted_filtered_and_reversed),
                TOP_TEST(a_query_is_inspected),
                TOP_TEST(cancel_asks_and_reaches_the_service),
                TOP_TEST(labels_cannot_command_the_terminal),
                TOP_TEST(another_size_is_taken_at_once),
                TOP_TEST(colours_are_shown_where_they_are_wanted),
                TOP_TEST(without_utf8_all_is_ascii),
        };

        return cmocka_run_group_tests_name("top", tests, terminal_server_start, terminal_server_stop);
}
