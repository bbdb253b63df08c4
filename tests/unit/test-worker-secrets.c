/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files of the administrator's that a query gets a private copy of. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker-bench.h"

static const WorkerExecuteFds NO_FDS = WORKER_EXECUTE_FDS_NONE;
static char directory[128];

/* A launch of @script that has the one file @path as TOKEN. */
static Launch launch_with(Bench *b, char *script, const char *path) {
        static LaunchCredential one;
        static char *argv[] = { "sh", "-c", NULL, NULL };
        Launch l;

        argv[2] = script;
        l = bench_launch(argv);
        snprintf(directory, sizeof(directory), "%s/credentials", b->home);
        one = (LaunchCredential) { "TOKEN", path };
        l.cwd = b->home;
        l.credentials_directory = directory;
        l.credentials = &one;
        l.n_credentials = 1;
        return l;
}

static void a_file_of_roots_is_copied_for_the_caller_alone(void **state) {
        Bench *b = *state;
        Launch l = launch_with(b, "cat credentials/TOKEN; stat -c 'S %a %u' credentials credentials/TOKEN; umask",
                               bench_file(b, "secret", "hush\n", 0600));

        l.umask = 0; /* the caller's own does not open it */
        bench_run(b, &l, NO_FDS);
        assert_string_equal(b->output, "hush\nS 700 61234\nS 400 61234\n0000\n");
}

/* The compile step made one; what the engine gets is of its own, and whatever was put in its place is not followed. */
static void a_copy_is_made_anew_and_no_link_is_followed(void **state) {
        Bench *b = *state;
        Launch l = launch_with(b, "cat credentials/TOKEN", bench_file(b, "secret", "hush\n", 0600));
        char path[160], victim[128];

        snprintf(path, sizeof(path), "%s/TOKEN", directory);
        snprintf(victim, sizeof(victim), "%s/victim", b->home);
        assert_int_equal(mkdir(directory, 0777), 0);
        assert_int_equal(chown(directory, CALLER_UID, CALLER_GID), 0);
        assert_int_equal(symlink(victim, path), 0);
        bench_run(b, &l, NO_FDS);
        assert_string_equal(b->output, "hush\n");
        assert_int_equal(access(victim, F_OK), -1);
}

static void nothing_else_of_it_reaches_the_engine(void **state) {
        Bench *b = *state;
        Launch l = launch_with(b, "ls /proc/self/fd | wc -w", bench_file(b, "secret", "hush\n", 0600));

        bench_run(b, &l, NO_FDS);
        assert_string_equal(b->output, "4\n"); /* 0, 1, 2 and that of ls itself */
}

static void what_cannot_be_given_says_so(void **state) {
        char missing[128], fifo[128], big[128], just[128], foreign[160];
        Bench *b = *state;
        Launch l;
        int fd;

#define FAILS(file, number)                                                                                          \
        do {                                                                                                         \
                l = launch_with(b, "true", file);                                                                    \
                bench_run_failing(b, &l, WORKER_STEP_SECRETS, number);                                               \
                b->faileds = b->hellos = b->readies = 0;                                                             \
        } while (0)
        bench_need_root();
        snprintf(missing, sizeof(missing), "%s/missing", b->dir);
        snprintf(fifo, sizeof(fifo), "%s/fifo", b->dir);
        snprintf(big, sizeof(big), "%s", bench_file(b, "big", "", 0600));
        snprintf(just, sizeof(just), "%s", bench_file(b, "just", "", 0600));
        assert_int_equal(mkfifo(fifo, 0600), 0);
        assert_int_equal(truncate(big, (off_t) CREDENTIALS_BYTES_MAX + 1), 0);
        assert_int_equal(truncate(just, (off_t) CREDENTIALS_BYTES_MAX), 0);
        FAILS(missing, ENOENT);
        FAILS(fifo, EINVAL);
        FAILS(b->dir, EISDIR);
        FAILS(big, EFBIG);
        l = launch_with(b, "wc -c <credentials/TOKEN", just);
        bench_run(b, &l, NO_FDS);
        assert_string_equal(b->output, "1048576\n");
        b->exiteds = b->hellos = b->readies = b->starteds = 0;
        /* a directory of another's in the place of ours */
        snprintf(foreign, sizeof(foreign), "%s/TOKEN", directory);
        assert_int_equal(unlink(foreign), 0);
        assert_int_equal(chown(directory, 0, 0), 0);
        assert_int_equal(chmod(directory, 0777), 0);
        FAILS(just, EPERM);
        fd = open(foreign, O_RDONLY);
        assert_int_equal(fd, -1);
#undef FAILS
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(a_file_of_roots_is_copied_for_the_caller_alone),
                TEST(a_copy_is_made_anew_and_no_link_is_followed),
                TEST(nothing_else_of_it_reaches_the_engine),
                TEST(what_cannot_be_given_says_so),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
