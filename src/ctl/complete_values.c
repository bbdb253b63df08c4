/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/complete.h"

#include <string.h>

#include "ctl/top_columns.h"

extern char **environ;

typedef struct Word {
        const char *value, *description;
} Word;

static void add_words(Completion *c, const Word words[], size_t n) {
        for (size_t i = 0; i < n; i++)
                completion_add(c, words[i].value, words[i].description);
}

void complete_files(Completion *c) {
        c->kind = COMPLETION_FILES;
}

void complete_directories(Completion *c) {
        c->kind = COMPLETION_DIRECTORIES;
}

void complete_users(Completion *c) {
        c->kind = COMPLETION_USERS;
}

/* Without their values, which an option without "=" takes from here anyway. */
void complete_variables(Completion *c) {
        char name[128];

        for (char **e = environ; *e; e++) {
                size_t n = strcspn(*e, "=");

                snprintf(name, sizeof(name), "%.*s", (int) MIN(n, sizeof(name)), *e);
                if (n < sizeof(name))
                        completion_add(c, name, "");
        }
}

void complete_sizes(Completion *c) {
        static const Word words[] = {
                { "64M", "" }, { "128M", "" }, { "256M", "" }, { "512M", "" },
                { "1G", "" },  { "2G", "" },   { "4G", "" },
        };

        add_words(c, words, ELEMENTSOF(words));
}

void complete_durations(Completion *c) {
        static const Word words[] = {
                { "10s", "" }, { "1min", "" }, { "10min", "" }, { "1h", "" }, { "infinity", "no limit" },
        };

        add_words(c, words, ELEMENTSOF(words));
}

void complete_times(Completion *c) {
        static const Word words[] = {
                { "today", "since midnight" }, { "yesterday", "" }, { "-1h", "an hour ago" }, { "now", "" },
        };

        add_words(c, words, ELEMENTSOF(words));
}

void complete_columns(Completion *c) {
        for (unsigned i = 0; i < _TOP_COLUMN_MAX; i++)
                completion_add(c, top_column_name((TopColumn) i), "");
}

void complete_ends(Completion *c) {
        static const Word words[] = { { "finished", "" }, { "errored", "" }, { "canceled", "" } };

        add_words(c, words, ELEMENTSOF(words));
}

void complete_errors(Completion *c) {
        static const Word words[] = {
                { "MemoryLimitExceeded", "its maximum was reached" },
                { "MemoryBudgetExhausted", "the budget was" },
                { "ExecutionFailed", "" }, { "CompilationFailed", "" }, { "Timeout", "" }, { "QueueTimeout", "" },
                { "Canceled", "" }, { "ShuttingDown", "" }, { "DependencyFailed", "" }, { "InvalidArgument", "" },
                { "Internal", "" },
        };

        add_words(c, words, ELEMENTSOF(words));
}

void complete_priorities(Completion *c) {
        static const Word words[] = {
                { "-10", "behind others" },
                { "0", "as usual" },
                { "10", "before others; needs permission" },
        };

        add_words(c, words, ELEMENTSOF(words));
}

void complete_verbs(Completion *c) {
        const Verb *verb;

        if (c->n_arguments > 0)
                return;
        for (size_t i = 0; (verb = verb_at(i)); i++)
                completion_add(c, verb->name, verb->summary);
}

/* The query comes first and is anybody's to write; what is behind it may be files. */
void complete_request(Completion *c) {
        bool is_exec = c->language && strcmp(c->language, "exec") == 0;

        if (c->behind_dashes > 0 && (is_exec || !c->language)) {
                c->kind = COMPLETION_COMMAND;
                c->command = c->behind_dashes;
        } else if (c->n_arguments > 0 || is_exec)
                c->kind = COMPLETION_FILES;
}

void complete_config(Completion *c) {
        static const Word words[] = {
                { "check", "is the configuration valid?" },
                { "show", "what would be in force, and from where" },
        };

        if (c->n_arguments == 0)
                add_words(c, words, ELEMENTSOF(words));
        else if (c->n_arguments == 1 && strcmp(c->arguments[0], "check") == 0)
                c->kind = COMPLETION_FILES;
}

void complete_simulate(Completion *c) {
        static const Word words[] = {
                { "plan", "what a load would do" },
                { "replay", "decide a record once more" },
                { "run", "try the service's promises" },
        };

        if (c->n_arguments == 0)
                add_words(c, words, ELEMENTSOF(words));
        else if (c->n_arguments == 1 && strcmp(c->arguments[0], "run") != 0)
                c->kind = COMPLETION_FILES;
}
