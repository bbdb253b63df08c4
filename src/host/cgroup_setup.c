/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The groups of one unit, made by libcgroup as far as it can; the only file that knows its error codes. */
#include <errno.h>
#include <fcntl.h>
#include <libcgroup.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/cgroup_private.h"

/* A unit starts with one process. More can be there when the worker forked before it said hello. */
#define MOVE_ROUNDS 8

/* libcgroup counts its errors up from 50000 and hides the errno of ECGOTHER. */
static int lib_errno(int code) {
        int e;

        switch (code) {
        case 0: return 0;
        case ECGOTHER: e = cgroup_get_last_errno(); return e > 0 ? -e : -EIO;
        case ECGROUPNOTEXIST:
        case ECGROUPVALUENOTEXIST: return -ENOENT;
        case ECGROUPNOTMOUNTED:
        case ECGROUPSUBSYSNOTMOUNTED:
        case ECGROUPUNSUPP: return -EOPNOTSUPP;
        case ECGROUPNOTOWNER: return -EPERM;
        case ECGROUPNOTALLOWED: return -EACCES;
        case ECGINVAL: return -EINVAL;
        case ECGMAXVALUESEXCEEDED: return -E2BIG;
        case ECGROUPNOTINITIALIZED: return -EBADFD;
        case ECGNONEMPTY: return -EBUSY;
        default: return -EIO;
        }
}

typedef struct Value {
        const char *name, *text;
} Value;

static int add_controller(struct cgroup *cg, const char *name, const Value *values, size_t n) {
        struct cgroup_controller *c = cgroup_add_controller(cg, name);
        int r;

        if (!c)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                r = cgroup_add_value_string(c, values[i].name, values[i].text);
                if (r != 0)
                        return lib_errno(r);
        }
        return 0;
}

static bool unit_has(int unit_fd, const char *file) {
        return faccessat(unit_fd, file, F_OK, 0) == 0;
}

/* As systemd makes groups: anyone may look, whatever our umask is. systemd-cgtop ends at the first one it can't
 * enter. */
static int open_to_all(int unit_fd, const char *name) {
        return fchmodat(unit_fd, name, 0755, 0) < 0 ? -errno : 0;
}

/* Make one group and set it up. cgroup_create_cgroup() also writes "+memory" and so on to cgroup.subtree_control of
 * every group on the way from the root. Above the unit that changes nothing: systemd turned these controllers on
 * already, or the unit would not have them. */
static int make_group(int unit_fd, const char *unit_cgroup, const char *name, uint64_t max_bytes,
                      uint64_t tasks_max) {
        char path[4096], max_text[24], tasks_text[24];
        Value memory[3] = { { "memory.oom.group", "1" } };
        Value pids = { "pids.max", cgroup_value_text(tasks_max, tasks_text) };
        struct cgroup *cg;
        size_t n = 1;
        int r;

        if ((size_t) snprintf(path, sizeof path, "%s/%s", unit_cgroup + 1, name) >= sizeof path)
                return -ENAMETOOLONG;
        if (unit_has(unit_fd, "memory.swap.max")) /* not with swapaccount=0 or without swap in the kernel */
                memory[n++] = (Value) { "memory.swap.max", "0" };
        memory[n++] = (Value) { "memory.max", cgroup_value_text(max_bytes, max_text) };

        cg = cgroup_new_cgroup(path);
        if (!cg)
                return -ENOMEM;
        r = add_controller(cg, "memory", memory, n);
        if (r == 0)
                r = add_controller(cg, "pids", &pids, 1);
        /* For the bytes read and written. Once is enough, it is turned on for all groups of the unit; and each
         * controller makes libcgroup walk down from the root once more, and read /proc/mounts at each step. */
        if (r == 0 && strcmp(name, GROUP_ENGINE) == 0 && unit_has(unit_fd, "io.stat"))
                r = add_controller(cg, "io", NULL, 0);
        if (r == 0)
                r = lib_errno(cgroup_create_cgroup(cg, 1));
        cgroup_free(&cg);
        return r == 0 ? open_to_all(unit_fd, name) : r;
}

/* Field-note of the kernel's and systemd's: an error on setting a limit is easily lost. */
static int check_group(int unit_fd, const char *name, uint64_t max_bytes, uint64_t tasks_max) {
        const struct {
                const char *file;
                uint64_t value;
                bool optional;
        } expected[] = {
                { "memory.max",
                  max_bytes == SIZE_INFINITY ? max_bytes : max_bytes - max_bytes % (uint64_t) sysconf(_SC_PAGESIZE),
                  false },
                { "memory.oom.group", 1, false },
                { "memory.swap.max", 0, true },
                { "pids.max", tasks_max, false },
        };
        int dir, r = 0;

        dir = openat(unit_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir < 0)
                return -errno;
        for (size_t i = 0; r == 0 && i < ELEMENTSOF(expected); i++) {
                uint64_t v;

                r = cgroup_read_value_at(dir, expected[i].file, &v);
                if (r == -ENOENT && expected[i].optional)
                        r = 0;
                else if (r == 0 && v != expected[i].value)
                        r = -EIO;
        }
        close(dir);
        return r;
}

static bool group_has_pid(int dir_fd, const char *group, pid_t pid) {
        FILE *f = NULL;
        bool found = false;
        long p;
        int dir, fd;

        dir = openat(dir_fd, group, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        fd = dir < 0 ? -1 : openat(dir, "cgroup.procs", O_RDONLY | O_CLOEXEC);
        if (fd >= 0)
                f = fdopen(fd, "r");
        while (f && !found && fscanf(f, "%ld", &p) == 1)
                found = p == pid;
        if (f)
                fclose(f);
        else if (fd >= 0)
                close(fd);
        if (dir >= 0)
                close(dir);
        return found;
}

/* Move all that is in the unit's own group to worker/. Returns how many were moved, or -errno. */
static int move_once(int from_fd, int to_fd) {
        char text[GROUP_TEXT_MAX], one[24];
        char *p = text, *end;
        int r, moved = 0;

        r = cgroup_read_text(from_fd, text, sizeof text);
        if (r < 0)
                return r;
        for (; (end = strchr(p, '\n')); p = end + 1) {
                if ((size_t) (end - p) >= sizeof one)
                        return -EBADMSG;
                memcpy(one, p, (size_t) (end - p));
                one[end - p] = '\0';
                r = cgroup_write_text(to_fd, one);
                if (r < 0 && r != -ESRCH) /* it may have ended */
                        return r;
                moved++;
        }
        return moved;
}

/* By hand, not through libcgroup: a group with a controller can be made only when its parent holds no process
 * ("no internal processes"), so worker/ must be made and filled before any controller is on. libcgroup 2.0.2 makes no
 * group without a controller, and cgroup_attach_task_pid() refuses where the parent has the controller not yet on. */
static int fill_worker(int unit_fd, pid_t worker_pid) {
        int from = -1, to = -1, r;

        if (!group_has_pid(unit_fd, ".", worker_pid) && !group_has_pid(unit_fd, GROUP_WORKER, worker_pid))
                return -ESRCH;
        if (mkdirat(unit_fd, GROUP_WORKER, 0755) < 0 && errno != EEXIST)
                return -errno;
        r = open_to_all(unit_fd, GROUP_WORKER);
        if (r < 0)
                return r;
        from = openat(unit_fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
        to = openat(unit_fd, GROUP_WORKER "/cgroup.procs", O_WRONLY | O_CLOEXEC);
        r = from < 0 || to < 0 ? -errno : 0;
        for (int i = 0; r == 0 && i < MOVE_ROUNDS; i++) {
                r = move_once(from, to);
                if (r <= 0)
                        break;
                r = i + 1 < MOVE_ROUNDS ? 0 : -EBUSY;
        }
        if (r == 0 && !group_has_pid(unit_fd, GROUP_WORKER, worker_pid))
                r = -ESRCH;
        if (from >= 0)
                close(from);
        if (to >= 0)
                close(to);
        return r;
}

/* True if the unit's directory is still the one we opened. */
static bool unit_is_same(int unit_fd, const char *unit_cgroup) {
        struct stat a, b;

        return fstat(unit_fd, &a) == 0 && fstatat(cgroup_host_fd(), unit_cgroup + 1, &b, AT_SYMLINK_NOFOLLOW) == 0 &&
               a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

void cgroup_remove_groups(int unit_fd) {
        (void) unlinkat(unit_fd, GROUP_ENGINE, AT_REMOVEDIR);
        (void) unlinkat(unit_fd, GROUP_COMPILE, AT_REMOVEDIR);
}

void cgroup_remove_unit(const char *unit_cgroup) {
        int fd = cgroup_open_dir(unit_cgroup);

        if (fd < 0)
                return;
        if (!cgroup_is_populated(fd)) {
                cgroup_remove_groups(fd);
                (void) unlinkat(fd, GROUP_WORKER, AT_REMOVEDIR);
                (void) unlinkat(cgroup_host_fd(), unit_cgroup + 1, AT_REMOVEDIR);
        }
        close(fd);
}

int cgroup_setup_groups(int unit_fd, const QueryGroupsSetup *s) {
        int r;

        if (unit_has(unit_fd, GROUP_ENGINE))
                return -EEXIST;
        r = fill_worker(unit_fd, s->worker_pid);
        if (r < 0)
                return r;
        r = make_group(unit_fd, s->unit_cgroup, GROUP_ENGINE, 0, s->tasks_max);
        if (r == 0 && s->compile_max_bytes > 0)
                r = make_group(unit_fd, s->unit_cgroup, GROUP_COMPILE, s->compile_max_bytes, s->tasks_max);
        if (!unit_is_same(unit_fd, s->unit_cgroup)) {
                /* It ended meanwhile, and libcgroup made its directory anew (it makes all parents). */
                cgroup_remove_unit(s->unit_cgroup);
                return -ENODEV;
        }
        if (r == 0)
                r = check_group(unit_fd, GROUP_ENGINE, 0, s->tasks_max);
        if (r == 0 && s->compile_max_bytes > 0)
                r = check_group(unit_fd, GROUP_COMPILE, s->compile_max_bytes, s->tasks_max);
        if (r < 0)
                cgroup_remove_groups(unit_fd);
        return r;
}
