/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/learned.h"

#define PAGE_BYTES UINT64_C(4096)

static LearnedEntry *find_entry(const Learned *t, const uint64_t fingerprint[static 2]) {
        LearnedEntry *set = (LearnedEntry *) t->entries[fingerprint[0] % LEARNED_SETS];

        for (unsigned i = 0; i < LEARNED_WAYS; i++)
                if (set[i].heard && set[i].lesson.fingerprint[0] == fingerprint[0] &&
                    set[i].lesson.fingerprint[1] == fingerprint[1])
                        return &set[i];
        return NULL;
}

const Lesson *learned_find(const Learned *t, const uint64_t fingerprint[static 2]) {
        const LearnedEntry *e = find_entry(t, fingerprint);

        return e ? &e->lesson : NULL;
}

/* A free one, or the one that was not heard of for longest. */
static LearnedEntry *oldest_entry(Learned *t, const uint64_t fingerprint[static 2]) {
        LearnedEntry *set = t->entries[fingerprint[0] % LEARNED_SETS], *oldest = &set[0];

        for (unsigned i = 1; i < LEARNED_WAYS; i++)
                if (set[i].heard < oldest->heard)
                        oldest = &set[i];
        return oldest;
}

void learned_teach(Learned *t, const Lesson *l, bool whole) {
        LearnedEntry *e = find_entry(t, l->fingerprint);
        Lesson *known;

        if (!e) {
                e = oldest_entry(t, l->fingerprint);
                e->lesson = *l;
        }
        e->heard = ++t->n_heard;
        e->recalled = false;
        known = &e->lesson;
        if (l->needed_bytes >= known->needed_bytes)
                *known = *l;
        else if (whole) {
                uint64_t half = l->needed_bytes + (known->needed_bytes - l->needed_bytes) / 2;

                known->needed_bytes = half - half % PAGE_BYTES;
                known->raises = l->raises;
        }
}

void learned_recall(Learned *t, const Lesson *l) {
        LearnedEntry *e = find_entry(t, l->fingerprint);

        if (!fingerprint_is_known(l->fingerprint) || l->needed_bytes == 0)
                return;
        if (!e)
                e = oldest_entry(t, l->fingerprint);
        if (!e->heard || e->recalled)
                *e = (LearnedEntry) { .lesson = *l, .heard = ++t->n_heard, .recalled = true };
}
