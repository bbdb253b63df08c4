/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test-bus-bench.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define INVALID "org.penstock1.Error.InvalidArgument"

static char *text_of(size_t n, char c) {
        char *s = malloc(n + 1);

        assert_non_null(s);
        memset(s, c, n);
        s[n] = '\0';
        return s;
}

static const Request *last_request(const Bench *b) {
        const Query *last = NULL;

        for (const Query *q = engine_next(b->manager.engine, NULL); q; q = engine_next(b->manager.engine, q))
                last = q;
        assert_non_null(last);
        return &b->manager.records[last->id].record.request;
}

static sd_bus_message *call_closed(Bench *b, sd_bus_message *m) {
        bench_request_close(m);
        return bench_call(b, m);
}

static void every_key_arrives(void **state) {
        Bench *b = *state;
        sd_bus_message *m = bench_request_open(b);
        const Request *r;

        assert_return_code(sd_bus_message_append(m, "{sv}{sv}{sv}{sv}{sv}{sv}{sv}{sv}{sv}", "language", "s", "sqlite",
                                                 "query", "s", "-- ä'\"\n\tx", "argv", "as", 3, "a", "", "c d",
                                                 "database", "s", "/srv/x.db", "parameters", "a{ss}", 1, "p",
                                                 "v;$(x)", "memory_initial_bytes", "t", 2 * MIB, "memory_max_bytes",
                                                 "t", 64 * MIB, "priority", "i", -7, "timeout_usec", "t",
                                                 (uint64_t) 5),
                           0);
        assert_return_code(sd_bus_message_append(m, "{sv}{sv}{sv}{sv}{sv}{sv}{sv}{sv}{sv}", "queue_timeout_usec", "t",
                                                 (uint64_t) 0, "labels", "a{ss}", 1, "team", "blue", "environment",
                                                 "a{ss}", 2, "LANG", "C", "E", "", "working_directory", "s",
                                                 "/home/x", "umask", "u", 027u, "limits", "a{s(tt)}", 2, "NOFILE",
                                                 (uint64_t) 256, UINT64_MAX, "CORE", (uint64_t) 0, (uint64_t) 0,
                                                 "dependencies", "as", 1, "lake", "detach", "b", 1, "once", "b", 1),
                           0);
        assert_returned(call_closed(b, m));
        r = last_request(b);
        assert_string_equal(r->language, "sqlite");
        assert_string_equal(r->query, "-- ä'\"\n\tx");
        assert_int_equal(r->query_len, strlen(r->query));
        assert_int_equal(r->argv.n, 3);
        assert_string_equal(r->argv.v[1], "");
        assert_string_equal(r->argv.v[2], "c d");
        assert_string_equal(r->database, "/srv/x.db");
        assert_string_equal(pairlist_get(&r->parameters, "p"), "v;$(x)");
        assert_int_equal(r->memory_initial_bytes, 2 * MIB);
        assert_int_equal(r->memory_max_bytes, 64 * MIB);
        assert_int_equal(r->priority, -7);
        assert_int_equal(r->timeout_usec, 5);
        assert_int_equal(r->queue_timeout_usec, 0);
        assert_string_equal(pairlist_get(&r->labels, "team"), "blue");
        assert_string_equal(pairlist_get(&r->environment, "E"), "");
        assert_string_equal(r->working_directory, "/home/x");
        assert_int_equal(r->umask, 027);
        assert_int_equal(r->n_limits, 1);
        assert_int_equal(r->limits[0].resource, RLIMIT_NOFILE);
        assert_int_equal(r->limits[0].soft, 256);
        assert_true(r->limits[0].hard == RLIM_INFINITY);
        assert_true(strlist_has(&r->dependencies, "lake"));
        assert_true(r->detach && r->once);
        assert_int_equal(r->uid, 1000);
        assert_int_equal(r->gid, 100);
        assert_int_equal(r->n_gids, 2);
        assert_int_equal(r->gids[1], 900);
}

static void what_is_left_out_is_as_configured(void **state) {
        Bench *b = *state;
        const Request *r;

        bench_submit(b);
        r = last_request(b);
        assert_int_equal(r->memory_max_bytes, 0);
        assert_true(r->timeout_usec == USEC_INFINITY);
        assert_true(r->queue_timeout_usec == USEC_INFINITY);
        assert_int_equal(r->umask, 022);
        assert_false(r->detach || r->once || r->has_stdin || r->has_stderr);
}

static void an_infinite_timeout_is_none(void **state) {
        Bench *b = *state;
        sd_bus_message *m = bench_request_minimal(b);

        assert_return_code(sd_bus_message_append(m, "{sv}", "timeout_usec", "t", UINT64_MAX), 0);
        assert_returned(call_closed(b, m));
        assert_int_equal(last_request(b)->timeout_usec, 0);
}

static void a_wrong_type_names_key_and_both_types(void **state) {
        static const struct {
                const char *key, *expected;
        } keys[] = {
                { "language", "'s'" },
                { "query", "'s'" },
                { "argv", "'as'" },
                { "database", "'s'" },
                { "file", "'s'" },
                { "parameters", "'a{ss}'" },
                { "memory_initial_bytes", "'t'" },
                { "memory_max_bytes", "'t'" },
                { "priority", "'i'" },
                { "timeout_usec", "'t'" },
                { "queue_timeout_usec", "'t'" },
                { "labels", "'a{ss}'" },
                { "environment", "'a{ss}'" },
                { "working_directory", "'s'" },
                { "umask", "'u'" },
                { "limits", "'a{s(tt)}'" },
                { "dependencies", "'as'" },
                { "user", "'s'" },
                { "stdin", "'h'" },
                { "stderr", "'h'" },
                { "detach", "'b'" },
                { "once", "'b'" },
        };
        Bench *b = *state;

        for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
                sd_bus_message *m = bench_request_open(b), *reply;

                assert_return_code(sd_bus_message_append(m, "{sv}", keys[i].key, "x", (int64_t) -1), 0);
                reply = call_closed(b, m);
                assert_error(sd_bus_message_ref(reply), INVALID, keys[i].key);
                assert_error(sd_bus_message_ref(reply), INVALID, "'x'");
                assert_error(reply, INVALID, keys[i].expected);
        }
        assert_int_equal(b->manager.n_submits, 0);
}

/* The bus lets 64 containers through, one in the other. */
static void append_nested(sd_bus_message *m, unsigned depth) {
        for (unsigned i = 0; i < depth; i++)
                assert_return_code(sd_bus_message_open_container(m, 'v', i + 1 < depth ? "v" : "s"), 0);
        assert_return_code(sd_bus_message_append(m, "s", "deep"), 0);
        for (unsigned i = 0; i < depth; i++)
                assert_return_code(sd_bus_message_close_container(m), 0);
}

static void what_is_nested_deeply_is_refused_at_its_outside(void **state) {
        static const char *const keys[][2] = {
                { "query", "query must be of D-Bus type 's', and is 'v'" },
                { "labels", "labels must be of D-Bus type 'a{ss}', and is 'v'" },
                { "deep", "\"deep\" is no key" },
        };
        Bench *b = *state;

        for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
                sd_bus_message *m = bench_request_open(b);

                assert_return_code(sd_bus_message_open_container(m, 'e', "sv"), 0);
                assert_return_code(sd_bus_message_append(m, "s", keys[i][0]), 0);
                append_nested(m, 60);
                assert_return_code(sd_bus_message_close_container(m), 0);
                assert_error(call_closed(b, m), INVALID, keys[i][1]);
        }
        assert_int_equal(b->manager.n_submits, 0);
}

static void an_unknown_key_is_named_in_clean_text(void **state) {
        Bench *b = *state;
        sd_bus_message *m = bench_request_minimal(b);
        char *key = text_of(300, 'k');

        assert_return_code(sd_bus_message_append(m, "{sv}", "memory_max", "t", MIB), 0);
        assert_error(call_closed(b, m), INVALID, "\"memory_max\" is no key");

        m = bench_request_minimal(b);
        assert_return_code(sd_bus_message_append(m, "{sv}", "a\nb\x1b[2J%s", "t", MIB), 0);
        assert_error(call_closed(b, m), INVALID, "\"a?b?[2J%s\" is no key");

        memcpy(key + 63, "ä", 2); /* the cut would go through it */
        m = bench_request_minimal(b);
        assert_return_code(sd_bus_message_append(m, "{sv}", key, "t", MIB), 0);
        assert_error(call_closed(b, m), INVALID, "k…\" is no key");
        free(key);
}

static void a_key_given_twice_is_refused(void **state) {
        Bench *b = *state;
        sd_bus_message *m = bench_request_minimal(b);

        assert_return_code(sd_bus_message_append(m, "{sv}", "query", "s", "select 2"), 0);
        assert_error(call_closed(b, m), INVALID, "query is given twice");

        m = bench_request_minimal(b);
        assert_return_code(sd_bus_message_append(m, "{sv}", "labels", "a{ss}", 2, "a", "1", "a", "2"), 0);
        assert_error(call_closed(b, m), INVALID, "labels names a twice");
}

static void arguments_of_the_wrong_type_are_invalid_argument(void **state) {
        Bench *b = *state;
        sd_bus_message *m = bench_message(b, CONTROLLER_PATH, CONTROLLER_INTERFACE, "Query");

        assert_return_code(sd_bus_message_append(m, "s", "select 1"), 0);
        assert_error(bench_call(b, m), INVALID, "Query takes arguments of type 'a{sv}', and got 's'");
        m = bench_message(b, CONTROLLER_PATH, CONTROLLER_INTERFACE, "Describe");
        assert_return_code(sd_bus_message_append(m, "i", -1), 0);
        assert_error(bench_call(b, m), INVALID, "Describe takes arguments of type 't', and got 'i'");
        m = bench_message(b, CONTROLLER_PATH, CONTROLLER_INTERFACE, "Pause");
        assert_return_code(sd_bus_message_append(m, "b", 1), 0);
        assert_error(bench_call(b, m), INVALID, "Pause");
}

static void names_of_pairs_are_checked(void **state) {
        Bench *b = *state;
        sd_bus_message *m = bench_request_minimal(b);

        assert_return_code(sd_bus_message_append(m, "{sv}", "environment", "a{ss}", 1, "A=B", "v"), 0);
        assert_error(call_closed(b, m), INVALID, "entry 1 of environment");
        m = bench_request_minimal(b);
        assert_return_code(sd_bus_message_append(m, "{sv}", "labels", "a{ss}", 1, "__name__", "v"), 0);
        assert_error(call_closed(b, m), INVALID, "two underscores");
        m = bench_request_minimal(b);
        assert_return_code(sd_bus_message_append(m, "{sv}", "labels", "a{ss}", 1, "", "v"), 0);
        assert_error(call_closed(b, m), INVALID, "entry 1 of labels");
}

static void numbers_are_bounded(void **state) {
        Bench *b = *state;
        sd_bus_message *m = bench_request_minimal(b);

        assert_return_code(sd_bus_message_append(m, "{sv}", "memory_max_bytes", "t", (uint64_t) 0), 0);
        assert_error(call_closed(b, m), INVALID, "memory_max_bytes is 0");
        m = bench_request_minimal(b);
        assert_return_code(sd_bus_message_append(m, "{sv}", "memory_max_bytes", "t", UINT64_MAX), 0);
        assert_error(call_closed(b, m), INVALID, "MemoryBytesQuotaPerQuery");
        m = bench_request_minimal(b);
        assert_return_code(sd_bus_message_append(m, "{sv}", "priority", "i", 1001), 0);
        assert_error(call_closed(b, m), INVALID, "priority is 1001");
        m = bench_request_minimal(b);
        assert_return_code(sd_bus_message_append(m, "{sv}", "umask", "u", 01000u), 0);
        assert_error(call_closed(b, m), INVALID, "umask is 01000");
}

static void limits_are_known_ordered_and_named_once(void **state) {
        Bench *b = *state;
        sd_bus_message *m = bench_request_minimal(b);
        const uint64_t one = 1, two = 2;

        assert_return_code(sd_bus_message_append(m, "{sv}", "limits", "a{s(tt)}", 1, "RLIMIT_CPU", one, two), 0);
        assert_error(call_closed(b, m), INVALID, "entry 1 of limits");
        m = bench_request_minimal(b);
        assert_return_code(sd_bus_message_append(m, "{sv}", "limits", "a{s(tt)}", 1, "CPU", two, one), 0);
        assert_error(call_closed(b, m), INVALID, "soft limit of CPU");
        m = bench_request_minimal(b);
        assert_return_code(
                        sd_bus_message_append(m, "{sv}", "limits", "a{s(tt)}", 2, "CPU", one, one, "CPU", one, two),
                        0);
        assert_error(call_closed(b, m), INVALID, "limits names CPU twice");
}

static void what_a_request_must_have_is_checked(void **state) {
        Bench *b = *state;
        sd_bus_message *m = bench_request_open(b);

        assert_error(call_closed(b, m), INVALID, "language");
        m = bench_request_open(b);
        assert_return_code(sd_bus_message_append(m, "{sv}", "language", "s", "sqlite"), 0);
        assert_error(call_closed(b, m), INVALID, "query is missing");
        m = bench_request_minimal(b);
        assert_return_code(sd_bus_message_append(m, "{sv}", "working_directory", "s", "../x"), 0);
        assert_error(call_closed(b, m), INVALID, "working_directory");
}

static size_t open_fds(void) {
        size_t n = 0;

        for (int fd = 0; fd < 256; fd++)
                n += fcntl(fd, F_GETFD) >= 0;
        return n;
}

static void descriptors_are_duplicated_and_given_back(void **state) {
        Bench *b = *state;
        sd_bus_message *m = bench_request_minimal(b);
        int ends[2], copy;
        char text[3] = "";
        size_t before;

        assert_return_code(pipe2(ends, O_CLOEXEC), errno);
        assert_return_code(sd_bus_message_append(m, "{sv}{sv}", "stdin", "h", ends[0], "stderr", "h", ends[1]), 0);
        assert_returned(call_closed(b, m));
        assert_true(last_request(b)->has_stdin && last_request(b)->has_stderr);
        copy = b->manager.records[1].stdin_fd;
        assert_true(copy > 2 && fcntl(copy, F_GETFD) == FD_CLOEXEC);
        assert_int_equal(write(ends[1], "hi", 2), 2);
        assert_int_equal(read(copy, text, 2), 2);
        assert_string_equal(text, "hi");

        /* A refused request leaves nothing behind. */
        bench_settle(b);
        before = open_fds();
        m = bench_request_minimal(b);
        assert_return_code(sd_bus_message_append(m, "{sv}{sv}{sv}", "stdin", "h", ends[0], "stderr", "h", ends[1],
                                                 "priority", "i", 9999),
                           0);
        assert_error(call_closed(b, m), INVALID, "priority");
        bench_settle(b);
        assert_int_equal(open_fds(), before);
        close(ends[0]);
        close(ends[1]);
}

/* A message as bytes: sd-bus makes none that is wrong. */
typedef struct Raw {
        uint8_t v[512];
        size_t n;
} Raw;

static void put(Raw *m, const void *v, size_t n) {
        assert_true(m->n + n <= sizeof(m->v));
        memcpy(m->v + m->n, v, n);
        m->n += n;
}

static void put_aligned(Raw *m, size_t to) {
        while (m->n % to != 0)
                put(m, "", 1);
}

static void put_u32(Raw *m, uint32_t v) {
        put_aligned(m, sizeof(v));
        put(m, &v, sizeof(v));
}

static void put_string(Raw *m, const char *s) {
        put_u32(m, (uint32_t) strlen(s));
        put(m, s, strlen(s) + 1);
}

static void put_signature(Raw *m, const char *s) {
        put(m, &(uint8_t) { (uint8_t) strlen(s) }, 1);
        put(m, s, strlen(s) + 1);
}

static void put_field(Raw *m, uint8_t code, const char *signature, const char *value) {
        put_aligned(m, 8);
        put(m, &code, 1);
        put_signature(m, signature);
        if (signature[0] == 'g')
                put_signature(m, value);
        else
                put_string(m, value);
}

static void set_u32(Raw *m, size_t at, size_t v) {
        memcpy(m->v + at, &(uint32_t) { (uint32_t) v }, sizeof(uint32_t));
}

/* A call of the Controller's @member with { @key: descriptor 7 of none }. */
static void put_call(Raw *m, const char *member, const char *key) {
        const uint8_t head[] = { __BYTE_ORDER == __LITTLE_ENDIAN ? 'l' : 'B', 1, 0, 1 };
        size_t begin;

        put(m, head, sizeof(head));
        for (int i = 0; i < 3; i++) /* the body's length, the serial, the fields' length */
                put_u32(m, 4711);
        put_field(m, 1, "o", CONTROLLER_PATH);
        put_field(m, 2, "s", CONTROLLER_INTERFACE);
        put_field(m, 3, "s", member);
        put_field(m, 8, "g", "a{sv}");
        set_u32(m, 12, m->n - 16);
        put_aligned(m, 8);
        begin = m->n;
        put_u32(m, 0);
        put_aligned(m, 8);
        put_string(m, key);
        put_signature(m, "h");
        put_u32(m, 7);
        set_u32(m, begin, m->n - begin - 8);
        set_u32(m, 4, m->n - begin);
}

static int on_message(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        sd_bus_message **ret = userdata;

        (void) ret_error;
        if (!*ret && sd_bus_message_is_method_error(m, NULL))
                *ret = sd_bus_message_ref(m);
        return 0;
}

static void a_descriptor_that_was_not_sent_is_invalid_argument(void **state) {
        static const char *const calls[][2] = { { "Query", "stdin" }, { "Query", "umask" }, { "History", "limit" } };
        Bench *b = *state;
        sd_bus_slot *slot = NULL;
        sd_bus_message *reply = NULL;

        bench_settle(b); /* the two have greeted each other */
        assert_return_code(sd_bus_add_filter(b->client, &slot, on_message, &reply), 0);
        for (size_t i = 0; i < ELEMENTSOF(calls); i++) {
                Raw m = {};

                put_call(&m, calls[i][0], calls[i][1]);
                assert_int_equal(write(sd_bus_get_fd(b->client), m.v, m.n), m.n);
                bench_settle(b);
                assert_non_null(reply);
                assert_error(reply, INVALID, "a descriptor is missing");
                reply = NULL;
        }
        sd_bus_slot_unref(slot);
}

int main(void) {
#define BENCH_TEST(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)
        const struct CMUnitTest tests[] = {
                BENCH_TEST(every_key_arrives),
                BENCH_TEST(what_is_left_out_is_as_configured),
                BENCH_TEST(an_infinite_timeout_is_none),
                BENCH_TEST(a_wrong_type_names_key_and_both_types),
                BENCH_TEST(what_is_nested_deeply_is_refused_at_its_outside),
                BENCH_TEST(an_unknown_key_is_named_in_clean_text),
                BENCH_TEST(a_key_given_twice_is_refused),
                BENCH_TEST(arguments_of_the_wrong_type_are_invalid_argument),
                BENCH_TEST(names_of_pairs_are_checked),
                BENCH_TEST(numbers_are_bounded),
                BENCH_TEST(limits_are_known_ordered_and_named_once),
                BENCH_TEST(what_a_request_must_have_is_checked),
                BENCH_TEST(descriptors_are_duplicated_and_given_back),
                BENCH_TEST(a_descriptor_that_was_not_sent_is_invalid_argument),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
