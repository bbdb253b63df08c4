/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/request: what a caller asks for, decoded, bounded and checked. A plain value; owns its strings. libc only. */
#pragma once

#include "core/error.h"

/* Bounds of all that a client sends. Each is there so that one client can't grow penstockd. */
#define REQUEST_QUERY_BYTES_MAX (4 * MIB)
#define REQUEST_ARGV_MAX 4096u
#define REQUEST_ARG_BYTES_MAX (128 * KIB) /* Linux MAX_ARG_STRLEN, NUL included */
#define REQUEST_ARGV_BYTES_MAX (1 * MIB)
#define REQUEST_PAIRS_MAX 256u
#define REQUEST_NAME_BYTES_MAX 255u
#define REQUEST_VALUE_BYTES_MAX (32 * KIB)
#define REQUEST_PAIRS_BYTES_MAX (512 * KIB) /* names and values of one list; exec takes 2 MiB with argv */
#define REQUEST_LABELS_MAX 32u
#define REQUEST_LABEL_BYTES_MAX 255u
#define REQUEST_PATH_BYTES_MAX 4095u
#define REQUEST_GROUPS_MAX 65536u
#define REQUEST_PRIORITY_MAX 1000
/* Credentials of its dependencies, and what they may hold together, as with systemd's own LoadCredential=. */
#define CREDENTIALS_MAX 64u
#define CREDENTIALS_BYTES_MAX (1 * MIB)
/* Less than this and no process starts in the group. A rule of the configuration too. */
#define MEMORY_QUOTA_BYTES_MIN (1 * MIB)

typedef struct RequestLimit {
        int resource;        /* RLIMIT_* */
        uint64_t soft, hard; /* UINT64_MAX: infinity */
} RequestLimit;

#define REQUEST_LIMITS_MAX 16

typedef struct Request {
        char *language;
        char *query; /* NULL: none. NUL-terminated; holds no other NUL */
        size_t query_len;
        StrList argv; /* language "exec", or what follows the query for languages that take arguments */
        char *database, *file, *working_directory; /* absolute paths (database: what the language says) */
        PairList parameters, labels, environment;
        uint64_t memory_initial_bytes, memory_max_bytes; /* 0: as configured */
        int32_t priority;
        uint64_t timeout_usec, queue_timeout_usec; /* USEC_INFINITY: as configured; 0: none */
        StrList dependencies;
        char *user; /* root only: run as this user */
        uint32_t umask;
        RequestLimit limits[REQUEST_LIMITS_MAX];
        size_t n_limits;
        bool detach, once, has_stdin, has_stderr; /* once: RetryOnExhaustion= is not for it */

        /* Who runs it; filled in by the bus from the connection, never by the client. */
        uint32_t uid, gid;
        uint32_t *gids;
        size_t n_gids;
} Request;

#define REQUEST_INIT { .timeout_usec = USEC_INFINITY, .queue_timeout_usec = USEC_INFINITY, .umask = 022 }

/* Check every bound above and what can be said without a configuration: a query, a file or an argv is there, and not
 * both of the first two (an argv may follow either: arguments of a script), absolute clean paths (of the database
 * only the language can say), names of environment variables, parameters and labels, no NUL, UTF-8 where D-Bus needs
 * it. Returns 0, or -EINVAL with @ret_error naming the key, the value's size and the rule. */
int request_validate(const Request *r, Error *ret_error);
void request_done(Request *r); /* frees what it owns and leaves REQUEST_INIT */
