/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "worker/link.h"
#include "worker/worker.h"

#define BACKOFF_MAX_MSEC 5000

#define BIT(type) (UINT32_C(1) << (type))

void worker_say(Worker *w, WorkerType type) {
        w->unsent |= BIT(type);
}

/* All that the phase implies, for a penstockd that may have just started. */
static uint32_t reports_due(const Worker *w) {
        uint32_t due = BIT(WORKER_HELLO);

        switch (w->phase) {
        case WORKER_PHASE_IDLE:
        case WORKER_PHASE_COMPILING: due |= BIT(WORKER_READY); break;
        case WORKER_PHASE_COMPILED: due |= BIT(WORKER_READY) | BIT(WORKER_COMPILED); break;
        case WORKER_PHASE_EXECUTING:
        case WORKER_PHASE_ENDED:
                if (w->engine.started)
                        due |= BIT(WORKER_STARTED);
                if (w->reader_gone)
                        due |= BIT(WORKER_READER_GONE);
                if (w->phase == WORKER_PHASE_ENDED)
                        due |= w->engine.failure.step != WORKER_STEP_NONE ? BIT(WORKER_FAILED) : BIT(WORKER_EXITED);
                break;
        default: break;
        }
        return due;
}

void worker_disconnect(Worker *w) {
        uint64_t now = now_msec();

        if (w->connection >= 0)
                close(w->connection);
        w->connection = -1;
        w->connect_at = now + w->backoff_msec;
        w->backoff_msec = w->backoff_msec * 2 < BACKOFF_MAX_MSEC ? w->backoff_msec * 2 : BACKOFF_MAX_MSEC;
        if (w->give_up_at == MSEC_NEVER)
                w->give_up_at = now + WORKER_GIVE_UP_MSEC;
}

void worker_connect(Worker *w) {
        if (w->connection >= 0 || now_msec() < w->connect_at)
                return;
        w->connection = link_connect(w->socket_path);
        if (w->connection < 0) {
                worker_disconnect(w);
                return;
        }
        w->unsent = reports_due(w);
}

static void fill_compiled(const Worker *w, WorkerCompiled *m) {
        const Run *r = &w->compile;

        m->step = r->failure.step;
        m->error = r->failure.error;
        m->detail = r->failure.detail;
        m->wait_status = r->wait_status;
        m->stderr_bytes = r->tail.total;
        m->stderr_len = tail_copy(&r->tail, m->stderr_tail);
}

static void fill_exited(const Worker *w, WorkerExited *m) {
        const Run *r = &w->engine;

        m->wait_status = r->wait_status;
        m->flags = (w->reader_gone ? WORKER_EXITED_READER_GONE : 0) |
                   (w->mover.truncated ? WORKER_EXITED_RESULTS_TRUNCATED : 0) |
                   (r->leftovers ? WORKER_EXITED_LEFTOVERS_KILLED : 0) | (w->stopping ? WORKER_EXITED_STOPPED : 0);
        m->results_errno = w->mover.error;
        m->results_bytes = w->mover.moved;
        m->stderr_bytes = r->tail.total;
        m->stderr_len = tail_copy(&r->tail, m->stderr_tail);
}

static void fill(const Worker *w, WorkerMessage *m) {
        switch (m->header.type) {
        case WORKER_HELLO:
                m->hello.phase = w->phase;
                m->hello.engine_pid = w->engine.started ? w->engine.pid : 0;
                break;
        case WORKER_COMPILED: fill_compiled(w, &m->compiled); break;
        case WORKER_STARTED: m->started.pid = w->engine.first_pid; break;
        case WORKER_FAILED:
                m->failed.step = w->engine.failure.step;
                m->failed.error = w->engine.failure.error;
                m->failed.detail = w->engine.failure.detail;
                break;
        case WORKER_EXITED: fill_exited(w, &m->exited); break;
        default: break;
        }
}

/* The order in which things are said is that of their numbers. What does not fit waits for POLLOUT. */
void worker_flush(Worker *w) {
        static WorkerMessage m;

        for (unsigned type = WORKER_HELLO; type <= WORKER_EXITED && w->connection >= 0; type++) {
                int r;

                if (!(w->unsent & BIT(type)))
                        continue;
                memset(&m, 0, sizeof(m));
                m.header = worker_header((WorkerType) type, w->id);
                fill(w, &m);
                r = link_send(w->connection, &m);
                if (r == -EAGAIN)
                        return;
                if (r < 0)
                        worker_disconnect(w);
                else
                        w->unsent &= ~BIT(type);
        }
}
