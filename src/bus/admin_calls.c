/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What concerns everybody: Shutdown, Pause, Resume, Reload. */
#include "bus/server.h"

static bool may(Call *c, const Caller *caller, const char *method) {
        Error error = {};

        if (access_check_admin(caller, method, &error) == 0)
                return true;
        (void) reply_error(call_message(c), &error);
        return false;
}

static CallProgress run_shutdown(BusServer *s, Call *c, const Caller *caller) {
        sd_bus_message *m = call_message(c);
        uint64_t usec;
        int r;

        if (!may(c, caller, "Shutdown"))
                return CALL_ANSWERED;
        r = sd_bus_message_read(m, "t", &usec);
        if (r < 0)
                (void) reply_errno(m, r, "read the timeout");
        else if (waiting_add_shutdown(s, m) > 0)
                manager_feed(s->manager, &(Event) { .type = EVENT_SHUTDOWN, .shutdown_usec = usec });
        return CALL_ANSWERED;
}

int method_shutdown(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        (void) ret_error;
        return calls_add(((BusServer *) userdata)->calls, m, 0, run_shutdown);
}

static CallProgress feed_plain(BusServer *s, Call *c, const Caller *caller, const char *method, EventType type) {
        if (may(c, caller, method)) {
                manager_feed(s->manager, &(Event) { .type = type });
                (void) sd_bus_reply_method_return(call_message(c), NULL);
        }
        return CALL_ANSWERED;
}

static CallProgress run_pause(BusServer *s, Call *c, const Caller *caller) {
        return feed_plain(s, c, caller, "Pause", EVENT_PAUSE);
}

int method_pause(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        (void) ret_error;
        return calls_add(((BusServer *) userdata)->calls, m, 0, run_pause);
}

static CallProgress run_resume(BusServer *s, Call *c, const Caller *caller) {
        return feed_plain(s, c, caller, "Resume", EVENT_RESUME);
}

int method_resume(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        (void) ret_error;
        return calls_add(((BusServer *) userdata)->calls, m, 0, run_resume);
}

static CallProgress run_reload(BusServer *s, Call *c, const Caller *caller) {
        Error error = {};
        int r;

        if (!may(c, caller, "Reload"))
                return CALL_ANSWERED;
        bus_server_reload(s);
        r = manager_reload(s->manager, &error);
        if (r < 0)
                (void) reply_failure(call_message(c), r, &error, "read the configuration again");
        else
                (void) sd_bus_reply_method_return(call_message(c), NULL);
        return CALL_ANSWERED;
}

int method_reload(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        (void) ret_error;
        return calls_add(((BusServer *) userdata)->calls, m, 0, run_reload);
}
