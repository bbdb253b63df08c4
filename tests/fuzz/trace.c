/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A file that Trace= wrote, or did not: core/trace, sim/replay, and so the engine. */
#include "fuzz.h"

#include "core/trace.h"
#include "sim/replay.h"

/* An event that was written and parsed is the same event. */
static void event_reads_back(const TraceRecord *first) {
        char one[TRACE_LINE_MAX], two[TRACE_LINE_MAX];
        TraceRecord second;
        Config none = {};

        trace_event_line(&first->event, first->now_usec, one);
        PROMISE(trace_parse_line(one, &none, &second) == 0 && second.line == TRACE_LINE_EVENT, "not read back: %s", one);
        PROMISE(second.now_usec == first->now_usec, "the time changed");
        trace_event_line(&second.event, second.now_usec, two);
        PROMISE(strcmp(one, two) == 0, "written %s, then %s", one, two);
}

static void parse_each(char *text) {
        Config c = {};

        for (char *line = text, *next; line; line = next) {
                TraceRecord record;

                next = strchr(line, '\n');
                if (next)
                        *next++ = 0;
                if (trace_parse_line(line, &c, &record) == 0 && record.line == TRACE_LINE_EVENT)
                        event_reads_back(&record);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        char failure[REPLAY_FAILURE_MAX], *text;
        Replay replay;
        FILE *f;
        int r;

        if (size == 0)
                return 0;
        f = fmemopen((void *) data, size, "r");
        if (!f)
                abort();
        r = replay_run(f, &replay, failure);
        PROMISE(r == 0 || failure[0], "refused without a reason (%d)", r);
        PROMISE(r != 0 || replay.promised_peak_bytes <= replay.budget_bytes, "it passed the budget unseen");
        fclose(f);

        text = bytes_text(data, size);
        parse_each(text);
        free(text);
        return 0;
}
