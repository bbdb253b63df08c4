/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* bus/server: what the files of this room share. Nobody outside includes it, but for the tests. */
#pragma once

#include "bus/bus.h"
#include "bus/calls.h"
#include "bus/lookup.h"
#include "bus/permission.h"
#include "bus/reply.h"
#include "bus/statistics.h"

#define CONTROLLER_PATH "/org/penstock1"
#define CONTROLLER_INTERFACE "org.penstock1.Controller"
#define QUERY_PREFIX CONTROLLER_PATH "/query"
#define QUERY_INTERFACE "org.penstock1.Query"
#define QUERY_PATH_MAX 64

/* Done calls that wait for one query's end, and in all; Shutdown calls that wait. */
#define WAITING_PER_QUERY_MAX 16u
#define WAITING_MAX 4096u
#define SHUTDOWN_WAITING_MAX 64u

/* Answers that the bus has not taken yet, of one connection and in all. */
#define BACKLOG_PER_SENDER_MAX 8u
#define BACKLOG_MAX 64u
#define BACKLOG_NAME_MAX 32
/* With so many messages in the queue, signals among them, a call is dropped unanswered; deeds are done for somewhat longer. */
#define BACKLOG_QUEUED_MAX 4096u
#define BACKLOG_QUEUED_BY_DEEDS_MAX (16 * BACKLOG_QUEUED_MAX)

/* Searches in the history that are under way, of one user and in all. */
#define SEARCHES_PER_USER_MAX 4u
#define SEARCHES_MAX HISTORY_QUESTIONS_MAX

typedef struct Waiting Waiting;
typedef struct Search Search; /* history_calls.c */

typedef struct Backlog {
        unsigned n;
        struct {
                char name[BACKLOG_NAME_MAX];
                unsigned n;
        } senders[BACKLOG_MAX];
} Backlog;

/* A call that is answered when something has come to pass. */
struct Waiting {
        Waiting *next;
        uint64_t query_id;
        StderrTail tail;
        sd_bus_message *message; /* of Shutdown: the call. Of Done: the reply that is to be filled in … */
        sd_bus_message *failure; /* … and what is said when it can't be */
};

struct BusServer {
        sd_bus *bus, *asking_bus;
        sd_event *event;
        Manager *manager; /* NULL: no objects */
        CallerAsk ask;
        UserLookup lookup_user;
        AccessPolicy policy;
        Lookup *group_lookup; /* under way after a reload */
        Polkit *polkit;
        Calls *calls;
        Waiting *done_waiting, *shutdown_waiting;
        size_t n_done_waiting, n_shutdown_waiting;
        Search *searches;
        uint64_t shown_id; /* a signal tells of it: it must be found even if the engine has moved on to its tombstone
                            */
        Backlog backlog;
        sd_bus_slot *controller_slot, *query_slot, *enumerator_slot, *object_manager_slot, *filter_slot, *backlog_slot;
};

/* bus/caller.c: by the bus daemon. */
int caller_ask(sd_bus *bus, const char *sender, CallerHandler handler, void *userdata, sd_bus_slot **ret_slot);

/* The flag of every method: anyone may send, and penstockd decides. Without it, and that on the method itself and not
 * on the vtable's start, sd-bus asks the bus daemon for the sender's capabilities and blocks on the answer. */
#define ANYONE SD_BUS_VTABLE_UNPRIVILEGED

/* bus/controller.c, bus/query_object.c */
extern const sd_bus_vtable controller_vtable[];
extern const sd_bus_vtable query_vtable[];
int query_object_find(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret_found,
                      sd_bus_error *ret_error);
int query_object_enumerate(sd_bus *bus, const char *prefix, void *userdata, char ***ret_nodes,
                           sd_bus_error *ret_error);
const char *query_path(uint64_t id, char buf[static QUERY_PATH_MAX]);
/* The query of a path, also while it is being removed; NULL: there is no such object. */
const Query *query_of_path(const BusServer *s, const char *path);

/* bus/controller_config.c: the getter of every configuration key. */
int controller_get_config(sd_bus *bus, const char *path, const char *interface, const char *property,
                          sd_bus_message *reply, void *userdata, sd_bus_error *ret_error);

/* Fill the empty @reply with the statistics of @q as a{sv}, and send it. */
int send_statistics(BusServer *s, sd_bus_message *reply, const Query *q, StderrTail tail);

/* bus/submit.c */
int method_query(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);

/* bus/query_calls.c: of a query's object, and of the Controller by ID. */
int method_cancel(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int method_done(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int method_results(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int method_statistics(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int method_profiler_results(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int method_describe(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);

/* bus/history_calls.c */
int method_history(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);

/* bus/admin_calls.c */
int method_shutdown(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int method_pause(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int method_resume(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int method_reload(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);

/* bus/waiting.c. waiting_add() answers itself when one is too many, and returns 0 then; 1 when @m waits. */
int waiting_add_done(BusServer *s, sd_bus_message *m, uint64_t query_id, StderrTail tail);
int waiting_add_shutdown(BusServer *s, sd_bus_message *m);
void waiting_answer_done(BusServer *s, uint64_t query_id);
void waiting_answer_shutdown(BusServer *s, const Error *error);
void waiting_drop_all(BusServer *s);

/* bus/signals.c: each is one signal. They return what sd-bus does. */
int signal_query_new(BusServer *s, uint64_t id);
int signal_query_removed(BusServer *s, uint64_t id);
int signal_query_state(BusServer *s, uint64_t id);
int signal_object_added(BusServer *s, uint64_t id);
int signal_object_removed(BusServer *s, uint64_t id);

/* bus/backlog.c: a filter that refuses to answer more questions while @n_queued messages wait for the bus. backlog_take() is for a
 * call that only turned out to be one: 0 when there is room for its answer, else it was answered, or -errno. */
int filter_backlog(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int backlog_take(BusServer *s, sd_bus_message *m);
int backlog_check(Backlog *b, size_t n_queued, const char *sender, Error *ret_error);

/* bus/wrong_type.c: a filter that answers a call with the wrong signature with InvalidArgument. */
int filter_wrong_type(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
