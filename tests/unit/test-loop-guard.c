/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A loop that makes a call which may wait is ended, and one that does not is left alone: with the guard linked in, as in a
 * debug build of penstockd, and preloaded. */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <pwd.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "core/base.h"

typedef void (*Deed)(void);

static char directory[] = "/tmp/test-loop-guard.XXXXXX";

static int on_turn(sd_event_source *s, void *userdata) {
        (*(Deed *) userdata)();
        return sd_event_exit(sd_event_source_get_event(s), 0);
}

static int run_loop(Deed deed) {
        sd_event_source *s = NULL;
        sd_event *e = NULL;
        int r = sd_event_new(&e);

        if (r >= 0)
                r = sd_event_add_defer(e, &s, on_turn, &deed);
        if (r >= 0)
                r = sd_event_loop(e);
        sd_event_source_unref(s);
        sd_event_unref(e);
        return r;
}

/* How a process ended that did @deed in a callback, and what it said. */
static int end_of(Deed deed, char *said, size_t len) {
        int fds[2], status;
        ssize_t n;
        size_t at = 0;
        pid_t pid;

        assert_int_equal(pipe(fds), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                (void) dup2(fds[1], STDERR_FILENO);
                (void) setenv("RUNTIME_DIRECTORY", directory, 1);
                _exit(run_loop(deed) == 0 ? 0 : 1);
        }
        close(fds[1]);
        while ((n = read(fds[0], said + at, len - 1 - at)) > 0)
                at += (size_t) n;
        said[at] = 0;
        close(fds[0]);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        return status;
}

static void expect_end(Deed deed, const char *call) {
        char said[16384], wanted[64], path[64];
        int status = end_of(deed, said, sizeof(said));
        struct stat st;

        snprintf(wanted, sizeof(wanted), "loop guard: %s(", call);
        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT || !strstr(said, wanted) || !strstr(said, "the loop must not"))
                fail_msg("%s: status %#x, it said: %s", call, status, said);
        snprintf(path, sizeof(path), "%s/loop-guard", directory);
        assert_int_equal(stat(path, &st), 0); /* for whoever looks later */
        assert_int_equal(unlink(path), 0);
}

static void expect_life(Deed deed, const char *what) {
        char said[16384], path[64];
        int status = end_of(deed, said, sizeof(said));

        if (status != 0 || strstr(said, "the loop must not"))
                fail_msg("%s: status %#x, it said: %s", what, status, said);
        snprintf(path, sizeof(path), "%s/loop-guard", directory);
        assert_int_equal(access(path, F_OK), -1);
}

static int pipe_with_a_byte(int flags) {
        int fds[2];

        if (pipe2(fds, flags) < 0 || write(fds[1], "x", 1) != 1)
                _exit(2);
        return fds[0];
}

static int socket_with_a_byte(int flags, int *ret_other) {
        int fds[2];

        if (socketpair(AF_UNIX, SOCK_STREAM | flags, 0, fds) < 0 || send(fds[1], "x", 1, MSG_DONTWAIT) != 1)
                _exit(2);
        *ret_other = fds[1];
        return fds[0];
}

static int ready; /* made before the loop runs, where the making itself would be refused */
static int other;

static void poll_with_a_limit(void) {
        struct pollfd p = { .fd = ready, .events = POLLIN };

        (void) poll(&p, 1, 1000); /* it is ready, and yet no call to make */
}

static void poll_without_a_limit(void) {
        struct pollfd p = { .fd = ready, .events = POLLIN };

        (void) poll(&p, 1, -1);
}

static void poll_at_once(void) {
        struct pollfd p = { .fd = ready, .events = POLLIN };

        if (poll(&p, 1, 0) != 1)
                _exit(2);
}

/* What libsystemd waits by is its own call. */
static void call_on_a_bus(void) {
        int fds[2];
        sd_bus *bus = NULL;

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) < 0 || sd_bus_new(&bus) < 0 ||
            sd_bus_set_fd(bus, fds[0], fds[0]) < 0 || sd_bus_start(bus) < 0)
                _exit(2);
        (void) sd_bus_call_method(bus, "org.example", "/", "org.example", "Method", NULL, NULL, NULL);
        _exit(3);
}

static void sleep_a_little(void) {
        (void) usleep(1);
}

static void nanosleep_a_little(void) {
        (void) nanosleep(&(struct timespec) { .tv_nsec = 1 }, NULL);
}

static void read_a_pipe(void) {
        char c;

        (void) !read(ready, &c, 1);
}

static void write_a_socket(void) {
        (void) !write(ready, "x", 1);
}

static void send_to_a_socket(void) {
        (void) send(ready, "x", 1, MSG_NOSIGNAL);
}

static void receive_from_a_socket(void) {
        char c;

        (void) recv(ready, &c, 1, 0);
}

static void send_and_receive_without_waiting(void) {
        char c;

        if (send(ready, "x", 1, MSG_DONTWAIT) != 1 || recv(ready, &c, 1, MSG_DONTWAIT) != 1)
                _exit(2);
}

static void read_what_does_not_wait(void) {
        char c;
        int fd = pipe_with_a_byte(O_NONBLOCK);

        if (read(fd, &c, 1) != 1 || read(fd, &c, 1) != -1 || errno != EAGAIN)
                _exit(2);
}

static void wait_for_a_child(void) {
        (void) waitpid(other, NULL, 0);
}

static void look_for_a_child(void) {
        if (waitpid(-1, NULL, WNOHANG) != -1 || errno != ECHILD)
                _exit(2);
}

static void lock_a_file(void) {
        (void) flock(ready, LOCK_EX);
}

static void try_to_lock_a_file(void) {
        if (flock(ready, LOCK_EX | LOCK_NB) < 0 || flock(ready, LOCK_UN) < 0)
                _exit(2);
}

static void lock_a_range(void) {
        struct flock l = { .l_type = F_RDLCK };

        (void) fcntl(ready, F_OFD_SETLKW, &l);
}

static void sync_a_file(void) {
        (void) fsync(ready);
}

static void ask_a_name_service(void) {
        (void) getpwnam("root");
}

static void open_a_fifo(void) {
        char path[64];

        snprintf(path, sizeof(path), "%s/fifo", directory);
        (void) mkfifo(path, 0600);
        (void) open(path, O_RDONLY | O_CLOEXEC);
}

static void open_a_fifo_without_waiting(void) {
        char path[64];

        snprintf(path, sizeof(path), "%s/fifo", directory);
        (void) mkfifo(path, 0600);
        if (open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) < 0)
                _exit(2);
}

static void write_a_file(void) {
        char path[64];
        int fd;

        snprintf(path, sizeof(path), "%s/file", directory);
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0 || write(fd, "x", 1) != 1 || fprintf(stderr, "a word\n") < 0)
                _exit(2);
}

/* What it holds is nothing: the guard goes by its size. */
static void remove_a_file(off_t size) {
        char path[64];
        int fd;

        snprintf(path, sizeof(path), "%s/results", directory);
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0 || ftruncate(fd, size) < 0 || unlink(path) < 0)
                _exit(2);
}

static void remove_a_large_file(void) {
        remove_a_file(1 << 30);
}

static void remove_a_small_file(void) {
        remove_a_file(1 << 20);
}

static void let_a_child_wait(void) {
        int fds[2];
        pid_t pid;
        char c;

        if (pipe(fds) < 0 || (pid = fork()) < 0)
                _exit(2);
        if (pid == 0) {
                (void) usleep(1000);
                _exit(write(fds[1], "x", 1) == 1 ? 0 : 1);
        }
        close(fds[1]);
        (void) fcntl(fds[0], F_SETFL, O_NONBLOCK);
        while (read(fds[0], &c, 1) < 0)
                if (errno != EAGAIN)
                        _exit(2);
        if (c != 'x')
                _exit(2);
}

static void *wait_in_a_thread(void *p) {
        (void) usleep(1000);
        __atomic_store_n((int *) p, 1, __ATOMIC_SEQ_CST);
        return NULL;
}

static void let_a_thread_wait(void) {
        pthread_t t;
        static int done;

        if (pthread_create(&t, NULL, wait_in_a_thread, &done) != 0)
                _exit(2);
        while (!__atomic_load_n(&done, __ATOMIC_SEQ_CST))
                ;
}

/* No function of the C library that the guard knows: as the kernel does by itself. */
static void sleep_unseen(void) {
        struct timespec t = { .tv_nsec = 50 * 1000 * 1000 };
        int word = 0;

        (void) syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &t, NULL, 0);
}

static void burn(void) {
        for (volatile unsigned i = 0; i < 100000000; i++)
                ;
}

static void what_waits_ends_the_process(void **state) {
        char path[64];

        (void) state;
        ready = pipe_with_a_byte(0);
        expect_end(poll_with_a_limit, "poll");
        expect_end(poll_without_a_limit, "poll");
        expect_end(read_a_pipe, "read");
        close(ready);
        expect_end(call_on_a_bus, "ppoll");
        expect_end(sleep_a_little, "usleep");
        expect_end(nanosleep_a_little, "nanosleep");
        expect_end(wait_for_a_child, "waitpid");
        expect_end(ask_a_name_service, "getpwnam");
        expect_end(open_a_fifo, "open64");
        expect_end(remove_a_large_file, "unlink");
        ready = socket_with_a_byte(0, &other);
        expect_end(write_a_socket, "write");
        expect_end(send_to_a_socket, "send");
        expect_end(receive_from_a_socket, "recv");
        close(ready);
        close(other);
        snprintf(path, sizeof(path), "%s/file", directory);
        ready = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        expect_end(lock_a_file, "flock");
        expect_end(lock_a_range, "fcntl");
        expect_end(sync_a_file, "fsync");
        close(ready);
}

static void what_does_not_wait_is_left_alone(void **state) {
        char path[64];

        (void) state;
        ready = pipe_with_a_byte(0);
        expect_life(poll_at_once, "poll");
        close(ready);
        ready = socket_with_a_byte(0, &other);
        expect_life(send_and_receive_without_waiting, "MSG_DONTWAIT");
        close(ready);
        close(other);
        expect_life(read_what_does_not_wait, "O_NONBLOCK");
        expect_life(look_for_a_child, "WNOHANG");
        expect_life(open_a_fifo_without_waiting, "a FIFO");
        expect_life(write_a_file, "a file");
        expect_life(remove_a_small_file, "a small file");
        snprintf(path, sizeof(path), "%s/file", directory);
        ready = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        expect_life(try_to_lock_a_file, "LOCK_NB");
        close(ready);
        expect_life(let_a_child_wait, "a child");
        expect_life(let_a_thread_wait, "a thread");
}

/* Off the loop everything is allowed, and so it is in this very program. */
static void outside_the_loop_all_may_wait(void **state) {
        struct pollfd p = { .fd = -1 };

        (void) state;
        assert_int_equal(poll(&p, 1, 1), 0);
        assert_int_equal(usleep(1), 0);
        assert_non_null(getpwnam("root"));
}

/* "loop guard: N turns, N slept, N usec in all, N at most" */
static void read_sleeps(Deed deed, unsigned long long *ret_turns, unsigned long long *ret_usec) {
        char said[16384];
        const char *line;

        assert_int_equal(end_of(deed, said, sizeof(said)), 0);
        line = strstr(said, "loop guard: ");
        assert_non_null(line);
        assert_int_equal(sscanf(line, "loop guard: %llu turns, %*u slept, %*u usec in all, %llu at most", ret_turns, ret_usec), 2);
}

/* Ratios of one run: the sleep is 50 ms long, and the work as much or more. */
static void sleeps_are_told_and_work_is_none(void **state) {
        unsigned long long turns, slept, worked;

        (void) state;
        read_sleeps(sleep_unseen, &turns, &slept);
        assert_true(turns > 0);
        assert_true(slept >= 25000);
        read_sleeps(burn, &turns, &worked);
        assert_true(worked < slept);
}

static int set_up(void **state) {
        (void) state;
        return mkdtemp(directory) ? 0 : -1;
}

static int tear_down(void **state) {
        char command[128];

        (void) state;
        snprintf(command, sizeof(command), "rm -r %s", directory);
        return system(command);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_waits_ends_the_process),
                cmocka_unit_test(what_does_not_wait_is_left_alone),
                cmocka_unit_test(outside_the_loop_all_may_wait),
                cmocka_unit_test(sleeps_are_told_and_work_is_none),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
