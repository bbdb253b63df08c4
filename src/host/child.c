/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* One that was left and has not ended. */
typedef struct Left Left;
struct Left {
        pid_t pid;
        uid_t for_whom;
        Left *next;
};

static Left *all_left;

/* Those whose end nobody tells, for want of a descriptor or of memory: looked for when the next is left, and by a timer, which wants
 * no descriptor of its own. */
#define STRAY_USEC (1 * USEC_PER_SEC)
static pid_t strays[64];
static size_t n_strays;
static bool timer_looks_for_strays;

static void reap_strays(void) {
        size_t kept = 0;

        for (size_t i = 0; i < n_strays; i++)
                if (waitpid(strays[i], NULL, WNOHANG) == 0)
                        strays[kept++] = strays[i];
        n_strays = kept;
}

static int on_stray_timer(sd_event_source *s, uint64_t usec, void *userdata) {
        (void) usec, (void) userdata;
        reap_strays();
        if (n_strays > 0 && sd_event_source_set_time_relative(s, STRAY_USEC) >= 0)
                return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
        (void) sd_event_source_set_floating(s, false); /* the loop's own reference is the last one */
        return 0;
}

/* Floating: it belongs to the loop, and goes with it. Neither can fail on a source that was just made. */
static void give_to_loop(sd_event_source *s, sd_event_destroy_t on_freed) {
        (void) sd_event_source_set_destroy_callback(s, on_freed);
        (void) sd_event_source_set_floating(s, true);
        sd_event_source_unref(s);
}

static void on_stray_timer_freed(void *userdata) {
        (void) userdata;
        timer_looks_for_strays = false;
}

static void keep_stray(sd_event *event, pid_t pid) {
        sd_event_source *s;

        if (n_strays < ELEMENTSOF(strays))
                strays[n_strays++] = pid;
        if (timer_looks_for_strays ||
            sd_event_add_time_relative(event, &s, CLOCK_MONOTONIC, STRAY_USEC, 0, on_stray_timer, NULL) < 0)
                return;
        timer_looks_for_strays = true;
        give_to_loop(s, on_stray_timer_freed);
}

void child_shed(int answer_fd) {
        static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGCHLD };
        int adjust;
        sigset_t none;

        sigemptyset(&none);
        for (size_t i = 0; i < ELEMENTSOF(signals); i++)
                signal(signals[i], SIG_DFL);
        sigprocmask(SIG_SETMASK, &none, NULL);
        if (answer_fd != CHILD_ANSWER_FD && dup2(answer_fd, CHILD_ANSWER_FD) < 0)
                _exit(1);
        (void) close_range(CHILD_ANSWER_FD + 1, ~0U, 0);
        adjust = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
        if (adjust >= 0) {
                ssize_t written = write(adjust, "0", 1);

                (void) written;
                close(adjust);
        }
        (void) prctl(PR_SET_DUMPABLE, 0);
}

void child_answer(const void *data, size_t size) {
        const char *p = data;

        while (size > 0) {
                ssize_t n = write(CHILD_ANSWER_FD, p, size);

                if (n < 0 && errno != EINTR)
                        _exit(1);
                p += n > 0 ? n : 0;
                size -= n > 0 ? (size_t) n : 0;
        }
}

static int on_gone(sd_event_source *s, int fd, uint32_t revents, void *userdata) {
        const Left *l = userdata;

        (void) fd, (void) revents;
        (void) waitpid(l->pid, NULL, WNOHANG);
        (void) sd_event_source_set_floating(s, false); /* the loop's own reference is the last one */
        return 0;
}

static void on_source_freed(void *userdata) {
        Left **p = &all_left;

        while (*p != userdata)
                p = &(*p)->next;
        *p = (*p)->next;
        free(userdata);
}

void child_leave(sd_event *event, pid_t pid, uid_t for_whom) {
        sd_event_source *s = NULL;
        Left *l;
        int pidfd;

        if (pid <= 0)
                return;
        reap_strays();
        /* The pid is ours until it is waited for, so it can't have been used again. */
        (void) kill(pid, SIGKILL);
        if (waitpid(pid, NULL, WNOHANG) == pid)
                return;
        pidfd = pidfd_open(pid, 0);
        if (pidfd < 0) {
                keep_stray(event, pid);
                return;
        }
        l = malloc(sizeof(*l));
        if (!l || sd_event_add_io(event, &s, pidfd, EPOLLIN, on_gone, l) < 0) {
                free(l);
                close(pidfd);
                keep_stray(event, pid);
                return;
        }
        *l = (Left) { .pid = pid, .for_whom = for_whom, .next = all_left };
        all_left = l;
        (void) sd_event_source_set_io_fd_own(s, true);
        give_to_loop(s, on_source_freed);
}

unsigned child_left(uid_t for_whom) {
        unsigned n = 0;

        for (const Left *l = all_left; l; l = l->next)
                n += l->for_whom == for_whom;
        return n;
}
