/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "draw/words.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "ctl/format.h"

static const struct {
        const char *cause, *words;
} raise_causes[] = {
        { "need", "came near the limit" },
        { "rate", "grew fast" },
        { "max", "hit the limit" },
        { "refault", "working set did not fit" },
        { "stall", "stalled under the limit" },
};

static const struct {
        const char *one, *many; /* many: with their number before */
} kinds[_HAPPENED_MAX] = {
        [HAPPENED_RAISE] = { "raise", "raises" },
        [HAPPENED_DENIED] = { "denied", "denied" },
        [HAPPENED_FREEZE] = { "freeze", "freezes" },
        [HAPPENED_LOWERED] = { "lowered", "lowered" },
        [HAPPENED_TERMINATE] = { "SIGTERM", "SIGTERMs" },
        [HAPPENED_KILL] = { "killed", "kills" },
        [HAPPENED_END] = { "ended", "ends" },
        [HAPPENED_OTHER] = { "event", "events" },
};

typedef struct Text {
        char *buf;
        size_t len;
} Text;

PRINTF_LIKE(2, 3) static void append(Text *t, const char *format, ...) {
        va_list ap;
        int n;

        va_start(ap, format);
        n = vsnprintf(t->buf + t->len, WORDS_MAX - t->len, format, ap);
        va_end(ap);
        t->len += n > 0 ? MIN((size_t) n, WORDS_MAX - 1 - t->len) : 0;
}

static const char *cause_in_words(const char *cause) {
        for (size_t i = 0; i < ELEMENTSOF(raise_causes); i++)
                if (strcmp(cause, raise_causes[i].cause) == 0)
                        return raise_causes[i].words;
        return cause;
}

static void append_colon(Text *t, const char *words) {
        if (words[0] != '\0')
                append(t, ": %s", words);
}

static void append_raise(Text *t, const Happening *h, Wordiness wordiness) {
        char buf[TEXT_MAX];

        if (wordiness == WORDS_SHORT) {
                append(t, "%s", h->cause[0] != '\0' ? h->cause : "raise");
                return;
        }
        append(t, "to %s", format_size(h->new_bytes, buf));
        append_colon(t, wordiness == WORDS_FULL ? cause_in_words(h->cause) : h->cause);
}

static void append_one(Text *t, const Happening *h, Wordiness wordiness) {
        bool full = wordiness == WORDS_FULL, is_short = wordiness == WORDS_SHORT;
        char buf[TEXT_MAX];

        if (h->kind == HAPPENED_RAISE) {
                append_raise(t, h, wordiness);
                return;
        }
        if (h->kind == HAPPENED_OTHER)
                append(t, "%s", h->name);
        else
                append(t, "%s", h->kind == HAPPENED_FREEZE ? "frozen" : kinds[h->kind].one);
        if (is_short)
                return;
        switch (h->kind) {
        case HAPPENED_FREEZE:
                append(t, " for %s%s", format_duration(h->until_usec - h->usec, buf),
                       !full        ? ""
                       : h->goes_on ? ": waits for budget"
                                    : ": waited for budget");
                return;
        case HAPPENED_LOWERED:
                append(t, " to %s%s", format_size(h->new_bytes, buf), full ? ": was idle" : "");
                return;
        case HAPPENED_DENIED: append(t, "%s", full ? ": the budget was short" : ""); return;
        default: append_colon(t, h->cause);
        }
}

#define CAUSES_MAX 8u

/* ": grew fast", or ": max 2, rate 1". Causes beyond CAUSES_MAX go without saying: the text would be too long. */
static void append_causes(Text *t, const Happening h[], size_t n) {
        const char *causes[CAUSES_MAX];
        size_t counts[CAUSES_MAX] = {}, n_causes = 0;

        for (size_t i = 0; i < n; i++) {
                size_t k = 0;

                while (k < n_causes && strcmp(causes[k], h[i].cause) != 0)
                        k++;
                if (k == CAUSES_MAX)
                        continue;
                if (k == n_causes)
                        causes[n_causes++] = h[i].cause;
                counts[k]++;
        }
        if (n_causes == 1)
                append_colon(t, cause_in_words(causes[0]));
        for (size_t k = 0; k < n_causes && n_causes > 1; k++)
                append(t, "%s%s %zu", k == 0 ? ": " : ", ", causes[k][0] != '\0' ? causes[k] : "other", counts[k]);
}

static void append_counts(Text *t, const size_t counts[]) {
        const char *before = "";

        for (int k = 0; k < _HAPPENED_MAX; k++) {
                if (counts[k] == 0)
                        continue;
                if (k == HAPPENED_RAISE || k == HAPPENED_FREEZE || counts[k] > 1)
                        append(t, "%s%zu %s", before, counts[k], counts[k] == 1 ? kinds[k].one : kinds[k].many);
                else
                        append(t, "%s%s", before, kinds[k].one);
                before = ", ";
        }
}

const char *happenings_in_words(const Happening h[], size_t n, Wordiness wordiness, char buf[static WORDS_MAX]) {
        size_t counts[_HAPPENED_MAX] = {};
        Text t = { .buf = buf };
        char size[TEXT_MAX];

        buf[0] = '\0';
        for (size_t i = 0; i < n; i++)
                counts[h[i].kind]++;
        if (n == 1)
                append_one(&t, h, wordiness);
        else if (n > 1)
                append_counts(&t, counts);
        if (n <= 1 || counts[HAPPENED_RAISE] < n || wordiness == WORDS_SHORT)
                return buf;
        append(&t, " to %s", format_size(h[n - 1].new_bytes, size));
        if (wordiness == WORDS_FULL)
                append_causes(&t, h, n);
        return buf;
}

const char *memory_kind_in_words(MemoryKind kind, bool has_kinds) {
        static const char *const words[_MEMORY_KIND_MAX] = {
                [MEMORY_ANON] = "anonymous", [MEMORY_SHMEM] = "shared",    [MEMORY_KERNEL] = "kernel",
                [MEMORY_OTHER] = "other",    [MEMORY_FILE] = "page cache",
        };

        return kind == MEMORY_OTHER && !has_kinds ? "memory" : words[kind];
}
