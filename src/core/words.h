/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/words: one line of text to words, the way systemd and the shell read a command line. libc only. */
#pragma once

#include "core/base.h"

/* Split @text at blanks and append the words to @ret. '…' keeps all, "…" and bare text take \\ \" \' \n \t \s
 * (a space); a backslash before anything else is refused, so that no later meaning can surprise. '' is an empty word.
 * No variables, no globs, no comments.
 * Returns 0, -EINVAL for an open quote or an unknown or unfinished escape, or -ENOMEM; then @ret is unchanged. */
int words_split(const char *text, StrList *ret);
