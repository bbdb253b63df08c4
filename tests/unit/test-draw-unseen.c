/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* draw/profile: what may have been where nobody has looked, and nothing that can't have been. */
#include <math.h>

#include "draw-kit.h"

#define HEAD "time_usec,event,limit_bytes,current_bytes,anon_bytes,thinned_rows\n"
#define START HEAD "0,start,67108864,0,0,0\n"
#define RAISED "3000000,raise,536870912,104857600,104857600,0\n" /* with 100M in use, to 512M */

static const char grown[] = START RAISED "10000000,end,536870912,4096,0,0\n";
static const char thinned[] = START "3000000,raise,536870912,104857600,104857600,1\n10000000,end,536870912,4096,0,0\n";
static const char lowered[] = START RAISED "5000000,lowered,134217728,104857600,104857600,0\n"
                                           "9990000,terminate,134217728,104857600,104857600,0\n"
                                           "10000000,end,134217728,4096,0,0\n";

typedef struct Seen {
        bool area, words;
        double left, over_limit; /* of the area: its left side, and how far it is above the limit's last step */
} Seen;

static Seen look(const char *text, uint64_t peak_bytes, uint64_t retries) {
        Facts f = FACTS_NONE;
        const Shape *area, *limit;
        Seen seen = {};
        Kit k;

        f.memory_peak_bytes = peak_bytes;
        f.memory_max_bytes = 512 * MIB;
        f.retries = retries;
        kit_draw(&k, text, &f, 1000, 560);
        area = kit_shape(&k.s, SHAPE_AREA, INK_UNSEEN);
        limit = kit_shape(&k.s, SHAPE_LINE, INK_LIMIT);
        assert_non_null(limit);
        seen.words = kit_find(&k.s, "not looked at");
        if (area)
                seen = (Seen) { true, seen.words, k.s.spots[area->first].x,
                                k.s.spots[limit->first + limit->n - 1].y - k.s.spots[area->first].y };
        kit_done(&k);
        return seen;
}

static void it_may_have_come_up_to_the_peak(void **state) {
        Seen seen = look(grown, 400 * MIB, 0);

        (void) state;
        assert_true(seen.area && seen.words && seen.over_limit < 0);
        seen = look(grown, 110 * MIB, 0);
        assert_true(seen.area && !seen.words); /* no room for them */
}

static void it_cannot_have_come_above_the_limit(void **state) {
        Seen seen = look(lowered, 400 * MIB, 0);

        (void) state;
        assert_true(seen.area && fabs(seen.over_limit) < 1);
        assert_true(seen.left < 500); /* what is told of it later repeats what was seen at the raise */
}

static void what_was_seen_or_may_be_of_another_time_is_not_drawn(void **state) {
        (void) state;
        assert_false(look(grown, 100 * MIB, 0).area);
        assert_false(look(grown, 400 * MIB, 1).area);
        assert_false(look(thinned, 400 * MIB, 0).area);
}

static double right_of(const Scene *s, const Shape *shape) {
        double right = 0;

        assert_non_null(shape);
        for (size_t i = shape->first; i < shape->first + shape->n; i++)
                right = MAX(right, s->spots[i].x);
        return right;
}

/* Nobody has written down when it will go on. What it has it holds, as the limit holds. */
static void what_is_frozen_is_so_until_now(void **state) {
        static const char frozen[] = START "2000000,denied,67108864,60000000,60000000,0\n"
                                           "2000000,freeze,67108864,60000000,60000000,0\n";
        char *text = NULL;
        Facts f = FACTS_NONE;
        double right;
        size_t len;
        FILE *to = open_memstream(&text, &len);
        Kit k;

        (void) state;
        f.execute_usec = 122 * USEC_PER_SEC;
        kit_draw(&k, frozen, &f, 1000, 560);
        (void) kit_text(&k.s, "frozen for 2min 0s: waits for budget");
        right = right_of(&k.s, kit_shape(&k.s, SHAPE_LINE, INK_LIMIT)); /* the edge */
        assert_true(fabs(right_of(&k.s, kit_shape(&k.s, SHAPE_AREA, INK_FROZEN)) - right) < 1);
        assert_true(fabs(right_of(&k.s, kit_shape(&k.s, SHAPE_AREA, INK_ANON)) - right) < 1);
        profile_describe(&k.t, &f, to);
        fclose(to);
        assert_non_null(strstr(text, "At 2.0s: frozen for 2min 0s: waits for budget."));
        free(text);
        kit_done(&k);
}

#define STALL "time_usec,event,current_bytes,stall_some_usec\n0,start,0,0\n10000000,sample,1000,0\n"

/* How high the column of the part at @usec of @whole is, of 1. */
static double stalled_at(const char *text, double usec, double whole) {
        const Shape *area;
        Facts f = FACTS_NONE;
        double at, part = 0, left, base;
        Kit k;

        f.execute_usec = (uint64_t) whole;
        kit_draw(&k, text, &f, 1000, 560);
        area = kit_shape(&k.s, SHAPE_AREA, INK_STALL_SOME);
        assert_non_null(area);
        left = k.s.spots[area->first].x;
        base = k.s.spots[area->first].y;
        for (size_t i = area->first + 1; i + 1 < area->first + area->n; i += 2) {
                at = left + (k.s.spots[area->first + area->n - 1].x - left) * usec / whole;
                if (k.s.spots[i].x <= at && at < k.s.spots[i + 1].x)
                        part = (base - k.s.spots[i].y) / (560 * 0.16);
        }
        kit_done(&k);
        return part;
}

/* What repeats the totals says nothing of the time since: that it stalled is not told of the moment after alone. */
static void stall_is_spread_over_the_time_in_which_nobody_looked(void **state) {
        static const char killed[] = STALL "20000000,terminate,1000,0\n21000000,kill,1000,0\n"
                                           "22000000,end,0,6000000\n";
        static const char live[] = STALL "15000000,sample,1000,2500000\n20000000,terminate,1000,2500000\n";

        (void) state;
        assert_true(fabs(stalled_at(killed, 5e6, 22e6) - 0) < 0.01);
        assert_true(fabs(stalled_at(killed, 15e6, 22e6) - 0.5) < 0.01);
        assert_true(fabs(stalled_at(killed, 21.5e6, 22e6) - 0.5) < 0.01);
        /* And of the last five seconds nothing is known. */
        assert_true(fabs(stalled_at(live, 12e6, 15e6) - 0.5) < 0.01);
}

static void a_peak_that_is_not_known_is_not_told(void **state) {
        Facts f = FACTS_NONE;
        Kit k;

        (void) state;
        f.memory_peak_bytes = SIZE_INFINITY;
        kit_draw(&k, grown, &f, 1000, 560);
        assert_null(kit_find(&k.s, "peak"));
        (void) kit_text(&k.s, "512M"); /* of the axis */
        kit_done(&k);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(it_may_have_come_up_to_the_peak),
                cmocka_unit_test(it_cannot_have_come_above_the_limit),
                cmocka_unit_test(what_was_seen_or_may_be_of_another_time_is_not_drawn),
                cmocka_unit_test(what_is_frozen_is_so_until_now),
                cmocka_unit_test(stall_is_spread_over_the_time_in_which_nobody_looked),
                cmocka_unit_test(a_peak_that_is_not_known_is_not_told),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
