/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/request.h"

#include <string.h>
#include <sys/resource.h>

/* The messages name keys, positions and sizes, never a value: a value may be a secret. */
static int invalid(Error *e, const char *key, const char *rule) {
        return error_set(e, ERROR_INVALID_ARGUMENT, "%s %s", key, rule);
}

static int too_long(Error *e, const char *key, size_t size, uint64_t limit) {
        return error_set(e, ERROR_INVALID_ARGUMENT, "%s is %zu bytes long; at most %llu are taken", key, size,
                         (unsigned long long) limit);
}

static int too_many(Error *e, const char *key, size_t n, uint64_t limit) {
        return error_set(e, ERROR_INVALID_ARGUMENT, "%s has %zu entries; at most %llu are taken", key, n,
                         (unsigned long long) limit);
}

/* A string that ends up in a D-Bus property or a unit: not empty, bounded, UTF-8. NULL passes. */
static int text_check(const char *key, const char *s, size_t limit, Error *e) {
        size_t n = s ? strlen(s) : 0;

        if (!s)
                return 0;
        if (n == 0)
                return invalid(e, key, "is empty");
        if (n > limit)
                return too_long(e, key, n, limit);
        if (!utf8_is_valid(s, n))
                return invalid(e, key, "is not valid UTF-8");
        return 0;
}

static int path_check(const char *key, const char *path, Error *e) {
        int r = text_check(key, path, REQUEST_PATH_BYTES_MAX, e);

        if (r == 0 && path && !path_is_clean(path))
                r = invalid(e, key, "must be an absolute path without \".\", \"..\", \"//\" or a slash at its end");
        return r;
}

static int query_check(const Request *r, Error *e) {
        const char *nul = r->query ? memchr(r->query, '\0', r->query_len) : NULL;

        if (!r->query && !r->file && r->argv.n == 0)
                return invalid(e, "query", "is missing: give a query, a file, or an argv");
        if (r->query && r->query_len == 0)
                return invalid(e, "query", "is empty");
        if (r->query && r->file)
                return invalid(e, "query", "and file exclude each other");
        if (r->query_len > REQUEST_QUERY_BYTES_MAX)
                return error_set(e, ERROR_INVALID_ARGUMENT,
                                 "query is %zu bytes long; at most %llu are taken, pass a longer one as a file",
                                 r->query_len, (unsigned long long) REQUEST_QUERY_BYTES_MAX);
        if (nul)
                return error_set(e, ERROR_INVALID_ARGUMENT, "query holds a NUL byte at offset %zu",
                                 (size_t) (nul - r->query));
        return 0;
}

static int argv_check(const Request *r, Error *e) {
        size_t sum = 0;

        if (r->argv.n > REQUEST_ARGV_MAX)
                return too_many(e, "argv", r->argv.n, REQUEST_ARGV_MAX);
        if (r->argv.n > 0 && !r->query && !r->file && r->argv.v[0][0] == '\0')
                return invalid(e, "argv", "has an empty first element, which names the program");
        for (size_t i = 0; i < r->argv.n; i++) {
                size_t n = strlen(r->argv.v[i]) + 1;

                if (n > REQUEST_ARG_BYTES_MAX)
                        return error_set(e, ERROR_INVALID_ARGUMENT,
                                         "argv[%zu] is %zu bytes long; one argument takes at most %llu", i, n - 1,
                                         (unsigned long long) REQUEST_ARG_BYTES_MAX - 1);
                sum += n;
        }
        return sum > REQUEST_ARGV_BYTES_MAX ? too_long(e, "argv", sum, REQUEST_ARGV_BYTES_MAX) : 0;
}

static int pairs_check(const char *key, const PairList *l, size_t max, size_t value_max, Error *e) {
        size_t sum = 0;

        if (l->n > max)
                return too_many(e, key, l->n, max);
        for (size_t i = 0; i < l->n; i++) {
                size_t n = strlen(l->v[i].value);

                if (strlen(l->v[i].key) > REQUEST_NAME_BYTES_MAX)
                        return error_set(e, ERROR_INVALID_ARGUMENT,
                                         "a name in %s is %zu bytes long; at most %u are taken", key,
                                         strlen(l->v[i].key), REQUEST_NAME_BYTES_MAX);
                if (!identifier_is_valid(l->v[i].key))
                        return error_set(e, ERROR_INVALID_ARGUMENT,
                                         "name %zu in %s is none: letters, digits and _, no digit first", i + 1, key);
                if (n > value_max)
                        return error_set(e, ERROR_INVALID_ARGUMENT,
                                         "%s: the value of %s is %zu bytes long; at most %zu are taken", key,
                                         l->v[i].key, n, value_max);
                sum += strlen(l->v[i].key) + n + 2;
        }
        return sum > REQUEST_PAIRS_BYTES_MAX ? too_long(e, key, sum, REQUEST_PAIRS_BYTES_MAX) : 0;
}

static int labels_check(const Request *r, Error *e) {
        int ret = pairs_check("labels", &r->labels, REQUEST_LABELS_MAX, REQUEST_LABEL_BYTES_MAX, e);

        for (size_t i = 0; ret == 0 && i < r->labels.n; i++)
                if (!utf8_is_valid(r->labels.v[i].value, strlen(r->labels.v[i].value)))
                        ret = error_set(e, ERROR_INVALID_ARGUMENT, "labels: the value of %s is not valid UTF-8",
                                        r->labels.v[i].key);
        return ret;
}

static int memory_check(const Request *r, Error *e) {
        const struct {
                const char *key;
                uint64_t bytes;
        } sizes[] = {
                { "memory_initial_bytes", r->memory_initial_bytes },
                { "memory_max_bytes", r->memory_max_bytes },
        };

        for (size_t i = 0; i < ELEMENTSOF(sizes); i++)
                if (sizes[i].bytes != 0 && sizes[i].bytes < MEMORY_QUOTA_BYTES_MIN)
                        return error_set(e, ERROR_INVALID_ARGUMENT,
                                         "%s is %llu; at least %llu are needed to start a process", sizes[i].key,
                                         (unsigned long long) sizes[i].bytes,
                                         (unsigned long long) MEMORY_QUOTA_BYTES_MIN);
        if (r->memory_max_bytes != 0 && r->memory_initial_bytes > r->memory_max_bytes)
                return error_set(e, ERROR_INVALID_ARGUMENT,
                                 "memory_initial_bytes is %llu, more than memory_max_bytes, which is %llu",
                                 (unsigned long long) r->memory_initial_bytes,
                                 (unsigned long long) r->memory_max_bytes);
        return 0;
}

static int numbers_check(const Request *r, Error *e) {
        if (r->priority < -REQUEST_PRIORITY_MAX || r->priority > REQUEST_PRIORITY_MAX)
                return error_set(e, ERROR_INVALID_ARGUMENT, "priority is %d; it must be from -%d to %d", r->priority,
                                 REQUEST_PRIORITY_MAX, REQUEST_PRIORITY_MAX);
        if (r->umask > 0777)
                return error_set(e, ERROR_INVALID_ARGUMENT, "umask is 0%o; it must be at most 0777", r->umask);
        if (r->n_gids > REQUEST_GROUPS_MAX)
                return too_many(e, "the caller's group list", r->n_gids, REQUEST_GROUPS_MAX);
        return 0;
}

static int limits_check(const Request *r, Error *e) {
        if (r->n_limits > REQUEST_LIMITS_MAX)
                return too_many(e, "limits", r->n_limits, REQUEST_LIMITS_MAX);
        for (size_t i = 0; i < r->n_limits; i++) {
                const RequestLimit *l = &r->limits[i];

                if (l->resource < 0 || l->resource >= (int) RLIM_NLIMITS)
                        return error_set(e, ERROR_INVALID_ARGUMENT, "limits: there is no resource %d", l->resource);
                if (l->soft > l->hard)
                        return error_set(e, ERROR_INVALID_ARGUMENT,
                                         "limits: the soft limit of resource %d is above its hard limit",
                                         l->resource);
                for (size_t j = 0; j < i; j++)
                        if (r->limits[j].resource == l->resource)
                                return error_set(e, ERROR_INVALID_ARGUMENT, "limits: resource %d is named twice",
                                                 l->resource);
        }
        return 0;
}

static int names_check(const Request *r, Error *e) {
        int ret = text_check("language", r->language, REQUEST_NAME_BYTES_MAX, e);

        if (ret == 0 && !r->language)
                ret = invalid(e, "language", "is missing");
        if (ret == 0)
                ret = text_check("user", r->user, REQUEST_NAME_BYTES_MAX, e);
        if (ret == 0 && r->dependencies.n > REQUEST_PAIRS_MAX)
                ret = too_many(e, "dependencies", r->dependencies.n, REQUEST_PAIRS_MAX);
        for (size_t i = 0; ret == 0 && i < r->dependencies.n; i++)
                ret = text_check("an entry of dependencies", r->dependencies.v[i], REQUEST_NAME_BYTES_MAX, e);
        return ret;
}

int request_validate(const Request *r, Error *ret_error) {
        int ret = names_check(r, ret_error);

        if (ret == 0)
                ret = query_check(r, ret_error);
        if (ret == 0)
                ret = argv_check(r, ret_error);
        if (ret == 0)
                ret = text_check("database", r->database, REQUEST_PATH_BYTES_MAX, ret_error);
        if (ret == 0)
                ret = path_check("file", r->file, ret_error);
        if (ret == 0)
                ret = path_check("working_directory", r->working_directory, ret_error);
        if (ret == 0)
                ret = pairs_check("parameters", &r->parameters, REQUEST_PAIRS_MAX, REQUEST_VALUE_BYTES_MAX,
                                  ret_error);
        if (ret == 0)
                ret = pairs_check("environment", &r->environment, REQUEST_PAIRS_MAX, REQUEST_VALUE_BYTES_MAX,
                                  ret_error);
        if (ret == 0)
                ret = labels_check(r, ret_error);
        if (ret == 0)
                ret = memory_check(r, ret_error);
        if (ret == 0)
                ret = numbers_check(r, ret_error);
        if (ret == 0)
                ret = limits_check(r, ret_error);
        return ret;
}

void request_done(Request *r) {
        free(r->language);
        free(r->query);
        strlist_done(&r->argv);
        free(r->database);
        free(r->file);
        free(r->working_directory);
        pairlist_done(&r->parameters);
        pairlist_done(&r->labels);
        pairlist_done(&r->environment);
        strlist_done(&r->dependencies);
        free(r->user);
        free(r->gids);
        *r = (Request) REQUEST_INIT;
}
