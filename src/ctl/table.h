/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ctl/table: a table on stdout by libsmartcols. Out of memory shows as missing cells, never as a crash. */
#pragma once

#include <libsmartcols.h>

#include "ctl/sheet.h"

/* COLUMN_WRAP, of one column at most: on a terminal its texts go on in further lines, between words. */
typedef enum ColumnAlign { COLUMN_LEFT, COLUMN_RIGHT, COLUMN_TRUNCATE, COLUMN_WRAP } ColumnAlign;

typedef struct Column {
        const char *name;
        ColumnAlign align;
        unsigned goes; /* where table_fit() lacks room the column with the highest number goes first; 0: it stays */
} Column;

typedef enum TableHeadings { TABLE_WITH_HEADINGS, TABLE_WITHOUT_HEADINGS } TableHeadings;

struct libscols_table *table_new(const Column columns[], size_t n, TableHeadings headings); /* NULL: out of memory */
/* Add a row of @n texts, which are copied. */
void table_add(struct libscols_table *t, const char *const cells[], size_t n);
/* Show the cell of @column of the last row in @color, on terminals that have colors; NULL: as it is. */
void table_paint(struct libscols_table *t, size_t column, const char *color);
/* Print and free. Returns the exit status. */
int table_print(const Verb *verb, struct libscols_table *t);

/* ---- table_fit.c ---- */

/* Leave out columns until the table fits into @width, as far as they may go; 0: as wide as it is. @columns are those
 * of table_new(). */
void table_fit(struct libscols_table *t, const Column columns[], size_t n, size_t width);
/* Break the texts of its COLUMN_WRAP, if it has one, so that it fits into @width. */
void table_wrap(struct libscols_table *t, size_t width);

/* ---- table.c ---- */

/* Print @s as two columns, a name with a colon and its value, and empty it. Returns the exit status. */
int sheet_print(const Verb *verb, Sheet *s);
