/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What an engine finds when it starts, and what happens when it cannot start. */
#include "worker-bench.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NO_FDS ((WorkerExecuteFds) WORKER_EXECUTE_FDS_NONE)

static void it_is_the_caller_and_can_be_nobody_else(void **state) {
        Bench *b = *state;
        char *argv[] = { "cat", "/proc/self/status", NULL };
        Launch l = bench_launch(argv);

        l.thp_disable = true;
        bench_run(b, &l, NO_FDS);
        assert_int_equal(b->exited.wait_status, 0);
        assert_string_equal(bench_output_line(b, "Uid:"), "61234\t61234\t61234\t61234");
        assert_string_equal(bench_output_line(b, "Gid:"), "61235\t61235\t61235\t61235");
        assert_string_equal(bench_output_line(b, "Groups:"), "4 61235 61240"); /* the kernel sorts */
        assert_string_equal(bench_output_line(b, "Umask:"), "0027");
        assert_string_equal(bench_output_line(b, "CapInh:"), "0000000000000000");
        assert_string_equal(bench_output_line(b, "CapPrm:"), "0000000000000000");
        assert_string_equal(bench_output_line(b, "CapEff:"), "0000000000000000");
        assert_string_equal(bench_output_line(b, "CapBnd:"), "0000000000000000"); /* this bench has CAP_SETPCAP */
        assert_string_equal(bench_output_line(b, "CapAmb:"), "0000000000000000");
        assert_string_equal(bench_output_line(b, "NoNewPrivs:"), "1");
        assert_string_equal(bench_output_line(b, "THP_enabled:"), "0");
}

static void root_has_no_privileges_either(void **state) {
        Bench *b = *state;
        char *argv[] = { "cat", "/proc/self/status", NULL };
        Launch l = bench_launch(argv);

        l.uid = l.gid = 0;
        l.n_gids = 0;
        bench_run(b, &l, NO_FDS);
        assert_string_equal(bench_output_line(b, "Uid:"), "0\t0\t0\t0");
        assert_string_equal(bench_output_line(b, "Groups:"), "");
        assert_string_equal(bench_output_line(b, "CapPrm:"), "0000000000000000");
        assert_string_equal(bench_output_line(b, "CapBnd:"), "0000000000000000");
}

/* As "operator" has it on some systems. */
static void one_whose_group_is_roots_runs_too(void **state) {
        Bench *b = *state;
        char *argv[] = { "cat", "/proc/self/status", NULL };
        Launch l = bench_launch(argv);

        l.gid = 0;
        bench_run(b, &l, NO_FDS);
        assert_string_equal(bench_output_line(b, "Uid:"), "61234\t61234\t61234\t61234");
        assert_string_equal(bench_output_line(b, "Gid:"), "0\t0\t0\t0");
        assert_string_equal(bench_output_line(b, "CapPrm:"), "0000000000000000");
}

static void signals_are_reset(void **state) {
        Bench *b = *state;
        char *argv[] = { "cat", "/proc/self/status", NULL };
        Launch l = bench_launch(argv);

        bench_run(b, &l, NO_FDS);
        assert_string_equal(bench_output_line(b, "SigBlk:"), "0000000000000000");
        assert_string_equal(bench_output_line(b, "SigIgn:"), "0000000000000000"); /* SIGPIPE and SIGUSR1 were */
        assert_string_equal(bench_output_line(b, "SigPnd:"), "0000000000000000");
}

static void it_leads_a_session_without_terminal(void **state) {
        Bench *b = *state;
        char *argv[] = { "cat", "/proc/self/stat", NULL };
        Launch l = bench_launch(argv);
        int pid, ppid, group, session, tty;

        bench_run(b, &l, NO_FDS);
        assert_int_equal(sscanf(b->output, "%d (cat) R %d %d %d %d", &pid, &ppid, &group, &session, &tty), 5);
        assert_int_equal(pid, b->started.pid);
        assert_int_equal(session, pid);
        assert_int_equal(group, pid);
        assert_int_equal(tty, 0);
}

static void it_lives_in_the_engine_group(void **state) {
        Bench *b = *state;
        char *argv[] = { "cat", "/proc/self/cgroup", NULL };
        Launch l = bench_launch(argv);

        bench_need_real_groups(b);
        bench_run(b, &l, NO_FDS);
        assert_non_null(strstr(bench_output_line(b, "0::"), "/engine"));
}

static void limits_are_the_callers_within_the_units(void **state) {
        Bench *b = *state;
        char *argv[] = { "cat", "/proc/self/limits", NULL };
        const RequestLimit limits[] = {
                { RLIMIT_CPU, 7, 9 },
                { RLIMIT_NOFILE, 64, UINT64_MAX }, /* the hard one stays the unit's */
                { RLIMIT_CORE, 4096, 8192 },       /* left alone */
                { RLIMIT_MEMLOCK, 12288, 16384 },  /* left alone */
                { RLIMIT_FSIZE, UINT64_MAX, UINT64_MAX },
        };
        char nofile[64];
        struct rlimit now;
        Launch l = bench_launch(argv);

        l.limits = limits;
        l.n_limits = ELEMENTSOF(limits);
        getrlimit(RLIMIT_NOFILE, &now);
        snprintf(nofile, sizeof(nofile), "64                   %-20llu files", (unsigned long long) now.rlim_max);
        bench_run(b, &l, NO_FDS);
        assert_string_equal(bench_output_line(b, "Max cpu time"),
                            "7                    9                    seconds");
        assert_string_equal(bench_output_line(b, "Max open files"), nofile);
        assert_null(strstr(b->output, "4096 "));
        assert_null(strstr(b->output, "12288"));
}

static void it_has_three_descriptors(void **state) {
        Bench *b = *state;
        char *argv[] = { "ls", "-l", "/proc/self/fd", NULL };
        Launch l = bench_launch(argv);
        size_t lines = 0;

        bench_run(b, &l, NO_FDS);
        for (const char *p = b->output; (p = strstr(p, " -> ")); p++)
                lines++;
        assert_int_equal(lines, 4); /* the fourth is the directory that ls reads */
        assert_non_null(strstr(b->output, " 0 -> /dev/null"));
        assert_non_null(strstr(b->output, " 1 -> pipe:"));
        assert_non_null(strstr(b->output, " 2 -> pipe:"));
        assert_non_null(strstr(b->output, " 3 -> /proc/"));
}

static void it_has_a_fourth_for_the_query(void **state) {
        Bench *b = *state;
        char *argv[] = { "ls", "-l", "/proc/self/fd", NULL };
        WorkerExecuteFds fds = WORKER_EXECUTE_FDS_NONE;
        Launch l = bench_launch(argv);
        size_t lines = 0;

        l.query_on_fd = true;
        fds.query_fd = launch_query_memfd("select 1", 8);
        bench_run(b, &l, fds);
        close(fds.query_fd);
        for (const char *p = b->output; (p = strstr(p, " -> ")); p++)
                lines++;
        assert_int_equal(lines, 5);
        assert_non_null(strstr(b->output, " 3 -> /memfd:penstock-query"));
}

static void arguments_and_environment_are_exact(void **state) {
        Bench *b = *state;
        char *argv[] = {
                "sh",           "-c", "printf '%s\\0' \"$@\"; exec env -0", "--", "", "-x", "a\nb", "'\"$HOME`id`\\",
                "\xff\xc3\xa4", NULL
        };
        char *env[] = { "PATH=/usr/bin:/bin", "EMPTY=", "Q=a\nb=\xff", NULL };
        static const char expected[] = "\0-x\0a\nb\0'\"$HOME`id`\\\0\xff\xc3\xa4\0";
        Launch l = bench_launch(argv);

        l.envp = env;
        bench_run(b, &l, NO_FDS);
        assert_true(b->output_len > sizeof(expected) - 1);
        assert_memory_equal(b->output, expected, sizeof(expected) - 1);
        for (size_t i = 0; env[i]; i++)
                assert_non_null(memmem(b->output, b->output_len, env[i], strlen(env[i]) + 1));
        assert_null(memmem(b->output, b->output_len, "SECRET", 6));
        assert_null(memmem(b->output, b->output_len, "LISTEN", 6));
}

static void a_home_only_the_caller_may_enter_is_entered(void **state) {
        Bench *b = *state;
        char *argv[] = { "sh", "-c", "pwd; echo > new && stat -c %u:%a new", NULL };
        Launch l = bench_launch(argv);
        char expected[160];

        if (b)
                l.cwd = b->home;
        bench_run(b, &l, NO_FDS);
        snprintf(expected, sizeof(expected), "%s\n%u:640\n", b->home, CALLER_UID);
        assert_string_equal(b->output, expected);
}

static void standard_streams_can_be_opened_again(void **state) {
        Bench *b = *state;
        char *argv[] = { "sh", "-c", "echo out > /dev/stdout; echo err > /proc/self/fd/2", NULL };
        Launch l = bench_launch(argv);

        bench_run(b, &l, NO_FDS);
        assert_int_equal(b->exited.wait_status, 0);
        assert_string_equal(b->output, "out\n");
        assert_int_equal(b->exited.stderr_len, 4);
}

static void stdin_is_what_the_launch_says(void **state) {
        static const StdinFrom from[] = { STDIN_NULL, STDIN_QUERY, STDIN_CALLER };
        static const char *const expected[] = { "", "the query", "the caller's" };
        char *argv[] = { "cat", NULL };

        for (size_t i = 0; i < ELEMENTSOF(from); i++) {
                WorkerExecuteFds fds = WORKER_EXECUTE_FDS_NONE;
                Launch l = bench_launch(argv);
                Bench *b = *state;
                int in[2];

                l.stdin_from = from[i];
                assert_int_equal(pipe2(in, O_CLOEXEC), 0);
                assert_int_equal(write(in[1], "the caller's", 12), 12);
                close(in[1]);
                fds.stdin_fd = in[0];
                fds.query_fd = launch_query_memfd("the query", 9);
                bench_run(b, &l, fds);
                assert_string_equal(b->output, expected[i]);
                close(in[0]);
                close(fds.query_fd);
                bench_teardown(state);
                bench_setup(state);
        }
}

static void a_large_query_arrives_byte_for_byte(void **state) {
        Bench *b = *state;
        char *argv[] = { "cat", LANGUAGE_QUERY_PATH, "-", NULL };
        WorkerExecuteFds fds = WORKER_EXECUTE_FDS_NONE;
        Launch l = bench_launch(argv);
        size_t len = 1 * MIB;
        char *text = malloc(len), *back = malloc(2 * len + 1);
        int file;

        assert_true(text && back);
        for (size_t i = 0; i < len; i++)
                text[i] = (char) (i * 31 % 255 + 1);
        l.query_on_fd = true;
        l.stdin_from = STDIN_QUERY; /* both, and neither moves the other's offset */
        fds.query_fd = launch_query_memfd(text, len);
        bench_start_worker(b);
        file = bench_execute_file(b, &l, fds, SIZE_INFINITY);
        bench_wait(b, &b->exiteds, 1);
        assert_int_equal(b->exited.results_bytes, 2 * len);
        assert_int_equal(pread(file, back, 2 * len + 1, 0), 2 * len);
        assert_memory_equal(back, text, len);
        assert_memory_equal(back + len, text, len);
        bench_finish(b);
        close(file);
        close(fds.query_fd);
        free(text);
        free(back);
}

static void programs_are_found_in_the_callers_path(void **state) {
        Bench *b = *state;
        char *argv[] = { "tool", "x", NULL }, path[256];
        char *env[] = { path, NULL };
        Launch l = bench_launch(argv);

        bench_start_worker(b);
        snprintf(path, sizeof(path), "PATH=/nonexistent:%s:/usr/bin", b->dir);
        bench_file(b, "tool", "echo \"$0 $*\"\n", 0755); /* no #!: the shell runs it */
        l.envp = env;
        bench_read_output(b, bench_execute(b, &l, NO_FDS));
        bench_wait(b, &b->exiteds, 1);
        assert_non_null(strstr(b->output, "/tool x\n"));
        bench_finish(b);
}

static void what_cannot_start_says_where_and_why(void **state) {
        char *good[] = { "true", NULL }, *missing[] = { "no-such-program", NULL },
             *denied[] = { "/etc/passwd", NULL };
        char missing_path[128], locked_path[128], locked_directory[128];
        const LaunchCheck checks[] = { { "/etc/passwd", LAUNCH_CHECK_FILE, 0, 0 },
                                       { missing_path, LAUNCH_CHECK_FILE, 0, 0 } };
        const LaunchCheck not_file = { "/etc", LAUNCH_CHECK_FILE, 0, 0 };
        const LaunchCheck not_directory = { "/etc/passwd", LAUNCH_CHECK_DIRECTORY, 0, 0 };
        const LaunchCheck unreadable = { locked_path, LAUNCH_CHECK_FILE, 0, 0 };
        const LaunchCheck other = { "/etc/passwd", LAUNCH_CHECK_FILE, 1, 1 };
        LaunchCheck later = { "/etc/passwd", LAUNCH_CHECK_FILE }; /* the same number, and not the same file */
        struct stat st;
        Bench *b;
        Launch l;

        if (*state) {
                snprintf(missing_path, sizeof(missing_path), "%s/missing.db", ((Bench *) *state)->dir);
                snprintf(locked_path, sizeof(locked_path), "%s/locked", ((Bench *) *state)->dir);
                snprintf(locked_directory, sizeof(locked_directory), "%s/private", ((Bench *) *state)->dir);
                bench_file(*state, "locked", "", 0600);
                mkdir(locked_directory, 0700);
        }
#define FAILS(with_argv, step, error, ...)                                                                           \
        do {                                                                                                         \
                b = *state;                                                                                          \
                l = bench_launch(with_argv);                                                                         \
                __VA_ARGS__;                                                                                         \
                bench_run_failing(b, &l, step, error);                                                               \
                b->faileds = b->hellos = b->readies = 0;                                                             \
        } while (0)
        FAILS(missing, WORKER_STEP_EXEC, ENOENT);
        FAILS(denied, WORKER_STEP_EXEC, EACCES);
        FAILS(good, WORKER_STEP_DIRECTORY, ENOENT, l.cwd = "/no/such/directory");
        FAILS(good, WORKER_STEP_DIRECTORY, EACCES, l.cwd = locked_directory);
        FAILS(good, WORKER_STEP_CHECK, ENOENT, l.checks = checks; l.n_checks = 2);
        assert_int_equal(b->failed.detail, 1);
        assert_int_equal(access(missing_path, F_OK), -1); /* and it was not created */
        FAILS(good, WORKER_STEP_CHECK, EISDIR, l.checks = &not_file; l.n_checks = 1);
        FAILS(good, WORKER_STEP_CHECK, ENOTDIR, l.checks = &not_directory; l.n_checks = 1);
        FAILS(good, WORKER_STEP_CHECK, EACCES, l.checks = &unreadable; l.n_checks = 1);
        FAILS(good, WORKER_STEP_CHECK, ESTALE, l.checks = &other; l.n_checks = 1);
        assert_return_code(stat(later.path, &st), errno);
        later.dev = st.st_dev;
        later.ino = st.st_ino;
        later.born_nsec = 1;
        FAILS(good, WORKER_STEP_CHECK, ESTALE, l.checks = &later; l.n_checks = 1);
        FAILS(good, WORKER_STEP_QUERY, EBADF, l.query_on_fd = true); /* and no memfd came */
#undef FAILS
}

static void a_launch_record_that_is_none_is_refused(void **state) {
        Bench *b = *state;
        WorkerExecuteFds fds = WORKER_EXECUTE_FDS_NONE;
        int pipe_fds[2];

        bench_start_worker(b);
        assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
        fds.launch_fd = launch_query_memfd("not a record", 12);
        fds.results_fd = pipe_fds[1];
        assert_int_equal(worker_conn_send_execute(b->conn, &fds, 0), 0);
        bench_wait(b, &b->faileds, 1);
        assert_int_equal(b->failed.step, WORKER_STEP_LAUNCH);
        assert_int_equal(b->failed.error, EBADMSG);
        close(fds.launch_fd);
        close(pipe_fds[0]);
        close(pipe_fds[1]);
        bench_finish(b);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(it_is_the_caller_and_can_be_nobody_else),
                TEST(root_has_no_privileges_either),
                TEST(one_whose_group_is_roots_runs_too),
                TEST(signals_are_reset),
                TEST(it_leads_a_session_without_terminal),
                TEST(it_lives_in_the_engine_group),
                TEST(limits_are_the_callers_within_the_units),
                TEST(it_has_three_descriptors),
                TEST(it_has_a_fourth_for_the_query),
                TEST(arguments_and_environment_are_exact),
                TEST(a_home_only_the_caller_may_enter_is_entered),
                TEST(standard_streams_can_be_opened_again),
                TEST(stdin_is_what_the_launch_says),
                TEST(a_large_query_arrives_byte_for_byte),
                TEST(programs_are_found_in_the_callers_path),
                TEST(what_cannot_start_says_where_and_why),
                TEST(a_launch_record_that_is_none_is_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
