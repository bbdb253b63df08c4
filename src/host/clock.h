/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* host/clock: for what has no event loop to ask. */
#pragma once

#include <time.h>

#include "core/base.h"

/* CLOCK_MONOTONIC. */
static inline uint64_t now_usec(void) {
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t) ts.tv_sec * USEC_PER_SEC + (uint64_t) ts.tv_nsec / 1000;
}
