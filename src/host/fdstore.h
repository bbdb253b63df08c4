/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* host/fdstore: descriptors that outlive penstockd, kept by PID 1 (sd_notify(3), FDSTORE=1) under names of ours. */
#pragma once

#include "host/notify.h"

/* What PID 1 passed to this life, by name. Zero-initialise; stored_fds_done() closes what nobody took. */
typedef struct StoredFds {
        char **names; /* NULL: there are none */
        int first_fd;
        size_t n;
} StoredFds;

/* All passed descriptors, sockets of socket units too; once, at start. Returns 0 or -errno. */
int stored_fds_receive(StoredFds *ret);
/* The descriptor of that name, CLOEXEC, the caller's from now on; -ENOENT: there is none (any more). */
int stored_fds_take(StoredFds *s, const char *name);
/* The name of one that nobody took; NULL: there is none. */
const char *stored_fds_left(const StoredFds *s);
void stored_fds_done(StoredFds *s);

#define FDSTORE_NAME_MAX 64
/* Keep a copy of @fd as @name, whatever becomes of the other end. Returns 0, or -ENOMEM or -errno of dup(2). */
int fdstore_push(Notify *n, const char *name, int fd);
/* PID 1 closes its copy. Returns 0 or -ENOMEM. */
int fdstore_remove(Notify *n, const char *name);

/* A parcel is one descriptor that holds others: PID 1 keeps two of the same open file once, under the first name (two
 * queries' stderr may well be one terminal); and whoever opens it has taken them from all who hold it, at once. */
#define PARCEL_FDS_MAX 8u
/* Returns its descriptor, CLOEXEC, or -errno. The @fds stay the caller's; negative ones are left out. */
int parcel_new(const int fds[], size_t n);
/* Take out what is in it, in the order it was put in, into @ret_fds, of which those that were left out are -1.
 * Returns 0, or -ENODATA when it was opened before, -EBADMSG, -errno. */
int parcel_open(int parcel_fd, int ret_fds[], size_t n);
/* The same, of copies: all stays in it, also when there is no room for them (-EMFILE, -ENFILE, -ENOMEM). */
int parcel_look(int parcel_fd, int ret_fds[], size_t n);
