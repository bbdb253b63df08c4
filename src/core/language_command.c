/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The second half of core/language: from templates and a request to an argv. */
#include "core/language.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const placeholder_names[_PLACEHOLDER_MAX] = {
        [PLACEHOLDER_QUERY] = "query",
        [PLACEHOLDER_QUERY_FILE] = "query_file",
        [PLACEHOLDER_DATABASE] = "database",
        [PLACEHOLDER_DATABASE_URI] = "database_uri",
        [PLACEHOLDER_MEMORY_MAX_BYTES] = "memory_max_bytes",
        [PLACEHOLDER_MEMORY_MAX_MIB] = "memory_max_mib",
        [PLACEHOLDER_TMPDIR] = "tmpdir",
        [PLACEHOLDER_MEMORY_SHARE] = "memory_share:",
        [PLACEHOLDER_PARAM] = "param:",
};

/* What stands behind a name's colon: the per cent of the maximum, or the parameter's name. */
static bool placeholder_argument_is_valid(Placeholder p, const char *argument) {
        uint64_t percent;

        if (p == PLACEHOLDER_PARAM)
                return identifier_is_valid(argument);
        return u64_parse(argument, &percent) == 0 && percent >= 1 && percent <= 100;
}

static int placeholder_parse(const char *name, size_t len, TemplatePiece *ret) {
        char argument[REQUEST_NAME_BYTES_MAX + 1];

        for (unsigned i = 0; i < _PLACEHOLDER_MAX; i++) {
                size_t n = strlen(placeholder_names[i]);

                if (len < n || memcmp(placeholder_names[i], name, n) != 0)
                        continue;
                *ret = (TemplatePiece) { true, (Placeholder) i, name + n, len - n };
                if (placeholder_names[i][n - 1] != ':') {
                        if (len == n)
                                return 1;
                        continue; /* {database} begins as {database_uri} does */
                }
                if (len - n >= sizeof(argument))
                        return -EINVAL;
                memcpy(argument, ret->text, ret->len);
                argument[ret->len] = '\0';
                return placeholder_argument_is_valid(ret->placeholder, argument) ? 1 : -EINVAL;
        }
        return -EINVAL;
}

int template_next(const char **s, TemplatePiece *ret) {
        const char *p = *s;
        size_t n = strcspn(p, "{}");
        int r;

        if (*p == '\0')
                return 0;
        if (n == 0 && p[1] == p[0]) { /* a doubled brace is one */
                *ret = (TemplatePiece) { .text = p, .len = 1 };
                *s = p + 2;
                return 1;
        }
        if (n > 0) {
                *ret = (TemplatePiece) { .text = p, .len = n };
                *s = p + n;
                return 1;
        }
        n = strcspn(p, "}");
        if (*p != '{' || p[n] == '\0')
                return -EINVAL;
        r = placeholder_parse(p + 1, n - 1, ret);
        if (r > 0)
                *s = p + n + 1;
        return r;
}

bool template_is_database(const char *s) {
        TemplatePiece piece;

        return template_next(&s, &piece) > 0 && piece.is_placeholder && *s == '\0' &&
               (piece.placeholder == PLACEHOLDER_DATABASE || piece.placeholder == PLACEHOLDER_DATABASE_URI);
}

/* All that the building of one command reads. */
typedef struct Builder {
        const Language *l;
        const Request *r;
        const LanguageContext *x;
        Error *e;
} Builder;

static bool param_is_used_in(const char *name, const char *s) {
        TemplatePiece piece;

        while (template_next(&s, &piece) > 0)
                if (piece.is_placeholder && piece.placeholder == PLACEHOLDER_PARAM && strlen(name) == piece.len &&
                    memcmp(name, piece.text, piece.len) == 0)
                        return true;
        return false;
}

static bool param_is_used(const Language *l, const char *name) {
        for (size_t i = 0; i < l->compile.n; i++)
                if (param_is_used_in(name, l->compile.v[i]))
                        return true;
        for (size_t i = 0; i < l->execute.n; i++)
                if (param_is_used_in(name, l->execute.v[i]))
                        return true;
        for (size_t i = 0; i < l->environment.n; i++)
                if (param_is_used_in(name, l->environment.v[i].value))
                        return true;
        return false;
}

static const char *database_of(const Builder *b) {
        return b->r->database ? b->r->database : b->l->database_default;
}

static bool database_is_file(const Builder *b) {
        return b->r->database && b->l->database != DATABASE_NAME &&
               (!b->l->database_default || strcmp(b->r->database, b->l->database_default) != 0);
}

static int query_fits(const Builder *b) {
        const Language *l = b->l;
        const Request *r = b->r;

        if (l->query_from == QUERY_FROM_NONE && r->query)
                return error_set(b->e, ERROR_INVALID_ARGUMENT,
                                 "language %s takes no query text; give the program and its arguments in argv, as in "
                                 "`penstockctl run -- ARGV…`",
                                 l->name);
        if (l->query_from == QUERY_FROM_NONE && r->file)
                return error_set(b->e, ERROR_INVALID_ARGUMENT,
                                 "language %s takes no query file; give the program and its arguments in argv, as in "
                                 "`penstockctl run -- ARGV…`",
                                 l->name);
        if (l->query_from != QUERY_FROM_NONE && !r->query && !r->file)
                return error_set(b->e, ERROR_INVALID_ARGUMENT,
                                 "language %s needs a query or a file; argv alone is for language exec", l->name);
        if (l->query_from == QUERY_FROM_ARGUMENT && r->file)
                return error_set(b->e, ERROR_INVALID_ARGUMENT,
                                 "language %s takes the query as text only, not as a file", l->name);
        if (l->query_from == QUERY_FROM_STDIN && r->has_stdin)
                return error_set(b->e, ERROR_INVALID_ARGUMENT,
                                 "language %s reads the query from its standard input, so the caller's cannot be "
                                 "passed too",
                                 l->name);
        if (l->query_from == QUERY_FROM_NONE && l->execute.n == 0 && r->argv.n == 0)
                return error_set(b->e, ERROR_INVALID_ARGUMENT,
                                 "language %s needs a program in argv, as in `penstockctl run -- ARGV…`", l->name);
        if (!l->arguments && r->argv.n > 0)
                return error_set(b->e, ERROR_INVALID_ARGUMENT,
                                 "language %s takes no arguments after the query; argv has %zu", l->name, r->argv.n);
        return 0;
}

static int request_fits(const Builder *b) {
        const Language *l = b->l;
        const Request *r = b->r;
        int ret = query_fits(b);

        if (ret < 0)
                return ret;
        if (l->database == DATABASE_NONE && r->database)
                return error_set(b->e, ERROR_INVALID_ARGUMENT, "language %s takes no database", l->name);
        if (l->database != DATABASE_NONE && l->database != DATABASE_OPTIONAL_FILE && !database_of(b))
                return error_set(b->e, ERROR_INVALID_ARGUMENT, "language %s needs a database", l->name);
        if (database_is_file(b) && !path_is_clean(r->database))
                return error_set(b->e, ERROR_INVALID_ARGUMENT,
                                 "database must be an absolute path without \".\", \"..\", \"//\" or a slash at its "
                                 "end for language %s",
                                 l->name);
        for (size_t i = 0; i < r->parameters.n; i++)
                if (!param_is_used(l, r->parameters.v[i].key))
                        return error_set(b->e, ERROR_INVALID_ARGUMENT, "language %s has no parameter %s", l->name,
                                         r->parameters.v[i].key);
        return 0;
}

/* SQLite's URI file names: everything but these is percent-encoded, so that no `?` or `#` of a path is read as
 * syntax. */
static void uri_write(FILE *f, const char *path) {
        static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/";

        fputs("file:", f);
        for (; *path; path++)
                if (strchr(plain, *path))
                        fputc(*path, f);
                else
                        fprintf(f, "%%%02X", (unsigned char) *path);
        fputs("?mode=rw", f);
}

/* A template was checked when its file was loaded, so these are one to three digits. */
static unsigned long long memory_share(uint64_t bytes, const TemplatePiece *percent) {
        unsigned long long n = 0;

        for (size_t i = 0; i < percent->len; i++)
                n = 10 * n + (unsigned long long) (percent->text[i] - '0');
        return bytes / 100 * n + bytes % 100 * n / 100;
}

static int piece_write(const Builder *b, const TemplatePiece *piece, FILE *f) {
        char name[REQUEST_NAME_BYTES_MAX + 1];
        const char *value;

        switch (piece->placeholder) {
        case PLACEHOLDER_QUERY: fwrite(b->r->query, 1, b->r->query_len, f); return 0;
        case PLACEHOLDER_QUERY_FILE: fputs(b->r->file ? b->r->file : LANGUAGE_QUERY_PATH, f); return 0;
        case PLACEHOLDER_DATABASE: fputs(database_of(b), f); return 0;
        case PLACEHOLDER_DATABASE_URI:
                if (database_is_file(b))
                        uri_write(f, database_of(b));
                else
                        fputs(database_of(b), f);
                return 0;
        case PLACEHOLDER_MEMORY_MAX_BYTES: fprintf(f, "%llu", (unsigned long long) b->x->memory_max_bytes); return 0;
        case PLACEHOLDER_MEMORY_MAX_MIB:
                fprintf(f, "%llu", (unsigned long long) (b->x->memory_max_bytes / MIB));
                return 0;
        case PLACEHOLDER_MEMORY_SHARE: fprintf(f, "%llu", memory_share(b->x->memory_max_bytes, piece)); return 0;
        case PLACEHOLDER_TMPDIR: fputs(b->x->tmpdir, f); return 0;
        case PLACEHOLDER_PARAM: break;
        case _PLACEHOLDER_MAX: return -EINVAL;
        }
        memcpy(name, piece->text, piece->len);
        name[piece->len] = '\0';
        value = pairlist_get(&b->r->parameters, name);
        if (!value)
                return error_set(b->e, ERROR_INVALID_ARGUMENT,
                                 "language %s needs parameter %s, as in `--param %s=VALUE`", b->l->name, name, name);
        fputs(value, f);
        return 0;
}

static int template_write(const Builder *b, const char *s, FILE *f) {
        TemplatePiece piece;
        int r = 0;

        while (r == 0 && template_next(&s, &piece) > 0) {
                if (piece.is_placeholder)
                        r = piece_write(b, &piece, f);
                else
                        fwrite(piece.text, 1, piece.len, f);
        }
        return r;
}

/* The text of one template; *@ret_text is the caller's to free. */
static int template_expand(const Builder *b, const char *s, char **ret_text) {
        char *text = NULL;
        size_t len = 0;
        FILE *f = open_memstream(&text, &len);
        int r;

        if (!f)
                return -ENOMEM;
        r = template_write(b, s, f);
        if (ferror(f) && r == 0)
                r = -ENOMEM;
        if (memstream_close(f, &text) < 0 && r == 0)
                r = -ENOMEM;
        if (r == 0 && len + 1 > REQUEST_ARG_BYTES_MAX)
                r = error_set(b->e, ERROR_INVALID_ARGUMENT,
                              "language %s passes it as one argument of %zu bytes; the kernel takes at most %llu, so "
                              "give the query as a file or choose another language",
                              b->l->name, len, (unsigned long long) REQUEST_ARG_BYTES_MAX - 1);
        if (r < 0) {
                free(text);
                return r;
        }
        *ret_text = text;
        return 0;
}

/* True when what the request says comes first in the element: only then could it be read as an option. */
static bool begins_with_request(const char *s) {
        TemplatePiece piece;

        return template_next(&s, &piece) > 0 && piece.is_placeholder &&
               (piece.placeholder == PLACEHOLDER_QUERY || piece.placeholder == PLACEHOLDER_DATABASE ||
                piece.placeholder == PLACEHOLDER_DATABASE_URI || piece.placeholder == PLACEHOLDER_PARAM);
}

static int argv_expand(const Builder *b, const StrList *templates, StrList *ret) {
        bool options_ended = false;

        for (size_t i = 0; i < templates->n; i++) {
                CLEANUP(freep) char *text = NULL;
                int r;

                if (!database_of(b) && template_is_database(templates->v[i]))
                        continue;
                r = template_expand(b, templates->v[i], &text);
                if (r < 0)
                        return r;
                if (text[0] == '-' && !options_ended && begins_with_request(templates->v[i]))
                        return error_set(b->e, ERROR_INVALID_ARGUMENT,
                                         "language %s would read the value of %s as an option, since it begins with "
                                         "`-`",
                                         b->l->name, templates->v[i]);
                options_ended = options_ended || strcmp(templates->v[i], "--") == 0;
                if (strlist_add(ret, text) < 0)
                        return -ENOMEM;
        }
        return 0;
}

static int environment_expand(const Builder *b, PairList *ret) {
        for (size_t i = 0; i < b->l->environment.n; i++) {
                CLEANUP(freep) char *text = NULL;
                int r = template_expand(b, b->l->environment.v[i].value, &text);

                if (r == 0)
                        r = pairlist_set(ret, b->l->environment.v[i].key, text);
                if (r < 0)
                        return r;
        }
        return 0;
}

static bool uses_query_file(const StrList *templates) {
        TemplatePiece piece;

        for (size_t i = 0; i < templates->n; i++)
                for (const char *s = templates->v[i]; template_next(&s, &piece) > 0;)
                        if (piece.is_placeholder && piece.placeholder == PLACEHOLDER_QUERY_FILE)
                                return true;
        return false;
}

static int command_build(const Builder *b, const StrList *templates, LanguageCommand *c) {
        int r = request_fits(b);

        if (r == 0)
                r = argv_expand(b, templates, &c->argv);
        if (r == 0)
                r = environment_expand(b, &c->environment);
        if (r < 0)
                return r;
        c->query_on_fd = !b->r->file && uses_query_file(templates);
        if (b->l->query_from == QUERY_FROM_STDIN)
                c->stdin_from = b->r->file ? STDIN_FILE : STDIN_QUERY;
        return 0;
}

int language_compile_command(const Language *l, const Request *r, const LanguageContext *x, LanguageCommand *ret,
                             Error *ret_error) {
        CLEANUP(language_command_done) LanguageCommand c = {};
        int ret_code = command_build(&(Builder) { l, r, x, ret_error }, &l->compile, &c);

        if (ret_code < 0)
                return ret_code;
        *ret = c;
        c = (LanguageCommand) {};
        return 0;
}

int language_execute_command(const Language *l, const Request *r, const LanguageContext *x, LanguageCommand *ret,
                             Error *ret_error) {
        CLEANUP(language_command_done) LanguageCommand c = {};
        int ret_code = command_build(&(Builder) { l, r, x, ret_error }, &l->execute, &c);

        if (ret_code < 0)
                return ret_code;
        for (size_t i = 0; i < r->argv.n; i++)
                if (strlist_add(&c.argv, r->argv.v[i]) < 0)
                        return -ENOMEM;
        if (r->has_stdin) /* command_build() refused it where stdin carries the query */
                c.stdin_from = STDIN_CALLER;
        *ret = c;
        c = (LanguageCommand) {};
        return 0;
}

void language_command_done(LanguageCommand *c) {
        strlist_done(&c->argv);
        pairlist_done(&c->environment);
        *c = (LanguageCommand) {};
}
