/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How `run` and its kin end where something is missing: an answer, a reader, a descriptor, a terminal's front. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "harness.h"

static void assert_nothing_executes(void) {
        Ctl c;

        assert_int_equal(ctl_run(&c, "list", "--json"), 0);
        assert_null(strstr(c.out_text, "executing"));
        ctl_done(&c);
}

static void interrupt_cancels_though_the_call_fails(void **state) {
        Ctl c;

        (void) state;
        ctl_start(&c, (const char *const[]) { "run", "-l", "shell-kept", "echo ready; sleep 100", NULL });
        ctl_expect(&c, "ready");
        kill(c.pid, SIGINT);
        ctl_finish(&c, "", 0);
        assert_int_equal(ctl_exit_status(&c), 125);
        assert_has(c.err_text, "penstockctl: Canceled: the query was canceled\n");
        ctl_done(&c);
        assert_nothing_executes();
}

/* Who closes a socket leaves no EPOLLERR behind, as at a pipe, but EPOLLHUP. */
static void lost_reader_of_a_socket_ends_the_query(void **state) {
        Ctl c;

        (void) state;
        ctl_start_on_socket(&c, (const char *const[]) { "run", "-l", "shell", "echo ready; sleep 100", NULL });
        ctl_expect(&c, "ready");
        ctl_close_out(&c);
        ctl_finish(&c, "", 0);
        assert_int_equal(ctl_exit_status(&c), 1000 + SIGPIPE);
        assert_string_equal(c.err_text, "");
        ctl_done(&c);
        assert_nothing_executes();
}

/* As a program that reads by events leaves the pipe which it shares with its child. */
static void results_wait_for_room_in_a_pipe_that_does_not_block(void **state) {
        const char *const argv[] = { harness_variable("PENSTOCKCTL"), "results", "1", NULL };
        size_t sum = 0;
        int out[2], status;
        char buf[4096];
        ssize_t n;
        pid_t pid;
        Ctl c;

        (void) state;
        assert_int_equal(ctl_run(&c, "submit", "-l", "shell", "head -c 300000 /dev/zero"), 0);
        assert_string_equal(c.out_text, "1\n");
        ctl_done(&c);
        assert_int_equal(ctl_run(&c, "wait", "1"), 0);
        ctl_done(&c);
        assert_int_equal(pipe2(out, O_CLOEXEC), 0);
        assert_int_equal(fcntl(out[1], F_SETFL, O_NONBLOCK), 0);
        pid = harness_spawn(argv, (int[]) { -1, out[1], -1 });
        close(out[1]);
        for (; (n = read(out[0], buf, sizeof(buf))) > 0; usleep(1000)) /* so that there is no room more often than not */
                sum += (size_t) n;
        close(out[0]);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(sum, 300000);
        assert_int_equal(status, 0);
}

/* penstockctl, which is $0, by a shell that closes what is asked for. */
static int shell_run(Ctl *c, const char *line) {
        program_start(c, (const char *const[]) { "/bin/sh", "-c", line, harness_variable("PENSTOCKCTL"), NULL });
        ctl_finish(c, "", 0);
        return ctl_exit_status(c);
}

static void a_closed_stdout_loses_nothing_in_silence(void **state) {
        static const struct {
                const char *line;
                int status;
        } rows[] = {
                { "exec \"$0\" submit -l shell true >&-", 1 }, { "exec \"$0\" submit --json -l shell true >&-", 1 },
                { "exec \"$0\" list >&-", 1 },                 { "exec \"$0\" run -l shell 'echo out' >&-", 125 },
                { "exec \"$0\" help >&- <&-", 1 },             { "exec \"$0\" list --json >&- 2>&-", 1 },
        };
        Ctl c;

        (void) state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                assert_int_equal(shell_run(&c, rows[i].line), rows[i].status);
                if (!strstr(rows[i].line, "2>&-"))
                        assert_has(c.err_text, "penstockctl: cannot write to standard output: Bad file descriptor\n");
                ctl_done(&c);
        }
}

static void a_closed_stdin_is_empty_for_the_query(void **state) {
        Ctl c;

        (void) state;
        assert_int_equal(shell_run(&c, "exec \"$0\" run -- sh -c 'cat && echo empty' <&-"), 0);
        assert_string_equal(c.out_text, "empty\n");
        ctl_done(&c);
        assert_int_equal(shell_run(&c, "exec \"$0\" run -l shell --stdin 'cat && echo empty' <&- 2>&-"), 0);
        assert_string_equal(c.out_text, "empty\n");
        ctl_done(&c);
        /* but no query can be read from it */
        assert_int_equal(shell_run(&c, "exec \"$0\" run -l shell - <&-"), 125);
        assert_has(c.err_text, "cannot read the query from standard input: Bad file descriptor");
        ctl_done(&c);
}

static void a_closed_stderr_takes_what_the_query_writes(void **state) {
        Ctl c;

        (void) state;
        assert_int_equal(shell_run(&c, "exec \"$0\" run -- sh -c 'echo err >&2 && echo out' 2>&-"), 0);
        assert_string_equal(c.out_text, "out\n");
        ctl_done(&c);
        assert_int_equal(shell_run(&c, "exec \"$0\" run -l shell 'exit 3' 2>&-"), 3);
        ctl_done(&c);
}

/* "ls -la" is --language a for getopt, which takes options from anywhere. */
static void an_option_of_the_command_is_answered_with_the_dashes(void **state) {
        static const char hint[] = "; a command and its own options stand behind --\n";
        Ctl c;

        (void) state;
        assert_int_equal(ctl_run(&c, "run", "ls", "-la"), 125);
        assert_has(c.err_text, "penstockctl: UnknownLanguage: there is no language a");
        assert_has(c.err_text, hint);
        ctl_done(&c);
        assert_int_equal(ctl_run(&c, "submit", "ls", "-la"), 1);
        assert_has(c.err_text, hint);
        ctl_done(&c);
        /* but not where it was meant so, or another thing is wrong */
        assert_int_equal(ctl_run(&c, "run", "-l", "a", "ls"), 125);
        assert_has(c.err_text, "penstockctl: UnknownLanguage: there is no language a\n");
        ctl_done(&c);
        assert_int_equal(ctl_run(&c, "run", "QueueLengthExceeded", "-l", "refuse"), 125);
        assert_has(c.err_text, "it was asked to refuse\n");
        ctl_done(&c);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(results_wait_for_room_in_a_pipe_that_does_not_block),
                cmocka_unit_test(interrupt_cancels_though_the_call_fails),
                cmocka_unit_test(lost_reader_of_a_socket_ends_the_query),
                cmocka_unit_test(a_closed_stdout_loses_nothing_in_silence),
                cmocka_unit_test(a_closed_stdin_is_empty_for_the_query),
                cmocka_unit_test(a_closed_stderr_takes_what_the_query_writes),
                cmocka_unit_test(an_option_of_the_command_is_answered_with_the_dashes),
        };

        return cmocka_run_group_tests_name("ctl-ends", tests, harness_start, harness_stop);
}
