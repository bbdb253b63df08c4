/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/excerpt: the beginning of somebody else's text, safe to show on a terminal or to put into a log. libc only. */
#pragma once

#include "core/base.h"

/* Copy @text into @buf, at most @size - 1 bytes and whole characters of it. Control characters but newline and tab,
 * and bytes that are not UTF-8, are written as \xNN; what did not fit is told by " […]" at the end. @size must be at
 * least 16. Returns the length. */
size_t excerpt_make(const char *text, size_t len, char *buf, size_t size);
