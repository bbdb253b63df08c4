/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "host/child.h"

/* Mostly a killed child has not ended yet when it is looked at; so often that one of these hundred has not. */
#define TRIES 100

static pid_t start_child(void) {
        pid_t pid = fork();

        if (pid == 0) {
                pause();
                _exit(0);
        }
        assert_true(pid > 0);
        return pid;
}

static void what_is_left_is_reaped_by_the_loop(void **state) {
        sd_event *event;
        bool seen = false;

        (void) state;
        assert_return_code(sd_event_new(&event), 0);
        for (int i = 0; i < TRIES; i++) {
                pid_t pid = start_child();

                child_leave(event, pid, CHILD_FOR_US);
                seen = seen || child_left(CHILD_FOR_US) > 0;
                while (child_left(CHILD_FOR_US) > 0)
                        assert_true(sd_event_run(event, UINT64_MAX) > 0);
                assert_int_equal(waitpid(pid, NULL, WNOHANG), -1);
                assert_int_equal(errno, ECHILD);
        }
        assert_true(seen);
        sd_event_unref(event);
}

static void a_loop_that_ends_first_takes_what_is_left_with_it(void **state) {
        bool seen = false;

        (void) state;
        for (int i = 0; i < TRIES; i++) {
                sd_event *event;
                pid_t pid = start_child();

                assert_return_code(sd_event_new(&event), 0);
                child_leave(event, pid, CHILD_FOR_US);
                if (child_left(CHILD_FOR_US) > 0) {
                        seen = true;
                        sd_event_unref(event);
                        assert_int_equal(child_left(CHILD_FOR_US), 0);
                        assert_int_equal(waitpid(pid, NULL, 0), pid); /* nobody else takes its end */
                } else
                        sd_event_unref(event);
        }
        assert_true(seen);
}

/* There is no descriptor by which its end could be told. */
static void one_whose_end_nobody_tells_is_reaped_all_the_same(void **state) {
        struct rlimit limit, none;
        bool seen = false;
        sd_event *event;

        (void) state;
        assert_return_code(sd_event_new(&event), 0);
        /* as in penstockd, whose loop has timers */
        assert_return_code(sd_event_add_time_relative(event, NULL, CLOCK_MONOTONIC, 1000 * USEC_PER_SEC, 0, NULL, NULL), 0);
        assert_return_code(getrlimit(RLIMIT_NOFILE, &limit), errno);
        none = (struct rlimit) { 3, limit.rlim_max };
        for (int i = 0; i < TRIES && !seen; i++) {
                pid_t pid = start_child();
                siginfo_t end;

                assert_return_code(setrlimit(RLIMIT_NOFILE, &none), errno);
                child_leave(event, pid, CHILD_FOR_US);
                assert_return_code(setrlimit(RLIMIT_NOFILE, &limit), errno);
                seen = waitid(P_PID, (id_t) pid, &end, WEXITED | WNOHANG | WNOWAIT) == 0;
                while (waitid(P_PID, (id_t) pid, &end, WEXITED | WNOHANG | WNOWAIT) == 0)
                        assert_true(sd_event_run(event, 100 * USEC_PER_SEC) > 0);
        }
        assert_true(seen);
        assert_int_equal(child_left(CHILD_FOR_US), 0);
        sd_event_unref(event);
}

static void what_is_left_for_one_user_counts_for_him_alone(void **state) {
        bool seen = false;
        sd_event *event;

        (void) state;
        assert_return_code(sd_event_new(&event), 0);
        for (int i = 0; i < TRIES; i++) {
                child_leave(event, start_child(), 1000);
                seen = seen || child_left(1000) > 0;
                assert_int_equal(child_left(CHILD_FOR_US), 0);
                assert_int_equal(child_left(1001), 0);
                while (child_left(1000) > 0)
                        assert_true(sd_event_run(event, UINT64_MAX) > 0);
        }
        assert_true(seen);
        sd_event_unref(event);
}

static void an_answer_of_any_size_arrives_whole(void **state) {
        enum { SIZE = 1 << 20 }; /* more than a pipe holds */
        static char sent[SIZE], got[SIZE];
        size_t n = 0;
        int fds[2], status;
        ssize_t k;
        pid_t pid;

        (void) state;
        for (size_t i = 0; i < SIZE; i++)
                sent[i] = (char) (i * 7);
        assert_return_code(pipe(fds), errno);
        pid = fork();
        if (pid == 0) {
                child_shed(fds[1]);
                child_answer(sent, SIZE);
                _exit(0);
        }
        close(fds[1]);
        while ((k = read(fds[0], got + n, SIZE - n)) > 0)
                n += (size_t) k;
        close(fds[0]);
        assert_int_equal(n, SIZE);
        assert_memory_equal(sent, got, SIZE);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_is_left_is_reaped_by_the_loop),
                cmocka_unit_test(a_loop_that_ends_first_takes_what_is_left_with_it),
                cmocka_unit_test(one_whose_end_nobody_tells_is_reaped_all_the_same),
                cmocka_unit_test(what_is_left_for_one_user_counts_for_him_alone),
                cmocka_unit_test(an_answer_of_any_size_arrives_whole),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
