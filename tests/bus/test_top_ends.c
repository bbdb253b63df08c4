/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* penstockctl top: its ends, a service that goes away, terminals that will not do, options, and the batch. */
#include "top-scene.h"

/* What the shell had on its screen, its modes and the cursor are there again. */
static void assert_restored(void) {
        terminal_expect_says("#{alternate_on}", "0");
        terminal_expect_says("#{cursor_flag}", "1");
        assert_on_screen("mark");
        terminal_enter("[ \"$before\" = \"$(stty -g)\" ] && echo the modes are the same");
        terminal_expect("\nthe modes are the same");
}

static void each_end_restores_the_terminal(void **state) {
        static const struct {
                const char *key, *says;
        } ends[] = { { "q", "status=0" }, { "F10", "status=0" }, { "C-c", "status=0" } };
        static const struct {
                int signo;
                const char *says;
        } signals[] = { { SIGTERM, "status=143" }, { SIGHUP, "status=129" }, { SIGQUIT, "status=131" } };

        (void) state;
        for (unsigned i = 0; i < 6; i++) {
                terminal_open(80, 24, "");
                terminal_enter("ulimit -c 0; echo mark; before=$(stty -g)");
                terminal_enter(RUN_TOP);
                terminal_expect("402M");
                terminal_expect_says("#{alternate_on}", "1");
                terminal_expect_says("#{cursor_flag}", "0");
                if (i < 3)
                        terminal_press(ends[i].key);
                else {
                        char line[128];
                        Ctl c;

                        /* To what runs in the foreground of the terminal. */
                        snprintf(line, sizeof(line),
                                 "kill -%d $(ps -o pid=,stat= -t %s | awk '$2 ~ /\\+/ { print $1 }')",
                                 signals[i - 3].signo, terminal_says("#{pane_tty}"));
                        program_start(&c, (const char *const[]) { "/bin/sh", "-c", line, NULL });
                        ctl_finish(&c, "", 0);
                        assert_int_equal(ctl_exit_status(&c), 0);
                        ctl_done(&c);
                }
                terminal_expect(i < 3 ? ends[i].says : signals[i - 3].says);
                assert_restored();
        }
}

static void it_is_stopped_and_continued(void **state) {
        (void) state;
        terminal_open(80, 24, "");
        terminal_enter("echo mark; before=$(stty -g)");
        terminal_enter(RUN_TOP);
        terminal_expect("402M");
        terminal_press("C-z");
        terminal_expect("READY>");
        assert_restored();
        pose("state=executing", "quota=64M", "used=33M");
        terminal_enter("fg");
        terminal_expect("33M"); /* it goes on with what there is now */
        terminal_expect_says("#{alternate_on}", "1");
        terminal_press("h");
        terminal_expect("cancel the query, after a question");
        terminal_press("q", "q");
        terminal_expect_says("#{alternate_on}", "0");
        terminal_expect("READY>");
}

static void a_lost_terminal_ends_it(void **state) {
        char command[512];
        long deadline;
        pid_t pid;

        (void) state;
        snprintf(command, sizeof(command), "%s top -d 0.2", harness_variable("PENSTOCKCTL"));
        pid = terminal_open_command(80, 24, command);
        terminal_expect("402M");
        terminal_close();
        deadline = harness_now_msec() + DEADLINE_MSEC;
        while (kill(pid, 0) == 0) {
                assert_true(harness_now_msec() < deadline);
                usleep(10000);
        }
        assert_int_equal(errno, ESRCH);
}

static void a_service_that_goes_away_is_told_and_waited_for(void **state) {
        (void) state;
        open_top(80, 24);
        kill(harness_standin_pid(), SIGSTOP);
        terminal_expect("No answer from penstockd for");
        terminal_press("h"); /* keys work all the same */
        terminal_expect("cancel the query, after a question");
        terminal_press("q");
        kill(harness_standin_pid(), SIGCONT);
        terminal_expect_not("No answer");
        harness_stop_standin();
        terminal_expect("Not reachable since ");
        assert_on_screen("   1 root         executing  512M"); /* what was known last */
        terminal_press("c", "y");
        terminal_expect("Not reachable since ");
        harness_start_standin();
        terminal_expect_not("Not reachable since ");
        terminal_expect("There are no queries.");
        pose("state=executing", "quota=64M", "used=21M");
        terminal_expect("21M");
        quit("q");
}

static void an_update_does_not_ask_about_each_query(void **state) {
        unsigned long long before = 0, after = 0;
        char *at;
        Ctl c;

        (void) state;
        for (unsigned i = 0; i < 100; i++)
                pose("state=executing", "quota=64M", "need=5M");
        assert_int_equal(ctl_run(&c, "status", "--json"), 0);
        at = strstr(c.out_text, "\"describes\": ");
        assert_non_null(at);
        before = strtoull(at + strlen("\"describes\": "), NULL, 10);
        ctl_done(&c);
        terminal_open(80, 24, "");
        terminal_enter("\"$PENSTOCKCTL\" top -d 0.2 -n 5; echo status=$?");
        terminal_expect("status=0");
        assert_int_equal(ctl_run(&c, "status", "--json"), 0);
        at = strstr(c.out_text, "\"describes\": ");
        assert_non_null(at);
        after = strtoull(at + strlen("\"describes\": "), NULL, 10);
        ctl_done(&c);
        assert_true(after > before);
        assert_true(after - before <= 5 * 16); /* the lines that there are for rows */
}

static void without_a_terminal_it_says_what_to_do(void **state) {
        Ctl c;

        (void) state;
        assert_int_equal(ctl_run(&c, "top"), 1);
        assert_string_equal(c.out_text, "");
        assert_string_equal(c.err_text,
                            "penstockctl: top: standard output is no terminal; see `penstockctl list`, or "
                            "`penstockctl top --batch`\n");
        ctl_done(&c);
        terminal_open(80, 24, "TERM=dumb");
        terminal_enter(RUN_TOP);
        terminal_expect("status=1");
        assert_on_screen("a terminal of type 'dumb' can't show it");
        terminal_open(80, 24, "TERM=nonsense");
        terminal_enter(RUN_TOP);
        terminal_expect("status=1");
        assert_on_screen("a terminal of type 'nonsense' can't show it");
        terminal_open(80, 24, "");
        terminal_enter("\"$PENSTOCKCTL\" top </dev/null; echo status=$?");
        terminal_expect("status=1");
        assert_on_screen("standard input is no terminal");
}

static void wrong_options_are_told(void **state) {
        static const struct {
                const char *option, *value, *says;
        } rows[] = {
                { "--delay", "0.1", "'0.1' is no time from 200ms to 1h" },
                { "--delay", "2h", "'2h' is no time from 200ms to 1h" },
                { "--delay", "soon", "'soon' is no time" },
                { "--iterations", "0", "'0' is no number above 0" },
                { "--iterations", "-1", "'-1' is no number above 0" },
                { "--sort", "colour", "there is no column 'colour', but id, user, language" },
                { "--batch", "x", "there is an argument too many: 'x'" },
        };
        Ctl c;

        (void) state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                assert_int_equal(ctl_run(&c, "top", rows[i].option, rows[i].value), 2);
                if (!strstr(c.err_text, rows[i].says))
                        fail_msg("no \"%s\" in: %s", rows[i].says, c.err_text);
                ctl_done(&c);
        }
}

static void batch_is_plain_text(void **state) {
        Ctl c;

        (void) state;
        pose("state=executing", "quota=64M", "label=evil\033]0;pwned\007");
        assert_int_equal(ctl_run(&c, "top", "--batch", "-n", "2", "-d", "0.2", "--sort", "cpu", "--filter", "exec"),
                         0);
        assert_string_equal(c.err_text, "");
        assert_null(strchr(c.out_text, '\033'));
        assert_null(strchr(c.out_text, '\007'));
        assert_non_null(strstr(c.out_text, "] 896M of 4096M held\n"));
        assert_non_null(strstr(c.out_text, "4 of 9 queries with \"exec\", by cpu"));
        assert_non_null(strstr(c.out_text, " 187.0 "));
        assert_non_null(strstr(c.out_text, "wants 512M (nothing unused; MaxMemoryBytes)\n")); /* as long as it is */
        assert_non_null(strstr(c.out_text, "team=evil?]0;pwned?"));
        assert_null(strstr(c.out_text, "#1: a free slot"));
        assert_non_null(strstr(strstr(c.out_text, "Penstock stand-in") + 1, "\n\nPenstock stand-in"));
        ctl_done(&c);
        setenv("COLUMNS", "60", 1);
        assert_int_equal(ctl_run(&c, "top", "-b", "-n", "1"), 0);
        unsetenv("COLUMNS");
        assert_null(strstr(c.out_text, "LABELS"));
        assert_non_null(strstr(c.out_text, "\n   3 frozen     256M  240M  231M      2   31.0   0.0\n"));
        ctl_done(&c);
}

/* Last: takes service and bus away. */
static void a_lost_bus_is_told_and_leaves_the_keys(void **state) {
        Ctl c;

        (void) state;
        open_top(80, 24);
        harness_stop_bus();
        terminal_expect("Not reachable since ");
        terminal_press("h");
        terminal_expect("cancel the query, after a question");
        terminal_press("q");
        quit("q");
        assert_int_equal(ctl_run(&c, "top", "--batch"), 1);
        assert_non_null(strstr(c.err_text, "penstockctl: Unreachable: "));
        ctl_done(&c);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TOP_TEST(each_end_restores_the_terminal),
                TOP_TEST(it_is_stopped_and_continued),
                TOP_TEST(a_lost_terminal_ends_it),
                TOP_TEST(a_service_that_goes_away_is_told_and_waited_for),
                TOP_TEST(an_update_does_not_ask_about_each_query),
                TOP_TEST(without_a_terminal_it_says_what_to_do),
                TOP_TEST(wrong_options_are_told),
                TOP_TEST(batch_is_plain_text),
                TOP_TEST(a_lost_bus_is_told_and_leaves_the_keys),
        };

        return cmocka_run_group_tests_name("top-ends", tests, terminal_server_start, terminal_server_stop);
}
