/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a lost penstockd does not lose, the compile step, and the ways in which others end a worker. */
#include "worker-bench.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define NO_FDS ((WorkerExecuteFds) WORKER_EXECUTE_FDS_NONE)

static void kill_engine_group(Bench *b) {
        assert_int_equal(pwrite(b->groups[WORKER_GROUP_ENGINE_KILL], "1", 1, 0), 1);
}

/* penstockd restarts: the listening socket stays, connections break. */
static void reconnect(Bench *b) {
        unsigned hellos = b->hellos;

        worker_conn_close(b->conn);
        b->conn = NULL;
        bench_wait(b, &b->hellos, hellos + 1);
}

static void an_end_is_told_until_it_is_acknowledged(void **state) {
        char *argv[] = { "sh", "-c", "echo bad >&2; exit 3", NULL };
        Bench *b = *state;
        Launch l = bench_launch(argv);

        bench_start_worker(b);
        bench_read_output(b, bench_execute(b, &l, NO_FDS));
        bench_wait(b, &b->exiteds, 1);
        for (unsigned i = 2; i < 5; i++) {
                memset(&b->exited, 0, sizeof(b->exited));
                reconnect(b);
                assert_int_equal(b->hello.phase, WORKER_PHASE_ENDED);
                bench_wait(b, &b->exiteds, i);
                assert_int_equal(WEXITSTATUS(b->exited.wait_status), 3);
                assert_memory_equal(b->exited.stderr_tail, "bad\n", 4);
        }
        bench_finish(b);
}

static void a_failed_start_is_told_again_too(void **state) {
        char *argv[] = { "no-such-program", NULL };
        Bench *b = *state;
        Launch l = bench_launch(argv);

        bench_start_worker(b);
        bench_read_output(b, bench_execute(b, &l, NO_FDS));
        bench_wait(b, &b->faileds, 1);
        reconnect(b);
        bench_wait(b, &b->faileds, 2);
        assert_int_equal(b->failed.error, ENOENT);
        bench_finish(b);
}

static void a_running_query_outlives_penstockd(void **state) {
        char *argv[] = { "sh", "-c", "read x; echo got $x", NULL };
        WorkerExecuteFds fds = WORKER_EXECUTE_FDS_NONE;
        Bench *b = *state;
        Launch l = bench_launch(argv);
        int in[2], results;

        bench_start_worker(b);
        l.stdin_from = STDIN_CALLER;
        assert_int_equal(pipe2(in, O_CLOEXEC), 0);
        fds.stdin_fd = in[0];
        results = bench_execute(b, &l, fds);
        close(in[0]);
        bench_wait(b, &b->starteds, 1);
        reconnect(b);
        assert_int_equal(b->hello.phase, WORKER_PHASE_EXECUTING);
        bench_wait(b, &b->starteds, 2);
        assert_int_equal(worker_conn_send_groups(b->conn, b->groups), 0); /* as for any HELLO; changes nothing */
        assert_int_equal(write(in[1], "it\n", 3), 3);
        close(in[1]);
        bench_read_output(b, results);
        assert_string_equal(b->output, "got it\n");
        bench_wait(b, &b->exiteds, 1);
        bench_finish(b);
}

static void compile_then_execute(void **state) {
        char *check[] = { "sh", "-c", "cat >&2; id -u >&2; cat /proc/self/cgroup >&2; exit 4", NULL };
        char *argv[] = { "cat", NULL };
        WorkerExecuteFds fds = WORKER_EXECUTE_FDS_NONE;
        Bench *b = *state;
        Launch l = bench_launch(check);
        int launch, results;

        bench_start_worker(b);
        l.stdin_from = STDIN_QUERY;
        fds.query_fd = launch_query_memfd("q\n", 2);
        launch = launch_memfd(&l);
        assert_int_equal(worker_conn_send_compile(b->conn, launch, fds.query_fd), 0);
        close(launch);
        bench_wait(b, &b->compileds, 1);
        assert_int_equal(b->compiled.step, WORKER_STEP_NONE);
        assert_int_equal(WEXITSTATUS(b->compiled.wait_status), 4);
        assert_memory_equal(b->compiled.stderr_tail, "q\n61234\n", 8);
        if (b->cgroup[0])
                assert_non_null(memmem(b->compiled.stderr_tail, b->compiled.stderr_len, "/compile\n", 9));
        reconnect(b);
        assert_int_equal(b->hello.phase, WORKER_PHASE_COMPILED);
        bench_wait(b, &b->compileds, 2);
        l.argv = argv;
        results = bench_execute(b, &l, fds); /* reads the query from its start */
        bench_wait(b, &b->exiteds, 1);
        bench_read_output(b, results);
        assert_string_equal(b->output, "q\n");
        close(fds.query_fd);
        bench_finish(b);
}

static void a_compiler_that_cannot_start_says_why(void **state) {
        char *argv[] = { "no-such-compiler", NULL };
        Bench *b = *state;
        Launch l = bench_launch(argv);
        int launch = launch_memfd(&l);

        bench_start_worker(b);
        assert_int_equal(worker_conn_send_compile(b->conn, launch, -1), 0);
        close(launch);
        bench_wait(b, &b->compileds, 1);
        assert_int_equal(b->compiled.step, WORKER_STEP_EXEC);
        assert_int_equal(b->compiled.error, ENOENT);
        assert_int_equal(worker_conn_send_release(b->conn), 0);
        bench_wait_worker_gone(b);
}

/* The only child of the worker, which waits for the query; by the children file of /proc. */
static pid_t waiting_child(const Bench *b) {
        char path[64], text[64] = "";
        int fd;

        snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int) b->worker, (int) b->worker);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return 0; /* CONFIG_PROC_CHILDREN */
        (void) !read(fd, text, sizeof(text) - 1);
        close(fd);
        return (pid_t) atoi(text);
}

static void a_waiting_process_that_died_is_replaced(void **state) {
        char *argv[] = { "echo", "hi", NULL };
        Bench *b = *state;
        Launch l = bench_launch(argv);
        pid_t pid;
        int results;

        bench_start_worker(b);
        pid = waiting_child(b);
        if (pid > 0)
                assert_int_equal(kill(pid, SIGKILL), 0);
        for (unsigned i = 0; pid > 0 && kill(pid, 0) == 0; i++) { /* until the worker has reaped it */
                assert_true(i < 2000);
                usleep(10000);
        }
        results = bench_execute(b, &l, NO_FDS);
        bench_wait(b, &b->exiteds, 1);
        assert_int_equal(b->exited.wait_status, 0);
        bench_read_output(b, results);
        assert_string_equal(b->output, "hi\n");
        bench_finish(b);
}

static void release_ends_a_worker_in_every_phase(void **state) {
        char *argv[] = { "sleep", "1000", NULL };

        for (unsigned i = 0; i < 3; i++) {
                Bench *b = *state;
                Launch l = bench_launch(argv);
                int fd = -1;

                bench_start_worker(b);
                if (i == 1) {
                        bench_need_real_groups(b);
                        fd = bench_execute(b, &l, NO_FDS);
                        bench_wait(b, &b->starteds, 1);
                } else if (i == 2) {
                        fd = launch_memfd(&l);
                        assert_int_equal(worker_conn_send_compile(b->conn, fd, -1), 0);
                }
                assert_int_equal(worker_conn_send_release(b->conn), 0);
                bench_wait_worker_gone(b);
                if (i == 1) {
                        bench_read_output(b, fd); /* ends: nothing is left */
                        fd = -1;
                }
                if (fd >= 0)
                        close(fd);
                assert_int_equal(b->exiteds + b->compileds, 0);
                b->hellos = b->readies = 0;
        }
}

static void sigterm_ends_an_idle_worker(void **state) {
        Bench *b = *state;

        bench_start_worker(b);
        assert_int_equal(kill(b->worker, SIGTERM), 0);
        bench_wait_worker_gone(b);
}

static void sigterm_ends_a_query_and_is_reported(void **state) {
        char *argv[] = { "sh", "-c", "trap '' TERM; echo; sleep 1000; sleep 1000", NULL };

        for (unsigned frozen = 0; frozen < 2; frozen++) {
                Bench *b = *state;
                Launch l = bench_launch(argv);
                int results;
                char c;

                bench_need_real_groups(b);
                bench_start_worker(b);
                results = bench_execute(b, &l, NO_FDS);
                assert_int_equal(read(results, &c, 1), 1); /* the trap is set */
                if (frozen)
                        assert_int_equal(pwrite(b->groups[WORKER_GROUP_ENGINE_FREEZE], "1", 1, 0), 1);
                assert_int_equal(kill(b->worker, SIGTERM), 0);
                bench_wait(b, &b->exiteds, 1);
                assert_int_equal(WTERMSIG(b->exited.wait_status), SIGKILL);
                assert_true(b->exited.flags & WORKER_EXITED_STOPPED);
                assert_int_equal(read(results, &c, 1), 0);
                close(results);
                if (frozen) { /* and does not wait for an acknowledgement for ever */
                        bench_wait_worker_gone(b);
                        (void) !pwrite(b->groups[WORKER_GROUP_ENGINE_FREEZE], "0", 1, 0);
                } else
                        bench_finish(b);
                b->hellos = b->readies = b->exiteds = 0;
        }
}

static void sigterm_is_passed_on_to_the_engine(void **state) {
        char *argv[] = { "sleep", "1000", NULL };
        Bench *b = *state;
        Launch l = bench_launch(argv);
        int results;

        bench_start_worker(b);
        results = bench_execute(b, &l, NO_FDS);
        bench_wait(b, &b->starteds, 1);
        assert_int_equal(kill(b->worker, SIGTERM), 0);
        bench_wait(b, &b->exiteds, 1);
        assert_int_equal(WTERMSIG(b->exited.wait_status), SIGTERM); /* not SIGKILL after the grace */
        assert_true(b->exited.flags & WORKER_EXITED_STOPPED);
        bench_read_output(b, results);
        bench_finish(b);
}

static void a_group_killed_by_penstockd_is_reported(void **state) {
        char *argv[] = { "sh", "-c", "sleep 1000 | sleep 1000", NULL };
        Bench *b = *state;
        Launch l = bench_launch(argv);
        int results;

        bench_need_real_groups(b);
        bench_start_worker(b);
        results = bench_execute(b, &l, NO_FDS);
        bench_wait(b, &b->starteds, 1);
        kill_engine_group(b);
        bench_wait(b, &b->exiteds, 1);
        assert_int_equal(WTERMSIG(b->exited.wait_status), SIGKILL);
        assert_false(b->exited.flags & WORKER_EXITED_STOPPED);
        bench_read_output(b, results);
        bench_finish(b);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(an_end_is_told_until_it_is_acknowledged), TEST(a_failed_start_is_told_again_too),
                TEST(a_running_query_outlives_penstockd),      TEST(compile_then_execute),
                TEST(a_compiler_that_cannot_start_says_why),   TEST(a_waiting_process_that_died_is_replaced),
                TEST(release_ends_a_worker_in_every_phase),    TEST(sigterm_ends_an_idle_worker),
                TEST(sigterm_ends_a_query_and_is_reported),    TEST(sigterm_is_passed_on_to_the_engine),
                TEST(a_group_killed_by_penstockd_is_reported),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
