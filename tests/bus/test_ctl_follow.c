/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* `results --follow`, and the end of `run`, while the service is away. */
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
#include "penstock.h"

static char directory[] = "/tmp/penstock-follow-XXXXXX";

static void mark(const char *name, bool wanted) {
        char path[128];
        FILE *f;

        snprintf(path, sizeof(path), "%s/%s", directory, name);
        if (!wanted) {
                unlink(path);
                return;
        }
        f = fopen(path, "we");
        assert_non_null(f);
        fclose(f);
}

/* How often the stand-in was asked about a query; -1: it is away. */
static int64_t describes(PenstockClient *c) {
        PenstockInfo *info = NULL;
        uint64_t n;

        if (penstock_client_status(c, &info, NULL) < 0)
                return -1;
        assert_int_equal(penstock_info_get_u64(info, "describes", &n), 0);
        penstock_info_free(info);
        return (int64_t) n;
}

static void wait_until(PenstockClient *c, int64_t from, int64_t to) {
        long end = harness_now_msec() + DEADLINE_MSEC;
        int64_t n;

        do {
                n = describes(c);
                assert_true(harness_now_msec() < end);
        } while (n < from || n > to);
}

/* It writes "two" only after `wait` and it have asked in vain more than once; what starts the service leaves a mark. */
static void it_goes_on_when_the_service_comes_back_and_starts_nobody(void **state) {
        char query[512];
        PenstockClient *client = NULL;
        Ctl c, follow, wait;

        (void) state;
        assert_int_equal(penstock_client_new(&client, NULL), 0);
        penstock_client_set_auto_start(client, false);
        snprintf(query, sizeof(query),
                 "cd %s; echo one; until test -e away; do sleep 0.05; done; sleep 1.5; echo two; "
                 "until test -e back; do sleep 0.05; done; echo three; exit 3",
                 directory);
        assert_int_equal(ctl_run(&c, "submit", "-l", "shell", query), 0);
        assert_string_equal(c.out_text, "1\n");
        ctl_done(&c);
        ctl_start(&wait, (const char *const[]) { "wait", "1", NULL });
        ctl_start(&follow, (const char *const[]) { "results", "--follow", "1", NULL });
        ctl_expect(&follow, "one\n");
        wait_until(client, 2, INT64_MAX); /* both have heard of it */
        kill(harness_standin_pid(), SIGUSR1);
        wait_until(client, -1, -1);
        mark("away", true);
        ctl_expect(&follow, "two\n");
        assert_false(harness_was_started());
        kill(harness_standin_pid(), SIGUSR2);
        wait_until(client, 0, INT64_MAX);
        mark("back", true);
        ctl_finish(&follow, "", 0);
        assert_string_equal(follow.err_text, "penstockctl: ExecutionFailed: the engine failed\n");
        assert_string_equal(follow.out_text, "one\ntwo\nthree\n");
        assert_int_equal(ctl_exit_status(&follow), 3);
        ctl_finish(&wait, "", 0);
        assert_int_equal(ctl_exit_status(&wait), 3);
        assert_false(harness_was_started());
        ctl_done(&follow);
        ctl_done(&wait);
        mark("away", false);
        mark("back", false);
        penstock_client_free(client);
}

/* Its reader pages: all is not read when the query has ended and the service is stopped. */
static void run_starts_nobody_after_its_query_has_ended(void **state) {
        PenstockClient *client = NULL;
        int64_t before;
        Ctl run, list;

        (void) state;
        assert_int_equal(penstock_client_new(&client, NULL), 0);
        penstock_client_set_auto_start(client, false);
        before = describes(client);
        ctl_start(&run, (const char *const[]) { "run", "-l", "shell", "head -c 100000 /dev/zero", NULL });
        for (bool has_ended = false; !has_ended; ctl_done(&list)) {
                assert_int_equal(ctl_run(&list, "list"), 0);
                has_ended = strstr(list.out_text, "finished");
        }
        wait_until(client, before + 2, INT64_MAX); /* it has heard of that */
        kill(harness_standin_pid(), SIGUSR1);
        wait_until(client, -1, -1);
        assert_false(harness_was_started());
        ctl_finish(&run, "", 0);
        assert_int_equal(run.out_len, 100000);
        assert_int_equal(ctl_exit_status(&run), 0);
        assert_false(harness_was_started());
        ctl_done(&run);
        penstock_client_free(client);
}

static int start(void **state) {
        assert_non_null(mkdtemp(directory));
        return harness_start_with_activation(state);
}

static int stop(void **state) {
        rmdir(directory);
        return harness_stop_with_activation(state);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(it_goes_on_when_the_service_comes_back_and_starts_nobody),
                cmocka_unit_test(run_starts_nobody_after_its_query_has_ended),
        };

        return cmocka_run_group_tests_name("ctl-follow", tests, start, stop);
}
