/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The engine under events in any order: true answers to what it asked for, and between them what is stale, repeated, of
 * nobody, or can't be. The input's first bytes are a configuration; then each byte chooses what happens next. */
#include "engine_shell.h"

#include <errno.h>

#define STEPS_MAX 250u

typedef struct Play {
        Shell shell;
        Config config;
        Bytes b;
        unsigned n_steps;
} Play;

static uint64_t time_of(uint8_t code) {
        static const uint64_t times[] = { 0,
                                          USEC_PER_MSEC,
                                          20 * USEC_PER_MSEC,
                                          100 * USEC_PER_MSEC,
                                          500 * USEC_PER_MSEC,
                                          USEC_PER_SEC,
                                          3 * USEC_PER_SEC,
                                          10 * USEC_PER_SEC,
                                          60 * USEC_PER_SEC,
                                          3600 * USEC_PER_SEC,
                                          USEC_INFINITY };

        return times[code % ELEMENTSOF(times)];
}

static uint64_t time_within(uint8_t code, uint64_t least, uint64_t most) {
        uint64_t t = time_of(code);

        return t < least ? least : MIN(t, most);
}

/* Any that config_finish() would take: the rules between keys are kept. */
static void draw_config(Bytes *b, Config *c) {
        bool unlimited = false;
        uint8_t last;

        *c = (Config) {};
        c->concurrency_quota = 1 + bytes_u8(b) % 5;
        c->initial_bytes = (1 + bytes_u8(b) % 64) * MIB;
        c->per_query_bytes = c->initial_bytes + bytes_number(b, 2) * 4096 * 4;
        c->max_memory_bytes = MAX(c->concurrency_quota * c->initial_bytes, c->per_query_bytes) + bytes_u8(b) % 128 * MIB;
        c->queue_size = bytes_u8(b) % 16;
        c->exhaustion_policy = bytes_u8(b) % 4 == 3 ? EXHAUSTION_FAIL : EXHAUSTION_FREEZE;
        c->freeze_timeout_usec = time_within(bytes_u8(b), USEC_PER_SEC, USEC_INFINITY);
        c->queue_timeout_usec = time_of(bytes_u8(b));
        c->query_timeout_usec = time_of(bytes_u8(b));
        c->compile_timeout_usec = time_within(bytes_u8(b), USEC_PER_MSEC, USEC_INFINITY);
        c->compile_concurrency = 1 + bytes_u8(b) % 3;
        c->compile_memory_bytes = 8 * MIB;
        c->max_queries_per_user = 1 + bytes_u8(b) % 16;
        c->cancel_grace_usec = time_within(bytes_u8(b), 0, 3600 * USEC_PER_SEC);
        c->results_keep_usec = time_of(bytes_u8(b));
        last = bytes_u8(b);
        c->warm_units = last % 4;
        c->retry_on_exhaustion = last & 8;
        c->initial_quota = last & 4 ? INITIAL_QUOTA_LEARNED : INITIAL_QUOTA_FIXED;
        unlimited = c->warm_units == 3;
        if (unlimited) {
                c->concurrency_quota = UINT64_MAX;
                c->max_memory_bytes = SIZE_INFINITY;
                c->queue_size = 0;
        }
}

static void step(Play *p, const Event *ev) {
        p->n_steps++;
        shell_step(&p->shell, ev);
}

static void request(Play *p) {
        Bytes *b = &p->b;
        uint8_t flags = bytes_u8(b), who = bytes_u8(b);
        QuerySpec spec = { .language = "fuzz",
                           .uid = who % 3,
                           .fingerprint = { who / 3 % 4 }, /* 0: not known */
                           .timeout_usec = USEC_INFINITY,
                           .queue_timeout_usec = USEC_INFINITY,
                           .detached = flags & 1,
                           .has_compile = flags & 2,
                           .allow_priority = flags & 4,
                           .has_dependencies = flags & 8,
                           .may_retry = who & 128 };

        if (p->shell.n >= SHELL_QUERIES_MAX)
                return;
        if (flags & 16)
                spec.priority = (int8_t) bytes_u8(b) % 3;
        if (flags & 32)
                spec.initial_bytes = p->config.initial_bytes / 16 * bytes_u8(b) + bytes_u8(b);
        if (flags & 64)
                spec.max_bytes = p->config.per_query_bytes / 64 * bytes_u8(b) + bytes_u8(b);
        if (flags & 128) {
                spec.timeout_usec = time_of(bytes_u8(b));
                spec.queue_timeout_usec = time_of(bytes_u8(b));
        }
        step(p, &(Event) { .type = EVENT_REQUEST, .request.spec = &spec });
}

/* One that is there, or was; or of nobody. */
static Seen *choose(Play *p, Seen *nobody) {
        size_t i = bytes_u8(&p->b) % (p->shell.n + 1);

        *nobody = (Seen) { .id = 999 };
        return i < p->shell.n ? &p->shell.seen[i] : nobody;
}

/* Counts rise; the rest is a part of the quota, or anything at all. */
static Sample draw_sample(Play *p, Seen *q) {
        Bytes *b = &p->b;
        const Query *known = engine_find(p->shell.engine, q->id);
        uint64_t quota = known ? known->lease.bytes : 0;
        uint8_t flags = bytes_u8(b);
        Sample s = { .populated = true, .has_psi = !(flags & 1), .frozen = q->frozen, .pids = 1, .max_bytes = quota };

        s.anon_bytes = s.inactive_anon_bytes = quota / 255 * bytes_u8(b);
        s.file_bytes = s.active_file_bytes = quota / 255 * (flags & 2 ? bytes_u8(b) : 0);
        q->events_max += flags & 4 ? bytes_u8(b) : 0;
        q->stall_usec += flags & 8 ? bytes_number(b, 3) : 0;
        q->cpu_usec += flags & 16 ? bytes_number(b, 3) : 0;
        if (flags & 32)
                s.pids = bytes_number(b, 2);
        if (flags & 64)
                s.max_bytes = bytes_u8(b) * MIB; /* stale, or somebody else's */
        s.current_bytes = s.anon_bytes + s.file_bytes;
        s.high_bytes = known ? known->high_bytes : 0;
        s.events_max = q->events_max;
        s.stall_some_usec = s.stall_full_usec = q->stall_usec;
        s.cpu_usec = q->cpu_usec;
        s.cpu_wait_usec = q->cpu_usec / 2 + q->stall_usec;
        s.has_usage = flags & 16;
        s.has_cpu_wait = s.has_usage && s.has_psi;
        s.workingset_refault_file = q->stall_usec / 16;
        if (flags & 128)
                bytes_copy(b, &s, offsetof(Sample, has_psi)); /* any numbers */
        return s;
}

static EndedReport draw_report(Bytes *b) {
        uint8_t flags = bytes_u8(b);
        EndedReport r = { .exit_status = flags & 1 ? (int8_t) bytes_u8(b) : 0,
                          .exit_signal = flags & 2 ? bytes_u8(b) % 65 : 0,
                          .start_failed = flags & 4,
                          .unit_stopped = flags & 8,
                          .reader_gone = flags & 16,
                          .results_truncated = flags & 32,
                          .results_empty = flags & 128 };

        if (flags & 64) {
                r.numbers.residual_bytes = bytes_u8(b) * MIB;
                r.numbers.memory_peak_bytes = bytes_u8(b) * MIB;
                r.numbers.events_oom = bytes_u8(b) % 2;
                r.numbers.events_oom_kill = bytes_u8(b) % 2;
                r.numbers.above_oom = bytes_u8(b) % 2;
                r.numbers.oomd_kills = bytes_u8(b) % 2;
                r.numbers.pids_max_events = bytes_u8(b) % 2;
        }
        return r;
}

static const Error failure = { .code = ERROR_EXECUTION_FAILED, .message = "it failed" };

/* True answers to what was asked for and is not answered yet. */
static void answer(Play *p, Seen *q) {
        const Query *known = engine_find(p->shell.engine, q->id);

        if (q->check && !q->checked)
                step(p, &(Event) { .type = EVENT_DEPENDENCIES, .query_id = q->id });
        else if (q->unit_released && !q->unit_gone)
                step(p, &(Event) { .type = EVENT_UNIT_GONE, .query_id = q->id });
        else if (q->unit && !q->ready)
                step(p, &(Event) { .type = EVENT_UNIT_READY, .query_id = q->id });
        else if (q->compile && !q->compiled)
                step(p, &(Event) { .type = EVENT_COMPILED, .query_id = q->id });
        else if (q->lowering)
                step(p, &(Event) { .type = EVENT_LOWERED, .query_id = q->id, .limits.max_bytes = q->lower_to_bytes });
        else if (known && q->executed && !q->over && known->quota_bytes != q->limit_bytes)
                step(p, &(Event) { .type = EVENT_LIMITS, .query_id = q->id, .limits.max_bytes = q->limit_bytes });
        else if (q->executed && !q->over)
                step(p, &(Event) { .type = EVENT_SAMPLE, .query_id = q->id, .sample = draw_sample(p, q) });
}

/* An answer to a question that perhaps nobody asked. */
static void lie(Play *p, Seen *q) {
        Bytes *b = &p->b;
        uint8_t what = bytes_u8(b);
        Event ev = { .query_id = q->id };

        switch (what % 8) {
        case 0:
                ev.type = EVENT_DEPENDENCIES;
                ev.error = what & 8 ? &failure : NULL;
                break;
        case 1: ev.type = EVENT_UNIT_READY; break;
        case 2:
                ev.type = EVENT_UNIT_FAILED;
                ev.error = &failure;
                break;
        case 3: ev.type = EVENT_UNIT_GONE; break;
        case 4:
        case 5:
                ev.type = what % 8 == 4 ? EVENT_COMPILED : EVENT_ENDED;
                ev.ended.report = draw_report(b);
                ev.ended.error = &failure;
                break;
        default:
                ev.type = what % 8 == 6 ? EVENT_LIMITS : EVENT_LOWERED;
                ev.limits.r = what & 8 ? (what & 16 ? -EBUSY : -ENODEV) : 0;
                ev.limits.max_bytes = what & 32 ? q->limit_bytes : (uint64_t) bytes_u8(b) * MIB;
                ev.limits.latency_usec = bytes_u8(b);
        }
        step(p, &ev);
}

#define CLOCK_MAX_USEC (USEC_INFINITY / 2) /* no clock comes to 292,000 years: there nothing would be later than now */

/* The loop may be late: what comes first then comes when other things are due. */
static void pass_time(Play *p, uint8_t code) {
        uint64_t due = engine_deadline(p->shell.engine), span = time_of(code);

        if (code & 128 && due != USEC_INFINITY)
                p->shell.now_usec = MAX(p->shell.now_usec, due);
        else
                p->shell.now_usec = add_saturating(p->shell.now_usec, span == USEC_INFINITY ? 0 : span);
        p->shell.now_usec = MIN(p->shell.now_usec, CLOCK_MAX_USEC);
        if ((p->shell.now_usec >= due && !(code & 32)) || code & 64)
                step(p, &(Event) { .type = EVENT_TICK });
}

static void of_all(Play *p, uint8_t what) {
        Event ev = {};

        switch (what % 8) {
        case 0: ev.type = EVENT_PAUSE; break;
        case 1: ev.type = EVENT_RESUME; break;
        case 2:
                draw_config(&p->b, &p->config);
                ev.type = EVENT_CONFIG;
                ev.config = &p->config;
                break;
        case 3:
        case 4:
                ev.type = what & 128 ? EVENT_LEARNED : EVENT_LEFTOVERS;
                if (what & 128)
                        ev.lesson = (Lesson) { .fingerprint = { what / 8 % 4 },
                                               .needed_bytes = bytes_u8(&p->b) * 4 * MIB + what,
                                               .raises = what };
                else
                        ev.bytes = bytes_u8(&p->b) * MIB;
                break;
        case 5:
        case 6:
                ev.type = EVENT_CAP;
                ev.bytes = what & 8 ? SIZE_INFINITY : bytes_u8(&p->b) * 2 * MIB + what;
                break;
        default:
                ev.type = EVENT_SHUTDOWN;
                ev.shutdown_usec = time_of(bytes_u8(&p->b));
        }
        step(p, &ev);
}

static void of_one(Play *p, uint8_t what) {
        static const EventType plain[] = { EVENT_CANCEL, EVENT_DONE, EVENT_HOLD_DROPPED, EVENT_READER_GONE };
        Seen nobody, *q = choose(p, &nobody);

        if (what < 96)
                answer(p, q);
        else if (what < 160)
                step(p, &(Event) { .type = EVENT_SAMPLE, .query_id = q->id, .sample = draw_sample(p, q) });
        else if (what < 176)
                lie(p, q);
        else if (what < 184)
                step(p, &(Event) { .type = EVENT_CAP, .query_id = q->id, .bytes = what & 1 ? SIZE_INFINITY : bytes_u8(&p->b) * MIB });
        else if (what < 200)
                step(p, &(Event) { .type = EVENT_ENDED, .query_id = q->id, .ended = { .report = draw_report(&p->b), .error = &failure } });
        else
                step(p, &(Event) { .type = plain[what % ELEMENTSOF(plain)], .query_id = q->id });
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static Play p; /* its action list is used again */
        ActionList actions = p.shell.actions;

        p = (Play) { .b = { data, size }, .shell = { .actions = actions, .now_usec = USEC_PER_SEC } };
        draw_config(&p.b, &p.config);
        if (engine_new(&p.config, 1, &p.shell.engine) < 0)
                abort();
        while (p.b.n > 0 && p.n_steps < STEPS_MAX) {
                uint8_t what = bytes_u8(&p.b);

                if (what < 32)
                        request(&p);
                else if (what < 64)
                        pass_time(&p, bytes_u8(&p.b));
                else if (what < 72)
                        of_all(&p, bytes_u8(&p.b));
                else
                        of_one(&p, (uint8_t) ((what - 72) * 216 / 184));
        }
        shell_wind_up(&p.shell, &p.config);
        engine_free(p.shell.engine);
        return 0;
}
