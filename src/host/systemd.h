/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* host/systemd: PID 1 over the system bus, asynchronous only. One SystemdLink a daemon; at most
 * SYSTEMD_CALLS_IN_FLIGHT calls unanswered (the bus allows 128), the rest wait here in order. No signal is believed
 * alone: what a reload repeats or a busy bus delays is asked again. */
#pragma once

#include <systemd/sd-bus.h>

#include "core/base.h"
#include "core/error.h"
#include "core/query.h"

#define SYSTEMD_CALLS_IN_FLIGHT 8
#define SYSTEMD_SLICE "penstock.slice" /* where all queries live */

typedef struct SystemdLink SystemdLink;

/* What a query's transient service is made of. Borrowed strings, copied by the call. */
typedef struct UnitSpec {
        uint64_t query_id; /* names the unit: penstock-q<ID>.service */
        const char *slice;
        const char *description; /* our own words: never a client's text */
        char *const *exec_argv;  /* the worker and its arguments; [0] is an absolute path */
        uint64_t memory_max_bytes, memory_low_bytes;
        bool protect_min;     /* memory_low_bytes goes to MemoryMin */
        uint64_t tasks_max;   /* of the whole unit: leave room for the worker above engine/'s own */
        uint64_t tmpfs_bytes; /* size= of each tmpfs; 0 or SIZE_INFINITY: half of RAM */
        bool tmp_on_disk; /* /tmp and /var/tmp are the unit's own directories in the host's; else each is a tmpfs */
        bool network;
        /* hidden: /home and /root are empty, and what is bound in from there is all there is */
        enum { UNIT_HOME_HIDDEN, UNIT_HOME_READ_ONLY, UNIT_HOME_READ_WRITE } home;
        /* bound in at the same place: what lies under /tmp, /var/tmp, /dev/shm, or a hidden home */
        const StrList *bind_paths, *bind_read_only_paths;
        /* must be active, and are not started; their stop is the unit's; the second: order only */
        const StrList *requisite_units, *after_units;
        const PairList *extra; /* a language's [Sandbox] properties, from the allowlist, as text */
} UnitSpec;

/* Called from the loop only, never from within a function below. Each may call any function below. */
typedef struct SystemdOps {
        /* The unit's start job ended: 0 it runs; -ENOLINK a requisite unit was not active; other -errno with @error_text (systemd's words, for the journal). After a
         * failure no unit_gone follows; what may be left is cleaned up here. */
        void (*unit_started)(uint64_t query_id, int r, const char *error_text, void *userdata);
        /* The unit is gone: its cgroup, mounts and name are free. */
        void (*unit_gone)(uint64_t query_id, void *userdata);
        /* PID 1 was reloaded or came back after a reexec, or the bus after a restart: limits must be read anew. */
        void (*resync)(void *userdata);
        /* A call was answered; @usec after it was sent. NULL: not wanted. */
        void (*answered)(uint64_t usec, void *userdata);
} SystemdOps;

/* Subscribes. @bus is borrowed and attached to an event loop. The matches that hear of units (JobRemoved,
 * UnitRemoved, PropertiesChanged) are installed before the first call and taken back when there has been no unit for
 * a while: they wake us for every unit of the host. Returns 0 or -errno. */
int systemd_link_new(sd_bus *bus, const SystemdOps *ops, void *userdata, SystemdLink **ret);
SystemdLink *systemd_link_free(SystemdLink *l); /* takes NULL, returns NULL */

/* StartTransientUnit, with AddRef and CollectMode=inactive-or-failed, and UnrefUnit when it runs: two calls of a query that needs
 * nothing more of PID 1. UnitExists is cleared by one ResetFailedUnit
 * and retry. The outcome comes by unit_started. Returns 0 when queued, -EINVAL for an extra property that is not
 * allowed or a path that can't be passed on, -EEXIST when this unit is here already, or -ENOMEM. When an older one of this name
 * is on its way out, its end is waited for, and not told. */
int systemd_unit_start(SystemdLink *l, const UnitSpec *spec, Error *ret_error);
/* What of all that each unit hides by name is there at this moment, as device and inode: a unit hides what there is when it is
 * made, so one made at a moment that says something else hides something else. The caller frees it; NULL: no memory. */
char *systemd_hidden_paths(void);
/* Follow a unit that an earlier life started: its end comes by unit_gone, also when it is gone already. Returns 0, -EEXIST or
 * -ENOMEM. */
int systemd_unit_adopt(SystemdLink *l, uint64_t query_id);
/* StopUnit; idempotent; the outcome comes by unit_gone (or by unit_started, when it is still starting). Also for
 * units that this link has not started. Returns 0 when queued, or -ENOMEM. */
int systemd_unit_stop(SystemdLink *l, uint64_t query_id);
/* MemoryMax, MemoryLow and accounting of penstock.slice (runtime); starts the slice. SIZE_INFINITY: no limit.
 * @on_done is called with 0 once the kernel's memory.max says so, or -errno (-EIO: it says something else; -EHOSTUNREACH: PID 1 may
 * not have heard it). A later call overtakes an earlier one. */
int systemd_slice_set(SystemdLink *l, uint64_t memory_max_bytes, uint64_t memory_low_bytes,
                      void (*on_done)(int r, void *userdata), void *userdata);
/* List loaded penstock-q*.service units: @on_unit for each, then @on_done. For start-up. */
int systemd_list_units(SystemdLink *l, void (*on_unit)(uint64_t query_id, const char *active_state, void *userdata),
                       void (*on_done)(int r, void *userdata), void *userdata);

/* The ID in a name that query_unit_name() made; false for any other name. */
bool systemd_unit_id(const char *unit_name, uint64_t *ret_id);
