/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The way of an event: it waits while a step is performed, so that steps never nest; then it is stepped, and what the
 * engine asks for is performed. No event is lost: there is room for those that must come (manager_reserve_events()), and
 * one that the engine had no memory for is stepped again a moment later. */
#include <errno.h>
#include <string.h>

#include "daemon/spares.h"
#include "host/journal.h"
#include "host/state_files.h"

/* Events that one query can have waiting: each action of a step is answered by one at most, and a few come from its unit
 * and its caller meanwhile. */
#define EVENTS_PER_QUERY 8u
#define EVENTS_OTHER 64u
#define RETRY_USEC (50 * USEC_PER_MSEC)

/* An event that waits, with room for what it points to. */
struct PendingEvent {
        Event event;
        Error error;
};

void manager_arm_timer(Manager *m) {
        uint64_t deadline = MIN(MIN(engine_deadline(m->engine), m->again_usec), m->spares_due_usec);

        if (m->n_pending > 0) /* what the engine had no memory for: not at once, whatever is due */
                deadline = manager_now(m) + RETRY_USEC;
        if (deadline == USEC_INFINITY) {
                sd_event_source_set_enabled(m->timer, SD_EVENT_OFF);
                return;
        }
        sd_event_source_set_time(m->timer, deadline);
        sd_event_source_set_enabled(m->timer, SD_EVENT_ONESHOT);
}

static int make_room(Manager *m, size_t n) {
        struct PendingEvent *p;

        if (n <= m->pending_allocated)
                return 0;
        n = MAX(2 * m->pending_allocated, n);
        p = realloc(m->pending, n * sizeof(*p));
        if (!p)
                return -ENOMEM;
        m->pending = p;
        m->pending_allocated = n;
        return 0;
}

int manager_reserve_events(Manager *m, size_t n_queries) {
        return make_room(m, EVENTS_OTHER + EVENTS_PER_QUERY * n_queries);
}

/* Those that were stepped make room for others. */
static void drop_stepped(Manager *m) {
        m->n_pending -= m->n_stepped;
        if (m->n_pending > 0)
                memmove(m->pending, m->pending + m->n_stepped, m->n_pending * sizeof(*m->pending));
        m->n_stepped = 0;
}

/* Keep a copy of @ev and of what it points to. */
static int push(Manager *m, const Event *ev) {
        struct PendingEvent *p;

        if (m->n_pending == m->pending_allocated)
                drop_stepped(m);
        if (make_room(m, m->n_pending + 1) < 0)
                return -ENOMEM;
        p = &m->pending[m->n_pending++];
        p->event = *ev;
        if (event_has_plain_error(ev->type) && ev->error)
                p->error = *ev->error;
        else if ((ev->type == EVENT_ENDED || ev->type == EVENT_COMPILED) && ev->ended.error)
                p->error = *ev->ended.error;
        else
                p->error = (Error) {};
        return 0;
}

/* Returns 0, or -ENOMEM: nothing has happened. A request is answered in any case: who asked waits for it. */
static int step(Manager *m, struct PendingEvent *p) {
        uint64_t now = manager_now(m);
        int r;

        if (event_has_plain_error(p->event.type))
                p->event.error = &p->error;
        else if (p->event.type == EVENT_ENDED || p->event.type == EVENT_COMPILED)
                p->event.ended.error = &p->error;
        r = engine_step(m->engine, &p->event, now, &m->actions);
        if (r < 0)
                return p->event.type == EVENT_REQUEST ? 0 : r;
        manager_record_decided(m, &p->event);
        for (size_t i = 0; i < m->actions.n; i++) {
                const Action *a = &m->actions.v[i];

                if (a->type == ACTION_SET_LIMITS && a->query_id != p->event.query_id)
                        manager_woken_by_others(m, a->query_id, now);
                manager_perform(m, a);
        }
        manager_record_performed(m);
        manager_trace_step(m, &p->event, now); /* last: a raise does not wait until a line is written */
        return 0;
}

/* What is held above a lowered budget comes back bit by bit, and the slice follows: lowered last, never below use. */
static void follow_slice(Manager *m) {
        if (m->slice_bytes > manager_slice_bytes(m) && m->ready && !m->reload_waits)
                (void) manager_set_slice(m, 0, NULL);
}

static void step_all(Manager *m) {
        m->draining = true;
        while (m->n_stepped < m->n_pending) {
                struct PendingEvent p = m->pending[m->n_stepped]; /* the array may move while the step is performed */

                if (step(m, &p) < 0)
                        break;
                m->n_stepped++;
        }
        drop_stepped(m);
        m->draining = false;
}

static void drain(Manager *m) {
        step_all(m);
        manager_trace_flush(m);
        follow_slice(m);
        spares_settle(m);
        manager_arm_timer(m);
}

int manager_on_timer(sd_event_source *s, uint64_t usec, void *userdata) {
        Manager *m = userdata;

        (void) s;
        (void) usec;
        manager_try_again(m);
        if (m->n_pending == 0)
                manager_feed(m, &(Event) { .type = EVENT_TICK });
        else
                drain(m);
        return 0;
}

static void feed(Manager *m, const Event *ev) {
        if (ev->type == EVENT_SHUTDOWN)
                spares_look_soon(m); /* nobody will come for them */
        if (ev->type == EVENT_REQUEST && m->n_pending > 0)
                return; /* no memory for those before it: refused as one that there is none for */
        if (push(m, ev) < 0) {
                journal_write(LOG_ERR, JOURNAL_PLAIN, ev->query_id, "Out of memory: an event was lost");
                return;
        }
        if (!m->draining)
                drain(m);
}

void manager_feed(Manager *m, const Event *ev) {
        if (ev->type == EVENT_SHUTDOWN)
                manager_set_flag(m, STATE_SHUT_DOWN, true); /* a crash must not open the door again */
        if (ev->type == EVENT_PAUSE || ev->type == EVENT_RESUME)
                manager_set_flag(m, STATE_PAUSED, ev->type == EVENT_PAUSE);
        feed(m, ev);
}

/* First of all: should this be the last that we do, the next start must not find the door closed. */
void manager_stop(Manager *m) {
        manager_set_flag(m, STATE_SHUT_DOWN, false);
        manager_set_flag(m, STATE_PAUSED, false);
        feed(m, &(Event) { .type = EVENT_SHUTDOWN, .shutdown_usec = 0 });
}
