/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "worker/child_files.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* O_NONBLOCK: a FIFO must not hold the start. */
static int open_plain(const char *path) {
        int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        struct stat st;
        int r = 0;

        if (fd < 0)
                return -errno;
        if (fstat(fd, &st) < 0)
                r = -errno;
        else if (!S_ISREG(st.st_mode))
                r = S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
        if (r < 0)
                close(fd);
        return r < 0 ? r : fd;
}

int files_open(const Launch *l, int fds[static LAUNCH_CREDENTIALS_MAX], uint32_t *ret_which) {
        for (size_t i = 0; i < l->n_credentials; i++) {
                fds[i] = open_plain(l->credentials[i].path);
                if (fds[i] < 0) {
                        *ret_which = (uint32_t) i;
                        return fds[i];
                }
        }
        return 0;
}

/* All in the query's own /dev/shm: what it finds there is its own, made by its compile step. */
static int open_directory(const char *path) {
        struct stat st;
        int fd, r = 0;

        if (mkdir(path, 0700) < 0 && errno != EEXIST)
                return -errno;
        fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        if (fstat(fd, &st) < 0)
                r = -errno;
        else if (st.st_uid != geteuid())
                r = -EPERM;
        else if (fchmod(fd, 0700) < 0)
                r = -errno;
        if (r < 0)
                close(fd);
        return r < 0 ? r : fd;
}

static int write_all(int fd, const char *data, size_t size) {
        while (size > 0) {
                ssize_t n = write(fd, data, size);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                data += n;
                size -= (size_t) n;
        }
        return 0;
}

static int copy(int from, int to, uint64_t *left) {
        static char buf[16 * 1024];

        for (;;) {
                ssize_t n = read(from, buf, sizeof(buf));
                int r;

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : 0;
                if ((uint64_t) n > *left)
                        return -EFBIG;
                *left -= (uint64_t) n;
                r = write_all(to, buf, (size_t) n);
                if (r < 0)
                        return r;
        }
}

static int copy_to(int directory, const char *name, int from, uint64_t *left) {
        int to, r;

        if (unlinkat(directory, name, 0) < 0 && errno != ENOENT)
                return -errno;
        to = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0400);
        if (to < 0)
                return -errno;
        r = copy(from, to, left);
        if (close(to) < 0 && r == 0)
                r = -errno;
        return r;
}

int files_copy(const Launch *l, const int fds[static LAUNCH_CREDENTIALS_MAX], uint32_t *ret_which) {
        uint64_t left = CREDENTIALS_BYTES_MAX;
        int directory, r = 0;
        mode_t mask;

        if (l->n_credentials == 0)
                return 0;
        mask = umask(0077);
        directory = open_directory(l->credentials_directory);
        for (size_t i = 0; i < l->n_credentials; i++) {
                *ret_which = (uint32_t) i;
                if (directory < 0)
                        r = directory;
                else if (r == 0)
                        r = copy_to(directory, l->credentials[i].name, fds[i], &left);
                if (r < 0)
                        break; /* the rest goes with the process */
                close(fds[i]);
        }
        if (directory >= 0)
                close(directory);
        umask(mask);
        return r;
}
