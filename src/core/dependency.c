/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/dependency.h"
#include "core/request.h"
#include "core/words.h"

#include <errno.h>
#include <string.h>

bool dependency_name_is_valid(const char *name) {
        size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");

        return n > 0 && n <= DEPENDENCY_NAME_MAX && name[n] == '\0';
}

/* The worker reads it in the query's sandbox, which has directories of its own of these names. */
static bool credential_path_is_valid(const char *path) {
        static const char *const own[] = { "/tmp/", "/var/tmp/", "/dev/shm/", "/home/", "/root/", "/run/user/" };

        for (size_t i = 0; i < ELEMENTSOF(own); i++)
                if (strncmp(path, own[i], strlen(own[i])) == 0)
                        return false;
        return path_is_clean(path);
}

/* "NAME=VALUE" or "NAME:FILE" in each word. */
static int pairs_add(PairList *l, const StrList *words, char separator) {
        for (size_t i = 0; i < words->n; i++) {
                char *value = strchr(words->v[i], separator);
                int r;

                if (!value)
                        return -EINVAL;
                *value++ = '\0';
                if (!identifier_is_valid(words->v[i]) || !utf8_is_valid(value, strlen(value)) ||
                    (separator == ':' && !credential_path_is_valid(value)))
                        return -EINVAL;
                r = pairlist_set(l, words->v[i], value);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* What systemd takes for a path to bind without reading it as something else. The root would cover all else. */
static bool path_can_be_bound(const char *path) {
        if (!path_is_clean(path) || path[1] == '\0' || !utf8_is_valid(path, strlen(path)))
                return false;
        for (const char *p = path; *p; p++)
                if ((unsigned char) *p < 0x20 || *p == 0x7f || *p == '\'' || *p == '"')
                        return false;
        return true;
}

static int paths_add(StrList *l, const StrList *words) {
        for (size_t i = 0; i < words->n; i++) {
                int r = path_can_be_bound(words->v[i]) ? strlist_add(l, words->v[i]) : -EINVAL;

                if (r < 0)
                        return r;
        }
        return 0;
}

static int files_add(StrList *l, const StrList *words) {
        for (size_t i = 0; i < words->n; i++) {
                int r = path_is_clean(words->v[i] + (words->v[i][0] == '-')) ? strlist_add(l, words->v[i]) : -EINVAL;

                if (r < 0)
                        return r;
        }
        return 0;
}

/* A unit's name as PID 1 takes it. */
static bool unit_name_is_valid(const char *name) {
        static const char *const suffixes[] = { "service", "socket", "target",    "mount", "device", "path",
                                                "timer",   "slice",  "automount", "scope", "swap" };
        const char *dot = strrchr(name, '.');
        size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:-_.\\@");

        if (!dot || dot == name || name[n] != '\0' || n > 255)
                return false;
        for (size_t i = 0; i < ELEMENTSOF(suffixes); i++)
                if (strcmp(dot + 1, suffixes[i]) == 0)
                        return true;
        return false;
}

static int units_add(StrList *l, const StrList *words) {
        for (size_t i = 0; i < words->n; i++) {
                int r = unit_name_is_valid(words->v[i]) ? strlist_add(l, words->v[i]) : -EINVAL;

                if (r < 0)
                        return r;
        }
        return 0;
}

static int command_set(StrList *l, StrList *words) {
        if (!path_is_clean(words->v[0]))
                return -EINVAL;
        for (size_t i = 0; i < words->n; i++)
                if (!utf8_is_valid(words->v[i], strlen(words->v[i])))
                        return -EINVAL;
        strlist_done(l);
        *l = *words;
        *words = (StrList) {};
        return 0;
}

static int user_set(char **field, const char *value) {
        size_t n = strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789_-");
        char *copy;

        if (value[n] != '\0' || n > 31 || value[0] == '-')
                return -EINVAL;
        copy = n > 0 ? strdup(value) : NULL;
        if (n > 0 && !copy)
                return -ENOMEM;
        free(*field);
        *field = copy;
        return 0;
}

#define TIMEOUT_DEFAULT_USEC (10 * USEC_PER_SEC)
#define TIMEOUT_MIN_USEC (100 * USEC_PER_MSEC)
#define TIMEOUT_MAX_USEC (600 * USEC_PER_SEC)

static int timeout_set(uint64_t *field, const char *value) {
        uint64_t usec = TIMEOUT_DEFAULT_USEC;

        if (value[0] != '\0' && duration_parse(value, &usec) < 0)
                return -EINVAL;
        if (usec < TIMEOUT_MIN_USEC || usec > TIMEOUT_MAX_USEC)
                return -EINVAL;
        *field = usec;
        return 0;
}

typedef enum Kind { ENVIRONMENT, CREDENTIAL, PATHS, FILES, UNITS, COMMAND, USER, TIMEOUT, SWITCH } Kind;

static const struct {
        const char *key;
        Kind kind;
        size_t offset;
        const char *rule;
} keys[] = {
        { "Requestable", SWITCH, offsetof(Dependency, requestable), "must be yes or no" },
        { "Environment", ENVIRONMENT, offsetof(Dependency, environment), "takes words of the form NAME=VALUE" },
        { "EnvironmentFile", FILES, offsetof(Dependency, environment_files),
          "takes absolute paths, with a - before one that may be missing" },
        { "LoadCredential", CREDENTIAL, offsetof(Dependency, credentials),
          "takes words of the form NAME:/ABSOLUTE/FILE, outside /tmp, /var/tmp, /dev/shm, /home and /root, which a query "
          "has for itself" },
        { "BindPaths", PATHS, offsetof(Dependency, bind_paths),
          "takes absolute paths other than /, without quotes and control characters" },
        { "BindReadOnlyPaths", PATHS, offsetof(Dependency, bind_read_only_paths),
          "takes absolute paths other than /, without quotes and control characters" },
        { "Requires", UNITS, offsetof(Dependency, requires_units), "takes unit names, suffix included" },
        { "After", UNITS, offsetof(Dependency, after_units), "takes unit names, suffix included" },
        { "CheckCommand", COMMAND, offsetof(Dependency, check_command),
          "takes the absolute path of a program, and arguments" },
        { "ReleaseCommand", COMMAND, offsetof(Dependency, release_command),
          "takes the absolute path of a program, and arguments" },
        { "CheckTimeoutSec", TIMEOUT, offsetof(Dependency, check_timeout_usec),
          "takes a time span from 100ms to 10min" },
        { "User", USER, offsetof(Dependency, user), "takes the name of a user of the system" },
};

/* A key of one value. */
static int single_apply(void *field, Kind kind, const char *value) {
        switch (kind) {
        case USER: return user_set(field, value);
        case TIMEOUT: return timeout_set(field, value);
        default: return bool_parse(value[0] == '\0' ? "no" : value, field);
        }
}

static int words_apply(void *field, Kind kind, StrList *words) {
        switch (kind) {
        case ENVIRONMENT: return pairs_add(field, words, '=');
        case CREDENTIAL: return pairs_add(field, words, ':');
        case PATHS: return paths_add(field, words);
        case FILES: return files_add(field, words);
        case UNITS: return units_add(field, words);
        case COMMAND: return command_set(field, words);
        default: return -EINVAL;
        }
}

static int value_apply(Dependency *d, size_t key, const char *value) {
        void *field = (char *) d + keys[key].offset;
        Kind kind = keys[key].kind;
        bool pairs = kind == ENVIRONMENT || kind == CREDENTIAL;
        CLEANUP(strlist_done) StrList words = {};
        int r;

        if (kind == USER || kind == TIMEOUT || kind == SWITCH)
                return single_apply(field, kind, value);
        r = words_split(value, &words);
        if (r < 0)
                return r;
        if (words.n == 0) { /* empty: forget what was said before */
                if (pairs)
                        pairlist_done(field);
                else
                        strlist_done(field);
                return 0;
        }
        r = words_apply(field, kind, &words);
        if (r == 0 && kind != COMMAND && (pairs ? ((PairList *) field)->n : ((StrList *) field)->n) > DEPENDENCY_ITEMS_MAX)
                r = -E2BIG;
        return r;
}

static int dependency_add(DependencyList *l, const char *name, Dependency **ret) {
        char *copy = strdup(name);
        Dependency *v = copy ? realloc(l->v, (l->n + 1) * sizeof(*v)) : NULL;

        if (!v) {
                free(copy);
                return -ENOMEM;
        }
        v[l->n] = (Dependency) { .name = copy, .check_timeout_usec = TIMEOUT_DEFAULT_USEC };
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
        if (r == -E2BIG)
                return error_set(ret_error, ERROR_INVALID_ARGUMENT, "%s:%u: [Dependency %s]: %s= has more than %u entries",
                                 file, line, name, key, DEPENDENCY_ITEMS_MAX);
        return r;
}

const Dependency *dependency_find(const DependencyList *l, const char *name) {
        for (size_t i = 0; i < l->n; i++)
                if (strcmp(l->v[i].name, name) == 0)
                        return &l->v[i];
        return NULL;
}

static void dependency_done(Dependency *d) {
        free(d->name);
        free(d->user);
        pairlist_done(&d->environment);
        strlist_done(&d->environment_files);
        pairlist_done(&d->credentials);
        strlist_done(&d->bind_paths);
        strlist_done(&d->bind_read_only_paths);
        strlist_done(&d->requires_units);
        strlist_done(&d->after_units);
        strlist_done(&d->check_command);
        strlist_done(&d->release_command);
}

void dependency_list_done(DependencyList *l) {
        for (size_t i = 0; i < l->n; i++)
                dependency_done(&l->v[i]);
        free(l->v);
        *l = (DependencyList) {};
}

int dependency_list_add(DependencyList *l, const Dependency *d) {
        Dependency *to;
        int r;

        if (dependency_find(l, d->name))
                return 0;
        r = dependency_add(l, d->name, &to);
        if (r < 0)
                return r;
        to->requestable = d->requestable;
        to->check_timeout_usec = d->check_timeout_usec;
        if (d->user && !(to->user = strdup(d->user)))
                r = -ENOMEM;
        if (r < 0 || (r = pairlist_merge(&to->environment, &d->environment)) < 0 ||
            (r = pairlist_merge(&to->credentials, &d->credentials)) < 0 ||
            (r = strlist_copy(&d->environment_files, &to->environment_files)) < 0 ||
            (r = strlist_copy(&d->bind_paths, &to->bind_paths)) < 0 ||
            (r = strlist_copy(&d->bind_read_only_paths, &to->bind_read_only_paths)) < 0 ||
            (r = strlist_copy(&d->requires_units, &to->requires_units)) < 0 ||
            (r = strlist_copy(&d->after_units, &to->after_units)) < 0 ||
            (r = strlist_copy(&d->check_command, &to->check_command)) < 0 ||
            (r = strlist_copy(&d->release_command, &to->release_command)) < 0)
                dependency_done(&l->v[--l->n]);
        return r;
}

static bool texts_are_same(const char *a, const char *b) {
        return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool strings_are_same(const StrList *a, const StrList *b) {
        bool same = a->n == b->n;

        for (size_t i = 0; same && i < a->n; i++)
                same = strcmp(a->v[i], b->v[i]) == 0;
        return same;
}

static bool pairs_are_same(const PairList *a, const PairList *b) {
        bool same = a->n == b->n;

        for (size_t i = 0; same && i < a->n; i++)
                same = strcmp(a->v[i].key, b->v[i].key) == 0 && strcmp(a->v[i].value, b->v[i].value) == 0;
        return same;
}

bool dependency_is_same(const Dependency *a, const Dependency *b) {
        bool same = strcmp(a->name, b->name) == 0;

        for (size_t i = 0; same && i < ELEMENTSOF(keys); i++) {
                const void *x = (const char *) a + keys[i].offset, *y = (const char *) b + keys[i].offset;

                switch (keys[i].kind) {
                case USER: same = texts_are_same(*(char *const *) x, *(char *const *) y); break;
                case TIMEOUT: same = *(const uint64_t *) x == *(const uint64_t *) y; break;
                case SWITCH: same = *(const bool *) x == *(const bool *) y; break;
                case ENVIRONMENT:
                case CREDENTIAL: same = pairs_are_same(x, y); break;
                default: same = strings_are_same(x, y);
                }
        }
        return same;
}

int dependency_list_copy(const DependencyList *l, DependencyList *ret) {
        int r = 0;

        for (size_t i = 0; i < l->n && r == 0; i++)
                r = dependency_list_add(ret, &l->v[i]);
        if (r < 0)
                dependency_list_done(ret);
        return r;
}

static int wish_refuse(const DependencyWishes *w, const StrList *names, const char *name, bool known, Error *e) {
        if (names == w->of_request)
                return known ? error_set(e, ERROR_PERMISSION_DENIED,
                                         "dependencies: %s is not for requests to name; Requestable= of [Dependency %s] "
                                         "sets that",
                                         name, name)
                             : error_set(e, ERROR_INVALID_ARGUMENT,
                                         "dependencies: there is no [Dependency %s] in the service's configuration",
                                         dependency_name_is_valid(name) ? name : "of that name");
        return error_set(e, ERROR_DEPENDENCY_FAILED,
                         "language %s needs the dependency %s, and there is no [Dependency %s] in the configuration",
                         w->language, name, name);
}

static int wishes_add(const DependencyList *known, const DependencyWishes *w, const StrList *names, DependencyList *to,
                      Error *e) {
        int r = 0;

        for (size_t i = 0; i < names->n && r == 0; i++) {
                const Dependency *d = dependency_find(known, names->v[i]);

                /* One that the query has anyhow is no secret from it. */
                if (!d || (names == w->of_request && !d->requestable && !dependency_find(to, names->v[i])))
                        return wish_refuse(w, names, names->v[i], d, e);
                r = dependency_list_add(to, d);
                if (r == 0 && to->n > DEPENDENCIES_MAX)
                        r = error_set(e, ERROR_INVALID_ARGUMENT,
                                      "dependencies: a query may have %u of them, those of its language and of "
                                      "ExecutorDependencies included",
                                      DEPENDENCIES_MAX);
        }
        return r;
}

static size_t credentials_in(const DependencyList *l) {
        size_t n = 0;

        for (size_t i = 0; i < l->n; i++)
                n += l->v[i].credentials.n;
        return n;
}

int dependency_collect(const DependencyList *known, const DependencyWishes *w, DependencyList *ret, Error *ret_error) {
        int r = wishes_add(known, w, w->executor, ret, ret_error);

        if (r == 0)
                r = wishes_add(known, w, w->of_language, ret, ret_error);
        if (r == 0)
                r = wishes_add(known, w, w->of_request, ret, ret_error);
        if (r == 0 && credentials_in(ret) > CREDENTIALS_MAX)
                r = error_set(ret_error, ERROR_INVALID_ARGUMENT,
                              "dependencies: together they have %zu credentials; a query may have %u", credentials_in(ret),
                              CREDENTIALS_MAX);
        if (r < 0)
                dependency_list_done(ret);
        return r;
}

bool dependency_needs_check(const Dependency *d) {
        return d->environment_files.n > 0 || d->credentials.n > 0 || d->bind_paths.n > 0 ||
               d->bind_read_only_paths.n > 0 || d->requires_units.n > 0 || d->check_command.n > 0;
}
