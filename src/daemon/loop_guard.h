/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* daemon/loop_guard: for debug builds (option loop_guard of meson) and tests, never in what is shipped: the loop waits in epoll
 * alone. loop_guard.c ends a penstockd whose loop makes a call that may wait; here is measured how long it slept in all
 * others. libc only, and nothing here calls what loop_guard.c defines. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct GuardMark {
        uint64_t wall_usec, cpu_usec, delay_usec;
        long switches; /* of its own accord: it slept */
} GuardMark;

void guard_begin(void); /* on the loop's thread, before the first mark */
void guard_end(void);   /* tells what was booked */

GuardMark guard_mark(void);
/* What this thread slept since then: time that it neither ran nor could have run. */
uint64_t guard_slept_since(const GuardMark *m);
/* One turn of the loop is over. */
void guard_book_turn(const GuardMark *begin);
/* Of which it slept @usec in @call. */
void guard_book_sleep(const char *call, const void *caller, int fd, const char *path, uint64_t usec);

/* To stderr and, when there is a $RUNTIME_DIRECTORY, to the end of @file in it. */
void guard_say(const char *file, const char *text);
/* "penstockd+0x1234", for addr2line. */
void guard_name_place(const void *address, char *buf, size_t len);
/* @path, or what @fd is. */
void guard_describe(int fd, const char *path, char *buf, size_t len);
