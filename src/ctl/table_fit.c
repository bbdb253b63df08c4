/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ctl/table_fit: tables on narrow terminals: fewer columns, and texts in lines. */
#include <string.h>

#include "ctl/table.h"

/* A text that may be cut still says something with so many columns. */
#define TRUNCATED_MIN 16u

static const char *cell_at(struct libscols_table *t, size_t row, size_t column) {
        struct libscols_line *line = scols_table_get_line(t, row);
        struct libscols_cell *cell = line ? scols_line_get_cell(line, column) : NULL;
        const char *data = cell ? scols_cell_get_data(cell) : NULL;

        return data ? data : "";
}

/* The columns of the terminal that column @k needs, the blank behind it included. */
static size_t needed(struct libscols_table *t, size_t k) {
        struct libscols_column *c = scols_table_get_column(t, k);
        const char *name = scols_table_is_noheadings(t) ? NULL : scols_cell_get_data(scols_column_get_header(c));
        size_t heading = name ? text_columns(name) : 0, widest = heading;

        for (size_t i = 0; i < scols_table_get_nlines(t); i++)
                widest = MAX(widest, text_columns(cell_at(t, i, k)));
        if (scols_column_is_trunc(c))
                widest = MAX(heading, MIN(widest, TRUNCATED_MIN));
        return widest + 1;
}

static void hide(struct libscols_table *t, size_t k) {
        struct libscols_column *c = scols_table_get_column(t, k);

        (void) scols_column_set_flags(c, scols_column_get_flags(c) | SCOLS_FL_HIDDEN);
}

/* The shown column that goes first; @n: none may go. */
static size_t first_to_go(struct libscols_table *t, const Column columns[], size_t n) {
        size_t found = n;

        for (size_t k = 0; k < n; k++)
                if (columns[k].goes > 0 && !scols_column_is_hidden(scols_table_get_column(t, k)) &&
                    (found == n || columns[k].goes > columns[found].goes))
                        found = k;
        return found;
}

void table_fit(struct libscols_table *t, const Column columns[], size_t n, size_t width) {
        size_t sum = 0, k;

        if (!t || width == 0)
                return;
        for (k = 0; k < n; k++)
                sum += needed(t, k);
        while (sum > width + 1 && (k = first_to_go(t, columns, n)) < n) {
                sum -= needed(t, k);
                hide(t, k);
        }
}

static void wrap_cell(struct libscols_table *t, size_t row, size_t column, size_t columns) {
        char *text = strdup(cell_at(t, row, column));

        if (!text)
                return;
        text_wrap(text, columns);
        if (scols_line_refer_data(scols_table_get_line(t, row), column, text) < 0)
                free(text);
}

void table_wrap(struct libscols_table *t, size_t width) {
        size_t n = scols_table_get_ncols(t), others = 0, wrapped = n;

        for (size_t k = 0; k < n; k++)
                if (scols_column_is_wrap(scols_table_get_column(t, k)))
                        wrapped = k;
                else
                        others += needed(t, k);
        /* What is narrower than the names leave cannot be helped. */
        if (wrapped == n || width < others + TRUNCATED_MIN)
                return;
        (void) scols_column_set_safechars(scols_table_get_column(t, wrapped), "\n");
        (void) scols_column_set_wrapfunc(scols_table_get_column(t, wrapped), scols_wrapnl_chunksize,
                                         scols_wrapnl_nextchunk, NULL);
        for (size_t i = 0; i < scols_table_get_nlines(t); i++)
                wrap_cell(t, i, wrapped, width - others);
}
