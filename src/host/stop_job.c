/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/stop_job.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base.h"

#define DESTINATION "org.freedesktop.systemd1"
#define OBJECTS "/org/freedesktop/systemd1"
/* Much less than TimeoutStopSec=: when PID 1 does not say that it is a stop, the queries are kept. */
#define ANSWER_USEC (5 * USEC_PER_SEC)

struct StopJob {
        sd_bus *bus;
        sd_bus_slot *slot;
        void (*answer)(StopKind kind, void *userdata);
        void *userdata;
};

static int new_get(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message **ret) {
        int r = sd_bus_message_new_method_call(bus, ret, DESTINATION, path, "org.freedesktop.DBus.Properties", "Get");

        return r < 0 ? r : sd_bus_message_append(*ret, "ss", interface, property);
}

static int new_get_job(sd_bus *bus, const char *unit, sd_bus_message **ret) {
        char *path = NULL;
        int r = sd_bus_path_encode(OBJECTS "/unit", unit, &path);

        if (r >= 0)
                r = new_get(bus, path, DESTINATION ".Unit", "Job", ret);
        free(path);
        return r;
}

/* The path of the unit's job into @ret, borrowed from the message; NULL: it has none. */
static int read_job(sd_bus_message *m, const char **ret) {
        uint32_t id;
        int r = sd_bus_message_is_method_error(m, NULL) ? -EIO : sd_bus_message_read(m, "v", "(uo)", &id, ret);

        if (r >= 0 && id == 0)
                *ret = NULL;
        return r < 0 ? r : 0;
}

/* A restart is a stop that is followed by a start, and is called "restart" until it has been stopped. */
static StopKind read_kind(sd_bus_message *m) {
        const char *type;

        if (sd_bus_message_is_method_error(m, NULL) || sd_bus_message_read(m, "v", "s", &type) < 0)
                return STOP_UNKNOWN;
        return strcmp(type, "stop") == 0 ? STOP_FOR_GOOD : STOP_FOR_RESTART;
}

static void finish(StopJob *j, StopKind kind) {
        j->slot = sd_bus_slot_unref(j->slot);
        j->answer(kind, j->userdata);
}

static int on_kind(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        (void) error;
        finish(userdata, read_kind(m));
        return 0;
}

static int on_job(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        sd_bus_message *get = NULL;
        StopJob *j = userdata;
        const char *path;
        int r = read_job(m, &path);

        (void) error;
        j->slot = sd_bus_slot_unref(j->slot);
        if (r >= 0 && !path) {
                finish(j, STOP_FOR_RESTART);
                return 0;
        }
        if (r >= 0)
                r = new_get(j->bus, path, DESTINATION ".Job", "JobType", &get);
        if (r >= 0)
                r = sd_bus_call_async(j->bus, &j->slot, get, on_kind, j, ANSWER_USEC);
        sd_bus_message_unref(get);
        if (r < 0)
                finish(j, STOP_UNKNOWN);
        return 0;
}

int stop_job_ask(sd_bus *bus, const char *unit, void (*answer)(StopKind kind, void *userdata), void *userdata, StopJob **ret) {
        StopJob *j = calloc(1, sizeof(*j));
        sd_bus_message *get = NULL;
        int r;

        if (!j)
                return -ENOMEM;
        *j = (StopJob) { .bus = bus, .answer = answer, .userdata = userdata };
        r = new_get_job(bus, unit, &get);
        if (r >= 0)
                r = sd_bus_call_async(bus, &j->slot, get, on_job, j, ANSWER_USEC);
        sd_bus_message_unref(get);
        if (r < 0) {
                free(j);
                return r;
        }
        *ret = j;
        return 0;
}

StopJob *stop_job_free(StopJob *j) {
        if (!j)
                return NULL;
        sd_bus_slot_unref(j->slot);
        free(j);
        return NULL;
}

typedef struct Answer {
        StopKind kind;
        bool is_there;
} Answer;

static void on_answer(StopKind kind, void *userdata) {
        *(Answer *) userdata = (Answer) { kind, true };
}

StopKind stop_job_ask_now(const char *unit) {
        Answer answer = { .kind = STOP_UNKNOWN };
        StopJob *j = NULL;
        sd_bus *bus = NULL;
        int r = sd_bus_open_system(&bus);

        if (r >= 0)
                r = stop_job_ask(bus, unit, on_answer, &answer, &j);
        while (r >= 0 && !answer.is_there) {
                r = sd_bus_process(bus, NULL);
                if (r == 0)
                        r = sd_bus_wait(bus, UINT64_MAX);
        }
        stop_job_free(j);
        sd_bus_flush_close_unref(bus);
        return answer.kind;
}
