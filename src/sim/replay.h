/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sim/replay: steps the engine through a trace of the service, and sees that it asks for the same again. */
#pragma once

#include <stdio.h>

#include "core/base.h"

typedef struct Replay {
        uint64_t n_lines, n_starts, n_events, n_actions, n_raises;
        /* What the limits read back from the kernel promised at one instant, of queries whose engine/ was not known to
         * be empty: the most there ever was, and the budget then in force. */
        uint64_t promised_peak_bytes, budget_bytes;
} Replay;

#define REPLAY_FAILURE_MAX 1024

/* Read all of @f. Returns 0; -EPROTO with @failure when an action differs from the trace or the promised sum passed the
 * budget; -EBADMSG with @failure for what is no trace; -ENOMEM, or the -errno of reading. A last line without its newline is left out: the
 * service was stopped in the middle of it. */
int replay_run(FILE *f, Replay *ret, char failure[static REPLAY_FAILURE_MAX]);
