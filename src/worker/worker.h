/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* worker/worker: the state of penstock-worker, and the moves that messages, signals and ends cause. libc only; one
 * thread, no heap. What is to be said is derived from this state, so a lost connection loses nothing. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "worker/output.h"
#include "worker/protocol.h"
#include "worker/run.h"

#define MSEC_NEVER UINT64_MAX
#define WORKER_BACKOFF_MIN_MSEC 100

typedef struct Worker {
        uint64_t id;
        const char *socket_path;
        WorkerPhase phase;
        bool quit;
        bool releasing;   /* RELEASE: say nothing more, end when all is gone */
        bool stopping;    /* SIGTERM */
        uint64_t stop_at; /* when the grace or the wait for ACK is over; MSEC_NEVER */

        int connection;  /* -1: none */
        uint32_t unsent; /* bits of WorkerType to say on this connection */
        uint64_t connect_at, backoff_msec;
        uint64_t give_up_at; /* penstockd has been silent since a lost connection; MSEC_NEVER */

        int groups[_WORKER_GROUP_MAX];
        Run compile, engine;
        int results_fd; /* attached: a write end, to learn that nobody reads; -1 */
        bool reader_gone, said_started;
        Mover mover; /* detached */
} Worker;

uint64_t now_msec(void);

/* worker_report.c: the connection */
void worker_say(Worker *w, WorkerType type);
void worker_connect(Worker *w);
void worker_flush(Worker *w);
void worker_disconnect(Worker *w);

/* worker_act.c: what messages and signals cause */
void worker_on_message(Worker *w, const WorkerMessage *m, const int *fds, size_t n_fds);
void worker_on_results_event(Worker *w);
void worker_on_sigterm(Worker *w);
/* After each wake-up: kills, phases and deadlines. */
void worker_advance(Worker *w);
/* When worker_advance() has to run again without any event; MSEC_NEVER. */
uint64_t worker_next_deadline(const Worker *w);
