/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bus/lookup_child.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "bus/lookup.h"

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

/* The child is a copy of penstockd: nothing that it inherited may outlive the look-up or be held by it. */
static void shed(int *fd) {
        static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGCHLD };
        int adjust;
        sigset_t none;

        sigemptyset(&none);
        for (size_t i = 0; i < ELEMENTSOF(signals); i++)
                signal(signals[i], SIG_DFL);
        sigprocmask(SIG_SETMASK, &none, NULL);
        if (*fd != 3 && dup2(*fd, 3) < 0)
                _exit(1);
        *fd = 3;
        (void) close_range(4, ~0U, 0);
        adjust = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
        if (adjust >= 0) {
                ssize_t written = write(adjust, "0", 1);

                (void) written;
                close(adjust);
        }
}

void lookup_child(LookupKind kind, const char *name, int fd) {
        LookupAnswer *a = calloc(1, LOOKUP_ANSWER_MAX);
        size_t n, done = 0;

        shed(&fd);
        if (!a)
                _exit(1);
        if (kind == LOOKUP_USER)
                answer_user(name, a);
        else
                a->r = lookup_group_now(name, &a->gid);
        n = sizeof(*a) + a->n_gids * sizeof(a->gids[0]);
        while (done < n) {
                ssize_t k = write(fd, (const char *) a + done, n - done);

                if (k < 0 && errno != EINTR)
                        _exit(1);
                done += k > 0 ? (size_t) k : 0;
        }
        _exit(0);
}
