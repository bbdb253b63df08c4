/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What libpenstock decides without a bus: which text may be sent, and how names become keys. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "client/info.h"
#include "client/text.h"

static char *repeat(char c, size_t n) {
        char *s = malloc(n + 1);

        assert_non_null(s);
        memset(s, c, n);
        s[n] = '\0';
        return s;
}

static PenstockRequest *request(void) {
        PenstockRequest *r = NULL;

        assert_int_equal(penstock_request_new(&r), 0);
        return r;
}

static void text_faults_name_the_first_bad_byte(void **state) {
        static const struct {
                const char *text;
                size_t len;
                TextFault fault;
                size_t offset;
        } rows[] = {
                { "", 0, TEXT_GOOD, 0 },
                { "a\tb\n\x7f", 5, TEXT_GOOD, 0 },
                { "\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbd", 10, TEXT_GOOD, 0 },
                { "\xf0\x90\x80\x80\xf4\x8f\xbf\xbd", 8, TEXT_GOOD, 0 },
                { "\xef\xbb\xbf", 3, TEXT_GOOD, 0 }, /* a byte order mark is text */
                { "ab\0c", 4, TEXT_NUL, 2 },
                { "ab\x80", 3, TEXT_NOT_UTF8, 2 },   /* a continuation alone */
                { "\xc1\xbf", 2, TEXT_NOT_UTF8, 0 }, /* overlong, in two, three and four bytes */
                { "\xe0\x9f\xbf", 3, TEXT_NOT_UTF8, 0 },
                { "\xf0\x8f\xbf\xbf", 4, TEXT_NOT_UTF8, 0 },
                { "x\xed\xa0\x80", 4, TEXT_NOT_UTF8, 1 },    /* a surrogate */
                { "\xf4\x90\x80\x80", 4, TEXT_NOT_UTF8, 0 }, /* above U+10FFFF */
                { "\xc3\xa9\xe2\x82", 4, TEXT_NOT_UTF8, 2 }, /* cut short */
                { "\xf0\x9f\x92 ", 4, TEXT_NOT_UTF8, 0 },
                { "..\xef\xbf\xbf", 5, TEXT_NONCHARACTER, 2 },
                { "\xef\xb7\x90", 3, TEXT_NONCHARACTER, 0 },
                { "\xf0\x9f\xbf\xbe", 4, TEXT_NONCHARACTER, 0 },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                size_t offset = 0;

                assert_int_equal(text_check(rows[i].text, rows[i].len, &offset), rows[i].fault);
                assert_int_equal(offset, rows[i].offset);
        }
}

static void query_of_four_mebibytes_is_the_longest(void **state) {
        PenstockRequest *r = request();
        char *text = repeat('x', PENSTOCK_QUERY_BYTES_MAX + 1);
        PenstockError e = {};

        (void) state;
        assert_int_equal(penstock_request_set_query(r, text, PENSTOCK_QUERY_BYTES_MAX), 0);
        assert_int_equal(penstock_request_check(r, &e), 0);
        assert_int_equal(penstock_request_set_query(r, text, PENSTOCK_QUERY_BYTES_MAX + 1), 0);
        assert_int_equal(penstock_request_check(r, &e), -EINVAL);
        assert_string_equal(e.name, "InvalidArgument");
        assert_string_equal(e.message, "query: 4194305 bytes, and a query may have 4194304 at most");
        free(text);
        penstock_request_free(r);
}

static void argument_with_its_nul_fits_into_128_kibibytes(void **state) {
        char *text = repeat('x', PENSTOCK_ARGUMENT_BYTES_MAX);
        PenstockRequest *r = request();
        PenstockError e = {};

        (void) state;
        assert_int_equal(penstock_request_add_argument(r, "cat"), 0);
        assert_int_equal(penstock_request_add_argument(r, text + 1), 0);
        assert_int_equal(penstock_request_check(r, &e), 0);
        assert_int_equal(penstock_request_add_argument(r, text), 0);
        assert_int_equal(penstock_request_check(r, &e), -EINVAL);
        assert_string_equal(e.message, "argv[2]: 131072 bytes, and an argument may have 131071 at most");
        free(text);
        penstock_request_free(r);
}

static void all_texts_together_have_a_bound(void **state) {
        char *text = repeat('x', 130000);
        PenstockRequest *r = request();
        PenstockError e = {};

        (void) state;
        for (int i = 0; i < 64; i++)
                assert_int_equal(penstock_request_add_argument(r, text), 0);
        assert_int_equal(penstock_request_check(r, &e), 0);
        assert_int_equal(penstock_request_add_argument(r, text), 0);
        assert_int_equal(penstock_request_check(r, &e), -EINVAL);
        assert_string_equal(e.name, "InvalidArgument");
        free(text);
        penstock_request_free(r);
}

static void bad_text_is_refused_with_its_place(void **state) {
        PenstockRequest *r = request();
        PenstockError e = {};

        (void) state;
        assert_int_equal(penstock_request_set_query(r, "select\0 1", 9), 0);
        assert_int_equal(penstock_request_check(r, &e), -EINVAL);
        assert_string_equal(e.message, "query: byte 6 (0x00) is a NUL");

        assert_int_equal(penstock_request_set_query(r, "select 1", 8), 0);
        assert_int_equal(penstock_request_add_environment(r, "PATH", "/bin:\xff"), 0);
        assert_int_equal(penstock_request_check(r, &e), -EINVAL);
        assert_string_equal(e.message, "environment PATH: byte 5 (0xff) is not UTF-8");

        /* a name that cannot be shown is told by its number */
        assert_int_equal(penstock_request_add_environment(r, "PATH", "/bin"), 0);
        assert_int_equal(penstock_request_add_environment(r, "\xff", ""), 0);
        assert_int_equal(penstock_request_check(r, &e), -EINVAL);
        assert_string_equal(e.message, "environment number 2: byte 0 (0xff) is not UTF-8");
        penstock_request_free(r);
}

static void setters_refuse_null_and_bad_descriptors(void **state) {
        PenstockRequest *r = request();

        (void) state;
        assert_int_equal(penstock_request_set_language(r, NULL), -EINVAL);
        assert_int_equal(penstock_request_add_argument(r, NULL), -EINVAL);
        assert_int_equal(penstock_request_add_label(r, "a", NULL), -EINVAL);
        assert_int_equal(penstock_request_set_stdin(r, -1), -EBADF);
        assert_int_equal(penstock_request_check(r, NULL), 0);
        penstock_request_free(r);
        assert_null(penstock_request_free(NULL));
}

static void a_limit_said_twice_is_replaced(void **state) {
        PenstockRequest *r = request();

        (void) state;
        assert_int_equal(penstock_request_add_limit(r, "NOFILE", 1, 2), 0);
        assert_int_equal(penstock_request_add_limit(r, "NOFILE", 3, 4), 0);
        assert_int_equal(r->n_limits, 1);
        assert_int_equal(r->limits[0].soft, 3);
        penstock_request_free(r);
}

static void bus_names_become_snake_case(void **state) {
        static const char *const rows[][2] = {
                { "ID", "id" },
                { "UserID", "user_id" },
                { "State", "state" },
                { "MemoryQuotaBytes", "memory_quota_bytes" },
                { "CreatedUSec", "created_usec" },
                { "QueueTimeoutUSec", "queue_timeout_usec" },
                { "InitialMemoryBytesQuotaPerQuery", "initial_memory_bytes_quota_per_query" },
                { "memory_peak_bytes", "memory_peak_bytes" },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                char *key = info_key_from_name(rows[i][0]);

                assert_string_equal(key, rows[i][1]);
                free(key);
        }
}

static void errors_get_short_names(void **state) {
        sd_bus_error own = SD_BUS_ERROR_MAKE_CONST("org.penstock1.Error.QueueTimeout", "waited 10min");
        sd_bus_error gone = SD_BUS_ERROR_MAKE_CONST("org.freedesktop.DBus.Error.ServiceUnknown", "no such name");
        sd_bus_error denied = SD_BUS_ERROR_MAKE_CONST(SD_BUS_ERROR_ACCESS_DENIED, "policy");
        PenstockError e = {};

        (void) state;
        assert_int_equal(client_error_from_bus(&e, -EIO, &own), -ETIME);
        assert_string_equal(e.name, "QueueTimeout");
        assert_string_equal(e.message, "waited 10min");
        assert_int_equal(client_error_from_bus(&e, -EIO, &gone), -EHOSTDOWN);
        assert_string_equal(e.name, PENSTOCK_ERROR_UNREACHABLE);
        assert_non_null(strstr(e.message, "systemctl status penstockd"));
        assert_int_equal(client_error_from_bus(&e, -EIO, &denied), -EACCES);
        assert_string_equal(e.name, "PermissionDenied");
        assert_int_equal(client_error_from_bus(NULL, -ECONNREFUSED, NULL), -EHOSTDOWN);
}

/* sd-bus names what it has no D-Bus name for after the errno. */
static void a_closed_connection_is_unreachable_by_whichever_name(void **state) {
        static const int lost[] = { ENOTCONN, ECONNRESET, EPIPE, ESHUTDOWN };
        sd_bus_error busy = SD_BUS_ERROR_NULL;
        PenstockError e = {};

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(lost); i++) {
                sd_bus_error error = SD_BUS_ERROR_NULL;

                (void) sd_bus_error_set_errno(&error, -lost[i]);
                assert_int_equal(client_error_from_bus(&e, -lost[i], &error), -EHOSTDOWN);
                assert_string_equal(e.name, PENSTOCK_ERROR_UNREACHABLE);
                sd_bus_error_free(&error);
        }
        (void) sd_bus_error_set_errno(&busy, -EBUSY);
        assert_int_equal(client_error_from_bus(&e, -EBUSY, &busy), -EIO); /* any other one, as docs/client.md says */
        assert_string_equal(e.name, "System.Error.EBUSY");
        sd_bus_error_free(&busy);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(text_faults_name_the_first_bad_byte),
                cmocka_unit_test(query_of_four_mebibytes_is_the_longest),
                cmocka_unit_test(argument_with_its_nul_fits_into_128_kibibytes),
                cmocka_unit_test(all_texts_together_have_a_bound),
                cmocka_unit_test(bad_text_is_refused_with_its_place),
                cmocka_unit_test(setters_refuse_null_and_bad_descriptors),
                cmocka_unit_test(a_limit_said_twice_is_replaced),
                cmocka_unit_test(bus_names_become_snake_case),
                cmocka_unit_test(errors_get_short_names),
                cmocka_unit_test(a_closed_connection_is_unreachable_by_whichever_name),
        };

        return cmocka_run_group_tests_name("client", tests, NULL, NULL);
}
