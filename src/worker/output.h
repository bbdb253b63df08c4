/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* worker/output: what the worker does with bytes of an engine: keep the last of them, or move them to a file up to a
 * cap. libc only. Invariant: the engine never waits for more than one read, and no read waits for the engine. */
#pragma once

#include <stdbool.h>

#include "worker/protocol.h"

/* Keeps the last bytes of a pipe. */
typedef struct Tail {
        int fd; /* -1: closed */
        uint64_t total;
        char ring[WORKER_STDERR_TAIL_MAX];
} Tail;

/* Make a pipe whose write end a process of any user may open again (/dev/stderr), and whose read end does not block;
 * both CLOEXEC. Returns 0 or -errno; then *@ret_read and *@ret_write are untouched. */
int output_pipe(int *ret_read, int *ret_write);

/* Read once; closes at the end of the stream. */
void tail_read(Tail *t);
/* Read what is in the pipe now, and close: writers may have outlived the query elsewhere. */
void tail_finish(Tail *t);
/* Copy the kept bytes to @buf, oldest first; returns how many. */
uint32_t tail_copy(const Tail *t, char buf[static WORKER_STDERR_TAIL_MAX]);

/* Moves a pipe to a file. */
typedef struct Mover {
        int fd, file_fd; /* -1: none */
        uint64_t moved, max;
        int error;      /* errno of reading the pipe or writing the file, positive */
        bool truncated; /* there was more than @max, or an error: the reading end is closed, the engine gets EPIPE */
} Mover;

void mover_read(Mover *m);
void mover_finish(Mover *m);
