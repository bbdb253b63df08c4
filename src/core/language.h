/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/language: how a query of one language becomes an argv, and what its sandbox lets it see. libc only; reads no
 * file. A placeholder's value is always within one argv element, never shell text. */
#pragma once

#include "core/request.h"

typedef enum QueryFrom { QUERY_FROM_NONE, QUERY_FROM_STDIN, QUERY_FROM_ARGUMENT, QUERY_FROM_FILE } QueryFrom;
/* What the engine finds as descriptor 0: nothing, the query's text, the caller's own stdin, or the request's `file`
 * opened as the caller (a language that reads the query from stdin, and --file). */
typedef enum StdinFrom { STDIN_NULL, STDIN_QUERY, STDIN_CALLER, STDIN_FILE } StdinFrom;
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
        char *database_default; /* {database} when left out, e.g. ":memory:"; without it, that word is left out too */
        bool arguments;         /* appends the request's argv after Execute= */
        bool transparent_huge_pages;
        char *memory_note;    /* one line: how the engine treats memory, for `penstockctl languages` */
        PairList environment; /* values are templates too; what the request says wins over them */
        StrList dependencies;
        PathAccess working_directory_access, database_access, home_access;
        bool network;
        TmpKind tmp;
        PairList unit_properties; /* [Sandbox]: extra properties from the allowlist, checked, still text */
        char *origin_file;
} Language;

/* The query text is passed on this descriptor when it goes by file: {query_file} is "/proc/self/fd/3". */
#define LANGUAGE_QUERY_FD 3
#define LANGUAGE_QUERY_PATH "/proc/self/fd/3"

/* True for what may name a language, and so its file: [a-z0-9] first, then those, - and _, at most 63, which is what a query has room for. */
bool language_name_is_valid(const char *name);

/* The allowlist of extra [Sandbox] properties, and the D-Bus type each has in StartTransientUnit. */
typedef enum UnitPropertyType {
        UNIT_PROPERTY_BOOL,   /* b */
        UNIT_PROPERTY_U64,    /* t */
        UNIT_PROPERTY_I32,    /* i */
        UNIT_PROPERTY_PATHS,  /* as: clean absolute paths */
        UNIT_PROPERTY_FILTER, /* (bas), true: what is named is allowed in addition */
} UnitPropertyType;

typedef struct UnitProperty {
        const char *name;
        UnitPropertyType type;
        int64_t min, max; /* of a number */
} UnitProperty;

const UnitProperty *unit_property_find(const char *name); /* NULL: not allowed */
/* 0, -EINVAL for text that is no value of @p, or -ENOMEM. Lists are split by words_split(). */
int unit_property_check(const UnitProperty *p, const char *value);

/* The defaults: nothing taken, nothing visible but the system, no network, tmp on disk. Returns 0 or -ENOMEM. */
int language_new(const char *name, Language **ret);
Language *language_free(Language *l); /* takes NULL, returns NULL */

/* Set one key of [Language] or [Sandbox]. Returns as config_set() does. An empty value means the default again. */
int language_set(Language *l, const char *section, const char *key, const char *value, const char *file,
                 unsigned line, Error *ret_error);
/* Check the whole: Execute= is there (or the program comes with the request: QueryFrom=none and Arguments=yes), only
 * known placeholders, QueryFrom= and Database= fit them. Returns 0 or -EINVAL. */
int language_finish(const Language *l, Error *ret_error);
/* Of one that somebody wrote down: 0 if language_set() could have made it and language_finish() lets it pass; else -EINVAL, or
 * -ENOMEM. */
int language_check(const Language *l);

/* What the placeholders stand for beside the request itself. */
typedef struct LanguageContext {
        uint64_t memory_max_bytes; /* the query's effective maximum, not its quota */
        const char *tmpdir;
} LanguageContext;

typedef struct LanguageCommand {
        StrList argv;         /* argv[0] without a slash is looked up in the caller's PATH */
        PairList environment; /* the language's, expanded */
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

/* What a template may hold. "{{" and "}}" stand for braces. */
typedef enum Placeholder {
        PLACEHOLDER_QUERY,
        PLACEHOLDER_QUERY_FILE,
        PLACEHOLDER_DATABASE,
        PLACEHOLDER_DATABASE_URI, /* file:/…?mode=rw, percent-encoded: SQLite then never creates the file */
        PLACEHOLDER_MEMORY_MAX_BYTES,
        PLACEHOLDER_MEMORY_MAX_MIB,
        PLACEHOLDER_MEMORY_SHARE, /* {memory_share:PERCENT}, in bytes */
        PLACEHOLDER_TMPDIR,
        PLACEHOLDER_PARAM,
        _PLACEHOLDER_MAX,
} Placeholder;

/* One piece of a template: literal text, or a placeholder (its text is what stands behind a colon, as a parameter's
 * name). */
typedef struct TemplatePiece {
        bool is_placeholder;
        Placeholder placeholder;
        const char *text;
        size_t len;
} TemplatePiece;

/* Read the piece at *@s and move behind it. Returns 1, 0 at the end, or -EINVAL for a lone brace or an unknown name.
 */
int template_next(const char **s, TemplatePiece *ret);
/* True for a word that is {database} or {database_uri} and nothing else. */
bool template_is_database(const char *s);
