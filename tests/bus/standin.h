/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A stand-in for penstockd that speaks org.penstock1 (src/bus/org.penstock1.xml) and runs queries as plain children,
 * without units, limits or permissions. It exists to test libpenstock and penstockctl as clients of the protocol; it
 * proves nothing about the service. Languages:
 *   shell   sh -c QUERY ARGUMENT…
 *   exec    ARGV…
 *   shell-kept  as shell, and CancelQuery is refused; its hold ends it
 *   dump    the results are one line for each key of the request: KEY SIGNATURE VALUE (strings: with their length
 *           before)
 *   fail    the query ends with the error whose short name is QUERY
 *   refuse  the Query call is refused with that error
 *   bounce  the service's name is lost and comes back while the query runs; nothing tells that it ended
 *   (of one letter)  is none: UnknownLanguage
 *   pose    nothing runs: the query is what each ARGUMENT, KEY=VALUE, says of it, until it is canceled; see
 * standin_pose.c
 * SIGUSR1 takes the service's name away and leaves what runs, SIGUSR2 brings it back. */
#pragma once

#include <sys/types.h>

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "core/base.h"

#define ERRORS "org.penstock1.Error."
#define CONTROLLER "org.penstock1.Controller"
#define QUERY "org.penstock1.Query"

typedef struct StandIn StandIn;

/* Percents are of the time that it is said to have executed so far, which goes on. */
typedef struct StandInPose {
        int is_set, frozen, denied; /* denied: it can't be canceled */
        uint64_t user, priority, position, quota, max, used, need, peak, raises, cpu_percent, stall_percent;
        char wait[200], label[200];
} StandInPose;

typedef struct StandInQuery {
        StandIn *owner;
        uint64_t id;
        char path[64], unit[64];
        const char *state;
        char error_name[96], error_message[160], language[32], stderr_tail[64], label[2][128];
        int32_t exit_status, exit_signal;
        pid_t pid;
        int detached, results_file, cancel_wanted, is_done;
        uint64_t since_usec;
        StandInPose pose;
        sd_bus_slot *slot;
        sd_event_source *child, *hold;
        sd_bus_message *waiting; /* a DoneQuery that waits for the end */
} StandInQuery;

struct StandIn {
        sd_event *event;
        sd_bus *bus;
        StandInQuery *queries[256];
        size_t n;
        int paused;
        uint64_t n_describes;
};

/* What Query carried. The descriptors are the message's. */
typedef struct StandInRequest {
        char language[32];
        const char *query, *label[2];
        char *argv[64];
        size_t argc;
        int detach, stdin_fd, stderr_fd;
        char dump[16384];
        size_t dump_len;
} StandInRequest;

int standin_request_read(sd_bus_message *m, StandInRequest *r);
void standin_request_done(StandInRequest *r);

/* Append an a{sv} of the query's properties and statistics. */
int standin_append_description(sd_bus_message *m, const StandInQuery *q);
int standin_append_statistics(sd_bus_message *m, const StandInQuery *q);

/* Answer with rows of a history that nobody lived. */
int standin_reply_history(sd_bus_message *m);
/* Take on what @r's arguments say. */
int standin_pose_read(StandInQuery *q, const StandInRequest *r);
int standin_pose_append_properties(sd_bus_message *m, const StandInQuery *q);
int standin_pose_append_statistics(sd_bus_message *m, const StandInQuery *q);
uint64_t standin_elapsed(const StandInQuery *q); /* since its submission */

/* Answer with the timeline that every query here has. */
int standin_reply_profile(sd_bus_message *m);

StandInQuery *standin_find(StandIn *s, uint64_t id);
int standin_start(StandIn *s, const StandInRequest *r, sd_bus_message *m);
void standin_cancel(StandInQuery *q);
void standin_end(StandInQuery *q, const char *state, const char *error, const char *message);
int standin_publish(StandInQuery *q);

extern const sd_bus_vtable standin_controller_vtable[];
