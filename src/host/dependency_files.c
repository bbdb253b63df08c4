/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/dependency_files.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/envfile.h"
#include "core/request.h"
#include "host/child.h"

/* Children that hang in a file system that never answers are bounded. */
#define LEFT_MAX 64u

typedef enum Key { KEY_ENVIRONMENT_FILE, KEY_BIND, KEY_BIND_READ_ONLY, KEY_CREDENTIAL, KEY_END } Key;

static const char *const key_names[] = { "EnvironmentFile", "BindPaths", "BindReadOnlyPaths", "LoadCredential" };

/* What the child says of one entry, with the text of a file after it. The first with an error is the last. */
typedef struct Said {
        uint32_t key;
        int32_t error; /* errno, positive */
        uint32_t index, size;
} Said;

#define ANSWER_MAX (DEPENDENCY_ITEMS_MAX * (4 * sizeof(Said) + ENVFILE_BYTES_MAX) + sizeof(Said))

struct DependencyFiles {
        sd_event *event;
        const Dependency *dependency;
        DependencyFilesDone on_done;
        void *userdata;
        pid_t pid;
        int fd;
        sd_event_source *io, *timer;
        char *answer;
        size_t len, allocated;
};

bool dependency_files_needed(const Dependency *d) {
        return d->environment_files.n + d->bind_paths.n + d->bind_read_only_paths.n + d->credentials.n > 0;
}

DependencyFiles *dependency_files_free(DependencyFiles *f) {
        if (!f)
                return NULL;
        sd_event_source_disable_unref(f->io);
        sd_event_source_disable_unref(f->timer);
        if (f->fd >= 0)
                close(f->fd);
        child_leave(f->event, f->pid, CHILD_FOR_US);
        free(f->answer);
        free(f);
        return NULL;
}

/* In the child. O_NONBLOCK: a FIFO must not hold it. */
static int open_plain(const char *path, struct stat *st) {
        int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

        if (fd < 0 || fstat(fd, st) < 0)
                return -errno;
        if (!S_ISREG(st->st_mode))
                return S_ISDIR(st->st_mode) ? -EISDIR : -EINVAL;
        return fd;
}

static void say(Key key, size_t index, int r, const char *text, size_t size) {
        Said s = { .key = key, .index = (uint32_t) index, .error = -r, .size = (uint32_t) size };

        child_answer(&s, sizeof(s));
        child_answer(text, size);
        if (r < 0)
                _exit(0);
}

static void read_environment(size_t i, const char *path) {
        static char text[ENVFILE_BYTES_MAX + 1];
        bool optional = path[0] == '-';
        size_t len = 0;
        struct stat st;
        ssize_t n;
        int fd = open_plain(path + optional, &st);

        if (fd == -ENOENT && optional)
                return;
        if (fd < 0)
                say(KEY_ENVIRONMENT_FILE, i, fd, NULL, 0);
        do {
                n = read(fd, text + len, sizeof(text) - len);
                len += n > 0 ? (size_t) n : 0;
        } while (n > 0 || (n < 0 && errno == EINTR));
        if (n < 0)
                say(KEY_ENVIRONMENT_FILE, i, -errno, NULL, 0);
        if (len > ENVFILE_BYTES_MAX)
                say(KEY_ENVIRONMENT_FILE, i, -EFBIG, NULL, 0);
        say(KEY_ENVIRONMENT_FILE, i, 0, text, len);
        close(fd);
}

static void look_at_paths(Key key, const StrList *paths) {
        struct stat st;

        for (size_t i = 0; i < paths->n; i++)
                if (stat(paths->v[i], &st) < 0)
                        say(key, i, -errno, NULL, 0);
}

/* As the worker will find them: root without a capability to pass over permissions. */
static void look_at_credentials(const PairList *files) {
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct none[2] = {};
        uint64_t total = 0;

        if (syscall(SYS_capset, &header, none) < 0)
                say(KEY_CREDENTIAL, 0, -errno, NULL, 0);
        for (size_t i = 0; i < files->n; i++) {
                struct stat st;
                int fd = open_plain(files->v[i].value, &st);

                if (fd < 0)
                        say(KEY_CREDENTIAL, i, fd, NULL, 0);
                total += (uint64_t) st.st_size;
                if (total > CREDENTIALS_BYTES_MAX)
                        say(KEY_CREDENTIAL, i, -EFBIG, NULL, 0);
                close(fd);
        }
}

static void child(const Dependency *d, int fd) {
        child_shed(fd);
        for (size_t i = 0; i < d->environment_files.n; i++)
                read_environment(i, d->environment_files.v[i]);
        look_at_paths(KEY_BIND, &d->bind_paths);
        look_at_paths(KEY_BIND_READ_ONLY, &d->bind_read_only_paths);
        look_at_credentials(&d->credentials);
        say(KEY_END, 0, 0, NULL, 0);
        _exit(0);
}

static const char *entry_text(const Dependency *d, const Said *s) {
        const StrList *lists[] = { &d->environment_files, &d->bind_paths, &d->bind_read_only_paths };

        if (s->key == KEY_CREDENTIAL)
                return s->index < d->credentials.n ? d->credentials.v[s->index].value : "";
        return s->index < lists[s->key]->n ? lists[s->key]->v[s->index] : "";
}

static int refuse(const Dependency *d, const Said *s, const char *why, Error *e) {
        return error_set(e, ERROR_DEPENDENCY_FAILED, "dependency %s: %s=%.200s: %s", d->name, key_names[s->key],
                         entry_text(d, s), why);
}

static int take_file(const Dependency *d, const Said *s, const char *text, PairList *environment, Error *e) {
        unsigned line;
        int r = envfile_parse(text, s->size, environment, &line);
        char why[96];

        if (r == 0 || r == -ENOMEM)
                return r;
        snprintf(why, sizeof(why), "line %u %s", line,
                 r == -E2BIG ? "is one variable too many" : "is not NAME=VALUE in a form that is taken");
        return refuse(d, s, why, e);
}

/* What the child said, which ends with KEY_END or an error. */
static int judge(const DependencyFiles *f, PairList *environment, Error *e) {
        const Dependency *d = f->dependency;
        size_t at = 0;
        Said s;

        while (at + sizeof(s) <= f->len) {
                int r;

                memcpy(&s, f->answer + at, sizeof(s));
                at += sizeof(s);
                if (s.key == KEY_END)
                        return 0;
                if (s.key > KEY_END || s.size > f->len - at)
                        break;
                r = s.error ? refuse(d, &s, s.error == EFBIG ? "it is too large" : strerror(s.error), e)
                            : take_file(d, &s, f->answer + at, environment, e);
                if (r < 0)
                        return r;
                at += s.size;
        }
        return error_set(e, ERROR_DEPENDENCY_FAILED, "dependency %s: its files could not be looked at", d->name);
}

static void finish(DependencyFiles *f, Error *error) {
        PairList environment = {};

        f->io = sd_event_source_disable_unref(f->io);
        f->timer = sd_event_source_disable_unref(f->timer);
        if (error->code == ERROR_NONE && judge(f, &environment, error) < 0 && error->code == ERROR_NONE)
                error_set(error, ERROR_INTERNAL, "out of memory");
        f->on_done(error, &environment, f->userdata);
        pairlist_done(&environment);
}

static int on_answer(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        DependencyFiles *f = userdata;
        Error error = {};
        ssize_t n;

        (void) source, (void) revents;
        if (f->len == f->allocated) {
                size_t size = MIN(MAX(2 * f->allocated, 4096u), ANSWER_MAX);
                char *p = size > f->allocated ? realloc(f->answer, size) : NULL;

                if (!p) {
                        error_set(&error, ERROR_INTERNAL, "the files of a dependency do not fit into memory");
                        finish(f, &error);
                        return 0;
                }
                f->answer = p;
                f->allocated = size;
        }
        n = read(fd, f->answer + f->len, f->allocated - f->len);
        if (n > 0)
                f->len += (size_t) n;
        else if (n == 0 || (errno != EAGAIN && errno != EINTR))
                finish(f, &error);
        return 0;
}

static int on_timeout(sd_event_source *source, uint64_t usec, void *userdata) {
        DependencyFiles *f = userdata;
        Error error = {};

        (void) source, (void) usec;
        error_set(&error, ERROR_DEPENDENCY_FAILED,
                  "dependency %s: its files were not there within CheckTimeoutSec (%llu ms)", f->dependency->name,
                  (unsigned long long) (f->dependency->check_timeout_usec / USEC_PER_MSEC));
        finish(f, &error);
        return 0;
}

static int start(DependencyFiles *f, sd_event *event) {
        int fds[2], r;

        if (pipe2(fds, O_CLOEXEC) < 0)
                return -errno;
        f->fd = fds[0];
        f->pid = fork();
        if (f->pid == 0)
                child(f->dependency, fds[1]);
        r = f->pid < 0 ? -errno : 0;
        close(fds[1]);
        if (r == 0 && fcntl(f->fd, F_SETFL, O_NONBLOCK) < 0)
                r = -errno;
        if (r >= 0)
                r = sd_event_add_io(event, &f->io, f->fd, EPOLLIN, on_answer, f);
        if (r >= 0)
                r = sd_event_add_time_relative(event, &f->timer, CLOCK_MONOTONIC, f->dependency->check_timeout_usec, 0,
                                               on_timeout, f);
        return r;
}

int dependency_files_start(sd_event *event, const Dependency *d, DependencyFilesDone on_done, void *userdata,
                           DependencyFiles **ret) {
        DependencyFiles *f;
        int r;

        if (child_left(CHILD_FOR_US) >= LEFT_MAX)
                return -EAGAIN;
        f = calloc(1, sizeof(*f));
        if (!f)
                return -ENOMEM;
        *f = (DependencyFiles) { .event = event, .dependency = d, .on_done = on_done, .userdata = userdata, .fd = -1 };
        r = start(f, event);
        if (r < 0) {
                dependency_files_free(f);
                return r;
        }
        *ret = f;
        return 0;
}
