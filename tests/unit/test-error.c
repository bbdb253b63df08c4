/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/error.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static void each_code_has_its_own_names_and_number(void **state) {
        (void) state;
        for (unsigned i = ERROR_NONE + 1; i < _ERROR_MAX; i++) {
                ErrorCode code = (ErrorCode) i;

                assert_non_null(error_name(code));
                assert_true(error_errno(code) > 0);
                assert_int_not_equal(error_errno(code), ENOMEM);
                assert_string_equal(error_dbus_name(code) + strlen(ERROR_PREFIX), error_name(code));
                assert_int_equal(error_from_name(error_name(code)), code);
                assert_int_equal(error_from_name(error_dbus_name(code)), code);
                for (unsigned j = ERROR_NONE + 1; j < i; j++)
                        assert_int_not_equal(error_errno((ErrorCode) j), error_errno(code));
        }
        assert_null(error_name(ERROR_NONE));
        assert_null(error_dbus_name(ERROR_NONE));
        assert_null(error_name(_ERROR_MAX));
        assert_int_equal(error_errno(ERROR_NONE), 0);
        assert_int_equal(error_from_name("org.penstock1.Error."), ERROR_NONE);
        assert_int_equal(error_from_name("Nonsense"), ERROR_NONE);
        assert_int_equal(error_from_name(NULL), ERROR_NONE);
}

static void what_passes_is_want_of_something(void **state) {
        static const int passing[] = { ENOMEM, EMFILE, ENFILE, ENOSPC, EAGAIN }, lasting[] = { ENOENT, ENODEV, EBADMSG, ENODATA, EIO, EINVAL };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(passing); i++)
                assert_true(error_passes(-passing[i]));
        for (size_t i = 0; i < ELEMENTSOF(lasting); i++)
                assert_false(error_passes(-lasting[i]));
        assert_false(error_passes(0));
        assert_false(error_passes(ENOMEM)); /* a descriptor, say */
}

static void names_are_those_of_the_bus(void **state) {
        static const char *const names[] = {
                "InvalidArgument",  "UnknownLanguage", "CompilationFailed",   "QueueLengthExceeded",
                "QueueTimeout",     "ShuttingDown",    "MemoryLimitExceeded", "MemoryBudgetExhausted",
                "Timeout",          "Canceled",        "ExecutionFailed",     "DependencyFailed",
                "NoSuchQuery",      "PermissionDenied", "Internal"
        };

        (void) state;
        assert_int_equal(ELEMENTSOF(names) + 1, _ERROR_MAX);
        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                assert_string_equal(error_name((ErrorCode) (i + 1)), names[i]);
}

static void the_first_error_stays(void **state) {
        Error e = {};

        (void) state;
        assert_int_equal(error_set(&e, ERROR_QUEUE_TIMEOUT, "waited %d s", 5), -ETIME);
        assert_int_equal(error_set(&e, ERROR_INTERNAL, "later"), -EIO);
        assert_int_equal(e.code, ERROR_QUEUE_TIMEOUT);
        assert_string_equal(e.message, "waited 5 s");
        assert_int_equal(error_set(NULL, ERROR_INVALID_ARGUMENT, "nobody listens"), -EINVAL);
}

/* "×" is two bytes, "漢" three, "😀" four: wherever the end falls, no half of one may stay. */
static void a_long_message_is_cut_between_characters(void **state) {
        static const char *const chars[] = { "a", "×", "漢", "😀" };

        (void) state;
        for (size_t c = 0; c < ELEMENTSOF(chars); c++)
                for (int shift = 0; shift < 4; shift++) {
                        char text[4 * ERROR_MESSAGE_MAX];
                        Error e = {};

                        memset(text, 'b', (size_t) shift);
                        text[shift] = '\0';
                        while (strlen(text) < ERROR_MESSAGE_MAX + 8)
                                strcat(text, chars[c]);
                        assert_int_equal(error_set(&e, ERROR_INTERNAL, "%s", text), -EIO);
                        assert_true(utf8_is_valid(e.message, strlen(e.message)));
                        assert_in_range(strlen(e.message), ERROR_MESSAGE_MAX - 4, ERROR_MESSAGE_MAX - 1);
                        assert_memory_equal(e.message, text, strlen(e.message));
                }
}

/* A precision cuts bytes, and a file's name may be any. */
static void a_message_is_text_whatever_went_into_it(void **state) {
        Error e = {};

        (void) state;
        error_set(&e, ERROR_INTERNAL, "%.3s: %s, %s", "ab\u00e4", "\xff\xfe", "\u6f22");
        assert_string_equal(e.message, "ab?: ??, \u6f22");
        e = (Error) {};
        error_set(&e, ERROR_INTERNAL, "\xf0\x9f\x98");
        assert_string_equal(e.message, "???");
        e = (Error) {};
        error_set(&e, ERROR_INTERNAL, "a\xef\xbf\xbf%s", "b"); /* a noncharacter, which sd-bus refuses as well */
        assert_string_equal(e.message, "a???b");
}

static void a_message_that_just_fits_is_whole(void **state) {
        char text[ERROR_MESSAGE_MAX];
        Error e = {};

        (void) state;
        memset(text, 'x', sizeof(text) - 1);
        text[sizeof(text) - 1] = '\0';
        (void) error_set(&e, ERROR_INTERNAL, "%s", text);
        assert_string_equal(e.message, text);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(each_code_has_its_own_names_and_number),
                cmocka_unit_test(what_passes_is_want_of_something),
                cmocka_unit_test(names_are_those_of_the_bus),
                cmocka_unit_test(the_first_error_stays),
                cmocka_unit_test(a_long_message_is_cut_between_characters),
                cmocka_unit_test(a_message_is_text_whatever_went_into_it),
                cmocka_unit_test(a_message_that_just_fits_is_whole),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
