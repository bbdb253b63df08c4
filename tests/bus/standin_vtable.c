/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "standin.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int no_such_query(sd_bus_error *e, uint64_t id) {
        return sd_bus_error_setf(e, ERRORS "NoSuchQuery", "there is no query %llu", (unsigned long long) id);
}

static int read_query(sd_bus_message *m, StandIn *s, StandInQuery **ret, sd_bus_error *e) {
        uint64_t id;
        int r = sd_bus_message_read(m, "t", &id);

        if (r < 0)
                return r;
        *ret = standin_find(s, id);
        return *ret ? 0 : no_such_query(e, id);
}

static int method_query(sd_bus_message *m, void *userdata, sd_bus_error *e) {
        StandInRequest *request = calloc(1, sizeof(*request));
        int r;

        if (!request)
                return -ENOMEM;
        r = standin_request_read(m, request);
        if (r >= 0 && strcmp(request->language, "refuse") == 0) {
                char name[128];

                snprintf(name, sizeof(name), ERRORS "%.64s", request->query);
                r = sd_bus_error_setf(e, name, "it was asked to refuse");
        } else if (r >= 0 && strlen(request->language) == 1)
                r = sd_bus_error_setf(e, ERRORS "UnknownLanguage", "there is no language %s", request->language);
        else if (r >= 0)
                r = standin_start(userdata, request, m);
        standin_request_done(request);
        free(request);
        return r;
}

static int method_list(sd_bus_message *m, void *userdata, sd_bus_error *e) {
        StandIn *s = userdata;
        sd_bus_message *reply = NULL;
        int r = sd_bus_message_new_method_return(m, &reply);

        (void) e;
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "a{sv}");
        for (size_t i = 0; i < s->n && r >= 0; i++)
                if (!s->queries[i]->is_done)
                        r = standin_append_description(reply, s->queries[i]);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        sd_bus_message_unref(reply);
        return r;
}

static int method_describe(sd_bus_message *m, void *userdata, sd_bus_error *e) {
        sd_bus_message *reply = NULL;
        StandInQuery *q;
        int r = read_query(m, userdata, &q, e);

        if (r < 0)
                return r;
        q->owner->n_describes++;
        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = standin_append_description(reply, q);
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        sd_bus_message_unref(reply);
        return r;
}

static int method_cancel(sd_bus_message *m, void *userdata, sd_bus_error *e) {
        StandInQuery *q;
        int r = read_query(m, userdata, &q, e);

        if (r < 0)
                return r;
        if (q->pose.denied || strcmp(q->language, "shell-kept") == 0)
                return sd_bus_error_setf(e, ERRORS "PermissionDenied", "it is not yours");
        standin_cancel(q);
        return sd_bus_reply_method_return(m, NULL);
}

static int method_done(sd_bus_message *m, void *userdata, sd_bus_error *e) {
        sd_bus_message *reply = NULL;
        StandInQuery *q;
        int r = read_query(m, userdata, &q, e);

        if (r < 0)
                return r;
        if (q->pid > 0) {
                standin_cancel(q);
                q->waiting = sd_bus_message_ref(m);
                return 1;
        }
        q->is_done = 1;
        q->slot = sd_bus_slot_unref(q->slot);
        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = standin_append_statistics(reply, q);
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        sd_bus_message_unref(reply);
        return r;
}

static int method_results(sd_bus_message *m, void *userdata, sd_bus_error *e) {
        char path[64];
        StandInQuery *q;
        FILE *f;
        int r = read_query(m, userdata, &q, e);

        if (r < 0)
                return r;
        if (q->results_file < 0)
                return sd_bus_error_setf(e, ERRORS "InvalidArgument", "the results went to the submitter");
        snprintf(path, sizeof(path), "/proc/self/fd/%d", q->results_file);
        f = fopen(path, "re");
        if (!f)
                return -errno;
        r = sd_bus_reply_method_return(m, "h", fileno(f));
        fclose(f);
        return r;
}

static int method_profile(sd_bus_message *m, void *userdata, sd_bus_error *e) {
        StandInQuery *q;
        int r = read_query(m, userdata, &q, e);

        return r < 0 ? r : standin_reply_profile(m);
}

static int method_history(sd_bus_message *m, void *userdata, sd_bus_error *e) {
        (void) userdata;
        (void) e;
        return standin_reply_history(m);
}

static int method_shutdown(sd_bus_message *m, void *userdata, sd_bus_error *e) {
        StandIn *s = userdata;
        uint64_t usec;
        int r = sd_bus_message_read(m, "t", &usec);

        if (r < 0)
                return r;
        if (usec != 0)
                return sd_bus_error_setf(e, ERRORS "Timeout", "asked for %llu", (unsigned long long) usec);
        for (size_t i = 0; i < s->n; i++)
                standin_cancel(s->queries[i]);
        return sd_bus_reply_method_return(m, NULL);
}

static int method_pause(sd_bus_message *m, void *userdata, sd_bus_error *e) {
        StandIn *s = userdata;

        (void) e;
        s->paused = strcmp(sd_bus_message_get_member(m), "Pause") == 0;
        return sd_bus_reply_method_return(m, NULL);
}

/* While it is paused, it has none, as an old service. */
static int method_metrics(sd_bus_message *m, void *userdata, sd_bus_error *e) {
        StandIn *s = userdata;

        if (s->paused)
                return sd_bus_error_setf(e, SD_BUS_ERROR_NOT_SUPPORTED, "not yet");
        return sd_bus_reply_method_return(m, "s",
                                          "# HELP penstock_all_active Queries that have not ended.\n"
                                          "# TYPE penstock_all_active gauge\n"
                                          "penstock_all_active{team=\"a \\\"b\\\"\"} 2\n");
}

static int get_number(sd_bus *bus, const char *path, const char *interface, const char *property,
                      sd_bus_message *reply, void *userdata, sd_bus_error *e) {
        const StandIn *s = userdata;
        uint64_t value = strcmp(property, "ShutdownTimeoutUSec") != 0 ? 4 * GIB : s->paused ? 0 : 90 * USEC_PER_SEC; /* to have both */

        (void) bus;
        (void) path;
        (void) interface;
        (void) e;
        return sd_bus_message_append(reply, "t", value);
}

#define INITIAL (64 * MIB)
#define SLOTS UINT64_C(4)

/* The property is the state's name with a capital. */
static int get_count(sd_bus *bus, const char *path, const char *interface, const char *property,
                     sd_bus_message *reply, void *userdata, sd_bus_error *e) {
        const StandIn *s = userdata;
        uint32_t n = 0;

        (void) bus, (void) path, (void) interface, (void) e;
        for (size_t i = 0; i < s->n; i++)
                n += !s->queries[i]->is_done && strcasecmp(s->queries[i]->state, property) == 0;
        return sd_bus_message_append(reply, "u", n);
}

/* Used: all slots, and what is above one's initial quota. */
static int get_memory(sd_bus *bus, const char *path, const char *interface, const char *property,
                      sd_bus_message *reply, void *userdata, sd_bus_error *e) {
        const StandIn *s = userdata;
        uint64_t used = SLOTS * INITIAL;

        (void) bus, (void) path, (void) interface, (void) e;
        for (size_t i = 0; i < s->n; i++)
                if (!s->queries[i]->is_done && strcmp(s->queries[i]->state, "executing") == 0)
                        used += subtract_saturating(s->queries[i]->pose.quota, INITIAL);
        return sd_bus_message_append(reply, "t", strcmp(property, "UsedMemoryBytes") == 0 ? used : 4 * GIB - used);
}

static int get_limit(sd_bus *bus, const char *path, const char *interface, const char *property,
                     sd_bus_message *reply, void *userdata, sd_bus_error *e) {
        (void) bus, (void) path, (void) interface, (void) userdata, (void) e;
        return sd_bus_message_append(reply, "t",
                                     strcmp(property, "ConcurrencyQuota") == 0 ? SLOTS
                                     : strcmp(property, "QueueSize") == 0      ? UINT64_C(64)
                                                                               : INITIAL);
}

static int get_version(sd_bus *bus, const char *path, const char *interface, const char *property,
                       sd_bus_message *reply, void *userdata, sd_bus_error *e) {
        (void) bus, (void) path, (void) interface, (void) property, (void) userdata, (void) e;
        return sd_bus_message_append(reply, "s", "stand-in");
}

static int get_languages(sd_bus *bus, const char *path, const char *interface, const char *property,
                         sd_bus_message *reply, void *userdata, sd_bus_error *e) {
        (void) bus;
        (void) path;
        (void) interface;
        (void) property;
        (void) userdata;
        (void) e;
        return sd_bus_message_append(reply, "a(ss)", 2, "exec", "any command", "shell", "POSIX shell");
}

static int get_memory_notes(sd_bus *bus, const char *path, const char *interface, const char *property,
                            sd_bus_message *reply, void *userdata, sd_bus_error *e) {
        (void) bus, (void) path, (void) interface, (void) property, (void) userdata, (void) e;
        return sd_bus_message_append(reply, "a(ss)", 1, "shell", "Needs little.");
}

static int get_label_keys(sd_bus *bus, const char *path, const char *interface, const char *property,
                          sd_bus_message *reply, void *userdata, sd_bus_error *e) {
        (void) bus;
        (void) path;
        (void) interface;
        (void) property;
        (void) userdata;
        (void) e;
        return sd_bus_message_append(reply, "as", 2, "team", "evil");
}

#define METHOD(name, in, out, f) SD_BUS_METHOD(name, in, out, f, SD_BUS_VTABLE_UNPRIVILEGED)

const sd_bus_vtable standin_controller_vtable[] = {
        SD_BUS_VTABLE_START(0),
        METHOD("Query", "a{sv}", "tohh", method_query),
        METHOD("ListQueries", NULL, "aa{sv}", method_list),
        METHOD("Describe", "t", "a{sv}", method_describe),
        METHOD("History", "a{sv}", "aa{sv}", method_history),
        METHOD("CancelQuery", "t", NULL, method_cancel),
        METHOD("DoneQuery", "t", "a{sv}", method_done),
        METHOD("ResultsOf", "t", "h", method_results),
        METHOD("ProfilerResultsOf", "t", "h", method_profile),
        METHOD("Shutdown", "t", NULL, method_shutdown),
        METHOD("Pause", NULL, NULL, method_pause),
        METHOD("Resume", NULL, NULL, method_pause),
        METHOD("Metrics", NULL, "s", method_metrics),
        SD_BUS_PROPERTY("MaxMemoryBytes", "t", get_number, 0, 0),
        SD_BUS_PROPERTY("MetricLabelKeys", "as", get_label_keys, 0, 0),
        SD_BUS_PROPERTY("ShutdownTimeoutUSec", "t", get_number, 0, 0),
        SD_BUS_PROPERTY("Paused", "b", NULL, offsetof(StandIn, paused), 0),
        SD_BUS_PROPERTY("Languages", "a(ss)", get_languages, 0, 0),
        SD_BUS_PROPERTY("LanguageMemoryNotes", "a(ss)", get_memory_notes, 0, 0),
        SD_BUS_PROPERTY("Version", "s", get_version, 0, 0),
        SD_BUS_PROPERTY("UsedMemoryBytes", "t", get_memory, 0, 0),
        SD_BUS_PROPERTY("UnusedMemoryBytes", "t", get_memory, 0, 0),
        SD_BUS_PROPERTY("ConcurrencyQuota", "t", get_limit, 0, 0),
        SD_BUS_PROPERTY("QueueSize", "t", get_limit, 0, 0),
        SD_BUS_PROPERTY("InitialMemoryBytesQuotaPerQuery", "t", get_limit, 0, 0),
        SD_BUS_PROPERTY("Created", "u", get_count, 0, 0),
        SD_BUS_PROPERTY("Compiling", "u", get_count, 0, 0),
        SD_BUS_PROPERTY("Queueing", "u", get_count, 0, 0),
        SD_BUS_PROPERTY("Executing", "u", get_count, 0, 0),
        SD_BUS_PROPERTY("Finished", "u", get_count, 0, 0),
        SD_BUS_PROPERTY("Errored", "u", get_count, 0, 0),
        SD_BUS_PROPERTY("Canceled", "u", get_count, 0, 0),
        /* For tests only: how often one query was asked about. */
        SD_BUS_PROPERTY("Describes", "t", NULL, offsetof(StandIn, n_describes), 0),
        SD_BUS_VTABLE_END,
};
