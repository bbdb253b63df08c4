/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* draw/profile: what may have been in use where nobody has looked, and nothing that can't have been. */
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

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(it_may_have_come_up_to_the_peak),
                cmocka_unit_test(it_cannot_have_come_above_the_limit),
                cmocka_unit_test(what_was_seen_or_may_be_of_another_time_is_not_drawn),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
