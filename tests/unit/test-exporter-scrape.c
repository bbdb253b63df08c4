/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The exporter's question to penstockd, over a bus that is not well. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "exporter/exporter.h"

/* Sets the address of the system bus; -1 for @backlog: nobody listens there. Returns the socket. */
static int make_bus(int backlog) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        char text[64];
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_return_code(fd, errno);
        snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, "penstock-test-scrape-%d", (int) getpid());
        assert_return_code(bind(fd, (struct sockaddr *) &address,
                                (socklen_t) (offsetof(struct sockaddr_un, sun_path) + 1 + strlen(address.sun_path + 1))),
                           errno);
        if (backlog >= 0)
                assert_return_code(listen(fd, backlog), errno);
        snprintf(text, sizeof(text), "unix:abstract=%s", address.sun_path + 1);
        assert_return_code(setenv("DBUS_SYSTEM_BUS_ADDRESS", text, 1), errno);
        return fd;
}

/* Connections wait in its backlog, and nobody greets. sd-bus itself would wait for 90 s. */
static void a_bus_that_stands_still_is_left_in_time(void **state) {
        char reason[SCRAPE_REASON_MAX] = "", *text = NULL;
        int fd = make_bus(8);

        (void) state;
        alarm(30);
        assert_int_equal(scrape_within(50 * USEC_PER_MSEC, &text, reason), -ETIMEDOUT);
        alarm(0);
        assert_null(text);
        assert_non_null(strstr(reason, "the system bus does not answer"));
        close(fd);
}

static void a_bus_that_is_not_there_is_told(void **state) {
        char reason[SCRAPE_REASON_MAX] = "", *text = NULL;
        int fd = make_bus(-1);

        (void) state;
        assert_int_equal(scrape_within(USEC_PER_SEC, &text, reason), -ECONNREFUSED);
        assert_null(text);
        assert_non_null(strstr(reason, "the system bus can't be reached"));
        close(fd);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_bus_that_stands_still_is_left_in_time),
                cmocka_unit_test(a_bus_that_is_not_there_is_told),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
