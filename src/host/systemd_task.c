/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host/systemd_private.h"
#include "host/systemd_task_props.h"

#define SERVICE_INTERFACE "org.freedesktop.systemd1.Service"
/* PID 1 has its own time limits for the command; this is for when it says nothing. */
#ifndef TASK_SILENCE_USEC
#define TASK_SILENCE_USEC (60 * USEC_PER_SEC)
#endif
/* What PID 1 did not hear is said again after a pause, which doubles; so often, some minutes in all. */
#ifndef TASK_AGAIN_USEC
#define TASK_AGAIN_USEC USEC_PER_SEC
#endif
#define TASK_TRIES_MAX 8u
#define TASK_ACCURACY_USEC TASK_AGAIN_USEC

struct SystemdTask {
        SystemdLink *link;
        uint64_t number;
        TaskDone on_done; /* NULL: nobody waits for it any more, and it stays until PID 1 has heard what is due */
        void *userdata;
        bool answered;   /* StartTransientUnit was */
        bool refused;    /* … and there is no unit */
        bool start_lost; /* it was not answered, and will not be */
        bool stopping; /* it has ended when the job that stops it has */
        bool stop_due, unref_due;
        unsigned n_tries;
        uint64_t silent_usec; /* when PID 1 should have said something */
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

/* One that somebody waits for. */
static SystemdTask *task_find_waited(SystemdLink *l, uint64_t number) {
        SystemdTask *t = task_find(l, number);

        return t && t->on_done ? t : NULL;
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

static void on_said(SystemdLink *l, uint64_t number, void *data, sd_bus_message *reply);

static void task_wake_at(SystemdTask *t, uint64_t usec) {
        (void) sd_event_source_set_time(t->timer, usec);
        (void) sd_event_source_set_enabled(t->timer, SD_EVENT_ONESHOT);
}

static void task_wake_later(SystemdTask *t) {
        uint64_t pause = TASK_AGAIN_USEC << MIN(t->n_tries, TASK_TRIES_MAX), now = 0;

        t->n_tries++;
        (void) sd_event_now(t->link->event, CLOCK_MONOTONIC, &now);
        task_wake_at(t, t->on_done ? MIN(now + pause, t->silent_usec) : now + pause);
}

/* The stop first: who is not referred to any more may be gone. */
static void task_say(SystemdTask *t) {
        char name[TASK_NAME_MAX];
        int r;

        if ((!t->stop_due && !t->unref_due) || t->n_tries >= TASK_TRIES_MAX) {
                task_unlink(t);
                task_free(t);
                return;
        }
        r = systemd_call_manager(t->link, t->stop_due ? "StopUnit" : "UnrefUnit", t->stop_due ? "ss" : "s", on_said, t->number,
                                 task_name(t->number, name), t->stop_due ? "replace" : NULL);
        if (r < 0)
                task_wake_later(t);
}

static void on_said(SystemdLink *l, uint64_t number, void *data, sd_bus_message *reply) {
        SystemdTask *t = task_find(l, number);

        (void) data;
        if (!t)
                return;
        if (!systemd_reply_is_heard(reply)) {
                task_wake_later(t);
                return;
        }
        t->n_tries = 0;
        if (t->stop_due && !sd_bus_message_is_method_error(reply, ERROR_NO_SUCH_UNIT))
                t->stop_due = false;
        else
                t->stop_due = t->unref_due = false;
        task_say(t);
}

/* Nobody waits for it any more. */
static void task_leave(SystemdTask *t, bool stop) {
        t->on_done = NULL;
        t->n_tries = 0;
        (void) sd_event_source_set_enabled(t->timer, SD_EVENT_OFF);
        t->stop_due = stop && !t->refused;
        t->unref_due = !t->refused;
        task_say(t);
}

/* PID 1 forgets the unit before it is asked for another one. */
static void task_finish(SystemdTask *t, const char *result, int status, const char *error_text) {
        TaskDone on_done = t->on_done;
        void *userdata = t->userdata;
        char copy[sizeof(t->result)];

        snprintf(copy, sizeof(copy), "%s", result);
        task_leave(t, t->stop_due);
        on_done(copy, status, error_text, userdata);
}

static void on_status(SystemdLink *l, uint64_t number, void *data, sd_bus_message *reply) {
        SystemdTask *t = task_find_waited(l, number);
        int32_t status;

        (void) data;
        if (!t)
                return;
        if (systemd_reply_errno(reply) < 0 || sd_bus_message_read(reply, "v", "i", &status) < 0)
                status = -1;
        task_finish(t, t->result, status, NULL);
}

static void on_result(SystemdLink *l, uint64_t number, void *data, sd_bus_message *reply) {
        SystemdTask *t = task_find_waited(l, number);
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
        if (!t || !t->on_done || t->job_result[0])
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

static void task_call_stop(SystemdTask *t);

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        SystemdTask *t = userdata;

        (void) source;
        if (!t->on_done)
                task_say(t);
        else if (t->stopping && usec < t->silent_usec)
                task_call_stop(t);
        else {
                t->stop_due = true;
                task_finish(t, "lost", -1, NULL);
        }
        return 0;
}

static void on_start(SystemdLink *l, uint64_t number, void *data, sd_bus_message *reply) {
        SystemdTask *t = task_find(l, number);
        int r = systemd_reply_errno(reply);

        (void) data;
        if (!t)
                return;
        t->start_lost = systemd_reply_is_lost(reply);
        t->refused = r < 0 && !t->start_lost;
        if (!t->on_done) { /* abandoned before it was answered; or PID 1 was silent for long, and has been told */
                if (!t->stop_due && !t->unref_due)
                        task_leave(t, true);
                return;
        }
        if (t->start_lost) { /* else on_timer() */
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
                                       TASK_ACCURACY_USEC, on_timer, t);
        if (r >= 0)
                r = sd_event_source_get_time(t->timer, &t->silent_usec);
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
        SystemdTask *t = task_find_waited(l, number);

        (void) data;
        if (!t)
                return;
        if (!systemd_reply_is_heard(reply))
                task_wake_later(t);
        else if (systemd_reply_errno(reply) < 0) /* there is no such unit */
                task_finish(t, "canceled", -1, NULL);
}

/* Behind the call that starts it. */
static void task_call_stop(SystemdTask *t) {
        char name[TASK_NAME_MAX];

        task_wake_at(t, t->silent_usec);
        if (systemd_call_manager(t->link, "StopUnit", "ss", on_stop, t->number, task_name(t->number, name), "replace") < 0)
                task_wake_later(t);
}

void systemd_task_stop(SystemdTask *t) {
        t->stopping = true;
        task_call_stop(t);
}

SystemdTask *systemd_task_abandon(SystemdTask *t) {
        if (!t)
                return NULL;
        if (t->answered || t->start_lost)
                task_leave(t, true);
        else { /* its unit is not there yet: on_start() */
                t->on_done = NULL;
                (void) sd_event_source_set_enabled(t->timer, SD_EVENT_OFF);
        }
        return NULL;
}
