/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* host/systemd: PID 1 over the system bus, asynchronous only. One SystemdLink a daemon; at most
 * SYSTEMD_CALLS_IN_FLIGHT calls unanswered (the bus allows 128), the rest wait here in order. */
#pragma once

#include <systemd/sd-bus.h>

#include "core/base.h"
#include "core/error.h"

#define SYSTEMD_CALLS_IN_FLIGHT 8

typedef struct SystemdLink SystemdLink;

/* What a query's transient service is made of. Borrowed strings, copied by the call. */
typedef struct UnitSpec {
        uint64_t query_id; /* names the unit: penstock-q<ID>.service */
        const char *slice;
        const char *description; /* our own words: never a client's text */
        char *const *exec_argv;  /* the worker and its arguments */
        uint64_t memory_max_bytes, memory_low_bytes;
        bool protect_min; /* memory_low_bytes goes to MemoryMin */
        uint64_t tasks_max;
        uint64_t tmpfs_bytes;    /* size= of each tmpfs */
        bool tmp_on_disk;        /* a private /var/tmp stays on disk */
        bool network;
        enum { UNIT_HOME_HIDDEN, UNIT_HOME_READ_ONLY, UNIT_HOME_READ_WRITE } home;
        const StrList *read_write_paths, *read_only_paths;
        /* what lies under /tmp, /var/tmp or /dev/shm: each bound to the same path in the unit; plain paths, any byte */
        const StrList *bind_paths, *bind_read_only_paths;
        const PairList *extra;     /* a language's [Sandbox] properties, from the allowlist, as text */
} UnitSpec;

typedef struct SystemdOps {
        /* The unit's start job ended: 0 it runs; -errno with @error_text (systemd's words, for the journal). */
        void (*unit_started)(uint64_t query_id, int r, const char *error_text, void *userdata);
        /* The unit is gone: its cgroup, mounts and name are free. @result is systemd's Result ("success", "oom-kill"…). */
        void (*unit_gone)(uint64_t query_id, const char *result, void *userdata);
        /* PID 1 came back after a reexec or the bus after a restart: limits must be read anew. */
        void (*resync)(void *userdata);
} SystemdOps;

/* Subscribes and installs the matches (JobRemoved, UnitRemoved, PropertiesChanged of our units, Reloading) before any
 * call. @bus is borrowed and attached to an event loop. */
int systemd_link_new(sd_bus *bus, const SystemdOps *ops, void *userdata, SystemdLink **ret);
SystemdLink *systemd_link_free(SystemdLink *l); /* takes NULL, returns NULL */

/* StartTransientUnit, with AddRef and CollectMode=inactive-or-failed; UnitExists is cleared by one ResetFailedUnit and
 * retry. The outcome comes by unit_started. Returns 0 when queued, -EINVAL for an extra property that is not allowed,
 * or -ENOMEM. */
int systemd_unit_start(SystemdLink *l, const UnitSpec *spec, Error *ret_error);
/* StopUnit; idempotent; the outcome comes by unit_gone. */
int systemd_unit_stop(SystemdLink *l, uint64_t query_id);
/* Drop our reference after the worker has ended, so that PID 1 forgets the unit. */
void systemd_unit_unref(SystemdLink *l, uint64_t query_id);
/* MemoryMax and accounting of penstock.slice (runtime); starts the slice. SIZE_INFINITY: no limit.
 * @on_done is called with 0 or -errno. */
int systemd_slice_set(SystemdLink *l, uint64_t memory_max_bytes, uint64_t memory_low_bytes,
                      void (*on_done)(int r, void *userdata), void *userdata);
/* List loaded penstock-q*.service units: @on_unit for each, then @on_done. For start-up. */
int systemd_list_units(SystemdLink *l, void (*on_unit)(uint64_t query_id, const char *active_state, void *userdata),
                       void (*on_done)(int r, void *userdata), void *userdata);
/* The last answer's time in usec, for the metrics. */
uint64_t systemd_answer_usec(const SystemdLink *l);

/* "penstock-q7.service" into @buf. */
#define UNIT_NAME_MAX 64
const char *systemd_unit_name(uint64_t query_id, char buf[static UNIT_NAME_MAX]);
/* The ID in such a name; false for any other name. */
bool systemd_unit_id(const char *unit_name, uint64_t *ret_id);
