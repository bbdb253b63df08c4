/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/ctl.h"

static bool is_c1(const unsigned char *p) {
        return p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0;
}

char *text_make_plain(char *text) {
        char *to = text;

        for (const unsigned char *p = (const unsigned char *) text; *p; p++)
                if (is_c1(p)) {
                        *to++ = '?';
                        p++;
                } else
                        *to++ = (char) ((*p < ' ' && *p != '\n' && *p != '\t') || *p == 0x7f ? '?' : *p);
        *to = '\0';
        return text;
}

void json_write_plain(const char *json, FILE *f) {
        for (const unsigned char *p = (const unsigned char *) json; *p; p++)
                if (is_c1(p)) {
                        fprintf(f, "\\u00%02x", p[1]);
                        p++;
                } else if (*p == 0x7f)
                        fputs("\\u007f", f);
                else
                        putc(*p, f);
}
