/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The manager's start: links to the kernel, PID 1 and the workers; the slice; and what an earlier life left. */
#include <errno.h>
#include <string.h>

#include "daemon/dependencies.h"
#include "host/journal.h"
#include "host/state_files.h"

/* Ready when the slice has its limit and nothing of an earlier life runs any more: only then is the sum ours. */
static void maybe_ready(Manager *m) {
        Error none = {};

        if (m->ready || !m->listed || !m->slice_set || m->n_stale > 0)
                return;
        m->ready = true;
        results_remove_all(); /* of queries that nobody knows any more */
        if (state_is_shut_down()) {
                journal_write(LOG_NOTICE, JOURNAL_PLAIN, 0,
                              "Shutdown was called before the crash: no queries are accepted until penstockd.service is "
                              "restarted");
                manager_feed(m, &(Event) { .type = EVENT_SHUTDOWN, .shutdown_usec = 0 });
        }
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

int manager_set_slice(Manager *m, uint64_t at_least_bytes, void (*on_done)(int r, void *userdata)) {
        const Config *c = m->config;
        uint64_t bytes = MAX(manager_slice_bytes(m), at_least_bytes);
        uint64_t low = c->concurrency_quota == UINT64_MAX ? 0 : c->concurrency_quota * c->initial_bytes;
        int r = systemd_slice_set(m->systemd, bytes, low, on_done, m);

        if (r >= 0)
                m->slice_bytes = bytes;
        return r;
}

static int manager_start(Manager *m, const ManagerSetup *setup, Error *ret_error) {
        int r;

        r = cgroup_host_init(ret_error);
        if (r < 0)
                return r;
        r = engine_new(m->config, state_first_id(), &m->engine);
        if (r >= 0)
                r = manager_metrics_new(m);
        if (r >= 0)
                manager_trace_begin(m);
        if (r >= 0)
                r = sd_event_add_time(m->event, &m->timer, CLOCK_MONOTONIC, USEC_INFINITY, 1, manager_on_timer, m);
        if (r >= 0)
                r = sd_event_source_set_enabled(m->timer, SD_EVENT_OFF);
        if (r >= 0)
                r = systemd_link_new(m->systemd_bus, &manager_systemd_ops, m, &m->systemd);
        if (r >= 0)
                r = worker_link_new(m->event, setup->worker_listen_fd, &manager_worker_callbacks, m, &m->workers);
        if (r >= 0)
                r = manager_set_slice(m, 0, on_slice);
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
        m->systemd_bus = setup->systemd_bus;
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
        manager_drop_checks(m);
        manager_drop_releases(m);
        for (size_t i = 0; i < m->n_entries; i++)
                entry_free(m->entries[i]);
        free(m->entries);
        free(m->pending);
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
