/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/trace_private.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* One member of @type, under its own name. */
#define F(kind, type, member) { #member, FIELD_##kind, offsetof(type, member), sizeof(((type *) 0)->member) }

static const Field spec_fields[] = {
        F(NAME, QuerySpec, language),
        F(U32, QuerySpec, uid),
        F(I32, QuerySpec, priority),
        F(U64, QuerySpec, initial_bytes),
        F(U64, QuerySpec, max_bytes),
        F(U64, QuerySpec, timeout_usec),
        F(U64, QuerySpec, queue_timeout_usec),
        F(U64, QuerySpec, fingerprint[0]),
        F(U64, QuerySpec, fingerprint[1]),
        F(BOOL, QuerySpec, detached),
        F(BOOL, QuerySpec, has_compile),
        F(BOOL, QuerySpec, allow_priority),
        F(BOOL, QuerySpec, has_dependencies),
        F(BOOL, QuerySpec, may_retry),
        {},
};

static const Field sample_fields[] = {
        F(U64, Sample, anon_bytes),
        F(U64, Sample, file_bytes),
        F(U64, Sample, kernel_bytes),
        F(U64, Sample, shmem_bytes),
        F(U64, Sample, file_dirty_bytes),
        F(U64, Sample, file_writeback_bytes),
        F(U64, Sample, inactive_anon_bytes),
        F(U64, Sample, active_anon_bytes),
        F(U64, Sample, inactive_file_bytes),
        F(U64, Sample, active_file_bytes),
        F(U64, Sample, unevictable_bytes),
        F(U64, Sample, slab_reclaimable_bytes),
        F(U64, Sample, sock_bytes),
        F(U64, Sample, workingset_refault_file),
        F(U64, Sample, workingset_refault_anon),
        F(U64, Sample, current_bytes),
        F(U64, Sample, max_bytes),
        F(U64, Sample, high_bytes),
        F(U64, Sample, events_high),
        F(U64, Sample, events_max),
        F(U64, Sample, events_oom),
        F(U64, Sample, events_oom_kill),
        F(U64, Sample, events_oom_group_kill),
        F(U64, Sample, stall_some_usec),
        F(U64, Sample, stall_full_usec),
        F(U64, Sample, pids),
        F(U64, Sample, cpu_usec),
        F(U64, Sample, io_read_bytes),
        F(U64, Sample, io_write_bytes),
        F(U64, Sample, cpu_wait_usec),
        F(BOOL, Sample, has_psi),
        F(BOOL, Sample, frozen),
        F(BOOL, Sample, populated),
        F(BOOL, Sample, has_usage),
        F(BOOL, Sample, has_cpu_wait),
        {},
};

/* The FinalNumbers in @member of @type. */
#define FINAL_NUMBERS(type, member)                                                                                \
        F(U64, type, member.memory_peak_bytes), F(U64, type, member.cpu_usec), F(U64, type, member.io_read_bytes), \
                F(U64, type, member.io_write_bytes), F(U64, type, member.stall_usec),                              \
                F(U64, type, member.stall_full_usec), F(U64, type, member.current_bytes),                          \
                F(U64, type, member.anon_bytes), F(U64, type, member.shmem_bytes),                                 \
                F(U64, type, member.file_bytes), F(U64, type, member.kernel_bytes),                                \
                F(U64, type, member.events_high), F(U64, type, member.events_max),                                 \
                F(U64, type, member.events_oom), F(U64, type, member.events_oom_kill),                             \
                F(U64, type, member.pids_max_events), F(U64, type, member.above_oom),                              \
                F(U64, type, member.oomd_kills), F(U64, type, member.residual_bytes)

static const Field report_fields[] = {
        F(I32, EndedReport, exit_status),
        F(I32, EndedReport, exit_signal),
        F(BOOL, EndedReport, start_failed),
        F(BOOL, EndedReport, unit_stopped),
        F(BOOL, EndedReport, reader_gone),
        F(BOOL, EndedReport, results_truncated),
        F(BOOL, EndedReport, leftovers_killed),
        F(BOOL, EndedReport, results_empty),
        FINAL_NUMBERS(EndedReport, numbers),
        {},
};

static const Field snapshot_fields[] = {
        F(NAME, QuerySnapshot, spec.language),
        F(U32, QuerySnapshot, spec.uid),
        F(I32, QuerySnapshot, spec.priority),
        F(U64, QuerySnapshot, spec.initial_bytes),
        F(U64, QuerySnapshot, spec.max_bytes),
        F(U64, QuerySnapshot, spec.timeout_usec),
        F(U64, QuerySnapshot, spec.queue_timeout_usec),
        F(U64, QuerySnapshot, spec.fingerprint[0]),
        F(U64, QuerySnapshot, spec.fingerprint[1]),
        F(BOOL, QuerySnapshot, spec.detached),
        F(BOOL, QuerySnapshot, spec.has_compile),
        F(BOOL, QuerySnapshot, spec.allow_priority),
        F(BOOL, QuerySnapshot, spec.has_dependencies),
        F(BOOL, QuerySnapshot, spec.may_retry),
        F(U64, QuerySnapshot, created_usec),
        F(U64, QuerySnapshot, state_since_usec),
        F(U64, QuerySnapshot, ended_usec),
        F(U64, QuerySnapshot, forget_usec),
        F(U64, QuerySnapshot, booked_usec[QUERY_CREATED]),
        F(U64, QuerySnapshot, booked_usec[QUERY_COMPILING]),
        F(U64, QuerySnapshot, booked_usec[QUERY_QUEUEING]),
        F(U64, QuerySnapshot, booked_usec[QUERY_EXECUTING]),
        F(U64, QuerySnapshot, initial_bytes),
        F(U64, QuerySnapshot, max_bytes),
        F(U64, QuerySnapshot, timeout_usec),
        F(U64, QuerySnapshot, queue_timeout_usec),
        F(U64, QuerySnapshot, forgotten),
        F(U64, QuerySnapshot, lease_bytes),
        F(U64, QuerySnapshot, n_raises),
        F(U64, QuerySnapshot, n_denied),
        F(U64, QuerySnapshot, peak_bytes),
        F(U64, QuerySnapshot, top_quota_bytes),
        F(U64, QuerySnapshot, last_quota_bytes),
        F(U64, QuerySnapshot, learned_bytes),
        F(U64, QuerySnapshot, learned_raises),
        F(U64, QuerySnapshot, needed_bytes),
        F(U64, QuerySnapshot, needed_raises),
        F(U64, QuerySnapshot, n_raises_saved),
        F(U64, QuerySnapshot, n_retries),
        F(U64, QuerySnapshot, first_start_usec),
        F(U64, QuerySnapshot, retry_bytes),
        F(U64, QuerySnapshot, frozen_usec),
        F(U64, QuerySnapshot, frozen_since_usec),
        F(U64, QuerySnapshot, wanted_bytes),
        FINAL_NUMBERS(QuerySnapshot, final),
        F(U32, QuerySnapshot, state),
        F(U32, QuerySnapshot, verdict),
        F(U32, QuerySnapshot, dependencies),
        F(U32, QuerySnapshot, wanted_cause),
        F(U32, QuerySnapshot, ending_state),
        F(U32, QuerySnapshot, ending_verdict),
        F(U32, QuerySnapshot, visited),
        F(I32, QuerySnapshot, exit_status),
        F(I32, QuerySnapshot, exit_signal),
        F(BOOL, QuerySnapshot, done),
        F(BOOL, QuerySnapshot, ending),
        F(BOOL, QuerySnapshot, denied),
        F(BOOL, QuerySnapshot, headroom_off),
        F(BOOL, QuerySnapshot, handed),
        F(U64, QuerySnapshot, limit_bytes),
        F(U64, QuerySnapshot, current_bytes),
        F(U64, QuerySnapshot, held_since_usec),
        F(BOOL, QuerySnapshot, unit_exists),
        F(BOOL, QuerySnapshot, is_frozen),
        F(BOOL, QuerySnapshot, has_ended),
        F(BOOL, QuerySnapshot, is_lost),
        {},
};

/* Whoever adds a member names it above, or a replay would not be the same. */
_Static_assert(sizeof(QuerySpec) == 64 + 2 * 4 + 6 * 8 + 8, "QuerySpec has changed");
_Static_assert(sizeof(Sample) == 30 * 8 + 8, "Sample has changed");
_Static_assert(sizeof(QuerySnapshot) == sizeof(QuerySpec) + 30 * 8 + sizeof(FinalNumbers) + 9 * 4 + 12 + 3 * 8 + 8,
               "QuerySnapshot has changed");
_Static_assert(sizeof(EndedReport) == 2 * 4 + 8 + 19 * 8, "EndedReport has changed");

static const Field limits_fields[] = {
        F(I32, Event, limits.r),
        F(U64, Event, limits.max_bytes),
        F(U64, Event, limits.latency_usec),
        F(U64, Event, limits.sample_usec),
        F(U64, Event, limits.read_back_usec),
        {},
};

static const Field lesson_fields[] = {
        F(U64, Lesson, fingerprint[0]),
        F(U64, Lesson, fingerprint[1]),
        F(U64, Lesson, needed_bytes),
        F(U64, Lesson, raises),
        {},
};

static const Field bytes_fields[] = { F(U64, Event, bytes), {} };
static const Field shutdown_fields[] = { F(U64, Event, shutdown_usec), {} };
static const Field action_fields[] = { F(U64, Action, limits.max_bytes), F(U64, Action, limits.high_bytes), {} };

const EventShape trace_events[_EVENT_MAX] = {
        [EVENT_REQUEST] = { "request", spec_fields, 0, true, false },
        [EVENT_ADOPT] = { "adopt", snapshot_fields, 0, true, true },
        [EVENT_LEARNED] = { "learned", lesson_fields, offsetof(Event, lesson), false, false },
        [EVENT_DEPENDENCIES] = { "dependencies", NULL, 0, true, true },
        [EVENT_UNIT_READY] = { "unit-ready", NULL, 0, true, false },
        [EVENT_UNIT_FAILED] = { "unit-failed", NULL, 0, true, true },
        [EVENT_UNIT_GONE] = { "unit-gone", NULL, 0, true, false },
        [EVENT_COMPILED] = { "compiled", report_fields, offsetof(Event, ended.report), true, true },
        [EVENT_SAMPLE] = { "sample", sample_fields, offsetof(Event, sample), true, false },
        [EVENT_LIMITS] = { "limits", limits_fields, 0, true, false },
        [EVENT_LOWERED] = { "lowered", limits_fields, 0, true, false },
        [EVENT_ENDED] = { "ended", report_fields, offsetof(Event, ended.report), true, true },
        [EVENT_READER_GONE] = { "reader-gone", NULL, 0, true, false },
        [EVENT_HOLD_DROPPED] = { "hold-dropped", NULL, 0, true, false },
        [EVENT_CANCEL] = { "cancel", NULL, 0, true, false },
        [EVENT_DONE] = { "done", NULL, 0, true, false },
        [EVENT_TICK] = { "tick", NULL, 0, false, false },
        [EVENT_PAUSE] = { "pause", NULL, 0, false, false },
        [EVENT_RESUME] = { "resume", NULL, 0, false, false },
        [EVENT_CONFIG] = { "config", NULL, 0, false, false },
        [EVENT_LEFTOVERS] = { "leftovers", bytes_fields, 0, false, false },
        [EVENT_CAP] = { "cap", bytes_fields, 0, true, false },
        [EVENT_SHUTDOWN] = { "shutdown", shutdown_fields, 0, false, false },
};

static const char *const action_names[_ACTION_MAX] = {
        [ACTION_ADMITTED] = "admitted",
        [ACTION_REFUSED] = "refused",
        [ACTION_CHECK_DEPENDENCIES] = "check-dependencies",
        [ACTION_RELEASE_DEPENDENCIES] = "release-dependencies",
        [ACTION_START_UNIT] = "start-unit",
        [ACTION_RELEASE_UNIT] = "release-unit",
        [ACTION_COMPILE] = "compile",
        [ACTION_KILL_COMPILE] = "kill-compile",
        [ACTION_EXECUTE] = "execute",
        [ACTION_SET_LIMITS] = "set-limits",
        [ACTION_LOWER] = "lower",
        [ACTION_SAMPLE] = "sample",
        [ACTION_FREEZE] = "freeze",
        [ACTION_THAW] = "thaw",
        [ACTION_TERMINATE] = "terminate",
        [ACTION_KILL] = "kill",
        [ACTION_STATE] = "state",
        [ACTION_FORGET] = "forget",
        [ACTION_SHUTDOWN_DONE] = "shutdown-done",
        [ACTION_NOTE] = "note",
};

const char *trace_action_name(ActionType type) {
        return action_names[type];
}

/* A line as it grows. What does not fit is left out whole: no number is ever cut. */
typedef struct Line {
        char *buf;
        size_t len;
} Line;

static void add(Line *l, const char *format, ...) PRINTF_LIKE(2, 3);
static void add(Line *l, const char *format, ...) {
        va_list ap;
        int n;

        va_start(ap, format);
        n = vsnprintf(l->buf + l->len, TRACE_LINE_MAX - l->len, format, ap);
        va_end(ap);
        if (n > 0 && (size_t) n < TRACE_LINE_MAX - l->len)
                l->len += (size_t) n;
        l->buf[l->len] = 0;
}

static void add_field(Line *l, const Field *f, const void *base, bool zeros) {
        const void *p = (const char *) base + f->offset;
        uint64_t n = 0;

        if (f->kind == FIELD_NAME) {
                if (*(const char *) p)
                        add(l, " %s=%s", f->name, (const char *) p);
                return;
        }
        if (f->kind == FIELD_I32 && *(const int32_t *) p < 0) {
                add(l, " %s=%" PRId32, f->name, *(const int32_t *) p);
                return;
        }
        if (f->kind == FIELD_U64)
                n = *(const uint64_t *) p;
        else
                n = f->kind == FIELD_BOOL ? *(const bool *) p : *(const uint32_t *) p;
        if (n || zeros)
                add(l, " %s=%" PRIu64, f->name, n);
}

static void add_fields(Line *l, const Field *fields, const void *base) {
        for (const Field *f = fields; f && f->name; f++)
                add_field(l, f, base, false);
}

/* The longest message, every byte of it escaped, fits beside any fields. */
_Static_assert(2 * ERROR_MESSAGE_MAX + 2048 < TRACE_LINE_MAX, "a trace line is too short for an error");

static void add_error(Line *l, const Error *e) {
        if (!e)
                return;
        if (e->code != ERROR_NONE)
                add(l, " error=%s", error_name(e->code));
        if (!e->message[0])
                return;
        add(l, " message=");
        for (const char *s = e->message; *s; s++)
                if (*s == '\n' || *s == '\\')
                        add(l, "\\%c", *s == '\n' ? 'n' : '\\');
                else
                        add(l, "%c", *s);
}

/* Where the fields of its shape are. */
static const void *fields_of(const Event *ev) {
        switch (ev->type) {
        case EVENT_REQUEST: return ev->request.spec;
        case EVENT_ADOPT: return ev->adopt.snapshot;
        default: return (const char *) ev + trace_events[ev->type].offset;
        }
}

static const Error *error_of(const Event *ev) {
        if (ev->type == EVENT_ADOPT)
                return ev->adopt.error;
        return event_has_plain_error(ev->type) ? ev->error : ev->ended.error;
}

const char *trace_event_line(const Event *ev, uint64_t now_usec, char buf[static TRACE_LINE_MAX]) {
        const EventShape *shape = &trace_events[ev->type];
        Line l = { .buf = buf };

        add(&l, "e %" PRIu64 " %s %" PRIu64, now_usec, shape->name, shape->has_query ? ev->query_id : 0);
        add_fields(&l, shape->fields, fields_of(ev));
        if (shape->has_error)
                add_error(&l, error_of(ev));
        return buf;
}

const char *trace_action_line(const Action *a, char buf[static TRACE_LINE_MAX]) {
        Line l = { .buf = buf };

        add(&l, "a %s %" PRIu64, action_names[a->type], a->query_id);
        add_fields(&l, action_fields, a);
        if (a->type == ACTION_NOTE)
                add(&l, " note=%d", (int) a->note);
        add_error(&l, &a->error);
        return buf;
}

const char *trace_start_line(uint64_t first_id, char buf[static TRACE_LINE_MAX]) {
        snprintf(buf, TRACE_LINE_MAX, "start %" PRIu64, first_id);
        return buf;
}

bool trace_config_field(ConfigKey key, Field *ret) {
        static const FieldKind kinds[] = {
                [CONFIG_KIND_COUNT] = FIELD_U64, [CONFIG_KIND_BYTES] = FIELD_U64, [CONFIG_KIND_USEC] = FIELD_U64,
                [CONFIG_KIND_BOOL] = FIELD_BOOL, [CONFIG_KIND_CHOICE] = FIELD_U32,
        };
        const ConfigKeyInfo *k = config_key_info(key);

        if (k->kind == CONFIG_KIND_LIST)
                return false;
        *ret = (Field) { .name = k->name, .kind = kinds[k->kind], .offset = k->offset };
        return true;
}

bool trace_config_line(const Config *c, ConfigKey key, char buf[static TRACE_LINE_MAX]) {
        Line l = { .buf = buf };
        Field f;

        if (!trace_config_field(key, &f))
                return false;
        add(&l, "c");
        add_field(&l, &f, c, true);
        return true;
}
