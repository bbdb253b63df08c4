/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzz/bus_message: values of a message on the bus, out of the input. */
#pragma once

#include <sys/socket.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include "fuzz.h"

/* Stands in front of some values: no message may show one. */
#define SECRET "s3cr3t-"

/* A bus that is never connected to anybody: messages need one. */
static inline sd_bus *bus_make(void) {
        sd_bus *bus = NULL;
        int fds[2];

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0 || sd_bus_new(&bus) < 0 ||
            sd_bus_set_fd(bus, fds[0], fds[0]) < 0 || sd_bus_negotiate_fds(bus, 1) < 0 || sd_bus_start(bus) < 0)
                abort();
        return bus;
}

/* The low bits of @flags: 1 a secret, 2 a long one (at the most just above REQUEST_ARG_BYTES_MAX), 4 an absolute path. */
static inline char *value_of(Bytes *b, unsigned flags) {
        char *s = bytes_string(b, 255), *long_one;
        size_t n = strlen(s), repeat = flags & 2 ? 1 + (size_t) bytes_u8(b) * 2 + 4 : 1;
        const char *before = flags & 4 ? "/" : flags & 1 ? SECRET : "";

        long_one = malloc(strlen(before) + n * repeat + 1);
        if (!long_one)
                abort();
        strcpy(long_one, before);
        for (size_t i = 0, at = strlen(before); i < repeat; i++, at += n)
                memcpy(long_one + at, s, n + 1);
        free(s);
        return long_one;
}

static inline int append_pairs(sd_bus_message *m, Bytes *b, unsigned flags) {
        size_t n = bytes_u8(b) % 8, repeat = (flags & 10) == 8 ? 1 + (size_t) bytes_u8(b) : 1;
        int r = sd_bus_message_open_container(m, 'a', "{ss}");

        for (size_t i = 0; r >= 0 && i < n; i++) {
                char *name = bytes_string(b, 32), *value = value_of(b, flags), numbered[64];

                for (size_t k = 0; r >= 0 && k < repeat; k++) {
                        snprintf(numbered, sizeof(numbered), k > 0 ? "%s%zu" : "%s", name, k);
                        r = sd_bus_message_append(m, "{ss}", numbered, value);
                }
                free(name);
                free(value);
        }
        return r < 0 ? r : sd_bus_message_close_container(m);
}
