/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How a query ends, and what of its output is kept. */
#include "worker-bench.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NO_FDS ((WorkerExecuteFds) WORKER_EXECUTE_FDS_NONE)

static void exit_status_and_signal_are_told(void **state) {
        char *exits[] = { "sh", "-c", "exit 7", NULL }, *dies[] = { "sh", "-c", "kill -USR1 $$", NULL };
        Bench *b = *state;
        Launch l = bench_launch(exits);

        bench_run(b, &l, NO_FDS);
        assert_true(WIFEXITED(b->exited.wait_status) && WEXITSTATUS(b->exited.wait_status) == 7);
        assert_int_equal(b->exited.flags, 0);
        b->hellos = b->readies = b->exiteds = b->starteds = 0;
        l = bench_launch(dies);
        bench_run(b, &l, NO_FDS);
        assert_true(WIFSIGNALED(b->exited.wait_status) && WTERMSIG(b->exited.wait_status) == SIGUSR1);
}

static void the_last_of_stderr_is_kept(void **state) {
        char *argv[] = { "sh", "-c", "seq 1 5000 >&2; printf END >&2", NULL }; /* 23893 bytes and 3 */
        Bench *b = *state;
        Launch l = bench_launch(argv);

        bench_run(b, &l, NO_FDS);
        assert_int_equal(b->exited.stderr_bytes, 23896);
        assert_int_equal(b->exited.stderr_len, WORKER_STDERR_TAIL_MAX);
        assert_memory_equal(b->exited.stderr_tail + WORKER_STDERR_TAIL_MAX - 14, "\n4999\n5000\nEND", 14);
}

static void more_stderr_than_a_pipe_holds_blocks_nobody(void **state) {
        char *argv[] = { "sh", "-c", "head -c 3000000 /dev/zero >&2", NULL };
        Bench *b = *state;
        Launch l = bench_launch(argv);

        bench_run(b, &l, NO_FDS);
        assert_int_equal(b->exited.wait_status, 0);
        assert_int_equal(b->exited.stderr_bytes, 3000000);
}

static void the_callers_stderr_is_the_callers_alone(void **state) {
        char *argv[] = { "sh", "-c", "echo problem >&2", NULL }, buf[32];
        WorkerExecuteFds fds = WORKER_EXECUTE_FDS_NONE;
        Bench *b = *state;
        Launch l = bench_launch(argv);
        int err[2];

        assert_int_equal(pipe2(err, O_CLOEXEC), 0);
        fds.stderr_fd = err[1];
        bench_run(b, &l, fds);
        close(err[1]);
        assert_int_equal(read(err[0], buf, sizeof(buf)), 8);
        assert_int_equal(read(err[0], buf, sizeof(buf)), 0);
        assert_int_equal(b->exited.stderr_len, 0);
        close(err[0]);
}

static void a_reader_that_left_is_reported_once(void **state) {
        char *argv[] = { "sleep", "1000", NULL };
        Bench *b = *state;
        Launch l = bench_launch(argv);

        bench_start_worker(b);
        close(bench_execute(b, &l, NO_FDS));
        bench_wait(b, &b->readers_gone, 1);
        assert_int_equal(b->exiteds, 0); /* the verdict is penstockd's */
        bench_wait(b, &b->starteds, 1);
        assert_int_equal(kill(b->started.pid, SIGTERM), 0);
        bench_wait(b, &b->exiteds, 1);
        assert_int_equal(b->exited.flags, WORKER_EXITED_READER_GONE);
        assert_int_equal(b->readers_gone, 1);
        bench_finish(b);
}

static void a_full_pipe_holds_the_engine_back(void **state) {
        char *argv[] = { "sh", "-c", "head -c 200000 /dev/zero", NULL };
        Bench *b = *state;
        Launch l = bench_launch(argv);
        int results;

        bench_start_worker(b);
        results = bench_execute(b, &l, NO_FDS);
        bench_wait(b, &b->starteds, 1);
        for (unsigned i = 0; i < 10; i++)
                sd_event_run(b->event, 10 * USEC_PER_MSEC);
        assert_int_equal(b->exiteds, 0);
        bench_read_output(b, results); /* … to the end, which comes by itself */
        assert_int_equal(b->output_len, 200000);
        bench_wait(b, &b->exiteds, 1);
        assert_int_equal(b->exited.flags, 0);
        bench_finish(b);
}

static void background_children_die_and_the_reader_gets_its_end(void **state) {
        char *argv[] = { "sh", "-c", "setsid sh -c 'trap \"\" TERM HUP; (sleep 1000 &); sleep 1000' & echo hi",
                         NULL };
        Bench *b = *state;
        Launch l = bench_launch(argv);

        bench_need_real_groups(b); /* plain files kill nobody; the guest's tests cover such machines */
        bench_run(b, &l, NO_FDS);
        assert_int_equal(b->exited.wait_status, 0);
        assert_string_equal(b->output, "hi\n");
        assert_true(b->exited.flags & WORKER_EXITED_LEFTOVERS_KILLED);
}

static void orphans_leave_no_zombies(void **state) {
        char script[512];
        char *argv[] = { "sh", "-c", script, NULL };
        Bench *b = *state;
        Launch l = bench_launch(argv);
        int results;

        bench_start_worker(b);
        snprintf(script, sizeof(script),
                 "for i in 1 2 3 4 5 6 7 8 9; do (sleep 0 & sleep 0 &) ; done\n"
                 "for try in $(seq 1000); do n=0\n"
                 "for f in /proc/[0-9]*/stat; do read p c s parent rest < $f && [ \"$s$parent\" = Z%d ] && "
                 "n=$((n+1)); done\n"
                 "[ $n = 0 ] && break; done 2>/dev/null; echo $n\n",
                 (int) b->worker);
        results = bench_execute(b, &l, NO_FDS);
        bench_wait(b, &b->exiteds, 1);
        bench_read_output(b, results);
        assert_string_equal(b->output, "0\n");
        bench_finish(b);
}

static void detached_output_up_to_the_cap_is_whole(void **state) {
        char *argv[] = { "head", "-c", "100000", "/dev/zero", NULL };
        Bench *b = *state;
        Launch l = bench_launch(argv);
        struct stat st;
        int file;

        bench_start_worker(b);
        file = bench_execute_file(b, &l, NO_FDS, 100000);
        bench_wait(b, &b->exiteds, 1);
        assert_int_equal(b->exited.results_bytes, 100000);
        assert_int_equal(b->exited.flags, 0);
        assert_int_equal(b->exited.wait_status, 0);
        assert_int_equal(fstat(file, &st), 0);
        assert_int_equal(st.st_size, 100000);
        close(file);
        bench_finish(b);
}

static void detached_output_above_the_cap_is_cut_and_says_so(void **state) {
        char *endless[] = { "yes", NULL }, *one_more[] = { "head", "-c", "100001", "/dev/zero", NULL };
        char **argvs[] = { endless, one_more };

        for (size_t i = 0; i < 2; i++) {
                Bench *b = *state;
                Launch l = bench_launch(argvs[i]);
                struct stat st;
                int file;

                bench_start_worker(b);
                file = bench_execute_file(b, &l, NO_FDS, 100000);
                bench_wait(b, &b->exiteds, 1);
                assert_int_equal(b->exited.results_bytes, 100000);
                assert_int_equal(b->exited.flags, WORKER_EXITED_RESULTS_TRUNCATED);
                assert_int_equal(b->exited.results_errno, 0);
                if (i == 0) /* it wrote on into the closed pipe */
                        assert_true(WIFSIGNALED(b->exited.wait_status) && WTERMSIG(b->exited.wait_status) == SIGPIPE);
                assert_int_equal(fstat(file, &st), 0);
                assert_int_equal(st.st_size, 100000);
                close(file);
                bench_finish(b);
                b->hellos = b->readies = b->exiteds = 0;
        }
}

static void a_full_disk_ends_detached_output_with_its_errno(void **state) {
        char *argv[] = { "yes", NULL };
        WorkerExecuteFds fds = WORKER_EXECUTE_FDS_NONE;
        Bench *b = *state;
        Launch l = bench_launch(argv);

        bench_start_worker(b);
        fds.file_fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
        bench_execute_file(b, &l, fds, SIZE_INFINITY);
        bench_wait(b, &b->exiteds, 1);
        assert_int_equal(b->exited.flags, WORKER_EXITED_RESULTS_TRUNCATED);
        assert_int_equal(b->exited.results_errno, ENOSPC);
        assert_int_equal(b->exited.results_bytes, 0);
        close(fds.file_fd);
        bench_finish(b);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(exit_status_and_signal_are_told),
                TEST(the_last_of_stderr_is_kept),
                TEST(more_stderr_than_a_pipe_holds_blocks_nobody),
                TEST(the_callers_stderr_is_the_callers_alone),
                TEST(a_reader_that_left_is_reported_once),
                TEST(a_full_pipe_holds_the_engine_back),
                TEST(background_children_die_and_the_reader_gets_its_end),
                TEST(orphans_leave_no_zombies),
                TEST(detached_output_up_to_the_cap_is_whole),
                TEST(detached_output_above_the_cap_is_cut_and_says_so),
                TEST(a_full_disk_ends_detached_output_with_its_errno),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
