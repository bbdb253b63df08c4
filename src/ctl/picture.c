/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/picture.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "ctl/picture_size.h"
#include "ctl/stream.h"

extern char **environ;

/* The build's own program, for tests of what is not installed. */
static const char *program(void) {
        const char *path = getenv("PENSTOCK_DRAW");

        return path && path[0] != '\0' ? path : PENSTOCK_DRAW_PATH;
}

static int add_number(StrList *l, uint64_t number, uint64_t otherwise) {
        char text[24];

        snprintf(text, sizeof(text), "%llu", (unsigned long long) (number > 0 ? number : otherwise));
        return strlist_add(l, text);
}

static int make_arguments(const Picture *p, const StrList *facts, StrList *ret) {
        int r = strlist_add(ret, program());

        if (r == 0)
                r = strlist_add(ret, p->subject);
        if (r == 0)
                r = strlist_add(ret, p->kind == PICTURE_SVG ? "svg" : "png");
        if (r == 0)
                r = add_number(ret, p->width, PICTURE_WIDTH_DEFAULT);
        if (r == 0)
                r = add_number(ret, p->height, PICTURE_HEIGHT_DEFAULT);
        for (size_t i = 0; i < facts->n && r == 0; i++)
                r = strlist_add(ret, facts->v[i]);
        return r;
}

static int spawn(char *const argv[], int in, int out, pid_t *ret) {
        posix_spawn_file_actions_t actions;
        int r = posix_spawn_file_actions_init(&actions);

        if (r != 0)
                return -r;
        r = posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
        if (r == 0)
                r = posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
        if (r == 0)
                r = posix_spawn(ret, argv[0], &actions, NULL, argv, environ);
        posix_spawn_file_actions_destroy(&actions);
        return -r;
}

/* It says itself on stderr what it does not like. */
static int wait_for(const Verb *verb, pid_t pid) {
        int status;

        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR) {
                        report("cannot wait for penstock-draw: %s", strerror(errno));
                        return verb->failure;
                }
        if (WIFSIGNALED(status))
                report("penstock-draw was ended by signal %d", WTERMSIG(status));
        return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : verb->failure;
}

/* Into memory, so that nothing is begun that is not drawn to the end. *@ret_fd is the caller's to close in any case.
 */
static int draw(const Verb *verb, const Picture *p, int rows_fd, const StrList *facts, int *ret_fd) {
        CLEANUP(strlist_done) StrList argv = {};
        pid_t pid = -1;
        int r;

        *ret_fd = memfd_create("picture", MFD_CLOEXEC);
        if (*ret_fd < 0) {
                report("cannot make room for a picture: %s", strerror(errno));
                return verb->failure;
        }
        r = make_arguments(p, facts, &argv);
        if (r == 0)
                r = spawn(argv.v, rows_fd, *ret_fd, &pid);
        if (r < 0) {
                report("cannot run %s: %s", program(), strerror(-r));
                return verb->failure;
        }
        return wait_for(verb, pid);
}

static int copy(int from, int to) {
        char buf[16384];
        off_t at = 0;
        ssize_t n;

        while ((n = pread(from, buf, sizeof(buf), at)) > 0) {
                int r = stream_write_all(to, buf, (size_t) n);

                if (r < 0)
                        return r;
                at += n;
        }
        return n < 0 ? -errno : 0;
}

/* What others may do with a new file is as the caller's umask has it; one that is replaced stays as it was. */
static mode_t mode_of(const struct stat *old) {
        mode_t mask;

        if (old)
                return old->st_mode & 0777;
        mask = umask(0);
        umask(mask);
        return 0666 & ~mask;
}

/* Beside @path, and then in its place: who reads it finds the old picture or the new one. */
static int replace(int from, const char *path, const struct stat *old) {
        const char *slash = strrchr(path, '/');
        CLEANUP(freep) char *temporary = NULL;
        CLEANUP(closep) int fd = -1;
        int r;

        if (asprintf(&temporary, "%.*s.penstock-XXXXXX", slash ? (int) (slash + 1 - path) : 0, path) < 0)
                return -ENOMEM;
        fd = mkostemp(temporary, O_CLOEXEC);
        if (fd < 0)
                return -errno;
        r = fchmod(fd, mode_of(old)) < 0 ? -errno : copy(from, fd);
        if (r == 0 && rename(temporary, path) < 0)
                r = -errno;
        if (r < 0)
                (void) unlink(temporary);
        return r;
}

static int write_into(int from, int to, PictureKind kind) {
        if (kind == PICTURE_PNG && isatty(to))
                return -ENOTTY;
        return copy(from, to);
}

/* Only a plain file, or none, has its place taken by another one. A device has not; and what is behind a link may be
 * anything (/dev/stdout), and the kernel judges who may follow which. */
static int write_file(int from, const char *path, PictureKind kind) {
        CLEANUP(closep) int fd = -1;
        struct stat st;

        if (lstat(path, &st) < 0)
                return errno == ENOENT ? replace(from, path, NULL) : -errno;
        if (S_ISREG(st.st_mode))
                return replace(from, path, &st);
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666);
        return fd < 0 ? -errno : write_into(from, fd, kind);
}

int picture_make(const Verb *verb, const Picture *p, int rows_fd, const StrList *facts) {
        CLEANUP(closep) int fd = -1;
        bool to_stdout = strcmp(p->path, "-") == 0;
        int r = draw(verb, p, rows_fd, facts, &fd);

        if (r != 0)
                return r;
        r = to_stdout ? write_into(fd, STDOUT_FILENO, p->kind) : write_file(fd, p->path, p->kind);
        if (r == -ENOTTY)
                report("a PNG is not for a terminal; give a file, or --svg");
        else if (r < 0 && (r != -EPIPE || !to_stdout))
                report("cannot write %s: %s", to_stdout ? "to standard output" : p->path, strerror(-r));
        return r < 0 ? (int) verb->failure : 0;
}
