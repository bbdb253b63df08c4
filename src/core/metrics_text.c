/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The registry as text: https://prometheus.io/docs/instrumenting/exposition_formats/, version 0.0.4. */
#include "core/metrics_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

uint64_t metrics_bucket_usec(MetricFamily f, unsigned i) {
        uint64_t bound = metric_info(f)->first_bucket_usec;

        while (i-- > 0)
                bound *= METRICS_BUCKET_FACTOR;
        return bound;
}

/* A value between quotes. Backslash, quote and newline are escaped as the format says. Other control characters, C1's
 * included, become '?': penstockctl prints them to a terminal, and the value is a client's. */
static char *append_escaped(char *p, const char *s) {
        bool utf8 = utf8_is_valid(s, strlen(s));

        for (; *s; s++) {
                unsigned char c = (unsigned char) *s;

                if (c == '\\' || c == '"' || c == '\n') {
                        *p++ = '\\';
                        *p++ = (char) (c == '\n' ? 'n' : c);
                } else if (c < 0x20 || c == 0x7f || (c >= 0x80 && !utf8))
                        *p++ = '?';
                else if (c == 0xc2 && (unsigned char) s[1] < 0xa0) {
                        *p++ = '?';
                        s++;
                } else
                        *p++ = (char) c;
        }
        return p;
}

char *metrics_tuple_text(const StrList *keys, const PairList *labels, bool other) {
        size_t size = 1;
        char *text, *p;

        for (size_t i = 0; i < keys->n; i++) {
                const char *value = labels ? pairlist_get(labels, keys->v[i]) : NULL;

                size += strlen(keys->v[i]) + strlen(",=\"\"") + 2 * MAX(value ? strlen(value) : 0, strlen(METRICS_OTHER));
        }
        p = text = malloc(size);
        if (!text)
                return NULL;
        for (size_t i = 0; i < keys->n; i++) {
                const char *value = other ? METRICS_OTHER : labels ? pairlist_get(labels, keys->v[i]) : NULL;

                p += sprintf(p, "%s%s=\"", i > 0 ? "," : "", keys->v[i]);
                p = append_escaped(p, value ? value : "");
                *p++ = '"';
        }
        *p = '\0';
        return text;
}

/* One line: name, labels and what the caller prints behind them. @le: of a histogram's bucket, else NULL. */
static void print_head(FILE *out, const Metrics *m, MetricFamily f, const MetricSeries *s, const char *suffix,
                       const char *le) {
        const MetricInfo *info = metric_info(f);
        const char *tuple = m->tuples.v[s->tuple], *comma = "";

        fprintf(out, "%s%s", info->name, suffix);
        if (!info->own && !*tuple && !le) {
                fputc(' ', out);
                return;
        }
        fputc('{', out);
        if (info->own) {
                /* No value of our own needs more than its own length, but a version or a language is text all the same. */
                const char *own = m->tables[f].own.v[s->own];
                char *escaped = malloc(2 * strlen(own) + 1);

                if (escaped)
                        *append_escaped(escaped, own) = '\0';
                fprintf(out, "%s=\"%s\"", info->own, escaped ? escaped : "");
                free(escaped);
                comma = ",";
        }
        if (*tuple) {
                fprintf(out, "%s%s", comma, tuple);
                comma = ",";
        }
        if (le)
                fprintf(out, "%sle=\"%s\"", comma, le);
        fputs("} ", out);
}

#define SECONDS_TEXT_MAX 32
/* "0.001", "15.625", "3": exact, without zeros at its end. */
static const char *seconds_text(uint64_t usec, char buf[static SECONDS_TEXT_MAX]) {
        int n = snprintf(buf, SECONDS_TEXT_MAX, "%" PRIu64 ".%06" PRIu64, usec / USEC_PER_SEC, usec % USEC_PER_SEC);

        while (buf[n - 1] == '0')
                buf[--n] = '\0';
        if (buf[n - 1] == '.')
                buf[n - 1] = '\0';
        return buf;
}

static void print_histogram(FILE *out, const Metrics *m, MetricFamily f, const MetricSeries *s) {
        char bound[SECONDS_TEXT_MAX];
        uint64_t n = 0;

        for (unsigned i = 0; i <= METRICS_BUCKETS; i++) {
                n = add_saturating(n, s->buckets[i]);
                print_head(out, m, f, s, "_bucket",
                           i < METRICS_BUCKETS ? seconds_text(metrics_bucket_usec(f, i), bound) : "+Inf");
                fprintf(out, "%" PRIu64 "\n", n);
        }
        print_head(out, m, f, s, "_sum", NULL);
        fprintf(out, "%s\n", seconds_text(s->value, bound));
        print_head(out, m, f, s, "_count", NULL);
        fprintf(out, "%" PRIu64 "\n", n);
}

static void print_series(FILE *out, const Metrics *m, MetricFamily f, const MetricSeries *s) {
        char text[SECONDS_TEXT_MAX];

        if (metric_info(f)->type == METRIC_HISTOGRAM) {
                print_histogram(out, m, f, s);
                return;
        }
        print_head(out, m, f, s, "", NULL);
        if (metric_info(f)->unit == METRIC_UNIT_USEC)
                fprintf(out, "%s\n", seconds_text(s->value, text));
        else if (metric_info(f)->type == METRIC_GAUGE && s->value == SIZE_INFINITY)
                fputs("+Inf\n", out);
        else
                fprintf(out, "%" PRIu64 "\n", s->value);
}

int metrics_render(const Metrics *m, char **ret) {
        static const char *const types[] = { [METRIC_COUNTER] = "counter", [METRIC_GAUGE] = "gauge",
                                             [METRIC_HISTOGRAM] = "histogram" };
        char *text = NULL;
        size_t size = 0;
        FILE *out = open_memstream(&text, &size);
        bool bad;

        if (!out)
                return -ENOMEM;
        for (unsigned f = 0; f < _METRIC_MAX; f++) {
                const MetricInfo *info = metric_info(f);
                const MetricTable *t = &m->tables[f];

                if (t->n == 0)
                        continue;
                fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", info->name, info->help, info->name, types[info->type]);
                for (size_t i = 0; i < t->n; i++)
                        print_series(out, m, (MetricFamily) f, &t->v[i]);
        }
        bad = ferror(out);
        if (memstream_close(out, &text) < 0 || bad) {
                free(text);
                return -ENOMEM;
        }
        *ret = text;
        return 0;
}

int metrics_text(Metrics *m, uint64_t now_usec, void (*refresh)(void *userdata), void *userdata, const char **ret) {
        if (!m->text || now_usec - m->text_usec >= METRICS_TEXT_USEC) {
                char *text;
                int r;

                refresh(userdata);
                r = metrics_render(m, &text);
                if (r < 0)
                        return r;
                free(m->text);
                m->text = text;
                m->text_usec = now_usec;
        }
        *ret = m->text;
        return 0;
}
