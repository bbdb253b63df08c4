/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ctl/table: a table on stdout by libsmartcols. Out of memory shows as missing cells, never as a crash. */
#pragma once

#include <libsmartcols.h>

#include "ctl/ctl.h"

typedef enum ColumnAlign { COLUMN_LEFT, COLUMN_RIGHT, COLUMN_TRUNCATE } ColumnAlign;

typedef struct Column {
        const char *name;
        ColumnAlign align;
} Column;

typedef enum TableHeadings { TABLE_WITH_HEADINGS, TABLE_WITHOUT_HEADINGS } TableHeadings;

struct libscols_table *table_new(const Column columns[], size_t n, TableHeadings headings); /* NULL: out of memory */
/* Add a row of @n texts, which are copied. */
void table_add(struct libscols_table *t, const char *const cells[], size_t n);
/* Print and free. Returns the exit status. */
int table_print(const Verb *verb, struct libscols_table *t);

/* A table of two columns for one thing's properties: a name with a colon, and its value. */
struct libscols_table *sheet_new(void);
void sheet_add(struct libscols_table *t, const char *name, const char *format, ...) PRINTF_LIKE(3, 4);
