/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What happens inside a unit that is ready: compile, execute, raise, and the end as the worker tells it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/dependencies.h"
#include "daemon/unit_paths.h"
#include "host/journal.h"

/* CPU and I/O totals are read at most this often, on top of a sample. */
#define USAGE_PAUSE_USEC (100 * USEC_PER_MSEC)
/* What a compile step may leave charged: page tables and slab of a dead process, not files in memory. */
#define COMPILE_RESIDUAL_MAX (2 * MIB)
/* Of a language that says nothing and a caller who sends none. */
#define DEFAULT_PATH "/usr/local/bin:/usr/bin:/bin"

/* The whole environment: what the caller sent, what the language adds where the caller is silent, TMPDIR, which only
 * the unit knows, and what dependencies set, whatever the others say. */
static int make_environment(const Entry *e, const LanguageCommand *c, bool own_path, StrList *ret) {
        PairList all = {};
        char *text = NULL;
        int r = pairlist_set(&all, "PATH", DEFAULT_PATH);

        if (r >= 0)
                r = pairlist_set(&all, "TMPDIR", entry_tmpdir(e->tmp));
        if (r >= 0)
                r = pairlist_merge(&all, &c->environment);
        if (r >= 0)
                r = pairlist_merge(&all, &e->record.request.environment);
        if (own_path && r >= 0) /* the compile check is ours: not whatever the caller has of that name */
                r = pairlist_set(&all, "PATH", DEFAULT_PATH);
        if (r >= 0)
                r = pairlist_merge(&all, &e->dependency_environment);
        for (size_t i = 0; i < all.n && r >= 0; i++) {
                if (asprintf(&text, "%s=%s", all.v[i].key, all.v[i].value) < 0)
                        r = -ENOMEM;
                else {
                        r = strlist_add(ret, text);
                        free(text);
                }
        }
        pairlist_done(&all);
        return r;
}

/* The paths that the caller named are looked at again as the caller, inside the unit: a symbolic link that was changed
 * in between is found by its device and inode. */
static size_t make_checks(const Entry *e, StdinFrom stdin_from, LaunchCheck *checks, size_t max) {
        size_t n = 0;

        for (size_t i = 0; i < e->n_paths && n < max; i++) {
                const PathcheckResult *p = &e->paths[i];

                checks[n++] = (LaunchCheck) { .path = p->path,
                                              .kind = p->is_directory ? LAUNCH_CHECK_DIRECTORY : LAUNCH_CHECK_FILE,
                                              .dev = p->self.dev,
                                              .ino = p->self.ino,
                                              .born_nsec = p->self.born_nsec };
                /* A query in a file, for an engine that reads it on stdin. */
                if (stdin_from == STDIN_FILE && strcmp(p->key, "file") == 0)
                        checks[n - 1].kind = LAUNCH_CHECK_STDIN;
        }
        return n;
}

static size_t make_credentials(const Entry *e, LaunchCredential *credentials, size_t max) {
        size_t n = 0;

        for (; n < e->credentials.n && n < max; n++)
                credentials[n] = (LaunchCredential) { e->credentials.v[n].key, e->credentials.v[n].value };
        return n;
}

_Static_assert(LAUNCH_CHECKS_MAX >= 2 * UNIT_PATHS_MAX, "each path is looked at once more, and so is its directory");

static int make_launch(const Entry *e, const LanguageCommand *c) {
        const Request *r = &e->record.request;
        CLEANUP(strlist_done) StrList directories = {};
        LaunchCheck checks[LAUNCH_CHECKS_MAX];
        LaunchCredential credentials[LAUNCH_CREDENTIALS_MAX];
        StrList environment = {};
        Launch l = {
                .uid = r->uid,
                .gid = r->gid,
                .gids = r->gids,
                .n_gids = r->n_gids,
                .umask = r->umask,
                .limits = r->limits,
                .n_limits = r->n_limits,
                .cwd = e->working_directory_access != PATH_HIDDEN && r->working_directory ? r->working_directory : "/",
                .argv = c->argv.v,
                .stdin_from = c->stdin_from == STDIN_FILE ? STDIN_NULL : c->stdin_from,
                .query_on_fd = c->query_on_fd,
                .thp_disable = e->thp_disable,
                .checks = checks,
                .n_checks = make_checks(e, c->stdin_from, checks, LAUNCH_CHECKS_MAX),
                .credentials_directory = CREDENTIALS_DIRECTORY,
                .credentials = credentials,
                .n_credentials = make_credentials(e, credentials, LAUNCH_CREDENTIALS_MAX),
        };
        int fd = make_environment(e, c, c == &e->compile, &environment);
        size_t n = 0;

        if (fd >= 0)
                fd = unit_paths_checks(e, checks + l.n_checks, &directories, &n);
        if (fd >= 0) {
                l.n_checks += n;
                l.envp = environment.v;
                fd = launch_memfd(&l);
        }
        strlist_done(&environment);
        return fd;
}

/* The worker could not start what it was told to: whose fault is it, in our own words? */
static void describe_step(uint32_t step, int error, uint32_t detail, const Entry *e, Error *ret) {
        const char *why = strerror(error);

        switch (step) {
        case WORKER_STEP_DIRECTORY:
                error_set(ret, ERROR_INVALID_ARGUMENT, "working_directory: the caller can't enter it in the sandbox: %s",
                          why);
                break;
        case WORKER_STEP_CHECK:
                error_set(ret, ERROR_INVALID_ARGUMENT, "%s: the caller can't open it in the sandbox: %s",
                          detail < e->n_paths ? e->paths[detail].key : "a directory that it may write to", why);
                break;
        case WORKER_STEP_EXEC:
                error_set(ret, ERROR_EXECUTION_FAILED, "its program could not be started: %s%s", why,
                          error == ENOENT ? " (it is looked up in the caller's PATH, inside the sandbox)" : "");
                break;
        case WORKER_STEP_LIMITS:
                error_set(ret, ERROR_INVALID_ARGUMENT, "limits: they can't be set: %s", why);
                break;
        case WORKER_STEP_STDIO:
                error_set(ret, ERROR_INVALID_ARGUMENT, "file: the caller can't open it in the sandbox: %s", why);
                break;
        case WORKER_STEP_SECRETS:
                error_set(ret, ERROR_DEPENDENCY_FAILED, "dependency %s: LoadCredential=%s:%s: %s",
                          entry_credential_owner(e, detail), detail < e->credentials.n ? e->credentials.v[detail].key : "",
                          detail < e->credentials.n ? e->credentials.v[detail].value : "",
                          error == EFBIG ? "all credentials of a query together have at most 1 MiB" : why);
                break;
        default:
                error_set(ret, ERROR_INTERNAL, "its process could not be prepared (step %u): %s", (unsigned) step, why);
        }
}

/* Text from outside, as text: what is no character of UTF-8 becomes '?'. That can be its beginning, where the worker has cut. */
static void keep_tail(Entry *e, const char *bytes, size_t len) {
        char *s;

        if (len == 0 || !(s = malloc(len + 1)))
                return;
        for (size_t i = 0, n; i < len; i += n) {
                n = utf8_char_length(bytes + i, len - i);
                if (n == 0 || bytes[i] == 0)
                        s[i] = '?';
                else
                        memcpy(s + i, bytes + i, n);
                n = MAX(n, (size_t) 1);
        }
        s[len] = 0;
        free(e->record.stderr_tail);
        e->record.stderr_tail = s;
}

/* Tell the engine that it never ran. */
static void feed_start_failure(Manager *m, Entry *e, EventType type, const Error *error) {
        Event ev = { .type = type, .query_id = e->record.id };

        ev.ended.report = (EndedReport) { .exit_status = -1, .start_failed = true };
        if (e->groups)
                (void) query_groups_final(e->groups, &ev.ended.report.numbers);
        ev.ended.error = error;
        manager_feed(m, &ev);
}

/* The worker is back, and what was sent to it was lost on the way: it never ran. */
void manager_hand_over_lost(Manager *m, Entry *e) {
        Error error = {};

        error_set(&error, ERROR_INTERNAL, "its worker lost the hand-over");
        e->watch = events_watch_free(e->watch);
        feed_start_failure(m, e, EVENT_ENDED, &error);
}

void manager_compile(Manager *m, Entry *e) {
        int launch = make_launch(e, &e->compile), r = launch;
        Error error = {};

        if (r >= 0)
                r = e->conn ? worker_conn_send_compile(e->conn, launch, e->query_fd) : -ENOTCONN;
        entry_close_fd(&launch);
        if (r >= 0)
                return;
        error_set(&error, ERROR_INTERNAL, "its compile check could not be handed to the worker: %s", strerror(-r));
        feed_start_failure(m, e, EVENT_COMPILED, &error);
}

static void decode_status(int wait_status, EndedReport *r) {
        r->exit_status = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : -1;
        r->exit_signal = WIFSIGNALED(wait_status) ? WTERMSIG(wait_status) : 0;
}

void manager_on_compiled(WorkerConn *c, const WorkerCompiled *msg, void *userdata) {
        Manager *m = userdata;
        Entry *e = worker_conn_userdata(c);
        Event ev = { .type = EVENT_COMPILED, .query_id = e->record.id };
        uint64_t residual = 0;
        Error error = {};

        keep_tail(e, msg->stderr_tail, msg->stderr_len);
        decode_status(msg->wait_status, &ev.ended.report);
        if (e->groups && query_groups_compile_residual(e->groups, &residual) == 0 && residual > COMPILE_RESIDUAL_MAX) {
                /* It would stay charged to the slice while the query waits, and the budget knows nothing of it. */
                ev.ended.report.start_failed = true;
                error_set(&error, ERROR_COMPILATION_FAILED,
                          "the compile check left %llu KiB of memory behind (files in /tmp or /dev/shm); at most %llu KiB are "
                          "let pass",
                          (unsigned long long) (residual / KIB), (unsigned long long) (COMPILE_RESIDUAL_MAX / KIB));
                ev.ended.error = &error;
        } else if (msg->step != WORKER_STEP_NONE) {
                ev.ended.report.start_failed = true;
                describe_step(msg->step, msg->error, msg->detail, e, &error);
                ev.ended.error = &error;
        }
        manager_feed(m, &ev);
}

void manager_on_started(WorkerConn *c, const WorkerStarted *msg, void *userdata) {
        Entry *e = worker_conn_userdata(c);

        (void) msg;
        if (!e->ended_told && !manager_may_retry(userdata, e))
                manager_record_started(userdata, e);
}

static int apply_limits(Manager *m, Entry *e, uint64_t max_bytes, uint64_t high_bytes, Event *ret_event) {
        uint64_t max_now = 0, high_now = 0;
        int r = e->groups ? query_groups_set_limits(e->groups, max_bytes, high_bytes, &max_now, &high_now) : -ENODEV;
        uint64_t now = manager_now(m), written = e->groups ? query_groups_max_written_usec(e->groups) : now;

        written = MAX(written, e->woken_usec); /* memory.high alone was written: nothing was raised */
        *ret_event = (Event) { .type = EVENT_LIMITS, .query_id = e->record.id };
        ret_event->limits.r = r;
        ret_event->limits.max_bytes = max_now;
        ret_event->limits.latency_usec = written - e->woken_usec;
        ret_event->limits.sample_usec = e->sampled_usec > e->woken_usec ? e->sampled_usec - e->woken_usec : 0;
        ret_event->limits.read_back_usec = now - written;
        return r;
}

/* From now on the worker alone holds them: their ends are the query's ends. One that may be run once more has a file and a text,
 * and no end of anybody's. */
static void drop_handed(Manager *m, Entry *e) {
        if (manager_may_retry(m, e))
                return;
        entry_drop_parcel(e);
        entry_close_fd(&e->results_write_fd);
        if (!m->config->log_query_text_on_shutdown)
                entry_close_fd(&e->query_fd);
        entry_close_fd(&e->stdio.stdin_fd);
        entry_close_fd(&e->stdio.stderr_fd);
}

void manager_execute(Manager *m, Entry *e, uint64_t max_bytes, uint64_t high_bytes) {
        WorkerExecuteFds fds = WORKER_EXECUTE_FDS_NONE;
        bool detached = e->record.request.detach, no_psi = false;
        Error error = {};
        Event limits;
        int r;

        e->woken_usec = manager_now(m);
        /* One that is not on record as handed over would be run once more after a restart. */
        r = e->record_error;
        if (r >= 0)
                r = apply_limits(m, e, max_bytes, high_bytes, &limits);
        if (r >= 0) {
                query_groups_begin(e->groups);
                (void) query_groups_protect(e->groups, max_bytes, m->config->memory_protection == PROTECTION_MIN);
                r = events_watch_new(m->event, e->groups, e->record.id, manager_on_pressure, m, &no_psi, &e->watch);
        }
        if (no_psi && !m->said_no_psi) {
                m->said_no_psi = true;
                journal_write(LOG_WARNING, JOURNAL_PLAIN, 0,
                              "The kernel has no pressure stall information (psi=0): need is judged without it");
        }
        if (r >= 0)
                r = fds.launch_fd = make_launch(e, &e->execute);
        if (r >= 0) {
                *(detached ? &fds.file_fd : &fds.results_fd) = e->results_write_fd;
                fds.query_fd = e->query_fd;
                fds.stdin_fd = e->stdio.stdin_fd;
                fds.stderr_fd = e->stdio.stderr_fd;
                /* A worker that was lost while the query waited has no connection; its unit is about to go. */
                r = e->conn ? worker_conn_send_execute(e->conn, &fds, m->config->results_max_bytes) : -ENOTCONN;
        }
        entry_close_fd(&fds.launch_fd);
        drop_handed(m, e);
        if (r < 0) {
                if (r == -ENODEV || r == -ENOTCONN || r == -EPIPE || r == -ECONNRESET)
                        error_set(&error, ERROR_EXECUTION_FAILED, "its worker was lost as it was about to start");
                else
                        error_set(&error, ERROR_INTERNAL, "it could not be handed to its worker: %s", strerror(-r));
                feed_start_failure(m, e, EVENT_ENDED, &error);
                return;
        }
        e->handed = true;
        manager_feed(m, &limits);
}

void manager_set_limits(Manager *m, Entry *e, uint64_t max_bytes, uint64_t high_bytes) {
        const Query *q = engine_find(m->engine, e->record.id);
        Event ev;
        int r = apply_limits(m, e, max_bytes, high_bytes, &ev);

        if (r >= 0 && q && max_bytes > q->quota_bytes) /* else only memory.high moved */
                metrics_observe(m->metrics, METRIC_RAISE_LATENCY, &e->record.request.labels, NULL,
                                ev.limits.latency_usec);
        manager_feed(m, &ev);
}

void manager_sample(Manager *m, Entry *e) {
        Event ev = { .type = EVENT_SAMPLE, .query_id = e->record.id };
        uint64_t now;
        int r;

        if (!e->groups)
                return;
        manager_look_above(m, e);
        r = query_groups_sample(e->groups, &ev.sample);
        manager_try_later(m, e, AGAIN_SAMPLE, r);
        if (r < 0)
                return;
        /* What only the profile wants must not delay raises that come one after the other. */
        now = e->sampled_usec = manager_now(m);
        if (now - e->usage_usec >= USAGE_PAUSE_USEC && query_groups_usage(e->groups, &ev.sample) >= 0)
                e->usage_usec = now;
        manager_feed(m, &ev);
}

void manager_woken_by_others(Manager *m, uint64_t query_id, uint64_t now_usec) {
        Entry *e = manager_entry(m, query_id);

        if (e)
                e->woken_usec = e->sampled_usec = now_usec;
}

int manager_on_pressure(uint64_t query_id, uint64_t now_usec, void *userdata) {
        Manager *m = userdata;
        Entry *e = manager_entry(m, query_id);

        if (e) {
                e->woken_usec = now_usec;
                manager_sample(m, e);
        }
        return 0;
}

void manager_on_failed(WorkerConn *c, const WorkerFailed *msg, void *userdata) {
        Entry *e = worker_conn_userdata(c);
        Error error = {};

        describe_step(msg->step, msg->error, msg->detail, e, &error);
        e->watch = events_watch_free(e->watch);
        e->ended_told = true;
        feed_start_failure(userdata, e, EVENT_ENDED, &error);
        if (e->leaving)
                manager_acknowledge(userdata, e, c); /* said again after a reconnection */
}

void manager_on_exited(WorkerConn *c, const WorkerExited *msg, void *userdata) {
        Manager *m = userdata;
        Entry *e = worker_conn_userdata(c);
        Event ev = { .type = EVENT_ENDED, .query_id = e->record.id };
        EndedReport *r = &ev.ended.report;

        e->watch = events_watch_free(e->watch);
        keep_tail(e, msg->stderr_tail, msg->stderr_len);
        decode_status(msg->wait_status, r);
        r->unit_stopped = msg->flags & WORKER_EXITED_STOPPED;
        r->reader_gone = msg->flags & WORKER_EXITED_READER_GONE;
        r->results_truncated = msg->flags & WORKER_EXITED_RESULTS_TRUNCATED;
        r->leftovers_killed = msg->flags & WORKER_EXITED_LEFTOVERS_KILLED;
        r->results_empty = entry_results_are_empty(e);
        if (e->groups)
                (void) query_groups_final(e->groups, &r->numbers);
        if (e->leaving) {
                manager_acknowledge(m, e, c); /* said again after a reconnection */
                return;
        }
        e->ended_told = true;
        /* Before its end is on record: then nobody asks its worker once more. */
        if (msg->stderr_len > 0 && !manager_may_retry(m, e))
                manager_record_started(m, e);
        manager_feed(m, &ev);
}

void manager_worker_lost(Manager *m, Entry *e) {
        Event ev = { .type = EVENT_ENDED, .query_id = e->record.id };

        e->watch = events_watch_free(e->watch);
        e->ended_told = true;
        ev.ended.report.exit_status = -1;
        if (e->groups && query_groups_final(e->groups, &ev.ended.report.numbers) < 0)
                query_groups_killers(e->groups, &ev.ended.report.numbers); /* all that outlives the group */
        manager_feed(m, &ev);
}

void manager_on_reader_gone(WorkerConn *c, void *userdata) {
        Entry *e = worker_conn_userdata(c);

        manager_feed(userdata, &(Event) { .type = EVENT_READER_GONE, .query_id = e->record.id });
}
