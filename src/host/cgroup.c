/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "host/cgroup_private.h"

static void close_fd(int fd) {
        if (fd >= 0)
                close(fd);
}

QueryGroups *query_groups_free(QueryGroups *g) {
        if (!g)
                return NULL;
        for (size_t i = 0; i < _GROUP_FILE_MAX; i++)
                close_fd(g->files[i]);
        for (size_t i = 0; i < GROUP_CAPS_MAX; i++) {
                close_fd(g->caps[i]);
                close_fd(g->above[i]);
        }
        close_fd(g->stat);
        close_fd(g->current);
        close_fd(g->max);
        close_fd(g->high);
        close_fd(g->freeze_events);
        close_fd(g->pids);
        close_fd(g->cpu_stat);
        close_fd(g->io_stat);
        close_fd(g->cpu_pressure);
        close_fd(g->psi_fd);
        close_fd(g->unit_fd);
        close_fd(g->engine_fd);
        close_fd(g->compile_fd);
        close_fd(g->compile_stat);
        free(g->unit_cgroup);
        free(g);
        return NULL;
}

static QueryGroups *groups_alloc(const char *unit_cgroup) {
        QueryGroups *g = calloc(1, sizeof *g);

        if (!g)
                return NULL;
        g->unit_fd = g->engine_fd = g->compile_fd = g->compile_stat = g->psi_fd = -1;
        g->stat = g->current = g->max = g->high = g->freeze_events = g->pids = -1;
        g->cpu_stat = g->io_stat = g->cpu_pressure = -1;
        for (size_t i = 0; i < _GROUP_FILE_MAX; i++)
                g->files[i] = -1;
        for (size_t i = 0; i < GROUP_CAPS_MAX; i++)
                g->caps[i] = g->above[i] = -1;
        g->unit_cgroup = strdup(unit_cgroup);
        if (!g->unit_cgroup)
                g = query_groups_free(g);
        return g;
}

/* 0 where there is no such file. */
static int open_optional(int dir, const char *name, int *ret_fd) {
        *ret_fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
        return *ret_fd < 0 && errno != ENOENT ? -errno : 0;
}

static int open_caps(QueryGroups *g) {
        char *path = strdup(g->unit_cgroup), *slash;
        size_t n = 0;
        int dir, r = 0;

        if (!path)
                return -ENOMEM;
        for (; r == 0 && (slash = strrchr(path, '/')); *slash = '\0') {
                if (slash[1] == '\0' || path[0] == '\0')
                        break;
                dir = cgroup_open_dir(path);
                r = dir < 0 ? dir : n == GROUP_CAPS_MAX ? -E2BIG : open_optional(dir, "memory.max", &g->caps[n]);
                if (r == 0 && g->caps[n] >= 0)
                        r = open_optional(dir, "memory.events.local", &g->above[n++]);
                close_fd(dir);
        }
        free(path);
        return r;
}

typedef struct Opened {
        int *fd;
        int dir;
        const char *name;
        int flags;
        bool optional;
} Opened;

static int open_all(const Opened *list, size_t n) {
        for (size_t i = 0; i < n; i++) {
                if (list[i].dir < 0)
                        continue;
                *list[i].fd = openat(list[i].dir, list[i].name, list[i].flags | O_CLOEXEC);
                if (*list[i].fd < 0 && !(list[i].optional && errno == ENOENT))
                        return -errno;
        }
        return 0;
}

static int groups_open(QueryGroups *g) {
        int r;

        g->engine_fd = openat(g->unit_fd, GROUP_ENGINE, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (g->engine_fd < 0)
                return -errno;
        g->compile_fd = openat(g->unit_fd, GROUP_COMPILE, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (g->compile_fd < 0 && errno != ENOENT)
                return -errno;

        const Opened list[] = {
                { &g->files[GROUP_ENGINE_PROCS], g->engine_fd, "cgroup.procs", O_WRONLY, false },
                { &g->files[GROUP_ENGINE_KILL], g->engine_fd, "cgroup.kill", O_WRONLY, false },
                { &g->files[GROUP_ENGINE_FREEZE], g->engine_fd, "cgroup.freeze", O_RDWR, false },
                { &g->files[GROUP_ENGINE_EVENTS], g->engine_fd, "cgroup.events", O_RDONLY, false },
                { &g->files[GROUP_COMPILE_PROCS], g->compile_fd, "cgroup.procs", O_WRONLY, false },
                { &g->files[GROUP_COMPILE_KILL], g->compile_fd, "cgroup.kill", O_WRONLY, false },
                { &g->files[GROUP_COMPILE_EVENTS], g->compile_fd, "cgroup.events", O_RDONLY, false },
                { &g->compile_stat, g->compile_fd, "memory.stat", O_RDONLY, false },
                { &g->files[GROUP_MEMORY_EVENTS], g->engine_fd, "memory.events.local", O_RDONLY, false },
                /* missing without CONFIG_PSI; there, but unreadable, with psi=0 */
                { &g->files[GROUP_MEMORY_PRESSURE], g->engine_fd, "memory.pressure", O_RDONLY, true },
                { &g->stat, g->engine_fd, "memory.stat", O_RDONLY, false },
                { &g->current, g->engine_fd, "memory.current", O_RDONLY, false },
                { &g->max, g->engine_fd, "memory.max", O_RDWR, false },
                { &g->high, g->engine_fd, "memory.high", O_RDWR, false },
                { &g->freeze_events, g->engine_fd, "cgroup.events", O_RDONLY, false },
                { &g->pids, g->engine_fd, "pids.current", O_RDONLY, false },
                { &g->cpu_stat, g->engine_fd, "cpu.stat", O_RDONLY, false },
                { &g->io_stat, g->engine_fd, "io.stat", O_RDONLY, true }, /* there is no io controller */
                { &g->cpu_pressure, g->engine_fd, "cpu.pressure", O_RDONLY, true },
        };

        r = open_all(list, ELEMENTSOF(list));
        if (r == 0)
                r = open_caps(g);
        if (r == 0)
                r = cgroup_read_value_fd(g->max, &g->max_bytes);
        if (r == 0)
                r = cgroup_read_value_fd(g->high, &g->high_bytes);
        return r;
}

static int groups_make(const char *unit_cgroup, const QueryGroupsSetup *setup, QueryGroups **ret_groups) {
        QueryGroups *g = groups_alloc(unit_cgroup);
        int r;

        if (!g)
                return -ENOMEM;
        g->unit_fd = cgroup_open_dir(unit_cgroup);
        r = g->unit_fd < 0 ? g->unit_fd : 0;
        if (r == 0 && setup)
                r = cgroup_setup_groups(g->unit_fd, setup);
        if (r == 0) {
                r = groups_open(g);
                if (r < 0 && setup)
                        cgroup_remove_groups(g->unit_fd);
        }
        if (r < 0) {
                query_groups_free(g);
                return r;
        }
        *ret_groups = g;
        return 0;
}

int query_groups_new(const QueryGroupsSetup *setup, QueryGroups **ret_groups) {
        return groups_make(setup->unit_cgroup, setup, ret_groups);
}

int query_groups_adopt(const char *unit_cgroup, QueryGroups **ret_groups) {
        return groups_make(unit_cgroup, NULL, ret_groups);
}

int query_groups_fd(const QueryGroups *g, GroupFile file) {
        return g->files[file];
}

int query_groups_open(const QueryGroups *g, const char *file, int flags) {
        int fd = openat(g->engine_fd, file, flags | O_CLOEXEC);

        return fd < 0 ? -errno : fd;
}

static int write_value(int fd, uint64_t value) {
        char buf[24];

        return cgroup_write_text(fd, cgroup_value_text(value, buf));
}

static int write_max(QueryGroups *g, uint64_t bytes) {
        struct timespec ts;
        int r = write_value(g->max, bytes);

        clock_gettime(CLOCK_MONOTONIC, &ts);
        g->max_written_usec = (uint64_t) ts.tv_sec * USEC_PER_SEC + (uint64_t) ts.tv_nsec / 1000;
        return r;
}

uint64_t query_groups_max_written_usec(const QueryGroups *g) {
        return g->max_written_usec;
}

int query_groups_refresh(QueryGroups *g, uint64_t *ret_max_bytes) {
        uint64_t max, high;
        int r = cgroup_read_value_fd(g->max, &max);

        if (r == 0)
                r = cgroup_read_value_fd(g->high, &high);
        if (r < 0)
                return r;
        *ret_max_bytes = g->max_bytes = max;
        g->high_bytes = high;
        return 0;
}

int query_groups_set_limits(QueryGroups *g, uint64_t max_bytes, uint64_t high_bytes, uint64_t *ret_max_bytes,
                            uint64_t *ret_high_bytes) {
        bool grows = max_bytes >= g->max_bytes;
        int r = 0;

        /* Lowering memory.high first makes room gently; memory.max kills. What is in force already is not written: a
         * write can reclaim in our context. */
        if (grows && max_bytes != g->max_bytes)
                r = write_max(g, max_bytes);
        if (r == 0 && high_bytes != g->high_bytes)
                r = write_value(g->high, high_bytes);
        if (r == 0 && !grows)
                r = write_max(g, max_bytes);
        if (r < 0)
                return r;
        r = query_groups_refresh(g, ret_max_bytes);
        if (r == 0)
                *ret_high_bytes = g->high_bytes;
        return r;
}

int query_groups_protect(QueryGroups *g, uint64_t bytes, bool as_min) {
        int fd = query_groups_open(g, as_min ? "memory.min" : "memory.low", O_WRONLY), r;

        if (fd < 0)
                return fd;
        r = write_value(fd, bytes);
        close(fd);
        return r;
}

int query_groups_freeze(QueryGroups *g, bool frozen) {
        return cgroup_write_text(g->files[GROUP_ENGINE_FREEZE], frozen ? "1" : "0");
}

int query_groups_shall_be_frozen(QueryGroups *g, bool *ret) {
        uint64_t frozen;
        int r = cgroup_read_value_fd(g->files[GROUP_ENGINE_FREEZE], &frozen);

        if (r == 0)
                *ret = frozen != 0;
        return r;
}

int query_groups_kill(QueryGroups *g, bool compile) {
        int fd = g->files[compile ? GROUP_COMPILE_KILL : GROUP_ENGINE_KILL];

        return fd < 0 ? -ENOENT : cgroup_write_text(fd, "1");
}

int query_groups_above(QueryGroups *g, uint64_t *ret_unit_bytes, uint64_t *ret_slice_bytes) {
        uint64_t unit, slice;
        int r = cgroup_read_value_fd(g->caps[0], &unit);

        if (r == 0)
                r = cgroup_read_value_fd(g->caps[1], &slice);
        if (r < 0)
                return r;
        *ret_unit_bytes = unit;
        *ret_slice_bytes = slice;
        return 0;
}

/* -EOPNOTSUPP is what memory.pressure says under psi=0; -ENODEV, here where the rest could be read, when cgroup.pressure
 * took the file away. */
static int sample_pressure(const QueryGroups *g, char *text, size_t size, Sample *s) {
        int fd = g->files[GROUP_MEMORY_PRESSURE], r;

        if (fd < 0)
                return 0;
        r = cgroup_read_text(fd, text, size);
        if (r == -EOPNOTSUPP || r == -ENODEV)
                return 0;
        return r < 0 ? r : sample_parse_pressure(text, s);
}

/* Counts and limits first, memory.stat last: of all it is the one that changes fastest. */
int query_groups_sample(QueryGroups *g, Sample *ret) {
        char text[GROUP_TEXT_MAX];
        Sample s = {};
        int r;

        r = cgroup_read_value_fd(g->max, &s.max_bytes);
        if (r == 0)
                r = cgroup_read_value_fd(g->high, &s.high_bytes);
        if (r == 0)
                r = cgroup_read_value_fd(g->pids, &s.pids);
        if (r == 0)
                r = cgroup_read_text(g->freeze_events, text, sizeof text);
        if (r == 0)
                r = sample_parse_cgroup_events(text, &s.populated, &s.frozen);
        if (r == 0)
                r = cgroup_read_text(g->files[GROUP_MEMORY_EVENTS], text, sizeof text);
        if (r == 0)
                r = sample_parse_memory_events(text, &s);
        if (r == 0)
                r = sample_pressure(g, text, sizeof text, &s);
        if (r == 0)
                r = cgroup_read_value_fd(g->current, &s.current_bytes);
        if (r == 0)
                r = cgroup_read_text(g->stat, text, sizeof text);
        if (r == 0)
                r = sample_parse_memory_stat(text, &s);
        if (r == 0)
                *ret = s;
        return r;
}

/* Read a file of engine/ that the hot path does not need. */
static int read_engine_file(const QueryGroups *g, const char *file, char *text, size_t size) {
        int fd = query_groups_open(g, file, O_RDONLY), r;

        if (fd < 0)
                return fd;
        r = cgroup_read_text(fd, text, size);
        close(fd);
        return r;
}

static int read_engine_value(const QueryGroups *g, const char *file, uint64_t *ret) {
        char text[64];
        int r = read_engine_file(g, file, text, sizeof text);

        return r < 0 ? r : sample_parse_value(text, ret);
}

int query_groups_memory(QueryGroups *g, uint64_t *ret_current_bytes, uint64_t *ret_peak_bytes) {
        uint64_t current, peak;
        int r = read_engine_value(g, "memory.current", &current);

        if (r == 0)
                r = read_engine_value(g, "memory.peak", &peak);
        if (r < 0)
                return r;
        *ret_current_bytes = current;
        *ret_peak_bytes = peak;
        return 0;
}

int query_groups_compile_residual(QueryGroups *g, uint64_t *ret_bytes) {
        char text[GROUP_TEXT_MAX];
        Sample s = {};
        int r = cgroup_read_text(g->compile_stat, text, sizeof text);

        if (r == 0)
                r = sample_parse_memory_stat(text, &s);
        if (r < 0)
                return r;
        /* Files in memory alone: kernel memory of the dead goes away by itself. */
        *ret_bytes = s.shmem_bytes;
        return 0;
}

/* Files that are opened for it: without descriptors the verdict needs the rest all the more. */
static void final_of_files(const QueryGroups *g, FinalNumbers *f) {
        char text[GROUP_TEXT_MAX];

        (void) read_engine_value(g, "memory.peak", &f->memory_peak_bytes);
        if (read_engine_file(g, "pids.events", text, sizeof text) == 0)
                (void) sample_parse_keyed(text, "max", &f->pids_max_events);
}

int query_groups_so_far(QueryGroups *g, FinalNumbers *ret, Sample *ret_sample) {
        FinalNumbers f = {};
        Sample s = {};
        int r = query_groups_sample(g, &s);

        if (r < 0 && r != -ENODEV) /* there will be no other occasion */
                r = query_groups_sample(g, &s);
        if (r < 0)
                return r;
        (void) query_groups_usage(g, &s);
        final_of_files(g, &f);
        f.cpu_usec = s.cpu_usec;
        f.io_read_bytes = s.io_read_bytes;
        f.io_write_bytes = s.io_write_bytes;
        f.stall_usec = s.stall_some_usec;
        f.stall_full_usec = s.stall_full_usec;
        f.current_bytes = s.current_bytes;
        f.anon_bytes = s.anon_bytes;
        f.shmem_bytes = s.shmem_bytes;
        f.file_bytes = s.file_bytes;
        f.kernel_bytes = s.kernel_bytes;
        f.events_high = s.events_high;
        f.events_max = s.events_max;
        f.events_oom = s.events_oom;
        f.events_oom_kill = s.events_oom_kill;
        f.residual_bytes = sample_residual(&s);
        query_groups_killers(g, &f);
        *ret = f;
        *ret_sample = s;
        return 0;
}

int query_groups_final(QueryGroups *g, FinalNumbers *ret) {
        Sample s;

        return query_groups_so_far(g, ret, &s);
}
