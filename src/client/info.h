/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* client/info: the inside of a PenstockInfo, for its two files. */
#pragma once

#include "client/internal.h"

typedef struct Raise {
        uint64_t at_usec;
        char *cause;
        uint64_t old_bytes, new_bytes, latency_usec;
} Raise;

typedef struct Field {
        char *key;
        PenstockType type;
        union {
                uint64_t u64; /* also a boolean */
                int64_t i64;
                char *string;
                StrList strings;
                PairList pairs;
                struct {
                        Raise *raises;
                        size_t n_raises;
                };
        };
} Field;

struct PenstockInfo {
        unsigned n_ref;
        Field *v;
        size_t n;
};

const Field *info_find(const PenstockInfo *i, const char *key);
char *info_key_from_name(const char *name);
