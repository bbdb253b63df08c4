/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/unit_paths.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>

#include "daemon/dependencies.h"

/* The directories of which a unit has its own; of the last two only if homes are hidden from its language. */
static const char *const private_directories[] = { "/tmp", "/var/tmp", "/dev/shm", "/home", "/root" };
#define N_ALWAYS_PRIVATE 3u

static size_t n_private(const Entry *e) {
        return e->home_access == PATH_HIDDEN ? ELEMENTSOF(private_directories) : N_ALWAYS_PRIVATE;
}

static bool is_private_directory(const Entry *e, const char *path) {
        for (size_t i = 0; i < n_private(e); i++)
                if (strcmp(path, private_directories[i]) == 0)
                        return true;
        return false;
}

static bool is_below_private(const Entry *e, const char *path) {
        for (size_t i = 0; i < n_private(e); i++) {
                size_t n = strlen(private_directories[i]);

                if (strncmp(path, private_directories[i], n) == 0 && path[n] == '/')
                        return true;
        }
        return false;
}

void unit_paths_done(UnitPaths *p) {
        strlist_done(&p->read_write);
        strlist_done(&p->bind);
        strlist_done(&p->bind_read_only);
        strlist_done(&p->requisite);
        strlist_done(&p->after);
        strlist_done(&p->files);
}

/* Let the unit see @path as the language says. All is visible read-only by default; what lies where the unit has a
 * directory of its own must be bound in. The unit's own /tmp itself is never replaced by the host's. */
static int add_path(const Entry *e, UnitPaths *p, const char *path, PathAccess access, const FileIdentity *is) {
        bool is_below = is_below_private(e, path);
        char file[80];
        int r;

        if (access == PATH_HIDDEN || is_private_directory(e, path) || (access != PATH_READ_WRITE && !is_below))
                return 0;
        snprintf(file, sizeof(file), "%llu:%llu:%llu", (unsigned long long) is->dev, (unsigned long long) is->ino,
                 (unsigned long long) is->born_nsec);
        p->is_uncertain |= is->born_nsec == 0;
        r = strlist_add(&p->files, file);
        if (r < 0)
                return r;
        return strlist_add(!is_below ? &p->read_write : access == PATH_READ_WRITE ? &p->bind : &p->bind_read_only, path);
}

/* A writable database brings its directory, where its journal and WAL are; not all of /tmp. */
static int add_database(const Entry *e, UnitPaths *p, const PathcheckResult *database) {
        char *copy = strdup(database->resolved);
        const char *directory;
        int r;

        if (!copy)
                return -ENOMEM;
        directory = dirname(copy);
        if (is_private_directory(e, directory))
                r = add_path(e, p, database->resolved, PATH_READ_WRITE, &database->self);
        else
                r = add_path(e, p, directory, PATH_READ_WRITE, &database->above);
        free(copy);
        return r;
}

int unit_paths_collect(const Entry *e, UnitPaths *ret) {
        size_t n;
        int r = 0;

        for (size_t i = 0; i < e->n_paths && r >= 0; i++) {
                const PathcheckResult *p = &e->paths[i];

                if (strcmp(p->key, "working_directory") == 0)
                        r = add_path(e, ret, p->resolved, e->working_directory_access, &p->self);
                else if (strcmp(p->key, "database") == 0 && e->database_access == PATH_READ_WRITE)
                        r = add_database(e, ret, p);
                else
                        r = add_path(e, ret, p->resolved, PATH_READ_ONLY, &p->self);
        }
        n = ret->bind.n + ret->bind_read_only.n;
        if (r >= 0)
                r = entry_dependency_binds(e, &ret->bind, &ret->bind_read_only);
        ret->is_uncertain |= ret->bind.n + ret->bind_read_only.n > n;
        return r < 0 ? r : entry_dependency_units(e, &ret->requisite, &ret->after);
}

bool unit_path_is_usable(const Entry *e, const PathcheckResult *p, Error *error) {
        if (p->error != 0)
                error_set(error, ERROR_INVALID_ARGUMENT, "%s: the caller can't open it: %s", p->key, strerror(p->error));
        else if (is_below_private(e, p->resolved) && strcmp(p->path, p->resolved) != 0)
                error_set(error, ERROR_INVALID_ARGUMENT,
                          "%s: it leads through a symbolic link into a directory that a query has for itself (/tmp and the "
                          "like); name its real path",
                          p->key);
        else if (is_below_private(e, p->path) && !is_below_private(e, p->resolved))
                error_set(error, ERROR_INVALID_ARGUMENT,
                          "%s: it is a symbolic link in a directory that a query has for itself (/tmp and the like); name its "
                          "real path",
                          p->key);
        else if (!p->root_reaches && (is_below_private(e, p->resolved) || strcmp(p->key, "file") != 0))
                error_set(error, ERROR_INVALID_ARGUMENT,
                          "%s: the service manager can't reach it to make it part of the query's sandbox (a FUSE mount?)",
                          p->key);
        return error->code == ERROR_NONE;
}
