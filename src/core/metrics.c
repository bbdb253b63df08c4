/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/metrics_private.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

static size_t strlist_find(const StrList *l, const char *s) {
        size_t i = 0;

        while (i < l->n && strcmp(l->v[i], s) != 0)
                i++;
        return i;
}

/* The index of @labels' tuple, which is added if there is room for one more. */
static unsigned tuple_index(Metrics *m, const PairList *labels) {
        CLEANUP(freep) char *text = NULL;
        size_t i, len;

        if (!labels || m->keys.n == 0)
                return TUPLE_EMPTY;
        text = metrics_tuple_text(&m->keys, labels, false);
        if (!text)
                return TUPLE_OTHER;
        i = strlist_find(&m->tuples, text);
        if (i < m->tuples.n)
                return (unsigned) i;
        len = strlen(text);
        if (m->tuples.n >= TUPLE_FIRST + METRICS_TUPLES_MAX || len > METRICS_LABELS_BYTES_MAX - m->tuple_bytes ||
            strlist_add(&m->tuples, text) < 0)
                return TUPLE_OTHER;
        m->tuple_bytes += len;
        return (unsigned) i;
}

bool metrics_knows(const Metrics *m, const PairList *labels) {
        CLEANUP(freep) char *text = metrics_tuple_text(&m->keys, labels, false);

        return text && strlist_find(&m->tuples, text) < m->tuples.n;
}

/* The index of @own among the values of the family's own label. Returns 0 or -ENOMEM. */
static int own_index(MetricTable *t, const char *own, unsigned *ret) {
        size_t i = strlist_find(&t->own, own);

        if (i == t->own.n && i >= METRICS_OWN_MAX) {
                own = METRICS_OTHER;
                i = strlist_find(&t->own, own);
        }
        if (i == t->own.n && strlist_add(&t->own, own) < 0)
                return -ENOMEM;
        *ret = (unsigned) i;
        return 0;
}

/* Where the series is, or would be. */
static size_t series_position(const MetricTable *t, unsigned tuple, unsigned own) {
        size_t low = 0, high = t->n;

        while (low < high) {
                size_t middle = low + (high - low) / 2;
                const MetricSeries *s = &t->v[middle];

                if (s->tuple < tuple || (s->tuple == tuple && s->own < own))
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

static bool series_is_at(const MetricTable *t, size_t i, unsigned tuple, unsigned own) {
        return i < t->n && t->v[i].tuple == tuple && t->v[i].own == own;
}

static MetricSeries *series_insert(MetricTable *t, size_t i) {
        if (t->n == t->allocated) {
                size_t n = MAX(2 * t->allocated, 4u);
                MetricSeries *v = realloc(t->v, n * sizeof(*v));

                if (!v)
                        return NULL;
                t->v = v;
                t->allocated = n;
        }
        memmove(&t->v[i + 1], &t->v[i], (t->n - i) * sizeof(*t->v));
        t->n++;
        t->v[i] = (MetricSeries) {};
        return &t->v[i];
}

/* Find a series, or make it. NULL: no memory. */
static MetricSeries *series_get(Metrics *m, MetricFamily f, const PairList *labels, const char *own) {
        MetricTable *t = &m->tables[f];
        unsigned tuple = tuple_index(m, labels), o = 0;
        MetricSeries *s;
        size_t i;

        assert(!own == !metric_info(f)->own);
        if (own && own_index(t, own, &o) < 0)
                return NULL;
        i = series_position(t, tuple, o);
        if (series_is_at(t, i, tuple, o))
                return &t->v[i];
        s = series_insert(t, i);
        if (s) {
                s->tuple = tuple;
                s->own = o;
        }
        return s;
}

/* What there is from the start, so that the first count is a change from 0 and not a new series. */
static bool add_first_series(Metrics *m) {
        bool good = true;

        for (unsigned f = 0; f < _METRIC_MAX; f++)
                if (!metric_info(f)->own)
                        good = series_get(m, (MetricFamily) f, NULL, NULL) && good;
        return good;
}

int metrics_new(const StrList *label_keys, Metrics **ret) {
        CLEANUP(freep) char *empty = metrics_tuple_text(label_keys, NULL, false);
        CLEANUP(freep) char *other = metrics_tuple_text(label_keys, NULL, true);
        Metrics *m = calloc(1, sizeof(*m));

        if (!m || !empty || !other || strlist_copy(label_keys, &m->keys) < 0 || strlist_add(&m->tuples, empty) < 0 ||
            strlist_add(&m->tuples, other) < 0 || !add_first_series(m)) {
                metrics_free(m);
                return -ENOMEM;
        }
        *ret = m;
        return 0;
}

Metrics *metrics_free(Metrics *m) {
        if (!m)
                return NULL;
        for (unsigned f = 0; f < _METRIC_MAX; f++) {
                MetricTable *t = &m->tables[f];

                free(t->v);
                strlist_done(&t->own);
        }
        free(m->text);
        strlist_done(&m->keys);
        strlist_done(&m->tuples);
        free(m);
        return NULL;
}

void metrics_add(Metrics *m, MetricFamily f, const PairList *labels, const char *own, uint64_t n) {
        MetricSeries *s = series_get(m, f, labels, own);

        assert(metric_info(f)->type != METRIC_HISTOGRAM);
        if (s)
                s->value = add_saturating(s->value, n);
}

void metrics_set(Metrics *m, MetricFamily f, const PairList *labels, const char *own, uint64_t value) {
        MetricSeries *s = series_get(m, f, labels, own);

        assert(metric_info(f)->type == METRIC_GAUGE);
        if (s)
                s->value = value;
}

void metrics_observe(Metrics *m, MetricFamily f, const PairList *labels, const char *own, uint64_t usec) {
        MetricSeries *s = series_get(m, f, labels, own);
        unsigned i = 0;

        assert(metric_info(f)->type == METRIC_HISTOGRAM);
        if (!s)
                return;
        while (i < METRICS_BUCKETS && usec > metrics_bucket_usec(f, i))
                i++;
        s->buckets[i] = add_saturating(s->buckets[i], 1);
        s->value = add_saturating(s->value, usec);
}

void metrics_clear(Metrics *m, MetricFamily f) {
        assert(metric_info(f)->type == METRIC_GAUGE);
        for (size_t i = 0; i < m->tables[f].n; i++)
                m->tables[f].v[i].value = 0;
}
