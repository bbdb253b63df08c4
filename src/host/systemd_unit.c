/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A query's unit from StartTransientUnit to UnitRemoved. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "host/systemd_private.h"

#define SERVICE_INTERFACE "org.freedesktop.systemd1.Service"
#define UNIT_INTERFACE "org.freedesktop.systemd1.Unit"

#define LOOK_ACCURACY_USEC (1 * USEC_PER_SEC)

Unit *systemd_unit_find(SystemdLink *l, uint64_t id) {
        for (Unit *u = l->units[id % UNIT_BUCKETS]; u; u = u->next)
                if (u->id == id)
                        return u;
        return NULL;
}

/* A copy for *@p, best effort: these are words for a journal, or compared with what comes later. */
void systemd_set_string(char **p, const char *s) {
        free(*p);
        *p = s ? strdup(s) : NULL;
}

static void unit_free(Unit *u) {
        sd_event_source_disable_unref(u->timer);
        if (u->heir)
                unit_free(u->heir);
        sd_bus_message_unref(u->start);
        free(u->job);
        free(u->early_job);
        free(u->early_result);
        free(u->result);
        free(u->failure);
        free(u);
}

static int on_look(sd_event_source *source, uint64_t usec, void *userdata) {
        (void) source, (void) usec;
        systemd_unit_ask(userdata);
        return 0;
}

Unit *systemd_unit_new(SystemdLink *l, uint64_t id, UnitState state) {
        Unit *u;

        if (systemd_matches_install(l) < 0)
                return NULL;
        u = calloc(1, sizeof *u);
        if (!u)
                return NULL;
        /* Now, not when it is needed: a look is what is left when all else fails. */
        if (sd_event_add_time(l->event, &u->timer, CLOCK_MONOTONIC, USEC_INFINITY, LOOK_ACCURACY_USEC, on_look, u) < 0 ||
            sd_event_source_set_enabled(u->timer, SD_EVENT_OFF) < 0) {
                unit_free(u);
                return NULL;
        }
        u->link = l;
        u->id = id;
        u->state = state;
        return u;
}

static void unit_link(Unit *u) {
        Unit **bucket = &u->link->units[u->id % UNIT_BUCKETS];

        u->next = *bucket;
        *bucket = u;
        u->link->n_units++;
}

Unit *systemd_unit_add(SystemdLink *l, uint64_t id, UnitState state) {
        Unit *u = systemd_unit_new(l, id, state);

        if (u)
                unit_link(u);
        return u;
}

static void unit_unlink(Unit *u) {
        Unit **p = &u->link->units[u->id % UNIT_BUCKETS];

        while (*p != u)
                p = &(*p)->next;
        *p = u->next;
        if (--u->link->n_units == 0)
                systemd_matches_idle(u->link);
}

void systemd_unit_drop(Unit *u) {
        unit_unlink(u);
        unit_free(u);
}

void systemd_unit_look_after(Unit *u, uint64_t usec) {
        (void) sd_event_source_set_time_relative(u->timer, usec);
        (void) sd_event_source_set_enabled(u->timer, SD_EVENT_ONESHOT);
}

static void unit_inherit(Unit *u) {
        (void) systemd_matches_install(u->link); /* they are there, and stay */
        unit_link(u);
        if (!u->stop_wanted) {
                systemd_unit_call_start(u);
                return;
        }
        u->failure_r = -ECANCELED;
        systemd_set_string(&u->failure, "it was stopped before it could start");
        systemd_unit_vanished(u);
}

/* The unit is not there any more. */
void systemd_unit_vanished(Unit *u) {
        SystemdLink *l = u->link;
        Unit *heir = u->heir;

        unit_unlink(u);
        if (heir) { /* nobody asks for the old one any more */
                u->heir = NULL;
                unit_free(u);
                unit_inherit(heir);
                return;
        }
        switch (u->state) {
        case UNIT_CALLING:
        case UNIT_JOB:
        case UNIT_AUTOPSY:
                l->ops->unit_started(u->id, u->failure_r < 0 ? u->failure_r : -EIO,
                                     u->failure ? u->failure : "the unit vanished while it was started", l->userdata);
                break;
        case UNIT_ACTIVE:
        case UNIT_FORGETTING: l->ops->unit_gone(u->id, l->userdata); break;
        case UNIT_FAILED: break;
        }
        unit_free(u);
}

/* Answers are found by the name, and come in the order of the calls: what comes while the start of a unit is not answered was said
 * of an older one of that name. */
static Unit *find_started(SystemdLink *l, uint64_t id) {
        Unit *u = systemd_unit_find(l, id);

        return u && u->state != UNIT_CALLING ? u : NULL;
}

static void on_stop(SystemdLink *l, uint64_t id, void *data, sd_bus_message *reply) {
        Unit *u = find_started(l, id);

        (void) data;
        if (u && reply && sd_bus_message_is_method_error(reply, ERROR_NO_SUCH_UNIT))
                systemd_unit_vanished(u);
        else if (u)
                systemd_unit_look_after(u, STOP_LOOK_USEC);
}

void systemd_unit_call_stop(Unit *u) {
        char name[QUERY_UNIT_NAME_MAX];

        if (systemd_call_manager(u->link, "StopUnit", "ss", on_stop, u->id, query_unit_name(u->id, name),
                                 "replace") < 0)
                systemd_unit_look_after(u, STOP_LOOK_USEC);
}

static void on_unref(SystemdLink *l, uint64_t id, void *data, sd_bus_message *reply) {
        Unit *u = find_started(l, id);

        (void) data;
        if (u && reply && sd_bus_message_is_method_error(reply, ERROR_NO_SUCH_UNIT))
                systemd_unit_vanished(u);
        else if (u && systemd_reply_is_lost(reply))
                u->ours = true; /* perhaps; once more when it has ended */
}

static void unit_unref(Unit *u) {
        char name[QUERY_UNIT_NAME_MAX];

        if (systemd_call_manager(u->link, "UnrefUnit", "s", on_unref, u->id, query_unit_name(u->id, name), NULL) >= 0)
                u->ours = false;
}

/* It has ended, and is gone when nobody refers to it. */
static void unit_forget(Unit *u) {
        if (u->ours)
                unit_unref(u);
        systemd_unit_look_after(u, STOP_LOOK_USEC);
}

static void unit_fail(Unit *u, int r, const char *text) {
        SystemdLink *l = u->link;
        uint64_t id = u->id;

        u->state = UNIT_FAILED;
        unit_forget(u);
        l->ops->unit_started(id, r, text, l->userdata);
}

static void on_exit_status(SystemdLink *l, uint64_t id, void *data, sd_bus_message *reply) {
        Unit *u = systemd_unit_find(l, id);
        char text[256];
        int32_t status;

        (void) data;
        if (!u || u->state != UNIT_AUTOPSY)
                return;
        if (systemd_reply_errno(reply) < 0 || sd_bus_message_read(reply, "v", "i", &status) < 0)
                status = -1;
        snprintf(text, sizeof text, "%s (Result=%s, exit status %d)", u->failure ? u->failure : "failed",
                 u->result ? u->result : "unknown", status);
        unit_fail(u, u->failure_r, text);
}

static void on_result(SystemdLink *l, uint64_t id, void *data, sd_bus_message *reply) {
        Unit *u = systemd_unit_find(l, id);
        char name[QUERY_UNIT_NAME_MAX];
        const char *result;

        (void) data;
        if (!u || u->state != UNIT_AUTOPSY)
                return;
        result = systemd_reply_string(reply);
        if (result)
                systemd_set_string(&u->result, result);
        if (systemd_call_get(l, query_unit_name(id, name), SERVICE_INTERFACE, "ExecMainStatus", on_exit_status, id, NULL,
                             NULL) < 0)
                unit_fail(u, u->failure_r, u->failure);
}

static void unit_ask_result(Unit *u) {
        char name[QUERY_UNIT_NAME_MAX];

        if (systemd_call_get(u->link, query_unit_name(u->id, name), SERVICE_INTERFACE, "Result", on_result, u->id,
                             NULL, NULL) < 0)
                systemd_unit_look_after(u, STOP_LOOK_USEC);
}

/* It has ended, and is collected by itself. */
static void unit_died(Unit *u) {
        if (u->state != UNIT_ACTIVE)
                return;
        u->state = UNIT_FORGETTING;
        unit_forget(u);
}

/* The reference was for the case that it fails to start: its end costs PID 1 no call. */
static void unit_is_running(Unit *u) {
        SystemdLink *l = u->link;
        uint64_t id = u->id;

        u->state = UNIT_ACTIVE;
        u->start = sd_bus_message_unref(u->start);
        (void) sd_event_source_set_enabled(u->timer, SD_EVENT_OFF);
        if (u->ours)
                unit_unref(u);
        if (u->stop_wanted)
                systemd_unit_call_stop(u);
        if (u->seen_dead)
                unit_died(u);
        l->ops->unit_started(id, 0, NULL, l->userdata);
}

static void unit_job_failed(Unit *u, const char *job_result) {
        char text[128];

        snprintf(text, sizeof text, "the start job ended as \"%s\"", job_result);
        systemd_set_string(&u->failure, text);
        u->failure_r = strcmp(job_result, "canceled") == 0  ? -ECANCELED
                       : strcmp(job_result, "timeout") == 0 ? -ETIMEDOUT
                       : strcmp(job_result, "dependency") == 0 ? -ENOLINK
                                                            : -EIO;
        u->state = UNIT_AUTOPSY;
        unit_ask_result(u);
}

void systemd_unit_job_done(Unit *u, const char *result) {
        if (strcmp(result, "done") == 0)
                unit_is_running(u);
        else
                unit_job_failed(u, result);
}

void systemd_unit_job_removed(Unit *u, const char *job, const char *result) {
        if (u->state == UNIT_CALLING) { /* ahead of the answer, or of an older unit of this name */
                systemd_set_string(&u->early_job, job);
                systemd_set_string(&u->early_result, result);
        } else if (u->state == UNIT_JOB && (!u->job || strcmp(u->job, job) == 0))
                systemd_unit_job_done(u, result);
}

void systemd_unit_active_state(Unit *u, const char *active_state) {
        bool dead = strcmp(active_state, "inactive") == 0 || strcmp(active_state, "failed") == 0;

        if (u->state == UNIT_CALLING && !u->job)
                return; /* of an older unit of this name, perhaps */
        if (!dead)
                u->seen_alive = true;
        u->seen_dead = dead && u->seen_alive;
        if (dead)
                unit_died(u);
}

/* A reload says so of every unit, and when it is through all are asked after. Else it is a reason to ask, unless the end is
 * known already. */
void systemd_unit_removed(Unit *u) {
        if (u->link->is_reloading)
                return;
        if (u->state == UNIT_FORGETTING)
                systemd_unit_vanished(u);
        else if (u->state != UNIT_CALLING)
                systemd_unit_ask(u);
}

/* What PID 1 says of a unit that we asked after. */
static void unit_learn(Unit *u, const char *state) {
        bool dead = strcmp(state, "inactive") == 0 || strcmp(state, "failed") == 0;

        switch (u->state) {
        case UNIT_CALLING: /* the answer was lost */
                u->ours = true;
                u->state = UNIT_JOB;
                __attribute__((fallthrough));
        case UNIT_JOB:
                if (strcmp(state, "active") == 0)
                        unit_is_running(u);
                else if (dead || strcmp(state, "deactivating") == 0)
                        unit_job_failed(u, "unknown");
                else
                        systemd_unit_look_after(u, START_LOOK_USEC);
                break;
        case UNIT_ACTIVE:
                if (dead)
                        unit_died(u);
                else if (u->stop_wanted)
                        systemd_unit_call_stop(u);
                break;
        case UNIT_AUTOPSY: unit_ask_result(u); break;
        case UNIT_FAILED:
                if (!dead)
                        systemd_unit_call_stop(u);
                __attribute__((fallthrough));
        case UNIT_FORGETTING:
                u->ours = true; /* who else would refer to it? */
                unit_forget(u);
                break;
        }
}

/* A unit whose start job is still in the queue says that it is "inactive", like one that has ended. */
void systemd_unit_listed(Unit *u, const char *active_state, bool has_job) {
        if (u->state == UNIT_JOB && has_job)
                systemd_unit_look_after(u, JOB_LOOK_USEC);
        else
                unit_learn(u, active_state);
}

static void on_active_state(SystemdLink *l, uint64_t id, void *data, sd_bus_message *reply) {
        Unit *u = systemd_unit_find(l, id);
        const char *state;

        (void) data;
        if (!u || !u->asking)
                return; /* an older one of that name was asked after */
        u->asking = false;
        state = systemd_reply_string(reply);
        if (state)
                unit_learn(u, state);
        else
                systemd_unit_look_after(u, STOP_LOOK_USEC);
}

static void ask_property(Unit *u, const char *property, CallReply on_reply) {
        char name[QUERY_UNIT_NAME_MAX];

        if (systemd_call_get(u->link, query_unit_name(u->id, name), UNIT_INTERFACE, property, on_reply, u->id, NULL, NULL) < 0) {
                u->asking = false;
                systemd_unit_look_after(u, STOP_LOOK_USEC);
        }
}

static void on_job(SystemdLink *l, uint64_t id, void *data, sd_bus_message *reply) {
        Unit *u = systemd_unit_find(l, id);
        const char *path;
        uint32_t job;

        (void) data;
        if (!u || !u->asking)
                return; /* an older one of that name was asked after */
        if (u->state != UNIT_JOB || (systemd_reply_errno(reply) >= 0 &&
                                     sd_bus_message_read(reply, "v", "(uo)", &job, &path) >= 0 && job == 0)) {
                ask_property(u, "ActiveState", on_active_state);
                return;
        }
        u->asking = false;
        systemd_unit_look_after(u, JOB_LOOK_USEC);
}

static void on_get_unit(SystemdLink *l, uint64_t id, void *data, sd_bus_message *reply) {
        Unit *u = systemd_unit_find(l, id);

        (void) data;
        if (!u || !u->asking)
                return; /* an older one of that name was asked after */
        if (reply && sd_bus_message_is_method_error(reply, ERROR_NO_SUCH_UNIT))
                systemd_unit_vanished(u);
        else if (systemd_reply_errno(reply) < 0) {
                u->asking = false;
                systemd_unit_look_after(u, STOP_LOOK_USEC);
        } else if (u->state == UNIT_JOB)
                ask_property(u, "Job", on_job);
        else
                ask_property(u, "ActiveState", on_active_state);
}

/* GetUnit first: reading a property of a unit that is not there would load it. A unit whose StartTransientUnit has
 * not been answered is not asked after: that it is not there would be no news. */
void systemd_unit_ask(Unit *u) {
        char name[QUERY_UNIT_NAME_MAX];

        if (u->asking || (u->state == UNIT_CALLING && !u->start_lost))
                return;
        u->asking = systemd_call_manager(u->link, "GetUnit", "s", on_get_unit, u->id, query_unit_name(u->id, name),
                                         NULL) >= 0;
        if (!u->asking)
                systemd_unit_look_after(u, STOP_LOOK_USEC);
}
