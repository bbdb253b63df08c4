/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* host/ini_file: one INI text to assignments, with inih. What inih would do silently is refused or done the systemd
 * way instead: it would cut lines at 200 bytes and section names at 49, end a value at " ;", take ":" for "=" and an
 * indented line for more of the last value. */
#pragma once

#include "core/error.h"

/* A logical line, continuations joined. */
#define INI_FILE_LINE_MAX 65536u
#define INI_FILE_SECTION_MAX 49u
#define INI_FILE_BYTES_MAX (1 * MIB)

/* Called for each assignment; @value is trimmed and may be empty. Returns 0 or a negative number, which ends the
 * parse and is returned by it. */
typedef int (*IniFileSet)(const char *section, const char *key, const char *value, unsigned line, void *userdata);

/* Parse @text; @name stands for the file in messages. A backslash at a line's end joins the next one (comment lines
 * between are left out); "#" and ";" begin a comment only at the start of a line; a BOM is skipped.
 * Returns 0; -EINVAL with @ret_error for a NUL byte, text that is not UTF-8, a line that is no comment, [Section] or
 * KEY=VALUE, or one too long; -ENOMEM; or what @set returned. */
int ini_file_parse(const char *name, const char *text, size_t len, IniFileSet set, void *userdata, Error *ret_error);
