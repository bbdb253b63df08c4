/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* host/systemd_private: what systemd.c (the link and its calls), systemd_signals.c, systemd_start.c and
 * systemd_unit.c (a unit's life), systemd_list.c, systemd_slice.c, systemd_state.c and systemd_task.c share. */
#pragma once

#include "host/systemd.h"
#include "host/systemd_props.h"
#include "host/systemd_task.h"

#define SYSTEMD_DESTINATION "org.freedesktop.systemd1"
#define SYSTEMD_PATH "/org/freedesktop/systemd1"
#define SYSTEMD_MANAGER "org.freedesktop.systemd1.Manager"
#define SYSTEMD_UNIT_PREFIX SYSTEMD_PATH "/unit"

#define ERRORS_OF_SYSTEMD "org.freedesktop.systemd1."
#define ERROR_UNIT_EXISTS ERRORS_OF_SYSTEMD "UnitExists"
#define ERROR_NO_SUCH_UNIT ERRORS_OF_SYSTEMD "NoSuchUnit"

/* When no signal came for what was asked for, look. Above systemd's own time limits, so that it is rare. */
#define START_LOOK_USEC (UNIT_TIMEOUT_START_USEC + 30 * USEC_PER_SEC)
/* A start job that waits in the queue: its end is signalled, but look, should that be lost in a reload. */
#define JOB_LOOK_USEC USEC_PER_SEC
#define STOP_LOOK_USEC (UNIT_TIMEOUT_STOP_USEC + 10 * USEC_PER_SEC)

typedef enum UnitState {
        UNIT_CALLING,    /* StartTransientUnit is queued, or not answered yet */
        UNIT_JOB,        /* its start job is not done */
        UNIT_AUTOPSY,    /* it failed to start: asking why */
        UNIT_FAILED,     /* … and that was told; it goes unseen */
        UNIT_ACTIVE,     /* runs, or so we believe */
        UNIT_FORGETTING, /* inactive or failed: UnitRemoved is next */
} UnitState;

typedef struct Unit Unit;
struct Unit {
        SystemdLink *link;
        uint64_t id;
        UnitState state;
        sd_bus_message *start; /* StartTransientUnit, sealed; copied for each try */
        bool retried;
        bool start_lost; /* StartTransientUnit was not answered in time, or could not be sent */
        bool ours;       /* we hold a reference */
        bool seen_alive; /* a unit is inactive before it starts, too */
        bool seen_dead;
        bool stop_wanted;
        bool asking;        /* a GetUnit is on its way */
        bool listed;        /* in the list that is being read */
        char *job;          /* the path of our start job; NULL: not known */
        char *early_job;    /* a JobRemoved that came before the answer with the job's path … */
        char *early_result; /* … and its result */
        char *result;       /* systemd's Result, of one that failed to start */
        char *failure;      /* why the start failed */
        int failure_r;
        sd_event_source *timer; /* when to ask PID 1, because no signal came */
        Unit *next;             /* in the same bucket */
        Unit *heir;             /* is started under this name when this one is gone */
};

/* The answer: a method return, an error, or NULL when it could not be sent. @id and @data are as given. */
typedef void (*CallReply)(SystemdLink *l, uint64_t id, void *data, sd_bus_message *reply);

typedef struct Call Call;

#define UNIT_BUCKETS 256u

struct SystemdLink {
        sd_bus *bus;
        sd_event *event;
        const SystemdOps *ops;
        void *userdata;
        sd_bus_slot *reloading_match, *owner_match;
        sd_bus_slot *unit_matches[3];
        sd_event_source *idle_timer; /* takes the matches back */
        sd_event_source *pump;       /* sends what waits, tells what could not be sent */
        sd_event_source *again;      /* … and wakes it, when that could not be done */
        Call *first, **last;         /* in flight or waiting, in order */
        size_t in_flight;
        bool is_reloading;
        bool is_unsubscribed; /* there was no memory to ask for it */
        uint64_t slice_generation;
        Unit *units[UNIT_BUCKETS];
        size_t n_units;
        SystemdTask *tasks; /* systemd_task.c */
        uint64_t last_task;
};

/* systemd.c */
/* Queue @m, whose reference is taken even on failure; @reply is called from the loop. @reply gets ownership of
 * nothing; @data_free is called on @data when the link ends before the answer came. Returns 0 or -ENOMEM. */
int systemd_call(SystemdLink *l, sd_bus_message *m, CallReply reply, uint64_t id, void *data,
                 void (*data_free)(void *data));
/* A method of the manager with one string, the unit's name or pattern; queued as above. */
int systemd_call_manager(SystemdLink *l, const char *method, const char *types, CallReply reply, uint64_t id,
                         const char *a, const char *b);
/* Properties.Get on a unit's object. */
int systemd_call_get(SystemdLink *l, const char *unit, const char *interface, const char *property, CallReply reply,
                     uint64_t id, void *data, void (*data_free)(void *data));
void systemd_link_wake_later(SystemdLink *l); /* to send what could not be sent */
int systemd_reply_errno(sd_bus_message *reply); /* 0 for a method return, else -errno */
/* True if the outcome is not known: timed out, or the connection or PID 1 went away meanwhile. */
bool systemd_reply_is_lost(sd_bus_message *reply);
/* True if PID 1 itself has answered, be it with an error: while it executes itself anew the bus answers for it. */
bool systemd_reply_is_heard(sd_bus_message *reply);
/* Read the string of a Properties.Get answer; NULL when it is none. */
const char *systemd_reply_string(sd_bus_message *reply);

/* systemd_signals.c */
int systemd_signals_listen(SystemdLink *l); /* 0 or -errno */
void systemd_signals_done(SystemdLink *l);
void systemd_subscribe(SystemdLink *l); /* else PID 1 says nothing by itself */
/* Install the matches of units. 0 or -errno. */
int systemd_matches_install(SystemdLink *l);
void systemd_matches_idle(SystemdLink *l); /* the last unit went */

/* systemd_list.c */
void systemd_units_ask_all(SystemdLink *l); /* how each unit is: one call, whatever their number */

/* systemd_unit.c */
Unit *systemd_unit_new(SystemdLink *l, uint64_t id, UnitState state); /* not in the table; NULL: no memory */
Unit *systemd_unit_add(SystemdLink *l, uint64_t id, UnitState state); /* NULL: out of memory */
void systemd_unit_call_start(Unit *u); /* systemd_start.c */
void systemd_unit_vanished(Unit *u); /* PID 1 does not know it (any more): tell, and free it */
void systemd_unit_job_done(Unit *u, const char *result);
void systemd_unit_call_stop(Unit *u);
void systemd_unit_look_after(Unit *u, uint64_t usec); /* ask after that time, unless it is set anew */
void systemd_set_string(char **p, const char *s);
Unit *systemd_unit_find(SystemdLink *l, uint64_t id);
void systemd_unit_job_removed(Unit *u, const char *job, const char *result);
void systemd_unit_removed(Unit *u);
void systemd_unit_active_state(Unit *u, const char *active_state);
/* Ask PID 1 how the unit is. */
void systemd_unit_ask(Unit *u);
/* What PID 1 said of it; @has_job: a job of it waits or runs. */
void systemd_unit_listed(Unit *u, const char *active_state, bool has_job);
void systemd_unit_drop(Unit *u); /* takes it off the table and frees it; tells nobody */
