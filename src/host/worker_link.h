/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* host/worker_link: penstockd's end of the worker socket (worker/protocol.h) on an sd-event loop. It checks form and
 * peer (root only) and decides nothing. Never blocks, and never keeps a descriptor: what is passed to a send function
 * is borrowed, the caller closes it afterwards (the kernel holds its own reference).
 *
 * A WorkerConn belongs to its WorkerLink. It is valid from the hello callback until worker_conn_close(), or until the
 * lost callback returns; both may happen inside any callback. */
#pragma once

#include <systemd/sd-event.h>

#include "worker/launch.h"
#include "worker/protocol.h"

typedef struct WorkerLink WorkerLink;
typedef struct WorkerConn WorkerConn;

/* @userdata is that of worker_link_new(); the messages are checked: sizes, counts, enums, lengths within bounds. A
 * message may be said again after a reconnection (worker/protocol.h), so each must be safe to hear twice. */
typedef struct WorkerLinkCallbacks {
        /* Someone says it is the worker of query @m->header.id. @pid is the peer's, as the kernel tells it; use
         * worker_conn_peer_cgroup() for where it lives. Return 0 to accept (WELCOME is sent), or -errno: the
         * connection is closed, and lost is not called. */
        int (*hello)(WorkerConn *c, const WorkerHello *m, pid_t pid, void *userdata);
        void (*ready)(WorkerConn *c, void *userdata);
        void (*compiled)(WorkerConn *c, const WorkerCompiled *m, void *userdata);
        void (*started)(WorkerConn *c, const WorkerStarted *m, void *userdata);
        void (*reader_gone)(WorkerConn *c, void *userdata);
        void (*failed)(WorkerConn *c, const WorkerFailed *m, void *userdata);
        void (*exited)(WorkerConn *c, const WorkerExited *m, void *userdata);
        /* An accepted connection ended: hang-up (@error 0 or the socket's -errno) or a malformed message (-EBADMSG).
         * The worker reconnects by itself if it lives. Not called for what worker_conn_close() closed. */
        void (*lost)(WorkerConn *c, int error, void *userdata);
} WorkerLinkCallbacks;

/* Serve the listening SOCK_SEQPACKET socket @listen_fd, which is borrowed and stays open (it is the socket unit's).
 * All callbacks but hello may be NULL; @callbacks must outlive the link.
 * Returns 0, or -errno; then *@ret is untouched. */
int worker_link_new(sd_event *event, int listen_fd, const WorkerLinkCallbacks *callbacks, void *userdata,
                    WorkerLink **ret);
/* Closes all connections without calling lost. Takes NULL, returns NULL. Not from within a callback. */
WorkerLink *worker_link_free(WorkerLink *l);

/* The caller's own pointer, NULL at first. */
void worker_conn_set_userdata(WorkerConn *c, void *userdata);
void *worker_conn_userdata(WorkerConn *c);
uint64_t worker_conn_id(const WorkerConn *c);
pid_t worker_conn_pid(const WorkerConn *c);
/* Handle what the peer has said so far, now, and its hang-up if it is gone: for a caller that has heard otherwise of
 * the peer's end, and must not judge before the peer's last word. Takes NULL. Not from within a callback of this link. */
void worker_conn_receive_all(WorkerConn *c);
/* Close it; @c is gone. Takes NULL. */
void worker_conn_close(WorkerConn *c);

/* Each sends one message. Returns 0; -EAGAIN when the worker has stopped reading (a handful of small messages is all
 * there is in a query's life, so treat it as a broken worker); -EPIPE or -ECONNRESET when it is gone (lost follows);
 * -EBADF for a negative descriptor; -EINVAL for flags that the message does not have. */
int worker_conn_send_groups(WorkerConn *c, const int fds[static _WORKER_GROUP_MAX]);
/* @query_fd may be -1. */
int worker_conn_send_compile(WorkerConn *c, int launch_fd, int query_fd);

/* What EXECUTE carries; -1 for what there is not. Exactly one of results_fd and file_fd. */
typedef struct WorkerExecuteFds {
        int launch_fd, results_fd, query_fd, stdin_fd, stderr_fd, file_fd;
} WorkerExecuteFds;
#define WORKER_EXECUTE_FDS_NONE { -1, -1, -1, -1, -1, -1 }

/* @results_max_bytes bounds file_fd; SIZE_INFINITY: no bound. */
int worker_conn_send_execute(WorkerConn *c, const WorkerExecuteFds *fds, uint64_t results_max_bytes);
int worker_conn_send_ack(WorkerConn *c);
int worker_conn_send_release(WorkerConn *c);

/* Write the cgroup v2 path of @pid ("/penstock.slice/…", from the line "0::" of /proc/PID/cgroup) to @buf.
 * Returns 0, -ESRCH when there is no such process, -ENODATA without a v2 line, -ENAMETOOLONG, or -errno. */
int worker_link_peer_cgroup(pid_t pid, char *buf, size_t len);
/* The same for the peer of @c, and sure that the pid was not reused meanwhile: -ESRCH when the peer is gone. */
int worker_conn_peer_cgroup(WorkerConn *c, char *buf, size_t len);
