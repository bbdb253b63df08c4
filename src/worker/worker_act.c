/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker/child_creds.h"
#include "worker/groups.h"
#include "worker/worker.h"

static void close_fds(const int *fds, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (fds[i] >= 0)
                        close(fds[i]);
}

static void run_set_group(Run *r, int procs_fd, int kill_fd, int events_fd) {
        r->procs_fd = procs_fd;
        r->kill_fd = kill_fd;
        r->events_fd = events_fd;
}

static void on_groups(Worker *w, const int *fds) {
        if (w->phase != WORKER_PHASE_NEW) { /* said again after a reconnection: ours are the same groups */
                close_fds(fds, _WORKER_GROUP_MAX);
                return;
        }
        memcpy(w->groups, fds, sizeof(w->groups));
        run_set_group(&w->engine, fds[WORKER_GROUP_ENGINE_PROCS], fds[WORKER_GROUP_ENGINE_KILL],
                      fds[WORKER_GROUP_ENGINE_EVENTS]);
        run_set_group(&w->compile, fds[WORKER_GROUP_COMPILE_PROCS], fds[WORKER_GROUP_COMPILE_KILL],
                      fds[WORKER_GROUP_COMPILE_EVENTS]);
        run_fork_ahead(&w->engine); /* when it fails, EXECUTE tries again, and says so */
        w->phase = WORKER_PHASE_IDLE;
        worker_say(w, WORKER_READY);
}

static void on_compile(Worker *w, const WorkerCompile *m, const int *fds, size_t n_fds) {
        ChildFds child = CHILD_FDS_NONE;
        int r;

        w->phase = WORKER_PHASE_COMPILING;
        child.launch_fd = fds[0];
        if (m->flags & WORKER_FD_QUERY)
                child.query_fd = fds[1];
        r = output_pipe(&w->compile.tail.fd, &child.stderr_fd);
        if (r < 0)
                run_fail(&w->compile, WORKER_STEP_STDIO, r);
        else
                run_begin(&w->compile, &child);
        close_fds(&child.stderr_fd, 1);
        close_fds(fds, n_fds);
}

/* The descriptors that come with EXECUTE; -1 for what there is not. */
typedef struct Received {
        int launch, results, query, in, err, file;
} Received;

static Received sort_fds(uint32_t flags, const int *fds) {
        Received x = { .launch = *fds++, .results = -1, .query = -1, .in = -1, .err = -1, .file = -1 };

        if (flags & WORKER_FD_RESULTS)
                x.results = *fds++;
        if (flags & WORKER_FD_QUERY)
                x.query = *fds++;
        if (flags & WORKER_FD_STDIN)
                x.in = *fds++;
        if (flags & WORKER_FD_STDERR)
                x.err = *fds++;
        if (flags & WORKER_FD_FILE)
                x.file = *fds++;
        return x;
}

/* A pipe that root made can't be opened again by the caller (`echo x > /dev/stdout`), unless its mode says so. */
static void open_up_pipe(int fd) {
        struct stat st;

        if (fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode))
                fchmod(fd, 0622);
}

static void on_execute(Worker *w, const WorkerExecute *m, const int *fds) {
        Received x = sort_fds(m->flags, fds);
        ChildFds child = { .procs_fd = -1,
                           .status_fd = -1,
                           .launch_fd = x.launch,
                           .query_fd = x.query,
                           .stdin_fd = x.in,
                           .stdout_fd = x.results,
                           .stderr_fd = x.err };
        int r = 0;

        w->phase = WORKER_PHASE_EXECUTING;
        w->mover.file_fd = x.file;
        w->mover.max = m->results_max_bytes;
        if (x.file >= 0)
                r = output_pipe(&w->mover.fd, &child.stdout_fd);
        else
                open_up_pipe(x.results);
        if (r == 0 && x.err < 0)
                r = output_pipe(&w->engine.tail.fd, &child.stderr_fd);
        if (r < 0) {
                run_discard(&w->engine);
                run_fail(&w->engine, WORKER_STEP_STDIO, r);
        } else
                run_begin_ahead(&w->engine, &child);
        creds_give_up_mounting();
        w->results_fd = x.results; /* kept: it tells when nobody reads, and holds the end back until all is killed */
        close_fds((const int[]) { x.launch, x.query, x.in, child.stderr_fd }, 4);
        if (x.file >= 0)
                close_fds(&child.stdout_fd, 1);
}

static void release(Worker *w) {
        w->releasing = true;
        w->unsent = 0;
        if (w->phase == WORKER_PHASE_COMPILING)
                run_kill(&w->compile);
        else if (w->phase == WORKER_PHASE_EXECUTING)
                run_kill(&w->engine);
        else
                w->quit = true;
}

/* A message out of order is penstockd's bug; starting the connection anew tells it where things stand. */
static void refuse(Worker *w, const int *fds, size_t n_fds) {
        close_fds(fds, n_fds);
        worker_disconnect(w);
}

void worker_on_message(Worker *w, const WorkerMessage *m, const int *fds, size_t n_fds) {
        bool waits = w->phase == WORKER_PHASE_IDLE || w->phase == WORKER_PHASE_COMPILED;

        w->give_up_at = MSEC_NEVER;
        w->backoff_msec = WORKER_BACKOFF_MIN_MSEC;
        switch (m->header.type) {
        case WORKER_GROUPS: on_groups(w, fds); break;
        case WORKER_COMPILE:
                if (w->phase != WORKER_PHASE_IDLE)
                        refuse(w, fds, n_fds);
                else
                        on_compile(w, &m->compile, fds, n_fds);
                break;
        case WORKER_EXECUTE:
                if (!waits || w->releasing)
                        refuse(w, fds, n_fds);
                else
                        on_execute(w, &m->execute, fds);
                break;
        case WORKER_ACK:
                if (w->phase != WORKER_PHASE_ENDED)
                        refuse(w, fds, n_fds);
                else
                        w->quit = true;
                break;
        case WORKER_RELEASE: release(w); break;
        default: break; /* WELCOME */
        }
}

void worker_on_results_event(Worker *w) {
        struct pollfd p = { .fd = w->results_fd };

        if (w->results_fd < 0 || poll(&p, 1, 0) <= 0 || !(p.revents & (POLLERR | POLLHUP)))
                return;
        w->reader_gone = true;
        close(w->results_fd);
        w->results_fd = -1;
        worker_say(w, WORKER_READER_GONE);
}

/* PID 1 stops the unit, and with KillMode=mixed signals only us: pass it on and give the engine a moment, which a
 * frozen one could not use. Reported as ever, but an acknowledgement is not waited for without end. */
void worker_on_sigterm(Worker *w) {
        if (w->stopping)
                return;
        w->stopping = true;
        switch (w->phase) {
        case WORKER_PHASE_EXECUTING:
                if (group_shall_be_frozen(w->groups[WORKER_GROUP_ENGINE_FREEZE]))
                        run_kill(&w->engine);
                else {
                        run_terminate(&w->engine);
                        w->stop_at = now_msec() + WORKER_STOP_GRACE_MSEC;
                }
                break;
        case WORKER_PHASE_ENDED: w->stop_at = now_msec() + WORKER_STOP_ACK_MSEC; break;
        default: release(w);
        }
}

static void on_compile_over(Worker *w) {
        tail_finish(&w->compile.tail);
        w->phase = WORKER_PHASE_COMPILED;
        if (w->releasing)
                w->quit = true;
        else
                worker_say(w, WORKER_COMPILED);
}

/* engine/ is empty: what was written lies in the pipes, and nobody of the query can write any more. */
static void on_engine_over(Worker *w) {
        worker_on_results_event(w);
        mover_finish(&w->mover);
        tail_finish(&w->engine.tail);
        close_fds(&w->results_fd, 1); /* now the reader gets its end */
        w->results_fd = -1;
        w->phase = WORKER_PHASE_ENDED;
        if (w->stopping)
                w->stop_at = now_msec() + WORKER_STOP_ACK_MSEC;
        if (w->releasing)
                w->quit = true;
        else
                worker_say(w, w->engine.failure.step != WORKER_STEP_NONE ? WORKER_FAILED : WORKER_EXITED);
}

static void on_deadlines(Worker *w, uint64_t now) {
        bool busy = w->phase == WORKER_PHASE_EXECUTING || w->phase == WORKER_PHASE_ENDED;

        if (now >= w->stop_at) {
                w->stop_at = MSEC_NEVER;
                if (w->phase == WORKER_PHASE_EXECUTING)
                        run_kill(&w->engine);
                else
                        w->quit = true;
        }
        if (now >= w->give_up_at) {
                w->give_up_at = MSEC_NEVER;
                if (!busy)
                        release(w);
                else if (w->phase == WORKER_PHASE_EXECUTING && group_shall_be_frozen(w->groups[WORKER_GROUP_ENGINE_FREEZE]))
                        group_thaw(w->groups[WORKER_GROUP_ENGINE_FREEZE]);
        }
}

void worker_advance(Worker *w) {
        uint64_t now = now_msec();

        run_advance(&w->compile, now);
        run_advance(&w->engine, now);
        if (w->phase == WORKER_PHASE_COMPILING && w->compile.over)
                on_compile_over(w);
        if (w->engine.started && !w->said_started) {
                w->said_started = true;
                worker_say(w, WORKER_STARTED);
        }
        if (w->phase == WORKER_PHASE_EXECUTING && w->engine.over)
                on_engine_over(w);
        on_deadlines(w, now);
        if (!w->releasing && !w->quit) {
                worker_connect(w);
                worker_flush(w);
        }
}

uint64_t worker_next_deadline(const Worker *w) {
        uint64_t at = w->stop_at;

        if (w->give_up_at < at)
                at = w->give_up_at;
        if (w->connection < 0 && !w->releasing && w->connect_at < at)
                at = w->connect_at;
        if (run_is_dying(&w->compile) && w->compile.kill_again_at < at)
                at = w->compile.kill_again_at;
        if (run_is_dying(&w->engine) && w->engine.kill_again_at < at)
                at = w->engine.kill_again_at;
        return at;
}
