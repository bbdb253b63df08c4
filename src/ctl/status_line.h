/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ctl/status_line: one line on a terminal's stderr that is written over and, at the end, cleared. */
#pragma once

#include "ctl/ctl.h"

typedef struct StatusLine {
        bool enabled; /* false: nothing is ever written */
        bool shown;
        uint64_t start_usec; /* CLOCK_MONOTONIC */
} StatusLine;

/* Enabled when stderr is a terminal that can be written over, and @wanted. */
void status_line_init(StatusLine *l, bool wanted, uint64_t now_usec);
void status_line_draw(StatusLine *l, const PenstockInfo *i, uint64_t now_usec);
void status_line_clear(StatusLine *l);

/* The text (pure): id, state, position or memory, elapsed time, reason for waiting; at most @size - 1 bytes. */
void status_line_format(const PenstockInfo *i, uint64_t elapsed_usec, char *buf, size_t size);
