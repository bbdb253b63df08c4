/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The object /org/penstock1: its vtable, the properties that are no configuration, and the calls that anyone may
 * make. */
#include <ctype.h>
#include <string.h>

#include "bus/server.h"

static int get_version(sd_bus *bus, const char *path, const char *interface, const char *property,
                       sd_bus_message *reply, void *userdata, sd_bus_error *ret_error) {
        (void) bus, (void) path, (void) interface, (void) property, (void) userdata, (void) ret_error;
        return sd_bus_message_append(reply, "s", PENSTOCK_VERSION);
}

static int get_used(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
                    void *userdata, sd_bus_error *ret_error) {
        const BusServer *s = userdata;

        (void) bus, (void) path, (void) interface, (void) property, (void) ret_error;
        return sd_bus_message_append(reply, "t", budget_used_bytes(engine_budget(manager_engine(s->manager))));
}

static int get_unused(sd_bus *bus, const char *path, const char *interface, const char *property,
                      sd_bus_message *reply, void *userdata, sd_bus_error *ret_error) {
        const BusServer *s = userdata;

        (void) bus, (void) path, (void) interface, (void) property, (void) ret_error;
        return sd_bus_message_append(reply, "t", budget_unused_bytes(engine_budget(manager_engine(s->manager))));
}

/* Created, Compiling …: the property is the state's name with a capital. */
static int get_count(sd_bus *bus, const char *path, const char *interface, const char *property,
                     sd_bus_message *reply, void *userdata, sd_bus_error *ret_error) {
        const BusServer *s = userdata;
        uint64_t n = 0;

        (void) bus, (void) path, (void) interface, (void) ret_error;
        for (QueryState state = 0; state < _QUERY_STATE_MAX; state++)
                if (strcasecmp(property, query_state_name(state)) == 0)
                        n = engine_count(manager_engine(s->manager), state);
        return sd_bus_message_append(reply, "u", (uint32_t) MIN(n, UINT32_MAX));
}

static int get_paused(sd_bus *bus, const char *path, const char *interface, const char *property,
                      sd_bus_message *reply, void *userdata, sd_bus_error *ret_error) {
        const BusServer *s = userdata;

        (void) bus, (void) path, (void) interface, (void) property, (void) ret_error;
        return sd_bus_message_append(reply, "b", (int) engine_is_paused(manager_engine(s->manager)));
}

static int get_shutting_down(sd_bus *bus, const char *path, const char *interface, const char *property,
                             sd_bus_message *reply, void *userdata, sd_bus_error *ret_error) {
        const BusServer *s = userdata;

        (void) bus, (void) path, (void) interface, (void) property, (void) ret_error;
        return sd_bus_message_append(reply, "b", (int) engine_is_shut_down(manager_engine(s->manager)));
}

/* Pairs of a name and its description, or its note of memory where it has one. */
static int append_languages(sd_bus_message *reply, const BusServer *s, bool notes) {
        const LanguageSet *set = manager_languages(s->manager);
        int r = sd_bus_message_open_container(reply, 'a', "(ss)");

        for (size_t i = 0; r >= 0 && i < set->n; i++) {
                const Language *l = set->v[i];

                if (!notes || l->memory_note)
                        r = sd_bus_message_append(reply, "(ss)", l->name, (notes ? l->memory_note : l->description) ?: "");
        }
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int get_languages(sd_bus *bus, const char *path, const char *interface, const char *property,
                         sd_bus_message *reply, void *userdata, sd_bus_error *ret_error) {
        (void) bus, (void) path, (void) interface, (void) property, (void) ret_error;
        return append_languages(reply, userdata, false);
}

static int get_memory_notes(sd_bus *bus, const char *path, const char *interface, const char *property,
                            sd_bus_message *reply, void *userdata, sd_bus_error *ret_error) {
        (void) bus, (void) path, (void) interface, (void) property, (void) ret_error;
        return append_languages(reply, userdata, true);
}

static int send_list(sd_bus_message *m, const char *contents,
                     int (*append)(sd_bus_message *reply, BusServer *s, const Query *q), BusServer *s) {
        const Engine *e = manager_engine(s->manager);
        sd_bus_message *reply = NULL;
        int r;

        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', contents);
        for (const Query *q = engine_next(e, NULL); r >= 0 && q; q = engine_next(e, q))
                r = append(reply, s, q);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        sd_bus_message_unref(reply);
        return r < 0 ? reply_errno(m, r, "list the queries") : r;
}

static int append_path(sd_bus_message *reply, BusServer *s, const Query *q) {
        char path[QUERY_PATH_MAX];

        (void) s;
        return sd_bus_message_append(reply, "o", query_path(q->id, path));
}

static int method_queries(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        (void) ret_error;
        return send_list(m, "o", append_path, userdata);
}

static int append_dictionary(sd_bus_message *reply, BusServer *s, const Query *q) {
        int r = sd_bus_message_open_container(reply, 'a', "{sv}");
        QueryView v;

        query_view_init(&v, s->manager, q);
        if (r >= 0)
                r = query_properties_append(reply, &v);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int method_list_queries(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        (void) ret_error;
        return send_list(m, "a{sv}", append_dictionary, userdata);
}

static int method_get_query(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        BusServer *s = userdata;
        char path[QUERY_PATH_MAX];
        Error error = {};
        uint64_t id;
        int r = sd_bus_message_read(m, "t", &id);

        (void) ret_error;
        if (r < 0)
                return r;
        query_path(id, path);
        if (query_of_path(s, path))
                return sd_bus_reply_method_return(m, "o", path);
        (void) error_set(&error, ERROR_NO_SUCH_QUERY, "there is no query %llu: never issued, or Done",
                         (unsigned long long) id);
        return reply_error(m, &error);
}

static int method_metrics(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        const BusServer *s = userdata;
        const char *text;
        int r = manager_metrics(s->manager, &text);

        (void) ret_error;
        return r < 0 ? reply_errno(m, r, "make the metrics' text") : sd_bus_reply_method_return(m, "s", text);
}

#define COUNT_PROPERTY(name) SD_BUS_PROPERTY(name, "u", get_count, 0, 0)
#define CONFIG_PROPERTY(name, type) SD_BUS_PROPERTY(name, type, controller_get_config, 0, 0)

/* SENSITIVE: a request may hold secrets, so sd-bus erases it before it frees it. */
const sd_bus_vtable controller_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("Query", SD_BUS_ARGS("a{sv}", request),
                                SD_BUS_RESULT("t", id, "o", query, "h", results, "h", hold), method_query,
                                ANYONE | SD_BUS_VTABLE_SENSITIVE),
        SD_BUS_METHOD_WITH_ARGS("Queries", SD_BUS_NO_ARGS, SD_BUS_RESULT("ao", queries), method_queries, ANYONE),
        SD_BUS_METHOD_WITH_ARGS("ListQueries", SD_BUS_NO_ARGS, SD_BUS_RESULT("aa{sv}", queries), method_list_queries,
                                ANYONE),
        SD_BUS_METHOD_WITH_ARGS("GetQuery", SD_BUS_ARGS("t", id), SD_BUS_RESULT("o", query), method_get_query,
                                ANYONE),
        SD_BUS_METHOD_WITH_ARGS("Describe", SD_BUS_ARGS("t", id), SD_BUS_RESULT("a{sv}", description),
                                method_describe, ANYONE),
        SD_BUS_METHOD_WITH_ARGS("History", SD_BUS_ARGS("a{sv}", filter), SD_BUS_RESULT("aa{sv}", queries), method_history, ANYONE),
        SD_BUS_METHOD_WITH_ARGS("CancelQuery", SD_BUS_ARGS("t", id), SD_BUS_NO_RESULT, method_cancel, ANYONE),
        SD_BUS_METHOD_WITH_ARGS("DoneQuery", SD_BUS_ARGS("t", id), SD_BUS_RESULT("a{sv}", statistics), method_done,
                                ANYONE),
        SD_BUS_METHOD_WITH_ARGS("ResultsOf", SD_BUS_ARGS("t", id), SD_BUS_RESULT("h", results), method_results,
                                ANYONE),
        SD_BUS_METHOD_WITH_ARGS("ProfilerResultsOf", SD_BUS_ARGS("t", id), SD_BUS_RESULT("h", results),
                                method_profiler_results, ANYONE),
        SD_BUS_METHOD_WITH_ARGS("Shutdown", SD_BUS_ARGS("t", timeout_usec), SD_BUS_NO_RESULT, method_shutdown,
                                ANYONE),
        SD_BUS_METHOD_WITH_ARGS("Pause", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_pause, ANYONE),
        SD_BUS_METHOD_WITH_ARGS("Resume", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_resume, ANYONE),
        SD_BUS_METHOD_WITH_ARGS("Reload", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_reload, ANYONE),
        SD_BUS_METHOD_WITH_ARGS("Metrics", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", text), method_metrics, ANYONE),
        SD_BUS_SIGNAL_WITH_ARGS("QueryNew", SD_BUS_ARGS("t", id, "o", query), 0),
        SD_BUS_SIGNAL_WITH_ARGS("QueryRemoved", SD_BUS_ARGS("t", id, "o", query), 0),
        SD_BUS_PROPERTY("Version", "s", get_version, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("UsedMemoryBytes", "t", get_used, 0, 0),
        SD_BUS_PROPERTY("UnusedMemoryBytes", "t", get_unused, 0, 0),
        COUNT_PROPERTY("Created"),
        COUNT_PROPERTY("Compiling"),
        COUNT_PROPERTY("Queueing"),
        COUNT_PROPERTY("Executing"),
        COUNT_PROPERTY("Errored"),
        COUNT_PROPERTY("Finished"),
        COUNT_PROPERTY("Canceled"),
        SD_BUS_PROPERTY("Paused", "b", get_paused, 0, 0),
        SD_BUS_PROPERTY("ShuttingDown", "b", get_shutting_down, 0, 0),
        SD_BUS_PROPERTY("Languages", "a(ss)", get_languages, 0, 0),
        SD_BUS_PROPERTY("LanguageMemoryNotes", "a(ss)", get_memory_notes, 0, 0),
        CONFIG_PROPERTY("ConcurrencyQuota", "t"),
        CONFIG_PROPERTY("InitialMemoryBytesQuotaPerQuery", "t"),
        CONFIG_PROPERTY("MemoryBytesQuotaPerQuery", "t"),
        CONFIG_PROPERTY("MaxMemoryBytes", "t"),
        CONFIG_PROPERTY("QueueSize", "t"),
        CONFIG_PROPERTY("Logger", "s"),
        CONFIG_PROPERTY("MetricLabelKeys", "as"),
        CONFIG_PROPERTY("ExecutorDependencies", "as"),
        CONFIG_PROPERTY("QueueTimeoutUSec", "t"),
        CONFIG_PROPERTY("QueryTimeoutUSec", "t"),
        CONFIG_PROPERTY("ShutdownTimeoutUSec", "t"),
        CONFIG_PROPERTY("MaxQueriesPerUser", "t"),
        CONFIG_PROPERTY("ExhaustionPolicy", "s"),
        CONFIG_PROPERTY("FreezeTimeoutUSec", "t"),
        CONFIG_PROPERTY("CompileTimeoutUSec", "t"),
        CONFIG_PROPERTY("CompileMemoryBytes", "t"),
        CONFIG_PROPERTY("CompileConcurrency", "t"),
        CONFIG_PROPERTY("ReserveMemoryBytes", "t"),
        CONFIG_PROPERTY("AllowOvercommit", "b"),
        CONFIG_PROPERTY("AllowRootQueries", "b"),
        CONFIG_PROPERTY("MemoryProtection", "s"),
        CONFIG_PROPERTY("TasksMaxPerQuery", "t"),
        CONFIG_PROPERTY("CancelGraceUSec", "t"),
        CONFIG_PROPERTY("ResultsKeepUSec", "t"),
        CONFIG_PROPERTY("ResultsMaxBytes", "t"),
        CONFIG_PROPERTY("LogQueryTextOnShutdown", "b"),
        CONFIG_PROPERTY("WarmUnits", "t"),
        CONFIG_PROPERTY("WarmUnitsIdleUSec", "t"),
        CONFIG_PROPERTY("HistoryMaxEntries", "t"),
        CONFIG_PROPERTY("HistoryRetentionUSec", "t"),
        CONFIG_PROPERTY("InitialQuota", "s"),
        CONFIG_PROPERTY("RetryOnExhaustion", "b"),
        CONFIG_PROPERTY("Trace", "t"),
        SD_BUS_VTABLE_END,
};
