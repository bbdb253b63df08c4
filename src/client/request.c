/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* client/request: the builder of a request. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "client/internal.h"

EXPORT int penstock_request_new(PenstockRequest **ret) {
        PenstockRequest *r = calloc(1, sizeof(*r));

        if (!r)
                return -ENOMEM;
        r->stdin_fd = r->stderr_fd = -1;
        *ret = r;
        return 0;
}

EXPORT PenstockRequest *penstock_request_free(PenstockRequest *r) {
        if (!r)
                return NULL;
        free(r->language);
        free(r->database);
        free(r->file);
        free(r->working_directory);
        free(r->user);
        free(r->query);
        strlist_done(&r->argv);
        strlist_done(&r->dependencies);
        pairlist_done(&r->parameters);
        pairlist_done(&r->labels);
        pairlist_done(&r->environment);
        for (size_t i = 0; i < r->n_limits; i++)
                free(r->limits[i].name);
        free(r->limits);
        closep(&r->stdin_fd);
        closep(&r->stderr_fd);
        free(r);
        return NULL;
}

static int set_text(char **field, const char *text) {
        char *copy;

        if (!text)
                return -EINVAL;
        copy = strdup(text);
        if (!copy)
                return -ENOMEM;
        free(*field);
        *field = copy;
        return 0;
}

static int set_pair(PairList *l, const char *key, const char *value) {
        return key && value ? pairlist_set(l, key, value) : -EINVAL;
}

static int set_u64(OptionalU64 *field, uint64_t value) {
        *field = (OptionalU64) { .is_set = true, .value = value };
        return 0;
}

static int set_fd(int *field, int fd) {
        int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

        if (copy < 0)
                return -errno;
        closep(field);
        *field = copy;
        return 0;
}

EXPORT int penstock_request_set_language(PenstockRequest *r, const char *name) {
        return set_text(&r->language, name);
}

EXPORT int penstock_request_set_query(PenstockRequest *r, const char *text, size_t len) {
        char *copy;

        if (!text)
                return -EINVAL;
        copy = malloc(len + 1);
        if (!copy)
                return -ENOMEM;
        memcpy(copy, text, len);
        copy[len] = '\0';
        free(r->query);
        r->query = copy;
        r->query_len = len;
        return 0;
}

EXPORT int penstock_request_set_file(PenstockRequest *r, const char *path) {
        return set_text(&r->file, path);
}

EXPORT int penstock_request_add_argument(PenstockRequest *r, const char *argument) {
        return argument ? strlist_add(&r->argv, argument) : -EINVAL;
}

EXPORT int penstock_request_set_database(PenstockRequest *r, const char *database) {
        return set_text(&r->database, database);
}

EXPORT int penstock_request_add_parameter(PenstockRequest *r, const char *name, const char *value) {
        return set_pair(&r->parameters, name, value);
}

EXPORT int penstock_request_add_label(PenstockRequest *r, const char *key, const char *value) {
        return set_pair(&r->labels, key, value);
}

EXPORT int penstock_request_add_environment(PenstockRequest *r, const char *name, const char *value) {
        return set_pair(&r->environment, name, value);
}

EXPORT int penstock_request_set_working_directory(PenstockRequest *r, const char *path) {
        return set_text(&r->working_directory, path);
}

EXPORT int penstock_request_set_memory_initial(PenstockRequest *r, uint64_t bytes) {
        return set_u64(&r->memory_initial_bytes, bytes);
}

EXPORT int penstock_request_set_memory_max(PenstockRequest *r, uint64_t bytes) {
        return set_u64(&r->memory_max_bytes, bytes);
}

EXPORT int penstock_request_set_priority(PenstockRequest *r, int32_t priority) {
        r->priority = priority;
        r->has_priority = true;
        return 0;
}

EXPORT int penstock_request_set_timeout(PenstockRequest *r, uint64_t usec) {
        return set_u64(&r->timeout_usec, usec);
}

EXPORT int penstock_request_set_queue_timeout(PenstockRequest *r, uint64_t usec) {
        return set_u64(&r->queue_timeout_usec, usec);
}

EXPORT int penstock_request_add_dependency(PenstockRequest *r, const char *name) {
        return name ? strlist_add(&r->dependencies, name) : -EINVAL;
}

EXPORT int penstock_request_set_user(PenstockRequest *r, const char *name) {
        return set_text(&r->user, name);
}

EXPORT int penstock_request_set_umask(PenstockRequest *r, mode_t mask) {
        return set_u64(&r->umask, mask);
}

EXPORT int penstock_request_add_limit(PenstockRequest *r, const char *name, uint64_t soft, uint64_t hard) {
        Limit *grown;
        char *copy;

        if (!name)
                return -EINVAL;
        for (size_t i = 0; i < r->n_limits; i++)
                if (strcmp(r->limits[i].name, name) == 0) {
                        r->limits[i].soft = soft;
                        r->limits[i].hard = hard;
                        return 0;
                }
        copy = strdup(name);
        grown = reallocarray(r->limits, r->n_limits + 1, sizeof(*grown));
        if (grown)
                r->limits = grown;
        if (!copy || !grown) {
                free(copy);
                return -ENOMEM;
        }
        r->limits[r->n_limits++] = (Limit) { .name = copy, .soft = soft, .hard = hard };
        return 0;
}

EXPORT int penstock_request_set_stdin(PenstockRequest *r, int fd) {
        return set_fd(&r->stdin_fd, fd);
}

EXPORT int penstock_request_set_stderr(PenstockRequest *r, int fd) {
        return set_fd(&r->stderr_fd, fd);
}

EXPORT int penstock_request_set_detached(PenstockRequest *r) {
        r->detach = true;
        return 0;
}

EXPORT int penstock_request_set_once(PenstockRequest *r) {
        r->once = true;
        return 0;
}
