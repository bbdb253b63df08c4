/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "hog.h"

uint64_t now_usec(void) {
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t) t.tv_sec * USEC_PER_SEC + (uint64_t) t.tv_nsec / 1000;
}

static int read_file(const char *path, char *buf, size_t size) {
        int fd = open(path, O_RDONLY | O_CLOEXEC), r = 0;
        size_t len = 0;
        ssize_t n;

        if (fd < 0)
                return -errno;
        while (len < size - 1 && (n = read(fd, buf + len, size - 1 - len)) != 0) {
                if (n < 0) {
                        r = -errno;
                        break;
                }
                len += (size_t) n;
        }
        buf[len] = '\0';
        close(fd);
        return r;
}

#define GROUP_MAX 4096

/* Where it is in the hierarchy: "/penstock.slice/…". */
static int own_group(char buf[static GROUP_MAX]) {
        int r = read_file("/proc/self/cgroup", buf, GROUP_MAX);

        if (r < 0)
                return r;
        if (strncmp(buf, "0::", 3) != 0)
                return -ENOTSUP;
        memmove(buf, buf + 3, strlen(buf + 3) + 1);
        buf[strcspn(buf, "\n")] = '\0';
        return 0;
}

int own_group_read(const char *name, char *buf, size_t size) {
        char own[GROUP_MAX], path[GROUP_MAX + 256];
        int r = own_group(own);

        if (r < 0)
                return r;
        snprintf(path, sizeof path, "/sys/fs/cgroup%s/%s", own, name);
        return read_file(path, buf, size);
}

uint64_t keyed_number(const char *text, const char *key) {
        size_t len = strlen(key);

        for (const char *p = text; (p = strstr(p, key)); p += len)
                if ((p == text || p[-1] == '\n' || p[-1] == ' ') && (p[len] == ' ' || p[len] == '='))
                        return strtoull(p + len + 1, NULL, 10);
        return 0;
}

/* "some" comes first in the file. */
static uint64_t stalled_usec(void) {
        char text[512];

        return own_group_read("memory.pressure", text, sizeof text) < 0 ? 0 : keyed_number(text, "total");
}

static void usage(FILE *f) {
        fputs("usage: hog [--wait] [--hold] [--small-pages] WAY MIB [N] [PATH]\n"
              "  --wait         say \"ready\" and its group, and begin when a line comes on standard input\n"
              "  --hold         keep all until another line, or the end of standard input\n"
              "  --small-pages  without transparent huge pages\n"
              "Prints \"done\" with its own wall time and the time its group was stalled meanwhile. Ways:\n",
              f);
        fflush(f);
        hog_print_ways();
}

static void wait_for_line(void) {
        int c;

        do
                c = getchar();
        while (c != '\n' && c != EOF);
}

int main(int argc, char **argv) {
        static const struct option options[] = {
                { "wait", no_argument, NULL, 'w' },
                { "hold", no_argument, NULL, 'k' },
                { "small-pages", no_argument, NULL, 's' },
                {},
        };
        bool waits = false, holds = false;
        Hog h = { .n = 1, .with_huge_pages = true };
        char group[GROUP_MAX];
        uint64_t begin, stall;
        int opt, r;

        while ((opt = getopt_long(argc, argv, "+", options, NULL)) != -1)
                switch (opt) {
                case 'w': waits = true; break;
                case 'k': holds = true; break;
                case 's': h.with_huge_pages = false; break;
                default: usage(stderr); return 2;
                }
        argv += optind;
        argc -= optind;
        if (argc < 2 || argc > 4 || size_parse(argv[1], 0, &h.bytes) < 0) {
                usage(stderr);
                return 2;
        }
        h.way = argv[0];
        h.bytes *= MIB;
        if (argc > 2)
                h.n = (unsigned) strtoul(argv[2], NULL, 10);
        if (argc > 3)
                h.path = argv[3];
        setvbuf(stdout, NULL, _IOLBF, 0);

        if (waits) {
                printf("ready %s\n", own_group(group) < 0 ? "?" : group);
                wait_for_line();
        }
        begin = now_usec();
        stall = stalled_usec();
        r = h.n == 0 ? -EINVAL : hog_run(&h);
        if (r < 0) {
                fprintf(stderr, "hog: %s: %s\n", h.way, strerror(-r));
                return 1;
        }
        printf("done %s usec %" PRIu64 " stall_usec %" PRIu64 "\n", h.way, now_usec() - begin,
               stalled_usec() - stall);
        if (holds)
                wait_for_line();
        return 0;
}
