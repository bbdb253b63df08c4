/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* worker/link: the worker's end of its connection to penstockd. libc only; non-blocking; knows messages, not phases.
 */
#pragma once

#include <stddef.h>

#include "worker/protocol.h"

/* Connect to the socket @path. Returns the descriptor or -errno (-EAGAIN: the backlog is full). */
int link_connect(const char *path);

/* Send one message of the size that belongs to its type. Returns 0, -EAGAIN, or -errno of a broken connection. */
int link_send(int fd, const void *message);

/* Receive one message of query @id with its descriptors, which are exactly as many as belong to it and the caller's
 * to close. Returns 0, -EAGAIN, -ECONNRESET at the end of the connection, -EBADMSG for anything else than penstockd
 * would say (all descriptors of it are closed), or -errno. */
int link_receive(int fd, uint64_t id, WorkerMessage *ret, int ret_fds[static WORKER_FDS_MAX], size_t *ret_n_fds);
