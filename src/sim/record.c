/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A story in the form in which the service records itself. */
#include "core/trace.h"
#include "sim/world.h"

static void record_config(World *w) {
        char line[TRACE_LINE_MAX];

        for (unsigned k = 0; k < _CONFIG_KEY_MAX; k++)
                if (trace_config_line(&w->load.config, (ConfigKey) k, line))
                        fprintf(w->record, "%s\n", line);
}

void world_record_start(World *w) {
        char line[TRACE_LINE_MAX];

        if (!w->record)
                return;
        fprintf(w->record, TRACE_HEADER "\n");
        record_config(w);
        fprintf(w->record, "%s\n", trace_start_line(engine_next_id(w->engine), line));
}

void world_record_event(World *w, const Event *ev) {
        char line[TRACE_LINE_MAX];

        if (!w->record)
                return;
        if (ev->type == EVENT_CONFIG)
                record_config(w);
        fprintf(w->record, "%s\n", trace_event_line(ev, w->now_usec, line));
}

void world_record_actions(World *w) {
        char line[TRACE_LINE_MAX];

        for (size_t i = 0; w->record && i < w->actions.n; i++)
                fprintf(w->record, "%s\n", trace_action_line(&w->actions.v[i], line));
}
