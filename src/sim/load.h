/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sim/load: what happens to come: a configuration, requests, what their engines then do with memory, what their
 * clients do. All of it is drawn ahead from one stream, so that a seed is a whole story. */
#pragma once

#include "core/engine.h"
#include "sim/random.h"

#define LOAD_NEVER USEC_INFINITY
/* What a prompt controller takes to wake up at most, and the least limit that its promise holds for: kernel-notes.md
 * has 12 % of 64M outlast 20 ms of delay at any number of threads that is modelled here. */
#define LOAD_PROMPT_USEC (5 * USEC_PER_MSEC)
#define LOAD_PROMPT_BYTES (64 * MIB)

/* One query to be: what its client asks for, and what will come of it. Times are since the query was submitted, or
 * since the step that they belong to began. */
typedef struct LoadQuery {
        QuerySpec spec;
        uint64_t arrives_usec;

        uint64_t check_usec; /* of its dependencies */
        bool check_fails;
        uint64_t unit_start_usec, unit_stop_usec; /* what PID 1 takes */
        bool unit_fails;
        uint64_t compile_usec;
        int compile_status;

        unsigned threads;
        uint64_t anon_bytes, shmem_bytes, cache_bytes; /* what it will have touched in the end, all threads together */
        uint64_t usec_per_chunk, chunk_bytes;          /* of each thread */
        uint64_t starve_at_bytes, starve_usec;         /* when it has touched so much it gets no processor for so long; 0: never */
        uint64_t give_at_bytes, give_bytes, give_usec; /* then it frees so much of its own once, and its thread rests; 0: never */
        uint64_t rest_usec;                            /* afterwards */
        int exit_status;
        bool is_silent; /* it has delivered nothing before its end */
        uint64_t unit_lost_usec; /* since it began to run; LOAD_NEVER */

        bool obeys_term;
        uint64_t cap_usec, uncap_after_usec; /* an administrator limits its unit, since submission, and lifts that again; LOAD_NEVER */
        uint64_t cap_bytes;
        uint64_t term_usec, exit_usec; /* from SIGTERM to exit; from death to the empty group and its report */

        uint64_t cancel_usec, hold_drop_usec, reader_gone_usec, done_usec; /* since submission; LOAD_NEVER */
        uint64_t done_after_usec;                                          /* since its end; LOAD_NEVER: time will tell */
} LoadQuery;

typedef enum LoadActType { LOAD_PAUSE, LOAD_RESUME, LOAD_RELOAD, LOAD_SHUTDOWN, LOAD_CAP, LOAD_UNCAP, LOAD_LEFTOVERS } LoadActType;

/* What an operator does. */
typedef struct LoadAct {
        LoadActType type;
        uint64_t at_usec, shutdown_usec;
        uint64_t cap_bytes; /* of LOAD_CAP: what he lets the budget have, until LOAD_UNCAP */
        uint64_t leftover_bytes; /* of LOAD_LEFTOVERS: what no unit accounts for, until the next one */
        Config config;
} LoadAct;

#define LOAD_ACTS_MAX 8u

typedef struct Load {
        Config config;
        LoadQuery *queries;
        size_t n_queries;
        LoadAct acts[LOAD_ACTS_MAX];
        size_t n_acts;
        uint64_t wake_usec, wake_late_usec; /* what the controller takes to wake up, mostly and at times */
        unsigned wake_late_percent;
        /* Who grows grows without a rest, though some get no processor for a while; nothing is reloaded and nobody loses his
         * patience: then nobody need end for others. */
        bool steady;
        bool prompt; /* a controller in time and quotas of a size that headroom is made for: then no kill is excused */
} Load;

/* Draw a story of @n_queries from @seed. Returns 0 or -ENOMEM. */
int load_draw(Load *l, uint64_t seed, size_t n_queries);
void load_done(Load *l);

/* What the controller takes to wake up this time. */
uint64_t load_wake_usec(const Load *l, Random *r);
