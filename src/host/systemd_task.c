/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host/systemd_private.h"
#include "host/systemd_task_props.h"

#define SERVICE_INTERFACE "org.freedesktop.systemd1.Service"
#define UNIT_INTERFACE "org.freedesktop.systemd1.Unit"
/* PID 1 has its own time limits for the command; this is for when it says nothing. */
#define TASK_SILENCE_USEC (60 * USEC_PER_SEC)

struct SystemdTask {
        SystemdLink *link;
        uint64_t number;
        TaskDone on_done;
        void *userdata;
        bool answered; /* StartTransientUnit was, so the reference is ours */
        bool stopping; /* it has ended when the job that stops it has */
        char job_result[32];
        char result[32];
        sd_event_source *timer;
        SystemdTask *next;
};

/* Never that of an earlier penstockd that crashed, whose units may still be there. */
static const char *task_name(uint64_t number, char buf[static TASK_NAME_MAX]) {
        snprintf(buf, TASK_NAME_MAX, "penstock-dependency-%d-%" PRIu64 ".service", (int) getpid(), number);
        return buf;
}

static SystemdTask *task_find(SystemdLink *l, uint64_t number) {
        SystemdTask *t = l->tasks;

        while (t && t->number != number)
                t = t->next;
        return t;
}

static void task_free(SystemdTask *t) {
        sd_event_source_disable_unref(t->timer);
        free(t);
}

static void task_unlink(SystemdTask *t) {
        SystemdTask **p = &t->link->tasks;

        while (*p != t)
                p = &(*p)->next;
        *p = t->next;
        if (!t->link->tasks && t->link->n_units == 0)
                systemd_matches_idle(t->link);
}

void systemd_tasks_drop(SystemdLink *l) {
        while (l->tasks) {
                SystemdTask *t = l->tasks;

                l->tasks = t->next;
                task_free(t);
        }
}

static void on_ignored(SystemdLink *l, uint64_t id, void *data, sd_bus_message *reply) {
        (void) l, (void) id, (void) data, (void) reply;
}

static void call_by_name(SystemdLink *l, uint64_t number, const char *method, const char *mode) {
        char name[TASK_NAME_MAX];

        (void) systemd_call_manager(l, method, mode ? "ss" : "s", on_ignored, number, task_name(number, name), mode);
}

static void task_finish(SystemdTask *t, const char *result, int status, const char *error_text) {
        task_unlink(t);
        if (t->answered)
                call_by_name(t->link, t->number, "UnrefUnit", NULL);
        t->on_done(result, status, error_text, t->userdata);
        task_free(t);
}

static void on_status(SystemdLink *l, uint64_t number, void *data, sd_bus_message *reply) {
        SystemdTask *t = task_find(l, number);
        int32_t status;

        (void) data;
        if (!t)
                return;
        if (systemd_reply_errno(reply) < 0 || sd_bus_message_read(reply, "v", "i", &status) < 0)
                status = -1;
        task_finish(t, t->result, status, NULL);
}

static void on_result(SystemdLink *l, uint64_t number, void *data, sd_bus_message *reply) {
        SystemdTask *t = task_find(l, number);
        const char *result = t ? systemd_reply_string(reply) : NULL;
        char name[TASK_NAME_MAX];

        (void) data;
        if (!t)
                return;
        /* "success" of a job that was not done: somebody stopped it. */
        if (!result || strcmp(result, "success") == 0)
                result = strcmp(t->job_result, "canceled") == 0 ? "canceled" : "lost";
        snprintf(t->result, sizeof(t->result), "%s", result);
        if (systemd_call_get(l, task_name(number, name), SERVICE_INTERFACE, "ExecMainStatus", on_status, number, NULL,
                             NULL) < 0)
                task_finish(t, t->result, -1, NULL);
}

static void task_judge(SystemdTask *t) {
        char name[TASK_NAME_MAX];

        if (strcmp(t->job_result, "done") == 0)
                task_finish(t, "success", 0, NULL);
        else if (systemd_call_get(t->link, task_name(t->number, name), SERVICE_INTERFACE, "Result", on_result, t->number,
                                  NULL, NULL) < 0)
                task_finish(t, "lost", -1, NULL);
}

/* A name is used once, so any job of it is ours. */
void systemd_task_job_removed(SystemdLink *l, const char *unit, const char *result) {
        char name[TASK_NAME_MAX];
        SystemdTask *t = l->tasks;

        while (t && strcmp(unit, task_name(t->number, name)) != 0)
                t = t->next;
        if (!t || t->job_result[0])
                return;
        if (t->stopping) {
                if (strcmp(result, "canceled") != 0) /* that was the start, which the stop replaced */
                        task_finish(t, "canceled", -1, NULL);
                return;
        }
        snprintf(t->job_result, sizeof(t->job_result), "%s", result);
        if (t->answered)
                task_judge(t);
}

static int on_silence(sd_event_source *source, uint64_t usec, void *userdata) {
        SystemdTask *t = userdata;

        (void) source, (void) usec;
        call_by_name(t->link, t->number, "StopUnit", "replace");
        task_finish(t, "lost", -1, NULL);
        return 0;
}

static void on_start(SystemdLink *l, uint64_t number, void *data, sd_bus_message *reply) {
        SystemdTask *t = task_find(l, number);
        int r = systemd_reply_errno(reply);

        (void) data;
        if (!t) { /* abandoned before it was answered */
                if (r == 0) {
                        call_by_name(l, number, "StopUnit", "replace");
                        call_by_name(l, number, "UnrefUnit", NULL);
                }
                return;
        }
        if (systemd_reply_is_lost(reply)) { /* else on_silence() */
                if (t->job_result[0])
                        task_judge(t);
                return;
        }
        if (r < 0) {
                const sd_bus_error *e = sd_bus_message_get_error(reply);

                task_finish(t, "resources", -1, e->message ? e->message : e->name);
                return;
        }
        t->answered = true;
        if (t->job_result[0])
                task_judge(t);
}

static int task_call(SystemdLink *l, const TaskSpec *spec, uint64_t number) {
        sd_bus_message *m = NULL;
        char name[TASK_NAME_MAX];
        int r = sd_bus_message_new_method_call(l->bus, &m, SYSTEMD_DESTINATION, SYSTEMD_PATH, SYSTEMD_MANAGER,
                                               "StartTransientUnit");

        task_name(number, name);
        if (r >= 0)
                r = sd_bus_message_append(m, "ss", name, "fail");
        if (r >= 0)
                r = systemd_task_props_append(m, name, spec);
        if (r >= 0)
                r = sd_bus_message_append(m, "a(sa(sv))", 0);
        if (r < 0) {
                sd_bus_message_unref(m);
                return r;
        }
        return systemd_call(l, m, on_start, number, NULL, NULL);
}

int systemd_task_start(SystemdLink *l, const TaskSpec *spec, TaskDone on_done, void *userdata, SystemdTask **ret) {
        SystemdTask *t = calloc(1, sizeof(*t));
        int r;

        if (!t)
                return -ENOMEM;
        *t = (SystemdTask) { .link = l, .number = ++l->last_task, .on_done = on_done, .userdata = userdata };
        r = sd_event_add_time_relative(l->event, &t->timer, CLOCK_MONOTONIC, spec->timeout_usec + TASK_SILENCE_USEC,
                                       USEC_PER_SEC, on_silence, t);
        if (r >= 0)
                r = systemd_matches_install(l);
        if (r >= 0)
                r = task_call(l, spec, t->number);
        if (r < 0) {
                task_free(t);
                return r;
        }
        t->next = l->tasks;
        l->tasks = t;
        *ret = t;
        return 0;
}

static void on_stop(SystemdLink *l, uint64_t number, void *data, sd_bus_message *reply) {
        SystemdTask *t = task_find(l, number);

        (void) data;
        if (t && !systemd_reply_is_lost(reply) && systemd_reply_errno(reply) < 0) /* there is no such unit */
                task_finish(t, "canceled", -1, NULL);
}

void systemd_task_stop(SystemdTask *t) {
        char name[TASK_NAME_MAX];

        t->stopping = true;
        /* Behind the call that starts it. */
        if (systemd_call_manager(t->link, "StopUnit", "ss", on_stop, t->number, task_name(t->number, name), "replace") < 0)
                t->stopping = false; /* then it ends by itself, or by its time limit */
}

SystemdTask *systemd_task_abandon(SystemdTask *t) {
        if (!t)
                return NULL;
        task_unlink(t);
        if (t->answered) {
                call_by_name(t->link, t->number, "StopUnit", "replace");
                call_by_name(t->link, t->number, "UnrefUnit", NULL);
        }
        task_free(t);
        return NULL;
}

typedef struct StateAsk {
        void (*on_state)(const char *active_state, void *data);
        void *data;
        void (*data_free)(void *data);
        char name[256];
} StateAsk;

static void ask_free(void *p) {
        StateAsk *a = p;

        if (a->data_free)
                a->data_free(a->data);
        free(a);
}

static void ask_answer(StateAsk *a, const char *state) {
        a->on_state(state, a->data);
        free(a);
}

static void on_active_state(SystemdLink *l, uint64_t id, void *data, sd_bus_message *reply) {
        (void) l, (void) id;
        ask_answer(data, systemd_reply_string(reply));
}

static void on_get_unit(SystemdLink *l, uint64_t id, void *data, sd_bus_message *reply) {
        StateAsk *a = data;

        (void) id;
        if (reply && sd_bus_message_is_method_error(reply, ERROR_NO_SUCH_UNIT))
                ask_answer(a, "inactive");
        else if (systemd_reply_errno(reply) < 0 || systemd_call_get(l, a->name, UNIT_INTERFACE, "ActiveState",
                                                                    on_active_state, 0, a, ask_free) < 0)
                ask_answer(a, NULL);
}

int systemd_unit_state(SystemdLink *l, const char *name, void (*on_state)(const char *active_state, void *data),
                       void *data, void (*data_free)(void *data)) {
        StateAsk *a = calloc(1, sizeof(*a));
        sd_bus_message *m = NULL;
        int r;

        if (!a)
                return -ENOMEM;
        *a = (StateAsk) { .on_state = on_state, .data = data, .data_free = data_free };
        snprintf(a->name, sizeof(a->name), "%s", name);
        /* Not by the unit's object at once: to read a property of a unit that is not there would load it. */
        r = sd_bus_message_new_method_call(l->bus, &m, SYSTEMD_DESTINATION, SYSTEMD_PATH, SYSTEMD_MANAGER, "GetUnit");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", a->name);
        if (r < 0)
                sd_bus_message_unref(m);
        else
                r = systemd_call(l, m, on_get_unit, 0, a, ask_free);
        if (r < 0)
                free(a);
        return r < 0 ? r : 0;
}
