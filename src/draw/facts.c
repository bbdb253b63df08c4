/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "draw/facts.h"

#include <errno.h>
#include <string.h>

static const struct {
        const char *key;
        size_t offset;
} texts[] = {
        { "id", offsetof(Facts, id) },       { "language", offsetof(Facts, language) }, { "state", offsetof(Facts, state) },
        { "error", offsetof(Facts, error) }, { "verdict", offsetof(Facts, verdict) },
}, numbers[] = {
        { "memory_peak_bytes", offsetof(Facts, memory_peak_bytes) },
        { "memory_max_bytes", offsetof(Facts, memory_max_bytes) },
        { "raises", offsetof(Facts, raises) },
        { "retries", offsetof(Facts, retries) },
        { "execute_usec", offsetof(Facts, execute_usec) },
        { "frozen_usec", offsetof(Facts, frozen_usec) },
};

int facts_set(Facts *f, const char *argument) {
        size_t len = strcspn(argument, "=");

        if (argument[len] == '\0')
                return -EINVAL;
        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                if (strncmp(argument, texts[i].key, len) == 0 && texts[i].key[len] == '\0') {
                        *(const char **) ((char *) f + texts[i].offset) = argument + len + 1;
                        return 0;
                }
        for (size_t i = 0; i < ELEMENTSOF(numbers); i++)
                if (strncmp(argument, numbers[i].key, len) == 0 && numbers[i].key[len] == '\0')
                        return u64_parse(argument + len + 1, (uint64_t *) ((char *) f + numbers[i].offset)) < 0
                                               ? -EINVAL
                                               : 0;
        return -EINVAL;
}
