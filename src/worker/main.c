/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* penstock-worker ID [SOCKET]: the first process of a query's unit. Started by PID 1 as root with CAP_SETUID,
 * CAP_SETGID, CAP_SETPCAP and CAP_KILL, and CAP_SYS_ADMIN until its engine is started; starts the compile step and the engine as the caller, watches, and reports.
 * docs/worker.md has the whole story. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "worker/link.h"
#include "worker/worker.h"

/* An engine may end children faster than they can be reaped; messages have their turn in between. */
#define REAP_AT_ONCE 256

enum {
        ON_SIGNAL,
        ON_CONNECTION,
        ON_ENGINE_STATUS,
        ON_ENGINE_EVENTS,
        ON_ENGINE_STDERR,
        ON_COMPILE_STATUS,
        ON_COMPILE_EVENTS,
        ON_COMPILE_STDERR,
        ON_RESULTS,
        ON_MOVER,
        _ON_MAX,
};

uint64_t now_msec(void) {
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t) t.tv_sec * 1000 + (uint64_t) t.tv_nsec / 1000000;
}

/* Returns true if there may be more. */
static bool reap(Worker *w) {
        for (unsigned i = 0; i < REAP_AT_ONCE; i++) {
                int status;
                pid_t pid = waitpid(-1, &status, WNOHANG);

                if (pid <= 0)
                        return false;
                if (run_on_reaped(&w->engine, pid, status) || run_on_reaped(&w->compile, pid, status))
                        continue; /* others are orphans of the engine, which end here since this is their reaper */
        }
        return true;
}

/* Returns true if children are to be reaped. */
static bool on_signals(Worker *w, int signal_fd) {
        struct signalfd_siginfo si;
        bool children = false;

        while (read(signal_fd, &si, sizeof(si)) == sizeof(si)) {
                if (si.ssi_signo == SIGCHLD)
                        children = true;
                else
                        worker_on_sigterm(w);
        }
        return children;
}

static void on_connection(Worker *w) {
        static WorkerMessage m;
        int fds[WORKER_FDS_MAX], r;
        size_t n_fds;

        r = link_receive(w->connection, w->id, &m, fds, &n_fds);
        if (r == 0)
                worker_on_message(w, &m, fds, n_fds);
        else if (r != -EAGAIN)
                worker_disconnect(w);
}

static void fill_poll(const Worker *w, int signal_fd, struct pollfd p[static _ON_MAX]) {
        bool say = w->unsent != 0 && w->connection >= 0;

        p[ON_SIGNAL] = (struct pollfd) { .fd = signal_fd, .events = POLLIN };
        p[ON_CONNECTION] = (struct pollfd) { .fd = w->releasing ? -1 : w->connection,
                                             .events = (short) (POLLIN | (say ? POLLOUT : 0)) };
        p[ON_ENGINE_STATUS] = (struct pollfd) { .fd = w->engine.status_fd, .events = POLLIN };
        p[ON_ENGINE_EVENTS] = (struct pollfd) { .fd = run_is_draining(&w->engine) ? w->engine.events_fd : -1,
                                                .events = POLLPRI };
        p[ON_ENGINE_STDERR] = (struct pollfd) { .fd = w->engine.tail.fd, .events = POLLIN };
        p[ON_COMPILE_STATUS] = (struct pollfd) { .fd = w->compile.status_fd, .events = POLLIN };
        p[ON_COMPILE_EVENTS] = (struct pollfd) { .fd = run_is_draining(&w->compile) ? w->compile.events_fd : -1,
                                                 .events = POLLPRI };
        p[ON_COMPILE_STDERR] = (struct pollfd) { .fd = w->compile.tail.fd, .events = POLLIN };
        p[ON_RESULTS] = (struct pollfd) { .fd = w->results_fd }; /* POLLERR comes unasked */
        p[ON_MOVER] = (struct pollfd) { .fd = w->mover.fd, .events = POLLIN };
}

static int timeout_msec(const Worker *w, bool more) {
        uint64_t at = worker_next_deadline(w), now = now_msec();

        if (more || at <= now)
                return 0;
        if (at == MSEC_NEVER)
                return -1;
        return at - now > 3600000 ? 3600000 : (int) (at - now);
}

static int loop(Worker *w, int signal_fd) {
        bool more = false;

        for (;;) {
                struct pollfd p[_ON_MAX];

                worker_advance(w);
                if (w->quit)
                        break;
                fill_poll(w, signal_fd, p);
                if (poll(p, _ON_MAX, timeout_msec(w, more)) < 0 && errno != EINTR)
                        return -errno;
                if (p[ON_ENGINE_STATUS].revents)
                        run_on_status(&w->engine);
                if (p[ON_COMPILE_STATUS].revents)
                        run_on_status(&w->compile);
                if (p[ON_ENGINE_STDERR].revents)
                        tail_read(&w->engine.tail);
                if (p[ON_COMPILE_STDERR].revents)
                        tail_read(&w->compile.tail);
                if (p[ON_MOVER].revents)
                        mover_read(&w->mover);
                if (p[ON_RESULTS].revents)
                        worker_on_results_event(w);
                if (p[ON_SIGNAL].revents)
                        more |= on_signals(w, signal_fd);
                if (more)
                        more = reap(w);
                if (p[ON_CONNECTION].revents)
                        on_connection(w);
        }
        run_discard(&w->engine);
        return 0;
}

static int set_up_signals(void) {
        struct sigaction ignore = { .sa_handler = SIG_IGN };
        sigset_t set;
        int fd;

        sigaction(SIGPIPE, &ignore, NULL);
        sigaction(SIGHUP, &ignore, NULL);
        sigemptyset(&set);
        sigaddset(&set, SIGCHLD);
        sigaddset(&set, SIGTERM);
        sigaddset(&set, SIGINT);
        if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
                return -errno;
        fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
        return fd < 0 ? -errno : fd;
}

/* So that no other descriptor ever becomes 0, 1 or 2. */
static int fill_standard_descriptors(void) {
        int fd;

        do
                fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        while (fd >= 0 && fd <= STDERR_FILENO);
        if (fd < 0)
                return -errno;
        close(fd);
        return 0;
}

static int parse_id(const char *text, uint64_t *ret) {
        char *end;
        unsigned long long id;

        if (text[0] < '0' || text[0] > '9')
                return -EINVAL;
        errno = 0;
        id = strtoull(text, &end, 10);
        if (errno != 0 || *end != '\0' || id == 0)
                return -EINVAL;
        *ret = id;
        return 0;
}

int main(int argc, char *argv[]) {
        static Worker w = {
                .socket_path = WORKER_SOCKET_PATH,
                .stop_at = MSEC_NEVER,
                .connection = -1,
                .backoff_msec = WORKER_BACKOFF_MIN_MSEC,
                .compile = RUN_INIT,
                .engine = RUN_INIT,
                .results_fd = -1,
                .mover = { .fd = -1, .file_fd = -1 },
        };
        int signal_fd, r;

        if (argc < 2 || argc > 3 || parse_id(argv[1], &w.id) < 0) {
                fputs("Usage: penstock-worker ID [SOCKET]\n"
                      "Started by penstockd in the unit of a query; of no use by hand.\n",
                      stderr);
                return 2;
        }
        if (argc == 3)
                w.socket_path = argv[2];
        r = fill_standard_descriptors();
        signal_fd = r < 0 ? r : set_up_signals();
        if (signal_fd < 0) {
                fprintf(stderr, "penstock-worker: cannot set up: %s\n", strerror(-signal_fd));
                return 1;
        }
        /* Orphans of the engine come here, not to PID 1: a query that forks without end costs its own unit. */
        prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
        w.give_up_at = now_msec() + WORKER_GIVE_UP_MSEC;
        r = loop(&w, signal_fd);
        if (r < 0)
                fprintf(stderr, "penstock-worker: cannot wait for events: %s\n", strerror(-r));
        return r < 0 ? 1 : 0;
}
