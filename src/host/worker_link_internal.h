/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* host/worker_link_internal: what the two files of worker_link share. */
#pragma once

#include "host/worker_link.h"

struct WorkerConn {
        WorkerLink *link;
        WorkerConn *prev, *next;
        int fd;
        pid_t pid;
        uint64_t id;
        bool accepted; /* HELLO was */
        bool closed;   /* off the list and silent; freed when no longer busy */
        bool busy;     /* its event is being handled: callbacks may be on the stack */
        sd_event_source *source, *deadline;
        void *userdata;
};

struct WorkerLink {
        sd_event *event;
        int fd; /* our own copy of the listening socket */
        sd_event_source *source, *pause; /* the second ends a pause of the first */
        const WorkerLinkCallbacks *callbacks;
        void *userdata;
        WorkerConn *first;
        unsigned n_pending;
};

int worker_conn_send_plain(WorkerConn *c, WorkerType type);
