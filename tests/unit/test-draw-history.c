/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* draw/past and draw/history: what the picture of the history says, and that it can be read, whatever the history. */
#include <errno.h>
#include <math.h>
#include <time.h>

#include "draw-kit.h"
#include "draw/history.h"

#define HEAD                                                                                                         \
        "ended_usec,started_usec,queue_usec,execute_usec,memory_peak_bytes,memory_quota_bytes,id,language,state,"    \
        "error\n"

/* From 12:00:00 UTC on: two that ran together, one that went beyond its limit, one that never ran. */
static const char four[] =
                HEAD "1795953660000000,1795953630000000,1000000,30000000,1073741824,1073741824,3,duckdb,errored,"
                     "MemoryLimitExceeded\n"
                     "1795953630000000,0,30000000,0,0,0,4,python,canceled,Canceled\n"
                     "1795953620000000,1795953600000000,0,20000000,67108864,134217728,2,sqlite,finished,\n"
                     "1795953615000000,1795953605000000,250000,10000000,33554432,67108864,1,exec,errored,Timeout\n";

typedef struct Drawn {
        char *text;
        Csv csv;
        Past past;
        Scene s;
} Drawn;

static int read_past(Drawn *d, const char *text) {
        int r;

        *d = (Drawn) { .text = strdup(text), .s.meter = { .width = kit_width } };
        assert_non_null(d->text);
        r = csv_parse(d->text, &d->csv);
        return r < 0 ? r : past_read(&d->csv, &d->past);
}

static void done(Drawn *d) {
        scene_done(&d->s);
        past_done(&d->past);
        csv_done(&d->csv);
        free(d->text);
}

static void draw_chosen(Drawn *d, const char *text, const Chosen *c, unsigned width, unsigned height) {
        assert_int_equal(read_past(d, text), 0);
        d->s.width = width;
        d->s.height = height;
        history_draw(&d->past, c, &d->s);
        kit_check(&d->s);
}

static void draw(Drawn *d, const char *text, unsigned width, unsigned height) {
        draw_chosen(d, text, &CHOSEN_ALL, width, height);
}

/* Shapes of @ink whose first spot is below @top and above @bottom. */
static size_t count_between(const Scene *s, Ink ink, double top, double bottom) {
        size_t n = 0;

        for (size_t i = 0; i < s->n_shapes; i++) {
                double y = s->spots[s->shapes[i].first].y;

                n += s->shapes[i].kind != SHAPE_TEXT && s->shapes[i].ink == ink && y > top && y < bottom;
        }
        return n;
}

/* Where a text stands. */
static Spot spot_of(const Scene *s, const char *start) {
        return s->spots[kit_text(s, start)->first];
}

static void rows_are_read_whatever_they_say(void **state) {
        static const uint64_t by_end[] = { 1, 2, 4, 3 };
        Drawn d;

        (void) state;
        assert_int_equal(read_past(&d, four), 0);
        assert_int_equal(d.past.n, 4);
        for (size_t i = 0; i < 4; i++)
                assert_int_equal(d.past.v[i].id, by_end[i]);
        assert_int_equal(d.past.counts[OUTCOME_FINISHED], 1);
        assert_int_equal(d.past.counts[OUTCOME_CANCELED], 1);
        assert_int_equal(d.past.counts[OUTCOME_ERRORED], 1);
        assert_int_equal(d.past.counts[OUTCOME_MEMORY], 1);
        assert_int_equal(d.past.n_started, 3);
        done(&d);
        assert_int_equal(read_past(&d,
                                   "error,ended_usec,started_usec,new\nMemoryBudgetExhausted,5,9,x\n,0,0,\n,x,,\n"),
                         0);
        assert_int_equal(d.past.n, 1); /* without an end it has none */
        assert_int_equal(d.past.v[0].outcome, OUTCOME_MEMORY);
        assert_true(d.past.v[0].started_usec == 5);
        assert_string_equal(d.past.v[0].language, "");
        done(&d);
        assert_int_equal(read_past(&d, "state,error\nfinished,\n"), -ENODATA);
        done(&d);
}

static void the_head_says_what_it_is_of(void **state) {
        Chosen c = CHOSEN_ALL;
        Drawn d;

        (void) state;
        draw(&d, four, 1000, 560);
        (void) kit_text(&d.s, "History \xc2\xb7 4 queries that ended");
        (void) kit_text(&d.s, "29 Nov 2026 12:00:15 to 29 Nov 2026 12:01:00 UTC");
        (void) kit_text(&d.s, "When it ended, UTC");
        (void) kit_text(&d.s, "1 never ran");
        (void) kit_text(&d.s, "12:00:30");
        done(&d);
        assert_int_equal(chosen_set(&c, "filters=user alice"), 0);
        assert_int_equal(chosen_set(&c, "cut=1"), 0);
        assert_int_equal(chosen_set(&c, "cut=2"), -EINVAL);
        assert_int_equal(chosen_set(&c, "filter=x"), -EINVAL);
        draw_chosen(&d, four, &c, 1000, 560);
        (void) kit_text(&d.s, "History \xc2\xb7 the last 4 queries that ended");
        (void) kit_text(&d.s, "29 Nov 2026 12:00:15 to 29 Nov 2026 12:01:00 UTC \xc2\xb7 user alice");
        done(&d);
}

static void each_end_has_a_mark_and_its_word(void **state) {
        static const struct {
                Ink ink;
                const char *words;
                size_t n; /* shapes of one mark */
        } rows[] = {
                { INK_FINISHED, "1 finished", 1 },
                { INK_CANCELED, "1 canceled", 1 },
                { INK_ERRORED, "1 errored", 1 },
                { INK_NO_MEMORY, "1 out of memory", 2 },
        };
        double waited, ran;
        Drawn d;

        (void) state;
        draw(&d, four, 1000, 560);
        waited = spot_of(&d.s, "Waited").y;
        ran = spot_of(&d.s, "Ran").y;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                size_t never = rows[i].ink == INK_CANCELED ? 0 : rows[i].n;
                double words = spot_of(&d.s, rows[i].words).y;

                assert_int_equal(count_between(&d.s, rows[i].ink, 0, words + 2), rows[i].n); /* beside its word */
                assert_int_equal(count_between(&d.s, rows[i].ink, words + 2, waited - 15), never);
                assert_int_equal(count_between(&d.s, rows[i].ink, waited, ran - 15), rows[i].n);
                assert_int_equal(count_between(&d.s, rows[i].ink, ran, 560), never);
        }
        (void) kit_text(&d.s, "median 64M");
        (void) kit_text(&d.s, "most 1G");
        (void) kit_text(&d.s, "most 30.0s");
        (void) kit_text(&d.s, "median 20.0s");
        (void) kit_text(&d.s, "\xe2\x89\xa4"
                              "1ms"); /* one did not wait */
        done(&d);
}

/* The largest, and those for which memory did not do: where there is room for it. */
#define ENDED(second, peak, id, how)                                                                                 \
        "17959536" second "000000,1795953590000000,0,1," peak ",67108864," id ",," how "\n"
#define NO_MEMORY "errored,MemoryLimitExceeded"

static void marks_that_one_asks_about_have_an_id(void **state) {
        static const char apart[] = HEAD ENDED("00", "67108864", "7", NO_MEMORY)
                        ENDED("60", "33554432", "8", NO_MEMORY) ENDED("30", "134217728", "9", "finished,")
                                        ENDED("31", "50000000", "10", "finished,")
                                                        ENDED("45", "8388608", "11", "finished,");
        static const char side_by_side[] = HEAD ENDED("30", "67108864", "7", NO_MEMORY)
                        ENDED("31", "67108864", "8", NO_MEMORY) ENDED("32", "67108864", "9", NO_MEMORY)
                                        ENDED("00", "8388608", "1", "finished,")
                                                        ENDED("60", "8388608", "2", "finished,");
        static const char above_each_other[] = HEAD ENDED("30", "67108864", "7", NO_MEMORY)
                        ENDED("30", "80000000", "8", NO_MEMORY) ENDED("00", "8388608", "1", "finished,")
                                        ENDED("60", "134217728", "2", "finished,");
        Drawn d;

        (void) state;
        draw(&d, apart, 1000, 560);
        assert_true(spot_of(&d.s, "query 7").x < spot_of(&d.s, "query 9").x);
        assert_true(spot_of(&d.s, "query 8").x < 900); /* to the left of a mark at the end */
        assert_null(kit_find(&d.s, "query 10"));
        done(&d);
        draw(&d, side_by_side, 1000, 560);
        (void) kit_text(&d.s, "query 9");
        (void) kit_text(&d.s, "query 7");
        assert_null(kit_find(&d.s, "query 8")); /* between the two */
        done(&d);
        draw(&d, above_each_other, 1000, 560);
        assert_true(spot_of(&d.s, "query 7").x < spot_of(&d.s, "query 8").x); /* one to each side */
        done(&d);
}

/* From 12:00:05 to 12:00:15 both ran: 128M and 64M of quota. */
static void what_ran_together_is_added_up(void **state) {
        static const char three[] = HEAD "1795953620000000,1795953600000000,0,0,67108864,134217728,2,,finished,\n"
                                         "1795953615000000,1795953605000000,0,0,33554432,67108864,1,,finished,\n"
                                         "1795953640000000,1795953620000000,0,0,100000000,134217728,3,,finished,\n";
        Drawn d;

        (void) state;
        draw(&d, three, 1000, 560);
        (void) kit_text(&d.s, "most 192M");
        assert_non_null(kit_shape(&d.s, SHAPE_AREA, INK_QUOTAS));
        assert_non_null(kit_shape(&d.s, SHAPE_AREA, INK_PEAKS));
        done(&d);
        draw(&d, four, 1000, 399);
        assert_null(kit_find(&d.s, "Held"));
        done(&d);
}

/* The second one had hardly its slot when it ended, or the clock was set back while it ran: it held nothing for any
 * time. */
static void who_ended_as_it_started_holds_nothing(void **state) {
        static const char *const starts[] = { "1795953605000000", "1795953606000000" };
        char text[1024];
        Drawn d;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(starts); i++) {
                snprintf(text, sizeof(text),
                         HEAD "1795953610000000,1795953600000000,0,0,33554432,67108864,1,,finished,\n"
                              "1795953605000000,%s,0,0,536870912,1073741824,2,,finished,\n"
                              "1795953640000000,1795953630000000,0,0,33554432,67108864,3,,finished,\n",
                         starts[i]);
                draw(&d, text, 1000, 560);
                (void) kit_text(&d.s, "most 64M");
                done(&d);
        }
}

static void a_short_history_is_drawn_too(void **state) {
        static const char one[] =
                        HEAD "1795953660000000,1795953600000000,0,60000000,67108864,134217728,1,exec,finished,\n";
        Drawn d;

        (void) state;
        draw(&d, one, 1000, 560);
        (void) kit_text(&d.s, "History \xc2\xb7 1 query that ended");
        (void) kit_text(&d.s, "29 Nov 2026 12:01:00 UTC");
        (void) kit_text(&d.s, "1 finished");
        done(&d);
        draw(&d, HEAD, 1000, 560);
        (void) kit_text(&d.s, "History \xc2\xb7 no query");
        (void) kit_text(&d.s, "There is nothing to draw");
        done(&d);
}

static char *many(size_t n) {
        char *text;
        size_t len;
        FILE *f = open_memstream(&text, &len);

        assert_non_null(f);
        fputs(HEAD, f);
        for (size_t i = 0; i < n; i++) {
                uint64_t chance = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);

                fprintf(f, "%llu,%llu,%llu,%llu,%llu,1073741824,%zu,sqlite,%s\n", 1795953600000000ULL + i * 1000000,
                        1795953600000000ULL + i * 1000000 - (chance >> 40), (unsigned long long) (chance >> 44),
                        (unsigned long long) (chance >> 40), 1048576ULL << (chance >> 60 & 7) | (chance >> 45), i + 1,
                        i % 50 == 7 ? "errored,MemoryLimitExceeded" : "finished,");
        }
        assert_int_equal(fclose(f), 0);
        return text;
}

/* A hundred times as many queries take hardly more shapes, and the picture says that marks are of several. */
static void many_are_drawn_as_few(void **state) {
        char *text = many(PAST_ROWS_MAX), *more = many(PAST_ROWS_MAX + 1);
        size_t n_shapes;
        Drawn d;

        (void) state;
        draw(&d, text, 1000, 560);
        n_shapes = d.s.n_shapes;
        assert_in_range(n_shapes, 1000, 15000);
        (void) kit_text(&d.s, "History \xc2\xb7 100,000 queries that ended");
        (void) kit_text(&d.s, "98,000 finished");
        (void) kit_text(&d.s, "larger marks are of 10 or more");
        assert_non_null(kit_shape(&d.s, SHAPE_AREA, INK_FINISHED_MANY));
        done(&d);
        draw(&d, text, PICTURE_SIDE_MAX, PICTURE_SIDE_MAX);
        assert_in_range(d.s.n_shapes, n_shapes, 130000);
        done(&d);
        assert_int_equal(read_past(&d, more), -E2BIG);
        done(&d);
        free(text);
        free(more);
}

/* kit_check() looks that nothing lies on anything in any size. */
static void all_sizes_can_be_read(void **state) {
        static const unsigned widths[] = { PICTURE_WIDTH_MIN, 500, 599, 600, 800, 1000, 2000, PICTURE_SIDE_MAX },
                              heights[] = { PICTURE_HEIGHT_MIN, 350, 399, 400, 560, 1200, PICTURE_SIDE_MAX };
        char *text = many(300);
        Drawn d;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(widths); i++)
                for (size_t k = 0; k < ELEMENTSOF(heights); k++) {
                        draw(&d, text, widths[i], heights[k]);
                        (void) kit_text(&d.s, "Ran");
                        done(&d);
                        draw(&d, four, widths[i], heights[k]);
                        (void) kit_text(&d.s, widths[i] < 600 ? "out of memory" : "1 out of memory");
                        done(&d);
                }
        free(text);
}

#define ENDLESS "18446744073709551614,"

static void nonsense_is_drawn_somehow(void **state) {
        static const char *const rows[] = {
                ENDLESS ENDLESS ENDLESS ENDLESS ENDLESS ENDLESS ENDLESS "\x1b[31m\xff,\x01,x\n",
                "1,1,1,1,1,1,1,,,\n",
                "infinity,infinity,infinity,infinity,infinity,infinity,infinity,,finished,\n",
                "9223372036854775807,1,1,1,9223372036854775808,9223372036854775808,1,<&>,canceled,\n",
                "-1,x,,,,,,,,\n",
        };
        char *description, text[2048];
        size_t len;
        FILE *to;
        Drawn d;

        (void) state;
        for (unsigned set = 1; set < 1u << ELEMENTSOF(rows); set++) {
                snprintf(text, sizeof(text), "%s", HEAD);
                for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                        if (set & 1u << i)
                                strcat(text, rows[i]);
                draw(&d, text, 1000, 560);
                to = open_memstream(&description, &len);
                assert_non_null(to);
                history_describe(&d.past, &CHOSEN_ALL, to);
                assert_int_equal(fclose(to), 0);
                assert_true(utf8_is_valid(description, len));
                assert_null(strchr(description, '\x1b'));
                free(description);
                done(&d);
        }
}

static int in_utc(void **state) {
        (void) state;
        setenv("TZ", "UTC", 1);
        tzset();
        return 0;
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(rows_are_read_whatever_they_say),
                cmocka_unit_test(the_head_says_what_it_is_of),
                cmocka_unit_test(each_end_has_a_mark_and_its_word),
                cmocka_unit_test(marks_that_one_asks_about_have_an_id),
                cmocka_unit_test(what_ran_together_is_added_up),
                cmocka_unit_test(who_ended_as_it_started_holds_nothing),
                cmocka_unit_test(a_short_history_is_drawn_too),
                cmocka_unit_test(many_are_drawn_as_few),
                cmocka_unit_test(all_sizes_can_be_read),
                cmocka_unit_test(nonsense_is_drawn_somehow),
        };

        return cmocka_run_group_tests_name("draw-history", tests, in_utc, NULL);
}
