/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "ctl/request_options.h"

int path_resolve(const char *path, char **ret) {
        CLEANUP(freep) char *parent = NULL, *resolved = NULL;
        const char *last, *slash;
        char *joined;

        resolved = realpath(path, NULL);
        if (resolved) {
                *ret = resolved;
                resolved = NULL;
                return 0;
        }
        if (errno != ENOENT)
                return -errno;
        slash = strrchr(path, '/');
        last = slash ? slash + 1 : path;
        if (last[0] == '\0' || strcmp(last, ".") == 0 || strcmp(last, "..") == 0)
                return -ENOENT;
        parent = slash ? strndup(path, (size_t) (slash - path + 1)) : strdup(".");
        if (!parent)
                return -ENOMEM;
        resolved = realpath(parent, NULL);
        if (!resolved)
                return -errno;
        if (asprintf(&joined, "%s/%s", strcmp(resolved, "/") == 0 ? "" : resolved, last) < 0)
                return -ENOMEM;
        *ret = joined;
        return 0;
}

/* "host=/run/postgresql dbname=sales": what PostgreSQL's programs take. */
static bool is_conninfo(const char *database) {
        size_t n = strspn(database, "abcdefghijklmnopqrstuvwxyz_");

        return n > 0 && database[n + strspn(database + n, " ")] == '=';
}

bool database_is_path(const char *database) {
        struct stat st;

        if (strstr(database, "://"))
                return false;
        if (lstat(database, &st) == 0)
                return true;
        /* ":memory:" is no file; "missing.db" is one whose absence should be told by its path. */
        return database[0] != ':' && !is_conninfo(database) && strpbrk(database, "/.");
}
