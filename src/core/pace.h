/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/pace: how many units PID 1 is asked to start at one time, by how fast it answers calls. libc only; time is an argument.
 * Invariant: from 1 to PACE_MAX, so that there is always progress, and never more than a few. */
#pragma once

#include "core/base.h"

/* A start has a time limit, and a hundred at once on a busy host all pass it together (seen), while eights come up one after the
 * other. */
#define PACE_MAX 8u
/* An answer takes a millisecond, and while PID 1 is making eight units (emulated) some tens. One that takes a second says that
 * others wait for it, too. */
#define PACE_SLOW_USEC (1 * USEC_PER_SEC)
#define PACE_QUICK_USEC (250 * USEC_PER_MSEC)

typedef struct Pace {
        unsigned allowed;
        unsigned n_quick;     /* answers in a row since it changed */
        uint64_t slowed_usec; /* when it was lowered last */
} Pace;

#define PACE_INIT ((Pace) { .allowed = PACE_MAX })

/* A call was answered, @took_usec after it was sent. A slow one halves what is allowed, if it was sent after the last such step:
 * those that were under way then say the same once more. As many quick ones in a row as are allowed add one. */
void pace_answered(Pace *p, uint64_t took_usec, uint64_t now_usec);
