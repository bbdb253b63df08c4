/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The second half of core/config: what is derived, and the rules between keys. */
#include "core/config.h"
#include "core/request.h"

#include <stdio.h>

/* The kernel counts in pages: a limit that is none would read back as another number. */
#define PAGE_BYTES UINT64_C(4096)

#define TEXT_MAX 64

static uint64_t page_floor(uint64_t bytes) {
        return bytes == SIZE_INFINITY ? bytes : bytes - bytes % PAGE_BYTES;
}

/* "/etc/penstock/penstock.conf:12: " of the first of @keys that a file has set; "" when none was. */
static const char *blame(const Config *c, const ConfigKey *keys, size_t n, char *buf, size_t len) {
        buf[0] = '\0';
        for (size_t i = 0; i < n; i++)
                if (c->is_set[keys[i]] && c->origin[keys[i]].file) {
                        snprintf(buf, len, "%.200s:%u: ", c->origin[keys[i]].file, c->origin[keys[i]].line);
                        break;
                }
        return buf;
}

#define BLAME(c, buf, ...)                                                                                           \
        blame(c, (const ConfigKey[]) { __VA_ARGS__ },                                                                \
              sizeof((const ConfigKey[]) { __VA_ARGS__ }) / sizeof(ConfigKey), buf, sizeof(buf))

static const char *note(const Config *c, ConfigKey key, uint64_t as_written) {
        return !c->is_set[key] ? " (default)" : as_written == 0 ? " (derived)" : "";
}

static int unlimited_concurrency_check(Config *c, Error *e) {
        char where[256];

        if (c->concurrency_quota != UINT64_MAX)
                return 0;
        if (!c->is_set[CONFIG_QUEUE_SIZE])
                c->queue_size = 0;
        if (c->queue_size != 0)
                return error_set(e, ERROR_INVALID_ARGUMENT,
                                 "%sQueueSize=%llu makes no sense with ConcurrencyQuota=infinity, where nothing ever "
                                 "waits for a slot; set it to 0 or limit ConcurrencyQuota",
                                 BLAME(c, where, CONFIG_QUEUE_SIZE), (unsigned long long) c->queue_size);
        if (!c->is_set[CONFIG_MAX_MEMORY_BYTES])
                c->max_memory_bytes = SIZE_INFINITY;
        if (c->max_memory_bytes != 0 && c->max_memory_bytes != SIZE_INFINITY)
                return error_set(e, ERROR_INVALID_ARGUMENT,
                                 "%sMaxMemoryBytes is limited, but ConcurrencyQuota=infinity reserves an initial "
                                 "quota for any number of queries; limit ConcurrencyQuota or set "
                                 "MaxMemoryBytes=infinity",
                                 BLAME(c, where, CONFIG_MAX_MEMORY_BYTES));
        return 0;
}

/* The budget; @written is what the file or the default said, 0 when it is to be derived. */
static int budget_finish(Config *c, uint64_t ram_bytes, uint64_t written, Error *e) {
        uint64_t limit = ram_bytes - MIN(ram_bytes, c->reserve_memory_bytes);
        char where[256], a[TEXT_MAX], b[TEXT_MAX], r[TEXT_MAX];

        if (written == 0)
                c->max_memory_bytes = multiply_saturating(c->concurrency_quota, c->per_query_bytes);
        /* a built-in 50 % leaves room for an explicit reserve */
        if (!c->is_set[CONFIG_MAX_MEMORY_BYTES] && ram_bytes != 0 && c->max_memory_bytes > limit &&
            c->concurrency_quota != UINT64_MAX)
                c->max_memory_bytes = limit;
        c->max_memory_bytes = page_floor(c->max_memory_bytes);
        if (c->max_memory_bytes < MEMORY_QUOTA_BYTES_MIN)
                return error_set(e, ERROR_INVALID_ARGUMENT,
                                 "%sReserveMemoryBytes=%s leaves no budget on a host with %s; lower it or set "
                                 "MaxMemoryBytes and AllowOvercommit=yes",
                                 BLAME(c, where, CONFIG_RESERVE_MEMORY_BYTES),
                                 size_format_exact(c->reserve_memory_bytes, a), size_format(ram_bytes, b));
        if (c->allow_overcommit)
                return 0;
        if (c->max_memory_bytes == SIZE_INFINITY)
                return error_set(e, ERROR_INVALID_ARGUMENT,
                                 "%sMaxMemoryBytes=infinity%s needs AllowOvercommit=yes, since nothing then keeps "
                                 "the queries within the host's memory",
                                 BLAME(c, where, CONFIG_MAX_MEMORY_BYTES, CONFIG_CONCURRENCY_QUOTA,
                                       CONFIG_MEMORY_BYTES_QUOTA_PER_QUERY),
                                 note(c, CONFIG_MAX_MEMORY_BYTES, written));
        if (ram_bytes != 0 && c->max_memory_bytes > limit)
                return error_set(e, ERROR_INVALID_ARGUMENT,
                                 "%sMaxMemoryBytes=%s%s is more than the host's memory less ReserveMemoryBytes (%s - "
                                 "%s); lower one of them or set AllowOvercommit=yes",
                                 BLAME(c, where, CONFIG_MAX_MEMORY_BYTES, CONFIG_RESERVE_MEMORY_BYTES,
                                       CONFIG_CONCURRENCY_QUOTA),
                                 size_format_exact(c->max_memory_bytes, a), note(c, CONFIG_MAX_MEMORY_BYTES, written),
                                 size_format(ram_bytes, b), size_format(c->reserve_memory_bytes, r));
        return 0;
}

static int per_query_finish(Config *c, uint64_t budget_written, Error *e) {
        char where[256], a[TEXT_MAX], b[TEXT_MAX];

        if (!c->is_set[CONFIG_MEMORY_BYTES_QUOTA_PER_QUERY])
                c->per_query_bytes = MIN(c->per_query_bytes, c->max_memory_bytes);
        c->per_query_bytes = page_floor(c->per_query_bytes);
        if (c->per_query_bytes > c->max_memory_bytes)
                return error_set(e, ERROR_INVALID_ARGUMENT,
                                 "%sMemoryBytesQuotaPerQuery=%s is more than MaxMemoryBytes=%s%s, so no query could "
                                 "ever have it; lower it or raise MaxMemoryBytes",
                                 BLAME(c, where, CONFIG_MEMORY_BYTES_QUOTA_PER_QUERY),
                                 size_format_exact(c->per_query_bytes, a), size_format_exact(c->max_memory_bytes, b),
                                 note(c, CONFIG_MAX_MEMORY_BYTES, budget_written));
        return 0;
}

static void initial_derive(Config *c) {
        if (c->initial_bytes == 0) {
                c->initial_bytes = c->per_query_bytes;
        } else if (!c->is_set[CONFIG_INITIAL_MEMORY_BYTES_QUOTA_PER_QUERY]) {
                c->initial_bytes = MIN(c->initial_bytes, c->per_query_bytes);
                if (c->max_memory_bytes != SIZE_INFINITY)
                        c->initial_bytes = MIN(c->initial_bytes, c->max_memory_bytes / c->concurrency_quota);
                c->initial_bytes = MAX(c->initial_bytes, MEMORY_QUOTA_BYTES_MIN);
        }
        c->initial_bytes = page_floor(c->initial_bytes);
}

static int initial_check(const Config *c, uint64_t initial_written, uint64_t budget_written, Error *e) {
        char where[256], a[TEXT_MAX], b[TEXT_MAX], m[TEXT_MAX];
        uint64_t all = multiply_saturating(c->concurrency_quota, c->initial_bytes);

        if (c->initial_bytes > c->per_query_bytes)
                return error_set(e, ERROR_INVALID_ARGUMENT,
                                 "%sInitialMemoryBytesQuotaPerQuery=%s is more than MemoryBytesQuotaPerQuery=%s%s; "
                                 "lower it or raise MemoryBytesQuotaPerQuery",
                                 BLAME(c, where, CONFIG_INITIAL_MEMORY_BYTES_QUOTA_PER_QUERY,
                                       CONFIG_MEMORY_BYTES_QUOTA_PER_QUERY),
                                 size_format_exact(c->initial_bytes, a), size_format_exact(c->per_query_bytes, b),
                                 note(c, CONFIG_MEMORY_BYTES_QUOTA_PER_QUERY, 1));
        if (c->max_memory_bytes < all)
                return error_set(e, ERROR_INVALID_ARGUMENT,
                                 "%sMaxMemoryBytes=%s%s is less than ConcurrencyQuota × "
                                 "InitialMemoryBytesQuotaPerQuery%s (%llu × %s = %s); raise MaxMemoryBytes or lower "
                                 "one of the others",
                                 BLAME(c, where, CONFIG_MAX_MEMORY_BYTES, CONFIG_INITIAL_MEMORY_BYTES_QUOTA_PER_QUERY,
                                       CONFIG_CONCURRENCY_QUOTA),
                                 size_format_exact(c->max_memory_bytes, m),
                                 note(c, CONFIG_MAX_MEMORY_BYTES, budget_written),
                                 note(c, CONFIG_INITIAL_MEMORY_BYTES_QUOTA_PER_QUERY, initial_written),
                                 (unsigned long long) c->concurrency_quota, size_format_exact(c->initial_bytes, a),
                                 all == UINT64_MAX ? "more than 2^64" : size_format_exact(all, b));
        return 0;
}

static int dependencies_check(const Config *c, Error *e) {
        char where[256];

        for (size_t i = 0; i < c->executor_dependencies.n; i++)
                if (!dependency_find(&c->dependencies, c->executor_dependencies.v[i]))
                        return error_set(e, ERROR_INVALID_ARGUMENT,
                                         "%sExecutorDependencies=%s names no section: there is no [Dependency %s]",
                                         BLAME(c, where, CONFIG_EXECUTOR_DEPENDENCIES), c->executor_dependencies.v[i],
                                         c->executor_dependencies.v[i]);
        return 0;
}

static int learned_check(const Config *c, Error *e) {
        char where[256];

        if (c->initial_quota != INITIAL_QUOTA_LEARNED || c->history_max_entries > 0)
                return 0;
        return error_set(e, ERROR_INVALID_ARGUMENT,
                         "%sInitialQuota=learned needs a history, and HistoryMaxEntries=0 keeps none; raise it or set "
                         "InitialQuota=fixed",
                         BLAME(c, where, CONFIG_INITIAL_QUOTA));
}

int config_finish(Config *c, uint64_t ram_bytes, Error *ret_error) {
        uint64_t budget_written = c->max_memory_bytes, initial_written = c->initial_bytes;
        int r = unlimited_concurrency_check(c, ret_error);

        if (r == 0)
                r = budget_finish(c, ram_bytes, c->max_memory_bytes, ret_error);
        if (r == 0)
                r = per_query_finish(c, budget_written, ret_error);
        if (r == 0) {
                initial_derive(c);
                r = initial_check(c, initial_written, budget_written, ret_error);
        }
        if (r == 0)
                r = dependencies_check(c, ret_error);
        if (r == 0)
                r = learned_check(c, ret_error);
        return r;
}
