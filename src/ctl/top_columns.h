/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ctl/top_columns (pure): the columns of `top`: which ones a width has room for, what is in a cell, what it is sorted
 * by. */
#pragma once

#include "ctl/canvas.h"
#include "ctl/top_row.h"

/* From left to right. */
typedef enum TopColumn {
        TOP_COLUMN_ID,
        TOP_COLUMN_USER,
        TOP_COLUMN_LANGUAGE,
        TOP_COLUMN_PRIORITY,
        TOP_COLUMN_STATE,
        TOP_COLUMN_MEMORY, /* a bar */
        TOP_COLUMN_QUOTA,
        TOP_COLUMN_USED,
        TOP_COLUMN_NEED,
        TOP_COLUMN_MAX,
        TOP_COLUMN_PEAK,
        TOP_COLUMN_RAISES,
        TOP_COLUMN_STALL,
        TOP_COLUMN_CPU,
        TOP_COLUMN_TIME,
        TOP_COLUMN_LABELS,
        TOP_COLUMN_WHY,
        _TOP_COLUMN_MAX,
} TopColumn;

const char *top_column_name(TopColumn c); /* as --sort takes it, and the list of columns shows it */
const char *top_column_heading(TopColumn c);
int top_column_from_name(const char *name, TopColumn *ret); /* 0 or -EINVAL */
/* True if only Describe tells what it holds. */
bool top_column_is_detail(TopColumn c);

typedef struct TopPlace {
        TopColumn column;
        unsigned x, width;
} TopPlace;

typedef struct TopLayout {
        TopPlace v[_TOP_COLUMN_MAX];
        size_t n;
} TopLayout;

/* The columns for @width, the most important ones first to have room. @max_id: the largest ID there is. */
void top_layout(unsigned width, uint64_t max_id, TopLayout *ret);

void top_put_headings(Canvas *c, unsigned y, const TopLayout *l, TopColumn sorted, bool upwards);
void top_put_row(Canvas *c, unsigned y, const TopLayout *l, const TopRow *row);
/* What one row says in one column; "" for the bar. */
const char *top_cell(TopColumn column, const TopRow *row, char *buf, size_t size);

/* Less than 0: @a comes before @b. Numbers come largest first, texts in their order, @reversed the other way; what a
 * row does not have comes last in any case, and the lower ID first among equals. */
int top_compare(TopColumn column, bool reversed, const TopRow *a, const TopRow *b);
/* True when the rows' values rise from above to below. */
bool top_goes_upwards(TopColumn column, bool reversed);
