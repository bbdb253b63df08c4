/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What fail.c and those who steer it, tests/guest/lib/fail.py and tests/unit/test-worker-faults.c, share by a file. */
#pragma once

#include <stdint.h>

#define FAIL_MAGIC 0x6661696cu
#define FAIL_SITES_MAX 4096u
#define FAIL_FUNCTIONS_MAX 192u
#define FAIL_NAME_MAX 40u
#define FAIL_FRAMES 3u

/* A place in the program: a function, the library that called it (0: the program itself), and the innermost frames of
 * the program on the stack, as offsets from its start. */
typedef struct FailSite {
        uint32_t function, module;
        uint32_t frames[FAIL_FRAMES];
        uint32_t count; /* calls while recording */
} FailSite;

typedef struct FailShared {
        uint32_t magic, recording, n_sites, armed; /* armed: 1 until the fault has struck */
        uint32_t error;                            /* 0: the function's own */
        uint32_t skip;                             /* so many calls from there are let pass first */
        uint32_t fired, pid;                       /* who mapped this last */
        FailSite target;
        FailSite sites[FAIL_SITES_MAX];
        char names[FAIL_FUNCTIONS_MAX][FAIL_NAME_MAX];
} FailShared;
