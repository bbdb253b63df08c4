/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ctl/stream: move bytes from the results to standard output, unchanged, without ever blocking on a pipe or socket:
 * a reader that stopped reading must not keep SIGINT from being seen. */
#pragma once

#include "ctl/ctl.h"

typedef enum StreamStep {
        STREAM_MOVED,     /* something; there may be more */
        STREAM_WAIT_IN,   /* until @in is readable */
        STREAM_WAIT_OUT,  /* until @out is writable */
        STREAM_END,       /* all was copied */
        STREAM_IN_ERROR,  /* @error says why */
        STREAM_OUT_ERROR, /* EPIPE: nobody reads any more */
} StreamStep;

typedef enum StreamKind { STREAM_SPLICE, STREAM_SEND, STREAM_WRITE } StreamKind;

typedef struct Stream {
        int in, out; /* borrowed */
        StreamKind kind;
        int error;
        size_t n, at; /* what is read and not written yet is buf[at] to buf[n - 1] */
        uint64_t bytes;
        char last; /* the last byte written; unknown ('\0') when spliced */
        char buf[64 * 1024];
} Stream;

void stream_init(Stream *s, int in, int out);
/* Do one step; call it when @in is readable, or @out is writable after STREAM_WAIT_OUT. */
StreamStep stream_step(Stream *s);

/* Write all of it, however long that takes: whoever shares @fd with us may have it that it does not block. Returns 0 or -errno. */
int stream_write_all(int fd, const char *buf, size_t n);
