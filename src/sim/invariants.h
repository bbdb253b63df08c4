/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sim/invariants: what holds in the engine after every step, whatever it was told before: also lies. It looks at what
 * the engine shows of itself, and at nothing else. */
#pragma once

#include "core/engine.h"

#define INVARIANTS_FAILURE_MAX 256

/* As it was after the step before: a reload may leave more than the figures allow; then it must only shrink.
 * Zero-initialise. */
typedef struct Invariants {
        uint64_t leased_bytes, executing;
} Invariants;

/* To be called after every step. False: @failure says what is broken. */
bool invariants_hold(Invariants *v, const Engine *e, uint64_t now_usec, char failure[static INVARIANTS_FAILURE_MAX]);
