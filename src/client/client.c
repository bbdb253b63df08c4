/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* client/client: the connection, and the calls to the Controller. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>

#include "client/internal.h"

static int open_bus(sd_bus **ret) {
        sd_bus *bus = NULL;
        int r;

        r = sd_bus_open_system(&bus);
        if (r < 0)
                return r;
        (void) sd_bus_set_exit_on_disconnect(bus, 0);
        (void) sd_bus_set_close_on_exit(bus, 0); /* whoever has left his loop has a last word: Done */
        *ret = bus;
        return 0;
}

EXPORT int penstock_client_new(PenstockClient **ret, PenstockError *ret_error) {
        PenstockClient *c;
        int r;

        c = calloc(1, sizeof(*c));
        if (!c)
                return client_error_from_bus(ret_error, -ENOMEM, NULL);
        c->n_ref = 1;
        r = open_bus(&c->bus);
        if (r < 0) {
                penstock_client_free(c);
                return client_error_from_bus(ret_error, r, NULL);
        }
        *ret = c;
        return 0;
}

PenstockClient *client_ref(PenstockClient *c) {
        c->n_ref++;
        return c;
}

PenstockClient *client_unref(PenstockClient *c) {
        if (!c || --c->n_ref > 0)
                return NULL;
        if (c->bus && c->event)
                sd_bus_detach_event(c->bus);
        sd_bus_flush_close_unref(c->bus);
        sd_event_unref(c->event);
        free(c);
        return NULL;
}

EXPORT PenstockClient *penstock_client_free(PenstockClient *c) {
        if (c)
                client_calls_free(c);
        return client_unref(c);
}

EXPORT int penstock_client_attach_event(PenstockClient *c, struct sd_event *event) {
        int r;

        if (c->event)
                return -EBUSY;
        r = sd_bus_attach_event(c->bus, event, SD_EVENT_PRIORITY_NORMAL);
        if (r < 0)
                return r;
        c->event = sd_event_ref(event);
        return 0;
}

EXPORT void penstock_client_set_interactive(PenstockClient *c, bool interactive) {
        c->interactive = interactive;
        (void) sd_bus_set_allow_interactive_authorization(c->bus, interactive);
}

EXPORT void penstock_client_set_auto_start(PenstockClient *c, bool wanted) {
        c->starts_nobody = !wanted;
}

uint64_t client_timeout(const PenstockClient *c, uint64_t timeout_usec) {
        return c->interactive ? MAX(timeout_usec, INTERACTIVE_USEC) : timeout_usec;
}

/* The other end of a stream may be gone before anybody has read that it is. */
static bool is_connected(const PenstockClient *c) {
        struct pollfd p = {};

        if (sd_bus_is_open(c->bus) <= 0)
                return false;
        p.fd = sd_bus_get_fd(c->bus);
        return p.fd < 0 || poll(&p, 1, 0) <= 0 || !(p.revents & (POLLHUP | POLLERR));
}

int client_connect(PenstockClient *c) {
        sd_bus *bus = NULL;
        int r;

        if (is_connected(c))
                return 0;
        r = open_bus(&bus);
        if (r < 0)
                return r;
        /* One that has ended takes nothing any more, and drives nothing. */
        if (c->event && sd_event_get_state(c->event) != SD_EVENT_FINISHED) {
                r = sd_bus_attach_event(bus, c->event, SD_EVENT_PRIORITY_NORMAL);
                if (r < 0) {
                        sd_bus_close_unref(bus);
                        return r;
                }
        }
        /* Not closed here: it is still to tell who asked by it that no answer comes. Their slots keep it so long, and
         * the event loop sees its end. */
        sd_bus_unref(c->bus);
        c->bus = bus;
        penstock_client_set_interactive(c, c->interactive);
        c->generation++;
        return 0;
}

int client_call_new(PenstockClient *c, const char *path, const char *interface, const char *member, AutoStart start,
                    sd_bus_message **ret) {
        CLEANUP(message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = client_connect(c);
        if (r >= 0)
                r = sd_bus_message_new_method_call(c->bus, &m, BUS_NAME, path, interface, member);
        if (r >= 0)
                r = sd_bus_message_set_auto_start(m, start == AUTO_START_YES && !c->starts_nobody);
        if (r < 0)
                return r;
        *ret = m;
        m = NULL;
        return 0;
}

int client_message_new(PenstockClient *c, const char *member, sd_bus_message **ret) {
        return client_call_new(c, BUS_PATH, BUS_CONTROLLER, member, AUTO_START_YES, ret);
}

int client_id_message_new(PenstockClient *c, const char *member, uint64_t id, AutoStart start, sd_bus_message **ret) {
        CLEANUP(message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = client_call_new(c, BUS_PATH, BUS_CONTROLLER, member, start, &m);
        if (r >= 0)
                r = sd_bus_message_append(m, "t", id);
        if (r < 0)
                return r;
        *ret = m;
        m = NULL;
        return 0;
}

int client_call(PenstockClient *c, sd_bus_message *m, uint64_t timeout_usec, sd_bus_message **ret, PenstockError *e) {
        sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        r = sd_bus_call(c->bus, m, timeout_usec, &error, ret);
        if (r < 0)
                r = client_error_from_bus(e, r, &error);
        sd_bus_error_free(&error);
        return r < 0 ? r : 0;
}

int client_read_fd(sd_bus_message *m, int *ret) {
        int fd, r;

        r = sd_bus_message_read(m, "h", &fd);
        if (r < 0)
                return r;
        fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (fd < 0)
                return -errno;
        *ret = fd;
        return 0;
}

/* Call a method without arguments; @ret may be NULL. */
static int call_simple(PenstockClient *c, const char *member, uint64_t timeout_usec, sd_bus_message **ret,
                       PenstockError *e) {
        CLEANUP(message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = client_message_new(c, member, &m);
        if (r < 0)
                return client_error_from_bus(e, r, NULL);
        return client_call(c, m, timeout_usec, ret, e);
}

int client_status_message_new(PenstockClient *c, sd_bus_message **ret) {
        CLEANUP(message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = client_call_new(c, BUS_PATH, "org.freedesktop.DBus.Properties", "GetAll", AUTO_START_YES, &m);
        if (r >= 0)
                r = sd_bus_message_append(m, "s", BUS_CONTROLLER);
        if (r < 0)
                return r;
        *ret = m;
        m = NULL;
        return 0;
}

EXPORT int penstock_client_status(PenstockClient *c, PenstockInfo **ret, PenstockError *ret_error) {
        CLEANUP(message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
        int r;

        r = client_status_message_new(c, &m);
        if (r < 0)
                return client_error_from_bus(ret_error, r, NULL);
        r = client_call(c, m, CALL_USEC, &reply, ret_error);
        if (r < 0)
                return r;
        r = info_read(reply, ret);
        return r < 0 ? client_error_from_bus(ret_error, r, NULL) : 0;
}

EXPORT int penstock_client_memory(PenstockClient *c, uint64_t *ret_used_bytes, uint64_t *ret_unused_bytes,
                                  PenstockError *ret_error) {
        PenstockInfo *status = NULL;
        uint64_t used, unused;
        int r;

        r = penstock_client_status(c, &status, ret_error);
        if (r < 0)
                return r;
        r = penstock_info_get_u64(status, "used_memory_bytes", &used);
        if (r >= 0)
                r = penstock_info_get_u64(status, "unused_memory_bytes", &unused);
        penstock_info_free(status);
        if (r < 0)
                return client_error_from_bus(ret_error, r, NULL);
        *ret_used_bytes = used;
        *ret_unused_bytes = unused;
        return 0;
}

EXPORT int penstock_client_list(PenstockClient *c, PenstockInfo ***ret, size_t *ret_n, PenstockError *ret_error) {
        CLEANUP(message_unrefp) sd_bus_message *reply = NULL;
        int r;

        r = call_simple(c, "ListQueries", CALL_USEC, &reply, ret_error);
        if (r < 0)
                return r;
        r = info_list_read(reply, ret, ret_n);
        return r < 0 ? client_error_from_bus(ret_error, r, NULL) : 0;
}

EXPORT int penstock_client_pause(PenstockClient *c, PenstockError *ret_error) {
        return call_simple(c, "Pause", client_timeout(c, CALL_USEC), NULL, ret_error);
}

EXPORT int penstock_client_resume(PenstockClient *c, PenstockError *ret_error) {
        return call_simple(c, "Resume", client_timeout(c, CALL_USEC), NULL, ret_error);
}

EXPORT int penstock_client_reload(PenstockClient *c, PenstockError *ret_error) {
        return call_simple(c, "Reload", client_timeout(c, CALL_USEC), NULL, ret_error);
}

EXPORT int penstock_client_shutdown(PenstockClient *c, uint64_t timeout_usec, PenstockError *ret_error) {
        CLEANUP(message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = client_message_new(c, "Shutdown", &m);
        if (r >= 0)
                r = sd_bus_message_append(m, "t", timeout_usec);
        if (r < 0)
                return client_error_from_bus(ret_error, r, NULL);
        /* The answer comes after the deadline and the end of what is canceled then. */
        if (timeout_usec < USEC_INFINITY - DONE_USEC)
                timeout_usec += DONE_USEC;
        return client_call(c, m, client_timeout(c, timeout_usec), NULL, ret_error);
}

EXPORT int penstock_client_metrics(PenstockClient *c, char **ret, PenstockError *ret_error) {
        CLEANUP(message_unrefp) sd_bus_message *reply = NULL;
        const char *text;
        char *copy;
        int r;

        r = call_simple(c, "Metrics", CALL_USEC, &reply, ret_error);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "s", &text);
        if (r < 0)
                return client_error_from_bus(ret_error, r, NULL);
        copy = strdup(text);
        if (!copy)
                return client_error_from_bus(ret_error, -ENOMEM, NULL);
        *ret = copy;
        return 0;
}
