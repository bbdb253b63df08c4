/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/envfile.h"

#include <errno.h>
#include <string.h>

static bool is_blank(char c) {
        return c == ' ' || c == '\t' || c == '\r';
}

static char *strip(char *s) {
        size_t n;

        while (is_blank(*s))
                s++;
        for (n = strlen(s); n > 0 && is_blank(s[n - 1]); n--)
                s[n - 1] = '\0';
        return s;
}

/* The value at @s, in place. NULL: none that is read the same way by systemd. */
static char *value_read(char *s) {
        char quote = *s, *to = s, *from = s + 1;

        if (quote != '"' && quote != '\'')
                return strpbrk(s, "\"'\\") ? NULL : s;
        for (; *from != quote; from++) {
                if (*from == '\\' && quote == '"' && !strchr("\\\"$`", *++from))
                        return NULL;
                if (*from == '\0')
                        return NULL;
                *to++ = *from;
        }
        *to = '\0';
        return from[1] == '\0' ? s : NULL;
}

static int line_apply(char *line, PairList *l) {
        char *name = strip(line), *value;

        if (name[0] == '\0' || name[0] == '#' || name[0] == ';')
                return 0;
        value = strchr(name, '=');
        if (!value)
                return -EINVAL;
        *value++ = '\0';
        name = strip(name);
        value = value_read(strip(value));
        return value && identifier_is_valid(name) ? pairlist_set(l, name, value) : -EINVAL;
}

int envfile_parse(const char *text, size_t len, PairList *l, unsigned *ret_line) {
        CLEANUP(freep) char *copy = malloc(len + 1);
        char *line = copy;
        int r = 0;

        if (!copy)
                return -ENOMEM;
        memcpy(copy, text, len);
        copy[len] = '\0';
        *ret_line = 1;
        if (strlen(copy) < len || !utf8_is_valid(copy, len))
                return -EINVAL;
        for (; r == 0 && line; (*ret_line)++) {
                char *end = strchr(line, '\n');

                if (end)
                        *end = '\0';
                r = line_apply(line, l);
                if (r == 0 && l->n > ENVFILE_VARIABLES_MAX)
                        r = -E2BIG;
                if (r < 0)
                        return r;
                line = end ? end + 1 : NULL;
        }
        return r;
}
