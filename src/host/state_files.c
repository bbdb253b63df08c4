/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/state_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/error.h"

#ifndef RUNTIME_DIRECTORY
#define RUNTIME_DIRECTORY "/run/penstock"
#define RESULTS_DIRECTORY "/var/lib/penstock/results"
#endif
#define NEXT_ID_FILE RUNTIME_DIRECTORY "/next-id"
#define HELD_FILE RUNTIME_DIRECTORY "/held"

static uint64_t reserved_until; /* what the file says */

/* Returns 0, also when there is none, which is 0 as well; or -errno. */
static int read_number(const char *path, uint64_t *ret) {
        char text[32] = {};
        int fd = open(path, O_RDONLY | O_CLOEXEC), r = 0;

        *ret = 0;
        if (fd < 0)
                return errno == ENOENT ? 0 : -errno;
        if (read(fd, text, sizeof(text) - 1) < 0)
                r = -errno;
        close(fd);
        text[strcspn(text, "\n")] = 0;
        if (r == 0 && u64_parse(text, ret) < 0)
                *ret = 0;
        return r;
}

static void find_highest(uint64_t id, void *userdata) {
        uint64_t *highest = userdata;

        *highest = MAX(*highest, id);
}

int state_first_id(uint64_t *ret) {
        uint64_t highest = 0, next;
        int r = read_number(NEXT_ID_FILE, &next);

        if (r == 0)
                r = results_list(find_highest, &highest);
        if (error_passes(r)) /* a disk that fails is no reason not to start */
                return r;
        reserved_until = MAX(next, 1u);
        *ret = MAX(reserved_until, highest + 1);
        return 0;
}

int state_replace_file(const char *path, const char *fresh, const char *text, size_t len) {
        int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600), r = 0;

        if (fd < 0)
                return -errno;
        while (len > 0 && r == 0) {
                ssize_t n = write(fd, text, len);

                if (n < 0 && errno != EINTR)
                        r = -errno;
                else if (n > 0) {
                        text += n;
                        len -= (size_t) n;
                }
        }
        if (close(fd) < 0 && r == 0)
                r = -errno;
        if (r == 0 && rename(fresh, path) < 0)
                r = -errno;
        if (r < 0)
                (void) unlink(fresh);
        return r;
}

static int write_number(const char *path, const char *fresh, uint64_t number) {
        char text[32];
        int len = snprintf(text, sizeof(text), "%llu\n", (unsigned long long) number);

        return state_replace_file(path, fresh, text, (size_t) len);
}

int state_reserve_id(uint64_t id) {
        int r;

        if (id < reserved_until)
                return 0;
        r = write_number(NEXT_ID_FILE, NEXT_ID_FILE ".new", id + STATE_ID_BLOCK);
        if (r == 0)
                reserved_until = id + STATE_ID_BLOCK;
        return r;
}

static const char *const flag_files[] = {
        [STATE_SHUT_DOWN] = RUNTIME_DIRECTORY "/shut-down",
        [STATE_PAUSED] = RUNTIME_DIRECTORY "/paused",
        [STATE_HELD] = HELD_FILE,
        [STATE_STOPPED] = RUNTIME_DIRECTORY "/stopped",
};

bool state_is(StateFlag flag) {
        return access(flag_files[flag], F_OK) == 0;
}

int state_set(StateFlag flag, bool is) {
        int fd;

        if (!is)
                return unlink(flag_files[flag]) < 0 && errno != ENOENT ? -errno : 0;
        fd = open(flag_files[flag], O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0)
                return -errno;
        close(fd);
        return 0;
}

void state_set_held(uint64_t since_usec) {
        if (write_number(HELD_FILE, HELD_FILE ".new", since_usec) < 0)
                state_set(STATE_HELD, true);
}

uint64_t state_held_since(void) {
        uint64_t since;

        return read_number(HELD_FILE, &since) < 0 ? 0 : since;
}

static void results_path(uint64_t id, char *buf, size_t len) {
        snprintf(buf, len, RESULTS_DIRECTORY "/%llu", (unsigned long long) id);
}

int results_create(uint64_t id, int *ret_write, int *ret_read) {
        char path[128];
        int w, r;

        if (mkdir(RESULTS_DIRECTORY, 0700) < 0 && errno != EEXIST)
                return -errno;
        results_path(id, path, sizeof(path));
        w = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0400);
        if (w < 0)
                return -errno;
        r = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (r < 0) {
                int error = -errno;

                close(w);
                (void) unlink(path);
                return error;
        }
        *ret_write = w;
        *ret_read = r;
        return 0;
}

int results_remove(uint64_t id) {
        char path[128];

        results_path(id, path, sizeof(path));
        return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

int results_open(uint64_t id, bool for_writing) {
        char path[128];
        int fd;

        results_path(id, path, sizeof(path));
        fd = open(path, (for_writing ? O_WRONLY : O_RDONLY) | O_CLOEXEC | O_NOFOLLOW);
        return fd < 0 ? -errno : fd;
}

int results_list(void (*on_id)(uint64_t id, void *userdata), void *userdata) {
        struct dirent *e;
        uint64_t id;
        DIR *d;

        (void) mkdir(RESULTS_DIRECTORY, 0700); /* at start, not while queries grow: it is on a disk */
        d = opendir(RESULTS_DIRECTORY);
        if (!d)
                return -errno;
        while ((e = readdir(d)))
                if (u64_parse(e->d_name, &id) >= 0 && id < STATE_ID_MAX)
                        on_id(id, userdata);
                else if (e->d_name[0] != '.')
                        (void) unlinkat(dirfd(d), e->d_name, 0);
        closedir(d);
        return 0;
}
