/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Time of the processors, and what was read and written: for who watches, decided by it is nothing. */
#include <errno.h>
#include <string.h>

#include "host/cgroup_private.h"

/* io.stat has a line of some 90 bytes for each block device that the group used: an array of disks has a hundred of
 * them, and a cut line a wrong number in it. */
#define IO_STAT_MAX (256 * KIB)

static int read_io_stat(int fd, char text[static GROUP_TEXT_MAX], Sample *s) {
        CLEANUP(freep) char *whole = NULL;
        int r = cgroup_read_text(fd, text, GROUP_TEXT_MAX);

        if (r == 0 && strlen(text) == GROUP_TEXT_MAX - 1) {
                text = whole = malloc(IO_STAT_MAX);
                r = whole ? cgroup_read_text(fd, whole, IO_STAT_MAX) : -ENOMEM;
                if (r == 0 && strlen(whole) == IO_STAT_MAX - 1)
                        r = -EFBIG;
        }
        return r < 0 ? r : sample_parse_io_stat(text, &s->io_read_bytes, &s->io_write_bytes);
}

int query_groups_usage(QueryGroups *g, Sample *s) {
        char text[GROUP_TEXT_MAX];
        Sample now = *s;
        int r;

        now.has_usage = true;
        now.io_read_bytes = now.io_write_bytes = 0;
        r = cgroup_read_text(g->cpu_stat, text, sizeof text);
        if (r == 0)
                r = sample_parse_cpu_stat(text, &now.cpu_usec);
        if (r == 0 && g->io_stat >= 0)
                r = read_io_stat(g->io_stat, text, &now);
        if (r < 0)
                return r;
        /* else there is none, or psi=0 */
        if (g->cpu_pressure >= 0 && cgroup_read_text(g->cpu_pressure, text, sizeof text) == 0)
                (void) sample_parse_cpu_pressure(text, &now);
        *s = now;
        return 0;
}
