/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "host/systemd_private.h"

/* PID 1 can take 10 s and more to answer when it is busy. The answer to a call that timed out is not known, so time
 * out late and then ask. */
#ifndef CALL_TIMEOUT_USEC
#define CALL_TIMEOUT_USEC (90 * USEC_PER_SEC)
#endif
/* What the connection has no room or memory for is sent a moment later, as long as one would wait for the answer. */
#define SEND_AGAIN_USEC (50 * USEC_PER_MSEC)

struct Call {
        SystemdLink *link;
        sd_bus_message *m;
        sd_bus_slot *slot; /* NULL: waiting */
        bool failed;       /* could not be sent */
        uint64_t sent_usec, tried_usec; /* the second: for the first time; 0: not yet */
        CallReply reply;
        uint64_t id;
        void *data;
        void (*data_free)(void *data);
        Call *next;
};

static uint64_t monotonic_usec(void) {
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t) t.tv_sec * USEC_PER_SEC + (uint64_t) t.tv_nsec / 1000;
}

static void call_free(Call *c) {
        sd_bus_slot_unref(c->slot);
        sd_bus_message_unref(c->m);
        if (c->data_free)
                c->data_free(c->data);
        free(c);
}

static void call_unlink(Call *c) {
        SystemdLink *l = c->link;
        Call **p = &l->first;

        while (*p != c)
                p = &(*p)->next;
        *p = c->next;
        if (l->last == &c->next)
                l->last = p;
}

/* The reply function owns @data from here on. */
static void call_finish(Call *c, sd_bus_message *reply) {
        SystemdLink *l = c->link;

        call_unlink(c);
        c->data_free = NULL;
        if (l->first)
                (void) sd_event_source_set_enabled(l->pump, SD_EVENT_ONESHOT);
        c->reply(l, c->id, c->data, reply);
        call_free(c);
}

static int on_reply(sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        Call *c = userdata;

        (void) error;
        c->link->in_flight--;
        if (c->link->ops->answered)
                c->link->ops->answered(monotonic_usec() - c->sent_usec, c->link->userdata);
        call_finish(c, reply);
        return 0;
}

/* False: neither sent nor failed; it is tried again, and those behind it wait. */
static bool call_send(Call *c) {
        int r;

        c->sent_usec = monotonic_usec();
        c->tried_usec = c->tried_usec ? c->tried_usec : c->sent_usec;
        r = sd_bus_call_async(c->link->bus, &c->slot, c->m, on_reply, c, CALL_TIMEOUT_USEC);
        if (r >= 0)
                c->link->in_flight++;
        else if ((r == -ENOBUFS || r == -ENOMEM) && c->sent_usec - c->tried_usec < CALL_TIMEOUT_USEC) {
                systemd_link_wake_later(c->link);
                return false;
        } else
                c->failed = true;
        return true;
}

static int on_pump(sd_event_source *source, void *userdata) {
        SystemdLink *l = userdata;
        Call *failed = NULL;

        (void) source;
        for (Call *c = l->first; c && l->in_flight < SYSTEMD_CALLS_IN_FLIGHT && !failed; c = c->next) {
                if (!c->slot && !c->failed && !call_send(c))
                        return 0;
                if (c->failed)
                        failed = c;
        }
        if (failed) /* one a turn: its reply function may change the list */
                call_finish(failed, NULL);
        return 0;
}

static int on_again(sd_event_source *source, uint64_t usec, void *userdata) {
        SystemdLink *l = userdata;

        (void) source, (void) usec;
        if (l->is_unsubscribed)
                systemd_subscribe(l);
        return sd_event_source_set_enabled(l->pump, SD_EVENT_ONESHOT);
}

void systemd_link_wake_later(SystemdLink *l) {
        (void) sd_event_source_set_time_relative(l->again, SEND_AGAIN_USEC);
        (void) sd_event_source_set_enabled(l->again, SD_EVENT_ONESHOT);
}

int systemd_call(SystemdLink *l, sd_bus_message *m, CallReply reply, uint64_t id, void *data,
                 void (*data_free)(void *)) {
        Call *c = calloc(1, sizeof *c);
        int r;

        if (!c) {
                sd_bus_message_unref(m);
                return -ENOMEM;
        }
        *c = (Call) { .link = l, .m = m, .reply = reply, .id = id, .data = data, .data_free = data_free };
        r = sd_event_source_set_enabled(l->pump, SD_EVENT_ONESHOT);
        if (r < 0) {
                c->data_free = NULL; /* @data stays the caller's */
                call_free(c);
                return r;
        }
        *l->last = c;
        l->last = &c->next;
        return 0;
}

int systemd_call_manager(SystemdLink *l, const char *method, const char *types, CallReply reply, uint64_t id,
                         const char *a, const char *b) {
        sd_bus_message *m = NULL;
        int r = sd_bus_message_new_method_call(l->bus, &m, SYSTEMD_DESTINATION, SYSTEMD_PATH, SYSTEMD_MANAGER,
                                               method);

        if (r >= 0)
                r = strcmp(types, "ss") == 0 ? sd_bus_message_append(m, "ss", a, b)
                                             : sd_bus_message_append(m, "s", a);
        if (r < 0) {
                sd_bus_message_unref(m);
                return r;
        }
        return systemd_call(l, m, reply, id, NULL, NULL);
}

int systemd_call_get(SystemdLink *l, const char *unit, const char *interface, const char *property, CallReply reply,
                     uint64_t id, void *data, void (*data_free)(void *)) {
        sd_bus_message *m = NULL;
        char *path = NULL;
        int r = sd_bus_path_encode(SYSTEMD_UNIT_PREFIX, unit, &path);

        if (r >= 0)
                r = sd_bus_message_new_method_call(l->bus, &m, SYSTEMD_DESTINATION, path,
                                                   "org.freedesktop.DBus.Properties", "Get");
        free(path);
        if (r >= 0)
                r = sd_bus_message_append(m, "ss", interface, property);
        if (r < 0) {
                sd_bus_message_unref(m);
                return r;
        }
        return systemd_call(l, m, reply, id, data, data_free);
}

int systemd_reply_errno(sd_bus_message *reply) {
        if (!reply)
                return -ENOTCONN;
        if (!sd_bus_message_is_method_error(reply, NULL))
                return 0;
        return -sd_bus_message_get_errno(reply);
}

bool systemd_reply_is_heard(sd_bus_message *reply) {
        const sd_bus_error *e = reply ? sd_bus_message_get_error(reply) : NULL;

        return reply && (!e || strncmp(e->name, ERRORS_OF_SYSTEMD, strlen(ERRORS_OF_SYSTEMD)) == 0);
}

bool systemd_reply_is_lost(sd_bus_message *reply) {
        return !reply || sd_bus_message_is_method_error(reply, SD_BUS_ERROR_NO_REPLY) ||
               sd_bus_message_is_method_error(reply, SD_BUS_ERROR_TIMEOUT) ||
               sd_bus_message_is_method_error(reply, SD_BUS_ERROR_DISCONNECTED);
}

const char *systemd_reply_string(sd_bus_message *reply) {
        const char *s;

        if (systemd_reply_errno(reply) < 0 || sd_bus_message_read(reply, "v", "s", &s) < 0)
                return NULL;
        return s;
}

int systemd_link_new(sd_bus *bus, const SystemdOps *ops, void *userdata, SystemdLink **ret) {
        SystemdLink *l = calloc(1, sizeof *l);
        int r;

        if (!l)
                return -ENOMEM;
        l->bus = sd_bus_ref(bus);
        l->event = sd_event_ref(sd_bus_get_event(bus));
        l->ops = ops;
        l->userdata = userdata;
        l->last = &l->first;
        r = l->event ? sd_event_add_defer(l->event, &l->pump, on_pump, l) : -EINVAL;
        if (r >= 0)
                r = sd_event_source_set_enabled(l->pump, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_add_time(l->event, &l->again, CLOCK_MONOTONIC, USEC_INFINITY, 0, on_again, l);
        if (r >= 0)
                r = sd_event_source_set_enabled(l->again, SD_EVENT_OFF);
        if (r >= 0)
                r = systemd_signals_listen(l);
        if (r < 0) {
                systemd_link_free(l);
                return r;
        }
        *ret = l;
        return 0;
}

SystemdLink *systemd_link_free(SystemdLink *l) {
        if (!l)
                return NULL;
        for (size_t i = 0; i < UNIT_BUCKETS; i++)
                while (l->units[i])
                        systemd_unit_drop(l->units[i]);
        systemd_tasks_drop(l);
        while (l->first) {
                Call *c = l->first;

                call_unlink(c);
                call_free(c);
        }
        systemd_signals_done(l);
        sd_event_source_disable_unref(l->pump);
        sd_event_source_disable_unref(l->again);
        sd_event_unref(l->event);
        sd_bus_unref(l->bus);
        free(l);
        return NULL;
}

bool systemd_unit_id(const char *unit_name, uint64_t *ret_id) {
        char buf[QUERY_UNIT_NAME_MAX], number[24];
        const char *digits, *dot;
        uint64_t id;

        if (strncmp(unit_name, "penstock-q", 10) != 0)
                return false;
        digits = unit_name + 10;
        dot = strchr(digits, '.');
        if (!dot || (size_t) (dot - digits) >= sizeof number)
                return false;
        memcpy(number, digits, (size_t) (dot - digits));
        number[dot - digits] = '\0';
        /* "007" would be another unit of the same number */
        if (u64_parse(number, &id) < 0 || strcmp(query_unit_name(id, buf), unit_name) != 0)
                return false;
        *ret_id = id;
        return true;
}
