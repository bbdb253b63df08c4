/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/language: how a query of one language becomes an argv, and what its sandbox lets it see. libc only; reads no
 * file. A placeholder's value is always within one argv element, never shell text. */
#pragma once

#include "core/request.h"

typedef enum QueryFrom { QUERY_FROM_NONE, QUERY_FROM_STDIN, QUERY_FROM_ARGUMENT, QUERY_FROM_FILE } QueryFrom;
/* What the engine finds as descriptor 0. */
typedef enum StdinFrom { STDIN_NULL, STDIN_QUERY, STDIN_CALLER } StdinFrom;
typedef enum PathAccess { PATH_HIDDEN, PATH_READ_ONLY, PATH_READ_WRITE } PathAccess;
/* What `--database` means: not taken; a file; a file that may be left out; a name that the engine resolves itself. */
typedef enum DatabaseKind { DATABASE_NONE, DATABASE_FILE, DATABASE_OPTIONAL_FILE, DATABASE_NAME } DatabaseKind;
typedef enum TmpKind { TMP_DISK, TMP_MEMORY } TmpKind;

typedef struct Language {
        char *name;
        char *description;
        StrList compile, execute; /* argv templates; compile.n == 0: no compile step */
        QueryFrom query_from;
        DatabaseKind database;
        char *database_default; /* {database} when left out, e.g. ":memory:" */
        bool arguments;         /* appends the request's argv after Execute= */
        bool passes_stdin;      /* the caller's stdin reaches the engine without asking (exec) */
        bool transparent_huge_pages;
        char *memory_note; /* one line: how the engine treats memory, for `penstockctl languages` */
        PairList environment;
        StrList dependencies;
        PathAccess working_directory_access, database_access, home_access;
        bool network;
        TmpKind tmp;
        PairList unit_properties; /* [Sandbox]: extra properties from the allowlist, still text */
        char *origin_file;
} Language;

/* The query text is passed on this descriptor when it goes by file: {query_file} is "/proc/self/fd/3". */
#define LANGUAGE_QUERY_FD 3
#define LANGUAGE_QUERY_PATH "/proc/self/fd/3"

int language_new(const char *name, Language **ret);
Language *language_free(Language *l); /* takes NULL, returns NULL */

/* Set one key of [Language] or [Sandbox]. Returns as config_set() does. */
int language_set(Language *l, const char *section, const char *key, const char *value, const char *file,
                 unsigned line, Error *ret_error);
/* Check the whole: Execute= is there, only known placeholders, QueryFrom fits them. Returns 0 or -EINVAL. */
int language_finish(const Language *l, Error *ret_error);

/* What the placeholders stand for beside the request itself. */
typedef struct LanguageContext {
        uint64_t memory_max_bytes; /* the query's effective maximum, not its quota */
        const char *tmpdir;
} LanguageContext;

typedef struct LanguageCommand {
        StrList argv;
        StdinFrom stdin_from;
        bool query_on_fd; /* LANGUAGE_QUERY_FD holds the query text */
} LanguageCommand;

/* Build the compile or the execute command for @r.
 * Returns 0; -EINVAL with @ret_error (InvalidArgument) when the request does not fit the language: a query where none
 * is taken, a missing parameter, a value that would be read as an option (`-` first in an element of its own where
 * the language did not put `--` or a prefix before it), an element over REQUEST_ARG_BYTES_MAX; or -ENOMEM. */
int language_compile_command(const Language *l, const Request *r, const LanguageContext *x, LanguageCommand *ret,
                             Error *ret_error);
int language_execute_command(const Language *l, const Request *r, const LanguageContext *x, LanguageCommand *ret,
                             Error *ret_error);
void language_command_done(LanguageCommand *c);
