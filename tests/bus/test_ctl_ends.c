/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How `run` and its kin end where something is missing: an answer, a reader, a descriptor, a terminal's front. */
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

static void assert_has(const char *text, const char *part) {
        if (!strstr(text, part))
                fail_msg("no \"%s\" in: %s", part, text);
}

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

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(interrupt_cancels_though_the_call_fails),
                cmocka_unit_test(lost_reader_of_a_socket_ends_the_query),
        };

        return cmocka_run_group_tests_name("ctl-ends", tests, harness_start, harness_stop);
}
