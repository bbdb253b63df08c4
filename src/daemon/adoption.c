/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/adoption.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/trace.h"
#include "daemon/dependencies.h"
#include "host/records.h"
#include "host/state_files.h"

void adoption_end_as(Adoption *a, QueryState state, Verdict verdict, const Error *why) {
        if (!a->snapshot.ending) {
                a->snapshot.ending_state = state;
                a->snapshot.ending_verdict = verdict;
                a->error = *why;
        }
        a->snapshot.ending = adoption_may_run(a);
        a->snapshot.is_lost = !adoption_may_run(a);
}

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
        ret->unit_exists = ret->is_frozen = ret->has_ended = ret->is_lost = false;
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

/* Of one that nothing was handed over of: it starts as it was submitted, by the language of that time. Returns 0, or what passes;
 * that it can't start is told by @ret_error. */
static int restore_start(Entry *e, const Language *l, Error *ret_error) {
        Request *r = &e->record.request;
        int fds[_PARCEL_MAX] = { -1, -1, -1, -1 }, k = 0;

        if (!l) {
                error_set(ret_error, ERROR_INTERNAL, "its record does not say how language %s starts it", r->language);
                return 0;
        }
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
        if (ret_error->code == ERROR_NONE && error_passes(k))
                return k;
        if (k < 0 && ret_error->code == ERROR_NONE)
                error_set(ret_error, ERROR_INTERNAL, "penstockd was restarted, and what it needs for its start is not there any more: %s",
                          strerror(-k));
        return 0;
}

/* Returns 0, or what passes. */
static int restore_descriptors(Adoption *a, const Language *l, StoredFds *stored) {
        Entry *e = a->entry;
        char name[FDSTORE_NAME_MAX];

        e->parcel_fd = stored_fds_take(stored, entry_stored_name(a->id, "parcel", name));
        e->hold_fd = stored_fds_take(stored, entry_stored_name(a->id, "hold", name));
        if (e->record.request.detach)
                e->record.results_file_fd = results_open(e->record.id, false);
        if (error_passes(e->record.results_file_fd))
                return e->record.results_file_fd;
        if (adoption_is_live(a))
                return restore_start(e, l, &a->failure); /* what is handed over after all needs nothing of it */
        entry_drop_parcel(e);
        return 0;
}

/* When it ended is written after that it did. */
static uint64_t realtime_of(const Manager *m, uint64_t usec) {
        return subtract_saturating(manager_time_of_day(), subtract_saturating(manager_now(m), usec));
}

/* In place of what can't be read: who may run, has all that the budget can give, and is nobody's where not even that is known. */
static int fill_in(const Manager *m, QuerySnapshot *s, bool has_state, Request *q, bool has_request) {
        if (!has_state) {
                *s = (QuerySnapshot) { .spec = { .uid = has_request ? q->uid : UINT32_MAX, .detached = !has_request || q->detach },
                                       .state = QUERY_EXECUTING,
                                       .visited = 1u << QUERY_EXECUTING,
                                       .handed = true,
                                       .max_bytes = m->config->max_memory_bytes,
                                       .exit_status = -1 };
                s->created_usec = s->state_since_usec = manager_now(m);
                s->initial_bytes = MIN(m->config->initial_bytes, s->max_bytes);
                snprintf(s->spec.language, sizeof(s->spec.language), "%s", has_request ? q->language : "unknown");
        }
        if (!has_request) {
                s->dependencies = DEPENDENCIES_NONE;
                q->uid = s->spec.uid;
                q->detach = s->spec.detached;
                q->language = strdup(s->spec.language);
        }
        return q->language ? 0 : -ENOMEM;
}

int adoption_load(Manager *m, uint64_t id, StoredFds *stored, Adoption *a) {
        RequestRecord record = { .request = REQUEST_INIT };
        size_t bytes = 0;
        SubmitFds none = { -1, -1 };
        int state = read_state(id, &a->snapshot, &a->error), k = record_read_request(id, &record, &bytes), r = 0;
        int unread = MIN(state, k);

        if (error_passes(state) || error_passes(k))
                r = error_passes(state) ? state : k;
        else if (unread < 0)
                r = fill_in(m, &a->snapshot, state == 0, &record.request, k == 0);
        if (r == 0)
                r = entry_new(m, &record.request, &none, &a->entry);
        if (r == 0) { /* they are told its end, also of one that runs or has ended */
                r = entry_restore_dependencies(a->entry, &record.dependencies);
                if (r < 0)
                        a->entry = entry_free(a->entry);
                else if (state < 0 && a->entry->dependencies.n > 0) /* told at least once */
                        a->snapshot.dependencies = DEPENDENCIES_HELD;
                else if (a->snapshot.dependencies == DEPENDENCIES_RELEASED) /* their names are all that is asked for */
                        dependency_list_done(&a->entry->dependencies);
        }
        if (r == 0) {
                a->id = a->entry->record.id = id;
                entry_count_record(a->entry, adoption_is_live(a) && record.language ? bytes + a->entry->record.request.query_len : 0);
                a->entry->record.created_realtime_usec = record.created_realtime_usec;
                if (!adoption_is_live(a))
                        a->entry->record.ended_realtime_usec = record.ended_realtime_usec ? record.ended_realtime_usec
                                                                                          : realtime_of(m, a->snapshot.ended_usec);
                a->entry->record.stderr_tail = record.stderr_tail;
                record.stderr_tail = NULL;
                a->entry->max_bytes = a->snapshot.max_bytes;
                a->entry->has_compile = a->snapshot.spec.has_compile;
                r = restore_descriptors(a, record.language, stored);
        }
        if (r == 0) {
                int p = record_read_profile(id, &a->profile, &a->profile_len); /* else it begins anew */

                r = error_passes(p) ? p : 0;
        }
        if (r < 0 && a->entry) {
                m->leaves = true; /* what PID 1 keeps is for the next try */
                a->entry = entry_free(a->entry);
        }
        if (r == 0 && unread < 0 && adoption_is_live(a)) {
                a->failure = (Error) {};
                error_set(&a->failure, ERROR_INTERNAL, "penstockd was restarted, and its record is of another version, or damaged (%s)",
                          strerror(-unread));
                adoption_end_as(a, QUERY_ERRORED, VERDICT_START, &a->failure);
        }
        request_record_done(&record);
        return r;
}
