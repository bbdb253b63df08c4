/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The allowlist of core/language: extra unit properties that a language's [Sandbox] may set. */
#include "core/language.h"
#include "core/words.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

/* Each entry loosens or tunes one query's sandbox; none can reach its memory limits, its group or its user. */
static const UnitProperty properties[] = {
        { "CPUWeight", UNIT_PROPERTY_U64, 1, 10000 },
        { "IOWeight", UNIT_PROPERTY_U64, 1, 10000 },
        { "InaccessiblePaths", UNIT_PROPERTY_PATHS, 0, 0 },
        { "LimitNOFILE", UNIT_PROPERTY_U64, 16, 1048576 },
        { "LockPersonality", UNIT_PROPERTY_BOOL, 0, 0 },
        { "MemoryDenyWriteExecute", UNIT_PROPERTY_BOOL, 0, 0 },
        { "Nice", UNIT_PROPERTY_I32, -20, 19 },
        { "PrivateDevices", UNIT_PROPERTY_BOOL, 0, 0 },
        { "ReadOnlyPaths", UNIT_PROPERTY_PATHS, 0, 0 },
        { "ReadWritePaths", UNIT_PROPERTY_PATHS, 0, 0 },
        { "RestrictAddressFamilies", UNIT_PROPERTY_FILTER, 0, 0 },
        { "RestrictRealtime", UNIT_PROPERTY_BOOL, 0, 0 },
        { "SystemCallFilter", UNIT_PROPERTY_FILTER, 0, 0 },
};

const UnitProperty *unit_property_find(const char *name) {
        for (size_t i = 0; i < ELEMENTSOF(properties); i++)
                if (strcmp(properties[i].name, name) == 0)
                        return &properties[i];
        return NULL;
}

static bool number_is_valid(const UnitProperty *p, const char *value) {
        bool negative = value[0] == '-' && p->min < 0;
        uint64_t n;

        if (u64_parse(value + negative, &n) < 0 || n > INT64_MAX)
                return false;
        return negative ? -(int64_t) n >= p->min : (int64_t) n >= p->min && (int64_t) n <= p->max;
}

static bool word_is_valid(const UnitProperty *p, const char *word) {
        static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";

        if (p->type == UNIT_PROPERTY_PATHS)
                return path_is_clean(word);
        if (p->type == UNIT_PROPERTY_FILTER && word[0] == '@')
                word++;
        return word[0] != '\0' && word[strspn(word, plain)] == '\0';
}

int unit_property_check(const UnitProperty *p, const char *value) {
        CLEANUP(strlist_done) StrList words = {};
        bool b;
        int r;

        if (p->type == UNIT_PROPERTY_BOOL)
                return bool_parse(value, &b);
        if (p->type == UNIT_PROPERTY_U64 || p->type == UNIT_PROPERTY_I32)
                return number_is_valid(p, value) ? 0 : -EINVAL;
        r = words_split(value, &words);
        for (size_t i = 0; r == 0 && i < words.n; i++)
                if (!word_is_valid(p, words.v[i]))
                        r = -EINVAL;
        return r;
}
