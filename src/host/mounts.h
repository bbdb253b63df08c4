/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* host/mounts: does the host have other mounts than before? What is asked is answered; nobody is woken up for it. */
#pragma once

#include "core/base.h"

typedef struct Mounts {
        int fd; /* tells of each change; -1: nobody has asked */
        uint64_t hash, n_changes;
} Mounts;

#define MOUNTS_INIT { .fd = -1 }

/* Look whether they have changed since the last look, and count that in n_changes. Those below /run/user, which each login makes, and
 * /run/credentials, which are root's, are left out. Returns false when that can't be told; then it counts as a change. */
bool mounts_look(Mounts *m);
void mounts_close(Mounts *m); /* it may be asked again */
