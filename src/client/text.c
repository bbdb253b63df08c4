/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/text.h"

/* Decode one character of more than one byte at @p, @left bytes long at most. Returns its length, or 0. */
static size_t decode(const unsigned char *p, size_t left, uint32_t *ret) {
        static const uint32_t lowest[] = { 0, 0, 0x80, 0x800, 0x10000 };
        size_t len = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
        uint32_t c;

        if (p[0] < 0xc2 || p[0] > 0xf4 || len > left)
                return 0;
        c = p[0] & (0x7fu >> len);
        for (size_t i = 1; i < len; i++) {
                if ((p[i] & 0xc0) != 0x80)
                        return 0;
                c = c << 6 | (p[i] & 0x3f);
        }
        if (c < lowest[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
                return 0;
        *ret = c;
        return len;
}

TextFault text_check(const char *text, size_t len, size_t *ret_offset) {
        const unsigned char *p = (const unsigned char *) text;
        size_t step;

        for (size_t i = 0; i < len; i += step) {
                TextFault fault = TEXT_GOOD;
                uint32_t c = p[i];

                step = c < 0x80 ? 1 : decode(p + i, len - i, &c);
                if (step == 0)
                        fault = TEXT_NOT_UTF8;
                else if (c == 0)
                        fault = TEXT_NUL;
                else if ((c & 0xfffe) == 0xfffe || (c >= 0xfdd0 && c <= 0xfdef))
                        fault = TEXT_NONCHARACTER;
                if (fault != TEXT_GOOD) {
                        *ret_offset = i;
                        return fault;
                }
        }
        return TEXT_GOOD;
}
