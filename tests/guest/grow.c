/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What lib/grower.py runs as a query: grow GATE MIB [GATE MIB …]. For each pair it says "waits", waits until nobody holds
 * the lock of GATE, touches anonymous memory as fast as it can until it has MIB of it, and says MIB. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

static int wait_for_gate(const char *path) {
        int gate = open(path, O_RDONLY | O_CLOEXEC);

        if (gate < 0)
                return -1;
        puts("waits");
        fflush(stdout);
        /* All who wait are let go at one instant. */
        if (flock(gate, LOCK_SH) < 0)
                return -1;
        return close(gate);
}

int main(int argc, char **argv) {
        size_t touched = 0, most;
        char *p;

        if (argc < 3 || argc % 2 == 0)
                return 9;
        most = (size_t) atoi(argv[argc - 1]) << 20;
        p = mmap(NULL, most, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED)
                return 9;
        for (int i = 1; i < argc; i += 2) {
                if (wait_for_gate(argv[i]) < 0)
                        return 9;
                for (; touched < (size_t) atoi(argv[i + 1]) << 20; touched += 4096)
                        p[touched] = 1;
                puts(argv[i + 1]);
                fflush(stdout);
        }
        return 0;
}
