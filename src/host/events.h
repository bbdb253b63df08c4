/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* host/events: turns the kernel's notifications of one engine/ group into callbacks on an sd-event loop.
 * memory.events wakes poll(POLLPRI), at most once in 10 ms; a PSI trigger wakes on stall. Neither is trusted as a
 * fact: the callback takes a fresh sample. */
#pragma once

#include <systemd/sd-event.h>

#include "host/cgroup.h"

/* Wake when tasks of the group waited for memory for 20 ms in half a second, 4 %: the promise is at most 5 % of
 * stalled time for a query that grows. 500 ms is the shortest window that 6.1 takes, and the kernel looks ten times a
 * window. memory.events is the fast signal; this one sees what it does not: thrashing below any limit's event. */
#define EVENTS_PSI_STALL_USEC 20000
#define EVENTS_PSI_WINDOW_USEC 500000

/* Before the bus, whose messages anyone on the host can send: between two of them the loop looks here. */
#define EVENTS_PRIORITY SD_EVENT_PRIORITY_IMPORTANT

typedef struct EventsWatch EventsWatch;

/* @now_usec is CLOCK_MONOTONIC as the loop stamped the wake-up. The watch may be freed in it. A negative result is
 * logged by sd-event at debug level and turns that source off, so return 0. */
typedef int (*EventsCallback)(uint64_t query_id, uint64_t now_usec, void *userdata);

/* Open memory.pressure of @g with a trigger, unless that was done. Making and closing one takes the kernel tens of milliseconds
 * (measured), so it is done, as @g is freed, by host/group_maker. Returns 1, 0 when the host has no PSI, or -errno. */
int events_arm(QueryGroups *g);
/* Watch @g (borrowed; must outlive the watch). Works without PSI: then only memory.events is watched and
 * @ret_no_psi (may be NULL) is set so that the caller can say so once. Goes quiet by itself when the group is gone.
 * Returns 0 or -errno. */
int events_watch_new(sd_event *loop, QueryGroups *g, uint64_t query_id, EventsCallback on_pressure, void *userdata,
                     bool *ret_no_psi, EventsWatch **ret);
EventsWatch *events_watch_free(EventsWatch *w); /* takes NULL, returns NULL */

/* Wait for the last process of a unit that PID 1 no longer knows. @on_empty is called once, also when @g (borrowed; must outlive the watch) is empty already; the watch may be
 * freed in it. Returns 0 or -errno. */
typedef struct EmptyWatch EmptyWatch;
int empty_watch_new(sd_event *loop, const QueryGroups *g, void (*on_empty)(void *userdata), void *userdata,
                    EmptyWatch **ret);
EmptyWatch *empty_watch_free(EmptyWatch *w); /* takes NULL, returns NULL */

/* Tell when memory.max of a group ("/penstock.slice") was written, by whomever: PID 1 says nothing on the bus of what
 * set-property changes (seen). The kernel tells of every write that goes through a file, at no cost until then. @on_written
 * is called after it; when the group is gone it goes quiet. Returns 0 or -errno; unref @ret_source to end it. */
int limit_watch_new(sd_event *loop, const char *cgroup, void (*on_written)(void *userdata), void *userdata,
                    sd_event_source **ret_source);
