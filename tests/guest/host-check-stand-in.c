/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What runs in the units: a worker that forks one process, which waits until it was put into engine/. */
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host-check.h"

#define NOBODY 65534

static void wait_for_engine(void) {
        char text[4096];

        for (;;) {
                int fd = open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC);
                ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);

                if (fd >= 0)
                        close(fd);
                if (n > 0) {
                        text[n] = '\0';
                        if (strstr(text, "/engine\n"))
                                return;
                }
                usleep(10000);
        }
}

static void become_nobody(void) {
        if (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0)
                _exit(99);
}

/* Touch @mib MiB, a page at a time, and keep them. */
static void eat(size_t mib) {
        volatile char *p;

        for (size_t i = 0; i < mib; i++) {
                p = malloc(MIB);
                if (!p)
                        _exit(98);
                for (size_t j = 0; j < MIB; j += 4096)
                        p[j] = 1;
        }
}

/* A quarter of it at once, and the rest when told to. */
static void grow(size_t mib) {
        sigset_t wanted;
        int n;

        sigemptyset(&wanted);
        sigaddset(&wanted, SIGUSR1);
        sigprocmask(SIG_BLOCK, &wanted, NULL);
        eat(mib / 4);
        sigwait(&wanted, &n);
        eat(mib - mib / 4);
}

/* Page cache: what is read is charged, and can be given back. */
static void read_file(const char *path) {
        static char buf[MIB];
        int fd = open(path, O_RDONLY | O_CLOEXEC);

        if (fd < 0)
                _exit(97);
        while (read(fd, buf, sizeof buf) > 0)
                ;
        eat(SCATTERED_MIB);
}

/* Five children that left the session and the parent; then, as a sign that all are there, SCATTERED_MIB of memory. */
static void scatter(void) {
        for (int i = 0; i < 5; i++)
                if (fork() == 0) {
                        setsid();
                        if (fork() == 0)
                                for (;;)
                                        pause();
                        _exit(0);
                }
        for (int i = 0; i < 5; i++)
                wait(NULL);
        eat(SCATTERED_MIB);
}

static void engine(const char *mode, const char *argument) {
        wait_for_engine();
        become_nobody();
        if (strcmp(mode, "eat") == 0)
                eat(strtoul(argument, NULL, 10));
        else if (strcmp(mode, "grow") == 0)
                grow(strtoul(argument, NULL, 10));
        else if (strcmp(mode, "read") == 0)
                read_file(argument);
        else if (strcmp(mode, "scatter") == 0)
                scatter();
        for (;;)
                pause();
}

/* Modes with a process in engine/. */
static bool has_engine(const char *mode) {
        static const char *const modes[] = { "eat", "grow", "read", "scatter", "stubborn" };

        for (size_t i = 0; i < ELEMENTSOF(modes); i++)
                if (strcmp(mode, modes[i]) == 0)
                        return true;
        return false;
}

int stand_in(int argc, char **argv) {
        const char *mode = argv[0], *argument = argc > 1 ? argv[1] : NULL;

        if (strcmp(mode, "stubborn") == 0)
                signal(SIGTERM, SIG_IGN);
        if (strcmp(mode, "quit") == 0)
                return 3;
        if (has_engine(mode) && fork() == 0)
                engine(mode, argument);
        for (;;)
                pause();
}
