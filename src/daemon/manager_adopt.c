/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The queries of an earlier penstockd. First all is gathered: what was written, which descriptors PID 1 kept, which units
 * there are, and what their workers say; units that never ran anything are stopped. When nothing is missing any more, the
 * engine is told of all, in the order that it wants, and the door is opened. */
#include <errno.h>
#include <string.h>

#include "daemon/adoption.h"
#include "host/journal.h"
#include "host/records.h"
#include "host/state_files.h"

/* How long a worker is waited for, which comes back 100 ms to 5 s after it lost its connection, and a unit that is to be stopped,
 * which a process in an uninterruptible sleep keeps for ever. */
#define GATHER_USEC (20 * USEC_PER_SEC)

static Adoption *adoption_of(Manager *m, uint64_t id) {
        for (size_t i = 0; i < m->n_adoptions; i++)
                if (m->adoptions[i].id == id)
                        return &m->adoptions[i];
        return NULL;
}

/* ---- what was written ---- */

/* What nobody took is of queries that are not known any more. */
static void drop_left(Manager *m, StoredFds *stored) {
        const char *name;

        while ((name = stored_fds_left(stored))) {
                int fd;

                (void) fdstore_remove(m->notify, name);
                fd = stored_fds_take(stored, name);
                entry_close_fd(&fd);
        }
}

static int adopted_before(const void *a, const void *b) {
        const Adoption *x = a, *y = b;

        return query_snapshot_order(&x->snapshot, x->id, &y->snapshot, y->id);
}

int manager_gather(Manager *m, StoredFds *stored) {
        uint64_t *ids = NULL;
        size_t n = 0;
        int r = record_list(&ids, &n);

        if (r >= 0 && n > 0) {
                m->adoptions = calloc(n, sizeof(*m->adoptions));
                m->entries = calloc(n, sizeof(*m->entries));
                m->allocated = n;
                r = m->adoptions && m->entries ? manager_reserve_events(m, n) : -ENOMEM;
        }
        for (size_t i = 0; i < n && r >= 0; i++) {
                Adoption *a = &m->adoptions[m->n_adoptions];

                r = adoption_load(m, ids[i], stored, a);
                if (r == 0) {
                        m->entries[m->n_entries++] = a->entry;
                        m->n_loaded = ++m->n_adoptions;
                }
        }
        free(ids);
        if (m->n_adoptions > 0)
                qsort(m->adoptions, m->n_adoptions, sizeof(*m->adoptions), adopted_before);
        if (r >= 0) /* else PID 1 keeps all for the next try */
                drop_left(m, stored);
        return r;
}

/* ---- what there is ---- */

/* What passes ends nobody: all stays as it is for the next penstockd. */
static void leave_to_next(Manager *m, uint64_t id, int r) {
        Error error = {};

        error_set(&error, ERROR_INTERNAL, "query %llu, of an earlier penstockd, can't be taken over: %s", (unsigned long long) id,
                  strerror(-r));
        manager_fail_start(m, r, &error);
}

/* From here on host/systemd sees to it. If it can't even be asked, nobody would, and who serves beside it counts wrong: another
 * start will find it. */
static void stop_stale(Manager *m, uint64_t id) {
        Adoption *a = adoption_of(m, id);
        Error error = {};
        int r = systemd_unit_stop(m->systemd, id);

        if (r >= 0) {
                m->n_stale++;
                if (a)
                        a->unit_stops = true;
                return;
        }
        error_set(&error, ERROR_INTERNAL, "the unit of query %llu, of an earlier penstockd, can't be stopped: %s", (unsigned long long) id,
                  strerror(-r));
        manager_fail_start(m, r, &error);
}

void manager_gather_unit(Manager *m, uint64_t id) {
        Adoption *a = adoption_of(m, id);
        int r;

        if (!a || !adoption_may_run(a)) {
                stop_stale(m, id); /* nothing runs in it, or nothing that anybody knows */
                return;
        }
        r = entry_set_control_group(a->entry);
        if (r >= 0)
                r = systemd_unit_adopt(m->systemd, id);
        if (r >= 0)
                r = query_groups_adopt(a->entry->record.control_group, &a->entry->groups);
        if (r < 0) {
                if (error_passes(r))
                        leave_to_next(m, id, r);
                else
                        stop_stale(m, id); /* it may have run, so it must not run again: its unit is gone */
                return;
        }
        a->snapshot.unit_exists = a->waits_for_worker = a->entry->unit_requested = true;
        m->n_awaited++;
}

static void heard(Manager *m, Adoption *a) {
        m->n_awaited -= a->waits_for_worker;
        a->waits_for_worker = false;
}

/* Its connection is refused until the engine knows the query; it is back a moment later. */
void manager_gather_hello(Manager *m, uint64_t id, WorkerPhase phase) {
        Adoption *a = adoption_of(m, id);

        if (!a || !a->waits_for_worker)
                return;
        heard(m, a);
        a->snapshot.has_ended = phase == WORKER_PHASE_ENDED;
        if (phase < WORKER_PHASE_EXECUTING) { /* what was sent to it never arrived, and so never ran */
                a->snapshot.unit_exists = a->entry->unit_requested = false;
                manager_record_not_handed(m, a);
                a->entry->groups = query_groups_free(a->entry->groups);
                stop_stale(m, id);
        }
        manager_maybe_ready(m);
}

void manager_gather_unit_gone(Manager *m, uint64_t id) {
        Adoption *a = adoption_of(m, id);

        if (a && a->unit_stops) {
                a->unit_stops = a->snapshot.unit_exists = a->entry->unit_requested = false;
                a->entry->groups = query_groups_free(a->entry->groups);
        }
        if (!a || !a->snapshot.unit_exists) {
                manager_stale_gone(m);
                return;
        }
        a->unit_went = true;
        heard(m, a);
        manager_maybe_ready(m);
}

/* A process of it sleeps in the kernel, say. What it holds is nobody's to have, and what is to start anew can't have another unit
 * beside it: the engine waits for its end, as it would have without a restart. */
static void book_stale(Manager *m, Adoption *a) {
        Entry *e = a->entry;
        int r;

        if (!a->unit_stops || adoption_may_run(a))
                return;
        r = entry_set_control_group(e);
        if (r >= 0) /* PID 1 may forget it before its last process is gone */
                r = query_groups_adopt(e->record.control_group, &e->groups);
        if (error_passes(r))
                leave_to_next(m, a->id, r);
        else
                a->snapshot.unit_exists = e->unit_requested = true;
        e->cap_bytes = SIZE_INFINITY;
}

static int on_gather_timeout(sd_event_source *s, uint64_t usec, void *userdata) {
        Manager *m = userdata;

        (void) s, (void) usec;
        for (size_t i = 0; i < m->n_adoptions; i++) {
                heard(m, &m->adoptions[i]); /* it was handed over, and its worker, or its unit, will be heard of */
                book_stale(m, &m->adoptions[i]);
        }
        if (m->n_stale > 0)
                journal_write(LOG_WARNING, JOURNAL_PLAIN, 0,
                              "%zu units of an earlier penstockd can't be stopped: not waited for; what their queries left stays taken",
                              m->n_stale);
        m->n_stale = 0;
        manager_maybe_ready(m);
        return 0;
}

int manager_gather_begin_waiting(Manager *m) {
        return m->n_awaited + m->n_stale == 0
                       ? 0
                       : sd_event_add_time_relative(m->event, &m->gather_timer, CLOCK_MONOTONIC, GATHER_USEC, 0,
                                                    on_gather_timeout, m);
}

/* ---- and on it goes ---- */

/* What its limit is, as long as nobody can say: the most that it can be. */
static int take_over_unit(Manager *m, Adoption *a) {
        Entry *e = a->entry;
        Sample now;
        int r = query_groups_sample(e->groups, &now);

        if (r == 0) /* also while one that sleeps is still to be: later it is, and nobody would thaw it */
                r = query_groups_shall_be_frozen(e->groups, &a->snapshot.is_frozen);
        e->handed = e->started_told = true;
        a->snapshot.limit_bytes = r < 0 ? a->snapshot.max_bytes : now.max_bytes;
        if (r < 0)
                return r;
        a->snapshot.current_bytes = now.current_bytes;
        a->snapshot.held_since_usec = state_held_since();
        e->cap_bytes = SIZE_INFINITY;
        e->unit_max_bytes = entry_unit_max_bytes(e);
        e->woken_usec = manager_now(m);
        manager_watch_unit(m, e);
        query_groups_begin_late(e->groups, &now);
        return events_watch_new(m->event, e->groups, e->record.id, manager_on_pressure, m, &m->said_no_psi, &e->watch);
}

/* Returns 0, or what passes. */
static int take_over_running(Manager *m, Adoption *a) {
        int r = a->snapshot.unit_exists ? take_over_unit(m, a) : -ENODEV;
        Error error = {};

        if (error_passes(r))
                return r;
        if (r == -ENODEV || r == -ENOENT)
                a->snapshot.limit_bytes = 0; /* its groups are gone, and it will be soon */
        else if (r < 0) { /* nobody would see what it needs, and its limit may not be known */
                error_set(&error, ERROR_INTERNAL, "penstockd was restarted, and could not take it over: %s", strerror(-r));
                adoption_end_as(a, QUERY_ERRORED, VERDICT_START, &error);
        }
        return 0;
}

int manager_take_over_all(Manager *m) {
        for (size_t i = 0; i < m->n_adoptions; i++) {
                Adoption *a = &m->adoptions[i];
                int r = adoption_may_run(a) ? take_over_running(m, a) : 0;

                if (r == 0 && a->entry->hold_fd >= 0) {
                        r = entry_watch_hold(a->entry); /* its end may have come already; now there is somebody to hear of it */
                        if (r < 0 && !error_passes(r))
                                entry_drop_hold(a->entry);
                }
                if (error_passes(r)) {
                        leave_to_next(m, a->id, r);
                        return r;
                }
        }
        return 0;
}

/* Its worker has all of it; it is needed again by who may be run once more, if it is there. */
static void keep_for_retry(Adoption *a) {
        if (a->failure.code)
                a->snapshot.spec.may_retry = false;
        if (!a->snapshot.spec.may_retry || a->snapshot.n_retries > 0)
                entry_drop_request(a->entry);
}

static void adopt(Manager *m, Adoption *a) {
        Error stopped = {};

        if (adoption_may_run(a))
                keep_for_retry(a);
        else if (adoption_is_live(a) && a->failure.code)
                adoption_end_as(a, QUERY_ERRORED, VERDICT_START, &a->failure);
        if (adoption_is_live(a) && state_is(STATE_STOPPED)) {
                error_set(&stopped, ERROR_SHUTTING_DOWN, "penstockd was stopped");
                adoption_end_as(a, QUERY_CANCELED, VERDICT_SHUTDOWN, &stopped);
        }
        manager_feed(m, &(Event) { .type = EVENT_ADOPT, .query_id = a->id, .adopt = { &a->snapshot, &a->error, a->profile, a->profile_len } });
}

/* Once all of them are known: what has happened meanwhile. */
static void tell_outcome(Manager *m, Adoption *a) {
        unsigned long long id = a->id;
        Entry *e = manager_entry(m, id);
        const Query *q = engine_find(m->engine, id);

        if (!e || !q)
                return;
        if (!adoption_is_live(a)) {
                manager_history_add_again(m, e); /* the one that saw its end may have had no time to write it */
                return;
        }
        metrics_admitted(m->metrics, q, &e->record.request.labels);
        journal_write(LOG_NOTICE, JOURNAL_PLAIN, id, "Query %llu is of an earlier penstockd: %s", id,
                      adoption_may_run(a) && !a->snapshot.unit_exists ? "its unit is gone"
                      : adoption_may_run(a)                           ? "it goes on"
                      : a->snapshot.is_lost                  ? "it can't be started any more"
                                                             : "it waits on, or starts anew");
        if (adoption_may_run(a) && !a->snapshot.unit_exists)
                manager_feed(m, &(Event) { .type = EVENT_UNIT_GONE, .query_id = id });
        else if (a->unit_went)
                manager_unit_forgotten(m, e);
        else if (e->hold_fd < 0 && !e->record.request.detach && !adoption_may_run(a)) /* its caller never had an answer */
                manager_feed(m, &(Event) { .type = EVENT_HOLD_DROPPED, .query_id = id });
}

static bool has_unit(const char *unit, void *userdata) {
        uint64_t id;
        const Entry *e = systemd_unit_id(unit, &id) ? manager_entry(userdata, id) : NULL;

        return e && e->unit_requested;
}

void manager_adopt_all(Manager *m) {
        m->gather_timer = sd_event_source_disable_unref(m->gather_timer);
        /* All are told before anything that is answered is heard: what one gets depends on what the others have. */
        m->draining = true;
        if (state_is(STATE_PAUSED))
                manager_feed(m, &(Event) { .type = EVENT_PAUSE });
        for (size_t i = 0; i < m->n_adoptions; i++)
                adopt(m, &m->adoptions[i]);
        m->draining = false;
        manager_feed(m, &(Event) { .type = EVENT_TICK });
        m->adopted = true;
        for (size_t i = 0; i < m->n_adoptions; i++)
                tell_outcome(m, &m->adoptions[i]);
        cgroup_slice_sweep("/" SYSTEMD_SLICE, has_unit, m); /* an earlier life may have ended before it could see to that */
        m->n_adoptions = 0;
        if (m->n_pending > 0)
                return; /* there was no memory for an event, which may point here: kept until the end */
        manager_adoptions_free(m);
}

void manager_adoptions_free(Manager *m) {
        for (size_t i = 0; i < m->n_loaded; i++)
                free(m->adoptions[i].profile);
        free(m->adoptions);
        m->adoptions = NULL;
        m->n_loaded = 0;
}
