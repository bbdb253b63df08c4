/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is said of a profile in whole lines. */
#include <string.h>

#include "ctl/format.h"
#include "draw/profile_private.h"

#define DOT " \xc2\xb7 "
#define DESCRIBED_MAX 64u

/* "finished in", "MemoryLimitExceeded (maximum) after", "executing for". */
static void append_outcome(FILE *to, const Timeline *t, const Facts *f) {
        bool failed = f->error[0] != '\0', has_ended = t->has_ended || failed;
        const char *state = f->state[0] != '\0' ? f->state : has_ended ? "ended" : "executing";

        if (failed && f->verdict[0] != '\0')
                fprintf(to, "%s (%s) after ", f->error, f->verdict);
        else if (failed)
                fprintf(to, "%s after ", f->error);
        else
                fprintf(to, "%s %s ", state, has_ended ? "in" : "for");
}

const char *profile_title(const Timeline *t, const Facts *f, char *buf, size_t size) {
        FILE *to = fmemopen(buf, size, "w");
        char duration[TEXT_MAX];

        buf[0] = buf[size - 1] = '\0';
        if (!to)
                return buf;
        fprintf(to, "Query%s%s", f->id[0] != '\0' ? " " : "", f->id);
        fprintf(to, "%s%s" DOT, f->language[0] != '\0' ? DOT : "", f->language);
        append_outcome(to, t, f);
        fprintf(to, "%s", format_duration(f->execute_usec > 0 ? f->execute_usec : t->end_usec, duration));
        fclose(to);
        buf[size - 1] = '\0';
        return text_make_safe(buf);
}

static uint64_t raises_of(const Timeline *t, const Facts *f) {
        uint64_t n = 0;

        for (size_t i = 0; i < t->n_happenings; i++)
                n += t->happenings[i].kind == HAPPENED_RAISE;
        return MAX(n, f->raises); /* rows may have been left out */
}

const char *profile_subtitle(const Timeline *t, const Facts *f, char *buf, size_t size) {
        const Reading *last = &t->readings[t->n_readings - 1];
        uint64_t raises = raises_of(t, f);
        char a[TEXT_MAX], b[TEXT_MAX];
        size_t n = 0;

        if (is_limit(f->memory_peak_bytes))
                n += (size_t) snprintf(buf + n, size - n, "peak %s%s%s" DOT, format_size(f->memory_peak_bytes, a),
                                       is_limit(f->memory_max_bytes) ? " of at most " : "",
                                       is_limit(f->memory_max_bytes) ? format_size(f->memory_max_bytes, b) : "");
        if (raises == 0)
                n += (size_t) snprintf(buf + n, size - n, "no raises");
        else
                n += (size_t) snprintf(buf + n, size - n, "%llu raise%s", (unsigned long long) raises,
                                       raises == 1 ? "" : "s");
        if (f->frozen_usec > 0)
                n += (size_t) snprintf(buf + n, size - n, DOT "frozen for %s", format_duration(f->frozen_usec, a));
        if (last->stall_some_usec > 0)
                (void) snprintf(buf + n, size - n, DOT "stalled for %s", format_duration(last->stall_some_usec, a));
        return buf;
}

void profile_describe(const Timeline *t, const Facts *f, FILE *to) {
        size_t n = MIN(t->n_happenings, (size_t) DESCRIBED_MAX);
        char line[256], words[WORDS_MAX];

        fprintf(to, "%s.\n", profile_subtitle(t, f, line, sizeof(line)));
        for (size_t i = 0; i < n; i++)
                fprintf(to, "At %s: %s%s.\n", format_duration(t->happenings[i].usec, line),
                        t->happenings[i].kind == HAPPENED_RAISE ? "raised " : "",
                        text_make_safe((char *) happenings_in_words(&t->happenings[i], 1, WORDS_FULL, words)));
        if (n < t->n_happenings)
                fprintf(to, "And %zu more.\n", t->n_happenings - n);
}
