/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ctl/nearest: what somebody meant who mistyped a name. Pure. */
#include <string.h>

#include "ctl/ctl.h"

/* Longer words are no names of ours. */
#define WORD_MAX 32u

/* Levenshtein's distance, row by row. */
static size_t distance(const char *a, const char *b) {
        size_t n = strlen(b), row[WORD_MAX + 1];

        for (size_t k = 0; k <= n; k++)
                row[k] = k;
        for (size_t i = 0; a[i]; i++) {
                size_t diagonal = row[0];

                row[0] = i + 1;
                for (size_t k = 0; k < n; k++) {
                        size_t replaced = diagonal + (a[i] != b[k]);

                        diagonal = row[k + 1];
                        row[k + 1] = MIN(replaced, MIN(row[k], diagonal) + 1);
                }
        }
        return row[n];
}

void nearest_init(Nearest *n, const char *word) {
        *n = (Nearest) { .word = word, .distance = strlen(word) < 4 ? 2 : 3 };
}

void nearest_try(Nearest *n, const char *name) {
        size_t d;

        if (strlen(n->word) > WORD_MAX || strlen(name) > WORD_MAX)
                return;
        d = distance(n->word, name);
        if (d >= n->distance)
                return;
        n->distance = d;
        n->name = name;
}
