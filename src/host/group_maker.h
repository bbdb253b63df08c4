/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* host/group_maker: makes the groups of queries, and lets go of them, off the loop. To move the worker takes a lock of the kernel's
 * that waits for all processors, and so do a pressure trigger's making and end: tens of milliseconds, in which whoever grows would not
 * be raised.
 *
 * One helper thread of ordinary priority works off one job after the other, and is the only one that calls libcgroup
 * after start. It shares nothing with the loop but the jobs. */
#pragma once

#include <systemd/sd-event.h>

#include "host/cgroup.h"

typedef struct GroupMaker GroupMaker;

/* On the loop. @ticket is that of the submission, @r and @groups (the receiver's) are query_groups_new()'s; events_arm() was
 * called, too. */
typedef void (*GroupMakerCallback)(uint64_t query_id, uint64_t ticket, int r, QueryGroups *groups, void *userdata);

/* Starts the thread. Returns 0 or -errno. */
int group_maker_new(sd_event *loop, GroupMakerCallback on_made, void *userdata, GroupMaker **ret);
/* Takes NULL, returns NULL. The job at work is finished, no other groups are made, and nobody is told. */
GroupMaker *group_maker_free(GroupMaker *m);
/* Copies @setup. Returns 0 with a ticket above 0, and the callback comes; or -ENOMEM. */
int group_maker_submit(GroupMaker *m, const QueryGroupsSetup *setup, uint64_t query_id, uint64_t *ret_ticket);
/* query_groups_free(), on the thread; without one (@m NULL), or without memory, at once. Takes NULL. */
void group_maker_let_go(GroupMaker *m, QueryGroups *groups);
