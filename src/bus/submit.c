/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Query: from a message to an admitted query. Who sends it is found out first, and whether he may; then the request is
 * read, and the name of another user is looked up, if root gave one, or polkit is asked about a priority. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bus/decode.h"
#include "bus/server.h"

/* A request on its way. */
typedef struct Submission {
        BusServer *server;
        Call *call;
        Lookup *lookup;
        Request request;
        SubmitFds fds;
        Caller caller;
        bool may_have_priority; /* above 0 */
} Submission;

static void submission_free(void *p) {
        Submission *u = p;

        lookup_free(u->lookup);
        request_done(&u->request);
        submit_fds_done(&u->fds);
        caller_done(&u->caller);
        free(u);
}

/* Nothing became of it: tell the caller, and the journal. Messages have keys and numbers, never a value. */
static void refuse(BusServer *s, sd_bus_message *m, const Caller *caller, int r, Error *error) {
        if (error->code == ERROR_NONE)
                (void) error_set(error, ERROR_INTERNAL, "cannot take the query: %s", strerror(-r));
        manager_note_refusal(s->manager, caller ? &caller->uid : NULL, error);
        (void) reply_error(m, error);
}

/* Before it came to the manager, which counts those it refuses itself. Its labels may be a stranger's: not counted by. */
static void refuse_early(BusServer *s, sd_bus_message *m, const Caller *caller, int r, Error *error) {
        refuse(s, m, caller, r, error);
        manager_count_refusal(s->manager, NULL, error->code);
}

static int take_identity(Request *r, const Caller *who) {
        Caller copy;
        int k = caller_copy(who, &copy);

        if (k < 0)
                return k;
        free(r->gids);
        r->uid = copy.uid;
        r->gid = copy.gid;
        r->gids = copy.gids;
        r->n_gids = copy.n_gids;
        return 0;
}

/* The receiver has its own copies once the reply is made. A query that nobody heard of is released: a detached one
 * would run on unseen. */
static void reply_submitted(BusServer *s, sd_bus_message *m, Submitted *q) {
        char path[QUERY_PATH_MAX];
        int r = sd_bus_reply_method_return(m, "tohh", q->id, query_path(q->id, path), q->results_fd, q->hold_fd);

        close(q->results_fd);
        close(q->hold_fd);
        if (r < 0) {
                manager_feed(s->manager, &(Event) { .type = EVENT_DONE, .query_id = q->id });
                (void) reply_errno(m, r, "hand the query over");
        }
}

/* The request is complete; @u's request and descriptors are the manager's from here. */
static void submit(Submission *u, const Caller *runs_as) {
        BusServer *s = u->server;
        sd_bus_message *m = call_message(u->call);
        Submitted submitted = { .results_fd = -1, .hold_fd = -1 };
        Error error = {};
        int r = access_check_target(manager_config(s->manager), runs_as->uid, &error);

        if (r >= 0)
                r = take_identity(&u->request, runs_as);
        if (r < 0) {
                refuse_early(s, m, &u->caller, r, &error);
                return;
        }
        r = manager_submit(s->manager, &u->request, &u->fds, u->may_have_priority, &submitted, &error);
        if (r < 0)
                refuse(s, m, &u->caller, r, &error);
        else
                reply_submitted(s, m, &submitted);
}

static void on_user(int r, const Caller *found, void *userdata) {
        Submission *u = userdata;
        Error error = {};

        if (r >= 0)
                submit(u, found);
        else {
                if (r == -ESRCH)
                        (void) error_set(&error, ERROR_INVALID_ARGUMENT, "user: there is no user of that name");
                else if (r == -ETIMEDOUT)
                        (void) error_set(&error, ERROR_INTERNAL,
                                         "user: the host's user database did not answer within %llu s; see "
                                         "nsswitch.conf(5)",
                                         (unsigned long long) (LOOKUP_TIMEOUT_USEC / USEC_PER_SEC));
                refuse_early(u->server, call_message(u->call), &u->caller, r, &error);
        }
        call_finish(u->call);
}

/* Read and check; what is refused here never came near the engine. */
static int read_request(Submission *u, Error *error) {
        int r = request_decode(call_message(u->call), &u->request, &u->fds, error);

        if (r >= 0)
                r = request_validate(&u->request, error);
        if (r >= 0 && u->request.user)
                r = access_check_user(&u->caller, error);
        return r;
}

static void refuse_call(BusServer *s, Call *c, const Caller *caller, Error *error) {
        refuse_early(s, call_message(c), caller, 0, error);
}

static CallProgress run_with_priority(BusServer *s, Call *c, const Caller *caller) {
        Submission *u = call_work(c);

        (void) s;
        u->may_have_priority = true;
        submit(u, caller);
        return CALL_ANSWERED;
}

static CallProgress priority_then(BusServer *s, Call *c, const Caller *caller, int32_t priority) {
        char text[16];
        Demand demand = { .action = POLKIT_RAISE_PRIORITY, .priority = text, .refuse = refuse_call };

        (void) access_check_priority(caller, priority, &demand.refusal);
        snprintf(text, sizeof(text), "%d", priority);
        return permission_then(s, c, caller, &demand, run_with_priority);
}

static CallProgress run_member(BusServer *s, Call *c, const Caller *caller) {
        Submission *u = calloc(1, sizeof(*u));
        Error error = {};
        int r = -ENOMEM;

        if (u) {
                *u = (Submission) { .server = s, .call = c, .request = REQUEST_INIT, .fds = { -1, -1 },
                                    .may_have_priority = caller->uid == 0 };
                call_set_work(c, u, submission_free);
                r = caller_copy(caller, &u->caller);
        }
        if (r >= 0)
                r = read_request(u, &error);
        if (r >= 0 && u->request.user) {
                r = s->lookup_user(s->event, u->request.user, on_user, u, &u->lookup);
                if (r >= 0)
                        return CALL_GOES_ON;
        }
        if (r < 0)
                refuse_early(s, call_message(c), caller, r, &error);
        else if (u->request.priority > 0)
                return priority_then(s, c, caller, u->request.priority);
        else
                submit(u, caller);
        return CALL_ANSWERED;
}

/* A stranger's request is not read before polkit has let him in. */
static CallProgress run_query(BusServer *s, Call *c, const Caller *caller) {
        Demand demand = { .action = POLKIT_SUBMIT, .refuse = refuse_call };

        if (access_check_submit(&s->policy, caller, &demand.refusal) == 0)
                return run_member(s, c, caller);
        return permission_then(s, c, caller, &demand, run_member);
}

int method_query(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        BusServer *s = userdata;
        Error error = {};
        size_t bytes = 0;
        int r = message_measure(m, REQUEST_MESSAGE_BYTES_MAX, &bytes, &error);

        (void) ret_error;
        if (r >= 0 && bytes > REQUEST_MESSAGE_BYTES_MAX)
                r = error_set(&error, ERROR_INVALID_ARGUMENT,
                              "the request is longer than %llu bytes; pass a long query as a file",
                              (unsigned long long) REQUEST_MESSAGE_BYTES_MAX);
        if (r >= 0)
                return calls_add(s->calls, m, bytes, run_query);
        refuse_early(s, m, NULL, r, &error);
        return 1;
}
