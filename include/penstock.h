/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* penstock: submit queries to Penstock and manage them, over the system bus.
 *
 * Sizes are in bytes, spans and times in microseconds; UINT64_MAX stands for "infinity". Functions return 0 or a
 * negative errno; on failure what they would have returned is untouched, and PenstockError (where it is taken; NULL
 * is fine) says why. Nothing here writes to stdout or stderr, installs a signal handler or starts a thread. One
 * client and all that belongs to it is for one thread at a time.
 *
 * docs/client.md has an overview and an example. */
#ifndef PENSTOCK_H
#define PENSTOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sd_event;

typedef struct PenstockClient PenstockClient;
typedef struct PenstockRequest PenstockRequest;
typedef struct PenstockQuery PenstockQuery;
typedef struct PenstockInfo PenstockInfo;
typedef struct PenstockFilter PenstockFilter;

/* Why a call failed, or why a query did. Plain data, nothing to free. */
typedef struct PenstockError {
        char name[256];     /* short for Penstock's own ("QueueTimeout"), else the full D-Bus name; "" for none */
        char message[1024]; /* a sentence for people, cut if longer */
} PenstockError;

/* Names that this library gives beside those of the service (src/bus/org.penstock1.xml lists them). */
#define PENSTOCK_ERROR_UNREACHABLE "Unreachable" /* no bus, no service, or no answer: -EHOSTDOWN */
#define PENSTOCK_ERROR_UNSUPPORTED "Unsupported" /* the service does not know the method: -EOPNOTSUPP */

/* What one request may carry; larger is refused before it is sent, since the bus would cut the sender off. The
 * service's own bounds (docs/dbus.md) are narrower for some keys, as 1 MiB for all arguments together, and what it
 * refuses is InvalidArgument too. */
#define PENSTOCK_QUERY_BYTES_MAX (UINT64_C(4) << 20)
#define PENSTOCK_ARGUMENT_BYTES_MAX (UINT64_C(128) << 10) /* the closing NUL included, as for execve(2) */
/* All its texts together; the service counts 64 bytes for each value and 1 KiB for each list or pair beside. */
#define PENSTOCK_REQUEST_BYTES_MAX (UINT64_C(8) << 20)

/* ---- The connection ---- */

/* Connect to the system bus, or to $DBUS_SYSTEM_BUS_ADDRESS. The service is not asked anything yet. When the bus was
 * lost, the next call connects anew. While it can't, it is Unreachable; one with a handler returns -EHOSTDOWN, but
 * penstock_query_watch(), which tells the handler.
 * Errors: Unreachable. Free with penstock_client_free(). */
int penstock_client_new(PenstockClient **ret, PenstockError *ret_error);
/* Takes NULL, returns NULL. Queries that are still there keep the connection until they are freed. No handler that takes
 * a client is called any more: a submission that was not answered yet goes on alone if it is detached, else its query is
 * canceled. */
PenstockClient *penstock_client_free(PenstockClient *c);

/* Let @event drive the connection, as the functions with a handler need it. Blocking calls still work, but not from a
 * handler. Returns 0, -EBUSY if an event loop was attached before, or another -errno. */
int penstock_client_attach_event(PenstockClient *c, struct sd_event *event);

/* Let polkit ask the user to authenticate, when a call needs what he may not do by himself: true or false (the default). A call that
 * may need that, such as penstock_client_pause(), then waits for up to three minutes. */
void penstock_client_set_interactive(PenstockClient *c, bool interactive);

/* Whether a call starts the service when it is not running: true (the default) or false, for those who only look: then it is
 * Unreachable. Who asks again and again says so after the first answer, or an operator who stops the service finds it started again. */
void penstock_client_set_auto_start(PenstockClient *c, bool wanted);

/* All properties of the Controller: counts per state, used_memory_bytes, unused_memory_bytes, languages (pairs),
 * language_memory_notes (pairs, of those that have one), and the configuration under its own names in snake case. Free with
 * penstock_info_free(). */
int penstock_client_status(PenstockClient *c, PenstockInfo **ret, PenstockError *ret_error);
/* The parts of the budget that are used and unused, in bytes: what penstock_client_status() has as used_memory_bytes and
 * unused_memory_bytes. Unused is the budget less ConcurrencyQuota times the initial quota less what was given on top. */
int penstock_client_memory(PenstockClient *c, uint64_t *ret_used_bytes, uint64_t *ret_unused_bytes,
                           PenstockError *ret_error);
/* The queries that were not Done yet, by submission; @ret has @ret_n entries.
 * Free with penstock_info_list_free(). */
int penstock_client_list(PenstockClient *c, PenstockInfo ***ret, size_t *ret_n, PenstockError *ret_error);

/* Start no waiting query, or go on. Idempotent. */
int penstock_client_pause(PenstockClient *c, PenstockError *ret_error);
int penstock_client_resume(PenstockClient *c, PenstockError *ret_error);
/* Have the service read its configuration again. InvalidArgument: it is bad, and nothing changed. */
int penstock_client_reload(PenstockClient *c, PenstockError *ret_error);
/* End all queries, let running ones finish within @timeout_usec (0: not at all; UINT64_MAX: no limit), and have the
 * service refuse new ones until it is restarted. Blocks as long. Timeout: the rest was canceled. */
int penstock_client_shutdown(PenstockClient *c, uint64_t timeout_usec, PenstockError *ret_error);
/* The metrics in Prometheus' text format; free(3) it. Unsupported: this service has none. */
int penstock_client_metrics(PenstockClient *c, char **ret, PenstockError *ret_error);

/* ---- What has ended: the history ---- */

/* A filter that lets all pass; penstock_filter_free() takes NULL and returns NULL. Setters copy what they are given; all that is set
 * must fit. They return 0, -ENOMEM, or -EINVAL for NULL and for what is not UTF-8; whether there is such a state, error or label is
 * for the service to say. */
int penstock_filter_new(PenstockFilter **ret);
PenstockFilter *penstock_filter_free(PenstockFilter *f);
/* Whom it ran as. */
int penstock_filter_set_user_id(PenstockFilter *f, uid_t uid);
/* The name of its language. */
int penstock_filter_set_language(PenstockFilter *f, const char *name);
/* "finished", "errored" or "canceled". */
int penstock_filter_set_state(PenstockFilter *f, const char *state);
/* The short name of its error ("Timeout"). */
int penstock_filter_set_error(PenstockFilter *f, const char *name);
/* It had this label; by labels that are not in MetricLabelKeys= others than root find their own queries alone. */
int penstock_filter_add_label(PenstockFilter *f, const char *key, const char *value);
/* It ended not before, and not after, this time of day (CLOCK_REALTIME). */
int penstock_filter_set_since(PenstockFilter *f, uint64_t realtime_usec);
int penstock_filter_set_until(PenstockFilter *f, uint64_t realtime_usec);
/* At its peak it had at least so many bytes charged. */
int penstock_filter_set_min_peak(PenstockFilter *f, uint64_t bytes);
/* How many at most, 1 to 1000. Unset: 100. Fewer come when they have long labels; no more are there when none comes. */
int penstock_filter_set_limit(PenstockFilter *f, uint64_t n);
/* Those that come behind the one with this `row`, the last of a page before. */
int penstock_filter_set_before(PenstockFilter *f, uint64_t row);

/* Queries that have ended, the last first, also those of earlier boots; @f may be NULL. An ID is unique in its boot_id. Free with
 * penstock_info_list_free(). Timeout: the search took too long. */
int penstock_client_history(PenstockClient *c, const PenstockFilter *f, PenstockInfo ***ret, size_t *ret_n,
                            PenstockError *ret_error);

/* ---- What to run ---- */

/* An empty request; penstock_request_free() takes NULL and returns NULL. Setters copy what they are given; a later
 * call replaces (set) or appends (add; a pair with the same key replaces). They return 0, -ENOMEM, or -EINVAL for
 * NULL. What a text may hold is checked by penstock_request_check() and on submission. */
int penstock_request_new(PenstockRequest **ret);
PenstockRequest *penstock_request_free(PenstockRequest *r);

/* The name of the language; `penstockctl languages` lists them. A request needs one. */
int penstock_request_set_language(PenstockRequest *r, const char *name);
/* The text of the query, @len bytes. */
int penstock_request_set_query(PenstockRequest *r, const char *text, size_t len);
/* A file that holds the query; an absolute path. */
int penstock_request_set_file(PenstockRequest *r, const char *path);
/* One more element of the argv ("exec"), or one more argument behind the query. */
int penstock_request_add_argument(PenstockRequest *r, const char *argument);
/* A file (an absolute path, or relative to the working directory), or what else the language takes for a database. */
int penstock_request_set_database(PenstockRequest *r, const char *database);
/* A parameter of the language, for its {param:NAME}. */
int penstock_request_add_parameter(PenstockRequest *r, const char *name, const char *value);
/* For metrics, lists and the history. Metrics and lists have those whose key is in MetricLabelKeys=, which is empty by default; the
 * history shows all of them to the query's owner and root. */
int penstock_request_add_label(PenstockRequest *r, const char *key, const char *value);
/* The engine finds only variables named here; the service adds none of its own. */
int penstock_request_add_environment(PenstockRequest *r, const char *name, const char *value);
/* Where the engine starts; an absolute path. */
int penstock_request_set_working_directory(PenstockRequest *r, const char *path);
/* The quota to start with, and the most it may get, in bytes. Unset: as configured; 0 is refused on submission. */
int penstock_request_set_memory_initial(PenstockRequest *r, uint64_t bytes);
int penstock_request_set_memory_max(PenstockRequest *r, uint64_t bytes);
/* Higher goes first; the default is 0, and above it is for root and whom polkit lets. */
int penstock_request_set_priority(PenstockRequest *r, int32_t priority);
/* 0: none. Unset: as configured. @usec counts from the start of execution, without frozen time. */
int penstock_request_set_timeout(PenstockRequest *r, uint64_t usec);
int penstock_request_set_queue_timeout(PenstockRequest *r, uint64_t usec);
/* One more [Dependency NAME] of the service's configuration, which must have Requestable=yes. */
int penstock_request_add_dependency(PenstockRequest *r, const char *name);
/* Run as this user; root only. */
int penstock_request_set_user(PenstockRequest *r, const char *name);
/* The umask of the engine. Unset: 022. */
int penstock_request_set_umask(PenstockRequest *r, mode_t mask);
/* A resource limit of the engine, by its name without RLIMIT_ ("NOFILE"). */
int penstock_request_add_limit(PenstockRequest *r, const char *name, uint64_t soft, uint64_t hard);
/* Descriptors for the engine; duplicated here, so that the caller may close his. Also -EBADF. Without a stderr the
 * service keeps the end of what the engine writes there. */
int penstock_request_set_stdin(PenstockRequest *r, int fd);
int penstock_request_set_stderr(PenstockRequest *r, int fd);
/* Outlive this process: results go to a file, and dropping the hold means nothing. */
int penstock_request_set_detached(PenstockRequest *r);
/* Not to be run again by the service's RetryOnExhaustion=, which is for detached queries. */
int penstock_request_set_once(PenstockRequest *r);

/* Check what the bus could not carry: a query over PENSTOCK_QUERY_BYTES_MAX, an argument of
 * PENSTOCK_ARGUMENT_BYTES_MAX or more, text that is not UTF-8 (or a code point that D-Bus refuses), a NUL inside.
 * Returns 0, or -EINVAL with InvalidArgument naming the key, the argument and the offset of the first bad byte. */
int penstock_request_check(const PenstockRequest *r, PenstockError *ret_error);

/* ---- A query ---- */

/* Submit @r. Returns when the service has recorded it, or refused it (a full queue, a bad request). The query holds
 * its results and its hold from then on; free with penstock_query_free(). */
int penstock_query_submit(PenstockClient *c, const PenstockRequest *r, PenstockQuery **ret, PenstockError *ret_error);
/* A handle on a query by its ID, without results or hold. The service is not asked: an unknown ID, as 0 always is, is
 * NoSuchQuery in the first call. */
int penstock_query_open(PenstockClient *c, uint64_t id, PenstockQuery **ret);
/* Takes NULL, returns NULL. Closes results and hold: an attached query that still runs is canceled by that, one that
 * ended is Done. Handlers of @q are not called any more. */
PenstockQuery *penstock_query_free(PenstockQuery *q);

/* Its ID, as on D-Bus and in the unit's name; never 0. */
uint64_t penstock_query_id(const PenstockQuery *q);
const char *penstock_query_path(const PenstockQuery *q); /* the D-Bus object; lives as long as @q */
/* The read end of the query's standard output, and the hold; -1 when there is none. They stay @q's. The service may
 * close the results before any data when the query is canceled. Read to the end: back-pressure reaches the engine. */
int penstock_query_results_fd(const PenstockQuery *q);
int penstock_query_hold_fd(const PenstockQuery *q);
/* The same, but then the caller's to close. */
int penstock_query_take_results_fd(PenstockQuery *q);
int penstock_query_take_hold_fd(PenstockQuery *q);

/* All properties and statistics, also after Done, while the service keeps them. Free with penstock_info_free(). */
int penstock_query_describe(PenstockQuery *q, PenstockInfo **ret, PenstockError *ret_error);
/* The statistics alone, until Done; NoSuchQuery afterwards. */
int penstock_query_statistics(PenstockQuery *q, PenstockInfo **ret, PenstockError *ret_error);
/* Legal in every state, idempotent. Returns at once; penstock_query_wait() says when it is gone. */
int penstock_query_cancel(PenstockQuery *q, PenstockError *ret_error);
/* Release all that it holds; a live one is canceled first, and the call returns when its last process is gone.
 * Idempotent. @ret (may be NULL) gets the final statistics. */
int penstock_query_done(PenstockQuery *q, PenstockInfo **ret, PenstockError *ret_error);
/* Open the results of a detached query from their start; close(2) it. */
int penstock_query_open_results(PenstockQuery *q, int *ret_fd, PenstockError *ret_error);
/* Open the query's timeline so far, also after Done, while the service keeps it; close(2) it. It is CSV with a header
 * line: read columns by their names, which docs/dbus.md lists with their units, since a newer service may add some.
 * PermissionDenied for a query of another user, NoSuchQuery as in penstock_query_describe(). */
int penstock_query_open_profile(PenstockQuery *q, int *ret_fd, PenstockError *ret_error);

/* Block until @q has ended, at most @timeout_usec (then -ETIMEDOUT with Timeout), but always for the first answer, as
 * penstock_query_describe() does: 0 asks once. @ret gets its description: that a query failed is told there
 * (error_name), not by the return value. Once the service has answered a call of @q, its restart or that of the bus is
 * waited out for half a minute, and it is not started. */
int penstock_query_wait(PenstockQuery *q, uint64_t timeout_usec, PenstockInfo **ret, PenstockError *ret_error);

/* ---- With an event loop (penstock_client_attach_event() first; -ENOTCONN without) ---- */

/* @info is NULL on failure, and for calls that answer nothing; penstock_info_ref() it to keep it. @error is NULL on
 * success. Both live until the handler returns. A handler must not free @q. */
typedef void (*PenstockHandler)(PenstockQuery *q, PenstockInfo *info, const PenstockError *error, void *userdata);
/* @q is NULL on failure, else the handler's to free. Not called any more after penstock_client_free(). */
typedef void (*PenstockSubmitHandler)(PenstockClient *c, PenstockQuery *q, const PenstockError *error,
                                      void *userdata);

/* @info is NULL on failure; penstock_info_ref() it to keep it. A handler must not free @c; after penstock_client_free() none is
 * called any more. */
typedef void (*PenstockStatusHandler)(PenstockClient *c, PenstockInfo *info, const PenstockError *error,
                                      void *userdata);
/* @list has @n entries, is the caller's, and NULL on failure; penstock_info_ref() of it what is to be kept. */
typedef void (*PenstockListHandler)(PenstockClient *c, PenstockInfo *const list[], size_t n,
                                    const PenstockError *error, void *userdata);

/* As penstock_client_status() and penstock_client_list(). */
int penstock_client_status_async(PenstockClient *c, PenstockStatusHandler handler, void *userdata);
int penstock_client_list_async(PenstockClient *c, PenstockListHandler handler, void *userdata);

/* Call @handler with a description now, whenever the state or the error changed, and once with an error if the
 * service cannot be reached again (as in penstock_query_wait()). The last call is the one with an ended state or an
 * error. A second watch replaces the first. */
int penstock_query_watch(PenstockQuery *q, PenstockHandler handler, void *userdata);
int penstock_query_submit_async(PenstockClient *c, const PenstockRequest *r, PenstockSubmitHandler handler,
                                void *userdata, PenstockError *ret_error);
/* As the blocking ones; @handler may be NULL. */
int penstock_query_describe_async(PenstockQuery *q, PenstockHandler handler, void *userdata);
int penstock_query_cancel_async(PenstockQuery *q, PenstockHandler handler, void *userdata);
int penstock_query_done_async(PenstockQuery *q, PenstockHandler handler, void *userdata);

/* ---- What is known: a dictionary ----
 * Keys are the D-Bus names in snake case ("memory_quota_bytes", "user_id", "error_name") and those of the statistics.
 * Unknown keys of a newer service are there too. */

PenstockInfo *penstock_info_ref(PenstockInfo *i);  /* one more owner; returns @i */
PenstockInfo *penstock_info_free(PenstockInfo *i); /* one owner less; takes NULL, returns NULL */
/* Free what penstock_client_list() or penstock_client_history() returned, the infos in it too; takes NULL. */
void penstock_info_list_free(PenstockInfo **list, size_t n);

typedef enum PenstockType {
        PENSTOCK_TYPE_NONE, /* no such key */
        PENSTOCK_TYPE_U64,
        PENSTOCK_TYPE_I64,
        PENSTOCK_TYPE_BOOL,
        PENSTOCK_TYPE_STRING,
        PENSTOCK_TYPE_STRINGS, /* a list */
        PENSTOCK_TYPE_PAIRS,   /* labels, languages */
        PENSTOCK_TYPE_RAISES,
} PenstockType;

/* The type of @key's value. */
PenstockType penstock_info_type(const PenstockInfo *i, const char *key);
/* The name of entry @index, in the service's order; NULL behind the last. */
const char *penstock_info_key(const PenstockInfo *i, size_t index);

/* Each returns 0, -ENOENT for no such key, -EINVAL for one of another type, -ERANGE if it does not fit. What is
 * returned by pointer lives as long as @i. */
int penstock_info_get_u64(const PenstockInfo *i, const char *key, uint64_t *ret);
int penstock_info_get_i64(const PenstockInfo *i, const char *key, int64_t *ret);
int penstock_info_get_bool(const PenstockInfo *i, const char *key, bool *ret);
int penstock_info_get_string(const PenstockInfo *i, const char *key, const char **ret);

/* Entry @index of a list; -ENOENT behind the last. */
int penstock_info_get_item(const PenstockInfo *i, const char *key, size_t index, const char **ret);
int penstock_info_get_pair(const PenstockInfo *i, const char *key, size_t index, const char **ret_key,
                           const char **ret_value);

/* One raise of the quota. */
typedef struct PenstockRaise {
        uint64_t at_usec; /* since execution started */
        const char *cause;
        uint64_t old_limit_bytes, new_limit_bytes;
        uint64_t latency_usec; /* from the wake-up to the limit in force */
} PenstockRaise;

/* Raise @index of the statistics' raise_log, oldest first; -ENOENT behind the last. */
int penstock_info_get_raise(const PenstockInfo *i, size_t index, PenstockRaise *ret);

/* True when the state is finished, errored or canceled. */
bool penstock_info_is_ended(const PenstockInfo *i);
/* The query's own error: 0 and @ret with the short name, or -ENOENT when it has none. */
int penstock_info_get_error(const PenstockInfo *i, PenstockError *ret);

#ifdef __cplusplus
}
#endif

#endif
