/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The queries of an earlier penstockd. First all is gathered: what was written, which descriptors PID 1 kept, which units
 * there are, and what their workers say; units that never ran anything are stopped. When nothing is missing any more, the
 * engine is told of all, in the order that it wants, and the door is opened. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/trace.h"
#include "daemon/dependencies.h"
#include "host/journal.h"
#include "host/records.h"
#include "host/state_files.h"

/* How long a worker is waited for, which comes back 100 ms to 5 s after it lost its connection, and a unit that is to be stopped,
 * which a process in an uninterruptible sleep keeps for ever. */
#define GATHER_USEC (20 * USEC_PER_SEC)

struct Adoption {
        uint64_t id;
        Entry *entry; /* may be gone once the engine has been told */
        QuerySnapshot snapshot;
        Error error;     /* of the snapshot */
        Error failure;   /* why it can't start, if it was not handed over after all */
        uint8_t *profile; /* NULL: none */
        size_t profile_len;
        bool waits_for_worker;
        bool unit_went; /* while all was gathered */
};

static Adoption *adoption_of(Manager *m, uint64_t id) {
        for (size_t i = 0; i < m->n_adoptions; i++)
                if (m->adoptions[i].id == id)
                        return &m->adoptions[i];
        return NULL;
}

static bool is_live(const Adoption *a) {
        return !query_state_is_end((QueryState) a->snapshot.state);
}

/* Was handed over, as far as was written: then only its worker knows how it is. */
static bool may_run(const Adoption *a) {
        return is_live(a) && a->snapshot.handed;
}

/* ---- what was written ---- */

static int read_state(uint64_t id, QuerySnapshot *ret, Error *ret_error) {
        char line[TRACE_LINE_MAX];
        TraceRecord record;
        Config ignored = {};
        int r = record_read_state(id, line, sizeof(line));

        if (r < 0)
                return r;
        if (trace_parse_line(line, &ignored, &record) < 0 || record.line != TRACE_LINE_EVENT ||
            record.event.type != EVENT_ADOPT || record.event.query_id != id || !query_snapshot_is_valid(&record.snapshot))
                return -EBADMSG;
        *ret = record.snapshot;
        *ret_error = record.error;
        ret->limit_bytes = ret->current_bytes = ret->held_since_usec = 0; /* what is found is never what was written */
        ret->unit_exists = ret->is_frozen = ret->is_lost = false;
        return 0;
}

/* Its text is in a memfd, where only commands that have it as an argument look for it again. */
static int read_text(Request *r, int fd) {
        size_t len = r->query_len;
        struct stat st;

        if (fstat(fd, &st) < 0)
                return -errno;
        if ((uint64_t) st.st_size != len || len > REQUEST_QUERY_BYTES_MAX)
                return -EBADMSG;
        r->query = malloc(len + 1);
        if (!r->query)
                return -ENOMEM;
        for (size_t done = 0; done < len;) {
                ssize_t n = pread(fd, r->query + done, len - done, (off_t) done);

                if (n <= 0)
                        return n < 0 ? -errno : -EBADMSG;
                done += (size_t) n;
        }
        r->query[len] = 0;
        return 0;
}

/* Of one that nothing was handed over of: it starts as it was submitted, by the language of that time. */
static int restore_start(Entry *e, const Language *l, Error *ret_error) {
        Request *r = &e->record.request;
        int fds[_PARCEL_MAX] = { -1, -1, -1, -1 }, k = 0;

        if (!l)
                return error_set(ret_error, ERROR_INTERNAL, "its record does not say how language %s starts it", r->language);
        if (e->parcel_fd >= 0)
                k = parcel_look(e->parcel_fd, fds, _PARCEL_MAX);
        e->query_fd = fds[PARCEL_QUERY];
        e->stdio = (SubmitFds) { fds[PARCEL_STDIN], fds[PARCEL_STDERR] };
        if (r->detach && k == 0)
                k = e->results_write_fd = results_open(e->record.id, true);
        else
                e->results_write_fd = fds[PARCEL_RESULTS];
        if (k >= 0 && (e->results_write_fd < 0 || (r->query_len > 0 && e->query_fd < 0) || (r->has_stdin && e->stdio.stdin_fd < 0) ||
                       (r->has_stderr && e->stdio.stderr_fd < 0)))
                k = -ENODATA;
        if (k >= 0 && e->query_fd >= 0)
                k = read_text(r, e->query_fd);
        if (k >= 0)
                k = entry_take_language(e, l, ret_error);
        free(r->query);
        r->query = NULL;
        if (k < 0 && ret_error->code == ERROR_NONE)
                error_set(ret_error, ERROR_INTERNAL, "penstockd was restarted, and what it needs for its start is not there any more: %s",
                          strerror(-k));
        return k;
}

static void restore_descriptors(Adoption *a, const Language *l, StoredFds *stored) {
        Entry *e = a->entry;
        char name[FDSTORE_NAME_MAX];

        e->parcel_fd = stored_fds_take(stored, entry_stored_name(a->id, "parcel", name));
        e->hold_fd = stored_fds_take(stored, entry_stored_name(a->id, "hold", name));
        if (e->record.request.detach)
                e->record.results_file_fd = results_open(e->record.id, false);
        if (is_live(a))
                (void) restore_start(e, l, &a->failure); /* what is handed over after all needs nothing of it */
        else
                entry_drop_parcel(e);
}

/* When it ended is written after that it did. */
static uint64_t realtime_of(const Manager *m, uint64_t usec) {
        return subtract_saturating(manager_time_of_day(), subtract_saturating(manager_now(m), usec));
}

static int load(Manager *m, uint64_t id, StoredFds *stored, Adoption *a) {
        RequestRecord record;
        size_t bytes = 0;
        SubmitFds none = { -1, -1 };
        int r = read_state(id, &a->snapshot, &a->error);

        if (r == 0)
                r = record_read_request(id, &record, &bytes);
        if (r < 0)
                return r;
        r = entry_new(m, &record.request, &none, &a->entry);
        if (r == 0) { /* they are told its end, also of one that runs or has ended */
                r = entry_restore_dependencies(a->entry, &record.dependencies);
                if (r < 0)
                        a->entry = entry_free(a->entry);
                else if (a->snapshot.dependencies == DEPENDENCIES_RELEASED) /* their names are all that is asked for */
                        dependency_list_done(&a->entry->dependencies);
        }
        if (r == 0) {
                a->id = a->entry->record.id = id;
                entry_count_record(a->entry, is_live(a) && record.language ? bytes : 0);
                a->entry->record.created_realtime_usec = record.created_realtime_usec;
                if (!is_live(a))
                        a->entry->record.ended_realtime_usec = record.ended_realtime_usec ? record.ended_realtime_usec
                                                                                          : realtime_of(m, a->snapshot.ended_usec);
                a->entry->record.stderr_tail = record.stderr_tail;
                record.stderr_tail = NULL;
                a->entry->max_bytes = a->snapshot.max_bytes;
                a->entry->has_compile = a->snapshot.spec.has_compile;
                restore_descriptors(a, record.language, stored);
                (void) record_read_profile(id, &a->profile, &a->profile_len); /* then it begins anew */
        }
        request_record_done(&record);
        return r;
}

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
                int k = load(m, ids[i], stored, a);

                if (k == -ENOMEM || k == -EMFILE || k == -ENFILE)
                        r = k; /* that passes: there will be another try */
                else if (k < 0) {
                        journal_write(LOG_ERR, JOURNAL_PLAIN, ids[i],
                                      "Query %llu is of an earlier penstockd, and its record is not understood (%s): it is ended",
                                      (unsigned long long) ids[i], strerror(-k));
                        record_remove(ids[i]);
                        *a = (Adoption) {};
                } else {
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

/* From here on host/systemd sees to it. If it can't even be asked, nobody would, and who serves beside it counts wrong: another
 * start will find it. */
static void stop_stale(Manager *m, uint64_t id) {
        Error error = {};
        int r = systemd_unit_stop(m->systemd, id);

        if (r >= 0) {
                m->n_stale++;
                return;
        }
        error_set(&error, ERROR_INTERNAL, "the unit of query %llu, of an earlier penstockd, can't be stopped: %s", (unsigned long long) id,
                  strerror(-r));
        manager_fail_start(m, r, &error);
}

void manager_gather_unit(Manager *m, uint64_t id) {
        Adoption *a = adoption_of(m, id);

        if (!a || !may_run(a)) {
                stop_stale(m, id); /* nothing runs in it, or nothing that anybody knows */
                return;
        }
        if (entry_set_control_group(a->entry) < 0 || systemd_unit_adopt(m->systemd, id) < 0 ||
            query_groups_adopt(a->entry->record.control_group, &a->entry->groups) < 0) {
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
        if (phase < WORKER_PHASE_EXECUTING) { /* what was sent to it never arrived, and so never ran */
                a->snapshot.handed = a->snapshot.unit_exists = a->entry->unit_requested = false;
                a->entry->groups = query_groups_free(a->entry->groups);
                stop_stale(m, id);
        }
        manager_maybe_ready(m);
}

void manager_gather_unit_gone(Manager *m, uint64_t id) {
        Adoption *a = adoption_of(m, id);

        if (!a || !a->snapshot.unit_exists) {
                manager_stale_gone(m);
                return;
        }
        a->unit_went = true;
        heard(m, a);
        manager_maybe_ready(m);
}

static int on_gather_timeout(sd_event_source *s, uint64_t usec, void *userdata) {
        Manager *m = userdata;

        (void) s, (void) usec;
        for (size_t i = 0; i < m->n_adoptions; i++) /* it was handed over, and its worker, or its unit, will be heard of */
                heard(m, &m->adoptions[i]);
        if (m->n_stale > 0)
                journal_write(LOG_WARNING, JOURNAL_PLAIN, 0, "%zu units of an earlier penstockd can't be stopped: not waited for",
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

/* It does not go on, nor start. Of one that was being ended that is known already. */
static void end_as(Adoption *a, QueryState state, Verdict verdict, const Error *why) {
        if (!a->snapshot.ending) {
                a->snapshot.ending_state = state;
                a->snapshot.ending_verdict = verdict;
                a->error = *why;
        }
        a->snapshot.ending = may_run(a);
        a->snapshot.is_lost = !may_run(a);
}

/* What its limit is, as long as nobody can say: the most that it can be. */
static int take_over_unit(Manager *m, Adoption *a) {
        Entry *e = a->entry;
        Sample now;
        int r = query_groups_sample(e->groups, &now);

        e->handed = e->started_told = true;
        a->snapshot.limit_bytes = r < 0 ? a->snapshot.max_bytes : now.max_bytes;
        if (r < 0)
                return r;
        a->snapshot.current_bytes = now.current_bytes;
        a->snapshot.is_frozen = now.frozen;
        a->snapshot.held_since_usec = state_held_since();
        e->cap_bytes = SIZE_INFINITY;
        e->unit_max_bytes = entry_unit_max_bytes(e);
        e->woken_usec = manager_now(m);
        manager_watch_unit(m, e);
        query_groups_begin(e->groups);
        return events_watch_new(m->event, e->groups, e->record.id, manager_on_pressure, m, &m->said_no_psi, &e->watch);
}

static void take_over_running(Manager *m, Adoption *a) {
        int r = a->snapshot.unit_exists ? take_over_unit(m, a) : -ENODEV;
        Error error = {};

        if (r == -ENODEV || r == -ENOENT)
                a->snapshot.limit_bytes = 0; /* its groups are gone, and it will be soon */
        else if (r < 0) { /* nobody would see what it needs, and its limit may not be known */
                error_set(&error, ERROR_INTERNAL, "penstockd was restarted, and could not take it over: %s", strerror(-r));
                end_as(a, QUERY_ERRORED, VERDICT_START, &error);
        }
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

        if (may_run(a)) {
                keep_for_retry(a);
                take_over_running(m, a);
        } else if (is_live(a) && a->failure.code)
                end_as(a, QUERY_ERRORED, VERDICT_START, &a->failure);
        if (is_live(a) && state_is(STATE_STOPPED)) {
                error_set(&stopped, ERROR_SHUTTING_DOWN, "penstockd was stopped");
                end_as(a, QUERY_CANCELED, VERDICT_SHUTDOWN, &stopped);
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
        if (e->hold_fd >= 0 && entry_watch_hold(e) < 0) /* its end may have come already; now there is somebody to hear of it */
                entry_drop_hold(e);
        if (!is_live(a)) {
                manager_history_add(m, e); /* the one that saw its end may have had no time to write it */
                return;
        }
        metrics_admitted(m->metrics, q, &e->record.request.labels);
        journal_write(LOG_NOTICE, JOURNAL_PLAIN, id, "Query %llu is of an earlier penstockd: %s", id,
                      may_run(a) && !a->snapshot.unit_exists ? "its unit is gone"
                      : may_run(a)                           ? "it goes on"
                      : a->snapshot.is_lost                  ? "it can't be started any more"
                                                             : "it waits on, or starts anew");
        if (may_run(a) && !a->snapshot.unit_exists)
                manager_feed(m, &(Event) { .type = EVENT_UNIT_GONE, .query_id = id });
        else if (a->unit_went)
                manager_unit_forgotten(m, e);
        else if (e->hold_fd < 0 && !e->record.request.detach && !may_run(a)) /* its caller never had an answer */
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
