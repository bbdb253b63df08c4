/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What of a query's life stands in its profile. */
#include "engine-kit.h"

#include <stdio.h>

/* "EVENT:CAUSE@SECONDS …" of query @id. */
static const char *story(uint64_t id) {
        ProfileReader r = { .profile = &kit_query(&kit, id)->profile };
        static char text[4096];
        size_t n = 0;

        text[0] = '\0';
        while (profile_next(&r)) {
                char line[PROFILE_LINE_MAX], *rest = line;
                const char *event, *cause;

                profile_csv_line(&r.row, line);
                (void) strsep(&rest, ",");
                event = strsep(&rest, ",");
                cause = strsep(&rest, ",");
                n += (size_t) snprintf(text + n, sizeof(text) - n, "%s%s%s%s@%llu", n > 0 ? " " : "", event,
                                       *cause ? ":" : "", cause,
                                       (unsigned long long) (r.row.time_usec / USEC_PER_SEC));
        }
        return text;
}

static ProfileRow last_row(uint64_t id) {
        ProfileReader r = { .profile = &kit_query(&kit, id)->profile };

        while (profile_next(&r))
                ;
        return r.row;
}

static void a_growing_query_tells_samples_and_raises(void **state) {
        (void) state;
        kit_plain(&kit);
        kit_pass(&kit, USEC_PER_SEC);
        kit_need(&kit, 1, 10 * MIB);
        kit_pass(&kit, USEC_PER_SEC);
        kit_need(&kit, 1, 60 * MIB);
        assert_int_equal(last_row(1).limit_bytes, 128 * MIB);
        assert_int_equal(last_row(1).high_bytes, kit_query(&kit, 1)->high_bytes);
        assert_int_equal(last_row(1).anon_bytes, 60 * MIB);
        assert_int_equal(last_row(1).need_bytes, 60 * MIB);
        kit_pass(&kit, USEC_PER_SEC);
        kit_exit(&kit, 1, 0);
        assert_string_equal(story(1), "start@0 sample@1 raise:need@2 end@3");
        kit_event(&kit, EVENT_DONE, 1);
        assert_true(engine_is_tombstone(kit.engine, 1));
        assert_string_equal(story(1), "start@0 sample@1 raise:need@2 end@3");
}

static void time_counts_from_execution(void **state) {
        Config c = kit_pool_config(1, 512 * MIB);

        (void) state;
        kit_reopen(&c);
        kit_plain(&kit);
        kit_plain(&kit);
        kit_pass(&kit, 5 * USEC_PER_SEC);
        assert_string_equal(story(2), "");
        kit_exit(&kit, 1, 0);
        kit_pass(&kit, 2 * USEC_PER_SEC);
        kit_exit(&kit, 2, 3);
        assert_string_equal(story(2), "start@0 end:exit@2");
}

static void a_frozen_query_tells_why_and_for_how_long(void **state) {
        (void) state;
        kit_one_has_the_pool(EXHAUSTION_FREEZE);
        kit_pass(&kit, USEC_PER_SEC);
        kit_need(&kit, 2, 63 * MIB);
        assert_true(kit_frozen(2));
        kit_pass(&kit, 3 * USEC_PER_SEC);
        kit_need(&kit, 2, 63 * MIB); /* a look at a frozen one is a sample like any other */
        kit_exit(&kit, 1, 0);
        assert_false(kit_frozen(2));
        assert_int_equal(last_row(2).limit_bytes, kit_lease(2));
        kit_exit(&kit, 2, 0);
        assert_string_equal(story(2), "start@0 denied:need@1 freeze:need@1 sample@4 raise:need@4 thaw@4 end@4");
}

static void a_denied_query_is_told_once(void **state) {
        (void) state;
        kit_one_has_the_pool(EXHAUSTION_FAIL);
        kit_need(&kit, 2, 63 * MIB);
        kit_need(&kit, 2, 63 * MIB);
        assert_string_equal(story(2), "start@0 denied:need@0 sample@0");
}

static void an_end_that_was_asked_for_tells_each_step_and_whose_hand_it_was(void **state) {
        Config c = kit_config();

        (void) state;
        kit_plain(&kit);
        kit_event(&kit, EVENT_CANCEL, 1);
        kit_pass(&kit, kit.config.cancel_grace_usec);
        assert_string_equal(story(1), "start@0 terminate:cancel@0 kill:cancel@5 end:cancel@5");

        c.cancel_grace_usec = 0;
        kit_reopen(&c);
        kit_submit(&kit, (QuerySpec) { .timeout_usec = USEC_PER_SEC });
        kit_pass(&kit, USEC_PER_SEC);
        assert_string_equal(story(1), "start@0 kill:timeout@1 end:timeout@1");
}

static void the_last_row_has_the_final_numbers(void **state) {
        Sample s = kit_anonymous(10 * MIB);
        ProfileRow row;

        (void) state;
        kit_plain(&kit);
        s.max_bytes = 64 * MIB;
        s.has_usage = true;
        s.stall_some_usec = s.cpu_usec = s.io_read_bytes = s.io_write_bytes = 1;
        kit_sample(&kit, 1, s);
        assert_int_equal(last_row(1).cpu_usec, 1);
        kit_report(&kit, 1,
                   (EndedReport) { .numbers = { .memory_peak_bytes = 20 * MIB,
                                                .cpu_usec = 2,
                                                .io_read_bytes = 3,
                                                .io_write_bytes = 4,
                                                .stall_usec = 5,
                                                .stall_full_usec = 6,
                                                .residual_bytes = 9,
                                                .current_bytes = 10,
                                                .anon_bytes = 0,
                                                .shmem_bytes = 8,
                                                .file_bytes = 10,
                                                .kernel_bytes = 1 } },
                   NULL);
        row = last_row(1);
        assert_memory_equal(&row,
                            &((ProfileRow) { .event = PROFILE_END,
                                             .limit_bytes = 64 * MIB,
                                             .current_bytes = 10,
                                             .shmem_bytes = 8,
                                             .file_bytes = 2,
                                             .kernel_bytes = 1,
                                             .need_bytes = 9,
                                             .stall_some_usec = 5,
                                             .stall_full_usec = 6,
                                             .cpu_usec = 2,
                                             .io_read_bytes = 3,
                                             .io_write_bytes = 4 }),
                            sizeof(row));
}

/* Its numbers could not be read: the last ones that were stay, and do not fall to nothing. */
static void an_end_without_numbers_repeats_the_last_ones(void **state) {
        Sample s = kit_anonymous(10 * MIB);

        (void) state;
        kit_plain(&kit);
        s.has_usage = true;
        s.cpu_usec = 7;
        kit_sample(&kit, 1, s);
        kit_gone(&kit, 1);
        assert_string_equal(story(1), "start@0 sample@0 end:worker@0");
        assert_int_equal(last_row(1).cpu_usec, 7);
}

static void who_never_ran_has_no_rows(void **state) {
        (void) state;
        kit.slow_units = true;
        kit_plain(&kit);
        kit_event(&kit, EVENT_CANCEL, 1);
        assert_string_equal(story(1), "");
        assert_int_equal(kit_state(&kit, 1), QUERY_CANCELED);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                KIT_TEST(a_growing_query_tells_samples_and_raises),
                KIT_TEST(time_counts_from_execution),
                KIT_TEST(a_frozen_query_tells_why_and_for_how_long),
                KIT_TEST(a_denied_query_is_told_once),
                KIT_TEST(an_end_that_was_asked_for_tells_each_step_and_whose_hand_it_was),
                KIT_TEST(the_last_row_has_the_final_numbers),
                KIT_TEST(an_end_without_numbers_repeats_the_last_ones),
                KIT_TEST(who_never_ran_has_no_rows),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
