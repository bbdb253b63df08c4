/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Many queries of one libpenstock client, over one connection, each of which must end as it is meant to. See usage(). */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include <penstock.h>

#include "core/base.h"

/* Of the 64 calls of a connection that penstockd keeps before it knows who asks. */
#define ASKING_MAX 32u

typedef enum Deed {
        DEED_NONE,
        DEED_CANCEL_AT_ONCE,
        DEED_CANCEL_EXECUTING,
        DEED_DROP_EXECUTING, /* close results and hold */
} Deed;

/* One kind of query, and how it must end. */
typedef struct Kind {
        const char *name, *language, *text; /* of "exec" and "sh" the text is the shell's */
        uint64_t initial_bytes, max_bytes, timeout_usec; /* 0: as configured */
        bool detached;
        Deed deed;
        const char *state, *error;
        uint64_t output_bytes;
        bool grows;
} Kind;

/* tail keeps the last line, which is all of it. Nobody counts what it says of one that is killed: the kernel kills tail a moment before the others. */
static const Kind mixed[] = {
        { "short", "exec", "exit 0", .state = "finished" },
        { "output", "exec", "head -c 300000 /dev/zero", .state = "finished", .output_bytes = 300000 },
        { "failing", "exec", "echo why >&2; exit 3", .state = "errored", .error = "ExecutionFailed" },
        { "canceled", "exec", "exec sleep 100000", .deed = DEED_CANCEL_EXECUTING, .state = "canceled", .error = "Canceled" },
        { "canceled at once", "exec", "exec sleep 100000", .deed = DEED_CANCEL_AT_ONCE, .state = "canceled", .error = "Canceled" },
        { "dropped", "exec", "exec sleep 100000", .deed = DEED_DROP_EXECUTING, .state = "canceled", .error = "Canceled" },
        { "detached", "exec", "echo kept", .detached = true, .state = "finished", .output_bytes = 5 },
        { "growing", "exec", "head -c 40M /dev/zero | tail -n 1 | wc -c", .initial_bytes = 16 * MIB, .state = "finished",
          .output_bytes = 9, .grows = true },
        { "at its maximum", "exec", "head -c 200M /dev/zero | tail -n 1", .max_bytes = 24 * MIB, .state = "errored",
          .error = "MemoryLimitExceeded" },
        { "compiled", "shell", "echo compiled", .state = "finished", .output_bytes = 9 },
        { "not compiled", "shell", "if", .state = "errored", .error = "CompilationFailed" },
        { "timed out", "exec", "exec sleep 100000", .timeout_usec = 300 * USEC_PER_MSEC, .state = "errored", .error = "Timeout" },
        { "with children", "exec", "sleep 100000 & sleep 100000 & exit 0", .state = "finished" },
};

typedef struct Soak Soak;

typedef struct Job {
        Soak *soak;
        const Kind *kind;
        PenstockQuery *query;
        sd_event_source *results, *step;
        uint64_t n_output;
        bool acted, ended, dropped;
} Job;

struct Soak {
        sd_event *loop;
        PenstockClient *client;
        unsigned n, n_let_finish, at_once, n_begun, n_asking, n_ended, n_wrong;
        Job *jobs; /* of "hold": all of them; of "mixed": one for each place */
};

static void usage(FILE *f) {
        fputs("usage: soak mixed N AT_ONCE   N queries of all kinds in turn, each to its Done\n"
              "       soak hold N M          submit N that read their standard input, say \"submitted N\", wait for a line; then\n"
              "                              close that input for the first M, and cancel the others\n"
              "It ends with \"ended N wrong N\", and 0 if nothing was wrong. What is wrong is told on stderr.\n",
              f);
}

static void wrong(Job *j, const char *what, const char *detail) {
        j->soak->n_wrong++;
        fprintf(stderr, "query %" PRIu64 " (%s): %s: %s\n", j->query ? penstock_query_id(j->query) : 0, j->kind->name, what,
                detail ?: "");
}

static void check(int r, const char *what) {
        if (r >= 0)
                return;
        fprintf(stderr, "%s: %s\n", what, strerror(-r));
        exit(2);
}

static PenstockRequest *request_of(const Kind *k) {
        PenstockRequest *r = NULL;

        check(penstock_request_new(&r), "request");
        check(penstock_request_set_language(r, k->language), "language");
        if (strcmp(k->language, "exec") == 0) {
                check(penstock_request_add_argument(r, "/bin/sh"), "argument");
                check(penstock_request_add_argument(r, "-c"), "argument");
                check(penstock_request_add_argument(r, k->text), "argument");
        } else
                check(penstock_request_set_query(r, k->text, strlen(k->text)), "query");
        check(penstock_request_add_environment(r, "PATH", "/usr/bin:/bin"), "environment");
        check(penstock_request_set_working_directory(r, "/"), "working directory");
        if (k->initial_bytes > 0)
                check(penstock_request_set_memory_initial(r, k->initial_bytes), "initial quota");
        if (k->max_bytes > 0)
                check(penstock_request_set_memory_max(r, k->max_bytes), "maximum");
        if (k->timeout_usec > 0)
                check(penstock_request_set_timeout(r, k->timeout_usec), "timeout");
        if (k->detached)
                check(penstock_request_set_detached(r), "detached");
        return r;
}

static void begin_more(Soak *s);

/* Not from a handler of the query's, which must not free it. */
static int on_step(sd_event_source *source, void *userdata) {
        Job *j = userdata;
        Soak *s = j->soak;

        (void) source;
        j->step = sd_event_source_disable_unref(j->step);
        j->query = penstock_query_free(j->query);
        *j = (Job) { .soak = s };
        s->n_ended++;
        if (s->n_ended % 100 == 0) {
                printf("%u of %u\n", s->n_ended, s->n);
                fflush(stdout);
        }
        if (s->n_ended == s->n)
                return sd_event_exit(s->loop, 0);
        begin_more(s);
        return 0;
}

static void free_later(Job *j) {
        check(sd_event_add_defer(j->soak->loop, &j->step, on_step, j), "step");
}

static void on_done(PenstockQuery *q, PenstockInfo *info, const PenstockError *error, void *userdata) {
        Job *j = userdata;
        uint64_t raises = 0;

        (void) q;
        if (error)
                wrong(j, "Done", error->message);
        else if (j->kind->grows && (penstock_info_get_u64(info, "raises", &raises) < 0 || raises == 0))
                wrong(j, "raises", "none");
        free_later(j);
}

static int release(sd_event_source *source, void *userdata) {
        Job *j = userdata;
        PenstockError error = {};
        char buf[256], seen[32];
        int fd = -1;
        ssize_t n;

        (void) source;
        j->step = sd_event_source_disable_unref(j->step);
        if (j->kind->detached) {
                if (penstock_query_open_results(j->query, &fd, &error) < 0)
                        wrong(j, "results", error.message);
                while (fd >= 0 && (n = read(fd, buf, sizeof buf)) > 0)
                        j->n_output += (uint64_t) n;
                if (fd >= 0)
                        close(fd);
        }
        snprintf(seen, sizeof seen, "%" PRIu64, j->n_output);
        if (j->n_output != j->kind->output_bytes && !j->dropped)
                wrong(j, "bytes of output", seen);
        check(penstock_query_done_async(j->query, on_done, j), "Done");
        return 0;
}

/* Both ends must have come: that of the results, and the query's. */
static void maybe_release(Job *j) {
        if (j->ended && !j->results && !j->step)
                check(sd_event_add_defer(j->soak->loop, &j->step, release, j), "release");
}

static void on_state(PenstockQuery *q, PenstockInfo *info, const PenstockError *error, void *userdata);

/* Its results and hold are closed; what becomes of it is seen by its number. */
static int drop(sd_event_source *source, void *userdata) {
        Job *j = userdata;
        uint64_t id = penstock_query_id(j->query);

        (void) source;
        j->step = sd_event_source_disable_unref(j->step);
        j->results = sd_event_source_disable_unref(j->results);
        penstock_query_free(j->query);
        j->dropped = true;
        check(penstock_query_open(j->soak->client, id, &j->query), "open");
        check(penstock_query_watch(j->query, on_state, j), "watch");
        return 0;
}

static void on_state(PenstockQuery *q, PenstockInfo *info, const PenstockError *error, void *userdata) {
        Job *j = userdata;
        PenstockError failure = {};
        const char *state = "";

        if (error) {
                wrong(j, "watch", error->message);
                j->results = sd_event_source_disable_unref(j->results);
                free_later(j);
                return;
        }
        (void) penstock_info_get_string(info, "state", &state);
        if (strcmp(state, "executing") == 0 && !j->acted) {
                j->acted = true;
                if (j->kind->deed == DEED_CANCEL_EXECUTING)
                        check(penstock_query_cancel_async(q, NULL, NULL), "Cancel");
                else if (j->kind->deed == DEED_DROP_EXECUTING)
                        check(sd_event_add_defer(j->soak->loop, &j->step, drop, j), "drop");
        }
        if (!penstock_info_is_ended(info))
                return;
        (void) penstock_info_get_error(info, &failure);
        if (strcmp(state, j->kind->state) != 0 || strcmp(failure.name, j->kind->error ?: "") != 0) {
                wrong(j, state, failure.name);
                fprintf(stderr, "  %s\n", failure.message);
        }
        j->ended = true;
        maybe_release(j);
}

static int on_results(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Job *j = userdata;
        char buf[65536];
        ssize_t n = read(fd, buf, sizeof buf);

        (void) source;
        (void) revents;
        if (n > 0) {
                j->n_output += (uint64_t) n;
                return 0;
        }
        j->results = sd_event_source_disable_unref(j->results);
        maybe_release(j);
        return 0;
}

static void on_submitted(PenstockClient *c, PenstockQuery *q, const PenstockError *error, void *userdata) {
        Job *j = userdata;

        (void) c;
        j->soak->n_asking--;
        if (error) {
                wrong(j, error->name, error->message);
                free_later(j);
                return;
        }
        j->query = q;
        if (!j->kind->detached)
                check(sd_event_add_io(j->soak->loop, &j->results, penstock_query_results_fd(q), EPOLLIN, on_results, j), "results");
        check(penstock_query_watch(q, on_state, j), "watch");
        if (j->kind->deed == DEED_CANCEL_AT_ONCE)
                check(penstock_query_cancel_async(q, NULL, NULL), "Cancel");
        begin_more(j->soak);
}

static Job *free_place(Soak *s) {
        for (unsigned i = 0; i < s->at_once; i++)
                if (!s->jobs[i].kind)
                        return &s->jobs[i];
        return NULL;
}

static void begin_more(Soak *s) {
        Job *j;

        while (s->n_begun < s->n && s->n_asking < ASKING_MAX && (j = free_place(s))) {
                PenstockRequest *r;

                j->kind = &mixed[s->n_begun++ % ELEMENTSOF(mixed)];
                r = request_of(j->kind);
                s->n_asking++;
                check(penstock_query_submit_async(s->client, r, on_submitted, j, NULL), "submit");
                penstock_request_free(r);
        }
}

static void run_mixed(Soak *s) {
        begin_more(s);
        if (s->n > 0)
                check(sd_event_loop(s->loop), "loop");
}

/* Reads to the end of its standard input, which all share. */
static const Kind held = { "held", "exec", "exec cat", .state = "finished" };
static const Kind held_and_canceled = { "canceled", "exec", "exec cat", .state = "canceled", .error = "Canceled" };

static void on_held(PenstockClient *c, PenstockQuery *q, const PenstockError *error, void *userdata) {
        Job *j = userdata;

        (void) c;
        j->soak->n_asking--;
        j->query = q;
        if (error)
                wrong(j, error->name, error->message);
}

/* A description of what has ended: as it was meant to? */
static void judge(Job *j) {
        PenstockInfo *info = NULL;
        PenstockError error = {};
        const char *state = "";

        if (penstock_query_wait(j->query, UINT64_MAX, &info, &error) < 0) {
                wrong(j, "wait", error.message);
                return;
        }
        (void) penstock_info_get_string(info, "state", &state);
        (void) penstock_info_get_error(info, &error);
        if (strcmp(state, j->kind->state) != 0 || strcmp(error.name, j->kind->error ?: "") != 0)
                wrong(j, state, error.message);
        penstock_info_free(info);
        if (penstock_query_done(j->query, NULL, &error) < 0)
                wrong(j, "Done", error.message);
        j->query = penstock_query_free(j->query);
        j->soak->n_ended++;
}

static void run_hold(Soak *s) {
        int ends[2];
        char line[16];

        check(pipe(ends) < 0 ? -errno : 0, "pipe");
        for (unsigned i = 0; i < s->n; i++) {
                Job *j = &s->jobs[i];
                PenstockRequest *r;

                *j = (Job) { .soak = s, .kind = i < s->n_let_finish ? &held : &held_and_canceled };
                r = request_of(j->kind);
                check(penstock_request_set_stdin(r, ends[0]), "stdin");
                s->n_asking++;
                check(penstock_query_submit_async(s->client, r, on_held, j, NULL), "submit");
                penstock_request_free(r);
                while (s->n_asking >= ASKING_MAX || (i == s->n - 1 && s->n_asking > 0))
                        check(sd_event_run(s->loop, UINT64_MAX), "loop");
        }
        close(ends[0]);
        printf("submitted %u\n", s->n - s->n_wrong);
        fflush(stdout);
        (void) !read(STDIN_FILENO, line, sizeof line);
        for (unsigned i = s->n_let_finish; i < s->n; i++)
                if (s->jobs[i].query)
                        check(penstock_query_cancel(s->jobs[i].query, NULL), "Cancel");
        close(ends[1]);
        for (unsigned i = 0; i < s->n; i++)
                if (s->jobs[i].query)
                        judge(&s->jobs[i]);
}

int main(int argc, char *argv[]) {
        bool is_mixed = argc == 4 && strcmp(argv[1], "mixed") == 0;
        bool is_hold = argc == 4 && strcmp(argv[1], "hold") == 0;
        struct rlimit files;
        Soak s = {};

        if (!is_mixed && !is_hold) {
                usage(stderr);
                return 2;
        }
        s.n = (unsigned) strtoul(argv[2], NULL, 10);
        s.n_let_finish = (unsigned) strtoul(argv[3], NULL, 10);
        s.at_once = is_mixed ? s.n_let_finish : s.n;
        s.jobs = calloc(s.at_once + 1, sizeof *s.jobs);
        /* two for each query */
        if (!s.jobs || getrlimit(RLIMIT_NOFILE, &files) < 0)
                return 2;
        files.rlim_cur = files.rlim_max;
        check(setrlimit(RLIMIT_NOFILE, &files) < 0 ? -errno : 0, "limit of descriptors");
        for (unsigned i = 0; i < s.at_once; i++)
                s.jobs[i].soak = &s;

        check(sd_event_default(&s.loop), "loop");
        check(penstock_client_new(&s.client, NULL), "client");
        check(penstock_client_attach_event(s.client, s.loop), "client");
        if (is_mixed)
                run_mixed(&s);
        else
                run_hold(&s);
        printf("ended %u wrong %u\n", s.n_ended, s.n_wrong);
        penstock_client_free(s.client);
        sd_event_unref(s.loop);
        free(s.jobs);
        return s.n_wrong > 0;
}
