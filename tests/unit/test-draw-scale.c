/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* draw/scale, draw/labels and draw/scene: round ticks, room for names, texts that fit. */
#include <math.h>

#include "draw-kit.h"
#include "draw/labels.h"
#include "draw/scale.h"

static void assert_labels(const Ticks *t, const char *expected) {
        char all[512] = "";

        for (size_t i = 0; i < t->n; i++)
                snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s", i > 0 ? " " : "", t->label[i]);
        assert_string_equal(all, expected);
}

static void bytes_have_powers_of_two(void **state) {
        static const struct {
                uint64_t most;
                size_t wanted;
                const char *labels;
        } rows[] = {
                { 100, 4, "0 32B 64B 96B" },
                { 64 * MIB, 4, "0 16M 32M 48M 64M" },
                { 64 * MIB + 1, 4, "0 32M 64M" },
                { 64 * MIB - 1, 4, "0 16M 32M 48M" },
                { 532 * MIB, 5, "0 128M 256M 384M 512M" },
                { 3 * GIB, 7, "0 512M 1G 1.5G 2G 2.5G 3G" },
                { UINT64_C(1) << 63, 3, "0 4E 8E" },
                { UINT64_MAX, 3, "0 8E 16E" },
                { 1, 3, "0 1B" },
                { 0, 3, "0" },
        };
        Ticks t;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                ticks_bytes((double) rows[i].most, rows[i].wanted, &t);
                assert_labels(&t, rows[i].labels);
        }
}

static void time_has_what_clocks_have(void **state) {
        static const struct {
                uint64_t most;
                size_t wanted;
                const char *labels;
        } rows[] = {
                { 1, 5, "0 1us" },
                { 900, 5, "0 200us 400us 600us 800us" },
                { 230 * USEC_PER_MSEC, 5, "0 50ms 100ms 150ms 200ms" },
                { 999999, 4, "0 500ms" },
                { USEC_PER_SEC, 4, "0 0.5s 1s" },
                { 12400 * USEC_PER_MSEC, 9, "0 2s 4s 6s 8s 10s 12s" },
                { 100 * USEC_PER_SEC, 9, "0 15s 30s 45s 60s 75s 90s" },
                { 130 * USEC_PER_SEC, 5, "0 0.5min 1min 1.5min 2min" },
                { 130 * USEC_PER_SEC, 9, "0 15s 30s 45s 60s 75s 90s 105s 120s" },
                { 3599 * USEC_PER_SEC, 7, "0 10min 20min 30min 40min 50min" },
                { 8600 * USEC_PER_SEC, 9, "0 0.5h 1h 1.5h 2h" },
                { 7500 * USEC_PER_SEC, 9, "0 15min 30min 45min 60min 75min 90min 105min 120min" },
                { 30 * 3600 * USEC_PER_SEC, 9, "0 6h 12h 18h 24h 30h" },
                { 20 * 86400 * USEC_PER_SEC, 9, "0 5d 10d 15d 20d" },
                { UINT64_MAX, 5, "0 50000000d 100000000d 150000000d 200000000d" },
                { 0, 5, "0" },
        };
        Ticks t;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                ticks_time((double) rows[i].most, rows[i].wanted, &t);
                assert_labels(&t, rows[i].labels);
        }
}

/* Over all magnitudes, and just beside each power of two. */
static void there_is_a_tick_beside_zero_and_never_too_many(void **state) {
        Ticks t;

        (void) state;
        for (unsigned bit = 1; bit < 64; bit++)
                for (int off = -1; off <= 1; off++)
                        for (size_t wanted = TICKS_WANTED_MIN; wanted < TICKS_MAX; wanted++) {
                                double most = (double) ((UINT64_C(1) << bit) + (uint64_t) off);

                                ticks_bytes(most, wanted, &t);
                                assert_in_range(t.n, 2, wanted + 1);
                                assert_true(t.at[t.n - 1] <= most);
                                ticks_time(most, wanted, &t);
                                assert_in_range(t.n, 2, wanted + 1);
                                assert_true(t.at[t.n - 1] <= most);
                        }
}

static void a_scale_ends_where_its_pixels_do(void **state) {
        Scale s = { .most = 200, .from = 500, .to = 100 };

        (void) state;
        assert_true(scale_at(&s, 0) == 500);
        assert_true(scale_at(&s, 50) == 400);
        assert_true(scale_at(&s, 200) == 100);
        assert_true(scale_at(&s, 1e30) == 100);
        assert_true(scale_at(&s, -1) == 500);
        s.most = 0;
        assert_true(scale_at(&s, 7) == 500);
}

static void a_name_finds_the_room_in_its_area(void **state) {
        double upper[100], lower[100], x = -1, y = -1;
        Strip s = { .upper = upper, .lower = lower, .n = 100, .step = 4 };

        (void) state;
        for (size_t i = 0; i < s.n; i++) {
                lower[i] = 100;
                upper[i] = i >= 60 && i < 80 ? 70 : 95; /* 80 pixels of which have room for 30 */
        }
        assert_true(label_in_strip(&s, 40, 20, &x, &y));
        assert_true(x >= 240 + 20 && x <= 316 - 20);
        assert_true(y == 85);
        assert_true(label_in_strip(&s, 72, 30, &x, &y));
        assert_false(label_in_strip(&s, 80, 20, &x, &y)); /* wider than the room */
        assert_false(label_in_strip(&s, 40, 31, &x, &y)); /* higher */
        assert_false(label_in_strip(&s, 1000, 2, &x, &y));
        s.n = 0;
        assert_false(label_in_strip(&s, 1, 1, &x, &y));
}

static void names_make_room_for_each_other(void **state) {
        double apart[] = { 10, 50, 90 }, same[] = { 50, 50, 50 }, low[] = { 96, 97, 98 }, over[] = { 110, 120 },
               many[] = { 5, 5, 5, 5 };

        (void) state;
        labels_spread(apart, 3, 15, 0, 100);
        assert_true(apart[0] == 10 && apart[1] == 50 && apart[2] == 90);
        labels_spread(same, 3, 15, 0, 100);
        assert_true(same[1] - same[0] >= 15 && same[2] - same[1] >= 15 && same[0] >= 0 && same[2] <= 100);
        labels_spread(low, 3, 15, 0, 100);
        assert_true(low[0] == 68 && low[1] == 83 && low[2] == 98);
        labels_spread(over, 2, 15, 0, 100);
        assert_true(over[0] == 85 && over[1] == 100);
        labels_spread(many, 4, 15, 0, 30);
        assert_true(many[0] == 0 && many[3] == 45);
}

static void a_text_is_cut_between_characters(void **state) {
        char many[1001] = "", *end = many;
        Scene s = { .width = 100, .height = 100, .meter = { .width = kit_width } };
        TextStyle style = { .size = 10 }; /* 5.8 a letter */

        (void) state;
        assert_true(scene_text(&s, (Spot) { 0, 0 }, style, 60, "%s", "seventeen") > 0);
        assert_string_equal(s.shapes[0].text, "seventeen");
        scene_text(&s, (Spot) { 0, 0 }, style, 35, "%s", "seventeen");
        assert_string_equal(s.shapes[1].text, "seven\xe2\x80\xa6");
        scene_text(&s, (Spot) { 0, 0 }, style, 18, "%s", "\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f");
        assert_string_equal(s.shapes[2].text, "\xc3\xa4\xc3\xb6\xe2\x80\xa6");
        scene_text(&s, (Spot) { 0, 0 }, style, 30, "%s", "ab cdefg");
        assert_string_equal(s.shapes[3].text, "ab c\xe2\x80\xa6");
        scene_text(&s, (Spot) { 0, 0 }, style, 23, "%s", "ab cdefg");
        assert_string_equal(s.shapes[4].text, "ab\xe2\x80\xa6"); /* and not before a blank */
        assert_true(scene_text(&s, (Spot) { 0, 0 }, style, 5, "%s", "x") == 0);
        assert_int_equal(s.n_shapes, 5);
        for (size_t i = 0; i < 250; i++)
                end = stpcpy(end, "\xf0\x9f\x98\x80");
        scene_text(&s, (Spot) { 0, 0 }, style, 1e6, "%s", many);
        assert_memory_equal(s.shapes[5].text, many, 500); /* one that is longer than what there is room for, too */
        scene_done(&s);
}

static void a_text_is_safe_for_xml_and_cairo(void **state) {
        static const struct {
                const char *text, *safe;
        } rows[] = {
                { "plain <&> \xc3\xa4", "plain <&> \xc3\xa4" },
                { "a\tb\nc\x1b[31m\x7f", "a?b?c?[31m?" },
                { "\xc2\x9b", "??" },
                { "\xc2\xa0", "\xc2\xa0" },
                { "\xff\xfe", "??" },
                { "\xc3\xa4\xc3", "\xc3\xa4?" },
                { "\xf0\x9f\x98\x80 \xf0\x9f\x98", "\xf0\x9f\x98\x80 ???" },
                { "\xef\xbf\xbe \xef\xbf\xbf \xef\xbf\xbd", "??? ??? \xef\xbf\xbd" },
        };
        char buf[64];

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                snprintf(buf, sizeof(buf), "%s", rows[i].text);
                assert_string_equal(text_make_safe(buf), rows[i].safe);
        }
}

static void a_spot_is_always_a_number(void **state) {
        Scene s = { .width = 100, .height = 100, .meter = { .width = kit_width } };

        (void) state;
        scene_area(&s, INK_TEXT); /* of nothing */
        assert_int_equal(s.n_shapes, 0);
        scene_segment(&s, INK_TEXT, 1, STROKE_SOLID, (Spot) { NAN, INFINITY }, (Spot) { -INFINITY, 1e300 });
        for (size_t i = 0; i < s.n_spots; i++)
                assert_true(fabs(s.spots[i].x) <= 1e5 && fabs(s.spots[i].y) <= 1e5);
        scene_done(&s);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(bytes_have_powers_of_two),
                cmocka_unit_test(time_has_what_clocks_have),
                cmocka_unit_test(there_is_a_tick_beside_zero_and_never_too_many),
                cmocka_unit_test(a_scale_ends_where_its_pixels_do),
                cmocka_unit_test(a_name_finds_the_room_in_its_area),
                cmocka_unit_test(names_make_room_for_each_other),
                cmocka_unit_test(a_text_is_cut_between_characters),
                cmocka_unit_test(a_text_is_safe_for_xml_and_cairo),
                cmocka_unit_test(a_spot_is_always_a_number),
        };

        return cmocka_run_group_tests_name("draw-scale", tests, NULL, NULL);
}
