/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is kept by PID 1, against a socket that plays its part. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "host/fdstore.h"

static int manager_fd;
static sd_event *loop;

static int set_up(void **state) {
        struct sockaddr_un sa = { .sun_family = AF_UNIX };
        char name[64];
        int n = snprintf(name, sizeof(name), "@test-fdstore-%d", (int) getpid());

        (void) state;
        memcpy(sa.sun_path, name, (size_t) n);
        sa.sun_path[0] = 0;
        manager_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (manager_fd < 0 || bind(manager_fd, (struct sockaddr *) &sa, (socklen_t) (offsetof(struct sockaddr_un, sun_path) + (size_t) n)) < 0)
                return -1;
        setenv("NOTIFY_SOCKET", name, 1);
        return sd_event_default(&loop) < 0 ? -1 : 0;
}

static int tear_down(void **state) {
        (void) state;
        sd_event_unref(loop);
        return close(manager_fd);
}

/* The next message into @text; its descriptor, or -1. */
static int hear(char text[static 256]) {
        union {
                struct cmsghdr align;
                char space[CMSG_SPACE(sizeof(int))];
        } control;
        struct iovec iov = { .iov_base = text, .iov_len = 255 };
        struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
        ssize_t n = recvmsg(manager_fd, &msg, MSG_CMSG_CLOEXEC);
        int fd = -1;

        text[n < 0 ? 0 : n] = 0;
        if (n >= 0 && CMSG_FIRSTHDR(&msg))
                memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
        return fd;
}

static void what_is_pushed_is_named_and_not_polled(void **state) {
        Notify *s = NULL;
        char text[256];
        int p[2], fd;

        (void) state;
        assert_int_equal(pipe2(p, O_CLOEXEC), 0);
        assert_int_equal(notify_new(loop, &s), 0);
        assert_int_equal(fdstore_push(s, "q7-hold", p[0]), 0);
        fd = hear(text);
        assert_true(fd >= 0);
        assert_string_equal(text, "FDSTORE=1\nFDPOLL=0\nFDNAME=q7-hold");
        assert_int_equal(write(p[1], "x", 1), 1);
        assert_int_equal(read(fd, text, 1), 1);
        assert_int_equal(fdstore_remove(s, "q7-hold"), 0);
        assert_int_equal(hear(text), -1);
        assert_string_equal(text, "FDSTOREREMOVE=1\nFDNAME=q7-hold");
        notify_free(s);
        close(fd);
        close(p[0]);
        close(p[1]);
}

/* PID 1 stands still: nothing blocks, nothing is lost, and the order stays. */
static void what_there_is_no_room_for_waits(void **state) {
        enum { N = 2000 };
        unsigned heard = 0, wanted = 0;
        Notify *s = NULL;
        char text[256], name[FDSTORE_NAME_MAX];
        int null = open("/dev/null", O_RDWR | O_CLOEXEC), fd;

        (void) state;
        assert_int_equal(notify_new(loop, &s), 0);
        for (int i = 0; i < N; i++) {
                snprintf(name, sizeof(name), "q%d-hold", i);
                assert_int_equal(i % 3 == 2 ? fdstore_remove(s, name) : fdstore_push(s, name, null), 0);
        }
        while (heard < N) {
                fd = hear(text);
                if (text[0]) {
                        snprintf(name, sizeof(name), "FDNAME=q%u-hold", wanted++);
                        assert_non_null(strstr(text, name));
                        assert_int_equal(fd >= 0, heard % 3 != 2);
                        if (fd >= 0)
                                close(fd);
                        heard++;
                } else
                        assert_true(sd_event_run(loop, 10 * USEC_PER_SEC) > 0);
        }
        notify_free(s);
        close(null);
}

/* A PID 1 that takes a message now and then, until it has been told @userdata of them. */
static void *listen_slowly(void *userdata) {
        unsigned *wanted = userdata;
        char text[256];

        while (*wanted > 0) {
                int fd;

                usleep(100);
                fd = hear(text);
                if (fd >= 0)
                        close(fd);
                *wanted -= text[0] != 0;
        }
        return NULL;
}

static void what_waits_at_the_end_is_waited_for_and_counted(void **state) {
        enum { N = 2000 };
        unsigned wanted = N + 1, left;
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        Notify *s = NULL;
        pthread_t pid1;

        (void) state;
        assert_int_equal(notify_new(loop, &s), 0);
        for (int i = 0; i < N; i++)
                assert_int_equal(fdstore_push(s, "q1-hold", null), 0);
        assert_int_equal(fdstore_remove(s, "q1-hold"), 0); /* no descriptor of it */
        left = (unsigned) notify_finish(s, 0);
        assert_in_range(left, 1, N - 1);
        assert_int_equal(notify_finish(s, 20 * USEC_PER_MSEC), left);
        assert_int_equal(pthread_create(&pid1, NULL, listen_slowly, &wanted), 0);
        assert_int_equal(notify_finish(s, 60 * USEC_PER_SEC), 0);
        assert_int_equal(pthread_join(pid1, NULL), 0);
        assert_int_equal(wanted, 0);
        notify_free(s);
        close(null);
}

static void without_a_manager_nothing_is_kept(void **state) {
        char *path = strdup(getenv("NOTIFY_SOCKET"));
        Notify *s = NULL;

        (void) state;
        unsetenv("NOTIFY_SOCKET");
        assert_int_equal(notify_new(loop, &s), 0);
        assert_int_equal(fdstore_push(s, "q7-hold", 0), 0);
        notify_free(s);
        setenv("NOTIFY_SOCKET", "/nowhere/at/all", 1);
        assert_true(notify_new(loop, &s) < 0);
        setenv("NOTIFY_SOCKET", path, 1);
        free(path);
}

static void the_watchdog_is_told_and_nothing_else_is(void **state) {
        Notify *s = NULL;
        char text[256];

        (void) state;
        setenv("WATCHDOG_USEC", "20000", 1);
        assert_int_equal(notify_new(loop, &s), 0);
        unsetenv("WATCHDOG_USEC");
        for (int i = 0; i < 2; i++) {
                do {
                        assert_true(sd_event_run(loop, 10 * USEC_PER_SEC) > 0);
                        assert_int_equal(hear(text), -1);
                } while (!text[0]);
                assert_string_equal(text, "WATCHDOG=1");
        }
        notify_free(s);
}

static void a_parcel_gives_back_what_was_put_in_and_once(void **state) {
        int p[2], q[2], fds[4], got[4], parcel, copy;
        char c;

        (void) state;
        assert_int_equal(pipe2(p, O_CLOEXEC), 0);
        assert_int_equal(pipe2(q, O_CLOEXEC), 0);
        fds[0] = p[1], fds[1] = -1, fds[2] = q[1], fds[3] = q[1]; /* the same twice */
        parcel = parcel_new(fds, 4);
        assert_true(parcel >= 0);
        copy = fcntl(parcel, F_DUPFD_CLOEXEC, 0); /* PID 1's */
        close(p[1]);
        close(q[1]);
        assert_int_equal(fcntl(p[0], F_SETFL, O_NONBLOCK), 0);
        assert_int_equal(read(p[0], &c, 1), -1); /* it is open, in the parcel */
        assert_int_equal(errno, EAGAIN);

        assert_int_equal(parcel_look(parcel, got, 4), 0);
        assert_int_equal(got[1], -1);
        assert_int_equal(write(got[0], "a", 1), 1);
        assert_int_equal(write(got[2], "b", 1), 1);
        assert_int_equal(write(got[3], "b", 1), 1);
        for (int i = 0; i < 4; i++)
                if (got[i] >= 0)
                        close(got[i]);
        assert_int_equal(read(p[0], &c, 1), 1);
        assert_int_equal(read(p[0], &c, 1), -1);

        assert_int_equal(parcel_open(copy, got, 4), 0);
        for (int i = 0; i < 4; i++)
                if (got[i] >= 0)
                        close(got[i]);
        assert_int_equal(read(p[0], &c, 1), 0); /* nobody holds it any more, whoever has the parcel */
        assert_int_equal(parcel_open(parcel, got, 4), -ENODATA);
        assert_int_equal(parcel_look(parcel, got, 4), -ENODATA);
        assert_int_equal(parcel_new((int[]) { -1, -1 }, 2), -ENODATA);
        close(parcel);
        close(copy);
        close(p[0]);
        close(q[0]);
}

/* Nothing of it is lost, and who looks learns that it passes. */
static void a_parcel_waits_for_free_descriptors(void **state) {
        struct rlimit whole, small;
        int p[2], got[4], parcel, last;

        (void) state;
        assert_int_equal(pipe2(p, O_CLOEXEC), 0);
        parcel = parcel_new((int[]) { p[0], p[1], p[1] }, 3);
        assert_true(parcel >= 0);
        last = dup(parcel);
        close(last);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &whole), 0);
        for (int room = 0; room < 3; room++) {
                small = (struct rlimit) { .rlim_cur = (rlim_t) (last + room), .rlim_max = whole.rlim_max };
                assert_int_equal(setrlimit(RLIMIT_NOFILE, &small), 0);
                assert_int_equal(parcel_look(parcel, got, 4), -EMFILE);
                for (int i = 0; i < 4; i++)
                        assert_int_equal(got[i], -1);
        }
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &whole), 0);
        assert_int_equal(parcel_look(parcel, got, 4), 0);
        assert_int_equal(got[0], last); /* none was left open */
        for (int i = 0; i < 3; i++)
                close(got[i]);
        close(parcel);
        close(p[0]);
        close(p[1]);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_is_pushed_is_named_and_not_polled),
                cmocka_unit_test(what_there_is_no_room_for_waits),
                cmocka_unit_test(what_waits_at_the_end_is_waited_for_and_counted),
                cmocka_unit_test(without_a_manager_nothing_is_kept),
                cmocka_unit_test(the_watchdog_is_told_and_nothing_else_is),
                cmocka_unit_test(a_parcel_gives_back_what_was_put_in_and_once),
                cmocka_unit_test(a_parcel_waits_for_free_descriptors),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
