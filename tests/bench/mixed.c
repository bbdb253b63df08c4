/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A query of tests/bench/mixed: each argument is a step. sMS sleeps, as if for a disk or the network; gMIB touches memory
 * until it has so much of it, fMIB gives back all but so much. Says how long the steps took and how long it slept. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#define MOST (1UL << 30)
#define PAGE 4096UL

static double now(void) {
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (double) t.tv_sec + (double) t.tv_nsec / 1e9;
}

static void sleep_ms(long ms) {
        struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

        while (nanosleep(&t, &t) < 0)
                ;
}

int main(int argc, char **argv) {
        char *p = mmap(NULL, MOST, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        double begin = now(), slept = 0, at;
        size_t has = 0, wanted;

        if (p == MAP_FAILED)
                return 9;
        for (int i = 1; i < argc; i++) {
                long n = atol(argv[i] + 1);

                at = now();
                wanted = (size_t) n << 20;
                if (argv[i][0] == 's') {
                        sleep_ms(n);
                        slept += now() - at;
                } else if (argv[i][0] == 'g')
                        for (; has < wanted; has += PAGE)
                                p[has] = 1;
                else if (argv[i][0] == 'f' && has > wanted) {
                        madvise(p + wanted, has - wanted, MADV_DONTNEED);
                        has = wanted;
                }
        }
        printf("%.3f %.3f\n", now() - begin, slept);
        return 0;
}
