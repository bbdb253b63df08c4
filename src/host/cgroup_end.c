/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who had a hand in the end of engine/, and whether it is the end: what outlives the group. */
#include <errno.h>
#include <fcntl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "host/cgroup_private.h"

/* `oom` of a memory.events.local: how often this group's own limit left a charge without room. */
static bool read_oom(int fd, uint64_t *ret) {
        char text[GROUP_TEXT_MAX];

        return fd >= 0 && cgroup_read_text(fd, text, sizeof text) == 0 && sample_parse_keyed(text, "oom", ret) == 0;
}

void query_groups_begin(QueryGroups *g) {
        for (size_t i = 0; i < GROUP_CAPS_MAX; i++)
                if (!read_oom(g->above[i], &g->above_oom[i]))
                        g->above_oom[i] = UINT64_MAX; /* not known: nothing will count as more */
}

/* Killed for memory, and not for its own limit's: whoever did it, did it before now. */
void query_groups_begin_late(QueryGroups *g, const Sample *now) {
        query_groups_begin(g);
        for (size_t i = 0; i < GROUP_CAPS_MAX && now->events_oom_kill > 0 && now->events_oom == 0; i++)
                if (g->above_oom[i] != UINT64_MAX)
                        g->above_oom[i] = 0;
}

/* systemd-oomd notes on the group that it chose how many of its processes it killed (cg_kill_recursive() and
 * increment_oomd_xattr() in src/oom/oomd-util.c, 248 and later). The note is there when the group is gone, too, as
 * long as we hold it open. */
static uint64_t read_oomd_kills(int dir_fd) {
        char text[24];
        uint64_t n;
        ssize_t len = dir_fd < 0 ? -1 : fgetxattr(dir_fd, "user.oomd_kill", text, sizeof text - 1);

        if (len <= 0)
                return 0;
        text[len] = '\0';
        return u64_parse(text, &n) < 0 ? 0 : n;
}

void query_groups_killers(const QueryGroups *g, FinalNumbers *f) {
        f->above_oom = 0;
        for (size_t i = 0; i < GROUP_CAPS_MAX; i++) {
                uint64_t now;

                if (read_oom(g->above[i], &now) && now > g->above_oom[i])
                        f->above_oom += now - g->above_oom[i];
        }
        f->oomd_kills = add_saturating(read_oomd_kills(g->engine_fd), read_oomd_kills(g->unit_fd));
}

bool query_groups_are_empty(const QueryGroups *g) {
        return !cgroup_is_populated(g->unit_fd);
}
