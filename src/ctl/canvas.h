/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ctl/canvas (pure): a screen as cells, each of a role that says what it means; a terminal's colours are curses'
 * matter. Texts of others come in by canvas_put() alone. What commands a terminal, turns the writing direction or is
 * no UTF-8 gets into no cell, and no text leaves the room it was given. */
#pragma once

#include "core/base.h"

#define CANVAS_WIDTH_MAX 512u
#define CANVAS_HEIGHT_MAX 512u

typedef enum Role {
        ROLE_PLAIN,
        ROLE_STRONG,
        ROLE_FAINT,
        ROLE_HEADING,  /* of the table */
        ROLE_SORTED,   /* the heading of the column that it is sorted by */
        ROLE_SELECTED, /* the row under the cursor */
        ROLE_KEY,      /* a key in the last line; plain is what it does */
        ROLE_PROMPT,
        ROLE_GOOD,
        ROLE_FROZEN,
        ROLE_WAITS,
        ROLE_BAD,
        ROLE_RESERVED, /* parts of the budget: slots, what was lent on top, what is left */
        ROLE_LENT,
        ROLE_POOL,
        _ROLE_MAX,
} Role;

typedef struct Cell {
        uint32_t c; /* a code point; 0: the right half of the one before */
        Role role;
} Cell;

typedef struct Canvas {
        unsigned width, height;
        bool ascii; /* the terminal has no more */
        Cell *cells;
} Canvas;

/* True if the locale is none of UTF-8, which is all that is known here beside ASCII. */
bool locale_is_ascii(void);

/* Blank. Larger than the bounds above is cut to them. Returns 0 or -ENOMEM. */
int canvas_init(Canvas *c, unsigned width, unsigned height, bool ascii);
void canvas_done(Canvas *c);
/* All blank and plain again. */
void canvas_clear(Canvas *c);

/* Put @text into at most @width columns at @x; what does not fit is cut, which shows. Outside of @c nothing is put.
 * Returns the number of columns that it took. */
unsigned canvas_put(Canvas *c, unsigned y, unsigned x, unsigned width, Role role, const char *text);
/* The same at the right end of the @width columns. */
void canvas_put_right(Canvas *c, unsigned y, unsigned x, unsigned width, Role role, const char *text);
/* @width times @what, a code point of one column. */
void canvas_fill(Canvas *c, unsigned y, unsigned x, unsigned width, Role role, uint32_t what);
/* Give the cells another role. */
void canvas_paint(Canvas *c, unsigned y, unsigned x, unsigned width, Role role);

/* How many columns @text takes. */
unsigned canvas_columns(const char *text, bool ascii);
/* How many bytes of @text make the next line of @width columns, broken behind a blank where there is one, which needs
 * no room; 0 at its end. */
size_t text_line(const char *text, unsigned width, bool ascii);

/* Up to this many bytes for each cell, and one. */
#define CELL_BYTES 4
/* The cells from @x on that have the role of the first one, as text in @buf. Returns how many there are; 0 at the end
 * of the line. */
unsigned canvas_run(const Canvas *c, unsigned y, unsigned x, Role *ret_role, char *buf, size_t size);

/* Part of a bar; what of it, the number, is shown by @ascii or @wide. */
typedef struct BarPart {
        uint64_t amount;
        Role role;
        char ascii;
        uint32_t wide;
} BarPart;

/* Fill @width columns by the parts of @total; what is left stays as it is. */
void canvas_bar(Canvas *c, unsigned y, unsigned x, unsigned width, uint64_t total, const BarPart parts[], size_t n);
