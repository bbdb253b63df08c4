/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* draw/history: the picture of queries that have ended, along the time of their ends: each one's peak of memory; what
 * those that ran held together; how long each waited, and how long it ran. How one ended is told by the form of its
 * mark, whose words stand above. Marks that would lie on each other are drawn as one, which is larger. Pure. */
#pragma once

#include <stdio.h>

#include "draw/past.h"
#include "draw/scene.h"

/* What is said beside the rows. Texts point into the arguments. */
typedef struct Chosen {
        const char *filters; /* how they were chosen, in words; "" for all */
        bool is_cut;         /* there are earlier ones */
} Chosen;

#define CHOSEN_ALL ((Chosen) { .filters = "" })

/* Take @argument ("filters=user alice", "cut=1"), which must outlive @c. Returns 0, or -EINVAL for another one; then
 * @c is unchanged. */
int chosen_set(Chosen *c, const char *argument);

/* Add the picture to @s, which has its size (within ctl/picture_size.h) and its meter. */
void history_draw(const Past *p, const Chosen *c, Scene *s);

/* The picture's first line, and all that it says in words: for those who do not see it. Out of memory is an error of
 * @to. */
const char *history_title(const Past *p, const Chosen *c, char *buf, size_t size);
void history_describe(const Past *p, const Chosen *c, FILE *to);
