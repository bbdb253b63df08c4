/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is said of the history in whole lines. */
#include <errno.h>
#include <string.h>

#include "ctl/format.h"
#include "draw/history_private.h"

#define DOT " \xc2\xb7 "

/* Before the first end there is room for its start, but not more than for a fifth of all. */
#define LEAD_IN 5

int chosen_set(Chosen *c, const char *argument) {
        if (strncmp(argument, "filters=", 8) == 0) {
                c->filters = argument + 8;
                return 0;
        }
        if (strcmp(argument, "cut=1") != 0)
                return -EINVAL;
        c->is_cut = true;
        return 0;
}

void history_span(const Past *p, Calendar *ret) {
        uint64_t first = p->n > 0 ? p->v[0].ended_usec : 0, last = p->n > 0 ? p->v[p->n - 1].ended_usec : 0,
                 begin = first;

        for (size_t i = 0; i < p->n; i++)
                if (p->v[i].started_usec > 0)
                        begin = MIN(begin, p->v[i].started_usec);
        if (last > first)
                begin = MAX(begin, subtract_saturating(first, (last - first) / LEAD_IN));
        ret->begin_usec = (double) begin;
        ret->end_usec = (double) last;
}

const char *count_text(uint64_t n, char buf[static COUNT_TEXT_MAX]) {
        char digits[24];
        size_t len = (size_t) snprintf(digits, sizeof(digits), "%llu", (unsigned long long) n), to = 0;

        for (size_t i = 0; i < len; i++) {
                if (i > 0 && (len - i) % 3 == 0)
                        buf[to++] = ',';
                buf[to++] = digits[i];
        }
        buf[to] = '\0';
        return buf;
}

const char *history_title(const Past *p, const Chosen *c, char *buf, size_t size) {
        char count[COUNT_TEXT_MAX];

        if (p->n == 0)
                snprintf(buf, size, "History" DOT "no query");
        else
                snprintf(buf, size, "History" DOT "%s%s quer%s that ended", c->is_cut ? "the last " : "",
                         count_text(p->n, count), p->n == 1 ? "y" : "ies");
        return buf;
}

const char *history_subtitle(const Past *p, const Chosen *c, char *buf, size_t size) {
        char from[CALENDAR_TEXT_MAX], to[CALENDAR_TEXT_MAX], zone[CALENDAR_TEXT_MAX];
        const char *dot = p->n > 0 && c->filters[0] != '\0' ? DOT : "";
        Calendar x;

        history_span(p, &x);
        if (p->n == 0)
                snprintf(buf, size, "%s", c->filters[0] != '\0' ? c->filters : "None has ended that is kept");
        else if (p->v[0].ended_usec == p->v[p->n - 1].ended_usec)
                snprintf(buf, size, "%s %s%s%s", calendar_text(&x, x.end_usec, to), calendar_zone(&x, zone), dot,
                         c->filters);
        else
                snprintf(buf, size, "%s to %s %s%s%s", calendar_text(&x, (double) p->v[0].ended_usec, from),
                         calendar_text(&x, x.end_usec, to), calendar_zone(&x, zone), dot, c->filters);
        return text_make_safe(buf);
}

void history_describe(const Past *p, const Chosen *c, FILE *to) {
        char line[512], count[COUNT_TEXT_MAX], size[TEXT_MAX];
        const Ended *most = NULL;

        fprintf(to, "%s.\n", history_subtitle(p, c, line, sizeof(line)));
        for (int k = 0; k < _OUTCOME_MAX; k++)
                if (p->counts[k] > 0)
                        fprintf(to, "%s %s.\n", count_text(p->counts[k], count), outcome_in_words((Outcome) k));
        if (p->n > p->n_started)
                fprintf(to, "%s never ran.\n", count_text(p->n - p->n_started, count));
        for (size_t i = 0; i < p->n; i++)
                if (p->v[i].peak_bytes != SIZE_INFINITY && (!most || p->v[i].peak_bytes > most->peak_bytes))
                        most = &p->v[i];
        if (!most || most->peak_bytes == 0)
                return;
        snprintf(line, sizeof(line), "%s", most->language);
        fprintf(to, "The most memory at its peak: %s, query %llu, %s.\n", format_size(most->peak_bytes, size),
                (unsigned long long) most->id, text_make_safe(line));
}
