/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/unit_plan.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void unit_plan_done(UnitPlan *p) {
        unit_paths_done(&p->paths);
        pairlist_done(&p->extra);
}

int unit_plan_make(const Entry *e, UnitPlan *ret) {
        const Config *c = e->manager->config;
        int r;

        ret->spec = (UnitSpec) {
                .slice = SYSTEMD_SLICE,
                .memory_max_bytes = entry_unit_max_bytes(e),
                .memory_low_bytes = MIN(c->initial_bytes, e->max_bytes),
                .protect_min = c->memory_protection == PROTECTION_MIN,
                .tasks_max = add_saturating(c->tasks_max_per_query, 8),
                .tmpfs_bytes = e->max_bytes,
                .tmp_on_disk = e->tmp == TMP_DISK,
                .network = e->network,
                .home = e->home_access == PATH_HIDDEN      ? UNIT_HOME_HIDDEN
                        : e->home_access == PATH_READ_ONLY ? UNIT_HOME_READ_ONLY
                                                           : UNIT_HOME_READ_WRITE,
        };
        r = unit_paths_collect(e, &ret->paths);
        return r < 0 ? r : pairlist_merge(&ret->extra, &e->unit_properties);
}

size_t unit_plan_items(const Entry *e, PathcheckItem items[static 3]) {
        const Request *r = &e->record.request;
        size_t n = 0;

        if (r->working_directory && e->working_directory_access != PATH_HIDDEN)
                items[n++] = (PathcheckItem) { "working_directory", r->working_directory, PATHCHECK_DIRECTORY, e->working_directory_access };
        if (r->database && r->database[0] == '/' && e->database_kind != DATABASE_NAME) /* not ":memory:" */
                items[n++] = (PathcheckItem) { "database", r->database, PATHCHECK_FILE, e->database_access };
        if (r->file)
                items[n++] = (PathcheckItem) { "file", r->file, PATHCHECK_FILE, PATH_READ_ONLY };
        return n;
}

int unit_plan_guess(Entry *e, UnitPlan *ret) {
        PathcheckItem items[3];
        PathcheckResult as_named[3] = {};
        PathcheckResult *paths = e->paths;
        size_t n_paths = e->n_paths;
        int r;

        e->paths = as_named;
        e->n_paths = unit_plan_items(e, items);
        for (size_t i = 0; i < e->n_paths; i++)
                as_named[i] = (PathcheckResult) { .key = items[i].key, .resolved = (char *) items[i].path };
        r = unit_plan_make(e, ret);
        e->paths = paths;
        e->n_paths = n_paths;
        return r;
}

static void put_list(FILE *f, const char *name, const StrList *l) {
        fprintf(f, "%s %zu\n", name, l->n);
        for (size_t i = 0; i < l->n; i++)
                fprintf(f, "%zu %s\n", strlen(l->v[i]), l->v[i]); /* the length: no text looks like two */
}

char *unit_plan_key(const UnitPlan *p, bool with_files) {
        const UnitPaths *u = &p->paths;
        const UnitSpec *s = &p->spec;
        char *key = NULL;
        size_t len;
        FILE *f = open_memstream(&key, &len);

        if (!f)
                return NULL;
        fprintf(f, "%llu %llu %llu %llu %d %d %d %d\n", (unsigned long long) s->memory_max_bytes,
                (unsigned long long) s->memory_low_bytes, (unsigned long long) s->tasks_max, (unsigned long long) s->tmpfs_bytes,
                s->protect_min, s->tmp_on_disk, s->network, (int) s->home);
        put_list(f, "bind", &u->bind);
        put_list(f, "bind-ro", &u->bind_read_only);
        put_list(f, "requisite", &u->requisite);
        put_list(f, "after", &u->after);
        if (with_files)
                put_list(f, "files", &u->files);
        for (size_t i = 0; i < p->extra.n; i++)
                fprintf(f, "%zu %s=%zu %s\n", strlen(p->extra.v[i].key), p->extra.v[i].key, strlen(p->extra.v[i].value),
                        p->extra.v[i].value);
        if (memstream_close(f, &key) == 0)
                return key;
        free(key);
        return NULL;
}

bool unit_plan_keeps(const UnitPlan *p) {
        return !p->paths.is_uncertain && !pairlist_get(&p->extra, "ReadOnlyPaths") && !pairlist_get(&p->extra, "ReadWritePaths") &&
               !pairlist_get(&p->extra, "InaccessiblePaths");
}

int unit_plan_start(const UnitPlan *p, SystemdLink *link, uint64_t id, const char *description, Error *ret_error) {
        char text[32];
        char *argv[] = { (char *) PENSTOCK_WORKER_PATH, text, NULL };
        UnitSpec spec = p->spec;

        snprintf(text, sizeof(text), "%llu", (unsigned long long) id);
        spec.query_id = id;
        spec.description = description;
        spec.exec_argv = argv;
        spec.bind_paths = &p->paths.bind;
        spec.bind_read_only_paths = &p->paths.bind_read_only;
        spec.requisite_units = &p->paths.requisite;
        spec.after_units = &p->paths.after;
        spec.extra = &p->extra;
        return systemd_unit_start(link, &spec, ret_error);
}
