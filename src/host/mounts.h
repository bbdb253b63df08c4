/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* host/mounts: does the host have other mounts than before? What is asked is answered; nobody is woken up for it. */
#pragma once

#include "core/base.h"

typedef struct Mounts {
        int fd; /* tells of each change; -1: nobody has asked */
        uint64_t hash, n_changes;
} Mounts;

#define MOUNTS_INIT { .fd = -1 }

/* Look whether they have changed since the last look, and count that in n_changes. Left out are those below /run/user, which each login
 * makes, and /run/credentials, which are root's; and what a user mounted (FUSE) for himself alone, as often as he likes: in a query of
 * his it is what it is outside, and others can't look into it. Returns false when that can't be told; then it counts as a change. */
bool mounts_look(Mounts *m);
bool mounts_line_is_left_out(const char *line); /* a line of mountinfo; pure */
void mounts_close(Mounts *m); /* it may be asked again */
