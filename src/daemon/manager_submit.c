/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From a checked request to an entry the engine has admitted. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "daemon/dependencies.h"
#include "daemon/spares.h"
#include "host/journal.h"
#include "host/records.h"
#include "host/state_files.h"
#include "worker/launch.h"

void entry_close_fd(int *fd) {
        if (*fd >= 0)
                close(*fd);
        *fd = -1;
}

void entry_drop_request(Entry *e) {
        Request *r = &e->record.request;

        language_command_done(&e->compile);
        language_command_done(&e->execute);
        strlist_done(&r->argv);
        pairlist_done(&r->environment);
        pairlist_done(&r->parameters);
        pairlist_done(&e->dependency_environment);
        pairlist_done(&e->credentials);
        free(r->gids);
        r->gids = NULL;
        r->n_gids = 0;
        entry_drop_parcel(e);
        entry_close_fd(&e->query_fd);
        /* Whoever reads the results must see their end even if nothing was ever handed to a worker. */
        entry_close_fd(&e->results_write_fd);
        entry_close_fd(&e->stdio.stdin_fd);
        entry_close_fd(&e->stdio.stderr_fd);
}

void entry_drop_unit(Entry *e) {
        worker_conn_close(e->conn);
        e->conn = NULL;
        e->worker_ready = false;
        e->watch = events_watch_free(e->watch);
        e->last_process = empty_watch_free(e->last_process);
        e->unit_watch = sd_event_source_disable_unref(e->unit_watch);
        group_maker_let_go(e->manager->group_maker, e->groups);
        e->groups = NULL;
        e->making = 0;
        e->n_lowered_before += e->lowering;
        e->lowering = false;
        free(e->taken_key);
        e->taken_key = NULL;
}

void entry_drop_runtime(Entry *e) {
        entry_drop_unit(e);
        e->pathcheck = pathcheck_free(e->pathcheck);
        pathcheck_results_free(e->paths, e->n_paths);
        e->paths = NULL;
        e->n_paths = 0;
        entry_drop_request(e);
}

Entry *entry_free(Entry *e) {
        if (!e)
                return NULL;
        entry_count_record(e, 0);
        entry_drop_runtime(e);
        entry_drop_hold(e);
        entry_close_fd(&e->record.results_file_fd);
        pairlist_done(&e->unit_properties);
        dependency_list_done(&e->dependencies);
        strlist_done(&e->record.dependencies);
        request_done(&e->record.request);
        free(e->record.control_group);
        free(e->record.stderr_tail);
        free(e);
        return NULL;
}

int entry_new(Manager *m, Request *r, SubmitFds *fds, Entry **ret) {
        Entry *e = calloc(1, sizeof(*e));

        if (e) {
                e->manager = m;
                e->query_fd = e->results_write_fd = e->hold_fd = e->parcel_fd = e->record.results_file_fd = -1;
                e->stdio = *fds;
                e->record.request = *r;
                e->record.control_group = strdup("");
                e->record.created_realtime_usec = manager_time_of_day();
                *r = (Request) REQUEST_INIT;
                *fds = (SubmitFds) { -1, -1 };
        }
        if (!e || !e->record.control_group) {
                entry_free(e);
                return -ENOMEM;
        }
        *ret = e;
        return 0;
}

/* Only the language knows whether a database is a file; a relative one is of the caller's working directory. */
static int resolve_database(Request *r, const Language *l) {
        char *path;

        if (!r->database || r->database[0] == '/' || !r->working_directory ||
            (l->database != DATABASE_FILE && l->database != DATABASE_OPTIONAL_FILE) ||
            (l->database_default && strcmp(r->database, l->database_default) == 0))
                return 0;
        if (asprintf(&path, "%s/%s", strcmp(r->working_directory, "/") == 0 ? "" : r->working_directory, r->database) < 0)
                return -ENOMEM;
        free(r->database);
        r->database = path;
        return 0;
}

int entry_take_language(Entry *e, const Language *l, Error *ret_error) {
        const Request *r = &e->record.request;
        LanguageContext x = { .memory_max_bytes = e->max_bytes,
                              .tmpdir = entry_tmpdir(l->tmp) };
        int k = language_execute_command(l, r, &x, &e->execute, ret_error);

        e->has_compile = l->compile.n > 0;
        if (k >= 0 && e->has_compile)
                k = language_compile_command(l, r, &x, &e->compile, ret_error);
        if (k < 0)
                return k;
        e->working_directory_access = l->working_directory_access;
        e->database_access = l->database_access;
        e->database_kind = l->database;
        e->home_access = l->home_access;
        e->network = l->network;
        e->tmp = l->tmp;
        e->thp_disable = !l->transparent_huge_pages;
        return pairlist_merge(&e->unit_properties, &l->unit_properties);
}

static int on_hold(sd_event_source *s, int fd, uint32_t revents, void *userdata) {
        Entry *e = userdata;

        (void) fd;
        /* Only the hang-up counts; whatever a client writes into its hold is nothing to us. */
        if (!(revents & (EPOLLHUP | EPOLLERR)))
                return 0;
        sd_event_source_set_enabled(s, SD_EVENT_OFF);
        manager_feed(e->manager, &(Event) { .type = EVENT_HOLD_DROPPED, .query_id = e->record.id });
        return 0;
}

int entry_watch_hold(Entry *e) {
        int r = sd_event_add_io(e->manager->event, &e->hold_source, e->hold_fd, 0, on_hold, e);

        return r < 0 ? r : 0;
}

/* The descriptors that the caller gets, and our ends of them. */
static int make_attached(Entry *e, Submitted *ret) {
        int results[2] = { -1, -1 }, hold[2] = { -1, -1 }, r;

        if (pipe2(results, O_CLOEXEC) < 0 || pipe2(hold, O_CLOEXEC) < 0) {
                r = -errno;
                entry_close_fd(&results[0]);
                entry_close_fd(&results[1]);
                return r;
        }
        e->results_write_fd = results[1];
        ret->results_fd = results[0];
        e->hold_fd = hold[0];
        ret->hold_fd = hold[1];
        return entry_watch_hold(e);
}

static int make_detached(uint64_t id, Submitted *ret) {
        int hold, results;

        /* A detached query's hold is inert; the interface has one, so the caller gets one. */
        hold = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (hold < 0)
                return -errno;
        results = results_open(id, false);
        if (results < 0) {
                close(hold);
                return results;
        }
        ret->hold_fd = hold;
        ret->results_fd = results;
        return 0;
}

static int make_query_fd(Entry *e) {
        Request *r = &e->record.request;

        if (!r->query)
                return 0;
        e->query_fd = launch_query_memfd(r->query, r->query_len);
        /* It is in the memfd, and perhaps in an argument: our copy is of no use any more. */
        free(r->query);
        r->query = NULL;
        return e->query_fd < 0 ? e->query_fd : 0;
}

int manager_make_room(Manager *m) {
        Entry **v;
        size_t n;

        /* Of those without a unit there is nothing to hear but from their callers, one at a time. */
        if (manager_reserve_events(m, manager_units(m) + 1) < 0)
                return -ENOMEM;
        if (m->n_entries < m->allocated)
                return 0;
        n = MAX(2 * m->allocated, 64u);
        v = realloc(m->entries, n * sizeof(*v));
        if (!v)
                return -ENOMEM;
        m->entries = v;
        m->allocated = n;
        return 0;
}

/* Of what it writes to another file than its results, and of what it has read of its caller's stdin, nobody knows. */
static bool may_retry(const Entry *e) {
        const Request *r = &e->record.request;

        return e->manager->config->retry_on_exhaustion && r->detach && !r->once && !r->has_stdin && !r->has_stderr;
}

static void fill_spec(const Entry *e, bool allow_priority, QuerySpec *spec) {
        const Request *r = &e->record.request;

        *spec = (QuerySpec) {
                .uid = r->uid,
                .priority = r->priority,
                .initial_bytes = r->memory_initial_bytes,
                .max_bytes = r->memory_max_bytes,
                .timeout_usec = r->timeout_usec,
                .queue_timeout_usec = r->queue_timeout_usec,
                .detached = r->detach,
                .has_compile = e->has_compile,
                .allow_priority = allow_priority,
                .has_dependencies = e->dependencies.n > 0,
                .may_retry = may_retry(e),
        };
        snprintf(spec->language, sizeof(spec->language), "%s", r->language);
        manager_history_fingerprint(e->manager, r, spec);
}

/* The engine has admitted it, and a restart would know nothing of it: it has not started, and ends before its caller hears
 * of it. */
static int take_no_unrecorded(Manager *m, Entry *e, Submitted *ret, Error *ret_error) {
        uint64_t id = e->record.id;

        error_set(ret_error, ERROR_INTERNAL, "the query can't be recorded: %s", strerror(-e->record_error));
        manager_count_refusal(m, &e->record.request.labels, ret_error->code);
        manager_feed(m, &(Event) { .type = EVENT_DONE, .query_id = id });
        e = manager_entry(m, id);
        if (e)
                e->again &= ~(unsigned) AGAIN_RECORD;
        record_remove(id);
        entry_close_fd(&ret->results_fd);
        entry_close_fd(&ret->hold_fd);
        return -error_errno(ret_error->code);
}

/* Ask the engine. On success the entry belongs to the table, and the caller has its descriptors. */
static int admit(Manager *m, Entry *e, const Language *l, bool allow_priority, Submitted *ret, Error *ret_error) {
        const Entry *spare;
        QuerySpec spec;
        uint64_t id;
        int r;

        manager_look_above(m, NULL);
        manager_look_again_for_leftovers(m);
        fill_spec(e, allow_priority, &spec); /* while its text is there */
        spare = spares_find(m, e); /* from here on nothing else is stepped, and it stays */
        id = spare ? spare->record.id : engine_next_id(m->engine);

        r = state_reserve_id(id);
        if (r >= 0)
                r = manager_make_room(m);
        if (r >= 0)
                r = make_query_fd(e);
        if (r >= 0 && e->record.request.detach)
                r = results_create(id, &e->results_write_fd, &e->record.results_file_fd);
        if (r >= 0)
                r = e->record.request.detach ? make_detached(id, ret) : make_attached(e, ret);
        if (r >= 0)
                r = manager_record_request(e, id, l, ret_error);
        if (r < 0) {
                record_remove(id);
                entry_close_fd(&ret->results_fd);
                entry_close_fd(&ret->hold_fd);
                error_set(ret_error, ERROR_INTERNAL, "the query can't be recorded: %s", strerror(-r)); /* if it is not set */
                manager_count_refusal(m, &e->record.request.labels, ret_error->code);
                if (e->record.results_file_fd >= 0)
                        (void) results_remove(id);
                entry_free(e);
                return -error_errno(ret_error->code);
        }
        ret->id = e->record.id = id;
        m->submitting = e;
        m->submit_error = (Error) {};
        manager_feed(m, &(Event) { .type = EVENT_REQUEST, .query_id = id, .request = { &spec } });
        if (!m->submitting && e->record_error < 0 && !e->handed)
                return take_no_unrecorded(m, e, ret, ret_error);
        if (!m->submitting) {
                manager_keep_descriptors(m, e);
                return 0;
        }

        /* Refused, or no memory for it. */
        m->submitting = NULL;
        record_remove(id);
        if (m->submit_error.code == ERROR_NONE)
                error_set(&m->submit_error, ERROR_INTERNAL, "out of memory");
        *ret_error = m->submit_error;
        manager_count_refusal(m, &e->record.request.labels, ret_error->code);
        if (e->record.results_file_fd >= 0)
                (void) results_remove(id);
        entry_free(e);
        entry_close_fd(&ret->results_fd);
        entry_close_fd(&ret->hold_fd);
        return -error_errno(ret_error->code);
}

int manager_submit(Manager *m, Request *request, SubmitFds *fds, bool allow_priority, Submitted *ret,
                   Error *ret_error) {
        const Language *l = language_set_find(m->languages, request->language);
        Entry *e = NULL;
        int r;

        r = l ? entry_new(m, request, fds, &e)
              : error_set(ret_error, ERROR_UNKNOWN_LANGUAGE,
                          "there is no language %s; `penstockctl languages` lists those there are",
                          language_name_is_valid(request->language) ? request->language : "of that name");
        if (r < 0)
                manager_count_refusal(m, &request->labels, ret_error->code);
        request_done(request);
        entry_close_fd(&fds->stdin_fd);
        entry_close_fd(&fds->stderr_fd);
        if (r == -ENOMEM)
                return error_set(ret_error, ERROR_INTERNAL, "out of memory");
        if (r < 0)
                return r;

        e->max_bytes = e->record.request.memory_max_bytes ? e->record.request.memory_max_bytes
                                                          : m->config->per_query_bytes;
        r = resolve_database(&e->record.request, l);
        if (r >= 0)
                r = entry_collect_dependencies(e, l, ret_error);
        if (r >= 0)
                r = entry_take_language(e, l, ret_error);
        if (r < 0) {
                manager_count_refusal(m, &e->record.request.labels, ret_error->code);
                entry_free(e);
                return ret_error->code ? r : error_set(ret_error, ERROR_INTERNAL, "out of memory");
        }
        return admit(m, e, l, allow_priority, ret, ret_error);
}
