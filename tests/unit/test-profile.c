/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/query.h"

static ProfileRow rows[PROFILE_ROWS_MAX + 8];

static size_t read_rows(const Profile *p) {
        ProfileReader r = { .profile = p };
        size_t n = 0;

        while (profile_next(&r)) {
                assert_true(n < PROFILE_ROWS_MAX);
                rows[n++] = r.row;
        }
        return n;
}

static uint64_t sum_of_thinned(size_t n) {
        uint64_t sum = 0;

        for (size_t i = 0; i < n; i++)
                sum += rows[i].thinned_rows;
        return sum;
}

static Sample sample_of(uint64_t bytes) {
        return (Sample) { .max_bytes = 64 * MIB,
                          .high_bytes = 56 * MIB,
                          .current_bytes = bytes + 7,
                          .anon_bytes = bytes,
                          .shmem_bytes = 3,
                          .file_bytes = 5,
                          .kernel_bytes = 11,
                          .pids = 2 };
}

static void add_sample(Profile *p, uint64_t bytes, uint64_t time_usec) {
        Sample s = sample_of(bytes);

        profile_read(p, &s, bytes + 1);
        profile_add(p, PROFILE_SAMPLE, 0, time_usec);
}

static void nothing_is_kept_before_the_start(void **state) {
        Profile p = {};

        (void) state;
        add_sample(&p, MIB, 1);
        profile_limits(&p, 1, 1, 1);
        profile_add_raise(&p, RAISE_NEED, 1, 2, 3);
        profile_add(&p, PROFILE_END, 0, 4);
        profile_close(&p);
        assert_null(p.live);
        assert_null(p.bytes);
        assert_int_equal(read_rows(&p), 0);
        profile_done(&p);
}

static void rows_come_back_as_they_were_added(void **state) {
        Sample s = sample_of(40 * MIB);
        Profile p = {};

        (void) state;
        profile_add(&p, PROFILE_START, 0, 10);
        profile_limits(&p, 64 * MIB, 56 * MIB, 9);
        s.has_psi = s.has_usage = true;
        s.stall_some_usec = 20;
        s.stall_full_usec = 10;
        s.cpu_usec = UINT64_MAX - 1;
        s.io_read_bytes = 1;
        s.io_write_bytes = 2;
        profile_read(&p, &s, 41 * MIB);
        profile_add(&p, PROFILE_DENIED, RAISE_RATE, 100);
        s.has_psi = s.has_usage = false; /* they were not read this time: the last ones stand */
        s.stall_some_usec = s.cpu_usec = 0;
        s.high_bytes = SIZE_INFINITY;
        s.shmem_bytes = 9; /* `file` counts them too, but was read at another moment */
        profile_read(&p, &s, 0);
        profile_add(&p, PROFILE_SAMPLE, 0, 200);
        profile_add(&p, PROFILE_KILL, VERDICT_TIMEOUT, UINT64_MAX);
        for (int round = 0; round < 2; round++) {
                assert_int_equal(read_rows(&p), 4);
                assert_memory_equal(&rows[0],
                                    &((ProfileRow) { .time_usec = 10,
                                                     .event = PROFILE_START,
                                                     .limit_bytes = 64 * MIB,
                                                     .high_bytes = 56 * MIB }),
                                    sizeof(ProfileRow));
                assert_memory_equal(&rows[1],
                                    &((ProfileRow) { .time_usec = 100,
                                                     .event = PROFILE_DENIED,
                                                     .cause = RAISE_RATE,
                                                     .limit_bytes = 64 * MIB,
                                                     .high_bytes = 56 * MIB,
                                                     .current_bytes = 40 * MIB + 7,
                                                     .anon_bytes = 40 * MIB,
                                                     .shmem_bytes = 3,
                                                     .file_bytes = 2,
                                                     .kernel_bytes = 11,
                                                     .need_bytes = 41 * MIB,
                                                     .stall_some_usec = 20,
                                                     .stall_full_usec = 10,
                                                     .cpu_usec = UINT64_MAX - 1,
                                                     .io_read_bytes = 1,
                                                     .io_write_bytes = 2,
                                                     .pids = 2 }),
                                    sizeof(ProfileRow));
                assert_int_equal(rows[2].high_bytes, SIZE_INFINITY);
                assert_int_equal(rows[2].file_bytes, 0);
                assert_int_equal(rows[2].stall_some_usec, 20);
                assert_int_equal(rows[2].cpu_usec, UINT64_MAX - 1);
                assert_int_equal(rows[3].time_usec, UINT64_MAX);
                assert_int_equal(rows[3].cause, VERDICT_TIMEOUT);
                assert_int_equal(rows[3].high_bytes, SIZE_INFINITY);
                profile_close(&p); /* encoded, they are the same */
                assert_null(p.live);
        }
        profile_done(&p);
}

static void a_sample_that_another_row_tells_is_no_row_of_its_own(void **state) {
        Sample s = sample_of(MIB);
        Profile p = {};

        (void) state;
        profile_add(&p, PROFILE_START, 0, 0);
        profile_read(&p, &s, 1);
        profile_add_raise(&p, RAISE_NEED, 64 * MIB, 128 * MIB, 5);
        profile_add(&p, PROFILE_SAMPLE, 0, 5);
        assert_int_equal(read_rows(&p), 2);
        profile_done(&p);
}

static void what_the_kernel_has_completes_the_raise_behind_which_a_thaw_stands(void **state) {
        Profile p = {};

        (void) state;
        profile_add(&p, PROFILE_START, 0, 0);
        profile_limits(&p, 64 * MIB, 56 * MIB, 3);
        profile_add_raise(&p, RAISE_MAX, 64 * MIB, 128 * MIB, 5);
        profile_add(&p, PROFILE_THAW, 0, 5);
        profile_limits(&p, 128 * MIB, 112 * MIB, 17);
        profile_limits(&p, 128 * MIB, 100 * MIB, 99); /* only memory.high moved: not the raise's */
        assert_int_equal(read_rows(&p), 3);
        assert_int_equal(rows[0].limit_bytes, 64 * MIB);
        assert_int_equal(rows[0].latency_usec, 0);
        assert_int_equal(rows[1].limit_bytes, 128 * MIB);
        assert_int_equal(rows[1].high_bytes, 112 * MIB);
        assert_int_equal(rows[1].latency_usec, 17);
        assert_int_equal(rows[2].limit_bytes, 128 * MIB);
        profile_add(&p, PROFILE_KILL, 0, 6);
        assert_int_equal(read_rows(&p), 4);
        assert_int_equal(rows[3].high_bytes, 100 * MIB);
        profile_done(&p);
}

/* A raise that the kernel never confirmed does not claim the limit it asked for. */
static void an_unconfirmed_raise_keeps_the_limit_in_force(void **state) {
        Profile p = {};

        (void) state;
        profile_add(&p, PROFILE_START, 0, 0);
        profile_limits(&p, 64 * MIB, 56 * MIB, 3);
        profile_add_raise(&p, RAISE_MAX, 64 * MIB, 128 * MIB, 5);
        profile_close(&p);
        assert_int_equal(read_rows(&p), 2);
        assert_int_equal(rows[1].new_bytes, 128 * MIB);
        assert_int_equal(rows[1].limit_bytes, 64 * MIB);
        profile_done(&p);
}

#define MANY 100000u

static void many_samples_are_thinned_evenly_and_counted(void **state) {
        uint64_t longest = 0;
        Profile p = {};
        size_t n;

        (void) state;
        profile_add(&p, PROFILE_START, 0, 0);
        for (unsigned i = 1; i <= MANY; i++) {
                add_sample(&p, i * KIB, i * USEC_PER_MSEC);
                if (i == MANY / 2)
                        profile_add_raise(&p, RAISE_NEED, 64 * MIB, 128 * MIB, i * USEC_PER_MSEC);
                assert_true(p.n_bytes <= PROFILE_BYTES_MAX);
        }
        profile_add(&p, PROFILE_END, 0, (MANY + 1) * USEC_PER_MSEC);
        n = read_rows(&p);
        assert_true(n > PROFILE_ROWS_MAX / 4);
        assert_int_equal(n + sum_of_thinned(n), MANY + 3);
        profile_close(&p);
        assert_true(p.n_bytes <= PROFILE_BYTES_KEPT);
        n = read_rows(&p);
        assert_int_equal(n, p.n_rows);
        assert_true(n > PROFILE_ROWS_MAX / 8);
        assert_int_equal(n + sum_of_thinned(n), MANY + 3);
        assert_int_equal(rows[0].event, PROFILE_START);
        assert_int_equal(rows[n - 1].event, PROFILE_END);
        for (size_t i = 1, raises = 0; i < n; i++) {
                assert_true(rows[i].time_usec >= rows[i - 1].time_usec);
                longest = MAX(longest, rows[i].time_usec - rows[i - 1].time_usec);
                raises += rows[i].event == PROFILE_RAISE;
                assert_int_equal(raises, rows[i].time_usec > MANY / 2 * USEC_PER_MSEC ? 1 : raises);
        }
        /* No part of the run is left in the dark. */
        assert_true(longest < MANY / 8 * USEC_PER_MSEC);
        profile_done(&p);
}

static void many_events_are_thinned_too_but_neither_the_first_nor_the_last(void **state) {
        Profile p = {};
        size_t n;

        (void) state;
        profile_add(&p, PROFILE_START, 0, 0);
        for (unsigned i = 1; i <= 3000; i++) {
                add_sample(&p, i * 1234567, i);
                profile_add_raise(&p, RAISE_NEED, i * MIB, (i + 1) * MIB, i);
                profile_limits(&p, (i + 1) * MIB, SIZE_INFINITY, i);
                profile_add(&p, i % 2 ? PROFILE_FREEZE : PROFILE_THAW, 0, i);
                assert_true(p.n_bytes <= PROFILE_BYTES_MAX);
        }
        profile_add(&p, PROFILE_END, VERDICT_MAXIMUM, 3001);
        profile_close(&p);
        n = read_rows(&p);
        assert_true(n > 16 && p.n_bytes <= PROFILE_BYTES_KEPT);
        assert_int_equal(n + sum_of_thinned(n), 3 * 3000 + 2);
        assert_int_equal(rows[0].event, PROFILE_START);
        assert_int_equal(rows[n - 1].event, PROFILE_END);
        assert_int_equal(rows[n - 1].limit_bytes, 3001 * MIB);
        profile_done(&p);
}

/* The longest rows there are: each column far from the one before. */
static void the_widest_rows_fit_too(void **state) {
        Profile p = {};
        size_t n;

        (void) state;
        profile_add(&p, PROFILE_START, 0, 0);
        for (unsigned i = 1; i <= 200; i++) {
                uint64_t v = i % 2 ? UINT64_MAX / 2 + i : i;
                Sample s = { .anon_bytes = v,
                             .shmem_bytes = v,
                             .file_bytes = UINT64_MAX - v,
                             .kernel_bytes = v,
                             .current_bytes = v,
                             .max_bytes = v,
                             .high_bytes = v,
                             .stall_some_usec = v,
                             .stall_full_usec = v,
                             .pids = v,
                             .cpu_usec = v,
                             .io_read_bytes = v,
                             .io_write_bytes = v,
                             .has_psi = true,
                             .has_usage = true };

                profile_read(&p, &s, v);
                profile_add_raise(&p, RAISE_REFAULT, UINT64_MAX - 1, UINT64_MAX - 1, i);
                profile_limits(&p, v, v, UINT64_MAX - 1);
                assert_true(p.n_bytes <= PROFILE_BYTES_MAX);
        }
        profile_close(&p);
        n = read_rows(&p);
        assert_true(p.n_bytes <= PROFILE_BYTES_KEPT);
        assert_int_equal(n + sum_of_thinned(n), 201);
        assert_int_equal(rows[n - 1].anon_bytes, 200);
        assert_int_equal(rows[n - 1].latency_usec, UINT64_MAX - 1);
        profile_done(&p);
}

static unsigned count_commas(const char *s) {
        unsigned n = 0;

        for (; *s; s++)
                n += *s == ',';
        return n;
}

static void each_line_has_as_many_values_as_the_header_has_names(void **state) {
        char line[PROFILE_LINE_MAX];
        ProfileRow row;

        (void) state;
        assert_int_equal(count_commas(profile_csv_header()) + 1, sizeof(row) / sizeof(uint64_t));
        for (unsigned e = 0; e < _PROFILE_EVENT_MAX; e++)
                for (unsigned cause = 0; cause < MIN((unsigned) _VERDICT_MAX, (unsigned) _RAISE_CAUSE_MAX); cause++) {
                        memset(&row, 0xfe, sizeof(row));
                        row.event = e;
                        row.cause = cause;
                        profile_csv_line(&row, line);
                        assert_int_equal(count_commas(line), count_commas(profile_csv_header()));
                        assert_non_null(strstr(line, profile_event_name((ProfileEvent) e)));
                        assert_true(strlen(line) + 1 < sizeof(line));
                        assert_string_equal(strrchr(line, ','), ",18374403900871474942"); /* nothing was cut */
                }
        row = (ProfileRow) { .time_usec = 7,
                             .event = PROFILE_END,
                             .cause = VERDICT_MAXIMUM,
                             .high_bytes = SIZE_INFINITY,
                             .pids = 3,
                             .thinned_rows = 4 };
        assert_string_equal(profile_csv_line(&row, line), "7,end,maximum,,,,0,infinity,0,0,0,0,0,0,0,0,0,0,0,3,4");
}

static uint8_t saved[PROFILE_SAVED_MAX];

/* A table of every kind of row, with so many plain samples. */
static void fill(Profile *p, uint64_t n_samples) {
        profile_add(p, PROFILE_START, 0, 0);
        profile_limits(p, 64 * MIB, SIZE_INFINITY, 0);
        for (uint64_t i = 1; i <= n_samples; i++)
                add_sample(p, i * 4097, i * 1000);
        profile_add_raise(p, RAISE_STALL, 64 * MIB, 128 * MIB, n_samples * 1000 + 1);
        profile_limits(p, 128 * MIB, 120 * MIB, 77);
        profile_add(p, PROFILE_FREEZE, RAISE_NEED, n_samples * 1000 + 2);
        profile_add(p, PROFILE_KILL, VERDICT_COMPILE, n_samples * 1000 + 3);
}

static void what_was_saved_goes_on_where_it_was(void **state) {
        static const uint64_t samples[] = { 0, 1, 100, 10000 };
        static ProfileRow before[PROFILE_ROWS_MAX];

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(samples); i++) {
                Profile a = {}, b = {}, c = {};
                size_t n, len;

                fill(&a, samples[i]);
                n = read_rows(&a);
                memcpy(before, rows, n * sizeof(*rows));
                len = profile_save(&a, saved);
                assert_true(profile_restore(&b, saved, len, true));
                assert_int_equal(read_rows(&b), n);
                assert_memory_equal(rows, before, n * sizeof(*rows));
                profile_add(&b, PROFILE_THAW, 0, UINT64_MAX / 2); /* it repeats what was read before */
                assert_int_equal(read_rows(&b), n + 1);
                assert_int_equal(rows[n].limit_bytes, 128 * MIB);
                assert_int_equal(rows[n].current_bytes, before[n - 1].current_bytes);
                for (uint64_t k = 1; k <= 5000; k++) {
                        add_sample(&b, k, UINT64_MAX / 2 + k);
                        assert_true(b.n_bytes <= PROFILE_BYTES_MAX + 1024);
                }
                assert_true(b.n_bytes <= PROFILE_BYTES_MAX);
                assert_true(read_rows(&b) <= PROFILE_ROWS_MAX);
                profile_close(&a);
                n = read_rows(&a);
                memcpy(before, rows, n * sizeof(*rows));
                assert_true(profile_restore(&c, saved, profile_save(&a, saved), false));
                assert_null(c.live);
                assert_int_equal(read_rows(&c), n);
                assert_memory_equal(rows, before, n * sizeof(*rows));
                profile_done(&a);
                profile_done(&b);
                profile_done(&c);
        }
}

static void nothing_is_saved_of_nothing(void **state) {
        Profile p = {};

        (void) state;
        assert_int_equal(profile_save(&p, saved), 0);
        assert_false(profile_restore(&p, saved, 0, true));
        assert_null(p.live);
}

/* A file of another build, or a broken one: it is refused, or it is a table like any other. */
static void whatever_is_read_can_be_read_or_is_refused(void **state) {
        char line[PROFILE_LINE_MAX];
        unsigned long long tried = 1;
        Profile a = {};
        size_t len;

        (void) state;
        fill(&a, 20);
        len = profile_save(&a, saved);
        for (size_t i = 0; i <= len * 8; i++)
                for (unsigned cut = 0; cut < 3; cut++) {
                        uint8_t *bytes = malloc(len - cut * (len / 4)); /* just as large, so that a read behind it is seen */
                        Profile p = {};
                        ProfileReader r = { .profile = &p };

                        assert_non_null(bytes);
                        memcpy(bytes, saved, len - cut * (len / 4));
                        if (i / 8 < len - cut * (len / 4))
                                bytes[i / 8] ^= (uint8_t) (1u << i % 8);
                        if (profile_restore(&p, bytes, len - cut * (len / 4), i % 2 == 0))
                                while (profile_next(&r))
                                        tried += strlen(profile_csv_line(&r.row, line));
                        profile_done(&p);
                        free(bytes);
                }
        assert_true(tried > 1);
        saved[4]++; /* another number of columns */
        assert_false(profile_restore(&(Profile) {}, saved, len, true));
        profile_done(&a);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(nothing_is_kept_before_the_start),
                cmocka_unit_test(rows_come_back_as_they_were_added),
                cmocka_unit_test(a_sample_that_another_row_tells_is_no_row_of_its_own),
                cmocka_unit_test(what_the_kernel_has_completes_the_raise_behind_which_a_thaw_stands),
                cmocka_unit_test(an_unconfirmed_raise_keeps_the_limit_in_force),
                cmocka_unit_test(many_samples_are_thinned_evenly_and_counted),
                cmocka_unit_test(many_events_are_thinned_too_but_neither_the_first_nor_the_last),
                cmocka_unit_test(the_widest_rows_fit_too),
                cmocka_unit_test(each_line_has_as_many_values_as_the_header_has_names),
                cmocka_unit_test(what_was_saved_goes_on_where_it_was),
                cmocka_unit_test(nothing_is_saved_of_nothing),
                cmocka_unit_test(whatever_is_read_can_be_read_or_is_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
