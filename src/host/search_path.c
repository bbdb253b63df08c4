/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/search_path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* In the order of precedence. */
static const char *const places[] = { PENSTOCK_SYSCONFDIR, "/run/penstock", PENSTOCK_LIBDIR };

static bool is_null_device(const struct stat *st) {
        return S_ISCHR(st->st_mode) && st->st_rdev == makedev(1, 3);
}

static bool is_masked(const char *path) {
        struct stat st;

        return stat(path, &st) == 0 && (is_null_device(&st) || (S_ISREG(st.st_mode) && st.st_size == 0));
}

static int path_join(const char *root, const char *place, const char *name, char **ret) {
        return asprintf(ret, "%s%s/%s", root, place, name) < 0 ? -ENOMEM : 0;
}

static bool has_name(const SearchPath *s, const char *name) {
        for (size_t i = 0; i < s->n; i++)
                if (strcmp(s->v[i].name, name) == 0)
                        return true;
        return false;
}

static int entry_add(SearchPath *s, const char *dir, const char *name) {
        SearchPathEntry e = {}, *v;

        e.name = strdup(name);
        if (!e.name || asprintf(&e.path, "%s/%s", dir, name) < 0) {
                free(e.name);
                return -ENOMEM;
        }
        v = realloc(s->v, (s->n + 1) * sizeof(*v));
        if (!v) {
                free(e.name);
                free(e.path);
                return -ENOMEM;
        }
        e.is_masked = is_masked(e.path);
        v[s->n++] = e;
        s->v = v;
        return 0;
}

static bool name_is_wanted(const char *name) {
        size_t n = strlen(name), suffix = strlen(".conf");

        return name[0] != '.' && n > suffix && strcmp(name + n - suffix, ".conf") == 0;
}

/* What fails otherwise may be there, and be what counts. /run/penstock is closed to all but root, who alone puts something
 * there; others may still ask what is set. */
static bool is_absent(int error) {
        return error == ENOENT || error == ENOTDIR || (error == EACCES && geteuid() != 0);
}

static int dir_list(const char *dir, SearchPath *s) {
        DIR *d = opendir(dir);
        struct dirent *e;
        int r = 0;

        if (!d)
                return is_absent(errno) ? 0 : -errno;
        while (r == 0) {
                errno = 0;
                e = readdir(d);
                if (!e) {
                        r = -errno;
                        break;
                }
                if (name_is_wanted(e->d_name) && !has_name(s, e->d_name))
                        r = entry_add(s, dir, e->d_name);
        }
        closedir(d);
        return r;
}

static int entry_compare(const void *a, const void *b) {
        const SearchPathEntry *x = a, *y = b;

        return strcmp(x->name, y->name);
}

int search_path_list(const char *root, const char *dir, SearchPath *ret) {
        CLEANUP(search_path_done) SearchPath s = {};

        for (size_t i = 0; i < ELEMENTSOF(places); i++) {
                CLEANUP(freep) char *path = NULL;
                int r = path_join(root, places[i], dir, &path);

                if (r == 0)
                        r = dir_list(path, &s);
                if (r < 0)
                        return r;
        }
        if (s.n > 0)
                qsort(s.v, s.n, sizeof(*s.v), entry_compare);
        *ret = s;
        s = (SearchPath) {};
        return 0;
}

void search_path_done(SearchPath *s) {
        for (size_t i = 0; i < s->n; i++) {
                free(s->v[i].name);
                free(s->v[i].path);
        }
        free(s->v);
        *s = (SearchPath) {};
}

int search_path_file(const char *root, const char *name, char **ret_path) {
        *ret_path = NULL;
        for (size_t i = 0; i < ELEMENTSOF(places); i++) {
                char *path;
                struct stat st;
                int r = path_join(root, places[i], name, &path);

                if (r < 0)
                        return r;
                if (lstat(path, &st) < 0) {
                        r = is_absent(errno) ? 0 : -errno;
                        free(path);
                        if (r < 0)
                                return r;
                        continue;
                }
                if (is_masked(path))
                        free(path);
                else
                        *ret_path = path;
                return 0;
        }
        return 0;
}

static int fd_read(int fd, uint64_t max, char **ret_text, size_t *ret_len) {
        struct stat st;
        size_t used = 0;
        char *text;

        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode) && !is_null_device(&st))
                return -EBADFD;
        if (st.st_size < 0 || (uint64_t) st.st_size > max)
                return -EFBIG;
        text = malloc((size_t) st.st_size + 1);
        if (!text)
                return -ENOMEM;
        while (used < (size_t) st.st_size) { /* what a writer appends meanwhile is for the next reload */
                ssize_t n = read(fd, text + used, (size_t) st.st_size - used);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0) {
                        int r = -errno;

                        free(text);
                        return r;
                }
                if (n == 0)
                        break;
                used += (size_t) n;
        }
        text[used] = '\0';
        *ret_text = text;
        *ret_len = used;
        return 0;
}

int search_path_read(const char *path, uint64_t max, char **ret_text, size_t *ret_len) {
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), r; /* never waits for a FIFO's writer */

        if (fd < 0)
                return -errno;
        r = fd_read(fd, max, ret_text, ret_len);
        close(fd);
        return r;
}
