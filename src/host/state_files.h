/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* host/state_files: the few small things penstockd keeps outside itself: which IDs were given out in this boot, that it
 * was shut down, and the results of detached queries. */
#pragma once

#include <sys/types.h>

#include "core/base.h"

/* IDs are given out in blocks, so that a start writes the file and a query rarely does. */
#define STATE_ID_BLOCK 256u

/* The first ID that was never given out in this boot (at least 1). */
uint64_t state_first_id(void);
/* Make sure that no later life gives out @id again. Returns 0 or -errno. */
int state_reserve_id(uint64_t id);

/* Whether Shutdown was called and no operator has restarted the service since; it outlives a crash. */
bool state_is_shut_down(void);
void state_set_shut_down(bool shut_down);

/* Make the results file of @id, empty, mode 0400 of @uid, in a directory only root can enter: its owner gets it by
 * descriptor. @ret_write is for writing, @ret_read read-only; both CLOEXEC and the caller's to close.
 * Returns 0 or -errno. */
int results_create(uint64_t id, uid_t uid, int *ret_write, int *ret_read);
void results_remove(uint64_t id);
/* Remove what an earlier life left. */
void results_remove_all(void);
