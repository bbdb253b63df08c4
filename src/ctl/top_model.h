/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ctl/top_model (pure): the state of `top`: what is known, what of it is shown, and what the keys have made of it.
 * Neither bus nor terminal; time comes in as a number. */
#pragma once

#include "ctl/sheet.h"
#include "ctl/top_columns.h"

#define TOP_DELAY_MIN_USEC (200 * USEC_PER_MSEC) /* penstockd reads its figures ten times a second at most */
#define TOP_DELAY_MAX_USEC (3600 * USEC_PER_SEC)
#define TOP_DELAY_USEC (2 * USEC_PER_SEC)
#define TOP_FILTER_MAX 64
#define TOP_MESSAGE_USEC (5 * USEC_PER_SEC)
/* One update asks for the details of so many queries at most, and of those that are not shown but sorted by. */
#define TOP_DETAILS_MAX 256
#define TOP_TURN_MAX 64
/* Below that nothing sensible can be shown. */
#define TOP_COLUMNS_MIN 40u
#define TOP_LINES_MIN 8u

typedef enum TopMode {
        TOP_MODE_TABLE,
        TOP_MODE_FILTER, /* a filter is being typed */
        TOP_MODE_DELAY,  /* a delay is being typed */
        TOP_MODE_SORT,   /* a column is being chosen */
        TOP_MODE_CONFIRM,
        TOP_MODE_INSPECT,
        TOP_MODE_HELP,
} TopMode;

/* Zero-initialise, then top_init(); top_done() it. */
typedef struct Top {
        TopStatus status;
        TopRow *rows; /* by ID */
        size_t n_rows;
        uint64_t max_id;

        size_t *view; /* the rows that pass the filter, in their order */
        size_t n_view;
        TopColumn sort;
        bool reversed;
        char filter[TOP_FILTER_MAX];

        uint64_t selected; /* an ID; 0: there is no row */
        size_t at, first;  /* where that is in the view, and which is the first one shown */
        size_t page;       /* how many rows are shown, and in which columns, as it was drawn last */
        TopLayout layout;
        size_t next_detail;

        TopMode mode, back; /* back: where a confirmation returns to */
        char typed[TOP_FILTER_MAX], filter_before[TOP_FILTER_MAX];
        TopColumn choice;
        uint64_t subject; /* the query that is inspected, or asked about */
        PenstockInfo *inspected;
        size_t scroll, scroll_max, pager_page; /* the last two as it was drawn last */

        uint64_t delay_usec;
        bool held; /* nothing is asked for until the space bar is pressed again */
        bool ascii;
        char clock[16]; /* the time of day of what is shown */
        char message[256];
        uint64_t message_until_usec;
        bool message_is_bad;
        char trouble[512]; /* why the service does not answer; "" while it does */
} Top;

void top_init(Top *t, bool ascii);
void top_done(Top *t);

/* ---- what the service says ---- */

/* Take over @rows, which is freed with @t; details that are known of the same queries stay. */
void top_set_rows(Top *t, TopRow *rows, size_t n);
/* The row of a query; NULL: there is none. */
TopRow *top_find(const Top *t, uint64_t id);
/* A details' answer came. */
void top_set_detail(Top *t, uint64_t id, const PenstockInfo *i);
/* The queries whose details are wanted now: those that execute and are shown, and when it is sorted by what they say,
 * others by turns. @only_missing: of which none are known yet. Returns how many, at most @max. */
size_t top_wanted(Top *t, bool only_missing, uint64_t ids[], size_t max);

/* ---- what is shown ---- */

/* The view anew, after the filter or the order changed. */
void top_arrange(Top *t);
void top_select(Top *t, size_t at); /* the row at @at of the view, or the last one */
/* The selected row; NULL: there is none. */
TopRow *top_selected(const Top *t);
/* Have the selected row among the @page shown. */
void top_scroll_to_selected(Top *t, size_t page);

void top_say(Top *t, uint64_t now_usec, bool is_bad, const char *format, ...) PRINTF_LIKE(4, 5);
/* Forget a message whose time has passed. True: there was one. */
bool top_forget_message(Top *t, uint64_t now_usec);

/* ---- top_keys.c ---- */

/* Code points, and beyond them the keys that have none. */
typedef enum TopKey {
        TOP_KEY_ENTER = '\n',
        TOP_KEY_ESCAPE = 27,
        TOP_KEY_BACKSPACE = 127,
        TOP_KEY_UP = 0x110000,
        TOP_KEY_DOWN,
        TOP_KEY_LEFT,
        TOP_KEY_RIGHT,
        TOP_KEY_PAGE_UP,
        TOP_KEY_PAGE_DOWN,
        TOP_KEY_HOME,
        TOP_KEY_END,
        TOP_KEY_F0 = 0x110100, /* F1 is one more */
} TopKey;

/* What is to be done for a key beside drawing anew. */
typedef enum TopWish {
        TOP_WISH_NONE,
        TOP_WISH_QUIT,
        TOP_WISH_CANCEL,  /* the query @subject */
        TOP_WISH_INSPECT, /* @subject is to be described, from now on with each update */
        TOP_WISH_UPDATE,  /* at once */
        TOP_WISH_DELAY,   /* delay_usec is another one */
        TOP_WISH_REDRAW,  /* the terminal may show something else than was drawn */
} TopWish;

TopWish top_key(Top *t, uint32_t key, uint64_t now_usec);
/* Set what is asked for to @usec within the bounds. */
void top_set_delay(Top *t, uint64_t usec);

/* ---- top_view.c, top_head.c, top_pager.c ---- */

/* Draw all on @c, which is as large as the terminal. */
void top_draw(Top *t, Canvas *c);
/* The lines above the table, as many as @lines have room for. Returns how many there are. */
unsigned top_draw_head(const Top *t, Canvas *c, unsigned lines);
/* How many lines top_draw_head() makes of a screen of @lines. */
unsigned top_head_lines(unsigned lines);
/* The inspected query, or the help, as lines that are scrolled. */
void top_draw_pager(Top *t, Canvas *c);
