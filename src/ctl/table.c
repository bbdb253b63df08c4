/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdarg.h>

#include "ctl/table.h"

struct libscols_table *table_new(const Column columns[], size_t n, TableHeadings headings) {
        struct libscols_table *t;

        scols_init_debug(0);
        t = scols_new_table();
        for (size_t i = 0; t && i < n; i++) {
                int flags = columns[i].align == COLUMN_RIGHT      ? SCOLS_FL_RIGHT
                            : columns[i].align == COLUMN_TRUNCATE ? SCOLS_FL_TRUNC
                                                                  : 0;

                if (!scols_table_new_column(t, columns[i].name, 0, flags)) {
                        scols_unref_table(t);
                        return NULL;
                }
        }
        if (t && headings == TABLE_WITHOUT_HEADINGS)
                scols_table_enable_noheadings(t, 1);
        return t;
}

void table_add(struct libscols_table *t, const char *const cells[], size_t n) {
        struct libscols_line *line = t ? scols_table_new_line(t, NULL) : NULL;

        for (size_t i = 0; line && i < n; i++)
                (void) scols_line_set_data(line, i, cells[i]);
}

int table_print(const Verb *verb, struct libscols_table *t) {
        if (!t) {
                report("out of memory");
                return verb->failure;
        }
        scols_print_table(t);
        scols_unref_table(t);
        return finish_output(verb->failure);
}

struct libscols_table *sheet_new(void) {
        static const Column columns[] = { { "NAME", COLUMN_RIGHT }, { "VALUE", COLUMN_LEFT } };

        return table_new(columns, ELEMENTSOF(columns), TABLE_WITHOUT_HEADINGS);
}

void sheet_add(struct libscols_table *t, const char *name, const char *format, ...) {
        char label[80], value[1200];
        va_list ap;

        snprintf(label, sizeof(label), "%s:", name);
        va_start(ap, format);
        vsnprintf(value, sizeof(value), format, ap);
        va_end(ap);
        table_add(t, (const char *const[]) { label, value }, 2);
}
