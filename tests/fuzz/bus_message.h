/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzz/bus_message: values of a message on the bus, out of the input. */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <string.h>
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

typedef struct DictKey {
        const char *name, *signature;
} DictKey;

/* The a{sv} that a method takes: what keys it has, at most how many come, and how a value of a signature is put into a message. */
typedef struct DictKind {
        const char *method;
        const DictKey *keys;
        size_t n_keys;
        unsigned most;
        int (*append_value)(sd_bus_message *m, const char *signature, Bytes *b, unsigned flags);
} DictKind;

/* Two bytes say key and type: below the number of keys a known one, of its own type unless a bit says otherwise. */
static inline int append_entry(sd_bus_message *m, const DictKind *k, Bytes *b) {
        unsigned which = bytes_u8(b), flags = bytes_u8(b);
        bool known = which < k->n_keys;
        char *name = known ? strdup(k->keys[which].name) : bytes_string(b, 200);
        const char *signature = k->keys[(known && !(flags & 16) ? which : bytes_u8(b)) % k->n_keys].signature;
        int r = name ? sd_bus_message_open_container(m, 'e', "sv") : -ENOMEM;

        if (r >= 0)
                r = sd_bus_message_append_basic(m, 's', name);
        if (r >= 0)
                r = k->append_value(m, signature, b, flags);
        free(name);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

/* A call of the method, ready to be read; NULL for what sd-bus does not even put into a message. */
static inline sd_bus_message *message_of(sd_bus *bus, const DictKind *k, Bytes *b) {
        sd_bus_message *m = NULL;
        int r = sd_bus_message_new_method_call(bus, &m, "org.penstock1", "/org/penstock1", "org.penstock1.Controller", k->method);

        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "{sv}");
        for (unsigned i = 0; r >= 0 && i < k->most && b->n > 0; i++)
                r = append_entry(m, k, b);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        if (r >= 0)
                r = sd_bus_message_seal(m, 1, 0);
        if (r >= 0)
                r = sd_bus_message_rewind(m, 1);
        return r < 0 ? sd_bus_message_unref(m) : m;
}
