/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/base: the few things every room uses: units, text to numbers, cleanup. libc only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define USEC_PER_MSEC UINT64_C(1000)
#define USEC_PER_SEC UINT64_C(1000000)
#define USEC_INFINITY UINT64_MAX
#define SIZE_INFINITY UINT64_MAX /* a size without limit; the kernel's "max" */

#define ELEMENTSOF(a) (sizeof(a) / sizeof((a)[0]))
/* No calls that change something in these: an argument is evaluated twice (tests/lint/check_layers.py). */
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define CLEANUP(f) __attribute__((cleanup(f)))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))

static inline void freep(void *p) {
        free(*(void **) p);
}

/* Close @f of open_memstream(), whose text is *@text. Returns 0, or -ENOMEM when not all of it is there: glibc's fclose() does not
 * tell of its last realloc(), which leaves NULL for a text. *@text is the caller's in any case. */
int memstream_close(FILE *f, char *const *text);
/* Hand over what @f still keeps. Returns 0, or -errno when that, or anything before, could not be written: a reason
 * that stdio has forgotten is the errno that is there, or EIO. */
int stream_flush(FILE *f);

/* Read a size: an unsigned decimal number, perhaps with a fraction ("1.5G"), then K, M, G or T (1024, "KiB" and "KB"
 * are taken too), or "%" of @ram_bytes (100% at most), or "infinity". Surrounding blanks are ignored.
 * Returns 0, -EINVAL for other text (also a sign, and "%" when @ram_bytes is 0), or -ERANGE for more than 2^63 - 1
 * bytes or of 100%; then *@ret_bytes is untouched. */
int size_parse(const char *text, uint64_t ram_bytes, uint64_t *ret_bytes);

/* Read a time span the systemd way: "90", "1min 30s", "100ms", "2h", "infinity"; a bare number is in seconds.
 * Returns 0, -EINVAL or -ERANGE; then *@ret_usec is untouched. */
int duration_parse(const char *text, uint64_t *ret_usec);

/* Read "yes", "no" and their synonyms (1 0 true false on off). Returns 0 or -EINVAL. */
int bool_parse(const char *text, bool *ret);

/* Read an unsigned decimal number, nothing else; "infinity" gives UINT64_MAX. Returns 0, -EINVAL or -ERANGE. */
int u64_parse(const char *text, uint64_t *ret);

#define SIZE_TEXT_MAX 32
/* Write @bytes as people read it ("64M", "1.5G", "64.0M" for a little more, "infinity") into @buf; returns @buf. */
const char *size_format(uint64_t bytes, char buf[static SIZE_TEXT_MAX]);
/* Write @bytes exactly, as short as size_parse() can read it back ("64M", "1536M", "4097"); returns @buf. */
const char *size_format_exact(uint64_t bytes, char buf[static SIZE_TEXT_MAX]);
/* Write @usec exactly, as duration_parse() can read it back ("1min 30s", "0", "infinity"); returns @buf. */
#define DURATION_TEXT_MAX 96
const char *duration_format(uint64_t usec, char buf[static DURATION_TEXT_MAX]);

/* @a × @b, or UINT64_MAX when that does not fit (infinity times anything but 0 stays infinity). */
uint64_t multiply_saturating(uint64_t a, uint64_t b);
/* @a + @b, or UINT64_MAX: for sizes and for times, which both have that as infinity. */
uint64_t add_saturating(uint64_t a, uint64_t b);
/* @a - @b, or 0. */
uint64_t subtract_saturating(uint64_t a, uint64_t b);

/* A growing list of strings; owns them. Zero-initialise. */
typedef struct StrList {
        char **v; /* NULL-terminated once anything was added, so that it serves as an argv */
        size_t n;
} StrList;

/* Append a copy of @s. Returns 0 or -ENOMEM; then the list is unchanged. */
int strlist_add(StrList *l, const char *s);
int strlist_copy(const StrList *l, StrList *ret); /* @ret must be empty; 0 or -ENOMEM */
void strlist_done(StrList *l);                    /* leaves an empty list */
bool strlist_has(const StrList *l, const char *s);

typedef struct StrPair {
        char *key, *value;
} StrPair;

/* A growing list of key and value; owns them. Zero-initialise. Keys are unique: a later one replaces, at the end. */
typedef struct PairList {
        StrPair *v;
        size_t n;
} PairList;

int pairlist_set(PairList *l, const char *key, const char *value); /* 0 or -ENOMEM; then unchanged */
int pairlist_merge(PairList *to, const PairList *from); /* set each of @from; 0 or -ENOMEM, when some are not set */
const char *pairlist_get(const PairList *l, const char *key);      /* NULL when absent */
void pairlist_remove(PairList *l, const char *key);                /* does nothing when absent */
void pairlist_done(PairList *l);

/* The bytes of the UTF-8 character at @s (no surrogates, no overlong forms, and no noncharacters: sd-bus makes no message of those,
 * nor reads one). 0: none is there that is whole. */
size_t utf8_char_length(const char *s, size_t len);

/* True if @s is valid UTF-8 that a message on the bus can have. */
bool utf8_is_valid(const char *s, size_t len);

/* True if @path is absolute and has neither "//" nor "." nor ".." nor a slash at its end (but for "/" itself). */
bool path_is_clean(const char *path);

/* True if @s can name an environment variable, a label or a parameter: [A-Za-z_][A-Za-z0-9_]*. */
bool identifier_is_valid(const char *s);
