/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <string.h>

#include "ctl/sheet.h"

void sheet_add(Sheet *s, const char *name, const char *format, ...) {
        char value[1200];
        SheetLine *grown, line;
        va_list ap;

        va_start(ap, format);
        vsnprintf(value, sizeof(value), format, ap);
        va_end(ap);
        grown = reallocarray(s->v, s->n + 1, sizeof(*grown));
        if (!grown)
                return;
        s->v = grown;
        line = (SheetLine) { .name = strdup(name), .value = strdup(value) };
        if (line.name && line.value)
                s->v[s->n++] = line;
        else {
                free(line.name);
                free(line.value);
        }
}

void sheet_done(Sheet *s) {
        for (size_t i = 0; i < s->n; i++) {
                free(s->v[i].name);
                free(s->v[i].value);
        }
        free(s->v);
        *s = (Sheet) {};
}
