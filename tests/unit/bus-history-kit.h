/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* For tests of History on the bus, over a real history in a directory of its own. */
#pragma once

#include "test-bus-bench.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bus/history.h"

#define INVALID "org.penstock1.Error.InvalidArgument"

static const HistoryLimits plenty = { .max_entries = 100000, .retention_usec = USEC_INFINITY };
static char directory[64];

static inline void on_news(HistoryNews news, const char *text, void *userdata) {
        (void) news, (void) text, (void) userdata;
}

static inline int setup(void **state) {
        char path[96];
        Bench *b;

        assert_int_equal(bench_setup(state), 0);
        b = *state;
        strcpy(directory, "/var/tmp/test-bus-history.XXXXXX");
        assert_non_null(mkdtemp(directory));
        snprintf(path, sizeof(path), "%s/history.db", directory);
        assert_int_equal(history_new(b->event, path, &plenty, on_news, NULL, &b->manager.history), 0);
        return 0;
}

static inline int teardown(void **state) {
        static const char *const names[] = { "history.db", "history.db-wal", "history.db-shm" };
        char path[96];

        assert_int_equal(bench_teardown(state), 0);
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
                (void) unlink(path);
        }
        return rmdir(directory);
}

static inline HistoryRow row_of(uint64_t id, uint32_t uid) {
        HistoryRow r = {
                .id = id, .user_id = uid, .language = "sqlite", .state = "finished", .ended_usec = 1000 + id
        };

        return r;
}

static inline void label(HistoryRow *r, const char *key, const char *value) {
        assert_int_equal(pairlist_set(&r->labels, key, value), 0);
}

static inline void add(Bench *b, HistoryRow r) {
        assert_int_equal(history_add(b->manager.history, &r), 0);
}

static inline sd_bus_message *filter_open(Bench *b) {
        sd_bus_message *m = bench_message(b, CONTROLLER_PATH, CONTROLLER_INTERFACE, "History");

        assert_return_code(sd_bus_message_open_container(m, 'a', "{sv}"), 0);
        return m;
}

static inline sd_bus_message *call(Bench *b, sd_bus_message *m) {
        bench_request_close(m);
        return bench_call(b, m);
}

static inline sd_bus_message *call_number(Bench *b, const char *key, uint64_t n) {
        sd_bus_message *m = filter_open(b);

        assert_return_code(sd_bus_message_append(m, "{sv}", key, "t", n), 0);
        return call(b, m);
}

static inline sd_bus_message *call_text(Bench *b, const char *key, const char *text) {
        sd_bus_message *m = filter_open(b);

        assert_return_code(sd_bus_message_append(m, "{sv}", key, "s", text), 0);
        return call(b, m);
}

static inline sd_bus_message *call_label(Bench *b, const char *key, const char *value) {
        sd_bus_message *m = filter_open(b);

        assert_return_code(sd_bus_message_append(m, "{sv}", "labels", "a{ss}", 1, key, value), 0);
        return call(b, m);
}

static inline const char *number_text(sd_bus_message *m, char type) {
        static char text[32];
        union {
                uint64_t t;
                uint32_t u;
                int32_t i;
                int b;
        } v = {};

        assert_true(sd_bus_message_read_basic(m, type, &v) > 0);
        snprintf(text, sizeof(text), "%lld",
                 type == 't'   ? (long long) v.t
                 : type == 'u' ? (long long) v.u
                 : type == 'i' ? (long long) v.i
                               : (long long) v.b);
        return text;
}

/* @key=value of a{ss}, as "a=1 b=2". */
static inline const char *pairs_text(sd_bus_message *m) {
        static char text[256];
        const char *k, *v;
        size_t n = 0;

        text[0] = '\0';
        assert_true(sd_bus_message_enter_container(m, 'a', "{ss}") > 0);
        while (sd_bus_message_read(m, "{ss}", &k, &v) > 0)
                n += (size_t) snprintf(text + n, sizeof(text) - n, "%s%s=%s", n > 0 ? " " : "", k, v);
        assert_true(sd_bus_message_exit_container(m) > 0);
        return text;
}

/* What @key is in the row @index of @reply, as text; NULL: there is no such row or key. */
static inline const char *value(sd_bus_message *reply, unsigned index, const char *key) {
        const char *contents, *name, *found = NULL;
        unsigned i = 0;

        if (sd_bus_message_is_method_error(reply, NULL))
                fail_msg("%s", sd_bus_message_get_error(reply)->message);
        assert_true(sd_bus_message_rewind(reply, true) >= 0);
        assert_true(sd_bus_message_enter_container(reply, 'a', "a{sv}") > 0);
        for (; sd_bus_message_enter_container(reply, 'a', "{sv}") > 0; i++) {
                while (sd_bus_message_enter_container(reply, 'e', "sv") > 0) {
                        assert_true(sd_bus_message_read(reply, "s", &name) > 0);
                        assert_true(sd_bus_message_peek_type(reply, NULL, &contents) > 0);
                        if (i != index || strcmp(name, key) != 0)
                                assert_true(sd_bus_message_skip(reply, "v") > 0);
                        else {
                                assert_null(found); /* each once */
                                assert_true(sd_bus_message_enter_container(reply, 'v', contents) > 0);
                                if (strcmp(contents, "a{ss}") == 0)
                                        found = pairs_text(reply);
                                else if (contents[0] == 's')
                                        assert_true(sd_bus_message_read_basic(reply, 's', &found) > 0);
                                else
                                        found = number_text(reply, contents[0]);
                                assert_true(sd_bus_message_exit_container(reply) > 0);
                        }
                        assert_true(sd_bus_message_exit_container(reply) > 0);
                }
                assert_true(sd_bus_message_exit_container(reply) > 0);
        }
        return found;
}

static inline void assert_is(sd_bus_message *reply, unsigned index, const char *key, const char *expected) {
        const char *text = value(reply, index, key);

        if (!text || strcmp(text, expected) != 0)
                fail_msg("%s of row %u is %s, not %s", key, index, text ?: "missing", expected);
}

/* The IDs in their order, and the end of the message. */
static inline void assert_ids(sd_bus_message *reply, const char *expected) {
        char text[1024] = "";
        const char *id;
        size_t n = 0;

        for (unsigned i = 0; (id = value(reply, i, "ID")); i++)
                n += (size_t) snprintf(text + n, sizeof(text) - n, "%s%s", i > 0 ? " " : "", id);
        assert_string_equal(text, expected);
        sd_bus_message_unref(reply);
}

#define HISTORY_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
