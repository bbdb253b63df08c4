/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/config.h"
#include "core/metrics.h"
#include "core/request.h"
#include "core/words.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define FIELD(f) offsetof(Config, f)
/* The fields of ConfigKeyInfo in their order. */
#define COUNT(n, f, d, lo, hi, l, w) { n, CONFIG_KIND_COUNT, FIELD(f), d, lo, hi, NULL, l, w }
#define BYTES(n, f, d, lo, hi, l, w) { n, CONFIG_KIND_BYTES, FIELD(f), d, lo, hi, NULL, l, w }
#define USEC(n, f, d, lo, hi, l, w) { n, CONFIG_KIND_USEC, FIELD(f), d, lo, hi, NULL, l, w }
#define BOOL(n, f, d, l, w) { n, CONFIG_KIND_BOOL, FIELD(f), d, 0, 0, NULL, l, w }
#define CHOICE(n, f, d, c, l, w) { n, CONFIG_KIND_CHOICE, FIELD(f), d, 0, 0, c, l, w }
#define LIST(n, f, l, w) { n, CONFIG_KIND_LIST, FIELD(f), "", 0, 0, NULL, l, w }

/* The one table that parses and prints; docs/configuration.md and units/penstock.conf are tested against it. */
static const ConfigKeyInfo keys[_CONFIG_KEY_MAX] = {
        [CONFIG_CONCURRENCY_QUOTA] = COUNT("ConcurrencyQuota", concurrency_quota, "4", 1, UINT64_MAX, true,
                                           "How many queries execute at once."),
        [CONFIG_INITIAL_MEMORY_BYTES_QUOTA_PER_QUERY] =
                        BYTES("InitialMemoryBytesQuotaPerQuery", initial_bytes, "64M", MEMORY_QUOTA_BYTES_MIN,
                              UINT64_MAX, true, "The quota a query starts with; empty: as MemoryBytesQuotaPerQuery."),
        [CONFIG_MEMORY_BYTES_QUOTA_PER_QUERY] =
                        BYTES("MemoryBytesQuotaPerQuery", per_query_bytes, "1G", MEMORY_QUOTA_BYTES_MIN, UINT64_MAX,
                              true, "The most one query may ever have."),
        [CONFIG_MAX_MEMORY_BYTES] =
                        BYTES("MaxMemoryBytes", max_memory_bytes, "50%", MEMORY_QUOTA_BYTES_MIN, UINT64_MAX, true,
                              "The budget of all queries; empty: ConcurrencyQuota times MemoryBytesQuotaPerQuery."),
        [CONFIG_QUEUE_SIZE] = COUNT("QueueSize", queue_size, "64", 0, 100000, true,
                                    "How many queries may wait before new ones are rejected."),
        [CONFIG_LOGGER] = CHOICE("Logger", logger, "journal", "journal", false,
                                 "Where entries go; there is only the journal."),
        [CONFIG_METRIC_LABEL_KEYS] = LIST("MetricLabelKeys", metric_label_keys, false,
                                          "Names of request labels that every metric carries."),
        [CONFIG_EXECUTOR_DEPENDENCIES] = LIST("ExecutorDependencies", executor_dependencies, true,
                                              "Names of [Dependency NAME] sections that every query gets."),
        [CONFIG_QUEUE_TIMEOUT_SEC] = USEC("QueueTimeoutSec", queue_timeout_usec, "10min", 0, UINT64_MAX, true,
                                          "How long a query may wait for its start; 0: without limit."),
        [CONFIG_QUERY_TIMEOUT_SEC] = USEC("QueryTimeoutSec", query_timeout_usec, "0", 0, UINT64_MAX, true,
                                          "How long a query may execute, frozen time aside; 0: without limit."),
        [CONFIG_SHUTDOWN_TIMEOUT_SEC] = USEC("ShutdownTimeoutSec", shutdown_timeout_usec, "30s", 0, UINT64_MAX, true,
                                             "How long running queries may finish on Shutdown; 0: cancel at once."),
        [CONFIG_MAX_QUERIES_PER_USER] = COUNT("MaxQueriesPerUser", max_queries_per_user, "64", 1, UINT64_MAX, true,
                                              "How many queries one user may have waiting and running."),
        [CONFIG_EXHAUSTION_POLICY] =
                        CHOICE("ExhaustionPolicy", exhaustion_policy, "freeze", "freeze fail", true,
                               "What happens to a query that needs memory when the budget is given out."),
        [CONFIG_FREEZE_TIMEOUT_SEC] = USEC("FreezeTimeoutSec", freeze_timeout_usec, "1min", USEC_PER_SEC, UINT64_MAX,
                                           true, "How long a query may stay frozen without progress elsewhere."),
        [CONFIG_COMPILE_TIMEOUT_SEC] = USEC("CompileTimeoutSec", compile_timeout_usec, "30s", USEC_PER_MSEC,
                                            UINT64_MAX, true, "How long a compile step may take."),
        [CONFIG_COMPILE_MEMORY_BYTES] = BYTES("CompileMemoryBytes", compile_memory_bytes, "128M", 8 * MIB, INT64_MAX,
                                              true, "The memory limit of a compile step."),
        [CONFIG_COMPILE_CONCURRENCY] = COUNT("CompileConcurrency", compile_concurrency, "2", 1, 1024, true,
                                             "How many compile steps run at once."),
        [CONFIG_RESERVE_MEMORY_BYTES] = BYTES("ReserveMemoryBytes", reserve_memory_bytes, "10%", 0, INT64_MAX, true,
                                              "The part of the host's memory that the budget must leave alone."),
        [CONFIG_ALLOW_OVERCOMMIT] = BOOL("AllowOvercommit", allow_overcommit, "no", true,
                                         "Take a budget beyond the host's memory less the reserve."),
        [CONFIG_ALLOW_ROOT_QUERIES] =
                        BOOL("AllowRootQueries", allow_root_queries, "no", true, "Let root run queries as root."),
        [CONFIG_MEMORY_PROTECTION] = CHOICE("MemoryProtection", memory_protection, "low", "low min", true,
                                            "How the initial quota is protected: MemoryLow or MemoryMin."),
        [CONFIG_TASKS_MAX_PER_QUERY] = COUNT("TasksMaxPerQuery", tasks_max_per_query, "1024", 8, 4194304, true,
                                             "How many processes and threads one query may have."),
        [CONFIG_CANCEL_GRACE_SEC] = USEC("CancelGraceSec", cancel_grace_usec, "5s", 0, 3600 * USEC_PER_SEC, true,
                                         "From SIGTERM to SIGKILL when a query is canceled."),
        [CONFIG_RESULTS_KEEP_SEC] = USEC("ResultsKeepSec", results_keep_usec, "1h", 0, UINT64_MAX, true,
                                         "How long detached results and unread records are kept after the end; "
                                         "0: without limit."),
        [CONFIG_RESULTS_MAX_BYTES] = BYTES("ResultsMaxBytes", results_max_bytes, "1G", 0, UINT64_MAX, true,
                                           "How large the results of one detached query may grow."),
        [CONFIG_LOG_QUERY_TEXT_ON_SHUTDOWN] =
                        BOOL("LogQueryTextOnShutdown", log_query_text_on_shutdown, "no", true,
                             "Put the text of each query that Shutdown cancels into the journal."),
        [CONFIG_WARM_UNITS] =
                        COUNT("WarmUnits", warm_units, "2", 0, 64, true, "How many units are made ahead of need."),
        [CONFIG_WARM_UNITS_IDLE_SEC] =
                        USEC("WarmUnitsIdleSec", warm_units_idle_usec, "5min", 0, UINT64_MAX, true,
                             "How long one is kept for a kind of query that does not come."),
        [CONFIG_HISTORY_MAX_ENTRIES] = COUNT("HistoryMaxEntries", history_max_entries, "100000", 0, 10000000, true,
                                             "How many ended queries the history keeps; 0: none."),
        [CONFIG_HISTORY_RETENTION_SEC] =
                        USEC("HistoryRetentionSec", history_retention_usec, "30d", USEC_PER_SEC, UINT64_MAX, true,
                             "How long it keeps them."),
        [CONFIG_INITIAL_QUOTA] = CHOICE("InitialQuota", initial_quota, "fixed", "fixed learned", true,
                                        "Whether one that ran before starts with what it came to need."),
        [CONFIG_RETRY_ON_EXHAUSTION] =
                        BOOL("RetryOnExhaustion", retry_on_exhaustion, "no", true,
                             "Run a detached query whose results are empty once more when the budget ended it."),
        [CONFIG_TRACE] = BYTES("Trace", trace_bytes, "0", 0, INT64_MAX, false,
                               "How much of what is decided is recorded in /run/penstock/trace; 0: nothing."),
};

const ConfigKeyInfo *config_key_info(ConfigKey key) {
        return &keys[key];
}

const char *config_key_name(ConfigKey key) {
        return keys[key].name;
}

static void *field_of(const Config *c, ConfigKey key) {
        return (char *) c + keys[key].offset;
}

static int number_parse(const ConfigKeyInfo *k, const char *value, uint64_t ram_bytes, uint64_t *ret) {
        uint64_t n;
        int r = k->kind == CONFIG_KIND_BYTES  ? size_parse(value, ram_bytes, &n)
                : k->kind == CONFIG_KIND_USEC ? duration_parse(value, &n)
                                              : u64_parse(value, &n);

        if (r < 0)
                return r;
        if (n < k->min || n > k->max)
                return -ERANGE;
        *ret = n;
        return 0;
}

/* The place of @value among the space-separated @choices, or -EINVAL. */
static int choice_parse(const char *choices, const char *value) {
        size_t len = strlen(value);

        for (int i = 0; *choices; i++) {
                size_t n = strcspn(choices, " ");

                if (n == len && strncmp(choices, value, n) == 0)
                        return i;
                choices += n + (choices[n] == ' ');
        }
        return -EINVAL;
}

static int list_add(ConfigKey key, StrList *l, const char *value) {
        CLEANUP(strlist_done) StrList words = {};
        int r = words_split(value, &words);

        for (size_t i = 0; r == 0 && i < words.n; i++) {
                bool ok = key == CONFIG_METRIC_LABEL_KEYS
                                          ? identifier_is_valid(words.v[i]) && !metric_label_is_reserved(words.v[i])
                                          : dependency_name_is_valid(words.v[i]);

                if (!ok || strlen(words.v[i]) > REQUEST_NAME_BYTES_MAX)
                        return -EINVAL;
        }
        for (size_t i = 0; r == 0 && i < words.n; i++)
                if (!strlist_has(l, words.v[i]))
                        r = strlist_add(l, words.v[i]);
        if (r == 0 && l->n > REQUEST_LABELS_MAX)
                r = -ERANGE;
        return r;
}

static int value_apply(Config *c, ConfigKey key, const char *value, uint64_t ram_bytes) {
        const ConfigKeyInfo *k = &keys[key];
        void *field = field_of(c, key);
        int r;

        switch (k->kind) {
        case CONFIG_KIND_COUNT:
        case CONFIG_KIND_BYTES:
        case CONFIG_KIND_USEC: return number_parse(k, value, ram_bytes, field);
        case CONFIG_KIND_BOOL: return bool_parse(value, field);
        case CONFIG_KIND_LIST: return list_add(key, field, value);
        case CONFIG_KIND_CHOICE: break;
        }
        r = choice_parse(k->choices, value);
        if (r < 0)
                return r;
        *(unsigned *) field = (unsigned) r; /* each enum of a choice has the places in the list as its values */
        return 0;
}

/* The default of @key. 50% and 10% of a host whose memory is unknown: derived, and nothing. */
static void value_reset(Config *c, ConfigKey key, uint64_t ram_bytes) {
        if (keys[key].kind == CONFIG_KIND_LIST)
                strlist_done(field_of(c, key));
        else if (ram_bytes == 0 && strchr(keys[key].fallback, '%'))
                *(uint64_t *) field_of(c, key) = 0;
        else
                (void) value_apply(c, key, keys[key].fallback, ram_bytes);
}

void config_init(Config *c, uint64_t ram_bytes) {
        *c = (Config) {};
        for (unsigned i = 0; i < _CONFIG_KEY_MAX; i++)
                value_reset(c, (ConfigKey) i, ram_bytes);
}

void config_done(Config *c) {
        strlist_done(&c->metric_label_keys);
        strlist_done(&c->executor_dependencies);
        dependency_list_done(&c->dependencies);
        for (unsigned i = 0; i < _CONFIG_KEY_MAX; i++)
                free(c->origin[i].file);
        *c = (Config) {};
}

void config_move(Config *to, Config *from) {
        *to = *from;
        *from = (Config) {};
}

static const char *count_text(uint64_t n, char *buf, size_t len) {
        if (n == UINT64_MAX)
                snprintf(buf, len, "infinity");
        else
                snprintf(buf, len, "%llu", (unsigned long long) n);
        return buf;
}

static const char *rule_text(const ConfigKeyInfo *k, char *buf, size_t len) {
        char lo[DURATION_TEXT_MAX], hi[DURATION_TEXT_MAX];
        bool bytes = k->kind == CONFIG_KIND_BYTES, usec = k->kind == CONFIG_KIND_USEC;

        switch (k->kind) {
        case CONFIG_KIND_BOOL: return "it must be yes or no";
        case CONFIG_KIND_LIST:
                return k == &keys[CONFIG_METRIC_LABEL_KEYS] ? "it takes at most 32 names of letters, digits and _, "
                                                              "no digit first, separated by spaces; not the metrics' own "
                                                              "labels (result, le …, see docs/metrics.md), nor __ first"
                                                            : "it takes at most 32 names of [Dependency NAME] "
                                                              "sections, separated by spaces";
        case CONFIG_KIND_CHOICE: snprintf(buf, len, "it must be one of: %s", k->choices); return buf;
        case CONFIG_KIND_COUNT:
        case CONFIG_KIND_BYTES:
        case CONFIG_KIND_USEC: break;
        }
        if (bytes || usec) {
                (void) (bytes ? size_format_exact(k->min, lo) : duration_format(k->min, lo));
                (void) (bytes ? size_format_exact(k->max, hi) : duration_format(k->max, hi));
        } else {
                count_text(k->min, lo, sizeof(lo));
                count_text(k->max, hi, sizeof(hi));
        }
        snprintf(buf, len, "it must be %s, from %s to %s",
                 bytes  ? "a size (512M, 1.5G, 25%)"
                 : usec ? "a time span (90, 1min 30s)"
                        : "a whole number",
                 lo, bytes && k->max == INT64_MAX ? "8388607T" : hi);
        return buf;
}

/* Sets what an empty value means. True when it was one. */
static bool empty_apply(Config *c, ConfigKey key, const char *value, uint64_t ram_bytes) {
        if (value[0] != '\0')
                return false;
        if (key == CONFIG_INITIAL_MEMORY_BYTES_QUOTA_PER_QUERY)
                c->initial_bytes = 0; /* derived in config_finish() */
        else if (key == CONFIG_MAX_MEMORY_BYTES)
                c->max_memory_bytes = 0;
        else
                value_reset(c, key, ram_bytes);
        return true;
}

static bool empty_is_derived(ConfigKey key) {
        return key == CONFIG_INITIAL_MEMORY_BYTES_QUOTA_PER_QUERY || key == CONFIG_MAX_MEMORY_BYTES;
}

int config_set(Config *c, uint64_t ram_bytes, const char *section, const char *key, const char *value,
               const char *file, unsigned line, Error *ret_error) {
        static const char dependency[] = "Dependency ";
        char buf[256], *copy;
        unsigned k = 0;
        int r = 0;

        if (strncmp(section, dependency, strlen(dependency)) == 0)
                return dependency_set(&c->dependencies, section + strlen(dependency), key, value, file, line,
                                      ret_error);
        while (k < _CONFIG_KEY_MAX && strcmp(keys[k].name, key) != 0)
                k++;
        if (strcmp(section, "Controller") != 0 || k == _CONFIG_KEY_MAX)
                return -ENOENT;
        c->is_set[k] = value[0] != '\0' || empty_is_derived((ConfigKey) k);
        copy = c->is_set[k] ? strdup(file) : NULL;
        if (c->is_set[k] && !copy)
                return -ENOMEM;
        if (!empty_apply(c, (ConfigKey) k, value, ram_bytes))
                r = value_apply(c, (ConfigKey) k, value, ram_bytes);
        if (r < 0) {
                free(copy);
                if (r != -ENOMEM)
                        (void) error_set(ret_error, ERROR_INVALID_ARGUMENT, "%s:%u: %s=%.64s is refused: %s", file,
                                         line, key, value, rule_text(&keys[k], buf, sizeof(buf)));
                return r;
        }
        free(c->origin[k].file);
        c->origin[k] = (ConfigOrigin) { .file = copy, .line = copy ? line : 0 };
        return 0;
}

static void list_text(const StrList *l, char *buf, size_t len) {
        size_t n = 0;

        buf[0] = '\0';
        for (size_t i = 0; i < l->n && n < len; i++)
                n += (size_t) snprintf(buf + n, len - n, "%s%s", i > 0 ? " " : "", l->v[i]);
}

const char *config_value_text(const Config *c, ConfigKey key, char *buf, size_t len) {
        const ConfigKeyInfo *k = &keys[key];
        const void *field = field_of(c, key);
        char text[DURATION_TEXT_MAX];
        const char *choice = k->choices;

        switch (k->kind) {
        case CONFIG_KIND_LIST: list_text(field, buf, len); return buf;
        case CONFIG_KIND_BOOL: snprintf(buf, len, "%s", *(const bool *) field ? "yes" : "no"); return buf;
        case CONFIG_KIND_BYTES:
                snprintf(buf, len, "%s", size_format_exact(*(const uint64_t *) field, text));
                return buf;
        case CONFIG_KIND_USEC: snprintf(buf, len, "%s", duration_format(*(const uint64_t *) field, text)); return buf;
        case CONFIG_KIND_COUNT: return count_text(*(const uint64_t *) field, buf, len);
        case CONFIG_KIND_CHOICE: break;
        }
        for (int i = *(const int *) field; i > 0; i--)
                choice = strchr(choice, ' ') + 1;
        snprintf(buf, len, "%.*s", (int) strcspn(choice, " "), choice);
        return buf;
}

const char *config_origin_text(const Config *c, ConfigKey key, char *buf, size_t len) {
        if (c->origin[key].file)
                snprintf(buf, len, "%s:%u", c->origin[key].file, c->origin[key].line);
        else
                snprintf(buf, len, "default");
        return buf;
}
