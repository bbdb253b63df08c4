/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* worker/launch_record: how a launch lies in its memfd; what launch.c packs and launch_map.c unpacks. */
#pragma once

#include <fcntl.h>
#include <string.h>

#include "worker/launch.h"

#define LAUNCH_SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)
#define LAUNCH_MAGIC UINT32_C(0x434e5453) /* "STNC" */
#define LAUNCH_VERSION 3u
#define FLAG_QUERY_ON_FD 1u
#define FLAG_THP_DISABLE 2u
#define FLAGS_ALL (FLAG_QUERY_ON_FD | FLAG_THP_DISABLE)

/* The record: this header, gids (padded to 8), limits, checks, then the strings, each with its NUL: the directory,
 * argv, envp, the paths of the checks, then with credentials their directory, and name and path of each. Nothing follows, so each count is proved by the total size. */
typedef struct RecordHeader {
        uint32_t magic, version;
        uint64_t size;
        uint32_t uid, gid, umask, stdin_from, flags;
        uint32_t n_gids, n_limits, n_checks, n_argv, n_envp, n_credentials, reserved;
} RecordHeader;

typedef struct RecordLimit {
        uint32_t resource, reserved;
        uint64_t soft, hard;
} RecordLimit;

typedef struct RecordCheck {
        uint32_t kind, reserved;
        uint64_t dev, ino, born_nsec;
} RecordCheck;

static inline size_t align8(size_t n) {
        return (n + 7) & ~(size_t) 7;
}

static inline size_t launch_strings_offset(const RecordHeader *h) {
        return sizeof(RecordHeader) + align8((size_t) h->n_gids * sizeof(uint32_t)) +
               h->n_limits * sizeof(RecordLimit) + h->n_checks * sizeof(RecordCheck);
}

/* The rules that both ends hold. */
static inline bool launch_environment_entry_is_valid(const char *s) {
        return s[0] != '\0' && s[0] != '=' && strchr(s, '=');
}

static inline bool launch_header_is_valid(const RecordHeader *h) {
        return h->magic == LAUNCH_MAGIC && h->version == LAUNCH_VERSION && h->size <= LAUNCH_BYTES_MAX && h->uid != UINT32_MAX &&
               h->gid != UINT32_MAX && h->umask <= 0777 && h->stdin_from <= STDIN_CALLER &&
               (h->flags & ~FLAGS_ALL) == 0 && h->n_gids <= REQUEST_GROUPS_MAX && h->n_limits <= REQUEST_LIMITS_MAX &&
               h->n_checks <= LAUNCH_CHECKS_MAX && h->n_argv >= 1 && h->n_argv <= LAUNCH_ARGV_MAX &&
               h->n_envp <= LAUNCH_ENV_MAX && h->n_credentials <= LAUNCH_CREDENTIALS_MAX && h->reserved == 0;
}

static inline bool launch_gids_are_valid(const uint32_t *gids, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (gids[i] == UINT32_MAX)
                        return false;
        return true;
}

/* What can be a file's name in a directory. */
static inline bool launch_name_is_plain(const char *name) {
        return name[0] != '\0' && name[0] != '.' && !strchr(name, '/') && strlen(name) <= 255;
}
