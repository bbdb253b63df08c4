/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/manager.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "daemon/entry.h"
#include "host/journal.h"
#include "host/state_files.h"

/* An event that waits, with room for what it points to. */
struct PendingEvent {
        Event event;
        Error error;
};

uint64_t manager_now(const Manager *m) {
        struct timespec ts;

        (void) m;
        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t) ts.tv_sec * USEC_PER_SEC + (uint64_t) ts.tv_nsec / 1000;
}

static size_t entry_position(const Manager *m, uint64_t id) {
        size_t low = 0, high = m->n_entries;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (m->entries[middle]->record.id < id)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

Entry *manager_entry(const Manager *m, uint64_t id) {
        size_t i = entry_position(m, id);

        return i < m->n_entries && m->entries[i]->record.id == id ? m->entries[i] : NULL;
}

const QueryRecord *manager_record(const Manager *m, uint64_t id) {
        Entry *e = manager_entry(m, id);

        return e ? &e->record : NULL;
}

static void remove_entry(Manager *m, Entry *e) {
        size_t i = entry_position(m, e->record.id);

        memmove(&m->entries[i], &m->entries[i + 1], (m->n_entries - i - 1) * sizeof(Entry *));
        m->n_entries--;
        entry_free(e);
}

/* The engine keeps so many tombstones; a record goes with its tombstone, or later with its unit. */
static void remember_forgotten(Manager *m, uint64_t id) {
        uint64_t *slot = &m->forgotten[m->n_forgotten++ % MANAGER_TOMBSTONES];
        Entry *oldest = *slot ? manager_entry(m, *slot) : NULL;

        *slot = id;
        if (oldest && !oldest->unit_requested)
                remove_entry(m, oldest);
        else if (oldest)
                oldest->fallen = true;
}

void manager_unit_gone(Manager *m, Entry *e) {
        entry_drop_runtime(e);
        e->unit_requested = false;
        if (e->fallen)
                remove_entry(m, e);
}

static void note(const Action *a) {
        static const struct {
                JournalMessage message;
                int priority;
        } kinds[] = {
                [NOTE_RAISE] = { JOURNAL_RAISE, LOG_INFO },       [NOTE_DENIED] = { JOURNAL_DENIED, LOG_WARNING },
                [NOTE_FREEZE] = { JOURNAL_FREEZE, LOG_NOTICE },   [NOTE_THAW] = { JOURNAL_THAW, LOG_INFO },
                [NOTE_VICTIM] = { JOURNAL_VICTIM, LOG_WARNING },  [NOTE_END] = { JOURNAL_END, LOG_INFO },
                [NOTE_LIMIT_FAILED] = { JOURNAL_LIMIT_FAILED, LOG_ERR },
        };

        journal_write(kinds[a->note].priority, kinds[a->note].message, a->query_id, "Query %llu: %s",
                      (unsigned long long) a->query_id, a->error.message);
}

static void on_state(Manager *m, Entry *e) {
        const Query *q = engine_find(m->engine, e->record.id);

        if (q && query_state_is_end(q->state)) {
                struct timespec ts;

                clock_gettime(CLOCK_REALTIME, &ts);
                e->record.ended_realtime_usec = (uint64_t) ts.tv_sec * USEC_PER_SEC + (uint64_t) ts.tv_nsec / 1000;
                /* Whoever reads the results must see their end even if nothing was ever handed to a worker. */
                entry_close_fd(&e->results_write_fd);
        }
        m->ops->signal(MANAGER_QUERY_STATE, e->record.id, m->ops_userdata);
}

static void on_forget(Manager *m, Entry *e) {
        e->hold_source = sd_event_source_disable_unref(e->hold_source);
        entry_close_fd(&e->hold_fd);
        entry_close_fd(&e->record.results_file_fd);
        results_remove(e->record.id);
        m->ops->signal(MANAGER_QUERY_REMOVED, e->record.id, m->ops_userdata);
        remember_forgotten(m, e->record.id);
}

static void perform(Manager *m, const Action *a) {
        Entry *e = a->query_id ? manager_entry(m, a->query_id) : NULL;

        switch (a->type) {
        case ACTION_ADMITTED:
                e = m->submitting;
                e->record.id = a->query_id;
                m->entries[m->n_entries++] = e; /* IDs rise: it stays sorted; manager_submit() made room */
                m->submitting = NULL;
                m->ops->signal(MANAGER_QUERY_NEW, e->record.id, m->ops_userdata);
                return;
        case ACTION_REFUSED:
                m->submit_error = a->error;
                return;
        case ACTION_SHUTDOWN_DONE:
                m->ops->shutdown_done(&a->error, m->ops_userdata);
                return;
        case ACTION_NOTE:
                note(a);
                return;
        default:
                if (!e)
                        return;
        }
        switch (a->type) {
        case ACTION_START_UNIT:
                manager_start_unit(m, e);
                break;
        case ACTION_RELEASE_UNIT:
                manager_release_unit(m, e);
                break;
        case ACTION_COMPILE:
                manager_compile(m, e);
                break;
        case ACTION_KILL_COMPILE:
                if (e->groups)
                        (void) query_groups_kill(e->groups, true);
                break;
        case ACTION_EXECUTE:
                manager_execute(m, e, a->limits.max_bytes, a->limits.high_bytes);
                break;
        case ACTION_SET_LIMITS:
                manager_set_limits(m, e, a->limits.max_bytes, a->limits.high_bytes);
                break;
        case ACTION_SAMPLE:
                e->woken_usec = manager_now(m);
                manager_sample(m, e);
                break;
        case ACTION_FREEZE:
        case ACTION_THAW:
                if (e->groups)
                        (void) query_groups_freeze(e->groups, a->type == ACTION_FREEZE);
                break;
        case ACTION_TERMINATE:
                if (e->groups)
                        (void) query_groups_signal(e->groups, SIGTERM);
                break;
        case ACTION_KILL:
                if (e->groups)
                        (void) query_groups_kill(e->groups, false);
                break;
        case ACTION_STATE:
                on_state(m, e);
                break;
        case ACTION_FORGET:
                on_forget(m, e);
                break;
        default:
                break;
        }
}

static void arm_timer(Manager *m) {
        uint64_t deadline = engine_deadline(m->engine);

        if (deadline == USEC_INFINITY) {
                sd_event_source_set_enabled(m->timer, SD_EVENT_OFF);
                return;
        }
        sd_event_source_set_time(m->timer, deadline);
        sd_event_source_set_enabled(m->timer, SD_EVENT_ONESHOT);
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata) {
        (void) s;
        (void) usec;
        manager_feed(userdata, &(Event) { .type = EVENT_TICK });
        return 0;
}

/* Keep a copy of @ev and of what it points to. Out of memory the event is lost only if the engine can be told later
 * from the same source again; the caller of a request or a reload is always fed at once. */
static int push(Manager *m, const Event *ev) {
        struct PendingEvent *p;

        if (m->n_pending == m->pending_allocated) {
                size_t n = MAX(2 * m->pending_allocated, 64u);

                p = realloc(m->pending, n * sizeof(*p));
                if (!p)
                        return -ENOMEM;
                m->pending = p;
                m->pending_allocated = n;
        }
        p = &m->pending[m->n_pending++];
        p->event = *ev;
        if (ev->type == EVENT_UNIT_FAILED && ev->error)
                p->error = *ev->error;
        else if ((ev->type == EVENT_ENDED || ev->type == EVENT_COMPILED) && ev->ended.error)
                p->error = *ev->ended.error;
        else
                p->error = (Error) {};
        return 0;
}

static void step(Manager *m, struct PendingEvent *p) {
        CLEANUP(actions_done) ActionList actions = {};
        int r;

        if (p->event.type == EVENT_UNIT_FAILED)
                p->event.error = &p->error;
        else if (p->event.type == EVENT_ENDED || p->event.type == EVENT_COMPILED)
                p->event.ended.error = &p->error;
        r = engine_step(m->engine, &p->event, manager_now(m), &actions);
        if (r < 0)
                journal_write(LOG_ERR, JOURNAL_PLAIN, p->event.query_id, "Out of memory: an event was not handled");
        for (size_t i = 0; i < actions.n; i++)
                perform(m, &actions.v[i]);
}

void manager_feed(Manager *m, const Event *ev) {
        if (push(m, ev) < 0) {
                journal_write(LOG_ERR, JOURNAL_PLAIN, ev->query_id, "Out of memory: an event was lost");
                return;
        }
        if (m->draining)
                return;
        m->draining = true;
        for (size_t i = 0; i < m->n_pending; i++) {
                struct PendingEvent p = m->pending[i]; /* the array may move while the step is performed */

                step(m, &p);
        }
        m->n_pending = 0;
        m->draining = false;
        arm_timer(m);
}

void manager_fail(Manager *m, Entry *e, ErrorCode code, const char *message) {
        Error error = {};

        error_set(&error, code, "%s", message);
        manager_feed(m, &(Event) { .type = EVENT_UNIT_FAILED, .query_id = e->record.id, .error = &error });
        if (!e->unit_requested)
                entry_drop_runtime(e);
}

int manager_reload(Manager *m, Error *ret_error) {
        LanguageSet languages = {};
        Config config;
        int r;

        r = config_files_load(m->config_root, m->config_file, NULL, NULL, &config, ret_error);
        if (r < 0)
                return r;
        r = config_files_load_languages(m->config_root, NULL, NULL, &languages);
        if (r < 0) {
                config_done(&config);
                return error_set(ret_error, ERROR_INTERNAL, "the languages can't be read: %s", strerror(-r));
        }
        config_done(m->config);
        config_move(m->config, &config);
        language_set_done(m->languages);
        *m->languages = languages;
        manager_feed(m, &(Event) { .type = EVENT_CONFIG, .config = m->config });
        journal_write(LOG_INFO, JOURNAL_CONFIG, 0, "Configuration read again");
        return systemd_slice_set(m->systemd, manager_slice_bytes(m),
                                 m->config->concurrency_quota == UINT64_MAX
                                                 ? 0
                                                 : m->config->concurrency_quota * m->config->initial_bytes,
                                 NULL, NULL);
}

const Engine *manager_engine(const Manager *m) {
        return m->engine;
}

const Config *manager_config(const Manager *m) {
        return m->config;
}

const LanguageSet *manager_languages(const Manager *m) {
        return m->languages;
}

void manager_memory_now(Manager *m, uint64_t id, uint64_t *ret_current_bytes, uint64_t *ret_peak_bytes) {
        Entry *e = manager_entry(m, id);
        Sample s = {};
        FinalNumbers n = {};

        *ret_current_bytes = *ret_peak_bytes = 0;
        if (!e || !e->groups || query_groups_sample(e->groups, &s) < 0)
                return;
        *ret_current_bytes = s.current_bytes;
        if (query_groups_final(e->groups, &n) == 0)
                *ret_peak_bytes = n.memory_peak_bytes;
}

/* Ready when the slice has its limit and nothing of an earlier life runs any more: only then is the sum ours. */
static void maybe_ready(Manager *m) {
        Error none = {};

        if (m->ready || !m->listed || !m->slice_set || m->n_stale > 0)
                return;
        m->ready = true;
        m->on_ready(0, &none, m->ready_userdata);
}

void manager_stale_gone(Manager *m) {
        if (m->n_stale > 0)
                m->n_stale--;
        maybe_ready(m);
}

static void on_stale_unit(uint64_t id, const char *active_state, void *userdata) {
        Manager *m = userdata;

        if (manager_entry(m, id))
                return;
        journal_write(LOG_NOTICE, JOURNAL_PLAIN, id, "Query %llu is of an earlier penstockd (%s): it is stopped",
                      (unsigned long long) id, active_state);
        if (systemd_unit_stop(m->systemd, id) >= 0)
                m->n_stale++;
}

static void on_listed(int r, void *userdata) {
        Manager *m = userdata;
        Error error = {};

        if (r < 0) {
                error_set(&error, ERROR_INTERNAL, "PID 1 does not list its units: %s", strerror(-r));
                m->on_ready(r, &error, m->ready_userdata);
                return;
        }
        m->listed = true;
        maybe_ready(m);
}

static void on_slice(int r, void *userdata) {
        Manager *m = userdata;
        Error error = {};

        if (r < 0) {
                error_set(&error, ERROR_INTERNAL, "penstock.slice can't be set up: %s", strerror(-r));
                m->on_ready(r, &error, m->ready_userdata);
                return;
        }
        m->slice_set = true;
        maybe_ready(m);
}

static int manager_start(Manager *m, const ManagerSetup *setup, Error *ret_error) {
        int r;

        r = cgroup_host_init(ret_error);
        if (r < 0)
                return r;
        r = engine_new(m->config, state_first_id(), &m->engine);
        if (r >= 0)
                r = sd_event_add_time(m->event, &m->timer, CLOCK_MONOTONIC, USEC_INFINITY, 1, on_timer, m);
        if (r >= 0)
                r = sd_event_source_set_enabled(m->timer, SD_EVENT_OFF);
        if (r >= 0)
                r = systemd_link_new(m->bus, &manager_systemd_ops, m, &m->systemd);
        if (r >= 0)
                r = worker_link_new(m->event, setup->worker_listen_fd, &manager_worker_callbacks, m, &m->workers);
        if (r >= 0)
                r = systemd_slice_set(m->systemd, manager_slice_bytes(m),
                                      m->config->concurrency_quota == UINT64_MAX
                                                      ? 0
                                                      : m->config->concurrency_quota * m->config->initial_bytes,
                                      on_slice, m);
        if (r >= 0)
                r = systemd_list_units(m->systemd, on_stale_unit, on_listed, m);
        if (r < 0)
                error_set(ret_error, ERROR_INTERNAL, "penstockd can't start: %s", strerror(-r));
        return r;
}

int manager_new(const ManagerSetup *setup, const ManagerOps *ops, void *ops_userdata,
                void (*on_ready)(int r, const Error *error, void *userdata), void *ready_userdata, Manager **ret,
                Error *ret_error) {
        Manager *m = calloc(1, sizeof(*m));
        int r;

        if (!m)
                return error_set(ret_error, ERROR_INTERNAL, "out of memory");
        m->event = sd_event_ref(setup->event);
        m->bus = setup->bus;
        m->config = setup->config;
        m->languages = setup->languages;
        m->config_root = setup->config_root ? strdup(setup->config_root) : NULL;
        m->config_file = setup->config_file ? strdup(setup->config_file) : NULL;
        m->ops = ops;
        m->ops_userdata = ops_userdata;
        m->on_ready = on_ready;
        m->ready_userdata = ready_userdata;
        r = manager_start(m, setup, ret_error);
        if (r < 0) {
                manager_free(m);
                return r;
        }
        *ret = m;
        return 0;
}

Manager *manager_free(Manager *m) {
        if (!m)
                return NULL;
        for (size_t i = 0; i < m->n_entries; i++)
                entry_free(m->entries[i]);
        free(m->entries);
        free(m->pending);
        worker_link_free(m->workers);
        systemd_link_free(m->systemd);
        sd_event_source_disable_unref(m->timer);
        engine_free(m->engine);
        sd_event_unref(m->event);
        config_done(m->config);
        free(m->config);
        language_set_done(m->languages);
        free(m->languages);
        free(m->config_root);
        free(m->config_file);
        free(m);
        return NULL;
}
