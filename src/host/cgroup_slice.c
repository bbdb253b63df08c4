/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What concerns all queries of a slice together. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host/cgroup_private.h"

/* Two readings of files that change meanwhile; the smaller is nearer to what stays. */
#define LEFTOVER_LOOKS 2

/* Memory that no reclaim gives back without swap, of a group and all below it. */
typedef struct Held {
        uint64_t user, kernel;
} Held;

static int read_held(int dir_fd, Held *ret) {
        Sample s = {};
        int r = cgroup_read_stat_at(dir_fd, &s);

        if (r < 0)
                return r;
        ret->user = s.anon_bytes + s.shmem_bytes;
        ret->kernel = s.kernel_bytes - MIN(s.kernel_bytes, s.slab_reclaimable_bytes) + s.sock_bytes;
        return 0;
}

typedef int (*EachGroup)(int dir_fd, const char *name, void *userdata);

/* 0 also for one that vanishes: it is none. */
static int look_into(int slice_fd, const char *name, EachGroup each, void *userdata) {
        int dir = openat(slice_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int r = dir < 0 ? -errno : each(dir, name, userdata);

        if (dir >= 0)
                close(dir);
        return r == -ENOENT || r == -ENODEV ? 0 : r;
}

/* @each is called for each group right below @slice_fd, also when one has failed. Returns 0, or how the first one did. */
static int for_each_group(int slice_fd, EachGroup each, void *userdata) {
        int fd = openat(slice_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
        DIR *d = fd < 0 ? NULL : fdopendir(fd);

        if (!d) {
                r = -errno;
                if (fd >= 0)
                        close(fd);
                return r;
        }
        for (const struct dirent *e; (e = readdir(d));)
                if (e->d_type == DT_DIR && e->d_name[0] != '.') {
                        int k = look_into(fd, e->d_name, each, userdata);

                        r = r < 0 ? r : k;
                }
        closedir(d);
        return r;
}

static int add_held(int dir_fd, const char *name, void *userdata) {
        Held held, *sum = userdata;
        int r = read_held(dir_fd, &held);

        (void) name;
        if (r < 0)
                return r;
        sum->user += held.user;
        sum->kernel += held.kernel;
        return 0;
}

int cgroup_slice_leftovers(const char *slice, uint64_t kernel_free_bytes, uint64_t *ret_bytes) {
        int fd = cgroup_open_dir(slice), r = fd < 0 ? fd : 0;
        uint64_t least = SIZE_INFINITY;

        for (unsigned i = 0; i < LEFTOVER_LOOKS && r == 0; i++) {
                Held all, units = {};

                r = read_held(fd, &all);
                if (r == 0)
                        r = for_each_group(fd, add_held, &units);
                if (r == 0)
                        least = MIN(least, subtract_saturating(all.user, units.user) +
                                                   subtract_saturating(all.kernel, add_saturating(units.kernel, kernel_free_bytes)));
        }
        if (fd >= 0)
                close(fd);
        if (r == 0)
                *ret_bytes = least;
        return r;
}

static bool is_of_query(const char *name) {
        return strncmp(name, "penstock-q", strlen("penstock-q")) == 0;
}

typedef struct Freeze {
        bool frozen;
        unsigned n;
} Freeze;

static int freeze_group(int dir_fd, const char *name, void *userdata) {
        Freeze *f = userdata;
        uint64_t frozen = 0;
        int fd, r;

        if (!is_of_query(name))
                return 0;
        fd = openat(dir_fd, GROUP_ENGINE "/cgroup.freeze", O_RDWR | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        r = cgroup_read_value_fd(fd, &frozen);
        if (r == 0 && (frozen != 0) != f->frozen) {
                r = cgroup_write_text(fd, f->frozen ? "1" : "0");
                f->n += r == 0;
        }
        close(fd);
        return r;
}

int cgroup_slice_freeze(const char *slice, bool frozen, unsigned *ret_n) {
        int fd = cgroup_open_dir(slice), r;
        Freeze f = { .frozen = frozen };

        *ret_n = 0;
        if (fd < 0)
                return fd == -ENOENT ? 0 : fd;
        r = for_each_group(fd, freeze_group, &f);
        close(fd);
        *ret_n = f.n;
        return r;
}

typedef struct Sweep {
        const char *slice;
        bool (*keep)(const char *name, void *userdata);
        void *userdata;
} Sweep;

static int sweep_group(int dir_fd, const char *name, void *userdata) {
        const Sweep *s = userdata;
        char path[512];

        (void) dir_fd;
        if (!is_of_query(name) || s->keep(name, s->userdata))
                return 0;
        if ((size_t) snprintf(path, sizeof path, "%s/%s", s->slice, name) < sizeof path)
                cgroup_remove_unit(path);
        return 0;
}

void cgroup_slice_sweep(const char *slice, bool (*keep)(const char *name, void *userdata), void *userdata) {
        Sweep s = { .slice = slice, .keep = keep, .userdata = userdata };
        int fd = cgroup_open_dir(slice);

        if (fd < 0)
                return;
        (void) for_each_group(fd, sweep_group, &s);
        close(fd);
}
