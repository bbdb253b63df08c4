/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* host/remover: removes files of results, off the loop. The blocks of a gibibyte take a file system tenths of a second to free, in
 * which whoever grows would not be raised, and a disk may stand still.
 *
 * One helper thread of ordinary priority works off one after the other. It shares nothing with the loop but their IDs, and never
 * allocates. */
#pragma once

#include <systemd/sd-event.h>

#include "core/base.h"

/* What may wait; a further one holds the loop up, and so whoever asks for more. */
#define REMOVER_JOBS_MAX 1024u

typedef struct Remover Remover;

/* Starts the thread, in which @remove is called: results_remove(), and once more if it fails. Returns 0 or -errno. */
int remover_new(sd_event *loop, int (*remove)(uint64_t id), Remover **ret);
/* Takes NULL, returns NULL. The job at work is finished. What waits is left, as is what can't be removed: results_list() finds it at
 * the next start. */
Remover *remover_free(Remover *r);
/* @remove for @id, soon; never fails. @id is given to no other file meanwhile. */
void remover_submit(Remover *r, uint64_t id);
