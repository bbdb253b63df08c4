/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What History may be asked. */
#include "bus-history-kit.h"

static void each_key_filters(void **state) {
        Bench *b = *state;
        HistoryRow r;
        sd_bus_message *m, *reply;
        uint64_t row;

        r = row_of(1, 0), strcpy(r.language, "shell"), r.memory_peak_bytes = 50;
        add(b, r);
        r = row_of(2, 1000), strcpy(r.state, "errored"), strcpy(r.error, "Timeout");
        add(b, r);
        r = row_of(3, 1000);
        label(&r, "team", "ads");
        add(b, r);
        assert_ids(call(b, filter_open(b)), "3 2 1");
        m = filter_open(b);
        assert_return_code(sd_bus_message_append(m, "{sv}", "user_id", "u", 0), 0);
        assert_ids(call(b, m), "1");
        assert_ids(call_text(b, "language", "shell"), "1");
        assert_ids(call_text(b, "state", "errored"), "2");
        assert_ids(call_text(b, "error", "Timeout"), "2");
        assert_ids(call_number(b, "since_usec", 1002), "3 2");
        assert_ids(call_number(b, "until_usec", 1002), "2 1");
        assert_ids(call_number(b, "min_peak_bytes", 50), "1");
        assert_ids(call_label(b, "team", "ads"), "3");
        assert_ids(call_number(b, "limit", 2), "3 2");
        reply = call(b, filter_open(b));
        row = strtoull(value(reply, 1, "Row"), NULL, 10);
        sd_bus_message_unref(reply);
        assert_ids(call_number(b, "before", row), "1");
}

/* Nor can they find out by asking for them. */
static void by_labels_that_are_not_public_one_finds_ones_own(void **state) {
        Bench *b = *state;
        HistoryRow one = row_of(1, 1000), two = row_of(2, 1001);
        sd_bus_message *m;

        label(&one, "secret", "x");
        label(&one, "team", "ads");
        label(&two, "secret", "x");
        label(&two, "team", "ads");
        add(b, one);
        add(b, two);
        assert_ids(call_label(b, "team", "ads"), "2 1");
        assert_ids(call_label(b, "secret", "x"), "1");
        m = filter_open(b);
        assert_return_code(sd_bus_message_append(m, "{sv}{sv}", "labels", "a{ss}", 1, "secret", "x", "user_id", "u",
                                                 1001),
                           0);
        assert_ids(call(b, m), "");
        b->caller.uid = 0;
        assert_ids(call_label(b, "secret", "x"), "2 1");
}

static void what_is_no_filter_is_refused_by_its_key(void **state) {
        char long_text[70];
        Bench *b = *state;
        sd_bus_message *m;

        memset(long_text, 'x', sizeof(long_text) - 1);
        long_text[sizeof(long_text) - 1] = '\0';
        assert_error(call_number(b, "sinceusec", 1), INVALID, "\"sinceusec\" is no key of the filter");
        assert_error(call_text(b, "limit", "1"), INVALID, "limit must be of D-Bus type 't', and is 's'");
        assert_error(call_number(b, "limit", 0), INVALID, "limit is 0");
        assert_error(call_number(b, "limit", 1001), INVALID, "limit is 1001");
        assert_error(call_number(b, "before", 0), INVALID, "before");
        assert_error(call_text(b, "state", "executing"), INVALID, "state");
        assert_error(call_text(b, "error", "Oops"), INVALID, "error");
        assert_error(call_text(b, "language", ""), INVALID, "language has 0 bytes");
        assert_error(call_text(b, "language", long_text), INVALID, "language has 69 bytes");
        assert_error(call_label(b, "a b", "x"), INVALID, "labels");
        m = filter_open(b);
        assert_return_code(sd_bus_message_append(m, "{sv}{sv}", "limit", "t", UINT64_C(1), "limit", "t", UINT64_C(2)),
                           0);
        assert_error(call(b, m), INVALID, "limit is given twice");
        m = filter_open(b);
        assert_return_code(sd_bus_message_append(m, "{sv}", "labels", "a{ss}", 2, "a", "1", "a", "2"), 0);
        assert_error(call(b, m), INVALID, "labels has a key twice");
        assert_ids(call(b, filter_open(b)), ""); /* and goes on */
}

static void a_filter_has_its_largest_size(void **state) {
        char value_text[REQUEST_LABEL_BYTES_MAX + 2], key[REQUEST_NAME_BYTES_MAX + 1];
        Bench *b = *state;

        memset(value_text, 'v', sizeof(value_text));
        memset(key, 'k', sizeof(key));
        key[REQUEST_NAME_BYTES_MAX] = '\0';
        for (unsigned n = REQUEST_LABELS_MAX; n <= REQUEST_LABELS_MAX + 1; n++) {
                sd_bus_message *m = filter_open(b);

                value_text[REQUEST_LABEL_BYTES_MAX] = '\0';
                assert_return_code(sd_bus_message_open_container(m, 'e', "sv"), 0);
                assert_return_code(sd_bus_message_append(m, "s", "labels"), 0);
                assert_return_code(sd_bus_message_open_container(m, 'v', "a{ss}"), 0);
                assert_return_code(sd_bus_message_open_container(m, 'a', "{ss}"), 0);
                for (unsigned i = 0; i < n; i++) {
                        snprintf(key + REQUEST_NAME_BYTES_MAX - 2, 3, "%02u", i);
                        assert_return_code(sd_bus_message_append(m, "{ss}", key, value_text), 0);
                }
                for (int i = 0; i < 3; i++)
                        assert_return_code(sd_bus_message_close_container(m), 0);
                if (n == REQUEST_LABELS_MAX)
                        assert_ids(call(b, m), "");
                else
                        assert_error(call(b, m), INVALID, "labels has more than 32 entries");
        }
        value_text[REQUEST_LABEL_BYTES_MAX] = 'v';
        value_text[REQUEST_LABEL_BYTES_MAX + 1] = '\0';
        assert_error(call_label(b, "a", value_text), INVALID, "256 bytes");
        {
                char *huge = malloc(HISTORY_FILTER_BYTES_MAX + 1);

                memset(huge, 'x', HISTORY_FILTER_BYTES_MAX);
                huge[HISTORY_FILTER_BYTES_MAX] = '\0';
                assert_error(call_text(b, "language", huge), INVALID, "the filter is longer than");
                free(huge);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                HISTORY_TEST(each_key_filters),
                HISTORY_TEST(by_labels_that_are_not_public_one_finds_ones_own),
                HISTORY_TEST(what_is_no_filter_is_refused_by_its_key),
                HISTORY_TEST(a_filter_has_its_largest_size),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
