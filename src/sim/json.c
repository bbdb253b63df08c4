/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sim/json.h"

void json_print_string(FILE *f, const char *text) {
        fputc('"', f);
        for (const unsigned char *p = (const unsigned char *) text; *p; p++)
                if (*p == '"' || *p == '\\')
                        fprintf(f, "\\%c", *p);
                else if (*p < ' ' || *p == 0x7f)
                        fprintf(f, "\\u%04x", *p);
                else
                        fputc(*p, f);
        fputc('"', f);
}
