/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The timeline of a query. So far it knows of starts, raises and the end; docs/dbus.md says so. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bus/statistics.h"

#define ULL(x) ((unsigned long long) (x))

static int print_raises(FILE *f, const Query *q) {
        size_t n = MIN(q->n_raises, (uint64_t) QUERY_RAISES_KEPT);

        fputs("time_usec,event,cause,old_bytes,new_bytes,latency_usec\n", f);
        for (size_t i = 0; i < n; i++) {
                const Raise *r = &q->raises[i];

                fprintf(f, "%llu,raise,%s,%llu,%llu,%llu\n", ULL(r->at_usec), raise_cause_name(r->cause),
                        ULL(r->old_bytes), ULL(r->new_bytes), ULL(r->latency_usec));
        }
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
                r = print_raises(f, v->query);
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
