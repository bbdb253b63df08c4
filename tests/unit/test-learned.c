/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "core/learned.h"

#define PAGE UINT64_C(4096)

static Lesson lesson(uint64_t fingerprint, uint64_t needed_bytes, uint64_t raises) {
        return (Lesson) { .fingerprint = { fingerprint, 7 }, .needed_bytes = needed_bytes, .raises = raises };
}

static void teach(Learned *t, uint64_t fingerprint, uint64_t needed_bytes, bool whole) {
        const Lesson l = lesson(fingerprint, needed_bytes, 3);

        learned_teach(t, &l, whole);
}

static void recall(Learned *t, uint64_t fingerprint, uint64_t needed_bytes) {
        const Lesson l = lesson(fingerprint, needed_bytes, 5);

        learned_recall(t, &l);
}

/* 0: nothing is known. */
static uint64_t known(const Learned *t, uint64_t fingerprint) {
        const Lesson *l = learned_find(t, (uint64_t[2]) { fingerprint, 7 });

        return l ? l->needed_bytes : 0;
}

/* Fingerprints that fall together. */
static uint64_t same_set(unsigned i) {
        return 1 + (uint64_t) i * LEARNED_SETS;
}

static void nothing_is_known_at_first(void **state) {
        static Learned t;

        (void) state;
        assert_null(learned_find(&t, (uint64_t[2]) { 0, 0 }));
        assert_int_equal(known(&t, 1), 0);
}

static void the_first_lesson_is_believed_whole_or_not(void **state) {
        static Learned t;
        const Lesson *l;

        (void) state;
        teach(&t, 1, 100 * MIB, false);
        teach(&t, 2, 200 * MIB, true);
        assert_int_equal(known(&t, 1), 100 * MIB);
        assert_int_equal(known(&t, 2), 200 * MIB);
        l = learned_find(&t, (uint64_t[2]) { 1, 7 });
        assert_int_equal(l->raises, 3);
        /* half a fingerprint is none */
        assert_null(learned_find(&t, (uint64_t[2]) { 1, 8 }));
}

static void more_is_believed_at_once(void **state) {
        static Learned t;
        const Lesson more = lesson(1, 300 * MIB, 9);

        (void) state;
        teach(&t, 1, 100 * MIB, true);
        learned_teach(&t, &more, false);
        assert_int_equal(known(&t, 1), 300 * MIB);
        assert_int_equal(learned_find(&t, more.fingerprint)->raises, 9);
}

static void less_is_believed_by_halves_and_only_of_who_came_to_its_end(void **state) {
        static Learned t;
        const Lesson less = lesson(1, 100 * MIB, 1);

        (void) state;
        teach(&t, 1, 300 * MIB, true);
        teach(&t, 1, 100 * MIB, false); /* canceled: it may not have come to need it yet */
        assert_int_equal(known(&t, 1), 300 * MIB);
        learned_teach(&t, &less, true);
        assert_int_equal(known(&t, 1), 200 * MIB);
        assert_int_equal(learned_find(&t, less.fingerprint)->raises, 1);
        for (unsigned i = 0; i < 40; i++)
                teach(&t, 1, 100 * MIB, true);
        assert_in_range(known(&t, 1), 100 * MIB, 100 * MIB + PAGE);
        teach(&t, 1, 50 * MIB + 3 * PAGE, true);
        assert_int_equal(known(&t, 1) % PAGE, 0);
}

static void the_one_not_heard_of_for_longest_makes_room(void **state) {
        static Learned t;

        (void) state;
        for (unsigned i = 0; i < LEARNED_WAYS; i++)
                teach(&t, same_set(i), (i + 1) * MIB, true);
        teach(&t, same_set(0), MIB, true); /* heard of again */
        teach(&t, same_set(LEARNED_WAYS), 50 * MIB, true);
        assert_int_equal(known(&t, same_set(0)), MIB);
        assert_int_equal(known(&t, same_set(1)), 0);
        for (unsigned i = 2; i < LEARNED_WAYS; i++)
                assert_int_equal(known(&t, same_set(i)), (i + 1) * MIB);
        assert_int_equal(known(&t, same_set(LEARNED_WAYS)), 50 * MIB);
}

static void all_sets_have_room(void **state) {
        static Learned t;

        (void) state;
        for (uint64_t i = 1; i <= LEARNED_MAX; i++)
                teach(&t, i, i * PAGE, true);
        for (uint64_t i = 1; i <= LEARNED_MAX; i++)
                assert_int_equal(known(&t, i), i * PAGE);
}

static void what_is_recalled_gives_way_to_what_is_newer(void **state) {
        static Learned t;

        (void) state;
        recall(&t, 1, 100 * MIB);
        recall(&t, 1, 80 * MIB); /* it came later */
        assert_int_equal(known(&t, 1), 80 * MIB);
        assert_int_equal(learned_find(&t, (uint64_t[2]) { 1, 7 })->raises, 5);
        teach(&t, 1, 300 * MIB, true);
        recall(&t, 1, 90 * MIB);
        assert_int_equal(known(&t, 1), 300 * MIB);

        recall(&t, 2, 0);
        assert_null(learned_find(&t, (uint64_t[2]) { 2, 7 }));
        learned_recall(&t, &(Lesson) { .needed_bytes = MIB });
        assert_null(learned_find(&t, (uint64_t[2]) { 0, 0 }));
}

static void what_is_recalled_takes_no_place_of_this_life(void **state) {
        static Learned t;

        (void) state;
        for (unsigned i = 0; i < LEARNED_WAYS - 1; i++)
                teach(&t, same_set(i), MIB, true);
        recall(&t, same_set(10), 10 * MIB);
        teach(&t, same_set(LEARNED_WAYS), MIB, true); /* the oldest is one of this life, and goes all the same */
        assert_int_equal(known(&t, same_set(10)), 10 * MIB);
        assert_int_equal(known(&t, same_set(0)), 0);
        recall(&t, same_set(11), 11 * MIB);
        assert_int_equal(known(&t, same_set(11)), 0);
        assert_int_equal(known(&t, same_set(1)), MIB);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(nothing_is_known_at_first),
                cmocka_unit_test(the_first_lesson_is_believed_whole_or_not),
                cmocka_unit_test(more_is_believed_at_once),
                cmocka_unit_test(less_is_believed_by_halves_and_only_of_who_came_to_its_end),
                cmocka_unit_test(the_one_not_heard_of_for_longest_makes_room),
                cmocka_unit_test(all_sets_have_room),
                cmocka_unit_test(what_is_recalled_gives_way_to_what_is_newer),
                cmocka_unit_test(what_is_recalled_takes_no_place_of_this_life),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
