/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What bench-start is made of. Times are of CLOCK_MONOTONIC. Each way of starting returns 0, or -1 after fail() has
 * kept the reason. */
#pragma once

#include <stdint.h>

/* When the call began, and from there to the first byte of the program's output, and to its end known to the caller. */
typedef struct Span {
        uint64_t begin_nsec, first_nsec, whole_nsec;
        uint64_t said;          /* the number that its output begins with; of a query its ID */
        uint64_t answered_nsec; /* of a query: to the answer of the call; else 0 */
} Span;

uint64_t now_nsec(void);
/* Keep a sentence that says what did not work; returns -1. */
__attribute__((format(printf, 1, 2))) int fail(const char *format, ...);
/* Wait for the first byte on @fd, then for the end of what comes. */
int read_span(int fd, uint64_t begin_nsec, Span *ret);

/* A transient service with the sandbox of a query, or without the properties that @without lists (separated by commas;
 * "all": no sandbox; "+" before the list: these alone). @argv ends with NULL. Root only. */
int start_unit(const char *without, char **argv, Span *ret);
