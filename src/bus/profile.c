/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The timeline of a query as a file of comma-separated values; docs/dbus.md has its columns. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bus/statistics.h"

static int print_rows(FILE *f, const Query *q) {
        ProfileReader r = { .profile = &q->profile };
        char line[PROFILE_LINE_MAX];

        fprintf(f, "%s\n", profile_csv_header());
        while (profile_next(&r))
                fprintf(f, "%s\n", profile_csv_line(&r.row, line));
        return fflush(f) == 0 ? 0 : -errno;
}

/* A receiver can neither change what the next one reads nor move its offset: each call makes its own file. */
int query_profile_open(const QueryView *v) {
        int fd = memfd_create("penstock-profile", MFD_CLOEXEC | MFD_ALLOW_SEALING), copy, r;
        FILE *f;

        if (fd < 0)
                return -errno;
        copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        f = copy >= 0 ? fdopen(copy, "w") : NULL;
        if (!f) {
                r = -errno;
                if (copy >= 0)
                        close(copy);
        } else {
                r = print_rows(f, v->query);
                if (fclose(f) != 0 && r == 0)
                        r = -errno;
        }
        if (r == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
                r = -errno;
        if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
                r = -errno;
        if (r < 0) {
                close(fd);
                return r;
        }
        return fd;
}
