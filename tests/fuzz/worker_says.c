/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a peer of the worker socket says to penstockd: host/worker_link, by a real socket and loop. */
#include "message.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "host/worker_link_internal.h"

static struct {
        unsigned hellos, accepted, losses;
        bool refuse, close_in_ready;
        uint64_t id;
} seen;

static int on_hello(WorkerConn *c, const WorkerHello *m, pid_t pid, void *userdata) {
        (void) userdata;
        PROMISE(pid == getpid(), "not the peer's pid");
        PROMISE(m->header.id != 0 && m->phase < _WORKER_PHASE_MAX && m->engine_pid >= 0, "a hello that is none");
        PROMISE(worker_conn_id(c) == m->header.id, "another query's connection");
        PROMISE(seen.accepted == 0, "a second hello of one connection");
        seen.hellos++;
        seen.id = m->header.id;
        seen.accepted += !seen.refuse;
        return seen.refuse ? -EPERM : 0;
}

static void is_of_the_same(const WorkerConn *c, uint64_t id) {
        PROMISE(seen.accepted > 0 && worker_conn_id(c) == seen.id && id == seen.id, "a message of a stranger");
}

static void on_ready(WorkerConn *c, void *userdata) {
        (void) userdata;
        is_of_the_same(c, seen.id);
        if (seen.close_in_ready) {
                seen.losses++; /* it is not told of what it closes itself */
                worker_conn_close(c);
        }
}

static void on_compiled(WorkerConn *c, const WorkerCompiled *m, void *userdata) {
        (void) userdata;
        is_of_the_same(c, m->header.id);
        PROMISE(m->stderr_len <= WORKER_STDERR_TAIL_MAX && m->step < _WORKER_STEP_MAX, "out of bounds");
}

static void on_started(WorkerConn *c, const WorkerStarted *m, void *userdata) {
        (void) userdata;
        is_of_the_same(c, m->header.id);
        PROMISE(m->pid > 0, "no pid");
}

static void on_reader_gone(WorkerConn *c, void *userdata) {
        (void) userdata;
        is_of_the_same(c, seen.id);
}

static void on_failed(WorkerConn *c, const WorkerFailed *m, void *userdata) {
        (void) userdata;
        is_of_the_same(c, m->header.id);
        PROMISE(m->step > WORKER_STEP_NONE && m->step < _WORKER_STEP_MAX, "out of bounds");
}

static void on_exited(WorkerConn *c, const WorkerExited *m, void *userdata) {
        (void) userdata;
        is_of_the_same(c, m->header.id);
        PROMISE(m->stderr_len <= WORKER_STDERR_TAIL_MAX, "out of bounds");
}

static void on_lost(WorkerConn *c, int error, void *userdata) {
        (void) userdata;
        is_of_the_same(c, seen.id);
        PROMISE(error <= 0, "a loss for %d", error);
        seen.losses++;
}

static const WorkerLinkCallbacks CALLBACKS = {
        .hello = on_hello, .ready = on_ready, .compiled = on_compiled, .started = on_started,
        .reader_gone = on_reader_gone, .failed = on_failed, .exited = on_exited, .lost = on_lost,
};

static sd_event *event;
static WorkerLink *the_link;
static struct sockaddr_un address = { .sun_family = AF_UNIX };

static void link_make(void) {
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

        snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, "penstock-fuzz-%d", (int) getpid());
        if (bind(fd, (struct sockaddr *) &address, sizeof(address)) < 0 || listen(fd, 16) < 0 || sd_event_new(&event) < 0 ||
            worker_link_new(event, fd, &CALLBACKS, NULL, &the_link) < 0)
                abort();
        close(fd);
}

static void settle(void) {
        while (sd_event_run(event, 0) > 0)
                ;
}

/* The first byte of each message: the low bits its type, then what is not as it should be. */
static void say(int fd, Bytes *b) {
        static const uint8_t types[] = { WORKER_HELLO, WORKER_READY, WORKER_COMPILED, WORKER_STARTED, WORKER_READER_GONE,
                                         WORKER_FAILED, WORKER_EXITED, WORKER_ACK };
        unsigned how = bytes_u8(b);
        uint8_t type = how & 128 ? bytes_u8(b) : types[how % ELEMENTSOF(types)];
        WorkerMessage m;
        size_t size = bytes_message(b, how, type, &m);

        (void) !send(fd, &m, size, MSG_NOSIGNAL | MSG_DONTWAIT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        Bytes b = { data, size };
        unsigned flags = bytes_u8(&b);
        int fd, before, after;

        if (!the_link)
                link_make();
        memset(&seen, 0, sizeof(seen));
        seen.refuse = (flags & 3) == 3;
        seen.close_in_ready = flags & 4;
        before = dup(STDIN_FILENO);
        close(before);

        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        if (connect(fd, (struct sockaddr *) &address, sizeof(address)) < 0)
                abort();
        for (unsigned i = 0; b.n > 0 && i < 12; i++) {
                say(fd, &b);
                if (flags & 8)
                        settle();
        }
        settle();
        PROMISE(the_link->n_pending + seen.accepted - seen.losses <= 1, "two connections of one");
        close(fd);
        settle();
        PROMISE(!the_link->first && the_link->n_pending == 0, "a connection is left");
        PROMISE(seen.losses == seen.accepted, "%u were accepted, %u lost", seen.accepted, seen.losses);
        after = dup(STDIN_FILENO);
        close(after);
        PROMISE(before == after, "a descriptor stays open");
        return 0;
}
