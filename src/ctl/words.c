/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "ctl/request_options.h"

static const char *take_first(Words *w) {
        const char *first = w->v[0];

        w->v++;
        w->n--;
        return first;
}

CommandFault command_from_words(const char *language, const char *file, Words before, Words after, Command *ret) {
        Command c = { .language = language, .before = before, .after = after };

        if (!language) {
                if (before.n > 0 || after.n == 0)
                        return COMMAND_NO_LANGUAGE;
                c.language = "exec";
        }
        if (strcmp(c.language, "exec") == 0) {
                if (before.n + after.n == 0)
                        return COMMAND_NO_ARGV;
        } else if (!file) {
                if (before.n > 0) {
                        c.query = take_first(&c.before);
                        c.query_is_stdin = strcmp(c.query, "-") == 0;
                } else if (after.n > 0)
                        c.query = take_first(&c.after);
                else
                        return COMMAND_NO_QUERY;
        }
        *ret = c;
        return COMMAND_GOOD;
}
