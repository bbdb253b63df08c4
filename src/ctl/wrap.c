/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ctl/wrap: the columns that a text takes, and lines that end between words. Pure. */
#include <string.h>
#include <wchar.h>

#include "ctl/ctl.h"

/* The columns of the character at @p, and its bytes; what is none in this locale counts as one of each. */
static size_t width_at(const char *p, size_t *ret_bytes) {
        mbstate_t state = {};
        wchar_t wide;
        size_t n = mbrtowc(&wide, p, MB_CUR_MAX, &state);
        int width = n > 0 && n <= MB_CUR_MAX ? wcwidth(wide) : -1;

        *ret_bytes = n > 0 && n <= MB_CUR_MAX ? n : 1;
        return width >= 0 ? (size_t) width : *ret_bytes;
}

size_t text_columns(const char *text) {
        size_t columns = 0, bytes;

        for (const char *p = text; *p; p += bytes)
                columns += width_at(p, &bytes);
        return columns;
}

void text_wrap(char *text, size_t columns) {
        char *blank = NULL; /* the last one of this line */
        size_t used = 0, behind_blank = 0, bytes;

        for (char *p = text; *p; p += bytes) {
                size_t width = width_at(p, &bytes);

                if (*p == ' ' || *p == '\n') {
                        *p = ' ';
                        blank = p;
                        behind_blank = 0;
                } else
                        behind_blank += width;
                used += width;
                if (used <= columns || !blank || p == blank)
                        continue;
                *blank = '\n';
                blank = NULL;
                used = behind_blank;
        }
}
