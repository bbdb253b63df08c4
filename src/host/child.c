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

static unsigned n_left;

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
        pid_t pid = (pid_t) (intptr_t) userdata;

        (void) fd, (void) revents;
        (void) waitpid(pid, NULL, WNOHANG);
        (void) sd_event_source_set_floating(s, false); /* the loop's own reference is the last one */
        return 0;
}

static void on_source_freed(void *userdata) {
        (void) userdata;
        n_left--;
}

void child_leave(sd_event *event, pid_t pid) {
        sd_event_source *s = NULL;
        int pidfd;

        if (pid <= 0)
                return;
        /* The pid is ours until it is waited for, so it can't have been used again. */
        (void) kill(pid, SIGKILL);
        if (waitpid(pid, NULL, WNOHANG) == pid)
                return;
        pidfd = pidfd_open(pid, 0);
        if (pidfd < 0)
                return;
        if (sd_event_add_io(event, &s, pidfd, EPOLLIN, on_gone, (void *) (intptr_t) pid) < 0) {
                close(pidfd);
                return;
        }
        /* Floating: the source belongs to the loop, and goes with it if the child outlives that. None of the three can
         * fail on a source that was just made. */
        n_left++;
        (void) sd_event_source_set_io_fd_own(s, true);
        (void) sd_event_source_set_destroy_callback(s, on_source_freed);
        (void) sd_event_source_set_floating(s, true);
        sd_event_source_unref(s);
}

unsigned child_left(void) {
        return n_left;
}
