/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>

#include "bus/decode.h"

#define ULL(x) ((unsigned long long) (x))

static void *field(Decoder *d, const RequestKey *k) {
        return (char *) &d->request + k->offset;
}

/* The next string, still in the message. 1; 0 at the end of an array. */
static int read_text(Decoder *d, const char **ret) {
        return sd_bus_message_read_basic(d->message, 's', ret);
}

static int too_long(Decoder *d, const char *key, size_t n, size_t max) {
        return error_set(d->error, ERROR_INVALID_ARGUMENT, "%s is %zu bytes long; at most %zu are taken", key, n,
                         max);
}

static int too_many(Decoder *d, const char *key, size_t max) {
        return error_set(d->error, ERROR_INVALID_ARGUMENT, "%s has more than %zu entries", key, max);
}

int decode_string(Decoder *d, const RequestKey *k) {
        char **to = field(d, k);
        const char *s;
        int r = read_text(d, &s);

        if (r < 0)
                return r;
        if (strlen(s) > k->max)
                return too_long(d, k->name, strlen(s), k->max);
        *to = strdup(s);
        return *to ? 0 : -ENOMEM;
}

int decode_query(Decoder *d, const RequestKey *k) {
        const char *s;
        size_t n;
        int r = read_text(d, &s);

        if (r < 0)
                return r;
        n = strlen(s);
        if (n > k->max)
                return error_set(d->error, ERROR_INVALID_ARGUMENT,
                                 "query is %zu bytes long; at most %zu are taken, pass a longer one as a file", n,
                                 k->max);
        d->request.query = strdup(s);
        d->request.query_len = n;
        return d->request.query ? 0 : -ENOMEM;
}

int decode_argv(Decoder *d, const RequestKey *k) {
        StrList *l = field(d, k);
        size_t sum = 0;
        const char *s;
        int r = sd_bus_message_enter_container(d->message, 'a', "s");

        while (r >= 0 && (r = read_text(d, &s)) > 0) {
                size_t n = strlen(s);

                if (l->n >= REQUEST_ARGV_MAX)
                        return too_many(d, k->name, REQUEST_ARGV_MAX);
                if (n > k->max)
                        return error_set(d->error, ERROR_INVALID_ARGUMENT,
                                         "argv[%zu] is %zu bytes long; one argument takes at most %zu", l->n, n,
                                         k->max);
                sum += n + 1;
                if (sum > REQUEST_ARGV_BYTES_MAX)
                        return error_set(d->error, ERROR_INVALID_ARGUMENT,
                                         "argv is longer than %llu bytes, up to argv[%zu]",
                                         ULL(REQUEST_ARGV_BYTES_MAX), l->n);
                r = strlist_add(l, s);
        }
        return r < 0 ? r : sd_bus_message_exit_container(d->message);
}

int decode_names(Decoder *d, const RequestKey *k) {
        StrList *l = field(d, k);
        const char *s;
        int r = sd_bus_message_enter_container(d->message, 'a', "s");

        while (r >= 0 && (r = read_text(d, &s)) > 0) {
                if (l->n >= REQUEST_PAIRS_MAX)
                        return too_many(d, k->name, REQUEST_PAIRS_MAX);
                if (strlen(s) > k->max)
                        return error_set(d->error, ERROR_INVALID_ARGUMENT,
                                         "entry %zu of %s is %zu bytes long; at most %zu are taken", l->n + 1,
                                         k->name, strlen(s), k->max);
                r = strlist_add(l, s);
        }
        return r < 0 ? r : sd_bus_message_exit_container(d->message);
}

/* One pair, bounded. A name that passed can be shown. */
static int check_pair(Decoder *d, const RequestKey *k, const PairList *l, const char *name, const char *value) {
        if (strlen(name) > REQUEST_NAME_BYTES_MAX)
                return error_set(d->error, ERROR_INVALID_ARGUMENT,
                                 "the name of entry %zu of %s is %zu bytes long; at most %u are taken", l->n + 1,
                                 k->name, strlen(name), REQUEST_NAME_BYTES_MAX);
        if (!identifier_is_valid(name))
                return error_set(d->error, ERROR_INVALID_ARGUMENT,
                                 "the name of entry %zu of %s must be letters, digits and _, no digit first",
                                 l->n + 1, k->name);
        if (pairlist_get(l, name))
                return error_set(d->error, ERROR_INVALID_ARGUMENT, "%s names %s twice", k->name, name);
        if (strlen(value) > k->max)
                return error_set(d->error, ERROR_INVALID_ARGUMENT,
                                 "%s: the value of %s is %zu bytes long; at most %zu are taken", k->name, name,
                                 strlen(value), k->max);
        return 0;
}

static int read_pairs(Decoder *d, const RequestKey *k, PairList *l, size_t n_max) {
        const char *name, *value;
        size_t sum = 0;
        int r = sd_bus_message_enter_container(d->message, 'a', "{ss}");

        while (r >= 0 && (r = sd_bus_message_read(d->message, "{ss}", &name, &value)) > 0) {
                if (l->n >= n_max)
                        return too_many(d, k->name, n_max);
                r = check_pair(d, k, l, name, value);
                if (r < 0)
                        return r;
                sum += strlen(name) + strlen(value) + 2;
                if (sum > REQUEST_PAIRS_BYTES_MAX)
                        return error_set(d->error, ERROR_INVALID_ARGUMENT, "%s is longer than %llu bytes, up to %s",
                                         k->name, ULL(REQUEST_PAIRS_BYTES_MAX), name);
                r = pairlist_set(l, name, value);
        }
        return r < 0 ? r : sd_bus_message_exit_container(d->message);
}

int decode_pairs(Decoder *d, const RequestKey *k) {
        return read_pairs(d, k, field(d, k), REQUEST_PAIRS_MAX);
}

/* Names as Prometheus has them; those that begin with two underscores are its own. */
int decode_labels(Decoder *d, const RequestKey *k) {
        PairList *l = field(d, k);
        int r = read_pairs(d, k, l, REQUEST_LABELS_MAX);

        for (size_t i = 0; r >= 0 && i < l->n; i++)
                if (strncmp(l->v[i].key, "__", 2) == 0)
                        r = error_set(d->error, ERROR_INVALID_ARGUMENT,
                                      "%s: %s begins with two underscores, which Prometheus keeps for itself",
                                      k->name, l->v[i].key);
        return r;
}

/* In a Request 0 means "as configured"; on the bus that is said by leaving the key out. */
int decode_bytes(Decoder *d, const RequestKey *k) {
        uint64_t *to = field(d, k);
        int r = sd_bus_message_read_basic(d->message, 't', to);

        if (r < 0)
                return r;
        if (*to == 0)
                return error_set(d->error, ERROR_INVALID_ARGUMENT, "%s is 0; leave it out to get what is configured",
                                 k->name);
        return 0;
}

/* On the bus infinity is "none"; in a Request that is 0, and infinity means "as configured". */
int decode_timeout(Decoder *d, const RequestKey *k) {
        uint64_t *to = field(d, k);
        int r = sd_bus_message_read_basic(d->message, 't', to);

        if (r >= 0 && *to == USEC_INFINITY)
                *to = 0;
        return r < 0 ? r : 0;
}

int decode_i32(Decoder *d, const RequestKey *k) {
        int r = sd_bus_message_read_basic(d->message, 'i', field(d, k));

        return r < 0 ? r : 0;
}

int decode_u32(Decoder *d, const RequestKey *k) {
        int r = sd_bus_message_read_basic(d->message, 'u', field(d, k));

        return r < 0 ? r : 0;
}

int decode_bool(Decoder *d, const RequestKey *k) {
        bool *to = field(d, k);
        int b, r = sd_bus_message_read_basic(d->message, 'b', &b);

        if (r >= 0)
                *to = b;
        return r < 0 ? r : 0;
}

/* By the names of setrlimit(2) without RLIMIT_. Those with -1 are not the caller's to set in a query's unit, and are
 * taken and left alone: a client sends all limits it has. */
static const struct {
        const char *name;
        int resource;
} limits[] = {
        { "AS", RLIMIT_AS },
        { "CORE", -1 },
        { "CPU", RLIMIT_CPU },
        { "DATA", RLIMIT_DATA },
        { "FSIZE", RLIMIT_FSIZE },
        { "LOCKS", RLIMIT_LOCKS },
        { "MEMLOCK", -1 },
        { "MSGQUEUE", RLIMIT_MSGQUEUE },
        { "NICE", RLIMIT_NICE },
        { "NOFILE", RLIMIT_NOFILE },
        { "NPROC", RLIMIT_NPROC },
        { "RSS", RLIMIT_RSS },
        { "RTPRIO", RLIMIT_RTPRIO },
        { "RTTIME", RLIMIT_RTTIME },
        { "SIGPENDING", RLIMIT_SIGPENDING },
        { "STACK", RLIMIT_STACK },
};

_Static_assert(ELEMENTSOF(limits) <= REQUEST_LIMITS_MAX, "a request can hold each limit once");

static int take_limit(Decoder *d, uint32_t *seen, size_t n, const char *name, uint64_t soft, uint64_t hard) {
        size_t i = 0;

        while (i < ELEMENTSOF(limits) && strcmp(limits[i].name, name) != 0)
                i++;
        if (i == ELEMENTSOF(limits))
                return error_set(d->error, ERROR_INVALID_ARGUMENT,
                                 "entry %zu of limits is no resource limit: setrlimit(2) has their names, here "
                                 "without RLIMIT_",
                                 n);
        if (*seen & UINT32_C(1) << i)
                return error_set(d->error, ERROR_INVALID_ARGUMENT, "limits names %s twice", name);
        *seen |= UINT32_C(1) << i;
        if (soft > hard)
                return error_set(d->error, ERROR_INVALID_ARGUMENT,
                                 "limits: the soft limit of %s is above its hard limit", name);
        if (limits[i].resource >= 0)
                d->request.limits[d->request.n_limits++] =
                                (RequestLimit) { .resource = limits[i].resource, .soft = soft, .hard = hard };
        return 0;
}

int decode_limits(Decoder *d, const RequestKey *k) {
        uint32_t seen = 0;
        size_t n = 0;
        int r = sd_bus_message_enter_container(d->message, 'a', "{s(tt)}");

        (void) k;
        while (r >= 0) {
                const char *name;
                uint64_t soft, hard;

                r = sd_bus_message_read(d->message, "{s(tt)}", &name, &soft, &hard);
                if (r <= 0)
                        break;
                r = take_limit(d, &seen, ++n, name, soft, hard);
        }
        return r < 0 ? r : sd_bus_message_exit_container(d->message);
}

/* The descriptor in the message goes with the message: keep a duplicate, and never as one of the three standard ones.
 */
static int take_fd(Decoder *d, int *to) {
        int fd, r = sd_bus_message_read_basic(d->message, 'h', &fd);

        if (r < 0)
                return r;
        *to = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        return *to < 0 ? -errno : 0;
}

int decode_stdin(Decoder *d, const RequestKey *k) {
        (void) k;
        d->request.has_stdin = true;
        return take_fd(d, &d->fds.stdin_fd);
}

int decode_stderr(Decoder *d, const RequestKey *k) {
        (void) k;
        d->request.has_stderr = true;
        return take_fd(d, &d->fds.stderr_fd);
}
