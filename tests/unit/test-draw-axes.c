/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* draw/calendar and draw/magnitude: round times of day and dates, and round values that lie magnitudes apart. */
#include <math.h>
#include <time.h>

#include "draw-kit.h"
#include "draw/calendar.h"
#include "draw/magnitude.h"

#define NOON UINT64_C(1795953600) /* 2026-11-29 12:00 UTC */
#define HOUR UINT64_C(3600)
#define DAY (24 * HOUR)

static void assert_labels(const Ticks *t, const char *expected) {
        char all[512] = "";

        for (size_t i = 0; i < t->n; i++)
                snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s", i > 0 ? "|" : "", t->label[i]);
        assert_string_equal(all, expected);
}

static Calendar calendar(uint64_t begin, uint64_t end) {
        return (Calendar) { (double) (begin * USEC_PER_SEC), (double) (end * USEC_PER_SEC), 0, 1000 };
}

static void set_zone(const char *zone) {
        setenv("TZ", zone, 1);
        tzset();
}

static void days_and_times_are_those_of_clocks(void **state) {
        static const struct {
                uint64_t begin, end;
                size_t wanted;
                const char *labels;
        } rows[] = {
                { NOON - 1, NOON, 5, "11:59:59|12:00:00" },
                { NOON - 59, NOON, 4, "11:59:15|11:59:30|11:59:45|12:00:00" },
                { NOON - 299, NOON, 5, "11:56|11:57|11:58|11:59|12:00" },
                { NOON - 3 * HOUR, NOON, 4, "09:00|10:00|11:00|12:00" },
                { NOON - 3 * HOUR, NOON - 1, 3, "09:00|10:00|11:00" },
                { NOON - 30 * HOUR, NOON, 6, "06:00|12:00|18:00|29 Nov|06:00|12:00" },
                { NOON - 3 * DAY, NOON, 4, "27 Nov|28 Nov|29 Nov" },
                { NOON - 9 * DAY, NOON, 5, "21 Nov|23 Nov|25 Nov|27 Nov|29 Nov" },
                { NOON - 60 * DAY, NOON, 7, " 1 Oct|11 Oct|21 Oct| 1 Nov|11 Nov|21 Nov" },
                { NOON - 200 * DAY, NOON, 7, "Jun 2026|Jul 2026|Aug 2026|Sep 2026|Oct 2026|Nov 2026" },
                { NOON - 900 * DAY, NOON, 4, "2025|2026" },
                { 0, NOON, 16, "1970|1974|1978|1982|1986|1990|1994|1998|2002|2006|2010|2014|2018|2022|2026" },
                { NOON, NOON, 4, "12:00:00" },
        };
        Calendar c;
        Ticks t;

        (void) state;
        set_zone("UTC");
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                c = calendar(rows[i].begin, rows[i].end);
                calendar_ticks(&c, rows[i].wanted, &t);
                assert_labels(&t, rows[i].labels);
        }
        c = calendar(0, UINT64_C(1) << 40); /* 36,000 years: none rather than too many */
        calendar_ticks(&c, 5, &t);
        assert_int_equal(t.n, 0);
}

/* Central Europe: on 29 March 2026 the clock went from 2 to 3. */
static void a_day_of_23_hours_is_a_day(void **state) {
        Calendar c = calendar(1774652400 - DAY, 1774652400 + 2 * DAY); /* midnight of the 28th and two days on */
        Ticks t;

        (void) state;
        set_zone("CET-1CEST,M3.5.0,M10.5.0/3");
        calendar_ticks(&c, 4, &t);
        assert_labels(&t, "27 Mar|28 Mar|29 Mar|30 Mar");
        assert_true(t.at[3] - t.at[2] == 23.0 * HOUR * USEC_PER_SEC);
        set_zone("UTC");
}

/* In Chile on 8 September 2024 the clock went from 0 to 1, and the days after it begin at 0 as ever. */
static void days_begin_at_midnight_where_there_is_one(void **state) {
        Calendar c = calendar(1725508800, 1725508800 + 6 * DAY); /* midnight of the 5th and six days on */
        Ticks t;

        (void) state;
        set_zone("<-04>4<-03>,M9.1.6/24,M4.1.6/24");
        calendar_ticks(&c, 8, &t);
        assert_labels(&t, " 5 Sep| 6 Sep| 7 Sep| 8 Sep| 9 Sep|10 Sep|11 Sep");
        assert_true(t.at[3] - t.at[2] == 24.0 * HOUR * USEC_PER_SEC);
        assert_true(t.at[4] - t.at[3] == 23.0 * HOUR * USEC_PER_SEC);
        assert_true(t.at[5] - t.at[4] == 24.0 * HOUR * USEC_PER_SEC);
        set_zone("UTC");
}

/* Several hours are those of clocks on that day, too, so that the next one is seen to begin. */
static void hours_are_round_after_the_clock_was_set(void **state) {
        Calendar c = calendar(1774652400 + 18 * HOUR, 1774652400 + 60 * HOUR); /* the 28th, 18:00, and 42 hours on */
        Ticks t;

        (void) state;
        set_zone("CET-1CEST,M3.5.0,M10.5.0/3");
        calendar_ticks(&c, 8, &t);
        assert_labels(&t, "18:00|29 Mar|06:00|12:00|18:00|30 Mar|06:00|12:00");
        assert_true(t.at[2] - t.at[1] == 5.0 * HOUR * USEC_PER_SEC);
        c = calendar(1792879200 - 6 * HOUR, 1792879200 + 31 * HOUR); /* 25 October has 25 hours */
        calendar_ticks(&c, 7, &t);
        assert_labels(&t, "18:00|25 Oct|06:00|12:00|18:00|26 Oct|06:00");
        assert_true(t.at[2] - t.at[1] == 7.0 * HOUR * USEC_PER_SEC);
        set_zone("UTC");
}

/* Whatever the length, ticks rise, are within, and are far enough from each other for their labels. */
static void ticks_are_apart(void **state) {
        (void) state;
        set_zone("UTC");
        for (double seconds = 1; seconds < 3e9; seconds *= 1.07)
                for (size_t wanted = 2; wanted < TICKS_MAX; wanted += 3) {
                        Calendar c = { (NOON - seconds) * USEC_PER_SEC, (double) NOON * USEC_PER_SEC, 0, 1 };
                        Ticks t;

                        calendar_ticks(&c, wanted, &t);
                        assert_true(t.n <= wanted);
                        for (size_t i = 0; i < t.n; i++) {
                                assert_true(t.at[i] >= c.begin_usec && t.at[i] <= c.end_usec);
                                assert_true(i == 0 || calendar_at(&c, t.at[i]) - calendar_at(&c, t.at[i - 1]) >
                                                                      0.5 / (double) (wanted + 1));
                        }
                }
}

static void a_time_is_told_as_exactly_as_it_takes(void **state) {
        char buf[CALENDAR_TEXT_MAX];
        Calendar c = calendar(NOON - 59, NOON);

        (void) state;
        set_zone("UTC");
        assert_string_equal(calendar_text(&c, c.begin_usec, buf), "29 Nov 2026 11:59:01");
        assert_string_equal(calendar_zone(&c, buf), "UTC");
        c = calendar(NOON - 25 * DAY, NOON);
        assert_string_equal(calendar_text(&c, c.begin_usec, buf), "4 Nov 2026 12:00");
}

static void values_are_between_powers_of_two(void **state) {
        static const struct {
                double least, most;
                size_t wanted;
                const char *labels;
        } rows[] = {
                { 3.0 * MIB, 900.0 * MIB, 16, "2M|4M|8M|16M|32M|64M|128M|256M|512M|1G" },
                { 3.0 * MIB, 900.0 * MIB, 5, "4M|16M|64M|256M|1G" },
                { 3.0 * MIB, 900.0 * MIB, 2, "16M|256M" },
                { 64.0 * MIB, 64.0 * MIB, 4, "32M|64M|128M" },
                { 1, 0x1p64, 4, "1M|1G|1T|1024T" },
                { 5, 5, 4, "4K|8K|16K" },
                { 0x1p64, 0x1p64, 4, "256T|512T|1024T" },
        };
        Magnitude m = { .from = 100, .to = 0 };
        Ticks t;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                magnitude_bytes(&m, rows[i].least, rows[i].most);
                magnitude_ticks_bytes(&m, rows[i].wanted, &t);
                assert_labels(&t, rows[i].labels);
        }
}

static void times_are_about_ten_times_apart(void **state) {
        static const struct {
                double least, most;
                size_t wanted;
                const char *labels;
        } rows[] = {
                { 1, 1, 3, "1ms|10ms" },        { 1, 3e6, 6, "1ms|10ms|100ms|1s|10s" },
                { 1, 3e6, 3, "1ms|100ms|10s" }, { 2e6, 90e6, 4, "1s|10s|1min|10min" },
                { 1, 0x1p60, 2, "1ms|10min" },
        };
        Magnitude m = { .from = 100, .to = 0 };
        Ticks t;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                magnitude_time(&m, rows[i].least, rows[i].most);
                magnitude_ticks_time(&m, rows[i].wanted, &t);
                assert_labels(&t, rows[i].labels);
        }
}

static void each_doubling_takes_the_same_way(void **state) {
        Magnitude m = { .least = 1.0 * MIB, .most = 16.0 * MIB, .from = 100, .to = 0 };

        (void) state;
        assert_true(fabs(magnitude_at(&m, 1.0 * MIB) - 100) < 1e-9);
        assert_true(fabs(magnitude_at(&m, 2.0 * MIB) - 75) < 1e-9);
        assert_true(fabs(magnitude_at(&m, 4.0 * MIB) - 50) < 1e-9);
        assert_true(fabs(magnitude_at(&m, 16.0 * MIB)) < 1e-9);
        assert_true(fabs(magnitude_at(&m, 1e300)) < 1e-9); /* what is outside is at the end */
        assert_true(fabs(magnitude_at(&m, 0) - 100) < 1e-9);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(days_and_times_are_those_of_clocks),
                cmocka_unit_test(a_day_of_23_hours_is_a_day),
                cmocka_unit_test(days_begin_at_midnight_where_there_is_one),
                cmocka_unit_test(hours_are_round_after_the_clock_was_set),
                cmocka_unit_test(ticks_are_apart),
                cmocka_unit_test(a_time_is_told_as_exactly_as_it_takes),
                cmocka_unit_test(values_are_between_powers_of_two),
                cmocka_unit_test(times_are_about_ten_times_apart),
                cmocka_unit_test(each_doubling_takes_the_same_way),
        };

        return cmocka_run_group_tests_name("draw-axes", tests, NULL, NULL);
}
