/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What PID 1 and the bus say by themselves. */
#include <string.h>
#include <time.h>

#include "host/systemd_private.h"

/* Short queries one after another should not install the matches again and again. */
#define MATCHES_LINGER_USEC (30 * USEC_PER_SEC)
#define LINGER_ACCURACY_USEC (1 * USEC_PER_SEC)

static int on_job_removed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *job, *unit, *result;
        SystemdLink *l = userdata;
        uint64_t id;
        Unit *u;

        (void) error;
        if (sd_bus_message_read(m, "uoss", NULL, &job, &unit, &result) < 0)
                return 0;
        if (!systemd_unit_id(unit, &id)) {
                systemd_task_job_removed(l, unit, result);
                return 0;
        }
        u = systemd_unit_find(l, id);
        if (u)
                systemd_unit_job_removed(u, job, result);
        return 0;
}

static int on_unit_removed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        SystemdLink *l = userdata;
        const char *unit;
        uint64_t id;
        Unit *u;

        (void) error;
        if (sd_bus_message_read(m, "so", &unit, NULL) < 0 || !systemd_unit_id(unit, &id))
                return 0;
        u = systemd_unit_find(l, id);
        if (u)
                systemd_unit_removed(u);
        return 0;
}

/* The ActiveState in a PropertiesChanged; NULL when it is not among the changed. */
static const char *read_active_state(sd_bus_message *m) {
        const char *name, *state = NULL;

        if (sd_bus_message_skip(m, "s") < 0 || sd_bus_message_enter_container(m, 'a', "{sv}") < 0)
                return NULL;
        while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
                if (sd_bus_message_read(m, "s", &name) < 0)
                        return NULL;
                if (strcmp(name, "ActiveState") == 0)
                        return sd_bus_message_read(m, "v", "s", &state) < 0 ? NULL : state;
                if (sd_bus_message_skip(m, "v") < 0 || sd_bus_message_exit_container(m) < 0)
                        return NULL;
        }
        return NULL;
}

static int on_properties_changed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        SystemdLink *l = userdata;
        const char *state;
        char *unit = NULL;
        uint64_t id;
        Unit *u = NULL;

        (void) error;
        if (sd_bus_path_decode(sd_bus_message_get_path(m), SYSTEMD_UNIT_PREFIX, &unit) > 0 &&
            systemd_unit_id(unit, &id))
                u = systemd_unit_find(l, id);
        free(unit);
        if (!u)
                return 0;
        state = read_active_state(m);
        if (state)
                systemd_unit_active_state(u, state);
        return 0;
}

static void drop_unit_matches(SystemdLink *l) {
        for (size_t i = 0; i < ELEMENTSOF(l->unit_matches); i++)
                l->unit_matches[i] = sd_bus_slot_unref(l->unit_matches[i]);
}

/* The bus keeps the order: what is asked after this is heard. Matches can't be narrowed to names that begin with
 * "penstock-q", and one of its own for each unit would meet the limit of 512 on a connection. */
int systemd_matches_install(SystemdLink *l) {
        int r;

        (void) sd_event_source_set_enabled(l->idle_timer, SD_EVENT_OFF);
        if (l->unit_matches[0])
                return 0;
        r = sd_bus_match_signal_async(l->bus, &l->unit_matches[0], SYSTEMD_DESTINATION, SYSTEMD_PATH, SYSTEMD_MANAGER,
                                      "JobRemoved", on_job_removed, NULL, l);
        if (r >= 0)
                r = sd_bus_match_signal_async(l->bus, &l->unit_matches[1], SYSTEMD_DESTINATION, SYSTEMD_PATH,
                                              SYSTEMD_MANAGER, "UnitRemoved", on_unit_removed, NULL, l);
        if (r >= 0)
                r = sd_bus_add_match_async(l->bus, &l->unit_matches[2],
                                           "type='signal',sender='" SYSTEMD_DESTINATION "',"
                                           "interface='org.freedesktop.DBus.Properties',member='PropertiesChanged',"
                                           "path_namespace='" SYSTEMD_UNIT_PREFIX "',"
                                           "arg0='org.freedesktop.systemd1.Unit'",
                                           on_properties_changed, NULL, l);
        if (r < 0)
                drop_unit_matches(l);
        return r < 0 ? r : 0;
}

static int on_idle(sd_event_source *source, uint64_t usec, void *userdata) {
        SystemdLink *l = userdata;

        (void) source, (void) usec;
        if (l->n_units == 0 && !l->tasks)
                drop_unit_matches(l);
        return 0;
}

void systemd_matches_idle(SystemdLink *l) {
        (void) sd_event_source_set_time_relative(l->idle_timer, MATCHES_LINGER_USEC);
        (void) sd_event_source_set_enabled(l->idle_timer, SD_EVENT_ONESHOT);
}

/* AlreadySubscribed is as good. When PID 1 is not on the bus on_owner_changed() comes; without a connection nobody will. */
static void on_subscribed(SystemdLink *l, uint64_t id, void *data, sd_bus_message *reply) {
        (void) id, (void) data;
        if (systemd_reply_is_lost(reply) && sd_bus_is_open(l->bus) > 0)
                systemd_subscribe(l);
}

void systemd_subscribe(SystemdLink *l) {
        sd_bus_message *m = NULL;
        int r = sd_bus_message_new_method_call(l->bus, &m, SYSTEMD_DESTINATION, SYSTEMD_PATH, SYSTEMD_MANAGER, "Subscribe");

        if (r >= 0)
                r = systemd_call(l, m, on_subscribed, 0, NULL, NULL);
        l->is_unsubscribed = r < 0;
        if (r < 0)
                systemd_link_wake_later(l);
}

/* A reload frees and makes every unit anew, so the bus sees UnitRemoved for units that are there: one question for all of
 * them, when it is through. */
static int on_reloading(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        SystemdLink *l = userdata;
        int begins;

        (void) error;
        if (sd_bus_message_read(m, "b", &begins) < 0)
                return 0;
        l->is_reloading = begins;
        if (!begins) {
                systemd_units_ask_all(l);
                l->ops->resync(l->userdata);
        }
        return 0;
}

static int on_owner_changed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *name, *old, *new;
        SystemdLink *l = userdata;

        (void) error;
        if (sd_bus_message_read(m, "sss", &name, &old, &new) < 0 || new[0] == '\0')
                return 0;
        l->is_reloading = false;
        systemd_subscribe(l);
        systemd_units_ask_all(l);
        l->ops->resync(l->userdata);
        return 0;
}

int systemd_signals_listen(SystemdLink *l) {
        int r = sd_event_add_time_relative(l->event, &l->idle_timer, CLOCK_MONOTONIC, MATCHES_LINGER_USEC,
                                           LINGER_ACCURACY_USEC, on_idle, l);

        if (r >= 0)
                r = sd_event_source_set_enabled(l->idle_timer, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_bus_add_match_async(l->bus, &l->owner_match,
                                           "type='signal',sender='org.freedesktop.DBus',path='/org/freedesktop/DBus',"
                                           "interface='org.freedesktop.DBus',member='NameOwnerChanged',"
                                           "arg0='" SYSTEMD_DESTINATION "'",
                                           on_owner_changed, NULL, l);
        if (r >= 0)
                r = sd_bus_match_signal_async(l->bus, &l->reloading_match, SYSTEMD_DESTINATION, SYSTEMD_PATH,
                                              SYSTEMD_MANAGER, "Reloading", on_reloading, NULL, l);
        if (r < 0)
                return r;
        systemd_subscribe(l);
        return 0;
}

void systemd_signals_done(SystemdLink *l) {
        drop_unit_matches(l);
        sd_bus_slot_unref(l->reloading_match);
        sd_bus_slot_unref(l->owner_match);
        sd_event_source_disable_unref(l->idle_timer);
}
