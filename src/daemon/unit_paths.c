/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/unit_paths.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>

#include "core/words.h"
#include "daemon/dependencies.h"

/* The directories of which a unit has its own; of the last two only if homes are hidden from its language. */
static const char *const private_directories[] = { "/tmp", "/var/tmp", "/dev/shm", "/home", "/root" };
#define N_ALWAYS_PRIVATE 3u

static size_t n_private(const Entry *e) {
        return e->home_access == PATH_HIDDEN ? ELEMENTSOF(private_directories) : N_ALWAYS_PRIVATE;
}

/* Of @path the first @n bytes. */
static bool is_private_directory(const Entry *e, const char *path, size_t n) {
        for (size_t i = 0; i < n_private(e); i++)
                if (strlen(private_directories[i]) == n && strncmp(path, private_directories[i], n) == 0)
                        return true;
        return false;
}

static bool path_is_or_is_below(const char *path, const char *top) {
        size_t n = strlen(top);

        return strncmp(path, top, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

static bool is_below_private(const Entry *e, const char *path) {
        for (size_t i = 0; i < n_private(e); i++)
                if (path_is_or_is_below(path, private_directories[i]) && strcmp(path, private_directories[i]) != 0)
                        return true;
        return false;
}

void unit_paths_done(UnitPaths *p) {
        strlist_done(&p->bind);
        strlist_done(&p->bind_read_only);
        strlist_done(&p->requisite);
        strlist_done(&p->after);
        strlist_done(&p->files);
}

/* ---- what the caller named ---- */

/* Not what is the kernel's: it says by itself who may write to what, and nobody works there. */
static bool is_of_kernel(const char *path) {
        return strcmp(path, "/") == 0 || path_is_or_is_below(path, "/proc") || path_is_or_is_below(path, "/sys") ||
               path_is_or_is_below(path, "/dev");
}

static bool is_in_any(const char *path, const StrList *l) {
        for (size_t i = 0; i < l->n; i++)
                if (path_is_or_is_below(path, l->v[i] + (l->v[i][0] == '-')))
                        return true;
        return false;
}

/* Its language, or a dependency, says that it is read-only. */
static int is_kept_read_only(const Entry *e, const char *path) {
        const char *text = pairlist_get(&e->unit_properties, "ReadOnlyPaths");
        CLEANUP(strlist_done) StrList words = {};
        int r = text ? words_split(text, &words) : 0;

        if (r < 0)
                return r;
        for (size_t i = 0; i < e->dependencies.n; i++)
                if (is_in_any(path, &e->dependencies.v[i].bind_read_only_paths))
                        return true;
        return is_in_any(path, &words);
}

typedef struct Given {
        char *path;
        const FileIdentity *is;
        bool is_bound; /* it lies where the unit has a directory of its own, so all of it is bound in; else it is there, read-only */
        bool is_directory, read_write;
        bool is_part; /* of another one that is bound */
} Given;

typedef struct GivenList {
        Given v[UNIT_PATHS_MAX];
        size_t n;
} GivenList;

static void given_done(GivenList *l) {
        for (size_t i = 0; i < l->n; i++)
                free(l->v[i].path);
}

/* Where the unit sees it read-only as it is. 1: it may be made writable; 0: it stays as it is; or -errno. */
static int may_become_writable(const Entry *e, const Given *g, const PathcheckResult *p) {
        int kept;

        if (!g->read_write || !g->is_directory || p->is_mounted_read_only || is_of_kernel(g->path))
                return 0;
        kept = is_kept_read_only(e, g->path);
        return kept < 0 ? kept : !kept;
}

/* Let the unit see a path as the language says. The unit's own /tmp itself is never replaced by the host's. */
static int add_path(const Entry *e, GivenList *l, const PathcheckResult *p, bool above, PathAccess access) {
        Given g = { .path = strdup(p->resolved),
                    .is = above ? &p->above : &p->self,
                    .is_directory = above || p->is_directory,
                    .read_write = access == PATH_READ_WRITE };
        int wanted;

        if (!g.path)
                return -ENOMEM;
        if (above)
                g.path = dirname(g.path);
        g.is_bound = is_below_private(e, g.path);
        if (access == PATH_HIDDEN || is_private_directory(e, g.path, strlen(g.path)))
                wanted = 0;
        else
                wanted = g.is_bound ? 1 : may_become_writable(e, &g, p);
        if (wanted > 0)
                l->v[l->n++] = g;
        else
                free(g.path);
        return MIN(wanted, 0);
}

/* PID 1 mounts by path, and the caller can rename what is in a directory of his. So nothing is bound into what is bound: the outer one
 * is given what the inner one would have been. */
static void merge_nested(GivenList *l) {
        for (size_t i = 0; i < l->n; i++)
                for (size_t k = 0; k < l->n; k++) {
                        Given *inner = &l->v[i], *outer = &l->v[k];

                        if (i == k || !inner->is_bound || !outer->is_bound || !path_is_or_is_below(inner->path, outer->path) ||
                            (strcmp(inner->path, outer->path) == 0 && i < k))
                                continue;
                        outer->read_write |= inner->read_write;
                        inner->is_part = true;
                }
}

/* A writable database brings its directory, where its journal and WAL are; not all of /tmp. */
static bool brings_its_directory(const Entry *e, const PathcheckResult *database) {
        return !is_private_directory(e, database->resolved, (size_t) (strrchr(database->resolved, '/') - database->resolved));
}

static int collect_given(const Entry *e, GivenList *l) {
        int r = 0;

        for (size_t i = 0; i < e->n_paths && r >= 0; i++) {
                const PathcheckResult *p = &e->paths[i];

                if (strcmp(p->key, "working_directory") == 0)
                        r = add_path(e, l, p, false, e->working_directory_access);
                else if (strcmp(p->key, "database") == 0 && e->database_access == PATH_READ_WRITE)
                        r = add_path(e, l, p, brings_its_directory(e, p), PATH_READ_WRITE);
                else
                        r = add_path(e, l, p, false, PATH_READ_ONLY);
        }
        merge_nested(l);
        return r;
}

/* ---- what becomes of it ---- */

static int bind_given(const Given *g, UnitPaths *p) {
        char file[80];
        int r;

        snprintf(file, sizeof(file), "%llu:%llu:%llu", (unsigned long long) g->is->dev, (unsigned long long) g->is->ino,
                 (unsigned long long) g->is->born_nsec);
        p->is_uncertain |= g->is->born_nsec == 0;
        r = strlist_add(&p->files, file);
        return r < 0 ? r : strlist_add(g->read_write ? &p->bind : &p->bind_read_only, g->path);
}

int unit_paths_collect(const Entry *e, UnitPaths *ret) {
        CLEANUP(given_done) GivenList l = {};
        size_t n;
        int r = collect_given(e, &l);

        for (size_t i = 0; i < l.n && r >= 0; i++)
                if (l.v[i].is_bound && !l.v[i].is_part)
                        r = bind_given(&l.v[i], ret);
        n = ret->bind.n + ret->bind_read_only.n;
        if (r >= 0)
                r = entry_dependency_binds(e, &ret->bind, &ret->bind_read_only);
        ret->is_uncertain |= ret->bind.n + ret->bind_read_only.n > n;
        return r < 0 ? r : entry_dependency_units(e, &ret->requisite, &ret->after);
}

int unit_paths_checks(const Entry *e, LaunchCheck checks[static UNIT_PATHS_MAX], StrList *texts, size_t *ret_n) {
        CLEANUP(given_done) GivenList l = {};
        size_t n = 0;
        int r = collect_given(e, &l);

        for (size_t i = 0; i < l.n && r >= 0; i++) {
                const Given *g = &l.v[i];

                if (!g->is_directory)
                        continue;
                r = strlist_add(texts, g->path);
                checks[n++] = (LaunchCheck) { .kind = g->is_bound ? LAUNCH_CHECK_DIRECTORY : LAUNCH_CHECK_WRITABLE,
                                              .dev = g->is->dev,
                                              .ino = g->is->ino,
                                              .born_nsec = g->is->born_nsec };
        }
        for (size_t i = 0; i < n && r >= 0; i++)
                checks[i].path = texts->v[i];
        *ret_n = n;
        return r;
}

/* ---- what can't be given ---- */

static bool are_apart(const StrList *a, const StrList *b, const char **ret_inner, const char **ret_outer) {
        for (size_t i = 0; i < a->n; i++)
                for (size_t k = 0; k < b->n; k++) {
                        *ret_inner = a->v[i];
                        *ret_outer = b->v[k];
                        if (strcmp(*ret_inner, *ret_outer) != 0 && path_is_or_is_below(*ret_inner, *ret_outer))
                                return false;
                }
        return true;
}

bool unit_paths_are_apart(const UnitPaths *p, Error *error) {
        const StrList *lists[] = { &p->bind, &p->bind_read_only };
        const char *inner, *outer;

        for (size_t i = 0; i < ELEMENTSOF(lists); i++)
                for (size_t k = 0; k < ELEMENTSOF(lists); k++)
                        if (!are_apart(lists[i], lists[k], &inner, &outer)) {
                                error_set(error, ERROR_INVALID_ARGUMENT,
                                          "of its paths and those that its dependencies bind, %.200s lies in %.200s: one of them must lie elsewhere",
                                          inner, outer);
                                return false;
                        }
        return true;
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
