/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/complete.h"

#include <string.h>

/* Each option of any verb that takes a value; tests/lint/check_help.py misses those that are not here. */
static const struct {
        const char *name;
        Completer complete; /* NULL: there is nothing to offer */
} options[] = {
        { "language", complete_languages },
        { "database", complete_files },
        { "file", complete_files },
        { "param", NULL },
        { "env", complete_variables },
        { "memory-initial", complete_sizes },
        { "memory-max", complete_sizes },
        { "priority", complete_priorities },
        { "timeout", complete_durations },
        { "queue-timeout", complete_durations },
        { "label", complete_labels },
        { "dependency", complete_dependencies },
        { "user", complete_users },
        { "working-directory", complete_directories },
        { "set", complete_settings },
        { "memory", complete_sizes },
        { "growth", NULL },
        { "seed", NULL },
        { "count", NULL },
        { "queries", NULL },
        { "only", NULL },
        { "record", complete_files },
        { "delay", complete_durations },
        { "iterations", NULL },
        { "sort", complete_columns },
        { "filter", NULL },
        { "since", complete_times },
        { "until", complete_times },
        { "state", complete_ends },
        { "error", complete_errors },
        { "min-peak", complete_sizes },
        { "limit", NULL },
        { "plot", complete_files },
        { "svg", complete_files },
        { "png", complete_files },
        { "width", NULL },
        { "height", NULL },
};

Completer complete_option(const char *option) {
        for (size_t i = 0; i < ELEMENTSOF(options); i++)
                if (strcmp(options[i].name, option) == 0)
                        return options[i].complete;
        return NULL;
}

/* "  -q, --quiet  show no line; …": the words behind two blanks, or on the next line, up to a semicolon. */
void option_description(const char *help, const char *name, char *buf, size_t size) {
        size_t n = strlen(name);
        const char *p = help;

        buf[0] = '\0';
        while ((p = strstr(p, "--"))) {
                p += 2;
                if (strncmp(p, name, n) != 0 || (p[n] != ' ' && p[n] != '\n'))
                        continue;
                p = strstr(p, "  ");
                if (!p)
                        return;
                p += strspn(p, " ");
                snprintf(buf, size, "%.*s", (int) strcspn(p, ";\n"), p);
                return;
        }
}
