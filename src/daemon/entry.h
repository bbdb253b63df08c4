/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* daemon/entry: what the manager holds for one query beside the engine's record: its request, descriptors, unit,
 * groups and worker. Private to daemon/. Every descriptor is owned here and closed once. */
#pragma once

#include "core/metrics.h"
#include "core/rate_limit.h"
#include "daemon/manager.h"
#include "host/cgroup.h"
#include "host/events.h"
#include "host/pathcheck.h"
#include "host/systemd.h"
#include "host/worker_link.h"

typedef struct Check Check;     /* dependency_checks.c */
typedef struct Release Release; /* dependency_releases.c */

typedef struct Entry {
        QueryRecord record;
        Manager *manager;

        /* commands, made at submission so that a request that does not fit is refused at once */
        LanguageCommand compile, execute;
        bool has_compile;
        uint64_t max_bytes; /* the query's effective maximum */

        /* what the unit's sandbox is made of, copied from the language: a reload must not change it midway */
        PathAccess working_directory_access, database_access, home_access;
        DatabaseKind database_kind;
        TmpKind tmp;
        bool network, thp_disable;
        PairList unit_properties;

        /* copied from the configuration for the same reason */
        DependencyList dependencies;
        uint64_t dependencies_generation;
        size_t next_dependency;           /* those before it were given */
        Check *check;                     /* the one that is waited for; NULL: none */
        PairList dependency_environment;  /* wins over all else */
        PairList credentials;             /* variable → file */

        int query_fd;         /* sealed memfd of the query text; -1: none */
        int results_write_fd; /* attached: until the worker has it; detached: the file, for writing */
        int hold_fd;          /* attached: the read end that tells when the hold is dropped */
        SubmitFds stdio;
        sd_event_source *hold_source;

        Pathcheck *pathcheck;
        PathcheckResult *paths; /* what the caller's paths are, once checked */
        size_t n_paths;
        bool start_waits;       /* its unit may be started when others are up */
        bool starting;          /* PID 1 was asked to, and it is neither up nor failed */
        bool unit_requested;    /* StartTransientUnit was asked for and unit_gone not heard */
        bool fallen;            /* its tombstone is gone: the record goes with the unit */
        bool leaving;           /* released: no more commands */
        bool handed;            /* EXECUTE was sent */
        bool started_told;      /* the engine was told that the unit is ready */
        bool ended_told;        /* … or that the engine has ended: acknowledge, do not release */
        WorkerConn *conn;
        QueryGroups *groups;
        EventsWatch *watch;
        RateLimit notes;     /* its entries in the journal */
        EmptyWatch *last_process; /* PID 1 does not know its unit, and a process of it is still there */
        bool unit_forgotten;      /* by PID 1: there is nothing left to stop */
        uint64_t usage_usec; /* when its CPU and I/O totals were last read */
        FinalNumbers numbers; /* so far, as last told */
        uint64_t numbers_usec;
        uint64_t woken_usec; /* when the event behind the pending raise woke the loop */
        uint64_t unit_wanted_usec; /* when ACTION_START_UNIT came */
} Entry;

Entry *entry_free(Entry *e); /* takes NULL, returns NULL */
/* Close and drop all that belongs to the running query and its unit; the record stays. */
void entry_drop_runtime(Entry *e);
/* It has ended: what only its run needed, some of it large and some of it other people's pipe ends, goes at once. */
void entry_drop_request(Entry *e);
void entry_close_fd(int *fd); /* closes *@fd if it is open and sets it to -1 */

struct Manager {
        sd_event *event;
        sd_bus *systemd_bus;
        Config *config;
        LanguageSet *languages;
        char *config_root, *config_file;
        Engine *engine;
        SystemdLink *systemd;
        WorkerLink *workers;
        sd_event_source *timer;
        struct TraceFile *trace; /* NULL: none is asked for */
        const ManagerOps *ops;
        void *ops_userdata;
        void (*on_ready)(int r, const Error *error, void *userdata);
        void *ready_userdata;

        Entry **entries; /* sorted by ID; active ones and those with a tombstone */
        size_t n_entries, allocated;

        /* events wait here while a step is performed, so that steps never nest */
        struct PendingEvent *pending;
        size_t n_pending, pending_allocated;
        bool draining;

        /* the EVENT_REQUEST that is being fed: its entry until it is admitted, or why it was refused */
        Entry *submitting;
        Error submit_error;

        UserLimits refusals; /* entries in the journal about refused requests */

        uint64_t forgotten[ENGINE_TOMBSTONES]; /* a ring of IDs, in step with the engine's */
        size_t n_forgotten;
        unsigned n_units_starting;
        size_t n_stale;       /* units of an earlier life that must be gone before we serve */
        bool ready, listed, slice_set, said_no_psi;
        bool reload_waits;    /* a larger budget waits for the slice */
        uint64_t slice_bytes; /* as last asked for */

        uint64_t generation; /* of the configuration: counts its reloads */
        Check *checks;       /* of dependencies: those that run or wait for their turn */
        uint64_t last_check;
        size_t n_checks_running;
        Release *releases; /* the same of releases, one a query */
        size_t n_releases, n_releases_running;
        RateLimit release_failures;

        Metrics *metrics;
};

/* Where a query may spill: on disk, the unit's private /var/tmp; in memory, its own tmpfs. */
static inline const char *entry_tmpdir(TmpKind tmp) {
        return tmp == TMP_DISK ? "/var/tmp" : "/tmp";
}

/* manager.c */
uint64_t manager_time_of_day(void); /* CLOCK_REALTIME, usec */
Entry *manager_entry(const Manager *m, uint64_t id);
/* Its unit is gone, or never came to be: drop what belonged to it; @e itself goes when its tombstone fell out. */
void manager_unit_gone(Manager *m, Entry *e);
void manager_start_settled(Manager *m, Entry *e); /* PID 1 has started its unit, or never will: the next may */
void manager_stale_gone(Manager *m); /* one unit of an earlier life is gone */
void manager_fail(Manager *m, Entry *e, ErrorCode code, const char *message); /* its unit could not be made ready */

int manager_on_timer(sd_event_source *s, uint64_t usec, void *userdata);

/* manager_metrics.c */
int manager_metrics_new(Manager *m); /* 0 or -ENOMEM */
void manager_count_note(Manager *m, const Action *a);
void manager_count_check(Manager *m, const char *dependency, uint64_t usec, bool failed);
void manager_count_release(Manager *m, const char *dependency, bool failed);

/* manager_start.c: penstock.slice as large as what is promised and what is held; @on_done may be NULL */
int manager_set_slice(Manager *m, uint64_t at_least_bytes, void (*on_done)(int r, void *userdata));

/* manager_trace.c: the file of Trace=; each does nothing when there is none */
void manager_trace_begin(Manager *m);
void manager_trace_event(Manager *m, const Event *ev, uint64_t now_usec);
void manager_trace_action(Manager *m, const Action *a);
void manager_trace_flush(Manager *m);
void manager_trace_end(Manager *m);

/* manager_unit.c: from ACTION_START_UNIT to EVENT_UNIT_READY, and EVENT_UNIT_GONE */
void manager_start_unit(Manager *m, Entry *e);
void manager_release_unit(Manager *m, Entry *e);
extern const SystemdOps manager_systemd_ops;
extern const WorkerLinkCallbacks manager_worker_callbacks;
uint64_t manager_slice_bytes(const Manager *m);

/* manager_journal.c: @e may be NULL */
void manager_note(Manager *m, Entry *e, const Action *a);
void manager_note_shutdown(Manager *m, const Entry *e); /* it has ended, and its text is still there */

/* manager_run.c: what happens in the unit */
void manager_compile(Manager *m, Entry *e);
void manager_execute(Manager *m, Entry *e, uint64_t max_bytes, uint64_t high_bytes);
void manager_set_limits(Manager *m, Entry *e, uint64_t max_bytes, uint64_t high_bytes);
void manager_sample(Manager *m, Entry *e);
int manager_on_pressure(uint64_t query_id, uint64_t now_usec, void *userdata);
void manager_hand_over_lost(Manager *m, Entry *e);
void manager_worker_lost(Manager *m, Entry *e); /* nobody will report its end: tell it by what the kernel's files say */
void manager_on_compiled(WorkerConn *c, const WorkerCompiled *msg, void *userdata);
void manager_on_failed(WorkerConn *c, const WorkerFailed *msg, void *userdata);
void manager_on_exited(WorkerConn *c, const WorkerExited *msg, void *userdata);
void manager_on_reader_gone(WorkerConn *c, void *userdata);
