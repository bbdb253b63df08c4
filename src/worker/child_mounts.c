/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "worker/child_mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "worker/child_check.h"

/* Without symbolic links, of which what was looked at had none: so the mount that was judged is the one that is changed. Step by
 * step, since RestrictSUIDSGID= of the unit refuses openat2(2). */
static int walk(const char *path) {
        int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

        while (fd >= 0 && *path) {
                size_t n = strcspn(path, "/");
                char name[NAME_MAX + 1];
                int next, r;

                if (n >= sizeof(name)) {
                        close(fd);
                        return -ENAMETOOLONG;
                }
                memcpy(name, path, n);
                name[n] = '\0';
                path += n + (path[n] == '/');
                if (n == 0)
                        continue;
                next = openat(fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                r = next < 0 ? -errno : 0;
                close(fd);
                if (r < 0)
                        return r;
                fd = next;
        }
        return fd < 0 ? -errno : fd;
}

static int open_directory(const LaunchCheck *c) {
        int fd = walk(c->path), r;

        if (fd < 0)
                return fd;
        r = c->ino == 0 ? -ESTALE : check_identity(c, fd);
        if (r == 0)
                return fd;
        close(fd);
        return r;
}

/* As the caller by the effective IDs, which let him reach nothing of this process. */
static int open_directories(const Launch *l, int fds[static LAUNCH_CHECKS_MAX], uint32_t *ret_which) {
        int r = 0;

        if (setgroups(l->n_gids, l->gids) < 0 || setresgid((gid_t) -1, l->gid, (gid_t) -1) < 0 ||
            setresuid((uid_t) -1, l->uid, (uid_t) -1) < 0)
                return -errno;
        for (size_t i = 0; i < l->n_checks && r == 0; i++)
                if (l->checks[i].kind == LAUNCH_CHECK_WRITABLE) {
                        fds[i] = open_directory(&l->checks[i]);
                        if (fds[i] < 0) {
                                r = fds[i];
                                *ret_which = (uint32_t) i;
                        }
                }
        if (setresuid((uid_t) -1, 0, (uid_t) -1) < 0 || setresgid((gid_t) -1, 0, (gid_t) -1) < 0)
                return -errno;
        return r;
}

static int make_writable(int fd) {
        struct mount_attr attr = { .attr_clr = MOUNT_ATTR_RDONLY };
        struct statvfs st;
        int tree, r = 0;

        if (fstatvfs(fd, &st) < 0)
                return -errno;
        if (!(st.f_flag & ST_RDONLY))
                return 0;
        /* All of it, or what is mounted below would be hidden; and only the top made writable: below the host may be read-only. */
        tree = open_tree(fd, "", AT_EMPTY_PATH | AT_RECURSIVE | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
        if (tree < 0)
                return -errno;
        if (mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0 ||
            move_mount(tree, "", fd, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
                r = -errno;
        close(tree);
        return r;
}

/* Of those that are open the one of the longest path. Returns l->n_checks when none is. */
static size_t find_innermost(const Launch *l, const int fds[static LAUNCH_CHECKS_MAX]) {
        size_t found = l->n_checks;

        for (size_t i = 0; i < l->n_checks; i++)
                if (fds[i] >= 0 && (found == l->n_checks || strlen(l->checks[i].path) > strlen(l->checks[found].path)))
                        found = i;
        return found;
}

int mounts_make_writable(const Launch *l, uint32_t *ret_which) {
        int fds[LAUNCH_CHECKS_MAX], r = 0;
        bool any = false;

        for (size_t i = 0; i < LAUNCH_CHECKS_MAX; i++) {
                fds[i] = -1;
                any |= i < l->n_checks && l->checks[i].kind == LAUNCH_CHECK_WRITABLE;
        }
        if (any)
                r = open_directories(l, fds, ret_which);
        /* The inner before the outer, whose copy takes it along; it would lie below that, and be seen by nobody. */
        for (size_t i; (i = find_innermost(l, fds)) < l->n_checks; fds[i] = -1) {
                if (r == 0) {
                        r = make_writable(fds[i]);
                        *ret_which = (uint32_t) i;
                }
                close(fds[i]);
        }
        return r;
}
