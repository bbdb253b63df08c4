/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ctl/request_options: the options and words of `run` and `submit`, as a request. */
#pragma once

#include "ctl/ctl.h"

#define REQUEST_ARGUMENTS "[OPTION…] --language LANGUAGE QUERY [ARGUMENT…] | [OPTION…] -- ARGV…"

extern const char request_help[];
extern const char request_short_options[];
extern const struct option request_options[];

typedef struct Words {
        char **v;
        size_t n;
} Words;

typedef struct RequestOptions {
        const Verb *verb;
        PenstockRequest *request;
        const char *language, *database, *file, *working_directory, *user;
        Words before, after; /* words before and after "--"; they point into argv */
        bool language_is_late; /* words came before it */
        bool wants_stdin, quiet, json;
} RequestOptions;

/* Parse @argv into @o, which is zeroed but for its verb, and fill its request with the caller's surroundings.
 * Returns GO_ON, or the exit status to leave with; request_options_done(@o) in either case. */
int request_options_parse(RequestOptions *o, int argc, char *argv[]);
void request_options_done(RequestOptions *o);

/* Report that the service refused it, and why that may be. Returns the exit status. */
int request_refused(const RequestOptions *o, const PenstockError *e);

/* VERB with these options: parse, then @submit. Returns the exit status. */
int request_run(const Verb *verb, int argc, char *argv[], int (*submit)(const Verb *verb, const RequestOptions *o));

/* ---- words.c (pure): which word is the query? ---- */

typedef struct Command {
        const char *language; /* NULL: none was said, and none follows from the words */
        const char *query;    /* NULL: there is none */
        bool query_is_stdin;
        Words before, after; /* what is left for argv, in this order */
} Command;

typedef enum CommandFault { COMMAND_GOOD, COMMAND_NO_LANGUAGE, COMMAND_NO_QUERY, COMMAND_NO_ARGV } CommandFault;

/* @language and @file may be NULL. Without a language, words behind "--" alone mean `exec`. For `exec` all words are
 * argv; else the first one is the query (unless a file holds it), and "-" before "--" stands for standard input. */
CommandFault command_from_words(const char *language, const char *file, Words before, Words after, Command *ret);

/* ---- caller.c ---- */

/* Give @r the caller's environment (what engines are promised, no more), directory, umask and soft limits. With
 * @user, HOME and USER are left to the service. Returns GO_ON or an exit status after a report. */
int caller_describe(const Verb *verb, PenstockRequest *r, const char *user, const char *working_directory);
/* Add "NAME=VALUE", or the caller's own "NAME". Returns GO_ON or an exit status. */
int caller_add_environment(const Verb *verb, PenstockRequest *r, const char *text);
/* Give the engine the caller's, or /dev/null for what he had closed; unless it @is_asked_for, also for a terminal in
 * whose background we are: the engine would take what is typed to another. Returns GO_ON or an exit status. */
int caller_give_stdin(const Verb *verb, PenstockRequest *r, bool is_asked_for);
int caller_give_stderr(const Verb *verb, PenstockRequest *r);

/* ---- paths.c ---- */

/* The absolute path of @path without symbolic links; its last part need not exist. Free with free(3).
 * Returns 0 or -errno. */
int path_resolve(const char *path, char **ret);
/* True if @database looks like a file's name: it has a slash or a dot, or is there in the current directory. What a
 * name means is the language's to say (a file, or a name on a server), so other names are passed on as they are. */
bool database_is_path(const char *database);
