/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A query's unit until its start job is known; and what the service asks for: to start it, to follow it, to stop it. */
#include <errno.h>
#include <string.h>

#include "host/systemd_private.h"
#include "host/systemd_props.h"

static void on_reset(SystemdLink *l, uint64_t id, void *data, sd_bus_message *reply) {
        Unit *u = systemd_unit_find(l, id);

        (void) data, (void) reply; /* it can be gone already; the second try tells */
        if (u && u->state == UNIT_CALLING)
                systemd_unit_call_start(u);
}

static void unit_start_refused(Unit *u, sd_bus_message *reply) {
        const sd_bus_error *e = sd_bus_message_get_error(reply);
        char name[QUERY_UNIT_NAME_MAX];

        if (sd_bus_message_is_method_error(reply, ERROR_UNIT_EXISTS) && !u->retried) {
                u->retried = true;
                systemd_set_string(&u->early_job, NULL);
                if (systemd_call_manager(u->link, "ResetFailedUnit", "s", on_reset, u->id,
                                         query_unit_name(u->id, name), NULL) >= 0)
                        return;
        }
        u->failure_r = sd_bus_message_is_method_error(reply, ERROR_UNIT_EXISTS) ? -EEXIST
                                                                                : systemd_reply_errno(reply);
        systemd_set_string(&u->failure, e->message ? e->message : e->name);
        systemd_unit_vanished(u);
}

static void on_start(SystemdLink *l, uint64_t id, void *data, sd_bus_message *reply) {
        Unit *u = systemd_unit_find(l, id);
        const char *job;

        (void) data;
        if (!u || u->state != UNIT_CALLING)
                return;
        if (systemd_reply_is_lost(reply)) {
                systemd_set_string(&u->failure, "PID 1 did not answer");
                u->failure_r = -ETIMEDOUT;
                u->start_lost = true;
                systemd_unit_ask(u);
                return;
        }
        if (systemd_reply_errno(reply) < 0) {
                unit_start_refused(u, reply);
                return;
        }
        u->ours = true;
        u->state = UNIT_JOB;
        if (sd_bus_message_read(reply, "o", &job) >= 0)
                systemd_set_string(&u->job, job);
        if (u->stop_wanted)
                systemd_unit_call_stop(u);
        if (u->early_job && u->job && strcmp(u->early_job, u->job) == 0)
                systemd_unit_job_done(u, u->early_result ? u->early_result : "unknown");
        else
                systemd_unit_look_after(u, START_LOOK_USEC);
}

/* A sealed message keeps its serial, so each try is a copy. */
void systemd_unit_call_start(Unit *u) {
        sd_bus_message *m = NULL;
        int r = sd_bus_message_new_method_call(u->link->bus, &m, SYSTEMD_DESTINATION, SYSTEMD_PATH, SYSTEMD_MANAGER,
                                               "StartTransientUnit");

        if (r >= 0)
                r = sd_bus_message_rewind(u->start, 1);
        if (r >= 0)
                r = sd_bus_message_copy(m, u->start, 1);
        if (r < 0)
                sd_bus_message_unref(m);
        else
                r = systemd_call(u->link, m, on_start, u->id, NULL, NULL);
        if (r < 0) { /* out of memory: the look will find no such unit */
                u->start_lost = true;
                systemd_unit_look_after(u, 0);
        }
}

static int make_start_message(SystemdLink *l, const UnitSpec *spec, sd_bus_message **ret, Error *ret_error) {
        sd_bus_message *m = NULL;
        char name[QUERY_UNIT_NAME_MAX];
        int r;

        r = sd_bus_message_new_method_call(l->bus, &m, SYSTEMD_DESTINATION, SYSTEMD_PATH, SYSTEMD_MANAGER,
                                           "StartTransientUnit");
        if (r >= 0)
                r = sd_bus_message_append(m, "ss", query_unit_name(spec->query_id, name), "fail");
        if (r >= 0)
                r = systemd_props_append(m, spec, ret_error);
        if (r >= 0)
                r = sd_bus_message_append(m, "a(sa(sv))", 0);
        if (r >= 0)
                r = sd_bus_message_seal(m, 1, 0);
        if (r < 0) {
                sd_bus_message_unref(m);
                return r;
        }
        *ret = m;
        return 0;
}

/* What became of it was told, or it was told to go. */
static bool is_leaving(const Unit *u) {
        return u->state == UNIT_FAILED || u->state == UNIT_FORGETTING || u->stop_wanted;
}

int systemd_unit_start(SystemdLink *l, const UnitSpec *spec, Error *ret_error) {
        Unit *u, *old = systemd_unit_find(l, spec->query_id);
        sd_bus_message *m;
        int r;

        if (old && (old->heir || !is_leaving(old)))
                return -EEXIST;
        r = make_start_message(l, spec, &m, ret_error);
        if (r < 0)
                return r;
        u = old ? systemd_unit_new(l, spec->query_id, UNIT_CALLING) : systemd_unit_add(l, spec->query_id, UNIT_CALLING);
        if (!u) {
                sd_bus_message_unref(m);
                return -ENOMEM;
        }
        u->start = m;
        if (old)
                old->heir = u;
        else
                systemd_unit_call_start(u);
        return 0;
}

static Unit *follow(SystemdLink *l, uint64_t query_id) {
        Unit *u = systemd_unit_add(l, query_id, UNIT_ACTIVE);

        if (u)
                u->seen_alive = true;
        return u;
}

int systemd_unit_adopt(SystemdLink *l, uint64_t query_id) {
        Unit *u;

        if (systemd_unit_find(l, query_id))
                return -EEXIST;
        u = follow(l, query_id);
        if (!u)
                return -ENOMEM;
        systemd_unit_ask(u); /* it may have gone before the matches were there */
        return 0;
}

int systemd_unit_stop(SystemdLink *l, uint64_t query_id) {
        Unit *u = systemd_unit_find(l, query_id);

        if (!u && !(u = follow(l, query_id)))
                return -ENOMEM;
        if (u->heir)
                u->heir->stop_wanted = true;
        if (u->stop_wanted)
                return 0;
        u->stop_wanted = true;
        if (u->state == UNIT_ACTIVE ||
            u->state == UNIT_JOB) /* else: once StartTransientUnit was answered, or it has ended */
                systemd_unit_call_stop(u);
        return 0;
}
