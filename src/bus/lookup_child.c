/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bus/lookup_child.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include "bus/lookup.h"
#include "host/child.h"

_Static_assert(sizeof(gid_t) == sizeof(uint32_t), "a gid_t is written as it is");

int lookup_group_now(const char *name, uint32_t *ret_gid) {
        const struct group *g;

        errno = 0;
        g = getgrnam(name);
        if (!g) /* "not found" has many numbers, see getgrnam(3) */
                return errno == ENOMEM || errno == EIO || errno == EMFILE || errno == ENFILE || errno == EINTR
                                       ? -errno
                                       : -ESRCH;
        *ret_gid = g->gr_gid;
        return 0;
}

static const struct passwd *find_user(const char *name) {
        const struct passwd *p = getpwnam(name);
        uint64_t uid;

        if (!p && u64_parse(name, &uid) == 0 && uid < UINT32_MAX)
                p = getpwuid((uid_t) uid);
        return p;
}

static void answer_user(const char *name, LookupAnswer *a) {
        const struct passwd *p = find_user(name);
        int n = (int) LOOKUP_GROUPS_MAX;

        if (!p) {
                a->r = -ESRCH;
                return;
        }
        a->uid = p->pw_uid;
        a->gid = p->pw_gid;
        if (getgrouplist(p->pw_name, p->pw_gid, a->gids, &n) < 0)
                a->r = -E2BIG;
        else
                a->n_gids = (uint32_t) n;
}

void lookup_child(LookupKind kind, const char *name, int fd) {
        LookupAnswer *a = calloc(1, LOOKUP_ANSWER_MAX);

        child_shed(fd);
        if (!a)
                _exit(1);
        if (kind == LOOKUP_USER)
                answer_user(name, a);
        else
                a->r = lookup_group_now(name, &a->gid);
        child_answer(a, sizeof(*a) + a->n_gids * sizeof(a->gids[0]));
        _exit(0);
}
