/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/words.h"

#include <errno.h>
#include <string.h>

static bool is_blank(char c) {
        return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* The character that an escape stands for; 0 when it stands for none. */
static char unescape(char c) {
        switch (c) {
        case 'n': return '\n';
        case 't': return '\t';
        case 's': return ' ';
        case '\\':
        case '"':
        case '\'': return c;
        default: return '\0';
        }
}

/* Read one word at *@text into @buf, which is as long as the text, and move behind it. */
static int word_read(const char **text, char *buf) {
        const char *s = *text;
        char quote = '\0';

        for (; *s && (quote || !is_blank(*s)); s++) {
                if (*s == quote) {
                        quote = '\0';
                } else if (!quote && (*s == '"' || *s == '\'')) {
                        quote = *s;
                } else if (*s == '\\' && quote != '\'') {
                        *buf = unescape(*++s);
                        if (*buf++ == '\0')
                                return -EINVAL;
                } else {
                        *buf++ = *s;
                }
        }
        if (quote)
                return -EINVAL;
        *buf = '\0';
        *text = s;
        return 0;
}

int words_split(const char *text, StrList *ret) {
        CLEANUP(freep) char *buf = malloc(strlen(text) + 1);
        CLEANUP(strlist_done) StrList words = {};
        int r = 0;

        if (!buf)
                return -ENOMEM;
        for (;;) {
                while (is_blank(*text))
                        text++;
                if (!*text)
                        break;
                r = word_read(&text, buf);
                if (r == 0)
                        r = strlist_add(&words, buf);
                if (r < 0)
                        return r;
        }
        if (ret->n == 0) {
                strlist_done(ret);
                *ret = words;
                words = (StrList) {};
                return 0;
        }
        for (size_t i = 0, n = ret->n; i < words.n; i++)
                if (strlist_add(ret, words.v[i]) < 0) {
                        while (ret->n > n)
                                free(ret->v[--ret->n]);
                        ret->v[n] = NULL;
                        return -ENOMEM;
                }
        return 0;
}
