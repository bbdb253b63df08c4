/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A bench for bus/: the real vtables on one end of a socket pair, a client on the other, one event loop, no bus
 * daemon. Behind the vtables stands StubManager, a stand-in for daemon/manager: it drives the real engine on a clock
 * of its own and performs nothing; the test says what becomes of a query. In place of the bus daemon, the test says
 * who a sender is. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "bus/server.h"

typedef struct StubRecord {
        QueryRecord record;
        int stdin_fd, stderr_fd;
        bool allow_priority;
} StubRecord;

#define STUB_RECORDS_MAX 512

/* daemon/manager.h names the type; here are its insides. */
struct Manager {
        Engine *engine;
        History *history; /* NULL: none */
        bool hold_history; /* searches are never answered */
        Config config;
        LanguageSet languages;
        uint64_t now_usec;
        const ManagerOps *ops;
        void *ops_userdata;
        StubRecord records[STUB_RECORDS_MAX + 1]; /* by ID */
        StubRecord *submitting;
        Error refused;
        unsigned n_submits, n_reloads, n_refusals, n_metrics;
        Error last_refusal; /* as it was put into the journal */
        uint32_t last_refusal_uid;
        Error reload_error; /* what manager_reload() will say */
        ErrorCode counted[64]; /* refusals, as they were counted by the bus side */
        unsigned n_counted;
};

void stub_manager_done(Manager *m);

typedef struct Bench {
        sd_event *event;
        sd_bus *server_bus, *client;
        BusServer *bus;
        Manager manager;

        /* Who senders are. */
        Caller caller;
        int ask_result;    /* what the answer will be: 0 or -errno */
        bool hold_answers; /* until bench_answer_all() */
        unsigned n_asks;

        /* What the user database says. */
        int user_result;
        Caller user;
        bool hold_user; /* until bench_answer_user() */
} Bench;

/* cmocka set-up and tear-down; *state is the Bench. The caller is uid 1000 in group 900, which is group penstock. */
int bench_setup(void **state);
int bench_teardown(void **state);

void bench_answer_all(Bench *b);
void bench_answer_user(Bench *b);

/* Run the loop until nothing is left to do. */
void bench_settle(Bench *b);

sd_bus_message *bench_message(Bench *b, const char *path, const char *interface, const char *member);
/* A call of the Controller's @member with an ID, and one of the query's own object. */
sd_bus_message *bench_by_id(Bench *b, const char *member, uint64_t id);
sd_bus_message *bench_on_object(Bench *b, const char *member, uint64_t id);
/* Send @m (which is consumed) and run until its answer is there. Unreference what is returned. */
sd_bus_message *bench_call(Bench *b, sd_bus_message *m);
/* Send @m (consumed) without waiting; *@ret_reply is set when the answer comes, and must be NULL. */
void bench_send(Bench *b, sd_bus_message *m, sd_bus_message **ret_reply);

/* A Query message with an open a{sv}, and its end. */
sd_bus_message *bench_request_open(Bench *b);
void bench_request_close(sd_bus_message *m);
/* A small valid request, so far that more keys can be appended. */
sd_bus_message *bench_request_minimal(Bench *b);

/* @reply is the error @name and its text has @part in it. Unreferences @reply. */
void assert_error(sd_bus_message *reply, const char *name, const char *part);
/* @key of type 't', 'i', 'b' or 's' in the a{sv} of @reply is @expected, as text. */
void assert_value(sd_bus_message *reply, const char *key, const char *expected);
/* @reply is a return. Unreferences @reply. */
void assert_returned(sd_bus_message *reply);

/* Submit a query and give its ID; its descriptors are closed. */
uint64_t bench_submit(Bench *b);

/* What becomes of a query: its unit is there and it runs; it ends with @status. */
void bench_run(Bench *b, uint64_t id);
void bench_end(Bench *b, uint64_t id, int status);
