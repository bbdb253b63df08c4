/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* client/info_get: reading a PenstockInfo. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client/info.h"

EXPORT PenstockType penstock_info_type(const PenstockInfo *i, const char *key) {
        const Field *f = info_find(i, key);

        return f ? f->type : PENSTOCK_TYPE_NONE;
}

EXPORT const char *penstock_info_key(const PenstockInfo *i, size_t index) {
        return index < i->n ? i->v[index].key : NULL;
}

static int field_of_type(const PenstockInfo *i, const char *key, PenstockType type, const Field **ret) {
        const Field *f = info_find(i, key);

        if (!f)
                return -ENOENT;
        if (f->type != type)
                return -EINVAL;
        *ret = f;
        return 0;
}

EXPORT int penstock_info_get_u64(const PenstockInfo *i, const char *key, uint64_t *ret) {
        const Field *f = info_find(i, key);

        if (!f)
                return -ENOENT;
        if (f->type == PENSTOCK_TYPE_I64) {
                if (f->i64 < 0)
                        return -ERANGE;
                *ret = (uint64_t) f->i64;
                return 0;
        }
        if (f->type != PENSTOCK_TYPE_U64)
                return -EINVAL;
        *ret = f->u64;
        return 0;
}

EXPORT int penstock_info_get_i64(const PenstockInfo *i, const char *key, int64_t *ret) {
        const Field *f = info_find(i, key);

        if (!f)
                return -ENOENT;
        if (f->type == PENSTOCK_TYPE_U64) {
                if (f->u64 > INT64_MAX)
                        return -ERANGE;
                *ret = (int64_t) f->u64;
                return 0;
        }
        if (f->type != PENSTOCK_TYPE_I64)
                return -EINVAL;
        *ret = f->i64;
        return 0;
}

EXPORT int penstock_info_get_bool(const PenstockInfo *i, const char *key, bool *ret) {
        const Field *f = NULL;
        int r = field_of_type(i, key, PENSTOCK_TYPE_BOOL, &f);

        if (r < 0)
                return r;
        *ret = f->u64 != 0;
        return 0;
}

EXPORT int penstock_info_get_string(const PenstockInfo *i, const char *key, const char **ret) {
        const Field *f = NULL;
        int r = field_of_type(i, key, PENSTOCK_TYPE_STRING, &f);

        if (r < 0)
                return r;
        *ret = f->string;
        return 0;
}

EXPORT int penstock_info_get_item(const PenstockInfo *i, const char *key, size_t index, const char **ret) {
        const Field *f = NULL;
        int r = field_of_type(i, key, PENSTOCK_TYPE_STRINGS, &f);

        if (r < 0)
                return r;
        if (index >= f->strings.n)
                return -ENOENT;
        *ret = f->strings.v[index];
        return 0;
}

EXPORT int penstock_info_get_pair(const PenstockInfo *i, const char *key, size_t index, const char **ret_key,
                                  const char **ret_value) {
        const Field *f = NULL;
        int r = field_of_type(i, key, PENSTOCK_TYPE_PAIRS, &f);

        if (r < 0)
                return r;
        if (index >= f->pairs.n)
                return -ENOENT;
        *ret_key = f->pairs.v[index].key;
        *ret_value = f->pairs.v[index].value;
        return 0;
}

EXPORT int penstock_info_get_raise(const PenstockInfo *i, size_t index, PenstockRaise *ret) {
        const Field *f = NULL;
        int r = field_of_type(i, "raise_log", PENSTOCK_TYPE_RAISES, &f);

        if (r < 0)
                return r;
        if (index >= f->n_raises)
                return -ENOENT;
        *ret = (PenstockRaise) {
                .at_usec = f->raises[index].at_usec,
                .cause = f->raises[index].cause,
                .old_limit_bytes = f->raises[index].old_bytes,
                .new_limit_bytes = f->raises[index].new_bytes,
                .latency_usec = f->raises[index].latency_usec,
        };
        return 0;
}

EXPORT bool penstock_info_is_ended(const PenstockInfo *i) {
        const char *state;

        if (penstock_info_get_string(i, "state", &state) < 0)
                return false;
        return strcmp(state, "finished") == 0 || strcmp(state, "errored") == 0 || strcmp(state, "canceled") == 0;
}

EXPORT int penstock_info_get_error(const PenstockInfo *i, PenstockError *ret) {
        const char *name, *message = "";

        if (penstock_info_get_string(i, "error_name", &name) < 0 || name[0] == '\0')
                return -ENOENT;
        (void) penstock_info_get_string(i, "error_message", &message);
        if (strncmp(name, BUS_ERROR_PREFIX, strlen(BUS_ERROR_PREFIX)) == 0)
                name += strlen(BUS_ERROR_PREFIX);
        client_error(ret, 0, name, "%s", message);
        return 0;
}
