/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* host/systemd_task: a command that PID 1 runs to its end for us, in a transient oneshot service of its own, and the
 * state of a unit. For the commands of dependencies. Asynchronous only, over the SystemdLink. */
#pragma once

#include "host/systemd.h"

/* Not penstock.slice: what queries may have there is promised to the last byte. */
#define SYSTEMD_TASK_SLICE "system-penstock.slice"
/* What the command and its children may have. */
#define SYSTEMD_TASK_MEMORY_BYTES (64 * MIB)
#define SYSTEMD_TASK_TASKS 64u

/* Borrowed, copied by the call. */
typedef struct TaskSpec {
        const char *description;    /* our own words */
        char *const *argv;          /* [0] is an absolute path */
        const char *user;           /* NULL: DynamicUser= */
        const PairList *environment; /* shown by the unit: no secrets */
        const PairList *more;        /* … and these, which win */
        const StrList *environment_files; /* "-" first: may be missing */
        const PairList *credentials; /* variable → file: the variable has the path of PID 1's copy */
        const StrList *bind_paths, *bind_read_only_paths;
        uint64_t timeout_usec;
} TaskSpec;

typedef struct SystemdTask SystemdTask;

/* The command's unit has ended. @result is systemd's Result ("success", "exit-code", "timeout", "oom-kill", "resources" for
 * one that could not be made …) or "lost" when PID 1 does not say; @status the exit status or signal, -1: not known;
 * @error_text why the unit was not made, or NULL. From the loop; @t is gone afterwards. */
typedef void (*TaskDone)(const char *result, int status, const char *error_text, void *userdata);

/* Returns 0 when queued, or -errno; then @on_done is never called. */
int systemd_task_start(SystemdLink *l, const TaskSpec *spec, TaskDone on_done, void *userdata, SystemdTask **ret);
/* Stop the unit; @on_done tells when no process of it is left. */
void systemd_task_stop(SystemdTask *t);
/* Nobody waits any more: the unit is stopped, @on_done not called. Takes NULL, returns NULL. */
SystemdTask *systemd_task_abandon(SystemdTask *t);

/* The ActiveState of unit @name ("inactive" also for one that is not loaded); NULL when PID 1 does not say. From the
 * loop, exactly once unless the link ends first; @data_free is then called on @data. Returns 0 when queued, or -errno. */
int systemd_unit_state(SystemdLink *l, const char *name, void (*on_state)(const char *active_state, void *data),
                       void *data, void (*data_free)(void *data));

/* systemd_signals.c tells what PID 1 said of a job of @unit. */
void systemd_task_job_removed(SystemdLink *l, const char *unit, const char *result);
void systemd_tasks_drop(SystemdLink *l); /* the link ends */
