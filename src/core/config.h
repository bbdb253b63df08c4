/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/config: penstock.conf's keys, their defaults and the rules between them. libc only; reads no file.
 * Invariant: a Config that config_finish() accepted keeps every rule of the contract. */
#pragma once

#include "core/dependency.h"

typedef enum ExhaustionPolicy { EXHAUSTION_FREEZE, EXHAUSTION_FAIL } ExhaustionPolicy;
typedef enum Logger { LOGGER_JOURNAL } Logger; /* there is no other; the key is part of the contract */
typedef enum InitialQuota { INITIAL_QUOTA_FIXED, INITIAL_QUOTA_LEARNED } InitialQuota;
typedef enum MemoryProtection { PROTECTION_LOW, PROTECTION_MIN } MemoryProtection;

/* Where a value came from. Owned by the Config. */
typedef struct ConfigOrigin {
        char *file; /* NULL: built-in default, or derived from other keys */
        unsigned line;
} ConfigOrigin;

/* Every key of [Controller]; config.c has the one table that parses, prints and documents them. */
typedef enum ConfigKey {
        CONFIG_CONCURRENCY_QUOTA,
        CONFIG_INITIAL_MEMORY_BYTES_QUOTA_PER_QUERY,
        CONFIG_MEMORY_BYTES_QUOTA_PER_QUERY,
        CONFIG_MAX_MEMORY_BYTES,
        CONFIG_QUEUE_SIZE,
        CONFIG_LOGGER,
        CONFIG_METRIC_LABEL_KEYS,
        CONFIG_EXECUTOR_DEPENDENCIES,
        CONFIG_QUEUE_TIMEOUT_SEC,
        CONFIG_QUERY_TIMEOUT_SEC,
        CONFIG_SHUTDOWN_TIMEOUT_SEC,
        CONFIG_MAX_QUERIES_PER_USER,
        CONFIG_EXHAUSTION_POLICY,
        CONFIG_FREEZE_TIMEOUT_SEC,
        CONFIG_COMPILE_TIMEOUT_SEC,
        CONFIG_COMPILE_MEMORY_BYTES,
        CONFIG_COMPILE_CONCURRENCY,
        CONFIG_RESERVE_MEMORY_BYTES,
        CONFIG_ALLOW_OVERCOMMIT,
        CONFIG_ALLOW_ROOT_QUERIES,
        CONFIG_MEMORY_PROTECTION,
        CONFIG_TASKS_MAX_PER_QUERY,
        CONFIG_CANCEL_GRACE_SEC,
        CONFIG_RESULTS_KEEP_SEC,  /* detached results and unread records of ended queries */
        CONFIG_RESULTS_MAX_BYTES, /* of one detached query */
        CONFIG_LOG_QUERY_TEXT_ON_SHUTDOWN,
        CONFIG_WARM_UNITS,        /* units made ahead: for the next few waiting queries, and as many spares */
        CONFIG_WARM_UNITS_IDLE_SEC,
        CONFIG_HISTORY_MAX_ENTRIES,
        CONFIG_HISTORY_RETENTION_SEC,
        CONFIG_INITIAL_QUOTA,
        CONFIG_RETRY_ON_EXHAUSTION,
        CONFIG_TRACE,             /* how much of the engine's events and actions is recorded */
        _CONFIG_KEY_MAX,
} ConfigKey;

typedef struct Config {
        uint64_t concurrency_quota; /* UINT64_MAX: infinity */
        uint64_t initial_bytes;     /* InitialMemoryBytesQuotaPerQuery */
        uint64_t per_query_bytes;   /* MemoryBytesQuotaPerQuery */
        uint64_t max_memory_bytes;  /* the global budget */
        uint64_t queue_size;
        Logger logger;
        StrList metric_label_keys, executor_dependencies;
        uint64_t queue_timeout_usec, query_timeout_usec; /* 0 or USEC_INFINITY: none */
        uint64_t shutdown_timeout_usec;                  /* 0: cancel at once; USEC_INFINITY: wait for ever */
        uint64_t max_queries_per_user;
        ExhaustionPolicy exhaustion_policy;
        uint64_t freeze_timeout_usec;
        uint64_t compile_timeout_usec, compile_memory_bytes, compile_concurrency;
        uint64_t reserve_memory_bytes;
        bool allow_overcommit, allow_root_queries, log_query_text_on_shutdown;
        MemoryProtection memory_protection;
        uint64_t tasks_max_per_query, cancel_grace_usec, results_keep_usec, results_max_bytes, trace_bytes;
        uint64_t warm_units, warm_units_idle_usec;
        uint64_t history_max_entries, history_retention_usec;
        InitialQuota initial_quota;
        bool retry_on_exhaustion;
        DependencyList dependencies; /* the [Dependency NAME] sections */

        bool is_set[_CONFIG_KEY_MAX]; /* by a file; else the built-in default, which may give way to what was set */
        ConfigOrigin origin[_CONFIG_KEY_MAX];
} Config;

typedef enum ConfigKind {
        CONFIG_KIND_COUNT, /* uint64_t */
        CONFIG_KIND_BYTES, /* uint64_t */
        CONFIG_KIND_USEC,  /* uint64_t */
        CONFIG_KIND_BOOL,  /* bool */
        CONFIG_KIND_CHOICE,
        CONFIG_KIND_LIST, /* StrList */
} ConfigKind;

/* One key, for those who print or document them. */
typedef struct ConfigKeyInfo {
        const char *name;
        ConfigKind kind;
        size_t offset;        /* of the field in Config */
        const char *fallback; /* the shipped default as it would stand in a file; "" for an empty list */
        uint64_t min, max;    /* of a number; infinity only where max is UINT64_MAX */
        const char *choices;  /* of CONFIG_KIND_CHOICE, space-separated, in the order of the enum */
        bool live;            /* a reload applies it to what is decided from then on; else at the next start */
        const char *what;     /* one line */
} ConfigKeyInfo;

const ConfigKeyInfo *config_key_info(ConfigKey key);

/* Fill with the shipped defaults (decision: quota 4, 64M, 1G, 50%, queue 64 …). @ram_bytes is the host's memory. */
void config_init(Config *c, uint64_t ram_bytes);
void config_done(Config *c);

/* Set one key of @section, "Controller" or "Dependency NAME", from text. An empty value means the default again, but
 * for InitialMemoryBytesQuotaPerQuery (as MemoryBytesQuotaPerQuery) and MaxMemoryBytes (ConcurrencyQuota × that);
 * lists grow with each assignment and are emptied by an empty one. Returns 0; -ENOENT for an unknown section or key
 * (a warning for the caller, not an error); -EINVAL or -ERANGE for a bad value, with @ret_error saying file, line,
 * key, value and rule; -ENOMEM. */
int config_set(Config *c, uint64_t ram_bytes, const char *section, const char *key, const char *value,
               const char *file, unsigned line, Error *ret_error);

/* Derive what is unset (Initial from MemoryBytesQuotaPerQuery, MaxMemoryBytes from ConcurrencyQuota × that where it
 * was set to nothing) and check the rules between keys: budget >= ConcurrencyQuota × Initial; Initial <= per query <=
 * budget; budget <= RAM - ReserveMemoryBytes unless AllowOvercommit; an unlimited ConcurrencyQuota admits neither a
 * queue nor a limited budget; an unlimited budget needs AllowOvercommit.
 * A built-in default never breaks a rule: it gives way to what was set and to the size of the host.
 * Returns 0 or -EINVAL with @ret_error naming the key's origin, value and the rule. */
int config_finish(Config *c, uint64_t ram_bytes, Error *ret_error);

/* Move @from to @to, which must be uninitialised; @from is then empty. */
void config_move(Config *to, Config *from);

/* The key's name ("ConcurrencyQuota") and its effective value as text (a static name; the value into @buf). */
const char *config_key_name(ConfigKey key);
const char *config_value_text(const Config *c, ConfigKey key, char *buf, size_t len);
/* Where the value came from: "/etc/penstock/penstock.conf:12" or "default". */
const char *config_origin_text(const Config *c, ConfigKey key, char *buf, size_t len);
