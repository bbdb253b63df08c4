/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* host/worker_link against peers that are no worker. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "host/worker_link.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct Desk {
        sd_event *event;
        WorkerLink *link;
        int listen_fd;
        struct sockaddr_un sa;
        unsigned hellos, readies, exiteds, losses;
        int refuse; /* what hello returns */
        bool close_in_hello, close_in_ready;
        int lost_error;
        WorkerConn *conn;
} Desk;

static int on_hello(WorkerConn *c, const WorkerHello *m, pid_t pid, void *userdata) {
        Desk *d = userdata;

        (void) m;
        assert_int_equal(pid, getpid());
        d->hellos++;
        d->conn = c;
        if (d->close_in_hello)
                worker_conn_close(c);
        return d->refuse;
}

static void on_ready(WorkerConn *c, void *userdata) {
        Desk *d = userdata;

        d->readies++;
        if (d->close_in_ready)
                worker_conn_close(c);
}

static void on_exited(WorkerConn *c, const WorkerExited *m, void *userdata) {
        (void) c;
        (void) m;
        ((Desk *) userdata)->exiteds++;
}

static void on_lost(WorkerConn *c, int error, void *userdata) {
        Desk *d = userdata;

        assert_ptr_equal(c, d->conn);
        d->lost_error = error;
        d->losses++;
}

static const WorkerLinkCallbacks CALLBACKS = {
        .hello = on_hello, .ready = on_ready, .exited = on_exited, .lost = on_lost
};

static int setup(void **state) {
        Desk *d;

        *state = NULL;
        if (geteuid() != 0)
                return 0;
        d = calloc(1, sizeof(*d));
        assert_non_null(d);
        d->sa.sun_family = AF_UNIX;
        snprintf(d->sa.sun_path + 1, sizeof(d->sa.sun_path) - 1, "penstock-test-%d", (int) getpid());
        d->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(d->listen_fd, (struct sockaddr *) &d->sa, sizeof(d->sa)), 0);
        assert_int_equal(listen(d->listen_fd, 128), 0);
        assert_true(sd_event_new(&d->event) >= 0);
        assert_int_equal(worker_link_new(d->event, d->listen_fd, &CALLBACKS, d, &d->link), 0);
        *state = d;
        return 0;
}

static int teardown(void **state) {
        Desk *d = *state;

        if (!d)
                return 0;
        worker_link_free(d->link);
        close(d->listen_fd);
        sd_event_unref(d->event);
        free(d);
        return 0;
}

static int connect_to(Desk *d) {
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

        if (!d) {
                print_message("skipped: needs root\n");
                skip();
        }
        assert_int_equal(connect(fd, (struct sockaddr *) &d->sa, sizeof(d->sa)), 0);
        return fd;
}

/* Run the loop until it has nothing to do. */
static void settle(Desk *d) {
        while (sd_event_run(d->event, 0) > 0)
                ;
}

static void say(int fd, WorkerType type, uint64_t id) {
        WorkerMessage m = { .header = worker_header(type, id) };

        assert_int_equal(send(fd, &m, worker_message_size(type), MSG_NOSIGNAL), worker_message_size(type));
}

static bool is_closed(int fd) {
        struct pollfd p = { .fd = fd, .events = POLLIN };

        return poll(&p, 1, 0) > 0 && (p.revents & POLLHUP);
}

static int say_hello(Desk *d) {
        WorkerPlain welcome;
        int fd = connect_to(d);

        say(fd, WORKER_HELLO, 7);
        settle(d);
        assert_int_equal(d->hellos, 1);
        assert_int_equal(recv(fd, &welcome, sizeof(welcome), MSG_DONTWAIT), sizeof(welcome));
        assert_int_equal(welcome.header.type, WORKER_WELCOME);
        assert_int_equal(welcome.header.id, 7);
        return fd;
}

static void hello_is_welcomed_and_hang_up_is_loss(void **state) {
        Desk *d = *state;
        int fd = say_hello(d);

        say(fd, WORKER_READY, 7);
        settle(d);
        assert_int_equal(d->readies, 1);
        close(fd);
        settle(d);
        assert_int_equal(d->losses, 1);
        assert_int_equal(d->lost_error, 0);
}

static void the_last_words_of_a_dying_worker_are_heard(void **state) {
        Desk *d = *state;
        int fd = say_hello(d);

        say(fd, WORKER_EXITED, 7);
        close(fd);
        settle(d);
        assert_int_equal(d->exiteds, 1);
        assert_int_equal(d->losses, 1);
}

static void what_was_said_is_heard_before_anyone_judges(void **state) {
        Desk *d = *state;
        int fd = say_hello(d);

        /* Not by the loop: its turn has not come yet when PID 1 is heard to say that the unit is gone. */
        for (unsigned i = 0; i < 20; i++)
                say(fd, WORKER_READY, 7);
        say(fd, WORKER_EXITED, 7);
        worker_conn_receive_all(d->conn);
        assert_int_equal(d->readies, 20);
        assert_int_equal(d->exiteds, 1);
        assert_int_equal(d->losses, 0);
        close(fd);
        worker_conn_receive_all(d->conn); /* @conn is gone after this */
        assert_int_equal(d->losses, 1);
        worker_conn_receive_all(NULL);
}

static void a_refused_hello_closes_without_loss(void **state) {
        Desk *d = *state;
        int fd = connect_to(d);

        d->refuse = -EPERM;
        say(fd, WORKER_HELLO, 7);
        settle(d);
        assert_int_equal(d->hellos, 1);
        assert_true(is_closed(fd));
        assert_int_equal(d->losses, 0);
        close(fd);
}

static void others_than_root_are_not_heard(void **state) {
        Desk *d = *state;
        int fd, status;
        pid_t pid;

        if (!d)
                connect_to(d); /* skips */
        pid = fork();
        if (pid == 0) {
                if (setgid(61235) < 0 || setuid(61234) < 0)
                        _exit(1);
                fd = connect_to(d);
                say(fd, WORKER_HELLO, 7);
                _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        settle(d);
        assert_int_equal(d->hellos, 0);
}

static void malformed_messages_end_the_connection(void **state) {
        WorkerMessage bad[12];
        size_t sizes[12], n = 0;

#define BAD(type, size_change, ...)                                                                                  \
        do {                                                                                                         \
                WorkerMessage *m = &bad[n];                                                                          \
                                                                                                                     \
                memset(m, 0, sizeof(*m));                                                                            \
                m->header = worker_header(type, 7);                                                                  \
                sizes[n++] = worker_message_size(type) + (size_t) (size_change);                                     \
                __VA_ARGS__;                                                                                         \
        } while (0)
        BAD(WORKER_READY, 0, m->header.magic++);
        BAD(WORKER_READY, 0, m->header.version++);
        BAD(WORKER_READY, 0, m->header.id = 8);
        BAD(WORKER_READY, 1);
        BAD(WORKER_READY, -1);
        BAD(WORKER_HELLO, 0); /* a second one */
        BAD(WORKER_ACK, 0);   /* not the worker's to say */
        BAD(WORKER_EXITED, -4096);
        BAD(WORKER_EXITED, 0, m->exited.stderr_len = WORKER_STDERR_TAIL_MAX + 1);
        BAD(WORKER_COMPILED, 0, m->compiled.stderr_len = UINT32_MAX);
        BAD(WORKER_FAILED, 0, m->failed.step = _WORKER_STEP_MAX);
        BAD(WORKER_STARTED, 0, m->started.pid = -1);
#undef BAD
        for (size_t i = 0; i < n; i++) {
                Desk *d = *state;
                int fd = say_hello(d);

                assert_int_equal(send(fd, &bad[i], sizes[i], MSG_NOSIGNAL), sizes[i]);
                say(fd, WORKER_EXITED, 7);
                settle(d);
                assert_int_equal(d->losses, 1);
                assert_int_equal(d->lost_error, -EBADMSG);
                assert_int_equal(d->exiteds, 0);
                assert_true(is_closed(fd));
                close(fd);
                d->hellos = d->losses = 0;
        }
}

static void nothing_is_heard_before_hello(void **state) {
        Desk *d = *state;
        int fd = connect_to(d);

        say(fd, WORKER_EXITED, 7);
        settle(d);
        assert_true(is_closed(fd));
        assert_int_equal(d->exiteds + d->losses, 0);
        close(fd);
}

static void a_connection_may_be_closed_in_its_own_callback(void **state) {
        Desk *d = *state;
        int fd = connect_to(d);

        d->close_in_hello = true;
        say(fd, WORKER_HELLO, 7);
        say(fd, WORKER_READY, 7);
        settle(d);
        assert_true(is_closed(fd));
        close(fd);
        d->close_in_hello = false;
        d->close_in_ready = true;
        d->hellos = 0;
        fd = say_hello(d);
        say(fd, WORKER_READY, 7);
        say(fd, WORKER_READY, 7);
        settle(d);
        assert_int_equal(d->readies, 1);
        assert_int_equal(d->losses, 0);
        close(fd);
}

static void silent_peers_do_not_shut_out_workers_for_good(void **state) {
        int silent[100], fd;
        Desk *d = *state;

        for (size_t i = 0; i < 100; i++)
                silent[i] = connect_to(d);
        settle(d);
        fd = connect_to(d);
        say(fd, WORKER_HELLO, 7);
        settle(d);
        assert_int_equal(d->hellos, 0); /* it waits in the backlog, as do most of the silent ones */
        for (size_t i = 0; i < 100; i++)
                close(silent[i]);
        settle(d);
        assert_int_equal(d->hellos, 1);
        close(fd);
}

static void descriptors_are_borrowed_and_a_deaf_worker_is_an_error(void **state) {
        Desk *d = *state;
        int fd = say_hello(d), groups[_WORKER_GROUP_MAX], r = 0;
        WorkerExecuteFds none = WORKER_EXECUTE_FDS_NONE;

        for (size_t i = 0; i < _WORKER_GROUP_MAX; i++)
                groups[i] = d->listen_fd;
        assert_int_equal(worker_conn_send_groups(d->conn, groups), 0);
        assert_true(fcntl(d->listen_fd, F_GETFD) >= 0);
        groups[3] = -1;
        assert_int_equal(worker_conn_send_groups(d->conn, groups), -EBADF);
        assert_int_equal(worker_conn_send_execute(d->conn, &none, 0), -EINVAL);
        for (unsigned i = 0; i < 100000 && r == 0; i++)
                r = worker_conn_send_ack(d->conn);
        assert_int_equal(r, -EAGAIN);
        close(fd);
        settle(d);
        assert_int_equal(d->losses, 1);
}

static void the_peers_group_is_found(void **state) {
        char path[4096], tiny[1];
        Desk *d = *state;
        int fd = say_hello(d), r = worker_link_peer_cgroup(getpid(), path, sizeof(path));

        if (r == -ENODATA) { /* a host without cgroup v2 */
                close(fd);
                print_message("skipped: no cgroup v2 here\n");
                skip();
        }
        assert_int_equal(r, 0);
        assert_int_equal(path[0], '/');
        assert_int_equal(worker_link_peer_cgroup(getpid(), tiny, sizeof(tiny)), -ENAMETOOLONG);
        assert_int_equal(worker_link_peer_cgroup(0x7ffffff0, path, sizeof(path)), -ESRCH);
        assert_int_equal(worker_conn_peer_cgroup(d->conn, path, sizeof(path)), 0);
        close(fd);
        assert_int_equal(worker_conn_peer_cgroup(d->conn, path, sizeof(path)), -ESRCH);
        settle(d);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(hello_is_welcomed_and_hang_up_is_loss),
                TEST(the_last_words_of_a_dying_worker_are_heard),
                TEST(what_was_said_is_heard_before_anyone_judges),
                TEST(a_refused_hello_closes_without_loss),
                TEST(others_than_root_are_not_heard),
                TEST(malformed_messages_end_the_connection),
                TEST(nothing_is_heard_before_hello),
                TEST(a_connection_may_be_closed_in_its_own_callback),
                TEST(silent_peers_do_not_shut_out_workers_for_good),
                TEST(descriptors_are_borrowed_and_a_deaf_worker_is_an_error),
                TEST(the_peers_group_is_found),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
