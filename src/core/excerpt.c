/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/excerpt.h"

#include <stdio.h>
#include <string.h>

static const char cut[] = " […]";

/* The length of the character at @s if it can be shown as it is, else 0. */
static size_t shown_as_is(const char *s, size_t left) {
        unsigned char c = (unsigned char) *s;

        if (c < 0x80)
                return c >= ' ' && c != 0x7f ? 1 : c == '\n' || c == '\t';
        if (c == 0xc2 && left >= 2 && (unsigned char) s[1] < 0xa0)
                return 0; /* C1 controls: terminals obey some of them */
        for (size_t n = 2; n <= 4 && n <= left; n++)
                if (utf8_is_valid(s, n))
                        return n;
        return 0;
}

size_t excerpt_make(const char *text, size_t len, char *buf, size_t size) {
        size_t room = size - sizeof(cut), n = 0, i = 0;

        while (i < len) {
                size_t k = shown_as_is(text + i, len - i), wanted = k > 0 ? k : strlen("\\xNN");

                if (n + wanted > room) {
                        memcpy(buf + n, cut, sizeof(cut));
                        return n + strlen(cut);
                }
                if (k > 0)
                        memcpy(buf + n, text + i, k);
                else
                        snprintf(buf + n, wanted + 1, "\\x%02x", (unsigned) (unsigned char) text[i]);
                n += wanted;
                i += MAX(k, (size_t) 1);
        }
        buf[n] = '\0';
        return n;
}
