/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a query waits for, in words that name the setting that decides. A list asks for those of each: nothing here walks along the
 * line, but for its head. */
#include "core/engine_private.h"

#include <stdio.h>

#define ULL(x) ((unsigned long long) (x))

static void of_unit(const Engine *e, char *buf, size_t len) {
        snprintf(buf, len, "a unit: there are %llu, some of which have not gone yet", ULL(e->n_units));
}

static void of_created(const Engine *e, const Query *q, char *buf, size_t len) {
        if (q->dependencies == DEPENDENCIES_CHECKING)
                snprintf(buf, len, "the check of its dependencies");
        else if (e->n_compile_slots >= e->config.compile_concurrency)
                snprintf(buf, len, "a compile slot (CompileConcurrency=%llu)", ULL(e->config.compile_concurrency));
        else if (!admit_unit_is_free(e))
                of_unit(e, buf, len);
        else
                snprintf(buf, len, "its turn to be compiled (%llu wait with a unit for their start; %s)", ULL(e->n_units_waiting),
                         e->paused ? "penstockctl resume" : "ConcurrencyQuota, MaxMemoryBytes");
}

/* There is a slot, and nobody ahead of it. */
static void of_head(const Engine *e, const Query *q, char *buf, size_t len) {
        char a[SIZE_TEXT_MAX], b[SIZE_TEXT_MAX];
        uint64_t start = retry_start_bytes(e, q);
        bool is_there = start <= lend_room(e, q);

        if (is_there && wait_may_open(e, q))
                of_unit(e, buf, len);
        else
                snprintf(buf, len, "memory for an initial quota of %s (%s unused%s; MaxMemoryBytes)", size_format(start, a),
                         size_format(budget_unused_bytes(&e->budget), b),
                         !is_there            ? ""
                         : e->n_waiters > 0 ? ", kept for those that wait frozen"
                                            : ", kept for those that must end before it");
}

static void of_queueing(const Engine *e, const Query *q, char *buf, size_t len) {
        char a[SIZE_TEXT_MAX], b[SIZE_TEXT_MAX];
        uint64_t ahead = engine_queue_position(e, q) - 1;

        if (q->unit == UNIT_LEAVING)
                snprintf(buf, len, "the end of the unit %s",
                         q->n_retries > 0 ? "of its first run" : "that it had before penstockd was restarted");
        else if (e->paused)
                snprintf(buf, len, "admission is paused (penstockctl resume)");
        else if (admit_asks_too_much(e, q))
                snprintf(buf, len, "memory for an initial quota of %s: with nobody else there it could have %s, for %s; others pass it",
                         size_format(q->initial_bytes, a), size_format(lend_most(e), b),
                         e->cap_bytes < e->config.max_memory_bytes ? "an administrator's MemoryMax of penstock.slice"
                                                                   : "what is left over in penstock.slice");
        else if (e->n_in_state[QUERY_EXECUTING] >= e->config.concurrency_quota)
                snprintf(buf, len, "a free slot (ConcurrencyQuota=%llu, %llu ahead of it)", ULL(e->config.concurrency_quota),
                         ULL(ahead));
        else if (ahead > 0)
                snprintf(buf, len, "its turn (%llu ahead of it, the first waits for memory or its unit)", ULL(ahead));
        else
                of_head(e, q, buf, len);
}

/* One that compiles or executes. */
static void of_busy(const Engine *e, const Query *q, char *buf, size_t len) {
        char a[SIZE_TEXT_MAX], b[SIZE_TEXT_MAX];

        if (q->frozen)
                snprintf(buf, len, "memory: frozen at %s, wants %s (%s; MaxMemoryBytes)", size_format(q->lease.bytes, a),
                         size_format(q->wanted_bytes, b),
                         wait_is_for_others(e, q)           ? "what is unused is kept for those that must end before it"
                         : budget_unused_bytes(&e->budget) ? "too little unused"
                                                           : "nothing unused");
        else if (q->unit == UNIT_CHECKING)
                snprintf(buf, len, "the check of its dependencies");
        else if (q->unit == UNIT_LEAVING)
                snprintf(buf, len, "the end of the unit that it had before penstockd was restarted");
        else if (q->unit == UNIT_STARTING)
                snprintf(buf, len, "its unit to start");
}

const char *engine_wait_reason(const Engine *e, const Query *q, char *buf, size_t len) {
        buf[0] = 0;
        if (q->state == QUERY_CREATED)
                of_created(e, q, buf, len);
        else if (q->state == QUERY_QUEUEING)
                of_queueing(e, q, buf, len);
        else if (query_is_live(q))
                of_busy(e, q, buf, len);
        return buf;
}
