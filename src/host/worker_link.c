/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/worker_link_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

/* Only root gets to the socket, but a query may run as root. Those that have not said HELLO are few and short-lived;
 * more wait in the backlog. */
#define PENDING_MAX 32u
#define HELLO_TIMEOUT_USEC (10 * USEC_PER_SEC)
/* One connection may not keep the loop for longer than this many messages. */
#define RECEIVE_AT_ONCE 8u
/* More than a worker has to say in its life. */
#define RECEIVE_ALL 64u
/* Without descriptors or memory for one more, before the next try: who waits in the backlog would keep the loop busy. */
#define ACCEPT_PAUSE_USEC (100 * USEC_PER_MSEC)

static void link_set_accepting(WorkerLink *l) {
        sd_event_source_set_enabled(l->source, l->n_pending < PENDING_MAX ? SD_EVENT_ON : SD_EVENT_OFF);
}

static void conn_free(WorkerConn *c) {
        sd_event_source_disable_unref(c->source);
        sd_event_source_disable_unref(c->deadline);
        if (c->fd >= 0)
                close(c->fd);
        free(c);
}

/* Off the list and silent; freed at once unless a callback is on the stack. */
static void conn_close(WorkerConn *c) {
        WorkerLink *l = c->link;

        if (c->closed)
                return;
        c->closed = true;
        if (c->prev)
                c->prev->next = c->next;
        else
                l->first = c->next;
        if (c->next)
                c->next->prev = c->prev;
        if (!c->accepted) {
                l->n_pending--;
                link_set_accepting(l);
        }
        c->source = sd_event_source_disable_unref(c->source);
        c->deadline = sd_event_source_disable_unref(c->deadline);
        close(c->fd);
        c->fd = -1;
        if (!c->busy)
                conn_free(c);
}

/* Ends a connection for a reason of its own: says so if anyone knows it. On the stack of on_conn_event(), which
 * frees. */
static void conn_lose(WorkerConn *c, int error) {
        const WorkerLinkCallbacks *cb = c->link->callbacks;

        if (c->closed)
                return;
        if (c->accepted && cb->lost)
                cb->lost(c, error, c->link->userdata);
        conn_close(c);
}

static int on_hello(WorkerConn *c, const WorkerHello *m) {
        WorkerLink *l = c->link;
        int r;

        if (c->accepted || m->phase >= _WORKER_PHASE_MAX || m->engine_pid < 0 || m->header.id == 0)
                return -EBADMSG;
        c->id = m->header.id;
        r = l->callbacks->hello(c, m, c->pid, l->userdata);
        if (c->closed)
                return 0;
        if (r < 0)
                return r;
        c->accepted = true;
        l->n_pending--;
        link_set_accepting(l);
        c->deadline = sd_event_source_disable_unref(c->deadline);
        return worker_conn_send_plain(c, WORKER_WELCOME);
}

/* @len bytes of a message arrived. Returns 0, or -errno to end the connection. */
static int conn_dispatch(WorkerConn *c, const WorkerMessage *m, size_t len) {
        const WorkerLinkCallbacks *cb = c->link->callbacks;
        void *userdata = c->link->userdata;

        if (len < sizeof(WorkerHeader) || m->header.magic != WORKER_MAGIC || m->header.version != WORKER_VERSION ||
            worker_message_size(m->header.type) != len)
                return -EBADMSG;
        if (m->header.type == WORKER_HELLO)
                return on_hello(c, &m->hello);
        if (!c->accepted || m->header.id != c->id)
                return -EBADMSG;
        switch (m->header.type) {
        case WORKER_READY:
                if (cb->ready)
                        cb->ready(c, userdata);
                return 0;
        case WORKER_COMPILED:
                if (m->compiled.stderr_len > WORKER_STDERR_TAIL_MAX || m->compiled.step >= _WORKER_STEP_MAX)
                        return -EBADMSG;
                if (cb->compiled)
                        cb->compiled(c, &m->compiled, userdata);
                return 0;
        case WORKER_STARTED:
                if (m->started.pid <= 0)
                        return -EBADMSG;
                if (cb->started)
                        cb->started(c, &m->started, userdata);
                return 0;
        case WORKER_READER_GONE:
                if (cb->reader_gone)
                        cb->reader_gone(c, userdata);
                return 0;
        case WORKER_FAILED:
                if (m->failed.step == WORKER_STEP_NONE || m->failed.step >= _WORKER_STEP_MAX)
                        return -EBADMSG;
                if (cb->failed)
                        cb->failed(c, &m->failed, userdata);
                return 0;
        case WORKER_EXITED:
                if (m->exited.stderr_len > WORKER_STDERR_TAIL_MAX)
                        return -EBADMSG;
                if (cb->exited)
                        cb->exited(c, &m->exited, userdata);
                return 0;
        default: return -EBADMSG;
        }
}

/* Returns 1 when a message was handled, 0 when there is none, -errno to end the connection (-ENOTCONN: hang-up). */
static int conn_receive(WorkerConn *c) {
        static WorkerMessage m; /* one loop, one thread; callbacks don't receive */
        struct iovec iov = { .iov_base = &m, .iov_len = sizeof(m) };
        struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 }; /* no control: descriptors are dropped */
        ssize_t n = recvmsg(c->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        int r;

        if (n < 0)
                return errno == EAGAIN || errno == EINTR ? 0 : -errno;
        if (n == 0)
                return -ENOTCONN;
        if (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
                return -EBADMSG;
        r = conn_dispatch(c, &m, (size_t) n);
        return r < 0 ? r : 1;
}

static void conn_receive_some(WorkerConn *c, unsigned at_most) {
        int r = 1;

        c->busy = true;
        for (unsigned i = 0; i < at_most && r > 0 && !c->closed; i++)
                r = conn_receive(c);
        if (r < 0)
                conn_lose(c, r == -ENOTCONN ? 0 : r);
        c->busy = false;
        if (c->closed)
                conn_free(c);
}

static int on_conn_event(sd_event_source *s, int fd, uint32_t revents, void *userdata) {
        (void) s;
        (void) fd;
        (void) revents;
        conn_receive_some(userdata, RECEIVE_AT_ONCE);
        return 0;
}

void worker_conn_receive_all(WorkerConn *c) {
        if (c)
                conn_receive_some(c, RECEIVE_ALL);
}

static int on_hello_deadline(sd_event_source *s, uint64_t usec, void *userdata) {
        (void) s;
        (void) usec;
        conn_close(userdata);
        return 0;
}

/* Takes @fd in any case. Returns 0 or -errno. */
static int conn_new(WorkerLink *l, int fd) {
        struct ucred peer;
        socklen_t len = sizeof(peer);
        WorkerConn *c;
        int r;

        /* pid 0: the peer is in a pid namespace that we don't see */
        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 || peer.uid != 0 || peer.pid <= 0) {
                close(fd);
                return -EPERM;
        }
        c = calloc(1, sizeof(*c));
        if (!c) {
                close(fd);
                return -ENOMEM;
        }
        *c = (WorkerConn) { .link = l, .fd = fd, .pid = peer.pid };
        r = sd_event_add_io(l->event, &c->source, fd, EPOLLIN, on_conn_event, c);
        if (r >= 0)
                r = sd_event_add_time_relative(l->event, &c->deadline, CLOCK_MONOTONIC, HELLO_TIMEOUT_USEC, 0,
                                               on_hello_deadline, c);
        if (r < 0) {
                conn_free(c);
                return r;
        }
        c->next = l->first;
        if (c->next)
                c->next->prev = c;
        l->first = c;
        l->n_pending++;
        link_set_accepting(l);
        return 0;
}

static int on_pause_over(sd_event_source *s, uint64_t usec, void *userdata) {
        (void) s;
        (void) usec;
        link_set_accepting(userdata);
        return 0;
}

/* Out of descriptors or memory, the peer stays in the backlog or is dropped and comes again; the loop goes on. */
static int on_listen_event(sd_event_source *s, int fd, uint32_t revents, void *userdata) {
        WorkerLink *l = userdata;
        int conn;

        (void) s;
        (void) revents;
        conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (conn >= 0)
                conn_new(l, conn);
        else if ((errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) &&
                 sd_event_source_set_time_relative(l->pause, ACCEPT_PAUSE_USEC) >= 0 &&
                 sd_event_source_set_enabled(l->pause, SD_EVENT_ONESHOT) >= 0)
                (void) sd_event_source_set_enabled(l->source, SD_EVENT_OFF);
        return 0;
}

int worker_link_new(sd_event *event, int listen_fd, const WorkerLinkCallbacks *callbacks, void *userdata,
                    WorkerLink **ret) {
        WorkerLink *l;
        int r, flags;

        if (!callbacks || !callbacks->hello)
                return -EINVAL;
        l = calloc(1, sizeof(*l));
        if (!l)
                return -ENOMEM;
        *l = (WorkerLink) { .event = sd_event_ref(event), .callbacks = callbacks, .userdata = userdata };
        l->fd = fcntl(listen_fd, F_DUPFD_CLOEXEC, 3);
        flags = l->fd < 0 ? -1 : fcntl(l->fd, F_GETFL);
        if (flags < 0 || fcntl(l->fd, F_SETFL, flags | O_NONBLOCK) < 0)
                r = -errno;
        else
                r = sd_event_add_io(event, &l->source, l->fd, EPOLLIN, on_listen_event, l);
        if (r >= 0)
                r = sd_event_add_time(event, &l->pause, CLOCK_MONOTONIC, USEC_INFINITY, 0, on_pause_over, l);
        if (r >= 0)
                r = sd_event_source_set_enabled(l->pause, SD_EVENT_OFF);
        if (r < 0) {
                worker_link_free(l);
                return r;
        }
        *ret = l;
        return 0;
}

WorkerLink *worker_link_free(WorkerLink *l) {
        if (!l)
                return NULL;
        while (l->first)
                conn_close(l->first);
        sd_event_source_disable_unref(l->source);
        sd_event_source_disable_unref(l->pause);
        sd_event_unref(l->event);
        if (l->fd >= 0)
                close(l->fd);
        free(l);
        return NULL;
}

void worker_conn_set_userdata(WorkerConn *c, void *userdata) {
        c->userdata = userdata;
}

void *worker_conn_userdata(WorkerConn *c) {
        return c->userdata;
}

uint64_t worker_conn_id(const WorkerConn *c) {
        return c->id;
}

pid_t worker_conn_pid(const WorkerConn *c) {
        return c->pid;
}

void worker_conn_close(WorkerConn *c) {
        if (c)
                conn_close(c);
}
