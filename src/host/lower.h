/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* host/lower: takes quota back from queries, off the loop: a write that lowers a limit reclaims in the writer's context.
 *
 * One helper thread of ordinary priority works off one job after the other. It shares nothing with the loop but the
 * jobs, opens all it needs by itself, and never allocates. No job kills: see cgroup_lower(). Whatever a job comes to,
 * the group is as frozen afterwards as before. */
#pragma once

#include <systemd/sd-event.h>

#include "host/cgroup.h"

/* Jobs that may wait or have a result that the loop has not seen. */
#define LOWER_JOBS_MAX 64u

typedef struct Lower Lower;

/* On the loop. @r is as of cgroup_lower(); what is in force is read by query_groups_refresh(). */
typedef void (*LowerCallback)(uint64_t query_id, int r, void *userdata);

/* Starts the thread. Returns 0 or -errno. */
int lower_new(sd_event *loop, LowerCallback on_lowered, void *userdata, Lower **ret);
/* Takes NULL, returns NULL. The job at work gives up and thaws; what waits is dropped and never told. */
Lower *lower_free(Lower *l);

/* Lower @g to @max_bytes, with @high_bytes afterwards. @g is not kept. Returns 0: the callback comes; -EAGAIN: too many
 * wait; or -errno. */
int lower_submit(Lower *l, const QueryGroups *g, uint64_t query_id, uint64_t max_bytes, uint64_t high_bytes);
