/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/mounts.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MOUNTS_FILE "/proc/self/mountinfo"

/* Of a user, who alone may look into it: "… - fuse.sshfs text rw,user_id=1000,group_id=1000" (Linux, fuse_show_options()). */
static bool is_one_users(const char *line) {
        const char *type = strstr(line, " - "), *options = strrchr(line, ' ');

        return type && (strncmp(type, " - fuse ", 8) == 0 || strncmp(type, " - fuse.", 8) == 0) && strchr(options, '\n') &&
               strstr(options, "user_id=") && !strstr(options, "user_id=0,") && !strstr(options, "allow_other");
}

/* By where it is mounted, the fifth word: what is mounted is anybody's text (fusermount3 -o fsname=…). */
bool mounts_line_is_left_out(const char *line) {
        static const char *const below[] = { "/run/user/", "/run/credentials/" };
        const char *p = line;

        if (is_one_users(line))
                return true;
        for (unsigned i = 0; i < 4 && p; i++) {
                p = strchr(p, ' ');
                p += p != NULL;
        }
        for (size_t i = 0; i < ELEMENTSOF(below) && p; i++)
                if (strncmp(p, below[i], strlen(below[i])) == 0)
                        return true;
        return false;
}

/* 0: it can't be read. */
static uint64_t hash_of_mounts(void) {
        FILE *f = fopen(MOUNTS_FILE, "re");
        uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
        bool begins = true, left_out = false;
        char line[4096]; /* or a part of one */

        if (!f)
                return 0;
        while (fgets(line, sizeof(line), f)) {
                left_out = begins ? mounts_line_is_left_out(line) : left_out;
                begins = strchr(line, '\n') != NULL;
                for (const char *p = left_out ? "" : line; *p; p++)
                        hash = (hash ^ (uint8_t) *p) * UINT64_C(0x100000001b3);
        }
        fclose(f);
        return hash;
}

/* The kernel tells once of each change (proc_pid_mountinfo(5)). */
bool mounts_look(Mounts *m) {
        struct pollfd p = { .fd = m->fd, .events = POLLPRI };
        uint64_t hash;

        if (m->fd >= 0 && poll(&p, 1, 0) == 0)
                return true;
        if (m->fd < 0)
                m->fd = open(MOUNTS_FILE, O_RDONLY | O_CLOEXEC);
        hash = hash_of_mounts();
        if (m->fd >= 0 && hash != 0 && hash == m->hash)
                return true;
        m->n_changes++;
        m->hash = hash;
        return m->fd >= 0;
}

void mounts_close(Mounts *m) {
        if (m->fd >= 0)
                close(m->fd);
        m->fd = -1;
}
