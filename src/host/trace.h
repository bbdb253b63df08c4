/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* host/trace: the file that Trace= asks for: lines of core/trace, in the order in which they happened. It lies in memory
 * (/run/penstock), since no disk may make the loop wait, and is bounded. */
#pragma once

#include "core/base.h"

typedef struct TraceFile TraceFile;

/* Begin a new file; that of an earlier start is kept beside it, as "trace.old". Returns 0 or -errno. */
int trace_file_open(uint64_t max_bytes, TraceFile **ret);
TraceFile *trace_file_close(TraceFile *t); /* takes NULL, returns NULL */

/* Add a line. Once max_bytes are reached, or the file can't be written, nothing more is: what is there stays the
 * whole beginning. */
void trace_file_add(TraceFile *t, const char *line);
/* Hand what was added to the kernel, so that a crash loses none of it. */
void trace_file_flush(TraceFile *t);
/* 0; -EFBIG when max_bytes were reached, or another -errno: the trace has ended. */
int trace_file_state(const TraceFile *t);
