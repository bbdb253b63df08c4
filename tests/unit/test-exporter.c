/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The exporter's HTTP side, served by a child on a loopback port, and asked byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exporter/exporter.h"

/* Far beyond any honest delay: what is waited for is an answer or an end. */
#define PATIENCE_SEC 60

typedef struct Bench {
        pid_t pid;
        uint16_t port;
        int source_failing[2]; /* a byte in it: the source fails */
} Bench;

static Bench bench;

static int source(char **ret_text, char ret_reason[static SCRAPE_REASON_MAX]) {
        char c;

        if (read(bench.source_failing[0], &c, 1) == 1) {
                snprintf(ret_reason, SCRAPE_REASON_MAX, "it is asleep");
                return -EHOSTDOWN;
        }
        *ret_text = strdup("penstock_stub 1\n");
        return *ret_text ? 0 : -ENOMEM;
}

static void serve_with(const HttpLimits *limits) {
        struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t len = sizeof(address);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

        assert_return_code(fd, errno);
        assert_return_code(bind(fd, (struct sockaddr *) &address, sizeof(address)), errno);
        assert_return_code(listen(fd, 64), errno);
        assert_return_code(getsockname(fd, (struct sockaddr *) &address, &len), errno);
        bench.port = ntohs(address.sin_port);
        assert_return_code(pipe2(bench.source_failing, O_CLOEXEC | O_NONBLOCK), errno);
        bench.pid = fork();
        assert_return_code(bench.pid, errno);
        if (bench.pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                _exit(http_serve(fd, limits, source) == 0 ? 0 : 1);
        }
        close(fd);
}

static int setup(void **state) {
        const HttpLimits limits = { .idle_usec = 3600 * USEC_PER_SEC, .connection_sec = 3600,
                                    .request_usec = 3600 * USEC_PER_SEC, .connections_max = 4,
                                    .header_bytes_max = 4 * KIB };

        (void) state;
        serve_with(&limits);
        return 0;
}

static int teardown(void **state) {
        (void) state;
        if (bench.pid > 0) {
                kill(bench.pid, SIGKILL);
                waitpid(bench.pid, NULL, 0);
        }
        close(bench.source_failing[0]);
        close(bench.source_failing[1]);
        return 0;
}

static int dial(void) {
        struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                       .sin_port = htons(bench.port) };
        struct timeval patience = { .tv_sec = PATIENCE_SEC };
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_return_code(fd, errno);
        assert_return_code(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), errno);
        assert_return_code(connect(fd, (struct sockaddr *) &address, sizeof(address)), errno);
        return fd;
}

/* All that comes until the other side closes. */
static const char *read_all(int fd) {
        static char text[64 * 1024];
        size_t n = 0;
        ssize_t k;

        while ((k = read(fd, text + n, sizeof(text) - 1 - n)) > 0)
                n += (size_t) k;
        assert_true(k == 0 || errno == ECONNRESET); /* not out of patience */
        text[n] = '\0';
        close(fd);
        return text;
}

static void say(int fd, const char *text) {
        (void) !send(fd, text, strlen(text), MSG_NOSIGNAL); /* it may have been refused already */
}

static const char *ask(const char *request) {
        int fd = dial();

        say(fd, request);
        return read_all(fd);
}

#define CLOSING "Host: localhost\r\nConnection: close\r\n\r\n"
#define assert_answer(text, status) assert_int_equal(strncmp(text, "HTTP/1.1 " status " ", strlen("HTTP/1.1 " status " ")), 0)

static void metrics_are_served_as_text_of_prometheus(void **state) {
        const char *text = ask("GET /metrics HTTP/1.1\r\n" CLOSING);

        (void) state;
        assert_answer(text, "200");
        assert_non_null(strstr(text, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
        assert_non_null(strstr(text, "\r\n\r\npenstock_stub 1\n"));
}

static void the_first_page_has_a_link(void **state) {
        const char *text = ask("GET / HTTP/1.1\r\n" CLOSING);

        (void) state;
        assert_answer(text, "200");
        assert_non_null(strstr(text, "href=\"/metrics\""));
}

static void head_has_no_body(void **state) {
        const char *text = ask("HEAD /metrics HTTP/1.1\r\n" CLOSING);

        (void) state;
        assert_answer(text, "200");
        assert_null(strstr(text, "penstock_stub"));
}

static void other_paths_and_methods_are_refused(void **state) {
        (void) state;
        assert_answer(ask("GET /metrics/ HTTP/1.1\r\n" CLOSING), "404");
        assert_answer(ask("GET /../etc/passwd HTTP/1.1\r\n" CLOSING), "404");
        assert_answer(ask("DELETE /metrics HTTP/1.1\r\n" CLOSING), "405");
        assert_answer(ask("POST /metrics HTTP/1.1\r\nContent-Length: 1000000000\r\n" CLOSING), "405");
        assert_non_null(strstr(ask("PUT / HTTP/1.1\r\n" CLOSING), "\r\nAllow: GET, HEAD\r\n"));
}

static void a_source_that_fails_is_503_with_the_reason_and_comes_back(void **state) {
        const char *text;

        (void) state;
        assert_int_equal(write(bench.source_failing[1], "x", 1), 1);
        text = ask("GET /metrics HTTP/1.1\r\n" CLOSING);
        assert_answer(text, "503");
        assert_non_null(strstr(text, "it is asleep\n"));
        assert_answer(ask("GET /metrics HTTP/1.1\r\n" CLOSING), "200");
}

static void a_header_that_grows_is_refused(void **state) {
        char junk[1024];
        int fd = dial();

        (void) state;
        memset(junk, 'x', sizeof(junk) - 1);
        junk[sizeof(junk) - 1] = '\0';
        say(fd, "GET /metrics HTTP/1.1\r\nX-Junk: ");
        for (unsigned i = 0; i < 16; i++)
                say(fd, junk);
        assert_null(strstr(read_all(fd), "penstock_stub"));
        assert_answer(ask("GET /metrics HTTP/1.1\r\n" CLOSING), "200");
}

static void one_connection_too_many_waits_for_its_turn(void **state) {
        int fds[4], late;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(fds); i++) {
                fds[i] = dial();
                say(fds[i], "GET /metrics HTTP/1.1\r\n");
        }
        late = dial();
        say(late, "GET /metrics HTTP/1.1\r\n" CLOSING);
        assert_int_equal(poll(&(struct pollfd) { .fd = late, .events = POLLIN }, 1, 200), 0);
        say(fds[0], CLOSING);
        assert_answer(read_all(fds[0]), "200");
        assert_answer(read_all(late), "200");
        for (size_t i = 1; i < ELEMENTSOF(fds); i++)
                close(fds[i]);
}

static void who_would_ask_again_and_again_keeps_nobody_out(void **state) {
        int fds[4];

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(fds); i++) {
                fds[i] = dial();
                say(fds[i], "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n");
        }
        for (size_t i = 0; i < ELEMENTSOF(fds); i++) /* until it is closed */
                assert_answer(read_all(fds[i]), "200");
        assert_answer(ask("GET /metrics HTTP/1.1\r\n" CLOSING), "200");
}

static void it_ends_when_nobody_is_connected(void **state) {
        const HttpLimits limits = { .idle_usec = 50 * USEC_PER_MSEC, .connection_sec = 1,
                                    .request_usec = USEC_PER_SEC, .connections_max = 4, .header_bytes_max = 4 * KIB };
        int status, fd;

        teardown(state);
        serve_with(&limits);
        fd = dial(); /* says nothing, and is closed for it */
        assert_string_equal(read_all(fd), "");
        assert_int_equal(waitpid(bench.pid, &status, 0), bench.pid);
        bench.pid = 0;
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* A byte now and then keeps a connection from being idle, but not for ever. */
static void a_request_that_trickles_in_is_ended(void **state) {
        const HttpLimits limits = { .idle_usec = 3600 * USEC_PER_SEC, .connection_sec = 3600,
                                    .request_usec = 300 * USEC_PER_MSEC, .connections_max = 4,
                                    .header_bytes_max = 32 * KIB };
        struct timeval beat = { .tv_usec = 20000 };
        unsigned beats = 0;
        char c;
        int fd;

        teardown(state);
        serve_with(&limits);
        fd = dial();
        assert_return_code(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &beat, sizeof(beat)), errno);
        say(fd, "GET /metrics HTTP/1.1\r\nX: ");
        while (read(fd, &c, 1) < 0 && errno == EAGAIN) {
                assert_true(beats++ < PATIENCE_SEC * 50);
                say(fd, "x");
        }
        close(fd);
}

int main(void) {
#define HTTP_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        const struct CMUnitTest tests[] = {
                HTTP_TEST(metrics_are_served_as_text_of_prometheus),
                HTTP_TEST(the_first_page_has_a_link),
                HTTP_TEST(head_has_no_body),
                HTTP_TEST(other_paths_and_methods_are_refused),
                HTTP_TEST(a_source_that_fails_is_503_with_the_reason_and_comes_back),
                HTTP_TEST(a_header_that_grows_is_refused),
                HTTP_TEST(one_connection_too_many_waits_for_its_turn),
                HTTP_TEST(who_would_ask_again_and_again_keeps_nobody_out),
                HTTP_TEST(it_ends_when_nobody_is_connected),
                HTTP_TEST(a_request_that_trickles_in_is_ended),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
