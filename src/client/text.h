/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* client/text: may a text cross the bus as a string? Pure. */
#pragma once

#include "core/base.h"

typedef enum TextFault { TEXT_GOOD, TEXT_NUL, TEXT_NOT_UTF8, TEXT_NONCHARACTER } TextFault;

/* Look through @len bytes of @text. sd-bus takes what is UTF-8 (no surrogates, no overlong forms) but for Unicode's
 * noncharacters (U+FDD0 to U+FDEF, and the last two of each plane). *@ret_offset is that of the first bad character's
 * first byte; untouched for TEXT_GOOD. */
TextFault text_check(const char *text, size_t len, size_t *ret_offset);
