/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/loop_guard.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define FRAMES_MAX 32
#define SLEEPS_MAX 64u
#define SLEEPS_FILE "loop-sleeps"

/* From one place. */
typedef struct Sleep {
        const char *call;
        const void *caller;
        char what[96];
        uint64_t n, sum_usec, longest_usec;
} Sleep;

static Sleep sleeps[SLEEPS_MAX];
static unsigned n_sleeps;
static uint64_t n_turns, n_slept_turns, turn_sum_usec, turn_longest_usec, in_calls_usec;
static int schedstat_fd = -1;

static uint64_t read_clock(clockid_t clock) {
        struct timespec t;

        clock_gettime(clock, &t);
        return (uint64_t) t.tv_sec * 1000000 + (uint64_t) t.tv_nsec / 1000;
}

/* How long this thread could have run, and another one did: a busy host is not a sleep. */
static uint64_t run_delay(void) {
        char text[96] = "";
        uint64_t delay = 0;

        if (schedstat_fd >= 0 && syscall(SYS_pread64, schedstat_fd, text, sizeof(text) - 1, 0L) > 0)
                (void) sscanf(text, "%*u %" SCNu64, &delay);
        return delay / 1000;
}

static long own_switches(void) {
        struct rusage u;

        return getrusage(RUSAGE_THREAD, &u) < 0 ? 0 : u.ru_nvcsw;
}

GuardMark guard_mark(void) {
        return (GuardMark) { read_clock(CLOCK_MONOTONIC), read_clock(CLOCK_THREAD_CPUTIME_ID), run_delay(), own_switches() };
}

uint64_t guard_slept_since(const GuardMark *m) {
        uint64_t wall, busy;
        GuardMark now;

        if (own_switches() == m->switches)
                return 0;
        now = guard_mark();
        wall = now.wall_usec - m->wall_usec;
        busy = now.cpu_usec - m->cpu_usec + now.delay_usec - m->delay_usec;
        return wall > busy ? wall - busy : 0;
}

void guard_describe(int fd, const char *path, char *buf, size_t len) {
        char link[64];
        long n;

        snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        n = path || fd < 0 ? -1 : syscall(SYS_readlink, link, buf, len - 1);
        if (n >= 0)
                buf[n] = 0;
        else
                snprintf(buf, len, "%s", path ? path : "");
}

/* The place in the program that led to the call of a library. */
static const void *caller_in_program(const void *caller) {
        void *frames[FRAMES_MAX];
        Dl_info program, info;
        int n, i = 0;

        if (!dladdr((void *) getauxval(AT_ENTRY), &program))
                return caller;
        n = backtrace(frames, FRAMES_MAX);
        while (i < n && frames[i] != caller)
                i++;
        while (i < n && !(dladdr(frames[i], &info) && info.dli_fbase == program.dli_fbase))
                i++;
        return i < n ? frames[i] : caller;
}

void guard_book_sleep(const char *call, const void *caller, int fd, const char *path, uint64_t usec) {
        Sleep *s;
        unsigned i = 0;

        in_calls_usec += usec;
        caller = caller_in_program(caller);
        while (i < n_sleeps && (sleeps[i].call != call || sleeps[i].caller != caller))
                i++;
        if (i == SLEEPS_MAX)
                return;
        n_sleeps += i == n_sleeps;
        s = &sleeps[i];
        s->call = call;
        s->caller = caller;
        s->n++;
        s->sum_usec += usec;
        if (usec >= s->longest_usec) {
                s->longest_usec = usec;
                guard_describe(fd, path, s->what, sizeof(s->what));
        }
}

void guard_name_place(const void *address, char *buf, size_t len) {
        const char *name, *slash;
        Dl_info info;

        if (!dladdr(address, &info) || !info.dli_fname) {
                snprintf(buf, len, "%p", address);
                return;
        }
        slash = strrchr(info.dli_fname, '/');
        name = slash ? slash + 1 : info.dli_fname;
        snprintf(buf, len, "%s+0x%zx", name, (size_t) ((const char *) address - (const char *) info.dli_fbase));
}

/* By system calls: what is above them may be what waits. */
void guard_say(const char *file, const char *text) {
        const char *directory = getenv("RUNTIME_DIRECTORY");
        char path[256];
        long fd, n = syscall(SYS_write, STDERR_FILENO, text, strlen(text));

        snprintf(path, sizeof(path), "%s/%s", directory ? directory : "", file);
        fd = directory ? syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
        if (fd >= 0) {
                n = syscall(SYS_write, (int) fd, text, strlen(text));
                (void) syscall(SYS_close, (int) fd);
        }
        (void) n;
}

static int by_longest(const void *a, const void *b) {
        const Sleep *x = a, *y = b;

        return (x->longest_usec < y->longest_usec) - (x->longest_usec > y->longest_usec);
}

static void tell_sleeps(void) {
        char text[512], place[128];

        snprintf(text, sizeof(text),
                 "loop guard: %" PRIu64 " turns, %" PRIu64 " slept, %" PRIu64 " usec in all, %" PRIu64 " at most; %" PRIu64
                 " usec of it in known calls\n",
                 n_turns, n_slept_turns, turn_sum_usec, turn_longest_usec, in_calls_usec);
        guard_say(SLEEPS_FILE, text);
        qsort(sleeps, n_sleeps, sizeof(*sleeps), by_longest);
        for (unsigned i = 0; i < n_sleeps; i++) {
                guard_name_place(sleeps[i].caller, place, sizeof(place));
                snprintf(text, sizeof(text), "loop guard: %s(%s) slept %" PRIu64 " times, %" PRIu64 " usec, %" PRIu64
                         " at most; called from %s\n",
                         sleeps[i].call, sleeps[i].what, sleeps[i].n, sleeps[i].sum_usec, sleeps[i].longest_usec, place);
                guard_say(SLEEPS_FILE, text);
        }
}

void guard_begin(void) {
        char path[64];

        snprintf(path, sizeof(path), "/proc/self/task/%d/schedstat", (int) gettid());
        schedstat_fd = (int) syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
}

void guard_book_turn(const GuardMark *begin) {
        uint64_t usec = guard_slept_since(begin);

        n_turns++;
        n_slept_turns += usec > 0;
        turn_sum_usec += usec;
        if (usec > turn_longest_usec)
                turn_longest_usec = usec;
}

void guard_end(void) {
        tell_sleeps();
        if (schedstat_fd >= 0)
                (void) syscall(SYS_close, schedstat_fd);
        schedstat_fd = -1;
}
