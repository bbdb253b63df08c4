/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ctl/history_output: rows of the history as a table, as CSV with a header line, or as a JSON array. Rows are printed
 * as they come, but for a table, whose columns are as wide as all need. */
#pragma once

#include <libsmartcols.h>

#include "ctl/ctl.h"

typedef enum HistoryForm { HISTORY_TABLE, HISTORY_CSV, HISTORY_JSON } HistoryForm;

typedef struct HistoryOutput {
        HistoryForm form;
        struct libscols_table *table;
        bool any;
} HistoryOutput;

void history_output_begin(HistoryOutput *o, HistoryForm form);
void history_output_add(HistoryOutput *o, const PenstockInfo *i);
/* Returns the exit status. */
int history_output_end(HistoryOutput *o, const Verb *verb);
