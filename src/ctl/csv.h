/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ctl/csv: comma-separated values with a header line. Read, as the service writes them: no quotes, no blanks around. Written, as RFC
 * 4180 says. Pure. */
#pragma once

#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* The service's tables have some 20 columns and 256 rows; what is far beyond that is not one of them. */
#define CSV_COLUMNS_MAX 64u
#define CSV_BYTES_MAX (4u << 20)

typedef struct Csv {
        const char **names; /* n_columns of them; point into the text */
        const char **cells; /* n_rows × n_columns */
        size_t n_columns, n_rows;
} Csv;

/* Split @text (NUL-terminated), which is changed and must outlive @ret. Returns 0, -ENOMEM, or -EBADMSG for an empty
 * text, more than CSV_COLUMNS_MAX columns, an empty name, a last line without its end, or a line that has more or
 * fewer values than there are names; then @ret is untouched. csv_done() it. */
int csv_parse(char *text, Csv *ret);
void csv_done(Csv *c);

/* Where the column @name is; n_columns when there is none. */
size_t csv_column(const Csv *c, const char *name);
/* The cell of @row in that column; "" when there is none. */
const char *csv_cell(const Csv *c, size_t row, size_t column);
/* The same as a number; 0 for what is none. "infinity" gives UINT64_MAX. */
uint64_t csv_cell_u64(const Csv *c, size_t row, size_t column);
/* Both by the column's name. */
const char *csv_get(const Csv *c, size_t row, const char *name);
uint64_t csv_get_u64(const Csv *c, size_t row, const char *name);

/* Write one cell, with what belongs before and behind it: quoted where it must be, control characters as '?'. */
void csv_write_cell(FILE *f, const char *text, bool first, bool last);
