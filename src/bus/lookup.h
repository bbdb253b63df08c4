/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* bus/lookup: names of users and groups to numbers, off the loop. The name service may ask a directory server and
 * take its time, so a short-lived child asks it. */
#pragma once

#include <systemd/sd-event.h>

#include "bus/access.h"

typedef struct Lookup Lookup;

#define LOOKUP_TIMEOUT_USEC (10 * USEC_PER_SEC)

/* @r: 0, -ESRCH: there is no such name, -ETIMEDOUT, or another -errno. @found (NULL on failure) is only for the call:
 * uid, gid and all groups of a user; the gid alone of a group. */
typedef void (*LookupHandler)(int r, const Caller *found, void *userdata);

/* Start. @handler is called once, later, unless lookup_free() comes first; it may call lookup_free().
 * A user's name may be a number that has an entry. Returns 0 or -errno; then @ret is untouched. */
int lookup_user(sd_event *event, const char *name, LookupHandler handler, void *userdata, Lookup **ret);
int lookup_group(sd_event *event, const char *name, LookupHandler handler, void *userdata, Lookup **ret);
Lookup *lookup_free(Lookup *l); /* takes NULL, returns NULL; ends the child */

/* lookup_user(), or what a test puts in its place. */
typedef int (*UserLookup)(sd_event *event, const char *name, LookupHandler handler, void *userdata, Lookup **ret);

/* The same in this process: blocks. For the start, and for the child. 0, -ESRCH or another -errno. */
int lookup_group_now(const char *name, uint32_t *ret_gid);
