/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* draw/profile and draw/lane: what the picture of a profile says, and that it can be read, whatever the profile. */
#include <errno.h>
#include <math.h>
#include <time.h>

#include "draw-kit.h"
#include "draw/lane.h"
#include "draw/scale.h"

#define HEAD                                                                                                         \
        "time_usec,event,cause,new_bytes,limit_bytes,current_bytes,anon_bytes,shmem_bytes,file_bytes,kernel_bytes,"  \
        "stall_some_usec,stall_full_usec,thinned_rows\n"

/* 64M to 128M after 3 s, frozen from 4 to 6 s, then 256M; at 10 s killed. Half of the time from 1 s to 3 s stalled.
 */
static const char grown[] = HEAD
                "0,start,,,67108864,0,0,0,0,0,0,0,0\n"
                "1000000,sample,,,67108864,52428800,31457280,1048576,16777216,3145728,0,0,0\n"
                "3000000,raise,need,134217728,134217728,62914560,50331648,1048576,8388608,3145728,1000000,500000,0\n"
                "4000000,denied,max,,134217728,125829120,113246208,1048576,8388608,3145728,1000000,500000,0\n"
                "4000000,freeze,max,,134217728,125829120,113246208,1048576,8388608,3145728,1000000,500000,0\n"
                "6000000,raise,max,268435456,268435456,125829120,113246208,1048576,8388608,3145728,1000000,500000,2\n"
                "6000000,thaw,,,268435456,125829120,113246208,1048576,8388608,3145728,1000000,500000,0\n"
                "9000000,sample,,,268435456,240000000,180000000,1048576,50000000,3145728,1000000,500000,5\n"
                "10000000,kill,maximum,,268435456,240000000,180000000,1048576,50000000,3145728,1000000,500000,0\n"
                "10000000,end,maximum,,268435456,4096,0,0,0,4096,1000000,500000,0\n";

static Facts facts_of(const char *const arguments[], size_t n) {
        Facts f = FACTS_NONE;

        for (size_t i = 0; i < n; i++)
                assert_int_equal(facts_set(&f, arguments[i]), 0);
        return f;
}

static Facts usual_facts(void) {
        static const char *const arguments[] = { "id=17",
                                                 "language=python",
                                                 "state=errored",
                                                 "error=MemoryLimitExceeded",
                                                 "verdict=maximum",
                                                 "memory_peak_bytes=251658240",
                                                 "memory_max_bytes=536870912",
                                                 "raises=2",
                                                 "execute_usec=10100000",
                                                 "frozen_usec=2000000" };

        return facts_of(arguments, ELEMENTSOF(arguments));
}

static void facts_are_keys_and_values(void **state) {
        Facts f = FACTS_NONE;

        (void) state;
        assert_int_equal(facts_set(&f, "language=a=b"), 0);
        assert_string_equal(f.language, "a=b");
        assert_int_equal(facts_set(&f, "raises=12"), 0);
        assert_true(f.raises == 12);
        assert_int_equal(facts_set(&f, "raises=x"), -EINVAL);
        assert_int_equal(facts_set(&f, "raise=1"), -EINVAL);
        assert_int_equal(facts_set(&f, "raisess=1"), -EINVAL);
        assert_int_equal(facts_set(&f, "raises"), -EINVAL);
        assert_int_equal(facts_set(&f, "=1"), -EINVAL);
        assert_true(f.raises == 12);
}

static void the_head_says_who_and_how_it_went(void **state) {
        static const char *const running[] = { "id=3", "state=executing", "execute_usec=90000000" };
        Facts f = usual_facts();
        Kit k;

        (void) state;
        kit_draw(&k, grown, &f, 1000, 560);
        (void) kit_text(&k.s, "Query 17 \xc2\xb7 python \xc2\xb7 MemoryLimitExceeded (maximum) after 10.1s");
        (void) kit_text(&k.s, "peak 240M of at most 512M \xc2\xb7 2 raises \xc2\xb7 frozen for 2.0s \xc2\xb7 stalled "
                              "for 1.0s");
        (void) kit_text(&k.s, "10 readings, straight lines in between; 7 more left out");
        kit_done(&k);
        f = facts_of(running, ELEMENTSOF(running));
        kit_draw(&k, HEAD "0,start,,,67108864,0,0,0,0,0,0,0,0\n", &f, 1000, 560);
        (void) kit_text(&k.s, "Query 3 \xc2\xb7 executing for 1min 30s");
        (void) kit_text(&k.s, "no raises");
        (void) kit_text(&k.s, "90s"); /* the axis goes to now */
        (void) kit_text(&k.s, "It has not come near its limit");
        kit_done(&k);
        f = FACTS_NONE;
        kit_draw(&k, HEAD "0,start,,,1,0,0,0,0,0,0,0,0\n5,end,,,1,0,0,0,0,0,0,0,0\n", &f, 1000, 560);
        (void) kit_text(&k.s, "Query \xc2\xb7 ended in 5us");
        kit_done(&k);
}

static void lines_are_named_at_their_right_end(void **state) {
        const Shape *name, *line;
        Facts f = usual_facts();
        Kit k;

        (void) state;
        kit_draw(&k, grown, &f, 1000, 560);
        line = kit_shape(&k.s, SHAPE_LINE, INK_MAXIMUM);
        assert_non_null(line);
        assert_int_equal(line->stroke, STROKE_DASHED);
        name = kit_text(&k.s, "maximum 512M");
        assert_true(k.s.spots[name->first].x > k.s.spots[line->first + 1].x);
        assert_true(fabs(k.s.spots[name->first].y - k.s.spots[line->first].y) < 12);
        name = kit_text(&k.s, "limit 256M");
        line = kit_shape(&k.s, SHAPE_LINE, INK_LIMIT);
        assert_non_null(line);
        assert_true(fabs(k.s.spots[name->first].y - k.s.spots[line->first + line->n - 1].y) < 24);
        (void) kit_text(&k.s, "peak 240M");
        kit_done(&k);
        f.memory_max_bytes = 16 * GIB; /* on its axis nothing else would be seen */
        kit_draw(&k, grown, &f, 1000, 560);
        (void) kit_text(&k.s, "\xe2\x86\x91 maximum 16G");
        assert_null(kit_shape(&k.s, SHAPE_LINE, INK_MAXIMUM)->stroke == STROKE_DASHED ? &k : NULL);
        kit_done(&k);
        f.memory_max_bytes = 256 * MIB;
        kit_draw(&k, grown, &f, 1000, 560);
        (void) kit_text(&k.s, "limit, maximum 256M");
        assert_null(kit_find(&k.s, "maximum"));
        kit_done(&k);
}

/* Straight along until it changes, then straight up. */
static void the_limit_is_a_line_of_steps(void **state) {
        Facts f = usual_facts();
        const Shape *line;
        unsigned steps = 0;
        Kit k;

        (void) state;
        kit_draw(&k, grown, &f, 1000, 560);
        line = kit_shape(&k.s, SHAPE_LINE, INK_LIMIT);
        assert_non_null(line);
        for (size_t i = line->first + 1; i < line->first + line->n; i++) {
                Spot a = k.s.spots[i - 1], b = k.s.spots[i];

                assert_true(a.x == b.x || a.y == b.y);
                steps += a.y != b.y;
                assert_true(b.y <= a.y);
        }
        assert_int_equal(steps, 2);
        kit_done(&k);
        kit_draw(&k, "time_usec,limit_bytes\n0,100\n10,infinity\n20,200\n30,200\n", &f, 1000, 560);
        steps = 0;
        for (size_t i = 0; i < k.s.n_shapes; i++)
                steps += k.s.shapes[i].kind == SHAPE_LINE && k.s.shapes[i].ink == INK_LIMIT &&
                         k.s.shapes[i].width == 2;
        assert_int_equal(steps, 2); /* broken where there is none */
        kit_done(&k);
}

static void areas_are_named_in_them_or_beside_them(void **state) {
        Facts f = usual_facts();
        const Shape *name;
        Kit k;

        (void) state;
        kit_draw(&k, grown, &f, 1000, 560);
        name = kit_text(&k.s, "anonymous");
        assert_int_equal(name->ink, INK_PAPER); /* on dark */
        assert_true(k.s.spots[name->first].x < 850);
        name = kit_text(&k.s, "kernel, up to 3M"); /* too thin for words */
        assert_true(k.s.spots[name->first].x > 800);
        (void) kit_text(&k.s, "other, up to 5.5M");
        kit_done(&k);
        f = FACTS_NONE;
        kit_draw(&k, "time_usec,event,limit_bytes,current_bytes\n0,start,900,100\n10,sample,900,800\n", &f, 1000,
                 560);
        (void) kit_text(&k.s, "memory"); /* of a profile without kinds */
        (void) kit_text(&k.s, "not recorded");
        kit_done(&k);
}

static void raises_are_told_with_their_causes(void **state) {
        Facts f = usual_facts();
        Kit k;

        (void) state;
        kit_draw(&k, grown, &f, 1000, 560);
        (void) kit_text(&k.s, "to 128M: came near the limit");
        (void) kit_text(&k.s, "to 256M: hit the limit");
        (void) kit_text(&k.s, "frozen for 2.0s");
        (void) kit_text(&k.s, "killed: maximum");
        assert_non_null(kit_shape(&k.s, SHAPE_AREA, INK_FROZEN));
        kit_done(&k);
}

static void many_raises_are_counted(void **state) {
        char text[16384];
        Facts f = FACTS_NONE;
        size_t len = (size_t) sprintf(text, HEAD);
        Kit k;

        (void) state;
        for (unsigned i = 1; i <= 200; i++)
                len += (size_t) sprintf(text + len, "%u,raise,%s,%u,%u,0,0,0,0,0,0,0,0\n", i * 100,
                                        i % 4 ? "rate" : "max", i * 4096, i * 4096);
        sprintf(text + len, "1000000,end,,,819200,0,0,0,0,0,0,0,0\n");
        kit_draw(&k, text, &f, 1000, 560);
        (void) kit_text(&k.s, "200 raises to 800K: rate 150, max 50");
        kit_done(&k);
}

/* 50 % from 1 s to 3 s, and nothing else. */
static void stall_is_a_part_of_the_time(void **state) {
        Facts f = usual_facts();
        double low = 0, high = 1e9, from = 1e9, to = 0;
        const Shape *area;
        Kit k;

        (void) state;
        kit_draw(&k, grown, &f, 1000, 560);
        area = kit_shape(&k.s, SHAPE_AREA, INK_STALL_SOME);
        assert_non_null(area);
        for (size_t i = area->first; i < area->first + area->n; i++) {
                low = MAX(low, k.s.spots[i].y);
                high = MIN(high, k.s.spots[i].y);
        }
        for (size_t i = area->first; i < area->first + area->n; i++)
                if (k.s.spots[i].y == high) {
                        from = MIN(from, k.s.spots[i].x);
                        to = MAX(to, k.s.spots[i].x);
                }
        assert_true(fabs(low - high - 0.5 * 560 * 0.16) < 0.01);
        assert_true(fabs((to - from) / (k.s.spots[area->first + area->n - 1].x - k.s.spots[area->first].x) - 0.2) <
                    0.01);
        kit_done(&k);
}

static void the_description_has_it_in_words(void **state) {
        Facts f = usual_facts();
        char *text = NULL;
        size_t len;
        FILE *to = open_memstream(&text, &len);
        Kit k;

        (void) state;
        assert_int_equal(kit_read(&k, grown), 0);
        profile_describe(&k.t, &f, to);
        fclose(to);
        assert_string_equal(text, "peak 240M of at most 512M \xc2\xb7 2 raises \xc2\xb7 frozen for 2.0s \xc2\xb7 "
                                  "stalled for 1.0s.\n"
                                  "At 3.0s: raised to 128M: came near the limit.\n"
                                  "At 4.0s: frozen for 2.0s: waited for budget.\n"
                                  "At 6.0s: raised to 256M: hit the limit.\n"
                                  "At 10.0s: killed: maximum.\n");
        free(text);
        kit_done(&k);
}

/* The lane's own promise: besides words on words, no words on a mark, and no stem through words. */
static void check_lane(const Timeline *t, const Scale *x, const Lane *l) {
        for (size_t i = 0; i < l->n_groups; i++)
                for (size_t k = 0; k < l->n_groups; k++) {
                        const LaneGroup *a = &l->groups[i], *b = &l->groups[k];

                        for (size_t m = b->first; m < b->first + b->n; m++) {
                                double at = scale_at(x, (double) t->happenings[m].usec);

                                if (b->row >= a->row && at > a->text_0 && at < a->text_1)
                                        fail_msg("'%s' is in the way of '%s'", a->text, b->text);
                        }
                        assert_true(i == k || a->row != b->row || a->text_1 <= b->text_0 || b->text_1 <= a->text_0);
                }
}

static unsigned long long seed;

static uint64_t draw_number(uint64_t below) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        return below > 0 ? (seed >> 20) % below : 0;
}

static const char *draw_cell(size_t column, char buf[static 32]) {
        static const char *const events[] = { "start",   "sample",    "raise", "denied", "freeze", "thaw",
                                              "lowered", "terminate", "kill",  "end",    "later",  "" };
        static const char *const causes[] = { "need", "rate", "max", "refault", "stall", "maximum", "", "x\x01\xff" };
        static const char *const numbers[] = {
                "", "0", "1", "infinity", "18446744073709551614", "9223372036854775808", "-3"
        };

        if (column == 1)
                return events[draw_number(ELEMENTSOF(events))];
        if (column == 2)
                return causes[draw_number(ELEMENTSOF(causes))];
        if (draw_number(12) == 0)
                return numbers[draw_number(ELEMENTSOF(numbers))];
        snprintf(buf, 32, "%llu", (unsigned long long) draw_number(UINT64_C(1) << draw_number(40)));
        return buf;
}

static char *draw_profile(void) {
        unsigned n = 1 + (unsigned) draw_number(draw_number(10) == 0 ? 3000 : 40),
                 most = (unsigned) draw_number(100000);
        bool orderly = draw_number(3) > 0;
        uint64_t time = 0;
        char *text = malloc(64 + sizeof(HEAD) + n * 13 * 24), *p = text, buf[32];

        if (!text)
                abort();
        p += sprintf(p, HEAD);
        for (unsigned row = 0; row < n; row++)
                for (size_t c = 0; c < 13; c++) {
                        time += c == 0 ? draw_number(most) : 0;
                        if (c == 0 && orderly)
                                snprintf(buf, sizeof(buf), "%llu", (unsigned long long) time);
                        p += sprintf(p, "%s%c", c == 0 && orderly ? buf : draw_cell(c, buf), c == 12 ? '\n' : ',');
                }
        return text;
}

static void any_profile_can_be_read(void **state) {
        static const unsigned sizes[][2] = {
                { 360, 280 }, { 480, 359 }, { 600, 360 }, { 1000, 560 }, { 4000, 4000 }
        };

        (void) state;
        for (unsigned i = 0; i < 600; i++) {
                Facts f = { "18446744073709551615", "a\x1b[1m language with a long name \xff", "",
                            i % 3 ? "" : "Error", "verdict" };
                unsigned long long at = seed;
                char *text = draw_profile();
                Kit k;

                f.memory_max_bytes = draw_number(UINT64_C(1) << draw_number(63));
                f.memory_peak_bytes = draw_number(UINT64_C(1) << draw_number(63));
                f.execute_usec = draw_number(UINT64_C(1) << draw_number(63));
                print_message("profile %u: seed %llu\n", i, at);
                kit_draw(&k, text, &f, sizes[i % 5][0], sizes[i % 5][1]);
                kit_done(&k);
                free(text);
        }
}

static void words_in_the_lane_are_in_nobodys_way(void **state) {
        (void) state;
        for (unsigned i = 0; i < 800; i++) {
                LaneRoom room = { .left = 16, .size = 11, .n_rows = 1 + i % LANE_ROWS_MAX };
                Scale x = { .from = 60 };
                unsigned long long at = seed;
                char *text = draw_profile();
                Lane lane;
                Kit k;

                print_message("lane %u: seed %llu\n", i, at);
                assert_int_equal(kit_read(&k, text), 0);
                x.to = 60 + 100 + (double) draw_number(900);
                x.most = (double) k.t.end_usec;
                room.right = x.to + 100;
                lane_place(&k.t, &x, &room, &k.s, &lane);
                assert_true(lane.n_rows <= room.n_rows);
                assert_true((lane.n_groups > 0) == (k.t.n_happenings > 0));
                if (lane.n_groups > 1) /* one may be all that is left of them, and its words are cut */
                        check_lane(&k.t, &x, &lane);
                kit_done(&k);
                free(text);
        }
}

static void odd_profiles_are_drawn(void **state) {
        static const char *const odd[] = {
                HEAD "0,start,,,67108864,0,0,0,0,0,0,0,0\n",                               /* one row */
                HEAD "0,start,,,1,0,0,0,0,0,0,0,0\n0,end,,,1,0,0,0,0,0,0,0,0\n",           /* no time */
                HEAD "7,raise,max,5,5,5,5,5,5,5,5,5,0\n7,raise,max,6,6,6,6,6,6,6,6,6,0\n", /* one moment */
                HEAD "0,start,,,0,0,0,0,0,0,0,0,0\n9,end,,,0,0,0,0,0,0,0,0,0\n",           /* no memory */
                HEAD
                "0,start,,,9223372036854775808,9223372036854775808,9223372036854775808,9223372036854775808,"
                "9223372036854775808,9223372036854775808,0,0,0\n9,sample,,,1,1,1,1,1,1,9,9,0\n", /* more than 2^64 */
                HEAD "9,sample,,,1,1,1,1,1,1,9,9,0\n3,sample,,,1,1,1,1,1,1,3,3,0\n",             /* backwards */
                HEAD "0,freeze,,,1,1,1,1,1,1,0,0,0\n18446744073709551615,thaw,,,1,1,1,1,1,1,0,0,0\n",
                "later,time_usec,another\nx,5,y\n,6,\n",
        };
        Facts f = FACTS_NONE;
        Kit k;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(odd); i++) {
                kit_draw(&k, odd[i], &f, 1000, 560);
                kit_done(&k);
                kit_draw(&k, odd[i], &f, PICTURE_WIDTH_MIN, PICTURE_HEIGHT_MIN);
                kit_done(&k);
        }
}

static int choose_seed(void **state) {
        const char *again = getenv("DRAW_SEED");

        (void) state;
        seed = again ? strtoull(again, NULL, 10) : (unsigned long long) time(NULL);
        return 0;
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(facts_are_keys_and_values),
                cmocka_unit_test(the_head_says_who_and_how_it_went),
                cmocka_unit_test(lines_are_named_at_their_right_end),
                cmocka_unit_test(the_limit_is_a_line_of_steps),
                cmocka_unit_test(areas_are_named_in_them_or_beside_them),
                cmocka_unit_test(raises_are_told_with_their_causes),
                cmocka_unit_test(many_raises_are_counted),
                cmocka_unit_test(stall_is_a_part_of_the_time),
                cmocka_unit_test(the_description_has_it_in_words),
                cmocka_unit_test(odd_profiles_are_drawn),
                cmocka_unit_test(any_profile_can_be_read),
                cmocka_unit_test(words_in_the_lane_are_in_nobodys_way),
        };

        return cmocka_run_group_tests_name("draw-profile", tests, choose_seed, NULL);
}
