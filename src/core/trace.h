/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/trace: the engine's events and actions as lines of text, and back. libc only; the lines are written and read by
 * whoever has a file.
 *
 *   penstock-trace 1                        the first line
 *   c KEY=NUMBER                            a key of the configuration
 *   start FIRST-ID                          engine_new() with the keys above
 *   e USEC TYPE QUERY-ID [NAME=VALUE …]     engine_step(); of `config`, with the keys above it
 *   a TYPE QUERY-ID [NAME=VALUE …]          what that step asked for, in its order
 *
 * What is 0 is left out. `message=` comes last and goes to the end of the line, with \n and \\ for newline and
 * backslash. Invariant: an event that was written and parsed is the same event to the engine. No line holds the text,
 * arguments or environment of a query. */
#pragma once

#include "core/engine.h"

#define TRACE_HEADER "penstock-trace 1"
#define TRACE_LINE_MAX 4096u

/* Each writes one line, without its newline, into @buf and returns it. */
const char *trace_event_line(const Event *ev, uint64_t now_usec, char buf[static TRACE_LINE_MAX]);
const char *trace_action_line(const Action *a, char buf[static TRACE_LINE_MAX]);
const char *trace_action_name(ActionType type); /* the TYPE of such a line */
const char *trace_start_line(uint64_t first_id, char buf[static TRACE_LINE_MAX]);
/* False for a key that has no line: a list, which the engine does not know. */
bool trace_config_line(const Config *c, ConfigKey key, char buf[static TRACE_LINE_MAX]);

typedef enum TraceLine {
        TRACE_LINE_HEADER,
        TRACE_LINE_CONFIG,
        TRACE_LINE_START,
        TRACE_LINE_EVENT,
        TRACE_LINE_ACTION,
} TraceLine;

/* What a line holds. Its pointers go to its own parts, so it must not be copied; .config of an event is NULL. */
typedef struct TraceRecord {
        TraceLine line;
        uint64_t first_id, now_usec;
        Event event;
        QuerySpec spec;
        QuerySnapshot snapshot;
        Error error;
} TraceRecord;

/* Read @line into @ret; a `c` line is applied to @c, whose lists are not touched and which the header's line
 * empties. Returns 0, or -EBADMSG for what is no line
 * of a trace, is of another version, or names a field that is not known. */
int trace_parse_line(const char *line, Config *c, TraceRecord *ret);
