/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The manager's start: links to the kernel, PID 1 and the workers; the slice; and what an earlier life left. */
#include <errno.h>
#include <string.h>

#include "daemon/dependencies.h"
#include "daemon/spares.h"
#include "host/journal.h"
#include "host/state_files.h"

/* Whoever may still be asked for its results is known, also when they could not be opened this time. No query will have the ID of one
 * that is left to the remover: see state_first_id(), and no spare of an earlier life is taken over. */
static void remove_if_unknown(uint64_t id, void *userdata) {
        Manager *m = userdata;
        const Entry *e = manager_entry(m, id);

        if (!e || !e->record.request.detach || engine_is_tombstone(m->engine, id))
                remover_submit(m->remover, id);
}

/* Ready when the slice has its limit and nothing unknown of an earlier life runs any more: only then is the sum ours. */
void manager_maybe_ready(Manager *m) {
        Error none = {};

        if (m->ready || m->failed || !m->listed || !m->slice_set || m->n_stale > 0 || m->n_awaited > 0)
                return;
        if (manager_take_over_all(m) < 0)
                return;
        m->ready = true;
        manager_adopt_all(m);
        if (manager_slice_bytes(m) > m->slice_bytes) /* they hold more than a budget that is smaller now */
                (void) manager_set_slice(m, 0, NULL);
        state_set(STATE_HELD, false);
        state_set(STATE_STOPPED, false);
        manager_look_for_leftovers(m);
        (void) results_list(remove_if_unknown, m); /* else the next one removes them */
        if (state_is(STATE_SHUT_DOWN)) {
                journal_write(LOG_NOTICE, JOURNAL_PLAIN, 0,
                              "Shutdown was called before the crash: no queries are accepted until penstockd.service is "
                              "restarted");
                /* Those that run were to finish; the time that they had is not known any more. */
                manager_feed(m, &(Event) { .type = EVENT_SHUTDOWN, .shutdown_usec = USEC_INFINITY });
        }
        m->on_ready(0, &none, m->ready_userdata);
}

void manager_fail_start(Manager *m, int r, const Error *error) {
        if (m->failed)
                return;
        m->failed = true;
        m->on_ready(r, error, m->ready_userdata);
}

void manager_stale_gone(Manager *m) {
        if (m->n_stale > 0)
                m->n_stale--;
        manager_maybe_ready(m);
}

static void on_unit_of_old(uint64_t id, const char *active_state, void *userdata) {
        (void) active_state;
        manager_gather_unit(userdata, id);
}

static void on_listed(int r, void *userdata) {
        Manager *m = userdata;
        Error error = {};

        if (r < 0) {
                error_set(&error, ERROR_INTERNAL, "PID 1 does not list its units: %s", strerror(-r));
                manager_fail_start(m, r, &error);
                return;
        }
        r = manager_gather_begin_waiting(m);
        if (r < 0) {
                error_set(&error, ERROR_INTERNAL, "the workers of queries can't be waited for: %s", strerror(-r));
                manager_fail_start(m, r, &error);
                return;
        }
        m->listed = true;
        manager_maybe_ready(m);
}

static void on_slice(int r, void *userdata) {
        Manager *m = userdata;
        Error error = {};

        m->slice_cap_bytes = SIZE_INFINITY; /* what was in force before is not known to be anybody's word */
        manager_slice_settled(m, r);
        if (r < 0) {
                error_set(&error, ERROR_INTERNAL, "penstock.slice can't be set up: %s", strerror(-r));
                manager_fail_start(m, r, &error);
                return;
        }
        m->slice_set = true;
        manager_maybe_ready(m);
}

/* Not less than it has while queries of an earlier life run in it: what they hold is not known yet. It is lowered when it is. */
static uint64_t slice_in_use(const Manager *m) {
        uint64_t bytes = 0;

        if (m->n_adoptions == 0 || cgroup_read_value("/" SYSTEMD_SLICE, "memory.max", &bytes) < 0 || bytes == SIZE_INFINITY)
                return 0;
        return bytes;
}

static int manager_start(Manager *m, const ManagerSetup *setup, Error *ret_error) {
        uint64_t first_id;
        int r;

        r = cgroup_host_init(ret_error);
        if (r < 0)
                return r;
        r = state_first_id(&first_id);
        if (r >= 0)
                r = engine_new(m->config, first_id, &m->engine);
        if (r >= 0)
                r = manager_metrics_new(m);
        if (r >= 0)
                manager_trace_begin(m);
        if (r >= 0)
                manager_history_begin(m);
        if (r >= 0)
                r = sd_event_add_time(m->event, &m->timer, CLOCK_MONOTONIC, USEC_INFINITY, 1, manager_on_timer, m);
        if (r >= 0) /* the next sample of one that grows waits for nobody's messages */
                r = sd_event_source_set_priority(m->timer, EVENTS_PRIORITY);
        if (r >= 0)
                r = sd_event_source_set_enabled(m->timer, SD_EVENT_OFF);
        if (r >= 0)
                r = manager_reserve_events(m, 0);
        if (r >= 0)
                r = manager_limits_new(m);
        if (r >= 0)
                r = group_maker_new(m->event, manager_on_groups_made, m, &m->group_maker);
        if (r >= 0)
                r = remover_new(m->event, results_remove, &m->remover);
        if (r >= 0)
                r = manager_gather(m, setup->stored);
        if (r >= 0)
                r = systemd_link_new(m->systemd_bus, &manager_systemd_ops, m, &m->systemd);
        if (r >= 0)
                r = worker_link_new(m->event, setup->worker_listen_fd, &manager_worker_callbacks, m, &m->workers);
        if (r >= 0)
                r = manager_set_slice(m, slice_in_use(m), on_slice);
        if (r >= 0)
                r = systemd_list_units(m->systemd, on_unit_of_old, on_listed, m);
        if (r < 0)
                error_set(ret_error, ERROR_INTERNAL, "penstockd can't start: %s", strerror(-r));
        return r;
}

int manager_new(const ManagerSetup *setup, const ManagerOps *ops, void *ops_userdata,
                void (*on_ready)(int r, const Error *error, void *userdata), void *ready_userdata, Manager **ret,
                Error *ret_error) {
        Manager *m = calloc(1, sizeof(*m));
        int r;

        if (!m) {
                config_done(setup->config);
                free(setup->config);
                language_set_done(setup->languages);
                free(setup->languages);
                return error_set(ret_error, ERROR_INTERNAL, "out of memory");
        }
        m->event = sd_event_ref(setup->event);
        m->systemd_bus = setup->systemd_bus;
        m->notify = setup->notify;
        m->config = setup->config;
        m->languages = setup->languages;
        m->config_root = setup->config_root ? strdup(setup->config_root) : NULL;
        m->config_file = setup->config_file ? strdup(setup->config_file) : NULL;
        m->slice_cap_bytes = m->cap_bytes = SIZE_INFINITY;
        m->again_usec = m->spares_due_usec = m->slice_due_usec = USEC_INFINITY;
        m->mounts = (Mounts) MOUNTS_INIT;
        m->pace = PACE_INIT;
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
        m->leaves = true; /* what is still kept is for another life */
        spares_end(m);
        manager_record_profiles(m);
        manager_drop_checks(m);
        manager_drop_releases(m);
        lower_free(m->lower);
        m->group_maker = group_maker_free(m->group_maker);
        m->remover = remover_free(m->remover);
        m->history = history_free(m->history);
        sd_event_source_disable_unref(m->leftover_timer);
        sd_event_source_disable_unref(m->slice_watch);
        sd_event_source_disable_unref(m->gather_timer);
        manager_adoptions_free(m);
        for (size_t i = 0; i < m->n_entries; i++)
                entry_free(m->entries[i]);
        free(m->entries);
        free(m->pending);
        actions_done(&m->actions);
        worker_link_free(m->workers);
        systemd_link_free(m->systemd);
        sd_event_source_disable_unref(m->timer);
        manager_trace_end(m);
        engine_free(m->engine);
        metrics_free(m->metrics);
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
