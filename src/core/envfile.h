/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/envfile: the text of an EnvironmentFile=, read as systemd does for all that this accepts. libc only.
 *
 * A line is empty, a comment (# or ; first), or NAME=VALUE. A value may be quoted as a whole with '…', which keeps all,
 * or "…", which takes \\ \" \$ \`; bare, blanks at both ends are dropped. What systemd would read in a way of its own is
 * refused, so that no value is taken for another: a bare value with a quote or a backslash in it, text after a closing
 * quote, a value over several lines. */
#pragma once

#include "core/base.h"

#define ENVFILE_BYTES_MAX (64 * KIB)
#define ENVFILE_VARIABLES_MAX 256u

/* Add the variables of @text to @l; a later one of the same name wins.
 * Returns 0; -EINVAL with the line in @ret_line (no such form, no UTF-8, a NUL), -E2BIG for more than
 * ENVFILE_VARIABLES_MAX; or -ENOMEM. After a failure @l may hold some of them. */
int envfile_parse(const char *text, size_t len, PairList *l, unsigned *ret_line);
