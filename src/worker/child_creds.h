/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* worker/child_creds: become the caller and nobody else for good. libc only. */
#pragma once

#include "worker/launch.h"

/* Set groups, gid and uid, and make sure they are. Returns 0 or -errno. */
int creds_become(const Launch *l);
/* Drop every capability and the way back to any. The bounding set goes first, while CAP_SETPCAP can be had (without
 * it the set stays, and no_new_privs makes it useless: a unit that wants "CapBnd: 0" in its queries grants
 * CAP_SETPCAP to the worker); then creds_become(); then all sets are emptied and no_new_privs is set and verified.
 * Each returns 0 or -errno; -EPERM when root could be regained. */
int creds_drop_bounding_set(void);
int creds_drop_capabilities(const Launch *l);
/* Of the worker, whose last child was made: no mounting from now on. */
void creds_give_up_mounting(void);
