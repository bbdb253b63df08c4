/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* penstockctl and libpenstock against the stand-in: what a caller sees of queries' ends, streams and signals. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "harness.h"

#define QUERY_BYTES_MAX (4u << 20)

/* The last ID that `submit` printed. */
static void submit(const char *language, const char *query, char id[static 32]) {
        Ctl c;

        assert_int_equal(ctl_run(&c, "submit", "--language", language, query), 0);
        snprintf(id, 32, "%.*s", (int) strcspn(c.out_text, "\n"), c.out_text);
        ctl_done(&c);
}

static void run_passes_streams_and_status_through(void **state) {
        Ctl c;

        (void) state;
        assert_int_equal(ctl_run(&c, "run", "-l", "shell", "echo out; echo err >&2; exit 3"), 3);
        assert_string_equal(c.out_text, "out\n");
        assert_string_equal(c.err_text, "err\npenstockctl: ExecutionFailed: the engine failed\n");
        ctl_done(&c);
        assert_int_equal(ctl_run(&c, "run", "-l", "shell", "kill -SEGV $$"), 128 + SIGSEGV);
        ctl_done(&c);
        assert_int_equal(ctl_run(&c, "run", "-l", "shell", "sleep 0.7"), 0);
        assert_string_equal(c.err_text, ""); /* no status line where there is no terminal */
        ctl_done(&c);
}

static void run_is_byte_exact(void **state) {
        Ctl c;

        (void) state;
        assert_int_equal(ctl_run(&c, "run", "-l", "shell", "printf 'a\\000\\377\\n'; head -c 3000000 /dev/zero"), 0);
        assert_int_equal(c.out_len, 3000004);
        assert_memory_equal(c.out_text, "a\0\377\n", 4);
        assert_int_equal(c.out_text[3000003], 0);
        ctl_done(&c);
        assert_int_equal(ctl_run(&c, "run", "--", "printf", "%s|", "", "-x", "a b", "\n", "\xc3\xa9", "--json"), 0);
        assert_string_equal(c.out_text, "|-x|a b|\n|\xc3\xa9|--json|");
        ctl_done(&c);
        assert_int_equal(ctl_run_input(&c, "in\0put", 6, (const char *const[]) { "run", "--", "cat", NULL }), 0);
        assert_int_equal(c.out_len, 6);
        ctl_done(&c);
}

static void run_sends_what_engines_are_promised(void **state) {
        Ctl c;

        (void) state;
        setenv("PENSTOCK_TEST_SECRET", "x", 1);
        setenv("LC_TIME", "C", 1);
        assert_int_equal(ctl_run(&c, "run", "-l", "dump", "--env", "A=1", "--env", "PENSTOCK_TEST_SECRET", "--label",
                                 "team=a=b", "--memory-max", "1.5G", "--timeout", "2min", "--queue-timeout",
                                 "infinity", "--priority", "-3", "-q", "--", "-- a comment", "-arg"),
                         0);
        assert_has(c.out_text, "query s 12 -- a comment\n");
        assert_has(c.out_text, "argv as -arg\n");
        assert_has(c.out_text, "environment a{ss} A=1\n");
        assert_has(c.out_text, "environment a{ss} LC_TIME=C\n");
        assert_has(c.out_text, "environment a{ss} PENSTOCK_TEST_SECRET=x\n");
        assert_has(c.out_text, "labels a{ss} team=a=b\n");
        assert_has(c.out_text, "memory_max_bytes t 1610612736\n");
        assert_has(c.out_text, "\ntimeout_usec t 120000000\n");
        assert_has(c.out_text, "queue_timeout_usec t 0\n");
        assert_has(c.out_text, "priority i -3\n");
        assert_has(c.out_text, "working_directory s ");
        assert_has(c.out_text, "limits a{s(tt)} NOFILE=");
        assert_has(c.out_text, "stderr h");
        assert_null(strstr(c.out_text, "MEMLOCK"));
        assert_null(strstr(c.out_text, "stdin h"));
        assert_null(strstr(c.out_text, "once"));
        ctl_done(&c);
        assert_int_equal(ctl_run(&c, "run", "-l", "dump", "--stdin", "--once", "q"), 0);
        assert_has(c.out_text, "stdin h");
        assert_has(c.out_text, "once b 1\n");
        assert_null(strstr(c.out_text, "SECRET"));
        ctl_done(&c);
        unsetenv("PENSTOCK_TEST_SECRET");
}

static void query_from_stdin_may_have_four_mebibytes(void **state) {
        static const char *const args[] = { "run", "-l", "dump", "-", NULL };
        char *text = malloc(QUERY_BYTES_MAX + 1);
        Ctl c;

        (void) state;
        memset(text, 'x', QUERY_BYTES_MAX + 1);
        assert_int_equal(ctl_run_input(&c, text, QUERY_BYTES_MAX, args), 0);
        assert_has(c.out_text, "query s 4194304 xxx");
        ctl_done(&c);
        assert_int_equal(ctl_run_input(&c, text, QUERY_BYTES_MAX + 1, args), 125);
        assert_string_equal(c.err_text, "penstockctl: InvalidArgument: query: 4194305 bytes, and a query may have "
                                        "4194304 at most\n");
        ctl_done(&c);
        text[1000] = '\0';
        assert_int_equal(ctl_run_input(&c, text, 2000, args), 125);
        assert_has(c.err_text, "InvalidArgument: query: byte 1000 (0x00) is a NUL");
        ctl_done(&c);
        free(text);
}

static void text_that_the_bus_cannot_carry_is_refused_by_place(void **state) {
        Ctl c;

        (void) state;
        assert_int_equal(ctl_run(&c, "run", "--", "echo", "ab\xff"), 125);
        assert_string_equal(c.err_text, "penstockctl: InvalidArgument: argv[1]: byte 2 (0xff) is not UTF-8\n");
        ctl_done(&c);
        assert_int_equal(ctl_run(&c, "run", "-l", "shell", "echo \xef\xbf\xbf"), 125);
        assert_has(c.err_text, "InvalidArgument: query: byte 5 (0xef) is a Unicode noncharacter");
        ctl_done(&c);
        assert_int_equal(ctl_run(&c, "submit", "-l", "shell", "\xc3("), 1);
        assert_has(c.err_text, "query: byte 0");
        ctl_done(&c);
}

static void errors_become_statuses(void **state) {
        static const struct {
                const char *name;
                int status;
        } rows[] = {
                { "Timeout", 124 },           { "QueueTimeout", 124 },          { "MemoryLimitExceeded", 137 },
                { "CompilationFailed", 125 }, { "MemoryBudgetExhausted", 137 }, { "Canceled", 125 },
        };
        char line[128];
        Ctl c;

        (void) state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                assert_int_equal(ctl_run(&c, "run", "-l", "fail", rows[i].name), rows[i].status);
                snprintf(line, sizeof(line), "penstockctl: %s: it was asked to fail\n", rows[i].name);
                assert_has(c.err_text, line);
                ctl_done(&c);
        }
        assert_int_equal(ctl_run(&c, "run", "-l", "fail", "Internal"), 125);
        assert_string_equal(c.err_text,
                            "penstockctl: Internal: it was asked to fail; see: journalctl -u penstockd\n");
        ctl_done(&c);
        assert_int_equal(ctl_run(&c, "run", "-l", "fail", "CompilationFailed"), 125);
        assert_has(c.err_text, "line 1: syntax error\n");
        ctl_done(&c);
        assert_int_equal(ctl_run(&c, "run", "-l", "refuse", "QueueLengthExceeded"), 125);
        assert_string_equal(c.err_text, "penstockctl: QueueLengthExceeded: it was asked to refuse\n");
        ctl_done(&c);
        assert_int_equal(ctl_run(&c, "submit", "-l", "refuse", "PermissionDenied"), 1);
        assert_string_equal(c.err_text, "penstockctl: PermissionDenied: it was asked to refuse\n");
        ctl_done(&c);
}

static void wrong_usage_is_told_apart_from_the_engine(void **state) {
        Ctl c;

        (void) state;
        assert_int_equal(ctl_run(&c, "run", "select 1"), 125);
        assert_has(c.err_text, "--language LANGUAGE (exec, shell)");
        ctl_done(&c);
        assert_int_equal(ctl_run(&c, "run", "--frobnicate"), 125);
        ctl_done(&c);
        assert_int_equal(ctl_run(&c, "run", "-l", "shell", "--memory-max", "-5", "true"), 125);
        assert_has(c.err_text, "InvalidArgument: --memory-max: '-5'");
        ctl_done(&c);
        assert_int_equal(ctl_run(&c, "run", "-l", "shell", "--memory-max", "99999999999999999999G", "true"), 125);
        assert_has(c.err_text, "InvalidArgument");
        ctl_done(&c);
        assert_int_equal(ctl_run(&c, "list", "x"), 2);
        ctl_done(&c);
        assert_int_equal(ctl_run(&c, "show", "x"), 2);
        ctl_done(&c);
        assert_int_equal(ctl_run(&c, "wait", "x"), 125);
        ctl_done(&c);
        assert_int_equal(ctl_run(&c, "run", "--help"), 0);
        assert_has(c.out_text, "--memory-max");
        ctl_done(&c);
}

static void interrupt_cancels_and_waits(void **state) {
        Ctl c;

        (void) state;
        ctl_start(&c, (const char *const[]) { "run", "-l", "shell", "echo ready; sleep 100", NULL });
        ctl_expect(&c, "ready");
        kill(c.pid, SIGINT);
        ctl_finish(&c, "", 0);
        assert_int_equal(ctl_exit_status(&c), 125);
        assert_string_equal(c.err_text, "penstockctl: Canceled: the query was canceled\n");
        ctl_done(&c);
}

static void interrupt_is_heard_though_nobody_reads(void **state) {
        Ctl c;

        (void) state;
        ctl_start(&c, (const char *const[]) { "run", "-l", "shell", "yes ready", NULL });
        ctl_expect(&c, "ready");
        kill(c.pid, SIGTERM);
        ctl_finish_unread(&c);
        assert_int_equal(ctl_exit_status(&c), 125);
        ctl_done(&c);
}

static void second_interrupt_leaves_at_once(void **state) {
        bool left;
        Ctl c;

        (void) state;
        ctl_start(&c, (const char *const[]) { "run", "-l", "shell", "echo ready; sleep 100", NULL });
        ctl_expect(&c, "ready");
        kill(harness_standin_pid(), SIGSTOP);
        left = ctl_kill_until_exit(&c, SIGINT);
        kill(harness_standin_pid(), SIGCONT);
        assert_true(left);
        ctl_finish(&c, "", 0);
        assert_int_equal(ctl_exit_status(&c), 125);
        ctl_done(&c);
}

static void lost_reader_ends_the_query(void **state) {
        static const char *const queries[] = { "yes ready", "echo ready; sleep 100" };
        Ctl c;

        (void) state;
        for (size_t i = 0; i < 2; i++) {
                ctl_start(&c, (const char *const[]) { "run", "-l", "shell", queries[i], NULL });
                ctl_expect(&c, "ready");
                ctl_close_out(&c);
                ctl_finish(&c, "", 0);
                assert_int_equal(ctl_exit_status(&c), 1000 + SIGPIPE);
                assert_string_equal(c.err_text, "");
                ctl_done(&c);
        }
        /* Those were Done by their own run, so nothing is left that lives. */
        assert_int_equal(ctl_run(&c, "list", "--json"), 0);
        assert_null(strstr(c.out_text, "executing"));
        ctl_done(&c);
}

static void detached_query_is_waited_for_and_read(void **state) {
        char id[32], *waited;
        Ctl c;

        (void) state;
        submit("shell", "echo one; sleep 0.3; echo two; exit 4", id);
        assert_int_equal(ctl_run(&c, "results", "--follow", id), 4); /* as `wait` */
        assert_string_equal(c.out_text, "one\ntwo\n");
        assert_string_equal(c.err_text, "penstockctl: ExecutionFailed: the engine failed\n");
        ctl_done(&c);
        assert_int_equal(ctl_run(&c, "wait", id), 4);
        assert_string_equal(c.err_text, "penstockctl: ExecutionFailed: the engine failed\n");
        assert_string_equal(c.out_text, "");
        ctl_done(&c);
        assert_int_equal(ctl_run(&c, "wait", "--json", id), 4);
        assert_has(c.out_text, "\"state\": \"errored\"");
        waited = c.out_text;
        c.out_text = NULL;
        ctl_done(&c);
        assert_int_equal(ctl_run(&c, "results", id), 0);
        assert_string_equal(c.out_text, "one\ntwo\n");
        assert_string_equal(c.err_text, "penstockctl: the query has failed (ExecutionFailed); there may be less here than it was to write\n");
        ctl_done(&c);
        assert_int_equal(ctl_run(&c, "show", "--json", id), 0);
        assert_has(c.out_text, "\"state\": \"errored\"");
        assert_has(c.out_text, "\"name\": \"ExecutionFailed\"");
        assert_has(c.out_text, "\"exit_status\": 4");
        assert_has(c.out_text, "\"learned\": true");
        assert_has(c.out_text, "\"raises_saved\": 2");
        assert_has(c.out_text, "\"retries\": 1");
        assert_string_equal(waited, c.out_text);
        free(waited);
        ctl_done(&c);
        assert_int_equal(ctl_run(&c, "show", id), 0);
        assert_has(c.out_text, "Initial quota: 160M, learned, which saved 2 raises\n");
        assert_has(c.out_text, "Retries: 1, since the budget ended it\n");
        ctl_done(&c);
        assert_int_equal(ctl_run(&c, "stats", id), 0);
        assert_has(c.out_text, "Initial quota: 160M, learned, which saved 2 raises\n");
        assert_has(c.out_text, "Retries: 1, since the budget ended it\n");
        ctl_done(&c);
        assert_int_equal(ctl_run(&c, "stats", "--json", id), 0);
        assert_has(c.out_text, "\"initial_bytes\": 167772160");
        assert_has(c.out_text, "\"raise_log\": [");
        assert_has(c.out_text, "\"new_limit_bytes\": 134217728");
        assert_has(c.out_text, "\"runtime_errors\": []");
        ctl_done(&c);
        assert_int_equal(ctl_run(&c, "why", id), 0);
        assert_has(c.out_text, "is errored: ExecutionFailed: the engine failed");
        ctl_done(&c);
        assert_int_equal(ctl_run(&c, "done", id, id), 0); /* idempotent */
        ctl_done(&c);
        assert_int_equal(ctl_run(&c, "show", id), 0); /* and still known */
        ctl_done(&c);
}

static void cancel_returns_when_it_is_gone(void **state) {
        char id[32], other[32];
        Ctl c;

        (void) state;
        submit("shell", "sleep 100", id);
        submit("shell", "sleep 100", other);
        assert_int_equal(ctl_run(&c, "cancel", id, "999999", other), 1);
        assert_string_equal(c.err_text, "penstockctl: NoSuchQuery: there is no query 999999; "
                                        "`penstockctl list` shows those that are known\n");
        ctl_done(&c);
        assert_int_equal(ctl_run(&c, "show", "--json", other), 0);
        assert_has(c.out_text, "\"state\": \"canceled\"");
        ctl_done(&c);
        assert_int_equal(ctl_run(&c, "wait", id), 125);
        ctl_done(&c);
        submit("shell", "sleep 100", id);
        assert_int_equal(ctl_run(&c, "done", "--json", id), 0); /* cancels first */
        assert_has(c.out_text, "\"total_usec\"");
        ctl_done(&c);
}

static void restart_of_the_service_is_waited_out(void **state) {
        Ctl c;

        (void) state;
        assert_int_equal(ctl_run(&c, "run", "-l", "bounce", "x"), 0);
        assert_string_equal(c.err_text, "");
        ctl_done(&c);
}

static void service_calls_answer_plainly(void **state) {
        Ctl c;

        (void) state;
        assert_int_equal(ctl_run(&c, "status", "--json"), 0);
        assert_has(c.out_text, "\"max_memory_bytes\": 4294967296");
        assert_has(c.out_text, "\"shutdown_timeout_usec\": 90000000");
        ctl_done(&c);
        assert_int_equal(ctl_run(&c, "languages", "--json"), 0);
        assert_has(c.out_text, "\"description\": \"POSIX shell\"");
        assert_has(c.out_text, "\"memory_note\": \"Needs little.\"");
        assert_has(c.out_text, "\"memory_note\": null");
        ctl_done(&c);
        assert_int_equal(ctl_run(&c, "pause"), 0);
        ctl_done(&c);
        assert_int_equal(ctl_run(&c, "status"), 0);
        assert_has(c.out_text, "penstockctl resume");
        ctl_done(&c);
        assert_int_equal(ctl_run(&c, "shutdown"), 0); /* it is 0: not without limit */
        ctl_done(&c);
        assert_int_equal(ctl_run(&c, "metrics"), 1);
        assert_string_equal(c.err_text, "penstockctl: this version of penstockd has no metrics\n");
        ctl_done(&c);
        assert_int_equal(ctl_run(&c, "resume"), 0);
        ctl_done(&c);
        assert_int_equal(ctl_run(&c, "metrics"), 0);
        assert_has(c.out_text, "\npenstock_all_active{team=\"a \\\"b\\\"\"} 2\n");
        ctl_done(&c);
        assert_int_equal(ctl_run(&c, "metrics", "--json"), 0);
        assert_has(c.out_text, "\"team\": \"a \\\"b\\\"\"");
        ctl_done(&c);
        assert_int_equal(ctl_run(&c, "shutdown"), 1); /* the service's own timeout is the default */
        assert_string_equal(c.err_text, "penstockctl: Timeout: asked for 90000000\n");
        ctl_done(&c);
        assert_int_equal(ctl_run(&c, "shutdown", "--timeout", "0"), 0);
        assert_has(c.err_text, "systemctl restart penstockd");
        ctl_done(&c);
}

/* Last: takes the service away. */
static void nobody_there_says_what_to_do(void **state) {
        char address[256];
        Ctl c;

        (void) state;
        harness_stop_standin();
        assert_int_equal(ctl_run(&c, "run", "-l", "shell", "true"), 125);
        assert_has(c.err_text, "penstockctl: Unreachable: ");
        assert_has(c.err_text, "systemctl status penstockd");
        ctl_done(&c);
        assert_int_equal(ctl_run(&c, "wait", "1"), 125);
        ctl_done(&c);
        assert_int_equal(ctl_run(&c, "list"), 1);
        ctl_done(&c);
        snprintf(address, sizeof(address), "%s", getenv("DBUS_SYSTEM_BUS_ADDRESS"));
        setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus", 1);
        assert_int_equal(ctl_run(&c, "run", "-l", "shell", "true"), 125);
        assert_has(c.err_text, "the system bus cannot be reached");
        ctl_done(&c);
        setenv("DBUS_SYSTEM_BUS_ADDRESS", address, 1);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(run_passes_streams_and_status_through),
                cmocka_unit_test(run_is_byte_exact),
                cmocka_unit_test(run_sends_what_engines_are_promised),
                cmocka_unit_test(query_from_stdin_may_have_four_mebibytes),
                cmocka_unit_test(text_that_the_bus_cannot_carry_is_refused_by_place),
                cmocka_unit_test(errors_become_statuses),
                cmocka_unit_test(wrong_usage_is_told_apart_from_the_engine),
                cmocka_unit_test(interrupt_cancels_and_waits),
                cmocka_unit_test(interrupt_is_heard_though_nobody_reads),
                cmocka_unit_test(second_interrupt_leaves_at_once),
                cmocka_unit_test(lost_reader_ends_the_query),
                cmocka_unit_test(detached_query_is_waited_for_and_read),
                cmocka_unit_test(cancel_returns_when_it_is_gone),
                cmocka_unit_test(restart_of_the_service_is_waited_out),
                cmocka_unit_test(service_calls_answer_plainly),
                cmocka_unit_test(nobody_there_says_what_to_do),
        };

        return cmocka_run_group_tests_name("ctl", tests, harness_start, harness_stop);
}
