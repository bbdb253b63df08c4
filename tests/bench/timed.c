/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* bench-timed [--small-pages] COMMAND…: runs it, its output aside, and prints how many nanoseconds passed from fork to its
 * end: the run alone, without the way to it; and how many of them it had a processor. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long long now_nsec(void) {
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (long long) t.tv_sec * 1000000000 + t.tv_nsec;
}

static long long nsec(const struct timeval *t) {
        return (long long) t->tv_sec * 1000000000 + (long long) t->tv_usec * 1000;
}

int main(int argc, char **argv) {
        struct rusage usage;
        long long begin;
        int status;
        pid_t pid;

        argv++;
        if (argc > 1 && strcmp(*argv, "--small-pages") == 0) {
                if (prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) < 0)
                        return 2;
                argv++;
        }
        if (!*argv)
                return 2;
        begin = now_nsec();
        pid = fork();
        if (pid == 0) {
                if (dup2(open("/dev/null", O_RDWR | O_CLOEXEC), STDOUT_FILENO) >= 0)
                        execvp(argv[0], argv);
                _exit(127);
        }
        if (pid < 0 || wait4(pid, &status, 0, &usage) < 0)
                return 2;
        printf("%lld %lld\n", now_nsec() - begin, nsec(&usage.ru_utime) + nsec(&usage.ru_stime));
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
