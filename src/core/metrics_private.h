/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/metrics_private: the registry's insides, for metrics.c, which counts, and metrics_text.c, which prints. */
#pragma once

#include "core/metrics.h"

typedef struct MetricSeries {
        unsigned tuple, own; /* indices; a family's series are sorted by them */
        uint64_t value;      /* of a histogram: the sum */
        uint64_t buckets[METRICS_BUCKETS + 1]; /* of a histogram: each is the count of that bucket alone */
} MetricSeries;

typedef struct MetricTable {
        StrList own; /* values of the family's own label, METRICS_OTHER last if there were too many */
        MetricSeries *v;
        size_t n, allocated;
} MetricTable;

/* The first two tuples are always there: nothing but empty values, and nothing but METRICS_OTHER. */
enum { TUPLE_EMPTY, TUPLE_OTHER, TUPLE_FIRST };

struct Metrics {
        StrList keys;
        StrList tuples; /* labels as they are printed between the braces, escaped; "" when there are no keys */
        size_t tuple_bytes; /* of those from TUPLE_FIRST on */
        MetricTable tables[_METRIC_MAX];
        char *text; /* as last asked for; NULL: never */
        uint64_t text_usec;
};

/* metrics_text.c: the tuple of @labels as text, or that of METRICS_OTHER for every key; free(3) it. NULL: no memory. */
char *metrics_tuple_text(const StrList *keys, const PairList *labels, bool other);
/* The upper bound of bucket @i, in usec. */
uint64_t metrics_bucket_usec(MetricFamily f, unsigned i);
