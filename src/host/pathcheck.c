/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/pathcheck.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "host/child.h"

#define HOST_ROOT "/proc/1/root"

/* What the child writes for one item, of a fixed size. */
typedef struct Answer {
        int error;
        bool is_directory, is_writable, is_mounted_read_only, root_reaches;
        FileIdentity self, above;
        char resolved[PATH_MAX];
} Answer;

struct Pathcheck {
        sd_event *event; /* borrowed: it outlives all that is attached to it */
        PathcheckDone on_done;
        void *userdata;
        pid_t pid;
        uid_t uid;
        int fd;
        sd_event_source *io, *timer;
        PathcheckResult *results;
        size_t n_results, received; /* bytes */
        Answer *answers;
};

void pathcheck_results_free(PathcheckResult *results, size_t n) {
        for (size_t i = 0; i < n; i++) {
                free(results[i].path);
                free(results[i].resolved);
        }
        free(results);
}

/* Children that hang in a file system that never answers (a user's own FUSE server can do that) are bounded, for each
 * user by himself. */
#define PATHCHECK_LEFT_MAX 16u

Pathcheck *pathcheck_free(Pathcheck *p) {
        if (!p)
                return NULL;
        sd_event_source_disable_unref(p->io);
        sd_event_source_disable_unref(p->timer);
        if (p->fd >= 0)
                close(p->fd);
        child_leave(p->event, p->pid, p->uid);
        pathcheck_results_free(p->results, p->n_results);
        free(p->answers);
        free(p);
        return NULL;
}

/* In the child, still as root. The path is another's, but nothing is opened of it: O_PATH asks the file system for no
 * more than its name. */
static void look_as_root(const PathcheckItem *item, struct stat *st) {
        int fd = open(item->path, O_PATH | O_CLOEXEC);

        if (fd < 0 || fstat(fd, st) < 0)
                *st = (struct stat) {};
        if (fd >= 0)
                close(fd);
}

static int check_access(const PathcheckItem *item, int fd) {
        char self[64];
        int file;

        snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
        if (item->kind == PATHCHECK_DIRECTORY)
                return access(self, X_OK) < 0 ? errno : 0;
        /* Not a FIFO's other end to wait for, nor a terminal to take. */
        file = open(self, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (file < 0)
                return errno;
        close(file);
        return 0;
}

/* The name without symbolic links of what @fd is; the same file must be found under it. */
static int resolve(int fd, const struct stat *st, char *resolved, size_t size) {
        char self[64];
        struct stat again;
        ssize_t n;

        snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
        n = readlink(self, resolved, size - 1);
        if (n < 0)
                return errno;
        resolved[n] = '\0';
        if (stat(resolved, &again) < 0)
                return errno;
        return again.st_dev == st->st_dev && again.st_ino == st->st_ino ? 0 : ESTALE;
}

static int identify(int fd, const char *path, FileIdentity *ret) {
        struct statx st;

        if (statx(fd, path, AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &st) < 0)
                return errno;
        ret->dev = makedev(st.stx_dev_major, st.stx_dev_minor);
        ret->ino = st.stx_ino;
        if (st.stx_mask & STATX_BTIME)
                ret->born_nsec = (uint64_t) st.stx_btime.tv_sec * UINT64_C(1000000000) + st.stx_btime.tv_nsec;
        return 0;
}

static int look_above(const char *resolved, Answer *a) {
        char path[PATH_MAX];

        snprintf(path, sizeof(path), "%s", resolved);
        return identify(AT_FDCWD, dirname(path), &a->above);
}

/* Asked of the directory, where the host has it, and not of the list of mounts: that tells places by their names, and the caller, who
 * may rename what one lies in, could have it under another one for the moment in which the list is read. */
static bool is_mounted_read_only(int host, const char *path, const FileIdentity *is) {
        int fd = openat(host, path + 1, O_PATH | O_DIRECTORY | O_CLOEXEC);
        FileIdentity there = {};
        struct statvfs st;
        bool read_only = fd < 0 || identify(fd, "", &there) != 0 || memcmp(&there, is, sizeof(there)) != 0 || fstatvfs(fd, &st) < 0 ||
                         (st.f_flag & ST_RDONLY);

        if (fd >= 0)
                close(fd);
        return read_only;
}

/* PID 1's mounts: in this process's own all is read-only (ProtectSystem=strict), so where those may not be looked at, for want of
 * CAP_SYS_PTRACE, nothing is found that may be written to. */
static int open_host(void) {
        int fd = open(HOST_ROOT, O_PATH | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0 && errno == EACCES)
                fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                _exit(1);
        return fd;
}

/* Of a file it is the directory that would be written to. */
static bool directory_is_mounted_read_only(int host, const Answer *a) {
        char path[PATH_MAX];

        snprintf(path, sizeof(path), "%s", a->resolved);
        return a->is_directory ? is_mounted_read_only(host, path, &a->self) : is_mounted_read_only(host, dirname(path), &a->above);
}

/* In the child, as the caller: walked once, and all that is said is of what was found then. */
static void look(const PathcheckItem *item, const struct stat *as_root, int host, Answer *a) {
        char self[64];
        struct stat st;
        int fd = open(item->path, O_PATH | O_CLOEXEC);

        if (fd < 0 || fstat(fd, &st) < 0) {
                a->error = errno;
                return;
        }
        a->is_directory = S_ISDIR(st.st_mode);
        a->root_reaches = as_root->st_ino == st.st_ino && as_root->st_dev == st.st_dev;
        if (a->is_directory != (item->kind == PATHCHECK_DIRECTORY))
                a->error = a->is_directory ? EISDIR : ENOTDIR;
        else
                a->error = check_access(item, fd);
        if (a->error == 0)
                a->error = resolve(fd, &st, a->resolved, sizeof(a->resolved));
        if (a->error == 0)
                a->error = identify(fd, "", &a->self);
        if (a->error == 0)
                a->error = look_above(a->resolved, a);
        if (a->error == 0 && (a->self.ino == 0 || a->above.ino == 0))
                a->error = EOPNOTSUPP; /* so a file system may say, and nobody could compare */
        snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
        a->is_writable = access(self, W_OK) == 0;
        a->is_mounted_read_only = a->error != 0 || item->access != PATH_READ_WRITE || directory_is_mounted_read_only(host, a);
        close(fd);
}

static void child(const PathcheckRequest *r, int fd) {
        static Answer a;
        static struct stat as_root[PATHCHECK_ITEMS_MAX];
        int host = -1;

        child_shed(fd);
        for (size_t i = 0; i < r->n_items; i++) {
                look_as_root(&r->items[i], &as_root[i]);
                if (r->items[i].access == PATH_READ_WRITE && host < 0)
                        host = open_host();
        }
        if (setgroups(r->n_gids, r->gids) < 0 || setresgid(r->gid, r->gid, r->gid) < 0 ||
            setresuid(r->uid, r->uid, r->uid) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0)
                _exit(1); /* that call let fs.suid_dumpable decide anew who may look into what is a copy of penstockd */
        for (size_t i = 0; i < r->n_items; i++) {
                memset(&a, 0, sizeof(a));
                look(&r->items[i], &as_root[i], host, &a);
                child_answer(&a, sizeof(a));
        }
        _exit(0);
}

static void finish(Pathcheck *p, int r) {
        PathcheckResult *results = p->results;
        size_t n = p->n_results;

        for (size_t i = 0; r == 0 && i < n; i++) {
                Answer *a = &p->answers[i];

                a->resolved[sizeof(a->resolved) - 1] = 0;
                results[i].error = a->error;
                results[i].is_directory = a->is_directory;
                results[i].is_writable = a->is_writable;
                results[i].is_mounted_read_only = a->is_mounted_read_only;
                results[i].root_reaches = a->root_reaches;
                results[i].self = a->self;
                results[i].above = a->above;
                if (a->error == 0 && !(results[i].resolved = strdup(a->resolved)))
                        r = -ENOMEM;
        }
        p->io = sd_event_source_disable_unref(p->io);
        p->timer = sd_event_source_disable_unref(p->timer);
        if (r < 0) {
                p->on_done(r, NULL, 0, p->userdata);
                return;
        }
        p->results = NULL;
        p->n_results = 0;
        p->on_done(0, results, n, p->userdata);
}

static int on_answer(sd_event_source *s, int fd, uint32_t revents, void *userdata) {
        Pathcheck *p = userdata;
        size_t all = p->n_results * sizeof(Answer);
        ssize_t n;

        (void) s;
        (void) revents;
        n = read(fd, (char *) p->answers + p->received, all - p->received);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        if (n > 0)
                p->received += (size_t) n;
        if (p->received == all)
                finish(p, 0);
        else if (n <= 0)
                finish(p, n < 0 ? -errno : -EIO); /* it died before it had said all */
        return 0;
}

static int on_timeout(sd_event_source *s, uint64_t usec, void *userdata) {
        (void) s;
        (void) usec;
        finish(userdata, -ETIMEDOUT);
        return 0;
}

static int start(Pathcheck *p, sd_event *event, const PathcheckRequest *request) {
        int fds[2], r;

        if (pipe2(fds, O_CLOEXEC) < 0)
                return -errno;
        p->fd = fds[0];
        p->pid = fork();
        if (p->pid == 0)
                child(request, fds[1]);
        r = p->pid < 0 ? -errno : 0;
        close(fds[1]);
        if (r == 0 && fcntl(p->fd, F_SETFL, O_NONBLOCK) < 0)
                r = -errno;
        if (r >= 0)
                r = sd_event_add_io(event, &p->io, p->fd, EPOLLIN, on_answer, p);
        if (r >= 0)
                r = sd_event_add_time_relative(event, &p->timer, CLOCK_MONOTONIC, PATHCHECK_TIMEOUT_USEC, 0,
                                               on_timeout, p);
        return r;
}

int pathcheck_start(sd_event *event, const PathcheckRequest *request, PathcheckDone on_done, void *userdata,
                    Pathcheck **ret) {
        Pathcheck *p;
        int r = 0;

        if (request->n_items == 0 || request->n_items > PATHCHECK_ITEMS_MAX)
                return -EINVAL;
        if (child_left(request->uid) >= PATHCHECK_LEFT_MAX)
                return -EAGAIN;
        p = calloc(1, sizeof(*p));
        if (!p)
                return -ENOMEM;
        *p = (Pathcheck) { .event = event, .uid = request->uid, .on_done = on_done, .userdata = userdata, .fd = -1 };
        p->results = calloc(request->n_items, sizeof(*p->results));
        p->answers = calloc(request->n_items, sizeof(*p->answers));
        if (!p->results || !p->answers)
                r = -ENOMEM;
        for (size_t i = 0; i < request->n_items && r == 0; i++) {
                p->results[i].key = request->items[i].key;
                p->results[i].path = strdup(request->items[i].path);
                p->n_results++;
                if (!p->results[i].path)
                        r = -ENOMEM;
        }
        if (r == 0)
                r = start(p, event, request);
        if (r < 0) {
                pathcheck_free(p);
                return r;
        }
        *ret = p;
        return 0;
}
