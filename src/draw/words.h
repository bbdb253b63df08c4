/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* draw/words: what happened, in words for people. Pure. */
#pragma once

#include "draw/timeline.h"

#define WORDS_MAX 128u

typedef enum Wordiness { WORDS_FULL, WORDS_BRIEF, WORDS_SHORT, _WORDINESS_MAX } Wordiness;

/* What the @n happenings at @h are together: one by itself ("to 128M: came near the limit", "to 128M: need", "need"),
 * several as their numbers ("3 raises to 512M: grew fast"; "2 raises, 1 freeze"). Cut when it is too long. Returns
 * @buf. */
const char *happenings_in_words(const Happening h[], size_t n, Wordiness wordiness, char buf[static WORDS_MAX]);

/* "anonymous", …; what is left over is "memory" where no other kind is known. */
const char *memory_kind_in_words(MemoryKind kind, bool has_kinds);
