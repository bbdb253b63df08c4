/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The string half of core/base.h: lists that own their strings, and UTF-8. */
#include "core/base.h"

#include <errno.h>
#include <string.h>

int strlist_add(StrList *l, const char *s) {
        char *copy = strdup(s), **v;

        if (!copy)
                return -ENOMEM;
        v = realloc(l->v, (l->n + 2) * sizeof(*v));
        if (!v) {
                free(copy);
                return -ENOMEM;
        }
        v[l->n++] = copy;
        v[l->n] = NULL;
        l->v = v;
        return 0;
}

int strlist_copy(const StrList *l, StrList *ret) {
        StrList copy = {};

        for (size_t i = 0; i < l->n; i++)
                if (strlist_add(&copy, l->v[i]) < 0) {
                        strlist_done(&copy);
                        return -ENOMEM;
                }
        *ret = copy;
        return 0;
}

void strlist_done(StrList *l) {
        for (size_t i = 0; i < l->n; i++)
                free(l->v[i]);
        free(l->v);
        *l = (StrList) {};
}

bool strlist_has(const StrList *l, const char *s) {
        for (size_t i = 0; i < l->n; i++)
                if (strcmp(l->v[i], s) == 0)
                        return true;
        return false;
}

/* The place of @key, or the number of pairs when it is absent. */
static size_t pairlist_find(const PairList *l, const char *key) {
        size_t i = 0;

        while (i < l->n && strcmp(l->v[i].key, key) != 0)
                i++;
        return i;
}

/* Free the pair at @i and close the gap among @n of them. */
static void pair_drop(PairList *l, size_t i, size_t n) {
        free(l->v[i].key);
        free(l->v[i].value);
        memmove(&l->v[i], &l->v[i + 1], (n - i - 1) * sizeof(*l->v));
}

void pairlist_remove(PairList *l, const char *key) {
        size_t i = pairlist_find(l, key);

        if (i < l->n)
                pair_drop(l, i, l->n--);
}

int pairlist_set(PairList *l, const char *key, const char *value) {
        char *k = strdup(key), *copy = strdup(value);
        size_t i = pairlist_find(l, key);
        StrPair *v = k && copy ? realloc(l->v, (l->n + 1) * sizeof(*v)) : NULL;

        if (!v) {
                free(k);
                free(copy);
                return -ENOMEM;
        }
        v[l->n] = (StrPair) { .key = k, .value = copy };
        l->v = v;
        if (i < l->n)
                pair_drop(l, i, l->n + 1); /* the new one moves down to the end */
        else
                l->n++;
        return 0;
}

int pairlist_merge(PairList *to, const PairList *from) {
        int r = 0;

        for (size_t i = 0; i < from->n && r == 0; i++)
                r = pairlist_set(to, from->v[i].key, from->v[i].value);
        return r;
}

const char *pairlist_get(const PairList *l, const char *key) {
        size_t i = pairlist_find(l, key);

        return i < l->n ? l->v[i].value : NULL;
}

void pairlist_done(PairList *l) {
        for (size_t i = 0; i < l->n; i++) {
                free(l->v[i].key);
                free(l->v[i].value);
        }
        free(l->v);
        *l = (PairList) {};
}

/* U+FDD0 to U+FDEF, and the last two of each plane. */
static bool is_noncharacter(const unsigned char *s, size_t n) {
        if (n == 3 && s[0] == 0xef && s[1] == 0xb7)
                return s[2] >= 0x90 && s[2] <= 0xaf;
        if (n == 3 ? s[0] != 0xef || s[1] != 0xbf : n != 4 || (s[1] & 0x0f) != 0x0f || s[2] != 0xbf)
                return false;
        return s[n - 1] >= 0xbe;
}

/* RFC 3629; table 3-7 of Unicode. */
size_t utf8_char_length(const char *text, size_t len) {
        const unsigned char *s = (const unsigned char *) text;
        unsigned char low = 0x80, high = 0xbf;
        size_t n;

        if (len == 0)
                return 0;
        if (s[0] < 0x80)
                return 1;
        if (s[0] >= 0xc2 && s[0] <= 0xdf)
                n = 2;
        else if (s[0] >= 0xe0 && s[0] <= 0xef)
                n = 3;
        else if (s[0] >= 0xf0 && s[0] <= 0xf4)
                n = 4;
        else
                return 0;
        if (len < n)
                return 0;
        if (s[0] == 0xe0)
                low = 0xa0; /* overlong below */
        else if (s[0] == 0xed)
                high = 0x9f; /* surrogates above */
        else if (s[0] == 0xf0)
                low = 0x90; /* overlong below */
        else if (s[0] == 0xf4)
                high = 0x8f; /* beyond U+10FFFF above */
        if (s[1] < low || s[1] > high)
                return 0;
        for (size_t i = 2; i < n; i++)
                if (s[i] < 0x80 || s[i] > 0xbf)
                        return 0;
        return is_noncharacter(s, n) ? 0 : n;
}

bool utf8_is_valid(const char *s, size_t len) {
        while (len > 0) {
                size_t n = utf8_char_length(s, len);

                if (n == 0)
                        return false;
                s += n;
                len -= n;
        }
        return true;
}
