/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/engine_private.h"

#include <errno.h>

static int refuse(Engine *e, const Error *error) {
        engine_emit(e, ACTION_REFUSED, NULL)->error = *error;
        return 0;
}

/* The memory a request asks for, against what it may have. Fills in both numbers, or sets @error. */
static bool effective_memory(const Engine *e, const QuerySpec *spec, uint64_t *ret_initial, uint64_t *ret_max,
                             Error *error) {
        const Config *c = &e->config;
        char a[SIZE_TEXT_MAX], b[SIZE_TEXT_MAX];
        uint64_t max = spec->max_bytes ? page_floor(spec->max_bytes) : c->per_query_bytes;
        uint64_t initial = spec->initial_bytes ? page_floor(spec->initial_bytes) : MIN(c->initial_bytes, max);

        if (max > c->per_query_bytes)
                error_set(error, ERROR_INVALID_ARGUMENT,
                          "memory_max_bytes %s is more than one query may have (%s); MemoryBytesQuotaPerQuery sets that",
                          size_format(max, a), size_format(c->per_query_bytes, b));
        else if (max < MEMORY_QUOTA_BYTES_MIN || initial < MEMORY_QUOTA_BYTES_MIN)
                error_set(error, ERROR_INVALID_ARGUMENT, "%s %s is less than the least quota of %s",
                          max < MEMORY_QUOTA_BYTES_MIN ? "memory_max_bytes" : "memory_initial_bytes",
                          size_format(max < MEMORY_QUOTA_BYTES_MIN ? max : initial, a),
                          size_format(MEMORY_QUOTA_BYTES_MIN, b));
        else if (initial > max)
                error_set(error, ERROR_INVALID_ARGUMENT,
                          "memory_initial_bytes %s is more than the query's maximum of %s; lower it or raise "
                          "memory_max_bytes",
                          size_format(initial, a), size_format(max, b));
        else if (c->max_memory_bytes != SIZE_INFINITY && initial > c->initial_bytes &&
                 initial - c->initial_bytes > c->max_memory_bytes - c->concurrency_quota * c->initial_bytes)
                error_set(error, ERROR_INVALID_ARGUMENT,
                          "memory_initial_bytes %s can never be granted: beside the reserved slots MaxMemoryBytes leaves "
                          "%s; lower it or raise MaxMemoryBytes",
                          size_format(initial, a),
                          size_format(c->max_memory_bytes - c->concurrency_quota * c->initial_bytes, b));
        *ret_initial = initial;
        *ret_max = max;
        return error->code == ERROR_NONE;
}

/* Is there a place? Sets @error when not. */
static bool has_room(const Engine *e, const QuerySpec *spec, Error *error) {
        uint64_t live = sets_live(e), of_user = sets_live_of(e, spec->uid);
        uint64_t room = add_saturating(e->config.concurrency_quota, e->config.queue_size);

        if (live >= room)
                error_set(error, ERROR_QUEUE_LENGTH_EXCEEDED,
                          "%llu queries are known already: %llu may execute (ConcurrencyQuota) and %llu wait (QueueSize); "
                          "try again later or raise one of them",
                          (unsigned long long) live, (unsigned long long) e->config.concurrency_quota,
                          (unsigned long long) e->config.queue_size);
        else if (of_user >= e->config.max_queries_per_user)
                error_set(error, ERROR_QUEUE_LENGTH_EXCEEDED,
                          "this user has %llu queries already; MaxQueriesPerUser=%llu sets that",
                          (unsigned long long) of_user, (unsigned long long) e->config.max_queries_per_user);
        return error->code == ERROR_NONE;
}

/* Ended queries that nobody released are bounded too, a user: the oldest goes. */
static void bound_ended(Engine *e, uint32_t uid) {
        Query *oldest;
        uint64_t n = sets_ended_of(e, uid, &oldest);

        if (oldest && n >= MIN(MAX(e->config.max_queries_per_user, ENGINE_ENDED_MIN), ENGINE_ENDED_MAX))
                end_forget(e, oldest);
}

static int add_query(Engine *e, uint64_t id, const QuerySpec *spec, uint64_t initial, uint64_t max) {
        Query *q = calloc(1, sizeof(*q));

        if (!q)
                return -ENOMEM;
        q->id = id;
        q->spec = *spec;
        q->created_usec = q->state_since_usec = e->now_usec;
        q->initial_bytes = initial;
        q->max_bytes = max;
        q->cap_bytes = SIZE_INFINITY;
        q->timeout_usec = spec->timeout_usec == USEC_INFINITY ? e->config.query_timeout_usec : spec->timeout_usec;
        q->queue_timeout_usec = spec->queue_timeout_usec == USEC_INFINITY ? e->config.queue_timeout_usec
                                                                          : spec->queue_timeout_usec;
        q->exit_status = -1;
        q->dependencies = spec->has_dependencies ? DEPENDENCIES_CHECKING : DEPENDENCIES_NONE;
        if (sets_add(e, q) < 0) {
                query_free(q);
                return -ENOMEM;
        }
        e->next_id = MAX(e->next_id, id + 1);

        engine_emit(e, ACTION_ADMITTED, q);
        if (spec->has_dependencies)
                engine_emit(e, ACTION_CHECK_DEPENDENCIES, q);
        else if (!spec->has_compile)
                engine_move(e, q, QUERY_QUEUEING);
        return 0;
}

void admit_dependencies(Engine *e, Query *q, const Error *error) {
        if ((q->dependencies != DEPENDENCIES_CHECKING && q->unit != UNIT_CHECKING) || !query_is_live(q))
                return;
        if (error && error->code != ERROR_NONE) {
                end_query(e, q, QUERY_ERRORED, VERDICT_DEPENDENCY, false, error->code, "%s", error->message);
                return;
        }
        sets_checked(e, q);
        if (q->unit == UNIT_CHECKING) {
                engine_set_unit(e, q, UNIT_NONE);
                admit_restart_unit(e, q);
                return;
        }
        /* It waits for a compile slot, if there is none in this step; or its time is over, and this step ends it. */
        if (q->spec.has_compile || admit_queue_timeout(q) <= e->now_usec)
                return;
        engine_move(e, q, QUERY_QUEUEING);
        engine_emit(e, ACTION_STATE, q);
}

int admit_request(Engine *e, uint64_t id, const QuerySpec *spec) {
        Error error = {};
        uint64_t initial, max;

        if (e->shut_down)
                error_set(&error, ERROR_SHUTTING_DOWN,
                          "penstockd accepts no more queries since Shutdown; restart penstockd.service to open it again");
        else if (spec->priority > 0 && !spec->allow_priority)
                error_set(&error, ERROR_PERMISSION_DENIED,
                          "priority %d: only root may ask for a priority above 0", spec->priority);
        else if (effective_memory(e, spec, &initial, &max, &error) && has_room(e, spec, &error)) {
                int r = add_query(e, engine_id_is_free(e, id) ? id : e->next_id, spec, initial, max);

                if (r == 0)
                        bound_ended(e, spec->uid);
                return r;
        }
        return refuse(e, &error);
}

uint64_t admit_query_timeout(const Query *q) {
        if (q->state != QUERY_EXECUTING || q->frozen || q->lowering || q->told_late || q->timeout_usec == 0)
                return USEC_INFINITY;
        /* Both runs of one that is retried count. */
        return subtract_saturating(add_saturating(add_saturating(q->state_since_usec, q->timeout_usec), q->frozen_usec),
                                   q->booked_usec[QUERY_EXECUTING]);
}

uint64_t admit_queue_timeout(const Query *q) {
        if ((q->state != QUERY_QUEUEING && q->state != QUERY_CREATED) || q->queue_timeout_usec == 0)
                return USEC_INFINITY;
        /* Waiting only: what the compile took does not count, nor the first run of one that is retried. */
        return add_saturating(add_saturating(q->created_usec, q->queue_timeout_usec),
                              q->booked_usec[QUERY_COMPILING] + q->booked_usec[QUERY_EXECUTING]);
}

bool admit_unit_is_free(const Engine *e) {
        return e->n_units < engine_units_max(e);
}

static void start_unit(Engine *e, Query *q) {
        if (q->unit != UNIT_NONE)
                return;
        if (q->recheck) {
                q->recheck = false;
                engine_set_unit(e, q, UNIT_CHECKING);
                engine_emit(e, ACTION_CHECK_DEPENDENCIES, q);
                return;
        }
        engine_set_unit(e, q, UNIT_STARTING);
        engine_emit(e, ACTION_START_UNIT, q);
}

void admit_restart_unit(Engine *e, Query *q) {
        if (q->state == QUERY_COMPILING || q->state == QUERY_EXECUTING)
                start_unit(e, q);
}

static void begin_compile(Engine *e, Query *q) {
        q->run = RUN_COMPILING;
        q->compile_timeout_usec = e->config.compile_timeout_usec ? e->config.compile_timeout_usec : USEC_INFINITY;
        q->compile_deadline_usec = add_saturating(e->now_usec, q->compile_timeout_usec);
        engine_emit(e, ACTION_COMPILE, q);
}

void admit_unit_ready(Engine *e, Query *q) {
        if (q->unit != UNIT_STARTING)
                return;
        engine_set_unit(e, q, UNIT_READY);
        if (q->state == QUERY_COMPILING && q->run == RUN_NONE)
                begin_compile(e, q);
        else if (q->state == QUERY_EXECUTING && q->run == RUN_NONE)
                run_hand_over(e, q);
}

void admit_compiled(Engine *e, Query *q, const EndedReport *r, const Error *error) {
        if (q->run != RUN_COMPILING)
                return;
        q->run = RUN_NONE;
        end_compile_slot(e, q);
        if (q->state != QUERY_COMPILING)
                return;
        if (r->start_failed)
                end_query(e, q, QUERY_ERRORED, VERDICT_COMPILE, false, error->code, "%s", error->message);
        else if (r->exit_signal)
                end_query(e, q, QUERY_ERRORED, VERDICT_COMPILE, false, ERROR_COMPILATION_FAILED,
                          "the compile check of language %s was ended by signal %d; its memory is limited by "
                          "CompileMemoryBytes",
                          q->spec.language, r->exit_signal);
        else if (r->exit_status != 0)
                end_query(e, q, QUERY_ERRORED, VERDICT_COMPILE, false, ERROR_COMPILATION_FAILED,
                          "the compile check of language %s ended with status %d", q->spec.language, r->exit_status);
        else {
                engine_move(e, q, QUERY_QUEUEING);
                engine_emit(e, ACTION_STATE, q);
        }
}

/* It asked for more than the end of all others would leave: an administrator's cap of the slice, or what is left over in it,
 * may go, and who knows when. */
bool admit_asks_too_much(const Engine *e, const Query *q) {
        return q->initial_bytes > lend_most(e);
}

/* Whose unit of an earlier run is still there holds up nobody: PID 1 may take its time. Nor does one that nobody's end would
 * help to start. */
static Query *first_to_start(const Engine *e) {
        Query *q = NULL;

        while ((q = sets_next_queueing(e, q)) && (q->unit == UNIT_LEAVING || admit_asks_too_much(e, q)))
                ;
        return q;
}

/* Compiling ahead tells a user early of his mistakes, but each compiled query keeps its unit while it waits. The one
 * that would be the head of the queue is let through a little longer, or it would lose its turn. */
static bool may_compile(const Engine *e, const Query *q, const Query *head) {
        uint64_t limit = ENGINE_UNITS_WAITING_MAX;

        if (!admit_asks_too_much(e, q) && (!head || query_is_before(q, head)))
                limit += e->config.compile_concurrency;
        return admit_unit_is_free(e) && e->n_units_waiting < limit;
}

/* Who can't start now, whoever ends, keeps nobody behind from it. NULL: nobody may. */
static Query *next_to_compile(const Engine *e) {
        const Query *head = first_to_start(e);
        Query *q = NULL;

        while ((q = sets_next_created(e, q)) && !may_compile(e, q, head))
                if (!admit_asks_too_much(e, q))
                        return NULL;
        return q;
}

static void settle_compiles(Engine *e) {
        Query *q;

        while (e->n_compile_slots < e->config.compile_concurrency && (q = next_to_compile(e))) {
                start_unit(e, q);
                engine_move(e, q, QUERY_COMPILING);
                q->has_compile_slot = true;
                e->n_compile_slots++;
                engine_emit(e, ACTION_STATE, q);
        }
}

/* Can the head of the queue go? If not it stays the head, and nothing overtakes it. */
static bool start_head(Engine *e, Query *q) {
        uint64_t start = retry_start_bytes(e, q);

        if (!wait_may_open(e, q))
                return false;
        /* Too many units: it waits while some are leaving. When none is they are those of others who wait behind it. */
        if (q->unit == UNIT_NONE && !admit_unit_is_free(e) && e->n_units_leaving > 0)
                return false;
        if (!learn_open(e, q) && lease_open(&e->budget, &q->lease, start) < 0)
                return false;
        q->retry_bytes = MIN(q->retry_bytes, start); /* what it has begun with */
        start_unit(e, q);
        engine_move(e, q, QUERY_EXECUTING);
        q->has_slot = true;
        engine_emit(e, ACTION_STATE, q);
        if (q->unit == UNIT_READY)
                run_hand_over(e, q);
        return true;
}

const Query *admit_lacking(const Engine *e) {
        const Query *q;

        if (e->paused || e->n_in_state[QUERY_EXECUTING] >= e->config.concurrency_quota)
                return NULL;
        q = first_to_start(e);
        return q && (!wait_may_open(e, q) || retry_start_bytes(e, q) > lend_room(e, q)) ? q : NULL;
}

static void settle_slots(Engine *e) {
        Query *q;

        while (!e->paused && e->n_in_state[QUERY_EXECUTING] < e->config.concurrency_quota && (q = first_to_start(e)))
                if (!start_head(e, q))
                        return;
}

static void settle_warm(Engine *e) {
        Query *q = NULL;

        for (uint64_t n = 0; n < e->config.warm_units; n++) {
                q = sets_next_queueing(e, q);
                if (!q || q->recheck || (q->unit == UNIT_NONE && !admit_unit_is_free(e)))
                        return;
                start_unit(e, q);
        }
}

/* A reload: those who wait start by the new figures, but none gets a larger maximum than its command and unit were
 * made for; a start that has become impossible for ever must not stay at the head of the queue. */
bool admit_reconfigure_query(Engine *e, Query *q) {
        QuerySpec spec = q->spec;
        Error error = {};
        uint64_t initial, max;

        if (!query_is_live(q) || q->state == QUERY_EXECUTING)
                return true;
        if (spec.max_bytes > e->config.per_query_bytes)
                spec.max_bytes = e->config.per_query_bytes;
        if (!effective_memory(e, &spec, &initial, &max, &error)) {
                end_query(e, q, QUERY_ERRORED, VERDICT_START, false, error.code, "%s", error.message);
                return false;
        }
        q->max_bytes = MIN(max, q->max_bytes);
        q->initial_bytes = MIN(initial, q->max_bytes);
        q->retry_bytes = MIN(q->retry_bytes, q->max_bytes);
        return true;
}

void admit_reconfigure(Engine *e) {
        for (size_t i = sets_all(e); i > 0; i--)
                (void) admit_reconfigure_query(e, e->some[i - 1]);
}

void admit_settle(Engine *e) {
        settle_compiles(e);
        settle_slots(e);
        settle_warm(e);
}

/* Who asks for one place often asks for all of them, as a list does: they are counted once, as long as the line stays as it is. */
uint64_t engine_queue_position(const Engine *e, const Query *q) {
        uint64_t n = 0;

        if (q->state != QUERY_QUEUEING)
                return 0;
        if (q->queue_position_as_of != e->n_line_changes)
                for (Query *other = NULL; (other = sets_next_queueing(e, other));) {
                        other->queue_position = ++n;
                        other->queue_position_as_of = e->n_line_changes;
                }
        return q->queue_position;
}
