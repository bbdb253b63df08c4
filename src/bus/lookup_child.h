/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* bus/lookup_child: the side of a look-up that may block. */
#pragma once

#include "core/request.h"

typedef enum LookupKind { LOOKUP_USER, LOOKUP_GROUP } LookupKind;

#define LOOKUP_GROUPS_MAX REQUEST_GROUPS_MAX

/* What the child writes into the pipe. */
typedef struct LookupAnswer {
        int r;
        uint32_t uid, gid, n_gids;
        uint32_t gids[];
} LookupAnswer;

#define LOOKUP_ANSWER_MAX (sizeof(LookupAnswer) + LOOKUP_GROUPS_MAX * sizeof(uint32_t))

/* In the child: answer into @fd, and exit. */
void lookup_child(LookupKind kind, const char *name, int fd) __attribute__((noreturn));
