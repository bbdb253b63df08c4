/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* daemon/manager: performs what the engine decides, and feeds the outcomes back. It has no policy of its own: whether
 * a query may run, grow or must end is core/engine's; how to talk to callers is bus/'s. */
#pragma once

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "core/engine.h"
#include "core/request.h"
#include "host/config_files.h"
#include "host/history.h"

typedef struct Manager Manager;

/* What is known of a query beside the engine's record: kept until its tombstone falls out. Read-only for others. */
typedef struct QueryRecord {
        uint64_t id;
        Request request; /* query text and argv are dropped when it has ended */
        uint64_t created_realtime_usec, ended_realtime_usec;
        char *control_group; /* "" until the unit runs */
        char *stderr_tail;   /* valid UTF-8, for the owner and root only; NULL: none */
        StrList dependencies; /* their names, in their order */
        int results_file_fd; /* detached: the file, read-only; -1 */
} QueryRecord;

typedef enum ManagerSignal { MANAGER_QUERY_NEW, MANAGER_QUERY_STATE, MANAGER_QUERY_REMOVED } ManagerSignal;

/* What the manager tells the bus side. Called from within its own processing; must not call back into manager_submit. */
typedef struct ManagerOps {
        /* NEW: admitted. STATE: engine_find() shows the new state and error. REMOVED: was Done; engine_find() gives its
         * tombstone, statistics final. */
        /* Less than 0: a state could not be told, and is told again. */
        int (*signal)(ManagerSignal what, uint64_t query_id, void *userdata);
        /* All Shutdown calls that wait: @error->code ERROR_NONE when every query ended in time. */
        void (*shutdown_done)(const Error *error, void *userdata);
} ManagerOps;

typedef struct ManagerSetup {
        sd_event *event;
        sd_bus *systemd_bus;  /* the system bus, attached to @event; not the one on which we serve */
        int worker_listen_fd; /* the worker socket, from the socket unit */
        struct Notify *notify;    /* borrowed; outlives the manager */
        struct StoredFds *stored; /* what PID 1 kept of an earlier life; what is not taken stays the caller's */
        Config *config;       /* taken over, also by one that fails */
        LanguageSet *languages; /* the same */
        const char *config_root, *config_file; /* for reload; as config_files_load() takes them */
} ManagerSetup;

/* Set up host side links and take over the queries of an earlier life. @on_ready is called when requests
 * may be accepted (0), or with -errno and why it can't serve. Returns 0 or -errno with @ret_error. */
int manager_new(const ManagerSetup *setup, const ManagerOps *ops, void *ops_userdata,
                void (*on_ready)(int r, const Error *error, void *userdata), void *ready_userdata, Manager **ret,
                Error *ret_error);
Manager *manager_free(Manager *m); /* takes NULL, returns NULL */

/* The descriptors of a request; -1: none. Taken over by manager_submit() in every case. */
typedef struct SubmitFds {
        int stdin_fd, stderr_fd;
} SubmitFds;

/* What the caller gets. The descriptors are the receiver's to close. */
typedef struct Submitted {
        uint64_t id;
        int results_fd, hold_fd;
} Submitted;

/* Record a validated request (request_validate() passed, uid and groups filled in, language known or not). @r is taken
 * over, and left empty, in every case. @allow_priority: the caller may ask for a priority above 0.
 * Returns 0, or -errno with @ret_error: UnknownLanguage, InvalidArgument, QueueLengthExceeded, ShuttingDown,
 * PermissionDenied, Internal. */
int manager_submit(Manager *m, Request *r, SubmitFds *fds, bool allow_priority, Submitted *ret, Error *ret_error);

/* Put a refused request into the journal, at most so many of one user. @uid is NULL while it is not known. */
void manager_note_refusal(Manager *m, const uid_t *uid, const Error *error);

/* Feed one event; for EVENT_CANCEL, EVENT_DONE, EVENT_PAUSE, EVENT_RESUME, EVENT_SHUTDOWN of the bus side. */
void manager_feed(Manager *m, const Event *ev);
/* An operator stops it: every query ends, as after EVENT_SHUTDOWN. Unlike that, and unlike a crash, it opens the door again
 * at the next start, whoever had closed it. */
void manager_stop(Manager *m);
/* Read the configuration and languages again. A bad file changes nothing: -EINVAL with @ret_error. */
int manager_reload(Manager *m, Error *ret_error);

const Engine *manager_engine(const Manager *m);
const Config *manager_config(const Manager *m); /* valid until the next reload */
const LanguageSet *manager_languages(const Manager *m);
/* All metrics as text, not older than a moment; valid until the next call. Returns 0 or -ENOMEM. */
int manager_metrics(Manager *m, const char **ret);
/* A request that never came to manager_submit(), which counts its own refusals; @labels NULL: not read, or not believed. */
void manager_count_refusal(Manager *m, const PairList *labels, ErrorCode code);
/* What @q waits for, in words; as engine_wait_reason(), and which dependency is being checked. Returns @buf. */
const char *manager_wait_reason(Manager *m, const Query *q, char *buf, size_t len);
/* As history_ask(); -ENODATA when there is no history. */
int manager_history_ask(Manager *m, HistoryFilter *f, HistoryAnswer answer, void *userdata, HistoryQuestion **ret);
/* Queries whose end their dependencies were not told yet. */
size_t manager_releases(const Manager *m);
/* Units that were asked for and are not gone yet. */
size_t manager_units(const Manager *m);
/* Also for tombstones; NULL when it fell out. */
const QueryRecord *manager_record(const Manager *m, uint64_t id);
/* The loop's time, as the engine knows it (CLOCK_MONOTONIC, usec). */
uint64_t manager_now(const Manager *m);
/* memory.current of engine/ right now, and its peak so far; zeros when there is no such group. */
void manager_memory_now(Manager *m, uint64_t id, uint64_t *ret_current_bytes, uint64_t *ret_peak_bytes);
/* What will be its final numbers, as they are by now, and governor_need(); zeros when there is no such group. */
void manager_numbers_now(Manager *m, uint64_t id, FinalNumbers *ret, uint64_t *ret_need_bytes);
