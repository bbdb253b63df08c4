/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* host/state_files: the few small things penstockd keeps outside itself: which IDs were given out in this boot, that it
 * was shut down, and the results of detached queries. */
#pragma once

#include <sys/types.h>

#include "core/base.h"

/* IDs are given out in blocks, so that a start writes the file and a query rarely does. */
#define STATE_ID_BLOCK 256u
#define STATE_ID_MAX (UINT64_MAX / 2) /* nobody has as many; a file of results with such a name is none */

/* Put @text in the place of the file @path, by way of @fresh in the same directory: nobody ever sees half a file, whenever we are
 * killed. Mode 0600. Returns 0 or -errno; then the old file is there. */
int state_replace_file(const char *path, const char *fresh, const char *text, size_t len);

/* The first ID that was never given out in this boot (at least 1), nor to results that are left. Returns 0, or what passes
 * (error_passes()), when that can't be read now. */
int state_first_id(uint64_t *ret);
/* Make sure that no later life gives out @id again. Returns 0 or -errno. */
int state_reserve_id(uint64_t id);

/* What outlives a crash: Shutdown was called, and no operator has restarted the service since; Pause was called; all that
 * grows was frozen when penstockd ended, and no other one has been ready since; it was stopped, and none has been ready since. */
typedef enum StateFlag { STATE_SHUT_DOWN, STATE_PAUSED, STATE_HELD, STATE_STOPPED } StateFlag;
bool state_is(StateFlag flag);
int state_set(StateFlag flag, bool is); /* 0 or -errno */
/* STATE_HELD, and since when (CLOCK_MONOTONIC); 0: they have been thawed since, for want of another one. */
void state_set_held(uint64_t since_usec);
uint64_t state_held_since(void); /* 0: it is not, or that is not known */

/* Make the results file of @id, empty, mode 0400, in a directory only root can enter: who may read it gets it by descriptor. It is
 * root's: of a file of his own somebody could take a lease (fcntl(2)), for which we would wait each time we open it, and by a
 * descriptor of his own he could change its mode and write to it. @ret_write is for writing, @ret_read read-only; both CLOEXEC and the
 * caller's to close. Returns 0 or -errno. */
int results_create(uint64_t id, int *ret_write, int *ret_read);
int results_remove(uint64_t id); /* 0, also when there was none; or -errno */
/* Open it once more, for writing or for reading, and leave what is in it: a reader has an offset of his own. Returns the descriptor,
 * CLOEXEC, or -errno. */
int results_open(uint64_t id, bool for_writing);
/* Tell @on_id of each file that is there; what is no query's is removed. Returns 0 or -errno. */
int results_list(void (*on_id)(uint64_t id, void *userdata), void *userdata);
