/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "standin.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void PRINTF_LIKE(2, 3) dump(StandInRequest *r, const char *format, ...) {
        size_t left = sizeof(r->dump) - r->dump_len;
        va_list ap;
        int n;

        va_start(ap, format);
        n = vsnprintf(r->dump + r->dump_len, left, format, ap);
        va_end(ap);
        if (n > 0)
                r->dump_len += MIN((size_t) n, left - 1);
}

static int read_string(sd_bus_message *m, StandInRequest *r, const char *key) {
        const char *s;
        int k = sd_bus_message_read(m, "s", &s);

        if (k < 0)
                return k;
        if (strcmp(key, "language") == 0)
                snprintf(r->language, sizeof(r->language), "%s", s);
        else if (strcmp(key, "query") == 0)
                r->query = s;
        dump(r, "%s s %zu %.200s\n", key, strlen(s), s);
        return 0;
}

static int read_argv(sd_bus_message *m, StandInRequest *r, const char *key) {
        char **list = NULL;
        int k = sd_bus_message_read_strv(m, &list);

        for (size_t i = 0; k >= 0 && list && list[i]; i++) {
                dump(r, "%s as %.100s\n", key, list[i]);
                if (strcmp(key, "argv") == 0 && r->argc < ELEMENTSOF(r->argv))
                        r->argv[r->argc++] = list[i];
                else
                        free(list[i]);
        }
        free(list);
        return k;
}

static int read_pairs(sd_bus_message *m, StandInRequest *r, const char *key) {
        const char *name, *value;
        int k = sd_bus_message_enter_container(m, 'a', "{ss}");

        while (k >= 0 && (k = sd_bus_message_read(m, "{ss}", &name, &value)) > 0) {
                dump(r, "%s a{ss} %s=%.100s\n", key, name, value);
                if (strcmp(key, "labels") == 0) {
                        r->label[0] = name;
                        r->label[1] = value;
                }
        }
        return k < 0 ? k : sd_bus_message_exit_container(m);
}

static int read_limits(sd_bus_message *m, StandInRequest *r, const char *key) {
        const char *name;
        uint64_t soft, hard;
        int k = sd_bus_message_enter_container(m, 'a', "{s(tt)}");

        while (k >= 0 && (k = sd_bus_message_read(m, "{s(tt)}", &name, &soft, &hard)) > 0)
                dump(r, "%s a{s(tt)} %s=%llu\n", key, name, (unsigned long long) soft);
        return k < 0 ? k : sd_bus_message_exit_container(m);
}

static int read_number(sd_bus_message *m, StandInRequest *r, const char *key, char type) {
        union {
                uint64_t t;
                uint32_t u;
                int32_t i;
                int b, h;
        } v = {};
        int k = sd_bus_message_read_basic(m, type, &v);

        if (k < 0)
                return k;
        if (strcmp(key, "detach") == 0)
                r->detach = v.b;
        else if (strcmp(key, "stdin") == 0)
                r->stdin_fd = v.h;
        else if (strcmp(key, "stderr") == 0)
                r->stderr_fd = v.h;
        dump(r, "%s %c %lld\n", key, type,
             type == 't'   ? (long long) v.t
             : type == 'u' ? (long long) v.u
             : type == 'h' ? 0LL
                           : (long long) v.i);
        return 0;
}

int standin_request_read(sd_bus_message *m, StandInRequest *r) {
        const char *key, *contents;
        int k;

        r->stdin_fd = r->stderr_fd = -1;
        k = sd_bus_message_enter_container(m, 'a', "{sv}");
        while (k >= 0 && (k = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                k = sd_bus_message_read(m, "s", &key);
                if (k >= 0)
                        k = sd_bus_message_peek_type(m, NULL, &contents);
                if (k >= 0)
                        k = sd_bus_message_enter_container(m, 'v', contents);
                if (k < 0)
                        return k;
                if (strcmp(contents, "s") == 0)
                        k = read_string(m, r, key);
                else if (strcmp(contents, "as") == 0)
                        k = read_argv(m, r, key);
                else if (strcmp(contents, "a{ss}") == 0)
                        k = read_pairs(m, r, key);
                else if (strcmp(contents, "a{s(tt)}") == 0)
                        k = read_limits(m, r, key);
                else if (strlen(contents) == 1)
                        k = read_number(m, r, key, contents[0]);
                else
                        k = -EINVAL;
                if (k >= 0)
                        k = sd_bus_message_exit_container(m);
                if (k >= 0)
                        k = sd_bus_message_exit_container(m);
        }
        return k;
}

void standin_request_done(StandInRequest *r) {
        for (size_t i = 0; i < r->argc; i++)
                free(r->argv[i]);
}
