/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What callers ask of one query: on its object, or of the Controller by its ID. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bus/server.h"

typedef enum Ended {
        ENDED_ALSO_DONE, /* what is kept of ended queries answers too */
        ENDED_NOT_DONE,
} Ended;

static void no_such_query(sd_bus_message *m, uint64_t id) {
        Error error = {};

        (void) error_set(&error, ERROR_NO_SUCH_QUERY,
                         "there is no query %llu: never issued, Done, or no longer kept among the ended ones",
                         (unsigned long long) id);
        (void) reply_error(m, &error);
}

static void query_is_released(sd_bus_message *m, uint64_t id) {
        Error error = {};

        (void) error_set(&error, ERROR_NO_SUCH_QUERY,
                         "query %llu was Done, or ended longer ago than ResultsKeepSec, or its user has more ended ones than are kept "
                         "(MaxQueriesPerUser): its results are gone",
                         (unsigned long long) id);
        (void) reply_error(m, &error);
}

/* The query that @m is about; NULL: it was answered with NoSuchQuery. @m may be read again afterwards. */
static const Query *query_of_message(const BusServer *s, sd_bus_message *m, Ended ended) {
        const Engine *e = manager_engine(s->manager);
        const char *path = sd_bus_message_get_path(m);
        const Query *q = NULL;
        uint64_t id = 0;

        if (strcmp(path, CONTROLLER_PATH) == 0) {
                if (sd_bus_message_rewind(m, true) >= 0 && sd_bus_message_read(m, "t", &id) >= 0)
                        q = engine_find(e, id);
        } else if (u64_parse(path + strlen(QUERY_PREFIX "/_"), &id) == 0)
                q = engine_find(e, id); /* it had an object when the call came */
        if (!q)
                no_such_query(m, id);
        else if (ended == ENDED_NOT_DONE && engine_is_tombstone(e, q->id)) {
                query_is_released(m, id);
                q = NULL;
        }
        return q;
}

/* The same for the owner and root alone; else it was answered with PermissionDenied. */
static const Query *query_of_call(const BusServer *s, Call *c, const Caller *caller, const char *method,
                                  Ended ended) {
        const Query *q = query_of_message(s, call_message(c), ended);
        Error error = {};

        if (q && access_check_query(caller, q, method, &error) < 0) {
                (void) reply_error(call_message(c), &error);
                return NULL;
        }
        return q;
}

/* First without asking who it is: most mistakes end here. */
static int method_of_query(sd_bus_message *m, BusServer *s, Ended ended, CallHandler handler) {
        if (!query_of_message(s, m, ended))
                return 1;
        return calls_add(s->calls, m, 0, handler);
}

/* What polkit may let others than the owner and root do. The query may be gone by the time of @resume. */
static CallProgress manage_then(BusServer *s, Call *c, const Caller *caller, const char *method, CallHandler resume) {
        const Query *q = query_of_message(s, call_message(c), ENDED_ALSO_DONE);
        char query[32], owner[32];
        Demand demand = { .action = POLKIT_MANAGE_QUERIES, .query = query, .owner = owner };

        if (!q)
                return CALL_ANSWERED;
        if (access_check_query(caller, q, method, &demand.refusal) == 0)
                return resume(s, c, caller);
        snprintf(query, sizeof(query), "%llu", (unsigned long long) q->id);
        snprintf(owner, sizeof(owner), "%u", q->spec.uid);
        return permission_then(s, c, caller, &demand, resume);
}

static CallProgress do_cancel(BusServer *s, Call *c, const Caller *caller) {
        const Query *q = query_of_message(s, call_message(c), ENDED_ALSO_DONE);

        (void) caller;
        if (q) {
                manager_feed(s->manager, &(Event) { .type = EVENT_CANCEL, .query_id = q->id });
                (void) reply_empty(call_message(c));
        }
        return CALL_ANSWERED;
}

static CallProgress run_cancel(BusServer *s, Call *c, const Caller *caller) {
        return manage_then(s, c, caller, "Cancel", do_cancel);
}

int method_cancel(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        (void) ret_error;
        return method_of_query(m, userdata, ENDED_ALSO_DONE, run_cancel);
}

int send_statistics(BusServer *s, sd_bus_message *reply, const Query *q, StderrTail tail) {
        QueryView v;
        int r;

        query_view_init(&v, s->manager, q);
        r = sd_bus_message_open_container(reply, 'a', "{sv}");
        if (r >= 0)
                r = query_statistics_append(reply, &v, tail);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

static StderrTail tail_for(const Caller *caller, const Query *q) {
        return access_check_query(caller, q, "", NULL) == 0 ? STDERR_TAIL_SHOWN : STDERR_TAIL_HIDDEN;
}

static void reply_statistics(BusServer *s, sd_bus_message *m, const Query *q, StderrTail tail) {
        sd_bus_message *reply = NULL;
        int r = sd_bus_message_new_method_return(m, &reply);

        if (r >= 0)
                r = send_statistics(s, reply, q, tail);
        if (r < 0)
                (void) reply_errno(m, r, "report the statistics");
        sd_bus_message_unref(reply);
}

static CallProgress do_done(BusServer *s, Call *c, const Caller *caller) {
        const Query *q = query_of_message(s, call_message(c), ENDED_ALSO_DONE);

        if (!q)
                return CALL_ANSWERED;
        if (engine_is_tombstone(manager_engine(s->manager), q->id)) {
                /* There is nothing to do, and it may be asked again and again. */
                if (backlog_take(s, call_message(c)) == 0)
                        reply_statistics(s, call_message(c), q, tail_for(caller, q));
        } else if (waiting_add_done(s, call_message(c), q->id, tail_for(caller, q)) > 0)
                /* perhaps answered at once, from within */
                manager_feed(s->manager, &(Event) { .type = EVENT_DONE, .query_id = q->id });
        return CALL_ANSWERED;
}

static CallProgress run_done(BusServer *s, Call *c, const Caller *caller) {
        return manage_then(s, c, caller, "Done", do_done);
}

int method_done(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        (void) ret_error;
        return method_of_query(m, userdata, ENDED_ALSO_DONE, run_done);
}

/* Opened again, so that each reader starts at the front and has an offset of its own. */
static int results_open(const QueryRecord *record) {
        char path[64];
        int fd;

        snprintf(path, sizeof(path), "/proc/self/fd/%d", record->results_file_fd);
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        return fd < 0 ? -errno : fd;
}

static int results_check(const Query *q, const QueryRecord *record, Error *e) {
        if (!q->spec.detached)
                return error_set(e, ERROR_INVALID_ARGUMENT,
                                 "query %llu is attached: its results went to its submitter alone; detach a query to "
                                 "keep them",
                                 (unsigned long long) q->id);
        if (!record || record->results_file_fd < 0)
                return error_set(
                                e, ERROR_INVALID_ARGUMENT,
                                "the results of query %llu are no longer kept; ResultsKeepSec sets how long they are",
                                (unsigned long long) q->id);
        return 0;
}

static CallProgress run_results(BusServer *s, Call *c, const Caller *caller) {
        const Query *q = query_of_call(s, c, caller, "Results", ENDED_NOT_DONE);
        const QueryRecord *record;
        Error error = {};
        int fd;

        if (!q)
                return CALL_ANSWERED;
        record = manager_record(s->manager, q->id);
        fd = results_check(q, record, &error);
        if (fd == 0)
                fd = results_open(record);
        if (fd < 0) {
                (void) reply_failure(call_message(c), fd, &error, "open the results");
                return CALL_ANSWERED;
        }
        (void) reply_fd(call_message(c), fd);
        close(fd);
        return CALL_ANSWERED;
}

int method_results(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        (void) ret_error;
        return method_of_query(m, userdata, ENDED_NOT_DONE, run_results);
}

static CallProgress run_statistics(BusServer *s, Call *c, const Caller *caller) {
        const Query *q = query_of_call(s, c, caller, "Statistics", ENDED_ALSO_DONE);

        if (q)
                reply_statistics(s, call_message(c), q, STDERR_TAIL_SHOWN);
        return CALL_ANSWERED;
}

int method_statistics(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        (void) ret_error;
        return method_of_query(m, userdata, ENDED_ALSO_DONE, run_statistics);
}

static CallProgress run_profiler_results(BusServer *s, Call *c, const Caller *caller) {
        const Query *q = query_of_call(s, c, caller, "ProfilerResults", ENDED_ALSO_DONE);
        QueryView v;
        int fd;

        if (!q)
                return CALL_ANSWERED;
        query_view_init(&v, s->manager, q);
        fd = query_profile_open(&v);
        if (fd < 0) {
                (void) reply_errno(call_message(c), fd, "write the timeline");
                return CALL_ANSWERED;
        }
        (void) reply_fd(call_message(c), fd);
        close(fd);
        return CALL_ANSWERED;
}

int method_profiler_results(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        (void) ret_error;
        return method_of_query(m, userdata, ENDED_ALSO_DONE, run_profiler_results);
}

static int reply_description(BusServer *s, sd_bus_message *m, const Query *q, StderrTail tail) {
        sd_bus_message *reply = NULL;
        QueryView v;
        int r;

        query_view_init(&v, s->manager, q);
        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "{sv}");
        if (r >= 0)
                r = query_properties_append(reply, &v);
        if (r >= 0)
                r = query_statistics_append(reply, &v, tail);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        sd_bus_message_unref(reply);
        return r < 0 ? reply_errno(m, r, "describe the query") : r;
}

static CallProgress run_describe(BusServer *s, Call *c, const Caller *caller) {
        const Query *q = query_of_message(s, call_message(c), ENDED_ALSO_DONE);

        if (q)
                (void) reply_description(s, call_message(c), q, tail_for(caller, q));
        return CALL_ANSWERED;
}

/* Who asks matters only when there is something to hide. */
int method_describe(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        BusServer *s = userdata;
        const Query *q = query_of_message(s, m, ENDED_ALSO_DONE);
        const QueryRecord *record;

        (void) ret_error;
        if (!q)
                return 1;
        record = manager_record(s->manager, q->id);
        if (record && record->stderr_tail)
                return calls_add(s->calls, m, 0, run_describe);
        return reply_description(s, m, q, STDERR_TAIL_HIDDEN);
}
