/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* tests/guest/race: what the kernel allows. Runs a command in a bare group, without penstockd, and raises its limit
 * by doubling on each notification, after a delay. Prints one line a try: survived or killed, and for each raise the
 * time from the return of poll() to the end of the write that raises memory.max. As root; the group must not exist.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/base.h"

#define RAISES_MAX 64
#define TRY_USEC (120 * USEC_PER_SEC)

typedef struct Race {
        const char *group;
        uint64_t limit_bytes, maximum_bytes;           /* memory.max at first, and at last */
        uint64_t percent, per_task_bytes, floor_bytes; /* of the headroom; all 0: no memory.high */
        uint64_t delay_usec;
        char **command;
        int dir_fd, max_fd, high_fd, pids_fd, events_fd; /* of the group */
        unsigned raises;
        uint64_t latency_usec[RAISES_MAX];
} Race;

static uint64_t now_usec(void) {
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t) t.tv_sec * USEC_PER_SEC + (uint64_t) t.tv_nsec / 1000;
}

static void die(const char *what) {
        fprintf(stderr, "race: %s: %s\n", what, strerror(errno));
        exit(2);
}

static int open_file(const Race *r, const char *name, int flags) {
        int fd = openat(r->dir_fd, name, flags | O_CLOEXEC);

        if (fd < 0)
                die(name);
        return fd;
}

static void read_text(int fd, char *buf, size_t size) {
        ssize_t n = pread(fd, buf, size - 1, 0);

        buf[n > 0 ? n : 0] = '\0';
}

static void write_bytes(int fd, uint64_t bytes) {
        char text[32];
        int len = bytes == SIZE_INFINITY ? snprintf(text, sizeof text, "max")
                                         : snprintf(text, sizeof text, "%" PRIu64, bytes);

        if (pwrite(fd, text, (size_t) len, 0) != len)
                die("a limit");
}

static uint64_t keyed(const char *text, const char *key) {
        const char *p = strstr(text, key);

        return p ? strtoull(p + strlen(key), NULL, 10) : 0;
}

static void write_high(const Race *r, uint64_t limit_bytes) {
        uint64_t headroom = MAX(limit_bytes / 100 * r->percent, r->floor_bytes), tasks;
        char text[64];

        if (headroom == 0 && r->per_task_bytes == 0)
                return;
        read_text(r->pids_fd, text, sizeof text);
        tasks = strtoull(text, NULL, 10) * r->per_task_bytes;
        headroom = MIN(MAX(headroom, tasks), limit_bytes / 2);
        write_bytes(r->high_fd, limit_bytes >= r->maximum_bytes ? SIZE_INFINITY : limit_bytes - headroom);
}

static void make_group(Race *r) {
        int fd;

        if (mkdir(r->group, 0755) < 0 || (r->dir_fd = open(r->group, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
                die(r->group);
        fd = open_file(r, "memory.oom.group", O_WRONLY);
        write_bytes(fd, 1);
        close(fd);
        fd = openat(r->dir_fd, "memory.swap.max", O_WRONLY | O_CLOEXEC); /* not there without swap */
        if (fd >= 0) {
                write_bytes(fd, 0);
                close(fd);
        }
        r->max_fd = open_file(r, "memory.max", O_WRONLY);
        r->high_fd = open_file(r, "memory.high", O_WRONLY);
        r->pids_fd = open_file(r, "pids.current", O_RDONLY);
        r->events_fd = open_file(r, "memory.events.local", O_RDONLY);
        write_bytes(r->max_fd, r->limit_bytes);
        write_high(r, r->limit_bytes);
}

static pid_t start_command(const Race *r) {
        int fd = open_file(r, "cgroup.procs", O_WRONLY);
        pid_t pid = fork();

        if (pid < 0)
                die("fork");
        if (pid == 0) {
                if (write(fd, "0", 1) != 1)
                        _exit(126);
                execv(r->command[0], r->command);
                _exit(127);
        }
        close(fd);
        return pid;
}

/* All of a decision that the kernel's part needs: wake up, wait as long as it was told to, write. */
static void raise_limit(Race *r, uint64_t woken_usec) {
        struct timespec delay = { .tv_sec = (time_t) (r->delay_usec / USEC_PER_SEC),
                                  .tv_nsec = (long) (r->delay_usec % USEC_PER_SEC * 1000) };
        char text[512];

        if (r->delay_usec > 0)
                nanosleep(&delay, NULL);
        if (r->limit_bytes >= r->maximum_bytes)
                return;
        r->limit_bytes = MIN(r->limit_bytes * 2, r->maximum_bytes);
        write_bytes(r->max_fd, r->limit_bytes);
        if (r->raises < RAISES_MAX)
                r->latency_usec[r->raises++] = now_usec() - woken_usec;
        write_high(r, r->limit_bytes);
        read_text(r->events_fd, text, sizeof text); /* what came meanwhile is answered by this raise */
}

/* Until the command has ended, or the try took too long. */
static void watch(Race *r, int pid_fd) {
        struct pollfd fds[] = { { .fd = pid_fd, .events = POLLIN }, { .fd = r->events_fd, .events = POLLPRI } };
        uint64_t end = now_usec() + TRY_USEC;
        char text[512];

        read_text(r->events_fd, text, sizeof text); /* sets the mark of this description */
        while (now_usec() < end && poll(fds, ELEMENTSOF(fds), 1000) >= 0) {
                uint64_t woken_usec = now_usec();

                if (fds[0].revents)
                        return;
                if (!fds[1].revents)
                        continue;
                read_text(r->events_fd, text, sizeof text);
                raise_limit(r, woken_usec);
        }
}

static bool try_once(Race *r) {
        uint64_t begin = now_usec();
        int status, pid_fd, fd;
        char text[512];
        bool good;
        pid_t pid;

        make_group(r);
        pid = start_command(r);
        pid_fd = (int) syscall(SYS_pidfd_open, pid, 0);
        if (pid_fd < 0)
                die("pidfd_open");
        watch(r, pid_fd);
        fd = open_file(r, "cgroup.kill", O_WRONLY);
        write_bytes(fd, 1);
        close(fd);
        waitpid(pid, &status, 0);
        good = WIFEXITED(status) && WEXITSTATUS(status) == 0;
        read_text(r->events_fd, text, sizeof text);
        printf("%s status %d usec %" PRIu64 " limit %" PRIu64 "M high %" PRIu64 " oom_kill %" PRIu64 " latencies",
               good ? "survived" : "died", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
               now_usec() - begin, r->limit_bytes / MIB, keyed(text, "high "), keyed(text, "oom_kill "));
        for (unsigned i = 0; i < r->raises; i++)
                printf(" %" PRIu64, r->latency_usec[i]);
        putchar('\n');
        fflush(stdout);
        close(pid_fd);
        close(r->max_fd);
        close(r->high_fd);
        close(r->pids_fd);
        close(r->events_fd);
        close(r->dir_fd);
        for (uint64_t end = now_usec() + TRY_USEC; rmdir(r->group) < 0 && now_usec() < end;)
                usleep(1000); /* processes that are still dying */
        return good;
}

static uint64_t size_option(const char *text) {
        uint64_t v;

        errno = EINVAL;
        if (size_parse(text, 0, &v) < 0)
                die(text);
        return v;
}

int main(int argc, char **argv) {
        static const struct option options[] = {
                { "limit", required_argument, NULL, 'l' },   { "maximum", required_argument, NULL, 'm' },
                { "percent", required_argument, NULL, 'p' }, { "per-task", required_argument, NULL, 't' },
                { "floor", required_argument, NULL, 'f' },   { "delay-ms", required_argument, NULL, 'd' },
                { "tries", required_argument, NULL, 'n' },   {},
        };
        Race first = { .limit_bytes = 64 * MIB, .maximum_bytes = 1024 * MIB };
        unsigned tries = 1, survived = 0;
        int opt;

        while ((opt = getopt_long(argc, argv, "+", options, NULL)) != -1)
                switch (opt) {
                case 'l': first.limit_bytes = size_option(optarg); break;
                case 'm': first.maximum_bytes = size_option(optarg); break;
                case 'p': first.percent = size_option(optarg); break;
                case 't': first.per_task_bytes = size_option(optarg); break;
                case 'f': first.floor_bytes = size_option(optarg); break;
                case 'd': first.delay_usec = size_option(optarg) * USEC_PER_MSEC; break;
                case 'n': tries = (unsigned) size_option(optarg); break;
                default: optind = argc; break;
                }
        if (argc - optind < 2) {
                fputs("usage: race [--limit SIZE] [--maximum SIZE] [--percent N] [--per-task SIZE] [--floor SIZE]\n"
                      "            [--delay-ms N] [--tries N] GROUP COMMAND [ARGUMENT…]\n",
                      stderr);
                return 2;
        }
        first.group = argv[optind];
        first.command = argv + optind + 1;
        for (unsigned i = 0; i < tries; i++) {
                Race r = first;

                survived += try_once(&r);
        }
        printf("survived %u of %u\n", survived, tries);
        return 0;
}
