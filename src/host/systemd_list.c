/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The list of our units: at start-up, and after PID 1 was reloaded. */
#include <errno.h>

#include "host/systemd_private.h"

typedef struct List {
        void (*on_unit)(uint64_t query_id, const char *active_state, void *userdata);
        void (*on_done)(int r, void *userdata);
        void *userdata;
} List;

static int read_list(sd_bus_message *reply, void (*on_unit)(uint64_t id, const char *active, bool has_job, void *userdata),
                     void *userdata) {
        const char *name, *active;
        uint32_t job;
        uint64_t id;
        int r;

        r = sd_bus_message_enter_container(reply, 'a', "(ssssssouso)");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_read(reply, "(ssssssouso)", &name, NULL, NULL, &active, NULL, NULL, NULL, &job, NULL,
                                        NULL)) > 0)
                if (systemd_unit_id(name, &id))
                        on_unit(id, active, job != 0, userdata);
        return r;
}

/* Takes @data as systemd_call() does. */
static int call_list(SystemdLink *l, CallReply reply, void *data, void (*data_free)(void *data)) {
        sd_bus_message *m = NULL;
        int r = sd_bus_message_new_method_call(l->bus, &m, SYSTEMD_DESTINATION, SYSTEMD_PATH, SYSTEMD_MANAGER,
                                               "ListUnitsByPatterns");

        if (r >= 0)
                r = sd_bus_message_append(m, "asas", 0, 1, "penstock-q*.service");
        if (r < 0) {
                sd_bus_message_unref(m);
                return r;
        }
        return systemd_call(l, m, reply, 0, data, data_free);
}

static void on_listed_unit(uint64_t id, const char *active, bool has_job, void *userdata) {
        const List *list = userdata;

        (void) has_job;
        list->on_unit(id, active, list->userdata);
}

static void on_list(SystemdLink *l, uint64_t id, void *data, sd_bus_message *reply) {
        List *list = data;
        int r = systemd_reply_errno(reply);

        (void) l, (void) id;
        if (r == 0)
                r = read_list(reply, on_listed_unit, list);
        list->on_done(r, list->userdata);
        free(list);
}

int systemd_list_units(SystemdLink *l, void (*on_unit)(uint64_t query_id, const char *active_state, void *userdata),
                       void (*on_done)(int r, void *userdata), void *userdata) {
        List *list = calloc(1, sizeof *list);
        int r;

        if (!list)
                return -ENOMEM;
        *list = (List) { on_unit, on_done, userdata };
        r = call_list(l, on_list, list, free);
        if (r < 0)
                free(list);
        return r;
}

static void on_unit_of_all(uint64_t id, const char *active, bool has_job, void *userdata) {
        Unit *u = systemd_unit_find(userdata, id);

        if (!u || u->state == UNIT_CALLING)
                return;
        u->listed = true;
        systemd_unit_listed(u, active, has_job);
}

/* One that was not listed. Its StartTransientUnit was answered before the list was, so PID 1 forgot it. */
static Unit *find_unlisted(SystemdLink *l) {
        for (size_t i = 0; i < UNIT_BUCKETS; i++)
                for (Unit *u = l->units[i]; u; u = u->next)
                        if (!u->listed && u->state != UNIT_CALLING)
                                return u;
        return NULL;
}

static void ask_each(SystemdLink *l) {
        for (size_t i = 0; i < UNIT_BUCKETS; i++)
                for (Unit *u = l->units[i]; u; u = u->next)
                        systemd_unit_ask(u);
}

static void on_list_of_all(SystemdLink *l, uint64_t id, void *data, sd_bus_message *reply) {
        (void) id, (void) data;
        for (size_t i = 0; i < UNIT_BUCKETS; i++)
                for (Unit *u = l->units[i]; u; u = u->next)
                        u->listed = false;
        if (systemd_reply_errno(reply) < 0 || read_list(reply, on_unit_of_all, l) < 0) {
                ask_each(l);
                return;
        }
        for (Unit *u; (u = find_unlisted(l));)
                systemd_unit_vanished(u); /* the table may change: each time from its beginning */
        for (size_t i = 0; i < UNIT_BUCKETS; i++)
                for (Unit *u = l->units[i]; u; u = u->next)
                        if (u->state == UNIT_CALLING && u->start_lost)
                                systemd_unit_ask(u);
}

void systemd_units_ask_all(SystemdLink *l) {
        if (l->n_units > 0 && call_list(l, on_list_of_all, NULL, NULL) < 0)
                ask_each(l);
}
