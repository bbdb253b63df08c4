/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "standin.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BOUNCE_USEC (400 * USEC_PER_MSEC)

static uint64_t now_usec(void) {
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t) ts.tv_sec * USEC_PER_SEC + (uint64_t) ts.tv_nsec / 1000;
}

uint64_t standin_elapsed(const StandInQuery *q) {
        return now_usec() - q->since_usec;
}

StandInQuery *standin_find(StandIn *s, uint64_t id) {
        return id >= 1 && id <= s->n ? s->queries[id - 1] : NULL;
}

static const sd_bus_vtable query_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("State", "s", NULL, offsetof(StandInQuery, state), SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_VTABLE_END,
};

int standin_publish(StandInQuery *q) {
        return sd_bus_add_object_vtable(q->owner->bus, &q->slot, q->path, QUERY, query_vtable, q);
}

static int reply_done(StandInQuery *q, sd_bus_message *call) {
        sd_bus_message *reply = NULL;
        int r = sd_bus_message_new_method_return(call, &reply);

        if (r >= 0)
                r = standin_append_statistics(reply, q);
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        sd_bus_message_unref(reply);
        return r;
}

void standin_end(StandInQuery *q, const char *state, const char *error, const char *message) {
        q->state = state;
        if (error)
                snprintf(q->error_name, sizeof(q->error_name), ERRORS "%s", error);
        snprintf(q->error_message, sizeof(q->error_message), "%s", message ? message : "");
        if (q->slot)
                (void) sd_bus_emit_properties_changed(q->owner->bus, q->path, QUERY, "State", NULL);
        if (q->waiting) {
                (void) reply_done(q, q->waiting);
                q->waiting = sd_bus_message_unref(q->waiting);
                q->is_done = 1;
        }
}

void standin_cancel(StandInQuery *q) {
        if (q->pose.is_set && strcmp(q->state, "canceled") != 0)
                standin_end(q, "canceled", "Canceled", "the query was canceled");
        if (q->pid <= 0)
                return;
        q->cancel_wanted = 1;
        kill(-q->pid, SIGKILL);
}

static int on_child(sd_event_source *source, const siginfo_t *si, void *userdata) {
        StandInQuery *q = userdata;

        (void) source;
        q->pid = 0;
        if (si->si_code == CLD_EXITED)
                q->exit_status = si->si_status;
        else
                q->exit_signal = si->si_status;
        if (q->cancel_wanted)
                standin_end(q, "canceled", "Canceled", "the query was canceled");
        else if (si->si_code == CLD_EXITED && si->si_status == 0)
                standin_end(q, "finished", NULL, NULL);
        else
                standin_end(q, "errored", "ExecutionFailed", "the engine failed");
        return 0;
}

static int on_hold(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        (void) fd;
        (void) revents;
        standin_cancel(userdata);
        return sd_event_source_set_enabled(source, SD_EVENT_OFF);
}

static int on_name_back(sd_event_source *source, uint64_t usec, void *userdata) {
        StandInQuery *q = userdata;

        (void) source;
        (void) usec;
        q->state = "finished"; /* unheard of by anybody: the client must ask again by itself */
        q->exit_status = 0;
        return sd_bus_request_name(q->owner->bus, "org.penstock1", 0);
}

static _Noreturn void child(const StandInRequest *r, int results) {
        char *argv[ELEMENTSOF(r->argv) + 5] = { (char *) "sh", (char *) "-c", (char *) r->query, (char *) "sh" };
        size_t n = strcmp(r->language, "exec") == 0 ? 0 : 4;
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        sigset_t none;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        setpgid(0, 0);
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        signal(SIGPIPE, SIG_DFL);
        for (size_t i = 0; i < r->argc; i++)
                argv[n++] = r->argv[i];
        argv[n] = NULL;
        dup2(r->stdin_fd >= 0 ? r->stdin_fd : null, 0);
        dup2(results, 1);
        dup2(r->stderr_fd >= 0 ? r->stderr_fd : null, 2);
        execvp(argv[0], argv);
        _exit(127);
}

static int start_child(StandInQuery *q, const StandInRequest *r, int results) {
        q->pid = fork();
        if (q->pid < 0)
                return -errno;
        if (q->pid == 0)
                child(r, results);
        setpgid(q->pid, q->pid);
        q->state = "executing";
        return sd_event_add_child(q->owner->event, &q->child, q->pid, WEXITED, on_child, q);
}

/* Start what the language says, with @results as its output. */
static int begin(StandInQuery *q, const StandInRequest *r, int results) {
        /* also "shell" with more behind it, for names that are hard to show */
        if (strncmp(r->language, "shell", 5) == 0 || strcmp(r->language, "exec") == 0)
                return start_child(q, r, results);
        if (strcmp(r->language, "dump") == 0) {
                q->state = "finished";
                q->exit_status = 0;
                return write(results, r->dump, r->dump_len) < 0 ? -errno : 0;
        }
        if (strcmp(r->language, "fail") == 0) {
                if (strcmp(r->query, "CompilationFailed") == 0)
                        snprintf(q->stderr_tail, sizeof(q->stderr_tail), "line 1: syntax error\n");
                standin_end(q, strcmp(r->query, "Canceled") == 0 ? "canceled" : "errored", r->query,
                            "it was asked to fail");
                return 0;
        }
        if (strcmp(r->language, "pose") == 0)
                return standin_pose_read(q, r);
        q->state = "executing"; /* bounce */
        (void) sd_bus_release_name(q->owner->bus, "org.penstock1");
        return sd_event_add_time_relative(q->owner->event, NULL, CLOCK_MONOTONIC, BOUNCE_USEC, 0, on_name_back, q);
}

static StandInQuery *query_new(StandIn *s, const StandInRequest *r) {
        StandInQuery *q;

        if (s->n == ELEMENTSOF(s->queries))
                return NULL;
        q = calloc(1, sizeof(*q));
        if (!q)
                return NULL;
        q->owner = s;
        q->id = s->n + 1;
        q->exit_status = -1;
        q->results_file = -1;
        q->state = "created";
        q->since_usec = now_usec();
        q->detached = r->detach;
        snprintf(q->language, sizeof(q->language), "%s", r->language);
        snprintf(q->label[0], sizeof(q->label[0]), "%s", r->label[0] ? r->label[0] : "team");
        snprintf(q->label[1], sizeof(q->label[1]), "%s", r->label[0] ? r->label[1] : "a b");
        snprintf(q->path, sizeof(q->path), "/org/penstock1/query/_%llu", (unsigned long long) q->id);
        snprintf(q->unit, sizeof(q->unit), "penstock-q%llu.service", (unsigned long long) q->id);
        s->queries[s->n++] = q;
        return q;
}

int standin_start(StandIn *s, const StandInRequest *r, sd_bus_message *m) {
        StandInQuery *q = query_new(s, r);
        int results[2] = { -1, -1 }, hold[2] = { -1, -1 }, k;

        if (!q || pipe2(hold, O_CLOEXEC) < 0)
                return -ENOMEM;
        if (r->detach) {
                results[1] = q->results_file = memfd_create("results", MFD_CLOEXEC);
                results[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
        } else if (pipe2(results, O_CLOEXEC) < 0)
                return -errno;
        k = standin_publish(q);
        if (k >= 0)
                k = sd_bus_reply_method_return(m, "tohh", q->id, q->path, results[0], hold[1]);
        /* Answer first: a bounce gives the name away. */
        (void) sd_bus_flush(s->bus);
        if (k >= 0)
                k = begin(q, r, results[1]);
        if (k >= 0 && !r->detach)
                k = sd_event_add_io(s->event, &q->hold, hold[0], 0, on_hold, q);
        close(results[0]);
        close(hold[1]);
        if (!r->detach)
                close(results[1]);
        return k < 0 ? k : 1;
}

static int on_user_signal(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata) {
        const StandIn *s = userdata;

        (void) source;
        return si->ssi_signo == SIGUSR1 ? sd_bus_release_name(s->bus, "org.penstock1")
                                        : sd_bus_request_name(s->bus, "org.penstock1", 0);
}

int main(void) {
        StandIn s = {};
        sigset_t set;
        int r;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        sigemptyset(&set);
        sigaddset(&set, SIGCHLD);
        sigaddset(&set, SIGTERM);
        sigaddset(&set, SIGUSR1);
        sigaddset(&set, SIGUSR2);
        sigprocmask(SIG_BLOCK, &set, NULL);
        signal(SIGPIPE, SIG_IGN);
        r = sd_event_default(&s.event);
        if (r >= 0)
                r = sd_event_add_signal(s.event, NULL, SIGTERM, NULL, NULL);
        if (r >= 0)
                r = sd_event_add_signal(s.event, NULL, SIGUSR1, on_user_signal, &s);
        if (r >= 0)
                r = sd_event_add_signal(s.event, NULL, SIGUSR2, on_user_signal, &s);
        if (r >= 0)
                r = sd_bus_open_system(&s.bus);
        if (r >= 0)
                r = sd_bus_attach_event(s.bus, s.event, 0);
        if (r >= 0)
                r = sd_bus_add_object_vtable(s.bus, NULL, "/org/penstock1", CONTROLLER, standin_controller_vtable,
                                             &s);
        if (r >= 0)
                r = sd_bus_request_name(s.bus, "org.penstock1", 0);
        if (r < 0) {
                fprintf(stderr, "standin: %s\n", strerror(-r));
                return 1;
        }
        puts("ready");
        fflush(stdout);
        r = sd_event_loop(s.event);
        for (size_t i = 0; i < s.n; i++)
                standin_cancel(s.queries[i]);
        return r < 0;
}
