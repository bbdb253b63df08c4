/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Properties that are lists. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

#include "core/words.h"
#include "host/systemd_props_lists.h"

/* systemd writes a path to the unit's file in /run without escaping it, so a newline in a directory's name would be
 * read as another setting at the next daemon-reload. And from 255 on it hands BindPaths= to its executor with colons
 * and blanks escaped but not quotes, which are taken off there: "/tmp/a'b" then names another path than was checked.
 */
bool props_path_can_pass(const char *path, bool bound) {
        if (!path_is_clean(path) || !utf8_is_valid(path, strlen(path)))
                return false;
        for (const char *p = path; *p; p++)
                if ((unsigned char) *p < 0x20 || *p == 0x7f || (bound && (*p == '\'' || *p == '"')))
                        return false;
        return true;
}

int props_check_paths(const StrList *paths, Error *ret_error) {
        for (size_t i = 0; paths && i < paths->n; i++)
                if (!props_path_can_pass(paths->v[i], true))
                        return error_set(ret_error, ERROR_INVALID_ARGUMENT,
                                         "a path can't be made visible in the query's sandbox: it holds a control character or a "
                                         "quote, is not UTF-8, or is not absolute and plain");
        return 0;
}

int props_open(sd_bus_message *m, const char *name, const char *type) {
        int r = sd_bus_message_open_container(m, 'r', "sv");

        if (r >= 0)
                r = sd_bus_message_append(m, "s", name);
        return r < 0 ? r : sd_bus_message_open_container(m, 'v', type);
}

int props_close(sd_bus_message *m) {
        int r = sd_bus_message_close_container(m);

        return r < 0 ? r : sd_bus_message_close_container(m);
}

int props_append_paths(sd_bus_message *m, const char *name, const StrList *paths) {
        char prefixed[4096 + 2];
        int r;

        if (!paths || paths->n == 0)
                return 0;
        r = props_open(m, name, "as");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "s");
        for (size_t i = 0; r >= 0 && i < paths->n; i++) {
                if ((size_t) snprintf(prefixed, sizeof prefixed, "-%s", paths->v[i]) >= sizeof prefixed)
                        return -ENAMETOOLONG;
                r = sd_bus_message_append(m, "s", prefixed);
        }
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : props_close(m);
}

int props_append_binds(sd_bus_message *m, const char *name, const StrList *paths) {
        int r;

        if (!paths || paths->n == 0)
                return 0;
        r = props_open(m, name, "a(ssbt)");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "(ssbt)");
        for (size_t i = 0; r >= 0 && i < paths->n; i++)
                r = sd_bus_message_append(m, "(ssbt)", paths->v[i], paths->v[i], 1, (uint64_t) MS_REC);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : props_close(m);
}

int props_append_strings(sd_bus_message *m, const char *name, const char *const *v, size_t n) {
        int r = props_open(m, name, "as");

        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "s");
        for (size_t i = 0; r >= 0 && i < n; i++)
                r = sd_bus_message_append(m, "s", v[i]);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : props_close(m);
}

/* One property for both: a second one would need to repeat the first. */
int props_append_filter(sd_bus_message *m, const char *name, const char *const *ours, size_t n,
                        const PairList *extra) {
        CLEANUP(strlist_done) StrList words = {};
        const char *more = extra ? pairlist_get(extra, name) : NULL;
        int r = more ? words_split(more, &words) : 0;

        if (r >= 0)
                r = props_open(m, name, "(bas)");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'r', "bas");
        if (r >= 0)
                r = sd_bus_message_append(m, "b", 1);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "s");
        for (size_t i = 0; r >= 0 && i < n; i++)
                r = sd_bus_message_append(m, "s", ours[i]);
        for (size_t i = 0; r >= 0 && i < words.n; i++)
                r = sd_bus_message_append(m, "s", words.v[i]);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : props_close(m);
}
