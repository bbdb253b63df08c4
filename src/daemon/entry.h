/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* daemon/entry: what the manager holds for one query beside the engine's record: its request, descriptors, unit,
 * groups and worker. Private to daemon/. Every descriptor is owned here and closed once. */
#pragma once

#include "core/metrics.h"
#include "core/pace.h"
#include "core/rate_limit.h"
#include "daemon/manager.h"
#include "host/cgroup.h"
#include "host/events.h"
#include "host/fdstore.h"
#include "host/group_maker.h"
#include "host/lower.h"
#include "host/mounts.h"
#include "host/pathcheck.h"
#include "host/remover.h"
#include "host/state_files.h"
#include "host/systemd.h"
#include "host/worker_link.h"

typedef struct Check Check;     /* dependency_checks.c */
typedef struct Release Release; /* dependency_releases.c */
typedef struct Adoption Adoption; /* daemon/adoption */
typedef struct UnitKind UnitKind; /* spares.c */

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
        size_t next_dependency;           /* those before it were given */
        Check *check;                     /* the one that is waited for; NULL: none */
        PairList dependency_environment;  /* wins over all else */
        PairList credentials;             /* variable → file */

        int query_fd;         /* sealed memfd of the query text; -1: none */
        int results_write_fd; /* attached: until the worker has it; detached: the file, for writing */
        int hold_fd;          /* attached: the read end that tells when the hold is dropped */
        int parcel_fd;        /* what PID 1 keeps of it until it is handed over; -1 */
        SubmitFds stdio;
        sd_event_source *hold_source;

        Pathcheck *pathcheck;
        PathcheckResult *paths; /* what the caller's paths are, once checked */
        size_t n_paths;
        bool start_waits;       /* its unit may be started when others are up */
        bool starting;          /* PID 1 was asked to, and it is neither up nor failed */
        bool unit_requested;    /* StartTransientUnit was asked for and unit_gone not heard */
        bool is_spare;          /* a unit without a query (spares.h) */
        UnitKind *kind;         /* … as long as it may be taken; else NULL */
        char *taken_key;        /* what a spare was made of; also when it was taken, and is not its own yet. NULL: it is */
        bool unit_unasked;      /* … and the engine has not asked for a unit either */
        bool is_misfit;         /* … and does not do: it goes when it has started */
        bool worker_ready;      /* its worker waits for a command */
        bool fallen;            /* its tombstone is gone: the record goes with the unit */
        bool leaving;           /* released: no more commands */
        size_t record_bytes; /* of its request, as it is written down */
        int record_error;    /* of the last write of its state */
        bool ack_waits;      /* its worker stays until its end is on record */
        bool handed;            /* EXECUTE was sent */
        bool started_told;      /* the engine was told that the unit is ready */
        bool ended_told;        /* … or that the engine has ended: acknowledge, do not release */
        WorkerConn *conn;
        QueryGroups *groups;
        uint64_t making; /* the ticket of groups that are being made; 0: none are */
        EventsWatch *watch;
        RateLimit notes;     /* its entries in the journal */
        EmptyWatch *last_process; /* PID 1 does not know its unit, and a process of it is still there */
        bool unit_forgotten;      /* by PID 1: there is nothing left to stop */
        uint64_t unit_max_bytes; /* memory.max that its unit was asked for with */
        sd_event_source *unit_watch; /* tells when it was written */
        uint64_t cap_bytes;      /* what the engine was told that an administrator lets engine/ have; SIZE_INFINITY: all */
        bool lowering;           /* the helper that lowers has not answered */
        unsigned n_lowered_before; /* … nor of units that it had before, whose answers come first */
        unsigned again;          /* AGAIN_*: what the kernel refused, and is tried again */
        uint64_t word_due_usec;  /* when its worker must have said that it has ended, or be gone; 0: whenever */
        uint64_t usage_usec; /* when its CPU and I/O totals were last read */
        FinalNumbers numbers; /* so far, as last told */
        uint64_t need_bytes;  /* … and what it could not give back then */
        uint64_t numbers_usec;
        uint64_t woken_usec;   /* when the event behind the pending raise woke the loop */
        uint64_t sampled_usec; /* … and when its sample had been read */
        uint64_t unit_wanted_usec; /* when ACTION_START_UNIT came */
} Entry;

Entry *entry_free(Entry *e); /* takes NULL, returns NULL */
/* Close and drop all that belongs to the running query and its unit; the record stays. */
void entry_drop_runtime(Entry *e);
void entry_drop_unit(Entry *e); /* only what belongs to the unit */
/* It has ended: what only its run needed, some of it large and some of it other people's pipe ends, goes at once. */
void entry_drop_request(Entry *e);
void entry_close_fd(int *fd); /* closes *@fd if it is open and sets it to -1 */

/* The places in the parcel of a query's descriptors. */
enum { PARCEL_RESULTS, PARCEL_QUERY, PARCEL_STDIN, PARCEL_STDERR, _PARCEL_MAX };

int entry_set_control_group(Entry *e); /* its unit's; 0 or -ENOMEM */
uint64_t entry_unit_max_bytes(const Entry *e); /* memory.max of its unit */

struct Manager {
        sd_event *event;
        sd_bus *systemd_bus;
        Config *config;
        LanguageSet *languages;
        char *config_root, *config_file;
        Engine *engine;
        SystemdLink *systemd;
        WorkerLink *workers;
        Lower *lower;
        GroupMaker *group_maker;
        Remover *remover; /* of results */
        sd_event_source *timer;
        uint64_t again_usec;     /* when manager_try_again() has to do something; USEC_INFINITY: nothing */
        struct TraceFile *trace; /* NULL: none is asked for */
        const ManagerOps *ops;
        void *ops_userdata;
        void (*on_ready)(int r, const Error *error, void *userdata);
        void *ready_userdata;

        Entry **entries; /* sorted by ID; active ones and those with a tombstone */
        size_t n_entries, allocated;

        /* events wait here while a step is performed, so that steps never nest */
        struct PendingEvent *pending;
        size_t n_pending, n_stepped, pending_allocated;
        bool draining;
        ActionList actions; /* of the step that is being performed */

        /* the EVENT_REQUEST that is being fed: its entry until it is admitted, or why it was refused */
        Entry *submitting;
        Error submit_error;

        UserLimits refusals; /* entries in the journal about refused requests */

        uint64_t forgotten[ENGINE_TOMBSTONES]; /* a ring of IDs, in step with the engine's */
        size_t n_forgotten;
        unsigned n_units_starting;
        Pace pace; /* how many of them at one time */
        Notify *notify; /* borrowed */
        size_t records_bytes; /* of all requests, as they are written down */
        RateLimit record_failures;
        unsigned flags_again; /* a bit a StateFlag that is to be set, once there is room */
        bool leaves; /* what PID 1 keeps for the next life is left alone */
        Adoption *adoptions; /* queries of an earlier life, until all of them are known */
        size_t n_adoptions, n_loaded; /* those that are to be known yet; and all, while their memory is needed */
        size_t n_awaited;    /* of these, whose workers have not been heard of */
        sd_event_source *gather_timer;
        size_t n_stale;       /* units of an earlier life that must be gone before we serve */
        bool ready, failed, listed, slice_set, adopted, said_no_psi;
        bool reload_waits;    /* a larger budget waits for the slice */
        uint64_t slice_bytes; /* as last asked for */
        uint64_t slice_sure_bytes; /* … of which so much is in force, whatever becomes of what is asked for and not answered */
        bool slice_failed;         /* one of those was answered with an error */
        uint64_t slice_due_usec;  /* when it is asked for once more, since PID 1 did not hear it; USEC_INFINITY: it did */
        unsigned n_slice_lost;    /* … how often in a row */
        unsigned n_slice_writes;  /* asked for and not answered: what the kernel says is not an administrator's word */
        uint64_t slice_cap_bytes; /* memory.max that an administrator gave penstock.slice; SIZE_INFINITY: none */
        sd_event_source *slice_watch;
        uint64_t cap_bytes;       /* what that lets the budget be, as the engine was told */

        uint64_t leftover_bytes, leftover_usec; /* as the engine was told, and when it was last looked for */
        uint64_t leftover_pause_usec;           /* before the next look */
        sd_event_source *leftover_timer;

        UnitKind **kinds; /* of units, as queries asked for lately */
        size_t n_kinds;
        uint64_t spares_due_usec;        /* when they are to be looked at; USEC_INFINITY: when something happens */
        uint64_t spares_not_before_usec; /* no spare is made */
        Mounts mounts;
        RateLimit spare_failures;

        Check *checks;       /* of dependencies: those that run or wait for their turn */
        uint64_t last_check;
        size_t n_checks_running;
        Release *releases; /* the same of releases, one a query */
        size_t n_releases, n_releases_running;
        RateLimit release_failures;

        Metrics *metrics;
        History *history; /* NULL: none is kept */
        uint64_t history_written, history_lost; /* as they were last counted */
        RateLimit history_failures;
        uint8_t boot_id[HISTORY_BOOT_ID_BYTES];
        bool has_boot_id;
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
void manager_on_groups_made(uint64_t id, uint64_t ticket, int r, QueryGroups *groups, void *userdata);
void manager_unit_forgotten(Manager *m, Entry *e); /* PID 1 does not know its unit any more */
void manager_start_settled(Manager *m, Entry *e); /* PID 1 has started its unit, or never will: the next may */
void manager_stale_gone(Manager *m); /* one unit of an earlier life is gone */
void manager_maybe_ready(Manager *m);
void manager_fail_start(Manager *m, int r, const Error *error); /* it will never be ready; only the first reason is told */
void manager_fail(Manager *m, Entry *e, ErrorCode code, const char *message); /* its unit could not be made ready */
void manager_perform(Manager *m, const Action *a);

/* manager_submit.c */
int manager_make_room(Manager *m); /* for one more entry, and what may be heard of it; 0 or -ENOMEM */
int entry_new(Manager *m, Request *r, SubmitFds *fds, Entry **ret); /* both are taken over; 0 or -ENOMEM */
/* Build both commands and keep what the language says of the sandbox. 0 or -errno; @ret_error is not set for -ENOMEM. */
int entry_take_language(Entry *e, const Language *l, Error *ret_error);
int entry_watch_hold(Entry *e); /* 0 or -errno */

/* manager_record.c: for a later life */
const char *entry_stored_name(uint64_t id, const char *role, char buf[static FDSTORE_NAME_MAX]);
/* Before it is admitted, with the language that it is of. Returns 0 or -errno; @ret_error is set when it is the caller who has no
 * room for it. */
int manager_record_request(Entry *e, uint64_t id, const Language *l, Error *ret_error);
void entry_count_record(Entry *e, size_t bytes); /* its request, as it is written; 0: it is not there any more */
void manager_keep_descriptors(Manager *m, Entry *e); /* once it is */
void manager_record_decided(Manager *m, const Event *ev);  /* before it is performed */
void manager_record_performed(Manager *m); /* what could not wait for that */
void manager_record_released(Manager *m, uint64_t id); /* … and its dependencies have all been told */
void manager_record_profiles(Manager *m); /* of those that run, as they are when we leave */
void manager_record_started(Manager *m, Entry *e); /* … and its worker says so */
void manager_record_end(Manager *m, Entry *e); /* without what only its run needed */
void manager_record_not_handed(Manager *m, Adoption *a); /* its worker says so; before its unit goes */
void manager_record_again(Manager *m, Entry *e, unsigned what); /* AGAIN_*: what there was no room for */
void entry_drop_parcel(Entry *e);
void entry_drop_hold(Entry *e);

/* manager_retry.c */
bool manager_may_retry(const Manager *m, const Entry *e);  /* should the budget end it: all that its start needs is kept */
bool entry_results_are_empty(const Entry *e);              /* for certain, once its worker has said that it has ended */
void entry_forget_run(Entry *e);                           /* its first run, whose unit is gone */

/* manager_adopt.c: the queries of an earlier life, in the order of the calls */
int manager_gather(Manager *m, StoredFds *stored); /* 0 or -errno */
void manager_gather_unit(Manager *m, uint64_t id);  /* PID 1 has it */
int manager_gather_begin_waiting(Manager *m);       /* for the workers; 0 or -errno */
void manager_gather_hello(Manager *m, uint64_t id, WorkerPhase phase);
void manager_gather_unit_gone(Manager *m, uint64_t id);
/* What needs memory or descriptors. Returns 0, or what passes: then it has failed to start, and nothing is lost. */
int manager_take_over_all(Manager *m);
void manager_adopt_all(Manager *m);
void manager_adoptions_free(Manager *m);

/* manager_again.c: what is done to the groups of a query, and what is told of it. What fails there, though they still
 * exist, is done again a moment later, and again: the engine takes for done what it asked for. So is what can't be
 * written: the next penstockd takes for true what was written last. */
enum {
        AGAIN_FREEZE = 1,
        AGAIN_THAW = 2,
        AGAIN_KILL = 4,
        AGAIN_KILL_COMPILE = 8,
        AGAIN_SAMPLE = 16,
        AGAIN_TELL = 32,
        AGAIN_STATE = 64,    /* it is written, as it is by then */
        AGAIN_REQUEST = 128, /* … without what is not needed any more */
        AGAIN_DESCRIPTORS = 256, /* PID 1 is to keep them */
        AGAIN_RECORD = AGAIN_STATE | AGAIN_REQUEST | AGAIN_DESCRIPTORS,
};
void manager_tell_state(Manager *m, Entry *e); /* on the bus: who waits for a query has no other way to hear of its end */
void manager_on_groups(Manager *m, Entry *e, ActionType type);
int manager_freeze(Manager *m, Entry *e, bool frozen); /* 0 or -errno; then it is done again */
void manager_try_later(Manager *m, Entry *e, unsigned what, int r); /* unless @r says that it was done, or can't be any more */
void manager_record_later(Manager *m, Entry *e, unsigned what, int r); /* unless @r says that it was written */
void manager_set_flag(Manager *m, StateFlag flag, bool is);
/* Its worker was told, or is about to see, that the end has come. One that says nothing is stopped with its unit. */
void manager_await_word(Manager *m, Entry *e);
void manager_try_again(Manager *m); /* what is due */
void manager_wake_at(Manager *m, uint64_t usec); /* for that */

/* manager_feed.c */
int manager_on_timer(sd_event_source *s, uint64_t usec, void *userdata);
void manager_arm_timer(Manager *m); /* for what is due next; each step ends with it */
/* Make room for all events that so many queries can have waiting. Returns 0 or -ENOMEM. */
int manager_reserve_events(Manager *m, size_t n_queries);

/* manager_limits.c */
int manager_limits_new(Manager *m); /* 0 or -errno */
void manager_lower(Manager *m, Entry *e, uint64_t max_bytes, uint64_t high_bytes);
void manager_watch_unit(Manager *m, Entry *e);
/* Has an administrator set other limits than we have? @e may be NULL: of the slice alone. */
void manager_look_above(Manager *m, Entry *e);
/* penstock.slice as large as what is promised and what is held, or as an administrator lets it be. @on_done may be NULL;
 * it must call manager_slice_settled() first. */
int manager_set_slice(Manager *m, uint64_t at_least_bytes, void (*on_done)(int r, void *userdata));
void manager_slice_settled(Manager *m, int r);
void manager_look_at_slice_due(Manager *m, uint64_t now_usec);
/* The largest budget that the limit in force is a fence around. */
uint64_t manager_slice_covers(const Manager *m);
void manager_raise_slice(Manager *m); /* manager.c: for a larger budget, which waits for it */
/* What the dead left behind, at once or soon. */
void manager_look_for_leftovers(Manager *m);
/* The same, while there is some. */
void manager_look_again_for_leftovers(Manager *m);

/* manager_metrics.c */
int manager_metrics_new(Manager *m); /* 0 or -ENOMEM */
void manager_count_note(Manager *m, const Action *a);
void manager_count_check(Manager *m, const char *dependency, uint64_t usec, bool failed);
void manager_count_release(Manager *m, const char *dependency, bool failed);

/* manager_history.c: each does nothing when none is kept */
void manager_history_begin(Manager *m);
void manager_history_reload(Manager *m);
void manager_history_add(Manager *m, const Entry *e); /* it has ended; told again, it is kept once */
void manager_history_add_again(Manager *m, const Entry *e); /* … in an earlier life */
void manager_history_fingerprint(const Manager *m, const Request *r, QuerySpec *spec);
void manager_history_count(Manager *m);

/* manager_trace.c: the file of Trace=; each does nothing when there is none */
void manager_trace_begin(Manager *m);
void manager_trace_step(Manager *m, const Event *ev, uint64_t now_usec); /* @ev, and what the engine asked for */
void manager_trace_flush(Manager *m);
void manager_trace_end(Manager *m);

/* manager_unit.c: from ACTION_START_UNIT to EVENT_UNIT_READY, and EVENT_UNIT_GONE */
void manager_start_unit(Manager *m, Entry *e);
void manager_release_unit(Manager *m, Entry *e);
/* Its end was heard: its worker may go, once that is on record. Who shuts down waits for no room. */
void manager_acknowledge(Manager *m, Entry *e, WorkerConn *c);
void manager_acknowledge_later(Manager *m, Entry *e); /* if it waits, and need not any more */
void manager_unit_asked(Manager *m, Entry *e, uint64_t max_bytes); /* PID 1 was, for a unit with that memory.max */
void manager_move_unit(Manager *m, Entry *e, Entry *from); /* @from has none any more */
void manager_tell_ready(Manager *m, Entry *e); /* the engine, if its unit is its own and its worker there */
extern const SystemdOps manager_systemd_ops;
uint64_t manager_slice_bytes(const Manager *m);
uint64_t manager_slice_slack(const Manager *m); /* of that, what is not the budget */
/* The worker and kernel memory of the unit's own groups; measured 270 KiB at rest, 2.5 MiB at its peak. A sanitizer's worker, which is
 * for tests alone, has its shadow memory and libraries, too. */
#ifdef __SANITIZE_ADDRESS__
#define UNIT_ALLOWANCE_BYTES (24 * MIB)
#else
#define UNIT_ALLOWANCE_BYTES (4 * MIB)
#endif

/* manager_worker.c */
extern const WorkerLinkCallbacks manager_worker_callbacks;

/* manager_journal.c: @e may be NULL */
void manager_note(Manager *m, Entry *e, const Action *a);
void manager_note_shutdown(Manager *m, const Entry *e); /* it has ended, and its text is still there */

/* manager_run.c: what happens in the unit */
void manager_compile(Manager *m, Entry *e);
void manager_execute(Manager *m, Entry *e, uint64_t max_bytes, uint64_t high_bytes);
void manager_set_limits(Manager *m, Entry *e, uint64_t max_bytes, uint64_t high_bytes);
void manager_sample(Manager *m, Entry *e);
int manager_on_pressure(uint64_t query_id, uint64_t now_usec, void *userdata);
/* It gets what it waited for, by somebody else's event: the wait is no delay of ours. */
void manager_woken_by_others(Manager *m, uint64_t query_id, uint64_t now_usec);
void manager_hand_over_lost(Manager *m, Entry *e);
void manager_worker_lost(Manager *m, Entry *e); /* nobody will report its end: tell it by what the kernel's files say */
void manager_on_started(WorkerConn *c, const WorkerStarted *msg, void *userdata);
void manager_on_compiled(WorkerConn *c, const WorkerCompiled *msg, void *userdata);
void manager_on_failed(WorkerConn *c, const WorkerFailed *msg, void *userdata);
void manager_on_exited(WorkerConn *c, const WorkerExited *msg, void *userdata);
void manager_on_reader_gone(WorkerConn *c, void *userdata);
