/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is written of a query, and which of its descriptors PID 1 keeps, so that a later penstockd can go on with it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/trace.h"
#include "daemon/adoption.h"
#include "daemon/dependencies.h"
#include "host/journal.h"
#include "host/records.h"

/* They lie in memory, in /run, as do the texts in memfds. A user's that wait have so much room together, and all users' so much. */
#define RECORDS_OF_USER_BYTES_MAX (16 * MIB)
#define RECORDS_BYTES_MAX (64 * MIB)

/* Complaints about records that can't be written. */
static const RateLimitRule of_complaints = { .burst = 5, .interval_usec = 60 * USEC_PER_SEC };

const char *entry_stored_name(uint64_t id, const char *role, char buf[static FDSTORE_NAME_MAX]) {
        snprintf(buf, FDSTORE_NAME_MAX, "q%llu-%s", (unsigned long long) id, role);
        return buf;
}

/* @e may be NULL: it is not there any more. */
static void written(Manager *m, Entry *e, uint64_t id, unsigned part, const char *what, int r) {
        uint64_t ignored;

        if (r < 0 && rate_limit_take(&m->record_failures, &of_complaints, manager_now(m), &ignored))
                journal_write(LOG_WARNING, JOURNAL_PLAIN, id,
                              "Query %llu: %s: %s; it is tried again, and a restart would lose it meanwhile",
                              (unsigned long long) id, what, strerror(-r));
        if (e)
                manager_record_later(m, e, part, r);
}

void entry_count_record(Entry *e, size_t bytes) {
        e->manager->records_bytes = e->manager->records_bytes - e->record_bytes + bytes;
        e->record_bytes = bytes;
}

/* One that @waits is written with the language that it will be started by, and counts. One that has started, or ended, needs
 * little and counts for nothing: there are as many as may execute, and tombstones. */
static int write_request(Entry *e, uint64_t id, const Language *waits, size_t max_bytes) {
        const RequestRecord record = { .request = e->record.request,
                                       .created_realtime_usec = e->record.created_realtime_usec,
                                       .ended_realtime_usec = e->record.ended_realtime_usec,
                                       .stderr_tail = e->record.stderr_tail,
                                       .language = waits,
                                       .dependencies = e->dependencies };
        size_t bytes, of_text = waits ? record.request.query_len : 0; /* in memory, too */
        int r = record_write_request(id, &record, subtract_saturating(max_bytes, of_text), &bytes);

        if (r == 0)
                entry_count_record(e, waits ? bytes + of_text : 0);
        return r;
}

static size_t room_for(const Manager *m, uint32_t uid) {
        size_t room = m->records_bytes < RECORDS_BYTES_MAX ? RECORDS_BYTES_MAX - m->records_bytes : 0, have = 0;

        if (m->records_bytes > RECORDS_OF_USER_BYTES_MAX / 2) /* else nobody has much of it */
                for (size_t i = 0; i < m->n_entries; i++)
                        have += m->entries[i]->record.request.uid == uid ? m->entries[i]->record_bytes : 0;
        return MIN(room, have < RECORDS_OF_USER_BYTES_MAX ? RECORDS_OF_USER_BYTES_MAX - have : 0);
}

int manager_record_request(Entry *e, uint64_t id, const Language *l, Error *ret_error) {
        int r = write_request(e, id, l, room_for(e->manager, e->record.request.uid));

        if (r == -EFBIG)
                return error_set(ret_error, ERROR_QUEUE_LENGTH_EXCEEDED,
                                 "queries that wait have texts, arguments, parameters and environment of %u MiB at most for each user, and "
                                 "of %u MiB for all, as they are written down; there is no room for this one before others have started",
                                 (unsigned) (RECORDS_OF_USER_BYTES_MAX / MIB), (unsigned) (RECORDS_BYTES_MAX / MIB));
        return r;
}

/* Its worker has all of it: what only a start needs, some of it secret, does not stay. */
void manager_record_started(Manager *m, Entry *e) {
        Request whole = e->record.request, *r = &e->record.request;
        int k;

        r->argv = (StrList) {};
        r->parameters = r->environment = (PairList) {};
        r->gids = NULL;
        r->n_gids = r->n_limits = 0;
        k = write_request(e, e->record.id, NULL, SIZE_MAX);
        *r = whole;
        written(m, e, e->record.id, AGAIN_REQUEST, "its start can't be written", k);
}

void manager_record_end(Manager *m, Entry *e) {
        int r = write_request(e, e->record.id, NULL, SIZE_MAX);

        written(m, e, e->record.id, AGAIN_REQUEST, "its end can't be written", r);
}

/* Its loss is not worth a complaint. */
static void record_profile(const Query *q) {
        uint8_t saved[PROFILE_SAVED_MAX];
        size_t len = q ? profile_save(&q->profile, saved) : 0;

        if (len > 0)
                (void) record_write_profile(q->id, saved, len);
}

void manager_record_profiles(Manager *m) {
        for (const Query *q = NULL; m->adopted && (q = engine_next(m->engine, q));)
                if (!query_state_is_end(q->state))
                        record_profile(q);
}

static int write_snapshot(Manager *m, uint64_t id, const QuerySnapshot *s, const Error *error) {
        char line[TRACE_LINE_MAX];

        trace_event_line(&(Event) { .type = EVENT_ADOPT, .query_id = id, .adopt = { s, error } }, manager_now(m), line);
        return record_write_state(id, line);
}

static void record_state(Manager *m, uint64_t id, const ActionList *unperformed) {
        const Query *q = engine_find(m->engine, id);
        bool is_new = m->submitting && m->submitting->record.id == id; /* what has its place is a spare, or nothing */
        Entry *entry = is_new ? m->submitting : manager_entry(m, id);
        QuerySnapshot snapshot;
        Error error;
        int r;

        if (!q)
                return;
        engine_snapshot(q, unperformed, &snapshot, &error);
        if (manager_is_releasing(m, id))
                snapshot.dependencies = DEPENDENCIES_HELD; /* told at least once */
        r = write_snapshot(m, id, &snapshot, &error);
        written(m, entry, id, AGAIN_STATE, "its state can't be written", r);
        if (entry)
                entry->record_error = r;
        if (r < 0 && query_state_is_end(q->state) && !(entry && entry->handed)) {
                record_remove(id); /* else it would be run after all: what is written says that it waits */
                if (entry)
                        entry->again |= AGAIN_REQUEST;
        }
}

/* Its state last: a request without one is none, and a state without a request is damaged. */
void manager_record_again(Manager *m, Entry *e, unsigned what) {
        const Query *q = engine_find(m->engine, e->record.id);

        if (!m->adopted)
                manager_record_later(m, e, what, -EAGAIN); /* the engine does not know it yet */
        else if (q) {
                if (what & AGAIN_REQUEST && query_state_is_end(q->state))
                        manager_record_end(m, e);
                else if (what & AGAIN_REQUEST && e->handed && !manager_may_retry(m, e))
                        manager_record_started(m, e);
                if (what & AGAIN_STATE)
                        record_state(m, e->record.id, NULL);
                if (what & AGAIN_DESCRIPTORS)
                        manager_keep_descriptors(m, e);
        }
}

/* Or a second penstockd that is killed would leave a third one without its unit, and the word that it may have run. One that
 * was being ended has its end on record already. */
void manager_record_not_handed(Manager *m, Adoption *a) {
        a->snapshot.handed = false;
        if (!a->snapshot.ending)
                written(m, a->entry, a->id, AGAIN_STATE, "that it starts anew can't be written",
                        write_snapshot(m, a->id, &a->snapshot, &a->error));
}

/* One write a query, however much a step has changed of it. */
static void record_actions(Manager *m, ActionRecord when, const ActionList *unperformed, uint64_t last) {
        for (size_t i = 0; i < m->actions.n; i++) {
                const Action *a = &m->actions.v[i];

                if (action_record(a->type) != when || a->query_id == last)
                        continue;
                last = a->query_id;
                record_state(m, last, unperformed);
                if (a->type != ACTION_SET_LIMITS && a->type != ACTION_FORGET) /* EVENT_LIMITS follows; it was, when it ended */
                        record_profile(engine_find(m->engine, last));
        }
}

void manager_record_decided(Manager *m, const Event *ev) {
        uint64_t recorded = event_is_recorded(ev->type) ? ev->query_id : 0;

        if (ev->type == EVENT_ADOPT && query_state_is_end((QueryState) ev->adopt.snapshot->state))
                return; /* it is as it was written; there can be a thousand of them at a start */
        if (recorded)
                record_state(m, recorded, &m->actions);
        record_actions(m, ACTION_RECORDED_FIRST, &m->actions, recorded);
        if (ev->type == EVENT_LIMITS || ev->type == EVENT_LOWERED) /* the kernel's answer completes a row */
                record_profile(engine_find(m->engine, ev->query_id));
}

void manager_record_performed(Manager *m) {
        record_actions(m, ACTION_RECORDED_WHEN_DONE, NULL, 0);
}

void manager_record_released(Manager *m, uint64_t id) {
        record_state(m, id, NULL);
}

void manager_keep_descriptors(Manager *m, Entry *e) {
        bool detached = e->record.request.detach;
        const int fds[_PARCEL_MAX] = {
                [PARCEL_RESULTS] = detached ? -1 : e->results_write_fd, /* a file is opened by its name */
                [PARCEL_QUERY] = e->query_fd,
                [PARCEL_STDIN] = e->stdio.stdin_fd,
                [PARCEL_STDERR] = e->stdio.stderr_fd,
        };
        char name[FDSTORE_NAME_MAX];
        int r = 0;

        if (query_state_is_end(engine_find(m->engine, e->record.id)->state))
                return;
        if (e->hold_fd >= 0)
                r = fdstore_push(m->notify, entry_stored_name(e->record.id, "hold", name), e->hold_fd);
        if (r == 0 && e->parcel_fd < 0 && (!e->handed || manager_may_retry(m, e))) /* else its worker has them */
                r = e->parcel_fd = parcel_new(fds, _PARCEL_MAX);
        if (r >= 0 && e->parcel_fd >= 0)
                r = fdstore_push(m->notify, entry_stored_name(e->record.id, "parcel", name), e->parcel_fd);
        written(m, e, e->record.id, AGAIN_DESCRIPTORS, "its descriptors can't be kept", r == -ENODATA ? 0 : r);
}

/* Emptied by us, so that whoever reads the results sees their end however slow PID 1 is. */
void entry_drop_parcel(Entry *e) {
        char name[FDSTORE_NAME_MAX];
        int fds[_PARCEL_MAX];

        if (e->parcel_fd < 0)
                return;
        if (!e->manager->leaves) {
                (void) parcel_open(e->parcel_fd, fds, _PARCEL_MAX);
                for (unsigned i = 0; i < _PARCEL_MAX; i++)
                        entry_close_fd(&fds[i]);
                (void) fdstore_remove(e->manager->notify, entry_stored_name(e->record.id, "parcel", name));
        }
        entry_close_fd(&e->parcel_fd);
}

void entry_drop_hold(Entry *e) {
        char name[FDSTORE_NAME_MAX];

        e->hold_source = sd_event_source_disable_unref(e->hold_source);
        if (e->hold_fd >= 0 && !e->manager->leaves)
                (void) fdstore_remove(e->manager->notify, entry_stored_name(e->record.id, "hold", name));
        entry_close_fd(&e->hold_fd);
}
