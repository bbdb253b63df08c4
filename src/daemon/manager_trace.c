/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the engine is told and what it asks for, for Trace=. */
#include <errno.h>
#include <string.h>

#include "core/trace.h"
#include "daemon/entry.h"
#include "host/journal.h"
#include "host/trace.h"

static void add_config(Manager *m) {
        char line[TRACE_LINE_MAX];

        for (unsigned k = 0; k < _CONFIG_KEY_MAX; k++)
                if (trace_config_line(m->config, (ConfigKey) k, line))
                        trace_file_add(m->trace, line);
}

/* A trace that can't be written is no reason not to serve. */
static void give_up(Manager *m, int r) {
        journal_write(LOG_WARNING, JOURNAL_PLAIN, 0, "The trace %s%s",
                      r == -EFBIG ? "has reached the size that Trace= allows; it ends here" : "can't be written: ",
                      r == -EFBIG ? "" : strerror(-r));
        m->trace = trace_file_close(m->trace);
}

void manager_trace_begin(Manager *m) {
        char line[TRACE_LINE_MAX];
        int r;

        if (m->config->trace_bytes == 0)
                return;
        r = trace_file_open(m->config->trace_bytes, &m->trace);
        if (r < 0) {
                give_up(m, r);
                return;
        }
        trace_file_add(m->trace, TRACE_HEADER);
        add_config(m);
        trace_file_add(m->trace, trace_start_line(engine_next_id(m->engine), line));
        manager_trace_flush(m);
}

void manager_trace_end(Manager *m) {
        m->trace = trace_file_close(m->trace);
}

void manager_trace_step(Manager *m, const Event *ev, uint64_t now_usec) {
        char line[TRACE_LINE_MAX];

        if (!m->trace)
                return;
        if (ev->type == EVENT_CONFIG)
                add_config(m);
        trace_file_add(m->trace, trace_event_line(ev, now_usec, line));
        for (size_t i = 0; i < m->actions.n; i++)
                trace_file_add(m->trace, trace_action_line(&m->actions.v[i], line));
}

void manager_trace_flush(Manager *m) {
        if (!m->trace)
                return;
        trace_file_flush(m->trace);
        if (trace_file_state(m->trace) < 0)
                give_up(m, trace_file_state(m->trace));
}
