/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* StubManager: daemon/manager.h without a host. The engine is the real one; actions that would touch the host are
 * dropped. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "test-bus-bench.h"

static void perform(Manager *m, const Action *a) {
        switch (a->type) {
        case ACTION_ADMITTED:
                assert_true(a->query_id <= STUB_RECORDS_MAX);
                m->submitting->record.id = a->query_id;
                m->records[a->query_id] = *m->submitting;
                m->submitting = NULL;
                m->ops->signal(MANAGER_QUERY_NEW, a->query_id, m->ops_userdata);
                break;
        case ACTION_REFUSED: m->refused = a->error; break;
        case ACTION_STATE: m->ops->signal(MANAGER_QUERY_STATE, a->query_id, m->ops_userdata); break;
        case ACTION_FORGET: m->ops->signal(MANAGER_QUERY_REMOVED, a->query_id, m->ops_userdata); break;
        case ACTION_SHUTDOWN_DONE: m->ops->shutdown_done(&a->error, m->ops_userdata); break;
        default: break;
        }
}

void manager_feed(Manager *m, const Event *ev) {
        ActionList actions = {};

        assert_int_equal(engine_step(m->engine, ev, m->now_usec, &actions), 0);
        for (size_t i = 0; i < actions.n; i++)
                perform(m, &actions.v[i]);
        actions_done(&actions);
}

int manager_submit(Manager *m, Request *r, SubmitFds *fds, bool allow_priority, Submitted *ret, Error *ret_error) {
        StubRecord new = { .record = { .request = *r, .created_realtime_usec = 1, .results_file_fd = -1 },
                           .stdin_fd = fds->stdin_fd,
                           .stderr_fd = fds->stderr_fd,
                           .allow_priority = allow_priority };
        QuerySpec spec = { .uid = r->uid,
                           .priority = r->priority,
                           .initial_bytes = r->memory_initial_bytes,
                           .max_bytes = r->memory_max_bytes,
                           .timeout_usec = r->timeout_usec,
                           .queue_timeout_usec = r->queue_timeout_usec,
                           .detached = r->detach,
                           .allow_priority = allow_priority };
        Event ev = { .type = EVENT_REQUEST, .request = { .spec = &spec } };
        int results[2], hold[2];

        m->n_submits++;
        snprintf(spec.language, sizeof(spec.language), "%s", r->language);
        *r = (Request) REQUEST_INIT;
        *fds = (SubmitFds) { -1, -1 };
        m->submitting = &new;
        m->refused = (Error) {};
        manager_feed(m, &ev);
        if (m->refused.code != ERROR_NONE) {
                request_done(&new.record.request);
                *ret_error = m->refused;
                return -error_errno(m->refused.code);
        }
        assert_return_code(pipe2(results, O_CLOEXEC), errno);
        assert_return_code(pipe2(hold, O_CLOEXEC), errno);
        close(results[1]);
        close(hold[0]);
        *ret = (Submitted) { .id = new.record.id, .results_fd = results[0], .hold_fd = hold[1] };
        return 0;
}

void stub_manager_done(Manager *m) {
        for (size_t i = 0; i <= STUB_RECORDS_MAX; i++) {
                StubRecord *r = &m->records[i];

                if (r->record.id == 0)
                        continue;
                request_done(&r->record.request);
                free(r->record.stderr_tail);
                if (r->record.results_file_fd >= 0)
                        close(r->record.results_file_fd);
                if (r->stdin_fd >= 0)
                        close(r->stdin_fd);
                if (r->stderr_fd >= 0)
                        close(r->stderr_fd);
        }
        engine_free(m->engine);
        history_free(m->history);
        config_done(&m->config);
}

int manager_reload(Manager *m, Error *ret_error) {
        m->n_reloads++;
        *ret_error = m->reload_error;
        return -error_errno(m->reload_error.code);
}

void manager_note_refusal(Manager *m, const uid_t *uid, const Error *error) {
        m->n_refusals++;
        m->last_refusal = *error;
        m->last_refusal_uid = uid ? *uid : UINT32_MAX;
}

const Engine *manager_engine(const Manager *m) {
        return m->engine;
}

const Config *manager_config(const Manager *m) {
        return &m->config;
}

const LanguageSet *manager_languages(const Manager *m) {
        return &m->languages;
}

const QueryRecord *manager_record(const Manager *m, uint64_t id) {
        return id <= STUB_RECORDS_MAX && m->records[id].record.id == id ? &m->records[id].record : NULL;
}

const char *manager_wait_reason(Manager *m, const Query *q, char *buf, size_t len) {
        return engine_wait_reason(m->engine, q, buf, len);
}

uint64_t manager_now(const Manager *m) {
        return m->now_usec;
}

void manager_memory_now(Manager *m, uint64_t id, uint64_t *ret_current_bytes, uint64_t *ret_peak_bytes) {
        (void) m, (void) id;
        *ret_current_bytes = 12345;
        *ret_peak_bytes = 23456;
}

int manager_history_ask(Manager *m, HistoryFilter *f, HistoryAnswer answer, void *userdata, HistoryQuestion **ret) {
        if (!m->hold_history)
                return m->history ? history_ask(m->history, f, answer, userdata, ret) : -ENODATA;
        *ret = NULL;
        return 0;
}

int manager_metrics(Manager *m, const char **ret) {
        m->n_metrics++;
        *ret = "# TYPE penstock_stub gauge\npenstock_stub{team=\"\xc3\xa4\"} 1\n";
        return 0;
}

void manager_count_refusal(Manager *m, const PairList *labels, ErrorCode code) {
        assert_null(labels);
        m->counted[m->n_counted++ % ELEMENTSOF(m->counted)] = code;
}

void manager_numbers_now(Manager *m, uint64_t id, FinalNumbers *ret, uint64_t *ret_need_bytes) {
        (void) m, (void) id;
        *ret = (FinalNumbers) { .cpu_usec = 33, .stall_usec = 44 };
        *ret_need_bytes = 55;
}
