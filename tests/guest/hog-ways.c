/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hog.h"

#define PAGE 4096u
#define TABLE_SPAN (2 * MIB) /* what one page of page table maps */
#define BLOCK MIB

static volatile unsigned char *map(uint64_t bytes, int flags) {
        void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | flags, -1, 0);

        return p == MAP_FAILED ? NULL : p;
}

static int touch(volatile unsigned char *p, uint64_t bytes, uint64_t step) {
        if (!p)
                return -errno;
        for (uint64_t i = 0; i < bytes; i += step)
                p[i] = 1;
        return 0;
}

typedef struct Part {
        pthread_barrier_t *start;
        uint64_t bytes;
        int r;
} Part;

static void *touch_part(void *userdata) {
        Part *p = userdata;

        pthread_barrier_wait(p->start);
        p->r = touch(map(p->bytes, MAP_PRIVATE), p->bytes, PAGE);
        return NULL;
}

/* All are there before the first page is touched: whoever watches learns of them by their memory alone. */
static int way_threads(const Hog *h) {
        CLEANUP(freep) pthread_t *threads = calloc(h->n, sizeof *threads);
        CLEANUP(freep) Part *parts = calloc(h->n, sizeof *parts);
        pthread_barrier_t start;
        int r = 0;

        if (!threads || !parts)
                return -ENOMEM;
        pthread_barrier_init(&start, NULL, h->n);
        for (unsigned i = 0; i < h->n; i++) {
                parts[i] = (Part){ .start = &start, .bytes = h->bytes / h->n };
                r = pthread_create(&threads[i], NULL, touch_part, &parts[i]);
                if (r != 0)
                        exit(99); /* those before it would wait for ever */
        }
        for (unsigned i = 0; i < h->n; i++) {
                pthread_join(threads[i], NULL);
                r = r == 0 ? parts[i].r : r;
        }
        pthread_barrier_destroy(&start);
        return r;
}

/* Each keeps its part until all have theirs. */
static int way_processes(const Hog *h) {
        int said[2], wait_end[2], r = 0;
        char byte = 0;

        if (pipe(said) < 0 || pipe(wait_end) < 0)
                return -errno;
        for (unsigned i = 0; i < h->n; i++) {
                pid_t pid = fork();

                if (pid < 0)
                        return -errno;
                if (pid > 0)
                        continue;
                close(wait_end[1]);
                if (touch(map(h->bytes / h->n, MAP_PRIVATE), h->bytes / h->n, PAGE) < 0 ||
                    write(said[1], "x", 1) != 1)
                        _exit(1);
                _exit(read(wait_end[0], &byte, 1) == 0 ? 0 : 1);
        }
        close(said[1]);
        for (unsigned i = 0; i < h->n && r == 0; i++)
                r = read(said[0], &byte, 1) == 1 ? 0 : -EIO;
        close(wait_end[1]);
        for (unsigned i = 0; i < h->n; i++)
                wait(NULL);
        return r;
}

static int way_populate(const Hog *h) {
        return map(h->bytes, MAP_PRIVATE | MAP_POPULATE) ? 0 : -errno;
}

static int way_mlock(const Hog *h) {
        volatile unsigned char *p = map(h->bytes, MAP_PRIVATE);

        return p && mlock((const void *) p, h->bytes) == 0 ? 0 : -errno;
}

static int way_shared(const Hog *h) {
        return touch(map(h->bytes, MAP_SHARED), h->bytes, PAGE);
}

static int way_sysv(const Hog *h) {
        int id = shmget(IPC_PRIVATE, h->bytes, IPC_CREAT | 0600);
        void *p = id < 0 ? (void *) -1 : shmat(id, NULL, 0);

        if (id >= 0)
                shmctl(id, IPC_RMID, NULL); /* it lives as long as it is attached */
        return p == (void *) -1 ? -errno : touch(p, h->bytes, PAGE);
}

static int way_posix(const Hog *h) {
        int fd = shm_open("/penstock-hog", O_RDWR | O_CREAT, 0600);
        void *p;

        shm_unlink("/penstock-hog");
        if (fd < 0 || ftruncate(fd, (off_t) h->bytes) < 0)
                return -errno;
        p = mmap(NULL, h->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        return p == MAP_FAILED ? -errno : touch(p, h->bytes, PAGE);
}

/* Written with write(2): nothing maps these pages. */
static int way_file(const Hog *h) {
        static char block[BLOCK];
        int fd = open(h->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        if (fd < 0)
                return -errno;
        for (uint64_t done = 0; done < h->bytes; done += BLOCK)
                if (write(fd, block, BLOCK) != (ssize_t) BLOCK)
                        return errno ? -errno : -ENOSPC;
        return 0;
}

/* Fill both ends of as many pairs as it takes. */
static int fill_pairs(uint64_t bytes, int (*open_pair)(int fds[2]), bool both_ways) {
        static char block[PAGE];
        uint64_t done = 0;

        while (done < bytes) {
                uint64_t before = done;
                int fds[2];

                if (open_pair(fds) < 0)
                        return -errno;
                for (int i = both_ways ? 0 : 1; i < 2; i++)
                        while (done < bytes && write(fds[i], block, sizeof block) == (ssize_t) sizeof block)
                                done += sizeof block;
                if (done == before)
                        return -ENOSPC;
        }
        return 0;
}

static int open_pipe(int fds[2]) {
        return pipe2(fds, O_NONBLOCK | O_CLOEXEC);
}

static int open_sockets(int fds[2]) {
        return socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds);
}

static int way_pipes(const Hog *h) {
        return fill_pairs(h->bytes, open_pipe, false);
}

static int way_sockets(const Hog *h) {
        return fill_pairs(h->bytes, open_sockets, true);
}

/* Reading maps the one zero page everywhere: all that is charged is page tables. */
static int way_tables(const Hog *h) {
        uint64_t span = h->bytes / PAGE * TABLE_SPAN, sum = 0;
        volatile unsigned char *p = mmap(NULL, span, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

        if (p == MAP_FAILED || madvise((void *) p, span, MADV_NOHUGEPAGE) < 0)
                return -errno;
        for (uint64_t i = 0; i < span; i += TABLE_SPAN)
                sum += p[i];
        return sum == 0 ? 0 : -EIO;
}

/* One byte in every 2 MiB: where huge pages are on, each is one. */
static int way_sparse(const Hog *h) {
        return touch(map(h->bytes, MAP_PRIVATE), h->bytes, TABLE_SPAN);
}

/* Take it, give it back, and again. */
static int way_release(const Hog *h) {
        int r = 0;

        for (unsigned i = 0; i < h->n && r == 0; i++) {
                volatile unsigned char *p = map(h->bytes, MAP_PRIVATE);

                r = touch(p, h->bytes, PAGE);
                if (r == 0)
                        munmap((void *) p, h->bytes);
        }
        return r;
}

/* Read the file, and say after each pass what that has cost so far. */
static int way_read(const Hog *h) {
        static char block[BLOCK], text[8192];
        int fd = open(h->path, O_RDONLY | O_CLOEXEC);

        if (fd < 0)
                return -errno;
        for (unsigned i = 0; i < h->n; i++) {
                uint64_t bytes = 0, begin = now_usec(), refaults;
                ssize_t n;

                for (off_t at = 0; (n = pread(fd, block, sizeof block, at)) > 0; at += n)
                        bytes += (uint64_t) n;
                if (n < 0 || own_group_read("memory.stat", text, sizeof text) < 0)
                        return errno ? -errno : -EIO;
                refaults = keyed_number(text, "workingset_refault_file");
                printf("pass %u bytes %" PRIu64 " usec %" PRIu64 " refaults %" PRIu64 "\n", i + 1, bytes,
                       now_usec() - begin, refaults);
        }
        return 0;
}

static void *spin(void *userdata) {
        volatile uint64_t *count = userdata;

        for (;;)
                (*count)++;
        return NULL;
}

/* Busy, and takes nothing. */
static int way_spin(const Hog *h) {
        static uint64_t count;
        pthread_t thread;

        for (unsigned i = 1; i < h->n; i++)
                if (pthread_create(&thread, NULL, spin, &count) != 0)
                        return -EAGAIN;
        spin(&count);
        return 0;
}

static const struct {
        const char *name, *text;
        int (*run)(const Hog *h);
} ways[] = {
        { "threads", "N threads touch memory at full speed", way_threads },
        { "processes", "N processes do", way_processes },
        { "populate", "one mmap with MAP_POPULATE", way_populate },
        { "mlock", "one mlock", way_mlock },
        { "shared", "an anonymous shared mapping", way_shared },
        { "sysv", "System V shared memory", way_sysv },
        { "posix", "POSIX shared memory", way_posix },
        { "file", "one file is written at PATH (a tmpfs)", way_file },
        { "pipes", "pipes full of data", way_pipes },
        { "sockets", "sockets full of data", way_sockets },
        { "tables", "page tables alone", way_tables },
        { "sparse", "one byte in every 2 MiB is written", way_sparse },
        { "release", "touch and give back, N times", way_release },
        { "read", "the file at PATH is read N times", way_read },
        { "spin", "N threads that are busy and take nothing, for ever", way_spin },
};

void hog_print_ways(void) {
        for (size_t i = 0; i < ELEMENTSOF(ways); i++)
                printf("  %-10s %s\n", ways[i].name, ways[i].text);
}

int hog_run(const Hog *h) {
        struct rlimit files;

        if (getrlimit(RLIMIT_NOFILE, &files) == 0) { /* a pipe holds little */
                files.rlim_cur = files.rlim_max;
                setrlimit(RLIMIT_NOFILE, &files);
        }
        if (!h->with_huge_pages)
                prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
        for (size_t i = 0; i < ELEMENTSOF(ways); i++)
                if (strcmp(ways[i].name, h->way) == 0)
                        return ways[i].run(h);
        return -EINVAL;
}
