/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "worker/child_check.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

int check_identity(const LaunchCheck *c, int fd) {
        uint64_t born_nsec = 0;
        struct statx st;

        if (c->ino == 0)
                return 0;
        if (statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &st) < 0)
                return -errno;
        if (st.stx_mask & STATX_BTIME)
                born_nsec = (uint64_t) st.stx_btime.tv_sec * UINT64_C(1000000000) + st.stx_btime.tv_nsec;
        return st.stx_ino == c->ino && makedev(st.stx_dev_major, st.stx_dev_minor) == c->dev && born_nsec == c->born_nsec ? 0 : -ESTALE;
}
