/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <string.h>

#include "ctl/sheet.h"

/* Takes over @line. */
static void add_line(Sheet *s, SheetLine line, bool is_whole) {
        SheetLine *grown = is_whole ? reallocarray(s->v, s->n + 1, sizeof(*grown)) : NULL;

        if (!grown) {
                free(line.name);
                free(line.value);
                return;
        }
        s->v = grown;
        s->v[s->n++] = line;
}

void sheet_add(Sheet *s, const char *name, const char *format, ...) {
        char value[1200];
        SheetLine line;
        va_list ap;

        va_start(ap, format);
        vsnprintf(value, sizeof(value), format, ap);
        va_end(ap);
        line = (SheetLine) { .name = strdup(name), .value = strdup(value) };
        add_line(s, line, line.name && line.value);
}

void sheet_add_heading(Sheet *s, const char *name) {
        SheetLine line = { .name = strdup(name) };

        add_line(s, line, line.name);
}

void sheet_done(Sheet *s) {
        for (size_t i = 0; i < s->n; i++) {
                free(s->v[i].name);
                free(s->v[i].value);
        }
        free(s->v);
        *s = (Sheet) {};
}
