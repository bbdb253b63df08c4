/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the manager counts, and the text of it. core/metrics says what each number means. */
#include "daemon/spares.h"

static const PairList *labels_of(uint64_t query_id, void *userdata) {
        const Entry *e = manager_entry(userdata, query_id);

        return e ? &e->record.request.labels : NULL;
}

int manager_metrics_new(Manager *m) {
        int r = metrics_new(&m->config->metric_label_keys, &m->metrics);

        if (r >= 0)
                metrics_set(m->metrics, METRIC_BUILD_INFO, NULL, PENSTOCK_VERSION, 1);
        return r;
}

void manager_count_note(Manager *m, const Action *a) {
        metrics_noted(m->metrics, a->note, engine_find(m->engine, a->query_id), labels_of(a->query_id, m));
}

void manager_count_refusal(Manager *m, const PairList *labels, ErrorCode code) {
        metrics_refused(m->metrics, code, labels);
}

void manager_count_check(Manager *m, const char *dependency, uint64_t usec, bool failed) {
        metrics_add(m->metrics, METRIC_DEPENDENCY_CHECKS, NULL, dependency, 1);
        metrics_add(m->metrics, METRIC_DEPENDENCY_CHECKS_FAILED, NULL, dependency, failed);
        metrics_add(m->metrics, METRIC_DEPENDENCY_CHECK_TIME, NULL, dependency, usec);
}

void manager_count_release(Manager *m, const char *dependency, bool failed) {
        metrics_add(m->metrics, METRIC_DEPENDENCY_RELEASES, NULL, dependency, 1);
        metrics_add(m->metrics, METRIC_DEPENDENCY_RELEASES_FAILED, NULL, dependency, failed);
}

static void count_holders(Manager *m) {
        metrics_clear(m->metrics, METRIC_DEPENDENCY_ACTIVE);
        for (size_t i = 0; i < m->config->dependencies.n; i++)
                metrics_add(m->metrics, METRIC_DEPENDENCY_ACTIVE, NULL, m->config->dependencies.v[i].name, 0);
        for (const Query *q = engine_next(m->engine, NULL); q; q = engine_next(m->engine, q)) {
                const Entry *e = q->dependencies == DEPENDENCIES_HELD ? manager_entry(m, q->id) : NULL;

                for (size_t i = 0; e && i < e->record.dependencies.n; i++)
                        metrics_add(m->metrics, METRIC_DEPENDENCY_ACTIVE, NULL, e->record.dependencies.v[i], 1);
        }
}

static void refresh(void *userdata) {
        Manager *m = userdata;

        metrics_take_stock(m->metrics, m->engine, m->config, labels_of, m);
        count_holders(m);
        manager_history_count(m);
        metrics_set(m->metrics, METRIC_UNITS, NULL, NULL, manager_units(m));
        metrics_set(m->metrics, METRIC_UNIT_STARTS_ALLOWED, NULL, NULL, m->pace.allowed);
        metrics_set(m->metrics, METRIC_SPARE_UNITS, NULL, NULL, spares_count(m));
}

int manager_metrics(Manager *m, const char **ret) {
        return metrics_text(m->metrics, manager_now(m), refresh, m, ret);
}
