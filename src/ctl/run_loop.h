/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ctl/run_loop: from a submitted query to its end: results to stdout, status line, signals. sd-event. */
#pragma once

#include "ctl/ctl.h"

typedef enum RunBreak {
        RUN_WHOLE,       /* all results were written */
        RUN_BROKEN_PIPE, /* nobody reads standard output any more */
        RUN_BROKEN,      /* it could not be written for another reason, which was reported */
} RunBreak;

typedef struct RunResult {
        PenstockInfo *info; /* how it ended; NULL when the service went away */
        PenstockError error;
        RunBreak broken;
        bool was_signaled; /* SIGINT and SIGTERM are still blocked then, so nothing may block any more */
} RunResult;

/* Returns GO_ON with @ret (free its info), or the exit status to leave with at once. */
int run_loop(PenstockClient *c, PenstockQuery *q, bool quiet, RunResult *ret);
