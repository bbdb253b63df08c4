/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ctl/sheet (pure): what is told of one thing, in lines of a name and a value. table.h prints it, `top` shows it. */
#pragma once

#include "ctl/ctl.h"

typedef struct SheetLine {
        char *name;  /* "": goes on with the line before */
        char *value; /* NULL: a heading */
} SheetLine;

/* Zero-initialise. Out of memory shows as missing lines, never as a crash. */
typedef struct Sheet {
        SheetLine *v;
        size_t n;
} Sheet;

void sheet_add(Sheet *s, const char *name, const char *format, ...) PRINTF_LIKE(3, 4);
void sheet_add_heading(Sheet *s, const char *name);
void sheet_done(Sheet *s); /* leaves an empty one */

/* ---- query_sheet.c: of one query, from its description ---- */

void sheet_add_query(Sheet *s, const PenstockInfo *i); /* what it is, and how it ended */
void sheet_add_usage(Sheet *s, const PenstockInfo *i); /* times, memory, I/O */
/* What it waits for, or why it ended, in a sentence without its end. Returns @buf. */
const char *why_sentence(const PenstockInfo *i, char *buf, size_t size);
