/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ctl/history_output: rows of the history as a table, as CSV with a header line, as a JSON array, or as a picture.
 * Rows are printed as they come, but for a table, whose columns are as wide as all need, and a picture. */
#pragma once

#include <libsmartcols.h>

#include "ctl/history_picture.h"

/* NOWHERE: rows are looked at, and that is all. */
typedef enum HistoryForm { HISTORY_TABLE, HISTORY_CSV, HISTORY_JSON, HISTORY_PICTURE, HISTORY_NOWHERE } HistoryForm;

/* What a picture is told beside the rows. */
typedef struct HistoryFrame {
        Picture picture;
        char filters[256];
        bool is_cut;
} HistoryFrame;

typedef struct HistoryOutput {
        HistoryForm form;
        struct libscols_table *table;
        HistoryPicture picture;
        bool is_answered, any;
} HistoryOutput;

/* Returns GO_ON, or an exit status after a report. history_output_done() it in either case. */
int history_output_begin(HistoryOutput *o, HistoryForm form, const Verb *verb);
/* The service has answered, perhaps without a row. What stands before the rows is printed at the first call: a failure
 * leaves nothing that looks like an empty history. */
void history_output_answered(HistoryOutput *o);
void history_output_add(HistoryOutput *o, const PenstockInfo *i);
/* Returns the exit status. */
int history_output_end(HistoryOutput *o, const Verb *verb, const HistoryFrame *frame);
void history_output_done(HistoryOutput *o);
