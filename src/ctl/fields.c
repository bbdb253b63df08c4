/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/ctl.h"

uint64_t info_u64(const PenstockInfo *i, const char *key) {
        uint64_t value = 0;

        (void) penstock_info_get_u64(i, key, &value);
        return value;
}

int64_t info_i64(const PenstockInfo *i, const char *key) {
        int64_t value = 0;

        (void) penstock_info_get_i64(i, key, &value);
        return value;
}

bool info_bool(const PenstockInfo *i, const char *key) {
        bool value = false;

        (void) penstock_info_get_bool(i, key, &value);
        return value;
}

const char *info_string(const PenstockInfo *i, const char *key) {
        const char *value = "";

        (void) penstock_info_get_string(i, key, &value);
        return value;
}
