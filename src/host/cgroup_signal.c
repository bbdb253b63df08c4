/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A signal to every process of engine/. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/cgroup_private.h"

/* Processes that fork as they get their signal could keep us busy, also within one reading, whose end new ones are added to: then
 * cgroup.kill has to do. So many rounds, in the first as many processes as there were tasks and these more, and twice that in all. */
#define SIGNAL_ROUNDS 8
#define SIGNAL_MORE 64u

/* True if the process is in engine/ of @unit_cgroup. */
static bool pid_is_in(pid_t pid, const char *unit_cgroup) {
        char path[64], text[GROUP_TEXT_MAX], *line;
        size_t len = strlen(unit_cgroup);
        int fd, r;

        snprintf(path, sizeof path, "/proc/%ld/cgroup", (long) pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return false;
        r = cgroup_read_text(fd, text, sizeof text);
        close(fd);
        line = r < 0 ? NULL : strstr(text, "0::");
        return line && strncmp(line + 3, unit_cgroup, len) == 0 && strcmp(line + 3 + len, "/" GROUP_ENGINE "\n") == 0;
}

/* A pid read from cgroup.procs can be another process a moment later. A pidfd can't: while it can be signalled, what
 * /proc says of the pid in between was said of the same process. */
static void signal_one(const QueryGroups *g, pid_t pid, int signo) {
        int fd = (int) syscall(SYS_pidfd_open, pid, 0);

        if (fd < 0)
                return;
        if (pid_is_in(pid, g->unit_cgroup))
                (void) syscall(SYS_pidfd_send_signal, fd, signo, NULL, 0);
        close(fd);
}

typedef struct PidSet {
        pid_t *v;
        size_t n, allocated;
} PidSet;

/* Returns 1 when @pid is new in @s, 0 when not, or -ENOMEM. */
static int pid_set_add(PidSet *s, pid_t pid) {
        for (size_t i = 0; i < s->n; i++)
                if (s->v[i] == pid)
                        return 0;
        if (s->n == s->allocated) {
                size_t n = s->allocated ? s->allocated * 2 : 64;
                pid_t *v = reallocarray(s->v, n, sizeof *v);

                if (!v)
                        return -ENOMEM;
                s->v = v;
                s->allocated = n;
        }
        s->v[s->n++] = pid;
        return 1;
}

/* No more than @n_max processes in all. */
static int signal_round(QueryGroups *g, int signo, size_t n_max, PidSet *seen) {
        int fd = query_groups_open(g, "cgroup.procs", O_RDONLY), r = 0;
        bool any = false;
        long pid;
        FILE *f;

        if (fd < 0)
                return fd;
        f = fdopen(fd, "r");
        if (!f) {
                close(fd);
                return -ENOMEM;
        }
        while (r >= 0 && seen->n < n_max && fscanf(f, "%ld", &pid) == 1) {
                r = pid_set_add(seen, (pid_t) pid);
                if (r > 0) {
                        signal_one(g, (pid_t) pid, signo);
                        any = true;
                }
        }
        fclose(f);
        return r < 0 ? r : any;
}

int query_groups_signal(QueryGroups *g, int signo) {
        PidSet seen = {};
        uint64_t n_tasks;
        int r = cgroup_read_value_fd(g->pids, &n_tasks);

        if (r < 0)
                return r;
        r = 1;
        for (int i = 0; r > 0 && i < SIGNAL_ROUNDS; i++)
                r = signal_round(g, signo, (i == 0 ? n_tasks : 2 * n_tasks) + SIGNAL_MORE, &seen);
        free(seen.v);
        return r < 0 ? r : 0;
}
