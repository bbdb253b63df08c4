/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "draw/lane.h"

#include <string.h>

#define MARK_GAP 4.0  /* between a mark and its words */
#define WORDS_GAP 9.0 /* between words of different groups */
#define STEM_GAP 4.0

typedef struct Span {
        double from, to;
} Span;

/* What a group takes up of its row. */
static Span extent(const LaneGroup *g) {
        return (Span) { MIN(g->mark_0 - LANE_MARK_HALF, g->text_0), MAX(g->mark_1 + LANE_MARK_HALF, g->text_1) };
}

static bool overlap(Span a, Span b, double gap) {
        return a.from < b.to + gap && b.from < a.to + gap;
}

static bool stem_hits(const LaneGroup *upper, const LaneGroup *lower) {
        return overlap((Span) { upper->mark_0, upper->mark_1 }, extent(lower), STEM_GAP);
}

static bool fits(const LaneGroup *g, unsigned row, const LaneGroup *others, size_t n) {
        for (size_t i = 0; i < n; i++) {
                if (others[i].row == row && overlap(extent(g), extent(&others[i]), WORDS_GAP))
                        return false;
                if (others[i].row < row && stem_hits(g, &others[i]))
                        return false;
                if (others[i].row > row && stem_hits(&others[i], g))
                        return false;
        }
        return true;
}

/* Beside its marks: to the right, if need be to the left. Returns 0 when neither side has so much room, 1 for right,
 * -1 for left. */
static int set_words(LaneGroup *g, const LaneRoom *room, double width) {
        double right = g->mark_1 + LANE_MARK_HALF + MARK_GAP, left = g->mark_0 - LANE_MARK_HALF - MARK_GAP;

        if (right + width <= room->right) {
                g->text_0 = right;
                g->text_1 = right + width;
                return 1;
        }
        g->text_0 = left - width;
        g->text_1 = left;
        return g->text_0 >= room->left ? -1 : 0;
}

/* Words to the right are in the way of later stems, so that who comes later goes lower, and these try the lowest row
 * first. Words to the left are in the way of earlier ones, and begin at the top. */
static bool give_row(LaneGroup *g, const LaneRoom *room, const Scene *scene, size_t n_later) {
        int side = set_words(g, room, scene_width_of(scene, g->text, room->size, WEIGHT_NORMAL));

        for (unsigned k = 0; k < room->n_rows && side != 0; k++) {
                g->row = side > 0 ? k : room->n_rows - 1 - k;
                if (fits(g, g->row, g + 1, n_later))
                        return true;
        }
        return false;
}

static void word_group(const Timeline *t, Wordiness wordiness, LaneGroup *g) {
        happenings_in_words(t->happenings + g->first, g->n, wordiness, g->text);
        text_make_safe(g->text);
}

/* From the last one back, each with as many words as there is room for. */
static bool give_rows(const Timeline *t, const LaneRoom *room, const Scene *scene, Lane *l) {
        for (size_t i = l->n_groups; i-- > 0;) {
                LaneGroup *g = &l->groups[i];
                bool found = false;

                for (int w = WORDS_FULL; w < _WORDINESS_MAX && !found; w++) {
                        word_group(t, (Wordiness) w, g);
                        found = give_row(g, room, scene, l->n_groups - i - 1);
                }
                if (!found)
                        return false;
        }
        return true;
}

/* Put together what is nearer than @distance to the first of a group. False: more groups than there may be. */
static bool make_groups(const Timeline *t, const Scale *x, double distance, Lane *l) {
        LaneGroup *g = NULL;

        l->n_groups = 0;
        for (size_t i = 0; i < t->n_happenings; i++) {
                double at = scale_at(x, (double) t->happenings[i].usec);

                if (!g || at - g->mark_0 > distance) {
                        if (l->n_groups == LANE_GROUPS_MAX)
                                return false;
                        g = &l->groups[l->n_groups++];
                        *g = (LaneGroup) { .first = i, .mark_0 = at };
                }
                g->n++;
                g->mark_1 = at;
        }
        return true;
}

/* Rows that nobody is in fall together. */
static void close_rows(Lane *l) {
        unsigned next = 0;

        for (unsigned row = 0; row < LANE_ROWS_MAX; row++) {
                bool used = false;

                for (size_t i = 0; i < l->n_groups; i++)
                        if (l->groups[i].row == row) {
                                l->groups[i].row = next;
                                used = true;
                        }
                next += used;
        }
        l->n_rows = next;
}

/* All in one group, whose words are cut to the larger side when they are written. */
static void give_up(const Timeline *t, const Scale *x, const LaneRoom *room, const Scene *scene, Lane *l) {
        double width, right, left;
        LaneGroup *g = &l->groups[0];

        (void) make_groups(t, x, 1e9, l);
        word_group(t, WORDS_SHORT, g);
        width = scene_width_of(scene, g->text, room->size, WEIGHT_NORMAL);
        if (set_words(g, room, width) != 0)
                return;
        right = room->right - g->mark_1;
        left = g->mark_0 - room->left;
        (void) set_words(g, room, MAX(MAX(right, left) - LANE_MARK_HALF - MARK_GAP, 0));
}

void lane_place(const Timeline *t, const Scale *x, const LaneRoom *room, const Scene *scene, Lane *ret) {
        ret->n_groups = ret->n_rows = 0;
        if (t->n_happenings == 0)
                return;
        for (unsigned distance = 2; distance < x->to - x->from; distance *= 2)
                if (make_groups(t, x, distance, ret) && give_rows(t, room, scene, ret)) {
                        close_rows(ret);
                        return;
                }
        give_up(t, x, room, scene, ret);
        close_rows(ret);
}
