/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/query.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const char *query_state_name(QueryState s) {
        static const char *const names[_QUERY_STATE_MAX] = {
                [QUERY_CREATED] = "created",     [QUERY_COMPILING] = "compiling", [QUERY_QUEUEING] = "queueing",
                [QUERY_EXECUTING] = "executing", [QUERY_ERRORED] = "errored",     [QUERY_FINISHED] = "finished",
                [QUERY_CANCELED] = "canceled",
        };

        return names[s];
}

const char *verdict_name(Verdict v) {
        static const char *const names[_VERDICT_MAX] = {
                [VERDICT_NONE] = "",           [VERDICT_EXIT] = "exit",         [VERDICT_SIGNAL] = "signal",
                [VERDICT_MAXIMUM] = "maximum", [VERDICT_QUOTA] = "quota",       [VERDICT_BUDGET] = "budget",
                [VERDICT_SLICE] = "slice",     [VERDICT_HOST] = "host",         [VERDICT_OOMD] = "oomd",
                [VERDICT_TASKS] = "tasks",     [VERDICT_TIMEOUT] = "timeout",
                [VERDICT_CANCEL] = "cancel",   [VERDICT_READER] = "reader",     [VERDICT_STOPPED] = "stopped",
                [VERDICT_RESULTS] = "results", [VERDICT_START] = "start",       [VERDICT_WORKER] = "worker",
                [VERDICT_SHUTDOWN] = "shutdown", [VERDICT_COMPILE] = "compile", [VERDICT_QUEUE] = "queue",
                [VERDICT_DEPENDENCY] = "dependency",
        };

        return names[v];
}

bool query_state_is_end(QueryState s) {
        return s >= QUERY_ERRORED;
}

bool query_state_may_move(QueryState from, QueryState to) {
        static const bool table[QUERY_ERRORED][_QUERY_STATE_MAX] = {
                /* a language without a compile step goes straight to the queue */
                [QUERY_CREATED] = { [QUERY_COMPILING] = true, [QUERY_QUEUEING] = true, [QUERY_ERRORED] = true,
                                    [QUERY_CANCELED] = true },
                [QUERY_COMPILING] = { [QUERY_QUEUEING] = true, [QUERY_ERRORED] = true, [QUERY_CANCELED] = true },
                [QUERY_QUEUEING] = { [QUERY_EXECUTING] = true, [QUERY_ERRORED] = true, [QUERY_CANCELED] = true },
                [QUERY_EXECUTING] = { [QUERY_QUEUEING] = true, [QUERY_FINISHED] = true, [QUERY_ERRORED] = true,
                                      [QUERY_CANCELED] = true },
        };

        return !query_state_is_end(from) && table[from][to];
}

void query_move(Query *q, QueryState to, uint64_t now_usec) {
        assert(query_state_may_move(q->state, to));
        q->booked_usec[q->state] += now_usec - q->state_since_usec;
        q->visited[q->state] = true;
        q->left = q->state;
        q->state = to;
        q->state_since_usec = now_usec;
        if (query_state_is_end(to))
                q->ended_usec = now_usec;
}

uint64_t query_time_in(const Query *q, QueryState s, uint64_t now_usec) {
        uint64_t now_part = q->state == s && !query_state_is_end(s) ? now_usec - q->state_since_usec : 0;

        return q->booked_usec[s] + now_part;
}

uint64_t query_total_usec(const Query *q, uint64_t now_usec) {
        return (query_state_is_end(q->state) ? q->ended_usec : now_usec) - q->created_usec;
}

uint64_t query_frozen_usec(const Query *q, uint64_t now_usec) {
        return q->frozen_usec + (q->frozen     ? now_usec - q->frozen_since_usec
                                 : q->lowering ? now_usec - q->lowering_since_usec
                                               : 0);
}

Query *query_free(Query *q) {
        if (!q)
                return NULL;
        profile_done(&q->profile);
        free(q->error.message);
        free(q);
        return NULL;
}

void query_set_error(Query *q, const Error *error) {
        char *message = error->code != ERROR_NONE && error->message[0] ? strdup(error->message) : NULL;

        free(q->error.message);
        q->error.code = error->code;
        q->error.message = message;
}

void query_get_error(const Query *q, Error *ret) {
        ret->code = q->error.code;
        snprintf(ret->message, sizeof(ret->message), "%s", q->error.message ?: "");
}

const char *query_unit_name(uint64_t id, char buf[static QUERY_UNIT_NAME_MAX]) {
        snprintf(buf, QUERY_UNIT_NAME_MAX, "penstock-q%" PRIu64 ".service", id);
        return buf;
}
