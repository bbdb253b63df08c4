/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ctl/history_picture: rows of the history for penstock-draw (draw/past.h has their columns). Of each row as much is
 * kept as is drawn, in memory that no heap pays for. */
#pragma once

#include "ctl/picture.h"

typedef struct HistoryPicture {
        FILE *rows;
} HistoryPicture;

/* Returns GO_ON, or an exit status after a report. history_picture_done() it in either case. */
int history_picture_begin(HistoryPicture *h, const Verb *verb);
void history_picture_add(HistoryPicture *h, const PenstockInfo *i);
/* Draw what was added. @filters: how it was chosen, in words; @is_cut: there are earlier ones. Returns the exit
 * status. */
int history_picture_draw(HistoryPicture *h, const Verb *verb, const Picture *p, const char *filters, bool is_cut);
void history_picture_done(HistoryPicture *h);
