/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* For tests of daemon/ as a whole, but for its loop: a manager with one query, and in place of host's a directory of records,
 * a worker and a PID 1 that are the test's. One test includes it; the linker wraps what stands here as __wrap_*. */
#pragma once

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/trace.h"
#include "daemon/adoption.h"
#include "daemon/dependencies.h"
#include "daemon/spares.h"
#include "host/journal.h"
#include "host/records.h"
#include "host/state_files.h"

#define ID 7
#define ALICE 1000

/* ---- in place of host's, for the linker ---- */

/* The files of the one query that a test has. */
static struct {
        bool no_room_for_state, no_room_for_request; /* a page more or less */
        bool has_state, has_request, is_damaged;
        char state[TRACE_LINE_MAX];
        const char *released_by; /* ReleaseCommand= of the dependency that its request has; NULL: it has none */
} files;
static unsigned n_acks, n_stops;
static bool flags[STATE_STOPPED + 1], was_shut_down;
static bool no_memory; /* for what PID 1 is to be told */
static char kept[2][FDSTORE_NAME_MAX];
static size_t n_kept;

static inline void set_full(bool full) {
        files.no_room_for_state = files.no_room_for_request = full;
}

int __wrap_record_write_state(uint64_t id, const char *line);
int __wrap_record_write_state(uint64_t id, const char *line) {
        (void) id;
        if (files.no_room_for_state)
                return -ENOSPC;
        snprintf(files.state, sizeof(files.state), "%s", line);
        files.has_state = true;
        return 0;
}

int __wrap_record_write_request(uint64_t id, const RequestRecord *r, size_t max_bytes, size_t *ret_bytes);
int __wrap_record_write_request(uint64_t id, const RequestRecord *r, size_t max_bytes, size_t *ret_bytes) {
        (void) id, (void) r, (void) max_bytes;
        if (files.no_room_for_request)
                return -ENOSPC;
        *ret_bytes = 100;
        files.has_request = true;
        return 0;
}

int __wrap_record_write_profile(uint64_t id, const uint8_t *profile, size_t len);
int __wrap_record_write_profile(uint64_t id, const uint8_t *profile, size_t len) {
        (void) id, (void) profile, (void) len;
        return files.no_room_for_request ? -ENOSPC : 0;
}

void __wrap_record_remove(uint64_t id);
void __wrap_record_remove(uint64_t id) {
        (void) id;
        files.has_state = files.has_request = false;
}

int __wrap_record_read_state(uint64_t id, char *buf, size_t len);
int __wrap_record_read_state(uint64_t id, char *buf, size_t len) {
        (void) id;
        snprintf(buf, len, "%s", files.state);
        return files.is_damaged ? -EBADMSG : 0;
}

int __wrap_record_read_request(uint64_t id, RequestRecord *ret, size_t *ret_bytes);
int __wrap_record_read_request(uint64_t id, RequestRecord *ret, size_t *ret_bytes) {
        (void) id;
        *ret = (RequestRecord) { .request = REQUEST_INIT };
        *ret_bytes = 100;
        ret->request.uid = ALICE;
        ret->request.language = strdup("exec");
        assert_non_null(ret->request.language);
        if (!files.released_by)
                return 0;
        ret->dependencies.v = calloc(1, sizeof(*ret->dependencies.v));
        assert_non_null(ret->dependencies.v);
        ret->dependencies.n = 1;
        ret->dependencies.v[0].name = strdup("database");
        assert_int_equal(strlist_add(&ret->dependencies.v[0].release_command, files.released_by), 0);
        return 0;
}

int __wrap_record_read_profile(uint64_t id, uint8_t **ret, size_t *ret_len);
int __wrap_record_read_profile(uint64_t id, uint8_t **ret, size_t *ret_len) {
        (void) id, (void) ret, (void) ret_len;
        return -ENOENT;
}

int __wrap_state_reserve_id(uint64_t id);
int __wrap_state_reserve_id(uint64_t id) {
        (void) id;
        return 0;
}

int __wrap_state_set(StateFlag flag, bool is);
int __wrap_state_set(StateFlag flag, bool is) {
        if (is && files.no_room_for_state)
                return -ENOSPC;
        flags[flag] = is;
        was_shut_down = was_shut_down || flags[STATE_SHUT_DOWN];
        return 0;
}

int __wrap_systemd_unit_start(SystemdLink *l, const UnitSpec *spec, Error *ret_error);
int __wrap_systemd_unit_start(SystemdLink *l, const UnitSpec *spec, Error *ret_error) {
        (void) l, (void) spec, (void) ret_error;
        return 0;
}

int __wrap_systemd_unit_stop(SystemdLink *l, uint64_t query_id);
int __wrap_systemd_unit_stop(SystemdLink *l, uint64_t query_id) {
        (void) l, (void) query_id;
        n_stops++;
        return 0;
}

int __wrap_worker_conn_send_ack(WorkerConn *c);
int __wrap_worker_conn_send_ack(WorkerConn *c) {
        (void) c;
        n_acks++;
        return 0;
}

void __wrap_worker_conn_close(WorkerConn *c);
void __wrap_worker_conn_close(WorkerConn *c) {
        (void) c;
}

void *__wrap_worker_conn_userdata(WorkerConn *c);
void *__wrap_worker_conn_userdata(WorkerConn *c) {
        return c;
}

int __wrap_fdstore_push(Notify *n, const char *name, int fd);
int __wrap_fdstore_push(Notify *n, const char *name, int fd) {
        (void) n, (void) fd;
        if (no_memory)
                return -ENOMEM;
        snprintf(kept[n_kept++ % 2], sizeof(kept[0]), "%s", name);
        return 0;
}

int __wrap_fdstore_remove(Notify *n, const char *name);
int __wrap_fdstore_remove(Notify *n, const char *name) {
        (void) n, (void) name;
        return 0;
}

void __wrap_journal_write(int priority, JournalMessage m, uint64_t query_id, const char *format, ...);
void __wrap_journal_write(int priority, JournalMessage m, uint64_t query_id, const char *format, ...) {
        (void) priority, (void) m, (void) query_id, (void) format;
}

void __wrap_journal_write_entry(const JournalEntry *e, const char *format, ...);
void __wrap_journal_write_entry(const JournalEntry *e, const char *format, ...) {
        (void) e, (void) format;
}

/* ---- the manager ---- */

static inline int on_signal(ManagerSignal what, uint64_t query_id, void *userdata) {
        (void) what, (void) query_id, (void) userdata;
        return 0;
}

static inline void on_shutdown_done(const Error *error, void *userdata) {
        (void) error, (void) userdata;
}

static const ManagerOps ops = { .signal = on_signal, .shutdown_done = on_shutdown_done };

static inline void add_language(Manager *m) {
        Error error = {};

        m->languages->v = calloc(1, sizeof(*m->languages->v));
        assert_non_null(m->languages->v);
        assert_int_equal(language_new("exec", &m->languages->v[0]), 0);
        m->languages->n = 1;
        assert_int_equal(language_set(m->languages->v[0], "Language", "QueryFrom", "none", "exec.conf", 1, &error), 0);
        assert_int_equal(language_set(m->languages->v[0], "Language", "Arguments", "yes", "exec.conf", 2, &error), 0);
        assert_int_equal(language_finish(m->languages->v[0], &error), 0);
}

static inline int open_manager(void **state) {
        Manager *m = calloc(1, sizeof(*m));

        memset(&files, 0, sizeof(files));
        memset(flags, 0, sizeof(flags));
        was_shut_down = no_memory = false;
        n_kept = 0;
        n_acks = n_stops = 0;
        assert_non_null(m);
        m->config = calloc(1, sizeof(*m->config));
        m->languages = calloc(1, sizeof(*m->languages));
        assert_true(m->config && m->languages);
        config_init(m->config, 8 * GIB);
        add_language(m);
        assert_true(sd_event_new(&m->event) >= 0);
        assert_true(sd_event_add_time(m->event, &m->timer, CLOCK_MONOTONIC, USEC_INFINITY, 1, manager_on_timer, m) >= 0);
        assert_int_equal(metrics_new(&m->config->metric_label_keys, &m->metrics), 0);
        m->ops = &ops;
        m->pace = PACE_INIT;
        m->mounts = (Mounts) MOUNTS_INIT;
        m->spares_due_usec = m->again_usec = m->slice_due_usec = USEC_INFINITY;
        m->adopted = true;
        *state = m;
        return engine_new(m->config, 1, &m->engine);
}

static inline int close_manager(void **state) {
        Manager *m = *state;

        m->leaves = true;
        spares_end(m);
        for (size_t i = 0; i < m->n_entries; i++)
                entry_free(m->entries[i]);
        free(m->entries);
        free(m->pending);
        actions_done(&m->actions);
        manager_drop_releases(m);
        engine_free(m->engine);
        metrics_free(m->metrics);
        sd_event_source_unref(m->timer);
        sd_event_unref(m->event);
        language_set_done(m->languages);
        config_done(m->config);
        free(m->languages);
        free(m->config);
        free(m);
        return 0;
}

static inline QuerySnapshot snapshot_of_one_that_runs(const Manager *m) {
        QuerySnapshot s = { .spec = { .uid = ALICE, .language = "exec" },
                            .state = QUERY_EXECUTING,
                            .visited = 1u << QUERY_EXECUTING,
                            .handed = true,
                            .initial_bytes = 64 * MIB,
                            .max_bytes = GIB,
                            .lease_bytes = 64 * MIB,
                            .exit_status = -1 };

        s.created_usec = s.state_since_usec = manager_now(m) - USEC_PER_SEC;
        return s;
}

static inline Entry *entry_of_one(Manager *m) {
        Request r = REQUEST_INIT;
        Entry *e;

        r.language = strdup("exec");
        r.uid = ALICE;
        assert_non_null(r.language);
        assert_int_equal(manager_make_room(m), 0);
        assert_int_equal(entry_new(m, &r, &(SubmitFds) { -1, -1 }, &e), 0);
        e->record.id = ID;
        m->entries[m->n_entries++] = e;
        return e;
}

/* It runs, and its worker is there. */
static inline Entry *running(Manager *m) {
        QuerySnapshot s = snapshot_of_one_that_runs(m);
        Entry *e = entry_of_one(m);
        Error none = {};

        s.unit_exists = true;
        s.limit_bytes = 64 * MIB;
        e->handed = e->started_told = e->unit_requested = true;
        e->conn = (WorkerConn *) e;
        manager_feed(m, &(Event) { .type = EVENT_ADOPT, .query_id = ID, .adopt = { .snapshot = &s, .error = &none } });
        manager_feed(m, &(Event) { .type = EVENT_TICK });
        return e;
}

static inline void worker_says_that_it_has_ended(Manager *m, Entry *e) {
        manager_on_exited(e->conn, &(WorkerExited) { .wait_status = 0 }, m);
}

static inline void what_is_due_later_is_done(Manager *m) {
        assert_int_not_equal(m->again_usec, USEC_INFINITY);
        m->again_usec = 0;
        manager_try_again(m);
}

static inline QuerySnapshot written(void) {
        TraceRecord record;
        Config ignored = {};

        assert_true(files.has_state);
        assert_int_equal(trace_parse_line(files.state, &ignored, &record), 0);
        assert_true(query_snapshot_is_valid(&record.snapshot));
        return record.snapshot;
}
