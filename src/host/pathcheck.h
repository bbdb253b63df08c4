/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* host/pathcheck: looks at paths as the caller, off the loop. A short-lived child takes the caller's groups, gid and
 * uid, resolves and opens each path, and reports through a pipe; FUSE and NFS may hang, so it has a time limit.
 *
 * Why: root binds such a path into the query's unit, and a bind mount leaves out the permissions of the directories
 * above it. So what the caller can't reach by himself must not be bound; and what he saw (device and inode) is
 * compared once more by the engine's process after it became the caller.
 *
 * The child sees what this process sees: penstockd must not have a /tmp or a home of its own (PrivateTmp=,
 * ProtectHome=), or it would judge other files than those that PID 1 binds. What is mounted read-only is asked of PID 1's mounts. */
#pragma once

#include <sys/types.h>
#include <systemd/sd-event.h>

#include "core/language.h"

#define PATHCHECK_TIMEOUT_USEC (10 * USEC_PER_SEC)

typedef enum PathcheckKind { PATHCHECK_FILE, PATHCHECK_DIRECTORY } PathcheckKind;

typedef struct PathcheckItem {
        const char *key; /* a static name, for messages: "database" */
        const char *path;
        PathcheckKind kind; /* a file must be readable, a directory enterable */
        PathAccess access;  /* that its query shall have */
} PathcheckItem;

#define PATHCHECK_ITEMS_MAX 16

typedef struct PathcheckRequest {
        uid_t uid;
        gid_t gid;
        const uint32_t *gids;
        size_t n_gids;
        const PathcheckItem *items;
        size_t n_items;
} PathcheckRequest;

/* Which file it is, and not another one that has got its number since: that is told by when it came to be. */
typedef struct FileIdentity {
        uint64_t dev, ino, born_nsec; /* 0: the file system does not say */
} FileIdentity;

typedef struct PathcheckResult {
        const char *key;       /* of the item */
        char *path, *resolved; /* as asked for; without symbolic links, NULL when @error is set */
        int error;             /* errno, positive; 0: it is what it should be */
        bool is_directory, is_writable;
        /* On the host, for everybody: the directory, or the one that the file is in. Looked at only for one who shall write; true also
         * when it can't be told. */
        bool is_mounted_read_only;
        /* Root finds the same under this name. If not (FUSE keeps root out, a link leads elsewhere for root), it
         * can't be bound or made writable in a unit: PID 1 does that as root, and the unit would not start. */
        bool root_reaches;
        FileIdentity self, above; /* its own, and that of the directory that it is in */
} PathcheckResult;

typedef struct Pathcheck Pathcheck;

/* @r 0: @results (owned by the receiver, pathcheck_results_free()); else -ETIMEDOUT, or -errno, and no results.
 * May free the Pathcheck. */
typedef void (*PathcheckDone)(int r, PathcheckResult *results, size_t n, void *userdata);

/* Start to look. Copies the request. Returns 0, or -errno; then @on_done is never called. */
int pathcheck_start(sd_event *event, const PathcheckRequest *request, PathcheckDone on_done, void *userdata,
                    Pathcheck **ret);
/* Kills the child if it still runs; on_done is not called any more. Takes NULL, returns NULL. */
Pathcheck *pathcheck_free(Pathcheck *p);
void pathcheck_results_free(PathcheckResult *results, size_t n);
