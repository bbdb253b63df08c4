/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/dependency.h"
#include "core/words.h"

#include <errno.h>
#include <string.h>

bool dependency_name_is_valid(const char *name) {
        size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");

        return n > 0 && n <= DEPENDENCY_NAME_MAX && name[n] == '\0';
}

/* "NAME=VALUE" or "NAME:FILE" in each word. */
static int pairs_add(PairList *l, const StrList *words, char separator) {
        for (size_t i = 0; i < words->n; i++) {
                char *value = strchr(words->v[i], separator);
                int r;

                if (!value)
                        return -EINVAL;
                *value++ = '\0';
                if (!identifier_is_valid(words->v[i]) || (separator == ':' && !path_is_clean(value)))
                        return -EINVAL;
                r = pairlist_set(l, words->v[i], value);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int paths_add(StrList *l, const StrList *words) {
        for (size_t i = 0; i < words->n; i++) {
                int r = path_is_clean(words->v[i]) ? strlist_add(l, words->v[i]) : -EINVAL;

                if (r < 0)
                        return r;
        }
        return 0;
}

static int units_add(StrList *l, const StrList *words) {
        for (size_t i = 0; i < words->n; i++) {
                const char *dot = strrchr(words->v[i], '.');
                int r;

                if (!dot || dot == words->v[i] || !dot[1] || strchr(words->v[i], '/') || strlen(words->v[i]) > 255)
                        return -EINVAL;
                r = strlist_add(l, words->v[i]);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int command_set(StrList *l, StrList *words) {
        if (words->v[0][0] != '/')
                return -EINVAL;
        strlist_done(l);
        *l = *words;
        *words = (StrList) {};
        return 0;
}

typedef enum Kind { ENVIRONMENT, CREDENTIAL, PATHS, UNITS, COMMAND } Kind;

static const struct {
        const char *key;
        Kind kind;
        size_t offset;
        const char *rule;
} keys[] = {
        { "Environment", ENVIRONMENT, offsetof(Dependency, environment), "takes words of the form NAME=VALUE" },
        { "Credential", CREDENTIAL, offsetof(Dependency, credentials),
          "takes words of the form NAME:/ABSOLUTE/FILE" },
        { "BindPaths", PATHS, offsetof(Dependency, bind_paths), "takes absolute paths" },
        { "BindReadOnlyPaths", PATHS, offsetof(Dependency, bind_read_only_paths), "takes absolute paths" },
        { "ActiveUnits", UNITS, offsetof(Dependency, active_units), "takes unit names, suffix included" },
        { "CheckCommand", COMMAND, offsetof(Dependency, check_command),
          "takes the absolute path of a program, and arguments" },
};

static int value_apply(Dependency *d, size_t key, const char *value) {
        void *field = (char *) d + keys[key].offset;
        Kind kind = keys[key].kind;
        bool pairs = kind == ENVIRONMENT || kind == CREDENTIAL;
        CLEANUP(strlist_done) StrList words = {};
        int r = words_split(value, &words);

        if (r < 0)
                return r;
        if (words.n == 0) { /* empty: forget what was said before */
                if (pairs)
                        pairlist_done(field);
                else
                        strlist_done(field);
                return 0;
        }
        switch (kind) {
        case ENVIRONMENT: return pairs_add(field, &words, '=');
        case CREDENTIAL: return pairs_add(field, &words, ':');
        case PATHS: return paths_add(field, &words);
        case UNITS: return units_add(field, &words);
        case COMMAND: return command_set(field, &words);
        }
        return -EINVAL;
}

static int dependency_add(DependencyList *l, const char *name, Dependency **ret) {
        char *copy = strdup(name);
        Dependency *v = copy ? realloc(l->v, (l->n + 1) * sizeof(*v)) : NULL;

        if (!v) {
                free(copy);
                return -ENOMEM;
        }
        v[l->n] = (Dependency) { .name = copy };
        *ret = &v[l->n++];
        l->v = v;
        return 0;
}

int dependency_set(DependencyList *l, const char *name, const char *key, const char *value, const char *file,
                   unsigned line, Error *ret_error) {
        Dependency *d = NULL;
        size_t k = 0;
        int r;

        if (!dependency_name_is_valid(name))
                return error_set(ret_error, ERROR_INVALID_ARGUMENT,
                                 "%s:%u: [Dependency %.64s]: a name has letters, digits, - and _, at most %u of them",
                                 file, line, name, DEPENDENCY_NAME_MAX);
        for (size_t i = 0; i < l->n; i++)
                if (strcmp(l->v[i].name, name) == 0)
                        d = &l->v[i];
        if (!d) {
                r = dependency_add(l, name, &d);
                if (r < 0)
                        return r;
        }
        while (k < ELEMENTSOF(keys) && strcmp(keys[k].key, key) != 0)
                k++;
        if (k == ELEMENTSOF(keys))
                return -ENOENT;
        r = value_apply(d, k, value);
        if (r == -EINVAL)
                return error_set(ret_error, ERROR_INVALID_ARGUMENT, "%s:%u: [Dependency %s]: %s= %s", file, line,
                                 name, key, keys[k].rule);
        return r;
}

const Dependency *dependency_find(const DependencyList *l, const char *name) {
        for (size_t i = 0; i < l->n; i++)
                if (strcmp(l->v[i].name, name) == 0)
                        return &l->v[i];
        return NULL;
}

void dependency_list_done(DependencyList *l) {
        for (size_t i = 0; i < l->n; i++) {
                Dependency *d = &l->v[i];

                free(d->name);
                pairlist_done(&d->environment);
                pairlist_done(&d->credentials);
                strlist_done(&d->bind_paths);
                strlist_done(&d->bind_read_only_paths);
                strlist_done(&d->active_units);
                strlist_done(&d->check_command);
        }
        free(l->v);
        *l = (DependencyList) {};
}
