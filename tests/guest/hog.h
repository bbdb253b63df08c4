/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* tests/guest/hog: takes memory in one of the ways that programs have. Guest tests run it as a query and in bare
 * groups. Does not use src/ but for core/base.h. */
#pragma once

#include <sys/types.h>

#include "core/base.h"

typedef struct Hog {
        const char *way;
        uint64_t bytes;   /* in all, however many take part */
        unsigned n;       /* threads, processes, or times over */
        const char *path; /* of the ways with files */
        bool with_huge_pages;
} Hog;

/* Take the memory and, unless the way gives it back itself, keep it. Returns 0 or -errno. */
int hog_run(const Hog *h);
/* A line for each way: its name and what it does. */
void hog_print_ways(void);

/* A control file of the process's own group: @name's text, NUL-terminated. Returns 0 or -errno. */
int own_group_read(const char *name, char *buf, size_t size);
/* The number behind @key and one separator in @text; 0 when it is not there. */
uint64_t keyed_number(const char *text, const char *key);
uint64_t now_usec(void); /* CLOCK_MONOTONIC */
