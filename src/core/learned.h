/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/learned: what queries that were seen before came to need, by their fingerprints. libc only.
 * Bounded: of those that fall together the one that was not heard of for longest makes room. */
#pragma once

#include "core/base.h"

/* A fingerprint has its place in one set, which has room for a few. */
#define LEARNED_SETS 256u
#define LEARNED_WAYS 4u
#define LEARNED_MAX (LEARNED_SETS * LEARNED_WAYS)

typedef struct Lesson {
        uint64_t fingerprint[2];
        uint64_t needed_bytes; /* the quota that would have done from the start */
        uint64_t raises;       /* that it takes to get there without */
} Lesson;

typedef struct LearnedEntry {
        Lesson lesson;
        uint64_t heard; /* the count of lessons when it was; 0: free */
        bool recalled;  /* not in this life */
} LearnedEntry;

/* Zero-initialise. */
typedef struct Learned {
        LearnedEntry entries[LEARNED_SETS][LEARNED_WAYS];
        uint64_t n_heard;
} Learned;

/* Zeros are no fingerprint. */
static inline bool fingerprint_is_known(const uint64_t fingerprint[static 2]) {
        return fingerprint[0] || fingerprint[1];
}

/* What is known of it; NULL: nothing. Valid until the next call that changes @t. */
const Lesson *learned_find(const Learned *t, const uint64_t fingerprint[static 2]);

/* One has ended. Who needed more than is known is believed at once. Who needed less is believed by halves, and only
 * when it came to its own end (@whole): the next one may be the larger again. */
void learned_teach(Learned *t, const Lesson *l, bool whole);

/* What was learned in an earlier life, the oldest first: it takes the place of nothing that was learned in this one.
 */
void learned_recall(Learned *t, const Lesson *l);
