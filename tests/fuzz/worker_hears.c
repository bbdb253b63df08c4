/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What penstockd says to a worker, in any order and at any time: worker/link and worker/worker_act, with stand-ins for
 * processes, groups and pipes. Whatever comes, no descriptor is lost, and no message is taken in a phase that it does not
 * belong to. */
#include "message.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base.h"
#include "worker/child.h"
#include "worker/child_creds.h"
#include "worker/groups.h"
#include "worker/link.h"
#include "worker/worker.h"

static uint64_t now = 1000;
static bool fail_pipes, is_frozen, disconnected;

/* Stand-ins: a process that lives until the input says otherwise. */
uint64_t now_msec(void) {
        return now;
}

int run_fork_ahead(Run *r) {
        r->pid = r->first_pid = 100;
        return 0;
}

static void begin(Run *r, const ChildFds *fds) {
        PROMISE(!r->begun, "it begins twice");
        PROMISE(fcntl(fds->launch_fd, F_GETFD) >= 0, "no launch record");
        r->begun = true;
        r->pid = r->first_pid = 100;
}

void run_begin_ahead(Run *r, const ChildFds *fds) {
        PROMISE(fds->stdout_fd >= 0 && fds->stderr_fd >= 0, "no stdout or stderr");
        begin(r, fds);
}

void creds_give_up_mounting(void) {
}

void run_begin(Run *r, const ChildFds *fds) {
        begin(r, fds);
}

void run_fail(Run *r, WorkerStep step, int error) {
        r->failure = (ChildReport) { .step = step, .error = -error };
        r->begun = r->over = true;
}

void run_terminate(const Run *r) {
        PROMISE(r->begun, "nothing runs");
}

void run_kill(Run *r) {
        r->killed = true;
}

void run_advance(Run *r, uint64_t now_usec) {
        (void) now_usec;
        if (r->begun && r->killed)
                r->over = true;
}

bool run_is_dying(const Run *r) {
        return r->begun && !r->over && r->killed;
}

void run_discard(Run *r) {
        r->pid = 0;
}

bool group_shall_be_frozen(int freeze_fd) {
        PROMISE(fcntl(freeze_fd, F_GETFD) >= 0, "no cgroup.freeze");
        return is_frozen;
}

int group_thaw(int freeze_fd) {
        (void) freeze_fd;
        return 0;
}

int output_pipe(int *ret_read, int *ret_write) {
        int fds[2];

        if (fail_pipes)
                return -EMFILE;
        if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
                abort();
        *ret_read = fds[0];
        *ret_write = fds[1];
        return 0;
}

static void close_once(int *fd) {
        if (*fd >= 0)
                PROMISE(close(*fd) == 0, "it was closed before");
        *fd = -1;
}

void tail_finish(Tail *t) {
        close_once(&t->fd);
}

void mover_finish(Mover *m) {
        close_once(&m->fd);
        close_once(&m->file_fd);
}

void worker_say(Worker *w, WorkerType type) {
        PROMISE(!w->releasing, "it speaks after its release");
        PROMISE(type != WORKER_COMPILED || w->phase == WORKER_PHASE_COMPILED, "compiled in phase %d", (int) w->phase);
        PROMISE((type != WORKER_EXITED && type != WORKER_FAILED) || w->phase == WORKER_PHASE_ENDED, "ended in phase %d",
                (int) w->phase);
}

void worker_connect(Worker *w) {
        (void) w;
}

void worker_flush(Worker *w) {
        (void) w;
}

void worker_disconnect(Worker *w) {
        (void) w;
        disconnected = true;
}

/* The first byte of a message: the low bits its type, then what is not as it should be. Then how many descriptors. */
static void say(int fd, int spare, Bytes *b) {
        static const uint8_t types[] = { WORKER_GROUPS, WORKER_COMPILE, WORKER_EXECUTE, WORKER_ACK,
                                         WORKER_RELEASE, WORKER_WELCOME, WORKER_READY, WORKER_EXITED };
        unsigned how = bytes_u8(b);
        uint8_t type = how & 128 ? bytes_u8(b) : types[how % ELEMENTSOF(types)];
        size_t n_fds = bytes_u8(b) % 12, size;
        union {
                struct cmsghdr align;
                char space[CMSG_SPACE(12 * sizeof(int))];
        } control = {};
        WorkerMessage m;
        struct iovec iov = { .iov_base = &m };
        struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

        size = bytes_message(b, how, type, &m);
        if (!(how & 8) && type == WORKER_EXECUTE) { /* flags as they should be, and as many descriptors */
                m.execute.flags &= WORKER_FD_ALL & ~WORKER_FD_FILE;
                m.execute.flags ^= m.execute.flags & WORKER_FD_RESULTS ? 0 : WORKER_FD_FILE;
                n_fds = 1 + (size_t) __builtin_popcount(m.execute.flags);
        }
        if (!(how & 8) && type == WORKER_COMPILE)
                n_fds = 1 + ((m.compile.flags &= WORKER_FD_QUERY) != 0);
        if (!(how & 8) && type == WORKER_GROUPS)
                n_fds = _WORKER_GROUP_MAX;
        iov.iov_len = size;
        if (n_fds > 0) {
                struct cmsghdr *c;
                int fds[12];

                for (size_t i = 0; i < n_fds; i++)
                        fds[i] = spare;
                msg.msg_control = &control;
                msg.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
                c = CMSG_FIRSTHDR(&msg);
                c->cmsg_level = SOL_SOCKET;
                c->cmsg_type = SCM_RIGHTS;
                c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
                memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
        }
        (void) !sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void hear(Worker *w, int fd) {
        int fds[WORKER_FDS_MAX], r;
        WorkerPhase before = w->phase;
        WorkerMessage m;
        size_t n_fds;

        r = link_receive(fd, w->id, &m, fds, &n_fds);
        if (r < 0) {
                PROMISE(r == -EBADMSG || r == -EAGAIN || r == -ECONNRESET, "refused as %d", r);
                return;
        }
        disconnected = false;
        worker_on_message(w, &m, fds, n_fds);
        PROMISE(w->phase >= before, "it went back from phase %d to %d", (int) before, (int) w->phase);
        PROMISE(!disconnected || w->phase == before, "refused, and it moved on");
}

static void step(Worker *w, int fd, int peer, int spare, Bytes *b) {
        uint8_t what = bytes_u8(b);

        switch (what % 8) {
        case 0: worker_on_sigterm(w); break;
        case 1: w->engine.started = w->engine.begun; break;
        case 2: w->engine.over = w->engine.begun; break;
        case 3: w->compile.over = w->compile.begun; break;
        case 4: now += bytes_number(b, 2); break;
        case 5:
                fail_pipes = what & 64;
                is_frozen = what & 128;
                break;
        default:
                say(peer, spare, b);
                hear(w, fd);
        }
        worker_advance(w);
        (void) worker_next_deadline(w);
}

static void worker_close(Worker *w) {
        for (size_t i = 0; i < _WORKER_GROUP_MAX; i++)
                close_once(&w->groups[i]);
        close_once(&w->results_fd);
        tail_finish(&w->engine.tail);
        tail_finish(&w->compile.tail);
        mover_finish(&w->mover);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static int pair[2] = { -1, -1 }, spare;
        static Worker w; /* its tails are large; their bytes are not looked at here */
        Bytes b = { data, size };
        int before, after;

        if (pair[0] < 0 && (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0 ||
                            (spare = open("/dev/null", O_RDWR | O_CLOEXEC)) < 0))
                abort();
        w = (Worker) { .id = 7, .stop_at = MSEC_NEVER, .give_up_at = MSEC_NEVER, .connection = pair[0], .results_fd = -1,
                       .compile = RUN_INIT, .engine = RUN_INIT, .mover = { .fd = -1, .file_fd = -1 } };
        memset(w.groups, 0xff, sizeof(w.groups));
        fail_pipes = is_frozen = false;
        before = dup(spare);
        close(before);
        while (b.n > 0 && !w.quit)
                step(&w, pair[0], pair[1], spare, &b);
        worker_close(&w);
        after = dup(spare);
        close(after);
        PROMISE(before == after, "a descriptor stays open");
        return 0;
}
