/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What concerns everybody: Shutdown, Pause, Resume, Reload. */
#include "bus/server.h"

static CallProgress admin_then(BusServer *s, Call *c, const Caller *caller, const char *method, PolkitAction action,
                               CallHandler resume) {
        Demand demand = { .action = action };

        (void) access_check_admin(caller, method, &demand.refusal);
        return permission_then(s, c, caller, &demand, resume);
}

static CallProgress do_shutdown(BusServer *s, Call *c, const Caller *caller) {
        sd_bus_message *m = call_message(c);
        uint64_t usec;
        int r = sd_bus_message_read(m, "t", &usec);

        (void) caller;
        if (r < 0)
                (void) reply_errno(m, r, "read the timeout");
        else if (waiting_add_shutdown(s, m) > 0)
                manager_feed(s->manager, &(Event) { .type = EVENT_SHUTDOWN, .shutdown_usec = usec });
        return CALL_ANSWERED;
}

static CallProgress run_shutdown(BusServer *s, Call *c, const Caller *caller) {
        return admin_then(s, c, caller, "Shutdown", POLKIT_SHUTDOWN, do_shutdown);
}

int method_shutdown(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        (void) ret_error;
        return calls_add(((BusServer *) userdata)->calls, m, 0, run_shutdown);
}

static CallProgress feed_plain(BusServer *s, Call *c, EventType type) {
        manager_feed(s->manager, &(Event) { .type = type });
        (void) reply_empty(call_message(c));
        return CALL_ANSWERED;
}

static CallProgress do_pause(BusServer *s, Call *c, const Caller *caller) {
        (void) caller;
        return feed_plain(s, c, EVENT_PAUSE);
}

static CallProgress run_pause(BusServer *s, Call *c, const Caller *caller) {
        return admin_then(s, c, caller, "Pause", POLKIT_PAUSE, do_pause);
}

int method_pause(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        (void) ret_error;
        return calls_add(((BusServer *) userdata)->calls, m, 0, run_pause);
}

static CallProgress do_resume(BusServer *s, Call *c, const Caller *caller) {
        (void) caller;
        return feed_plain(s, c, EVENT_RESUME);
}

static CallProgress run_resume(BusServer *s, Call *c, const Caller *caller) {
        return admin_then(s, c, caller, "Resume", POLKIT_PAUSE, do_resume);
}

int method_resume(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        (void) ret_error;
        return calls_add(((BusServer *) userdata)->calls, m, 0, run_resume);
}

static CallProgress do_reload(BusServer *s, Call *c, const Caller *caller) {
        Error error = {};
        int r;

        (void) caller;
        bus_server_reload(s);
        r = manager_reload(s->manager, &error);
        if (r < 0)
                (void) reply_failure(call_message(c), r, &error, "read the configuration again");
        else
                (void) reply_empty(call_message(c));
        return CALL_ANSWERED;
}

static CallProgress run_reload(BusServer *s, Call *c, const Caller *caller) {
        return admin_then(s, c, caller, "Reload", POLKIT_RELOAD, do_reload);
}

int method_reload(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        (void) ret_error;
        return calls_add(((BusServer *) userdata)->calls, m, 0, run_reload);
}
