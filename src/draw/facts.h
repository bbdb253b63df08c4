/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* draw/facts: what is known of a query beside its profile, as KEY=VALUE. Pure. */
#pragma once

#include "core/base.h"

typedef struct Facts {
        const char *id, *language, *state, *error, *verdict; /* "" when not known; point into the arguments */
        uint64_t memory_peak_bytes, memory_max_bytes, raises, retries, execute_usec, frozen_usec; /* 0: not known */
} Facts;

#define FACTS_NONE ((Facts) { .id = "", .language = "", .state = "", .error = "", .verdict = "" })

/* Take @argument ("raises=3"), which must outlive @f. Returns 0, or -EINVAL for another key or a bad number; then @f
 * is unchanged. */
int facts_set(Facts *f, const char *argument);
