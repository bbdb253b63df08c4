/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ctl: what penstockctl's verbs share. Uses libpenstock's public header and core/base only. */
#pragma once

#include <getopt.h>
#include <stdio.h>
#include <unistd.h>

#include "core/base.h"
#include "ctl/format.h"
#include "penstock.h"

/* Exit statuses. `run` and `wait` pass the engine's own through, so theirs stay out of its way. */
typedef enum ExitCode {
        EXIT_CODE_OK = 0,
        EXIT_CODE_FAILURE = 1,
        EXIT_CODE_USAGE = 2,
        EXIT_CODE_TIMED_OUT = 124,
        EXIT_CODE_REFUSED = 125, /* refused or failed by Penstock; wrong usage of run and wait too */
        EXIT_CODE_SIGNAL = 128,  /* plus the signal's number */
        EXIT_CODE_MEMORY = 137,
} ExitCode;

/* A verb function's steps return this to go on, or the exit status to leave with. */
#define GO_ON (-1)

typedef struct Verb Verb;
typedef struct Completion Completion;

struct Verb {
        const char *name;
        const char *arguments;        /* behind the name in the usage line */
        const char *summary;          /* one line for the list of verbs */
        const char *help;             /* the options and what else there is to say; may be NULL */
        const char *examples;         /* a line each, with two blanks before it */
        const char *short_options;    /* NULL: none but -h */
        const struct option *options; /* NULL: only --help */
        ExitCode failure, usage;
        int (*run)(const Verb *verb, int argc, char *argv[]);
        void (*complete)(Completion *c); /* its next argument, see complete.h; NULL: there is nothing to offer */
};

extern const Verb verb_run, verb_submit, verb_list, verb_show, verb_wait, verb_results, verb_cancel, verb_done,
                verb_stats, verb_why, verb_status, verb_languages, verb_config, verb_pause, verb_resume,
                verb_shutdown, verb_metrics, verb_profile, verb_simulate, verb_history, verb_top,
                verb_help;

/* ---- main.c ---- */

const Verb *verb_at(size_t i); /* in the order of the help; NULL behind the last */
const Verb *verb_find(const char *name);

/* ---- help.c ---- */

void verb_print_help(const Verb *verb);
/* Report that there is no verb @name, and which one may be meant. Returns the exit status. */
int no_such_verb(const char *name);

/* ---- nearest.c (pure) ---- */

typedef struct Nearest {
        const char *word,
                        *name; /* @name: the one that @word may be meant for, of those that were tried; NULL: none */
        size_t distance;
} Nearest;

void nearest_init(Nearest *n, const char *word);
void nearest_try(Nearest *n, const char *name);

/* ---- options.c ---- */

enum { OPTION_END = -1, OPTION_HELP = 'h', OPTION_BAD = '?', OPTION_NO_VALUE = ':', OPTION_WORD = 1 };

/* For verbs whose only option is --json ('j'). */
extern const struct option options_json[];

/* What is said of an option that may be a command's own. */
extern const char options_of_command[];

/* Of @verb, also where it has none of its own; never NULL. */
const struct option *verb_options(const Verb *verb);
#define SHORT_OPTIONS_MAX 32u
/* Its short options as getopt() wants them: behind @mode ("-", "+" or ""), and with ":", by which a missing value is
 * told from an unknown option. */
void verb_short_options(const Verb *verb, const char *mode, char buf[static SHORT_OPTIONS_MAX]);
/* The option that @word, "--name" or "--name=value", begins: by its whole name, or by the one that begins so. @ret_n:
 * how many may be meant; NULL when that is 0. */
const struct option *option_find(const struct option *options, const char *word, size_t *ret_n);

/* The next option of @verb. OPTION_HELP: the help was printed, leave with 0. OPTION_BAD: it was reported, leave with
 * @verb->usage. OPTION_WORD (only when its short_options start with "-"): an argument, in optarg. */
int options_next(const Verb *verb, int argc, char *argv[]);
/* Parse options of a verb that has only --json, and check the number of arguments left (@max: -1 for any).
 * Returns GO_ON or an exit status. */
int options_simple(const Verb *verb, int argc, char *argv[], int min, int max, bool *ret_json);
/* Report a wrong call; returns @verb->usage. */
int usage_error(const Verb *verb, const char *format, ...) PRINTF_LIKE(2, 3);
/* The same for the two things that are wrong with an ID: that it is not there, and that it is none. */
int missing_error(const Verb *verb);
int id_error(const Verb *verb, const char *text);

/* ---- id.c (pure) ---- */

/* "12", "q12" or "penstock-q12.service". Returns 0 or -EINVAL. */
int id_parse(const char *text, uint64_t *ret);

/* ---- report.c ---- */

/* One line on stderr, "penstockctl: …"; control characters that came in with a text are shown as "?". */
void report(const char *format, ...) PRINTF_LIKE(1, 2);
/* "penstockctl: NAME: MESSAGE". Returns @status. */
int report_error(const PenstockError *e, int status);
/* Connect, or report why not and return @verb->failure; GO_ON on success. */
int client_open(const Verb *verb, PenstockClient **ret);
/* Connect, and take a handle on the query that @text names (nothing is asked of the service yet). Returns GO_ON, or
 * an exit status after a report; what was set is the caller's to free in either case. */
int query_open(const Verb *verb, const char *text, PenstockClient **ret_client, PenstockQuery **ret_query);
/* Flush stdout; returns 0, or @failure after a report if what was printed could not be written. */
int finish_output(int failure);

/* ---- exit_status.c (pure) ---- */

/* The exit status of `run` and `wait` for a query that ended. @error_name is short, NULL for none; @exit_status and
 * @exit_signal are the engine's (-1 and 0 when it has none). */
int exit_status_map(const char *state, const char *error_name, int64_t exit_status, int64_t exit_signal);

/* ---- outcome.c ---- */

/* Say how the query ended: the kept end of its stderr, and one line for its error. Returns the exit status. */
int outcome_report(const PenstockInfo *i);

/* ---- wrap.c (pure) ---- */

/* The columns that @text takes on a terminal. */
size_t text_columns(const char *text);
/* Let @text go on in another line where it would be wider than @columns, by line ends in place of blanks. Line ends
 * that were there become blanks. A word that is wider stays whole. */
void text_wrap(char *text, size_t columns);

/* ---- terminal.c ---- */

/* False for what is no terminal, or a dumb one, or where NO_COLOR asks for plain text. */
bool terminal_takes_escapes(int fd);
/* The width of the terminal; 0: it is none, and lines may have any length. */
size_t terminal_columns(int fd);
/* False in the background of the terminal that @fd is: somebody else writes there, and is typed to. */
bool terminal_is_ours(int fd);
/* Block @signo, for sd-event to take. False, and nothing done, where whoever started us wants it ignored (nohup(1), a shell without
 * job control): a signal that is blocked would come all the same. */
bool signal_take(int signo);
/* What a query's state is shown in, by libsmartcols' names; NULL: as it is. */
const char *state_color(const char *state);

/* ---- time.c (pure) ---- */

/* Read a time of day: "2026-11-29", "2026-11-29 12:00[:00]", "12:00[:00]" of today, in local time; "today" and "yesterday", where they
 * begin; "now"; "1h ago" and "-1h"; "@" and seconds since 1970. Returns 0 or -EINVAL. */
int time_parse(const char *text, uint64_t now_usec, uint64_t *ret_usec);

/* ---- user.c ---- */

const char *user_name(uint64_t uid, char buf[static TEXT_MAX]); /* its number when it has none */
int user_parse(const char *text, uid_t *ret);                   /* a name, or a number; 0 or -EINVAL */

/* ---- plain.c (pure): what others wrote must not command our terminal ---- */

/* Control characters, but for line ends and tabs, become '?', in place; those of ISO 6429 above 0x7f too. Returns
 * @text. */
char *text_make_plain(char *text);
/* JSON has escapes for them. jansson makes those that JSON demands; this also the rest. */
void json_write_plain(const char *json, FILE *f);

/* ---- fields.c: short ways to a description's entries ---- */

uint64_t info_u64(const PenstockInfo *i, const char *key);       /* 0 when absent */
int64_t info_i64(const PenstockInfo *i, const char *key);        /* 0 when absent */
bool info_bool(const PenstockInfo *i, const char *key);          /* false when absent */
const char *info_string(const PenstockInfo *i, const char *key); /* "" when absent */

/* ---- cleanup ---- */

static inline void client_freep(PenstockClient **c) {
        penstock_client_free(*c);
}

static inline void request_freep(PenstockRequest **r) {
        penstock_request_free(*r);
}

static inline void query_freep(PenstockQuery **q) {
        penstock_query_free(*q);
}

static inline void info_freep(PenstockInfo **i) {
        penstock_info_free(*i);
}

static inline void closep(int *fd) {
        if (*fd >= 0)
                close(*fd);
}
