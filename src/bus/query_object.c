/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The objects /org/penstock1/query/_<ID>: they are not kept anywhere, but found in the engine when somebody asks. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bus/server.h"
#include "bus/statistics.h"

#define QUERY_PATH_HEAD QUERY_PREFIX "/_"

const char *query_path(uint64_t id, char buf[static QUERY_PATH_MAX]) {
        snprintf(buf, QUERY_PATH_MAX, QUERY_PATH_HEAD "%llu", (unsigned long long) id);
        return buf;
}

const Query *query_of_path(const BusServer *s, const char *path) {
        size_t head = strlen(QUERY_PATH_HEAD);
        char again[QUERY_PATH_MAX];
        uint64_t id;

        if (!s->manager || strncmp(path, QUERY_PATH_HEAD, head) != 0 || u64_parse(path + head, &id) < 0)
                return NULL;
        if (strcmp(query_path(id, again), path) != 0) /* one object has one path: no "_007" */
                return NULL;
        if (id != s->shown_id && engine_is_tombstone(manager_engine(s->manager), id))
                return NULL;
        return engine_find(manager_engine(s->manager), id);
}

int query_object_find(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret_found,
                      sd_bus_error *ret_error) {
        BusServer *s = userdata;

        (void) bus, (void) interface, (void) ret_error;
        if (!query_of_path(s, path))
                return 0;
        *ret_found = s;
        return 1;
}

static void nodes_free(char **nodes, size_t n) {
        for (size_t i = 0; i < n; i++)
                free(nodes[i]);
        free(nodes);
}

int query_object_enumerate(sd_bus *bus, const char *prefix, void *userdata, char ***ret_nodes,
                           sd_bus_error *ret_error) {
        const BusServer *s = userdata;
        const Engine *e = s->manager ? manager_engine(s->manager) : NULL;
        char path[QUERY_PATH_MAX], **nodes;
        size_t n = 0, i = 0;

        (void) bus, (void) prefix, (void) ret_error;
        for (const Query *q = e ? engine_next(e, NULL) : NULL; q; q = engine_next(e, q))
                n++;
        nodes = calloc(n + 1, sizeof(*nodes));
        if (!nodes)
                return -ENOMEM;
        for (const Query *q = e ? engine_next(e, NULL) : NULL; q && i < n; q = engine_next(e, q)) {
                nodes[i] = strdup(query_path(q->id, path));
                if (!nodes[i]) {
                        nodes_free(nodes, i);
                        return -ENOMEM;
                }
                i++;
        }
        *ret_nodes = nodes;
        return 0;
}

static int query_get_property(sd_bus *bus, const char *path, const char *interface, const char *property,
                              sd_bus_message *reply, void *userdata, sd_bus_error *ret_error) {
        BusServer *s = userdata;
        const Query *q = query_of_path(s, path);
        QueryView v;

        (void) bus, (void) interface, (void) ret_error;
        if (!q)
                return -ENOENT;
        query_view_init(&v, s->manager, q);
        return query_property_append(reply, &v, property);
}

#define AS_PROPERTY(name, type, flags, append) SD_BUS_PROPERTY(name, type, query_get_property, 0, flags),

const sd_bus_vtable query_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("Cancel", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_cancel, ANYONE),
        SD_BUS_METHOD_WITH_ARGS("Done", SD_BUS_NO_ARGS, SD_BUS_RESULT("a{sv}", statistics), method_done, ANYONE),
        SD_BUS_METHOD_WITH_ARGS("Results", SD_BUS_NO_ARGS, SD_BUS_RESULT("h", results), method_results, ANYONE),
        SD_BUS_METHOD_WITH_ARGS("Statistics", SD_BUS_NO_ARGS, SD_BUS_RESULT("a{sv}", statistics), method_statistics,
                                ANYONE),
        SD_BUS_METHOD_WITH_ARGS("ProfilerResults", SD_BUS_NO_ARGS, SD_BUS_RESULT("h", results),
                                method_profiler_results, ANYONE),
        QUERY_PROPERTIES(AS_PROPERTY) SD_BUS_VTABLE_END,
};
