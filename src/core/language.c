/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/language.h"
#include "core/dependency.h"
#include "core/query.h"
#include "core/words.h"

#include <errno.h>
#include <string.h>

typedef enum Kind { TEXT, ARGV, CHOICE, SWITCH, PAIRS, NAMES } Kind;

typedef struct KeyInfo {
        const char *section, *name;
        Kind kind;
        size_t offset;
        const char *rule; /* for CHOICE: the values in the order of the enum */
} KeyInfo;

#define KEY(s, n, k, f, r) { .section = s, .name = n, .kind = k, .offset = offsetof(Language, f), .rule = r }

static const KeyInfo keys[] = {
        KEY("Language", "Description", TEXT, description, NULL),
        KEY("Language", "Compile", ARGV, compile, "quotes and escapes must be whole, and placeholders known"),
        KEY("Language", "Execute", ARGV, execute, "quotes and escapes must be whole, and placeholders known"),
        KEY("Language", "QueryFrom", CHOICE, query_from, "none stdin argument file"),
        KEY("Language", "Database", CHOICE, database, "none file optional-file name"),
        KEY("Language", "DatabaseDefault", TEXT, database_default, NULL),
        KEY("Language", "Arguments", SWITCH, arguments, "it must be yes or no"),
        KEY("Language", "TransparentHugePages", SWITCH, transparent_huge_pages, "it must be yes or no"),
        KEY("Language", "MemoryNote", TEXT, memory_note, NULL),
        KEY("Language", "Environment", PAIRS, environment,
            "it takes words of the form NAME=VALUE, with known placeholders"),
        KEY("Language", "Dependencies", NAMES, dependencies, "it takes names of [Dependency NAME] sections"),
        KEY("Language", "Tmp", CHOICE, tmp, "disk memory"),
        KEY("Sandbox", "WorkingDirectory", CHOICE, working_directory_access, "hidden read-only read-write"),
        KEY("Sandbox", "DatabaseAccess", CHOICE, database_access, "hidden read-only read-write"),
        KEY("Sandbox", "Home", CHOICE, home_access, "hidden read-only read-write"),
        KEY("Sandbox", "Network", SWITCH, network, "it must be yes or no"),
};

bool language_name_is_valid(const char *name) {
        size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_");

        return n > 0 && n < sizeof(((QuerySpec *) 0)->language) && name[n] == '\0' && name[0] != '-' && name[0] != '_';
}

int language_new(const char *name, Language **ret) {
        Language *l = calloc(1, sizeof(*l));

        if (!l)
                return -ENOMEM;
        l->name = strdup(name);
        if (!l->name) {
                free(l);
                return -ENOMEM;
        }
        l->database_access = PATH_READ_ONLY;
        *ret = l;
        return 0;
}

Language *language_free(Language *l) {
        if (!l)
                return NULL;
        free(l->name);
        free(l->description);
        strlist_done(&l->compile);
        strlist_done(&l->execute);
        free(l->database_default);
        free(l->memory_note);
        pairlist_done(&l->environment);
        strlist_done(&l->dependencies);
        pairlist_done(&l->unit_properties);
        free(l->origin_file);
        free(l);
        return NULL;
}

static bool template_is_valid(const char *s) {
        TemplatePiece piece;
        int r;

        do
                r = template_next(&s, &piece);
        while (r > 0);
        return r == 0;
}

/* By name, not by offset: the analyzer follows an owner only into a field that it can name. */
static int text_set(Language *l, const KeyInfo *k, const char *value) {
        char *copy = value[0] != '\0' ? strdup(value) : NULL;

        if (value[0] != '\0' && !copy)
                return -ENOMEM;
        if (k->offset == offsetof(Language, description)) {
                free(l->description);
                l->description = copy;
        } else if (k->offset == offsetof(Language, database_default)) {
                free(l->database_default);
                l->database_default = copy;
        } else {
                free(l->memory_note);
                l->memory_note = copy;
        }
        return 0;
}

static int argv_set(StrList *field, const char *value) {
        CLEANUP(strlist_done) StrList words = {};
        int r = words_split(value, &words);

        for (size_t i = 0; r == 0 && i < words.n; i++)
                if (!template_is_valid(words.v[i]))
                        r = -EINVAL;
        if (r < 0)
                return r;
        strlist_done(field);
        *field = words;
        words = (StrList) {};
        return 0;
}

static int pairs_add(PairList *field, const char *value) {
        CLEANUP(strlist_done) StrList words = {};
        int r = words_split(value, &words);

        if (r == 0 && words.n == 0)
                pairlist_done(field);
        for (size_t i = 0; r == 0 && i < words.n; i++) {
                char *v = strchr(words.v[i], '=');

                if (!v)
                        return -EINVAL;
                *v++ = '\0';
                r = identifier_is_valid(words.v[i]) && template_is_valid(v) ? pairlist_set(field, words.v[i], v)
                                                                            : -EINVAL;
        }
        return r;
}

static int names_add(StrList *field, const char *value) {
        CLEANUP(strlist_done) StrList words = {};
        int r = words_split(value, &words);

        if (r == 0 && words.n == 0)
                strlist_done(field);
        for (size_t i = 0; r == 0 && i < words.n; i++) {
                if (!dependency_name_is_valid(words.v[i]))
                        return -EINVAL;
                if (!strlist_has(field, words.v[i]))
                        r = strlist_add(field, words.v[i]);
        }
        return r;
}

static unsigned choices_count(const char *choices) {
        unsigned n = 1;

        for (; *choices; choices++)
                n += *choices == ' ';
        return n;
}

static int choice_set(unsigned *field, const char *choices, const char *value) {
        size_t len = strlen(value);

        for (unsigned i = 0; *choices; i++) {
                size_t n = strcspn(choices, " ");

                if (n == len && strncmp(choices, value, n) == 0) {
                        *field = i; /* each enum's values are the places in its list */
                        return 0;
                }
                choices += n + (choices[n] == ' ');
        }
        return -EINVAL;
}

static int value_apply(Language *l, const KeyInfo *k, const char *value) {
        void *field = (char *) l + k->offset;
        bool empty = value[0] == '\0';

        switch (k->kind) {
        case TEXT: return text_set(l, k, value);
        case ARGV: return argv_set(field, value);
        case PAIRS: return pairs_add(field, value);
        case NAMES: return names_add(field, value);
        case SWITCH: return bool_parse(empty ? "no" : value, field);
        case CHOICE:
                if (empty) {
                        *(unsigned *) field = k->offset == offsetof(Language, database_access) ? PATH_READ_ONLY : 0;
                        return 0;
                }
                return choice_set(field, k->rule, value);
        }
        return -EINVAL;
}

static int unit_property_set(Language *l, const UnitProperty *p, const char *value, const char *file, unsigned line,
                             Error *e) {
        int r;

        if (value[0] == '\0') {
                pairlist_remove(&l->unit_properties, p->name);
                return 0;
        }
        r = unit_property_check(p, value);
        if (r == -ENOMEM)
                return r;
        if (r < 0)
                return error_set(e, ERROR_INVALID_ARGUMENT,
                                 "%s:%u: %s=%.64s is refused: it must be what systemd takes for this property, "
                                 "numbers from %lld to %lld, paths absolute, filters without ~",
                                 file, line, p->name, value, (long long) p->min, (long long) p->max);
        return pairlist_set(&l->unit_properties, p->name, value);
}

int language_set(Language *l, const char *section, const char *key, const char *value, const char *file,
                 unsigned line, Error *ret_error) {
        const UnitProperty *p = strcmp(section, "Sandbox") == 0 ? unit_property_find(key) : NULL;
        int r;

        if (p)
                return unit_property_set(l, p, value, file, line, ret_error);
        for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
                if (strcmp(keys[i].section, section) != 0 || strcmp(keys[i].name, key) != 0)
                        continue;
                r = value_apply(l, &keys[i], value);
                if (r == -EINVAL)
                        return error_set(ret_error, ERROR_INVALID_ARGUMENT, "%s:%u: %s=%.64s is refused: %s%s", file,
                                         line, key, value, keys[i].kind == CHOICE ? "it must be one of: " : "",
                                         keys[i].rule);
                return r;
        }
        return -ENOENT;
}

#define DATABASE_PLACEHOLDERS (1u << PLACEHOLDER_DATABASE | 1u << PLACEHOLDER_DATABASE_URI)

/* Which placeholders a list of templates uses, as a set of bits. */
static unsigned placeholders_in(const StrList *l) {
        unsigned set = 0;
        TemplatePiece piece;

        for (size_t i = 0; i < l->n; i++)
                for (const char *s = l->v[i]; template_next(&s, &piece) > 0;)
                        if (piece.is_placeholder)
                                set |= 1u << piece.placeholder;
        return set;
}

/* What is run is the administrator's choice, never the request's. */
static bool program_is_fixed(const StrList *l) {
        return l->v[0][0] != '\0' && placeholders_in(&(StrList) { .v = l->v, .n = 1 }) == 0;
}

static int misfit(const Language *l, Error *e, const char *what) {
        return error_set(e, ERROR_INVALID_ARGUMENT, "%s: language %s: %s",
                         l->origin_file ? l->origin_file : "built-in", l->name, what);
}

static int query_from_check(const Language *l, unsigned compile, unsigned execute, Error *e) {
        unsigned query = 1u << PLACEHOLDER_QUERY, file = 1u << PLACEHOLDER_QUERY_FILE;

        if (l->query_from == QUERY_FROM_ARGUMENT && !(execute & query))
                return misfit(l, e, "QueryFrom=argument, but Execute= does not hold {query}");
        if (l->query_from == QUERY_FROM_FILE && !(execute & file))
                return misfit(l, e, "QueryFrom=file, but Execute= does not hold {query_file}");
        if (l->query_from != QUERY_FROM_ARGUMENT && ((compile | execute) & query))
                return misfit(l, e, "{query} needs QueryFrom=argument");
        if (l->query_from != QUERY_FROM_FILE && (execute & file))
                return misfit(l, e, "{query_file} in Execute= needs QueryFrom=file");
        if (l->query_from == QUERY_FROM_NONE && l->compile.n > 0)
                return misfit(l, e, "Compile= needs a query, but QueryFrom=none");
        return 0;
}

/* Whether each {database} is a word of its own, which can be left out with its value. */
static bool database_is_words(const StrList *templates) {
        for (size_t i = 0; i < templates->n; i++)
                if ((placeholders_in(&(StrList) { .v = &templates->v[i], .n = 1 }) & DATABASE_PLACEHOLDERS) &&
                    !template_is_database(templates->v[i]))
                        return false;
        return true;
}

static bool database_can_be_left_out(const Language *l) {
        for (size_t i = 0; i < l->environment.n; i++)
                if (placeholders_in(&(StrList) { .v = &l->environment.v[i].value, .n = 1 }) & DATABASE_PLACEHOLDERS)
                        return false;
        return database_is_words(&l->compile) && database_is_words(&l->execute);
}

static int database_check(const Language *l, unsigned compile, unsigned rest, Error *e) {
        bool used = rest & DATABASE_PLACEHOLDERS;

        if (l->database == DATABASE_NONE && ((compile | rest) & DATABASE_PLACEHOLDERS))
                return misfit(l, e, "{database} needs Database=file, optional-file or name");
        if (l->database != DATABASE_NONE && !used)
                return misfit(l, e, "Database= is set, but neither Execute= nor Environment= holds {database}");
        if (l->database == DATABASE_OPTIONAL_FILE && !l->database_default && !database_can_be_left_out(l))
                return misfit(l, e,
                              "Database=optional-file needs DatabaseDefault= where {database} is not a word of its "
                              "own");
        if ((l->database == DATABASE_NONE || l->database == DATABASE_FILE) && l->database_default)
                return misfit(l, e, "DatabaseDefault= needs Database=optional-file or name");
        return 0;
}

int language_finish(const Language *l, Error *ret_error) {
        unsigned compile = placeholders_in(&l->compile), execute = placeholders_in(&l->execute), environment = 0;
        unsigned queries = 1u << PLACEHOLDER_QUERY | 1u << PLACEHOLDER_QUERY_FILE;
        int r;

        for (size_t i = 0; i < l->environment.n; i++)
                environment |= placeholders_in(&(StrList) { .v = &l->environment.v[i].value, .n = 1 });
        if (l->execute.n == 0 && !(l->query_from == QUERY_FROM_NONE && l->arguments))
                return misfit(l, ret_error,
                              "Execute= is missing (only QueryFrom=none with Arguments=yes does without)");
        if ((l->execute.n > 0 && !program_is_fixed(&l->execute)) ||
            (l->compile.n > 0 && !program_is_fixed(&l->compile)))
                return misfit(l, ret_error,
                              "the program in Execute= or Compile= is empty or comes from a placeholder");
        if (environment & queries)
                return misfit(l, ret_error,
                              "Environment= cannot hold the query, which everyone with this user's id could then "
                              "read");
        r = query_from_check(l, compile, execute, ret_error);
        return r < 0 ? r : database_check(l, compile, execute | environment, ret_error);
}

static bool templates_are_valid(const StrList *l) {
        for (size_t i = 0; i < l->n; i++)
                if (!template_is_valid(l->v[i]))
                        return false;
        return true;
}

static bool pairs_are_valid(const PairList *l) {
        for (size_t i = 0; i < l->n; i++)
                if (!identifier_is_valid(l->v[i].key) || !template_is_valid(l->v[i].value))
                        return false;
        return true;
}

int language_check(const Language *l) {
        Error ignored = {};
        int r = 0;

        for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
                const void *field = (const char *) l + keys[i].offset;

                if ((keys[i].kind == ARGV && !templates_are_valid(field)) || (keys[i].kind == PAIRS && !pairs_are_valid(field)) ||
                    (keys[i].kind == CHOICE && *(const unsigned *) field >= choices_count(keys[i].rule)))
                        return -EINVAL;
        }
        for (size_t i = 0; i < l->unit_properties.n && r == 0; i++) {
                const UnitProperty *p = unit_property_find(l->unit_properties.v[i].key);

                r = p ? unit_property_check(p, l->unit_properties.v[i].value) : -EINVAL;
        }
        return r < 0 ? r : language_finish(l, &ignored);
}
