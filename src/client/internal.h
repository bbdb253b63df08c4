/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* client/internal: what the files of libpenstock share. sd-bus and core/base only. */
#pragma once

#include <unistd.h>

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "core/base.h"
#include "penstock.h"

#define EXPORT __attribute__((visibility("default")))

#define BUS_NAME "org.penstock1"
#define BUS_PATH "/org/penstock1"
#define BUS_CONTROLLER "org.penstock1.Controller"
#define BUS_QUERY "org.penstock1.Query"
#define BUS_ERROR_PREFIX "org.penstock1.Error."

/* The bus's own 25 s are for calls that are answered at once. Done waits for the query's last process, so it outlasts
 * any sensible CancelGraceSec; Query may wait for the service to be started. */
#define CALL_USEC (25 * USEC_PER_SEC)
#define SUBMIT_USEC (90 * USEC_PER_SEC)
#define DONE_USEC (600 * USEC_PER_SEC)
/* Beside it, the time that a person has to authenticate: penstockd waits for 120 s. */
#define INTERACTIVE_USEC (180 * USEC_PER_SEC)

/* ---- error.c ---- */

/* Fill @e (may be NULL). Returns @r, so that a failure can end with `return client_error(…)`. */
int client_error(PenstockError *e, int r, const char *name, const char *format, ...) PRINTF_LIKE(4, 5);
/* Fill @e (may be NULL) from a failed bus call: @r and, if set, @bus_error. Returns the matching -errno. */
int client_error_from_bus(PenstockError *e, int r, const sd_bus_error *bus_error);

/* ---- client.c ---- */

typedef struct ClientCall ClientCall;

struct PenstockClient {
        unsigned n_ref; /* the caller's, and one for each query */
        sd_bus *bus;
        sd_event *event;     /* NULL: only blocking calls */
        unsigned generation; /* how often the connection was replaced */
        bool interactive;
        bool starts_nobody; /* calls do not start the service */
        ClientCall *calls;
};

PenstockClient *client_ref(PenstockClient *c);
PenstockClient *client_unref(PenstockClient *c); /* takes NULL, returns NULL */
/* Open a new connection in place of a lost one, or try once: what was asked by the old one is answered with an error by
 * the event loop, and its matches are dead. Nothing is done while there is one. Returns 0 or -errno. */
int client_connect(PenstockClient *c);

typedef enum AutoStart { AUTO_START_NO, AUTO_START_YES } AutoStart;

/* A call of @member at @path, without arguments yet. All are made here, so that each connects anew where it must. */
int client_call_new(PenstockClient *c, const char *path, const char *interface, const char *member, AutoStart start,
                    sd_bus_message **ret);
/* A call to the Controller's method @member; the second has @id, which may be 0, as its argument. */
int client_message_new(PenstockClient *c, const char *member, sd_bus_message **ret);
int client_id_message_new(PenstockClient *c, const char *member, uint64_t id, AutoStart start, sd_bus_message **ret);
/* A call for all properties of the Controller. */
int client_status_message_new(PenstockClient *c, sd_bus_message **ret);
/* How long to wait for an answer to @m, which takes @timeout_usec when nobody has to authenticate. */
uint64_t client_timeout(const PenstockClient *c, uint64_t timeout_usec);
/* Send @m, wait for the answer. @ret may be NULL. */
int client_call(PenstockClient *c, sd_bus_message *m, uint64_t timeout_usec, sd_bus_message **ret, PenstockError *e);
/* Read the one descriptor that @m answers into a new one, close-on-exec. */
int client_read_fd(sd_bus_message *m, int *ret);

/* ---- client_async.c ---- */

/* Forget the asynchronous calls of @c that were not answered yet. */
void client_calls_free(PenstockClient *c);

/* ---- info.c ---- */

/* Read the a{sv} at @m's position. */
int info_read(sd_bus_message *m, PenstockInfo **ret);
/* The aa{sv} at @m's position; penstock_info_list_free() it. */
int info_list_read(sd_bus_message *m, PenstockInfo ***ret, size_t *ret_n);

/* ---- request.c, request_check.c, request_send.c ---- */

typedef struct Limit {
        char *name;
        uint64_t soft, hard;
} Limit;

typedef struct OptionalU64 {
        bool is_set;
        uint64_t value;
} OptionalU64;

struct PenstockRequest {
        char *language, *database, *file, *working_directory, *user;
        char *query;
        size_t query_len;
        StrList argv, dependencies;
        PairList parameters, labels, environment;
        OptionalU64 memory_initial_bytes, memory_max_bytes, timeout_usec, queue_timeout_usec, umask;
        bool has_priority, detach, once;
        int32_t priority;
        Limit *limits;
        size_t n_limits;
        int stdin_fd, stderr_fd;
};

/* The Query call that carries @r, which was checked. */
int request_message_new(PenstockClient *c, const PenstockRequest *r, sd_bus_message **ret);

/* ---- query.c, watch.c ---- */

/* Read the answer of Query into a new handle. Returns 0 or -errno. */
int query_from_reply(PenstockClient *c, sd_bus_message *reply, PenstockQuery **ret);

typedef struct PendingCall PendingCall;
typedef struct Watch Watch;

struct PenstockQuery {
        PenstockClient *client;
        uint64_t id;
        char *path;
        bool was_there; /* the service, which has answered for this handle */
        int results_fd, hold_fd;
        PendingCall *calls;
        Watch *watch;
};

Watch *watch_free(Watch *w); /* takes NULL, returns NULL */

static inline void closep(int *fd) {
        if (*fd >= 0)
                close(*fd);
}

static inline void message_unrefp(sd_bus_message **m) {
        sd_bus_message_unref(*m);
}

static inline void request_freep(PenstockRequest **r) {
        penstock_request_free(*r);
}

static inline void info_freep(PenstockInfo **i) {
        penstock_info_free(*i);
}

static inline void query_freep(PenstockQuery **q) {
        penstock_query_free(*q);
}
