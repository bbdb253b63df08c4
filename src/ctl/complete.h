/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ctl/complete: what may come next in a command line. The shells' scripts (completion/) only show it, so that verbs,
 * options and what their values are stand in one place. Nothing here may fail aloud, wait for long, or start the
 * service. */
#pragma once

#include "ctl/ctl.h"

/* What the shell looks for by itself. */
typedef enum CompletionKind {
        COMPLETION_WORDS, /* nothing: only what was added */
        COMPLETION_FILES,
        COMPLETION_DIRECTORIES,
        COMPLETION_USERS,
        COMPLETION_COMMAND, /* … and its arguments, from the word number @command on */
} CompletionKind;

struct Completion {
        const Verb *verb;
        const char *value;    /* what was typed of it so far */
        const char *language; /* of the request; NULL: not said */
        char **arguments;     /* the words before it that are no options */
        size_t n_arguments;
        size_t behind_dashes; /* the number of the word behind "--"; 0: there is none */

        CompletionKind kind;
        size_t command;
        const char *prefix; /* goes before each candidate: "--language=" */
        FILE *out;          /* writes into @candidates */
        char *candidates;
        size_t size, n;
};

/* One more candidate. What has control characters or is too long is left out, whoever wrote it. @description may be
 * "". */
void completion_add(Completion *c, const char *value, const char *description);

/* True if @value was added. */
bool completion_has(Completion *c, const char *value);

/* `penstockctl __complete WORD…`: @argv[0] is that word, the last one is being typed. Prints the kind, and then a
 * line for each candidate, with a tab before its description. Returns the exit status. */
int complete_run(int argc, char *argv[]);

typedef void (*Completer)(Completion *c);

/* ---- complete_options.c ---- */

/* What the values of @option are; NULL: nobody knows. */
Completer complete_option(const char *option);
/* The beginning of what @help says of the option @name; "" when it says nothing. */
void option_description(const char *help, const char *name, char *buf, size_t size);

/* ---- complete_values.c ---- */

void complete_files(Completion *c);
void complete_directories(Completion *c);
void complete_users(Completion *c);
void complete_variables(Completion *c);
void complete_sizes(Completion *c);
void complete_times(Completion *c);
void complete_columns(Completion *c);
void complete_ends(Completion *c);
void complete_errors(Completion *c);
void complete_durations(Completion *c);
void complete_priorities(Completion *c);
void complete_verbs(Completion *c);
void complete_request(Completion *c);  /* what is behind `run` and `submit` */
void complete_config(Completion *c);   /* … `config` */
void complete_simulate(Completion *c); /* … `simulate` */

/* ---- complete_ask.c: what only the service knows, as long as it runs ---- */

void complete_languages(Completion *c);
void complete_labels(Completion *c);
void complete_queries(Completion *c);
void complete_own_queries(Completion *c);
void complete_live_queries(Completion *c);
void complete_detached_queries(Completion *c);

/* ---- complete_config.c: what the configuration says ---- */

void complete_dependencies(Completion *c);
void complete_settings(Completion *c);
