/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Signals to a group that makes processes without end: a pipe in place of its cgroup.procs, which has ever another one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "host/cgroup_private.h"

#define PATIENCE_SEC 10
#define NO_PID 5000000 /* above the highest there can be */

/* In a child of its own, with a new pid each time. */
static void fork_without_end(const char *procs) {
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void) signal(SIGPIPE, SIG_IGN);
        for (long pid = NO_PID;;) {
                FILE *f = fopen(procs, "we");

                while (f && fprintf(f, "%ld\n", pid) > 0)
                        pid++;
                if (f)
                        fclose(f);
        }
}

static void one_that_forks_faster_than_it_is_signalled_is_left_to_the_kill(void **state) {
        char dir[] = "/tmp/test-cgroup-signal.XXXXXX", procs[64];
        QueryGroups g = { .unit_cgroup = (char *) "/penstock.slice/penstock-q0.service", .pids = memfd_create("pids.current", MFD_CLOEXEC) };
        pid_t child;

        (void) state;
        assert_non_null(mkdtemp(dir));
        snprintf(procs, sizeof(procs), "%s/cgroup.procs", dir);
        assert_int_equal(mkfifo(procs, 0600), 0);
        g.engine_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(g.engine_fd >= 0 && g.pids >= 0);
        assert_int_equal(write(g.pids, "3\n", 2), 2);
        child = fork();
        assert_true(child >= 0);
        if (child == 0)
                fork_without_end(procs);
        alarm(PATIENCE_SEC); /* ends the test */
        assert_int_equal(query_groups_signal(&g, SIGTERM), 0);
        alarm(0);
        (void) kill(child, SIGKILL);
        assert_int_equal(waitpid(child, NULL, 0), child);
        close(g.engine_fd);
        close(g.pids);
        assert_int_equal(unlink(procs), 0);
        assert_int_equal(rmdir(dir), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(one_that_forks_faster_than_it_is_signalled_is_left_to_the_kill),
        };

        return cmocka_run_group_tests_name("cgroup-signal", tests, NULL, NULL);
}
