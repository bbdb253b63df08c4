/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "host/fingerprint.h"

static const FingerprintKey key = { { 1, 2, 3 } };

typedef struct Print {
        uint64_t v[2];
} Print;

static Print print_of(const Request *r) {
        Print p;

        fingerprint_make(&key, r, p.v);
        return p;
}

static bool is_same(const Request *a, const Request *b) {
        Print p = print_of(a), q = print_of(b);

        return p.v[0] == q.v[0] && p.v[1] == q.v[1];
}

static Request a_request(void) {
        return (Request) { .language = (char *) "sqlite",
                           .query = (char *) "select 1",
                           .query_len = 8,
                           .uid = 1000,
                           .database = (char *) "/srv/a.db" };
}

static void the_same_request_has_the_same_one_under_one_key(void **state) {
        Request a = a_request(), b = a_request();
        FingerprintKey other = key;
        Print p, q;

        (void) state;
        assert_true(is_same(&a, &b));
        other.bytes[31] ^= 1;
        p = print_of(&a);
        fingerprint_make(&other, &a, q.v);
        assert_true(p.v[0] != q.v[0] && p.v[1] != q.v[1]);
        assert_true(p.v[0] != 0 && p.v[1] != 0);
}

static void what_a_query_is_makes_it_another(void **state) {
        Request a = a_request(), b;
        char *one[] = { (char *) "a", NULL }, *two[] = { (char *) "a", (char *) "", NULL };

        (void) state;
        b = a_request(), b.uid++;
        assert_false(is_same(&a, &b));
        b = a_request(), b.language = (char *) "sqlitf";
        assert_false(is_same(&a, &b));
        b = a_request(), b.query = (char *) "select 2";
        assert_false(is_same(&a, &b));
        b = a_request(), b.database = (char *) "/srv/b.db";
        assert_false(is_same(&a, &b));
        b = a_request(), b.file = b.query, b.query = NULL, b.query_len = 0;
        assert_false(is_same(&a, &b));
        a = b, b.file = (char *) "select 2";
        assert_false(is_same(&a, &b));
        a = a_request(), b = a_request(), b.argv = (StrList) { one, 1 };
        assert_false(is_same(&a, &b));
        a = b, b.argv = (StrList) { two, 2 };
        assert_false(is_same(&a, &b));
}

/* How it is run, and with which values, is not. */
static void what_is_asked_beside_it_makes_it_no_other(void **state) {
        StrPair pair = { (char *) "a", (char *) "1" };
        Request a = a_request(), b = a_request();

        (void) state;
        b.memory_initial_bytes = b.memory_max_bytes = 64 * MIB;
        b.priority = -1;
        b.timeout_usec = b.queue_timeout_usec = 1;
        b.detach = b.has_stdin = b.has_stderr = true;
        b.working_directory = (char *) "/";
        b.gid = 7;
        b.parameters = b.labels = b.environment = (PairList) { &pair, 1 };
        assert_true(is_same(&a, &b));
}

/* Lengths are part of it, and no text is another than an empty one. */
static void no_two_are_one_for_how_they_are_cut(void **state) {
        char *ab_c[] = { (char *) "ab", (char *) "c", NULL }, *a_bc[] = { (char *) "a", (char *) "bc", NULL };
        Request a = a_request(), b = a_request();

        (void) state;
        a.argv = (StrList) { ab_c, 2 };
        b.argv = (StrList) { a_bc, 2 };
        assert_false(is_same(&a, &b));
        a = b = a_request();
        a.database = NULL;
        b.database = (char *) "";
        assert_false(is_same(&a, &b));
}

static void of_a_long_one_the_ends_and_the_length_count(void **state) {
        const size_t len = REQUEST_QUERY_BYTES_MAX;
        char *one = malloc(len + 2), *other = malloc(len + 2);
        Request a = a_request(), b = a_request();

        (void) state;
        memset(one, 'x', len + 2);
        memset(other, 'x', len + 2);
        a.query = one, b.query = other;
        a.query_len = b.query_len = len;
        assert_true(is_same(&a, &b));
        other[len / 2] = 'y';
        assert_true(is_same(&a, &b));
        b.query_len++;
        assert_false(is_same(&a, &b));
        b.query_len--;
        other[FINGERPRINT_END_BYTES / 2] = 'y';
        assert_false(is_same(&a, &b));
        other[FINGERPRINT_END_BYTES / 2] = 'x';
        other[len - FINGERPRINT_END_BYTES / 2] = 'y';
        assert_false(is_same(&a, &b));
        free(one);
        free(other);
}

/* … of all that it is, together: of an argument in the middle not even its own. */
static void the_length_of_what_is_left_out_counts(void **state) {
        const size_t len = FINGERPRINT_END_BYTES;
        char *end = calloc(1, len + 1), *middle = calloc(1, len + 9);
        char *v[] = { end, middle, end, NULL };
        Request a = a_request(), b = a_request();
        Print p;

        (void) state;
        memset(end, 'x', len);
        memset(middle, 'x', len);
        a.argv = b.argv = (StrList) { v, 3 };
        p = print_of(&a);
        middle[len / 2] = 'y';
        assert_true(p.v[0] == print_of(&b).v[0]);
        strcat(middle, "xxxxxxxx");
        assert_true(p.v[0] != print_of(&b).v[0]);
        free(end);
        free(middle);
}

/* … and of one that is not longer than both ends each byte does. */
static void of_one_that_fits_each_byte_counts(void **state) {
        const size_t len = 2 * FINGERPRINT_END_BYTES - 512;
        char *one = malloc(len), *other = malloc(len);
        Request a = a_request(), b = a_request();

        (void) state;
        memset(one, 'x', len);
        memset(other, 'x', len);
        a.query = one, b.query = other;
        a.query_len = b.query_len = len;
        assert_true(is_same(&a, &b));
        for (size_t i = 0; i < len; i += i < FINGERPRINT_END_BYTES - 256 || i > FINGERPRINT_END_BYTES ? 4001 : 1) {
                other[i] = 'y';
                assert_false(is_same(&a, &b));
                other[i] = 'x';
        }
        free(one);
        free(other);
}

static void keys_are_drawn_each_time(void **state) {
        FingerprintKey a = {}, b = {};

        (void) state;
        assert_int_equal(fingerprint_key_new(&a), 0);
        assert_int_equal(fingerprint_key_new(&b), 0);
        assert_memory_not_equal(a.bytes, b.bytes, sizeof(a.bytes));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_same_request_has_the_same_one_under_one_key),
                cmocka_unit_test(what_a_query_is_makes_it_another),
                cmocka_unit_test(what_is_asked_beside_it_makes_it_no_other),
                cmocka_unit_test(no_two_are_one_for_how_they_are_cut),
                cmocka_unit_test(of_a_long_one_the_ends_and_the_length_count),
                cmocka_unit_test(the_length_of_what_is_left_out_counts),
                cmocka_unit_test(of_one_that_fits_each_byte_counts),
                cmocka_unit_test(keys_are_drawn_each_time),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
