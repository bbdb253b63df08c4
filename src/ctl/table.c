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
                            : columns[i].align == COLUMN_WRAP     ? SCOLS_FL_WRAP
                                                                  : 0;

                if (!scols_table_new_column(t, columns[i].name, 0, flags)) {
                        scols_unref_table(t);
                        return NULL;
                }
        }
        if (t && headings == TABLE_WITHOUT_HEADINGS)
                scols_table_enable_noheadings(t, 1);
        if (t)
                scols_table_enable_colors(t, terminal_takes_escapes(STDOUT_FILENO));
        return t;
}

void table_add(struct libscols_table *t, const char *const cells[], size_t n) {
        struct libscols_line *line = t ? scols_table_new_line(t, NULL) : NULL;

        for (size_t i = 0; line && i < n; i++)
                (void) scols_line_set_data(line, i, cells[i]);
}

void table_paint(struct libscols_table *t, size_t column, const char *color) {
        size_t n = t ? scols_table_get_nlines(t) : 0;
        struct libscols_cell *cell = n > 0 ? scols_line_get_cell(scols_table_get_line(t, n - 1), column) : NULL;

        if (cell && color)
                (void) scols_cell_set_color(cell, color);
}

int table_print(const Verb *verb, struct libscols_table *t) {
        if (!t) {
                report("out of memory");
                return verb->failure;
        }
        table_wrap(t, terminal_columns(STDOUT_FILENO));
        scols_print_table(t);
        scols_unref_table(t);
        return finish_output(verb->failure);
}

struct libscols_table *sheet_new(void) {
        static const Column columns[] = { { "NAME", COLUMN_RIGHT }, { "VALUE", COLUMN_WRAP } };

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

void sheet_paint(struct libscols_table *t, const char *color) {
        table_paint(t, 1, color);
}
