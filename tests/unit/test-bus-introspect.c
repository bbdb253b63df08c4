/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writes what the running vtables say of themselves, for test-bus-introspect.py to hold against the XML: one document
 * an object, each with a NUL at its end. Then the keys of a query's dictionary, one a line. */
#include "test-bus-bench.h"

#include <stdio.h>
#include <string.h>

static void print_introspection(Bench *b, const char *path) {
        sd_bus_message *reply =
                        bench_call(b, bench_message(b, path, "org.freedesktop.DBus.Introspectable", "Introspect"));
        const char *xml;

        assert_return_code(sd_bus_message_read(reply, "s", &xml), 0);
        fwrite(xml, 1, strlen(xml) + 1, stdout);
        sd_bus_message_unref(reply);
}

static void print_keys(Bench *b) {
        sd_bus_message *reply = bench_call(b, bench_message(b, CONTROLLER_PATH, CONTROLLER_INTERFACE, "ListQueries"));
        const char *key, *contents;
        char type;

        assert_true(sd_bus_message_enter_container(reply, 'a', "a{sv}") > 0);
        assert_true(sd_bus_message_enter_container(reply, 'a', "{sv}") > 0);
        while (sd_bus_message_enter_container(reply, 'e', "sv") > 0) {
                assert_true(sd_bus_message_read(reply, "s", &key) > 0);
                assert_true(sd_bus_message_peek_type(reply, &type, &contents) > 0);
                printf("%s %s\n", key, contents);
                assert_true(sd_bus_message_skip(reply, "v") > 0);
                assert_true(sd_bus_message_exit_container(reply) > 0);
        }
        sd_bus_message_unref(reply);
}

int main(void) {
        void *state = NULL;
        Bench *b;

        bench_setup(&state);
        b = state;
        bench_submit(b);
        print_introspection(b, CONTROLLER_PATH);
        print_introspection(b, "/org/penstock1/query/_1");
        print_keys(b);
        return bench_teardown(&state);
}
