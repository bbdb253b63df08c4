/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What can wait is defined here before the C library, so that the calls of penstockd's libraries come by, too. One that is made
 * from a callback of the loop ends the process, also when it would have found this time what it waits for. What the kernel
 * may sleep in for reasons of its own is measured. */
#undef _FILE_OFFSET_BITS /* open() and open64() are two functions here */
#undef _FORTIFY_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <grp.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <systemd/sd-event.h>

#include "daemon/loop_guard.h"

#define FRAMES_MAX 24
#define LARGE_FILE_BYTES (16 << 20) /* above the largest record */
#define WORD_FILE "loop-guard" /* in $RUNTIME_DIRECTORY */

/* Linked into penstockd it is always on; preloaded, in the program that PENSTOCK_LOOP_GUARD names. */
#ifndef LOOP_GUARD_LINKED
#define LOOP_GUARD_LINKED 0
#endif

static _Thread_local bool on_loop; /* between two waits of the loop */

/* The next definition of that name. */
#define REAL(name)                                                                                                               \
        static __typeof__(&name) real;                                                                                           \
        real = real ? real : (__typeof__(&name)) dlsym(RTLD_NEXT, #name)

static _Noreturn void end(const char *call, int fd, const char *path) {
        char text[2048], what[256], place[128];
        void *frames[FRAMES_MAX];
        size_t len;
        int n;

        on_loop = false;
        guard_describe(fd, path, what, sizeof(what));
        snprintf(text, sizeof(text), "loop guard: %s(%s) may wait, and the loop must not; called from", call, what);
        n = backtrace(frames, FRAMES_MAX);
        for (int i = 2; i < n; i++) { /* not from here */
                guard_name_place(frames[i], place, sizeof(place));
                len = strlen(text);
                snprintf(text + len, sizeof(text) - len, " %s", place);
        }
        len = strlen(text);
        snprintf(text + len, sizeof(text) - len, "\n");
        guard_say(WORD_FILE, text);
        abort();
}

/* True if an end of @fd is somebody else's, whom the call would wait for. */
static bool may_wait(int fd) {
        struct stat st;
        long flags;

        if (fstat(fd, &st) < 0 || S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) || S_ISBLK(st.st_mode))
                return false;
        flags = syscall(SYS_fcntl, fd, F_GETFL, 0L);
        return flags >= 0 && !(flags & O_NONBLOCK) && (!S_ISCHR(st.st_mode) || isatty(fd));
}

/* Whoever opens one waits for its other end. */
static bool is_fifo(int directory, const char *path, int flags) {
        struct stat st;

        return !(flags & (O_NONBLOCK | O_PATH)) && (flags & O_ACCMODE) != O_RDWR && fstatat(directory, path, &st, 0) == 0 &&
               S_ISFIFO(st.st_mode);
}

/* A disk takes tenths of a second to free a gibibyte. */
static bool is_large(int directory, const char *path) {
        struct stat st;

        return fstatat(directory, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) && st.st_size > LARGE_FILE_BYTES;
}

/* What the kernel may sleep in: measured on the loop. */
#define MEASURED(name, fd, path, call)                                                                                           \
        GuardMark begin;                                                                                                         \
        uint64_t usec;                                                                                                           \
        int saved;                                                                                                               \
        REAL(name);                                                                                                              \
        if (!on_loop)                                                                                                            \
        return call;                                                                                                             \
        begin = guard_mark();                                                                                                    \
        __typeof__(call) r = call;                                                                                               \
        saved = errno;                                                                                                           \
        usec = guard_slept_since(&begin);                                                                                        \
        if (usec > 0)                                                                                                            \
        guard_book_sleep(#name, __builtin_return_address(0), fd, path, usec);                                                          \
        errno = saved;                                                                                                           \
        return r

#define REFUSED_IF(condition, name, fd, path)                                                                                    \
        if (on_loop && (condition))                                                                                              \
        end(name, fd, path)

#pragma GCC visibility push(default)

/* -- those that wait -- */

/* Parameters in parentheses, condition on them. */
#define WAITS_IF(type, name, parameters, arguments, condition, fd)                                                               \
        type name parameters {                                                                                                   \
                REAL(name);                                                                                                      \
                REFUSED_IF(condition, #name, fd, NULL);                                                                          \
                return real arguments;                                                                                           \
        }

WAITS_IF(int, poll, (struct pollfd *v, nfds_t n, int msec), (v, n, msec), msec != 0, n > 0 ? v[0].fd : -1)
WAITS_IF(int, ppoll, (struct pollfd *v, nfds_t n, const struct timespec *t, const sigset_t *mask), (v, n, t, mask),
         !t || t->tv_sec != 0 || t->tv_nsec != 0, n > 0 ? v[0].fd : -1)
WAITS_IF(int, select, (int n, fd_set *r, fd_set *w, fd_set *x, struct timeval *t), (n, r, w, x, t),
         !t || t->tv_sec != 0 || t->tv_usec != 0, -1)
WAITS_IF(int, pselect, (int n, fd_set *r, fd_set *w, fd_set *x, const struct timespec *t, const sigset_t *mask),
         (n, r, w, x, t, mask), !t || t->tv_sec != 0 || t->tv_nsec != 0, -1)
WAITS_IF(int, epoll_wait, (int fd, struct epoll_event *v, int n, int msec), (fd, v, n, msec), msec != 0, fd)
WAITS_IF(int, epoll_pwait, (int fd, struct epoll_event *v, int n, int msec, const sigset_t *mask), (fd, v, n, msec, mask),
         msec != 0, fd)
WAITS_IF(int, nanosleep, (const struct timespec *t, struct timespec *left), (t, left), true, -1)
WAITS_IF(int, clock_nanosleep, (clockid_t c, int flags, const struct timespec *t, struct timespec *left), (c, flags, t, left),
         true, -1)
WAITS_IF(int, usleep, (useconds_t usec), (usec), true, -1)
WAITS_IF(unsigned, sleep, (unsigned sec), (sec), true, -1)
WAITS_IF(int, pause, (void), (), true, -1)
WAITS_IF(int, sigsuspend, (const sigset_t *mask), (mask), true, -1)
WAITS_IF(int, sigwaitinfo, (const sigset_t *set, siginfo_t *info), (set, info), true, -1)
WAITS_IF(int, sigtimedwait, (const sigset_t *set, siginfo_t *info, const struct timespec *t), (set, info, t),
         !t || t->tv_sec != 0 || t->tv_nsec != 0, -1)
WAITS_IF(pid_t, wait, (int *status), (status), true, -1)
WAITS_IF(pid_t, waitpid, (pid_t pid, int *status, int options), (pid, status, options), !(options & WNOHANG), -1)
WAITS_IF(pid_t, wait4, (pid_t pid, int *status, int options, struct rusage *u), (pid, status, options, u),
         !(options & WNOHANG), -1)
WAITS_IF(int, waitid, (idtype_t type, id_t id, siginfo_t *info, int options), (type, id, info, options), !(options & WNOHANG),
         -1)
WAITS_IF(int, system, (const char *command), (command), true, -1)
WAITS_IF(int, flock, (int fd, int operation), (fd, operation), !(operation & (LOCK_NB | LOCK_UN)), fd)
WAITS_IF(int, lockf, (int fd, int command, off_t len), (fd, command, len), command == F_LOCK, fd)
WAITS_IF(int, fsync, (int fd), (fd), true, fd)
WAITS_IF(int, fdatasync, (int fd), (fd), true, fd)
WAITS_IF(int, syncfs, (int fd), (fd), true, fd)
WAITS_IF(int, pthread_join, (pthread_t t, void **value), (t, value), true, -1)
WAITS_IF(int, pthread_cond_wait, (pthread_cond_t * c, pthread_mutex_t *m), (c, m), true, -1)
WAITS_IF(int, pthread_cond_timedwait, (pthread_cond_t * c, pthread_mutex_t *m, const struct timespec *t), (c, m, t), true, -1)
/* Name services ask other processes, or the network. */
WAITS_IF(struct passwd *, getpwnam, (const char *name), (name), true, -1)
WAITS_IF(struct passwd *, getpwuid, (uid_t uid), (uid), true, -1)
WAITS_IF(int, getpwuid_r, (uid_t uid, struct passwd *p, char *buf, size_t len, struct passwd **ret), (uid, p, buf, len, ret),
         true, -1)
WAITS_IF(struct group *, getgrnam, (const char *name), (name), true, -1)
WAITS_IF(struct group *, getgrgid, (gid_t gid), (gid), true, -1)
WAITS_IF(int, getgrouplist, (const char *name, gid_t gid, gid_t *v, int *n), (name, gid, v, n), true, -1)
WAITS_IF(int, getaddrinfo, (const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **ret),
         (node, service, hints, ret), true, -1)

int fcntl64(int fd, int command, ...) {
        va_list ap;
        void *argument;
        REAL(fcntl64);

        va_start(ap, command);
        argument = va_arg(ap, void *);
        va_end(ap);
        REFUSED_IF(command == F_SETLKW || command == F_OFD_SETLKW, "fcntl", fd, NULL);
        return real(fd, command, argument);
}

/* -- those that wait for who has the other end -- */

#define WAITS_FOR(type, name, parameters, arguments, flags, fd)                                                                  \
        type name parameters {                                                                                                   \
                REFUSED_IF(!((flags) & MSG_DONTWAIT) && may_wait(fd), #name, fd, NULL);                                          \
                MEASURED(name, fd, NULL, real arguments);                                                                        \
        }

WAITS_FOR(ssize_t, read, (int fd, void *buf, size_t n), (fd, buf, n), 0, fd)
WAITS_FOR(ssize_t, write, (int fd, const void *buf, size_t n), (fd, buf, n), 0, fd)
WAITS_FOR(ssize_t, readv, (int fd, const struct iovec *v, int n), (fd, v, n), 0, fd)
WAITS_FOR(ssize_t, writev, (int fd, const struct iovec *v, int n), (fd, v, n), 0, fd)
WAITS_FOR(ssize_t, send, (int fd, const void *buf, size_t n, int flags), (fd, buf, n, flags), flags, fd)
WAITS_FOR(ssize_t, sendto, (int fd, const void *buf, size_t n, int flags, const struct sockaddr *to, socklen_t len),
          (fd, buf, n, flags, to, len), flags, fd)
WAITS_FOR(ssize_t, sendmsg, (int fd, const struct msghdr *m, int flags), (fd, m, flags), flags, fd)
WAITS_FOR(ssize_t, recv, (int fd, void *buf, size_t n, int flags), (fd, buf, n, flags), flags, fd)
WAITS_FOR(ssize_t, recvfrom, (int fd, void *buf, size_t n, int flags, struct sockaddr *from, socklen_t *len),
          (fd, buf, n, flags, from, len), flags, fd)
WAITS_FOR(ssize_t, recvmsg, (int fd, struct msghdr *m, int flags), (fd, m, flags), flags, fd)
WAITS_FOR(int, connect, (int fd, const struct sockaddr *to, socklen_t len), (fd, to, len), 0, fd)
WAITS_FOR(int, accept, (int fd, struct sockaddr *from, socklen_t *len), (fd, from, len), 0, fd)
WAITS_FOR(int, accept4, (int fd, struct sockaddr *from, socklen_t *len, int flags), (fd, from, len, flags), 0, fd)

#define OPENS(name, parameters, directory, path, arguments)                                                                      \
        int name parameters {                                                                                                    \
                va_list ap;                                                                                                      \
                mode_t mode;                                                                                                     \
                va_start(ap, flags);                                                                                             \
                mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, mode_t) : 0;                                                   \
                va_end(ap);                                                                                                      \
                REFUSED_IF(is_fifo(directory, path, flags), #name, -1, path);                                                    \
                MEASURED(name, -1, path, real arguments);                                                                        \
        }

OPENS(open, (const char *path, int flags, ...), AT_FDCWD, path, (path, flags, mode))
OPENS(open64, (const char *path, int flags, ...), AT_FDCWD, path, (path, flags, mode))
OPENS(openat, (int directory, const char *path, int flags, ...), directory, path, (directory, path, flags, mode))
OPENS(openat64, (int directory, const char *path, int flags, ...), directory, path, (directory, path, flags, mode))

#define REMOVES(name, parameters, directory, path, arguments)                                                                    \
        int name parameters {                                                                                                    \
                REFUSED_IF(is_large(directory, path), #name, -1, path);                                                          \
                MEASURED(name, directory, path, real arguments);                                                                 \
        }

REMOVES(unlink, (const char *path), AT_FDCWD, path, (path))
REMOVES(unlinkat, (int directory, const char *path, int flags), directory, path, (directory, path, flags))

/* -- those that may take the kernel a while -- */

#define TAKES_A_WHILE(type, name, parameters, arguments, fd, path)                                                               \
        type name parameters {                                                                                                   \
                MEASURED(name, fd, path, real arguments);                                                                        \
        }

TAKES_A_WHILE(ssize_t, pread, (int fd, void *buf, size_t n, off_t at), (fd, buf, n, at), fd, NULL)
TAKES_A_WHILE(ssize_t, pread64, (int fd, void *buf, size_t n, off64_t at), (fd, buf, n, at), fd, NULL)
TAKES_A_WHILE(ssize_t, pwrite, (int fd, const void *buf, size_t n, off_t at), (fd, buf, n, at), fd, NULL)
TAKES_A_WHILE(ssize_t, pwrite64, (int fd, const void *buf, size_t n, off64_t at), (fd, buf, n, at), fd, NULL)
TAKES_A_WHILE(int, mkdir, (const char *path, mode_t mode), (path, mode), -1, path)
TAKES_A_WHILE(int, mkdirat, (int fd, const char *path, mode_t mode), (fd, path, mode), -1, path)
TAKES_A_WHILE(int, rmdir, (const char *path), (path), -1, path)
TAKES_A_WHILE(int, rename, (const char *from, const char *to), (from, to), -1, to)
TAKES_A_WHILE(int, ftruncate64, (int fd, off64_t len), (fd, len), fd, NULL)
TAKES_A_WHILE(int, close, (int fd), (fd), -1, NULL)
TAKES_A_WHILE(int, inotify_add_watch, (int fd, const char *path, uint32_t mask), (fd, path, mask), -1, path)
TAKES_A_WHILE(int, pthread_mutex_lock, (pthread_mutex_t * m), (m), -1, NULL)
TAKES_A_WHILE(FILE *, fopen, (const char *path, const char *mode), (path, mode), -1, path)
TAKES_A_WHILE(FILE *, fopen64, (const char *path, const char *mode), (path, mode), -1, path)
TAKES_A_WHILE(char *, fgets, (char *buf, int n, FILE *f), (buf, n, f), fileno(f), NULL)
TAKES_A_WHILE(int, fclose, (FILE * f), (f), -1, NULL)
TAKES_A_WHILE(struct dirent64 *, readdir64, (DIR * d), (d), dirfd(d), NULL)

/* A child may wait. */
static pid_t fork_measured(const void *caller) {
        GuardMark begin = {};
        bool was = on_loop;
        uint64_t usec;
        pid_t pid;
        REAL(fork);

        if (was)
                begin = guard_mark();
        pid = real();
        if (pid == 0)
                on_loop = false;
        else if (was && (usec = guard_slept_since(&begin)) > 0)
                guard_book_sleep("fork", caller, -1, NULL, usec);
        return pid;
}

pid_t fork(void) {
        return fork_measured(__builtin_return_address(0));
}

/* -- the loop -- */

static bool is_wanted(void) {
        const char *program;

        if (LOOP_GUARD_LINKED)
                return true;
        program = getenv("PENSTOCK_LOOP_GUARD");
        return program && strcmp(program, program_invocation_short_name) == 0;
}

static int turn(sd_event *e, int (*what)(sd_event *)) {
        GuardMark begin = guard_mark();
        int r;

        on_loop = true;
        r = what(e);
        on_loop = false;
        guard_book_turn(&begin);
        return r;
}

/* The steps of daemon/loop, but for the one that waits. */

int sd_event_prepare(sd_event *e) {
        static bool began;
        REAL(sd_event_prepare);

        if (!is_wanted())
                return real(e);
        if (!began)
                guard_begin();
        began = true;
        return turn(e, real);
}

int sd_event_dispatch(sd_event *e) {
        REAL(sd_event_dispatch);

        return is_wanted() ? turn(e, real) : real(e);
}

/* Asked for when it is over. */
int sd_event_get_exit_code(sd_event *e, int *code) {
        REAL(sd_event_get_exit_code);

        if (is_wanted())
                guard_end();
        return real(e, code);
}

/* Which libsystemd would make of its own steps. */
int sd_event_loop(sd_event *e) {
        int r, code;
        REAL(sd_event_loop);
        static int (*get_state)(sd_event *), (*wait_for)(sd_event *, uint64_t);

        if (!is_wanted())
                return real(e);
        get_state = (__typeof__(get_state)) dlsym(RTLD_NEXT, "sd_event_get_state");
        wait_for = (__typeof__(wait_for)) dlsym(RTLD_NEXT, "sd_event_wait");
        while (get_state(e) != SD_EVENT_FINISHED) {
                r = sd_event_prepare(e);
                if (r == 0)
                        r = wait_for(e, UINT64_MAX);
                if (r > 0)
                        r = sd_event_dispatch(e);
                if (r < 0)
                        return r;
        }
        r = sd_event_get_exit_code(e, &code);
        return r < 0 ? r : code;
}

#pragma GCC visibility pop
