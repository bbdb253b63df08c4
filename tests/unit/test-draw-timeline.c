/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* draw/timeline and draw/words: what rows say, and how that is put. */
#include <errno.h>

#include "draw-kit.h"
#include "draw/words.h"

#define HEAD                                                                                                         \
        "time_usec,event,cause,old_bytes,new_bytes,limit_bytes,current_bytes,anon_bytes,shmem_bytes,file_bytes,"     \
        "kernel_bytes,stall_some_usec,stall_full_usec,thinned_rows\n"

static void rows_become_readings_by_kind(void **state) {
        Kit k;

        (void) state;
        assert_int_equal(kit_read(&k, HEAD "0,start,,,,1000,0,0,0,0,0,0,0,0\n"
                                           "500,raise,need,1000,2000,2000,900,500,100,200,60,40,10,3\n"
                                           "900,sample,,,,infinity,100,500,0,0,0,40,10,2\n"),
                         0);
        assert_int_equal(k.t.n_readings, 3);
        assert_int_equal(k.t.n_rows, 3);
        assert_int_equal(k.t.end_usec, 900);
        assert_int_equal(k.t.thinned, 5);
        assert_true(k.t.has_kinds && k.t.has_stall && k.t.was_looked_at && !k.t.has_ended);
        assert_int_equal(k.t.readings[1].limit_bytes, 2000);
        assert_int_equal(k.t.readings[1].bytes[MEMORY_ANON], 500);
        assert_int_equal(k.t.readings[1].bytes[MEMORY_SHMEM], 100);
        assert_int_equal(k.t.readings[1].bytes[MEMORY_KERNEL], 60);
        assert_int_equal(k.t.readings[1].bytes[MEMORY_FILE], 200);
        assert_int_equal(k.t.readings[1].bytes[MEMORY_OTHER], 40); /* what is in none of them */
        assert_int_equal(reading_sum(&k.t.readings[1], MEMORY_FILE), 900);
        assert_int_equal(k.t.readings[2].bytes[MEMORY_OTHER], 0); /* read at different moments */
        assert_true(k.t.readings[2].limit_bytes == SIZE_INFINITY);
        kit_done(&k);
}

static void memory_is_held_until_the_end(void **state) {
        Kit k;

        (void) state;
        assert_int_equal(kit_read(&k, HEAD "0,start,,,,1000,0,0,0,0,0,0,0,0\n"
                                           "500,sample,,,,1000,500,500,0,0,0,40,10,0\n"
                                           "900,end,,,,1000,4,0,0,4,0,50,12,0\n"),
                         0);
        assert_int_equal(k.t.n_readings, 4);
        assert_true(k.t.has_ended);
        assert_int_equal(k.t.readings[2].usec, 900);
        assert_int_equal(k.t.readings[2].bytes[MEMORY_ANON], 500);
        assert_int_equal(k.t.readings[2].stall_some_usec, 50);
        assert_int_equal(k.t.readings[3].usec, 900);
        assert_int_equal(reading_sum(&k.t.readings[3], MEMORY_FILE), 4);
        assert_int_equal(k.t.n_happenings, 0); /* a good end is none */
        kit_done(&k);
}

static void time_and_totals_do_not_run_backwards(void **state) {
        Kit k;

        (void) state;
        assert_int_equal(kit_read(&k, "time_usec,stall_some_usec,stall_full_usec,current_bytes\n"
                                      "50,20,9,7\n10,30,2,8\n18446744073709551614,5,1,9\nx,-1,,10\n"),
                         0);
        for (size_t i = 1; i < k.t.n_readings; i++) {
                assert_true(k.t.readings[i].usec >= k.t.readings[i - 1].usec);
                assert_true(k.t.readings[i].stall_some_usec >= k.t.readings[i - 1].stall_some_usec);
                assert_true(k.t.readings[i].stall_full_usec >= k.t.readings[i - 1].stall_full_usec);
        }
        assert_int_equal(k.t.readings[1].usec, 50);
        assert_true(k.t.end_usec == UINT64_MAX - 1);
        assert_false(k.t.has_kinds);
        assert_int_equal(k.t.readings[3].bytes[MEMORY_OTHER], 10);
        kit_done(&k);
}

static void what_is_no_profile_is_refused(void **state) {
        char *rows = malloc(TIMELINE_ROWS_MAX * 2 + 64);
        size_t len;
        Kit k;

        (void) state;
        assert_non_null(rows);
        assert_int_equal(kit_read(&k, "time_usec\n"), -ENODATA);
        kit_done(&k);
        assert_int_equal(kit_read(&k, "limit_bytes\n5\n"), -ENODATA);
        kit_done(&k);
        len = (size_t) sprintf(rows, "time_usec\n");
        for (unsigned i = 0; i < TIMELINE_ROWS_MAX; i++)
                len += (size_t) sprintf(rows + len, "1\n");
        assert_int_equal(kit_read(&k, rows), 0);
        kit_done(&k);
        strcpy(rows + len, "1\n");
        assert_int_equal(kit_read(&k, rows), -E2BIG);
        kit_done(&k);
        free(rows);
}

static void a_freeze_lasts_until_it_is_thawed_or_ends(void **state) {
        Kit k;

        (void) state;
        assert_int_equal(kit_read(&k, "time_usec,event,cause\n10,denied,max\n10,freeze,max\n40,raise,max\n40,thaw,\n"
                                      "60,denied,need\n61,freeze,need\n70,freeze,need\n90,end,\n"),
                         0);
        assert_int_equal(k.t.n_happenings, 4);
        assert_int_equal(k.t.happenings[0].kind, HAPPENED_FREEZE); /* the denial at that moment is the same thing */
        assert_int_equal(k.t.happenings[0].usec, 10);
        assert_int_equal(k.t.happenings[0].until_usec, 40);
        assert_int_equal(k.t.happenings[1].kind, HAPPENED_RAISE);
        assert_int_equal(k.t.happenings[2].kind, HAPPENED_DENIED);
        assert_int_equal(k.t.happenings[3].kind, HAPPENED_FREEZE);
        assert_int_equal(k.t.happenings[3].usec, 61);
        assert_int_equal(k.t.happenings[3].until_usec, 90);
        kit_done(&k);
        assert_int_equal(kit_read(&k, "time_usec,event\n10,freeze\n30,sample\n"), 0);
        assert_int_equal(k.t.happenings[0].until_usec, 30);
        kit_done(&k);
}

static void an_end_is_told_once(void **state) {
        Kit k;

        (void) state;
        assert_int_equal(kit_read(&k, "time_usec,event,cause\n1,start,\n5,kill,maximum\n9,end,maximum\n"), 0);
        assert_int_equal(k.t.n_happenings, 1);
        assert_int_equal(k.t.happenings[0].kind, HAPPENED_KILL);
        kit_done(&k);
        assert_int_equal(kit_read(&k, "time_usec,event,cause\n1,start,\n9,end,host\n"), 0);
        assert_int_equal(k.t.n_happenings, 1);
        assert_int_equal(k.t.happenings[0].kind, HAPPENED_END);
        kit_done(&k);
        assert_int_equal(kit_read(&k, "time_usec,event,cause\n1,start,\n9,end,exit\n"), 0);
        assert_int_equal(k.t.n_happenings, 0);
        kit_done(&k);
}

/* Of a spike between many readings, both ends and the top stay. */
static void thinning_keeps_the_extremes(void **state) {
        char *text = malloc(1 << 20);
        uint64_t most = 0;
        bool seen = false;
        size_t len;
        Kit k;

        (void) state;
        assert_non_null(text);
        len = (size_t) sprintf(text, "time_usec,current_bytes\n");
        for (unsigned i = 0; i < 20000; i++)
                len += (size_t) sprintf(text + len, "%u,%u\n", i, i == 12345 ? 999999 : i == 777 ? 1 : 1000 + i % 7);
        assert_int_equal(kit_read(&k, text), 0);
        timeline_thin(&k.t, 100);
        assert_in_range(k.t.n_readings, 100, 4 * 101);
        assert_int_equal(k.t.n_rows, 20000);
        assert_int_equal(k.t.readings[0].usec, 0);
        assert_int_equal(k.t.readings[k.t.n_readings - 1].usec, 19999);
        for (size_t i = 0; i < k.t.n_readings; i++) {
                most = MAX(most, k.t.readings[i].bytes[MEMORY_OTHER]);
                seen = seen || k.t.readings[i].bytes[MEMORY_OTHER] == 1;
                assert_true(i == 0 || k.t.readings[i].usec >= k.t.readings[i - 1].usec);
        }
        assert_int_equal(most, 999999);
        assert_true(seen);
        kit_done(&k);
        free(text);
}

/* In one column of many: each kind at its most while the sum of all is not, and the limit up and down again. */
static void thinning_keeps_the_extremes_of_each_kind_and_of_the_limit(void **state) {
        char *text = malloc(1 << 20);
        uint64_t most[_MEMORY_KIND_MAX] = {}, limit_most = 0;
        size_t len;
        Kit k;

        (void) state;
        assert_non_null(text);
        len = (size_t) sprintf(text, "time_usec,limit_bytes,current_bytes,anon_bytes,file_bytes\n");
        for (unsigned i = 0; i < 20000; i++)
                len += (size_t) sprintf(text + len, "%u,%u,%u,%u,%u\n", i, i == 12322 ? 5000 : 2000,
                                        i == 12311 ? 901 : i == 12350 ? 1000 : 900,
                                        i == 12311 ? 901 : i == 12330 ? 0 : 500,
                                        i == 12311 ? 0 : i == 12330 ? 899 : 400);
        assert_int_equal(kit_read(&k, text), 0);
        timeline_thin(&k.t, 100);
        assert_in_range(k.t.n_readings, 100, 300);
        for (size_t i = 0; i < k.t.n_readings; i++) {
                for (int m = 0; m < _MEMORY_KIND_MAX; m++)
                        most[m] = MAX(most[m], k.t.readings[i].bytes[m]);
                limit_most = MAX(limit_most, k.t.readings[i].limit_bytes);
        }
        assert_int_equal(most[MEMORY_ANON], 901);
        assert_int_equal(most[MEMORY_FILE], 899);
        assert_int_equal(most[MEMORY_OTHER], 100);
        assert_int_equal(limit_most, 5000);
        kit_done(&k);
        free(text);
}

static void assert_words(const Happening h[], size_t n, Wordiness w, const char *expected) {
        char buf[WORDS_MAX];

        assert_string_equal(happenings_in_words(h, n, w, buf), expected);
}

static Happening happening(HappeningKind kind, const char *cause, uint64_t new_bytes) {
        return (Happening) {
                .kind = kind, .cause = cause, .name = "later", .new_bytes = new_bytes, .until_usec = 2 * USEC_PER_SEC
        };
}

static void one_thing_is_told_with_its_cause(void **state) {
        static const struct {
                const char *cause, *words;
        } causes[] = {
                { "need", "to 128M: came near the limit" },
                { "rate", "to 128M: grew fast" },
                { "max", "to 128M: hit the limit" },
                { "refault", "to 128M: working set did not fit" },
                { "stall", "to 128M: stalled under the limit" },
                { "new", "to 128M: new" },
                { "", "to 128M" },
        };
        Happening h;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(causes); i++) {
                h = happening(HAPPENED_RAISE, causes[i].cause, 128 * MIB);
                assert_words(&h, 1, WORDS_FULL, causes[i].words);
        }
        h = happening(HAPPENED_RAISE, "need", 128 * MIB);
        assert_words(&h, 1, WORDS_BRIEF, "to 128M: need");
        assert_words(&h, 1, WORDS_SHORT, "need");
        h = happening(HAPPENED_RAISE, "", 128 * MIB);
        assert_words(&h, 1, WORDS_SHORT, "raise");
        h = happening(HAPPENED_FREEZE, "max", 0);
        assert_words(&h, 1, WORDS_FULL, "frozen for 2.0s: waited for budget");
        assert_words(&h, 1, WORDS_BRIEF, "frozen for 2.0s");
        assert_words(&h, 1, WORDS_SHORT, "frozen");
        h = happening(HAPPENED_DENIED, "max", 0);
        assert_words(&h, 1, WORDS_FULL, "denied: the budget was short");
        h = happening(HAPPENED_LOWERED, "", 64 * MIB);
        assert_words(&h, 1, WORDS_FULL, "lowered to 64M: was idle");
        h = happening(HAPPENED_KILL, "maximum", 0);
        assert_words(&h, 1, WORDS_FULL, "killed: maximum");
        assert_words(&h, 1, WORDS_SHORT, "killed");
        h = happening(HAPPENED_OTHER, "", 0);
        assert_words(&h, 1, WORDS_FULL, "later");
}

static void several_things_are_counted(void **state) {
        Happening same[] = { happening(HAPPENED_RAISE, "rate", MIB), happening(HAPPENED_RAISE, "rate", 2 * MIB) };
        Happening mixed[] = { happening(HAPPENED_RAISE, "need", MIB), happening(HAPPENED_RAISE, "max", 2 * MIB),
                              happening(HAPPENED_RAISE, "need", 4 * MIB) };
        Happening kinds[] = { happening(HAPPENED_FREEZE, "", 0), happening(HAPPENED_RAISE, "max", 2 * MIB),
                              happening(HAPPENED_KILL, "host", 0), happening(HAPPENED_RAISE, "max", 2 * MIB) };
        static char name[1000];
        Happening many[300];
        char buf[WORDS_MAX];

        (void) state;
        assert_words(same, 2, WORDS_FULL, "2 raises to 2M: grew fast");
        assert_words(same, 2, WORDS_BRIEF, "2 raises to 2M");
        assert_words(same, 2, WORDS_SHORT, "2 raises");
        assert_words(mixed, 3, WORDS_FULL, "3 raises to 4M: need 2, max 1");
        assert_words(kinds, 4, WORDS_FULL, "2 raises, 1 freeze, killed");
        assert_words(kinds, 0, WORDS_FULL, "");
        memset(name, 'x', sizeof(name) - 1);
        for (size_t i = 0; i < ELEMENTSOF(many); i++)
                many[i] = happening(HAPPENED_RAISE, name + i, MIB); /* 300 long causes */
        assert_int_equal(strlen(happenings_in_words(many, ELEMENTSOF(many), WORDS_FULL, buf)), WORDS_MAX - 1);
        assert_int_equal(strlen(happenings_in_words(many, 1, WORDS_FULL, buf)), WORDS_MAX - 1);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(rows_become_readings_by_kind),
                cmocka_unit_test(memory_is_held_until_the_end),
                cmocka_unit_test(time_and_totals_do_not_run_backwards),
                cmocka_unit_test(what_is_no_profile_is_refused),
                cmocka_unit_test(a_freeze_lasts_until_it_is_thawed_or_ends),
                cmocka_unit_test(an_end_is_told_once),
                cmocka_unit_test(thinning_keeps_the_extremes),
                cmocka_unit_test(thinning_keeps_the_extremes_of_each_kind_and_of_the_limit),
                cmocka_unit_test(one_thing_is_told_with_its_cause),
                cmocka_unit_test(several_things_are_counted),
        };

        return cmocka_run_group_tests_name("draw-timeline", tests, NULL, NULL);
}
