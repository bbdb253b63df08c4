/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* worker/protocol: what penstockd and penstock-worker say to each other. libc only; data only.
 * Transport: AF_UNIX SOCK_SEQPACKET, one struct a message, of exactly the size that belongs to its type; descriptors
 * come by SCM_RIGHTS in the order given at each type. Both sides are of one host and mostly of one build, so the
 * structs are sent as they lie in memory; a header of another version closes the connection. docs/worker.md tells the
 * order of events. */
#pragma once

#include <stdint.h>

#define WORKER_SOCKET_PATH "/run/penstock-worker/socket"
#define WORKER_MAGIC UINT32_C(0x4b545350) /* "PSTK" */
#define WORKER_VERSION 1
#define WORKER_STDERR_TAIL_MAX 4096u
#define WORKER_FDS_MAX 8u

/* SIGTERM to the worker (`systemctl stop`, KillMode=mixed): it passes SIGTERM on, the engine has the first span to
 * end before cgroup.kill, and penstockd the second to acknowledge the report. The unit's TimeoutStopSec must be above
 * the sum, or PID 1 kills the reporter. */
#define WORKER_STOP_GRACE_MSEC 1000
#define WORKER_STOP_ACK_MSEC 2000
/* When penstockd has been unreachable or silent for this long, a worker that executes nothing ends, and one that does lets
 * its query go on, if that was frozen for the next penstockd to come. */
#define WORKER_GIVE_UP_MSEC 60000

typedef enum WorkerType {
        /* worker → penstockd. After each HELLO the worker says again all that its phase implies and nobody
         * acknowledged, in the order of this list: READY; or READY, COMPILED; or STARTED, READER_GONE, EXITED; or
         * FAILED. */
        WORKER_HELLO = 1,
        WORKER_READY,       /* GROUPS arrived, the engine process is forked and waits */
        WORKER_COMPILED,    /* the compile step ended and compile/ is empty */
        WORKER_STARTED,     /* the engine's exec succeeded */
        WORKER_READER_GONE, /* nobody reads results any more; said at most once a connection */
        WORKER_FAILED,      /* the engine could not be started and engine/ is empty; waits for ACK */
        WORKER_EXITED,      /* the first process ended and engine/ is empty; waits for ACK */

        /* penstockd → worker */
        WORKER_WELCOME = 32, /* HELLO was accepted; worker_link sends it by itself */
        WORKER_GROUPS,       /* fds: WORKER_GROUP_*, all of them */
        WORKER_COMPILE,      /* fds: launch memfd, [QUERY] */
        WORKER_EXECUTE,      /* fds: launch memfd, then those of the flags, in the order of their values */
        WORKER_ACK,          /* FAILED or EXITED is recorded: exit */
        WORKER_RELEASE,      /* kill what runs, exit when it is gone; nothing more is reported */
} WorkerType;

typedef enum WorkerPhase {
        WORKER_PHASE_NEW,  /* has no groups yet */
        WORKER_PHASE_IDLE, /* READY */
        WORKER_PHASE_COMPILING,
        WORKER_PHASE_COMPILED,  /* COMPILED, waits for EXECUTE or RELEASE */
        WORKER_PHASE_EXECUTING, /* from EXECUTE on, also before STARTED */
        WORKER_PHASE_ENDED,     /* FAILED or EXITED, waits for ACK */
        _WORKER_PHASE_MAX,
} WorkerPhase;

typedef enum WorkerGroup {
        WORKER_GROUP_ENGINE_PROCS,   /* O_WRONLY, engine/cgroup.procs */
        WORKER_GROUP_ENGINE_KILL,    /* O_WRONLY */
        WORKER_GROUP_ENGINE_FREEZE,  /* O_RDWR */
        WORKER_GROUP_ENGINE_EVENTS,  /* O_RDONLY */
        WORKER_GROUP_COMPILE_PROCS,  /* O_WRONLY, compile/cgroup.procs */
        WORKER_GROUP_COMPILE_KILL,   /* O_WRONLY */
        WORKER_GROUP_COMPILE_EVENTS, /* O_RDONLY */
        _WORKER_GROUP_MAX,
} WorkerGroup;

/* Which descriptors come with COMPILE and EXECUTE. EXECUTE has exactly one of RESULTS and FILE. */
#define WORKER_FD_RESULTS (UINT32_C(1) << 0) /* attached: the write end of the results pipe, blocking */
#define WORKER_FD_QUERY (UINT32_C(1) << 1)   /* sealed memfd of the query text (launch_query_memfd()) */
#define WORKER_FD_STDIN (UINT32_C(1) << 2)   /* the caller's; used when the launch says STDIN_CALLER */
#define WORKER_FD_STDERR (UINT32_C(1) << 3)  /* the caller's; without it the worker keeps the tail */
#define WORKER_FD_FILE (UINT32_C(1) << 4)    /* detached: the results file, O_WRONLY, written from its offset on */
#define WORKER_FD_ALL (WORKER_FD_RESULTS | WORKER_FD_QUERY | WORKER_FD_STDIN | WORKER_FD_STDERR | WORKER_FD_FILE)

/* Where a start failed. DIRECTORY and CHECK happen with the caller's credentials; CHECK's detail is the index. */
typedef enum WorkerStep {
        WORKER_STEP_NONE,
        WORKER_STEP_FORK,
        WORKER_STEP_LAUNCH, /* the launch memfd is not sealed or not understood */
        WORKER_STEP_JOIN,   /* writing to cgroup.procs */
        WORKER_STEP_STDIO,
        WORKER_STEP_QUERY,
        WORKER_STEP_CREDENTIALS,
        WORKER_STEP_PRIVILEGES, /* capabilities could not be dropped for good */
        WORKER_STEP_DIRECTORY,
        WORKER_STEP_CHECK,
        WORKER_STEP_LIMITS,
        WORKER_STEP_EXEC,
        WORKER_STEP_SECRETS, /* a credential could not be read or copied; detail is its index */
        _WORKER_STEP_MAX,
} WorkerStep;

#define WORKER_EXITED_READER_GONE (UINT32_C(1) << 0)
#define WORKER_EXITED_RESULTS_TRUNCATED (UINT32_C(1) << 1) /* the cap, or results_errno, cut the results */
#define WORKER_EXITED_LEFTOVERS_KILLED (UINT32_C(1) << 2)  /* engine/ was not empty when the first process ended */
#define WORKER_EXITED_STOPPED (UINT32_C(1) << 3)           /* the worker got SIGTERM: someone stopped the unit */

typedef struct WorkerHeader {
        uint32_t magic;
        uint16_t version;
        uint16_t type;
        uint64_t id; /* of the query; the unit is penstock-q<ID>.service */
} WorkerHeader;

typedef struct WorkerHello {
        WorkerHeader header;
        uint32_t phase;
        int32_t engine_pid; /* 0 when none executes */
} WorkerHello;

/* READY, READER_GONE, WELCOME, GROUPS, ACK and RELEASE */
typedef struct WorkerPlain {
        WorkerHeader header;
} WorkerPlain;

typedef struct WorkerCompiled {
        WorkerHeader header;
        uint32_t step; /* NONE: it ran, see wait_status; else where the start failed, see error and detail */
        int32_t error;
        uint32_t detail;
        int32_t wait_status; /* as of waitpid(2) */
        uint64_t stderr_bytes;
        uint32_t stderr_len, reserved;
        char stderr_tail[WORKER_STDERR_TAIL_MAX]; /* bytes, not text: any value, no NUL at the end */
} WorkerCompiled;

typedef struct WorkerStarted {
        WorkerHeader header;
        int32_t pid;
        uint32_t reserved;
} WorkerStarted;

typedef struct WorkerFailed {
        WorkerHeader header;
        uint32_t step;
        int32_t error; /* errno, positive */
        uint32_t detail, reserved;
} WorkerFailed;

typedef struct WorkerExited {
        WorkerHeader header;
        int32_t wait_status; /* of the first process, as of waitpid(2) */
        uint32_t flags;
        int32_t results_errno; /* detached: why writing the file failed, positive; 0 */
        uint32_t stderr_len;
        uint64_t results_bytes; /* detached: written to the file */
        uint64_t stderr_bytes;  /* the engine wrote so many to the worker's pipe; the tail has the last of them */
        char stderr_tail[WORKER_STDERR_TAIL_MAX];
} WorkerExited;

typedef struct WorkerCompile {
        WorkerHeader header;
        uint32_t flags; /* WORKER_FD_QUERY or 0 */
        uint32_t reserved;
} WorkerCompile;

typedef struct WorkerExecute {
        WorkerHeader header;
        uint32_t flags; /* WORKER_FD_* */
        uint32_t reserved;
        uint64_t results_max_bytes; /* detached: the file gets no more; UINT64_MAX: no cap */
} WorkerExecute;

typedef union WorkerMessage {
        WorkerHeader header;
        WorkerHello hello;
        WorkerPlain plain;
        WorkerCompiled compiled;
        WorkerStarted started;
        WorkerFailed failed;
        WorkerExited exited;
        WorkerCompile compile;
        WorkerExecute execute;
} WorkerMessage;

/* The size of a message of @type; 0 for a type that is none. */
static inline uint32_t worker_message_size(uint32_t type) {
        switch (type) {
        case WORKER_HELLO: return sizeof(WorkerHello);
        case WORKER_COMPILED: return sizeof(WorkerCompiled);
        case WORKER_STARTED: return sizeof(WorkerStarted);
        case WORKER_FAILED: return sizeof(WorkerFailed);
        case WORKER_EXITED: return sizeof(WorkerExited);
        case WORKER_COMPILE: return sizeof(WorkerCompile);
        case WORKER_EXECUTE: return sizeof(WorkerExecute);
        case WORKER_READY:
        case WORKER_READER_GONE:
        case WORKER_WELCOME:
        case WORKER_GROUPS:
        case WORKER_ACK:
        case WORKER_RELEASE: return sizeof(WorkerPlain);
        default: return 0;
        }
}

static inline WorkerHeader worker_header(WorkerType type, uint64_t id) {
        return (WorkerHeader) { .magic = WORKER_MAGIC, .version = WORKER_VERSION, .type = (uint16_t) type, .id = id };
}

/* A short phrase for messages: what was being done when a start failed. */
static inline const char *worker_step_name(uint32_t step) {
        switch (step) {
        case WORKER_STEP_FORK: return "creating the process";
        case WORKER_STEP_LAUNCH: return "reading the launch record";
        case WORKER_STEP_JOIN: return "joining the control group";
        case WORKER_STEP_STDIO: return "setting up stdin, stdout and stderr";
        case WORKER_STEP_QUERY: return "opening the query text";
        case WORKER_STEP_CREDENTIALS: return "taking the caller's credentials";
        case WORKER_STEP_PRIVILEGES: return "dropping privileges";
        case WORKER_STEP_DIRECTORY: return "entering the working directory";
        case WORKER_STEP_CHECK: return "opening a file the query names";
        case WORKER_STEP_LIMITS: return "setting resource limits";
        case WORKER_STEP_EXEC: return "executing the program";
        case WORKER_STEP_SECRETS: return "giving it a credential";
        default: return "an unknown step";
        }
}
