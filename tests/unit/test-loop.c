/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What waits for a stranger in a turn of the loop is interrupted; what only takes long is not cut short. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base.h"
#include "daemon/loop.h"

#define LINGER_SEC 3600
#define PATIENCE_SEC 60 /* of the test: then SIGKILL, since the loop takes SIGALRM */

/* A socket with bytes that its peer never takes, whose last closing waits for that. The peer is not closed before the process ends. */
static int lingering(void) {
        struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        const struct linger on = { 1, LINGER_SEC };
        socklen_t len = sizeof(at);
        static char bytes[64 * 1024];
        int listener = socket(AF_INET, SOCK_STREAM, 0), s = socket(AF_INET, SOCK_STREAM, 0);

        assert_return_code(bind(listener, (struct sockaddr *) &at, len), errno);
        assert_return_code(listen(listener, 1), errno);
        assert_return_code(getsockname(listener, (struct sockaddr *) &at, &len), errno);
        assert_return_code(connect(s, (struct sockaddr *) &at, len), errno);
        assert_return_code(accept(listener, NULL, NULL), errno);
        assert_return_code(fcntl(s, F_SETFL, O_NONBLOCK), errno);
        while (write(s, bytes, sizeof(bytes)) > 0)
                ;
        assert_int_equal(errno, EAGAIN);
        assert_return_code(setsockopt(s, SOL_SOCKET, SO_LINGER, &on, sizeof(on)), errno);
        close(listener);
        return s;
}

static void close_many(void) {
        int fds[16];

        for (size_t i = 0; i < ELEMENTSOF(fds); i++)
                fds[i] = lingering();
        for (size_t i = 0; i < ELEMENTSOF(fds); i++)
                close(fds[i]);
}

/* A fork begins anew when a signal comes. */
static void fork_again_and_again(void) {
        for (unsigned i = 0; i < 100; i++) {
                pid_t pid = fork();

                assert_return_code(pid, errno);
                if (pid == 0)
                        _exit(0);
                while (waitpid(pid, NULL, 0) < 0)
                        assert_int_equal(errno, EINTR);
        }
}

static int on_turn(sd_event_source *s, void *userdata) {
        (*(void (**)(void)) userdata)();
        return sd_event_exit(sd_event_source_get_event(s), 7);
}

/* In a process of its own, which is killed when it does not end. */
static void assert_turn_ends(void (*deed)(void)) {
        timer_t limit;
        struct sigevent kill_us = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL };
        int status;
        pid_t pid = fork();

        assert_return_code(pid, errno);
        if (pid == 0) {
                sd_event *e = NULL;

                if (timer_create(CLOCK_MONOTONIC, &kill_us, &limit) < 0 ||
                    timer_settime(limit, 0, &(struct itimerspec) { .it_value.tv_sec = PATIENCE_SEC }, NULL) < 0 || sd_event_new(&e) < 0 ||
                    sd_event_add_defer(e, NULL, on_turn, &deed) < 0)
                        _exit(1);
                _exit(loop_run(e));
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 7);
}

static void last_closings_that_wait_are_interrupted(void **state) {
        (void) state;
        assert_turn_ends(close_many);
}

static void what_takes_long_comes_to_its_end(void **state) {
        (void) state;
        assert_turn_ends(fork_again_and_again);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(last_closings_that_wait_are_interrupted),
                cmocka_unit_test(what_takes_long_comes_to_its_end),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
