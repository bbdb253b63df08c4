/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzz/fuzz: what the targets share. A target is one function over bytes that ends the process when a promise is
 * broken. It is linked with libFuzzer (-Dfuzz=enabled, clang), which makes the bytes up, or with replay.c, which takes
 * them from the files of tests/fuzz/corpus. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PROMISE(holds, ...)                                                       \
        do {                                                                      \
                if (!(holds)) {                                                   \
                        fprintf(stderr, "%s:%d: broken: ", __FILE__, __LINE__);   \
                        fprintf(stderr, __VA_ARGS__);                             \
                        fputc('\n', stderr);                                      \
                        abort();                                                  \
                }                                                                 \
        } while (0)

/* The input, as it is used up; behind its end there are zeros. */
typedef struct Bytes {
        const uint8_t *p;
        size_t n;
} Bytes;

static inline uint8_t bytes_u8(Bytes *b) {
        if (b->n == 0)
                return 0;
        b->n--;
        return *b->p++;
}

static inline uint64_t bytes_number(Bytes *b, size_t n) {
        uint64_t v = 0;

        while (n-- > 0)
                v = v << 8 | bytes_u8(b);
        return v;
}

/* Up to @max bytes, as many as the next byte says, as a string that ends before its first NUL. free() it. */
static inline char *bytes_string(Bytes *b, size_t max) {
        size_t n = bytes_u8(b);
        char *s;

        n = n < max ? n : max;
        n = n < b->n ? n : b->n;
        s = calloc(1, n + 1);
        if (!s)
                abort();
        if (n > 0)
                memcpy(s, b->p, n);
        b->p += n;
        b->n -= n;
        return s;
}

/* Fills @to, and what the input has no bytes for with zeros. */
static inline void bytes_copy(Bytes *b, void *to, size_t size) {
        size_t n = size < b->n ? size : b->n;

        memset(to, 0, size);
        if (n > 0)
                memcpy(to, b->p, n);
        b->p += n;
        b->n -= n;
}

/* The input as a string; a text is what comes before its first NUL. free() it. */
static inline char *bytes_text(const uint8_t *data, size_t size) {
        char *s = malloc(size + 1);

        if (!s)
                abort();
        if (size > 0)
                memcpy(s, data, size);
        s[size] = 0;
        return s;
}
