/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>

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

int sheet_print(const Verb *verb, Sheet *s) {
        static const Column columns[] = { { "NAME", COLUMN_RIGHT }, { "VALUE", COLUMN_WRAP } };
        struct libscols_table *t = table_new(columns, ELEMENTSOF(columns), TABLE_WITHOUT_HEADINGS);
        char name[80];

        for (size_t i = 0; i < s->n; i++) {
                snprintf(name, sizeof(name), "%s%s", s->v[i].name, s->v[i].name[0] ? ":" : "");
                table_add(t, (const char *const[]) { name, s->v[i].value }, 2);
                if (strcmp(s->v[i].name, "State") == 0)
                        table_paint(t, 1, state_color(s->v[i].value));
        }
        sheet_done(s);
        return table_print(verb, t);
}
