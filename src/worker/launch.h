/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* worker/launch: how to start one process, packed into a sealed memfd by penstockd and unpacked by the process that
 * becomes the engine. libc only. Decoding allocates nothing, trusts no count or offset, and touches the memfd only
 * once its seals say that nobody can change or cut it any more. */
#pragma once

#include "core/language.h"
#include "core/request.h"

/* Above what a request may hold (core/request.h), since languages and dependencies add their own. */
#define LAUNCH_BYTES_MAX (16 * MIB)
#define LAUNCH_ARGV_MAX (2 * REQUEST_ARGV_MAX)
#define LAUNCH_ENV_MAX 4096u
#define LAUNCH_CHECKS_MAX 64u

typedef enum LaunchCheckKind {
        LAUNCH_CHECK_FILE,      /* must open for reading and be no directory */
        LAUNCH_CHECK_DIRECTORY, /* must be a directory that can be entered */
        LAUNCH_CHECK_STDIN,     /* as FILE; and it becomes descriptor 0: opened as the caller, checked, and kept */
        LAUNCH_CHECK_WRITABLE,  /* a directory that was reached as the caller may be written to in the unit: see worker/child_mounts */
        _LAUNCH_CHECK_MAX,
} LaunchCheckKind;

/* A path that the query names. It is checked in the unit's mount namespace with the caller's credentials. */
typedef struct LaunchCheck {
        const char *path;
        LaunchCheckKind kind;
        /* As statx(2) told penstockd, the last 0 where the file system does not say; compared unless ino is 0, a difference is ESTALE.
         * The time of birth tells apart those that have had the same number one after the other. */
        uint64_t dev, ino, born_nsec;
} LaunchCheck;

#define LAUNCH_CREDENTIALS_MAX CREDENTIALS_MAX

/* A file of the administrator's that the query gets a private copy of: <credentials_directory>/<name>. It is opened as
 * root, before the process becomes the caller, and copied afterwards. */
typedef struct LaunchCredential {
        const char *name, *path; /* what can be a file's name; an absolute path */
} LaunchCredential;

/* A plain value; owns nothing. */
typedef struct Launch {
        uint32_t uid, gid; /* never UINT32_MAX, which setresuid(2) takes for "leave it" */
        const uint32_t *gids;
        size_t n_gids; /* supplementary groups */
        uint32_t umask;
        const RequestLimit *limits; /* clamped to the unit's hard limits; MEMLOCK and CORE are left alone */
        size_t n_limits;
        const char *cwd;   /* absolute */
        char *const *argv; /* NULL-terminated, at least one element, the first not empty: looked up in envp's PATH */
        char *const *envp; /* NULL-terminated, NAME=VALUE; the whole environment. NULL: empty */
        StdinFrom stdin_from; /* STDIN_CALLER without a caller's descriptor is /dev/null */
        bool query_on_fd;     /* the query memfd becomes LANGUAGE_QUERY_FD, opened anew, read-only, offset 0 */
        bool thp_disable;
        const LaunchCheck *checks;
        size_t n_checks;
        const char *credentials_directory; /* absolute; where the caller may make it; unused without credentials */
        const LaunchCredential *credentials;
        size_t n_credentials;
} Launch;

/* Pack @l into a new sealed memfd, readable by root only. Returns its descriptor (CLOEXEC, the caller closes it);
 * -EINVAL for a value that must not be run (uid or gid UINT32_MAX, no argv, a relative path, an environment entry
 * without '='), -E2BIG above a bound, -errno. */
int launch_memfd(const Launch *l);

/* Put a query text into a new sealed memfd that anyone who holds or inherits it may read and nobody can write, at
 * offset 0. Returns its descriptor (CLOEXEC, the caller closes it) or -errno. */
int launch_query_memfd(const char *text, size_t len);

/* A decoded launch and the memory its pointers point into. */
typedef struct LaunchMap {
        Launch launch;
        /* argv with one more element before it, so that a script without "#!" can be handed to /bin/sh:
         * shell_argv[1] is argv[0]. */
        char **shell_argv;
        void *data, *pointers; /* mmap'ed; launch_map_done() */
        size_t data_size, pointers_size;
} LaunchMap;

/* Map and check the memfd @fd. Returns 0; -EBADMSG when it is not sealed or not exactly what launch_memfd() writes;
 * or -errno of fstat(2) or mmap(2); then @ret is untouched. */
int launch_map(int fd, LaunchMap *ret);
void launch_map_done(LaunchMap *m);
